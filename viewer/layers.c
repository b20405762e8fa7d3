/* See layers.h. */
#include "viewer/layers.h"

#include <stdio.h>
#include <string.h>

const char *const layers_taps[LAYERS_TAPS] = {
    "?preview",  "?*.route",         "?*.scores",      "?*.affinity", "?*.density",   "?*.map",
    "?velocity", "?sampler.skipped", "?*.skip_energy", "?guidance",   "?*.executed",
};

static bool ends(const char *name, const char *last)
{
    size_t n = strlen(name), m = strlen(last);
    return n >= m && !strcmp(name + n - m, last) && (n == m || name[n - m - 1] == '.');
}

/* The tap `last` in the same scope as `name`. */
static uint32_t sibling(const sy_history *h, const char *name, const char *last)
{
    const char *dot = strrchr(name, '.');
    size_t scope = dot ? (size_t)(dot - name) + 1 : 0;
    for (uint32_t i = 0; i < h->n_taps; i++)
        if (!strncmp(h->taps[i].name, name, scope) && !strcmp(h->taps[i].name + scope, last))
            return i;
    return LAYER_NONE;
}

static uint64_t elements(const sy_array *a)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < a->rank; i++)
        n *= a->dim[i] > 0 ? (uint64_t)a->dim[i] : 0;
    return n;
}

static uint64_t pixels_of(const sy_history *h)
{
    return (uint64_t)h->count * h->channels * h->width * h->height;
}

/* f32 of every form, each with a multiple of `unit` numbers. */
static bool all_floats(const sy_history_tap *t, uint64_t unit)
{
    bool ok = !t->is_route && t->n_forms && unit;
    for (uint32_t i = 0; ok && i < t->n_forms; i++) {
        uint64_t n = elements(&t->forms[i].array);
        ok = t->forms[i].array.type == SY_ARRAY_F32 && n && n % unit == 0;
    }
    return ok;
}

static int32_t most_rows(const sy_history_tap *t)
{
    int32_t most = 0;
    for (uint32_t i = 0; i < t->n_forms; i++)
        most = t->forms[i].route.n_rows > most ? t->forms[i].route.n_rows : most;
    return most;
}

static bool attends(const sy_history *h, const sy_history_tap *t)
{
    return strstr(t->name, ".attn.") || !strncmp(t->name, "attn.", 5) ||
           sibling(h, t->name, "affinity") != LAYER_NONE || sibling(h, t->name, "density") != LAYER_NONE;
}

static void set_route(const sy_history *h, const sy_history_tap *t, layer *l)
{
    uint64_t tokens = (uint64_t)h->count * h->tokens_per_picture, rows = (uint64_t)most_rows(t);
    for (uint32_t i = 0; i < t->n_forms; i++)
        l->targets = t->forms[i].route.n_targets > l->targets ? t->forms[i].route.n_targets : l->targets;
    bool over_tokens = tokens && rows >= tokens && rows % tokens == 0 && rows / tokens <= 3 && !attends(h, t);
    l->kind = !over_tokens ? LAYER_BLOCKS : l->targets > 1 ? LAYER_EXPERTS : LAYER_KEPT;
    if (l->kind == LAYER_BLOCKS) {
        l->regions = sibling(h, t->name, "affinity") != LAYER_NONE;
        l->shares = !l->regions;
    }
    uint32_t scores = sibling(h, t->name, "scores");
    if (l->kind == LAYER_EXPERTS && scores != LAYER_NONE && all_floats(&h->taps[scores], 1))
        l->scores = scores;
    for (uint32_t i = 0; over_tokens && i < h->n_taps; i++)
        if (h->taps[i].is_route && ends(h->taps[i].name, "active.route") && &h->taps[i] != t)
            l->active = i;
    if (ends(l->name, "route") && strlen(l->name) > 6)
        l->name[strlen(l->name) - 6] = 0;
}

