/* A picture to draw on: boxes, scaled pictures, small text. Everything is clipped; nothing fails but making one. */
#ifndef SY_PICTURE_CANVAS_H
#define SY_PICTURE_CANVAS_H

#include <stdint.h>

typedef struct sy_colour {
    uint8_t r, g, b;
} sy_colour;

typedef struct sy_canvas {
    uint32_t width, height;
    uint8_t *rgb;
} sy_canvas;

enum { SY_GLYPH_WIDTH = 6, SY_GLYPH_HEIGHT = 8 }; /* of a character cell */

/* rgb NULL when memory is out. Free rgb with free(). */
sy_canvas sy_canvas_create(uint32_t width, uint32_t height, sy_colour background);
void sy_canvas_box(sy_canvas *canvas, uint32_t x, uint32_t y, uint32_t width, uint32_t height, sy_colour colour);
/* Pixels become boxes of scale x scale. */
void sy_canvas_picture(sy_canvas *canvas, uint32_t x, uint32_t y, const uint8_t *rgb, uint32_t width, uint32_t height,
                       uint32_t scale);
/* Digits, letters (shown as capitals) and a few signs; others are blank. */
void sy_canvas_text(sy_canvas *canvas, uint32_t x, uint32_t y, const char *text, sy_colour colour);

/* Colours of experts: distinct for the first 16, also with the common kinds of colour blindness as far as that goes;
 * later ones repeat the hues in other lights. */
sy_colour sy_palette(uint32_t index);

#endif
