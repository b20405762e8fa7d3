/* The U-Net of Stable Diffusion 1.x (arXiv 2112.10752), as diffusers names its tensors: resnets with group norms and
 * the time added between their convolutions, transformers that attend to themselves and to a text, skips from every
 * block of the way down to one of the way up.
 *
 * The file says what the network is: how many levels, which of them attend, and every width, also widths inside of
 * resnets, heads and feed-forwards that were pruned. What shapes do not say:
 *
 *   switchyard.num_heads        heads of every attention (8; diffusers calls this attention_head_dim), or setting
 * "heads": one number a level, first level first, the last one also for the middle switchyard.norm_groups      groups
 * of every group norm (32) switchyard.image_size       side of the latent picture (64) switchyard.context_tokens tokens
 * of a text (77)
 *
 * Group norms of resnets have eps 1e-5, those of transformers 1e-6. The gate of a feed-forward is its second half. */
#include "graph/zoo/cross_attention.h"
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/scedit.h"
#include "graph/zoo/sd.h"
#include "graph/zoo/skip.h"

#include <math.h>
#include <stdio.h>

enum { MAX_LEVELS = 8, MAX_LAYERS = 16, MAX_SKIPS = 2 * MAX_LEVELS * MAX_LAYERS, MAX_SIDE = 1024, MAX_TOKENS = 4096 };

typedef struct unet {
    sy_graph *g;
    const sy_network_config *c;
    sy_layers layers;
    int32_t heads[MAX_LEVELS];
    sy_value time; /* silu of the time embedding, [times, width] */
    sy_value context, negative;
    sy_cross_settings cross;
    sy_value skips[MAX_SKIPS];
    int32_t n_skips;
} unet;

/* ---- what the file says ---- */

bool sy_sd_unet_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "time_embedding.linear_1.weight") && sy_zoo_has(file, "conv_norm_out.weight") &&
           sy_zoo_has(file, "down_blocks.0.resnets.0.time_emb_proj.weight") &&
           sy_zoo_has(file, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight");
}

/* What else is in the file: an encoder of texts, a decoder of pictures. Both are built once, to know that they can be.
 */
static bool around(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    c->text_tokens = sy_clip_tokens(file);
    c->picture_side = sy_vae_side(file, c->side);
    if (c->text_tokens && c->text_tokens != c->context_tokens)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The text encoder gives %d tokens, the U-Net is to read %d.",
                       (int)c->text_tokens, (int)c->context_tokens);
    sy_graph *g = sy_graph_create("around");
    if (!g)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a graph.");
    if (c->text_tokens)
        sy_clip_encode(g, file, sy_input(g, "tokens", SY_T(SY_I32, 1, c->text_tokens)));
    if (c->picture_side)
        sy_vae_decode(g, file, sy_input(g, "latent", SY_T(SY_F32, 1, c->channels, c->side, c->side)));
    bool ok = sy_graph_check(g, error) && sy_zoo_check_file(g, file, error);
    sy_graph_destroy(&g);
    return ok;
}

