/* Where the time of a step goes: each dispatch of the network's last evaluation, by the device's clock. */
#include "viewer/palette.h"
#include "viewer/panels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, KINDS = 16 };

typedef enum order { IN_ORDER, BY_TIME, BY_LAYER, ORDERS } order;
static const char *const order_texts[ORDERS] = {"in order", "by time", "by layer"};

typedef struct bar {
    const char *name, *layer, *kind;
    double seconds, flops, bytes;
    uint32_t n; /* dispatches */
} bar;

typedef struct total {
    char kind[24];
    double seconds;
    uint32_t n;
} total;

static int chosen = BY_LAYER;

static int by_time(const void *x, const void *y)
{
    const double a = ((const bar *)x)->seconds, b = ((const bar *)y)->seconds;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Totals by kind, the longest first. */
static uint32_t sum_kinds(const engine_state *s, total *out, double *all)
{
    uint32_t n = 0;
    *all = 0;
    for (uint32_t i = 0; i < s->n_dispatches; i++) {
        const engine_dispatch *d = &s->dispatches[i];
        uint32_t k = 0;
        *all += d->seconds;
        while (k < n && strcmp(out[k].kind, d->kind) != 0)
            k++;
        if (k == KINDS)
            continue;
        if (k == n) {
            out[n] = (total){0};
            snprintf(out[n++].kind, sizeof out->kind, "%s", d->kind);
        }
        out[k].seconds += d->seconds;
        out[k].n++;
    }
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && out[k].seconds > out[k - 1].seconds; k--) {
            total t = out[k];
            out[k] = out[k - 1];
            out[k - 1] = t;
        }
    return n;
}

static uint32_t kind_colour_of(const char *kind)
{
    static const char *const kinds[] = {"matmul", "grouped matmul", "attention", "conv", "row", "map", "route", "depthwise"};
    uint32_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i], kind) != 0)
        i++;
    palette_colour c = palette_expert(i);
    return GUI_RGB(c.r, c.g, c.b);
}

static void time_text(double seconds, char *out, size_t size)
{
    if (seconds >= 1e-3)
        snprintf(out, size, "%.2f ms", seconds * 1e3);
    else
        snprintf(out, size, "%.1f µs", seconds * 1e6);
}

static void totals(const total *list, uint32_t n, double all)
{
    const gui_size at = gui_place();
    const float width = gui_available().x - gui_px(4), high = gui_px(16);
    char text[96], time[32];
    float x = at.x;
    time_text(all, time, sizeof time);
    for (uint32_t i = 0; i < n; i++) {
        float part = all > 0 ? width * (float)(list[i].seconds / all) : 0;
        gui_draw_filled(x, at.y, x + part, at.y + high, kind_colour_of(list[i].kind), 0);
        x += part;
    }
    gui_dummy(width, high);
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++) {
        const gui_size line = gui_place();
        const float side = gui_line_height() * 0.7f;
        time_text(list[i].seconds, time, sizeof time);
        snprintf(text, sizeof text, "%.23s: %.31s, %.0f %%, %u dispatches", list[i].kind, time,
                 all > 0 ? 100 * list[i].seconds / all : 0, list[i].n);
        gui_draw_filled(line.x, line.y + side * 0.2f, line.x + side, line.y + side * 1.2f, kind_colour_of(list[i].kind), 2);
        gui_draw_text_fitted(line.x + side + gui_px(6), line.y, width - side - gui_px(6), GUI_TEXT_COLOUR, text);
        gui_dummy(width, gui_line_height());
    }
    gui_font_end();
}

/* Looks at the layer that a dispatch belongs to: the longest part of its name that a tap begins with. */
static void look_at(app *a, const char *name)
{
    char stem[64];
    overlay_source s;
    snprintf(stem, sizeof stem, "%s", name);
    if (!sight_source(a, SIGHT_NOW, &s))
        return;
    const layers *all = sight_layers(a, &s);
    while (*stem) {
        const size_t n = strlen(stem);
        for (uint32_t i = 0; i < all->n; i++)
            if (!strncmp(all->list[i].name, stem, n) && (!all->list[i].name[n] || all->list[i].name[n] == '.')) {
                snprintf(a->look.layer, sizeof a->look.layer, "%s", stem);
                return;
            }
        char *dot = strrchr(stem, '.');
        *(dot ? dot : stem) = 0;
    }
}

/* Is it part of the layer that is looked at? */
static bool of_layer(const app *a, const char *name)
{
    const size_t n = strlen(a->look.layer);
    return n && !strncmp(name, a->look.layer, n) && (!name[n] || name[n] == '.');
}

