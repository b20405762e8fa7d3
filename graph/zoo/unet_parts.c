/* See the header. The layers of a U-Net are told by the file: which there are, and how wide; what the graph then asks
 * for is held against the file in the end (sy_zoo_check_file). */
#include "graph/zoo/unet_parts.h"
#include "graph/import/safetensors.h"
#include "graph/zoo/cross_attention.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { MOST_WIDTH = 1 << 16 };

static const sy_stored_tensor *stored(const sy_graph *g, const sy_network_config *c, const char *name)
{
    char full[320];
    int n = snprintf(full, sizeof full, "%s%s%s", g->scope, *g->scope ? "." : "", name);
    return c->file && n > 0 && n < (int)sizeof full ? sy_safetensors_find(c->file, full) : NULL;
}

bool sy_unet_has(const sy_graph *g, const sy_network_config *c, const char *name)
{
    return stored(g, c, name) != NULL;
}

int32_t sy_unet_dim(sy_graph *g, const sy_network_config *c, const char *name, uint32_t axis)
{
    const sy_stored_tensor *t = stored(g, c, name);
    if (!sy_graph_check(g, NULL))
        return 0;
    if (t && t->rank > axis && t->dim[axis] > 0 && t->dim[axis] <= MOST_WIDTH)
        return (int32_t)t->dim[axis];
    sy_fail(&g->error, SY_CODE_INVALID_FILE, "The tensor \"%.200s%s%s\" is not in the file, or larger than any layer.",
            g->scope, *g->scope ? "." : "", name);
    return 0;
}

int32_t sy_unet_channels(const sy_graph *g, sy_value x)
{
    return x ? g->nodes[x].type.dim[g->nodes[x].type.rank - 1] : 1;
}

int32_t sy_unet_side(const sy_graph *g, sy_value x)
{
    return x ? g->nodes[x].type.dim[1] : 1;
}

sy_value sy_unet_group_norm(sy_graph *g, const sy_network_config *c, sy_value x, const char *name, int32_t groups,
                            double eps)
{
    sy_type type = SY_T(c->dtype, sy_unet_channels(g, x));
    sy_scope_push(g, "%s", name);
    sy_value scale = sy_zoo_param(g, "weight", type), shift = sy_zoo_param(g, "bias", type);
    x = sy_group_norm_affine(g, x, groups, eps, scale, shift);
    sy_scope_pop(g);
    return x;
}

sy_value sy_unet_conv(sy_graph *g, const sy_network_config *c, sy_value x, const char *name, int32_t stride, bool bias)
{
    char weight[96];
    snprintf(weight, sizeof weight, "%s.weight", name);
    int32_t out = sy_unet_dim(g, c, weight, 0), kernel = sy_unet_dim(g, c, weight, 2);
    return kernel ? sy_conv_layer(g, x, name, out, kernel, stride, kernel / 2, bias, c->dtype) : 0;
}

sy_value sy_unet_linear(sy_graph *g, const sy_network_config *c, sy_value x, const char *name, bool bias)
{
    char weight[96];
    snprintf(weight, sizeof weight, "%s.weight", name);
    int32_t out = sy_unet_dim(g, c, weight, 0);
    return out ? sy_linear(g, x, name, out, bias, c->dtype) : 0;
}

sy_value sy_unet_pixel(sy_graph *g, sy_value x)
{
    return x ? sy_reshape(g, x, SY_T(SY_F32, g->nodes[x].type.dim[0], 1, 1, sy_unet_channels(g, x))) : 0;
}

/* A convolution of one tap, as the linear layer it is. */
static sy_value pointwise(sy_graph *g, const sy_network_config *c, sy_value x, const char *name, int32_t out)
{
    int32_t in = sy_unet_channels(g, x), dims[4] = {out, in, 1, 1};
    sy_scope_push(g, "%s", name);
    const sy_stored_tensor *t = stored(g, c, "weight");
    int rank = t && t->rank >= 2 && t->rank <= 4 ? (int)t->rank : 2;
    sy_value w = sy_reshape(g, sy_param(g, "weight", sy_tensor(c->dtype, rank, dims)), SY_T(c->dtype, out, in));
    x = sy_add(g, sy_matmul(g, x, w, true), sy_zoo_param(g, "bias", SY_T(c->dtype, out)));
    sy_scope_pop(g);
    return x;
}

/* Member i of the joint projection y[N,T,3C] as attention wants it, [N,heads,T,d]. */
static sy_value member(sy_graph *g, sy_value y, int32_t i, int32_t heads, int32_t d, sy_qkv_order order)
{
    int axis = order == SY_QKV_LEGACY ? 3 : order == SY_QKV_NEW ? 2 : 4;
    int32_t n = g->nodes[y].type.dim[0], t = g->nodes[y].type.dim[1];
    sy_type split = order == SY_QKV_LEGACY ? SY_T(SY_F32, n, t, heads, 3, d)
                    : order == SY_QKV_NEW  ? SY_T(SY_F32, n, t, 3, heads, d)
                                           : SY_T(SY_F32, n, t, heads, d, 3);
    y = sy_slice_axis(g, sy_reshape(g, y, split), axis, i, 1);
    return sy_transpose(g, sy_reshape(g, y, SY_T(SY_F32, n, t, heads, d)), (const int32_t[]){0, 2, 1, 3});
}

sy_value sy_unet_attention(sy_graph *g, const sy_network_config *c, sy_value u, const char *qkv, const char *proj,
                           int32_t heads, sy_qkv_order order)
{
    if (!u || !sy_graph_check(g, NULL))
        return 0;
    const sy_type image = g->nodes[u].type;
    int32_t n = image.dim[0], tokens = image.dim[1] * image.dim[2], width = image.dim[3];
    if (heads < 1 || width % heads) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%.200s: %d channels do not divide into %d heads.", g->scope,
                (int)width, (int)heads);
        return 0;
    }
    int32_t d = width / heads;
    sy_value y = pointwise(g, c, sy_reshape(g, u, SY_T(SY_F32, n, tokens, width)), qkv, 3 * width);
    if (!y)
        return 0;
    /* PLADIS stands for attention to a text in its paper; that of pixels to each other is extrapolated the same way. */
    sy_cross_settings settings = sy_cross_settings_of(g, c);
    sy_cross_attention attention = {.settings = &settings,
                                    .q = member(g, y, 0, heads, d, order),
                                    .k = member(g, y, 1, heads, d, order),
                                    .v = member(g, y, 2, heads, d, order),
                                    .scale = 1 / sqrt(d)};
    y = sy_cross_attend(g, &attention);
    return sy_reshape(g, pointwise(g, c, y, proj, width), image);
}
