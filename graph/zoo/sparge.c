/* SpargeAttn, "Accurate Sparse Attention Accelerating Any Model Inference" (arXiv 2502.18137), which is trained for by
 * nothing: any softmax attention can run through it. The first stage predicts which key blocks a query block needs from
 * the means of both; blocks whose tokens are too unlike each other to be spoken for by a mean ("incoherent": similarity
 * = squared length of the mean unit vector, at most theta) are always taken. The second stage, inside route_attention,
 * leaves out a block whose scores are so low that it would add nothing.
 *
 * As in the authors' code: of the key blocks in falling order of probability those are taken whose cumulative sum is at
 * most tau, so the one that crosses tau is not, but always one; a shorter last block counts as incoherent; columns of
 * incoherent key blocks have no part in the prediction; lambda is in log2 units; 8-bit numbers are x / scale, scale =
 * largest |x| of the block / 127 + 1e-7, rounded half away from zero. Unlike there statistics are f32 throughout, and
 * the second stage looks at a query block as a whole, not at the rows of a warp. */
#include "graph/zoo/block_routes.h"

#include <math.h>

#define HIDDEN -1e30 /* a score that no softmax sees */

/* Shapes of a call. */
typedef struct sizes {
    int32_t heads, queries, keys, rows, columns; /* heads of all items; blocks of queries and of keys */
} sizes;

static sy_value whole(sy_graph *g, int32_t value)
{
    double number = value;
    return sy_const_of(g, SY_T(SY_I32, 1), &number, 1);
}

static bool fits(sy_graph *g, const sy_sparge_params *p, sizes *s)
{
    if (!p->q || !p->k || p->q >= g->n_nodes || p->k >= g->n_nodes)
        return false;
    const sy_type *q = &g->nodes[p->q].type, *k = &g->nodes[p->k].type;
    if (q->is_route || k->is_route || q->rank != 4 || k->rank != 4 || q->dim[0] != k->dim[0] ||
        q->dim[1] != k->dim[1] || p->block_rows < 1 || p->block_keys < 1)
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                       "SpargeAttn needs q[B,H,T,d], k[B,H,S,d] and blocks of at least one token.");
    *s = (sizes){q->dim[0] * q->dim[1], q->dim[2], k->dim[2], 0, 0};
    s->rows = (int32_t)(((int64_t)s->queries + p->block_rows - 1) / p->block_rows);
    s->columns = (int32_t)(((int64_t)s->keys + p->block_keys - 1) / p->block_keys);
    return true;
}

/* i32[heads, blocks]: 1 where the block is more similar to itself than theta. */
static sy_value coherent(sy_graph *g, sy_value x, int32_t heads, int32_t tokens, int32_t block, double theta)
{
    int32_t blocks = (int32_t)(((int64_t)tokens + block - 1) / block);
    sy_value mean = sy_block_means(g, sy_row(g, SY_OP_L2_NORMALISE, x, 1e-12), block);
    sy_value similarity = sy_row(g, SY_OP_REDUCE_SUM, sy_mul(g, mean, mean), 0);
    sy_value yes = sy_binary(g, SY_OP_LESS, sy_const(g, theta), similarity);
    yes = sy_reshape(g, yes, SY_T(SY_I32, heads, blocks));
    if (tokens % block == 0)
        return yes;
    sy_value before_last = sy_binary(g, SY_OP_LESS, sy_iota(g, SY_T(SY_I32, 1, blocks), 1), whole(g, blocks - 1));
    return sy_mul(g, yes, before_last);
}

/* i32[1, rows, columns]: 1 where a query of the block sees a key of the block. */
static sy_value visible(sy_graph *g, const sy_sparge_params *p, const sizes *s)
{
    sy_value first_key = sy_mul(g, sy_iota(g, SY_T(SY_I32, 1, 1, s->columns), 2), whole(g, p->block_keys));
    sy_value end =
        sy_mul(g, sy_add(g, sy_iota(g, SY_T(SY_I32, 1, s->rows, 1), 1), whole(g, 1)), whole(g, p->block_rows));
    return sy_binary(g, SY_OP_LESS, first_key, end);
}

static sy_value smoothed(sy_graph *g, sy_value k)
{
    const sy_type *t = &g->nodes[k].type;
    sy_type one = SY_T(SY_F32, t->dim[0], t->dim[1], 1, t->dim[3]);
    sy_value mean = sy_row(g, SY_OP_REDUCE_MEAN, sy_transpose(g, k, (const int32_t[]){0, 1, 3, 2}), 0);
    return sy_sub(g, k, sy_reshape(g, mean, one));
}

/* Which blocks the prediction takes, i32 like p[heads, rows, columns] of probabilities. */
static sy_value taken(sy_graph *g, const sy_sparge_params *params, const sizes *s, sy_value p)
{
    sy_attributes by_rank = {.order = 1, .length = s->columns};
    sy_value order = sy_sort(g, p, true), rank = sy_graph_add(g, SY_OP_SORT_RANK, &p, 1, &by_rank, NULL, NULL);
    if (params->mass == 0) {
        double count = floor(params->share * s->columns);
        return sy_binary(g, SY_OP_LESS, rank, whole(g, count > 1 ? (int32_t)fmin(count, s->columns) : 1));
    }
    sy_value mass = sy_take_last(g, sy_cumsum(g, sy_take_last(g, p, order)), rank);
    sy_value beyond = sy_binary(g, SY_OP_LESS, sy_const(g, params->mass), mass);
    return sy_binary(g, SY_OP_MAX, sy_sub(g, whole(g, 1), beyond), sy_binary(g, SY_OP_EQUAL, rank, whole(g, 0)));
}