bool sy_sd_unet_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t first[4], last[4], key[2];
    if (!sy_zoo_shape(file, "conv_in.weight", 4, first, error) ||
        !sy_zoo_shape(file, "conv_out.weight", 4, last, error) ||
        !sy_zoo_shape(file, "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 2, key, error))
        return false;
    if (!sy_layers_dtype(file, "conv_in.weight", &c->dtype, error))
        return false;
    while (c->depth <= MAX_LEVELS && sy_zoo_has(file, "down_blocks.%d.resnets.0.conv1.weight", (int)c->depth))
        c->depth++;
    if (c->depth > MAX_LEVELS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file has more than %d levels.", MAX_LEVELS);
    c->width = first[0];
    c->channels = first[1];
    c->channels_out = c->guided_channels = last[0];
    c->side = 64;
    c->heads = 8;
    c->context_tokens = 77;
    c->context_width = key[1];
    c->patch = 1;
    c->latent = true;
    c->null_row = -1;
    c->objective = SY_OBJECTIVE_DDPM;
    c->time_scale = 1;
    c->guidance = 7.5;
    c->steps = 50;
    c->betas = SY_BETAS_SCALED_LINEAR;
    c->leading_steps = c->last_is_first = true;
    return sy_zoo_metadata_int(file, "image_size", 1, MAX_SIDE, &c->side, error) &&
           sy_zoo_metadata_int(file, "num_heads", 1, c->width, &c->heads, error) &&
           sy_zoo_metadata_int(file, "context_tokens", 1, MAX_TOKENS, &c->context_tokens, error) &&
           around(file, c, error) && sy_zoo_configure_end(file, c, error);
}

/* ---- blocks ---- */

/* Heads of pruned attentions are fewer, of the same size. */
static sy_value attention(const unet *u, sy_value x, bool cross, int32_t heads)
{
    sy_graph *g = u->g;
    int32_t width = sy_layers_dim(&u->layers, x, -1), inner = sy_layers_rows(&u->layers, "to_q.weight");
    if (width % heads == 0 && inner % (width / heads) == 0)
        heads = inner / (width / heads);
    sy_value q = sy_layers_heads(&u->layers, sy_layers_linear(&u->layers, x, "to_q", false), heads);
    sy_value from = cross ? u->context : x, y;
    sy_value k = sy_layers_heads(&u->layers, sy_layers_linear(&u->layers, from, "to_k", false), heads);
    sy_value v = sy_layers_heads(&u->layers, sy_layers_linear(&u->layers, from, "to_v", false), heads);
    double scale = 1 / sqrt(fmax(sy_layers_dim(&u->layers, q, 3), 1));
    static const sy_cross_settings plain;
    sy_cross_attention a = {.settings = cross ? &u->cross : &plain, .q = q, .k = k, .v = v, .scale = scale};
    if (cross && u->cross.nag && u->negative) {
        a.k_negative = sy_layers_heads(&u->layers, sy_layers_linear(&u->layers, u->negative, "to_k", false), heads);
        a.v_negative = sy_layers_heads(&u->layers, sy_layers_linear(&u->layers, u->negative, "to_v", false), heads);
    }
    y = sy_cross_attend(g, &a);
    return sy_layers_linear(&u->layers, y, "to_out.0", true);
}

/* a gelu(b), a and b the halves of one projection. */
static sy_value feed_forward(const unet *u, sy_value x)
{
    sy_graph *g = u->g;
    sy_value h = sy_layers_linear(&u->layers, x, "net.0.proj", true);
    int32_t half = sy_layers_dim(&u->layers, h, -1) / 2;
    h = sy_mul(g, sy_slice_axis(g, h, 2, 0, half), sy_unary(g, SY_OP_GELU_ERF, sy_slice_axis(g, h, 2, half, half)));
    return sy_layers_linear(&u->layers, h, "net.2", true);
}

static sy_value transformer(const unet *u, sy_value x, int32_t heads)
{
    sy_graph *g = u->g;
    if (!x)
        return 0;
    const sy_type image = g->nodes[x].type;
    sy_value h = sy_layers_pointwise(
        &u->layers, sy_layers_tokens(&u->layers, sy_layers_group_norm(&u->layers, x, "norm", 1e-6)), "proj_in");
    for (int i = 0; i < MAX_LAYERS; i++) {
        sy_scope_push(g, "transformer_blocks.%d", i);
        bool there = sy_layers_find(&u->layers, "norm1.weight");
        if (there) {
            sy_value n = sy_layers_layer_norm(&u->layers, h, "norm1", 1e-5);
            sy_scope_push(g, "attn1");
            h = sy_add(g, h, attention(u, n, false, heads));
            sy_scope_pop(g);
            n = sy_layers_layer_norm(&u->layers, h, "norm2", 1e-5);
            sy_scope_push(g, "attn2");
            h = sy_add(g, h, attention(u, n, true, heads));
            sy_scope_pop(g);
            n = sy_layers_layer_norm(&u->layers, h, "norm3", 1e-5);
            sy_scope_push(g, "ff");
            h = sy_add(g, h, feed_forward(u, n));
            sy_scope_pop(g);
        }
        sy_scope_pop(g);
        if (!there)
            break;
    }
    return sy_add(g, sy_reshape(g, sy_layers_pointwise(&u->layers, h, "proj_out"), image), x);
}

/* resnets.j and, where the level has one, attentions.j; one that the file lacks was pruned away. */
static sy_value layer(const unet *u, sy_value x, int j, int level)
{
    sy_graph *g = u->g;
    sy_scope_push(g, "resnets.%d", j);
    if (sy_layers_find(&u->layers, "conv1.weight"))
        x = sy_layers_resnet(&u->layers, x, u->time, 1e-5);
    sy_scope_pop(g);
    sy_scope_push(g, "attentions.%d", j);
    if (sy_layers_find(&u->layers, "proj_in.weight"))
        x = transformer(u, x, u->heads[level]);
    sy_scope_pop(g);
    return x;
}

/* Layers of the block in scope: resnets that are there, or attentions. */
static int layers_of(const unet *u)
{
    char name[48];
    int n = 0;
    for (int j = 0; j < MAX_LAYERS; j++) {
        snprintf(name, sizeof name, "resnets.%d.conv1.weight", j);
        bool there = sy_layers_find(&u->layers, name);
        snprintf(name, sizeof name, "attentions.%d.proj_in.weight", j);
        if (there || sy_layers_find(&u->layers, name))
            n = j + 1;
    }
    return n;
}

static void keep(unet *u, sy_value x)
{
    if (u->n_skips < MAX_SKIPS)
        u->skips[u->n_skips++] = x;
}

static sy_value way_down(unet *u, sy_value x)
{
    sy_graph *g = u->g;
    for (int i = 0; i < u->c->depth; i++) {
        sy_scope_push(g, "down_blocks.%d", i);
        for (int j = 0, n = layers_of(u); j < n; j++)
            keep(u, x = layer(u, x, j, i));
        if (sy_layers_find(&u->layers, "downsamplers.0.conv.weight"))
            keep(u, x = sy_layers_conv(&u->layers, x, "downsamplers.0.conv", 3, 2));
        sy_scope_pop(g);
    }
    return x;
}

static sy_value middle(const unet *u, sy_value x)
{
    sy_scope_push(u->g, "mid_block");
    for (int j = 0, n = layers_of(u); j < n; j++)
        x = layer(u, x, j, u->c->depth - 1);
    sy_scope_pop(u->g);
    return x;
}

/* Twice the size; one less where the way down began with an odd number. */
static sy_value upsample(const unet *u, sy_value x)
{
    sy_graph *g = u->g;
    int32_t next =
        u->n_skips ? sy_layers_dim(&u->layers, u->skips[u->n_skips - 1], 1) : 2 * sy_layers_dim(&u->layers, x, 1);
    x = sy_upsample_nearest(g, x, 2);
    if (next != sy_layers_dim(&u->layers, x, 1))
        x = sy_slice_axis(g, sy_slice_axis(g, x, 1, 0, next), 2, 0, next);
    return sy_layers_conv(&u->layers, x, "upsamplers.0.conv", 3, 1);
}

static sy_value way_up(unet *u, sy_value x)
{
    sy_graph *g = u->g;
    sy_skips skips = sy_skips_of(g, u->c, u->c->depth);
    for (int i = 0; i < u->c->depth; i++) {
        sy_scope_push(g, "up_blocks.%d", i);
        for (int j = 0, n = layers_of(u); j < n; j++) {
            if (!u->n_skips) {
                sy_fail(&g->error, SY_CODE_INVALID_FILE, "%s.resnets.%d has no skip of the way down left.", g->scope,
                        j);
                break;
            }
            sy_scope_push(g, "resnets.%d", j);
            x = sy_skip_concat(g, &skips, x, u->skips[--u->n_skips], i);
            sy_scope_pop(g);
            x = layer(u, x, j, u->c->depth - 1 - i);
        }
        if (sy_layers_find(&u->layers, "upsamplers.0.conv.weight"))
            x = upsample(u, x);
        sy_scope_pop(g);
    }
    return x;
}

/* One number of heads a level, the same for all where the setting says nothing. */
static bool choose_heads(unet *u)
{
    double numbers[MAX_LEVELS];
    int32_t n;
    if (!sy_zoo_numbers(u->c, "heads", numbers, MAX_LEVELS, &n, &u->g->error))
        return false;
    for (int i = 0; i < u->c->depth; i++) {
        double heads = n ? numbers[i < n ? i : n - 1] : u->c->heads;
        if (!(heads >= 1 && heads <= 4096))
            return sy_fail(&u->g->error, SY_CODE_INVALID_ARGUMENT, "The setting heads has %g; 1 to 4096 are possible.",
                           heads);
        u->heads[i] = (int32_t)heads;
    }
    return true;
}

sy_value sy_sd_unet_build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in)
{
    unet u = {.g = g, .c = c, .layers = {.g = g, .file = c->file, .dtype = c->dtype, .groups = 32}};
    u.context = in->context;
    u.negative = in->negative_context;
    u.cross = sy_cross_settings_of(g, c);
    if (!choose_heads(&u) || !sy_zoo_metadata_int(c->file, "norm_groups", 1, 1024, &u.layers.groups, &g->error))
        return 0;
    sy_value t = sy_dit_time_features(g, in->time, c->width);
    t = sy_silu(g, sy_layers_linear(&u.layers, t, "time_embedding.linear_1", true));
    u.time = sy_silu(g, sy_layers_linear(&u.layers, t, "time_embedding.linear_2", true));
    sy_value x = sy_layers_conv(&u.layers, sy_transpose(g, in->x, (const int32_t[]){0, 2, 3, 1}), "conv_in", 3, 1);
    keep(&u, x);
    x = middle(&u, way_down(&u, x));
    sy_scedit(g, c, u.skips, u.n_skips, in->hint);
    x = way_up(&u, x);
    x = sy_layers_conv(&u.layers, sy_silu(g, sy_layers_group_norm(&u.layers, x, "conv_norm_out", 1e-5)), "conv_out", 3,
                       1);
    return sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2});
}
