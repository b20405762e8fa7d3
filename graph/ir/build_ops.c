/* The builder, second half: indexed reads, random numbers, contractions, rows and routes. */
#include "graph/ir/build.h"

#include <stdio.h>

sy_value sy_take_rows(sy_graph *g, sy_value table, sy_value ids)
{
    return sy_binary(g, SY_OP_TAKE_ROWS, table, ids);
}

sy_value sy_take_last(sy_graph *g, sy_value x, sy_value ids)
{
    return sy_binary(g, SY_OP_TAKE_LAST, x, ids);
}

sy_value sy_random_normal(sy_graph *g, sy_value seeds, sy_value counter, int stream, sy_type type)
{
    sy_attributes a = {.stream = stream};
    return sy_graph_add(g, SY_OP_RANDOM_NORMAL, (sy_value[]){seeds, counter}, counter ? 2 : 1, &a, &type, NULL);
}

sy_value sy_matmul(sy_graph *g, sy_value a, sy_value b, bool transpose_b)
{
    sy_attributes at = {.transpose_b = transpose_b};
    return sy_graph_add(g, SY_OP_MATMUL, (sy_value[]){a, b}, 2, &at, NULL, NULL);
}

sy_value sy_linear(sy_graph *g, sy_value x, const char *name, int32_t out, bool bias, sy_dtype dtype)
{
    if (!x || x >= g->n_nodes)
        return 0;
    const sy_type *type = &g->nodes[x].type;
    if (type->is_route) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "linear \"%s\" needs a tensor, not a route.", name);
        return 0;
    }
    int32_t in = type->dim[type->rank - 1];
    sy_scope_push(g, "%s", name);
    sy_value y = sy_matmul(g, x, sy_param(g, "weight", SY_T(dtype, out, in)), true);
    if (bias)
        y = sy_add(g, y, sy_param(g, "bias", SY_T(dtype, out)));
    sy_scope_pop(g);
    return y;
}

sy_value sy_attention(sy_graph *g, sy_value q, sy_value k, sy_value v, double scale)
{
    sy_attributes a = {.scale = scale};
    return sy_graph_add(g, SY_OP_ATTENTION, (sy_value[]){q, k, v}, 3, &a, NULL, NULL);
}

sy_value sy_row(sy_graph *g, sy_op op, sy_value x, double eps)
{
    sy_attributes a = {.eps = eps};
    return sy_graph_add(g, op, &x, 1, &a, NULL, NULL);
}

sy_value sy_top_k(sy_graph *g, sy_value x, int32_t k)
{
    sy_attributes a = {.k = k};
    return sy_graph_add(g, SY_OP_TOP_K, &x, 1, &a, NULL, NULL);
}

sy_value sy_entmax(sy_graph *g, sy_value x, double alpha)
{
    sy_attributes a = {.alpha = alpha};
    return sy_graph_add(g, SY_OP_ENTMAX, &x, 1, &a, NULL, NULL);
}

sy_value sy_sort(sy_graph *g, sy_value x, bool descending)
{
    sy_attributes a = {.order = descending};
    return sy_graph_add(g, SY_OP_SORT, &x, 1, &a, NULL, NULL);
}

sy_value sy_cumsum(sy_graph *g, sy_value x)
{
    return sy_unary(g, SY_OP_CUMSUM, x);
}

sy_value sy_histogram(sy_graph *g, sy_value x, int32_t n)
{
    sy_attributes a = {.targets = n};
    return sy_graph_add(g, SY_OP_HISTOGRAM, &x, 1, &a, NULL, NULL);
}

