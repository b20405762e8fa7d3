/* AdaptiveDiffusion, "Training-Free Adaptive Diffusion with Bounded Difference Approximation Strategy" (arXiv
 * 2410.09873): the network does not run in a step that the latents say hardly bends, and the last output is used again.
 * With d = the change of the latents in this step, d1 and d2 those in the two before:
 *
 *     skip the next if |(d2 + d) / 2 - d1| <= delta |d1|, unless `most` steps were skipped one after another
 *
 * The first three steps always run: there are no three differences before. The decision is made on the device, for each
 * picture by itself, so that a picture does not depend on its neighbours; the network runs if any of them needs it, and
 * those that do not keep the output they have. */
#include "src/sample/step_parts.h"

sy_graph *sy_network_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    sy_graph *g = sy_step_begin(p, p->name ? p->name : "network", error);
    if (!g)
        return NULL;
    int32_t count = sy_step_count(p);
    sy_type type = sy_step_image(p, count, p->channels);
    sy_value x = sy_state(g, "x", type), v = sy_state(g, "v", type), variance;
    sy_value needed = sy_reshape(g, sy_state(g, "run.each", SY_T(SY_I32, count)), SY_T(SY_I32, count, 1, 1, 1));
    sy_value fresh = sy_step_evaluate(g, p, x, sy_step(g, "t"), &variance);
    sy_carry(g, "v", sy_select(g, sy_step_spread(g, p, needed), fresh, v));
    if (p->learned_variance)
        sy_carry(g, "w", sy_select(g, sy_step_spread(g, p, needed), variance, sy_state(g, "w", type)));
    return sy_step_finish(g, error);
}

static sy_value i32(sy_graph *g, double value)
{
    return sy_const_of(g, SY_T(SY_I32, 1), &value, 1);
}

/* 1 - x of a truth x. */
static sy_value no(sy_graph *g, sy_value x)
{
    return sy_sub(g, i32(g, 1), x);
}

sy_graph *sy_update_graph_build(const sy_step_graph_params *p, const sy_skip_params *skip, sy_error *error)
{
    sy_graph *g = sy_step_begin(p, "update", error);
    if (!g)
        return NULL;
    int32_t count = sy_step_count(p);
    sy_type type = sy_step_image(p, count, p->channels);
    sy_value x = sy_state(g, "x", type), v = sy_state(g, "v", type);
    sy_value next = sy_step_update(g, p, x, v, p->learned_variance ? sy_state(g, "w", type) : 0);

    sy_scope_push(g, "adaptive");
    sy_value d = sy_sub(g, x, next), d1 = sy_state(g, "d1", type), d2 = sy_state(g, "d2", type);
    sy_value bend = sy_sub(g, sy_mul(g, sy_add(g, d2, d), sy_const(g, 0.5)), d1);
    sy_value size = sy_step_mean_square(g, p, bend), bound = sy_step_mean_square(g, p, d1);
    bound = sy_mul(g, bound, sy_const(g, skip->threshold * skip->threshold)); /* both sides squared */
    sy_value still = no(g, sy_reshape(g, sy_binary(g, SY_OP_LESS, bound, size), SY_T(SY_I32, count)));
    sy_value skipped = sy_state(g, "run.skipped", SY_T(SY_I32, count));
    sy_value known = sy_binary(g, SY_OP_LESS, sy_const(g, 1.5), sy_step(g, "number")); /* three differences */
    sy_value leave = sy_mul(g, still, sy_mul(g, sy_binary(g, SY_OP_LESS, skipped, i32(g, skip->most)), known));
    sy_value run = no(g, leave), before = sy_state(g, "run.each", SY_T(SY_I32, count));
    sy_value any = sy_row(g, SY_OP_REDUCE_MAX, sy_cast(g, run, SY_F32), 0);
    sy_state(g, "run.network", SY_T(SY_I32, 1));
    sy_scope_pop(g);

    sy_carry(g, "d1", d);
    sy_carry(g, "d2", d1);
    sy_carry(g, "run.skipped", sy_mul(g, leave, sy_add(g, skipped, i32(g, 1))));
    sy_carry(g, "run.each", run);
    sy_carry(g, "run.network", sy_cast(g, any, SY_I32));
    sy_tap(g, "run.each", sy_add(g, before, i32(g, 0)));
    sy_tap(g, "difference.map", bend);
    return sy_step_finish(g, error);
}
