/* U-ViT, "All are Worth Words: A ViT Backbone for Diffusion Models" (arXiv 2209.12152). Time, condition and patches are
 * all tokens of one transformer of depth + 1 blocks; the blocks of the second half start from Linear([x ; output of the
 * mirrored block]), without a norm, x first.
 *
 *     tokens = [label, time, patches] or [time, text tokens, patches] or [time, patches], plus learned positions
 *     block: x = Linear([x ; skip]) (second half); x = x + attention(LN(x)); x = x + mlp(LN(x))
 *
 * The time token is the bare sines at the model's width; a model with time_embed puts two layers behind them. Latent
 * models are fed 1 … 1000, one more than the step that the sampler counts, pixel models the step. The last 3x3
 * convolution is there if the file has it (all published models but the two of size H). Guidance w here is the authors'
 * scale plus 1. Their VP-SDE samplers of the pixel models are continuous in time; here they go by the 1000 steps.
 *
 * Taps: "in_blocks.N.x", "mid_block.x", "out_blocks.N.x", "out_blocks.N.skip_energy" (|skip| / |x|, over all tokens).
 */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"

#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 15, MAX_TOKENS = 1 << 16 };

typedef struct u_vit {
    sy_graph *g;
    const sy_network_config *c;
    int32_t batch, tokens; /* all of one sample */
    bool time_layers, last_convolution;
} u_vit;

static sy_value affine_norm(const u_vit *m, sy_value x, const char *name)
{
    sy_graph *g = m->g;
    sy_scope_push(g, "%s", name);
    x = sy_row(g, SY_OP_LAYER_NORM, x, 1e-5);
    x = sy_mul(g, x, sy_zoo_param(g, "weight", SY_T(m->c->dtype, m->c->width)));
    x = sy_add(g, x, sy_zoo_param(g, "bias", SY_T(m->c->dtype, m->c->width)));
    sy_scope_pop(g);
    return x;
}

/* Member i of the joint projection, q of all heads, then k, then v: [N,h,T,d]. */
static sy_value heads_of(const u_vit *m, sy_value qkv, int32_t i)
{
    int32_t h = m->c->heads, d = m->c->width / h;
    sy_value x = sy_slice_axis(m->g, qkv, 2, i * m->c->width, m->c->width);
    x = sy_reshape(m->g, x, SY_T(SY_F32, m->batch, m->tokens, h, d));
    return sy_transpose(m->g, x, (const int32_t[]){0, 2, 1, 3});
}

static sy_value attention(const u_vit *m, sy_value x)
{
    sy_graph *g = m->g;
    int32_t d = m->c->width / m->c->heads;
    sy_value qkv = sy_linear(g, x, "attn.qkv", 3 * m->c->width, false, m->c->dtype);
    x = sy_attention(g, heads_of(m, qkv, 0), heads_of(m, qkv, 1), heads_of(m, qkv, 2), 1 / sqrt(d));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3});
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, m->tokens, m->c->width));
    return sy_linear(g, x, "attn.proj", m->c->width, true, m->c->dtype);
}

static sy_value mlp(const u_vit *m, sy_value x)
{
    x = sy_linear(m->g, x, "mlp.fc1", m->c->mlp_hidden, true, m->c->dtype);
    return sy_linear(m->g, sy_unary(m->g, SY_OP_GELU_ERF, x), "mlp.fc2", m->c->width, true, m->c->dtype);
}

/* Called in the block's scope; skip 0: none. */
static sy_value block(const u_vit *m, sy_value x, sy_value skip)
{
    sy_graph *g = m->g;
    if (skip) {
        sy_type image = SY_T(SY_F32, m->batch, 1, m->tokens, m->c->width);
        sy_skip_tap_energy(g, sy_reshape(g, x, image), sy_reshape(g, skip, image));
        x = sy_concat(g, (const sy_value[]){x, skip}, 2, 2);
        x = sy_linear(g, x, "skip_linear", m->c->width, true, m->c->dtype);
    }
    x = sy_add(g, x, attention(m, affine_norm(m, x, "norm1")));
    x = sy_add(g, x, mlp(m, affine_norm(m, x, "norm2")));
    sy_tap(g, "x", x);
    return x;
}

