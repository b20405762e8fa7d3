/* The builder, fourth part: norms of images, composed so that no value but statistics is stored between.
 *
 * Group norm: mean and variance of each group (see the pass lower_norms for how they are made) become one multiplication and
 * one addition for each element, which ride with the activation behind them: in a map on software drivers, in the
 * convolution that follows on hardware (see fuse_pull.c). */
#include "graph/ir/build.h"

enum { SPATIAL = 3 };

typedef struct image {
    int32_t n, pixels, channels, groups, own; /* own: channels of a group */
} image;

static bool need(sy_graph *g, bool fine, const char *op, const char *what)
{
    return fine || sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s: %s.", op, what);
}

static bool image_of(sy_graph *g, sy_value x, int32_t groups, const char *op, image *out)
{
    if (!x || x >= g->n_nodes)
        return false;
    const sy_type *type = &g->nodes[x].type;
    if (!need(g, !type->is_route && type->rank >= 3 && type->rank <= SPATIAL + 2, op,
              "it needs an image, [N,S…,C] with 1 to 3 spatial dimensions"))
        return false;
    int32_t channels = type->dim[type->rank - 1];
    groups = groups ? groups : channels;
    if (!need(g, groups > 0 && channels % groups == 0, op, "the groups must divide the channels"))
        return false;
    *out = (image){type->dim[0], 1, channels, groups, channels / groups};
    for (int d = 1; d < type->rank - 1; d++)
        out->pixels *= type->dim[d];
    return true;
}

static sy_value reshaped(sy_graph *g, sy_value x, int rank, const int32_t *dims)
{
    return sy_reshape(g, x, sy_tensor(SY_F32, rank, dims));
}

/* Mean (0) or variance (1) of the groups as [N,R,1]: R the groups, or where these are no whole vectors of channels
 * the channels, so that what is made of them is stored a channel. */
static sy_value moment(sy_graph *g, sy_value x, const image *im, int32_t mode)
{
    sy_type type = SY_T(SY_F32, im->n, im->own % 4 == 0 ? im->groups : im->channels, 1);
    return sy_graph_add(g, SY_OP_GROUP_MOMENT, &x, 1, &(sy_attributes){.groups = im->groups, .mode = mode}, &type, NULL);
}

/* scale or shift, [C] or [N,C], in the shape of the statistics: [1 or N,R,C/R]. */
static sy_value by_rows(sy_graph *g, sy_value v, const image *im, int32_t r)
{
    if (!v)
        return 0;
    const sy_type *type = &g->nodes[v].type;
    uint64_t count = type->is_route ? 0 : sy_type_count(type), c = (uint64_t)im->channels;
    if (!need(g, count == c || count == c * (uint64_t)im->n, "group norm", "scale and shift are [C] or [N,C]"))
        return 0;
    return reshaped(g, v, 3, (const int32_t[]){count == c ? 1 : im->n, r, im->channels / r});
}

sy_value sy_group_norm_affine(sy_graph *g, sy_value x, int32_t groups, double eps, sy_value scale, sy_value shift)
{
    image im;
    if (!image_of(g, x, groups, "group norm", &im) ||
        !need(g, eps >= 0 && eps <= 1, "group norm", "eps must be between 0 and 1"))
        return 0;
    const sy_type type = g->nodes[x].type;
    sy_value mean = moment(g, x, &im, 0), variance = moment(g, x, &im, 1);
    if (!mean)
        return 0;
    int32_t r = g->nodes[mean].type.dim[1], each[SY_MAX_RANK] = {im.n, 1, r, 1};
    sy_value factor = sy_unary(g, SY_OP_RSQRT, sy_add(g, variance, sy_const(g, eps)));
    sy_value own_scale = by_rows(g, scale, &im, r), own_shift = by_rows(g, shift, &im, r);
    sy_value pixels = reshaped(g, x, 4, (const int32_t[]){im.n, im.pixels, r, im.channels / r});
    sy_value y;
    if (own_scale || own_shift) { /* x factor scale + (shift - mean factor scale) */
        factor = own_scale ? sy_mul(g, factor, own_scale) : factor;
        sy_value moved = sy_mul(g, mean, factor);
        moved = own_shift ? sy_sub(g, own_shift, moved) : sy_unary(g, SY_OP_NEG, moved);
        const sy_type *f = &g->nodes[factor].type, *m = &g->nodes[moved].type;
        int32_t wide[] = {f->dim[0], 1, r, f->dim[2]}, moved_wide[] = {m->dim[0], 1, r, m->dim[2]};
        y = sy_add(g, sy_mul(g, pixels, reshaped(g, factor, 4, wide)), reshaped(g, moved, 4, moved_wide));
    } else {
        y = sy_mul(g, sy_sub(g, pixels, reshaped(g, mean, 4, each)), reshaped(g, factor, 4, each));
    }
    return sy_reshape(g, y, type);
}

sy_value sy_group_norm(sy_graph *g, sy_value x, int32_t groups, double eps)
{
    return need(g, groups > 0, "group norm", "the groups must divide the channels")
               ? sy_group_norm_affine(g, x, groups, eps, 0, 0)
               : 0;
}

sy_value sy_group_norm_layer(sy_graph *g, sy_value x, const char *name, int32_t groups, double eps, sy_dtype dtype)
{
    image im;
    if (!image_of(g, x, groups, "group norm", &im))
        return 0;
    sy_scope_push(g, "%s", name);
    sy_value weight = sy_param(g, "weight", SY_T(dtype, im.channels)),
             bias = sy_param(g, "bias", SY_T(dtype, im.channels));
    sy_value y = sy_group_norm_affine(g, x, groups, eps, weight, bias);
    sy_scope_pop(g);
    return y;
}

sy_value sy_instance_norm(sy_graph *g, sy_value x, double eps)
{
    return sy_group_norm_affine(g, x, 0, eps, 0, 0); /* 0: as many groups as channels */
}

sy_value sy_batch_norm(sy_graph *g, sy_value x, const char *name, double eps, sy_dtype dtype)
{
    if (!x || x >= g->n_nodes || !need(g, !g->nodes[x].type.is_route, "batch norm", "it needs a tensor, not a route"))
        return 0;
    sy_type c = SY_T(dtype, g->nodes[x].type.dim[g->nodes[x].type.rank - 1]);
    sy_scope_push(g, "%s", name);
    sy_value variance = sy_add(g, sy_param(g, "running_var", c), sy_const(g, eps));
    sy_value scale = sy_mul(g, sy_param(g, "weight", c), sy_unary(g, SY_OP_RSQRT, variance));
    sy_value shift = sy_sub(g, sy_param(g, "bias", c), sy_mul(g, sy_param(g, "running_mean", c), scale));
    sy_scope_pop(g);
    return sy_add(g, sy_mul(g, x, scale), shift);
}
