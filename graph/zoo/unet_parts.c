/* See the header. */
#include "graph/zoo/unet_parts.h"

#include "graph/zoo/cross_attention.h"

#include <math.h>

sy_value sy_unet_pixel(const sy_layers *l, sy_value x)
{
    return sy_reshape(l->g, x, SY_T(SY_F32, sy_layers_dim(l, x, 0), 1, 1, sy_layers_dim(l, x, -1)));
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

sy_value sy_unet_attention(const sy_layers *l, const sy_network_config *config, sy_value u, const char *qkv,
                           const char *proj, int32_t heads, sy_qkv_order order)
{
    sy_graph *g = l->g;
    if (!u || !sy_graph_check(g, NULL))
        return 0;
    const sy_type image = g->nodes[u].type;
    int32_t width = image.dim[3];
    if (heads < 1 || width % heads) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%.200s: %d channels do not divide into %d heads.", g->scope,
                (int)width, (int)heads);
        return 0;
    }
    sy_value tokens = sy_layers_tokens(l, u), y = sy_layers_pointwise(l, tokens, qkv);
    if (y && sy_layers_dim(l, y, -1) != 3 * width)
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%.200s.%s: it has %d outputs, not three times %d.", g->scope, qkv,
                (int)sy_layers_dim(l, y, -1), (int)width);
    if (!sy_graph_check(g, NULL))
        return 0;
    int32_t d = width / heads;
    /* PLADIS stands for attention to a text in its paper; that of pixels to each other is extrapolated the same way. */
    sy_cross_settings settings = sy_cross_settings_of(g, config);
    sy_cross_attention attention = {.settings = &settings,
                                    .q = member(g, y, 0, heads, d, order),
                                    .k = member(g, y, 1, heads, d, order),
                                    .v = member(g, y, 2, heads, d, order),
                                    .scale = 1 / sqrt(d)};
    y = sy_cross_attend(g, &attention);
    return sy_reshape(g, sy_layers_pointwise(l, y, proj), image);
}
