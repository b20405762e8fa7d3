/* See ribbon.h. */
#include "viewer/ribbon.h"
#include "viewer/facts.h"
#include "viewer/palette.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 48, TARGETS = 256 };

typedef struct column {
    const layer *l;
    uint32_t row, n;
    float share[TARGETS];   /* of the column: 1 in all */
    const uint32_t *counts; /* [n][n of the next]: patches from here to there; NULL: see flow */
    float total;            /* of counts */
    float y[TARGETS], in[TARGETS], out[TARGETS];
} column;

typedef struct chart {
    column columns[COLUMNS];
    uint32_t n;
    bool same; /* bands join an expert to itself alone */
    float x, y, step, height, bar;
} chart;

static chart drawn; /* too large for the stack; made anew every frame */

static uint32_t colour_of(uint32_t target, uint8_t alpha)
{
    palette_colour c = palette_expert(target);
    return GUI_RGBA(c.r, c.g, c.b, alpha);
}

static uint32_t patches(const sy_history *h, overlay_cells c)
{
    return c.x0 > c.x1 ? h->tokens_per_picture : (c.x1 - c.x0 + 1) * (c.y1 - c.y0 + 1);
}

/* Shares by weight. False: not known (yet). */
static bool weigh(app *a, const overlay_source *s, column *c, overlay_cells picked)
{
    uint32_t n;
    float sum = 0;
    const float *given = facts_given(a, s, c->l, facts_halves(s, c->l) > 1 && a->look.unconditional, picked, &n);
    c->n = n < TARGETS ? n : TARGETS;
    for (uint32_t t = 0; given && t < c->n; t++)
        sum += c->share[t] = fabsf(given[2 * t]);
    for (uint32_t t = 0; given && t < c->n; t++)
        c->share[t] = sum > 0 ? c->share[t] / sum : 0;
    return given && sum > 0;
}

/* Shares by patches: what goes out, or, of the last column, what comes in. */
static void count(chart *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        column *c = &k->columns[i], *next = i + 1 < k->n ? c + 1 : NULL, *before = i ? c - 1 : NULL;
        memset(c->share, 0, sizeof c->share);
        for (uint32_t t = 0; next && c->counts && t < c->n; t++)
            for (uint32_t u = 0; u < next->n; u++)
                c->share[t] += (float)c->counts[t * next->n + u] / c->total;
        for (uint32_t t = 0; before && before->counts && t < c->n; t++) {
            float in = 0;
            for (uint32_t u = 0; u < before->n; u++)
                in += (float)before->counts[u * c->n + t] / before->total;
            c->share[t] = fmaxf(c->share[t], in);
        }
    }
}

static float flow(const chart *k, uint32_t from, uint32_t t, uint32_t u)
{
    const column *c = &k->columns[from], *next = c + 1;
    if (k->same)
        return t == u ? fminf(c->share[t], next->share[u]) : 0;
    return c->counts ? (float)c->counts[t * next->n + u] / c->total : c->share[t] * next->share[u];
}

static void place(chart *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        column *c = &k->columns[i];
        uint32_t used = 0;
        for (uint32_t t = 0; t < c->n; t++)
            used += c->share[t] > 0;
        const float gap = used > 1 ? fminf(gui_px(4), k->height * 0.25f / (float)(used - 1)) : 0;
        const float tall = k->height - gap * (float)(used ? used - 1 : 0);
        float y = k->y;
        for (uint32_t t = 0; t < c->n; t++) {
            c->y[t] = c->in[t] = c->out[t] = y;
            y += c->share[t] > 0 ? c->share[t] * tall + gap : 0;
        }
        for (uint32_t t = 0; t < c->n; t++)
            c->share[t] *= c->share[t] > 0 ? 1 : 0;
    }
}

/* Height of a share in a column, without the gaps. */
static float tall_of(const chart *k, uint32_t i, float share)
{
    const column *c = &k->columns[i];
    uint32_t used = 0;
    for (uint32_t t = 0; t < c->n; t++)
        used += c->share[t] > 0;
    const float gap = used > 1 ? fminf(gui_px(4), k->height * 0.25f / (float)(used - 1)) : 0;
    return share * (k->height - gap * (float)(used ? used - 1 : 0));
}

