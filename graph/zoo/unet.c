/* U-Net, "Convolutional Networks for Biomedical Image Segmentation" (arXiv 1505.04597), as published: convolutions
 * without padding, so that the result is smaller than the picture (572 -> 388 with four levels).
 *
 *   down.N   two 3x3 convolutions with ReLU, then the largest of 2 x 2 pixels; the channels double
 *   bottom   two convolutions
 *   up.N     up-convolution 2x2 with stride 2 that halves the channels; [the middle of what down.N gave; that]; two
 *            convolutions. N counts as in down: up.0 is the last
 *   out      1x1 convolution to the classes, softmax
 *
 * The authors' weights are of Caffe and have names of their own; ours are "down.N.conv1", "down.N.conv2",
 * "bottom.conv1", "bottom.conv2", "up.N.up" [in,out,2,2], "up.N.conv1", "up.N.conv2", "out", each with weight and bias
 * in PyTorch's shapes. Metadata image_size: side of the picture (572); it must be such that all that is halved is even.
 *
 * Input "x" f32[N,C,S,S], output "probabilities" f32[N,K,R,R]. Taps: "segmentation" i32[N,R,R], the likeliest class,
 * and "up.N.skip_energy". */
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"

enum { MOST_LEVELS = 12, MOST_SIDE = 8192, PUBLISHED_SIDE = 572 };

static sy_value convolution(const sy_layers *l, sy_value x, const char *name)
{
    sy_scope_push(l->g, "%s", name);
    int32_t out = sy_layers_rows(l, "weight");
    sy_scope_pop(l->g);
    return sy_unary(l->g, SY_OP_RELU, sy_conv_layer(l->g, x, name, out, 3, 1, 0, true, l->dtype));
}

static sy_value two_convolutions(const sy_layers *l, sy_value x)
{
    return convolution(l, convolution(l, x, "conv1"), "conv2");
}

/* The middle of the image, as large as `like`. */
static sy_value crop(const sy_layers *l, sy_value x, sy_value like)
{
    int32_t side = sy_layers_dim(l, x, 1), wanted = sy_layers_dim(l, like, 1), start = (side - wanted) / 2;
    return sy_slice_axis(l->g, sy_slice_axis(l->g, x, 1, start, wanted), 2, start, wanted);
}

static sy_value way_up(const sy_layers *l, sy_value x, sy_value kept)
{
    sy_graph *g = l->g;
    const sy_stored_tensor *t = sy_layers_find(l, "up.weight");
    int32_t out = t && t->rank == 4 && t->dim[1] > 0 && t->dim[1] <= 1 << 16 ? (int32_t)t->dim[1] : 1;
    x = sy_conv_transpose_layer(g, x, "up", out, 2, 2, 0, 0, 1, true, l->dtype);
    sy_value skip = crop(l, kept, x);
    sy_skip_tap_energy(g, x, skip);
    return two_convolutions(l, sy_concat(g, (const sy_value[]){skip, x}, 2, 3));
}

/* False, with a message, if a level would have nothing left, or a picture of odd size to halve. */
static bool check_side(int32_t side, int32_t levels, sy_error *error)
{
    int32_t s = side;
    bool fits = true;
    for (int32_t i = 0; i < levels && fits; i++) {
        s -= 4;
        fits = s > 0 && s % 2 == 0;
        s /= 2;
    }
    for (int32_t i = 0; i < levels; i++)
        s = 2 * (s - 4) - 4 * (i == levels - 1);
    return (fits && s > 0) ||
           sy_fail(
               error, SY_CODE_INVALID_FILE,
               "A picture of %d x %d does not go through %d levels without padding: at each its side loses 4 and must "
               "then be even, and something must be left. 572 fits four levels.",
               (int)side, (int)side, (int)levels);
}

bool sy_unet_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    sy_layers l = {.g = g, .file = file};
    int32_t levels = 0, side = PUBLISHED_SIDE, first[4], last[4];
    sy_value kept[MOST_LEVELS];
    while (levels < MOST_LEVELS && sy_zoo_has(file, "down.%d.conv1.weight", (int)levels))
        levels++;
    if (!sy_zoo_shape(file, levels ? "down.0.conv1.weight" : "bottom.conv1.weight", 4, first, error) ||
        !sy_zoo_shape(file, "out.weight", 4, last, error) ||
        !sy_layers_dtype(file, "bottom.conv1.weight", &l.dtype, error) ||
        !sy_zoo_metadata_int(file, "image_size", 1, MOST_SIDE, &side, error) || !check_side(side, levels, error))
        return false;
    sy_value x = sy_input(g, "x", SY_T(SY_F32, batch, first[1], side, side));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 3, 1});
    for (int32_t i = 0; i < levels; i++) {
        sy_scope_push(g, "down.%d", (int)i);
        kept[i] = two_convolutions(&l, x);
        x = sy_pool(g, kept[i], SY_POOL_MAX, 2, 2, 0);
        sy_scope_pop(g);
    }
    sy_scope_push(g, "bottom");
    x = two_convolutions(&l, x);
    sy_scope_pop(g);
    for (int32_t i = levels - 1; i >= 0; i--) {
        sy_scope_push(g, "up.%d", (int)i);
        x = way_up(&l, x, kept[i]);
        sy_scope_pop(g);
    }
    x = sy_row(g, SY_OP_SOFTMAX, sy_conv_layer(g, x, "out", last[0], 1, 1, 0, true, l.dtype), 0);
    int32_t rest = sy_layers_dim(&l, x, 1);
    sy_output(g, "probabilities", sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2}));
    sy_tap(g, "segmentation", sy_reshape(g, sy_top_k(g, x, 1), SY_T(SY_I32, batch, rest, rest)));
    return sy_graph_check(g, error);
}
