/* ADM, the U-Net of "Diffusion Models Beat GANs on Image Synthesis" (arXiv 2105.05233), under guided-diffusion's names.
 *
 *   input_blocks    a convolution, then at each level num_res_blocks residual blocks and (but at the last) a
 * down-sampling middle_block    residual block, attention, residual block output_blocks   at each level num_res_blocks
 * + 1 times: [h; skip], residual block; the last ends with an up-sampling residual block  h = conv(SiLU(GN(x))); h =
 * conv(SiLU(GN(h) (1 + scale) + shift)); x + h, x through 1x1 if it widens. scale comes first in emb_layers' output. Up
 * and down: both x and SiLU(GN(x)) are resampled.
 *
 * What there is, and how wide, the tensors' names and shapes say: the first output block with something behind its
 * residual block and attention tells num_res_blocks. Older models of the same code are told from their tensors too:
 * added embeddings (emb_layers half as wide), up- and down-sampling by "conv" and "op".
 *
 * Metadata where the tensors cannot tell: image_size, num_heads or num_head_channels, attention_order ("legacy" or
 * "new"), norm_groups (32), patch_size (pixels folded into channels at both ends; 1). The published models are told by
 * their sizes. The 64 -> 256 upsampler is a network of 6 channels: the picture, then the small one resized. Label:
 * none, classes, or words as in every network here.
 *
 * Taps: "input_blocks.N.x", "middle_block.x", "output_blocks.N.x", and of each skip what skip.h says.
 * Settings: those of skip.h. */
#include "graph/import/safetensors.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"
#include "graph/zoo/unet_parts.h"

#include <stdio.h>
#include <string.h>

typedef struct adm {
    sy_graph *g;
    const sy_network_config *c;
    int32_t levels, blocks; /* residual blocks a level on the way down */
    sy_layers layers;
    int32_t patch, heads, head_channels;
    sy_qkv_order order;
    sy_value condition; /* SiLU of time's and label's embedding, f32[1 or N, 4 width] */
} adm;

typedef enum resample { SAME, DOWN, UP } resample;

/* The published models, by channels, levels and blocks a level. */
static const struct {
    int32_t width, levels, blocks, side, heads;
    bool new_order, cosine;
} published[] = {
    {192, 4, 3, 64, 0, true, true},    {256, 5, 2, 128, 4, false, false}, {256, 6, 2, 256, 0, false, false},
    {256, 7, 2, 512, 0, false, false}, {192, 6, 2, 256, 0, false, false},
};

bool sy_adm_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "input_blocks.0.0.weight") && sy_zoo_has(file, "time_embed.0.weight") &&
           sy_zoo_has(file, "middle_block.0.emb_layers.1.weight") && sy_zoo_has(file, "out.2.weight");
}

/* True if output block i ends by doubling the side. */
static bool ends_up(const struct sy_safetensors *file, int i)
{
    for (int k = 1; k < 3; k++)
        if (sy_zoo_has(file, "output_blocks.%d.%d.in_layers.0.weight", i, k) ||
            sy_zoo_has(file, "output_blocks.%d.%d.conv.weight", i, k))
            return true;
    return false;
}

/* Levels and blocks a level: every level has blocks + 1 output blocks, all levels but the last end by doubling. */
static bool structure(const struct sy_safetensors *file, adm *a, sy_error *error)
{
    int32_t in = 1, out = 0, first = -1;
    while (in <= SY_UNET_MOST_BLOCKS && (sy_zoo_has(file, "input_blocks.%d.0.in_layers.0.weight", (int)in) ||
                                         sy_zoo_has(file, "input_blocks.%d.0.op.weight", (int)in)))
        in++;
    for (; out <= SY_UNET_MOST_BLOCKS && sy_zoo_has(file, "output_blocks.%d.0.in_layers.0.weight", (int)out); out++)
        if (first < 0 && ends_up(file, out))
            first = out;
    a->blocks = first < 0 ? out - 1 : first;
    a->levels = a->blocks > 0 ? out / (a->blocks + 1) : 0;
    if (in > SY_UNET_MOST_BLOCKS || a->blocks < 1 || in != out || out != a->levels * (a->blocks + 1) ||
        a->levels > SY_UNET_MOST_LEVELS)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d input blocks and %d output blocks of which the first to double is %d are no ADM U-Net.",
                       (int)in, (int)out, (int)first);
    return true;
}

