/* Block routes that do not depend on the input: bands, stripes, neighbours in a grid. Their lists are constants, so the
 * route is made when weights are loaded. */
#include "graph/zoo/block_routes.h"

#include <stdlib.h>

enum {
    MAX_BLOCKS = 1 << 26,
    MAX_PAIRS = 1 << 23
}; /* looked at, and taken: files ask for patterns, and are untrusted */

static bool takes(const sy_block_pattern *p, int32_t columns, int32_t i, int32_t j)
{
    int32_t apart = i < j ? j - i : i - j, down, right;
    switch (p->kind) {
    case SY_PATTERN_BAND:
        return apart <= p->width;
    case SY_PATTERN_PERIODIC:
        return apart % p->period <= p->width;
    case SY_PATTERN_STRIPE:
        for (int32_t c = 0; c < p->n_columns; c++)
            if (p->columns[c] == j)
                return true;
        return false;
    case SY_PATTERN_BEFORE:
        return j <= i && i - j <= p->width;
    case SY_PATTERN_GRID:
        down = j / p->grid_width - i / p->grid_width, right = j % p->grid_width - i % p->grid_width;
        return down >= p->first && down <= p->last && right >= p->first && right <= p->last;
    default:
        return j < columns;
    }
}

sy_value sy_pattern_route(sy_graph *g, int32_t batch, int32_t rows, int32_t columns, const sy_block_pattern *p)
{
    int64_t pairs = 0, all = (int64_t)rows * columns;
    if (batch < 1 || rows < 1 || columns < 1 || all > MAX_BLOCKS || p->width < 0 ||
        (p->kind == SY_PATTERN_PERIODIC && p->period < 1) || (p->kind == SY_PATTERN_GRID && p->grid_width < 1)) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "A pattern of %d x %d blocks, or its numbers, is not possible.",
                rows, columns);
        return 0;
    }
    for (int64_t n = 0; n < all; n++)
        pairs += takes(p, columns, (int32_t)(n / columns), (int32_t)(n % columns));
    if (pairs < 1 || pairs * batch > MAX_PAIRS) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "A pattern of %lld of %d x %d blocks is not possible.",
                (long long)pairs, rows, columns);
        return 0;
    }
    int32_t count = (int32_t)(pairs * batch);
    double *list = malloc(2 * (size_t)count * sizeof *list), one = 1;
    if (!list) {
        sy_fail(&g->error, SY_CODE_OUT_OF_MEMORY, "no memory for a pattern of %d pairs of blocks.", count);
        return 0;
    }
    int32_t at = 0;
    for (int32_t b = 0; b < batch; b++)
        for (int64_t n = 0; n < all; n++) {
            int32_t i = (int32_t)(n / columns), j = (int32_t)(n % columns);
            if (!takes(p, columns, i, j))
                continue;
            list[at] = (double)b * rows + i;
            list[count + at++] = j;
        }
    sy_type type = SY_T(SY_I32, count);
    sy_value from = sy_const_of(g, type, list, (uint32_t)count);
    sy_value to = sy_const_of(g, type, list + count, (uint32_t)count);
    free(list);
    return sy_route_build(g, from, to, sy_const_of(g, SY_T(SY_F32, count), &one, 1), batch * rows, columns, 0, 0);
}
