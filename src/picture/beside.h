/* Sheets of the same pictures made in several ways, side by side, with what differs. */
#ifndef SY_PICTURE_BESIDE_H
#define SY_PICTURE_BESIDE_H

#include "graph/base/error.h"
#include "src/switchyard.h"

/* One way: a column of pictures under its title; all but the first way have a column of differences from the first
 * beside it. `lines`: what is said below the column, lines apart by \n. */
typedef struct sy_beside {
    const char *title, *lines;
    const sy_result *result;
} sy_beside;

/* Difference of two results of the same size, over all their values. psnr in decibels of the 8-bit pictures, infinite
 * where they are equal; mean absolute difference of their 8-bit values. */
typedef struct sy_beside_difference {
    double psnr, mean;
} sy_beside_difference;
sy_beside_difference sy_beside_compare(const sy_result *a, const sy_result *b);

enum { SY_BESIDE_AMPLIFIED = 4 }; /* differences are shown so many times as large, around grey */

/* One PNG: a row a picture. All results have pictures, as many and as large. */
bool sy_beside_sheet(const char *path, const sy_beside *ways, uint32_t n, const char *title, sy_error *error);

#endif
