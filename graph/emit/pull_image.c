/* Pooling, resizing and padding where they are read: an element of the result from the few of x that it needs. Indices
 * are decided in whole numbers; a vector of channels goes through as one where only the channel is a vector. */
#include "graph/emit/gen.h"
#include "graph/ops/window.h"

#include <string.h>

static const sy_val zero = {"0.0", 1, SY_F32};

/* True if the index is a vector in dimensions `first` to `last`. */
static bool lane_in(const sy_gen *gen, const sy_ix *index, int first, int last)
{
    for (int d = first; d <= last; d++)
        if (sy_ix_uses(gen->ix, index[d], gen->lane))
            return true;
    return false;
}

/* An index as an int, for arithmetic that may go below 0. */
static const char *whole(sy_gen *gen, sy_ix index)
{
    return sy_gen_temp(gen, SY_I32, 1, "int(%s)", sy_gen_ix(gen, index)).text;
}

sy_val sy_pull_pad(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type;
    const int32_t *low = node->attributes.pad, *high = node->attributes.pad_high;
    const char *inside = NULL;
    sy_ix at[SY_MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        if ((low[d] || high[d]) && sy_ix_uses(gen->ix, index[d], gen->lane))
            return sy_pull_apart(gen, value, index);
    for (int d = 0; d < x->rank; d++) {
        int32_t n = x->dim[d];
        at[d] = index[d];
        if (!low[d] && !high[d])
            continue;
        const char *k = sy_gen_temp(gen, SY_I32, 1, "int(%s) - %d", sy_gen_ix(gen, index[d]), low[d]).text;
        switch (node->attributes.mode) {
        case 2:
            k = sy_gen_temp(gen, SY_I32, 1, "abs(%s)", k).text;
            k = sy_gen_temp(gen, SY_I32, 1, "%s < %d ? %s : %d - %s", k, n, k, 2 * n - 2, k).text;
            break;
        case 3:
            k = sy_gen_temp(gen, SY_I32, 1, "%s < 0 ? %s + %d : %s < %d ? %s : %s - %d", k, k, n, k, n, k, k, n).text;
            break;
        case 1:
            break;
        default:
            inside =
                sy_arena_printf(&gen->arena, "%s%suint(%s) < %du", inside ? inside : "", inside ? " && " : "", k, n);
            if (!inside) {
                sy_gen_fail(gen, "out of memory");
                return zero;
            }
        }
        at[d] = sy_gen_var(gen, n - 1, "uint(clamp(%s, 0, %d))", k, n - 1);
    }
    sy_val v = sy_pull(gen, node->args[0], at);
    if (!inside)
        return v;
    return sy_gen_temp(gen, v.dtype, v.width, "%s ? %s : %s(0)", inside, v.text, sy_gen_type(v.dtype, v.width));
}

/* Where the element lies among those of x along one dimension: at, the next, and how far between. */
typedef struct place {
    sy_ix at, next;
    const char *share; /* NULL: always 0 */
} place;

static place place_of(sy_gen *gen, sy_ix index, int32_t in, int32_t out, bool aligned)
{
    int32_t unit = aligned ? (out > 1 ? out - 1 : 1) : 2 * out;
    if (in == 1 || in == out)
        return (place){in == 1 ? sy_ix_const(gen->ix, 0) : index, 0, NULL};
    const char *k = whole(gen, index);
    if (aligned)
        k = sy_gen_temp(gen, SY_I32, 1, "%s * %d", k, in - 1).text;
    else
        k = sy_gen_temp(gen, SY_I32, 1, "clamp((2 * %s + 1) * %d - %d, 0, %d)", k, in, out, (in - 1) * unit).text;
    sy_ix at = sy_gen_var(gen, in - 1, "uint(%s / %d)", k, unit);
    const char *low = sy_gen_ix(gen, at);
    sy_ix next = sy_gen_var(gen, in - 1, "min(%s + 1u, %du)", low, in - 1);
    const char *share = sy_gen_temp(gen, SY_F32, 1, "float(%s - int(%s) * %d) * %s", k, low, unit,
                                    sy_gen_literal(gen, SY_F32, 1.0 / unit).text)
                            .text;
    return (place){at, next, share};
}

/* Linear along dimension d, of what the further dimensions give. */
static sy_val interpolated(sy_gen *gen, sy_value x, const place *places, sy_ix *at, int d, int last)
{
    if (d == last)
        return sy_pull(gen, x, at);
    at[d] = places[d].at;
    sy_val low = interpolated(gen, x, places, at, d + 1, last);
    if (!places[d].share)
        return low;
    at[d] = places[d].next;
    sy_val high = interpolated(gen, x, places, at, d + 1, last);
    return sy_gen_temp(gen, SY_F32, low.width, "mix(%s, %s, %s)", low.text, high.text, places[d].share);
}

sy_val sy_pull_resize(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type;
    place places[SY_MAX_RANK];
    sy_ix at[SY_MAX_RANK];
    int last = x->rank - 1;
    if (lane_in(gen, index, 0, last - 1))
        return sy_pull_apart(gen, value, index);
    memcpy(at, index, sizeof *at * (size_t)x->rank);
    for (int d = 1; d < last; d++)
        places[d] = place_of(gen, index[d], x->dim[d], node->type.dim[d], node->attributes.mode);
    return interpolated(gen, node->args[0], places, at, 1, last);
}

sy_val sy_pull_pool(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type;
    const sy_window w = sy_window_of(gen->graph, node);
    const uint32_t limit = gen->plan->limits.loop_limit;
    int last = x->rank - 1, first = SY_SPATIAL + 1 - last;
    bool largest = node->attributes.mode == 0;
    sy_ix at[SY_MAX_RANK];
    uint32_t scope[SY_SPATIAL];
    if (limit && w.taps * 16 > limit) {
        if (!gen->failed)
            sy_fail(gen->error, SY_CODE_UNAVAILABLE,
                    "a pool window of %lld pixels is more than the driver's loops can do; a mean over all of an image "
                    "is reduce_mean",
                    (long long)w.taps);
        gen->failed = true;
        return zero;
    }
    if (lane_in(gen, index, 0, last - 1))
        return sy_pull_apart(gen, value, index);
    int width = sy_ix_uses(gen->ix, index[last], gen->lane) ? 4 : 1;
    const char *type = sy_gen_type(SY_F32, width);
    sy_val sum = sy_gen_temp(gen, SY_F32, width, "%s(%s)", type, largest ? "-3.402823466e38" : "0.0");
    sy_val met = sy_gen_temp(gen, SY_F32, 1, "0.0");
    const char *inside = "true";
    memcpy(at, index, sizeof *at * (size_t)x->rank);
    for (int d = first; d < SY_SPATIAL; d++) {
        const char *begin = sy_gen_temp(gen, SY_I32, 1, "int(%s) * %d - %d", sy_gen_ix(gen, index[d - first + 1]),
                                        w.stride[d], w.pad[d])
                                .text;
        const char *k = sy_gen_temp(gen, SY_I32, 1, "%s", begin).text;
        sy_gen_line(gen, "for (; %s < %s + %d; %s++) {", k, begin, w.size[d], k);
        scope[d] = sy_gen_open(gen);
        at[d - first + 1] = sy_gen_var(gen, w.in[d] - 1, "uint(clamp(%s, 0, %d))", k, w.in[d] - 1);
        inside = sy_arena_printf(&gen->arena, "%s && uint(%s) < %du", inside ? inside : "", k, w.in[d]);
    }
    sy_gen_line(gen, "if (%s) {", inside ? inside : "false");
    uint32_t own = sy_gen_open(gen);
    const char *text = sy_gen_wide(gen, sy_pull(gen, node->args[0], at), width);
    sy_gen_line(gen, largest ? "%s = max(%s, %s);" : "%s = %s + %s;", sum.text, sum.text, text);
    sy_gen_line(gen, "%s += 1.0;", met.text);
    sy_gen_close(gen, own, "}");
    for (int d = SY_SPATIAL - 1; d >= first; d--)
        sy_gen_close(gen, scope[d], "}");
    if (largest)
        return sum;
    if (node->attributes.mode == 1)
        return sy_gen_temp(gen, SY_F32, width, "%s / %s", sum.text, met.text);
    return sy_gen_temp(gen, SY_F32, width, "%s * %s", sum.text, sy_gen_literal(gen, SY_F32, 1.0 / (double)w.taps).text);
}
