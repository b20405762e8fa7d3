/* From a network and the wishes of a pipeline to what is compiled: the sampler's table, the graphs, and which of them
 * runs when. */
#ifndef SY_SAMPLE_SAMPLING_H
#define SY_SAMPLE_SAMPLING_H

#include "graph/zoo/zoo.h"
#include "src/sample/sampler.h"
#include "src/switchyard.h"

enum { SY_SAMPLING_PROGRAMS = 8 };

typedef struct sy_sampling_program {
    sy_graph *graph;
    const char *condition; /* as in sy_session_program */
    bool same_step;
    bool network, guided; /* runs the network; with guidance */
    int32_t variant;      /* sy_variant */
} sy_sampling_program;

typedef struct sy_sampling {
    sy_network_config config; /* with the precision that was asked for; settings are dropped once graphs are built */
    sy_sampler_kind sampler;
    sy_sampler_row *rows;
    uint32_t n_rows, steps, count;
    uint32_t n_turns; /* of the session: the rows and, where the file has a decoder, one that decodes */
    int32_t batch;    /* rows of the label or the text: count, or twice that with guidance or a negative text */
    double guidance;
    bool perturbed;        /* as many samples again behind those (settings stg) */
    bool guided, negative; /* negative: the network is given the negative text's context (setting nag) */
    bool adaptive, ode;    /* the device decides which steps run the network; how long steps are */
    sy_graph *init, *step; /* step: the first of the programs */
    sy_sampling_program programs[SY_SAMPLING_PROGRAMS];
    uint32_t n_programs;
    uint32_t *schedule, n_schedule; /* as in sy_session_params */
    uint32_t evaluations;           /* of the network, if every one runs */
} sy_sampling;

/* Everything in *out is the caller's, to be freed with sy_sampling_free, also after a failure. */
bool sy_sampling_make(const sy_network_config *config, const sy_pipeline_params *params, sy_sampling *out,
                      sy_error *error);
void sy_sampling_free(sy_sampling *sampling);
/* The rows as f32, in the order of sy_sampler_columns; free(). NULL when memory is out. */
float *sy_sampling_table(const sy_sampling *sampling);

#endif
