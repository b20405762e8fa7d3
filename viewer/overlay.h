/* Taps drawn on the device: every picture and every map of the viewer is a tile of an atlas, which compute shaders fill
 * straight from the buffers that the network wrote. Nothing is read back to draw.
 *
 *   overlay_create             once for a device
 *   overlay_begin              a frame begins: the device is done with the frame that used `slot` before
 *   overlay_want …             while widgets are built: where a tile is, or that there is none yet
 *   overlay_record             records what was wanted and is not there yet, before the frame's drawing begins
 *
 * A tile is computed once and kept until room is needed, least lately wanted first: a frame in which nothing new is wanted
 * records nothing. At most OVERLAY_TILES tiles a frame are computed; who wants more gets them in the next ones, and
 * overlay_waiting says so. Memory is bounded by OVERLAY_BYTES for each of the two atlases, of pictures and of maps.
 *
 * Belongs to the drawing thread. What a request names must not be destroyed or overwritten before the frame it was made in
 * is through. Questions, whose answers are numbers, are in ask.h. */
#ifndef SY_VIEWER_OVERLAY_H
#define SY_VIEWER_OVERLAY_H

#include "viewer/gpu.h"
#include "viewer/layers.h"

enum { OVERLAY_SLOTS = 3, OVERLAY_TILES = 128, OVERLAY_BYTES = 64 << 20 };

typedef enum overlay_kind {
    OVERLAY_PICTURE,   /* the clean picture as estimated; of latent codes three channels, which is about their colours */
    OVERLAY_EXPERT,    /* experts: of each token the one with the largest weight (the first of equals) */
    OVERLAY_MIX,       /* experts: their colours, mixed by weight */
    OVERLAY_WEIGHT,    /* experts: the largest weight, low … high */
    OVERLAY_ENTROPY,   /* experts: of a token's scores, after a softmax where they are no distribution; without scores of
                          its weights; in bits, low … high */
    OVERLAY_COUNT,     /* experts: how many take a token, low … high */
    OVERLAY_ONE,       /* experts: the weight of expert `target`, low … high */
    OVERLAY_KEPT,      /* which tokens run, go on, or have an expert at all; of counts: how often left out, low … high */
    OVERLAY_ATTENTION, /* blocks: what the picked blocks attend to, over all heads, relative to the largest; without a pick:
                          how often each block of keys is read */
    OVERLAY_MATRIX,    /* blocks: rows of queries, columns of keys; the share of heads that keep the pair */
    OVERLAY_FIELD,     /* size of a map's values over its channels, low … high */
    OVERLAY_KINDS
} overlay_kind;

/* One evaluation of a run. `run` tells runs apart that use the same history one after another: a number of its own for
 * each. */
typedef struct overlay_source {
    const sy_history *history;
    uint64_t run;
    uint32_t evaluation; /* must be complete */
} overlay_source;

/* Cells of the grid of tokens, both ends included; x0 > x1: none. */
typedef struct overlay_cells {
    uint32_t x0, y0, x1, y1;
} overlay_cells;
static const overlay_cells overlay_no_cells = {1, 0, 0, 0};

typedef struct overlay_request {
    overlay_kind kind;
    overlay_source source, against; /* against.history NULL: no difference. Of sizes: source - against, high is the full
                                       colour of either side; of experts: where they differ, source's */
    const layer *layer, *layer_against; /* of source's history; NULL: the picture. Of the other history, NULL: none */
    uint32_t picture, half;             /* half: 0 conditional, 1 unconditional */
    overlay_cells picked;
    uint32_t target;
    float low, high; /* the ends of the scale; both 0: as overlay_scale says */
} overlay_request;

typedef enum overlay_scale_kind { SCALE_NONE, SCALE_TARGETS, SCALE_RAMP, SCALE_DIFFERENCE, SCALE_TWO } overlay_scale_kind;
/* How to read a tile's colours: what a legend shows. */
typedef struct overlay_scale {
    overlay_scale_kind kind;
    float low, high;  /* of ramps and differences */
    const char *unit; /* "weight", "bits", "experts", "times", … */
    const char *what; /* one sentence */
} overlay_scale;
overlay_scale overlay_scale_of(const overlay_request *request);
/* Why the request cannot be drawn ("this evaluation has not got …"); NULL if it can. */
const char *overlay_why_not(const overlay_request *request);

typedef struct overlay_tile {
    const gpu_image *image; /* of the atlas; layout general */
    float u0, v0, u1, v1;   /* the tile without its border, which repeats its edge so that it can be drawn smooth */
    uint32_t x, y, width, height; /* the same in texels */
} overlay_tile;

typedef struct overlay overlay;
/* False: gpu.error says why. The gpu must outlive it. */
bool overlay_create(gpu *g, overlay **created);
void overlay_destroy(overlay **o); /* nothing of it may be in flight */
void overlay_begin(overlay *o, uint32_t slot);
/* False: not there (overlay_why_not), or not yet (overlay_waiting). The tile is good for this frame. */
bool overlay_want(overlay *o, const overlay_request *request, overlay_tile *tile);
bool overlay_waiting(const overlay *o);   /* something wanted was put off to the next frame */
bool overlay_expecting(const overlay *o); /* answers are on their way */
/* Outside a render pass. What is drawn after it in the same submission sees the tiles. */
void overlay_record(overlay *o, VkCommandBuffer commands);
/* The atlases, to make textures of; either may be NULL before the first want. `generation` changes when they do: images
 * of before are destroyed OVERLAY_SLOTS frames later. */
const gpu_image *overlay_image(const overlay *o, bool maps, uint64_t *generation);

typedef struct overlay_counters {
    uint64_t tiles, questions; /* computed so far */
    uint64_t bytes;            /* of the atlases and buffers */
} overlay_counters;
overlay_counters overlay_count(const overlay *o);

#endif
