/* Time: the evaluations of the run as an axis, coloured by what they were, with estimates along it; playing, and the step to
 * compare with. */
#include "viewer/facts.h"
#include "viewer/kinds.h"
#include "viewer/panels.h"

#include <math.h>
#include <stdio.h>

static int step_at(const app *a, uint32_t row)
{
    return (int)a->run.current->evaluations[row].step;
}

static void go_to(app *a, uint32_t row)
{
    a->look.step = row + 1 >= a->run.done ? LOOK_LATEST : step_at(a, row);
}

/* Moves on by what has passed since the last frame; at the end it stops. */
static void play(app *a, uint32_t row)
{
    static double last, owed; /* steps */
    static bool was;
    const double now = window_time();
    look *l = &a->look;
    if (l->playing && !was) {
        owed = 0;
        last = now;
        if (row + 1 >= a->run.done && a->run.phase != ENGINE_RUNNING)
            l->step = step_at(a, 0);
    }
    was = l->playing;
    if (!l->playing)
        return;
    a->animated = true;
    owed += fmin(now - last, 0.5) * (double)l->speed;
    last = now;
    for (; owed >= 1 && l->playing; owed -= 1) {
        uint32_t at = row;
        if (!app_row(a, &at))
            return;
        while (at + 1 < a->run.done && step_at(a, at + 1) == step_at(a, row))
            at++;
        if (at + 1 < a->run.done)
            go_to(a, row = at + 1);
        else if (a->run.phase != ENGINE_RUNNING)
            l->playing = false;
    }
}

static void controls(app *a, uint32_t row)
{
    look *l = &a->look;
    const sy_history *h = a->run.current;
    const sy_evaluation *e = &h->evaluations[row];
    const float wide = gui_px(34);
    if (gui_button("|<", wide))
        l->playing = false, l->step = 0;
    gui_tip("the first step (Home)");
    gui_same_line(gui_px(4));
    if (gui_button("<", wide) && row) {
        l->playing = false;
        go_to(a, row - 1);
    }
    gui_tip("a step back (Left)");
    gui_same_line(gui_px(4));
    if (gui_button(l->playing ? "Pause" : "Play", gui_px(64)))
        l->playing = !l->playing;
    gui_tip("play the steps (Space)");
    gui_same_line(gui_px(4));
    if (gui_button(">", wide)) {
        l->playing = false;
        go_to(a, row + 1 < a->run.done ? row + 1 : row);
    }
    gui_tip("a step on (Right)");
    gui_same_line(gui_px(4));
    if (gui_button(">|", wide))
        l->playing = false, l->step = LOOK_LATEST;
    gui_tip("the newest step, following the run (End)");
    gui_same_line(gui_px(12));
    gui_next_width(gui_px(120));
    gui_slider("##speed", &l->speed, 1, 30, "%.0f steps/s");
    gui_tip("how fast it plays");
    gui_same_line(gui_px(12));
    gui_text("step %u of %u", e->step, a->run.info.steps ? a->run.info.steps : h->evaluations[h->n_evaluations - 1].step + 1);
    gui_same_line(gui_px(12));
    gui_text_coloured(GUI_FAINT, "noise level %.3g · %s", e->sigma, kind_text(kind_of(e)));
    if (l->compare_step != LOOK_LATEST) {
        char text[64];
        gui_same_line(gui_px(12));
        snprintf(text, sizeof text, "compared with step %d: x", l->compare_step);
        if (gui_button_small(text))
            l->compare_step = LOOK_LATEST;
        gui_tip("compare with no step of this run");
    }
}

/* Estimates, as many as fit beside each other. */
static void previews(app *a, float x0, float y, float part, float side)
{
    const uint32_t n = a->run.current->n_evaluations;
    float free_from = x0;
    for (uint32_t i = 0; i < a->run.done && i < n; i++) {
        overlay_source s;
        float x = x0 + ((float)i + 0.5f) * part - side / 2;
        x = fmaxf(x, x0);
        if (x < free_from || !sight_source_at(a, i, &s))
            continue;
        overlay_request r = sight_picture(&s, facts_picture(a, s.history));
        gui_draw_filled(x, y, x + side, y + side, GUI_FIELD, 0);
        sight_draw(a, &r, x, y, x + side, y + side, a->look.smooth, 1);
        free_from = x + side + gui_px(3);
    }
}

