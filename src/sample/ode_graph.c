/* The adaptive solver of flows: Dormand and Prince's pair of orders 5 and 4 with step control as in Hairer, Norsett and
 * Wanner (and SciPy's RK45): the step is accepted if the error's root mean square, scaled by atol + rtol max(|x|,
 * |x'|), is at most 1; the next is 0.9 error^(-1/5) times as long, at least a fifth, at most ten times, and no longer
 * after a rejection. All of it happens on the device, for each picture by itself; pictures that have reached the end
 * take steps of length 0 until all have, then the network does not run any more.
 *
 * States: "k" f32[7, count, C, H, W], the slopes; "ode.t" f32[count], how far a picture is from 0, noise, to 1, data;
 * "ode.h", its running step. A slope is dx/dt in this direction. */
#include "src/sample/step_parts.h"

enum { STAGES = 7 };

static sy_type slopes_type(const sy_step_graph_params *p)
{
    return SY_T(SY_F32, STAGES, sy_step_count(p), p->channels, p->height, p->width);
}

static sy_value slope(sy_graph *g, const sy_step_graph_params *p, sy_value k, int32_t i)
{
    return sy_reshape(g, sy_slice_axis(g, k, 0, i, 1), sy_step_image(p, sy_step_count(p), p->channels));
}

sy_graph *sy_stage_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    static const char *const columns[STAGES - 1] = {"a1", "a2", "a3", "a4", "a5", "a6"};
    sy_graph *g = sy_step_begin(p, p->name ? p->name : "stage", error);
    if (!g)
        return NULL;
    int32_t count = sy_step_count(p);
    sy_value x = sy_state(g, "x", sy_step_image(p, count, p->channels)), k = sy_state(g, "k", slopes_type(p));
    sy_value t = sy_state(g, "ode.t", SY_T(SY_F32, count)), h = sy_state(g, "ode.h", SY_T(SY_F32, count));
    sy_value sum = 0;
    for (int i = 0; i < STAGES - 1; i++) {
        sy_value term = sy_mul(g, sy_step(g, columns[i]), slope(g, p, k, i));
        sum = sum ? sy_add(g, sum, term) : term;
    }
    sy_value at = sy_add(g, x, sy_mul(g, sy_step_per_picture(g, p, h), sum));
    sy_value time = sy_add(g, t, sy_mul(g, sy_step(g, "c"), h));
    /* column d: -1 where the network's time is t itself and it gives the slope; 1 where it is 1 - t and gives -slope */
    sy_value backward = sy_mul(g, sy_add(g, sy_step(g, "d"), sy_const(g, 1)), sy_const(g, 0.5));
    time = sy_mul(g, sy_step(g, "t"), sy_sub(g, backward, sy_mul(g, sy_step(g, "d"), time)));
    sy_value v = sy_step_evaluate(g, p, at, time, NULL);
    v = sy_mul(g, v, sy_sub(g, sy_const(g, 0), sy_step(g, "d")));

    sy_type one = slopes_type(p), all = slopes_type(p);
    one.dim[0] = 1;
    sy_value fresh = sy_broadcast(g, sy_reshape(g, v, one), all);
    sy_value which = sy_add(g, sy_iota(g, SY_T(SY_F32, STAGES, 1, 1, 1, 1), 0), sy_const(g, 1));
    sy_value chosen = sy_broadcast(g, sy_binary(g, SY_OP_EQUAL, which, sy_step(g, "stage")), all);
    sy_carry(g, "k", sy_select(g, chosen, fresh, k));
    return sy_step_finish(g, error);
}

static sy_value number(sy_graph *g, double value)
{
    return sy_const(g, value);
}

/* h sum of weights[i] k_i */
static sy_value combine(sy_graph *g, const sy_step_graph_params *p, sy_value k, sy_value h, const double *weights)
{
    sy_value sum = 0;
    for (int32_t i = 0; i < STAGES; i++) {
        if (weights[i] == 0)
            continue;
        sy_value term = sy_mul(g, number(g, weights[i]), slope(g, p, k, i));
        sum = sum ? sy_add(g, sum, term) : term;
    }
    return sy_mul(g, sy_step_per_picture(g, p, h), sum);
}

/* Root mean square of error / (atol + rtol max(|x|, |x'|)), f32[count]. */
static sy_value scaled_error(sy_graph *g, const sy_step_graph_params *p, const sy_ode_params *ode, sy_value x,
                             sy_value next, sy_value error)
{
    sy_value size = sy_binary(g, SY_OP_MAX, sy_unary(g, SY_OP_ABS, x), sy_unary(g, SY_OP_ABS, next));
    sy_value scale = sy_add(g, sy_mul(g, size, number(g, ode->rtol)), number(g, ode->atol));
    sy_value ratio = sy_binary(g, SY_OP_DIV, error, scale);
    sy_value norm = sy_unary(g, SY_OP_SQRT, sy_step_mean_square(g, p, ratio));
    return sy_reshape(g, norm, SY_T(SY_F32, sy_step_count(p)));
}

