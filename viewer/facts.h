/* Numbers of the run that is looked at, for panels of text and charts: asked of the device (ask.h), kept there, organised
 * here. All return NULL or false while the answer is on its way; nobody waits. Drawing thread. */
#ifndef SY_VIEWER_FACTS_H
#define SY_VIEWER_FACTS_H

#include "viewer/app.h"

/* A target of a route: an expert or a block. */
typedef struct facts_share {
    uint32_t target;
    float weight; /* of a token: the gate's; of several: the sum; of blocks: the mass, or a score */
    float times;  /* tokens, or pairs of head and block, that have it */
} facts_share;

/* Picture that is looked at, of the history. */
uint32_t facts_picture(const app *a, const sy_history *h);
/* Samples that the layer's route has for each picture in this evaluation: 2 with guidance; 0: it has not got the tap. */
uint32_t facts_halves(const overlay_source *s, const layer *l);
/* The experts, or blocks, of the picked tokens (all, if none is picked): (weight, times)[*targets]. */
const float *facts_given(app *a, const overlay_source *s, const layer *l, uint32_t half, overlay_cells picked,
                         uint32_t *targets);
const float *facts_scores(app *a, const overlay_source *s, const layer *l, uint32_t half, overlay_cells picked,
                          uint32_t *targets);
const ask_load *facts_load(app *a, const overlay_source *s, const layer *l, uint32_t half, uint32_t *targets);
/* Tokens by their first expert in l and in `next`: [targets of l][targets of next]. */
const uint32_t *facts_affinity(app *a, const overlay_source *s, const layer *l, const layer *next, uint32_t half,
                               overlay_cells picked);
/* The picture's number of a series. */
bool facts_value(app *a, const overlay_source *s, const layer *l, uint32_t half, float *value);

/* Those with a weight or a time, the heaviest first, of equals the first; at most `most`. Pure. */
uint32_t facts_rank(const float *given, uint32_t targets, facts_share *out, uint32_t most);

/* Up to `most` layers of a kind, in order. */
uint32_t facts_layers(app *a, const overlay_source *s, layer_kind kind, const layer **out, uint32_t most);
/* Rows of the history that are there, evenly spread, first and last among them. */
uint32_t facts_rows(const app *a, uint32_t *rows, uint32_t most);

#endif
