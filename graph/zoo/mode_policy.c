/* MoDE, "Efficient Diffusion Transformer Policies with Mixture of Expert Denoisers" (arXiv 2412.12953): a transformer
 * that denoises the actions of a robot, given a goal and what is seen. Experts go by the noise level alone, so all
 * tokens of a step take the same ones:
 *
 *     c = W' (W ln(sigma) / 4 + b)                                  the noise token, also the first of the sequence
 *     x <- x + attention(norm(x) + c)
 *     u = norm(x),  x <- u + sum over the top_k likeliest experts of g_e E_e(u),  g = p / sum of p,  p =
 * softmax(MLP(c))
 *
 * As in the published code: the second residual is the normed u, not x; q and k are RMS-normed by head; all attention
 * is full; every picture token takes the first state position, and the actions count on from there. (Its own cache of
 * experts averages their outputs; here the gates stay, as without a cache.) The preconditioning around the network,
 * EDM's, is the sampler's.
 *
 * Inputs goal[N, G, g], state[N, S, o], actions[N, A, a] and sigma[N]. With the metadata switchyard.sigmas, a list of
 * the noise levels of a schedule, the input is step[1] instead, a number in the list: routing is then known when
 * weights are loaded, and the chosen experts of the step run as one feed-forward with their hidden channels side by
 * side, scaled by the gates.
 *
 * Metadata: switchyard.num_heads (8), .top_k (2), .goal_tokens (1), .state_tokens (2), .action_tokens (10). */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 14, MAX_DEPTH = 256, MAX_TOKENS = 4096, MAX_HIDDEN = 1 << 18, MAX_STEPS = 1024 };

typedef struct policy {
    sy_graph *g;
    const struct sy_safetensors *file;
    int32_t batch, width, heads, experts, top_k, hidden, router_hidden, goals, states, actions, tokens, action_width;
    sy_dtype dtype;
    int32_t steps;  /* of the schedule; 0: sigma is an input */
    sy_value level; /* i32[1]: which of the steps */
    sy_value noise; /* f32[N or 1, width]: c */
    sy_value table; /* f32[steps, width]: c of every step */
} policy;

static bool read_file(policy *n, sy_error *error)
{
    int32_t action[2], router[2], expert[2], out[2];
    n->heads = 8;
    n->top_k = 2;
    n->goals = 1;
    n->states = 2;
    n->actions = 10;
    if (!sy_zoo_shape(n->file, "action_emb.weight", 2, action, error) ||
        !sy_zoo_dtype(n->file, "action_emb.weight", &n->dtype, error) ||
        !sy_zoo_shape(n->file, "blocks.0.router.router.mlp.0.project.weight", 2, router, error) ||
        !sy_zoo_shape(n->file, "blocks.0.router.router.mlp.2.weight", 2, out, error) ||
        !sy_zoo_shape(n->file, "blocks.0.experts.expert_0.mlp.0.project.weight", 2, expert, error) ||
        !sy_zoo_metadata_int(n->file, "num_heads", 1, MAX_WIDTH, &n->heads, error) ||
        !sy_zoo_metadata_int(n->file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &n->top_k, error) ||
        !sy_zoo_metadata_int(n->file, "goal_tokens", 1, MAX_TOKENS, &n->goals, error) ||
        !sy_zoo_metadata_int(n->file, "state_tokens", 1, MAX_TOKENS, &n->states, error) ||
        !sy_zoo_metadata_int(n->file, "action_tokens", 1, MAX_TOKENS, &n->actions, error))
        return false;
    n->width = action[0];
    n->action_width = action[1];
    n->router_hidden = router[0] / 2;
    n->hidden = expert[0] / 2;
    n->experts = out[0];
    n->tokens = 1 + n->goals + n->states + n->actions;
    if (n->width > MAX_WIDTH || n->width % n->heads || n->experts > SY_ZOO_MAX_EXPERTS || n->top_k > n->experts ||
        n->hidden < 1 || n->hidden > MAX_HIDDEN || n->router_hidden < 1 || n->router_hidden > MAX_HIDDEN ||
        n->action_width > MAX_WIDTH)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d of %d experts of %d hidden channels, a width of %d and %d heads are not possible.",
                       (int)n->top_k, (int)n->experts, (int)n->hidden, (int)n->width, (int)n->heads);
    return true;
}

