/* The adaLN-Zero shell; see the header. Written with whole-tensor ops only: patches are a reshape and a transpose in
 * front of a matmul, heads are views of the joint projection, and each sample's modulation broadcasts over its
 * tokens, so that all of it can ride in the dispatches of matmuls, norms and attention. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/block_routes.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/settings.h"

#include <math.h>
#include <stdio.h>

enum { TIME_FEATURES = 256 };

sy_value sy_dit_time_features(sy_graph *g, sy_value t, int32_t count)
{
    return sy_zoo_time_features(g, t, sy_zoo_frequencies(g, count / 2, 10000, count / 2), false);
}

/* One coordinate u in `size` values: sin(u w_i), then cos(u w_i), w_i = 10000^(-2i/size); f32[grid, size]. */
static sy_value coordinate(sy_graph *g, int32_t grid, int32_t size)
{
    sy_value w = sy_zoo_frequencies(g, size / 2, 10000, size / 2);
    sy_value u = sy_iota(g, SY_T(SY_F32, grid, 1), 0);
    sy_value angle = sy_mul(g, u, w);
    sy_value parts[2] = {sy_unary(g, SY_OP_SIN, angle), sy_unary(g, SY_OP_COS, angle)};
    return sy_concat(g, parts, 2, 1);
}

/* The first half of the width tells the column, the second the row. */
sy_value sy_dit_positions(sy_graph *g, int32_t grid, int32_t width)
{
    int32_t half = width / 2;
    sy_value line = coordinate(g, grid, half);
    sy_type square = SY_T(SY_F32, grid, grid, half);
    sy_value parts[2] = {sy_broadcast(g, sy_reshape(g, line, SY_T(SY_F32, 1, grid, half)), square),
                         sy_broadcast(g, sy_reshape(g, line, SY_T(SY_F32, grid, 1, half)), square)};
    return sy_reshape(g, sy_concat(g, parts, 2, 2), SY_T(SY_F32, 1, grid * grid, width));
}

/* Rows of the tokens that run: x[N * all tokens, n] to [N, tokens, n]. */
static sy_value active_rows(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    sy_type type = g->nodes[x].type; /* f32[N or 1, all tokens, n] */
    x = sy_broadcast(g, x, SY_T(SY_F32, dit->batch, dit->all_tokens, type.dim[2]));
    x = sy_reshape(g, x, SY_T(SY_F32, dit->batch * dit->all_tokens, type.dim[2]));
    return sy_reshape(g, sy_route_gather(g, x, dit->active), SY_T(SY_F32, dit->batch, dit->tokens, type.dim[2]));
}

/* Every patch, channel by channel: f32[N, tokens, channels * patch^2]. */
static sy_value cut(sy_graph *g, const sy_network_config *c, sy_value x)
{
    int32_t p = c->patch, grid = c->side / p, values = c->channels * p * p, batch = g->nodes[x].type.dim[0];
    x = sy_reshape(g, x, SY_T(SY_F32, batch, c->channels, grid, p, grid, p));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 4, 1, 3, 5});
    return sy_reshape(g, x, SY_T(SY_F32, batch, grid * grid, values));
}

/* A convolution whose kernel is its stride: every patch times one matrix. */
static sy_value embed(sy_graph *g, const sy_network_config *c, sy_value patches, const char *name)
{
    int32_t p = c->patch, values = c->channels * p * p;
    sy_scope_push(g, "%s", name);
    sy_value w = sy_param(g, "weight", SY_T(c->dtype, c->width, c->channels, p, p));
    sy_value b = sy_zoo_param(g, "bias", SY_T(c->dtype, c->width));
    sy_scope_pop(g);
    return sy_add(g, sy_matmul(g, patches, sy_reshape(g, w, SY_T(c->dtype, c->width, values)), true), b);
}

sy_value sy_dit_patches(sy_graph *g, const sy_network_config *c, sy_value x, const char *name)
{
    return embed(g, c, cut(g, c, x), name);
}

static sy_value patchify(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_value positions = c->has_pos_embed ? sy_zoo_param(g, "pos_embed", SY_T(c->dtype, 1, dit->all_tokens, c->width))
                                          : sy_dit_positions(g, c->side / c->patch, c->width);
    sy_value patches = cut(g, c, x);
    if (dit->active) {
        patches = active_rows(dit, patches);
        positions = active_rows(dit, positions);
    }
    return sy_add(g, embed(g, c, patches, "x_embedder.proj"), positions);
}

