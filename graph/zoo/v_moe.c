/* V-MoE, "Scaling Vision with Sparse Mixture of Experts" (arXiv 2106.05974), and the same network with
 * "Mixture-of-Experts with Expert Choice Routing" (arXiv 2202.09368): a vision transformer that classifies pictures,
 * some of whose MLPs are mixtures of experts with room for so many tokens of a group each.
 *
 *     v-moe           each token goes to the top_k experts of softmax(x W), gate = probability, not renormalised.
 * Places are given to all first choices, then to all second ones, in token order; with batch priority in falling order
 * of the tokens' largest gate. Who finds no place is passed by the residual. expert-choice   each expert takes the
 * tokens of the group that give it the largest probability
 *
 * The room of an expert is ceil(group top_k factor / experts), rounded up to a multiple of 4 (expert choice: top_k 1).
 * Names are those of the authors' JAX code with / between the levels; matrices are [in, out]. Metadata:
 * switchyard.top_k (2), .capacity_factor (1.05; expert choice 2), .batch_priority (0), .group_size (tokens of one
 * picture). A file with "cls" reads the class off that token, else off the mean of all. */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { MAX_WIDTH = 1 << 15, MAX_DEPTH = 1024, MAX_TOKENS = 1 << 16 };

typedef struct v_moe {
    sy_graph *g;
    const struct sy_safetensors *file;
    bool expert_choice, batch_priority, class_token;
    int32_t batch, tokens, patch, channels, side, width, depth, heads, head_width, classes;
    int32_t top_k, group;
    double capacity_factor;
    sy_dtype dtype;
} v_moe;

#define NAME(out, ...) snprintf((out), sizeof(out), __VA_ARGS__)

static bool read_shapes(v_moe *m, sy_error *error)
{
    int32_t embed[4], positions[3], query[3], head[2];
    const char *first = "Encoder/encoderblock_0/SelfAttention/query/kernel";
    if (!sy_zoo_shape(m->file, "embedding/kernel", 4, embed, error) ||
        !sy_zoo_shape(m->file, "Encoder/posembed_input/pos_embedding", 3, positions, error) ||
        !sy_zoo_shape(m->file, first, 3, query, error) || !sy_zoo_shape(m->file, "head/kernel", 2, head, error) ||
        !sy_zoo_dtype(m->file, "embedding/kernel", &m->dtype, error))
        return false;
    m->class_token = sy_zoo_has(m->file, "cls");
    m->patch = embed[0];
    m->channels = embed[2];
    m->width = embed[3];
    m->tokens = positions[1];
    m->heads = query[1];
    m->head_width = query[2];
    m->classes = head[1];
    int32_t grid = (int32_t)lround(sqrt(m->tokens - m->class_token));
    if (m->tokens > MAX_TOKENS || m->width > MAX_WIDTH || m->patch > 64 || m->channels > 1024 || m->heads > m->width ||
        m->head_width > m->width || grid < 1 || grid * grid != m->tokens - m->class_token)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "Patches of %d x %d, %d tokens, %d channels a token and %d heads are not a vision transformer.",
                       (int)m->patch, (int)m->patch, (int)m->tokens, (int)m->width, (int)m->heads);
    m->side = grid * m->patch;
    while (m->depth <= MAX_DEPTH && sy_zoo_has(m->file, "Encoder/encoderblock_%d/LayerNorm_0/scale", (int)m->depth))
        m->depth++;
    return (m->depth >= 1 && m->depth <= MAX_DEPTH) ||
           sy_fail(error, SY_CODE_INVALID_FILE, "The file has %d encoder blocks; 1 to %d are possible.", (int)m->depth,
                   MAX_DEPTH);
}

static bool read_metadata(v_moe *m, sy_error *error)
{
    int32_t priority = 0;
    m->top_k = m->expert_choice ? 1 : 2;
    m->capacity_factor = m->expert_choice ? 2 : 1.05;
    m->group = m->tokens;
    if (!sy_zoo_metadata_int(m->file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &m->top_k, error) ||
        !sy_zoo_metadata_double(m->file, "capacity_factor", 1e-3, 1e6, &m->capacity_factor, error) ||
        !sy_zoo_metadata_int(m->file, "batch_priority", 0, 1, &priority, error) ||
        !sy_zoo_metadata_int(m->file, "group_size", 1, 1 << 24, &m->group, error))
        return false;
    m->batch_priority = priority;
    return ((int64_t)m->batch * m->tokens) % m->group == 0 ||
           sy_fail(error, SY_CODE_INVALID_FILE,
                   "switchyard.group_size is %d, which does not divide the %d tokens of %d pictures.", (int)m->group,
                   (int)(m->batch * m->tokens), (int)m->batch);
}

