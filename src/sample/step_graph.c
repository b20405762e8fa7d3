/* The parts of the graphs of step_graph.h, and the step that is one program. The halves of a guided batch are made by
 * broadcasting x, a view, and taken apart by slices, so guidance, update and preview are one chain of element-wise ops
 * over the network's output. Terms whose column is 0 in all rows of the sampler's table are left out. */
#include "src/sample/step_parts.h"

/* Streams of random numbers: the first noise and that of the steps never meet. */
enum { STREAM_INIT = 0, STREAM_STEP = 1 };

sy_type sy_step_image(const sy_step_graph_params *p, int32_t rows, int32_t channels)
{
    return SY_T(SY_F32, rows, channels, p->height, p->width);
}

/* Rows first … first + count - 1, channels from … from + channels - 1 of the network's output. */
static sy_value part(sy_graph *g, const sy_step_graph_params *p, sy_value y, int32_t first, int32_t from)
{
    int32_t start[SY_MAX_RANK] = {first, from};
    return sy_slice(g, y, start, sy_step_image(p, sy_step_count(p), p->channels));
}

/* `guided` on the first guided_channels channels, the conditional output on the others. */
static sy_value on_guided_channels(sy_graph *g, const sy_step_graph_params *p, sy_value guided, sy_value c)
{
    if (p->guided_channels == 0 || p->guided_channels >= p->channels)
        return guided;
    sy_value channel = sy_iota(g, SY_T(SY_I32, 1, p->channels, 1, 1), 1);
    double limit = p->guided_channels;
    sy_value among = sy_binary(g, SY_OP_LESS, channel, sy_const_of(g, SY_T(SY_I32, 1), &limit, 1));
    return sy_select(g, sy_broadcast(g, among, sy_step_image(p, sy_step_count(p), p->channels)), guided, c);
}

sy_value sy_step_mean_square(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    int32_t n = sy_step_count(p);
    sy_value flat = sy_reshape(g, sy_mul(g, x, x), SY_T(SY_F32, n, p->channels * p->height * p->width));
    return sy_reshape(g, sy_row(g, SY_OP_REDUCE_MEAN, flat, 0), SY_T(SY_F32, n, 1, 1, 1));
}

sy_value sy_step_per_picture(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    return sy_reshape(g, x, SY_T(SY_F32, sy_step_count(p), 1, 1, 1));
}

sy_value sy_step_spread(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    return sy_broadcast(g, x, sy_step_image(p, sy_step_count(p), p->channels));
}

/* The standard deviation of a picture over all its elements: f32[count, 1, 1, 1]. */
static sy_value deviation(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    int32_t n = sy_step_count(p);
    sy_value flat = sy_reshape(g, x, SY_T(SY_F32, n, p->channels * p->height * p->width));
    sy_value mean = sy_reshape(g, sy_row(g, SY_OP_REDUCE_MEAN, flat, 0), SY_T(SY_F32, n, 1, 1, 1));
    return sy_unary(g, SY_OP_SQRT, sy_step_mean_square(g, p, sy_sub(g, x, mean)));
}

/* The root mean square of every picture as a tap f32[count], and the whole as the tap "<name>.map". */
static void tap_norm(sy_graph *g, const sy_step_graph_params *p, const char *name, sy_value x)
{
    sy_value norm = sy_unary(g, SY_OP_SQRT, sy_step_mean_square(g, p, x));
    sy_tap(g, name, sy_reshape(g, norm, SY_T(SY_F32, sy_step_count(p))));
    sy_scope_push(g, "%s", name);
    sy_tap(g, "map", x);
    sy_scope_pop(g);
}

/* u + s (c - u) with guidance, + s' (c - q) where a pass q without some blocks is at hand; then the deviation brought
 * towards that of c: g (phi std(c) / std(g) + 1 - phi). */
