/* Producers of block routes, for sy_route_attention: query blocks -> key blocks. Tokens are cut into blocks of block_rows
 * queries and block_keys keys, the last ones shorter where the tokens do not divide. Rows of such a route are numbered
 * (b H + h) nQ + i; made of q and k with one head, all channels in it, it serves all heads alike. */
#ifndef SY_ZOO_BLOCK_ROUTES_H
#define SY_ZOO_BLOCK_ROUTES_H

#include "graph/zoo/zoo.h"

/* x[B,H,T,d] -> [B,H,nB,d]: the mean of each block of tokens. */
sy_value sy_block_means(sy_graph *g, sy_value x, int32_t block);
/* scale times the products of the mean queries and mean keys: [B H nQ, nK]. */
sy_value sy_block_scores(sy_graph *g, sy_value q, sy_value k, int32_t block_rows, int32_t block_keys, double scale);
/* Each query block goes to the `count` key blocks of the highest such scores (BiFormer's regions, with q and k of one
 * head); weight = score. *scores (may be NULL) gets all of them. */
sy_value sy_block_top_k_route(sy_graph *g, sy_value q, sy_value k, int32_t block_rows, int32_t block_keys, double scale,
                              int32_t count, sy_value *scores);
/* The route of the pairs where keep, i32[rows, targets], is not 0; weights f32 of the same shape, 0 (no value): all 1. */
sy_value sy_mask_route(sy_graph *g, sy_value keep, sy_value weights);

/* f32[1]: the share of all pairs that a route takes. */
sy_value sy_route_density(sy_graph *g, sy_value route);

/* Patterns that do not depend on the input: query block i takes key block j where … */
typedef enum sy_pattern_kind {
    SY_PATTERN_ALL,
    SY_PATTERN_BAND,     /* |i - j| <= width */
    SY_PATTERN_PERIODIC, /* |i - j| mod period <= width */
    SY_PATTERN_STRIPE,   /* j is one of `columns` */
    SY_PATTERN_BEFORE,   /* i - width <= j <= i */
    SY_PATTERN_GRID      /* blocks are cells of a grid: j lies `first` to `last` rows below i, and columns to its right */
} sy_pattern_kind;
typedef struct sy_block_pattern {
    sy_pattern_kind kind;
    int32_t width, period, first, last, grid_width;
    const int32_t *columns;
    int32_t n_columns;
} sy_block_pattern;
/* The route of a pattern for every one of `batch` items, the same for all heads; weights 1. */
sy_value sy_pattern_route(sy_graph *g, int32_t batch, int32_t rows, int32_t columns, const sy_block_pattern *pattern);

/* Images in regions: x[N,H,W,C], cut into regions of h by w, to tokens region by region, [N, H W, C]; and back. */
sy_value sy_to_regions(sy_graph *g, sy_value x, int32_t h, int32_t w);
sy_value sy_from_regions(sy_graph *g, sy_value x, int32_t height, int32_t width, int32_t h, int32_t w);

/* SpargeAttn (arXiv 2502.18137). */
typedef struct sy_sparge_params {
    sy_value q, k, v;               /* [B,H,T,d], [B,H,S,d], [B,H,S,e] */
    int32_t block_rows, block_keys; /* 128 and 64 in the paper */
    double similarity;              /* theta: blocks less similar to themselves are always taken */
    double mass;                    /* tau: key blocks are taken until their probabilities reach it; 0: `share` counts */
    double share;                   /* of the key blocks, taken by rank */
    double skip;                    /* lambda, in log2 units; 0: no second stage */
    bool causal, sink;              /* sink: key block 0 always */
    bool smooth_keys;               /* the mean key is taken off before blocks are predicted and quantised */
    bool quantise;                  /* q and k rounded to 8 bits a block */
} sy_sparge_params;
/* The first stage: which key blocks each query block takes; weights are the predicted probabilities. */
sy_value sy_sparge_route(sy_graph *g, const sy_sparge_params *params);
/* Both stages: [B,H,T,e]; *route (may be NULL) gets the route. */
sy_value sy_sparge_attention(sy_graph *g, const sy_sparge_params *params, sy_value *route);

/* What the setting "spargeattn" says, all but q, k and v; *on: it is there. False and an error: nonsense. */
bool sy_zoo_sparge_setting(const sy_network_config *config, sy_sparge_params *params, bool *on, sy_error *error);

/* Order of the cells of a grid along a Hilbert curve of the smallest power of two that holds it: order[i] is the
 * row-major number of the i-th cell. 1 to 3 dimensions of 1 to 2^20. False: no memory. */
bool sy_hilbert_order(const int32_t *dims, int n_dims, int32_t *order);
/* x[B,T,C] with its tokens in that order (or, `back`, put back from it). */
sy_value sy_hilbert_permute(sy_graph *g, sy_value x, const int32_t *dims, int n_dims, bool back);

#endif