static bool set_numbers(const sy_history *h, const sy_history_tap *t, layer *l)
{
    uint64_t pixels = pixels_of(h);
    const sy_array *a = t->n_forms ? &t->forms[0].array : NULL;
    if (ends(t->name, "skipped") && all_floats(t, (uint64_t)h->count * h->tokens_per_picture))
        l->kind = LAYER_COUNTS;
    else if (ends(t->name, "map") && all_floats(t, pixels) && elements(a) == pixels)
        l->kind = LAYER_FIELD;
    else if (all_floats(t, h->count) && a->rank == 1 && elements(a) <= 4 * (uint64_t)h->count)
        l->kind = LAYER_SERIES;
    else
        return false;
    return true;
}

uint32_t layers_preview(const sy_history *h)
{
    for (uint32_t i = 0; i < h->n_taps; i++)
        if (!strcmp(h->taps[i].name, "preview"))
            return all_floats(&h->taps[i], pixels_of(h)) ? i : LAYER_NONE;
    return LAYER_NONE;
}

void layers_find(const sy_history *h, layers *found)
{
    uint32_t preview = layers_preview(h);
    found->n = 0;
    for (uint32_t i = 0; i < h->n_taps; i++) {
        const sy_history_tap *t = &h->taps[i];
        layer l = {.tap = i, .scores = LAYER_NONE, .active = LAYER_NONE};
        snprintf(l.name, sizeof l.name, "%s", t->name);
        if (t->is_route)
            set_route(h, t, &l);
        else if (i == preview || !set_numbers(h, t, &l))
            continue;
        if (found->n < LAYERS_MOST)
            found->list[found->n++] = l;
    }
}

const layer *layers_named(const layers *all, const char *name)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (!strcmp(all->list[i].name, name))
            return &all->list[i];
    return NULL;
}

bool layer_slice_at(const sy_history *h, uint32_t tap, uint32_t evaluation, const sy_history_slice **slice,
                    const sy_history_form **form)
{
    if (tap >= h->n_taps || evaluation >= h->n_evaluations)
        return false;
    const sy_history_slice *s = &h->taps[tap].slices[evaluation];
    if (!s->buffer || s->form >= h->taps[tap].n_forms)
        return false;
    *slice = s;
    *form = &h->taps[tap].forms[s->form];
    return true;
}

static uint32_t side_of_region(const sy_history *h, uint32_t blocks)
{
    uint32_t area = blocks && h->tokens_per_picture % blocks == 0 ? h->tokens_per_picture / blocks : 0, side = 0;
    while (side * side < area)
        side++;
    bool fits = side && side * side == area && h->grid_width % side == 0 && h->grid_height % side == 0;
    return fits ? side : 0;
}

static uint32_t side_of(const sy_history *h, const layer *l, uint32_t blocks)
{
    if (!h->tokens_per_picture || !blocks || blocks > h->tokens_per_picture)
        return 0;
    return l->regions ? side_of_region(h, blocks) : (h->tokens_per_picture + blocks - 1) / blocks;
}

bool layer_rows_at(const sy_history *h, const layer *l, uint32_t evaluation, layer_rows *rows)
{
    const sy_history_form *unused;
    *rows = (layer_rows){.heads = 1};
    if (!h->count || !layer_slice_at(h, l->tap, evaluation, &rows->slice, &rows->form))
        return false;
    uint32_t tokens = h->count * h->tokens_per_picture, n = (uint32_t)rows->form->route.n_rows;
    rows->halves = h->evaluations[evaluation].guided ? 2 : 1;
    if (l->kind == LAYER_EXPERTS || l->kind == LAYER_KEPT) {
        bool some = l->active != LAYER_NONE && layer_slice_at(h, l->active, evaluation, &rows->active, &unused);
        if (!some) {
            rows->active = NULL;
            rows->halves = n / tokens;
        }
    } else if (l->kind == LAYER_BLOCKS) {
        uint32_t samples = h->count * rows->halves;
        if (n % samples) /* one sample a picture: cached halves, fixed patterns */
            samples = h->count, rows->halves = 1;
        rows->keys = (uint32_t)rows->form->route.n_targets;
        rows->queries = n / samples;
        if (rows->keys && rows->queries % rows->keys == 0) {
            rows->heads = rows->queries / rows->keys;
            rows->queries = rows->keys;
        }
        rows->query_side = side_of(h, l, rows->queries);
        rows->key_side = side_of(h, l, rows->keys);
    }
    return true;
}
