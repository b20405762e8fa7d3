/* Routing maps: what routes say about a picture, as numbers and as contact sheets. Reads results of the public
 * interface; pure functions but for the writing of files. */
#ifndef SY_PICTURE_MAPS_H
#define SY_PICTURE_MAPS_H

#include "graph/base/error.h"
#include "src/switchyard.h"

/* Taps a result should have been generated with for the functions below; a model has those of them that it has. */
enum { SY_MAP_TAPS = 11 };
extern const char *const sy_map_taps[SY_MAP_TAPS];

/* Facts of one route at one evaluation, over the tokens of one picture (its conditional half). */
typedef struct sy_map_facts {
    int32_t targets;
    double evenness; /* entropy of the load over its largest possible value, 0 … 1 */
    double gate;     /* mean entropy of the tokens' gates, in bits; negative: scores were not tapped */
    uint32_t used;   /* targets with at least one token */
} sy_map_facts;

/* `owner` [tokens]: the target with the largest weight, -1 where a token has none. `load` [tap->targets]: tokens of
 * each. */
void sy_map_read(const sy_result *result, const sy_tap_result *route, uint32_t evaluation, uint32_t picture,
                 int32_t *owner, uint32_t *load, sy_map_facts *facts);

/* One PNG. On top, a box for each evaluation, coloured by what it was (guided, unguided, cached, some tokens, left
 * out), and below it a bar for the size of the velocity and a darker one for that of what guidance changed. Then rows
 * of evaluations from noise to picture (at most `most_rows` of them, evenly spread, the last always), with the preview,
 * a map per route over tokens with its load and its entropies below, a mask per route between blocks of queries and
 * keys (white: kept by all heads), how often each token was left out, and maps of what
 * guidance, a pass without some blocks, or the third difference of the latents amount to. */
bool sy_map_sheet(const char *path, const sy_result *result, uint32_t picture, uint32_t most_rows, const char *title,
                  sy_error *error);

/* All routes of all evaluations as .safetensors: per route "NAME.counts" i32[evaluations], and, one evaluation behind
 * another, "NAME.rows", "NAME.targets" i32 and "NAME.weights" f32. */
bool sy_map_save(const char *path, const sy_result *result, sy_error *error);

#endif