/* A producer by scores, with what steers it always, or 0; of a steered graph also with the input that does. */
static sy_value by_scores(sy_graph *g, sy_op op, sy_value scores, sy_value always, const sy_attributes *a)
{
    sy_value args[2] = {scores, always};
    if (g->steered && scores && scores < g->n_nodes && g->nodes[scores].type.rank == 2) {
        const int32_t rows = g->nodes[scores].type.dim[0], targets = g->nodes[scores].type.dim[1];
        char name[SY_MAX_NAME + 1];
        snprintf(name, sizeof name, SY_STEER_NAME "%s.%dx%d", g->scope, rows, targets);
        args[1] = sy_input(g, name, SY_T(SY_I32, rows, targets));
        if (always) /* twice: the input's -1 does not undo it */
            args[1] = sy_add(g, args[1], sy_add(g, always, always));
    }
    return sy_graph_add(g, op, args, args[1] ? 2 : 1, a, NULL, NULL);
}

sy_value sy_route_top_k(sy_graph *g, sy_value scores, int32_t k, bool renormalise)
{
    sy_attributes a = {.k = k, .renormalise = renormalise};
    return by_scores(g, SY_OP_ROUTE_TOP_K, scores, 0, &a);
}

sy_value sy_route_expert_choice(sy_graph *g, sy_value scores, int32_t k, int32_t group_rows)
{
    sy_attributes a = {.k = k, .group_rows = group_rows};
    return by_scores(g, SY_OP_ROUTE_EXPERT_CHOICE, scores, 0, &a);
}

sy_value sy_route_expert_choice_first(sy_graph *g, sy_value scores, sy_value first, int32_t k, int32_t group_rows)
{
    sy_attributes a = {.k = k, .group_rows = group_rows};
    return by_scores(g, SY_OP_ROUTE_EXPERT_CHOICE, scores, first, &a);
}

sy_value sy_route_split(sy_graph *g, sy_value route, sy_value mask, int32_t target, int32_t targets)
{
    sy_attributes a = {.target = target, .targets = targets};
    return sy_graph_add(g, SY_OP_ROUTE_SPLIT, (sy_value[]){route, mask}, 2, &a, NULL, NULL);
}

sy_value sy_route_capacity(sy_graph *g, sy_value route, int32_t capacity, int32_t group_rows, bool choice_major)
{
    sy_attributes a = {.capacity = capacity, .group_rows = group_rows, .order = choice_major};
    return sy_graph_add(g, SY_OP_ROUTE_CAPACITY, &route, 1, &a, NULL, NULL);
}

sy_value sy_route_build(sy_graph *g, sy_value rows, sy_value targets, sy_value weights, int32_t n_rows,
                        int32_t n_targets, int32_t capacity, int32_t group_rows)
{
    sy_attributes a = {.rows = n_rows, .targets = n_targets, .capacity = capacity, .group_rows = group_rows};
    return sy_graph_add(g, SY_OP_ROUTE_BUILD, (sy_value[]){rows, targets, weights}, 3, &a, NULL, NULL);
}

sy_value sy_grouped_matmul(sy_graph *g, sy_value x, sy_value w, sy_value route, bool gather, bool transpose_b)
{
    sy_attributes a = {.gather = gather, .transpose_b = transpose_b};
    return sy_graph_add(g, SY_OP_GROUPED_MATMUL, (sy_value[]){x, w, route}, 3, &a, NULL, NULL);
}

sy_value sy_combine(sy_graph *g, sy_value y, sy_value route, bool weighted)
{
    sy_attributes a = {.weighted = weighted};
    return sy_graph_add(g, SY_OP_COMBINE, (sy_value[]){y, route}, 2, &a, NULL, NULL);
}

sy_value sy_route_gather(sy_graph *g, sy_value x, sy_value route)
{
    return sy_binary(g, SY_OP_ROUTE_GATHER, x, route);
}

sy_value sy_route_scatter(sy_graph *g, sy_value y, sy_value route, sy_value base)
{
    return sy_graph_add(g, SY_OP_ROUTE_SCATTER, (sy_value[]){y, route, base}, 3, NULL, NULL, NULL);
}

sy_value sy_route_spread(sy_graph *g, sy_value b, sy_value route)
{
    return sy_binary(g, SY_OP_ROUTE_SPREAD, b, route);
}

sy_value sy_route_load(sy_graph *g, sy_value route)
{
    return sy_unary(g, SY_OP_ROUTE_LOAD, route);
}
