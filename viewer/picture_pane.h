/* One picture of a run with its overlay: drawn, zoomed, picked from. */
#ifndef SY_VIEWER_PICTURE_PANE_H
#define SY_VIEWER_PICTURE_PANE_H

#include "viewer/app.h"

/* What a pane shows. */
typedef struct pane {
    overlay_source source, right; /* right.history: drawn right of the split */
    uint32_t picture;
    int half;      /* -1: that of the look */
    bool changed;  /* against the other side */
    bool selected; /* with an edge, among several */
    char title[96];
} pane;

/* The overlay's request of a pane; false with *why, one sentence, where there is none (NULL: none is wanted). */
bool pane_overlay(app *a, const pane *p, const overlay_source *source, overlay_request *request, const char **why);
/* Draws it into a rectangle of the region being built, and takes the mouse there: a click picks a patch, dragging a region,
 * the wheel zooms at the pointer, the right or middle button moves, the split is dragged. `name` tells panes apart. */
void pane_draw(app *a, int name, const pane *p, float x0, float y0, float x1, float y1);

#endif
