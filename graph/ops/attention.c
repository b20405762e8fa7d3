/* Attention: softmax(scale q k^T + bias) v for each batch item and head, dense or over the key blocks a route lists
 * for each query block. Heads of queries may share heads of keys and values (grouped queries, arXiv 2305.13245). The
 * second stage's skip is SpargeAttn's (arXiv 2502.18137, section 3.4), decided for a whole query block at once. */
#include "graph/ops/family.h"

#include <math.h>
#include <stdlib.h>

/* What both ops ask of q, k and v; sets the type. */
static bool infer_heads(const sy_graph *graph, sy_node *node, sy_error *error)
{
    const sy_type *q = sy_arg_type(graph, node, 0), *k = sy_arg_type(graph, node, 1), *v = sy_arg_type(graph, node, 2);
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return sy_misfit(graph, node, error, "q, k and v have 4 dimensions: batch, head, token, channel");
    if (q->dim[0] != k->dim[0] || q->dim[0] != v->dim[0] || k->dim[1] != v->dim[1] || q->dim[1] % k->dim[1])
        return sy_misfit(graph, node, error,
                         "batches, and heads of k and v, must be equal, and those heads divide the heads of q");
    if (k->dim[2] != v->dim[2] || q->dim[3] != k->dim[3])
        return sy_misfit(graph, node, error, "k and v must have equal tokens, q and k equal channels");
    if (!sy_dtype_is_float(q->dtype) || !sy_dtype_is_float(k->dtype) || !sy_dtype_is_float(v->dtype))
        return sy_misfit(graph, node, error, "all must be floating-point");
    if (!isfinite(node->attributes.scale) || node->attributes.scale == 0)
        return sy_misfit(graph, node, error, "scale is %g, and must be a number other than 0", node->attributes.scale);
    if (!sy_need_switch(graph, node, "causal", node->attributes.causal, error))
        return false;
    sy_type type = *q;
    type.dtype = SY_F32;
    type.dim[3] = v->dim[3];
    node->type = type;
    return true;
}

bool sy_infer_attention(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error) || !infer_heads(graph, node, error))
        return false;
    if (node->n_args < 4)
        return true;
    const sy_type *bias = sy_arg_type(graph, node, 3), *k = sy_arg_type(graph, node, 1);
    const int32_t full[4] = {node->type.dim[0], node->type.dim[1], node->type.dim[2], k->dim[2]};
    if (bias->rank > 4 || !sy_dtype_is_float(bias->dtype))
        return sy_misfit(graph, node, error, "the bias is floating-point, of at most 4 dimensions");
    for (int d = 0; d < bias->rank; d++)
        if (bias->dim[d] != 1 && bias->dim[d] != full[4 - bias->rank + d])
            return sy_misfit(graph, node, error, "the bias does not broadcast to batch, head, query, key");
    return true;
}

static int64_t blocks_of(int32_t tokens, int32_t block)
{
    return ((int64_t)tokens + block - 1) / block;
}

bool sy_infer_route_attention(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    enum { MOST_BLOCK = 1 << 20, MOST_SKIP_ROWS = 128 /* queries that decide together: a workgroup */ };
    if (!sy_need_route(graph, node, 3, error) || !infer_heads(graph, node, error))
        return false;
    const sy_attributes *a = &node->attributes;
    const sy_type *route = sy_arg_type(graph, node, 3), *k = sy_arg_type(graph, node, 1);
    if (a->block_rows < 1 || a->block_keys < 1 || a->block_rows > MOST_BLOCK || a->block_keys > MOST_BLOCK)
        return sy_misfit(graph, node, error, "block_rows %d and block_keys %d are not both 1 to %d", a->block_rows,
                         a->block_keys, MOST_BLOCK);
    if (!isfinite(a->skip) || a->skip < 0 || (a->skip > 0 && a->block_rows > MOST_SKIP_ROWS))
        return sy_misfit(graph, node, error, "skip is %g with %d block_rows: it is at least 0, and 0 above %d rows",
                         a->skip, a->block_rows, MOST_SKIP_ROWS);
    int64_t items = node->type.dim[0], heads = items * node->type.dim[1];
    int64_t queries = blocks_of(node->type.dim[2], a->block_rows), keys = blocks_of(k->dim[2], a->block_keys);
    int64_t rows = route->dim[SY_ROUTE_ROWS];
    if ((rows != heads * queries && rows != items * queries) || route->dim[SY_ROUTE_TARGETS] != keys)
        return sy_misfit(graph, node, error, "the route must have %lld rows, or %lld, and %lld targets",
                         (long long)(heads * queries), (long long)(items * queries), (long long)keys);
    return true;
}

/* 2 d for each score, 2 e for each weighted value, and about 4 for its exponential and sums. */
static double flops_of_scores(const sy_graph *graph, const sy_node *node, double scores)
{
    const sy_type *q = sy_arg_type(graph, node, 0), *v = sy_arg_type(graph, node, 2);
    return scores * (2.0 * q->dim[3] + 2.0 * v->dim[3] + 4.0);
}

