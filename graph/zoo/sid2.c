/* SiD2, "Simpler Diffusion: 1.5 FID on ImageNet512 with pixel-space diffusion" (arXiv 2410.19324): the Residual U-ViT.
 * Residual blocks of convolutions at the high resolutions, a transformer at the lowest; of the U-ViT of "simple
 * diffusion" (arXiv 2301.11093) the skips between blocks are gone, and one remains a level, added:
 *
 *   x = patches of the picture through a convolution
 *   down.N     x = blocks(x); s_N = x; x = mean of 2 x 2 pixels, through 1x1
 *   middle     tokens plus learned positions; blocks of attention and MLP, modulated as in DiT
 *   up.N       x = s_N + (x through 1x1, each pixel repeated); x = blocks(x).   N counts as in down
 *   result     norm, SiLU, convolution, pixels out of channels: v
 *
 * There is no public code and the paper leaves open where exactly the one skip leaves and joins; this is its clearest
 * reading, as are the blocks (those of ADM: scale and shift after the second norm) and the condition (time and label as
 * everywhere here, where the authors tell the network the logarithm of the signal-to-noise ratio). Names are ours:
 * patch_in, down.N.blocks.K, down.N.down, middle.pos_embed, middle.blocks.K, up.N.up, up.N.blocks.K, out_norm,
 * out_conv, time_embed.0 and .2, label_emb.
 *
 * The network gives v = alpha eps - sigma x_0; samplers of noise predictors get eps = alpha v + sigma x_t, alpha^2 the
 * cosine schedule's. With a flow's objective the output is as it is. Metadata: num_heads, norm_groups (32), patch_size
 * (2). Taps: "up.N.skip_energy". Guidance in an interval is the setting guidance.sigma of every sampler. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"

#include <math.h>

enum { MOST_LEVELS = 8, MOST_BLOCKS = 256, MOST_SIDE = 8192, MOST_TOKENS = 1 << 16 };

typedef struct sid2 {
    sy_graph *g;
    const sy_network_config *c;
    sy_layers layers;
    sy_value condition; /* SiLU of it, f32[N, …] */
} sid2;

static int32_t count_levels(const struct sy_safetensors *file)
{
    int32_t n = 0;
    while (n < MOST_LEVELS && sy_zoo_has(file, "down.%d.down.weight", (int)n))
        n++;
    return n;
}

bool sy_sid2_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "patch_in.weight") && sy_zoo_has(file, "middle.pos_embed") && count_levels(file) > 0;
}

bool sy_sid2_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t first[4], last[4], table[2], position[3], time[2], levels = count_levels(file);
    c->patch = 2;
    if (!sy_zoo_shape(file, "patch_in.weight", 4, first, error) ||
        !sy_zoo_shape(file, "out_conv.weight", 4, last, error) ||
        !sy_zoo_shape(file, "label_emb.weight", 2, table, error) ||
        !sy_zoo_shape(file, "middle.pos_embed", 3, position, error) ||
        !sy_zoo_shape(file, "time_embed.0.weight", 2, time, error) ||
        !sy_zoo_metadata_int(file, "patch_size", 1, 64, &c->patch, error) ||
        !sy_zoo_metadata_int(file, "num_heads", 1, 1 << 12, &c->heads, error))
        return false;
    int32_t grid = (int32_t)lround(sqrt(position[1])), fold = c->patch * c->patch;
    c->width = time[1];
    c->depth = levels;
    c->channels = c->channels_out = first[1] / fold;
    if (first[1] % fold || last[0] != first[1] || c->channels > 1024 || grid * grid != position[1] || c->width % 2 ||
        position[1] > MOST_TOKENS || (int64_t)grid * c->patch << levels > MOST_SIDE)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d input and %d output channels in patches of %d x %d, with %d tokens after %d levels, are no "
                       "network for pictures.",
                       (int)first[1], (int)last[0], (int)c->patch, (int)c->patch, (int)position[1], (int)levels);
    if (!c->heads || position[2] % c->heads)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The file's metadata switchyard.num_heads is %d; it must divide the middle's width, %d.",
                       (int)c->heads, (int)position[2]);
    c->side = grid * c->patch << levels;
    c->objective = SY_OBJECTIVE_DDPM;
    c->betas = SY_BETAS_COSINE;
    c->clip = true;
    c->time_scale = 1;
    c->guidance = 1;
    c->steps = 250;
    return sy_zoo_configure_label(file, table[0], true, c, error) && sy_zoo_configure_space(file, c, error) &&
           sy_zoo_configure_dtype(file, "patch_in.weight", c, error) && sy_zoo_configure_end(file, c, error);
}

