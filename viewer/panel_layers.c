/* Small multiples: a row a layer, a column a step, the picture on top; a click goes there. */
#include "viewer/legend.h"
#include "viewer/panels.h"
#include "viewer/palette.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 64 };

/* Rows of the history, evenly spread from the first to the last that is there, and the one looked at. */
static uint32_t choose_rows(app *a, uint32_t most, uint32_t rows[MOST_STEPS])
{
    uint32_t done = a->run.done, n = done < most ? done : most, row;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = n > 1 ? (uint32_t)((uint64_t)i * (done - 1) / (n - 1)) : done - 1;
    if (!n || !app_row(a, &row))
        return n;
    uint32_t near = 0;
    for (uint32_t i = 0; i < n; i++)
        if (abs((int)rows[i] - (int)row) < abs((int)rows[near] - (int)row))
            near = i;
    rows[near] = row;
    return n;
}

static void go_to(app *a, uint32_t row, const layer *l)
{
    a->look.playing = false;
    a->look.step = row + 1 >= a->run.done ? LOOK_LATEST : (int)a->run.current->evaluations[row].step;
    if (l)
        snprintf(a->look.layer, sizeof a->look.layer, "%s", l->name);
}

static void cell(app *a, const overlay_request *r, float x, float y, float side, bool chosen, bool smooth)
{
    const char *why = overlay_why_not(r);
    gui_place_set(x, y);
    gui_name_begin_number((int)r->source.evaluation);
    if (gui_area("cell", side, side))
        go_to(a, r->source.evaluation, r->layer);
    bool hovered = gui_hovered();
    if (why)
        gui_tip("%s", why);
    gui_draw_filled(x, y, x + side, y + side, GUI_FIELD, 0);
    sight_draw(a, r, x, y, x + side, y + side, smooth, 1);
    if (why)
        gui_draw_line(x, y + side, x + side, y, GUI_LINE, 1);
    if (chosen || hovered)
        gui_draw_rectangle(x, y, x + side, y + side, chosen ? GUI_ACCENT : GUI_FAINT, 0, gui_px(2));
    gui_name_end();
}

/* A bar a step of a number a picture: energies of skips. */
static void series(app *a, const layer *l, uint32_t picture, const uint32_t *rows, uint32_t n, float x, float y, float step,
                   float side)
{
    float value[MOST_STEPS], most = 1e-9f;
    overlay_source s;
    uint32_t words;
    for (uint32_t i = 0; i < n; i++) {
        value[i] = -1;
        if (!sight_source_at(a, rows[i], &s))
            continue;
        const ask_question q = {.kind = ASK_VALUES, .source = s, .layer = l, .picked = overlay_no_cells};
        const float *values = overlay_ask(a->sight.overlay, &q, &words);
        uint32_t at = picture + (a->look.unconditional ? s.history->count : 0);
        if (values)
            value[i] = values[at < words ? at : picture];
        most = fmaxf(most, value[i]);
    }
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++) {
        char text[24];
        float left = x + (float)i * step, room = side - gui_line_height(), high = room * fmaxf(value[i], 0) / most;
        if (value[i] < 0)
            continue;
        gui_draw_filled(left, y + side - high, left + side, y + side, GUI_RGBA(86, 180, 233, 200), 1);
        snprintf(text, sizeof text, "%.2g", (double)value[i]);
        gui_draw_text(left, y + side - high - gui_line_height(), GUI_FAINT, text);
    }
    gui_draw_line(x, y + side, x + (float)n * step, y + side, GUI_LINE, 1);
    gui_font_end();
}

static void head(app *a, const uint32_t *rows, uint32_t n, float x, float y, float step)
{
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++) {
        char text[32];
        snprintf(text, sizeof text, i ? "%u" : "step %u", a->run.current->evaluations[rows[i]].step);
        gui_draw_text(x + (float)i * step, y, GUI_FAINT, text);
    }
    gui_font_end();
}

