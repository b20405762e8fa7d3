/* Where the sections of a route lie in its buffer. See route.h. */
#include "graph/ir/route.h"

/* Most row tiles of any route of the type. A target with n slots makes ceil(n / m) tiles, which is at most
 * (n + m - 1) / m; only targets with a slot make any, so the sum is at most (S + min(E, S) (m - 1)) / m. */
static uint64_t max_tiles(uint64_t slots, uint64_t targets)
{
    uint64_t used = targets < slots ? targets : slots;
    return (slots + used * (SY_ROUTE_TILE_MIN - 1)) / SY_ROUTE_TILE_MIN;
}

sy_route_layout sy_route_layout_of(const sy_type *route)
{
    uint64_t rows = (uint64_t)route->dim[SY_ROUTE_ROWS], targets = (uint64_t)route->dim[SY_ROUTE_TARGETS];
    uint64_t slots = (uint64_t)route->dim[SY_ROUTE_SLOTS], tiles = max_tiles(slots, targets);
    uint64_t sizes[] = {1, targets + 1, slots, slots, slots, rows + 1, slots, 1 + 2 * tiles, 3 * SY_ROUTE_CONSUMERS};
    sy_route_layout layout = {.max_tiles = (uint32_t)tiles};
    uint32_t *sections[] = {&layout.count,       &layout.offsets,   &layout.rows,  &layout.targets, &layout.weights,
                            &layout.row_offsets, &layout.row_slots, &layout.tiles, &layout.indirect};
    uint64_t words = 0; /* nine numbers below 2^34: no overflow */
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        *sections[i] = (uint32_t)words;
        words += sizes[i];
    }
    layout.words = words < UINT32_MAX ? (uint32_t)words : UINT32_MAX;
    return layout;
}
