/* The middle of the window: the picture, or several, with what the overlay says of it; below the legend, and all layers at
 * this step. Above, what is shown and how. */
#include "viewer/legend.h"
#include "viewer/panels.h"
#include "viewer/picture_pane.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PANES = ENGINE_PICTURES };

/* ---- what to show ---- */

static void choose_overlay(app *a)
{
    look *l = &a->look;
    gui_next_width(gui_px(190));
    if (gui_combo_begin("##overlay", look_overlay_text(l->overlay))) {
        for (int i = 0; look_overlay_name(i); i++) {
            gui_disabled_begin(!sight_has(a, (look_overlay)i));
            if (gui_selectable(look_overlay_text(i), l->overlay == i, 0))
                l->overlay = i;
            gui_disabled_end();
        }
        gui_combo_end();
    }
    gui_tip("what to lay over the picture (o: the next, h: none)");
}

static void choose_layer(app *a)
{
    overlay_source s;
    const look_overlay kind = (look_overlay)a->look.overlay;
    const layer *chosen = sight_layer(a, kind);
    if (!chosen || kind == LOOK_ENERGY || !sight_source(a, SIGHT_NOW, &s)) /* energies are shown all at once */
        return;
    const layers *all = sight_layers(a, &s);
    gui_same_line(-1);
    gui_next_width(gui_px(130));
    if (gui_combo_begin("##layer", chosen->name)) {
        for (uint32_t i = 0; i < all->n; i++)
            if (sight_fits(kind, &all->list[i]) && gui_selectable(all->list[i].name, &all->list[i] == chosen, 0))
                snprintf(a->look.layer, sizeof a->look.layer, "%s", all->list[i].name);
        gui_combo_end();
    }
    gui_tip("of which layer");
}

/* The next widget goes on in this line, where there is room. */
static void flow(const app *a, float width)
{
    if (gui_item_most().x + gui_px(10) + width < a->centre_x + a->centre_width - gui_px(10))
        gui_same_line(-1);
}

/* With what: the run before, another step of this one, its like on another device. */
static void choose_other(app *a)
{
    look *l = &a->look;
    const bool stepwise = l->compare_step >= 0, device = !stepwise && l->against_device && a->run.second;
    uint32_t row;
    flow(a, gui_px(160));
    gui_next_width(gui_px(160));
    if (gui_combo_begin("##other", stepwise ? "another step" : device ? "the other device" : "the run before")) {
        gui_disabled_begin(!a->run.before);
        if (gui_selectable("the run before", !stepwise && !device, 0)) {
            l->compare_step = LOOK_LATEST;
            l->against_device = false;
        }
        gui_disabled_end();
        gui_disabled_begin(!app_row(a, &row));
        if (gui_selectable("another step", stepwise, 0))
            l->compare_step = stepwise ? l->compare_step : 0;
        gui_disabled_end();
        gui_disabled_begin(!a->run.second);
        if (gui_selectable("the other device", device, 0)) {
            l->compare_step = LOOK_LATEST;
            l->against_device = true;
        }
        gui_disabled_end();
        if (!a->run.second)
            gui_tip("once the same run was made on another device: tab Devices");
        gui_combo_end();
    }
    gui_tip("what to compare with (m: with this step from now on, d: with the other device)");
    if (!stepwise || !app_row(a, &row))
        return;
    flow(a, gui_px(110));
    gui_next_width(gui_px(110));
    gui_number("##compare step", &l->compare_step, 1, 0, (int)a->run.current->evaluations[a->run.done - 1].step);
    gui_tip("the step to compare with, of the same run");
}

static void choose_comparison(app *a)
{
    look *l = &a->look;
    overlay_source other;
    char text[160], name[96];
    gui_next_width(gui_px(190));
    sight_name(a, SIGHT_OTHER, name, sizeof name);
    if (gui_combo_begin("##compare", look_comparison_text(l->comparison))) {
        for (int i = 0; look_comparison_name(i); i++) {
            bool alone = i == LOOK_ALONE || i == LOOK_HALVES;
            if (!alone && !sight_source(a, SIGHT_OTHER, &other) && !a->run.done)
                continue;
            if (gui_selectable(look_comparison_text(i), l->comparison == i, 0)) {
                l->comparison = i;
                if (!alone && !sight_source(a, SIGHT_OTHER, &other)) /* the first run: it can be compared with itself */
                    l->compare_step = 0;
            }
        }
        gui_combo_end();
    }
    snprintf(text, sizeof text, *name ? "compare with %s (c: the next way)"
                                      : "compare with another step, with the run before once there is one, or with the same "
                                        "run on another device (c: the next way)",
             name);
    gui_tip("%s", text);
    if ((l->comparison != LOOK_ALONE && l->comparison != LOOK_HALVES) || l->overlay == LOOK_DIFFERENCE)
        choose_other(a);
}

