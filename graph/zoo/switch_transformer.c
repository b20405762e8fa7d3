/* Switch Transformer, "Switch Transformers: Scaling to Trillion Parameter Models" (arXiv 2101.03961): the encoder, a T5
 * (arXiv 1910.10683) in which some feed-forwards are mixtures. Each token goes to the likeliest expert alone,
 *
 *     p = softmax(W x),  e = argmax p,  y = p_e E_e(x)
 *
 * and an expert has room for so many tokens of each sequence: places are given in token order, and a token that finds
 * none gets 0, so that only the residual goes on. T5: RMS norms, no biases, attention not scaled, a learned bias for
 * each bucket of distances and head, shared by all blocks.
 *
 * Metadata: switchyard.sequence_length (512), .expert_capacity (64) or .capacity_factor (then it is int(factor tokens /
 * experts)), .max_distance (128). Sequences are full: there is no mask for padding. */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_WIDTH = 1 << 15, MAX_DEPTH = 1024, MAX_TOKENS = 1 << 14, MAX_HIDDEN = 1 << 18 };

typedef struct switch_net {
    sy_graph *g;
    const struct sy_safetensors *file;
    int32_t batch, tokens, vocabulary, width, heads, inner, buckets, max_distance, capacity;
    double capacity_factor;
    sy_dtype dtype;
} switch_net;

static bool read_file(switch_net *n, sy_error *error)
{
    int32_t embedding[2], bias[2], query[2];
    const char *first = "encoder.block.0.layer.0.SelfAttention";
    char name[96];
    snprintf(name, sizeof name, "%s.relative_attention_bias.weight", first);
    if (!sy_zoo_shape(n->file, "shared.weight", 2, embedding, error) ||
        !sy_zoo_dtype(n->file, "shared.weight", &n->dtype, error) || !sy_zoo_shape(n->file, name, 2, bias, error))
        return false;
    snprintf(name, sizeof name, "%s.q.weight", first);
    if (!sy_zoo_shape(n->file, name, 2, query, error))
        return false;
    n->vocabulary = embedding[0];
    n->width = embedding[1];
    n->buckets = bias[0];
    n->heads = bias[1];
    n->inner = query[0];
    n->tokens = 512;
    n->capacity = 64;
    n->max_distance = 128;
    if (n->width > MAX_WIDTH || n->inner > MAX_WIDTH || n->inner % n->heads || n->buckets < 4 || n->buckets % 2 ||
        n->buckets > 4096)
        return sy_fail(
            error, SY_CODE_INVALID_FILE,
            "A width of %d with %d channels of queries for %d heads and %d buckets of distances is not a T5.",
            (int)n->width, (int)n->inner, (int)n->heads, (int)n->buckets);
    return sy_zoo_metadata_int(n->file, "sequence_length", 1, MAX_TOKENS, &n->tokens, error) &&
           sy_zoo_metadata_int(n->file, "expert_capacity", 1, 1 << 24, &n->capacity, error) &&
           sy_zoo_metadata_double(n->file, "capacity_factor", 1e-3, 1e6, &n->capacity_factor, error) &&
           sy_zoo_metadata_int(n->file, "max_distance", 2, 1 << 24, &n->max_distance, error);
}

/* T5's bucket of a distance, key minus query: half of the buckets for each direction; of these half for a distance
 * each, the others growing with its logarithm up to max_distance. */
static int32_t bucket(const switch_net *n, int32_t distance)
{
    int32_t side = n->buckets / 2, exact = side / 2, size = abs(distance), first = distance > 0 ? side : 0;
    if (size < exact)
        return first + size;
    double far = log((double)size / exact) / log((double)n->max_distance / exact) * (side - exact);
    int32_t late = exact + (int32_t)fmin(fmax(far, 0), side);
    return first + (late < side ? late : side - 1);
}

/* [1, heads, T, T], added to the scores; made when weights are loaded. */
static sy_value position_bias(const switch_net *n)
{
    sy_graph *g = n->g;
    int32_t t = n->tokens;
    double *ids = malloc((size_t)(2 * t - 1) * sizeof *ids);
    if (!ids) {
        sy_fail(&g->error, SY_CODE_OUT_OF_MEMORY, "No memory for the distances of %d tokens.", (int)t);
        return 0;
    }
    for (int32_t i = 0; i < 2 * t - 1; i++)
        ids[i] = bucket(n, i - (t - 1));
    sy_value by_distance = sy_const_of(g, SY_T(SY_I32, 2 * t - 1), ids, (uint32_t)(2 * t - 1));
    free(ids);
    sy_value table = sy_zoo_param(g, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                                  SY_T(n->dtype, n->buckets, n->heads));
    double last = t - 1;
    sy_value distance = sy_sub(g, sy_iota(g, SY_T(SY_I32, t, t), 1), sy_iota(g, SY_T(SY_I32, t, t), 0));
    distance = sy_add(g, distance, sy_const_of(g, SY_T(SY_I32, 1), &last, 1));
    sy_value bias = sy_take_rows(g, sy_take_rows(g, table, by_distance), distance);
    bias = sy_transpose(g, bias, (const int32_t[]){2, 0, 1});
    return sy_reshape(g, bias, SY_T(SY_F32, 1, n->heads, t, t));
}

static sy_value rms_norm(const switch_net *n, sy_value x, const char *name)
{
    sy_scope_push(n->g, "%s", name);
    sy_value weight = sy_zoo_param(n->g, "weight", SY_T(n->dtype, n->width));
    sy_scope_pop(n->g);
    return sy_mul(n->g, sy_row(n->g, SY_OP_RMS_NORM, x, 1e-6), weight);
}

