/* The builder, third part: images. Convolution, pooling, resizing and padding are ops; all else here is composed.
 * Weights are read as PyTorch stores them and turned when they are loaded, since all that depends on parameters alone
 * is. */
#include "graph/ir/build.h"

#include <string.h>

enum { SPATIAL = 3 };

/* The type of an image value, or NULL with the error set (or x is no value). */
static const sy_type *image_type(sy_graph *g, sy_value x, const char *op)
{
    if (!x || x >= g->n_nodes)
        return NULL;
    const sy_type *type = &g->nodes[x].type;
    if (!type->is_route && type->rank >= 3 && type->rank <= SPATIAL + 2)
        return type;
    char text[96];
    sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s needs an image, [N,S…,C] with 1 to %d spatial dimensions, not %s.",
            op, SPATIAL, sy_type_text(type, text));
    return NULL;
}

static bool need(sy_graph *g, bool fine, const char *op, const char *what)
{
    return fine || sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s: %s.", op, what);
}

/* A type with dimensions of which some may not be known to be sound: reshape will say so. */
static sy_value reshaped(sy_graph *g, sy_value x, int rank, const int32_t *dims)
{
    return sy_reshape(g, x, sy_tensor(SY_F32, rank, dims));
}

sy_value sy_conv(sy_graph *g, sy_value x, sy_value w, const sy_attributes *attributes)
{
    return sy_graph_add(g, SY_OP_CONV, (sy_value[]){x, w}, 2, attributes, NULL, NULL);
}

static sy_value with_bias(sy_graph *g, sy_value y, int32_t out, bool bias, sy_dtype dtype)
{
    return bias ? sy_add(g, y, sy_param(g, "bias", SY_T(dtype, out))) : y;
}

sy_value sy_conv_layer_with(sy_graph *g, sy_value x, const char *name, int32_t out, const int32_t *kernel,
                            const sy_attributes *attributes, bool bias, sy_dtype dtype)
{
    const sy_type *type = image_type(g, x, "a convolution layer");
    if (!type)
        return 0;
    int n = type->rank - 2;
    int32_t groups = attributes && attributes->groups ? attributes->groups : 1;
    if (!need(g, groups > 0 && type->dim[n + 1] % groups == 0, "a convolution layer",
              "the groups must divide the channels"))
        return 0;
    int32_t dims[SY_MAX_RANK] = {out, type->dim[n + 1] / groups}, perm[SY_MAX_RANK] = {0};
    for (int d = 0; d < n; d++) {
        dims[2 + d] = kernel[d];
        perm[d] = 2 + d;
    }
    perm[n] = 1; /* [O,C/g,K…] -> [K…,C/g,O] */
    sy_scope_push(g, "%s", name);
    sy_value w = sy_transpose(g, sy_param(g, "weight", sy_tensor(dtype, n + 2, dims)), perm);
    sy_value y = with_bias(g, sy_conv(g, x, w, attributes), out, bias, dtype);
    sy_scope_pop(g);
    return y;
}

sy_value sy_conv_layer(sy_graph *g, sy_value x, const char *name, int32_t out, int32_t kernel, int32_t stride,
                       int32_t pad, bool bias, sy_dtype dtype)
{
    const sy_type *type = image_type(g, x, "a convolution layer");
    sy_attributes a = {0};
    int32_t kernels[SPATIAL];
    for (int d = 0; type && d < type->rank - 2; d++) {
        kernels[d] = kernel;
        a.stride[d] = stride;
        a.pad[d] = a.pad_high[d] = pad;
    }
    return type ? sy_conv_layer_with(g, x, name, out, kernels, &a, bias, dtype) : 0;
}

/* weight [C,O/g,K…] of a transposed convolution as [K…,C/g,O] of the convolution that does the same: taps reversed. All
 * taps reversed in each dimension are the flat list of taps reversed. */
