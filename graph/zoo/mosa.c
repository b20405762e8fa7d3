/* MoSA, "Mixture of Sparse Attention: Content-Based Learnable Sparse Attention via Expert-Choice Routing" (arXiv
 * 2505.00315): a language model whose attention has, beside a few dense heads, many that see k tokens each. Head e
 * scores every token, r = sigmoid(x W_r), takes the k best of the sequence and runs over them alone, queries, keys and
 * values by matrices of its own; its output, times r, is added at the tokens it took.
 *
 * That is expert choice with heads for experts: the projections are grouped matmuls over one route, the sum over heads
 * is its combine. A route keeps a head's tokens in the order of the sequence, so the mask by original positions is the
 * plain causal one. RoPE turns the first half of a head's channels, by the original positions.
 *
 * Tensors: token_emb.weight, blocks.N.{norm1, norm2}.{weight, bias}, blocks.N.mosa.{r.0.weight, QKV.W [h, D, 3 d],
 * O.W [h, d, D]} (names of the authors' layer), blocks.N.dense.{qkv, proj} (absent: no dense heads),
 * blocks.N.mlp.{fc1, fc2}, norm, head.weight. Metadata: switchyard.sequence_length (512), .sparsity (16), .dense_heads,
 * .include_first (0; 1: every head takes the first token and the k - 1 best of the others, weights as ever: the authors'
 * option for language models, whose attention puts what it has no use for on the first token). */
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 14, MAX_DEPTH = 256, MAX_TOKENS = 1 << 16, MAX_HEADS = 1024 };

typedef struct mosa {
    sy_graph *g;
    int32_t batch, tokens, vocabulary, width, depth, heads, head_width, picked, dense_heads, hidden;
    int32_t include_first; /* 0 or 1 */
    sy_dtype dtype;
} mosa;

static bool configure(mosa *m, const struct sy_safetensors *file, sy_error *error)
{
    int32_t embedding[2], matrix[3], fc1[2], sparsity = 16;
    m->tokens = 512;
    m->dense_heads = 0;
    bool dense = sy_zoo_has(file, "blocks.0.dense.qkv.weight");
    if (!sy_zoo_shape(file, "token_emb.weight", 2, embedding, error) ||
        !sy_zoo_dtype(file, "token_emb.weight", &m->dtype, error) ||
        !sy_zoo_shape(file, "blocks.0.mosa.O.W", 3, matrix, error) ||
        !sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error) ||
        !sy_zoo_metadata_int(file, "sequence_length", 2, MAX_TOKENS, &m->tokens, error) ||
        !sy_zoo_metadata_int(file, "sparsity", 1, MAX_TOKENS, &sparsity, error) ||
        !sy_zoo_metadata_int(file, "include_first", 0, 1, &m->include_first, error) ||
        (dense && !sy_zoo_metadata_int(file, "dense_heads", 1, MAX_HEADS, &m->dense_heads, error)))
        return false;
    m->vocabulary = embedding[0];
    m->width = embedding[1];
    m->heads = matrix[0];
    m->head_width = matrix[1];
    m->hidden = fc1[0];
    m->picked = m->tokens / sparsity < 2 ? 2 : m->tokens / sparsity;
    while (m->depth <= MAX_DEPTH && sy_zoo_has(file, "blocks.%d.norm1.weight", m->depth))
        m->depth++;
    bool fine = m->width <= MAX_WIDTH && m->heads <= MAX_HEADS && m->head_width <= MAX_WIDTH &&
                m->head_width % 4 == 0 && m->depth >= 1 && m->depth <= MAX_DEPTH && m->hidden <= 16 * MAX_WIDTH &&
                (dense ? m->dense_heads >= 1 && m->width % m->dense_heads == 0 : true);
    return fine || sy_fail(error, SY_CODE_INVALID_FILE,
                           "%d blocks of width %d, %d sparse heads of %d channels and %d dense ones are not possible.",
                           m->depth, m->width, m->heads, m->head_width, m->dense_heads);
}

/* f32[h, N, k] of what a route's slots hold of x[N T, 1]. */
static sy_value of_slots(const mosa *m, sy_value x, sy_value route)
{
    return sy_reshape(m->g, sy_route_gather(m->g, x, route), SY_T(SY_F32, m->heads, m->batch, m->picked));
}

/* Which tokens a head takes: r[N T, heads] -> a route. */
static sy_value chosen(const mosa *m, sy_value r)
{
    sy_graph *g = m->g;
    int32_t rows = m->batch * m->tokens;
    if (!m->include_first)
        return sy_route_expert_choice(g, r, m->picked, m->tokens);
    double one = 1;
    sy_value position = sy_iota(g, SY_T(SY_I32, m->batch, m->tokens, 1), 1);
    sy_value first = sy_binary(g, SY_OP_LESS, position, sy_const_of(g, SY_T(SY_I32, 1), &one, 1));
    first = sy_broadcast(g, sy_reshape(g, first, SY_T(SY_I32, rows, 1)), SY_T(SY_I32, rows, m->heads));
    return sy_route_expert_choice_first(g, r, first, m->picked, m->tokens);
}