static sy_value time_token(const u_vit *m, sy_value time)
{
    sy_graph *g = m->g;
    int32_t width = m->c->width, times = g->nodes[time].type.dim[0];
    if (m->c->latent)
        time = sy_add(g, time, sy_const(g, 1));
    sy_value t = sy_zoo_time_features(g, time, sy_zoo_frequencies(g, width / 2, 10000, width / 2), false);
    if (m->time_layers) {
        t = sy_silu(g, sy_linear(g, t, "time_embed.0", 4 * width, true, m->c->dtype));
        t = sy_linear(g, t, "time_embed.2", width, true, m->c->dtype);
    }
    t = sy_reshape(g, t, SY_T(SY_F32, times, 1, width));
    return times == m->batch ? t : sy_broadcast(g, t, SY_T(SY_F32, m->batch, 1, width));
}

/* What stands before the patches, and the patches. */
static sy_value sequence(const u_vit *m, const sy_zoo_inputs *inputs)
{
    sy_graph *g = m->g;
    const sy_network_config *c = m->c;
    sy_value parts[3];
    uint32_t n = 0;
    if (c->label_rows) {
        sy_value label = sy_zoo_label_embedding(g, c, inputs, "label_emb.weight", c->width);
        parts[n++] = sy_reshape(g, label, SY_T(SY_F32, m->batch, 1, c->width));
    }
    parts[n++] = time_token(m, inputs->time);
    if (c->context_tokens)
        parts[n++] = sy_linear(g, inputs->context, "context_embed", c->width, true, c->dtype);
    parts[n++] = sy_dit_patches(g, c, inputs->x, "patch_embed.proj");
    sy_value positions = sy_zoo_param(g, "pos_embed", SY_T(c->dtype, 1, m->tokens, c->width));
    return sy_add(g, sy_concat(g, parts, n, 1), positions);
}

/* The patches alone, a token's vector being (p, p, channels), channel fastest. */
static sy_value picture(const u_vit *m, sy_value x)
{
    sy_graph *g = m->g;
    const sy_network_config *c = m->c;
    int32_t p = c->patch, grid = c->side / p, own = grid * grid;
    x = sy_slice_axis(g, affine_norm(m, x, "norm"), 1, m->tokens - own, own);
    x = sy_linear(g, x, "decoder_pred", p * p * c->channels, true, c->dtype);
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, grid, grid, p, p, c->channels));
    x = sy_transpose(g, x, (const int32_t[]){0, 1, 3, 2, 4, 5});
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, c->side, c->side, c->channels));
    if (m->last_convolution)
        x = sy_conv_layer(g, x, "final_layer", c->channels, 3, 1, 1, true, c->dtype);
    return sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2});
}

static int32_t tokens_before(const sy_network_config *c)
{
    return 1 + (c->label_rows > 0) + c->context_tokens;
}

sy_value sy_u_vit_build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *inputs)
{
    int32_t grid = c->side / c->patch, half = c->depth / 2;
    u_vit m = {.g = g,
               .c = c,
               .batch = g->nodes[inputs->x].type.dim[0],
               .tokens = tokens_before(c) + grid * grid,
               .time_layers = sy_zoo_has(c->file, "time_embed.0.weight"),
               .last_convolution = sy_zoo_has(c->file, "final_layer.weight")};
    sy_value skips[SY_ZOO_MAX_DEPTH / 2], x = sequence(&m, inputs);
    for (int32_t i = 0; i < half; i++) {
        sy_scope_push(g, "in_blocks.%d", i);
        x = skips[i] = block(&m, x, 0);
        sy_scope_pop(g);
    }
    sy_scope_push(g, "mid_block");
    x = block(&m, x, 0);
    sy_scope_pop(g);
    for (int32_t i = 0; i < half; i++) {
        sy_scope_push(g, "out_blocks.%d", i);
        x = block(&m, x, skips[half - 1 - i]);
        sy_scope_pop(g);
    }
    return picture(&m, x);
}