static sy_value turned(sy_graph *g, sy_value weight, int n, int32_t groups)
{
    enum { MOST = 1024 /* parts of a concat */ };
    if (!weight)
        return 0;
    const int32_t *dim = g->nodes[weight].type.dim;
    int32_t c = dim[0] / groups, o = dim[1], taps = 1, split[SY_MAX_RANK] = {groups, c, o}, perm[SY_MAX_RANK] = {0};
    int32_t whole[SY_MAX_RANK] = {0};
    sy_value part[MOST];
    for (int d = 0; d < n; d++) {
        split[3 + d] = whole[d] = dim[2 + d];
        perm[d] = 3 + d;
        taps = dim[2 + d] <= MOST && taps <= MOST ? taps * dim[2 + d] : MOST + 1;
    }
    if (!need(g, taps <= MOST, "a transposed convolution layer", "its kernel has more than 1024 taps"))
        return 0;
    perm[n] = 1, perm[n + 1] = 0, perm[n + 2] = 2; /* [g,C/g,O/g,K…] -> [K…,C/g,g,O/g] */
    whole[n] = c, whole[n + 1] = groups * o;
    sy_value w = sy_transpose(g, reshaped(g, weight, n + 3, split), perm);
    w = reshaped(g, w, 2, (const int32_t[]){taps, c * groups * o});
    for (int32_t t = 0; t < taps; t++)
        part[t] = sy_slice_axis(g, w, 0, taps - 1 - t, 1);
    return reshaped(g, taps > 1 ? sy_concat(g, part, (uint32_t)taps, 0) : w, n + 2, whole);
}

/* Kernel = stride: each pixel makes a block of its own; a matmul and a permuted store. One or two spatial dimensions.
 */
static sy_value blocks(sy_graph *g, sy_value x, sy_value weight, int n, int32_t out, int32_t kernel)
{
    const sy_type type = g->nodes[x].type;
    int32_t rows = type.dim[0], c = type.dim[n + 1], perm[SY_MAX_RANK] = {0, 2, 3, 1};
    if (n == 1) {
        const int32_t back[] = {rows, type.dim[1] * kernel, out}, turn[] = {0, 2, 1};
        sy_value w = reshaped(g, sy_transpose(g, weight, turn), 2, (const int32_t[]){c, kernel * out});
        return reshaped(g, sy_matmul(g, x, w, false), 3, back);
    }
    int32_t h = type.dim[1], w_ = type.dim[2];
    sy_value w = reshaped(g, sy_transpose(g, weight, perm), 2, (const int32_t[]){c, kernel * kernel * out});
    sy_value y = reshaped(g, sy_matmul(g, x, w, false), 6, (const int32_t[]){rows, h, w_, kernel, kernel, out});
    y = sy_transpose(g, y, (const int32_t[]){0, 1, 3, 2, 4, 5});
    return reshaped(g, y, 4, (const int32_t[]){rows, h * kernel, w_ * kernel, out});
}

sy_value sy_conv_transpose_layer(sy_graph *g, sy_value x, const char *name, int32_t out, int32_t kernel, int32_t stride,
                                 int32_t pad, int32_t more, int32_t groups, bool bias, sy_dtype dtype)
{
    static const char layer[] = "a transposed convolution layer";
    const sy_type *type = image_type(g, x, layer);
    if (!type)
        return 0;
    int n = type->rank - 2;
    int32_t c = type->dim[n + 1], dims[SY_MAX_RANK] = {c, 0};
    sy_attributes a = {.groups = groups};
    groups = groups ? groups : 1;
    if (!need(g, groups > 0 && c % groups == 0 && out > 0 && out % groups == 0, layer,
              "the groups must divide both channels") ||
        !need(g, kernel > 0 && kernel < 1024 && pad >= 0 && pad < kernel && more >= 0 && more < stride, layer,
              "kernel from 1, pad smaller than it, output_padding smaller than the stride"))
        return 0;
    dims[1] = out / groups;
    for (int d = 0; d < n; d++) {
        dims[2 + d] = kernel;
        a.up[d] = stride;
        a.pad[d] = kernel - 1 - pad;
        a.pad_high[d] = kernel - 1 - pad + more;
    }
    sy_scope_push(g, "%s", name);
    sy_value weight = sy_param(g, "weight", sy_tensor(dtype, n + 2, dims)), y = 0;
    if (weight && kernel == stride && !pad && !more && groups == 1 && n < 3)
        y = blocks(g, x, weight, n, out, kernel);
    else
        y = sy_conv(g, x, turned(g, weight, n, groups), &a);
    y = with_bias(g, y, out, bias, dtype);
    sy_scope_pop(g);
    return y;
}

sy_value sy_pool(sy_graph *g, sy_value x, sy_pool_mode mode, int32_t window, int32_t stride, int32_t pad)
{
    const sy_type *type = image_type(g, x, "pooling");
    sy_attributes a = {.mode = (int32_t)mode};
    for (int d = 0; type && d < type->rank - 2; d++) {
        a.window[d] = window;
        a.stride[d] = stride;
        a.pad[d] = a.pad_high[d] = pad;
    }
    return type ? sy_graph_add(g, SY_OP_POOL, &x, 1, &a, NULL, NULL) : 0;
}

