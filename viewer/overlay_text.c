/* What requests mean: which can be drawn, and how colours are read. */
#include "viewer/overlay.h"

#include <math.h>
#include <stddef.h>

static const char *why_not_rows(const overlay_request *r, const overlay_source *source, const layer *l)
{
    layer_rows rows;
    if (!layer_rows_at(source->history, l, source->evaluation, &rows)) {
        if (r->kind == OVERLAY_KEPT && l->kind == LAYER_KEPT)
            return NULL;
        return source->history->evaluations[source->evaluation].ran
                   ? "This evaluation did not compute the layer: it was cached or left out."
                   : "This evaluation was left out: the last output was used again.";
    }
    if (r->half >= rows.halves)
        return "This evaluation has no unconditional half: it ran without guidance.";
    if (r->kind == OVERLAY_ATTENTION && (!rows.key_side || !rows.query_side))
        return "Its blocks do not lie on the picture's grid: look at the matrix of blocks.";
    return NULL;
}

static const char *why_not_source(const overlay_request *r, const overlay_source *source, const layer *l)
{
    const sy_history *h = source->history;
    const sy_history_slice *slice;
    const sy_history_form *form;
    if (source->evaluation >= h->n_evaluations)
        return "There is no such step.";
    if (r->picture >= h->count)
        return "There is no such picture.";
    if (!l)
        return layer_slice_at(h, layers_preview(h), source->evaluation, &slice, &form)
                   ? NULL
                   : "The estimate of the picture was not kept (tap \"preview\").";
    if (l->kind <= LAYER_BLOCKS)
        return why_not_rows(r, source, l);
    return layer_slice_at(h, l->tap, source->evaluation, &slice, &form) ? NULL : "This evaluation has not got the tap.";
}

static bool fits(overlay_kind kind, layer_kind l)
{
    switch (kind) {
    case OVERLAY_EXPERT:
    case OVERLAY_MIX:
    case OVERLAY_WEIGHT:
    case OVERLAY_ENTROPY:
    case OVERLAY_COUNT:
    case OVERLAY_ONE:
        return l == LAYER_EXPERTS;
    case OVERLAY_KEPT:
        return l == LAYER_EXPERTS || l == LAYER_KEPT || l == LAYER_COUNTS;
    case OVERLAY_ATTENTION:
    case OVERLAY_MATRIX:
        return l == LAYER_BLOCKS;
    case OVERLAY_FIELD:
        return l == LAYER_FIELD;
    default:
        return false;
    }
}

const char *overlay_why_not(const overlay_request *r)
{
    if (!r->source.history)
        return "Nothing has been generated yet.";
    if (r->kind == OVERLAY_PICTURE ? r->layer != NULL : !r->layer || !fits(r->kind, r->layer->kind))
        return "This layer has nothing of the kind to show.";
    const char *why = why_not_source(r, &r->source, r->layer);
    const sy_history *a = r->source.history, *b = r->against.history;
    if (why || !b)
        return why;
    if (r->kind == OVERLAY_ATTENTION || r->kind == OVERLAY_MATRIX)
        return "Attention of two runs is compared side by side.";
    if (a->width != b->width || a->height != b->height || a->channels != b->channels ||
        a->grid_width != b->grid_width || a->tokens_per_picture != b->tokens_per_picture)
        return "The runs have pictures of different sizes.";
    if (r->layer && (!r->layer_against || r->layer_against->kind != r->layer->kind))
        return "The other run has no such layer.";
    return why_not_source(r, &r->against, r->layer_against);
}

static float most_bits(const overlay_request *r)
{
    const sy_history *h = r->source.history;
    int32_t n = r->layer->targets;
    if (r->layer->scores != LAYER_NONE) {
        const sy_array *a = &h->taps[r->layer->scores].forms[0].array;
        n = a->rank ? a->dim[a->rank - 1] : n;
    }
    return n > 1 ? log2f((float)n) : 1;
}

