/* What the colours of a tile mean, with the load of each expert. */
#ifndef SY_VIEWER_LEGEND_H
#define SY_VIEWER_LEGEND_H

#include "viewer/app.h"

/* Draws into the rectangle. Experts are columns as high as their load; a click shows one alone, another all again. */
void legend_draw(app *a, const overlay_request *request, float x0, float y0, float x1, float y1);
float legend_height(void);

#endif