/* The output of the tokens that run, y[N, tokens, (p, p, channels)], put where it belongs in the output before: all
 * tokens. */
static sy_value among_previous(const sy_dit *dit, sy_value y)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    int32_t p = c->patch, grid = c->side / p, values = p * p * c->channels_out;
    sy_value before = sy_reshape(g, dit->previous, SY_T(SY_F32, dit->batch, c->channels_out, grid, p, grid, p));
    before = sy_transpose(g, before, (const int32_t[]){0, 2, 4, 3, 5, 1});
    before = sy_reshape(g, before, SY_T(SY_F32, dit->batch * dit->all_tokens, values));
    y = sy_reshape(g, y, SY_T(SY_F32, dit->batch * dit->tokens, values));
    y = sy_route_scatter(g, y, dit->active, before);
    return sy_reshape(g, y, SY_T(SY_F32, dit->batch, dit->all_tokens, values));
}

/* A token's vector is (p, p, channels), channel fastest. */
static sy_value unpatchify(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    int32_t p = c->patch, grid = c->side / p;
    x = sy_reshape(g, x, SY_T(SY_F32, dit->batch, grid, grid, p, p, c->channels_out));
    x = sy_transpose(g, x, (const int32_t[]){0, 5, 1, 3, 2, 4});
    return sy_reshape(g, x, SY_T(SY_F32, dit->batch, c->channels_out, c->side, c->side));
}

/* A sample is unconditional if its label, or the first word of it, is the null row. */
static sy_value is_null_label(const sy_dit *dit, const sy_zoo_inputs *inputs)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    if (c->null_row < 0)
        return 0;
    sy_value first = inputs->label;
    if (c->words)
        first = sy_reshape(g, sy_slice_axis(g, first, 1, 0, 1), SY_T(SY_I32, dit->batch));
    double null_row = c->null_row;
    return sy_binary(g, SY_OP_EQUAL, first, sy_const_of(g, SY_T(SY_I32, 1), &null_row, 1));
}

static void condition(sy_dit *dit, const sy_zoo_inputs *inputs)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_value t = sy_dit_time_features(g, inputs->time, TIME_FEATURES);
    t = sy_silu(g, sy_linear(g, t, "t_embedder.mlp.0", c->width, true, c->dtype));
    dit->time_embedding = sy_linear(g, t, "t_embedder.mlp.2", c->width, true, c->dtype);
    sy_value label = sy_zoo_label_embedding(g, c, inputs, "y_embedder.embedding_table.weight", c->width);
    sy_value all = sy_add(g, dit->time_embedding, label);
    if (c->step_size) {
        sy_value d = sy_dit_time_features(g, inputs->step_size, TIME_FEATURES);
        d = sy_silu(g, sy_linear(g, d, "dt_embedder.mlp.0", c->width, true, c->dtype));
        all = sy_add(g, all, sy_linear(g, d, "dt_embedder.mlp.2", c->width, true, c->dtype));
    }
    dit->condition = sy_silu(g, all);
}

/* `count` vectors per sample from its condition, each to be cut out with `chunk`: f32[N, 1, count * width]. */
static sy_value modulation(const sy_dit *dit, int32_t count)
{
    const sy_network_config *c = dit->config;
    sy_value m = sy_linear(dit->g, dit->condition, "adaLN_modulation.1", count * c->width, true, c->dtype);
    return sy_reshape(dit->g, m, SY_T(SY_F32, dit->batch, 1, count * c->width));
}

static sy_value chunk(const sy_dit *dit, sy_value m, int32_t i)
{
    return sy_slice_axis(dit->g, m, 2, i * dit->config->width, dit->config->width);
}

static sy_value norm_modulate(const sy_dit *dit, sy_value x, sy_value shift, sy_value scale)
{
    sy_graph *g = dit->g;
    sy_value normed = sy_row(g, SY_OP_LAYER_NORM, x, 1e-6);
    return sy_add(g, sy_mul(g, normed, sy_add(g, scale, sy_const(g, 1))), shift);
}

