/* The builder, sixth part: recurrent cells, composed. */
#include "graph/ir/build.h"

sy_value sy_gru_cell(sy_graph *g, sy_value x, sy_value h, sy_dtype dtype)
{
    if (!x || !h || x >= g->n_nodes || h >= g->n_nodes)
        return 0;
    const sy_type in = g->nodes[x].type, state = g->nodes[h].type;
    if (in.is_route || state.is_route || in.rank != 2 || state.rank != 2)
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "a GRU cell needs an input [N,I] and a state [N,H]."), 0;
    int32_t n = state.dim[1];
    sy_value from_x = sy_matmul(g, x, sy_param(g, "weight_ih", SY_T(dtype, 3 * n, in.dim[1])), true);
    sy_value from_h = sy_matmul(g, h, sy_param(g, "weight_hh", SY_T(dtype, 3 * n, n)), true);
    from_x = sy_add(g, from_x, sy_cast(g, sy_param(g, "bias_ih", SY_T(dtype, 3 * n)), SY_F32));
    from_h = sy_add(g, from_h, sy_cast(g, sy_param(g, "bias_hh", SY_T(dtype, 3 * n)), SY_F32));
#define PART(v, i) sy_slice_axis(g, v, 1, (i)*n, n)
    sy_value reset = sy_unary(g, SY_OP_SIGMOID, sy_add(g, PART(from_x, 0), PART(from_h, 0)));
    sy_value keep = sy_unary(g, SY_OP_SIGMOID, sy_add(g, PART(from_x, 1), PART(from_h, 1)));
    sy_value fresh = sy_unary(g, SY_OP_TANH, sy_add(g, PART(from_x, 2), sy_mul(g, reset, PART(from_h, 2))));
#undef PART
    return sy_add(g, fresh, sy_mul(g, keep, sy_sub(g, h, fresh)));
}
