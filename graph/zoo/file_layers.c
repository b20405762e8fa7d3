/* See the header. Everything that comes from the file is bounded here or checked by the op that gets it. */
#include "graph/zoo/file_layers.h"

#include "graph/zoo/conditional_conv.h"
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

sy_layers sy_layers_pruned(const sy_layers *l, const sy_units *out, const sy_units *in)
{
    sy_layers pruned = *l;
    pruned.out = out;
    pruned.in = in;
    return pruned;
}

/* The kept units of a weight's axis: runs of them, one after another. */
static sy_value kept_part(sy_graph *g, sy_value w, int axis, const sy_units *units)
{
    if (!w || !units || units->n_kept == units->count)
        return w;
    int32_t size = g->nodes[w].type.dim[axis];
    if (units->count < 1 || size % units->count || !units->n_kept) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s: %d channels cannot be pruned to %d of %d parts.", g->scope,
                (int)size, (int)units->n_kept, (int)units->count);
        return 0;
    }
    size /= units->count;
    sy_value runs[SY_MAX_UNITS];
    uint32_t n = 0;
    for (int32_t i = 0; i < units->count; i++) {
        int32_t first = i;
        while (i < units->count && units->kept[i])
            i++;
        if (i > first)
            runs[n++] = sy_slice_axis(g, w, axis, first * size, (i - first) * size);
    }
    return n == 1 ? runs[0] : sy_concat(g, runs, n, axis);
}

/* The parameter "weight" of the layer in scope, as the file has it but for what is pruned. */
static sy_value weight_of(const sy_layers *l)
{
    sy_graph *g = l->g;
    const sy_stored_tensor *t = sy_layers_find(l, "weight");
    sy_type type;
    if (!t) {
        sy_layers_rows(l, "weight");
        return 0;
    }
    if (!sy_stored_type(t, &type, &g->error))
        return 0;
    type.dtype = l->dtype;
    sy_value w = kept_part(g, sy_param(g, "weight", type), 0, l->out);
    return type.rank > 1 ? kept_part(g, w, 1, l->in) : w;
}

static sy_value bias_of(const sy_layers *l)
{
    return kept_part(l->g, sy_zoo_param(l->g, "bias", SY_T(l->dtype, sy_layers_rows(l, "bias"))), 0, l->out);
}

static sy_value affine(const sy_layers *l, sy_value x, const char *name)
{
    sy_scope_push(l->g, "%s", name);
    x = sy_mul(l->g, x, sy_zoo_f32(l->g, weight_of(l)));
    x = sy_add(l->g, x, bias_of(l));
    sy_scope_pop(l->g);
    return x;
}

sy_value sy_layers_group_norm(const sy_layers *l, sy_value x, const char *name, double eps)
{
    sy_scope_push(l->g, "%s", name);
    sy_value scale = sy_zoo_f32(l->g, weight_of(l)), shift = bias_of(l);
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
    sy_graph *g = l->g;
    sy_scope_push(g, "%s", name);
    x = sy_matmul(g, x, weight_of(l), true);
    x = bias ? sy_add(g, x, bias_of(l)) : x;
    sy_scope_pop(g);
    return x;
}

sy_value sy_layers_conv(const sy_layers *l, sy_value x, const char *name, int32_t kernel, int32_t stride)
{
    sy_graph *g = l->g;
    int32_t pad = kernel / 2;
    sy_attributes a = {.stride = {stride, stride}, .pad = {pad, pad}, .pad_high = {pad, pad}};
    sy_scope_push(g, "%s", name);
    sy_value w = weight_of(l);
    int rank = w ? g->nodes[w].type.rank : 4;
    if (w && (rank < 4 || g->nodes[w].type.dim[rank - 1] != kernel))
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s.weight is not that of a %d x %d convolution.", g->scope,
                (int)kernel, (int)kernel);
    else if (rank == 5)
        x = sy_conditional_conv(l, x, w, &a);
    else
        x = sy_add(g, sy_conv(g, x, sy_transpose(g, w, (const int32_t[]){2, 3, 1, 0}), &a), bias_of(l));
    sy_scope_pop(g);
    return x;
}

sy_value sy_layers_pointwise(const sy_layers *l, sy_value x, const char *name)
{
    sy_graph *g = l->g;
    sy_scope_push(g, "%s", name);
    sy_value w = weight_of(l);
    if (w && g->nodes[w].type.rank > 2)
        w = sy_reshape(g, w, SY_T(l->dtype, g->nodes[w].type.dim[0], g->nodes[w].type.dim[1]));
    x = sy_add(g, sy_matmul(g, x, w, true), bias_of(l));
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

sy_value sy_layers_resnet(const sy_layers *l, sy_value x, sy_value time, double eps, const sy_units *inner)
{
    sy_graph *g = l->g;
    sy_layers first = sy_layers_pruned(l, inner, NULL), second = sy_layers_pruned(l, NULL, inner);
    sy_value h = sy_layers_conv(&first, sy_silu(g, sy_layers_group_norm(l, x, "norm1", eps)), "conv1", 3, 1);
    if (time) {
        sy_value t = sy_layers_linear(&first, time, "time_emb_proj", true);
        h = sy_add(g, h, sy_reshape(g, t, SY_T(SY_F32, sy_layers_dim(l, t, 0), 1, 1, sy_layers_dim(l, t, -1))));
    }
    first.groups = inner ? inner->n_kept : l->groups;
    h = sy_layers_conv(&second, sy_silu(g, sy_layers_group_norm(&first, h, "norm2", eps)), "conv2", 3, 1);
    if (sy_layers_find(l, "conv_shortcut.weight") && h) {
        const sy_type type = g->nodes[h].type; /* a copy: adding nodes moves them */
        x = sy_reshape(g, sy_layers_pointwise(l, sy_layers_tokens(l, x), "conv_shortcut"), type);
    }
    return sy_add(g, x, h);
}