static sy_value guide(sy_graph *g, const sy_step_graph_params *p, sy_value output)
{
    int32_t count = sy_step_count(p);
    sy_value c = part(g, p, output, 0, 0), v = c;
    if (p->guided) {
        sy_value u = part(g, p, output, count, 0);
        sy_value step = sy_mul(g, sy_step(g, "guidance"), sy_sub(g, c, u));
        v = on_guided_channels(g, p, sy_add(g, u, step), c);
    }
    if (p->perturbed) {
        sy_value q = part(g, p, output, p->guided ? 2 * count : count, 0), away = sy_sub(g, c, q);
        v = sy_add(g, v, sy_mul(g, sy_const(g, p->perturbed_scale), away));
        tap_norm(g, p, "perturbation", away);
    }
    if (p->rescale > 0 && (p->guided || p->perturbed)) {
        sy_value ratio = sy_binary(g, SY_OP_DIV, deviation(g, p, c), deviation(g, p, v));
        sy_value factor = sy_add(g, sy_mul(g, ratio, sy_const(g, p->rescale)), sy_const(g, 1 - p->rescale));
        v = sy_mul(g, v, factor);
    }
    if (p->guided)
        tap_norm(g, p, "guidance", sy_sub(g, v, c));
    return v;
}

static sy_value add_term(sy_graph *g, sy_value sum, const char *column, sy_value value)
{
    sy_value term = sy_mul(g, sy_step(g, column), value);
    return sum ? sy_add(g, sum, term) : term;
}

/* The output whose estimate of the clean image, px x + pv v, lies in -1 … 1: (cut(px x + pv v) - px x) / pv. */
static sy_value clip_output(sy_graph *g, sy_value x, sy_value v)
{
    sy_value of_x = sy_mul(g, sy_step(g, "px"), x), pv = sy_step(g, "pv");
    sy_value clean = sy_add(g, of_x, sy_mul(g, pv, v));
    clean = sy_binary(g, SY_OP_MAX, sy_binary(g, SY_OP_MIN, clean, sy_const(g, 1)), sy_const(g, -1));
    return sy_binary(g, SY_OP_DIV, sy_sub(g, clean, of_x), pv);
}

static sy_value noise_term(sy_graph *g, const sy_step_graph_params *p, sy_value variance)
{
    sy_value seeds = sy_input(g, "seeds", SY_T(SY_U32, sy_step_count(p)));
    sy_value z =
        sy_random_normal(g, seeds, sy_step_index(g), STREAM_STEP, sy_step_image(p, sy_step_count(p), p->channels));
    if (!p->learned_variance)
        return z;
    sy_value exponent = sy_add(g, sy_step(g, "l0"), sy_mul(g, sy_step(g, "l1"), variance));
    return sy_mul(g, sy_unary(g, SY_OP_EXP, exponent), z);
}

static bool check_params(const sy_step_graph_params *p, sy_error *error)
{
    if (p->channels < 1 || p->height < 1 || p->width < 1 || p->count < 0 || p->count > 4096 || p->words < 0)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a step graph of %d pictures of %d x %d x %d cannot be built",
                       p->count, p->channels, p->height, p->width);
    if (p->out_channels < p->channels || (p->learned_variance && p->out_channels < 2 * p->channels))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a network with %d output channels cannot step %d channels%s",
                       p->out_channels, p->channels, p->learned_variance ? " with their variances" : "");
    return true;
}

sy_graph *sy_step_begin(const sy_step_graph_params *p, const char *name, sy_error *error)
{
    if (!check_params(p, error))
        return NULL;
    sy_graph *g = sy_graph_create(name);
    if (!g)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a graph");
    return g;
}

sy_graph *sy_step_finish(sy_graph *g, sy_error *error)
{
    if (!sy_graph_check(g, error) || !sy_graph_verify(g, SY_STAGE_SOURCE, error))
        sy_graph_destroy(&g);
    return g;
}

