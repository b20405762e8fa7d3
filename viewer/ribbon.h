/* Paths of tokens as bands between columns of experts, coloured as in the overlay. */
#ifndef SY_VIEWER_RIBBON_H
#define SY_VIEWER_RIBBON_H

#include "viewer/app.h"

/* A column a layer of experts, at the evaluation `s`. Of one patch bands are as wide as the product of its weights in both
 * layers, of several as many patches as go from one strongest expert to the other. A click looks at the layer. Draws its
 * caption, too; returns false where no layer has experts. */
bool ribbon_layers(app *a, const overlay_source *s, overlay_cells picked, float height);
/* A column an evaluation of the run, of one layer. A click goes to the step. */
void ribbon_steps(app *a, const layer *l, overlay_cells picked, float height);

#endif
