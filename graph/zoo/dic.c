/* DiC, "Rethinking Conv3x3 Designs in Diffusion Models" (arXiv 2501.00603): a U-Net of 3x3 convolutions alone, sampled
 * as DiT is. Stages enc_blocks.0, enc_blocks.1, lat_blocks.0, dec_blocks.0, dec_blocks.1, the last two in the order
 * they run; between them downs.N and ups.N.
 *
 *   block    h = conv0(GELU(GN(x))); gate, scale, shift = Linear(SiLU(c)); h = conv1(GELU(GN(h) (1 + scale) + shift));
 *            gate h + x, x through 1x1 where it has more channels. c is the stage's own: time and label of its level
 *   down     3x3 convolution to a quarter, 2 x 2 pixels folded into channels; up the other way round
 *   skips    sparse: on the way down every skip_stride-th block, counted back from the stage's last, is kept; on the
 * way up blocks 0, skip_stride … get [x; kept], last in first out end      a convolution, layer norm with shift and
 * scale by level 0's c, a convolution
 *
 * GELU is the exact one; groups are min(32, channels / 4), eps 1e-5. Metadata: image_size (32), skip_stride (3).
 * Taps: "….gate" of every block, "dec_blocks.N.K.skip_energy". Settings: those of skip.h. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"

#include <stdio.h>

enum { LEVELS = 3, MOST_BLOCKS = 256, TIME_FEATURES = 256, MOST_SIDE = 8192, MOST_WIDTH = 1 << 14 };

typedef struct dic {
    sy_graph *g;
    const sy_network_config *c;
    sy_layers layers;
    int32_t stride;
    sy_value condition[LEVELS]; /* SiLU of it, f32[N, width of the level] */
    sy_value kept[2 * MOST_BLOCKS];
    int32_t n_kept;
    sy_skips skips;
} dic;

bool sy_dic_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "enc_blocks.0.0.conv.conv0.weight") && sy_zoo_has(file, "t_embedder_ls.0.mlp.0.weight");
}

bool sy_dic_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t first[4], last[4], table[2];
    c->side = 32;
    if (!sy_zoo_shape(file, "x_embedder.proj.weight", 4, first, error) ||
        !sy_zoo_shape(file, "final_layer.out_proj.weight", 4, last, error) ||
        !sy_zoo_shape(file, "y_embedder_ls.0.embedding_table.weight", 2, table, error) ||
        !sy_zoo_metadata_int(file, "image_size", 1, MOST_SIDE, &c->side, error))
        return false;
    c->width = first[0];
    c->channels = first[1];
    c->channels_out = last[0];
    c->learn_sigma = last[0] == 2 * first[1];
    c->objective = SY_OBJECTIVE_DDPM;
    c->time_scale = 1;
    c->guided_channels = 3;
    c->guidance = 4;
    c->steps = 250;
    if (c->width > MOST_WIDTH || c->width % 4 || c->side % 4 || c->channels > 1024 ||
        (!c->learn_sigma && last[0] != first[1]))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "A DiC of width %d, %d to %d channels and a picture of %d x %d is not possible.", (int)c->width,
                       (int)first[1], (int)last[0], (int)c->side, (int)c->side);
    return sy_zoo_configure_label(file, table[0], true, c, error) && sy_zoo_configure_space(file, c, error) &&
           sy_zoo_configure_dtype(file, "x_embedder.proj.weight", c, error) && sy_zoo_configure_end(file, c, error);
}

/* One vector a sample as an image of a pixel. */
static sy_value pixel(const dic *d, sy_value v)
{
    return sy_reshape(d->g, v, SY_T(SY_F32, sy_layers_dim(&d->layers, v, 0), 1, 1, sy_layers_dim(&d->layers, v, -1)));
}

static sy_value modulate(sy_graph *g, sy_value x, sy_value scale, sy_value shift)
{
    return sy_add(g, sy_mul(g, x, sy_add(g, scale, sy_const(g, 1))), shift);
}

static sy_value norm(const dic *d, sy_value x, const char *name)
{
    sy_layers l = d->layers;
    int32_t quarter = sy_layers_dim(&l, x, -1) / 4;
    l.groups = quarter > 32 ? 32 : quarter > 0 ? quarter : 1;
    return sy_layers_group_norm(&l, x, name, 1e-5);
}

/* The block the scope is in. */
static sy_value block(const dic *d, sy_value x, int32_t level)
{
    sy_graph *g = d->g;
    sy_scope_push(g, "conv");
    sy_value h = sy_unary(g, SY_OP_GELU_ERF, norm(d, x, "norm0"));
    h = sy_layers_conv(&d->layers, h, "conv0", 3, 1);
    int32_t out = sy_layers_dim(&d->layers, h, -1);
    sy_value told = pixel(d, sy_layers_linear(&d->layers, d->condition[level], "affine.1", true));
    sy_value gate = sy_slice_axis(g, told, 3, 0, out), scale = sy_slice_axis(g, told, 3, out, out);
    h = modulate(g, norm(d, h, "norm1"), scale, sy_slice_axis(g, told, 3, 2 * out, out));
    h = sy_layers_conv(&d->layers, sy_unary(g, SY_OP_GELU_ERF, h), "conv1", 3, 1);
    if (sy_layers_find(&d->layers, "skip.weight"))
        x = sy_layers_conv(&d->layers, x, "skip", 1, 1);
    sy_scope_pop(g);
    sy_tap(g, "gate", gate);
    return sy_add(g, x, sy_mul(g, gate, h));
}

