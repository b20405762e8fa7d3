/* Producers of block routes, for sy_route_attention: query blocks -> key blocks. Tokens are cut into blocks of block_rows
 * queries and block_keys keys, the last ones shorter where the tokens do not divide. Rows of such a route are numbered
 * (b H + h) nQ + i; made of q and k with one head, all channels in it, it serves all heads alike. */
#ifndef SY_ZOO_BLOCK_ROUTES_H
#define SY_ZOO_BLOCK_ROUTES_H

#include "graph/ir/build.h"

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

/* Images in regions: x[N,H,W,C], cut into regions of h by w, to tokens region by region, [N, H W, C]; and back. */
sy_value sy_to_regions(sy_graph *g, sy_value x, int32_t h, int32_t w);
sy_value sy_from_regions(sy_graph *g, sy_value x, int32_t height, int32_t width, int32_t h, int32_t w);

#endif