/* What the tensors do not say, into *a and the configuration. */
static bool told(const struct sy_safetensors *file, adm *a, sy_network_config *c, sy_error *error)
{
    const char *order = sy_zoo_metadata(file, "attention_order");
    a->layers.groups = 32;
    a->patch = 1;
    a->head_channels = 64;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (published[i].width == c->width && published[i].levels == a->levels && published[i].blocks == a->blocks) {
            c->side = published[i].side;
            a->heads = published[i].heads;
            a->order = published[i].new_order ? SY_QKV_NEW : SY_QKV_LEGACY;
            c->betas = published[i].cosine ? SY_BETAS_COSINE : SY_BETAS_LINEAR;
        }
    if (sy_zoo_metadata(file, "num_head_channels"))
        a->heads = 0;
    if (order && strcmp(order, "legacy") && strcmp(order, "new"))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The metadata switchyard.attention_order is \"%.40s\"; it must be \"legacy\" or \"new\".",
                       order);
    if (order)
        a->order = strcmp(order, "new") ? SY_QKV_LEGACY : SY_QKV_NEW;
    return sy_zoo_metadata_int(file, "norm_groups", 1, 1 << 16, &a->layers.groups, error) &&
           sy_zoo_metadata_int(file, "patch_size", 1, 64, &a->patch, error) &&
           sy_zoo_metadata_int(file, "num_heads", 1, 1 << 16, &a->heads, error) &&
           sy_zoo_metadata_int(file, "num_head_channels", 1, 1 << 16, &a->head_channels, error) &&
           sy_zoo_metadata_int(file, "image_size", 1, SY_UNET_MOST_SIDE, &c->side, error);
}

static bool picture(const struct sy_safetensors *file, const adm *a, sy_network_config *c, sy_error *error)
{
    int32_t first[4], last[4], fold = a->patch * a->patch, least = a->patch << (a->levels - 1);
    if (!sy_zoo_shape(file, "input_blocks.0.0.weight", 4, first, error) ||
        !sy_zoo_shape(file, "out.2.weight", 4, last, error))
        return false;
    c->channels = first[1] / fold;
    c->channels_out = last[0] / fold;
    c->learn_sigma = c->channels_out == 2 * c->channels;
    if (first[1] % fold || last[0] % fold || (c->channels_out != c->channels && !c->learn_sigma) || c->channels > 1024)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d input and %d output channels in patches of %d x %d are not those of a picture.",
                       (int)first[1], (int)last[0], (int)a->patch, (int)a->patch);
    if (!c->side)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The tensors do not say for which picture size the network is; give "
                       "the file the metadata switchyard.image_size.");
    return c->side % least == 0 ||
           sy_fail(error, SY_CODE_INVALID_FILE, "A picture of %d x %d cannot be halved %d times in patches of %d x %d.",
                   (int)c->side, (int)c->side, (int)a->levels - 1, (int)a->patch, (int)a->patch);
}

bool sy_adm_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    adm a = {0};
    int32_t time[2], table[2];
    if (!sy_zoo_shape(file, "time_embed.0.weight", 2, time, error) || !structure(file, &a, error))
        return false;
    c->width = time[1];
    if (!told(file, &a, c, error) || !picture(file, &a, c, error) ||
        !sy_zoo_configure_dtype(file, "input_blocks.0.0.weight", c, error) || !sy_zoo_configure_space(file, c, error))
        return false;
    if (c->width < 2 || c->width % 2)
        return sy_fail(error, SY_CODE_INVALID_FILE, "time_embed.0 takes %d features; it must be an even number.",
                       (int)c->width);
    c->depth = a.levels;
    c->heads = a.heads;
    c->null_row = -1;
    if (sy_zoo_has(file, "label_emb.weight") && (!sy_zoo_shape(file, "label_emb.weight", 2, table, error) ||
                                                 !sy_zoo_configure_label(file, table[0], false, c, error)))
        return false;
    const char *objective = sy_zoo_metadata(file, "objective");
    bool flow = objective && strcmp(objective, "ddpm");
    c->clip = !flow;
    c->time_scale = flow ? 1000 : 1;
    c->guidance = 1;
    c->steps = flow ? 50 : 250;
    return sy_zoo_configure_end(file, c, error);
}

/* x twice as large, half as large, or as it is. */
static sy_value resampled(const adm *a, sy_value x, resample to)
{
    return to == DOWN ? sy_pool(a->g, x, SY_POOL_MEAN, 2, 2, 0) : to == UP ? sy_upsample_nearest(a->g, x, 2) : x;
}

static sy_value residual(const adm *a, sy_value x, resample to)
{
    sy_graph *g = a->g;
    const sy_layers *l = &a->layers;
    int32_t out = sy_layers_rows(l, "in_layers.2.weight"), told = sy_layers_rows(l, "emb_layers.1.weight");
    sy_value h = sy_silu(g, sy_layers_group_norm(l, x, "in_layers.0", 1e-5));
    h = sy_layers_conv(l, resampled(a, h, to), "in_layers.2", 3, 1);
    x = resampled(a, x, to);
    sy_value e = sy_unet_pixel(l, sy_layers_linear(l, a->condition, "emb_layers.1", true));
    if (told == 2 * out) {
        h = sy_layers_group_norm(l, h, "out_layers.0", 1e-5);
        sy_value scale = sy_slice_axis(g, e, 3, 0, out), shift = sy_slice_axis(g, e, 3, out, out);
        h = sy_add(g, sy_mul(g, h, sy_add(g, scale, sy_const(g, 1))), shift);
    } else {
        h = sy_layers_group_norm(l, sy_add(g, h, e), "out_layers.0", 1e-5);
    }
    h = sy_layers_conv(l, sy_silu(g, h), "out_layers.3", 3, 1);
    if (sy_layers_find(l, "skip_connection.weight"))
        x = sy_layers_conv(l, x, "skip_connection", 1, 1);
    return sy_add(g, x, h);
}