static uint32_t make_bars(const engine_state *s, bar *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_dispatches && n < MOST; i++) {
        const engine_dispatch *d = &s->dispatches[i];
        bar *b = n && chosen == BY_LAYER ? out : NULL;
        while (b && b < out + n && strcmp(b->layer, d->layer) != 0)
            b++;
        if (!b || b == out + n) {
            b = &out[n++];
            *b = (bar){.name = chosen == BY_LAYER ? d->layer : d->name, .layer = d->layer, .kind = d->kind};
        }
        const double longest = b->n ? b->seconds : 0;
        b->kind = d->seconds > longest ? d->kind : b->kind;
        b->seconds += d->seconds;
        b->flops += d->flops;
        b->bytes += d->bytes;
        b->n++;
    }
    if (chosen == BY_TIME)
        qsort(out, n, sizeof *out, by_time);
    return n;
}

static void bar_tip(const bar *b, double all)
{
    char time[32];
    if (!gui_tip_begin())
        return;
    time_text(b->seconds, time, sizeof time);
    gui_text("%s", *b->name ? b->name : "the rest");
    gui_text("%s, %.1f %% of the step; %u dispatch%s, %s", time, all > 0 ? 100 * b->seconds / all : 0, b->n, b->n == 1 ? "" : "es",
             b->kind);
    if (b->seconds > 0)
        gui_text("%.3g MFLOP, %.3g GFLOP/s; %.3g kB, %.3g GB/s at least", b->flops / 1e6, b->flops / b->seconds / 1e9,
                 b->bytes / 1e3, b->bytes / b->seconds / 1e9);
    gui_text_coloured(GUI_FAINT, "click: look at its layer");
    gui_tip_end();
}

static void bars(app *a, double all)
{
    static bar list[MOST];
    const uint32_t n = make_bars(&a->run, list);
    double most = 0;
    char time[32];
    for (uint32_t i = 0; i < n; i++)
        most = fmax(most, list[i].seconds);
    gui_child_begin("dispatches", 0, 0, false);
    gui_font_begin(GUI_SMALL);
    const gui_size at = gui_place();
    const float high = gui_line_height() + gui_px(3), width = gui_available().x - gui_px(4), value = gui_text_size("000.00 ms").x;
    const float from = gui_scroll_y(), tall = gui_available().y + from + high;
    for (uint32_t i = 0; i < n; i++) {
        const bar *b = &list[i];
        const float y = at.y + (float)i * high, part = most > 0 ? (float)(b->seconds / most) : 0;
        if ((float)(i + 1) * high < from || (float)i * high > from + tall)
            continue;
        gui_place_set(at.x, y);
        gui_name_begin_number((int)i);
        if (gui_area("dispatch", width, high))
            look_at(a, b->layer);
        const bool hovered = gui_hovered();
        bar_tip(b, all);
        gui_name_end();
        if (hovered || of_layer(a, b->layer))
            gui_draw_filled(at.x, y, at.x + width, y + high, GUI_FIELD, 2);
        gui_draw_filled(at.x, y + high - gui_px(4), at.x + fmaxf(width * part, 1), y + high - gui_px(1), kind_colour_of(b->kind), 1);
        gui_draw_text_fitted(at.x + gui_px(2), y, width - value - gui_px(8), of_layer(a, b->layer) ? GUI_ACCENT : GUI_TEXT_COLOUR,
                             *b->name ? b->name : "the rest");
        time_text(b->seconds, time, sizeof time);
        gui_draw_text(at.x + width - gui_text_size(time).x, y, GUI_FAINT, time);
    }
    gui_font_end();
    gui_place_set(at.x, at.y + (float)n * high);
    gui_dummy(1, 1);
    gui_child_end();
}

void panel_profile(app *a)
{
    const engine_state *s = &a->run;
    total kinds[KINDS];
    double all;
    bool timings = a->request.timings;
    if (gui_checkbox("Time every dispatch", &timings)) {
        a->request.timings = timings;
        app_generate(a);
    }
    gui_tip("Makes the run anew with two timestamps around every dispatch; costs little.");
    if (!a->request.timings) {
        gui_text_wrapped(GUI_FAINT, "Switch it on to see where the time of a step goes: a bar a dispatch, by the device's clock.");
        return;
    }
    if (!s->n_dispatches) {
        gui_text_wrapped(GUI_FAINT, s->phase == ENGINE_DONE && s->request.timings
                                        ? "This device has no timestamps: its dispatches cannot be timed. Try another device."
                                        : "The times come when the run has ended.");
        return;
    }
    const uint32_t n = sum_kinds(s, kinds, &all);
    char time[32];
    time_text(all, time, sizeof time);
    gui_heading("The last evaluation");
    gui_text_wrapped(GUI_FAINT, "%s on the device in %u dispatches, step %u", time, s->n_dispatches,
                     s->current && s->done ? s->current->evaluations[s->done - 1].step : 0);
    totals(kinds, n, all);
    gui_spacing();
    gui_next_width(gui_px(130));
    gui_combo("##order", &chosen, order_texts, ORDERS);
    gui_tip("dispatches in order or by time, or the layers they belong to");
    gui_same_line(-1);
    gui_text_coloured(GUI_FAINT, "bars: part of the longest");
    bars(a, all);
}
