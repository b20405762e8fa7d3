/* See the header. Everything that comes from the file is bounded here or checked by the op that gets it. */
#include "graph/zoo/file_layers.h"

#include "graph/zoo/networks.h"

#include <stdio.h>

const sy_stored_tensor *sy_layers_find(const sy_layers *l, const char *name)
{
    char full[SY_MAX_NAME + 1];
    snprintf(full, sizeof full, "%s%s%s", l->g->scope, *l->g->scope ? "." : "", name);
    return sy_safetensors_find(l->file, full);
}

int32_t sy_layers_rows(const sy_layers *l, const char *name)
{
    const sy_stored_tensor *t = sy_layers_find(l, name);
    if (t && t->rank >= 1 && t->dim[0] >= 1 && t->dim[0] <= 1 << 24)
        return (int32_t)t->dim[0];
    if (l->g->error.code == SY_CODE_OK)
        sy_fail(&l->g->error, SY_CODE_INVALID_FILE, "Tensor \"%s%s%s\" is not in the file, or of no possible size.",
                l->g->scope, *l->g->scope ? "." : "", name);
    return 1;
}

bool sy_layers_dtype(const struct sy_safetensors *file, const char *name, sy_dtype *dtype, sy_error *error)
{
    const sy_stored_tensor *t = sy_safetensors_need(file, name, error);
    if (!t)
        return false;
    if (!t->readable || t->dtype > SY_BF16)
        return sy_fail(error, SY_CODE_INVALID_FILE, "Tensor \"%s\" is %s; weights must be F32, F16 or BF16.", t->name,
                       t->dtype_name);
    *dtype = t->dtype;
    return true;
}

int32_t sy_layers_dim(const sy_layers *l, sy_value x, int i)
{
    if (!x || x >= l->g->n_nodes)
        return 1;
    const sy_type *t = &l->g->nodes[x].type;
    return t->dim[i < 0 ? t->rank - 1 : i];
}

static int32_t weight_rows(const sy_layers *l, const char *layer)
{
    char name[96];
    snprintf(name, sizeof name, "%s.weight", layer);
    return sy_layers_rows(l, name);
}

static sy_value affine(const sy_layers *l, sy_value x, const char *name)
{
    sy_type type = SY_T(l->dtype, sy_layers_dim(l, x, -1));
    sy_scope_push(l->g, "%s", name);
    x = sy_mul(l->g, x, sy_zoo_param(l->g, "weight", type));
    x = sy_add(l->g, x, sy_zoo_param(l->g, "bias", type));
    sy_scope_pop(l->g);
    return x;
}

sy_value sy_layers_group_norm(const sy_layers *l, sy_value x, const char *name, double eps)
{
    sy_type type = SY_T(l->dtype, sy_layers_dim(l, x, -1));
    sy_scope_push(l->g, "%s", name);
    sy_value scale = sy_zoo_param(l->g, "weight", type), shift = sy_zoo_param(l->g, "bias", type);
    x = sy_group_norm_affine(l->g, x, l->groups, eps, scale, shift);
    sy_scope_pop(l->g);
    return x;
}

sy_value sy_layers_layer_norm(const sy_layers *l, sy_value x, const char *name, double eps)
{
    return affine(l, sy_row(l->g, SY_OP_LAYER_NORM, x, eps), name);
}

sy_value sy_layers_linear(const sy_layers *l, sy_value x, const char *name, bool bias)
{
    return sy_linear(l->g, x, name, weight_rows(l, name), bias, l->dtype);
}

sy_value sy_layers_conv(const sy_layers *l, sy_value x, const char *name, int32_t kernel, int32_t stride)
{
    return sy_conv_layer(l->g, x, name, weight_rows(l, name), kernel, stride, kernel / 2, true, l->dtype);
}

sy_value sy_layers_pointwise(const sy_layers *l, sy_value x, const char *name)
{
    sy_graph *g = l->g;
    char weight[96];
    snprintf(weight, sizeof weight, "%s.weight", name);
    const sy_stored_tensor *t = sy_layers_find(l, weight);
    int32_t out = sy_layers_rows(l, weight), in = sy_layers_dim(l, x, -1);
    if (t && t->rank == 2)
        return sy_linear(g, x, name, out, true, l->dtype);
    sy_scope_push(g, "%s", name);
    sy_value w = sy_reshape(g, sy_param(g, "weight", SY_T(l->dtype, out, in, 1, 1)), SY_T(l->dtype, out, in));
    x = sy_add(g, sy_matmul(g, x, w, true), sy_zoo_param(g, "bias", SY_T(l->dtype, out)));
    sy_scope_pop(g);
    return x;
}

sy_value sy_layers_tokens(const sy_layers *l, sy_value image)
{
    return sy_reshape(l->g, image,
                      SY_T(SY_F32, sy_layers_dim(l, image, 0), sy_layers_dim(l, image, 1) * sy_layers_dim(l, image, 2),
                           sy_layers_dim(l, image, -1)));
}

sy_value sy_layers_heads(const sy_layers *l, sy_value x, int32_t heads)
{
    sy_graph *g = l->g;
    int32_t width = sy_layers_dim(l, x, -1);
    if (!x)
        return 0;
    if (heads < 1 || width % heads) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s: a width of %d does not divide into %d heads.", g->scope,
                (int)width, (int)heads);
        return 0;
    }
    x = sy_reshape(g, x, SY_T(SY_F32, sy_layers_dim(l, x, 0), sy_layers_dim(l, x, 1), heads, width / heads));
    return sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3});
}

sy_value sy_layers_resnet(const sy_layers *l, sy_value x, sy_value time, double eps)
{
    sy_graph *g = l->g;
    sy_value h = sy_layers_conv(l, sy_silu(g, sy_layers_group_norm(l, x, "norm1", eps)), "conv1", 3, 1);
    if (time) {
        sy_value t = sy_layers_linear(l, time, "time_emb_proj", true);
        h = sy_add(g, h, sy_reshape(g, t, SY_T(SY_F32, sy_layers_dim(l, t, 0), 1, 1, sy_layers_dim(l, t, -1))));
    }
    h = sy_layers_conv(l, sy_silu(g, sy_layers_group_norm(l, h, "norm2", eps)), "conv2", 3, 1);
    if (sy_layers_find(l, "conv_shortcut.weight") && h)
        x = sy_reshape(g, sy_layers_pointwise(l, sy_layers_tokens(l, x), "conv_shortcut"), g->nodes[h].type);
    return sy_add(g, x, h);
}
