/* Contact sheets: which expert made which patch, from noise to picture. */
#include "src/picture/canvas.h"
#include "src/picture/maps.h"
#include "src/picture/png.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 128, GAP = 8, TITLE = 14, BARS = 28, LINES = 2 * 10, MARGIN = 10 };

static const sy_colour paper = {250, 250, 248}, ink = {40, 40, 40}, faint = {150, 150, 150}, nobody = {0, 0, 0};

typedef struct sheet {
    const sy_result *result;
    uint32_t picture, n_rows, n_routes;
    const sy_tap_result **routes;
    const sy_tap_result *preview;
    sy_canvas canvas;
    int32_t *owner;
    uint32_t *load;
    uint8_t *pixels;      /* of one preview */
    uint32_t scale, side; /* of pictures on the sheet; cells are side x side */
} sheet;

static uint32_t evaluations_of(const sheet *s)
{
    return s->routes[0]->evaluations;
}

/* Evenly spread, from the first to the last. */
static uint32_t evaluation_of(const sheet *s, uint32_t row)
{
    return s->n_rows < 2 ? evaluations_of(s) - 1
                         : (uint32_t)((uint64_t)row * (evaluations_of(s) - 1) / (s->n_rows - 1));
}

static uint8_t to_byte(float x)
{
    float y = 127.5f * x + 128.0f;
    return y >= 255.0f ? 255 : y >= 0.0f ? (uint8_t)y : 0;
}

/* The estimate of the clean picture at an evaluation, or the finished one; grey for latent models. */
static void load_pixels(sheet *s, uint32_t evaluation)
{
    const sy_result *r = s->result;
    size_t plane = (size_t)r->width * r->height, picture = plane * r->channels;
    const float *x = r->data + s->picture * picture;
    if (s->preview && evaluation < s->preview->evaluations)
        x = (const float *)s->preview->array.data + ((size_t)evaluation * r->count + s->picture) * picture;
    for (size_t i = 0; i < plane; i++)
        for (size_t k = 0; k < 3; k++)
            s->pixels[3 * i + k] =
                r->pictures ? to_byte(x[(k < r->channels ? k : r->channels - 1) * plane + i]) : to_byte(0.4f * x[i]);
}

static void draw_map(sheet *s, uint32_t x, uint32_t y)
{
    const sy_result *r = s->result;
    for (uint32_t j = 0; j < s->side; j++)
        for (uint32_t i = 0; i < s->side; i++) {
            uint32_t column = i * r->grid_width / s->side, row = j * r->grid_height / s->side;
            int32_t e = s->owner[row * r->grid_width + column];
            sy_colour c = e < 0 ? nobody : sy_palette((uint32_t)e);
            const uint8_t *p = s->pixels + 3 * ((size_t)(j / s->scale) * r->width + i / s->scale);
            int light = (p[0] * 3 + p[1] * 6 + p[2]) / 10; /* the picture shows through as light and shade */
            uint8_t mixed[3] = {(uint8_t)((c.r * 3 + light) / 4), (uint8_t)((c.g * 3 + light) / 4),
                                (uint8_t)((c.b * 3 + light) / 4)};
            sy_canvas_box(&s->canvas, x + i, y + j, 1, 1, (sy_colour){mixed[0], mixed[1], mixed[2]});
        }
}

static void draw_load(sheet *s, const sy_map_facts *facts, uint32_t x, uint32_t y)
{
    uint32_t most = 1, n = (uint32_t)facts->targets, width = s->side / n ? s->side / n : 1;
    char text[64];
    for (uint32_t e = 0; e < n; e++)
        most = s->load[e] > most ? s->load[e] : most;
    for (uint32_t e = 0; e < n; e++) {
        uint32_t high = (s->load[e] * (BARS - 4) + most - 1) / most;
        sy_canvas_box(&s->canvas, x + e * width, y + BARS - high, width > 2 ? width - 1 : width, high, sy_palette(e));
    }
    sy_canvas_box(&s->canvas, x, y + BARS, n * width, 1, faint);
    snprintf(text, sizeof text, "even %.2f of %u/%u", facts->evenness, facts->used, n);
    sy_canvas_text(&s->canvas, x, y + BARS + 4, text, ink);
    if (facts->gate >= 0) {
        snprintf(text, sizeof text, "gate %.2f bits", facts->gate);
        sy_canvas_text(&s->canvas, x, y + BARS + 14, text, ink);
    }
}