static sy_value modulate(sy_graph *g, sy_value x, sy_value scale, sy_value shift)
{
    return sy_add(g, sy_mul(g, x, sy_add(g, scale, sy_const(g, 1))), shift);
}

/* `count` vectors of each sample from its condition, as an image of one pixel or as one token. */
static sy_value told(const sid2 *s, const char *name, int rank)
{
    sy_value v = sy_layers_linear(&s->layers, s->condition, name, true);
    int32_t n = sy_layers_dim(&s->layers, v, 0), width = sy_layers_dim(&s->layers, v, -1);
    return sy_reshape(s->g, v, rank == 4 ? SY_T(SY_F32, n, 1, 1, width) : SY_T(SY_F32, n, 1, width));
}

static sy_value residual(const sid2 *s, sy_value x)
{
    sy_graph *g = s->g;
    const sy_layers *l = &s->layers;
    sy_value h = sy_layers_conv(l, sy_silu(g, sy_layers_group_norm(l, x, "norm1", 1e-5)), "conv1", 3, 1);
    int32_t width = sy_layers_dim(l, h, -1);
    sy_value e = told(s, "emb", 4), scale = sy_slice_axis(g, e, 3, 0, width);
    h = modulate(g, sy_layers_group_norm(l, h, "norm2", 1e-5), scale, sy_slice_axis(g, e, 3, width, width));
    return sy_add(g, x, sy_layers_conv(l, sy_silu(g, h), "conv2", 3, 1));
}

static sy_value blocks(const sid2 *s, sy_value x)
{
    for (int k = 0; k < MOST_BLOCKS && sy_graph_check(s->g, NULL); k++) {
        sy_scope_push(s->g, "blocks.%d", k);
        bool there = sy_layers_find(&s->layers, "conv1.weight");
        if (there)
            x = residual(s, x);
        sy_scope_pop(s->g);
        if (!there)
            break;
    }
    return x;
}

static sy_value attention(const sid2 *s, sy_value u)
{
    sy_graph *g = s->g;
    const sy_layers *l = &s->layers;
    int32_t heads = s->c->heads, width = sy_layers_dim(l, u, -1);
    sy_value qkv = sy_layers_linear(l, u, "qkv", true), part[3];
    for (int i = 0; i < 3; i++)
        part[i] = sy_layers_heads(l, sy_slice_axis(g, qkv, 2, i * width, width), heads);
    sy_value y = sy_attention(g, part[0], part[1], part[2], 1 / sqrt(width / heads));
    y = sy_reshape(g, sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3}), g->nodes[u].type);
    return sy_layers_linear(l, y, "proj", true);
}

/* The transformer block the scope is in: x + gate attention(modulated norm), x + gate mlp(modulated norm); x [N,T,C].
 */
static sy_value transformer(const sid2 *s, sy_value x)
{
    sy_graph *g = s->g;
    const sy_layers *l = &s->layers;
    int32_t width = sy_layers_dim(l, x, -1);
    sy_value m = told(s, "emb", 3), part[6];
    for (int i = 0; i < 6; i++)
        part[i] = sy_slice_axis(g, m, 2, i * width, width);
    sy_value u = modulate(g, sy_row(g, SY_OP_LAYER_NORM, x, 1e-6), part[1], part[0]);
    x = sy_add(g, x, sy_mul(g, part[2], attention(s, u)));
    u = modulate(g, sy_row(g, SY_OP_LAYER_NORM, x, 1e-6), part[4], part[3]);
    u = sy_unary(g, SY_OP_GELU_TANH, sy_layers_linear(l, u, "fc1", true));
    return sy_add(g, x, sy_mul(g, part[5], sy_layers_linear(l, u, "fc2", true)));
}