static sy_value attention(const adm *a, sy_value x)
{
    sy_graph *g = a->g;
    const sy_layers *l = &a->layers;
    int32_t heads = a->heads ? a->heads : sy_layers_dim(l, x, -1) / a->head_channels;
    sy_value u = sy_layers_group_norm(l, x, "norm", 1e-5);
    return sy_add(g, x, sy_unet_attention(l, a->c, u, "qkv", "proj_out", heads, a->order));
}

/* Element k of the block the scope is in, whichever it is; `to` is meant for residual blocks. 0: there is none. */
static sy_value part(const adm *a, sy_value x, int k, resample to)
{
    sy_graph *g = a->g;
    const sy_layers *l = &a->layers;
    sy_value y = 0;
    sy_scope_push(g, "%d", k);
    if (sy_layers_find(l, "in_layers.0.weight"))
        y = residual(a, x, to);
    else if (sy_layers_find(l, "qkv.weight"))
        y = attention(a, x);
    else if (sy_layers_find(l, "op.weight"))
        y = sy_layers_conv(l, x, "op", 3, 2);
    else if (sy_layers_find(l, "conv.weight"))
        y = sy_layers_conv(l, sy_upsample_nearest(g, x, 2), "conv", 3, 1);
    sy_scope_pop(g);
    return y;
}

/* All elements of the block the scope is in; `first` and `others` are for the residual blocks among them. */
static sy_value block(const adm *a, sy_value x, resample first, resample others)
{
    for (int k = 0; k < 4 && sy_graph_check(a->g, NULL); k++) {
        sy_value y = part(a, x, k, k ? others : first);
        if (!y)
            break;
        x = y;
    }
    sy_tap(a->g, "x", x);
    return x;
}

static void condition(adm *a, const sy_zoo_inputs *in)
{
    sy_graph *g = a->g;
    const sy_network_config *c = a->c;
    const sy_layers *l = &a->layers;
    sy_value t = sy_zoo_time_features(g, in->time, sy_zoo_frequencies(g, c->width / 2, 10000, c->width / 2), false);
    t = sy_silu(g, sy_layers_linear(l, t, "time_embed.0", true));
    t = sy_layers_linear(l, t, "time_embed.2", true);
    if (c->label_rows)
        t = sy_add(g, t,
                   sy_zoo_label_embedding(g, c, in, "label_emb.weight", sy_layers_rows(l, "time_embed.2.weight")));
    a->condition = sy_silu(g, t);
}

static sy_value body(const adm *a, sy_value x)
{
    sy_graph *g = a->g;
    const sy_layers *l = &a->layers;
    int32_t count = a->levels * (a->blocks + 1);
    sy_value kept[SY_UNET_MOST_BLOCKS + 1];
    sy_skips skips = sy_skips_of(g, a->c, a->levels);
    kept[0] = x = sy_layers_conv(l, x, "input_blocks.0.0", 3, 1);
    for (int32_t i = 1; i < count && sy_graph_check(g, NULL); i++) {
        sy_scope_push(g, "input_blocks.%d", (int)i);
        kept[i] = x = block(a, x, (i - 1) % (a->blocks + 1) == a->blocks ? DOWN : SAME, SAME);
        sy_scope_pop(g);
    }
    sy_scope_push(g, "middle_block");
    x = block(a, x, SAME, SAME);
    sy_scope_pop(g);
    for (int32_t i = 0; i < count && sy_graph_check(g, NULL); i++) {
        sy_scope_push(g, "output_blocks.%d", (int)i);
        x = block(a, sy_skip_concat(g, &skips, x, kept[count - 1 - i], i / (a->blocks + 1)), SAME, UP);
        sy_scope_pop(g);
    }
    return x;
}

sy_value sy_adm_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    adm a = {.g = g, .c = config, .layers = {.g = g, .file = config->file, .dtype = config->dtype}};
    sy_network_config sizes = {.width = config->width, .side = config->side};
    if (!structure(config->file, &a, &g->error) || !told(config->file, &a, &sizes, &g->error))
        return 0;
    condition(&a, inputs);
    sy_value x = sy_transpose(g, inputs->x, (const int32_t[]){0, 2, 3, 1});
    x = body(&a, a.patch > 1 ? sy_pixel_unshuffle(g, x, a.patch) : x);
    x = sy_silu(g, sy_layers_group_norm(&a.layers, x, "out.0", 1e-5));
    x = sy_layers_conv(&a.layers, x, "out.2", 3, 1);
    x = a.patch > 1 ? sy_pixel_shuffle(g, x, a.patch) : x;
    return x ? sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2}) : 0;
}
