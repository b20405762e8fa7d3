/* What the blocks of Stable Diffusion's U-Net share: sd_unet.c has the ways down and up, sd_transformer.c what attends.
 */
#ifndef SY_ZOO_SD_BLOCKS_H
#define SY_ZOO_SD_BLOCKS_H

#include "graph/zoo/cross_attention.h"
#include "graph/zoo/file_layers.h"

enum { SY_SD_LEVELS = 8, SY_SD_LAYERS = 16, SY_SD_SKIPS = 2 * SY_SD_LEVELS * SY_SD_LAYERS };

typedef struct sy_sd_unet {
    sy_graph *g;
    const sy_network_config *c;
    sy_layers layers;
    int32_t heads[SY_SD_LEVELS];
    int32_t block_layers; /* of a block of the way down; one more on the way up */
    sy_value time;        /* silu of the time embedding, [times, width] */
    sy_value context, negative;
    sy_cross_settings cross;
    int32_t region, pool; /* GRI attention; 0: attention between all pixels */
    /* APTP: gates of the architecture code, taken one after another; NULL: nothing is pruned */
    double *gates;
    int32_t n_gates, next_gate;
    sy_value skips[SY_SD_SKIPS];
    int32_t n_skips;
} sy_sd_unet;

/* What the next `count` gates of the code keep; NULL where there is no code. */
const sy_units *sy_sd_units(sy_sd_unet *u, int32_t count, sy_units *room);
/* x[N,H,W,C] with the transformer in scope added to it. */
sy_value sy_sd_transformer(sy_sd_unet *u, sy_value x, int32_t heads);

#endif
