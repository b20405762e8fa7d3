/* Routing Transformer, "Efficient Content-Based Sparse Attention with Routing Transformers" (arXiv 2003.05997): a
 * causal language model (of words, or of pixels) of whose heads the first are local, a window of tokens looking at
 * itself and the one before, and the others routed: queries and keys of unit length are scored against the head's
 * centroids, each cluster takes its window's worth of the nearest queries and of the nearest keys, and within a cluster
 * its queries attend to its keys, and to a learned key and value, as far as these do not lie later in the sequence.
 *
 * A cluster takes tokens as an expert does: two routes by expert choice, of queries and of keys. A token's output is
 * the mean over the clusters that took it, sum / (count + 1e-5), so 0 where none did. As in the public PyTorch code
 * (lucidrains); queries and keys have projections of their own (shared_qk off). The local heads know no relative
 * positions, which that code adds; here positions are learned and absolute, pos_emb.
 *
 * Tensors: token_emb.weight, pos_emb.weight, layers.N.{norm1, norm2}, layers.N.attn.{to_q, to_k, to_v (no biases),
 * to_out}, layers.N.attn.global_attn.{kmeans.means [h, C, d], mem_key, mem_value [h, C, m, d]}, layers.N.ff.{w1, w2},
 * norm, head. Metadata: switchyard.num_heads; .window (of routed heads; sequence / C otherwise), .local_window.
 */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <math.h>

enum { MAX_WIDTH = 1 << 14, MAX_DEPTH = 256, MAX_TOKENS = 1 << 16, MAX_HEADS = 1024 };

typedef struct routing {
    sy_graph *g;
    int32_t batch, tokens, vocabulary, width, depth, heads, routed, head_width, clusters, memory, window, local_window;
    int32_t hidden;
    sy_dtype dtype;
} routing;

static bool configure(routing *m, const struct sy_safetensors *file, sy_error *error)
{
    int32_t embedding[2], positions[2], memory[4], w1[2];
    if (!sy_zoo_shape(file, "token_emb.weight", 2, embedding, error) ||
        !sy_zoo_dtype(file, "token_emb.weight", &m->dtype, error) ||
        !sy_zoo_shape(file, "pos_emb.weight", 2, positions, error) ||
        !sy_zoo_shape(file, "layers.0.attn.global_attn.mem_key", 4, memory, error) ||
        !sy_zoo_shape(file, "layers.0.ff.w1.weight", 2, w1, error))
        return false;
    m->vocabulary = embedding[0];
    m->width = embedding[1];
    m->tokens = positions[0];
    m->routed = m->heads = memory[0];
    m->clusters = memory[1];
    m->memory = memory[2];
    m->head_width = memory[3];
    m->hidden = w1[0];
    m->window = m->tokens / m->clusters;
    m->local_window = m->window;
    if (!sy_zoo_metadata_int(file, "num_heads", m->routed, MAX_HEADS, &m->heads, error) ||
        !sy_zoo_metadata_int(file, "window", 1, m->tokens, &m->window, error) ||
        !sy_zoo_metadata_int(file, "local_window", 1, m->tokens, &m->local_window, error))
        return false;
    while (m->depth <= MAX_DEPTH && sy_zoo_has(file, "layers.%d.norm1.weight", m->depth))
        m->depth++;
    bool fine = m->width <= MAX_WIDTH && m->tokens <= MAX_TOKENS && m->depth >= 1 && m->depth <= MAX_DEPTH &&
                m->heads <= MAX_HEADS && m->heads * (int64_t)m->head_width == m->width && m->window >= 1 &&
                m->local_window >= 1 && m->hidden <= 16 * MAX_WIDTH && m->memory <= 4096;
    return fine ||
           sy_fail(error, SY_CODE_INVALID_FILE,
                   "%d layers of width %d, %d heads of %d channels and %d clusters for %d tokens are not possible.",
                   m->depth, m->width, m->heads, m->head_width, m->clusters, m->tokens);
}

