/* Statistics over the last axis, and what they make of it. */
#include "graph/ops/family.h"

#include <math.h>
#include <stdlib.h>

bool sy_infer_row_map(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    if (!sy_dtype_is_float(sy_arg_type(graph, node, 0)->dtype))
        return sy_misfit(graph, node, error, "works on floating-point numbers; cast first");
    if (!(node->attributes.eps >= 0) || node->attributes.eps > 1)
        return sy_misfit(graph, node, error, "eps must be between 0 and 1");
    node->type = *sy_arg_type(graph, node, 0);
    node->type.dtype = SY_F32;
    return true;
}

bool sy_infer_reduce(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_infer_row_map(graph, node, type_given, error))
        return false;
    node->type.dim[node->type.rank - 1] = 1;
    return true;
}

bool sy_infer_top_k(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_infer_row_map(graph, node, type_given, error))
        return false;
    int32_t *last = &node->type.dim[node->type.rank - 1];
    if (node->attributes.k < 1 || node->attributes.k > *last)
        return sy_misfit(graph, node, error, "k = %d is not between 1 and the last dimension", node->attributes.k);
    *last = node->attributes.k;
    node->type.dtype = SY_I32;
    return true;
}

bool sy_infer_entmax(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    double alpha = node->attributes.alpha;
    if (alpha != 1.5 && alpha != 2)
        return sy_misfit(graph, node, error, "alpha must be 1.5 or 2");
    return sy_infer_row_map(graph, node, type_given, error);
}

double sy_flops_row(const sy_graph *graph, const sy_node *node)
{
    double n = (double)sy_type_count(sy_arg_type(graph, node, 0));
    switch (node->op) {
    case SY_OP_SOFTMAX:
        return 4 * n; /* max, subtract and exp, sum, divide */
    case SY_OP_LAYER_NORM:
        return 6 * n; /* sum, subtract, square, sum, subtract, scale */
    case SY_OP_RMS_NORM:
    case SY_OP_L2_NORMALISE:
        return 3 * n;
    case SY_OP_TOP_K:
        return n * node->attributes.k;
    case SY_OP_ENTMAX:
        return n * 3 * 20; /* subtract, clamp, add in each pass over the row: see shaders/row.comp */
    default:
        return n;
    }
}

bool sy_eval_softmax(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_type *type = &sy_eval_node(e, value)->type;
    uint64_t n = sy_last(type), rows = sy_rows(type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t r = 0; out && r < rows; r++, x += n) {
        double most = x[0], sum = 0, *o = out + r * n;
        for (uint64_t i = 1; i < n; i++)
            most = x[i] > most ? x[i] : most;
        for (uint64_t i = 0; i < n; i++)
            sum += o[i] = exp(x[i] - most);
        for (uint64_t i = 0; i < n; i++)
            o[i] /= sum;
    }
    return out;
}

/* The threshold of sorted numbers z (largest first) is that of the largest support that holds its own last element:
 * sparsemax, arXiv 1602.02068 algorithm 1; entmax-1.5, arXiv 1905.05702 algorithm 2. */
static double threshold(const double *x, const int32_t *order, uint64_t n, double alpha)
{
    double sum = 0, square = 0, result = -INFINITY;
    for (uint64_t i = 0; i < n; i++) {
        double k = (double)i + 1, z = (x[order[i]] - x[order[0]]) * (alpha - 1);
        sum += z;
        square += z * z;
        double mean = sum / k, rest = (1 - (square - k * mean * mean)) / k;
        double t = alpha == 2 ? (sum - 1) / k : mean - sqrt(rest > 0 ? rest : 0);
        if (t <= z)
            result = t;
    }
    return result;
}

bool sy_eval_entmax(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(&node->type), rows = sy_rows(&node->type);
    double alpha = node->attributes.alpha;
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    int32_t *order = malloc(n * sizeof *order);
    bool fine =
        order || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to sort %llu numbers.", (unsigned long long)n);
    for (uint64_t r = 0; out && fine && r < rows; r++, x += n) {
        fine = sy_eval_sort(x, (int64_t)n, true, order, error);
        double t = fine ? threshold(x, order, n, alpha) : 0;
        for (uint64_t i = 0; fine && i < n; i++) {
            double p = fmax((x[i] - x[order[0]]) * (alpha - 1) - t, 0);
            out[r * n + i] = alpha == 2 ? p : p * p;
        }
    }
    free(order);
    return out && fine;
}

/* The three norms differ in what is taken off and what is divided by. */
static bool normalise(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(&node->type), rows = sy_rows(&node->type);
    double eps = node->attributes.eps;
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t r = 0; out && r < rows; r++, x += n) {
        double mean = 0, square = 0;
        for (uint64_t i = 0; i < n && node->op == SY_OP_LAYER_NORM; i++)
            mean += x[i] / (double)n;
        for (uint64_t i = 0; i < n; i++)
            square += (x[i] - mean) * (x[i] - mean);
        double divisor = node->op == SY_OP_L2_NORMALISE ? fmax(sqrt(square), eps) : sqrt(square / (double)n + eps);
        for (uint64_t i = 0; i < n; i++)
            out[r * n + i] = (x[i] - mean) / divisor;
    }
    return out;
}

bool sy_eval_layer_norm(sy_eval *e, sy_value value, sy_error *error)
{
    return normalise(e, value, error);
}

bool sy_eval_rms_norm(sy_eval *e, sy_value value, sy_error *error)
{
    return normalise(e, value, error);
}

bool sy_eval_l2_normalise(sy_eval *e, sy_value value, sy_error *error)
{
    return normalise(e, value, error);
}

bool sy_eval_reduce(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(sy_arg_type(e->graph, node, 0)), rows = sy_type_count(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t r = 0; out && r < rows; r++, x += n) {
        double result = x[0];
        for (uint64_t i = 1; i < n; i++)
            result = node->op == SY_OP_REDUCE_MAX ? fmax(result, x[i]) : result + x[i];
        out[r] = node->op == SY_OP_REDUCE_MEAN ? result / (double)n : result;
    }
    return out;
}

/* True if (x, i) comes before (y, k): larger first, of equals the lower index. NaN comes last. */
static bool before(double x, int64_t i, double y, int64_t k)
{
    if (isnan(x) || isnan(y))
        return isnan(x) == isnan(y) ? i < k : isnan(y);
    return x > y || (x == y && i < k);
}

void sy_eval_best(const double *x, int64_t n, int64_t stride, int64_t k, int32_t *out)
{
    for (int64_t j = 0; j < k; j++) {
        int64_t best = -1, last = j ? out[j - 1] : -1;
        for (int64_t i = 0; i < n; i++) /* the first after the one chosen before, in this total order */
            if ((last < 0 || before(x[last * stride], last, x[i * stride], i)) &&
                (best < 0 || before(x[i * stride], i, x[best * stride], best)))
                best = i;
        out[j] = (int32_t)best;
    }
}

bool sy_eval_top_k(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(sy_arg_type(e->graph, node, 0)), k = sy_last(&node->type), rows = sy_rows(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    int32_t *best = malloc(n * sizeof *best);
    if (!best)
        out = NULL, sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to choose %llu columns.", (unsigned long long)k);
    for (uint64_t r = 0; out && r < rows; r++) {
        if (k <= 16)
            sy_eval_best(x + r * n, (int64_t)n, 1, (int64_t)k, best);
        else if (!sy_eval_sort(x + r * n, (int64_t)n, true, best, error))
            out = NULL;
        if (!out)
            break;
        for (uint64_t j = 0; j < k; j++)
            out[r * k + j] = best[j];
    }
    free(best);
    return out;
}