static float most_experts(const overlay_request *r)
{
    const sy_history_route *route = &r->source.history->taps[r->layer->tap].forms[0].route;
    float even = route->n_rows > 0 ? ceilf((float)route->n_slots / (float)route->n_rows) : 1;
    return even < (float)route->n_targets ? even : (float)route->n_targets;
}

static overlay_scale scale_of(const overlay_request *r)
{
    bool scores = r->layer && r->layer->scores != LAYER_NONE;
    switch (r->kind) {
    case OVERLAY_PICTURE:
        return r->against.history ? (overlay_scale){SCALE_RAMP, 0, 0.5f, "of -1 to 1",
                                                    "How far apart the two pictures are, mean over colours."}
                                  : (overlay_scale){SCALE_NONE, 0, 0, "",
                                                    r->source.history->channels == 1 || r->source.history->channels == 3
                                                        ? "The clean picture as the network estimates it at this step."
                                                        : "Three channels of the latent code, not its decoded picture."};
    case OVERLAY_EXPERT:
        return (overlay_scale){SCALE_TARGETS, 0, 0, "tokens", "Each token has the colour of its strongest expert."};
    case OVERLAY_MIX:
        return (overlay_scale){SCALE_TARGETS, 0, 0, "tokens", "The colours of a token's experts, mixed by weight."};
    case OVERLAY_WEIGHT:
        return (overlay_scale){SCALE_RAMP, 0, 1, "weight", "The gate's weight of the token's strongest expert."};
    case OVERLAY_ENTROPY:
        return (overlay_scale){SCALE_RAMP, 0, most_bits(r), "bits",
                               scores ? "Entropy of the token's gate: bright where the router is undecided."
                                      : "Entropy of the weights of the token's experts."};
    case OVERLAY_COUNT:
        return (overlay_scale){SCALE_RAMP, 0, most_experts(r), "experts", "How many experts take the token."};
    case OVERLAY_ONE:
        return (overlay_scale){SCALE_RAMP, 0, 1, "weight", "The weight of one expert; black where it is not used."};
    case OVERLAY_KEPT:
        if (r->layer->kind == LAYER_COUNTS)
            return (overlay_scale){SCALE_RAMP, 0, (float)r->source.history->n_evaluations, "times",
                                   "How often the token was left out so far."};
        return (overlay_scale){SCALE_TWO, 0, 1, "",
                               r->layer->kind == LAYER_EXPERTS ? "Blue: some expert has the token; dark: none has."
                                                               : "Blue: the token runs; dark: it is left out."};
    case OVERLAY_ATTENTION:
        return (overlay_scale){SCALE_RAMP, 0, 1, "of the largest",
                               r->picked.x0 > r->picked.x1
                                   ? "How often each block is read. Click a patch to see what it reads."
                               : r->layer->shares ? "The share of attention that the picked blocks give, over all heads."
                                                  : "Scores of the blocks that the picked ones read; black: not read."};
    case OVERLAY_MATRIX:
        return (overlay_scale){SCALE_RAMP, 0, 1, "of heads", "Rows: blocks that read. Columns: blocks that are read."};
    default:
        return (overlay_scale){SCALE_RAMP, 0, 1, "size", "Mean size of the values over the colours."};
    }
}

overlay_scale overlay_scale_of(const overlay_request *r)
{
    overlay_scale s = scale_of(r);
    if (s.kind == SCALE_RAMP && (r->low != 0 || r->high != 0)) {
        s.low = r->low;
        s.high = r->high;
    }
    if (r->against.history && s.kind == SCALE_RAMP && r->kind != OVERLAY_PICTURE) {
        s.kind = SCALE_DIFFERENCE;
        s.high -= s.low;
        s.low = -s.high;
        s.what = "This run less the other: orange is more, blue is less.";
    }
    if (r->against.history && (s.kind == SCALE_TARGETS || s.kind == SCALE_TWO))
        s.what = "Coloured where the runs differ, as in this run; dark where they agree.";
    return s;
}