static void toolbar(app *a)
{
    look *l = &a->look;
    if (gui_button(l->all_layers ? "Picture" : "All layers", gui_px(84)))
        l->all_layers = !l->all_layers;
    gui_tip("the picture, or all layers and steps at once (l)");
    gui_same_line(-1);
    choose_overlay(a);
    choose_layer(a);
    if (l->overlay != LOOK_NONE && !l->all_layers) {
        gui_same_line(-1);
        gui_next_width(gui_px(90));
        float percent = 100 * l->opacity;
        if (gui_slider("##opacity", &percent, 0, 100, "%.0f %%"))
            l->opacity = percent / 100;
        gui_tip("opacity of the overlay ([ and ])");
    }
    choose_comparison(a);
    if (a->run.current && a->run.info.guidance != 1) {
        flow(a, gui_px(130));
        gui_checkbox("unconditional", &l->unconditional);
        gui_tip("show the routes of the half that has no prompt (u)");
    }
    flow(a, gui_px(85));
    gui_checkbox("smooth", &l->smooth);
    gui_tip("pixels as squares, or smooth (i)");
    if (l->zoom != 1 || l->pan_x != 0 || l->pan_y != 0) {
        flow(a, gui_px(35));
        if (gui_button_small("fit"))
            l->zoom = 1, l->pan_x = l->pan_y = 0;
        gui_tip("fit the picture (f)");
    }
}

/* ---- panes ---- */

static void title_of(app *a, sight_side side, const overlay_source *s, pane *p)
{
    char name[80];
    sight_name(a, side, name, sizeof name);
    if (a->look.compare_step >= 0) /* the name is the step */
        snprintf(p->title, sizeof p->title, "%s", name);
    else
        snprintf(p->title, sizeof p->title, "%s, step %u", name, s->history->evaluations[s->evaluation].step);
}

static uint32_t selected(const app *a, const sy_history *h)
{
    return a->look.picture >= 0 && (uint32_t)a->look.picture < h->count ? (uint32_t)a->look.picture : 0;
}

/* Those of the look's comparison. */
static int find_panes(app *a, pane panes[MOST_PANES])
{
    const look *l = &a->look;
    overlay_source now, other;
    int n = 0;
    if (!sight_source(a, SIGHT_NOW, &now))
        return 0;
    uint32_t chosen = selected(a, now.history);
    bool has_other = sight_source(a, SIGHT_OTHER, &other) && chosen < other.history->count;
    pane one = {.source = now, .picture = chosen, .half = -1};
    if (l->comparison == LOOK_HALVES) {
        for (int half = 0; half < 2; half++) {
            panes[n] = one;
            panes[n].half = half;
            snprintf(panes[n++].title, sizeof one.title, half ? "unconditional" : "conditional");
        }
    } else if (l->comparison == LOOK_SPLIT && has_other) {
        char name[2][48];
        sight_name(a, SIGHT_OTHER, name[0], sizeof name[0]);
        sight_name(a, SIGHT_NOW, name[1], sizeof name[1]);
        one.source = other;
        one.right = now;
        snprintf(one.title, sizeof one.title, "%.44s | %.44s", name[0], name[1]);
        panes[n++] = one;
    } else if ((l->comparison == LOOK_BESIDE || l->comparison == LOOK_THREE) && has_other) {
        panes[n] = one;
        panes[n].source = other;
        title_of(a, SIGHT_OTHER, &other, &panes[n++]);
        panes[n] = one;
        title_of(a, SIGHT_NOW, &now, &panes[n++]);
        if (l->comparison == LOOK_THREE) {
            panes[n] = one;
            panes[n].changed = true;
            snprintf(panes[n++].title, sizeof one.title,
                     l->overlay == LOOK_NONE || l->overlay == LOOK_DIFFERENCE ? "difference" : "what changed; dark: nothing");
        }
    } else {
        for (uint32_t i = 0; i < now.history->count && n < MOST_PANES; i++) {
            panes[n] = one;
            panes[n].picture = i;
            panes[n].changed = l->comparison == LOOK_CHANGED;
            panes[n].selected = now.history->count > 1 && i == chosen;
            if (now.history->count > 1)
                snprintf(panes[n].title, sizeof one.title, "seed %u", a->run.request.seed + i);
            n++;
        }
    }
    return n;
}

