/* What of a run can be drawn, told from the names and types of its taps alone. The one place that knows what a tap
 * means; no network is named here.
 *
 *   a route from tokens (its rows are once, twice or three times the tokens of all pictures)
 *       to several targets               EXPERTS   which expert (or choosing head) takes which token
 *       to one target                    KEPT      which tokens go on
 *   any other route, and one that lies in a scope "attn" or has a sibling "affinity" or "density"
 *                                        BLOCKS    blocks of queries -> blocks of keys; rows are numbered
 *                                                  (sample heads + head) blocks + block
 *   f32 of a value a token of every picture,
 *       named "skipped"                  COUNTS    how often each token was left out so far
 *   f32[pictures, channels, height, width] named "map"
 *                                        FIELD     a size a pixel
 *   f32[samples], samples being a multiple of the pictures
 *                                        SERIES    a number a sample and evaluation: energies of skips, norms
 *
 * Siblings are taps of the same scope ("blocks.3.route" has "blocks.3.scores"). "scores" are what a route over tokens was
 * chosen from, a row a token: their entropy is the gate's. "affinity": blocks are square regions of the grid of tokens, and
 * weights are scores of any size; else blocks are tokens that follow one another, row after row, and weights are shares of
 * the attention (1 where the pattern is fixed). A route named "active.route" lists the tokens that run in an evaluation: rows
 * of other routes over tokens are then counted among those. Pure functions; no Vulkan is called. */
#ifndef SY_VIEWER_LAYERS_H
#define SY_VIEWER_LAYERS_H

#include "src/switchyard_vulkan.h"

typedef enum layer_kind {
    LAYER_EXPERTS,
    LAYER_KEPT,
    LAYER_BLOCKS,
    LAYER_COUNTS,
    LAYER_FIELD,
    LAYER_SERIES,
    LAYER_KINDS
} layer_kind;

enum { LAYER_NONE = 0xFFFFFFFFu };

typedef struct layer {
    layer_kind kind;
    uint32_t tap;
    uint32_t scores;  /* tap, or LAYER_NONE */
    uint32_t active;  /* tap of the tokens that run, or LAYER_NONE */
    char name[64];    /* of the tap, without ".route" where it is a route: "blocks.3" */
    int32_t targets;  /* of routes, the most of all forms */
    bool regions;     /* of blocks: squares of tokens, not runs */
    bool shares;      /* of blocks: weights are shares of attention */
} layer;

enum { LAYERS_MOST = 256 };
typedef struct layers {
    layer list[LAYERS_MOST];
    uint32_t n;
} layers;

/* The taps that all this is told from, as sy_pipeline_params.taps: a network has those of them that it has;
 * the first is the picture. */
enum { LAYERS_TAPS = 11 };
extern const char *const layers_taps[LAYERS_TAPS];

/* In the order of the taps, those beyond LAYERS_MOST left out. */
void layers_find(const sy_history *history, layers *found);
/* The tap f32[pictures, channels, height, width] named "preview", the estimate of the clean picture; or LAYER_NONE. */
uint32_t layers_preview(const sy_history *history);
/* The layer of that name; NULL if there is none. */
const layer *layers_named(const layers *all, const char *name);

/* How the rows of a layer's route lie in an evaluation. False: the evaluation has not got the tap. */
typedef struct layer_rows {
    const sy_history_slice *slice, *active; /* active NULL: rows are tokens */
    const sy_history_form *form;
    uint32_t halves;                /* 1, 2: conditional and unconditional, or 3 */
    uint32_t heads, queries, keys;  /* of blocks: a sample's; heads 1 where they share a route */
    uint32_t query_side, key_side;  /* of blocks: tokens of a run, or of a side of a region; 0: they do not lie on the
                                       grid of tokens */
} layer_rows;
bool layer_rows_at(const sy_history *history, const layer *l, uint32_t evaluation, layer_rows *rows);

/* The number of the block that a cell of the grid of tokens lies in. `side` as in layer_rows, not 0. */
static inline uint32_t layer_block_at(const sy_history *h, bool regions, uint32_t side, uint32_t x, uint32_t y)
{
    uint32_t across = h->grid_width / side;
    return regions ? y / side * (across ? across : 1) + x / side : (y * h->grid_width + x) / side;
}

/* Where a tap of an evaluation lies. False: it has not got it. */
bool layer_slice_at(const sy_history *history, uint32_t tap, uint32_t evaluation, const sy_history_slice **slice,
                    const sy_history_form **form);

#endif
