/* See legend.h. */
#include "viewer/legend.h"
#include "viewer/palette.h"

#include <math.h>
#include <stdio.h>

static uint32_t colour_of(palette_colour c, uint8_t alpha)
{
    return GUI_RGBA(c.r, c.g, c.b, alpha);
}

float legend_height(void)
{
    return gui_px(64);
}

/* The load of the run's own side. */
static const ask_load *load_of(app *a, const overlay_request *r, uint32_t *targets)
{
    const ask_question q = {.kind = ASK_LOAD,
                            .source = r->source,
                            .layer = r->layer,
                            .picture = r->picture,
                            .half = r->half,
                            .picked = overlay_no_cells};
    uint32_t words;
    const ask_load *load = overlay_ask(a->sight.overlay, &q, &words);
    *targets = load ? words - (uint32_t)(sizeof *load / 4) : (uint32_t)r->layer->targets;
    return load;
}

static void expert_tip(const ask_load *load, uint32_t e)
{
    if (!gui_tip_begin())
        return;
    if (load)
        gui_text("expert %u: %u of %.0f tokens, %.0f %%", e, load->load[e], (double)load->tokens,
                 load->tokens > 0 ? 100.0 * load->load[e] / (double)load->tokens : 0.0);
    else
        gui_text("expert %u", e);
    gui_text_coloured(GUI_FAINT, "click: show it alone, again: all");
    gui_tip_end();
}

static float evenness(const ask_load *load, uint32_t n, uint32_t *used)
{
    float bits = 0;
    *used = 0;
    for (uint32_t e = 0; e < n; e++) {
        float p = load->slots > 0 ? (float)load->load[e] / load->slots : 0;
        bits -= p > 0 ? p * log2f(p) : 0;
        *used += load->load[e] > 0;
    }
    return n > 1 ? bits / log2f((float)n) : 1;
}

static void summary(const ask_load *load, uint32_t n, float x, float y, float width)
{
    char text[160];
    uint32_t used;
    if (!load)
        return;
    float even = evenness(load, n, &used);
    int at = snprintf(text, sizeof text, "%u of %u experts used · evenness of load %.2f", used, n, (double)even);
    if (load->with_bits > 0 && load->bits > 0)
        snprintf(text + at, sizeof text - (size_t)at, " · gate entropy %.2f bits", (double)(load->bits / load->with_bits));
    gui_draw_text_fitted(x, y, width, GUI_FAINT, text);
}

static void experts(app *a, const overlay_request *r, float x0, float y0, float x1, float y1)
{
    uint32_t n, most = 1;
    const ask_load *load = load_of(a, r, &n);
    if (!n)
        return;
    const float line = gui_line_height(), bottom = y1 - line, top = y0 + line + gui_px(4);
    const float step = fminf((x1 - x0) / (float)n, gui_px(44)), gap = step > gui_px(6) ? gui_px(2) : 0;
    for (uint32_t e = 0; load && e < n; e++)
        most = load->load[e] > most ? load->load[e] : most;
    summary(load, n, x0, y0, x1 - x0);
    for (uint32_t e = 0; e < n; e++) {
        const float x = x0 + (float)e * step, share = load ? (float)load->load[e] / (float)most : 0;
        const bool off = a->look.expert >= 0 && a->look.expert != (int)e;
        char text[16];
        gui_place_set(x, top);
        gui_name_begin_number((int)e);
        if (gui_area("expert", step, y1 - top))
            a->look.expert = a->look.expert == (int)e ? -1 : (int)e;
        if (gui_hovered())
            gui_draw_filled(x, top, x + step - gap, y1, GUI_FIELD, 2);
        expert_tip(load, e);
        gui_name_end();
        const float high = fmaxf((bottom - top - gui_px(3)) * share, 0) + gui_px(3); /* a swatch even without load */
        gui_draw_filled(x, bottom - high, x + step - gap, bottom, colour_of(palette_expert(e), off ? 70 : 255), 1);
        snprintf(text, sizeof text, "%u", e);
        if (gui_text_size("00").x <= step || e % 8 == 0)
            gui_draw_text(x, bottom, load && !load->load[e] ? GUI_LINE : GUI_FAINT, text);
    }
}

