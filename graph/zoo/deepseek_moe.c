/* DeepSeekMoE, "Towards Ultimate Expert Specialization in Mixture-of-Experts Language Models" (arXiv 2401.06066): a
 * causal language model of fine-grained experts, some of which are shared by all tokens:
 *
 *     y = shared(u) + sum over the top_k likeliest e of p_e E_e(u),  p = softmax(W u)
 *
 * with SwiGLU everywhere, gates not renormalised, rotary positions, RMS norms, and the first layers dense. Names are
 * those of the published 16B weights (and of V2-Lite's mixture); its shared experts are one SwiGLU. Metadata:
 * switchyard.num_heads, .top_k (6), .sequence_length (512), .rope_base (10000), .rms_eps (1e-6), .norm_topk_prob (0).
 */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 15, MAX_DEPTH = 1024, MAX_TOKENS = 1 << 16, MAX_HIDDEN = 1 << 18 };

typedef struct deepseek {
    sy_graph *g;
    const struct sy_safetensors *file;
    int32_t batch, tokens, vocabulary, width, heads, kv_heads, head_width, top_k, renormalise;
    double rope_base, eps;
    sy_dtype dtype;
} deepseek;

static bool read_file(deepseek *n, sy_error *error)
{
    int32_t embedding[2], query[2], key[2];
    if (!sy_zoo_shape(n->file, "model.embed_tokens.weight", 2, embedding, error) ||
        !sy_zoo_dtype(n->file, "model.embed_tokens.weight", &n->dtype, error) ||
        !sy_zoo_shape(n->file, "model.layers.0.self_attn.q_proj.weight", 2, query, error) ||
        !sy_zoo_shape(n->file, "model.layers.0.self_attn.k_proj.weight", 2, key, error))
        return false;
    n->vocabulary = embedding[0];
    n->width = embedding[1];
    n->heads = query[0] / 128; /* as published */
    n->tokens = 512;
    n->top_k = 6;
    n->rope_base = 10000;
    n->eps = 1e-6;
    if (!sy_zoo_metadata_int(n->file, "num_heads", 1, MAX_WIDTH, &n->heads, error) ||
        !sy_zoo_metadata_int(n->file, "sequence_length", 1, MAX_TOKENS, &n->tokens, error) ||
        !sy_zoo_metadata_int(n->file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &n->top_k, error) ||
        !sy_zoo_metadata_int(n->file, "norm_topk_prob", 0, 1, &n->renormalise, error) ||
        !sy_zoo_metadata_double(n->file, "rope_base", 1, 1e9, &n->rope_base, error) ||
        !sy_zoo_metadata_double(n->file, "rms_eps", 0, 1, &n->eps, error))
        return false;
    n->head_width = n->heads ? query[0] / n->heads : 0;
    n->kv_heads = n->head_width ? key[0] / n->head_width : 0;
    if (n->width > MAX_WIDTH || query[0] > MAX_WIDTH || n->head_width < 2 || n->head_width % 2 || n->kv_heads < 1 ||
        n->heads * n->head_width != query[0] || n->kv_heads * n->head_width != key[0] || n->heads % n->kv_heads)
        return sy_fail(
            error, SY_CODE_INVALID_FILE,
            "%d channels of queries and %d of keys do not divide into %d heads; switchyard.num_heads says how "
            "many there are.",
            (int)query[0], (int)key[0], (int)n->heads);
    return true;
}

static sy_value rms_norm(const deepseek *n, sy_value x, const char *name)
{
    sy_scope_push(n->g, "%s", name);
    sy_value weight = sy_zoo_param(n->g, "weight", SY_T(n->dtype, n->width));
    sy_scope_pop(n->g);
    return sy_mul(n->g, sy_row(n->g, SY_OP_RMS_NORM, x, n->eps), weight);
}

/* Rotary positions turn channels i and i + d/2 of a head together. */
static sy_value attention(const deepseek *n, sy_value x)
{
    sy_graph *g = n->g;
    int32_t kv = n->kv_heads * n->head_width;
    sy_rope_params rope = {.base = n->rope_base};
    sy_scope_push(g, "self_attn");
    sy_value q = sy_zoo_split_heads(g, sy_linear(g, x, "q_proj", n->heads * n->head_width, false, n->dtype), n->heads);
    sy_value k = sy_zoo_split_heads(g, sy_linear(g, x, "k_proj", kv, false, n->dtype), n->kv_heads);
    sy_value v = sy_zoo_split_heads(g, sy_linear(g, x, "v_proj", kv, false, n->dtype), n->kv_heads);
    sy_value y = sy_attention_full(
        g, &(sy_attention_params){.q = sy_rope(g, q, &rope), .k = sy_rope(g, k, &rope), .v = v, .causal = true});
    y = sy_linear(g, sy_zoo_merge_heads(g, y), "o_proj", n->width, false, n->dtype);
    sy_scope_pop(g);
    return y;
}

