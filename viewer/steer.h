/* Rules about routing that the next runs are made with (engine_request.steers), as panels change them. Each change makes the
 * run anew from the same noise. */
#ifndef SY_VIEWER_STEER_H
#define SY_VIEWER_STEER_H

#include "viewer/app.h"

/* Of an expert, at a layer (NULL: at all): nothing is routed to it; or the cells are routed to it first (all, if none are
 * picked). A rule that is there already is not doubled. */
void steer_off(app *a, const layer *l, uint32_t expert);
void steer_to(app *a, const layer *l, uint32_t expert, overlay_cells cells);
/* "expert 3 off, blocks.1". Pure. */
void steer_text(const engine_steer *s, char *out, size_t size);
/* What can be done with an expert at a layer, as items of a menu. */
void steer_menu(app *a, const layer *l, uint32_t expert);
/* Buttons for the expert chosen, and the list of rules with what takes them out. */
void steer_section(app *a, const layer *l, int strongest);

#endif