static void bands(chart *k, uint32_t i)
{
    column *c = &k->columns[i], *next = c + 1;
    const float x0 = k->x + k->step * (float)i + k->bar, x1 = k->x + k->step * (float)(i + 1);
    for (uint32_t t = 0; t < c->n; t++)
        for (uint32_t u = 0; c->share[t] > 0 && u < next->n; u++) {
            float f = flow(k, i, t, u);
            if (f < 0.002f)
                continue;
            float from = tall_of(k, i, k->same ? c->share[t] : f), to = tall_of(k, i + 1, k->same ? next->share[u] : f);
            gui_draw_ribbon(x0, c->out[t], from, x1, next->in[u], to, colour_of(t, 105));
            c->out[t] += from;
            next->in[u] += to;
        }
}

static void nodes(const chart *k, uint32_t i, bool chosen)
{
    const column *c = &k->columns[i];
    const float x = k->x + k->step * (float)i;
    char text[16];
    for (uint32_t t = 0; t < c->n; t++) {
        const float high = tall_of(k, i, c->share[t]);
        if (c->share[t] <= 0)
            continue;
        gui_draw_filled(x, c->y[t], x + k->bar, c->y[t] + fmaxf(high, 1), colour_of(t, 255), 1);
        snprintf(text, sizeof text, "%u", t);
        gui_size size = gui_text_size(text);
        if (high < size.y || size.x > k->bar)
            continue;
        palette_colour p = palette_expert(t);
        bool bright = p.r * 3 + p.g * 6 + p.b > 1300;
        gui_draw_text(x + (k->bar - size.x) / 2, c->y[t] + (high - size.y) / 2, bright ? GUI_GROUND : GUI_TEXT_COLOUR, text);
    }
    if (chosen)
        gui_draw_rectangle(x - gui_px(3), k->y - gui_px(3), x + k->bar + gui_px(3), k->y + k->height + gui_px(3), GUI_ACCENT,
                           2, gui_px(1.5f));
}

/* The heaviest experts of a column, in words. */
static void tip(const chart *k, uint32_t i, const char *name)
{
    const column *c = &k->columns[i];
    bool said[TARGETS] = {false};
    if (!gui_tip_begin())
        return;
    gui_text("%s", name);
    for (int place = 0; place < 5; place++) {
        uint32_t best = TARGETS;
        for (uint32_t t = 0; t < c->n; t++)
            if (!said[t] && c->share[t] > 0 && (best == TARGETS || c->share[t] > c->share[best]))
                best = t;
        if (best == TARGETS)
            break;
        said[best] = true;
        gui_text_coloured(colour_of(best, 255), "expert %u: %.0f %%", best, 100 * (double)c->share[best]);
    }
    gui_tip_end();
}

/* Makes room, draws bands and nodes. Returns the column that was clicked, or -1. */
static int draw(chart *k, float height, uint32_t chosen, void (*name)(const app *, const column *, char *, size_t), const app *a)
{
    const float width = gui_available().x - gui_px(8), label = gui_line_height() + gui_px(6);
    const gui_size at = gui_place();
    int clicked = -1;
    char text[80];
    k->bar = fminf(gui_px(18), width / (float)(2 * k->n));
    k->step = k->n > 1 ? (width - k->bar) / (float)(k->n - 1) : 0;
    k->x = at.x + gui_px(4);
    k->y = at.y + gui_px(4);
    k->height = height - label - gui_px(8);
    place(k);
    for (uint32_t i = 0; i + 1 < k->n; i++)
        bands(k, i);
    gui_font_begin(GUI_SMALL);
    float free_from = k->x - 1;
    for (uint32_t i = 0; i < k->n; i++) {
        const float x = k->x + k->step * (float)i, half = fmaxf(k->step, k->bar) / 2;
        nodes(k, i, i == chosen);
        name(a, &k->columns[i], text, sizeof text);
        gui_place_set(fmaxf(x + k->bar / 2 - half, at.x), at.y);
        gui_name_begin_number((int)i);
        if (gui_area("column", 2 * half, height))
            clicked = (int)i;
        if (gui_hovered())
            gui_cursor_set(GUI_HAND);
        tip(k, i, text);
        gui_name_end();
        const float wide = gui_text_size(text).x;
        float left = fminf(fmaxf(x + (k->bar - wide) / 2, k->x), k->x + width - wide);
        if (left >= free_from) {
            gui_draw_text(left, k->y + k->height + gui_px(5), i == chosen ? GUI_ACCENT : GUI_FAINT, text);
            free_from = left + wide + gui_px(6);
        }
    }
    gui_font_end();
    gui_place_set(at.x, at.y + height);
    gui_dummy(1, 1);
    return clicked;
}