/* Heads first … of q[N, H, T, d], `count` of them. */
static sy_value some_heads(const routing *m, sy_value x, int32_t first, int32_t count)
{
    return sy_slice_axis(m->g, x, 1, first, count);
}

/* The window before and the own one, nothing later. */
static sy_value local(const routing *m, sy_value q, sy_value k, sy_value v)
{
    int32_t blocks = (m->tokens + m->local_window - 1) / m->local_window;
    sy_block_pattern before = {.kind = SY_PATTERN_BEFORE, .width = 1};
    sy_attention_params a = {.q = q,
                             .k = k,
                             .v = v,
                             .causal = true,
                             .route = sy_pattern_route(m->g, m->batch, blocks, blocks, &before),
                             .block_rows = m->local_window,
                             .block_keys = m->local_window};
    return sy_route_attention(m->g, &a);
}

/* The clusters' tokens of x[N, h, T, d]: a route from rows (n h + head) T + t to clusters. Every head has centroids of
 * its own. */
static sy_value nearest(const routing *m, sy_value x, sy_value centroids)
{
    sy_graph *g = m->g;
    int32_t h = m->routed, d = m->head_width, rows = m->batch * h * m->tokens;
    sy_value unit = sy_row(g, SY_OP_L2_NORMALISE, x, 1e-12);
    unit =
        sy_reshape(g, sy_transpose(g, unit, (const int32_t[]){1, 0, 2, 3}), SY_T(SY_F32, h, m->batch * m->tokens, d));
    sy_value scores = sy_matmul(g, unit, centroids, true);
    scores = sy_reshape(g, scores, SY_T(SY_F32, h, m->batch, m->tokens, m->clusters));
    scores = sy_reshape(g, sy_transpose(g, scores, (const int32_t[]){1, 0, 2, 3}), SY_T(SY_F32, rows, m->clusters));
    return sy_route_expert_choice(g, scores, m->window, m->tokens);
}

/* x[rows, c] at a route's slots, cluster by cluster: [C, N h, window, c]. */
static sy_value of_clusters(const routing *m, sy_value x, sy_value route, int32_t c)
{
    sy_graph *g = m->g;
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch * m->routed * m->tokens, c));
    return sy_reshape(g, sy_route_gather(g, x, route), SY_T(SY_F32, m->clusters, m->batch * m->routed, m->window, c));
}

/* A parameter [h, C, m, d] in front of x[C, N h, window, d]. */
static sy_value with_memory(const routing *m, const char *name, sy_value x)
{
    sy_graph *g = m->g;
    sy_type own = SY_T(m->dtype, m->routed, m->clusters, m->memory, m->head_width);
    sy_value memory = sy_transpose(g, sy_zoo_param(g, name, own), (const int32_t[]){1, 0, 2, 3});
    memory = sy_reshape(g, memory, SY_T(SY_F32, m->clusters, 1, m->routed * m->memory, m->head_width));
    sy_type all = SY_T(SY_F32, m->clusters, m->batch, m->routed * m->memory, m->head_width);
    memory = sy_reshape(g, sy_broadcast(g, memory, all),
                        SY_T(SY_F32, m->clusters, m->batch * m->routed, m->memory, m->head_width));
    return sy_concat(g, (sy_value[]){memory, x}, 2, 2);
}

