/* The order of tokens along a Hilbert curve: neighbours along the curve are neighbours in the picture, so that blocks
 * of the order are alike (SpargeAttn permutes video tokens so before it cuts blocks). Coordinates become a place on the
 * curve by "Programming the Hilbert curve" (Skilling, AIP Conf. Proc. 707, 2004): undo the excess turns bit by bit,
 * then Gray code. */
#include "graph/zoo/block_routes.h"

#include <stdlib.h>

enum { MAX_DIMS = 3 };

static uint64_t place_of(const int32_t *cell, int n, int bits)
{
    uint32_t x[MAX_DIMS] = {0}, turn = 0;
    uint64_t place = 0;
    for (int d = 0; d < n; d++)
        x[d] = (uint32_t)cell[d];
    for (uint32_t q = 1u << (bits - 1); q > 1; q >>= 1)
        for (int d = 0; d < n; d++) {
            uint32_t low = q - 1, swap = (x[0] ^ x[d]) & low;
            if (x[d] & q) {
                x[0] ^= low;
            } else {
                x[0] ^= swap;
                x[d] ^= swap;
            }
        }
    for (int d = 1; d < n; d++)
        x[d] ^= x[d - 1];
    for (uint32_t q = 1u << (bits - 1); q > 1; q >>= 1)
        if (x[n - 1] & q)
            turn ^= q - 1;
    for (int bit = bits - 1; bit >= 0; bit--)
        for (int d = 0; d < n; d++)
            place = place << 1 | ((x[d] ^ turn) >> bit & 1);
    return place;
}

typedef struct cell {
    uint64_t place;
    int32_t number;
} cell;

static int along_curve(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

bool sy_hilbert_order(const int32_t *dims, int n_dims, int32_t *order)
{
    int64_t count = 1;
    int32_t most = 1, bits = 1;
    for (int d = 0; d < n_dims; d++) {
        count *= dims[d];
        most = dims[d] > most ? dims[d] : most;
    }
    while (bits < 20 && 1 << bits < most)
        bits++;
    cell *cells = malloc((size_t)count * sizeof *cells);
    if (!cells)
        return false;
    for (int64_t i = 0; i < count; i++) {
        int32_t at[MAX_DIMS];
        int64_t rest = i;
        for (int d = n_dims - 1; d >= 0; d--) {
            at[d] = (int32_t)(rest % dims[d]);
            rest /= dims[d];
        }
        cells[i] = (cell){place_of(at, n_dims, bits), (int32_t)i};
    }
    qsort(cells, (size_t)count, sizeof *cells, along_curve);
    for (int64_t i = 0; i < count; i++)
        order[i] = cells[i].number;
    free(cells);
    return true;
}

sy_value sy_hilbert_permute(sy_graph *g, sy_value x, const int32_t *dims, int n_dims, bool back)
{
    enum { MAX_SIDE = 1 << 20 };
    const sy_type *type = x && x < g->n_nodes ? &g->nodes[x].type : NULL;
    if (!type)
        return 0;
    int64_t count = n_dims >= 1 && n_dims <= MAX_DIMS ? 1 : 0;
    for (int d = 0; d < n_dims && count && count < SY_MAX_ELEMENTS; d++)
        count = dims[d] >= 1 && dims[d] <= MAX_SIDE ? count * dims[d] : 0;
    if (type->is_route || type->rank != 3 || type->dim[1] != count) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "A Hilbert order needs x[B,T,C] with a token for each cell of the grid.");
        return 0;
    }
    int32_t *order = malloc((size_t)count * sizeof *order);
    double *ids = malloc((size_t)count * sizeof *ids);
    sy_value list = 0;
    if (order && ids && sy_hilbert_order(dims, n_dims, order)) {
        for (int32_t i = 0; i < (int32_t)count; i++)
            ids[back ? order[i] : i] = back ? i : order[i];
        list = sy_const_of(g, SY_T(SY_I32, (int32_t)count), ids, (uint32_t)count);
    } else {
        sy_fail(&g->error, SY_CODE_OUT_OF_MEMORY, "no memory for an order of %lld tokens.", (long long)count);
    }
    free(order);
    free(ids);
    x = sy_take_rows(g, sy_transpose(g, x, (const int32_t[]){1, 0, 2}), list);
    return sy_transpose(g, x, (const int32_t[]){1, 0, 2});
}