static uint32_t cell_height(const sheet *s)
{
    return s->side + BARS + LINES + GAP;
}

static void draw(sheet *s, const char *title)
{
    char text[96];
    sy_canvas_text(&s->canvas, MARGIN, MARGIN, title, ink);
    for (uint32_t k = 0; k < s->n_routes; k++) {
        snprintf(text, sizeof text, "%.*s", (int)(s->side / SY_GLYPH_WIDTH), s->routes[k]->name);
        sy_canvas_text(&s->canvas, MARGIN + (k + 1) * (s->side + GAP), MARGIN + TITLE, text, ink);
    }
    for (uint32_t row = 0; row < s->n_rows; row++) {
        uint32_t evaluation = evaluation_of(s, row), y = MARGIN + 2 * TITLE + row * cell_height(s);
        load_pixels(s, evaluation);
        sy_canvas_picture(&s->canvas, MARGIN, y, s->pixels, s->result->width, s->result->height, s->scale);
        snprintf(text, sizeof text, "step %u of %u", evaluation + 1, evaluations_of(s));
        sy_canvas_text(&s->canvas, MARGIN, y + s->side + 4, text, ink);
        for (uint32_t k = 0; k < s->n_routes; k++) {
            uint32_t x = MARGIN + (k + 1) * (s->side + GAP);
            sy_map_facts facts;
            sy_map_read(s->result, s->routes[k], evaluation, s->picture, s->owner, s->load, &facts);
            draw_map(s, x, y);
            draw_load(s, &facts, x, y + s->side + 2);
        }
    }
    uint32_t y = MARGIN + 2 * TITLE + s->n_rows * cell_height(s);
    for (uint32_t e = 0; e < (uint32_t)s->routes[0]->targets; e++) {
        uint32_t x = MARGIN + e * 30;
        snprintf(text, sizeof text, "%u", e);
        sy_canvas_box(&s->canvas, x, y, 10, 10, sy_palette(e));
        sy_canvas_text(&s->canvas, x + 12, y + 2, text, ink);
    }
}

static bool prepare(sheet *s, uint32_t most_rows, sy_error *error)
{
    const sy_result *r = s->result;
    int32_t targets = 1;
    s->routes = calloc((size_t)r->n_taps + 1, sizeof *s->routes);
    s->owner = calloc(r->tokens_per_picture, sizeof *s->owner);
    s->pixels = calloc((size_t)r->width * r->height, 3);
    for (uint32_t i = 0; s->routes && i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        if (t->is_route && t->evaluations && t->rows >= (int64_t)r->count * r->tokens_per_picture) {
            s->routes[s->n_routes++] = t;
            targets = t->targets > targets ? t->targets : targets;
        } else if (!t->is_route && !strcmp(t->name, "preview") && t->array.type == SY_ARRAY_F32) {
            s->preview = t;
        }
    }
    s->load = calloc((size_t)targets, sizeof *s->load);
    if (!s->routes || !s->owner || !s->pixels || !s->load)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a routing map");
    if (!s->n_routes)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "there are no routes to show: the model has no mixture of experts");
    s->n_rows = evaluations_of(s) < most_rows ? evaluations_of(s) : most_rows;
    s->scale = r->width < CELL ? CELL / r->width : 1;
    s->side = r->width * s->scale;
    uint32_t legend = 2 * MARGIN + (uint32_t)targets * 30, width = 2 * MARGIN + (s->n_routes + 1) * (s->side + GAP);
    s->canvas = sy_canvas_create(width > legend ? width : legend,
                                 2 * MARGIN + 2 * TITLE + s->n_rows * cell_height(s) + 12, paper);
    return s->canvas.rgb || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a routing map");
}

bool sy_map_sheet(const char *path, const sy_result *result, uint32_t picture, uint32_t most_rows, const char *title,
                  sy_error *error)
{
    sheet s = {.result = result, .picture = picture};
    sy_png_text text = {"Title", title};
    bool ok = prepare(&s, most_rows, error);
    if (ok) {
        draw(&s, title);
        ok = sy_png_write(path, s.canvas.width, s.canvas.height, s.canvas.rgb, &text, 1, error);
    }
    free(s.canvas.rgb);
    free(s.routes);
    free(s.owner);
    free(s.load);
    free(s.pixels);
    return ok;
}