static sy_value routed(const routing *m, sy_value q, sy_value k, sy_value v)
{
    sy_graph *g = m->g;
    int32_t n = m->batch * m->routed, w = m->window, rows = n * m->tokens, slots = m->clusters * n * w;
    sy_scope_push(g, "global_attn");
    sy_value means = sy_zoo_param(g, "kmeans.means", SY_T(m->dtype, m->routed, m->clusters, m->head_width));
    sy_value queries = nearest(m, q, means), keys = nearest(m, k, means);
    sy_value at = sy_iota(g, SY_T(SY_F32, n, m->tokens), 1);
    sy_value query_at = of_clusters(m, at, queries, 1), key_at = of_clusters(m, at, keys, 1);
    key_at = sy_reshape(g, key_at, SY_T(SY_F32, m->clusters, n, 1, w));
    sy_value later = sy_binary(g, SY_OP_LESS, query_at, key_at), none = sy_const(g, 0), hidden = sy_const(g, -1e30);
    double zero = 0;
    sy_value seen[] = {sy_const_of(g, SY_T(SY_F32, m->clusters, n, w, m->memory), &zero, 1),
                       sy_select(g, later, hidden, none)};
    sy_attention_params a = {
        .q = of_clusters(m, q, queries, m->head_width),
        .k = with_memory(m, "mem_key", of_clusters(m, k, keys, m->head_width)),
        .v = with_memory(m, "mem_value", of_clusters(m, v, keys, m->head_width)),
        .bias = sy_concat(g, seen, 2, 3),
    };
    sy_value y = sy_reshape(g, sy_attention_full(g, &a), SY_T(SY_F32, slots, m->head_width));
    sy_value count = sy_reshape(g, sy_route_count(g, queries), SY_T(SY_F32, rows, 1));
    y = sy_binary(g, SY_OP_DIV, sy_combine(g, y, queries, false), sy_add(g, count, sy_const(g, 1e-5)));
    sy_tap(g, "queries", queries);
    sy_tap(g, "keys", keys);
    sy_tap(g, "clusters_per_token", count);
    sy_scope_pop(g);
    return sy_reshape(g, y, SY_T(SY_F32, m->batch, m->routed, m->tokens, m->head_width));
}

static sy_value attention(const routing *m, sy_value u)
{
    static const char *const names[3] = {"to_q", "to_k", "to_v"};
    sy_graph *g = m->g;
    sy_value part[3], y[2];
    int32_t near = m->heads - m->routed;
    sy_scope_push(g, "attn");
    for (int i = 0; i < 3; i++)
        part[i] = sy_zoo_split_heads(g, sy_linear(g, u, names[i], m->width, false, m->dtype), m->heads);
    if (near)
        y[0] =
            local(m, some_heads(m, part[0], 0, near), some_heads(m, part[1], 0, near), some_heads(m, part[2], 0, near));
    y[1] = routed(m, some_heads(m, part[0], near, m->routed), some_heads(m, part[1], near, m->routed),
                  some_heads(m, part[2], near, m->routed));
    sy_value all = sy_zoo_merge_heads(g, near ? sy_concat(g, y, 2, 1) : y[1]);
    all = sy_linear(g, all, "to_out", m->width, true, m->dtype);
    sy_scope_pop(g);
    return all;
}

/* "tokens" i32[N, T] -> "logits" f32[N, T, vocabulary]. Taps, by layer: "attn.global_attn.queries" and ".keys", tokens
 * of a head -> clusters, and ".clusters_per_token", 0 for tokens in none. */
bool sy_routing_transformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    routing m = {.g = g, .batch = batch};
    if (!configure(&m, file, error))
        return false;
    sy_value ids = sy_input(g, "tokens", SY_T(SY_I32, batch, m.tokens));
    sy_value x = sy_take_rows(g, sy_param(g, "token_emb.weight", SY_T(m.dtype, m.vocabulary, m.width)), ids);
    x = sy_add(g, sy_zoo_f32(g, x), sy_zoo_param(g, "pos_emb.weight", SY_T(m.dtype, m.tokens, m.width)));
    for (int32_t i = 0; i < m.depth; i++) {
        sy_scope_push(g, "layers.%d", i);
        x = sy_add(g, x, attention(&m, sy_zoo_layer_norm(g, x, "norm1", 1e-5, m.dtype)));
        sy_value u = sy_linear(g, sy_zoo_layer_norm(g, x, "norm2", 1e-5, m.dtype), "ff.w1", m.hidden, true, m.dtype);
        x = sy_add(g, x, sy_linear(g, sy_unary(g, SY_OP_GELU_ERF, u), "ff.w2", m.width, true, m.dtype));
        sy_scope_pop(g);
    }
    x = sy_zoo_layer_norm(g, x, "norm", 1e-5, m.dtype);
    sy_output(g, "logits", sy_linear(g, x, "head", m.vocabulary, true, m.dtype));
    return sy_graph_check(g, error);
}
