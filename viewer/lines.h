/* Lines over the steps of the run: a title with the unit, an axis of values, a legend, a tip with numbers. */
#ifndef SY_VIEWER_LINES_H
#define SY_VIEWER_LINES_H

#include "viewer/app.h"

enum { LINES_MOST = 32, LINES_POINTS = 48 };

typedef struct lines {
    const char *unit;
    uint32_t n, n_points;
    const char *names[LINES_MOST];
    uint32_t rows[LINES_POINTS];             /* of the history */
    float values[LINES_MOST][LINES_POINTS];  /* NAN: none */
    float most;                              /* the axis is 0 … most; 0: it fits the values */
} lines;

/* A click goes to the step under it. `chosen`: name of the line that stands out, may be NULL. Returns the name of the line
 * whose legend was clicked, or NULL. */
const char *lines_draw(app *a, const lines *l, float height, const char *chosen);

#endif
