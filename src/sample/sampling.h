/* From a network and the wishes of a pipeline to what is compiled: the sampler's table and the two graphs. */
#ifndef SY_SAMPLE_SAMPLING_H
#define SY_SAMPLE_SAMPLING_H

#include "graph/zoo/zoo.h"
#include "src/sample/sampler.h"
#include "src/switchyard.h"

typedef struct sy_sampling {
    sy_network_config config; /* with the precision that was asked for */
    sy_sampler_kind sampler;
    sy_sampler_row *rows;
    uint32_t n_rows, steps, count;
    int32_t batch; /* rows of the network's input: count, or twice that with guidance */
    double guidance;
    bool guided;
    sy_graph *init, *step;
} sy_sampling;

/* Everything in *out is the caller's, to be freed with sy_sampling_free, also after a failure. */
bool sy_sampling_make(const sy_network_config *config, const sy_pipeline_params *params, sy_sampling *out,
                      sy_error *error);
void sy_sampling_free(sy_sampling *sampling);
/* The rows as f32, in the order of sy_sampler_columns; free(). NULL when memory is out. */
float *sy_sampling_table(const sy_sampling *sampling);

#endif
