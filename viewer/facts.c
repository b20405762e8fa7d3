/* See facts.h. */
#include "viewer/facts.h"

#include <string.h>

uint32_t facts_picture(const app *a, const sy_history *h)
{
    return a->look.picture >= 0 && (uint32_t)a->look.picture < h->count ? (uint32_t)a->look.picture : 0;
}

uint32_t facts_halves(const overlay_source *s, const layer *l)
{
    const sy_history_slice *slice;
    const sy_history_form *form;
    layer_rows rows;
    if (l->kind > LAYER_BLOCKS) {
        bool has = layer_slice_at(s->history, l->tap, s->evaluation, &slice, &form);
        uint32_t samples = has && form->array.rank ? (uint32_t)form->array.dim[0] : 0;
        return s->history->count && samples > s->history->count ? samples / s->history->count : has;
    }
    return layer_rows_at(s->history, l, s->evaluation, &rows) ? rows.halves : 0;
}

static const void *ask(app *a, ask_kind kind, const overlay_source *s, const layer *l, const layer *other, uint32_t half,
                       overlay_cells picked, uint32_t *words)
{
    const ask_question q = {.kind = kind,
                            .source = *s,
                            .layer = l,
                            .other = other,
                            .picture = facts_picture(a, s->history),
                            .half = half,
                            .picked = picked};
    return overlay_ask(a->sight.overlay, &q, words);
}

const float *facts_given(app *a, const overlay_source *s, const layer *l, uint32_t half, overlay_cells picked,
                         uint32_t *targets)
{
    const float *given = ask(a, ASK_REGION, s, l, NULL, half, picked, targets);
    *targets /= 2;
    return given;
}

const float *facts_scores(app *a, const overlay_source *s, const layer *l, uint32_t half, overlay_cells picked,
                          uint32_t *targets)
{
    *targets = 0;
    return l->scores == LAYER_NONE ? NULL : ask(a, ASK_SCORES, s, l, NULL, half, picked, targets);
}

const ask_load *facts_load(app *a, const overlay_source *s, const layer *l, uint32_t half, uint32_t *targets)
{
    const ask_load *load = ask(a, ASK_LOAD, s, l, NULL, half, overlay_no_cells, targets);
    *targets = load ? *targets - (uint32_t)(sizeof *load / 4) : 0;
    return load;
}

const uint32_t *facts_affinity(app *a, const overlay_source *s, const layer *l, const layer *next, uint32_t half,
                               overlay_cells picked)
{
    uint32_t words;
    return ask(a, ASK_AFFINITY, s, l, next, half, picked, &words);
}

bool facts_value(app *a, const overlay_source *s, const layer *l, uint32_t half, float *value)
{
    uint32_t words, at = facts_picture(a, s->history) + half * s->history->count;
    const float *values = ask(a, ASK_VALUES, s, l, NULL, 0, overlay_no_cells, &words);
    if (values && at < words)
        *value = values[at];
    return values && at < words;
}

uint32_t facts_rank(const float *given, uint32_t targets, facts_share *out, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < targets; t++) {
        const facts_share share = {t, given[2 * t], given[2 * t + 1]};
        if (share.times <= 0)
            continue;
        uint32_t at = n;
        while (at > 0 && out[at - 1].weight < share.weight)
            at--;
        if (at >= most)
            continue;
        n += n < most;
        memmove(&out[at + 1], &out[at], (n - 1 - at) * sizeof *out);
        out[at] = share;
    }
    return n;
}

uint32_t facts_layers(app *a, const overlay_source *s, layer_kind kind, const layer **out, uint32_t most)
{
    const layers *all = sight_layers(a, s);
    uint32_t n = 0;
    for (uint32_t i = 0; i < all->n && n < most; i++)
        if (all->list[i].kind == kind)
            out[n++] = &all->list[i];
    return n;
}

uint32_t facts_rows(const app *a, uint32_t *rows, uint32_t most)
{
    const uint32_t done = a->run.current ? a->run.done : 0, n = done < most ? done : most;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = n > 1 ? (uint32_t)((uint64_t)i * (done - 1) / (n - 1)) : done - 1;
    return n;
}
