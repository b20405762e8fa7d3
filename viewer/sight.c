/* See sight.h. */
#include "viewer/app.h"
#include "viewer/sight.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

bool sight_open(sight *s, gpu *g)
{
    *s = (sight){0};
    return overlay_create(g, &s->overlay);
}

void sight_close(app *a)
{
    sight *s = &a->sight;
    import_destroy(&a->g, &s->second);
    overlay_destroy(&s->overlay); /* textures go with their pool */
    *s = (sight){0};
}

static void retire(app *a, gui_texture texture)
{
    sight *s = &a->sight;
    for (int i = 0; texture && i < SIGHT_OLD; i++)
        if (!s->old[i].texture) {
            s->old[i].texture = texture;
            s->old[i].frame = s->frame;
            return;
        }
}

/* The atlas as a texture; another one when it has grown. */
static gui_texture texture_of(app *a, bool maps, bool smooth)
{
    sight_atlas *t = &a->sight.atlases[maps];
    uint64_t generation;
    const gpu_image *image = overlay_image(a->sight.overlay, maps, &generation);
    if (!image)
        return NULL;
    if (generation != t->generation) {
        retire(a, t->nearest);
        retire(a, t->smooth);
        t->generation = generation;
        t->nearest = paint_texture(&a->p, image->view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, true);
        t->smooth = paint_texture(&a->p, image->view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, false);
    }
    return smooth ? t->smooth : t->nearest;
}

static void take_second(app *a)
{
    sight *s = &a->sight;
    if (s->second_of == a->run.second)
        return;
    import_destroy(&a->g, &s->second); /* no frame in flight reads it: the engine's pointers change with an epoch alone */
    s->second_of = a->run.second;
    s->second_number++;
    if (a->run.second && !import_result(&a->g, a->run.second, &s->second))
        app_complain(a, true, "The other device's run cannot be shown: %s.", a->g.error);
}

void sight_begin(app *a)
{
    sight *s = &a->sight;
    s->frame++;
    for (int i = 0; i < SIGHT_OLD; i++)
        if (s->old[i].texture && s->frame > s->old[i].frame + OVERLAY_SLOTS) {
            paint_texture_free(&a->p, s->old[i].texture);
            s->old[i].texture = NULL;
        }
    take_second(a);
    overlay_begin(s->overlay, a->slot);
}

bool sight_record(app *a, VkCommandBuffer commands)
{
    bool more = overlay_waiting(a->sight.overlay);
    overlay_record(a->sight.overlay, commands);
    more = more || overlay_expecting(a->sight.overlay);
    if (more && a->run.phase == ENGINE_RUNNING)
        a->animated = true; /* no faster than the run's own frames */
    else if (more && !a->redraw)
        a->redraw = 1;
    return more;
}

void sight_let_go(app *a)
{
    sight *s = &a->sight;
    memset(s->known, 0, sizeof s->known);
    if (s->second_of != a->run.second) {
        import_destroy(&a->g, &s->second);
        s->second_of = NULL;
    }
}

/* ---- evaluations ---- */

/* Numbers of runs: even ones the library's, odd ones what was brought from other devices. */
static overlay_source of_run(const sy_history *history, uint32_t run, uint32_t row)
{
    return (overlay_source){history, 2 * (uint64_t)run, row};
}

/* The last row of at most that step, among the first `done`. */
static uint32_t row_of_step(const sy_history *h, uint32_t done, uint32_t step)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < done && i < h->n_evaluations; i++)
        if (h->evaluations[i].step <= step)
            row = i;
    return row;
}

bool sight_source_at(app *a, uint32_t row, overlay_source *source)
{
    *source = of_run(a->run.current, a->run.current_run, row);
    return a->run.current && row < a->run.done && row < a->run.current->n_evaluations;
}

static bool compares_steps(const app *a)
{
    return a->look.compare_step >= 0;
}

bool sight_source(app *a, sight_side side, overlay_source *source)
{
    const engine_state *r = &a->run;
    uint32_t row;
    *source = (overlay_source){0};
    if (!app_row(a, &row) || !sight_source_at(a, row, source))
        return false;
    if (side == SIGHT_NOW)
        return true;
    uint32_t step = r->current->evaluations[row].step;
    if (compares_steps(a))
        return sight_source_at(a, row_of_step(r->current, r->done, (uint32_t)a->look.compare_step), source);
    if (a->look.against_device && a->sight.second) {
        const sy_history *h = import_history(a->sight.second);
        *source = (overlay_source){h, 2 * a->sight.second_number + 1, row_of_step(h, h->n_evaluations, step)};
        return true;
    }
    *source = (overlay_source){0};
    if (!r->before || !r->before_done)
        return false;
    *source = of_run(r->before, r->before_run, row_of_step(r->before, r->before_done, step));
    return true;
}