bool sy_u_vit_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "in_blocks.0.attn.qkv.weight") && sy_zoo_has(file, "decoder_pred.weight");
}

/* The label has a null row where it has one more than ImageNet's classes. */
static bool conditions(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t label[2], context[2];
    c->null_row = -1;
    if (sy_zoo_has(file, "context_embed.weight")) {
        c->context_tokens = 77;
        if (!sy_zoo_shape(file, "context_embed.weight", 2, context, error) ||
            !sy_zoo_metadata_int(file, "context_tokens", 1, 4096, &c->context_tokens, error))
            return false;
        c->context_width = context[1];
    }
    return !sy_zoo_has(file, "label_emb.weight") ||
           (sy_zoo_shape(file, "label_emb.weight", 2, label, error) &&
            sy_zoo_configure_label(file, label[0], label[0] != 1000, c, error));
}

static bool sizes(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t proj[4], pos[3], fc1[2], in = 0;
    if (!sy_zoo_shape(file, "patch_embed.proj.weight", 4, proj, error) ||
        !sy_zoo_shape(file, "pos_embed", 3, pos, error) ||
        !sy_zoo_shape(file, "mid_block.mlp.fc1.weight", 2, fc1, error))
        return false;
    while (in <= SY_ZOO_MAX_DEPTH / 2 && sy_zoo_has(file, "in_blocks.%d.norm1.weight", in))
        in++;
    c->width = proj[0];
    c->channels = c->channels_out = proj[1];
    c->patch = proj[2];
    c->depth = 2 * in;
    c->mlp_hidden = fc1[0];
    c->heads = c->width == 1152 ? 16 : c->width / 64;
    int32_t tokens = pos[1] - tokens_before(c), grid = (int32_t)lround(sqrt(tokens < 0 ? 0 : tokens));
    c->side = grid * c->patch;
    if (!sy_zoo_metadata_int(file, "num_heads", 1, MAX_WIDTH, &c->heads, error))
        return false;
    if (c->width > MAX_WIDTH || c->width % 2 || c->heads < 1 || c->width % c->heads || c->channels > 1024 ||
        c->patch > 64 || proj[3] != c->patch || in < 1 || in > SY_ZOO_MAX_DEPTH / 2 || tokens > MAX_TOKENS ||
        grid < 1 || grid * grid != tokens)
        return sy_fail(
            error, SY_CODE_INVALID_FILE,
            "%d heads of width %d, %d + %d tokens and patches of %d x %d are no U-ViT; a width of no published "
            "model needs the metadata switchyard.num_heads.",
            (int)c->heads, (int)c->width, (int)tokens_before(c), (int)tokens, (int)proj[2], (int)proj[3]);
    return true;
}

/* DPM-Solver with 50 evaluations; guidance 1.4 for classes and 2 for texts. */
bool sy_u_vit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    if (!conditions(file, config, error) || !sizes(file, config, error) ||
        !sy_zoo_configure_space(file, config, error) ||
        !sy_zoo_configure_dtype(file, "patch_embed.proj.weight", config, error))
        return false;
    config->objective = SY_OBJECTIVE_DDPM;
    config->betas = config->latent ? SY_BETAS_SCALED_LINEAR : SY_BETAS_LINEAR;
    config->time_scale = 1;
    config->guided_channels = config->channels;
    config->guidance = config->context_tokens ? 2 : config->null_row < 0 ? 1 : 1.4;
    config->steps = 50;
    return sy_zoo_configure_end(file, config, error);
}
