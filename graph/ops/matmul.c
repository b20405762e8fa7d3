/* Dense and grouped matrix products. */
#include "graph/ops/family.h"

#include <stdlib.h>

/* a[…,K] b[K,N], or with equal leading dimensions: batch products of M x K by K x N. */
typedef struct shape {
    uint64_t batch, m, k, n;
} shape;

static shape shape_of(const sy_graph *graph, const sy_node *node)
{
    const sy_type *a = sy_arg_type(graph, node, 0), *b = sy_arg_type(graph, node, 1);
    shape s = {1, 1, sy_last(a), (uint64_t)node->type.dim[node->type.rank - 1]};
    int batched = b->rank > 2 ? b->rank - 2 : 0;
    for (int d = 0; d < a->rank - 1; d++)
        *(d < batched ? &s.batch : &s.m) *= (uint64_t)a->dim[d];
    return s;
}

bool sy_infer_matmul(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *a = sy_arg_type(graph, node, 0), *b = sy_arg_type(graph, node, 1);
    if (!sy_dtype_is_float(a->dtype) || !sy_dtype_is_float(b->dtype))
        return sy_misfit(graph, node, error, "both must be floating-point");
    if (b->rank < 2 || (b->rank > 2 && a->rank != b->rank))
        return sy_misfit(graph, node, error, "the right one is a matrix, or has as many dimensions as the left one");
    for (int d = 0; d + 2 < b->rank; d++)
        if (a->dim[d] != b->dim[d])
            return sy_misfit(graph, node, error, "the leading dimensions differ");
    bool t = node->attributes.transpose_b;
    if (sy_last(a) != (uint64_t)b->dim[b->rank - (t ? 1 : 2)])
        return sy_misfit(graph, node, error, "the inner dimensions differ");
    sy_type type = *a;
    type.dtype = SY_F32;
    type.dim[a->rank - 1] = b->dim[b->rank - (t ? 2 : 1)];
    node->type = type;
    return true;
}

double sy_flops_matmul(const sy_graph *graph, const sy_node *node)
{
    shape s = shape_of(graph, node);
    return 2.0 * (double)s.batch * (double)s.m * (double)s.n * (double)s.k;
}

/* One row: out[n] += a[k] b[k,n]. With b as [N,K] dot products are contiguous instead. */
static void row_product(double *restrict out, const double *restrict a, const double *restrict b, uint64_t n, uint64_t k, bool transposed)
{
    if (transposed) {
        for (uint64_t j = 0; j < n; j++) {
            double sum[4] = {0};
            const double *row = b + j * k;
            uint64_t i = 0;
            for (; i + 4 <= k; i += 4)
                for (int c = 0; c < 4; c++)
                    sum[c] += a[i + (uint64_t)c] * row[i + (uint64_t)c];
            for (; i < k; i++)
                sum[0] += a[i] * row[i];
            out[j] = sum[0] + sum[1] + sum[2] + sum[3];
        }
        return;
    }
    for (uint64_t i = 0; i < k; i++) {
        double x = a[i];
        const double *row = b + i * n;
        for (uint64_t j = 0; j < n; j++)
            out[j] += x * row[j];
    }
}

bool sy_eval_matmul(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    shape s = shape_of(e->graph, node);
    const double *a = sy_eval_arg(e, value, 0), *b = sy_eval_arg(e, value, 1);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < s.batch * s.m; i++)
        row_product(out + i * s.n, a + i * s.k, b + i / s.m * s.k * s.n, s.n, s.k, node->attributes.transpose_b);
    return out;
}

bool sy_infer_grouped_matmul(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 2, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *w = sy_arg_type(graph, node, 1), *r = sy_arg_type(graph, node, 2);
    bool t = node->attributes.transpose_b;
    if (!sy_dtype_is_float(x->dtype) || !sy_dtype_is_float(w->dtype) || x->rank != 2 || w->rank != 3)
        return sy_misfit(graph, node, error, "it takes a floating-point matrix and a stack of matrices");
    if (w->dim[0] != r->dim[SY_ROUTE_TARGETS])
        return sy_misfit(graph, node, error, "%d matrices for %d targets", w->dim[0], r->dim[SY_ROUTE_TARGETS]);
    if (x->dim[0] != r->dim[node->attributes.gather ? SY_ROUTE_ROWS : SY_ROUTE_SLOTS])
        return sy_misfit(graph, node, error, "the left one must have a row for each %s", node->attributes.gather ? "row of the route (gather=1)" : "slot of the route (gather=0)");
    if (x->dim[1] != w->dim[t ? 2 : 1])
        return sy_misfit(graph, node, error, "the inner dimensions differ");
    node->type = sy_tensor(SY_F32, 2, (const int32_t[]){r->dim[SY_ROUTE_SLOTS], w->dim[t ? 1 : 2]});
    return true;
}

double sy_flops_grouped_matmul(const sy_graph *graph, const sy_node *node)
{
    return 2.0 * (double)sy_type_count(&node->type) * sy_arg_type(graph, node, 0)->dim[1];
}

bool sy_eval_grouped_matmul(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_eval_route *r = sy_eval_arg_route(e, value, 2);
    uint64_t n = sy_last(&node->type), k = sy_last(sy_arg_type(e->graph, node, 0));
    const double *x = sy_eval_arg(e, value, 0), *w = sy_eval_arg(e, value, 1);
    double *out = sy_eval_result(e, value, error);
    for (int32_t s = 0; out && s < r->count; s++) {
        uint64_t from = (uint64_t)(node->attributes.gather ? r->row[s] : s);
        row_product(out + (uint64_t)s * n, x + from * k, w + (uint64_t)r->target[s] * n * k, n, k, node->attributes.transpose_b);
    }
    return out;
}