void sight_name(app *a, sight_side side, char *text, size_t size)
{
    overlay_source s;
    text[0] = 0;
    if (!sight_source(a, side, &s))
        return;
    if (s.run & 1)
        snprintf(text, size, "%s", a->run.second_device);
    else if (a->look.compare_step >= 0)
        snprintf(text, size, "step %u", s.history->evaluations[s.evaluation].step);
    else
        snprintf(text, size, "%s", side == SIGHT_OTHER ? "the run before" : "this run");
}

const layers *sight_layers(app *a, const overlay_source *source)
{
    sight *s = &a->sight;
    for (int i = 0; i < SIGHT_KNOWN; i++)
        if (s->known[i].history == source->history && s->known[i].run == source->run)
            return &s->known[i].found;
    uint32_t at = s->next_known++ % SIGHT_KNOWN;
    s->known[at].history = source->history;
    s->known[at].run = source->run;
    layers_find(source->history, &s->known[at].found);
    return &s->known[at].found;
}

/* ---- layers ---- */

bool sight_fits(look_overlay kind, const layer *l)
{
    const char *end = strrchr(l->name, '.');
    switch (kind) {
    case LOOK_EXPERT:
    case LOOK_MIX:
    case LOOK_WEIGHT:
    case LOOK_ENTROPY:
    case LOOK_COUNT:
        return l->kind == LAYER_EXPERTS;
    case LOOK_ATTENTION:
        return l->kind == LAYER_BLOCKS;
    case LOOK_KEPT:
        return l->kind == LAYER_KEPT || l->kind == LAYER_COUNTS || l->kind == LAYER_EXPERTS;
    case LOOK_ENERGY:
        return l->kind == LAYER_SERIES && end && !strcmp(end, ".skip_energy");
    case LOOK_MAP:
        return l->kind == LAYER_FIELD;
    default:
        return false;
    }
}

/* "blocks.3" names "blocks.3" and "blocks.3.attn". */
static bool named(const layer *l, const char *name)
{
    size_t n = strlen(name);
    return n && !strncmp(l->name, name, n) && (!l->name[n] || l->name[n] == '.');
}

/* For what runs, the route of running tokens says more than whether some expert has them. */
static int worth(look_overlay kind, const layer *l)
{
    return kind != LOOK_KEPT ? 0 : l->kind == LAYER_KEPT ? 2 : l->kind == LAYER_COUNTS ? 1 : 0;
}

const layer *sight_layer(app *a, look_overlay kind)
{
    overlay_source s;
    const layer *best = NULL;
    if (!sight_source(a, SIGHT_NOW, &s))
        return NULL;
    const layers *all = sight_layers(a, &s);
    for (uint32_t i = 0; i < all->n; i++) {
        const layer *l = &all->list[i];
        if (!sight_fits(kind, l))
            continue;
        if (named(l, a->look.layer))
            return l;
        best = !best || worth(kind, l) > worth(kind, best) ? l : best;
    }
    return best;
}

bool sight_has(app *a, look_overlay kind)
{
    overlay_source s;
    if (a->run.current && !a->run.request.taps && kind != LOOK_DIFFERENCE)
        return true; /* that will be seen: it is made again with its taps where one is chosen */
    return kind == LOOK_NONE || (kind == LOOK_DIFFERENCE ? sight_source(a, SIGHT_OTHER, &s) : sight_layer(a, kind) != NULL);
}

const layer *sight_layer_in(app *a, const overlay_source *source, const layer *l)
{
    return source->history && l ? layers_named(sight_layers(a, source), l->name) : NULL;
}

/* ---- requests ---- */

overlay_cells sight_picked(const app *a)
{
    const look *l = &a->look;
    if (l->patch_x < 0 || l->patch_y < 0 || l->patch_width < 1 || l->patch_height < 1)
        return overlay_no_cells;
    return (overlay_cells){(uint32_t)l->patch_x, (uint32_t)l->patch_y, (uint32_t)(l->patch_x + l->patch_width - 1),
                           (uint32_t)(l->patch_y + l->patch_height - 1)};
}

overlay_request sight_picture(const overlay_source *source, uint32_t picture)
{
    return (overlay_request){
        .kind = OVERLAY_PICTURE, .source = *source, .picture = picture, .picked = overlay_no_cells};
}