/* Pairs of a query and a key it sees, over all heads. */
static double dense_scores(const sy_graph *graph, const sy_node *node)
{
    const sy_type *q = sy_arg_type(graph, node, 0), *v = sy_arg_type(graph, node, 2);
    double t = q->dim[2], s = v->dim[2], seen = t * s;
    if (node->attributes.causal) /* query i sees min(i + 1, s) keys */
        seen = t <= s ? t * (t + 1) / 2 : s * (s + 1) / 2 + (t - s) * s;
    return (double)q->dim[0] * q->dim[1] * seen;
}

double sy_flops_attention(const sy_graph *graph, const sy_node *node)
{
    double scores = dense_scores(graph, node);
    return flops_of_scores(graph, node, scores) + (node->n_args > 3 ? scores : 0);
}

/* The static bound: every slot of the route is a whole block, for each head that reads it; never more than dense. */
double sy_flops_route_attention(const sy_graph *graph, const sy_node *node)
{
    const sy_type *route = sy_arg_type(graph, node, 3);
    const sy_attributes *a = &node->attributes;
    double heads = (double)node->type.dim[0] * node->type.dim[1], dense = dense_scores(graph, node);
    double readers = heads * (double)blocks_of(node->type.dim[2], a->block_rows) / route->dim[SY_ROUTE_ROWS];
    double listed = readers * (double)route->dim[SY_ROUTE_SLOTS] * (double)a->block_rows * (double)a->block_keys;
    return flops_of_scores(graph, node, listed < dense ? listed : dense);
}

/* One attention under evaluation: what both ops read. */
typedef struct heads {
    const double *q, *k, *v, *bias;
    const sy_node *node;
    const sy_type *bias_type;
    uint64_t n_heads, n_key_heads, t, s, d, n;
} heads;

static heads heads_of(const sy_eval *e, sy_value value)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *q = sy_arg_type(e->graph, node, 0), *v = sy_arg_type(e->graph, node, 2);
    heads h = {sy_eval_arg(e, value, 0), sy_eval_arg(e, value, 1), sy_eval_arg(e, value, 2), .node = node};
    h.n_heads = (uint64_t)q->dim[1], h.n_key_heads = (uint64_t)v->dim[1];
    h.t = (uint64_t)q->dim[2], h.s = (uint64_t)v->dim[2], h.d = (uint64_t)q->dim[3], h.n = (uint64_t)v->dim[3];
    if (node->op == SY_OP_ATTENTION && node->n_args > 3)
        h.bias = sy_eval_arg(e, value, 3), h.bias_type = sy_arg_type(e->graph, node, 3);
    return h;
}

/* First row of a head's keys, counting rows over all heads: `row` is a query, counted likewise. */
static uint64_t first_key(const heads *h, uint64_t row)
{
    uint64_t head = row / h->t, item = head / h->n_heads, own = head % h->n_heads;
    return (item * h->n_key_heads + own / (h->n_heads / h->n_key_heads)) * h->s;
}

/* Keys that a query may see: 0 … this - 1. */
static uint64_t visible(const heads *h, uint64_t row)
{
    uint64_t t = row % h->t;
    return h->node->attributes.causal && t + 1 < h->s ? t + 1 : h->s;
}

static double score(const heads *h, uint64_t row, uint64_t key)
{
    const double *x = h->q + row * h->d, *y = h->k + (first_key(h, row) + key) * h->d;
    double dot = 0;
    for (uint64_t i = 0; i < h->d; i++)
        dot += x[i] * y[i];
    dot *= h->node->attributes.scale;
    if (!h->bias)
        return dot;
    const uint64_t at[4] = {row / h->t / h->n_heads, row / h->t % h->n_heads, row % h->t, key};
    uint64_t flat = 0;
    for (int i = 0; i < h->bias_type->rank; i++) {
        uint64_t dim = (uint64_t)h->bias_type->dim[i];
        flat = flat * dim + (dim == 1 ? 0 : at[4 - h->bias_type->rank + i]);
    }
    return dot + h->bias[flat];
}

bool sy_eval_attention(sy_eval *e, sy_value value, sy_error *error)
{
    heads h = heads_of(e, value);
    uint64_t rows = sy_rows(&h.node->type);
    double *out = sy_eval_result(e, value, error), *weight = malloc(h.s * sizeof *weight);
    if (!weight)
        out = NULL,
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu attention weights.", (unsigned long long)h.s);
    for (uint64_t row = 0; out && row < rows; row++) {
        uint64_t seen = visible(&h, row);
        double most = -INFINITY, sum = 0, *o = out + row * h.n;
        for (uint64_t j = 0; j < seen; j++) {
            weight[j] = score(&h, row, j);
            most = weight[j] > most ? weight[j] : most;
        }
        for (uint64_t j = 0; j < seen; j++)
            sum += weight[j] = exp(weight[j] - most);
        for (uint64_t j = 0; j < seen; j++) {
            const double share = weight[j] / sum, *from = h.v + (first_key(&h, row) + j) * h.n;
            for (uint64_t i = 0; i < h.n; i++)
                o[i] += share * from[i];
        }
    }
    free(weight);
    return out;
}