static void marker(float x, float y0, float y1, uint32_t colour)
{
    const float w = gui_px(5);
    gui_draw_line(x, y0, x, y1, colour, gui_px(2));
    gui_draw_triangle(x - w, y0 - w, x + w, y0 - w, x, y0 + w / 2, colour);
}

static void axis(app *a, uint32_t row)
{
    const sy_history *h = a->run.current;
    const uint32_t n = h->n_evaluations;
    const gui_size at = gui_place(), room = gui_available();
    const float line = gui_line_height(), legend = line + gui_px(4), width = room.x - gui_px(4), part = width / (float)n;
    const float bar = gui_px(14), labels = line + gui_px(2);
    const float side = fmaxf(fminf(room.y - bar - labels - legend - gui_px(14), gui_px(96)), 0);
    const float top = at.y + gui_px(6), strip = top + side + gui_px(4), bottom = strip + bar;
    uint32_t counts[KINDS] = {0}, compared = UINT32_MAX;
    if (gui_area("axis", width, bottom - at.y) || gui_active()) {
        float x = (gui_mouse().x - at.x) / part;
        uint32_t to = x > 0 ? (uint32_t)x : 0;
        to = to < a->run.done ? to : a->run.done - 1;
        a->look.playing = false;
        if (gui_shift() || gui_mouse_down(1))
            a->look.compare_step = step_at(a, to);
        else
            go_to(a, to);
    }
    if (gui_hovered()) {
        uint32_t over = (uint32_t)fmaxf((gui_mouse().x - at.x) / part, 0);
        const sy_evaluation *e = &h->evaluations[over < n ? over : n - 1];
        gui_tip("step %u: %s%s\nclick: go there, shift click: compare with it", e->step,
                over < a->run.done ? kind_text(kind_of(e)) : "not there yet",
                h->n_evaluations > e->step + 1 && e->row != e->step ? ", one of several evaluations" : "");
    }
    if (side > gui_px(20))
        previews(a, at.x, top, part, side);
    gui_font_begin(GUI_SMALL);
    float free_from = at.x;
    for (uint32_t i = 0; i < n; i++) {
        const kind_of_evaluation kind = kind_of(&h->evaluations[i]);
        const float x = at.x + (float)i * part, gap = part > gui_px(6) ? gui_px(1.5f) : 0;
        const bool done = i < a->run.done;
        char text[16];
        counts[kind] += done;
        gui_draw_filled(x, strip, x + part - gap, bottom, done ? kind_colour(kind) : GUI_FIELD, 1);
        if (done && a->look.compare_step == (int)h->evaluations[i].step)
            compared = i;
        if (i && h->evaluations[i].step == h->evaluations[i - 1].step)
            continue;
        snprintf(text, sizeof text, "%u", h->evaluations[i].step);
        float wide = gui_text_size(text).x, left = fmaxf(x + (part - wide) / 2, at.x);
        if (left >= free_from && left + wide <= at.x + width) {
            gui_draw_text(left, bottom + gui_px(1), i == row ? GUI_TEXT_COLOUR : GUI_FAINT, text);
            free_from = left + wide + gui_px(14);
        }
    }
    gui_font_end();
    if (compared != UINT32_MAX)
        marker(at.x + ((float)compared + 0.5f) * part, top, bottom, GUI_WARNING);
    marker(at.x + ((float)row + 0.5f) * part, top, bottom, GUI_TEXT_COLOUR);
    gui_place_set(at.x, bottom + labels + gui_px(2));
    kinds_legend(counts);
}

void panel_time(app *a)
{
    uint32_t row;
    if (!app_row(a, &row)) {
        gui_text_coloured(GUI_FAINT, "The steps of the run come here: play them, go to one, compare two.");
        return;
    }
    play(a, row);
    if (!app_row(a, &row))
        return;
    controls(a, row);
    axis(a, row);
}
