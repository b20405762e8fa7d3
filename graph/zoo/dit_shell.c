/* The adaLN-Zero shell; see the header. Written with whole-tensor ops only: patches are a reshape and a transpose in
 * front of a matmul, heads are views of the joint projection, and each sample's modulation broadcasts over its
 * tokens, so that all of it can ride in the dispatches of matmuls, norms and attention. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/block_routes.h"
#include "graph/zoo/networks.h"

#include <math.h>

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

/* A convolution whose kernel is its stride: every patch, channel by channel, times one matrix. */
sy_value sy_dit_patches(sy_graph *g, const sy_network_config *c, sy_value x, const char *name)
{
    int32_t p = c->patch, grid = c->side / p, values = c->channels * p * p, batch = g->nodes[x].type.dim[0];
    x = sy_reshape(g, x, SY_T(SY_F32, batch, c->channels, grid, p, grid, p));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 4, 1, 3, 5});
    x = sy_reshape(g, x, SY_T(SY_F32, batch, grid * grid, values));
    sy_scope_push(g, "%s", name);
    sy_value w = sy_param(g, "weight", SY_T(c->dtype, c->width, c->channels, p, p));
    sy_value b = sy_zoo_param(g, "bias", SY_T(c->dtype, c->width));
    sy_scope_pop(g);
    return sy_add(g, sy_matmul(g, x, sy_reshape(g, w, SY_T(c->dtype, c->width, values)), true), b);
}

static sy_value patchify(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_value positions = c->has_pos_embed ? sy_zoo_param(g, "pos_embed", SY_T(c->dtype, 1, dit->tokens, c->width))
                                          : sy_dit_positions(g, c->side / c->patch, c->width);
    return sy_add(g, sy_dit_patches(g, c, x, "x_embedder.proj"), positions);
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
    dit->condition = sy_silu(g, sy_add(g, dit->time_embedding, label));
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
    int32_t h = dit->config->heads, d = dit->config->width / h;
    x = sy_reshape(g, sy_slice_axis(g, x, 2, i, 1), SY_T(SY_F32, dit->batch, dit->tokens, h, d));
    return sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3});
}

/* The joint projection's outputs are q of all heads, then k, then v. */
static sy_value attention(const sy_dit *dit, int32_t block, sy_value u)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    bool timm = c->attention_names == SY_ATTENTION_TIMM;
    int32_t h = c->heads, d = c->width / h;
    sy_scope_push(g, "attn");
    sy_value qkv = sy_linear(g, u, timm ? "qkv" : "Wqkv", 3 * c->width, true, c->dtype);
    qkv = sy_reshape(g, qkv, SY_T(SY_F32, dit->batch, dit->tokens, 3, h, d));
    sy_value qk = qkv;
    if (c->qk_norm)
        qk = norm_queries_and_keys(dit, sy_slice_axis(g, qkv, 2, 0, 2), d);
    sy_value q = heads_of(dit, qk, 0), k = heads_of(dit, qk, 1), v = heads_of(dit, qkv, 2), y;
    sy_sparge_params sparge;
    bool sparse;
    if (!sy_zoo_sparge_setting(c, &sparge, &sparse, &g->error))
        return 0;
    if (dit->attend) {
        sy_scope_pop(g);
        y = dit->attend(dit, block, q, k, v);
        sy_scope_push(g, "attn");
    } else if (sparse) {
        sy_value route;
        sparge.q = q, sparge.k = k, sparge.v = v;
        y = sy_sparge_attention(g, &sparge, &route);
        sy_tap(g, "route", route);
    } else {
        y = sy_attention(g, q, k, v, 1 / sqrt(d));
    }
    y = sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3});
    y = sy_reshape(g, y, SY_T(SY_F32, dit->batch, dit->tokens, c->width));
    y = sy_linear(g, y, timm ? "proj" : "out_proj", c->width, true, c->dtype);
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

/* x + gate attention(modulated norm of x), then x + gate feed_forward(modulated norm of x). */
sy_value sy_dit_block(const sy_dit *dit, int32_t i, sy_value x, sy_dit_feed_forward feed_forward)
{
    enum { SHIFT_ATTENTION, SCALE_ATTENTION, GATE_ATTENTION, SHIFT_MLP, SCALE_MLP, GATE_MLP, CHUNKS };
    sy_graph *g = dit->g;
    sy_scope_push(g, "blocks.%d", i);
    sy_value m = modulation(dit, CHUNKS);
    sy_value u = norm_modulate(dit, x, chunk(dit, m, SHIFT_ATTENTION), chunk(dit, m, SCALE_ATTENTION));
    x = sy_add(g, x, sy_mul(g, chunk(dit, m, GATE_ATTENTION), attention(dit, i, u)));
    u = norm_modulate(dit, x, chunk(dit, m, SHIFT_MLP), chunk(dit, m, SCALE_MLP));
    x = sy_add(g, x, sy_mul(g, chunk(dit, m, GATE_MLP), feed_forward(dit, i, u)));
    sy_scope_pop(g);
    return x;
}

sy_value sy_dit_end(const sy_dit *dit, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_scope_push(g, "final_layer");
    sy_value m = modulation(dit, 2);
    x = norm_modulate(dit, x, chunk(dit, m, 0), chunk(dit, m, 1));
    x = sy_linear(g, x, "linear", c->patch * c->patch * c->channels_out, true, c->dtype);
    sy_scope_pop(g);
    return unpatchify(dit, x);
}

sy_value sy_dit_begin(sy_dit *dit, sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    int32_t grid = config->side / config->patch;
    *dit = (sy_dit){.g = g, .config = config, .batch = g->nodes[inputs->x].type.dim[0], .tokens = grid * grid};
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
