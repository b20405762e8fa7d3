/* The builder: attention in full, route attention, rotary positions (RoPE: Su et al., arXiv 2104.09864; its 2-d axial
 * form turns one half of the channels by the row and the other by the column of a token). */
#include "graph/ir/build.h"

#include <math.h>

static const sy_type *tensor_of(sy_graph *g, sy_value x, const char *who)
{
    if (!x || x >= g->n_nodes)
        return NULL;
    const sy_type *type = &g->nodes[x].type;
    if (!type->is_route && type->rank >= 2)
        return type;
    sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s: it needs a tensor of at least 2 dimensions.", who);
    return NULL;
}

static double scale_of(const sy_attention_params *p, const sy_type *q)
{
    return p->scale != 0 ? p->scale : 1 / sqrt(q->dim[q->rank - 1]);
}

sy_value sy_attention_full(sy_graph *g, const sy_attention_params *p)
{
    const sy_type *q = tensor_of(g, p->q, "attention");
    if (!q)
        return 0;
    sy_attributes a = {.scale = scale_of(p, q), .causal = p->causal};
    return sy_graph_add(g, SY_OP_ATTENTION, (sy_value[]){p->q, p->k, p->v, p->bias}, p->bias ? 4 : 3, &a, NULL, NULL);
}

sy_value sy_route_attention(sy_graph *g, const sy_attention_params *p)
{
    const sy_type *q = tensor_of(g, p->q, "route_attention");
    if (!q)
        return 0;
    if (p->bias) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "route_attention: it takes no bias; leave the blocks out instead.");
        return 0;
    }
    sy_attributes a = {.scale = scale_of(p, q),
                       .causal = p->causal,
                       .block_rows = p->block_rows,
                       .block_keys = p->block_keys,
                       .skip = p->skip};
    return sy_graph_add(g, SY_OP_ROUTE_ATTENTION, (sy_value[]){p->q, p->k, p->v, p->route}, 4, &a, NULL, NULL);
}

/* The pairs' first (0) or second (1) members of the turning channels, as […,T,pairs]. */
static sy_value members(sy_graph *g, sy_value x, int32_t pairs, int which, bool interleaved)
{
    const sy_type *type = tensor_of(g, x, "rope");
    if (!type)
        return 0;
    sy_type flat = *type;
    int last = type->rank - 1;
    flat.dim[last] = pairs;
    if (!interleaved)
        return sy_slice_axis(g, x, last, which * pairs, pairs);
    sy_type split = *type;
    split.rank++;
    split.dim[last] = pairs;
    split.dim[last + 1] = 2;
    x = sy_reshape(g, sy_slice_axis(g, x, last, 0, 2 * pairs), split);
    return sy_reshape(g, sy_slice_axis(g, x, last + 1, which, 1), flat);
}

sy_value sy_rotate(sy_graph *g, sy_value x, sy_value angles, bool interleaved)
{
    const sy_type *tx = tensor_of(g, x, "rope"), *ta = tensor_of(g, angles, "rope");
    if (!tx || !ta)
        return 0;
    sy_type type = *tx;
    int last = type.rank - 1;
    int32_t pairs = ta->dim[ta->rank - 1], d = type.dim[last];
    if (pairs > d / 2 || (interleaved && type.rank == SY_MAX_RANK)) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "rope: %d pairs of %d channels in %d dimensions do not go.", pairs,
                d, type.rank);
        return 0;
    }
    sy_value cosine = sy_unary(g, SY_OP_COS, angles), sine = sy_unary(g, SY_OP_SIN, angles);
    sy_value a = members(g, x, pairs, 0, interleaved), b = members(g, x, pairs, 1, interleaved);
    sy_value first = sy_sub(g, sy_mul(g, a, cosine), sy_mul(g, b, sine));
    sy_value second = sy_add(g, sy_mul(g, a, sine), sy_mul(g, b, cosine)), turned;
    if (interleaved) {
        sy_type one = type, all = type;
        one.rank++;
        one.dim[last] = pairs, one.dim[last + 1] = 1;
        all.dim[last] = 2 * pairs;
        turned = sy_concat(g, (sy_value[]){sy_reshape(g, first, one), sy_reshape(g, second, one)}, 2, last + 1);
        turned = sy_reshape(g, turned, all);
    } else {
        turned = sy_concat(g, (sy_value[]){first, second}, 2, last);
    }
    if (2 * pairs == d)
        return turned;
    return sy_concat(g, (sy_value[]){turned, sy_slice_axis(g, x, last, 2 * pairs, d - 2 * pairs)}, 2, last);
}

/* position * base^(-i/n) for pair i of n. */
static sy_value angles_of(sy_graph *g, sy_value positions, int32_t n, double base)
{
    const sy_type *type = &g->nodes[positions].type;
    sy_type column = *type, row = SY_T(SY_F32, n);
    if (!positions || type->is_route || type->rank == SY_MAX_RANK)
        return 0;
    column.dim[column.rank++] = 1;
    double slowing = -log(base) / n;
    sy_value frequency = sy_unary(g, SY_OP_EXP, sy_mul(g, sy_iota(g, row, 0), sy_const(g, slowing)));
    return sy_mul(g, sy_reshape(g, sy_cast(g, positions, SY_F32), column), frequency);
}

/* x's channels `at` to `at` + `n` turned by the index along one axis of the grid of tokens. */
static sy_value along(sy_graph *g, sy_value x, int32_t at, int32_t n, int axis, const sy_rope_params *p)
{
    sy_value index = sy_iota(g, SY_T(SY_F32, p->height, p->width), axis);
    sy_value angles =
        angles_of(g, sy_reshape(g, index, SY_T(SY_F32, p->height * p->width)), n / 2, p->base != 0 ? p->base : 10000);
    return sy_rotate(g, sy_slice_axis(g, x, g->nodes[x].type.rank - 1, at, n), angles, p->interleaved);
}

sy_value sy_rope(sy_graph *g, sy_value x, const sy_rope_params *p)
{
    const sy_type *type = tensor_of(g, x, "rope");
    if (!type)
        return 0;
    int last = type->rank - 1;
    int32_t tokens = type->dim[last - 1], d = type->dim[last], turning = p->channels ? p->channels : d;
    bool grid = p->height > 0 || p->width > 0;
    double base = p->base != 0 ? p->base : 10000;
    if (turning < 2 || turning > d || turning % (grid ? 4 : 2) || !(base > 0) ||
        (grid && (p->positions || p->height < 1 || p->width < 1 || (int64_t)p->height * p->width != tokens))) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "rope: %d of %d channels, base %g and a grid of %d by %d do not fit %d tokens.", turning, d, base,
                p->height, p->width, tokens);
        return 0;
    }
    if (!grid) {
        sy_value at = p->positions ? p->positions : sy_iota(g, SY_T(SY_F32, tokens), 0);
        return sy_rotate(g, x, angles_of(g, at, turning / 2, base), p->interleaved);
    }
    sy_value parts[3] = {along(g, x, 0, turning / 2, 0, p), along(g, x, turning / 2, turning / 2, 1, p)};
    if (turning < d)
        parts[2] = sy_slice_axis(g, x, last, turning, d - turning);
    return sy_concat(g, parts, turning < d ? 3 : 2, last);
}