/* The sparse heads: u f32[N T, width] -> the same. Slots lie head by head, sample by sample, in order of position. */
static sy_value sparse(const mosa *m, sy_value u)
{
    sy_graph *g = m->g;
    int32_t d = m->head_width, rows = m->batch * m->tokens, slots = m->heads * m->batch * m->picked;
    sy_scope_push(g, "mosa");
    sy_value r = sy_unary(g, SY_OP_SIGMOID, sy_linear(g, u, "r.0", m->heads, false, m->dtype));
    sy_value route = chosen(m, r);
    sy_value w = sy_param(g, "QKV.W", SY_T(m->dtype, m->heads, m->width, 3 * d));
    sy_value qkv = sy_grouped_matmul(g, u, w, route, true, false), part[3];
    qkv = sy_reshape(g, qkv, SY_T(SY_F32, m->heads, m->batch, m->picked, 3 * d));
    sy_type column = SY_T(SY_F32, m->batch, m->tokens);
    sy_value positions = of_slots(m, sy_reshape(g, sy_iota(g, column, 1), SY_T(SY_F32, rows, 1)), route);
    sy_rope_params rope = {.channels = d / 2, .positions = positions};
    for (int i = 0; i < 3; i++)
        part[i] = sy_slice_axis(g, qkv, 3, i * d, d);
    sy_attention_params a = {
        .q = sy_rope(g, part[0], &rope), .k = sy_rope(g, part[1], &rope), .v = part[2], .causal = true};
    sy_value y = sy_reshape(g, sy_attention_full(g, &a), SY_T(SY_F32, slots, d));
    y = sy_grouped_matmul(g, y, sy_param(g, "O.W", SY_T(m->dtype, m->heads, d, m->width)), route, false, false);
    y = sy_combine(g, y, route, true);
    sy_tap(g, "route", route);
    sy_scope_pop(g);
    return y;
}

static sy_value dense(const mosa *m, sy_value u)
{
    sy_graph *g = m->g;
    sy_scope_push(g, "dense");
    sy_value qkv = sy_linear(g, u, "qkv", 3 * m->width, false, m->dtype), part[3];
    qkv = sy_reshape(g, qkv, SY_T(SY_F32, m->batch, m->tokens, 3 * m->width));
    for (int i = 0; i < 3; i++)
        part[i] = sy_zoo_split_heads(g, sy_slice_axis(g, qkv, 2, i * m->width, m->width), m->dense_heads);
    sy_rope_params rope = {.channels = m->width / m->dense_heads / 4 * 2};
    sy_attention_params a = {
        .q = sy_rope(g, part[0], &rope), .k = sy_rope(g, part[1], &rope), .v = part[2], .causal = true};
    sy_value y = sy_zoo_merge_heads(g, sy_attention_full(g, &a));
    y = sy_linear(g, sy_reshape(g, y, SY_T(SY_F32, m->batch * m->tokens, m->width)), "proj", m->width, false, m->dtype);
    sy_scope_pop(g);
    return y;
}

/* "tokens" i32[N, T] -> "logits" f32[N, T, vocabulary]. Taps: each block's "mosa.route", tokens -> heads. */
bool sy_mosa_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    mosa m = {.g = g, .batch = batch};
    if (!configure(&m, file, error))
        return false;
    int32_t rows = batch * m.tokens;
    sy_value ids = sy_input(g, "tokens", SY_T(SY_I32, batch, m.tokens));
    sy_value table = sy_param(g, "token_emb.weight", SY_T(m.dtype, m.vocabulary, m.width));
    sy_value x = sy_zoo_f32(g, sy_take_rows(g, table, sy_reshape(g, ids, SY_T(SY_I32, rows))));
    for (int32_t i = 0; i < m.depth; i++) {
        sy_scope_push(g, "blocks.%d", i);
        sy_value u = sy_zoo_layer_norm(g, x, "norm1", 1e-5, m.dtype), y = sparse(&m, u);
        x = sy_add(g, x, m.dense_heads ? sy_add(g, y, dense(&m, u)) : y);
        u = sy_linear(g, sy_zoo_layer_norm(g, x, "norm2", 1e-5, m.dtype), "mlp.fc1", m.hidden, true, m.dtype);
        x = sy_add(g, x, sy_linear(g, sy_unary(g, SY_OP_GELU_ERF, u), "mlp.fc2", m.width, true, m.dtype));
        sy_scope_pop(g);
    }
    x = sy_linear(g, sy_zoo_layer_norm(g, x, "norm", 1e-5, m.dtype), "head", m.vocabulary, false, m.dtype);
    sy_output(g, "logits", sy_reshape(g, x, SY_T(SY_F32, batch, m.tokens, m.vocabulary)));
    return sy_graph_check(g, error);
}