/* Layer norm of q and k over the head dimension; q's and k's weights side by side make it one op: qk[N, T, 2, h, d]. */
static sy_value norm_queries_and_keys(const sy_dit *dit, sy_value qk, int32_t d)
{
    sy_graph *g = dit->g;
    sy_dtype dtype = dit->config->dtype;
    sy_value weights[2] = {sy_zoo_param(g, "q_norm.weight", SY_T(dtype, d)),
                           sy_zoo_param(g, "k_norm.weight", SY_T(dtype, d))};
    sy_value biases[2] = {sy_zoo_param(g, "q_norm.bias", SY_T(dtype, d)),
                          sy_zoo_param(g, "k_norm.bias", SY_T(dtype, d))};
    sy_type both = SY_T(SY_F32, 2, 1, d);
    qk = sy_row(g, SY_OP_LAYER_NORM, qk, dit->config->qk_norm_eps);
    qk = sy_mul(g, qk, sy_reshape(g, sy_stack(g, weights, 2), both));
    return sy_add(g, qk, sy_reshape(g, sy_stack(g, biases, 2), both));
}

/* Member i of x[N, T, members, h, d] as attention wants it: [N, h, T, d]. */
static sy_value heads_of(const sy_dit *dit, sy_value x, int32_t i)
{
    sy_graph *g = dit->g;
    int32_t h = dit->config->heads, d = dit->config->width / h, tokens = g->nodes[x].type.dim[1];
    x = sy_reshape(g, sy_slice_axis(g, x, 2, i, 1), SY_T(SY_F32, dit->batch, tokens, h, d));
    return sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3});
}

/* Keys and values of all tokens, [N, all tokens, 2, h, d]: those at hand, kept for later steps; or those kept, with the
 * running tokens' in their places. */
static sy_value keep_keys_and_values(const sy_dit *dit, sy_value kv)
{
    sy_graph *g = dit->g;
    int32_t h = dit->config->heads, d = dit->config->width / h;
    char name[SY_MAX_NAME + 1];
    snprintf(name, sizeof name, "cache.%s", g->scope);
    sy_type rows = SY_T(SY_F32, dit->batch * dit->all_tokens, 2 * h * d);
    sy_value kept = sy_state(g, name, rows);
    if (dit->active)
        kept = sy_route_scatter(g, sy_reshape(g, kv, SY_T(SY_F32, dit->batch * dit->tokens, 2 * h * d)), dit->active,
                                kept);
    else
        kept = sy_reshape(g, kv, rows);
    sy_carry(g, name, kept);
    return sy_reshape(g, kept, SY_T(SY_F32, dit->batch, dit->all_tokens, 2, h, d));
}

/* The first n samples of x. */
static sy_value samples(sy_graph *g, sy_value x, int32_t first, int32_t n)
{
    return sy_slice_axis(g, x, 0, first, n);
}

/* Attention of all samples, [N, h, T, d]; of the last `identity` ones the map is the identity. */
static sy_value attend(const sy_dit *dit, sy_value q, sy_value k, sy_value v, int32_t identity)
{
    sy_graph *g = dit->g;
    int32_t n = dit->batch - identity, d = dit->config->width / dit->config->heads;
    double scale = dit->config->attention_names == SY_ATTENTION_APART ? 1.0 / d : 1 / sqrt(d);
    if (!identity)
        return sy_attention(g, q, k, v, scale);
    sy_value y = sy_attention(g, samples(g, q, 0, n), samples(g, k, 0, n), samples(g, v, 0, n), scale);
    return sy_concat(g, (const sy_value[]){y, samples(g, v, n, identity)}, 2, 0);
}

/* q of all heads, then k, then v: f32[N, tokens, 3 width]. */
static sy_value project(const sy_dit *dit, sy_value u)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    if (c->attention_names == SY_ATTENTION_APART) {
        const sy_value parts[3] = {sy_linear(g, u, "q", c->width, true, c->dtype),
                                   sy_linear(g, u, "k", c->width, true, c->dtype),
                                   sy_linear(g, u, "v", c->width, true, c->dtype)};
        return sy_concat(g, parts, 3, 2);
    }
    return sy_linear(g, u, c->attention_names == SY_ATTENTION_TIMM ? "qkv" : "Wqkv", 3 * c->width, true, c->dtype);
}

