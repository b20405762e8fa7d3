/* Switch-DiT, "Switch Diffusion Transformer" (arXiv 2403.09176): before each block of a DiT a small mixture of experts,
 * routed by the time step alone, decides how much of every token's channels the block sees; the rest goes past it.
 *
 *     p = softmax(W_g silu(e_t)),  m = 1 + sum over the two likeliest experts of p_e (x W_e + b_e)
 *     x <- Block(m x) + (1 - m) x
 *
 * As in the published code: e_t is the time's embedding without the label, the gates are not renormalised, experts are
 * single linear layers, and m is unbounded. All tokens of a sample go to the same experts; the route has a row a token,
 * so that only chosen experts run. The authors train with a cosine schedule and guide on all channels. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

/* x f32[N, tokens, width] to m of the same shape. */
static sy_value mask(const sy_dit *dit, int32_t block, sy_value x)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    int32_t rows = dit->batch * dit->tokens, experts = c->experts, times = g->nodes[dit->time].type.dim[0];
    sy_scope_push(g, "routers.%d", block);
    sy_value p = sy_linear(g, sy_silu(g, dit->time_embedding), "f_gate.1", experts, true, c->dtype);
    p = sy_row(g, SY_OP_SOFTMAX, p, 0);
    sy_value w = sy_param(g, "experts.w", SY_T(c->dtype, experts, c->width, c->width));
    sy_value b = sy_zoo_param(g, "experts.b", SY_T(c->dtype, experts, c->width));
    sy_scope_pop(g);
    sy_value scores = sy_broadcast(g, sy_reshape(g, p, SY_T(SY_F32, times, 1, experts)),
                                   SY_T(SY_F32, dit->batch, dit->tokens, experts));
    sy_value r = sy_route_top_k(g, sy_reshape(g, scores, SY_T(SY_F32, rows, experts)), sy_moe_top_k(g, c), false);
    sy_value flat = sy_reshape(g, x, SY_T(SY_F32, rows, c->width));
    sy_value y = sy_add(g, sy_grouped_matmul(g, flat, w, r, true, false), sy_route_spread(g, b, r));
    sy_value m = sy_add(g, sy_combine(g, y, r, true), sy_const(g, 1));
    sy_scope_push(g, "blocks.%d", block);
    sy_tap(g, "route", r);
    sy_tap(g, "gates", p);
    sy_scope_pop(g);
    return sy_reshape(g, m, SY_T(SY_F32, dit->batch, dit->tokens, c->width));
}

sy_value sy_switch_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    sy_dit dit;
    sy_value x = sy_dit_begin(&dit, g, config, inputs);
    for (int32_t i = 0; i < config->depth; i++) {
        sy_value m = mask(&dit, i, x), past = sy_mul(g, sy_sub(g, sy_const(g, 1), m), x);
        x = sy_add(g, sy_dit_block(&dit, i, sy_mul(g, x, m), sy_dit_dense), past);
        sy_dit_tap_stream(&dit, i, x);
    }
    return sy_dit_end(&dit, x);
}

bool sy_switch_dit_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "routers.0.experts.w");
}

bool sy_switch_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t experts[3], top_k = 2;
    if (!sy_dit_configure(file, config, error) || !sy_zoo_shape(file, "routers.0.experts.w", 3, experts, error) ||
        !sy_zoo_metadata_int(file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &top_k, error))
        return false;
    if (experts[0] > SY_ZOO_MAX_EXPERTS || top_k > experts[0])
        return sy_fail(error, SY_CODE_INVALID_FILE, "%d of %d experts is not possible (at most %d experts are).",
                       (int)top_k, (int)experts[0], SY_ZOO_MAX_EXPERTS);
    config->experts = experts[0];
    config->top_k = top_k;
    config->guided_channels = config->channels;
    return sy_zoo_metadata_int(file, "guided_channels", 0, config->channels_out, &config->guided_channels, error);
}
