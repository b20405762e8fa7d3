/* What the look (look.h) means for the runs there are: which evaluation, layer and scale, and tiles as textures of the gui.
 * The one place between panels that show runs and the overlay. Drawing thread. */
#ifndef SY_VIEWER_SIGHT_H
#define SY_VIEWER_SIGHT_H

#include "viewer/ask.h"
#include "viewer/import.h"
#include "viewer/look.h"
#include "viewer/paint.h"

typedef struct app app;

/* Whose evaluation: the run's at the step that is looked at; the one it is compared with. */
typedef enum sight_side { SIGHT_NOW, SIGHT_OTHER, SIGHT_SIDES } sight_side;

enum { SIGHT_KNOWN = 3, SIGHT_OLD = 16, SIGHT_MAPS = 16 };

typedef struct sight_atlas {
    uint64_t generation;
    gui_texture nearest, smooth;
} sight_atlas;

/* The ends of a scale: of all steps (and, but for maps, layers) of a run that were looked at, so that they can be compared. */
typedef struct sight_range {
    uint64_t run;
    uint32_t tap;
    float low, high; /* low > high: nothing is known yet */
} sight_range;

typedef struct sight {
    overlay *overlay;
    sight_atlas atlases[2];
    struct {
        gui_texture texture;
        uint64_t frame; /* when it was replaced */
    } old[SIGHT_OLD];
    uint64_t frame;
    struct {
        const sy_history *history;
        uint64_t run;
        layers found;
    } known[SIGHT_KNOWN];
    uint32_t next_known;
    sight_range ranges[LOOK_OVERLAY_COUNT + SIGHT_MAPS];
    import *second; /* of engine_state.second */
    const sy_result *second_of;
    uint64_t second_number;
} sight;

bool sight_open(sight *s, gpu *g); /* false: gpu.error */
void sight_close(app *a);          /* nothing of it may be in flight */
/* The frame that used the slot before is through. */
void sight_begin(app *a);
/* Returns whether there is more to come: tiles that were put off, answers on their way. Frames are then drawn until there is
 * not. */
bool sight_record(app *a, VkCommandBuffer commands);
/* Before what the engine wants back goes; no frame is in flight. */
void sight_let_go(app *a);

/* False: there is no such evaluation. For SIGHT_OTHER: the step look.compare_step of this run, if one is chosen; else the run on the other device, if look.against_device; else the same step of the run before. */
bool sight_source(app *a, sight_side side, overlay_source *source);
/* The run's evaluation at another row. */
bool sight_source_at(app *a, uint32_t row, overlay_source *source);
/* What a side is, for captions: "this run", "the run before", a device; where steps are compared "step 4". */
void sight_name(app *a, sight_side side, char *text, size_t size);
const layers *sight_layers(app *a, const overlay_source *source);

/* Can the kind of overlay be shown of the layer? */
bool sight_fits(look_overlay kind, const layer *l);
/* Has the run any layer for it? */
bool sight_has(app *a, look_overlay kind);
/* The layer that look.layer names, "blocks.3" standing for any tap of that scope, among those that fit the kind of overlay;
 * else the first that fits. NULL: none does. */
const layer *sight_layer(app *a, look_overlay kind);
/* Its counterpart in another run: of the same name. */
const layer *sight_layer_in(app *a, const overlay_source *source, const layer *l);

/* A request for the picture, or for the look's overlay of a layer, of one evaluation. */
overlay_request sight_picture(const overlay_source *source, uint32_t picture);
overlay_request sight_overlay(app *a, look_overlay kind, const overlay_source *source, const layer *l, uint32_t picture);
/* The difference of the two: what the request shows, against the other side. False: there is none. */
bool sight_against(app *a, overlay_request *request);
overlay_cells sight_picked(const app *a);

/* Draws a tile into a rectangle of the region being built. False: it is not there (yet). */
bool sight_draw(app *a, const overlay_request *request, float x0, float y0, float x1, float y1, bool smooth, float opacity);

#endif
