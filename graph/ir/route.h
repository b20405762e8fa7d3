/* How a route lies in memory: one buffer of 32-bit words, in sections. Shaders, the reference evaluator, taps and
 * the viewer all read this one layout; see shaders/route.glsl for the same in GLSL.
 *
 *   count        [1]        slots in use, at most `slots`
 *   offsets      [E + 1]    slots of target e: offsets[e] … offsets[e+1]-1; slots are sorted by (target, row)
 *   rows         [S]        row of each slot
 *   targets      [S]        target of each slot
 *   weights      [S]        f32 bits
 *   row_offsets  [T + 1]    entries of row t in row_slots
 *   row_slots    [S]        slots of each row, targets ascending
 *   tiles        [1 + 2 * max_tiles]  number of row tiles, then a pair a tile: (target, first slot).
 *                           Tile i of target e covers slots offsets[e] + i * tile_rows …, never two targets.
 *   indirect     [3 * SY_ROUTE_CONSUMERS]  VkDispatchIndirectCommand per consumer (see sy_route_layout)
 */
#ifndef SY_IR_ROUTE_H
#define SY_IR_ROUTE_H

#include "graph/ir/ir.h"

/* What steered scores count as in a choice, less or more than any other: see route.top_k in ops.def. */
#define SY_STEERED 3.0e38

enum { SY_ROUTE_CONSUMERS = 8 }; /* most grouped consumers with different column counts of one route */

/* Word offsets of the sections; `words` is the whole. The layout depends on the type and nothing else: the tile
 * section is bounded for the smallest tile, SY_ROUTE_TILE_MIN rows. `words` is UINT32_MAX where 32 bits are too few. */
enum { SY_ROUTE_TILE_MIN = 4 };
typedef struct sy_route_layout {
    uint32_t count, offsets, rows, targets, weights, row_offsets, row_slots, tiles, indirect, words;
    uint32_t max_tiles;
} sy_route_layout;
sy_route_layout sy_route_layout_of(const sy_type *route);

#endif