/* x sqrt(D) / max(|x|, eps sqrt(D)) g: the authors' RMS norm, with the floor on the norm and not under the root. */
static sy_value rms_norm(const policy *n, sy_value x, const char *name, int32_t width)
{
    sy_graph *g = n->g;
    double root = sqrt(width);
    sy_scope_push(g, "%s", name);
    sy_value gain = sy_mul(g, sy_zoo_param(g, "g", SY_T(n->dtype, width)), sy_const(g, root));
    sy_scope_pop(g);
    return sy_mul(g, sy_row(g, SY_OP_L2_NORMALISE, x, 1e-6 * root), gain);
}

/* SwiGLU with one projection: the first half of its outputs times silu of the second. */
static sy_value halves(sy_graph *g, sy_value y, int32_t hidden)
{
    int axis = g->nodes[y].type.rank - 1;
    return sy_mul(g, sy_slice_axis(g, y, axis, 0, hidden), sy_silu(g, sy_slice_axis(g, y, axis, hidden, hidden)));
}

/* c of noise levels f32[M]: f32[M, width]. */
static sy_value embed_noise(const policy *n, sy_value sigma)
{
    sy_graph *g = n->g;
    int32_t count = g->nodes[sigma].type.dim[0];
    sy_value level = sy_mul(g, sy_unary(g, SY_OP_LOG, sigma), sy_const(g, 0.25));
    level = sy_reshape(g, level, SY_T(SY_F32, count, 1));
    return sy_linear(g, sy_linear(g, level, "sigma_emb", n->width, true, n->dtype), "sigma_linear", n->width, false,
                     n->dtype);
}

static sy_value attention(const policy *n, sy_value x)
{
    sy_graph *g = n->g;
    int32_t d = n->width / n->heads;
    sy_scope_push(g, "attn");
    sy_value q = sy_zoo_split_heads(g, sy_linear(g, x, "query", n->width, true, n->dtype), n->heads);
    sy_value k = sy_zoo_split_heads(g, sy_linear(g, x, "key", n->width, true, n->dtype), n->heads);
    sy_value v = sy_zoo_split_heads(g, sy_linear(g, x, "value", n->width, true, n->dtype), n->heads);
    sy_value y = sy_attention(g, rms_norm(n, q, "q_norm", d), rms_norm(n, k, "k_norm", d), v, 1 / sqrt(d));
    y = sy_linear(g, sy_zoo_merge_heads(g, y), "c_proj", n->width, false, n->dtype);
    sy_scope_pop(g);
    return y;
}

/* Probabilities of the experts at noise tokens c[M, width]: f32[M, experts]. */
static sy_value router(const policy *n, sy_value c)
{
    sy_graph *g = n->g;
    sy_scope_push(g, "router.router.mlp");
    sy_value h = halves(g, sy_linear(g, c, "0.project", 2 * n->router_hidden, true, n->dtype), n->router_hidden);
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_linear(g, h, "2", n->experts, true, n->dtype), 0);
    sy_scope_pop(g);
    return p;
}

static sy_value stack(const policy *n, const char *name, sy_type type)
{
    return sy_experts_stack(n->g, "experts.expert_", name, n->experts, type);
}

