/* Conditional convolution: the kernel of sample n is sum_i a_ni W_i, its bias sum_i a_ni b_i, with
 * a_n = sigmoid(routing(mean of x_n over the pixels)), as in CondConv (arXiv 1904.04971, eq. 1 to 4).
 *
 * A-SDM (arXiv 2312.15516) puts such layers where blocks were taken out of Stable Diffusion's U-Net: the experts of one
 * layer are the convolutions of several layers of the whole network (its CLME-CondConv). The paper has no public code
 * and does not say how the routing is made; that of CondConv, which it names, is used here. The file has, for a layer
 * NAME, NAME.weight [experts,O,I,k,k], NAME.bias [experts,O] and NAME.routing.weight [experts,I], NAME.routing.bias:
 * our names.
 *
 * Kernels are mixed first and convolved once, so a layer costs one convolution and experts times its weights in
 * multiplications, whatever the picture's size: samples become groups of one convolution,
 * [N,H,W,I] -> [1,H,W,N I] with the kernels [k,k,I,N O].
 *
 * Tap "kernel_weights" f32[N,experts] in the layer's scope. */
#include "graph/zoo/conditional_conv.h"

#include "graph/zoo/networks.h"

static sy_value mixture(const sy_layers *l, sy_value x, int32_t experts)
{
    sy_graph *g = l->g;
    sy_value pixels = sy_transpose(g, sy_layers_tokens(l, x), (const int32_t[]){0, 2, 1});
    sy_value mean = sy_reshape(g, sy_row(g, SY_OP_REDUCE_MEAN, pixels, 0),
                               SY_T(SY_F32, sy_layers_dim(l, x, 0), sy_layers_dim(l, x, 3)));
    sy_layers whole = sy_layers_pruned(l, NULL, NULL);
    sy_value a = sy_unary(g, SY_OP_SIGMOID, sy_layers_linear(&whole, mean, "routing", true));
    if (sy_layers_dim(l, a, 1) != experts && a)
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s.routing gives %d weights for %d experts.", g->scope,
                (int)sy_layers_dim(l, a, 1), (int)experts);
    return a;
}

sy_value sy_conditional_conv(const sy_layers *l, sy_value x, sy_value weight, const sy_attributes *attributes)
{
    sy_graph *g = l->g;
    if (!x || !weight)
        return 0;
    if (l->out || l->in) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s: a conditional convolution cannot be pruned.", g->scope);
        return 0;
    }
    const sy_type w = g->nodes[weight].type, in = g->nodes[x].type;
    int32_t experts = w.dim[0], out = w.dim[1], c = w.dim[2], k = w.dim[3], n = in.dim[0];
    sy_value a = mixture(l, x, experts);
    sy_tap(g, "kernel_weights", a);
    /* [E,O,I,k,k] -> [E, k k I O], and mixed [N, k k I O] -> [k,k,I,N O] */
    sy_value kernels = sy_transpose(g, weight, (const int32_t[]){0, 3, 4, 2, 1});
    kernels = sy_matmul(g, a, sy_reshape(g, kernels, SY_T(l->dtype, experts, k * k * c * out)), false);
    kernels = sy_transpose(g, sy_reshape(g, kernels, SY_T(SY_F32, n, k * k * c, out)), (const int32_t[]){1, 0, 2});
    kernels = sy_reshape(g, kernels, SY_T(SY_F32, k, k, c, n * out));
    sy_attributes grouped = *attributes;
    grouped.groups = n;
    sy_value y = sy_transpose(g, x, (const int32_t[]){1, 2, 0, 3});
    y = sy_conv(g, sy_reshape(g, y, SY_T(SY_F32, 1, in.dim[1], in.dim[2], n * c)), kernels, &grouped);
    int32_t height = sy_layers_dim(l, y, 1), width = sy_layers_dim(l, y, 2);
    y = sy_transpose(g, sy_reshape(g, y, SY_T(SY_F32, height, width, n, out)), (const int32_t[]){2, 0, 1, 3});
    sy_value bias = sy_matmul(g, a, sy_zoo_param(g, "bias", SY_T(l->dtype, experts, out)), false);
    return sy_add(g, y, sy_reshape(g, bias, SY_T(SY_F32, n, 1, 1, out)));
}