/* x W + b. The kernel's leading dimensions make `in`, the others `out`, which are the bias's: [D, h, d] takes D to
 * heads, [h, d, D] heads to D. */
static sy_value dense(const v_moe *m, sy_value x, const char *name, sy_type kernel, int32_t in, int32_t out)
{
    char weight[160], bias[160];
    NAME(weight, "%s/kernel", name);
    NAME(bias, "%s/bias", name);
    sy_value w = sy_reshape(m->g, sy_param(m->g, weight, kernel), SY_T(m->dtype, in, out));
    bool to_heads = kernel.rank == 3 && kernel.dim[0] == in;
    sy_type flat = SY_T(m->dtype, out), by_head = SY_T(m->dtype, m->heads, m->head_width);
    sy_value b = sy_reshape(m->g, sy_param(m->g, bias, to_heads ? by_head : flat), flat);
    return sy_add(m->g, sy_matmul(m->g, x, w, false), sy_zoo_f32(m->g, b));
}

static sy_value layer_norm(const v_moe *m, sy_value x, const char *name)
{
    char scale[160], bias[160];
    NAME(scale, "%s/scale", name);
    NAME(bias, "%s/bias", name);
    sy_value y =
        sy_mul(m->g, sy_row(m->g, SY_OP_LAYER_NORM, x, 1e-6), sy_zoo_param(m->g, scale, SY_T(m->dtype, m->width)));
    return sy_add(m->g, y, sy_zoo_param(m->g, bias, SY_T(m->dtype, m->width)));
}

static sy_value attention(const v_moe *m, sy_value x, const char *block)
{
    static const char *const parts[3] = {"query", "key", "value"};
    sy_value qkv[3];
    char name[128];
    int32_t inner = m->heads * m->head_width;
    for (int i = 0; i < 3; i++) {
        NAME(name, "%s/SelfAttention/%s", block, parts[i]);
        sy_value y = dense(m, x, name, SY_T(m->dtype, m->width, m->heads, m->head_width), m->width, inner);
        qkv[i] = sy_zoo_split_heads(m->g, y, m->heads);
    }
    sy_value y = sy_zoo_merge_heads(m->g, sy_attention(m->g, qkv[0], qkv[1], qkv[2], 1 / sqrt(m->head_width)));
    NAME(name, "%s/SelfAttention/out", block);
    return dense(m, y, name, SY_T(m->dtype, m->heads, m->head_width, m->width), inner, m->width);
}

static sy_value mlp(const v_moe *m, sy_value x, const char *block)
{
    int32_t first[2];
    char name[128], kernel[160];
    NAME(name, "%s/Mlp/Dense_0", block);
    NAME(kernel, "%s/kernel", name);
    if (!sy_zoo_shape(m->file, kernel, 2, first, &m->g->error))
        return 0;
    x = dense(m, x, name, SY_T(m->dtype, m->width, first[1]), m->width, first[1]);
    NAME(name, "%s/Mlp/Dense_1", block);
    return dense(m, sy_unary(m->g, SY_OP_GELU_TANH, x), name, SY_T(m->dtype, first[1], m->width), first[1], m->width);
}

/* Who goes where: x f32[rows, width]. */
static sy_value route(const v_moe *m, sy_value p)
{
    int32_t experts = m->g->nodes[p].type.dim[1], k = m->expert_choice ? 1 : m->top_k;
    double room = ceil((double)m->group * k * m->capacity_factor / experts);
    int32_t capacity = (int32_t)fmin(4 * ceil(room / 4), m->group);
    if (m->expert_choice)
        return sy_route_expert_choice(m->g, p, capacity, m->group);
    if (m->batch_priority)
        return sy_route_batch_priority(m->g, p, k, capacity, m->group);
    return sy_route_capacity(m->g, sy_route_top_k(m->g, p, k, false), capacity, m->group, true);
}

/* The experts' layer `name` of x: gathered rows or slots. */
static sy_value expert_layer(const v_moe *m, sy_value x, sy_value r, bool gather, const char *name, int32_t in,
                             int32_t out)
{
    char kernel[160], bias[160];
    int32_t experts = m->g->nodes[r].type.dim[SY_ROUTE_TARGETS];
    NAME(kernel, "%s/kernel", name);
    NAME(bias, "%s/bias", name);
    sy_value w = sy_param(m->g, kernel, SY_T(m->dtype, experts, in, out));
    sy_value b = sy_zoo_param(m->g, bias, SY_T(m->dtype, experts, out));
    return sy_add(m->g, sy_grouped_matmul(m->g, x, w, r, gather, false), sy_route_spread(m->g, b, r));
}