sy_graph *sy_attempt_graph_build(const sy_step_graph_params *p, const sy_ode_params *ode, sy_error *error)
{
    static const double order5[STAGES] = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0};
    static const double difference[STAGES] = {-71.0 / 57600,      0,           71.0 / 16695, -71.0 / 1920,
                                              17253.0 / 339200.0, -22.0 / 525, 1.0 / 40};
    sy_graph *g = sy_step_begin(p, "attempt", error);
    if (!g)
        return NULL;
    int32_t count = sy_step_count(p);
    sy_type vector = SY_T(SY_F32, count), image = sy_step_image(p, count, p->channels);
    sy_value x = sy_state(g, "x", image), k = sy_state(g, "k", slopes_type(p));
    sy_value t = sy_state(g, "ode.t", vector), h = sy_state(g, "ode.h", vector);
    sy_value rejected = sy_state(g, "ode.rejected", SY_T(SY_I32, count));
    sy_value running = sy_state(g, "run.network", SY_T(SY_I32, 1));

    sy_scope_push(g, "ode");
    sy_value next = sy_add(g, x, combine(g, p, k, h, order5));
    sy_value norm = scaled_error(g, p, ode, x, next, combine(g, p, k, h, difference));
    sy_value reject = sy_binary(g, SY_OP_LESS, number(g, 1), norm);
    /* 0.9 norm^(-1/5); a norm near 0 is taken as 1e-9, whose factor is above any limit */
    sy_value tiny = sy_binary(g, SY_OP_MAX, norm, number(g, 1e-9));
    sy_value factor = sy_unary(g, SY_OP_EXP, sy_mul(g, sy_unary(g, SY_OP_LOG, tiny), number(g, -0.2)));
    factor = sy_binary(g, SY_OP_MAX, sy_mul(g, factor, number(g, 0.9)), number(g, 0.2));
    sy_value held = sy_binary(g, SY_OP_MAX, reject, rejected);
    sy_value limit = sy_select(g, held, sy_broadcast(g, number(g, 1), vector), sy_broadcast(g, number(g, 10), vector));
    factor = sy_binary(g, SY_OP_MIN, factor, limit);
    /* a step that reaches the end, as far as f32 can tell, ends there exactly */
    sy_value reached = sy_add(g, t, h);
    sy_value last = sy_binary(g, SY_OP_LESS, number(g, 1 - 1e-6), reached);
    reached = sy_select(g, last, sy_broadcast(g, number(g, 1), vector), reached);
    sy_value then = sy_select(g, reject, t, reached), left = sy_sub(g, number(g, 1), then);
    sy_value longer = sy_binary(g, SY_OP_MIN, sy_mul(g, h, factor), left);
    sy_value open = sy_binary(g, SY_OP_LESS, number(g, 0), sy_row(g, SY_OP_REDUCE_MAX, left, 0));
    sy_scope_pop(g);

    sy_value refused = sy_step_spread(g, p, sy_reshape(g, reject, SY_T(SY_I32, count, 1, 1, 1)));
    sy_carry(g, "x", sy_select(g, refused, x, next));
    /* the last slope is the first of the next step; the others are written anew */
    sy_value first = sy_select(g, refused, slope(g, p, k, 0), slope(g, p, k, STAGES - 1));
    sy_type one = slopes_type(p), rest = slopes_type(p);
    one.dim[0] = 1;
    rest.dim[0] = STAGES - 1;
    const sy_value kept[2] = {sy_reshape(g, first, one), sy_slice(g, k, (const int32_t[SY_MAX_RANK]){1}, rest)};
    sy_carry(g, "k", sy_concat(g, kept, 2, 0));
    sy_carry(g, "ode.t", then);
    sy_carry(g, "ode.h", longer);
    sy_carry(g, "ode.rejected", reject);
    sy_carry(g, "run.network", open);
    /* from where the attempt came to, along its last slope to the end */
    sy_value ahead = sy_step_per_picture(g, p, sy_sub(g, number(g, 1), reached));
    sy_tap(g, "preview", sy_add(g, next, sy_mul(g, ahead, slope(g, p, k, STAGES - 1))));
    sy_tap(g, "ode.time", sy_add(g, t, number(g, 0)));
    sy_tap(g, "ode.step", sy_add(g, h, number(g, 0)));
    sy_tap(g, "ode.error", norm);
    double yes = 1;
    sy_tap(g, "ode.accepted", sy_sub(g, sy_const_of(g, SY_T(SY_I32, 1), &yes, 1), reject));
    sy_tap(g, "run.each", sy_broadcast(g, running, SY_T(SY_I32, count)));
    return sy_step_finish(g, error);
}