static int32_t count_blocks(const dic *d)
{
    char name[48];
    int32_t n = 0;
    do
        snprintf(name, sizeof name, "%d.conv.conv0.weight", (int)n);
    while (n < MOST_BLOCKS && sy_layers_find(&d->layers, name) && ++n);
    return n;
}

/* All blocks of the stage "<name>.<stage>"; `down`: some are kept, `up`: some take what was kept. */
static sy_value stage(dic *d, sy_value x, const char *name, int32_t number, int32_t level, bool down, bool up)
{
    sy_graph *g = d->g;
    sy_scope_push(g, "%s.%d", name, (int)number);
    for (int32_t k = 0, n = count_blocks(d); k < n && sy_graph_check(g, NULL); k++) {
        sy_scope_push(g, "%d", (int)k);
        if (up && k % d->stride == 0) {
            if (!d->n_kept)
                sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s: no skip of the way down is left for it.", g->scope);
            else
                x = sy_skip_concat(g, &d->skips, x, d->kept[--d->n_kept], number);
        }
        x = block(d, x, level);
        sy_scope_pop(g);
        if (down && (n - 1 - k) % d->stride == 0)
            d->kept[d->n_kept++] = x;
    }
    sy_scope_pop(g);
    return x;
}

/* "<name>.<number>.body.0", a convolution without bias. */
static sy_value resample(const dic *d, sy_value x, const char *name, int32_t number, bool up)
{
    sy_graph *g = d->g;
    sy_scope_push(g, "%s.%d", name, (int)number);
    int32_t out = sy_layers_rows(&d->layers, "body.0.weight");
    x = sy_conv_layer(g, x, "body.0", out, 3, 1, 1, false, d->layers.dtype);
    sy_scope_pop(g);
    return up ? sy_pixel_shuffle(g, x, 2) : sy_pixel_unshuffle(g, x, 2);
}

static void conditions(dic *d, const sy_zoo_inputs *in)
{
    sy_graph *g = d->g;
    sy_value t = sy_dit_time_features(g, in->time, TIME_FEATURES);
    for (int32_t level = 0; level < LEVELS; level++) {
        sy_scope_push(g, "t_embedder_ls.%d", (int)level);
        sy_value y = sy_silu(g, sy_layers_linear(&d->layers, t, "mlp.0", true));
        y = sy_layers_linear(&d->layers, y, "mlp.2", true);
        sy_scope_pop(g);
        sy_scope_push(g, "y_embedder_ls.%d", (int)level);
        sy_value label =
            sy_zoo_label_embedding(g, d->c, in, "embedding_table.weight", sy_layers_dim(&d->layers, y, -1));
        sy_scope_pop(g);
        d->condition[level] = sy_silu(g, sy_add(g, y, label));
    }
}

sy_value sy_dic_build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in)
{
    dic d = {.g = g, .c = c, .layers = {.g = g, .file = c->file, .dtype = c->dtype}, .stride = 3};
    const sy_layers *l = &d.layers;
    if (!sy_zoo_metadata_int(c->file, "skip_stride", 1, MOST_BLOCKS, &d.stride, &g->error))
        return 0;
    d.skips = sy_skips_of(g, c, LEVELS - 1);
    conditions(&d, in);
    sy_value x = sy_transpose(g, in->x, (const int32_t[]){0, 2, 3, 1});
    x = sy_layers_conv(l, x, "x_embedder.proj", 3, 1);
    for (int32_t i = 0; i < LEVELS - 1; i++)
        x = resample(&d, stage(&d, x, "enc_blocks", i, i, true, false), "downs", i, false);
    x = stage(&d, x, "lat_blocks", 0, LEVELS - 1, false, false);
    for (int32_t i = 0; i < LEVELS - 1; i++)
        x = stage(&d, resample(&d, x, "ups", i, true), "dec_blocks", i, LEVELS - 2 - i, false, true);
    x = sy_layers_conv(l, x, "output", 3, 1);
    int32_t width = sy_layers_dim(l, x, -1);
    sy_scope_push(g, "final_layer");
    sy_value told = pixel(&d, sy_layers_linear(l, d.condition[0], "adaLN_modulation.1", true));
    sy_value shift = sy_slice_axis(g, told, 3, 0, width), scale = sy_slice_axis(g, told, 3, width, width);
    x = modulate(g, sy_row(g, SY_OP_LAYER_NORM, x, 1e-6), scale, shift);
    x = sy_layers_conv(l, x, "out_proj", 3, 1);
    sy_scope_pop(g);
    return x ? sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2}) : 0;
}