static sy_value attention(const sy_dit *dit, int32_t block, sy_value u, int32_t identity)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    int32_t h = c->heads, d = c->width / h;
    sy_scope_push(g, "attn");
    sy_value qkv = project(dit, u);
    qkv = sy_reshape(g, qkv, SY_T(SY_F32, dit->batch, dit->tokens, 3, h, d));
    sy_value qk = qkv;
    if (c->qk_norm)
        qk = norm_queries_and_keys(dit, sy_slice_axis(g, qkv, 2, 0, 2), d);
    sy_value q = heads_of(dit, qk, 0), k, v, y;
    if (dit->variant == SY_VARIANT_ACTIVE || dit->variant == SY_VARIANT_REFRESH) {
        sy_value both[2] = {sy_slice_axis(g, qk, 2, 1, 1), sy_slice_axis(g, qkv, 2, 2, 1)};
        sy_value kv = keep_keys_and_values(dit, sy_concat(g, both, 2, 2));
        k = heads_of(dit, kv, 0);
        v = heads_of(dit, kv, 1);
    } else {
        k = heads_of(dit, qk, 1);
        v = heads_of(dit, qkv, 2);
    }
    sy_sparge_params sparge;
    bool sparse;
    if (!sy_zoo_sparge_setting(c, &sparge, &sparse, &g->error))
        return 0;
    if (dit->attend) {
        sy_scope_pop(g);
        y = dit->attend(dit, block, q, k, v);
        sy_scope_push(g, "attn");
    } else if (sparse && !identity) {
        sy_value route;
        sparge.q = q, sparge.k = k, sparge.v = v;
        y = sy_sparge_attention(g, &sparge, &route);
        sy_tap(g, "route", route);
        sy_tap(g, "density", sy_route_density(g, route));
    } else {
        y = attend(dit, q, k, v, identity);
    }
    y = sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3});
    y = sy_reshape(g, y, SY_T(SY_F32, dit->batch, dit->tokens, c->width));
    y = sy_linear(g, y, c->attention_names == SY_ATTENTION_WQKV ? "out_proj" : "proj", c->width, true, c->dtype);
    sy_scope_pop(g);
    return y;
}

sy_value sy_dit_mlp(const sy_dit *dit, sy_value u)
{
    const sy_network_config *c = dit->config;
    sy_scope_push(dit->g, "mlp");
    u = sy_unary(dit->g, SY_OP_GELU_TANH, sy_linear(dit->g, u, "fc1", c->mlp_hidden, true, c->dtype));
    u = sy_linear(dit->g, u, "fc2", c->width, true, c->dtype);
    sy_scope_pop(dit->g);
    return u;
}

/* x with copies of its first samples behind it. */
static sy_value with_copies(const sy_dit *dit, sy_value x)
{
    return sy_concat(dit->g, (const sy_value[]){x, samples(dit->g, x, 0, dit->perturbed)}, 2, 0);
}

/* What a block or the end needs to know of as many samples as x has: perturbed ones are copies of the first. */
static sy_dit sized(const sy_dit *dit, sy_value x)
{
    sy_dit own = *dit;
    int32_t n = dit->g->nodes[x].type.dim[0];
    if (n == dit->batch)
        return own;
    own.batch = n;
    own.condition = with_copies(dit, dit->condition);
    if (dit->null_label)
        own.null_label = with_copies(dit, dit->null_label);
    if (dit->time && dit->g->nodes[dit->time].type.dim[0] > 1) {
        own.time = with_copies(dit, dit->time);
        own.time_embedding = with_copies(dit, dit->time_embedding);
    }
    return own;
}

/* x + gate attention(modulated norm of x), then x + gate feed_forward(modulated norm of x). */
static sy_value whole_block(const sy_dit *dit, int32_t i, sy_value x, sy_dit_feed_forward feed_forward,
                            int32_t identity)
{
    enum { SHIFT_ATTENTION, SCALE_ATTENTION, GATE_ATTENTION, SHIFT_MLP, SCALE_MLP, GATE_MLP, CHUNKS };
    sy_graph *g = dit->g;
    sy_scope_push(g, "blocks.%d", i);
    sy_value m = modulation(dit, CHUNKS);
    sy_value u = norm_modulate(dit, x, chunk(dit, m, SHIFT_ATTENTION), chunk(dit, m, SCALE_ATTENTION));
    x = sy_add(g, x, sy_mul(g, chunk(dit, m, GATE_ATTENTION), attention(dit, i, u, identity)));
    u = norm_modulate(dit, x, chunk(dit, m, SHIFT_MLP), chunk(dit, m, SCALE_MLP));
    x = sy_add(g, x, sy_mul(g, chunk(dit, m, GATE_MLP), feed_forward(dit, i, u)));
    sy_scope_pop(g);
    return x;
}

