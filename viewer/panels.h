/* The panels, one file each: panel_NAME.c. A row puts it somewhere; it is called every frame inside its region. Tabs of the
 * details are called only while they are shown. */
#ifndef SY_VIEWER_PANELS_H
#define SY_VIEWER_PANELS_H

#include "viewer/app.h"

/* Name, title of the tab. */
#define PANELS_LEFT(X) X(controls, "Controls")
#define PANELS_CENTRE(X) X(picture, "Picture")
#define PANELS_RIGHT(X)                                                                                                \
    X(patch, "Patch") X(statistics, "Stats") X(profile, "Profile") X(devices, "Devices") X(run, "Run") X(runs, "Runs") \
    X(export, "Export")
#define PANELS_BOTTOM(X) X(time, "Time")

#define X(name, title) void panel_##name(app *a);
PANELS_LEFT(X)
PANELS_CENTRE(X)
PANELS_RIGHT(X)
PANELS_BOTTOM(X)
#undef X

/* In place of the picture, within the rectangle. */
void panel_layers(app *a, float x0, float y0, float x1, float y1);
void panel_help(app *a);   /* over everything, while app.show_help */
void panel_banner(app *a); /* app.banner */

/* Keys that work everywhere while no text is being typed: keys.c. The list is what help shows. */
void keys_apply(app *a);
bool keys_at(uint32_t index, const char **keys, const char **text); /* false past the end */

#endif
