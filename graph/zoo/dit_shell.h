/* The adaLN-Zero shell of "Scalable Diffusion Models with Transformers" (arXiv 2212.09748), shared by every diffusion
 * transformer of the zoo: patches in, conditioned blocks of attention and feed-forward, patches out. What differs
 * from network to network is the feed-forward, which the caller gives. */
#ifndef SY_ZOO_DIT_SHELL_H
#define SY_ZOO_DIT_SHELL_H

#include "graph/zoo/zoo.h"

typedef struct sy_dit {
    sy_graph *g;
    const sy_network_config *config;
    int32_t batch, tokens; /* tokens of one sample */
    sy_value condition;    /* f32[N, width]: silu of the time's and the label's embedding */
    sy_value
        null_label; /* i32[N]: 1 where the sample is unconditional; 0 (no value) if the network has no null label */
} sy_dit;

/* The feed-forward of block `block`: u f32[N, tokens, width], normed and modulated, to the same shape. Called in the
 * block's scope. */
typedef sy_value (*sy_dit_feed_forward)(const sy_dit *dit, int32_t block, sy_value u);

sy_value sy_dit_network(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs,
                        sy_dit_feed_forward feed_forward);

/* The plain feed-forward: mlp.fc2(gelu(mlp.fc1(u))). */
sy_value sy_dit_mlp(const sy_dit *dit, sy_value u);

/* The parts below are used by the tests one by one. */

/* cos(t f_i), then sin(t f_i), f_i = 10000^(-2i/count), i < count / 2: t f32[M] to f32[M, count]. */
sy_value sy_dit_time_features(sy_graph *g, sy_value t, int32_t count);
/* f32[1, grid * grid, width], the fixed sine table of positions. Its value is computed when weights are loaded. */
sy_value sy_dit_positions(sy_graph *g, int32_t grid, int32_t width);

#endif
