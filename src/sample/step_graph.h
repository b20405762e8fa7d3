/* The graphs of sampling: one evaluation of a network with guidance and the sampler's update around it, and the one
 * that makes the first noise. Knows nothing of the network but a function that adds it to a graph.
 *
 * Names in the graphs: states "x" f32[count,C,H,W] and, where the sampler keeps values, "h" and "g" of the same shape;
 * inputs "seeds" u32[count] (one a picture, so that a picture does not depend on its neighbours in the batch), and the
 * conditions of the batch: "label" i32[rows], or, prompted by words, "label" i32[rows,words] with "label_weights"
 * f32[rows,words], as graph/zoo/zoo.h says. Guided graphs run the network on 2 count samples: the conditional half,
 * then the unconditional; graphs without guidance take the first count rows of the label. Tap "preview": the estimate
 * of the clean image, f32[count,C,H,W], with every sampler (dopri5: at the end of each attempt); "velocity": the norm of
 * the network's output, f32[count]; "guidance": the norm of what guidance changed; "perturbation": that of the
 * conditional output less the second pass; each with ".map" behind its name the whole of it. Step columns: those of sampler.h.
 *
 * A step is one program (sy_step_graph_build), or several: AdaptiveDiffusion's network and update (skip_graph.c), the
 * adaptive solver's stage and attempt (ode_graph.c). States whose names begin with "run." say what runs next. */
#ifndef SY_SAMPLE_STEP_GRAPH_H
#define SY_SAMPLE_STEP_GRAPH_H

#include "graph/zoo/zoo.h" /* sy_zoo_inputs */

/* Region-adaptive sampling, arXiv 2502.10389 (ras_graph.c). */
typedef struct sy_ras_params {
    int32_t patch;     /* side of a token in cells */
    int32_t low, high; /* tokens of a picture left out from the lower and the higher end of the metric */
    bool norm;         /* the metric: norm, else standard deviation, over the channels */
    double starvation; /* factor of the times left out in the exponent of the metric's weight */
    bool measures;     /* the step after this one leaves tokens out */
} sy_ras_params;

typedef struct sy_step_graph_params {
    const char *name; /* of the graph; NULL: "step" */
    int32_t count;    /* pictures; 0: 1 */
    int32_t channels, height, width;
    int32_t out_channels; /* of the network's output, at least `channels`; more: variance, or dropped */
    int32_t words;        /* 0: conditioned by a class id; else by so many word ids */
    int32_t label_rows;   /* of the inputs; 0: as many as the network runs on */
    bool unlabelled;      /* the network takes no label */
    int32_t text_tokens;  /* conditioned by texts: so many tokens; else 0 */
    int32_t context_tokens, context_width; /* what the encoder makes of them; without one the input "context" */
    bool negative;           /* the network takes the negative texts' context too: rows count … 2 count - 1 */
    bool guided;             /* batch of two halves; else the conditional half alone */
    int32_t guided_channels; /* guidance on the first so many channels, the rest conditional; 0: on all */
    uint64_t uses; /* bits of the columns (SY_COLUMN_…) that are not 0 in all rows; cx, cv, px and pv always are */
    bool learned_variance; /* channels C … 2C-1 of the output scale the noise; needs noise */
    bool clip; /* the estimate of the clean image is cut to -1 … 1, and the output taken that would have given it */
    bool step_size;         /* the network is told the column d */
    double rescale;         /* guidance.rescale */
    bool perturbed;         /* a second conditional pass without some blocks, from which the result is pushed */
    double perturbed_scale; /* so far */
    double first_noise;     /* its standard deviation; 0: 1 */
    int32_t variant;        /* of the network: sy_variant */
    sy_ras_params ras;      /* REFRESH and ACTIVE */
    sy_value (*network)(void *context, sy_graph *graph,
                        const sy_zoo_inputs *inputs);                    /* gives f32[batch,out_channels,H,W] */
    sy_value (*encode)(void *context, sy_graph *graph, sy_value tokens); /* where text_tokens */
    sy_value (*decode)(void *context, sy_graph *graph, sy_value latent); /* sy_decode_graph_build */
    void *context;
} sy_step_graph_params;

/* AdaptiveDiffusion, arXiv 2410.09873. */
typedef struct sy_skip_params {
    double threshold; /* delta */
    int32_t most;     /* steps without the network one after another */
} sy_skip_params;

/* dopri5. */
typedef struct sy_ode_params {
    double rtol, atol, first;
} sy_ode_params;

/* NULL on error. The caller destroys the graph. */
sy_graph *sy_step_graph_build(const sy_step_graph_params *params, sy_error *error);
/* States x = standard normal noise from "seeds"; with skip or ode (else NULL) the states these begin with. */
sy_graph *sy_init_graph_build(const sy_step_graph_params *params, const sy_skip_params *skip, const sy_ode_params *ode,
                              sy_error *error);
/* Conditioned by texts the init graph also encodes the input "tokens" i32[rows,text_tokens] into the state "context";
 * and this graph, after the last step, decodes x into the output "picture". */
sy_graph *sy_decode_graph_build(const sy_step_graph_params *params, sy_error *error);
/* The network under the condition "run.network", which leaves its output in the state "v"; and the update, which ends
 * the step and decides on the next. */
sy_graph *sy_network_graph_build(const sy_step_graph_params *params, sy_error *error);
sy_graph *sy_update_graph_build(const sy_step_graph_params *params, const sy_skip_params *skip, sy_error *error);
/* A stage under the condition "run.network", which leaves its slope in the state "k"; and the end of an attempt, which
 * accepts or rejects it and sets the next step of every picture. State "ode.t" f32[count]: how far each is, of 1. */
sy_graph *sy_stage_graph_build(const sy_step_graph_params *params, sy_error *error);
sy_graph *sy_attempt_graph_build(const sy_step_graph_params *params, const sy_ode_params *ode, sy_error *error);

#endif
