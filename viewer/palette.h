/* The viewer's colours: of experts, of sizes, of differences. Safe for the colour-blind: see tools/viewer/palette.py, which
 * made the table. Pure functions. */
#ifndef SY_VIEWER_PALETTE_H
#define SY_VIEWER_PALETTE_H

#include <stdint.h>

enum { PALETTE_SIZE = 64, PALETTE_STEPS = 256 };

typedef struct palette_colour {
    uint8_t r, g, b;
} palette_colour;

/* 64 that differ, the most different first; from 64 on they begin again. */
palette_colour palette_expert(uint32_t index);
/* Sizes, 0 … 1, dark to light: lightness grows evenly, so that it reads the same without colours (after cividis). */
palette_colour palette_size(float share);
/* Differences, -1 … 1: blue, near black for none, orange. */
palette_colour palette_difference(float share);
extern const palette_colour palette_yes, palette_no; /* kept, left out */

#endif