sy_value sy_step_halves(sy_graph *g, const sy_step_graph_params *p, sy_value x)
{
    sy_type type = g->nodes[x].type, two = {.rank = (uint8_t)(type.rank + 1), .dtype = type.dtype, .dim = {2}};
    if (!p->guided)
        return x;
    for (int i = 0; i < type.rank; i++)
        two.dim[i + 1] = type.dim[i];
    sy_type one = two;
    one.dim[0] = 1;
    type.dim[0] *= 2;
    return sy_reshape(g, sy_broadcast(g, sy_reshape(g, x, one), two), type);
}

/* The first `batch` rows of an input with more. */
static sy_value label_part(sy_graph *g, const sy_step_graph_params *p, const char *name, sy_dtype dtype, int32_t batch)
{
    int32_t rows = p->label_rows > batch ? p->label_rows : batch;
    sy_value all = sy_input(g, name, p->words > 0 ? SY_T(dtype, rows, p->words) : SY_T(dtype, rows));
    return rows == batch ? all : sy_slice_axis(g, all, 0, 0, batch);
}

/* What the init graph encodes; without an encoder it is given. */
static sy_value context_of(sy_graph *g, const sy_step_graph_params *p)
{
    sy_type type = SY_T(SY_F32, p->label_rows, p->context_tokens, p->context_width);
    return p->text_tokens ? sy_state(g, "context", type) : sy_input(g, "context", type);
}

static void take_context(sy_graph *g, const sy_step_graph_params *p, int32_t batch, sy_zoo_inputs *in)
{
    int32_t count = sy_step_count(p);
    sy_value all = context_of(g, p);
    in->context = p->label_rows == batch ? all : sy_slice_axis(g, all, 0, 0, batch);
    if (p->negative)
        in->negative_context = sy_slice_axis(g, all, 0, count, count);
}

sy_value sy_step_evaluate(sy_graph *g, const sy_step_graph_params *p, sy_value x, sy_value time, sy_value *variance)
{
    int32_t count = sy_step_count(p), batch = p->guided ? 2 * count : count;
    sy_zoo_inputs in = {.time = g->nodes[time].type.dim[0] > 1 ? sy_step_halves(g, p, time) : time,
                        .variant = p->variant,
                        .perturbed = p->perturbed ? count : 0};
    sy_value fed = sy_step_uses(p, SY_COLUMN_cin) ? sy_mul(g, sy_step(g, "cin"), x) : x;
    in.x = sy_step_halves(g, p, fed);
    if (!p->unlabelled)
        in.label = label_part(g, p, "label", SY_I32, batch);
    if (p->context_tokens)
        take_context(g, p, batch, &in);
    if (p->words > 0)
        in.label_weights = label_part(g, p, "label_weights", SY_F32, batch);
    if (p->step_size)
        in.step_size = sy_step(g, "d");
    sy_scope_push(g, "sampler");
    if (p->variant == SY_VARIANT_ACTIVE)
        sy_ras_before(g, p, &in);
    sy_scope_pop(g);
    sy_value output = p->network(p->context, g, &in);
    sy_value v = guide(g, p, output);
    tap_norm(g, p, "velocity", v);
    if (variance)
        *variance = p->learned_variance ? part(g, p, output, 0, p->channels) : 0;
    if (p->variant == SY_VARIANT_ACTIVE || p->variant == SY_VARIANT_REFRESH)
        sy_ras_after(g, p, output, v);
    return v;
}

/* One kept value: what the columns named say of x, h, g and v. */
static void keep(sy_graph *g, const sy_step_graph_params *p, const char *name, const int columns[4],
                 const sy_value values[4])
{
    sy_value sum = 0;
    for (int i = 0; i < 4; i++)
        if (sy_step_uses(p, columns[i]) && values[i])
            sum = add_term(g, sum, sy_sampler_columns[columns[i]], values[i]);
    if (sum)
        sy_carry(g, name, sum);
}