static sy_value mixture(const v_moe *m, sy_value x, int32_t i, const char *block)
{
    sy_graph *g = m->g;
    int32_t shape[3], rows = m->batch * m->tokens;
    char name[128], kernel[160];
    NAME(name, "%s/Moe/Mlp/Dense_0", block);
    NAME(kernel, "%s/kernel", name);
    if (!sy_zoo_shape(m->file, kernel, 3, shape, &g->error))
        return 0;
    int32_t experts = shape[0], hidden = shape[2];
    if (experts > SY_ZOO_MAX_EXPERTS || m->top_k > experts || hidden > 16 * MAX_WIDTH) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "%d of %d experts a token is not possible (at most %d experts are).",
                (int)m->top_k, (int)experts, SY_ZOO_MAX_EXPERTS);
        return 0;
    }
    x = sy_reshape(g, x, SY_T(SY_F32, rows, m->width));
    NAME(kernel, "%s/Moe/Router/dense/kernel", block);
    sy_value w = sy_param(g, kernel, SY_T(m->dtype, m->width, experts));
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_matmul(g, x, w, false), 0), r = route(m, p);
    sy_value h = sy_unary(g, SY_OP_GELU_TANH, expert_layer(m, x, r, true, name, m->width, hidden));
    NAME(name, "%s/Moe/Mlp/Dense_1", block);
    sy_value y = sy_combine(g, expert_layer(m, h, r, false, name, hidden, m->width), r, true);
    sy_scope_push(g, "blocks.%d", i);
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    sy_tap(g, "experts_per_token", sy_route_count(g, r));
    sy_scope_pop(g);
    return sy_reshape(g, y, SY_T(SY_F32, m->batch, m->tokens, m->width));
}

/* Patches of a picture [N, C, side, side] times one matrix, the class token in front, positions. */
static sy_value embed(const v_moe *m, sy_value x)
{
    sy_graph *g = m->g;
    int32_t p = m->patch, grid = m->side / p, values = p * p * m->channels;
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, m->channels, grid, p, grid, p));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 4, 3, 5, 1});
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, grid * grid, values));
    x = dense(m, x, "embedding", SY_T(m->dtype, p, p, m->channels, m->width), values, m->width);
    if (m->class_token) {
        sy_value token = sy_zoo_param(g, "cls", SY_T(m->dtype, 1, 1, m->width));
        sy_value parts[2] = {sy_broadcast(g, token, SY_T(SY_F32, m->batch, 1, m->width)), x};
        x = sy_concat(g, parts, 2, 1);
    }
    sy_type table = SY_T(m->dtype, 1, m->tokens, m->width);
    return sy_add(g, x, sy_zoo_param(g, "Encoder/posembed_input/pos_embedding", table));
}

static sy_value encoder_block(const v_moe *m, sy_value x, int32_t i)
{
    char block[64], norm[96];
    NAME(block, "Encoder/encoderblock_%d", (int)i);
    NAME(norm, "%s/LayerNorm_0", block);
    x = sy_add(m->g, x, attention(m, layer_norm(m, x, norm), block));
    NAME(norm, "%s/LayerNorm_1", block);
    sy_value u = layer_norm(m, x, norm);
    bool mixed = sy_zoo_has(m->file, "%s/Moe/Router/dense/kernel", block);
    return sy_add(m->g, x, mixed ? mixture(m, u, i, block) : mlp(m, u, block));
}

static bool build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, bool expert_choice, sy_error *error)
{
    v_moe m = {.g = g, .file = file, .batch = batch, .expert_choice = expert_choice};
    if (!read_shapes(&m, error) || !read_metadata(&m, error))
        return false;
    sy_value x = embed(&m, sy_input(g, "x", SY_T(SY_F32, batch, m.channels, m.side, m.side)));
    for (int32_t i = 0; i < m.depth; i++)
        x = encoder_block(&m, x, i);
    x = layer_norm(&m, x, "Encoder/encoder_norm");
    if (m.class_token)
        x = sy_slice_axis(g, x, 1, 0, 1);
    else
        x = sy_row(g, SY_OP_REDUCE_MEAN, sy_transpose(g, x, (const int32_t[]){0, 2, 1}), 0);
    x = sy_reshape(g, x, SY_T(SY_F32, batch, m.width));
    sy_output(g, "logits", dense(&m, x, "head", SY_T(m.dtype, m.width, m.classes), m.width, m.classes));
    return sy_graph_check(g, error);
}

bool sy_v_moe_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    return build(g, file, batch, false, error);
}

bool sy_expert_choice_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    return build(g, file, batch, true, error);
}
