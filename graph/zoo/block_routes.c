/* Block routes by mean queries and keys; see the header. */
#include "graph/zoo/block_routes.h"

static const int32_t *dims_of(sy_graph *g, sy_value x, int rank, const char *who)
{
    if (!x || x >= g->n_nodes)
        return NULL;
    const sy_type *type = &g->nodes[x].type;
    if (!type->is_route && type->rank == rank)
        return type->dim;
    sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s needs a tensor of %d dimensions.", who, rank);
    return NULL;
}

sy_value sy_block_means(sy_graph *g, sy_value x, int32_t block)
{
    const int32_t *own = dims_of(g, x, 4, "A mean of blocks");
    if (!own || block < 1)
        return 0;
    int32_t dim[4] = {own[0], own[1], own[2], own[3]}, blocks = (int32_t)(((int64_t)dim[2] + block - 1) / block);
    block = block < dim[2] ? block : dim[2];
    sy_attributes window = {.window = {block},
                            .stride = {block},
                            .pad_high = {(int32_t)((int64_t)blocks * block - dim[2])},
                            .mode = SY_POOL_MEAN};
    x = sy_reshape(g, x, SY_T(SY_F32, dim[0] * dim[1], dim[2], dim[3]));
    x = sy_graph_add(g, SY_OP_POOL, &x, 1, &window, NULL, NULL);
    return sy_reshape(g, x, SY_T(SY_F32, dim[0], dim[1], blocks, dim[3]));
}

sy_value sy_block_scores(sy_graph *g, sy_value q, sy_value k, int32_t block_rows, int32_t block_keys, double scale)
{
    sy_value p = sy_matmul(g, sy_block_means(g, q, block_rows), sy_block_means(g, k, block_keys), true);
    const int32_t *dim = dims_of(g, p, 4, "A prediction of blocks");
    if (!dim)
        return 0;
    p = sy_reshape(g, p, SY_T(SY_F32, dim[0] * dim[1] * dim[2], dim[3]));
    return scale == 1 ? p : sy_mul(g, p, sy_const(g, scale));
}

sy_value sy_block_top_k_route(sy_graph *g, sy_value q, sy_value k, int32_t block_rows, int32_t block_keys, double scale,
                              int32_t count, sy_value *scores)
{
    sy_value p = sy_block_scores(g, q, k, block_rows, block_keys, scale);
    if (scores)
        *scores = p;
    return sy_route_top_k(g, p, count, false);
}

sy_value sy_mask_route(sy_graph *g, sy_value keep, sy_value weights)
{
    const int32_t *dim = dims_of(g, keep, 2, "A route by a mask");
    if (!dim)
        return 0;
    int32_t rows = dim[0], targets = dim[1];
    int64_t length = (int64_t)rows * targets;
    if (length > INT32_MAX) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%d query blocks times %d key blocks are too many.", rows,
                targets);
        return 0;
    }
    double nowhere = -1, one = 1;
    sy_type all = SY_T(SY_I32, rows, targets), list = SY_T(SY_I32, (int32_t)length);
    sy_value to = sy_select(g, keep, sy_iota(g, all, 1), sy_const_of(g, SY_T(SY_I32, 1), &nowhere, 1));
    if (!weights)
        weights = sy_const_of(g, SY_T(SY_F32, rows, targets), &one, 1);
    return sy_route_build(g, sy_reshape(g, sy_iota(g, all, 0), list), sy_reshape(g, to, list),
                          sy_reshape(g, weights, list), rows, targets, 0, 0);
}

sy_value sy_route_density(sy_graph *g, sy_value route)
{
    if (!route || route >= g->n_nodes)
        return 0;
    const int32_t *dim = g->nodes[route].type.dim;
    double pairs = (double)dim[SY_ROUTE_ROWS] * dim[SY_ROUTE_TARGETS];
    sy_value taken = sy_row(g, SY_OP_REDUCE_SUM, sy_cast(g, sy_route_load(g, route), SY_F32), 0);
    return sy_mul(g, taken, sy_const(g, 1 / pairs));
}

sy_value sy_to_regions(sy_graph *g, sy_value x, int32_t h, int32_t w)
{
    const int32_t *own = dims_of(g, x, 4, "An image in regions");
    if (!own)
        return 0;
    int32_t dim[4] = {own[0], own[1], own[2], own[3]};
    if (h < 1 || w < 1 || dim[1] % h || dim[2] % w) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "Regions of %d x %d do not divide an image of %d x %d.", h, w,
                dim[1], dim[2]);
        return 0;
    }
    x = sy_reshape(g, x, SY_T(SY_F32, dim[0], dim[1] / h, h, dim[2] / w, w, dim[3]));
    x = sy_transpose(g, x, (const int32_t[]){0, 1, 3, 2, 4, 5});
    return sy_reshape(g, x, SY_T(SY_F32, dim[0], dim[1] * dim[2], dim[3]));
}

sy_value sy_from_regions(sy_graph *g, sy_value x, int32_t height, int32_t width, int32_t h, int32_t w)
{
    const int32_t *dim = dims_of(g, x, 3, "An image of regions");
    if (!dim)
        return 0;
    int32_t n = dim[0], c = dim[2];
    x = sy_reshape(g, x, SY_T(SY_F32, n, height / h, width / w, h, w, c));
    x = sy_transpose(g, x, (const int32_t[]){0, 1, 3, 2, 4, 5});
    return sy_reshape(g, x, SY_T(SY_F32, n, height, width, c));
}