sy_value sy_step_update(sy_graph *g, const sy_step_graph_params *p, sy_value x, sy_value v, sy_value variance)
{
    static const int of_h[] = {SY_COLUMN_ex, SY_COLUMN_eh, SY_COLUMN_eg, SY_COLUMN_ev},
                     of_g[] = {SY_COLUMN_fx, SY_COLUMN_fh, SY_COLUMN_fg, SY_COLUMN_fv};
    sy_type type = g->nodes[x].type;
    sy_value h = sy_step_uses(p, SY_COLUMN_ch) ? sy_state(g, "h", type) : 0;
    sy_value kept = sy_step_uses(p, SY_COLUMN_cg) ? sy_state(g, "g", type) : 0;
    sy_scope_push(g, "sampler");
    if (p->clip)
        v = clip_output(g, x, v);
    sy_value next = add_term(g, add_term(g, 0, "cx", x), "cv", v);
    if (h)
        next = add_term(g, next, "ch", h);
    if (kept)
        next = add_term(g, next, "cg", kept);
    if (sy_step_uses(p, SY_COLUMN_cn))
        next = add_term(g, next, "cn", noise_term(g, p, variance));
    sy_value preview = add_term(g, add_term(g, 0, "px", x), "pv", v);
    const sy_value values[4] = {x, h, kept, v};
    if (h)
        keep(g, p, "h", of_h, values);
    if (kept)
        keep(g, p, "g", of_g, values);
    sy_scope_pop(g);
    sy_carry(g, "x", next);
    sy_tap(g, "preview", preview);
    return next;
}

sy_graph *sy_step_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    sy_graph *g = sy_step_begin(p, p->name ? p->name : "step", error);
    if (!g)
        return NULL;
    sy_value x = sy_state(g, "x", sy_step_image(p, sy_step_count(p), p->channels)), variance;
    sy_value v = sy_step_evaluate(g, p, x, sy_step(g, "t"), &variance);
    sy_step_update(g, p, x, v, variance);
    return sy_step_finish(g, error);
}

/* A state that begins as one number everywhere. */
static void begin_with(sy_graph *g, const char *name, sy_type type, double value)
{
    sy_state(g, name, type);
    sy_carry(g, name, sy_const_of(g, type, &value, 1));
}

sy_graph *sy_init_graph_build(const sy_step_graph_params *p, const sy_skip_params *skip, const sy_ode_params *ode,
                              sy_error *error)
{
    sy_graph *g = sy_step_begin(p, "init", error);
    if (!g)
        return NULL;
    int32_t count = sy_step_count(p);
    sy_type type = sy_step_image(p, count, p->channels);
    sy_value seeds = sy_input(g, "seeds", SY_T(SY_U32, count));
    sy_value noise = sy_random_normal(g, seeds, 0, STREAM_INIT, type);
    sy_state(g, "x", type);
    sy_carry(g, "x", p->first_noise > 0 && p->first_noise != 1 ? sy_mul(g, noise, sy_const(g, p->first_noise)) : noise);
    if (p->text_tokens) {
        context_of(g, p);
        sy_value tokens = sy_input(g, "tokens", SY_T(SY_I32, p->label_rows, p->text_tokens));
        sy_carry(g, "context", p->encode(p->context, g, tokens));
    }
    if (skip || ode)
        begin_with(g, "run.network", SY_T(SY_I32, 1), 1);
    if (skip)
        begin_with(g, "run.each", SY_T(SY_I32, count), 1);
    if (ode)
        begin_with(g, "ode.h", SY_T(SY_F32, count), ode->first);
    return sy_step_finish(g, error);
}

sy_graph *sy_decode_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    sy_graph *g = sy_step_begin(p, "decode", error);
    if (!g)
        return NULL;
    sy_output(g, "picture",
              p->decode(p->context, g, sy_state(g, "x", sy_step_image(p, sy_step_count(p), p->channels))));
    return sy_step_finish(g, error);
}
