/* What leaves the viewer. Drawing thread; one at a time.
 *
 *   EXPORT_VIEW       a PNG of the middle of the window, as it is seen, with what it was made of as text
 *   EXPORT_PICTURE    a PNG of the chosen picture at the chosen step, in its own pixels, with the same text
 *   EXPORT_STEPS      the middle of the window step by step: .webp an animation, .png a sequence
 *   EXPORT_ROUTES     all routes of the run, .safetensors, as `switchyard generate --routes` writes them
 *
 * An animation is drawn a step a frame, so the window goes on; what is looked at returns to where it was. */
#ifndef SY_VIEWER_EXPORT_H
#define SY_VIEWER_EXPORT_H

#include "viewer/movie.h"

typedef enum export_kind { EXPORT_VIEW, EXPORT_PICTURE, EXPORT_STEPS, EXPORT_ROUTES, EXPORT_KINDS } export_kind;
const char *export_kind_name(export_kind kind); /* in scripts: "view", "picture", "steps", "routes" */

typedef struct export_job {
    bool active;
    export_kind kind;
    char path[1024];
    movie *movie; /* STEPS */
    uint32_t width, height, row, ms;
    int step_before;
    bool drawn; /* the row is in the look of the frame that was built */
    char said[600]; /* the outcome of the last one: "written to …", or what went wrong; "" none */
    bool failed;
} export_job;

struct app;
/* False after writing why: nothing is there to export, or another export is going on. */
bool export_begin(struct app *a, export_kind kind, const char *path, char *error, size_t size);
/* Before a frame is built, and after it was: the job goes on. A job that failed says so in `said`. */
void export_before_frame(struct app *a);
void export_after_frame(struct app *a);
void export_stop(struct app *a); /* nothing half done is left */

#endif