/* The state of a query block: of each row the largest score so far, its sum of weights, and the scores of a block. */
typedef struct block_state {
    double *most, *sum, *scores;
} block_state;

/* One key block for the queries first … first + rows - 1 of a head: scores, the decision, weights and values. */
static void take_block(const heads *h, const block_state *b, uint64_t first, uint64_t rows, uint64_t key, uint64_t keys,
                       double *out)
{
    double skip = h->node->attributes.skip;
    bool needed = !(skip > 0);
    for (uint64_t r = 0; r < rows; r++) {
        uint64_t end = visible(h, first + r);
        double high = -INFINITY;
        for (uint64_t j = 0; j < keys && key + j < end; j++) {
            b->scores[r * keys + j] = score(h, first + r, key + j);
            high = b->scores[r * keys + j] > high ? b->scores[r * keys + j] : high;
        }
        if (key < end && !((high - b->most[r]) * 1.4426950408889634 + skip <= 0))
            needed = true;
    }
    for (uint64_t r = 0; r < rows && needed; r++) {
        uint64_t end = visible(h, first + r);
        double high = b->most[r], *o = out + (first + r) * h->n;
        for (uint64_t j = 0; j < keys && key + j < end; j++)
            high = b->scores[r * keys + j] > high ? b->scores[r * keys + j] : high;
        double shrink = b->most[r] > -INFINITY ? exp(b->most[r] - high) : 0;
        b->most[r] = high;
        b->sum[r] *= shrink;
        for (uint64_t i = 0; i < h->n; i++)
            o[i] *= shrink;
        for (uint64_t j = 0; j < keys && key + j < end; j++) {
            double weight = exp(b->scores[r * keys + j] - high);
            const double *from = h->v + (first_key(h, first + r) + key + j) * h->n;
            b->sum[r] += weight;
            for (uint64_t i = 0; i < h->n; i++)
                o[i] += weight * from[i];
        }
    }
}

static void query_block(const heads *h, const block_state *b, const sy_eval_route *r, int32_t route_row, uint64_t first,
                        uint64_t rows, double *out)
{
    uint64_t block = (uint64_t)h->node->attributes.block_keys;
    for (uint64_t i = 0; i < rows; i++)
        b->most[i] = -INFINITY, b->sum[i] = 0;
    for (int32_t i = r->row_offsets[route_row]; i < r->row_offsets[route_row + 1]; i++) {
        uint64_t key = (uint64_t)r->target[r->row_slots[i]] * block;
        take_block(h, b, first, rows, key, h->s - key < block ? h->s - key : block, out);
    }
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t c = 0; c < h->n && b->sum[i] > 0; c++)
            out[(first + i) * h->n + c] /= b->sum[i];
}

bool sy_eval_route_attention(sy_eval *e, sy_value value, sy_error *error)
{
    heads h = heads_of(e, value);
    const sy_attributes *a = &h.node->attributes;
    const sy_eval_route *r = sy_eval_arg_route(e, value, 3);
    uint64_t rows = (uint64_t)a->block_rows < h.t ? (uint64_t)a->block_rows : h.t;
    uint64_t keys = (uint64_t)a->block_keys < h.s ? (uint64_t)a->block_keys : h.s;
    uint64_t all = (uint64_t)h.node->type.dim[0] * h.n_heads;
    int32_t blocks = (int32_t)blocks_of(h.node->type.dim[2], a->block_rows);
    bool own = (uint64_t)r->rows == all * (uint64_t)blocks;
    double *out = sy_eval_result(e, value, error);
    block_state b = {malloc(rows * sizeof(double)), malloc(rows * sizeof(double)), NULL};
    b.scores = keys < SIZE_MAX / sizeof(double) / rows ? malloc(rows * keys * sizeof(double)) : NULL;
    if (!b.most || !b.sum || !b.scores)
        out = NULL, sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a block of %llu attention weights.",
                            (unsigned long long)(rows * keys));
    for (uint64_t head = 0; out && head < all; head++)
        for (int32_t i = 0; i < blocks; i++) {
            uint64_t at = (uint64_t)i * (uint64_t)a->block_rows;
            uint64_t route_row = (own ? head : head / h.n_heads) * (uint64_t)blocks + (uint64_t)i;
            query_block(&h, &b, r, (int32_t)route_row, head * h.t + at, h.t - at < rows ? h.t - at : rows, out);
        }
    free(b.most), free(b.sum), free(b.scores);
    return out;
}
