/* What the user looks at: step, layer, overlay, patch, zoom, layout. Plain values; a panel changes them, all draw from
 * them. Saved with an exploration, and (what is layout) remembered from one start to the next. */
#ifndef SY_VIEWER_LOOK_H
#define SY_VIEWER_LOOK_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Name in files and scripts, what it shows. */
#define LOOK_OVERLAYS(X)                                                                                               \
    X(NONE, "none", "no overlay")                                                                                      \
    X(EXPERT, "expert", "expert of each patch")                                                                        \
    X(MIX, "mix", "experts of each patch, mixed")                                                                      \
    X(WEIGHT, "weight", "gate weight")                                                                                 \
    X(ENTROPY, "entropy", "entropy of the gate")                                                                       \
    X(COUNT, "count", "number of experts")                                                                             \
    X(ATTENTION, "attention", "blocks the picked patch attends to")                                                    \
    X(KEPT, "kept", "kept and skipped tokens")                                                                         \
    X(ENERGY, "energy", "energy of the skips")                                                                         \
    X(MAP, "map", "size of guidance or velocity")                                                                      \
    X(DIFFERENCE, "difference", "difference of the pictures")

typedef enum look_overlay {
#define X(id, name, text) LOOK_##id,
    LOOK_OVERLAYS(X)
#undef X
        LOOK_OVERLAY_COUNT
} look_overlay;

/* Against the run before, another step, another device (sight.h). */
#define LOOK_COMPARISONS(X)                                                                                            \
    X(ALONE, "alone", "this run")                                                                                      \
    X(SPLIT, "split", "split: before | now")                                                                           \
    X(BESIDE, "beside", "side by side")                                                                                \
    X(CHANGED, "changed", "what changed")                                                                              \
    X(HALVES, "halves", "conditional | unconditional")                                                                 \
    X(THREE, "three", "both, and what changed")

typedef enum look_comparison {
#define X(id, name, text) LOOK_##id,
    LOOK_COMPARISONS(X)
#undef X
        LOOK_COMPARISON_COUNT
} look_comparison;

enum { LOOK_NAME = 96 };

/* Type, field, value at first. LATEST: the newest step, following the run. */
enum { LOOK_LATEST = -1 };
#define LOOK_FIELDS(NUMBER, FLAG, REAL, TEXT)                                                                          \
    NUMBER(step, LOOK_LATEST)                                                                                          \
    NUMBER(compare_step, LOOK_LATEST) /* another step of this run to compare with; LATEST: none, the run before */     \
    FLAG(against_device, false)       /* compare with the run on the other device, where there is one */               \
    FLAG(all_layers, false)           /* layers and steps in place of the picture */                                   \
    FLAG(playing, false)                                                                                               \
    REAL(speed, 5) /* steps a second */                                                                                \
    NUMBER(picture, 0)                                                                                                 \
    TEXT(layer) /* stem of its taps, "blocks.3"; "": the first there is */                                             \
    NUMBER(overlay, LOOK_EXPERT)                                                                                       \
    REAL(opacity, 0.55f)                                                                                               \
    FLAG(unconditional, false) /* that half of a guided batch */                                                       \
    NUMBER(expert, -1)         /* shown alone; -1: all */                                                              \
    NUMBER(patch_x, -1)        /* picked; -1: none */                                                                  \
    NUMBER(patch_y, -1)                                                                                                \
    NUMBER(patch_width, 1) /* of a dragged region */                                                                   \
    NUMBER(patch_height, 1)                                                                                            \
    REAL(zoom, 1)                                                                                                      \
    REAL(pan_x, 0) /* of the picture's middle, parts of its width */                                                   \
    REAL(pan_y, 0)                                                                                                     \
    FLAG(smooth, false)                                                                                                \
    NUMBER(comparison, LOOK_ALONE)                                                                                     \
    REAL(split, 0.5f)                                                                                                  \
    TEXT(tab) /* of the details */

/* Layout, in widths of 96 dots an inch. */
#define LOOK_LAYOUT(NUMBER, FLAG, REAL, TEXT)                                                                          \
    REAL(left, 300)                                                                                                    \
    REAL(right, 350)                                                                                                   \
    REAL(bottom, 190)                                                                                                  \
    REAL(text_scale, 1)                                                                                                \
    NUMBER(window_width, 1280)                                                                                         \
    NUMBER(window_height, 800)

typedef struct look {
#define NUMBER(name, first) int name;
#define FLAG(name, first) bool name;
#define REAL(name, first) float name;
#define TEXT(name) char name[LOOK_NAME];
    LOOK_FIELDS(NUMBER, FLAG, REAL, TEXT)
    LOOK_LAYOUT(NUMBER, FLAG, REAL, TEXT)
#undef NUMBER
#undef FLAG
#undef REAL
#undef TEXT
} look;

void look_reset(look *l);
/* All fields as an object, the caller's (cJSON_Delete); NULL: no memory. layout: only those of the layout. */
cJSON *look_to_json(const look *l, bool layout);
/* Takes fields that are there and of the right type and range; others stay. Ignores names it does not know. */
void look_from_json(look *l, const cJSON *object, bool layout);

/* The layout from and to the file of this user; failures leave things as they are: it is a convenience. */
void look_recall(look *l);
void look_remember(const look *l);

const char *look_overlay_name(int overlay); /* NULL past the end */
const char *look_overlay_text(int overlay);
const char *look_comparison_name(int comparison);
const char *look_comparison_text(int comparison);

#endif