/* Any noise level for each sample: a route with a row a token. */
static sy_value routed(const policy *n, sy_value u)
{
    sy_graph *g = n->g;
    int32_t rows = n->batch * n->tokens;
    sy_value p = router(n, n->noise);
    sy_value scores = sy_broadcast(g, sy_reshape(g, p, SY_T(SY_F32, n->batch, 1, n->experts)),
                                   SY_T(SY_F32, n->batch, n->tokens, n->experts));
    sy_value r = sy_route_top_k(g, sy_reshape(g, scores, SY_T(SY_F32, rows, n->experts)), n->top_k, true);
    sy_value w = stack(n, "mlp.0.project.weight", SY_T(n->dtype, 2 * n->hidden, n->width));
    sy_value b = sy_zoo_f32(g, stack(n, "mlp.0.project.bias", SY_T(n->dtype, 2 * n->hidden)));
    sy_value down = stack(n, "mlp.2.weight", SY_T(n->dtype, n->width, n->hidden));
    u = sy_reshape(g, u, SY_T(SY_F32, rows, n->width));
    sy_value h = halves(g, sy_add(g, sy_grouped_matmul(g, u, w, r, true, true), sy_route_spread(g, b, r)), n->hidden);
    sy_value y = sy_combine(g, sy_grouped_matmul(g, h, down, r, false, true), r, true);
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    return sy_reshape(g, y, SY_T(SY_F32, n->batch, n->tokens, n->width));
}

/* The step's rows of a load-time table [experts, each, …] by the step's experts ids[k]: [k each, …]. */
static sy_value gather(const policy *n, sy_value ids, sy_value table)
{
    const sy_type type = n->g->nodes[table].type;
    sy_value rows = sy_take_rows(n->g, table, ids);
    return sy_reshape(n->g, rows,
                      type.rank == 3 ? SY_T(type.dtype, n->top_k * type.dim[1], type.dim[2])
                                     : SY_T(type.dtype, n->top_k * type.dim[1]));
}

/* One noise level of a known schedule for all: which experts run at which step is a load-time table. */
static sy_value fused(const policy *n, sy_value u)
{
    sy_graph *g = n->g;
    int32_t k = n->top_k, h = n->hidden;
    sy_value p = router(n, n->table), chosen = sy_top_k(g, p, k), gates = sy_take_last(g, p, chosen);
    gates = sy_binary(g, SY_OP_DIV, gates, sy_row(g, SY_OP_REDUCE_SUM, gates, 0));
    sy_value ids = sy_reshape(g, sy_take_rows(g, chosen, n->level), SY_T(SY_I32, k));
    sy_value gate = sy_reshape(g, sy_take_rows(g, gates, n->level), SY_T(SY_F32, k, 1));
    sy_value w = stack(n, "mlp.0.project.weight", SY_T(n->dtype, 2 * h, n->width));
    sy_value b = sy_zoo_f32(g, stack(n, "mlp.0.project.bias", SY_T(n->dtype, 2 * h)));
    sy_value down = stack(n, "mlp.2.weight", SY_T(n->dtype, n->width, h));
    sy_value half[2];
    for (int i = 0; i < 2; i++) {
        sy_value wi = gather(n, ids, sy_slice_axis(g, w, 1, i * h, h)),
                 bi = gather(n, ids, sy_slice_axis(g, b, 1, i * h, h));
        half[i] = sy_add(g, sy_matmul(g, u, wi, true), bi);
    }
    sy_value scale = sy_reshape(g, sy_broadcast(g, gate, SY_T(SY_F32, k, h)), SY_T(SY_F32, k * h));
    sy_value hidden = sy_mul(g, sy_mul(g, half[0], sy_silu(g, half[1])), scale);
    down = gather(n, ids, sy_transpose(g, down, (const int32_t[]){0, 2, 1}));
    sy_tap(g, "scores", p);
    sy_tap(g, "experts", chosen);
    sy_tap(g, "gates", gates);
    return sy_matmul(g, hidden, down, false);
}

