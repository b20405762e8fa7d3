/* What diffusion networks are told besides the picture: the time as sines of many frequencies ("Attention Is All You
 * Need", arXiv 1706.03762, of a number instead of a place), and the label as rows of a table. */
#include "graph/zoo/networks.h"

#include <math.h>

sy_value sy_zoo_frequencies(sy_graph *g, int32_t count, double base, double divisor)
{
    sy_value i = sy_iota(g, SY_T(SY_F32, count), 0);
    return sy_unary(g, SY_OP_EXP, sy_mul(g, i, sy_const(g, -log(base) / divisor)));
}

/* One row of angles for both halves: a cosine is a sine a quarter turn on. A frequency is split into its first 13 bits
 * after the point and the rest, the time into whole and fraction: the large product is then exact in f32, the small
 * one is below 1.2, and the error of sin(a + b) stays at 1e-7 where t f_i rounded once would be off by 3e-5 at t = 999.
 */
sy_value sy_zoo_time_features(sy_graph *g, sy_value t, sy_value f, bool sine_first)
{
    int32_t times = g->nodes[t].type.dim[0], half = g->nodes[f].type.dim[0];
    double quarter = acos(0), none = 0;
    sy_value shifts[2] = {sy_const_of(g, SY_T(SY_F32, half), sine_first ? &none : &quarter, 1),
                          sy_const_of(g, SY_T(SY_F32, half), sine_first ? &quarter : &none, 1)};
    sy_value phase = sy_concat(g, shifts, 2, 0);
    f = sy_concat(g, (const sy_value[]){f, f}, 2, 0);
    sy_value coarse = sy_mul(g, sy_unary(g, SY_OP_FLOOR, sy_mul(g, f, sy_const(g, 8192))), sy_const(g, 1.0 / 8192));
    t = sy_reshape(g, t, SY_T(SY_F32, times, 1));
    sy_value whole = sy_unary(g, SY_OP_FLOOR, t);
    sy_value a = sy_mul(g, whole, coarse);
    sy_value b = sy_add(g, sy_mul(g, whole, sy_sub(g, f, coarse)), sy_mul(g, sy_sub(g, t, whole), f));
    b = sy_add(g, b, phase);
    return sy_add(g, sy_mul(g, sy_unary(g, SY_OP_SIN, a), sy_unary(g, SY_OP_COS, b)),
                  sy_mul(g, sy_unary(g, SY_OP_COS, a), sy_unary(g, SY_OP_SIN, b)));
}

/* A word -1 reads 0 and weighs 0. */
sy_value sy_zoo_label_rows(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *inputs, sy_value table)
{
    sy_value rows = sy_zoo_f32(g, sy_take_rows(g, table, inputs->label));
    if (!c->words || !rows)
        return rows;
    int32_t n = g->nodes[inputs->label].type.dim[0], width = g->nodes[rows].type.dim[2];
    sy_value weights = sy_reshape(g, inputs->label_weights, SY_T(SY_F32, n, 1, c->words));
    return sy_reshape(g, sy_matmul(g, weights, rows, false), SY_T(SY_F32, n, width));
}

sy_value sy_zoo_label_embedding(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *inputs, const char *table,
                                int32_t width)
{
    return sy_zoo_label_rows(g, c, inputs, sy_param(g, table, SY_T(c->dtype, c->label_rows, width)));
}
