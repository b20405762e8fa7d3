/* See lines.h. */
#include "viewer/lines.h"
#include "viewer/palette.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* First lines dark, last ones light: lines are mostly layers, in their order. */
static uint32_t colour_of(uint32_t line, uint32_t n)
{
    palette_colour c = palette_size(n > 1 ? 0.3f + 0.7f * (float)line / (float)(n - 1) : 0.85f);
    return GUI_RGB(c.r, c.g, c.b);
}

static void curve(const lines *l, uint32_t i, float x, float y, float width, float height, float least, float most,
                  float thick)
{
    gui_size points[LINES_POINTS];
    int n = 0;
    const uint32_t first = l->rows[0], span = l->rows[l->n_points - 1] - first;
    for (uint32_t k = 0; k <= l->n_points; k++) {
        const bool there = k < l->n_points && !isnan(l->values[i][k]);
        if (there)
            points[n++] = (gui_size){x + width * (span ? (float)(l->rows[k] - first) / (float)span : 0.5f),
                                     y + height * (1 - fminf(fmaxf((l->values[i][k] - least) / (most - least), 0), 1))};
        if (there)
            continue;
        if (n > 1)
            gui_draw_lines(points, n, colour_of(i, l->n), thick);
        else if (n)
            gui_draw_circle(points[0].x, points[0].y, gui_px(2), colour_of(i, l->n), 0);
        n = 0;
    }
}

static void tip(const app *a, const lines *l, uint32_t k)
{
    if (!gui_tip_begin())
        return;
    gui_text("step %u", a->run.current->evaluations[l->rows[k]].step);
    for (uint32_t i = 0; i < l->n; i++)
        if (!isnan(l->values[i][k]))
            gui_text_coloured(colour_of(i, l->n), "%s: %.3g %s", l->names[i], (double)l->values[i][k], l->unit);
    gui_text_coloured(GUI_FAINT, "click: go to the step");
    gui_tip_end();
}

static const char *legend(const lines *l, const char *chosen)
{
    const char *clicked = NULL;
    float x = 0;
    const float wide = gui_available().x;
    for (uint32_t i = 0; i < l->n; i++) {
        const float side = gui_line_height() * 0.7f, width = side + gui_px(5) + gui_text_size(l->names[i]).x;
        if (i && x + width < wide)
            gui_same_line(gui_px(10));
        else
            x = 0;
        x += width + gui_px(10);
        const gui_size at = gui_place();
        gui_name_begin_number((int)i);
        if (gui_area("line", width, gui_line_height()))
            clicked = l->names[i];
        gui_tip("click: look at it");
        gui_name_end();
        gui_draw_filled(at.x, at.y + side * 0.2f, at.x + side, at.y + side * 1.2f, colour_of(i, l->n), 2);
        gui_draw_text(at.x + side + gui_px(5), at.y, chosen && !strcmp(chosen, l->names[i]) ? GUI_ACCENT : GUI_FAINT,
                      l->names[i]);
    }
    return clicked;
}

const char *lines_draw(app *a, const lines *l, float height, const char *chosen)
{
    char top[64];
    float least = l->most > 0 ? 0 : INFINITY, most = l->most > 0 ? l->most : -INFINITY;
    uint32_t row = 0, near = 0;
    if (!l->n || !l->n_points)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++)
        for (uint32_t k = 0; k < l->n_points; k++)
            if (!(l->most > 0) && !isnan(l->values[i][k])) {
                least = fminf(least, l->values[i][k]);
                most = fmaxf(most, l->values[i][k]);
            }
    if (!(least < most)) { /* one value, or none yet */
        least = isfinite(least) ? least - 0.5f : 0;
        most = least + 1;
    }
    gui_font_begin(GUI_SMALL);
    snprintf(top, sizeof top, "%.3g to %.3g %s", (double)least, (double)most, l->unit);
    const gui_size at = gui_place();
    const float line = gui_line_height(), width = gui_available().x - gui_px(6);
    const float y0 = at.y + line + gui_px(2), y1 = at.y + height - line - gui_px(2);
    const uint32_t first = l->rows[0], last = l->rows[l->n_points - 1];
    gui_draw_text(at.x, at.y, GUI_FAINT, top);
    gui_draw_filled(at.x, y0, at.x + width, y1, GUI_FIELD, 2);
    gui_draw_line(at.x, (y0 + y1) / 2, at.x + width, (y0 + y1) / 2, GUI_LINE, 1);
    for (uint32_t i = 0; i < l->n; i++)
        curve(l, i, at.x, y0, width, y1 - y0, least, most, chosen && !strcmp(chosen, l->names[i]) ? gui_px(3) : gui_px(1.5f));
    if (app_row(a, &row) && last > first && row <= last) {
        float x = at.x + width * (float)(row - first) / (float)(last - first);
        gui_draw_line(x, y0, x, y1, GUI_TEXT_COLOUR, 1);
    }
    if (gui_area("lines", width, height)) {
        a->look.playing = false;
        float x = (gui_mouse().x - at.x) / width * (float)(last - first) + 0.5f;
        uint32_t to = first + (uint32_t)fmaxf(x, 0);
        a->look.step = (int)a->run.current->evaluations[to < a->run.done ? to : a->run.done - 1].step;
    }
    for (uint32_t k = 1; k < l->n_points; k++) {
        float x = (gui_mouse().x - at.x) / width * (float)(last - first) + (float)first;
        near = fabsf((float)l->rows[k] - x) < fabsf((float)l->rows[near] - x) ? k : near;
    }
    tip(a, l, near);
    char text[32];
    snprintf(text, sizeof text, "step %u", a->run.current->evaluations[first].step);
    gui_draw_text(at.x, y1 + gui_px(2), GUI_FAINT, text);
    snprintf(text, sizeof text, "step %u", a->run.current->evaluations[last].step);
    gui_draw_text(at.x + width - gui_text_size(text).x, y1 + gui_px(2), GUI_FAINT, text);
    const char *clicked = legend(l, chosen);
    gui_font_end();
    return clicked;
}