/* Rows of a weight "model.layers.<i>.mlp.<part>", as many as a feed-forward has hidden channels. */
static bool hidden_of(const deepseek *n, int32_t i, const char *part, int32_t *hidden)
{
    char name[128];
    int32_t shape[2];
    snprintf(name, sizeof name, "model.layers.%d.mlp.%s", (int)i, part);
    if (!sy_zoo_shape(n->file, name, 2, shape, &n->g->error))
        return false;
    *hidden = shape[0];
    return shape[0] <= MAX_HIDDEN ||
           sy_fail(&n->g->error, SY_CODE_INVALID_FILE, "%s has %d rows; at most %d are possible.", name, (int)shape[0],
                   MAX_HIDDEN);
}

static sy_value swiglu(const deepseek *n, sy_value u, int32_t hidden)
{
    sy_graph *g = n->g;
    sy_value gate = sy_silu(g, sy_linear(g, u, "gate_proj", hidden, false, n->dtype));
    sy_value h = sy_mul(g, gate, sy_linear(g, u, "up_proj", hidden, false, n->dtype));
    return sy_linear(g, h, "down_proj", n->width, false, n->dtype);
}

static sy_value energy(sy_graph *g, sy_value x)
{
    return sy_row(g, SY_OP_REDUCE_SUM, sy_mul(g, x, x), 0);
}

static sy_value mixture(const deepseek *n, sy_value u, int32_t i)
{
    sy_graph *g = n->g;
    int32_t experts, hidden, shared_hidden, rows = n->batch * n->tokens;
    if (!hidden_of(n, i, "gate.weight", &experts) || !hidden_of(n, i, "experts.0.up_proj.weight", &hidden) ||
        !hidden_of(n, i, "shared_experts.up_proj.weight", &shared_hidden))
        return 0;
    if (experts > SY_ZOO_MAX_EXPERTS || n->top_k > experts) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%d of %d experts a token is not possible (at most %d experts are).",
                (int)n->top_k, (int)experts, SY_ZOO_MAX_EXPERTS);
        return 0;
    }
    u = sy_reshape(g, u, SY_T(SY_F32, rows, n->width));
    sy_scope_push(g, "model.layers.%d.mlp", i);
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_linear(g, u, "gate", experts, false, n->dtype), 0);
    sy_value r = sy_route_top_k(g, p, n->top_k, n->renormalise);
    sy_value gate = sy_silu(g, sy_experts_linear(g, u, r, true, "gate_proj", hidden, false, n->dtype));
    sy_value h = sy_mul(g, gate, sy_experts_linear(g, u, r, true, "up_proj", hidden, false, n->dtype));
    sy_value routed = sy_combine(g, sy_experts_linear(g, h, r, false, "down_proj", n->width, false, n->dtype), r, true);
    sy_scope_push(g, "shared_experts");
    sy_value shared = swiglu(n, u, shared_hidden);
    sy_scope_pop(g);
    sy_scope_pop(g);
    sy_value in_shared = energy(g, shared), in_both = sy_add(g, in_shared, energy(g, routed));
    sy_scope_push(g, "blocks.%d", i);
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    sy_tap(g, "load", sy_route_load(g, r));
    sy_tap(g, "shared_energy", sy_binary(g, SY_OP_DIV, in_shared, in_both));
    sy_scope_pop(g);
    return sy_reshape(g, sy_add(g, routed, shared), SY_T(SY_F32, n->batch, n->tokens, n->width));
}

static sy_value feed_forward(const deepseek *n, sy_value u, int32_t i)
{
    int32_t hidden;
    if (sy_zoo_has(n->file, "model.layers.%d.mlp.gate.weight", (int)i))
        return mixture(n, u, i);
    if (!hidden_of(n, i, "up_proj.weight", &hidden))
        return 0;
    sy_scope_push(n->g, "model.layers.%d.mlp", i);
    u = swiglu(n, u, hidden);
    sy_scope_pop(n->g);
    return u;
}

bool sy_deepseek_moe_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    deepseek n = {.g = g, .file = file, .batch = batch};
    if (!read_file(&n, error))
        return false;
    sy_type table = SY_T(n.dtype, n.vocabulary, n.width);
    sy_value embedding = sy_param(g, "model.embed_tokens.weight", table),
             ids = sy_input(g, "ids", SY_T(SY_I32, batch, n.tokens));
    sy_value x = sy_zoo_f32(g, sy_take_rows(g, embedding, ids));
    for (int32_t i = 0; i < MAX_DEPTH && sy_zoo_has(file, "model.layers.%d.input_layernorm.weight", (int)i); i++) {
        sy_scope_push(g, "model.layers.%d", i);
        x = sy_add(g, x, attention(&n, rms_norm(&n, x, "input_layernorm")));
        sy_value u = rms_norm(&n, x, "post_attention_layernorm");
        sy_scope_pop(g);
        x = sy_add(g, x, feed_forward(&n, u, i));
    }
    x = rms_norm(&n, x, "model.norm");
    bool tied = !sy_zoo_has(file, "lm_head.weight");
    sy_output(g, "logits", sy_matmul(g, x, tied ? embedding : sy_param(g, "lm_head.weight", table), true));
    return sy_graph_check(g, error);
}
