/* Contact sheets: what every evaluation was, which expert made which patch and which patches were left out, from noise
 * to picture. */
#include "src/picture/canvas.h"
#include "src/picture/maps.h"
#include "src/picture/png.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 128, GAP = 8, TITLE = 14, BARS = 28, LINES = 2 * 10, MARGIN = 10, STRIP = 12, CURVE = 24 };
enum {
    MOST_ROUTES = 16,
    MOST_HEATS = 4,
    MOST_ENERGIES = 32,
    ENERGY = 9,
    MOST_STRIP = 1200
}; /* columns of maps; pixels of the strip of evaluations */

static const sy_colour paper = {250, 250, 248}, ink = {40, 40, 40}, faint = {150, 150, 150}, nobody = {0, 0, 0};

/* What an evaluation was. */
enum { GUIDED, UNGUIDED, CACHED, ACTIVE, LEFT_OUT, KINDS };
static const sy_colour kind_colours[KINDS] = {
    {40, 90, 170}, {140, 180, 220}, {70, 160, 90}, {225, 145, 40}, {225, 225, 225}};
static const char *const kind_names[KINDS] = {"guided", "unguided", "cached", "some tokens", "left out"};

typedef struct sheet {
    const sy_result *result;
    uint32_t picture, n_rows, n_routes;
    const sy_tap_result **routes;
    const sy_tap_result *preview, *velocity, *guidance, *skipped, *heats[MOST_HEATS], *energies[MOST_ENERGIES];
    uint32_t n_heats, n_energies;
    sy_canvas canvas;
    int32_t *owner;
    uint32_t *load;
    uint8_t *pixels;      /* of one preview */
    uint32_t scale, side; /* of pictures on the sheet; cells are side x side */
} sheet;

/* Rows of the taps; without any, the evaluations. */
static uint32_t evaluations_of(const sheet *s)
{
    return s->preview ? s->preview->evaluations : s->n_routes ? s->routes[0]->evaluations : s->result->n_evaluations;
}

static const sy_evaluation *evaluation_at(const sheet *s, uint32_t row)
{
    for (uint32_t i = 0; i < s->result->n_evaluations; i++)
        if (s->result->evaluations[i].row == row)
            return &s->result->evaluations[i];
    return NULL;
}