/* Noise, goal, what is seen, actions. */
static sy_value sequence(const policy *n)
{
    sy_graph *g = n->g;
    int32_t goal[2], state[2], positions[3];
    if (!sy_zoo_shape(n->file, "goal_emb.weight", 2, goal, &g->error) ||
        !sy_zoo_shape(n->file, "tok_emb.weight", 2, state, &g->error) ||
        !sy_zoo_shape(n->file, "pos_emb", 3, positions, &g->error))
        return 0;
    if (positions[1] < n->goals + n->actions) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "pos_emb has %d positions; %d goals and %d actions need more.",
                (int)positions[1], (int)n->goals, (int)n->actions);
        return 0;
    }
    sy_value position = sy_zoo_param(g, "pos_emb", SY_T(n->dtype, 1, positions[1], n->width));
    sy_value x = sy_input(g, "goal", SY_T(SY_F32, n->batch, n->goals, goal[1]));
    sy_value y = sy_input(g, "state", SY_T(SY_F32, n->batch, n->states, state[1]));
    sy_value z = sy_input(g, "actions", SY_T(SY_F32, n->batch, n->actions, n->action_width));
    sy_value parts[4] = {
        sy_broadcast(g, sy_reshape(g, n->noise, SY_T(SY_F32, n->steps ? 1 : n->batch, 1, n->width)),
                     SY_T(SY_F32, n->batch, 1, n->width)),
        sy_add(g, sy_linear(g, x, "goal_emb", n->width, false, n->dtype), sy_slice_axis(g, position, 1, 0, n->goals)),
        sy_add(g, sy_linear(g, y, "tok_emb", n->width, false, n->dtype), sy_slice_axis(g, position, 1, n->goals, 1)),
        sy_add(g, sy_linear(g, z, "action_emb", n->width, false, n->dtype),
               sy_slice_axis(g, position, 1, n->goals, n->actions))};
    return sy_concat(g, parts, 4, 1);
}

static bool read_noise(policy *n, sy_error *error)
{
    double sigmas[MAX_STEPS];
    sy_network_config file = {.file = n->file};
    if (!sy_zoo_numbers(&file, "sigmas", sigmas, MAX_STEPS, &n->steps, error))
        return false;
    for (int32_t i = 0; i < n->steps; i++)
        if (!(sigmas[i] > 0))
            return sy_fail(error, SY_CODE_INVALID_FILE, "switchyard.sigmas has %g in it; noise levels are above 0.",
                           sigmas[i]);
    if (n->steps) {
        n->level = sy_input(n->g, "step", SY_T(SY_I32, 1));
        n->table = embed_noise(n, sy_const_of(n->g, SY_T(SY_F32, n->steps), sigmas, (uint32_t)n->steps));
        n->noise = sy_take_rows(n->g, n->table, n->level);
    } else {
        n->noise = embed_noise(n, sy_input(n->g, "sigma", SY_T(SY_F32, n->batch)));
    }
    return true;
}

bool sy_mode_policy_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    policy n = {.g = g, .file = file, .batch = batch};
    if (!read_file(&n, error) || !read_noise(&n, error))
        return false;
    sy_value x = sequence(&n), c = sy_reshape(g, n.noise, SY_T(SY_F32, n.steps ? 1 : batch, 1, n.width));
    for (int32_t i = 0; i < MAX_DEPTH && sy_zoo_has(file, "blocks.%d.ln_1.g", (int)i); i++) {
        sy_scope_push(g, "blocks.%d", i);
        x = sy_add(g, x, attention(&n, sy_add(g, rms_norm(&n, x, "ln_1", n.width), c)));
        sy_value u = rms_norm(&n, x, "ln_2", n.width);
        x = sy_add(g, u, n.steps ? fused(&n, u) : routed(&n, u));
        sy_scope_pop(g);
    }
    x = sy_slice_axis(g, rms_norm(&n, x, "ln", n.width), 1, n.tokens - n.actions, n.actions);
    sy_output(g, "denoised", sy_linear(g, x, "out", n.action_width, true, n.dtype));
    return sy_graph_check(g, error);
}