sy_value sy_dit_block(const sy_dit *dit, int32_t i, sy_value x, sy_dit_feed_forward feed_forward)
{
    sy_graph *g = dit->g;
    if (!dit->perturbed)
        return whole_block(dit, i, x, feed_forward, 0);
    bool without = i < 64 * 64 && dit->without[i / 64] >> (i % 64) & 1;
    bool parted = g->nodes[x].type.dim[0] > dit->batch;
    sy_scope_push(g, "blocks.%d", i);
    sy_tap(g, "perturbed", sy_const(g, without)); /* whether the second pass does without this block */
    sy_scope_pop(g);
    if (!without || dit->identity) {
        x = without && !parted ? with_copies(dit, x) : x;
        sy_dit own = sized(dit, x);
        return whole_block(&own, i, x, feed_forward, without ? dit->perturbed : 0);
    }
    sy_value copies = parted ? samples(g, x, dit->batch, dit->perturbed) : samples(g, x, 0, dit->perturbed);
    sy_value rest = whole_block(dit, i, parted ? samples(g, x, 0, dit->batch) : x, feed_forward, 0);
    return sy_concat(g, (const sy_value[]){rest, copies}, 2, 0);
}

sy_value sy_dit_end(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_dit own = sized(dit, x);
    sy_scope_push(g, "final_layer");
    sy_value m = modulation(&own, 2);
    x = norm_modulate(&own, x, chunk(&own, m, 0), chunk(&own, m, 1));
    x = sy_linear(g, x, "linear", c->patch * c->patch * c->channels_out, true, c->dtype);
    sy_scope_pop(g);
    return unpatchify(&own, dit->active ? among_previous(dit, x) : x);
}

/* The blocks that perturbed samples do without. */
static bool read_layers(sy_dit *dit)
{
    const sy_network_config *c = dit->config;
    double layers[64];
    int32_t n, mode;
    if (!sy_zoo_numbers(c, "stg.layers", layers, 64, &n, &dit->g->error) ||
        !sy_setting_choice(c, "stg.mode", &mode, &dit->g->error))
        return false;
    for (int32_t i = 0; i < n; i++) {
        int32_t layer = (int32_t)layers[i];
        if (layer != layers[i] || layer >= c->depth)
            return sy_fail(&dit->g->error, SY_CODE_INVALID_ARGUMENT,
                           "stg.layers names block %g; this model has blocks 0 to %d", layers[i], c->depth - 1);
        dit->without[layer / 64] |= UINT64_C(1) << (layer % 64);
    }
    dit->identity = mode == 1;
    return n > 0 || sy_fail(&dit->g->error, SY_CODE_INVALID_ARGUMENT, "perturbed samples need the setting stg.layers");
}

sy_value sy_dit_begin(sy_dit *dit, sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    int32_t grid = config->side / config->patch;
    *dit = (sy_dit){.g = g,
                    .config = config,
                    .batch = g->nodes[inputs->x].type.dim[0],
                    .tokens = grid * grid,
                    .all_tokens = grid * grid,
                    .variant = inputs->variant,
                    .perturbed = inputs->perturbed};
    if (inputs->variant == SY_VARIANT_ACTIVE) {
        dit->active = inputs->active;
        dit->previous = inputs->previous;
        dit->tokens = g->nodes[inputs->active].type.dim[SY_ROUTE_SLOTS] / dit->batch;
    }
    if (inputs->perturbed && !read_layers(dit))
        return 0;
    dit->time = inputs->time;
    condition(dit, inputs);
    dit->null_label = is_null_label(dit, inputs);
    return patchify(dit, inputs->x);
}

void sy_dit_tap_stream(const sy_dit *dit, int32_t i, sy_value x)
{
    sy_scope_push(dit->g, "blocks.%d", i);
    sy_tap(dit->g, "x", x);
    sy_scope_pop(dit->g);
}

sy_value sy_dit_network(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs,
                        sy_dit_feed_forward feed_forward)
{
    sy_dit dit;
    sy_value x = sy_dit_begin(&dit, g, config, inputs);
    for (int32_t i = 0; i < config->depth; i++) {
        x = sy_dit_block(&dit, i, x, feed_forward);
        sy_dit_tap_stream(&dit, i, x);
    }
    return sy_dit_end(&dit, x);
}