static sy_value attention(const switch_net *n, sy_value x, sy_value bias)
{
    sy_graph *g = n->g;
    sy_scope_push(g, "SelfAttention");
    sy_value q = sy_zoo_split_heads(g, sy_linear(g, x, "q", n->inner, false, n->dtype), n->heads);
    sy_value k = sy_zoo_split_heads(g, sy_linear(g, x, "k", n->inner, false, n->dtype), n->heads);
    sy_value v = sy_zoo_split_heads(g, sy_linear(g, x, "v", n->inner, false, n->dtype), n->heads);
    sy_value y = sy_attention_full(g, &(sy_attention_params){.q = q, .k = k, .v = v, .bias = bias, .scale = 1});
    y = sy_linear(g, sy_zoo_merge_heads(g, y), "o", n->width, false, n->dtype);
    sy_scope_pop(g);
    return y;
}

static bool hidden_of(const switch_net *n, int32_t i, const char *layer, int32_t *hidden)
{
    char name[128];
    int32_t shape[2];
    snprintf(name, sizeof name, "encoder.block.%d.layer.1.mlp.%swi.weight", (int)i, layer);
    if (!sy_zoo_shape(n->file, name, 2, shape, &n->g->error))
        return false;
    *hidden = shape[0];
    return shape[0] <= MAX_HIDDEN ||
           sy_fail(&n->g->error, SY_CODE_INVALID_FILE, "%s has %d rows; at most %d are possible.", name, (int)shape[0],
                   MAX_HIDDEN);
}

static sy_value mixture(const switch_net *n, sy_value x, int32_t i)
{
    sy_graph *g = n->g;
    int32_t router[2], hidden, rows = n->batch * n->tokens;
    char name[128];
    snprintf(name, sizeof name, "encoder.block.%d.layer.1.mlp.router.classifier.weight", (int)i);
    if (!sy_zoo_shape(n->file, name, 2, router, &g->error) || !hidden_of(n, i, "experts.expert_0.", &hidden))
        return 0;
    int32_t experts = router[0];
    double room = n->capacity_factor > 0 ? floor(n->capacity_factor * n->tokens / experts) : n->capacity;
    sy_scope_push(g, "encoder.block.%d.layer.1.mlp", i);
    x = sy_reshape(g, x, SY_T(SY_F32, rows, n->width));
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_linear(g, x, "router.classifier", experts, false, n->dtype), 0);
    sy_value chosen = sy_route_top_k(g, p, 1, false);
    sy_value r = sy_route_capacity(g, chosen, (int32_t)fmin(fmax(room, 1), n->tokens), n->tokens, false);
    sy_value wi = sy_experts_stack(g, "experts.expert_", "wi.weight", experts, SY_T(n->dtype, hidden, n->width));
    sy_value wo = sy_experts_stack(g, "experts.expert_", "wo.weight", experts, SY_T(n->dtype, n->width, hidden));
    sy_value h = sy_unary(g, SY_OP_RELU, sy_grouped_matmul(g, x, wi, r, true, true));
    sy_value y = sy_combine(g, sy_grouped_matmul(g, h, wo, r, false, true), r, true);
    sy_scope_pop(g);
    sy_scope_push(g, "blocks.%d", i);
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    sy_tap(g, "dropped", sy_sub(g, sy_const(g, 1), sy_route_count(g, r)));
    sy_scope_pop(g);
    return sy_reshape(g, y, SY_T(SY_F32, n->batch, n->tokens, n->width));
}

static sy_value dense(const switch_net *n, sy_value x, int32_t i)
{
    sy_graph *g = n->g;
    int32_t hidden;
    if (!hidden_of(n, i, "", &hidden))
        return 0;
    sy_scope_push(g, "encoder.block.%d.layer.1.mlp", i);
    x = sy_linear(g, sy_unary(g, SY_OP_RELU, sy_linear(g, x, "wi", hidden, false, n->dtype)), "wo", n->width, false,
                  n->dtype);
    sy_scope_pop(g);
    return x;
}

static sy_value block(const switch_net *n, sy_value x, sy_value bias, int32_t i)
{
    sy_graph *g = n->g;
    sy_scope_push(g, "encoder.block.%d.layer.0", i);
    x = sy_add(g, x, attention(n, rms_norm(n, x, "layer_norm"), bias));
    sy_scope_pop(g);
    sy_scope_push(g, "encoder.block.%d.layer.1", i);
    sy_value u = rms_norm(n, x, "layer_norm");
    sy_scope_pop(g);
    bool mixed = sy_zoo_has(n->file, "encoder.block.%d.layer.1.mlp.router.classifier.weight", (int)i);
    return sy_add(g, x, mixed ? mixture(n, u, i) : dense(n, u, i));
}

bool sy_switch_transformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    switch_net n = {.g = g, .file = file, .batch = batch};
    if (!read_file(&n, error))
        return false;
    sy_value ids = sy_input(g, "ids", SY_T(SY_I32, batch, n.tokens)), bias = position_bias(&n);
    sy_value x =
        sy_zoo_f32(g, sy_take_rows(g, sy_param(g, "shared.weight", SY_T(n.dtype, n.vocabulary, n.width)), ids));
    int32_t depth = 0;
    for (; depth < MAX_DEPTH && sy_zoo_has(file, "encoder.block.%d.layer.0.SelfAttention.q.weight", (int)depth);
         depth++)
        x = block(&n, x, bias, depth);
    sy_output(g, "hidden", rms_norm(&n, x, "encoder.final_layer_norm"));
    return sy_graph_check(g, error);
}
