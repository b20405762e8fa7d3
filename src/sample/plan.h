/* What the settings make of a run: which rows have guidance, and which program of the network each takes. Inside
 * src/sample. */
#ifndef SY_SAMPLE_PLAN_H
#define SY_SAMPLE_PLAN_H

#include "src/sample/sampling.h"
#include "src/sample/step_graph.h"

/* Of one row of the table. */
typedef struct sy_row_plan {
    bool guided;
    int32_t variant;
} sy_row_plan;

typedef struct sy_run_plan {
    sy_row_plan *rows; /* [n_rows]; free() */
    bool perturbed;
    double perturbed_scale, rescale;
    bool skips; /* AdaptiveDiffusion */
    sy_skip_params skip;
    sy_ras_params ras;
    sy_ode_params ode;
} sy_run_plan;

/* Reads the settings of s->config for the table of `s`, whose guided, sampler, rows and steps are set. False where they
 * cannot be, or not together. */
bool sy_run_plan_make(const sy_sampling *s, sy_run_plan *plan, sy_error *error);

#endif
