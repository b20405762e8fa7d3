/* Region-adaptive sampling, "Region-Adaptive Sampling for Diffusion Transformers" (arXiv 2502.10389), as the authors'
 * code has it: after a step each token's metric is the mean over its cells of the standard deviation (or the norm) over
 * the channels of the guided output, times exp(K n) with n the times it was left out; of the tokens sorted by it, those
 * of the highest (and lowest) end are left out of the next step. So by default the tokens of the largest deviation
 * rest, and the more often the likelier again, against what the paper says; K < 0 or `high` < 1 turn that round. Tokens
 * that are left out keep their keys and values, layer by layer, and their last output; guidance acts on both halves'
 * outputs, new and kept. The factor (sigma' - sigma) of the authors' metric is the same for all tokens and left out
 * here, as is the value their counter begins with. Active tokens run in raster order: attention does not depend on the
 * order of its queries.
 *
 * States: "ras.metric" f32[count tokens, 1], "ras.skipped" the same, "ras.out" the network's output. */
#include "src/sample/step_parts.h"

typedef struct grid {
    int32_t count, rows, columns, tokens; /* pictures; tokens of one */
} grid;

static grid grid_of(const sy_step_graph_params *p)
{
    grid r = {.count = sy_step_count(p), .rows = p->height / p->ras.patch, .columns = p->width / p->ras.patch};
    r.tokens = r.rows * r.columns;
    return r;
}

/* f32[count * tokens, 1] once, or for both halves of a guided batch. */
static sy_value for_all(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    return sy_step_halves(g, p, x);
}

/* The tokens between the `low` lowest and the `high` highest scores of each picture, as a route of one target. */
static sy_value active_route(sy_graph *g, const sy_step_graph_params *p, sy_value score)
{
    grid r = grid_of(p);
    int32_t batch = r.count * (p->guided ? 2 : 1), active = r.tokens - p->ras.low - p->ras.high;
    sy_value lowest = sy_sub(g, sy_const(g, 0), for_all(g, p, score));
    if (p->ras.low == 0)
        return sy_route_expert_choice(g, lowest, active, r.tokens);
    sy_value ids = sy_top_k(g, sy_reshape(g, lowest, SY_T(SY_F32, batch, r.tokens)), r.tokens - p->ras.high);
    ids = sy_slice_axis(g, ids, 1, p->ras.low, active);
    double tokens = r.tokens, zero = 0, one = 1;
    sy_value first = sy_mul(g, sy_iota(g, SY_T(SY_I32, batch, 1), 0), sy_const_of(g, SY_T(SY_I32, 1), &tokens, 1));
    sy_type list = SY_T(SY_I32, batch * active), weights = SY_T(SY_F32, batch * active);
    return sy_route_build(g, sy_reshape(g, sy_add(g, ids, first), list), sy_const_of(g, list, &zero, 1),
                          sy_const_of(g, weights, &one, 1), batch * r.tokens, 1, 0, 0);
}

void sy_ras_before(sy_graph *g, const sy_step_graph_params *p, sy_zoo_inputs *in)
{
    grid r = grid_of(p);
    int32_t rows = r.count * r.tokens, batch = r.count * (p->guided ? 2 : 1);
    sy_type column = SY_T(SY_F32, rows, 1);
    sy_value metric = sy_state(g, "ras.metric", column), skipped = sy_state(g, "ras.skipped", column);
    sy_value weight = sy_unary(g, SY_OP_EXP, sy_mul(g, skipped, sy_const(g, p->ras.starvation)));
    in->active = active_route(g, p, sy_mul(g, metric, weight));
    in->previous = sy_state(g, "ras.out", sy_step_image(p, batch, p->out_channels));
    /* who is left out: 1 but where the route has a slot */
    int32_t slots = g->nodes[in->active].type.dim[SY_ROUTE_SLOTS];
    double zero = 0, one = 1;
    sy_value left = sy_route_scatter(g, sy_const_of(g, SY_T(SY_F32, slots, 1), &zero, 1), in->active,
                                     sy_const_of(g, SY_T(SY_F32, batch * r.tokens, 1), &one, 1));
    sy_value now = sy_add(g, skipped, sy_slice_axis(g, left, 0, 0, rows));
    sy_carry(g, "ras.skipped", now);
    sy_tap(g, "active.route", in->active);
    sy_tap(g, "skipped", now);
}

/* f32[count * tokens, 1] */
static sy_value measure(sy_graph *g, const sy_step_graph_params *p, sy_value v)
{
    grid r = grid_of(p);
    int32_t cells = p->ras.patch * p->ras.patch, rows = r.count * r.tokens * cells;
    v = sy_reshape(g, v, SY_T(SY_F32, r.count, p->channels, r.rows, p->ras.patch, r.columns, p->ras.patch));
    v = sy_transpose(g, v, (const int32_t[]){0, 2, 4, 3, 5, 1});
    v = sy_reshape(g, v, SY_T(SY_F32, rows, p->channels));
    if (!p->ras.norm)
        v = sy_sub(g, v, sy_row(g, SY_OP_REDUCE_MEAN, v, 0));
    sy_value square = sy_row(g, SY_OP_REDUCE_SUM, sy_mul(g, v, v), 0);
    if (!p->ras.norm && p->channels > 1) /* the unbiased estimate, as PyTorch's */
        square = sy_mul(g, square, sy_const(g, 1.0 / (p->channels - 1)));
    sy_value size = sy_unary(g, SY_OP_SQRT, square);
    return sy_row(g, SY_OP_REDUCE_MEAN, sy_reshape(g, size, SY_T(SY_F32, r.count * r.tokens, cells)), 0);
}

void sy_ras_after(sy_graph *g, const sy_step_graph_params *p, sy_value output, sy_value v)
{
    if (!p->ras.measures)
        return;
    sy_scope_push(g, "sampler");
    sy_value metric = measure(g, p, v);
    sy_scope_pop(g);
    sy_state(g, "ras.metric", g->nodes[metric].type);
    sy_state(g, "ras.out", g->nodes[output].type);
    sy_carry(g, "ras.metric", metric);
    sy_carry(g, "ras.out", output);
    sy_tap(g, "metric", metric);
}