static void lay_out(app *a, const pane *panes, int n, float x0, float y0, float x1, float y1)
{
    const float gap = gui_px(6);
    int columns = 1;
    float most = 0;
    for (int c = 1; c <= n; c++) { /* the largest that they can be */
        float side = fminf((x1 - x0) / (float)c, (y1 - y0) / ceilf((float)n / (float)c));
        if (side > most + 0.5f)
            most = side, columns = c;
    }
    const int rows = (n + columns - 1) / columns;
    const float w = (x1 - x0 + gap) / (float)columns, h = (y1 - y0 + gap) / (float)rows;
    for (int i = 0; i < n; i++) {
        float x = x0 + (float)(i % columns) * w, y = y0 + (float)(i / columns) * h;
        pane_draw(a, i, &panes[i], x, y, x + w - gap, y + h - gap);
    }
}

/* ---- energies of skips ---- */

/* A bar a connection, of the selected picture, over the picture's lower left. */
static void energies(app *a, const pane *p, float x0, float y1)
{
    enum { MOST = 64 };
    const layers *all = sight_layers(a, &p->source);
    const float line = gui_line_height(), width = gui_px(230);
    float value[MOST], most = 1e-9f;
    const layer *of[MOST];
    uint32_t n = 0, words;
    for (uint32_t i = 0; i < all->n && n < MOST; i++) {
        const layer *l = &all->list[i];
        const ask_question q = {.kind = ASK_VALUES, .source = p->source, .layer = l, .picked = overlay_no_cells};
        const float *values = sight_fits(LOOK_ENERGY, l) ? overlay_ask(a->sight.overlay, &q, &words) : NULL;
        uint32_t at = p->picture + (a->look.unconditional ? p->source.history->count : 0);
        if (!values)
            continue;
        value[n] = values[at < words ? at : p->picture];
        most = fmaxf(most, value[n]);
        of[n++] = l;
    }
    if (!n)
        return;
    const float top = y1 - line * (float)(n + 1) - gui_px(12);
    gui_draw_filled(x0, top, x0 + width, y1, GUI_RGBA(18, 20, 23, 225), 4);
    gui_font_begin(GUI_SMALL);
    gui_draw_text(x0 + gui_px(6), top + gui_px(4), GUI_FAINT, "energy of a skip to what it joins");
    for (uint32_t i = 0; i < n; i++) {
        char name[64], text[24];
        float y = top + gui_px(6) + line * (float)(i + 1), bar = width * 0.36f * value[i] / most;
        snprintf(name, sizeof name, "%.*s", (int)(strlen(of[i]->name) - strlen(".skip_energy")), of[i]->name);
        snprintf(text, sizeof text, "%.3g", (double)value[i]);
        gui_draw_text_fitted(x0 + gui_px(6), y, width * 0.44f, GUI_TEXT_COLOUR, name);
        gui_draw_filled(x0 + width * 0.47f, y + gui_px(3), x0 + width * 0.47f + fmaxf(bar, 1), y + line - gui_px(3), GUI_ACCENT, 1);
        gui_draw_text(x0 + width * 0.47f + bar + gui_px(4), y, GUI_FAINT, text);
    }
    gui_font_end();
}

/* ---- layers at this step ---- */

static float strip_height(void)
{
    return gui_px(64) + gui_line_height() + gui_px(18);
}

/* Those scrolled out of x0 … x1 are not computed. */
static void strip(app *a, const pane *p, float x0, float x1)
{
    const look_overlay kind = (look_overlay)a->look.overlay;
    const layers *all = sight_layers(a, &p->source);
    const layer *chosen = sight_layer(a, kind);
    const float side = gui_px(64);
    bool first = true;
    for (uint32_t i = 0; i < all->n; i++) {
        const layer *l = &all->list[i];
        if (!sight_fits(kind, l))
            continue;
        overlay_request r = sight_overlay(a, kind, &p->source, l, p->picture);
        if (!first)
            gui_same_line(gui_px(8));
        first = false;
        gui_name_begin_number((int)i);
        gui_size at = gui_place();
        if (gui_area("layer", side, side + gui_line_height()))
            snprintf(a->look.layer, sizeof a->look.layer, "%s", l->name);
        bool hovered = gui_hovered();
        const char *why = overlay_why_not(&r);
        gui_tip(why ? "%s\n%s" : "%s", l->name, why);
        gui_draw_filled(at.x, at.y, at.x + side, at.y + side, GUI_FIELD, 0);
        if (at.x < x1 && at.x + side > x0)
            sight_draw(a, &r, at.x, at.y, at.x + side, at.y + side, false, 1);
        bool on = chosen && !strcmp(l->name, chosen->name);
        if (on || hovered)
            gui_draw_rectangle(at.x, at.y, at.x + side, at.y + side, on ? GUI_ACCENT : GUI_FAINT, 0, gui_px(2));
        gui_font_begin(GUI_SMALL);
        gui_draw_text_fitted(at.x, at.y + side + gui_px(2), side, on ? GUI_TEXT_COLOUR : GUI_FAINT, l->name);
        gui_font_end();
        gui_name_end();
    }
}