static int kind_of(const sy_evaluation *e)
{
    return !e->ran                         ? LEFT_OUT
           : !strcmp(e->program, "cached") ? CACHED
           : !strcmp(e->program, "active") ? ACTIVE
           : e->guided                     ? GUIDED
                                           : UNGUIDED;
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

static uint32_t strip_box(const sheet *s)
{
    uint32_t n = s->result->n_evaluations ? s->result->n_evaluations : 1;
    return n * 12 <= MOST_STRIP ? 12 : n >= MOST_STRIP ? 1 : MOST_STRIP / n;
}

static uint32_t strip_height(const sheet *s)
{
    return s->result->n_evaluations ? STRIP + CURVE + 2 * TITLE + GAP + s->n_energies * ENERGY : 0;
}

/* The number a tap f32[count] has for the picture in a row; 0 where there is none. */
static double number_of(const sheet *s, const sy_tap_result *t, uint32_t row)
{
    return t && row < t->evaluations ? (double)((const float *)t->array.data)[row * s->result->count + s->picture] : 0;
}

static void draw_curve(sheet *s, const sy_tap_result *t, double most, uint32_t y, sy_colour colour)
{
    uint32_t box = strip_box(s);
    for (uint32_t i = 0; t && i < s->result->n_evaluations; i++) {
        double x = number_of(s, t, s->result->evaluations[i].row);
        uint32_t high = x > 0 && most > 0 ? (uint32_t)(x >= most ? CURVE : x / most * CURVE) : 0;
        sy_canvas_box(&s->canvas, MARGIN + i * box, y + CURVE - high, box > 2 ? box - 1 : box, high, colour);
    }
}

/* A row of boxes for each skip connection, one an evaluation: how strong what comes over the skip is beside what it
 * joins, light for weak, dark for the strongest of all. */
static void draw_energies(sheet *s, uint32_t y)
{
    const sy_result *r = s->result;
    uint32_t box = strip_box(s);
    float most = 0;
    for (int turn = 0; turn < 2; turn++) /* first the strongest is looked for */
        for (uint32_t k = 0; k < s->n_energies; k++) {
            const sy_tap_result *t = s->energies[k];
            uint64_t numbers = t->array.bytes / t->evaluations / 4;
            for (uint32_t i = 0; i < r->n_evaluations; i++) {
                if (r->evaluations[i].row >= t->evaluations)
                    continue;
                float e = ((const float *)t->array.data)[r->evaluations[i].row * numbers + s->picture];
                most = turn == 0 && e > most ? e : most;
                uint8_t light = (uint8_t)(240 - 200 * (most > 0 && e > 0 ? e / most : 0));
                if (turn)
                    sy_canvas_box(&s->canvas, MARGIN + i * box, y + k * ENERGY, box > 2 ? box - 1 : box, ENERGY - 1,
                                  (sy_colour){light, light, 240});
            }
            if (turn)
                sy_canvas_text(&s->canvas, MARGIN + r->n_evaluations * box + 6, y + k * ENERGY, t->name, ink);
        }
}

/* All evaluations in a row, and the sizes of velocity and guidance below. */
static void draw_strip(sheet *s, uint32_t y)
{
    uint32_t box = strip_box(s), seen = 0, x = MARGIN;
    double most = 0;
    for (uint32_t i = 0; i < s->result->n_evaluations; i++) {
        const sy_evaluation *e = &s->result->evaluations[i];
        int kind = kind_of(e);
        sy_canvas_box(&s->canvas, MARGIN + i * box, y, box > 2 ? box - 1 : box, STRIP - 1, kind_colours[kind]);
        seen |= 1u << kind;
        double v = number_of(s, s->velocity, e->row);
        most = v > most ? v : most;
    }
    draw_curve(s, s->velocity, most, y + STRIP + 2, faint);
    draw_curve(s, s->guidance, most, y + STRIP + 2, kind_colours[GUIDED]);
    draw_energies(s, y + STRIP + CURVE + TITLE + 6);
    for (int k = 0; k < KINDS; k++) {
        if (!(seen >> k & 1))
            continue;
        sy_canvas_box(&s->canvas, x, y + STRIP + CURVE + 6, 10, 8, kind_colours[k]);
        sy_canvas_text(&s->canvas, x + 13, y + STRIP + CURVE + 6, kind_names[k], ink);
        x += 13 + SY_GLYPH_WIDTH * ((uint32_t)strlen(kind_names[k]) + 2);
    }
}

/* How often each token was left out so far, light to dark. */
static void draw_skipped(sheet *s, uint32_t evaluation, uint32_t x, uint32_t y)
{
    const sy_result *r = s->result;
    const float *times =
        (const float *)s->skipped->array.data + ((size_t)evaluation * r->count + s->picture) * r->tokens_per_picture;
    float most = 1;
    for (uint32_t i = 0; i < r->tokens_per_picture; i++)
        most = times[i] > most ? times[i] : most;
    for (uint32_t j = 0; j < s->side; j++)
        for (uint32_t i = 0; i < s->side; i++) {
            float t = times[j * r->grid_height / s->side * r->grid_width + i * r->grid_width / s->side] / most;
            uint8_t light = (uint8_t)(240 - 200 * (t > 0 ? t : 0));
            sy_canvas_box(&s->canvas, x + i, y + j, 1, 1, (sy_colour){light, light, (uint8_t)(light / 2 + 110)});
        }
    char text[64];
    snprintf(text, sizeof text, "at most %.0f times", (double)most);
    sy_canvas_text(&s->canvas, x, y + s->side + 4, text, ink);
}

/* Size of a picture's values, over the channels, dark to light; the largest below. */
static void draw_heat(sheet *s, const sy_tap_result *t, uint32_t evaluation, uint32_t x, uint32_t y)
{
    const sy_result *r = s->result;
    size_t plane = (size_t)r->width * r->height, picture = plane * r->channels;
    const float *values = (const float *)t->array.data + ((size_t)evaluation * r->count + s->picture) * picture;
    float most = 0;
    for (size_t i = 0; i < picture; i++)
        most = fmaxf(most, fabsf(values[i]));
    for (uint32_t j = 0; j < s->side; j++)
        for (uint32_t i = 0; i < s->side; i++) {
            float sum = 0;
            for (size_t c = 0; c < r->channels; c++)
                sum += fabsf(values[c * plane + (size_t)(j / s->scale) * r->width + i / s->scale]);
            float share = most > 0 ? sqrtf(sum / (most * (float)r->channels)) : 0;
            uint8_t light = (uint8_t)(15 + 235 * (share < 1 ? share : 1));
            sy_canvas_box(&s->canvas, x + i, y + j, 1, 1, (sy_colour){light, (uint8_t)(light * 3 / 4), 40});
        }
    char text[64];
    snprintf(text, sizeof text, "at most %.2g", (double)most);
    sy_canvas_text(&s->canvas, x, y + s->side + 4, text, ink);
}

/* Is it a route over the tokens of the pictures (once, or with unconditional and perturbed copies)? Else its rows are
 * blocks of queries, head after head, and its targets blocks of keys. */
static bool over_tokens(const sy_result *r, const sy_tap_result *t)
{
    int64_t tokens = (int64_t)r->count * r->tokens_per_picture;
    return tokens && t->rows % tokens == 0 && t->rows <= 3 * tokens && !strstr(t->name, ".attn.");
}

/* Share of a picture's heads that keep a pair of blocks, black to white; how many of all pairs below. */
static void draw_mask(sheet *s, const sy_tap_result *t, uint32_t evaluation, uint32_t x, uint32_t y)
{
    const sy_route_step *step = &t->steps[evaluation];
    const sy_evaluation *e = evaluation_at(s, evaluation);
    uint32_t samples = s->result->count * (e && e->guided ? 2 : 1), keys = (uint32_t)t->targets;
    uint32_t rows = (uint32_t)t->rows / samples, blocks = rows % keys ? rows : keys, kept = 0;
    uint32_t *count = calloc((size_t)blocks * keys + 1, sizeof *count);
    for (uint32_t i = 0; count && i < step->n_slots; i++) {
        uint32_t row = (uint32_t)step->row[i];
        if (row / (rows ? rows : 1) != s->picture)
            continue;
        count[(size_t)(row % blocks) * keys + (uint32_t)step->target[i]]++;
        kept++;
    }
    for (uint32_t j = 0; count && j < s->side; j++)
        for (uint32_t i = 0; i < s->side; i++) {
            uint32_t n = count[(size_t)(j * blocks / s->side) * keys + i * keys / s->side];
            uint8_t light = (uint8_t)(20 + 220 * (uint64_t)n * blocks / (rows ? rows : 1));
            sy_canvas_box(&s->canvas, x + i, y + j, 1, 1, (sy_colour){light, light, light});
        }
    char text[64];
    snprintf(text, sizeof text, "kept %.0f%%", rows ? 100.0 * kept / ((double)rows * keys) : 0.0);
    sy_canvas_text(&s->canvas, x, y + s->side + 4, text, ink);
    free(count);
}

/* Tokens of an evaluation in which all run have no route of the running ones. */
static void read_route(sheet *s, const sy_tap_result *route, uint32_t evaluation, sy_map_facts *facts)
{
    const sy_evaluation *e = evaluation_at(s, evaluation);
    sy_map_read(s->result, route, evaluation, s->picture, s->owner, s->load, facts);
    if (route->targets != 1 || !strstr(route->name, "active.route") || !e || !e->ran || kind_of(e) == ACTIVE)
        return;
    memset(s->owner, 0, s->result->tokens_per_picture * sizeof *s->owner);
    s->load[0] = s->result->tokens_per_picture;
}

static void draw_columns(sheet *s, uint32_t top)
{
    char text[96];
    uint32_t heats = s->n_routes + s->n_heats, columns = heats + (s->skipped != NULL);
    for (uint32_t k = 0; k < columns; k++) {
        const char *name = k < s->n_routes ? s->routes[k]->name
                           : k < heats     ? s->heats[k - s->n_routes]->name
                                           : "left out";
        snprintf(text, sizeof text, "%.*s", (int)(s->side / SY_GLYPH_WIDTH), name);
        sy_canvas_text(&s->canvas, MARGIN + (k + 1) * (s->side + GAP), top - TITLE, text, ink);
    }
    for (uint32_t row = 0; row < s->n_rows; row++) {
        uint32_t evaluation = evaluation_of(s, row), y = top + row * cell_height(s);
        load_pixels(s, evaluation);
        sy_canvas_picture(&s->canvas, MARGIN, y, s->pixels, s->result->width, s->result->height, s->scale);
        snprintf(text, sizeof text, "step %u of %u", evaluation + 1, evaluations_of(s));
        sy_canvas_text(&s->canvas, MARGIN, y + s->side + 4, text, ink);
        for (uint32_t k = 0; k < s->n_routes; k++) {
            uint32_t x = MARGIN + (k + 1) * (s->side + GAP);
            sy_map_facts facts;
            if (!over_tokens(s->result, s->routes[k])) {
                draw_mask(s, s->routes[k], evaluation, x, y);
                continue;
            }
            read_route(s, s->routes[k], evaluation, &facts);
            draw_map(s, x, y);
            draw_load(s, &facts, x, y + s->side + 2);
        }
        for (uint32_t k = 0; k < s->n_heats; k++)
            draw_heat(s, s->heats[k], evaluation, MARGIN + (s->n_routes + k + 1) * (s->side + GAP), y);
        if (s->skipped)
            draw_skipped(s, evaluation, MARGIN + columns * (s->side + GAP), y);
    }
}

static void draw(sheet *s, const char *title, uint32_t targets)
{
    char text[32];
    uint32_t top = MARGIN + 2 * TITLE + strip_height(s);
    sy_canvas_text(&s->canvas, MARGIN, MARGIN, title, ink);
    if (s->result->n_evaluations)
        draw_strip(s, MARGIN + TITLE);
    draw_columns(s, top);
    uint32_t y = top + s->n_rows * cell_height(s);
    for (uint32_t e = 0; e < targets; e++) {
        uint32_t x = MARGIN + e * 30;
        snprintf(text, sizeof text, "%u", e);
        sy_canvas_box(&s->canvas, x, y, 10, 10, sy_palette(e));
        sy_canvas_text(&s->canvas, x + 12, y + 2, text, ink);
    }
}

static bool is_tap(const sy_tap_result *t, const char *name, uint64_t bytes)
{
    return !t->is_route && !strcmp(t->name, name) && t->array.type == SY_ARRAY_F32 && t->evaluations &&
           t->array.bytes == t->evaluations * bytes;
}

/* A number a sample, the conditional ones first. */
static bool is_energy(const sy_result *r, const sy_tap_result *t)
{
    size_t n = strlen(t->name), end = sizeof "skip_energy" - 1;
    return !t->is_route && n >= end && !strcmp(t->name + n - end, "skip_energy") && t->array.type == SY_ARRAY_F32 &&
           t->evaluations && t->array.bytes / t->evaluations >= 4 * (uint64_t)r->count;
}

/* Maps of the picture's size; that of the velocity itself says little beside the preview. */
static bool is_map(const sy_tap_result *t, uint64_t bytes)
{
    static const char *const names[] = {"guidance.map", "perturbation.map", "difference.map"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_tap(t, names[i], bytes))
            return true;
    return false;
}

/* Finds what there is to show. Returns the most targets of a route. */
static uint32_t find_taps(sheet *s)
{
    const sy_result *r = s->result;
    uint64_t picture = (uint64_t)r->width * r->height * r->channels;
    int32_t targets = 0;
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        if (t->is_route && t->evaluations && s->n_routes < MOST_ROUTES) {
            s->routes[s->n_routes++] = t;
            if (over_tokens(r, t))
                targets = t->targets > targets ? t->targets : targets;
        } else if (is_tap(t, "preview", 4 * picture * r->count)) {
            s->preview = t;
        } else if (s->n_energies < MOST_ENERGIES && is_energy(r, t)) {
            s->energies[s->n_energies++] = t;
        } else if (s->n_heats < MOST_HEATS && is_map(t, 4 * picture * r->count)) {
            s->heats[s->n_heats++] = t;
        } else if (is_tap(t, "velocity", 4 * (uint64_t)r->count)) {
            s->velocity = t;
        } else if (is_tap(t, "guidance", 4 * (uint64_t)r->count)) {
            s->guidance = t;
        } else if (is_tap(t, "sampler.skipped", 4 * (uint64_t)r->count * r->tokens_per_picture)) {
            s->skipped = t;
        }
    }
    return (uint32_t)targets;
}