sy_value sy_resize(sy_graph *g, sy_value x, const int32_t *dims, bool aligned)
{
    const sy_type *old = image_type(g, x, "resize");
    if (!old)
        return 0;
    sy_type type = *old;
    type.dtype = SY_F32;
    memcpy(type.dim + 1, dims, (size_t)(type.rank - 2) * sizeof *dims);
    return sy_graph_add(g, SY_OP_RESIZE, &x, 1, &(sy_attributes){.mode = aligned}, &type, NULL);
}

sy_value sy_pad(sy_graph *g, sy_value x, const int32_t *low, const int32_t *high, sy_pad_mode mode)
{
    sy_attributes a = {.mode = (int32_t)mode};
    if (!x || x >= g->n_nodes)
        return 0;
    for (int d = 0; d < g->nodes[x].type.rank; d++) {
        a.pad[d] = low[d];
        a.pad_high[d] = high[d];
    }
    return sy_graph_add(g, SY_OP_PAD, &x, 1, &a, NULL, NULL);
}

sy_value sy_upsample_nearest(sy_graph *g, sy_value x, int32_t factor)
{
    const sy_type *old = image_type(g, x, "upsampling");
    if (!old || !need(g, factor >= 1 && factor <= 65535, "upsampling", "the factor must be from 1 to 65535"))
        return 0;
    sy_type type = *old;
    for (int d = 1; d < type.rank - 1 && x; d++) { /* one dimension after the other: [before,S,1,after] */
        int32_t before = 1, after = 1;
        for (int i = 0; i < d; i++)
            before *= type.dim[i];
        for (int i = d + 1; i < type.rank; i++)
            after *= type.dim[i];
        x = reshaped(g, x, 4, (const int32_t[]){before, type.dim[d], 1, after});
        x = sy_broadcast(g, x, SY_T(SY_F32, before, type.dim[d], factor, after));
        if (!need(g, type.dim[d] <= INT32_MAX / factor, "upsampling", "the result is too large"))
            return 0;
        type.dim[d] *= factor;
        x = sy_reshape(g, x, type);
    }
    return x;
}

sy_value sy_pixel_shuffle(sy_graph *g, sy_value x, int32_t r)
{
    const sy_type *type = image_type(g, x, "pixel shuffle");
    if (!type || !need(g, type->rank == 4 && r >= 1 && r <= 256 && type->dim[3] % (r * r) == 0, "pixel shuffle",
                       "it needs [N,H,W,C r r]"))
        return 0;
    int32_t n = type->dim[0], h = type->dim[1], w = type->dim[2], c = type->dim[3] / (r * r);
    sy_value y = reshaped(g, x, 6, (const int32_t[]){n, h, w, c, r, r});
    y = sy_transpose(g, y, (const int32_t[]){0, 1, 4, 2, 5, 3});
    return reshaped(g, y, 4, (const int32_t[]){n, h * r, w * r, c});
}

sy_value sy_pixel_unshuffle(sy_graph *g, sy_value x, int32_t r)
{
    const sy_type *type = image_type(g, x, "pixel unshuffle");
    if (!type || !need(g, type->rank == 4 && r >= 1 && r <= 256 && type->dim[1] % r == 0 && type->dim[2] % r == 0,
                       "pixel unshuffle", "it needs [N,H r,W r,C]"))
        return 0;
    int32_t n = type->dim[0], h = type->dim[1] / r, w = type->dim[2] / r, c = type->dim[3];
    sy_value y = reshaped(g, x, 6, (const int32_t[]){n, h, r, w, r, c});
    y = sy_transpose(g, y, (const int32_t[]){0, 1, 3, 5, 2, 4});
    return reshaped(g, y, 4, (const int32_t[]){n, h, w, c * r * r});
}

sy_value sy_roll(sy_graph *g, sy_value x, int axis, int32_t shift)
{
    if (!x || x >= g->n_nodes ||
        !need(g, !g->nodes[x].type.is_route && axis >= 0 && axis < g->nodes[x].type.rank, "roll",
              "it needs a tensor and one of its axes"))
        return 0;
    int32_t n = g->nodes[x].type.dim[axis];
    shift = (shift % n + n) % n;
    if (!shift)
        return x;
    sy_value parts[] = {sy_slice_axis(g, x, axis, n - shift, shift), sy_slice_axis(g, x, axis, 0, n - shift)};
    return sy_concat(g, parts, 2, axis);
}
