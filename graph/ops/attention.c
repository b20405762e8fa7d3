/* Dense attention: softmax(scale q k^T) v for each batch item and head. */
#include "graph/ops/family.h"

#include <math.h>
#include <stdlib.h>

bool sy_infer_attention(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *q = sy_arg_type(graph, node, 0), *k = sy_arg_type(graph, node, 1), *v = sy_arg_type(graph, node, 2);
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return sy_misfit(graph, node, error, "q, k and v have 4 dimensions: batch, head, token, channel");
    for (int d = 0; d < 2; d++)
        if (q->dim[d] != k->dim[d] || q->dim[d] != v->dim[d])
            return sy_misfit(graph, node, error, "batch and heads must be equal");
    if (k->dim[2] != v->dim[2] || q->dim[3] != k->dim[3])
        return sy_misfit(graph, node, error, "k and v must have equal tokens, q and k equal channels");
    if (!sy_dtype_is_float(q->dtype) || !sy_dtype_is_float(k->dtype) || !sy_dtype_is_float(v->dtype))
        return sy_misfit(graph, node, error, "all must be floating-point");
    if (!isfinite(node->attributes.scale) || node->attributes.scale == 0)
        return sy_misfit(graph, node, error, "scale is %g, and must be a number other than 0", node->attributes.scale);
    sy_type type = *q;
    type.dtype = SY_F32;
    type.dim[3] = v->dim[3];
    node->type = type;
    return true;
}

/* 2 d for each score, 2 e for each weighted value, and about 4 for its exponential and sums. */
double sy_flops_attention(const sy_graph *graph, const sy_node *node)
{
    const sy_type *q = sy_arg_type(graph, node, 0), *v = sy_arg_type(graph, node, 2);
    double scores = (double)q->dim[0] * q->dim[1] * q->dim[2] * v->dim[2];
    return scores * (2.0 * q->dim[3] + 2.0 * v->dim[3] + 4.0);
}

bool sy_eval_attention(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *tq = sy_arg_type(e->graph, node, 0), *tv = sy_arg_type(e->graph, node, 2);
    uint64_t heads = (uint64_t)tq->dim[0] * (uint64_t)tq->dim[1], t = (uint64_t)tq->dim[2], s = (uint64_t)tv->dim[2];
    uint64_t d = (uint64_t)tq->dim[3], n = (uint64_t)tv->dim[3];
    const double *q = sy_eval_arg(e, value, 0), *k = sy_eval_arg(e, value, 1), *v = sy_eval_arg(e, value, 2);
    double *out = sy_eval_result(e, value, error), *weight = malloc(s * sizeof *weight);
    if (!weight)
        out = NULL,
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu attention weights.", (unsigned long long)s);
    for (uint64_t row = 0; out && row < heads * t; row++) {
        uint64_t h = row / t;
        double most = -INFINITY, sum = 0, *o = out + row * n;
        for (uint64_t j = 0; j < s; j++) {
            const double *x = q + row * d, *y = k + (h * s + j) * d;
            double dot = 0;
            for (uint64_t i = 0; i < d; i++)
                dot += x[i] * y[i];
            weight[j] = dot * node->attributes.scale;
            most = weight[j] > most ? weight[j] : most;
        }
        for (uint64_t j = 0; j < s; j++)
            sum += weight[j] = exp(weight[j] - most);
        for (uint64_t j = 0; j < s; j++) {
            const double share = weight[j] / sum, *from = v + (h * s + j) * n;
            for (uint64_t i = 0; i < n; i++)
                o[i] += share * from[i];
        }
    }
    free(weight);
    return out;
}