/* What the request's layer has of the kind, to be asked for; false: not known (yet). */
static bool own_range(app *a, look_overlay kind, const overlay_request *r, float *low, float *high)
{
    ask_question q = {.kind = kind == LOOK_MAP ? ASK_RANGE : ASK_LOAD,
                      .source = r->source,
                      .layer = r->layer,
                      .picture = r->picture,
                      .half = r->half,
                      .picked = overlay_no_cells};
    uint32_t words;
    const float *answer = overlay_ask(a->sight.overlay, &q, &words);
    if (!answer)
        return false;
    const ask_load *load = (const ask_load *)(const void *)answer;
    if (kind == LOOK_MAP) {
        const sy_history *h = r->source.history;
        *low = 0;
        *high = 4 * answer[2] / (float)(h->width * h->height * h->channels); /* the largest would leave the rest dark */
    } else if (kind == LOOK_ENTROPY) {
        *low = load->least_bits;
        *high = load->most_bits;
    } else {
        *low = fminf(load->least, 0);
        *high = load->most;
    }
    return *low <= *high;
}

/* Widens the kind's range, in steps of its own size, so that colours rarely change. */
static void set_range(app *a, look_overlay kind, overlay_request *r)
{
    sight_range *range = &a->sight.ranges[kind == LOOK_MAP ? LOOK_OVERLAY_COUNT + r->layer->tap % SIGHT_MAPS : kind];
    float low, high;
    uint32_t tap = kind == LOOK_MAP ? r->layer->tap : 0; /* guidance is of another size than velocity */
    if (range->run != r->source.run || !range->run || range->tap != tap)
        *range = (sight_range){r->source.run, tap, 1, 0};
    if (own_range(a, kind, r, &low, &high)) {
        float step = powf(10, floorf(log10f(fmaxf(high - low, 1e-4f)))) / 2;
        low = floorf(low / step) * step;
        high = ceilf(high / step) * step;
        bool first = range->low > range->high;
        range->low = first ? low : fminf(range->low, low);
        range->high = first ? high : fmaxf(range->high, high);
    }
    if (range->low < range->high) {
        r->low = range->low;
        r->high = range->high;
    }
}

overlay_request sight_overlay(app *a, look_overlay kind, const overlay_source *source, const layer *l, uint32_t picture)
{
    static const overlay_kind kinds[LOOK_OVERLAY_COUNT] = {
        [LOOK_EXPERT] = OVERLAY_EXPERT, [LOOK_MIX] = OVERLAY_MIX,   [LOOK_WEIGHT] = OVERLAY_WEIGHT,
        [LOOK_ENTROPY] = OVERLAY_ENTROPY, [LOOK_COUNT] = OVERLAY_COUNT, [LOOK_ATTENTION] = OVERLAY_ATTENTION,
        [LOOK_KEPT] = OVERLAY_KEPT, [LOOK_MAP] = OVERLAY_FIELD};
    overlay_request r = {.kind = kinds[kind],
                         .source = *source,
                         .layer = l,
                         .picture = picture,
                         .half = a->look.unconditional,
                         .picked = kind == LOOK_ATTENTION ? sight_picked(a) : overlay_no_cells};
    if (a->look.expert >= 0 && l && l->kind == LAYER_EXPERTS && a->look.expert < l->targets && kind <= LOOK_WEIGHT) {
        r.kind = OVERLAY_ONE;
        r.target = (uint32_t)a->look.expert;
    }
    if (l && l->kind > LAYER_BLOCKS)
        r.half = 0;
    if (l && (kind == LOOK_WEIGHT || kind == LOOK_ENTROPY || kind == LOOK_MAP || r.kind == OVERLAY_ONE))
        set_range(a, r.kind == OVERLAY_ONE ? LOOK_WEIGHT : kind, &r);
    return r;
}

bool sight_against(app *a, overlay_request *r)
{
    if (!sight_source(a, SIGHT_OTHER, &r->against))
        return false;
    r->layer_against = sight_layer_in(a, &r->against, r->layer);
    return true;
}

bool sight_draw(app *a, const overlay_request *r, float x0, float y0, float x1, float y1, bool smooth, float opacity)
{
    overlay_tile t;
    if (!overlay_want(a->sight.overlay, r, &t))
        return false;
    bool picture = r->kind == OVERLAY_PICTURE || r->kind == OVERLAY_FIELD;
    gui_texture texture = texture_of(a, !picture, smooth);
    if (texture)
        gui_draw_image(texture, x0, y0, x1, y1, t.u0, t.v0, t.u1, t.v1, GUI_RGBA(255, 255, 255, (uint8_t)(255 * opacity)));
    return texture != NULL;
}
