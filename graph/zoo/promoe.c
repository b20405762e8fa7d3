/* ProMoE, "Routing Matters in MoE" (the authors' ProMoE_TC and ProMoE_EC): odd blocks are mixtures. Tokens of an
 * unconditional sample all go to the last expert. The others are routed by the cosine of the token and each expert's
 * prototype, raw: no softmax, no scale, so gates may be negative. The expert sees the token as it is, not normalised.
 *
 *     y = shared(u) + E_last(u)                            unconditional samples
 *     y = shared(u) + sum over chosen e of cos(u, c_e) E_e(u)   all others */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

static sy_value shared_expert(const sy_dit *dit, sy_value u)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    sy_scope_push(g, "shared_expert");
    sy_value h = sy_unary(g, SY_OP_GELU_TANH, sy_linear(g, u, "up_proj", c->shared_hidden, true, c->dtype));
    sy_value y = sy_linear(g, h, "down_proj", c->width, true, c->dtype);
    sy_scope_pop(g);
    return y;
}

/* cos(u, c_e) of every token and prototype. */
static sy_value prototype_scores(const sy_dit *dit, sy_value u)
{
    const sy_network_config *c = dit->config;
    sy_value centers = sy_zoo_param(dit->g, "cluster_centers", SY_T(c->dtype, c->experts, c->width));
    sy_value directions = sy_row(dit->g, SY_OP_L2_NORMALISE, centers, 1e-12);
    return sy_matmul(dit->g, sy_row(dit->g, SY_OP_L2_NORMALISE, u, 1e-12), directions, true);
}

/* i32[N * tokens]: is_null of each token's sample. */
static sy_value unconditional_tokens(const sy_dit *dit)
{
    sy_value mask = sy_reshape(dit->g, dit->null_label, SY_T(SY_I32, dit->batch, 1));
    mask = sy_broadcast(dit->g, mask, SY_T(SY_I32, dit->batch, dit->tokens));
    return sy_reshape(dit->g, mask, SY_T(SY_I32, dit->batch * dit->tokens));
}

/* Token choice: each token takes its top_k experts. Expert choice: each expert takes its best tokens of each sample. */
static sy_value mixture(const sy_dit *dit, sy_value u, bool expert_choice)
{
    sy_graph *g = dit->g;
    const sy_network_config *c = dit->config;
    u = sy_reshape(g, u, SY_T(SY_F32, dit->batch * dit->tokens, c->width));
    sy_scope_push(g, "mlp");
    sy_value scores = prototype_scores(dit, u);
    int32_t k = sy_moe_top_k(g, c), share = dit->tokens * k / c->experts;
    share = share < 1 ? 1 : share > dit->tokens ? dit->tokens : share;
    sy_value r = expert_choice ? sy_route_expert_choice(g, scores, share, dit->tokens)
                               : sy_route_top_k(g, scores, k, false);
    r = sy_route_split(g, r, unconditional_tokens(dit), c->experts, c->experts + 1);
    sy_value h =
        sy_unary(g, SY_OP_GELU_TANH, sy_experts_linear(g, u, r, true, "up_proj", c->expert_hidden, true, c->dtype));
    sy_value routed = sy_combine(g, sy_experts_linear(g, h, r, false, "down_proj", c->width, true, c->dtype), r, true);
    sy_value y = sy_add(g, routed, shared_expert(dit, u));
    sy_scope_pop(g);
    sy_tap(g, "scores", scores);
    sy_tap(g, "route", r);
    return sy_reshape(g, y, SY_T(SY_F32, dit->batch, dit->tokens, c->width));
}

static bool is_mixture(const sy_dit *dit, int32_t block)
{
    return !dit->config->interleave || block % 2 == 1;
}

static sy_value token_choice(const sy_dit *dit, int32_t block, sy_value u)
{
    return is_mixture(dit, block) ? mixture(dit, u, false) : sy_dit_mlp(dit, u);
}

static sy_value expert_choice(const sy_dit *dit, int32_t block, sy_value u)
{
    return is_mixture(dit, block) ? mixture(dit, u, true) : sy_dit_mlp(dit, u);
}

sy_value sy_promoe_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return sy_dit_network(g, config, inputs, token_choice);
}

sy_value sy_promoe_ec_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return sy_dit_network(g, config, inputs, expert_choice);
}

bool sy_promoe_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "blocks.1.mlp.cluster_centers");
}

/* A flow from sigma 1 to 0 in 250 steps, fed 1000 sigma, guided on all channels; of doubled channels half is unused. */
bool sy_promoe_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t centers[2], expert[2], shared[2], fc1[2];
    if (!sy_zoo_configure_shell(file, config, error) ||
        !sy_zoo_shape(file, "blocks.1.mlp.cluster_centers", 2, centers, error) ||
        !sy_zoo_shape(file, "blocks.1.mlp.experts.0.up_proj.weight", 2, expert, error) ||
        !sy_zoo_shape(file, "blocks.1.mlp.shared_expert.up_proj.weight", 2, shared, error))
        return false;
    config->interleave = !sy_zoo_has(file, "blocks.0.mlp.cluster_centers");
    if (config->interleave) {
        if (!sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error))
            return false;
        config->mlp_hidden = fc1[0];
    }
    config->experts = centers[0];
    config->extra_experts = 1;
    config->expert_hidden = expert[0];
    config->shared_hidden = shared[0];
    config->top_k = 1;
    config->variants |= 1u << SY_VARIANT_PERTURBED;
    config->objective = SY_OBJECTIVE_FLOW;
    config->time_scale = 1000;
    config->guided_channels = config->channels_out;
    config->guidance = 1.5;
    config->steps = 250;
    if (config->null_row < 0)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "ProMoE needs a null row in its label embedding, but the file says that it "
                       "has none (switchyard.num_classes).");
    return sy_zoo_configure_end(file, config, error);
}
