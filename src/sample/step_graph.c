/* Builds the graphs of step_graph.h. The two halves of a guided batch are made by broadcasting x, a view, and taken
 * apart by slices, so guidance, update and preview are one chain of element-wise ops over the network's output. */
#include "src/sample/step_graph.h"

/* Streams of random numbers: the first noise and that of the steps never meet. */
enum { STREAM_INIT = 0, STREAM_STEP = 1 };

static sy_type image_type(const sy_step_graph_params *p, int32_t rows, int32_t channels)
{
    return SY_T(SY_F32, rows, channels, p->height, p->width);
}

static int32_t count_of(const sy_step_graph_params *p)
{
    return p->count > 0 ? p->count : 1;
}

/* Rows first … first + count - 1, channels from … from + channels - 1 of the network's output. */
static sy_value part(sy_graph *g, const sy_step_graph_params *p, sy_value y, int32_t first, int32_t from)
{
    int32_t start[SY_MAX_RANK] = {first, from};
    return sy_slice(g, y, start, image_type(p, count_of(p), p->channels));
}

/* u + s (c - u), on the first guided_channels channels or on all. */
static sy_value guide(sy_graph *g, const sy_step_graph_params *p, sy_value c, sy_value u)
{
    sy_value guided = sy_add(g, u, sy_mul(g, sy_step(g, "guidance"), sy_sub(g, c, u)));
    if (p->guided_channels == 0 || p->guided_channels >= p->channels)
        return guided;
    sy_value channel = sy_iota(g, SY_T(SY_I32, 1, p->channels, 1, 1), 1);
    double limit = p->guided_channels;
    sy_value among = sy_binary(g, SY_OP_LESS, channel, sy_const_of(g, SY_T(SY_I32, 1), &limit, 1));
    return sy_select(g, sy_broadcast(g, among, image_type(p, count_of(p), p->channels)), guided, c);
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

static sy_value noise_term(sy_graph *g, const sy_step_graph_params *p, sy_value output)
{
    sy_value seeds = sy_input(g, "seeds", SY_T(SY_U32, count_of(p)));
    sy_value z = sy_random_normal(g, seeds, sy_step_index(g), STREAM_STEP, image_type(p, count_of(p), p->channels));
    if (!p->learned_variance)
        return z;
    sy_value w = part(g, p, output, 0, p->channels);
    sy_value exponent = sy_add(g, sy_step(g, "l0"), sy_mul(g, sy_step(g, "l1"), w));
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

static sy_graph *finish(sy_graph *g, sy_error *error)
{
    if (!sy_graph_check(g, error) || !sy_graph_verify(g, SY_STAGE_SOURCE, error))
        sy_graph_destroy(&g);
    return g;
}

sy_graph *sy_step_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    if (!check_params(p, error))
        return NULL;
    sy_graph *g = sy_graph_create(p->name ? p->name : "step");
    if (!g) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a graph");
        return NULL;
    }
    int32_t count = count_of(p), halves = p->guided ? 2 : 1;
    int32_t batch = count * halves;
    sy_zoo_inputs in = {.time = sy_step(g, "t")};
    sy_value x = sy_state(g, "x", image_type(p, count, p->channels)), h = 0;
    in.x = x;
    if (p->guided) {
        sy_value one = sy_reshape(g, x, SY_T(SY_F32, 1, count, p->channels, p->height, p->width));
        sy_value two = sy_broadcast(g, one, SY_T(SY_F32, 2, count, p->channels, p->height, p->width));
        in.x = sy_reshape(g, two, image_type(p, batch, p->channels));
    }
    if (p->words > 0) {
        in.label = sy_input(g, "label", SY_T(SY_I32, batch, p->words));
        in.label_weights = sy_input(g, "label_weights", SY_T(SY_F32, batch, p->words));
    } else {
        in.label = sy_input(g, "label", SY_T(SY_I32, batch));
    }
    sy_value output = p->network(p->context, g, &in);

    sy_scope_push(g, "sampler");
    sy_value v = part(g, p, output, 0, 0);
    if (p->guided)
        v = guide(g, p, v, part(g, p, output, count, 0));
    if (p->clip)
        v = clip_output(g, x, v);
    sy_value next = add_term(g, add_term(g, 0, "cx", x), "cv", v);
    if (p->history) {
        h = sy_state(g, "h", image_type(p, count, p->channels));
        next = add_term(g, next, "ch", h);
    }
    if (p->noise)
        next = add_term(g, next, "cn", noise_term(g, p, output));
    sy_value preview = add_term(g, add_term(g, 0, "px", x), "pv", v);
    sy_value kept = p->history ? add_term(g, add_term(g, add_term(g, 0, "ex", x), "eh", h), "ev", v) : 0;
    sy_scope_pop(g);

    sy_carry(g, "x", next);
    if (p->history)
        sy_carry(g, "h", kept);
    sy_tap(g, "preview", preview);
    return finish(g, error);
}

sy_graph *sy_init_graph_build(const sy_step_graph_params *p, sy_error *error)
{
    if (!check_params(p, error))
        return NULL;
    sy_graph *g = sy_graph_create("init");
    if (!g) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a graph");
        return NULL;
    }
    sy_type type = image_type(p, count_of(p), p->channels);
    double zero = 0;
    sy_state(g, "x", type);
    sy_carry(g, "x", sy_random_normal(g, sy_input(g, "seeds", SY_T(SY_U32, count_of(p))), 0, STREAM_INIT, type));
    if (p->history) {
        sy_state(g, "h", type);
        sy_carry(g, "h", sy_const_of(g, type, &zero, 1));
    }
    return finish(g, error);
}
