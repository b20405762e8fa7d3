/* Tuning the programs of a model on a device, through pipelines as a user makes them. */
#ifndef SY_TUNE_MODEL_H
#define SY_TUNE_MODEL_H

#include "src/switchyard.h"
#include "src/tune/tune.h"

typedef struct sy_tune_model_params {
    sy_pipeline_params pipeline; /* steps 0: 1 */
    double seconds;              /* the budget; 0: none */
    uint32_t repeats;            /* runs a median is of; 0: 5 */
    bool (*progress)(void *user, uint32_t done, uint32_t total, double seconds_left);
    void *user;
} sy_tune_model_params;

/* What is found holds in this context at once, and is put into the file at `path` (NULL: nowhere). */
sy_status sy_tune_model(sy_model *model, const sy_tune_model_params *params, const char *path, sy_tune_result *result);

#endif