static uint32_t count_fitting(const layers *all, look_overlay kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < all->n; i++)
        n += sight_fits(kind, &all->list[i]);
    return n;
}

static void grid(app *a, const layers *all, look_overlay kind, float x0, float y0, float x1, float y1)
{
    const float names = gui_px(112), gap = gui_px(6), line = gui_line_height();
    const uint32_t tall = count_fitting(all, kind) + 1, done = a->run.done;
    /* As tall as fits, but at least six steps beside each other. */
    float fit_x = (x1 - x0 - names) / (float)(done < 6 ? done ? done : 1 : 6), fit_y = (y1 - y0 - line) / (float)tall;
    const float step = fmaxf(gui_px(48), fminf(fminf(fit_x, fit_y), gui_px(160))), side = step - gap;
    uint32_t rows[MOST_STEPS], most = (uint32_t)fmaxf((x1 - x0 - names) / step, 1), now = 0;
    uint32_t n = choose_rows(a, most < MOST_STEPS ? most : MOST_STEPS, rows);
    const sy_history *h = a->run.current;
    const uint32_t picture = a->look.picture >= 0 && (uint32_t)a->look.picture < h->count ? (uint32_t)a->look.picture : 0;
    const layer *chosen = sight_layer(a, kind);
    app_row(a, &now);
    gui_place_set(x0, y0);
    gui_child_begin("all layers", x1 - x0, y1 - y0, false);
    gui_size at = gui_place();
    float y = at.y + line;
    head(a, rows, n, at.x + names, at.y, step);
    for (uint32_t i = 0; i <= all->n; i++) {
        const layer *l = i ? &all->list[i - 1] : NULL;
        if (l && !sight_fits(kind, l))
            continue;
        gui_name_begin_number((int)i);
        gui_font_begin(GUI_SMALL);
        char name[64];
        snprintf(name, sizeof name, "%s", l ? l->name : "estimate");
        if (kind == LOOK_ENERGY && l)
            *strrchr(name, '.') = 0; /* "skip_energy" goes without saying */
        gui_draw_text_fitted(at.x, y + side / 2 - line / 2, names - gap, l && l == chosen ? GUI_TEXT_COLOUR : GUI_FAINT, name);
        gui_font_end();
        if (l && l->kind == LAYER_SERIES && y < y1 && y + side > y0)
            series(a, l, picture, rows, n, at.x + names, y, step, side);
        bool seen = y < y1 && y + side > y0; /* what is scrolled away is not computed */
        for (uint32_t k = 0; seen && k < n && !(l && l->kind == LAYER_SERIES); k++) {
            overlay_source s;
            if (!sight_source_at(a, rows[k], &s))
                continue;
            overlay_request r = l ? sight_overlay(a, kind, &s, l, picture) : sight_picture(&s, picture);
            cell(a, &r, at.x + names + (float)k * step, y, side, rows[k] == now && (!l || l == chosen), a->look.smooth && !l);
        }
        gui_name_end();
        y += step;
    }
    gui_place_set(at.x, y);
    gui_dummy(1, 1);
    gui_child_end();
}

void panel_layers(app *a, float x0, float y0, float x1, float y1)
{
    overlay_source s;
    const look_overlay kind = (look_overlay)a->look.overlay;
    if (!sight_source(a, SIGHT_NOW, &s))
        return;
    const layer *l = sight_layer(a, kind);
    const bool below = l && kind != LOOK_ENERGY;
    const float bottom = y1 - (below ? legend_height() + gui_px(8) : 0);
    grid(a, sight_layers(a, &s), kind, x0, y0, x1, bottom);
    if (below) {
        overlay_request r = sight_overlay(a, kind, &s, l, a->look.picture >= 0 ? (uint32_t)a->look.picture : 0);
        if (!overlay_why_not(&r))
            legend_draw(a, &r, x0, bottom + gui_px(6), x1, y1);
    }
}