/* Which block reads which, small, at the right of the legend. */
static void matrix(app *a, const overlay_request *attention, float x1, float y0)
{
    overlay_request r = *attention;
    const float side = legend_height() - gui_px(4);
    r.kind = OVERLAY_MATRIX;
    r.picked = overlay_no_cells;
    gui_place_set(x1 - side, y0);
    gui_area("matrix", side, side);
    gui_tip("Rows: blocks of queries. Columns: the blocks of keys that they read, brighter where more heads do.");
    sight_draw(a, &r, x1 - side, y0, x1, y0 + side, false, 1);
    gui_draw_rectangle(x1 - side, y0, x1, y0 + side, GUI_LINE, 0, 1);
}

/* ---- the whole ---- */

static void empty(app *a, float x0, float y0, float x1, float y1)
{
    char text[128];
    if (a->run.phase == ENGINE_COMPILING)
        snprintf(text, sizeof text, "%s, %.0f %% of the weights", engine_phase_text(a->run.phase), 100 * a->run.loading);
    else
        snprintf(text, sizeof text, "%s", engine_phase_text(a->run.phase));
    gui_size size = gui_text_size(text);
    gui_draw_text((x0 + x1 - size.x) / 2, (y0 + y1 - size.y) / 2, GUI_FAINT, text);
}

static void picture(app *a, float x0, float y0, float x1, float y1)
{
    pane panes[MOST_PANES];
    overlay_request r;
    const char *why;
    int n = find_panes(a, panes), main = 0;
    if (!n) {
        empty(a, x0, y0, x1, y1);
        return;
    }
    if (a->look.comparison == LOOK_BESIDE)
        main = n - 1; /* this run */
    else if (a->look.comparison == LOOK_THREE && n == 3 && panes[2].changed)
        main = 1;
    for (int i = 0; i < n; i++)
        main = panes[i].selected ? i : main;
    const pane *shown = &panes[main];
    const look_overlay kind = (look_overlay)a->look.overlay;
    bool layers_below = kind != LOOK_ENERGY && sight_layer(a, kind) != NULL;
    const pane *explained = main == 1 && a->look.comparison == LOOK_THREE && kind == LOOK_NONE ? &panes[2] : shown;
    bool legend_below = pane_overlay(a, explained, shown->right.history ? &shown->right : &explained->source, &r, &why);
    const float below = (layers_below ? strip_height() : 0) + (legend_below ? legend_height() + gui_px(8) : 0);
    lay_out(a, panes, n, x0, y0, x1, y1 - below);
    if (kind == LOOK_ENERGY)
        energies(a, shown, x0, y1 - below);
    if (legend_below)
        legend_draw(a, &r, x0, y1 - below + gui_px(6), x1, y1 - below + gui_px(6) + legend_height());
    if (legend_below && kind == LOOK_ATTENTION)
        matrix(a, &r, x1, y1 - below + gui_px(6));
    if (layers_below) {
        gui_place_set(x0, y1 - strip_height() + gui_px(6));
        gui_child_begin("layers at this step", x1 - x0, strip_height() - gui_px(6), false);
        strip(a, shown->right.history ? &(pane){.source = shown->right, .picture = shown->picture} : shown, x0, x1);
        gui_child_end();
    }
}

void panel_picture(app *a)
{
    const gui_size at = gui_place(), room = gui_available();
    const float pad = gui_px(10);
    gui_place_set(at.x + pad, at.y + pad);
    gui_group_begin();
    toolbar(a);
    gui_group_end();
    const float top = gui_item_most().y + pad;
    if (a->look.all_layers)
        panel_layers(a, at.x + pad, top, at.x + room.x - pad, at.y + room.y - pad);
    else
        picture(a, at.x + pad, top, at.x + room.x - pad, at.y + room.y - pad);
}
