/* The adaLN-Zero shell of "Scalable Diffusion Models with Transformers" (arXiv 2212.09748), shared by every diffusion
 * transformer of the zoo: patches in, conditioned blocks of attention and feed-forward, patches out. What differs
 * from network to network is the feed-forward, which the caller gives.
 *
 * Variants of every network made with it: REFRESH keeps keys and values of each block in the states
 * "cache.blocks.N.attn"; ACTIVE runs the tokens of a route, whose keys and values replace theirs in these, and puts
 * their output into the one before (region-adaptive sampling). Perturbed samples (spatio-temporal skip guidance,
 * perturbed-attention guidance) are copies that do without some blocks; up to the first of these they are not computed
 * at all. */
#ifndef SY_ZOO_DIT_SHELL_H
#define SY_ZOO_DIT_SHELL_H

#include "graph/zoo/zoo.h"

typedef struct sy_dit sy_dit;

/* Attention of block `block`: q, k, v f32[N, heads, tokens, d] to the same shape. Called in the
 * block's scope. */
typedef sy_value (*sy_dit_attend)(const sy_dit *dit, int32_t block, sy_value q, sy_value k, sy_value v);

struct sy_dit {
    sy_graph *g;
    const sy_network_config *config;
    int32_t batch, tokens;   /* tokens of one sample */
    sy_value time;           /* f32[1] or f32[N], as the network is fed it */
    sy_value time_embedding; /* f32[1 or N, width]: of the time alone */
    sy_value condition;      /* f32[N, width]: silu of the time's and the label's embedding */
    sy_value null_label;     /* i32[N]: 1 where the sample is unconditional; 0 (no value): there is no null label */
    sy_dit_attend attend;    /* set after sy_dit_begin; NULL: every token attends to all */
    const void *own;         /* for it: what the network knows beside this */
    int32_t all_tokens;      /* of one sample, those that do not run too */
    int32_t variant;         /* sy_variant */
    sy_value active;         /* ACTIVE: the route of the tokens that run; `tokens` is then their number */
    sy_value previous;       /* ACTIVE: the output of those that do not */
    int32_t perturbed;    /* samples that run a second time without some blocks, behind the others once they differ */
    bool identity;        /* what these lose in such a block: its attention map, else all the block adds */
    uint64_t without[64]; /* bits of those blocks */
};

/* The feed-forward of block `block`: u f32[N, tokens, width], normed and modulated, to the same shape. Called in the
 * block's scope. */
typedef sy_value (*sy_dit_feed_forward)(const sy_dit *dit, int32_t block, sy_value u);

sy_value sy_dit_network(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs,
                        sy_dit_feed_forward feed_forward);

/* The same in parts, for networks that do something between blocks: begin (fills *dit, gives the tokens
 * f32[N, tokens, width]), the blocks one by one, end (the picture). A block takes as many tokens as dit->tokens says,
 * and gives more samples than it takes where perturbed ones part from the others. */
sy_value sy_dit_begin(sy_dit *dit, sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);
sy_value sy_dit_block(const sy_dit *dit, int32_t i, sy_value x, sy_dit_feed_forward feed_forward);
void sy_dit_tap_stream(const sy_dit *dit, int32_t i, sy_value x); /* the tap "blocks.<i>.x" */
sy_value sy_dit_end(const sy_dit *dit, sy_value x);

/* The plain feed-forward, and the feed-forward that is it in every block: mlp.fc2(gelu(mlp.fc1(u))). */
sy_value sy_dit_mlp(const sy_dit *dit, sy_value u);
sy_value sy_dit_dense(const sy_dit *dit, int32_t block, sy_value u);

/* x f32[N, channels, side, side] in patches times "<name>.weight" plus "<name>.bias": f32[N, tokens, width]. */
sy_value sy_dit_patches(sy_graph *g, const sy_network_config *config, sy_value x, const char *name);

/* The parts below are used by the tests one by one. */

/* cos(t f_i), then sin(t f_i), f_i = 10000^(-2i/count), i < count / 2: t f32[M] to f32[M, count]. */
sy_value sy_dit_time_features(sy_graph *g, sy_value t, int32_t count);
/* f32[1, grid * grid, width], the fixed sine table of positions. Its value is computed when weights are loaded. */
sy_value sy_dit_positions(sy_graph *g, int32_t grid, int32_t width);

#endif