static void ramp(const overlay_scale *s, float x0, float y0, float x1)
{
    enum { PARTS = 64 };
    const float width = fminf(gui_px(220), (x1 - x0) / 2), high = gui_px(12);
    char low[32], most[48];
    const char *unit = s->unit;
    snprintf(low, sizeof low, "%.3g", (double)s->low);
    snprintf(most, sizeof most, "%.3g %s", (double)s->high, unit);
    const float left = x0 + gui_text_size(low).x + gui_px(6), y = y0 + gui_px(2);
    for (int i = 0; i < PARTS; i++) {
        float share = ((float)i + 0.5f) / PARTS;
        palette_colour c = s->kind == SCALE_DIFFERENCE ? palette_difference(2 * share - 1) : palette_size(share);
        gui_draw_filled(left + width * (float)i / PARTS, y, left + width * (float)(i + 1) / PARTS + 1, y + high,
                        colour_of(c, 255), 0);
    }
    gui_draw_text(x0, y0, GUI_TEXT_COLOUR, low);
    gui_draw_text(left + width + gui_px(6), y0, GUI_TEXT_COLOUR, most);
}

static void two(const overlay_request *r, float x, float y)
{
    const float side = gui_px(12);
    const bool experts_have = r->layer && r->layer->kind == LAYER_EXPERTS;
    const char *const texts[] = {experts_have ? "taken by an expert" : "runs", experts_have ? "by none" : "left out"};
    const palette_colour colours[] = {palette_yes, palette_no};
    for (int i = 0; i < 2; i++) {
        gui_draw_filled(x, y + gui_px(2), x + side, y + gui_px(2) + side, colour_of(colours[i], 255), 2);
        gui_draw_rectangle(x, y + gui_px(2), x + side, y + gui_px(2) + side, GUI_LINE, 2, 1);
        gui_draw_text(x + side + gui_px(6), y, GUI_TEXT_COLOUR, texts[i]);
        x += side + gui_px(30) + gui_text_size(texts[i]).x;
    }
}

/* The block that is read most, in numbers. */
static void strongest(app *a, const overlay_request *r, float x, float y, float x1)
{
    const ask_question q = {.kind = ASK_REGION,
                            .source = r->source,
                            .layer = r->layer,
                            .picture = r->picture,
                            .half = r->half,
                            .picked = r->picked};
    uint32_t words, best = UINT32_MAX, read = 0;
    const float *given = overlay_ask(a->sight.overlay, &q, &words);
    const int value = r->picked.x0 > r->picked.x1 ? 1 : 0; /* without a pick: how often */
    float sum = 0;
    char text[120];
    for (uint32_t t = 0; given && t < words / 2; t++) {
        if (given[2 * t + 1] <= 0)
            continue;
        sum += given[2 * t + (uint32_t)value];
        best = best == UINT32_MAX || given[2 * t + (uint32_t)value] > given[2 * best + (uint32_t)value] ? t : best;
        read++;
    }
    if (best == UINT32_MAX)
        return;
    const float most = given[2 * best + (uint32_t)value];
    if (value)
        snprintf(text, sizeof text, "block %u is read most, %.0f times", best, (double)most);
    else if (r->layer->shares)
        snprintf(text, sizeof text, "%u of %u blocks are read; block %u gets most, %.0f %% of what they get", read, words / 2,
                 best, sum > 0 ? 100 * (double)(most / sum) : 0.0);
    else
        snprintf(text, sizeof text, "%u of %u blocks are read; block %u has the highest score, %.3g", read, words / 2, best,
                 (double)most);
    gui_draw_text_fitted(x, y, x1 - x - legend_height(), GUI_FAINT, text);
}

void legend_draw(app *a, const overlay_request *r, float x0, float y0, float x1, float y1)
{
    overlay_scale s = overlay_scale_of(r);
    const float second = y0 + gui_line_height() + gui_px(4);
    bool columns = r->layer && r->layer->kind == LAYER_EXPERTS && !r->against.history &&
                   (s.kind == SCALE_TARGETS || r->kind == OVERLAY_ONE);
    gui_clip_begin(x0, y0, x1, y1);
    gui_font_begin(GUI_SMALL);
    if (columns) {
        experts(a, r, x0, y0, x1, y1);
    } else {
        gui_draw_text_fitted(x0, y0, x1 - x0, GUI_FAINT, s.what);
        if (s.kind == SCALE_RAMP || s.kind == SCALE_DIFFERENCE)
            ramp(&s, x0, second, x1);
        else if (s.kind == SCALE_TWO)
            two(r, x0, second);
        if (r->kind == OVERLAY_ATTENTION)
            strongest(a, r, x0, second + gui_line_height() + gui_px(4), x1);
    }
    gui_font_end();
    gui_clip_end();
}