static bool prepare(sheet *s, uint32_t most_rows, uint32_t *targets, sy_error *error)
{
    const sy_result *r = s->result;
    s->routes = calloc(MOST_ROUTES, sizeof *s->routes);
    s->owner = calloc((size_t)r->tokens_per_picture + 1, sizeof *s->owner);
    s->pixels = calloc((size_t)r->width * r->height, 3);
    *targets = s->routes ? find_taps(s) : 0;
    s->load = calloc((size_t)*targets + 1, sizeof *s->load);
    if (!s->routes || !s->owner || !s->pixels || !s->load)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a routing map");
    uint32_t all = s->preview || s->n_routes ? evaluations_of(s) : 1;
    s->n_rows = all < most_rows ? all : most_rows;
    s->scale = r->width < CELL ? CELL / r->width : 1;
    s->side = r->width * s->scale;
    uint32_t columns = s->n_routes + s->n_heats + (s->skipped != NULL) + 1, legend = 2 * MARGIN + *targets * 30;
    uint32_t width = 2 * MARGIN + columns * (s->side + GAP), strip = 2 * MARGIN + r->n_evaluations * strip_box(s);
    width = width > legend ? width : legend;
    strip += s->n_energies ? 240 : 0; /* their names */
    width = width > strip ? width : strip;
    s->canvas = sy_canvas_create(width > 480 ? width : 480,
                                 2 * MARGIN + 2 * TITLE + strip_height(s) + s->n_rows * cell_height(s) + 12, paper);
    return s->canvas.rgb || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a routing map");
}

bool sy_map_sheet(const char *path, const sy_result *result, uint32_t picture, uint32_t most_rows, const char *title,
                  sy_error *error)
{
    sheet s = {.result = result, .picture = picture};
    sy_png_text text = {"Title", title};
    uint32_t targets;
    bool ok = prepare(&s, most_rows, &targets, error);
    if (ok) {
        draw(&s, title, targets);
        ok = sy_png_write(path, s.canvas.width, s.canvas.height, s.canvas.rgb, &text, 1, error);
    }
    free(s.canvas.rgb);
    free(s.routes);
    free(s.owner);
    free(s.load);
    free(s.pixels);
    return ok;
}