static void name_of_layer(const app *a, const column *c, char *text, size_t size)
{
    (void)a;
    snprintf(text, size, "%s", c->l->name);
}

static void name_of_step(const app *a, const column *c, char *text, size_t size)
{
    snprintf(text, size, "%u", a->run.current->evaluations[c->row].step);
}

static void caption(const char *text)
{
    gui_font_begin(GUI_SMALL);
    gui_text_wrapped(GUI_FAINT, "%s", text);
    gui_font_end();
}

bool ribbon_layers(app *a, const overlay_source *s, overlay_cells picked, float height)
{
    const layer *list[COLUMNS], *chosen = sight_layer(a, LOOK_EXPERT);
    const uint32_t n = facts_layers(a, s, LAYER_EXPERTS, list, COLUMNS);
    const bool one = patches(s->history, picked) == 1;
    uint32_t mark = UINT32_MAX;
    chart *k = &drawn;
    k->n = 0;
    k->same = false;
    if (!n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        column *c = &k->columns[k->n];
        *c = (column){.l = list[i], .row = s->evaluation};
        mark = list[i] == chosen ? k->n : mark;
        k->n += weigh(a, s, c, picked);
    }
    for (uint32_t i = 0; !one && i + 1 < k->n; i++) {
        column *c = &k->columns[i];
        bool half = facts_halves(s, c->l) > 1 && a->look.unconditional;
        c->counts = facts_affinity(a, s, c->l, c[1].l, half, picked);
        c->total = (float)patches(s->history, picked);
    }
    if (!one && k->n > 1)
        count(k);
    if (!k->n) {
        caption("no patch of these has an expert at this step");
        return true;
    }
    int clicked = draw(k, height, mark, name_of_layer, a);
    if (clicked >= 0)
        snprintf(a->look.layer, sizeof a->look.layer, "%s", k->columns[clicked].l->name);
    caption(one ? "Columns are layers, colours experts as in the picture, heights the parts of the weight. Click: look at the layer."
                : "Columns are layers, colours experts as in the picture; a band is as high as the patches that go from one "
                  "strongest expert to the other. Click: look at the layer.");
    return true;
}

void ribbon_steps(app *a, const layer *l, overlay_cells picked, float height)
{
    uint32_t rows[COLUMNS], now, mark = UINT32_MAX;
    const uint32_t n = facts_rows(a, rows, COLUMNS);
    overlay_source s;
    chart *k = &drawn;
    k->n = 0;
    app_row(a, &now);
    k->same = n && patches(a->run.current, picked) > 1;
    for (uint32_t i = 0; i < n; i++) {
        column *c = &k->columns[k->n];
        if (!sight_source_at(a, rows[i], &s))
            continue;
        *c = (column){.l = l, .row = rows[i]};
        if (!weigh(a, &s, c, picked))
            continue;
        mark = rows[i] <= now ? k->n : mark;
        k->n++;
    }
    if (!k->n) {
        caption("no step has this layer yet");
        return;
    }
    int clicked = draw(k, height, mark, name_of_step, a);
    if (clicked >= 0) {
        a->look.playing = false;
        a->look.step = (int)a->run.current->evaluations[k->columns[clicked].row].step;
    }
    caption(k->same ? "Columns are steps; heights are the experts' parts of the weight. Click: go to the step."
                    : "Columns are steps; heights are the parts of this patch's weight. Click: go to the step.");
}
