/* See picture_pane.h. */
#include "viewer/picture_pane.h"
#include "viewer/palette.h"

#include <math.h>
#include <stdio.h>

/* Where the whole picture lies in the window. */
typedef struct frame {
    float x0, y0, x1, y1;
} frame;

static frame place(const app *a, const sy_history *h, float x0, float y0, float x1, float y1)
{
    const look *l = &a->look;
    float aspect = h->height ? (float)h->width / (float)h->height : 1, width = x1 - x0, height = y1 - y0;
    float wide = fminf(width, height * aspect) * l->zoom, tall = wide / aspect;
    float x = (x0 + x1 - wide) / 2 + l->pan_x * wide, y = (y0 + y1 - tall) / 2 + l->pan_y * wide;
    x = floorf(x), y = floorf(y);
    return (frame){x, y, x + wide, y + tall};
}

bool pane_overlay(app *a, const pane *p, const overlay_source *source, overlay_request *r, const char **why)
{
    const look_overlay kind = (look_overlay)a->look.overlay;
    *why = NULL;
    if (kind == LOOK_NONE || kind == LOOK_ENERGY) {
        if (!p->changed)
            return false;
        *r = sight_picture(source, p->picture);
    } else if (kind == LOOK_DIFFERENCE) {
        *r = sight_picture(source, p->picture);
    } else {
        const layer *l = sight_layer_in(a, source, sight_layer(a, kind));
        if (!l) {
            *why = !a->run.request.taps ? "The run is made once more, with what this shows."
                   : sight_layer(a, kind)     ? "That run has no such layer."
                   : kind == LOOK_ATTENTION ? "Attention is dense in this network: every block reads all others, through no route."
                                            : "This network has nothing of the kind: the list of overlays says what it has.";
            return false;
        }
        *r = sight_overlay(a, kind, source, l, p->picture);
    }
    if (p->half >= 0 && r->layer && r->layer->kind <= LAYER_BLOCKS)
        r->half = (uint32_t)p->half;
    if ((p->changed || kind == LOOK_DIFFERENCE) && !sight_against(a, r)) {
        *why = "There is no run before to compare with: change something and generate again.";
        return false;
    }
    *why = overlay_why_not(r);
    return !*why;
}

/* ---- drawing ---- */

static const char *side_of(app *a, const pane *p, const overlay_source *source, const frame *f)
{
    overlay_request r = sight_picture(source, p->picture);
    const char *why = overlay_why_not(&r);
    if (!why)
        sight_draw(a, &r, f->x0, f->y0, f->x1, f->y1, a->look.smooth, 1);
    bool over = pane_overlay(a, p, source, &r, &why);
    if (over) {
        float opacity = p->changed || a->look.overlay == LOOK_DIFFERENCE ? fmaxf(a->look.opacity, 0.9f) : a->look.opacity;
        bool smooth = a->look.smooth && (r.kind == OVERLAY_PICTURE || r.kind == OVERLAY_FIELD);
        sight_draw(a, &r, f->x0, f->y0, f->x1, f->y1, smooth, opacity);
    }
    return why;
}

static void outline(const sy_history *h, const frame *f, overlay_cells c, uint32_t colour, float thickness)
{
    float w = (f->x1 - f->x0) / (float)h->grid_width, t = (f->y1 - f->y0) / (float)h->grid_height;
    float x0 = f->x0 + (float)c.x0 * w, y0 = f->y0 + (float)c.y0 * t;
    float x1 = f->x0 + (float)(c.x1 + 1) * w, y1 = f->y0 + (float)(c.y1 + 1) * t;
    gui_draw_rectangle(x0 - 1, y0 - 1, x1 + 1, y1 + 1, GUI_RGBA(0, 0, 0, 200), 0, thickness + 2);
    gui_draw_rectangle(x0, y0, x1, y1, colour, 0, thickness);
}

static void draw_notes(const pane *p, const frame *shown, const char *why, float right)
{
    const float pad = gui_px(4), line = gui_line_height();
    gui_font_begin(GUI_SMALL);
    if (*p->title) {
        float width = fminf(gui_text_size(p->title).x, right - shown->x0 - 4 * pad);
        gui_draw_filled(shown->x0, shown->y0, shown->x0 + width + 2 * pad, shown->y0 + line + pad, GUI_RGBA(18, 20, 23, 200), 3);
        gui_draw_text_fitted(shown->x0 + pad, shown->y0 + pad / 2, width, GUI_TEXT_COLOUR, p->title);
    }
    if (why) {
        float y = shown->y1 - line - 2 * pad;
        gui_draw_filled(shown->x0, y, shown->x1, shown->y1, GUI_RGBA(18, 20, 23, 220), 0);
        gui_draw_text_fitted(shown->x0 + pad, y + pad, shown->x1 - shown->x0 - 2 * pad, GUI_WARNING, why);
    }
    gui_font_end();
}

