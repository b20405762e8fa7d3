/* See the header. Bounds: a configuration has at most SY_ZOO_MAX_EXPERTS experts, the most that concat takes. */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <stdio.h>

sy_value sy_experts_param(sy_graph *g, const char *name, int32_t experts, sy_type type)
{
    sy_value each[SY_ZOO_MAX_EXPERTS];
    if (experts < 1 || experts > SY_ZOO_MAX_EXPERTS) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "A mixture has %d experts; 1 to %d are possible.", experts,
                SY_ZOO_MAX_EXPERTS);
        return 0;
    }
    for (int32_t e = 0; e < experts; e++) {
        sy_scope_push(g, "experts.%d", e);
        each[e] = sy_param(g, name, type);
        sy_scope_pop(g);
    }
    return sy_stack(g, each, (uint32_t)experts);
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
