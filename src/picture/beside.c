/* See beside.h. */
#include "src/picture/beside.h"

#include "src/picture/canvas.h"
#include "src/picture/png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 128, GAP = 8, LINE = 11, MARGIN = 10, MOST_LINES = 8 };

static const sy_colour paper = {250, 250, 248}, ink = {40, 40, 40};

sy_beside_difference sy_beside_compare(const sy_result *a, const sy_result *b)
{
    size_t n = (size_t)a->count * a->width * a->height * 3;
    double squares = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a->pictures[i] - b->pictures[i];
        squares += d * d;
        sum += fabs(d);
    }
    return (sy_beside_difference){.psnr = squares > 0 ? 10 * log10(255.0 * 255.0 * (double)n / squares) : INFINITY,
                                  .mean = sum / (double)n};
}

/* Words of `text` in lines no wider than `width` pixels; returns the number of lines. */
static uint32_t wrapped(sy_canvas *canvas, uint32_t x, uint32_t y, const char *text, uint32_t width)
{
    size_t room = width / SY_GLYPH_WIDTH;
    uint32_t lines = 0;
    char line[128];
    while (*text && lines < MOST_LINES) {
        size_t n = strcspn(text, "\n");
        if (n > room)
            for (n = room; n > 1 && text[n] != ' ';)
                n--;
        n = n == 1 && text[1] != ' ' && text[1] ? room : n;
        n = n < sizeof line ? n : sizeof line - 1;
        memcpy(line, text, n);
        line[n] = 0;
        if (canvas)
            sy_canvas_text(canvas, x, y + lines * LINE, line, ink);
        lines++;
        text += n;
        text += *text == ' ' || *text == '\n';
    }
    return lines;
}

static void difference(const sy_result *a, const sy_result *b, uint32_t picture, uint8_t *out)
{
    size_t n = (size_t)a->width * a->height * 3;
    for (size_t i = 0; i < n; i++) {
        int d = SY_BESIDE_AMPLIFIED * ((int)b->pictures[picture * n + i] - a->pictures[picture * n + i]) + 128;
        out[i] = (uint8_t)(d < 0 ? 0 : d > 255 ? 255 : d);
    }
}

typedef struct layout {
    uint32_t scale, width, height; /* of a picture as drawn */
    uint32_t head, foot, columns;  /* lines of titles and of what is said below */
} layout;

static layout lay_out(const sy_beside *ways, uint32_t n)
{
    const sy_result *first = ways[0].result;
    layout l = {.columns = 2 * n - 1};
    l.scale = first->width < CELL ? CELL / first->width : 1;
    l.width = first->width * l.scale;
    l.height = first->height * l.scale;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t head = wrapped(NULL, 0, 0, ways[i].title, l.width), foot = wrapped(NULL, 0, 0, ways[i].lines, l.width);
        l.head = head > l.head ? head : l.head;
        l.foot = foot > l.foot ? foot : l.foot;
    }
    return l;
}

bool sy_beside_sheet(const char *path, const sy_beside *ways, uint32_t n, const char *title, sy_error *error)
{
    const sy_result *first = ways[0].result;
    layout l = lay_out(ways, n);
    size_t bytes = (size_t)first->width * first->height * 3;
    uint32_t top = MARGIN + LINE + GAP, pictures = top + l.head * LINE + GAP;
    sy_canvas canvas = sy_canvas_create(2 * MARGIN + l.columns * (l.width + GAP) - GAP,
                                        pictures + first->count * (l.height + GAP) + l.foot * LINE + MARGIN, paper);
    uint8_t *pixels = malloc(bytes);
    if (!canvas.rgb || !pixels) {
        free(canvas.rgb);
        free(pixels);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a sheet");
    }
    sy_canvas_text(&canvas, MARGIN, MARGIN, title, ink);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t x = MARGIN + (i ? 2 * i - 1 : 0) * (l.width + GAP), below = pictures + first->count * (l.height + GAP);
        wrapped(&canvas, x, top, ways[i].title, l.width);
        wrapped(&canvas, x, below, ways[i].lines, l.width);
        if (i)
            wrapped(&canvas, x + l.width + GAP, top, "difference x 4", l.width);
        for (uint32_t p = 0; p < first->count; p++) {
            uint32_t y = pictures + p * (l.height + GAP);
            sy_canvas_picture(&canvas, x, y, ways[i].result->pictures + p * bytes, first->width, first->height,
                              l.scale);
            if (!i)
                continue;
            difference(first, ways[i].result, p, pixels);
            sy_canvas_picture(&canvas, x + l.width + GAP, y, pixels, first->width, first->height, l.scale);
        }
    }
    sy_png_text text = {"Title", title};
    bool ok = sy_png_write(path, canvas.width, canvas.height, canvas.rgb, &text, 1, error);
    free(canvas.rgb);
    free(pixels);
    return ok;
}
