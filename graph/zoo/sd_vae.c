/* The decoder half of Stable Diffusion's autoencoder (arXiv 2112.10752, AutoencoderKL of diffusers): resnets without
 * time, one attention of a single head in the middle, nearest upsampling. Every group norm has eps 1e-6.
 *
 * Metadata, for what shapes do not say: switchyard.vae.scaling_factor (0.18215), by which latents are divided first;
 * switchyard.vae.norm_groups (32); switchyard.image_size, side of the latent (64). Attention under its present names
 * (to_q …) or the older ones (query …). */
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/sd.h"

#include <math.h>
#include <stdio.h>

enum { MAX_LEVELS = 8, MAX_LAYERS = 16 };

/* The present name of a layer, or the older one where the file has that. */
static const char *name_of(const sy_layers *l, const char *name, const char *older)
{
    char weight[64];
    snprintf(weight, sizeof weight, "%s.weight", older);
    return sy_layers_find(l, weight) ? older : name;
}

static sy_value attention(const sy_layers *l, sy_value x)
{
    sy_graph *g = l->g;
    if (!x)
        return 0;
    const sy_type image = g->nodes[x].type;
    sy_value u = sy_layers_tokens(l, sy_layers_group_norm(l, x, "group_norm", 1e-6));
    sy_value q = sy_layers_heads(l, sy_layers_pointwise(l, u, name_of(l, "to_q", "query")), 1);
    sy_value k = sy_layers_heads(l, sy_layers_pointwise(l, u, name_of(l, "to_k", "key")), 1);
    sy_value v = sy_layers_heads(l, sy_layers_pointwise(l, u, name_of(l, "to_v", "value")), 1);
    sy_value y = sy_attention(g, q, k, v, 1 / sqrt(image.dim[3]));
    y = sy_reshape(g, y, SY_T(SY_F32, image.dim[0], image.dim[1] * image.dim[2], image.dim[3]));
    y = sy_layers_pointwise(l, y, name_of(l, "to_out.0", "proj_attn"));
    return sy_add(g, x, sy_reshape(g, y, image));
}

/* resnets.0, resnets.1 …; in the middle the attention comes after the first. */
static sy_value resnets(const sy_layers *l, sy_value x, bool middle)
{
    for (int j = 0; j < MAX_LAYERS; j++) {
        sy_scope_push(l->g, "resnets.%d", j);
        bool there = sy_layers_find(l, "conv1.weight");
        if (there)
            x = sy_layers_resnet(l, x, 0, 1e-6, NULL);
        sy_scope_pop(l->g);
        if (!there)
            break;
        if (middle && j == 0) {
            sy_scope_push(l->g, "attentions.0");
            x = attention(l, x);
            sy_scope_pop(l->g);
        }
    }
    return x;
}

sy_value sy_vae_decode(sy_graph *g, const struct sy_safetensors *file, sy_value latent)
{
    sy_layers l = {.g = g, .file = file, .groups = 32};
    double factor = 0.18215;
    if (!sy_layers_dtype(file, "decoder.conv_in.weight", &l.dtype, &g->error) ||
        !sy_zoo_metadata_int(file, "vae.norm_groups", 1, 1024, &l.groups, &g->error) ||
        !sy_zoo_metadata_double(file, "vae.scaling_factor", 1e-6, 1e6, &factor, &g->error))
        return 0;
    sy_value x = sy_mul(g, sy_transpose(g, latent, (const int32_t[]){0, 2, 3, 1}), sy_const(g, 1 / factor));
    if (!x)
        return 0;
    const sy_type type = g->nodes[x].type;
    x = sy_reshape(g, sy_layers_pointwise(&l, sy_layers_tokens(&l, x), "post_quant_conv"), type);
    sy_scope_push(g, "decoder");
    x = sy_layers_conv(&l, x, "conv_in", 3, 1);
    sy_scope_push(g, "mid_block");
    x = resnets(&l, x, true);
    sy_scope_pop(g);
    for (int i = 0; i < MAX_LEVELS && sy_zoo_has(file, "decoder.up_blocks.%d.resnets.0.conv1.weight", i); i++) {
        sy_scope_push(g, "up_blocks.%d", i);
        x = resnets(&l, x, false);
        if (sy_layers_find(&l, "upsamplers.0.conv.weight"))
            x = sy_layers_conv(&l, sy_upsample_nearest(g, x, 2), "upsamplers.0.conv", 3, 1);
        sy_scope_pop(g);
    }
    x = sy_layers_conv(&l, sy_silu(g, sy_layers_group_norm(&l, x, "conv_norm_out", 1e-6)), "conv_out", 3, 1);
    sy_scope_pop(g);
    return sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2});
}

int32_t sy_vae_side(const struct sy_safetensors *file, int32_t side)
{
    if (!sy_zoo_has(file, "decoder.conv_in.weight"))
        return 0;
    for (int i = 0; i < MAX_LEVELS; i++)
        side *= sy_zoo_has(file, "decoder.up_blocks.%d.upsamplers.0.conv.weight", i) ? 2 : 1;
    return side;
}

bool sy_sd_vae_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    int32_t first[4], side = 64;
    if (!sy_zoo_shape(file, "decoder.conv_in.weight", 4, first, error) ||
        !sy_zoo_metadata_int(file, "image_size", 1, 1024, &side, error))
        return false;
    sy_output(g, "picture", sy_vae_decode(g, file, sy_input(g, "latent", SY_T(SY_F32, batch, first[1], side, side))));
    return sy_graph_check(g, error);
}
