/* DiT-MoE, "Scaling Diffusion Transformers to 16 Billion Parameters" (arXiv 2407.11633), as the published weights are:
 * every feed-forward is y = shared(u) + sum over the two likeliest experts of p_e E_e(u), with p the softmax over all
 * experts, not renormalised, and SwiGLU experts without biases (the paper draws GELU ones). */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

/* Its two "shared experts" are one SwiGLU of twice the width. */
static sy_value shared_experts(const sy_dit *dit, sy_value u)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_scope_push(g, "shared_experts");
    sy_value gate = sy_silu(g, sy_linear(g, u, "gate_proj", c->shared_hidden, false, c->dtype));
    sy_value h = sy_mul(g, gate, sy_linear(g, u, "up_proj", c->shared_hidden, false, c->dtype));
    sy_value y = sy_linear(g, h, "down_proj", c->width, false, c->dtype);
    sy_scope_pop(g);
    return y;
}

static sy_value feed_forward(const sy_dit *dit, int32_t block, sy_value u)
{
    (void)block;
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    u = sy_reshape(g, u, SY_T(SY_F32, dit->batch * dit->tokens, c->width));
    sy_scope_push(g, "moe");
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_linear(g, u, "gate", c->experts, false, c->dtype), 0);
    sy_value r = sy_route_top_k(g, p, sy_moe_top_k(g, c), false);
    sy_value gate = sy_silu(g, sy_experts_linear(g, u, r, true, "gate_proj", c->expert_hidden, false, c->dtype));
    sy_value h = sy_mul(g, gate, sy_experts_linear(g, u, r, true, "up_proj", c->expert_hidden, false, c->dtype));
    sy_value routed = sy_combine(g, sy_experts_linear(g, h, r, false, "down_proj", c->width, false, c->dtype), r, true);
    sy_value y = sy_add(g, routed, shared_experts(dit, u));
    sy_scope_pop(g);
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    return sy_reshape(g, y, SY_T(SY_F32, dit->batch, dit->tokens, c->width));
}

sy_value sy_dit_moe_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return sy_dit_network(g, config, inputs, feed_forward);
}

bool sy_dit_moe_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "blocks.0.moe.gate.weight");
}

/* The two families of published weights: S, B and L have timm's names and are trained as DiT is; XL and G have fused
 * names, are rectified flows with the time unscaled, and are guided on all channels. */
bool sy_dit_moe_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t gate[2], expert[2], shared[2];
    if (!sy_zoo_configure_shell(file, config, error) ||
        !sy_zoo_shape(file, "blocks.0.moe.gate.weight", 2, gate, error) ||
        !sy_zoo_shape(file, "blocks.0.moe.experts.0.up_proj.weight", 2, expert, error) ||
        !sy_zoo_shape(file, "blocks.0.moe.shared_experts.up_proj.weight", 2, shared, error))
        return false;
    bool flow = config->attention_names == SY_ATTENTION_WQKV;
    config->experts = gate[0];
    config->expert_hidden = expert[0];
    config->shared_hidden = shared[0];
    config->top_k = 2;
    config->variants |= 1u << SY_VARIANT_PERTURBED;
    config->objective = flow ? SY_OBJECTIVE_FLOW : SY_OBJECTIVE_DDPM;
    config->time_scale = 1;
    config->guided_channels = flow ? config->channels_out : 3;
    config->guidance = flow ? 7 : 4;
    config->steps = flow ? 50 : 250;
    return sy_zoo_configure_end(file, config, error);
}
