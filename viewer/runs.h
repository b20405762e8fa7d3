/* The exploration: the runs made so far, what was looked at, the layout; to a file and back. A run is what it was made of:
 * the same request gives the same bytes on the same device, so a file holds no pictures. Drawing thread. */
#ifndef SY_VIEWER_RUNS_H
#define SY_VIEWER_RUNS_H

#include "viewer/engine.h"
#include "viewer/look.h"

enum { RUNS_MOST = 200 }; /* the oldest go first */

typedef struct runs {
    engine_request *list; /* oldest first; owned */
    uint32_t n, seen;     /* seen: number of the engine's last run that is in the list */
    bool before_first;    /* a file was opened: the run before is to be made before the last one */
    engine_request last;  /* and this is that one */
} runs;

struct app;
/* Once a frame: notes new runs, and goes on with what a file asked for. */
void runs_follow(struct app *a);
/* Goes back to a run of the list: the controls say what it says, and it is made again. */
void runs_again(struct app *a, uint32_t index);
void runs_free(runs *r);

/* False after writing why; nothing is changed then. */
bool runs_save(const struct app *a, const char *path, char *error, size_t size);
bool runs_open(struct app *a, const char *path, char *error, size_t size);
/* Whether a file looks like one of these, by its name. */
bool runs_is_file(const char *path);

#endif
