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
 * What was taken out of the network is not in the file: a layer that is gone passes on what it gets, and on the way up
 * drops its skip.
 *
 * APTP (arXiv 2406.12042; setting "aptp" = number of a code): the same file holds the whole network and "aptp.codes"
 * [codes, gates]; the network is built for one code, its weights cut when they are loaded. A gate above 0 keeps its
 * part. Gates come in the order in which layers run: for a resnet norm2's groups, with them conv1's channels, and one
 * for the whole resnet; for a transformer the heads of attention to itself, those to the text, as many parts of the
 * feed-forward's inner width as there are groups, and one for the whole. That units are groups, heads and parts is the
 * authors' code as remembered, the order is ours. Which code a prompt takes: aptp_router.c.
 *
 * Group norms of resnets have eps 1e-5, those of transformers 1e-6. The gate of a feed-forward is its second half. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/scedit.h"
#include "graph/zoo/sd.h"
#include "graph/zoo/sd_blocks.h"
#include "graph/zoo/skip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 1024, MAX_TOKENS = 4096, MAX_GATES = 1 << 13, MAX_CODES = 256 };

typedef sy_sd_unet unet;

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
    while (c->depth <= SY_SD_LEVELS && sy_zoo_has(file, "down_blocks.%d.resnets.0.conv1.weight", (int)c->depth))
        c->depth++;
    if (c->depth > SY_SD_LEVELS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file has more than %d levels.", SY_SD_LEVELS);
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

const sy_units *sy_sd_units(sy_sd_unet *u, int32_t count, sy_units *room)
{
    *room = (sy_units){.count = count};
    if (!u->gates)
        return NULL;
    if (count > SY_MAX_UNITS / 2 || count > u->n_gates - u->next_gate) {
        sy_fail(&u->g->error, SY_CODE_INVALID_FILE,
                "%s: the architecture code of %d gates ends before the network does.", u->g->scope, (int)u->n_gates);
        return NULL;
    }
    for (int32_t i = 0; i < count; i++) {
        room->kept[i] = u->gates[u->next_gate++] > 0;
        room->n_kept += room->kept[i];
    }
    return room;
}

/* Goes past the gates of a part that is dropped whole. */
static bool drops(unet *u, int32_t gates)
{
    sy_units room;
    if (!u->gates)
        return false;
    int32_t first = u->next_gate;
    u->next_gate = first + gates < u->n_gates ? first + gates : u->n_gates;
    const sy_units *depth = sy_sd_units(u, 1, &room);
    bool dropped = !depth || !depth->n_kept;
    u->next_gate = dropped ? u->next_gate : first;
    return dropped;
}

static void past_depth(unet *u)
{
    u->next_gate += u->gates && u->next_gate < u->n_gates;
}

/* resnets.j and, where the level has one, attentions.j; one that the file lacks, or that the code drops, is gone, and a
 * resnet takes its skip (0: it has none) with it. */
static sy_value layer(unet *u, sy_value x, int j, int level, sy_skips *skips, sy_value skip)
{
    sy_graph *g = u->g;
    sy_units room;
    sy_scope_push(g, "resnets.%d", j);
    bool there = sy_layers_find(&u->layers, "conv1.weight") && !drops(u, u->layers.groups);
    sy_tap(g, "executed", sy_const(g, there));
    if (there) {
        if (skip)
            x = sy_skip_concat(g, skips, x, skip, u->c->depth - 1 - level);
        x = sy_layers_resnet(&u->layers, x, u->time, 1e-5, sy_sd_units(u, u->layers.groups, &room));
        past_depth(u);
    }
    sy_scope_pop(g);
    sy_scope_push(g, "attentions.%d", j);
    there = sy_layers_find(&u->layers, "proj_in.weight") && !drops(u, 2 * u->heads[level] + u->layers.groups);
    if (u->heads[level])
        sy_tap(g, "executed", sy_const(g, there));
    if (there) {
        x = sy_sd_transformer(u, x, u->heads[level]);
        past_depth(u);
    }
    sy_scope_pop(g);
    return x;
}

/* Layers of the block in scope: resnets that are there, or attentions. */
static int layers_of(const unet *u)
{
    char name[48];
    int n = 0;
    for (int j = 0; j < SY_SD_LAYERS; j++) {
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
    if (u->n_skips < SY_SD_SKIPS)
        u->skips[u->n_skips++] = x;
}

static sy_value way_down(unet *u, sy_value x)
{
    sy_graph *g = u->g;
    for (int i = 0; i < u->c->depth; i++) {
        sy_scope_push(g, "down_blocks.%d", i);
        int n = layers_of(u);
        u->block_layers = n > u->block_layers ? n : u->block_layers;
        sy_scope_pop(g);
    }
    for (int i = 0; i < u->c->depth; i++) {
        sy_scope_push(g, "down_blocks.%d", i);
        for (int j = 0; j < u->block_layers; j++)
            keep(u, x = layer(u, x, j, i, NULL, 0));
        if (sy_layers_find(&u->layers, "downsamplers.0.conv.weight"))
            keep(u, x = sy_layers_conv(&u->layers, x, "downsamplers.0.conv", 3, 2));
        sy_scope_pop(g);
    }
    return x;
}

static sy_value middle(unet *u, sy_value x)
{
    sy_scope_push(u->g, "mid_block");
    for (int j = 0, n = layers_of(u); j < n; j++)
        x = layer(u, x, j, u->c->depth - 1, NULL, 0);
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
        for (int j = 0; j <= u->block_layers && u->n_skips; j++)
            x = layer(u, x, j, u->c->depth - 1 - i, &skips, u->skips[--u->n_skips]);
        if (sy_layers_find(&u->layers, "upsamplers.0.conv.weight"))
            x = upsample(u, x);
        sy_scope_pop(g);
    }
    return x;
}

/* One number of heads a level, the same for all where the setting says nothing. */
static bool choose_heads(unet *u)
{
    double numbers[SY_SD_LEVELS];
    int32_t n;
    if (!sy_zoo_numbers(u->c, "heads", numbers, SY_SD_LEVELS, &n, &u->g->error))
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

/* The setting gri. */
static bool choose_regions(unet *u)
{
    double numbers[2] = {0, 2};
    int32_t n;
    if (!sy_zoo_numbers(u->c, "gri", numbers, 2, &n, &u->g->error))
        return false;
    u->region = (int32_t)numbers[0];
    u->pool = (int32_t)numbers[1];
    return !u->region || (n && u->region >= 1 && u->pool >= 1) ||
           sy_fail(&u->g->error, SY_CODE_INVALID_ARGUMENT, "The setting gri is two sides of at least 1 pixel.");
}

/* The setting aptp: row `code` of the file's codes. */
static bool choose_code(unet *u)
{
    double code;
    int32_t n, dims[2];
    if (!sy_zoo_numbers(u->c, "aptp", &code, 1, &n, &u->g->error) || !n)
        return u->g->error.code == SY_CODE_OK;
    const sy_stored_tensor *codes = sy_safetensors_find(u->c->file, "aptp.codes");
    if (!sy_zoo_shape(u->c->file, "aptp.codes", 2, dims, &u->g->error))
        return false;
    if (dims[0] > MAX_CODES || dims[1] > MAX_GATES || code < 0 || code >= dims[0] || code != floor(code))
        return sy_fail(&u->g->error, SY_CODE_INVALID_ARGUMENT,
                       "The setting aptp is %g; the file has the architecture codes 0 to %d.", code, (int)dims[0] - 1);
    double *all = calloc((size_t)codes->count, sizeof *all);
    u->gates = calloc((size_t)dims[1], sizeof *u->gates);
    bool ok = all && u->gates ? sy_stored_read(codes, all, codes->count, &u->g->error)
                              : sy_fail(&u->g->error, SY_CODE_OUT_OF_MEMORY, "No memory for an architecture code.");
    u->n_gates = dims[1];
    if (ok)
        memcpy(u->gates, all + (size_t)code * (size_t)dims[1], (size_t)dims[1] * sizeof *u->gates);
    free(all);
    return ok;
}

/* What the code keeps, 1 or 0 a gate. */
static void tap_code(unet *u)
{
    if (!u->gates)
        return;
    for (int32_t i = 0; i < u->n_gates; i++)
        u->gates[i] = u->gates[i] > 0;
    sy_tap(u->g, "aptp.kept", sy_const_of(u->g, SY_T(SY_F32, u->n_gates), u->gates, (uint32_t)u->n_gates));
}

static sy_value build(unet *u, const sy_zoo_inputs *in)
{
    sy_graph *g = u->g;
    tap_code(u);
    sy_value t = sy_dit_time_features(g, in->time, u->c->width);
    t = sy_silu(g, sy_layers_linear(&u->layers, t, "time_embedding.linear_1", true));
    u->time = sy_silu(g, sy_layers_linear(&u->layers, t, "time_embedding.linear_2", true));
    sy_value x = sy_layers_conv(&u->layers, sy_transpose(g, in->x, (const int32_t[]){0, 2, 3, 1}), "conv_in", 3, 1);
    keep(u, x);
    x = middle(u, way_down(u, x));
    sy_scedit(g, u->c, u->skips, u->n_skips, in->hint);
    x = way_up(u, x);
    if (u->next_gate != u->n_gates)
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "The architecture code has %d gates, the network %d.", (int)u->n_gates,
                (int)u->next_gate);
    x = sy_silu(g, sy_layers_group_norm(&u->layers, x, "conv_norm_out", 1e-5));
    return sy_transpose(g, sy_layers_conv(&u->layers, x, "conv_out", 3, 1), (const int32_t[]){0, 3, 1, 2});
}

sy_value sy_sd_unet_build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in)
{
    unet u = {.g = g, .c = c, .layers = {.g = g, .file = c->file, .dtype = c->dtype, .groups = 32}};
    sy_value out = 0;
    u.context = in->context;
    u.negative = in->negative_context;
    u.cross = sy_cross_settings_of(g, c);
    if (choose_heads(&u) && choose_regions(&u) && choose_code(&u) &&
        sy_zoo_metadata_int(c->file, "norm_groups", 1, SY_MAX_UNITS / 2, &u.layers.groups, &g->error))
        out = build(&u, in);
    free(u.gates);
    return out;
}