/* ---- the mouse ---- */

static bool cell_at(const sy_history *h, const frame *f, gui_size at, bool limit, uint32_t *x, uint32_t *y)
{
    float u = (at.x - f->x0) / (f->x1 - f->x0), v = (at.y - f->y0) / (f->y1 - f->y0);
    if (!h->grid_width || !h->grid_height || (!limit && (u < 0 || v < 0 || u >= 1 || v >= 1)))
        return false;
    u = fminf(fmaxf(u, 0), 0.999999f);
    v = fminf(fmaxf(v, 0), 0.999999f);
    *x = (uint32_t)(u * (float)h->grid_width);
    *y = (uint32_t)(v * (float)h->grid_height);
    return true;
}

static void zoom_at(app *a, const frame *f, const float middle[2], float wheel)
{
    look *l = &a->look;
    gui_size at = gui_mouse();
    float wide = f->x1 - f->x0, old = l->zoom;
    l->zoom = fminf(fmaxf(old * powf(1.15f, wheel), 0.1f), 100);
    float grown = wide * l->zoom / old;
    /* The point under the pointer stays: its distance from the picture's middle grows with it. */
    float dx = at.x - (f->x0 + f->x1) / 2, dy = at.y - (f->y0 + f->y1) / 2;
    l->pan_x = (at.x - dx * grown / wide - middle[0]) / grown;
    l->pan_y = (at.y - dy * grown / wide - middle[1]) / grown;
}

/* Where the left button went down, of the pane that has it. */
static struct {
    uint32_t x, y;
    int pane;
    bool dragging, splitting;
} press;

static void pick(app *a, const pane *p, const frame *f, bool clicked)
{
    const sy_history *h = p->source.history;
    look *l = &a->look;
    uint32_t x, y;
    if (clicked) {
        press.dragging = cell_at(h, f, gui_mouse(), false, &press.x, &press.y);
        if (press.dragging && l->patch_x == (int)press.x && l->patch_y == (int)press.y && l->patch_width == 1 &&
            l->patch_height == 1) {
            l->patch_x = l->patch_y = -1;
            press.dragging = false;
            return;
        }
    }
    if (!press.dragging || !cell_at(h, f, gui_mouse(), true, &x, &y))
        return;
    l->patch_x = (int)(x < press.x ? x : press.x);
    l->patch_y = (int)(y < press.y ? y : press.y);
    l->patch_width = (int)(x < press.x ? press.x - x : x - press.x) + 1;
    l->patch_height = (int)(y < press.y ? press.y - y : y - press.y) + 1;
}

/* The strongest experts, or blocks read, of the patch under the pointer. */
static void tip(app *a, const pane *p, uint32_t x, uint32_t y)
{
    overlay_request r;
    const char *why;
    uint32_t words;
    if (!pane_overlay(a, p, &p->source, &r, &why) || !r.layer || r.layer->kind > LAYER_BLOCKS || !gui_tip_begin())
        return;
    const ask_question q = {.kind = ASK_REGION,
                            .source = r.source,
                            .layer = r.layer,
                            .picture = r.picture,
                            .half = r.half,
                            .picked = {x, y, x, y}};
    const float *given = overlay_ask(a->sight.overlay, &q, &words);
    gui_text("%s, patch %u, %u", r.layer->name, x, y);
    bool shown[4096] = {false};
    for (int n = 0; given && n < 4; n++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t t = 0; t < words / 2 && t < 4096; t++)
            if (!shown[t] && given[2 * t + 1] > 0 && (best == UINT32_MAX || given[2 * t] > given[2 * best]))
                best = t;
        if (best == UINT32_MAX)
            break;
        shown[best] = true;
        palette_colour c = palette_expert(best);
        if (r.layer->kind == LAYER_BLOCKS)
            gui_text("reads block %u, %s %.3g", best, r.layer->shares ? "weight" : "score", (double)given[2 * best]);
        else
            gui_text_coloured(GUI_RGB(c.r, c.g, c.b), "%s %u, weight %.3f",
                              r.layer->kind == LAYER_EXPERTS ? "expert" : "runs", best, (double)given[2 * best]);
    }
    gui_tip_end();
}

