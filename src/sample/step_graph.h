/* The graphs of sampling: one evaluation of a network with guidance and the sampler's update around it, and the one
 * that makes the first noise. Knows nothing of the network but a function that adds it to a graph.
 *
 * Names in the graphs: states "x" f32[count,C,H,W] and, where the sampler keeps a value, "h" of the same shape; inputs
 * "seeds" u32[count] (one a picture, so that a picture does not depend on its neighbours in the batch), and the
 * conditions of `batch` rows: "label" i32[batch], or, prompted by words, "label" i32[batch,words]
 * with "label_weights" f32[batch,words], as graph/zoo/zoo.h says. Guided graphs have batch = 2 count: the conditional
 * half, then the unconditional. Tap "preview": the estimate of the clean image, f32[count,C,H,W]. Step columns: those
 * of sampler.h. */
#ifndef SY_SAMPLE_STEP_GRAPH_H
#define SY_SAMPLE_STEP_GRAPH_H

#include "graph/zoo/zoo.h" /* sy_zoo_inputs */

typedef struct sy_step_graph_params {
    const char *name; /* of the graph; NULL: "step" */
    int32_t count;    /* pictures; 0: 1 */
    int32_t channels, height, width;
    int32_t out_channels;    /* of the network's output, at least `channels`; more: variance, or dropped */
    int32_t words;           /* 0: conditioned by a class id; else by so many word ids */
    bool guided;             /* batch of two halves; else the conditional half alone */
    int32_t guided_channels; /* guidance on the first so many channels, the rest conditional; 0: on all */
    bool history, noise;     /* the sampler's table uses them: see sy_sampler_uses_… */
    bool clip; /* the estimate of the clean image is cut to -1 … 1, and the output taken that would have given it */
    bool learned_variance;   /* channels C … 2C-1 of the output scale the noise; needs noise */
    sy_value (*network)(void *context, sy_graph *graph,
                        const sy_zoo_inputs *inputs); /* gives f32[batch,out_channels,H,W] */
    void *context;
} sy_step_graph_params;

/* NULL on error. The caller destroys the graph. */
sy_graph *sy_step_graph_build(const sy_step_graph_params *params, sy_error *error);
/* States x = standard normal noise from "seeds", h = 0. */
sy_graph *sy_init_graph_build(const sy_step_graph_params *params, sy_error *error);

#endif