/* The route, of q and keys that are smoothed already. */
static sy_value predict(sy_graph *g, const sy_sparge_params *params, const sizes *s, sy_value k)
{
    const sy_type *q = &g->nodes[params->q].type;
    double scale = 1 / sqrt(q->dim[3]);
    sy_type all = SY_T(SY_I32, s->heads, s->rows, s->columns);
    sy_value sure_rows = coherent(g, params->q, s->heads, s->queries, params->block_rows, params->similarity);
    sy_value sure_columns = coherent(g, k, s->heads, s->keys, params->block_keys, params->similarity);
    sure_rows = sy_reshape(g, sure_rows, SY_T(SY_I32, s->heads, s->rows, 1));
    sure_columns = sy_reshape(g, sure_columns, SY_T(SY_I32, s->heads, 1, s->columns));
    sy_value p = sy_block_scores(g, params->q, k, params->block_rows, params->block_keys, scale);
    p = sy_reshape(g, p, SY_T(SY_F32, s->heads, s->rows, s->columns));
    sy_value seen = params->causal ? visible(g, params, s) : 0;
    sy_value counts = seen ? sy_mul(g, sure_columns, seen) : sure_columns;
    p = sy_row(g, SY_OP_SOFTMAX, sy_select(g, counts, p, sy_const(g, HIDDEN)), 0);
    sy_value keep = taken(g, params, s, p);
    keep = sy_binary(g, SY_OP_MAX, keep, sy_sub(g, whole(g, 1), sy_mul(g, sure_rows, sure_columns)));
    if (params->sink) {
        sy_value first = sy_binary(g, SY_OP_EQUAL, sy_iota(g, SY_T(SY_I32, 1, 1, s->columns), 2), whole(g, 0));
        keep = sy_binary(g, SY_OP_MAX, keep, first);
    }
    if (seen)
        keep = sy_mul(g, keep, seen);
    int32_t rows = all.dim[0] * all.dim[1];
    return sy_mask_route(g, sy_reshape(g, keep, SY_T(SY_I32, rows, s->columns)),
                         sy_reshape(g, p, SY_T(SY_F32, rows, s->columns)));
}

/* x[B,H,T,d] rounded to 8 bits, with one scale a block of tokens. */
static sy_value quantised(sy_graph *g, sy_value x, int32_t block)
{
    const int32_t *d = g->nodes[x].type.dim;
    int32_t dim[4] = {d[0], d[1], d[2], d[3]}, blocks = (int32_t)(((int64_t)dim[2] + block - 1) / block);
    int32_t rest = blocks * block - dim[2], heads = dim[0] * dim[1];
    if (rest)
        x = sy_pad(g, x, (const int32_t[4]){0}, (const int32_t[4]){0, 0, rest, 0}, SY_PAD_ZERO);
    x = sy_reshape(g, x, SY_T(SY_F32, heads, blocks, block * dim[3]));
    sy_value most = sy_row(g, SY_OP_REDUCE_MAX, sy_unary(g, SY_OP_ABS, x), 0);
    sy_value scale = sy_add(g, sy_mul(g, most, sy_const(g, 1.0 / 127)), sy_const(g, 1e-7));
    sy_value y = sy_binary(g, SY_OP_DIV, x, scale);
    sy_value size = sy_unary(g, SY_OP_FLOOR, sy_add(g, sy_unary(g, SY_OP_ABS, y), sy_const(g, 0.5)));
    y = sy_select(g, sy_binary(g, SY_OP_LESS, y, sy_const(g, 0)), sy_unary(g, SY_OP_NEG, size), size);
    y = sy_reshape(g, sy_mul(g, y, scale), SY_T(SY_F32, dim[0], dim[1], blocks * block, dim[3]));
    return rest ? sy_slice_axis(g, y, 2, 0, dim[2]) : y;
}

sy_value sy_sparge_route(sy_graph *g, const sy_sparge_params *params)
{
    sizes s;
    if (!fits(g, params, &s))
        return 0;
    return predict(g, params, &s, params->smooth_keys ? smoothed(g, params->k) : params->k);
}

sy_value sy_sparge_attention(sy_graph *g, const sy_sparge_params *params, sy_value *route)
{
    sizes s;
    if (!fits(g, params, &s))
        return 0;
    sy_value k = params->smooth_keys ? smoothed(g, params->k) : params->k, r = predict(g, params, &s, k);
    sy_attention_params a = {.q = params->q,
                             .k = k,
                             .v = params->v,
                             .causal = params->causal,
                             .route = r,
                             .block_rows = params->block_rows,
                             .block_keys = params->block_keys,
                             .skip = params->skip};
    if (params->quantise) {
        a.q = quantised(g, params->q, params->block_rows);
        a.k = quantised(g, k, params->block_keys);
    }
    if (route)
        *route = r;
    return sy_route_attention(g, &a);
}