static sy_value middle(const sid2 *s, sy_value x)
{
    sy_graph *g = s->g;
    if (!x)
        return 0;
    sy_type image = g->nodes[x].type;
    int32_t tokens = image.dim[1] * image.dim[2], width = image.dim[3];
    sy_scope_push(g, "middle");
    sy_value position = sy_zoo_param(g, "pos_embed", SY_T(s->c->dtype, 1, tokens, width));
    x = sy_add(g, sy_layers_tokens(&s->layers, x), position);
    for (int k = 0; k < MOST_BLOCKS && sy_graph_check(g, NULL); k++) {
        sy_scope_push(g, "blocks.%d", k);
        bool there = sy_layers_find(&s->layers, "qkv.weight");
        if (there)
            x = transformer(s, x);
        sy_scope_pop(g);
        if (!there)
            break;
    }
    sy_scope_pop(g);
    return sy_reshape(g, x, image);
}

static sy_value condition(const sid2 *s, const sy_zoo_inputs *in)
{
    sy_graph *g = s->g;
    sy_value t = sy_dit_time_features(g, in->time, s->c->width);
    t = sy_silu(g, sy_layers_linear(&s->layers, t, "time_embed.0", true));
    t = sy_layers_linear(&s->layers, t, "time_embed.2", true);
    int32_t width = sy_layers_dim(&s->layers, t, -1);
    return sy_silu(g, sy_add(g, t, sy_zoo_label_embedding(g, s->c, in, "label_emb.weight", width)));
}

/* eps = alpha v + sigma x with alpha = cos((t' + 0.008) / 1.008 pi / 2) / cos(0.008 / 1.008 pi / 2), t' = (t + 1) /
 * 1000. */
static sy_value noise_of(const sid2 *s, const sy_zoo_inputs *in, sy_value v)
{
    sy_graph *g = s->g;
    double quarter = acos(0), first = cos(0.008 / 1.008 * quarter);
    sy_value t = sy_reshape(g, in->time, SY_T(SY_F32, g->nodes[in->time].type.dim[0], 1, 1, 1));
    t = sy_add(g, sy_mul(g, t, sy_const(g, quarter / 1008)), sy_const(g, 0.009 / 1.008 * quarter));
    sy_value alpha = sy_mul(g, sy_unary(g, SY_OP_COS, t), sy_const(g, 1 / first));
    sy_value sigma = sy_unary(g, SY_OP_SQRT, sy_sub(g, sy_const(g, 1), sy_mul(g, alpha, alpha)));
    return sy_add(g, sy_mul(g, alpha, v), sy_mul(g, sigma, in->x));
}

sy_value sy_sid2_build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in)
{
    sid2 s = {.g = g, .c = c, .layers = {.g = g, .file = c->file, .dtype = c->dtype, .groups = 32}};
    const sy_layers *l = &s.layers;
    sy_value kept[MOST_LEVELS];
    if (!sy_zoo_metadata_int(c->file, "norm_groups", 1, 1 << 16, &s.layers.groups, &g->error))
        return 0;
    s.condition = condition(&s, in);
    sy_value x = sy_pixel_unshuffle(g, sy_transpose(g, in->x, (const int32_t[]){0, 2, 3, 1}), c->patch);
    x = sy_layers_conv(l, x, "patch_in", 3, 1);
    for (int32_t i = 0; i < c->depth; i++) {
        sy_scope_push(g, "down.%d", (int)i);
        kept[i] = blocks(&s, x);
        x = sy_layers_conv(l, sy_pool(g, kept[i], SY_POOL_MEAN, 2, 2, 0), "down", 1, 1);
        sy_scope_pop(g);
    }
    x = middle(&s, x);
    for (int32_t i = c->depth - 1; i >= 0; i--) {
        sy_scope_push(g, "up.%d", (int)i);
        x = sy_upsample_nearest(g, sy_layers_conv(l, x, "up", 1, 1), 2);
        sy_skip_tap_energy(g, x, kept[i]);
        x = blocks(&s, sy_add(g, kept[i], x));
        sy_scope_pop(g);
    }
    x = sy_layers_conv(l, sy_silu(g, sy_layers_group_norm(l, x, "out_norm", 1e-5)), "out_conv", 3, 1);
    x = sy_pixel_shuffle(g, x, c->patch);
    if (!x)
        return 0;
    x = sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2});
    return c->objective == SY_OBJECTIVE_DDPM ? noise_of(&s, in, x) : x;
}
