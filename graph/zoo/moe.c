/* See the header. Bounds: a configuration has at most SY_ZOO_MAX_EXPERTS experts, the most that concat takes. */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/settings.h"

#include <stdio.h>

int32_t sy_moe_top_k(sy_graph *g, const sy_network_config *config)
{
    double k;
    if (!sy_setting_number(config, "top_k", config->top_k, &k, &g->error))
        return 1;
    if (k > config->experts)
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%g experts a token (top_k) are more than the %d there are.", k,
                (int)config->experts);
    return k > config->experts ? 1 : (int32_t)k;
}

sy_value sy_experts_stack(sy_graph *g, const char *prefix, const char *name, int32_t experts, sy_type type)
{
    sy_value each[SY_ZOO_MAX_EXPERTS];
    if (experts < 1 || experts > SY_ZOO_MAX_EXPERTS) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "A mixture has %d experts; 1 to %d are possible.", experts,
                SY_ZOO_MAX_EXPERTS);
        return 0;
    }
    for (int32_t e = 0; e < experts; e++) {
        sy_scope_push(g, "%s%d", prefix, e);
        each[e] = sy_param(g, name, type);
        sy_scope_pop(g);
    }
    return sy_stack(g, each, (uint32_t)experts);
}

sy_value sy_experts_param(sy_graph *g, const char *name, int32_t experts, sy_type type)
{
    return sy_experts_stack(g, "experts.", name, experts, type);
}

sy_value sy_experts_linear(sy_graph *g, sy_value x, sy_value route, bool gather, const char *name, int32_t out,
                           bool bias, sy_dtype dtype)
{
    int32_t experts = g->nodes[route].type.dim[SY_ROUTE_TARGETS], in = g->nodes[x].type.dim[1];
    char weight[64], bias_name[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    sy_value y =
        sy_grouped_matmul(g, x, sy_experts_param(g, weight, experts, SY_T(dtype, out, in)), route, gather, true);
    if (!bias)
        return y;
    sy_value b = sy_zoo_f32(g, sy_experts_param(g, bias_name, experts, SY_T(dtype, out)));
    return sy_add(g, y, sy_route_spread(g, b, route));
}

/* Places are given in the order of route.build's list: rank by rank, the rows sorted by their best score. */
sy_value sy_route_batch_priority(sy_graph *g, sy_value scores, int32_t k, int32_t capacity, int32_t group_rows)
{
    if (!scores || scores >= g->n_nodes)
        return 0;
    int32_t rows = g->nodes[scores].type.dim[0], targets = g->nodes[scores].type.dim[1];
    sy_value chosen = sy_top_k(g, scores, k), weights = sy_take_last(g, scores, chosen);
    sy_value best = sy_reshape(g, sy_slice_axis(g, weights, 1, 0, 1), SY_T(SY_F32, 1, rows));
    sy_value order = sy_reshape(g, sy_top_k(g, best, rows), SY_T(SY_I32, rows));
    sy_value lists[3] = {sy_broadcast(g, sy_reshape(g, order, SY_T(SY_I32, rows, 1)), SY_T(SY_I32, rows, k)),
                         sy_take_rows(g, chosen, order), sy_take_rows(g, weights, order)};
    for (int i = 0; i < 3; i++)
        lists[i] = sy_reshape(g, sy_transpose(g, lists[i], (const int32_t[]){1, 0}), SY_T(SY_F32, rows * k));
    return sy_route_build(g, lists[0], lists[1], lists[2], rows, targets, capacity, group_rows);
}

sy_value sy_route_count(sy_graph *g, sy_value route)
{
    if (!route || route >= g->n_nodes)
        return 0;
    const sy_type *r = &g->nodes[route].type;
    double one = 1;
    sy_value ones = sy_const_of(g, SY_T(SY_F32, r->dim[SY_ROUTE_SLOTS], 1), &one, 1);
    return sy_reshape(g, sy_combine(g, ones, route, false), SY_T(SY_F32, r->dim[SY_ROUTE_ROWS]));
}