static bool near_split(const app *a, const pane *p, const frame *f)
{
    float x = f->x0 + a->look.split * (f->x1 - f->x0);
    return p->right.history && fabsf(gui_mouse().x - x) < gui_px(6);
}

static void interact(app *a, int name, const pane *p, const frame *f, const float middle[2])
{
    look *l = &a->look;
    uint32_t x, y;
    bool hovered = gui_hovered(), active = gui_active(), clicked = hovered && gui_mouse_clicked(0);
    if (clicked) {
        l->picture = (int)p->picture;
        press.splitting = near_split(a, p, f);
        press.dragging = false;
        press.pane = name;
    }
    if (press.pane == name && (clicked || press.dragging || press.splitting) &&
        (gui_mouse_down(0) || gui_mouse_released(0))) { /* also when it is let go: it may have moved meanwhile */
        if (press.splitting)
            l->split = fminf(fmaxf((gui_mouse().x - f->x0) / (f->x1 - f->x0), 0), 1);
        else
            pick(a, p, f, clicked);
    }
    if (gui_mouse_released(0))
        press.dragging = press.splitting = false;
    if (active && !gui_mouse_down(0)) {
        gui_size moved = gui_mouse_moved();
        l->pan_x += moved.x / (f->x1 - f->x0);
        l->pan_y += moved.y / (f->x1 - f->x0);
        gui_cursor_set(GUI_MOVE_ALL);
    }
    if (hovered && gui_wheel() != 0)
        zoom_at(a, f, middle, gui_wheel());
    if (hovered && near_split(a, p, f)) {
        gui_cursor_set(GUI_RESIZE_ACROSS);
    } else if (hovered && !active && cell_at(p->source.history, f, gui_mouse(), false, &x, &y)) {
        outline(p->source.history, f, (overlay_cells){x, y, x, y}, GUI_RGBA(255, 255, 255, 160), 1);
        tip(a, p, x, y);
    }
}

void pane_draw(app *a, int name, const pane *p, float x0, float y0, float x1, float y1)
{
    const sy_history *h = p->source.history;
    const frame f = place(a, h, x0, y0, x1, y1);
    const frame shown = {fmaxf(f.x0, x0), fmaxf(f.y0, y0), fminf(f.x1, x1), fminf(f.y1, y1)};
    const float middle[2] = {(x0 + x1) / 2, (y0 + y1) / 2}, split = f.x0 + a->look.split * (f.x1 - f.x0);
    const char *why;
    gui_place_set(x0, y0);
    gui_name_begin_number(name);
    gui_area("pane", x1 - x0, y1 - y0);
    gui_clip_begin(x0, y0, x1, y1);
    if (p->right.history) {
        gui_clip_begin(x0, y0, split, y1);
        why = side_of(a, p, &p->source, &f);
        gui_clip_end();
        gui_clip_begin(split, y0, x1, y1);
        const char *other = side_of(a, p, &p->right, &f);
        why = why ? why : other;
        gui_clip_end();
        gui_draw_line(split, shown.y0, split, shown.y1, GUI_RGBA(0, 0, 0, 200), gui_px(4));
        gui_draw_line(split, shown.y0, split, shown.y1, GUI_ACCENT, gui_px(2));
        gui_draw_filled(split - gui_px(4), middle[1] - gui_px(14), split + gui_px(4), middle[1] + gui_px(14), GUI_ACCENT,
                        gui_px(4)); /* it can be taken */
    } else {
        why = side_of(a, p, &p->source, &f);
    }
    overlay_cells picked = sight_picked(a);
    if (picked.x0 <= picked.x1 && h->grid_width && picked.x1 < h->grid_width && picked.y1 < h->grid_height)
        outline(h, &f, picked, GUI_ACCENT, gui_px(2));
    interact(a, name, p, &f, middle);
    if (p->selected)
        gui_draw_rectangle(shown.x0, shown.y0, shown.x1, shown.y1, GUI_ACCENT, 0, gui_px(2));
    draw_notes(p, &shown, why, x1);
    gui_clip_end();
    gui_name_end();
}
