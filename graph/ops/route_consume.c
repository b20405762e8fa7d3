/* What reads routes: combine, gather, scatter, spread, loads and words. (The grouped matmul is in matmul.c.) */
#include "graph/ops/family.h"

#include <string.h>

/* A matrix at argument `i` with one row for each of what `dim` of the route at argument 1 counts. */
static bool need_matrix(const sy_graph *graph, const sy_node *node, uint32_t i, int dim, sy_error *error)
{
    static const char *const counted[] = {"row", "target", "slot"};
    const sy_type *x = sy_arg_type(graph, node, i), *r = sy_arg_type(graph, node, 1);
    if (x->rank != 2 || x->dim[0] != r->dim[dim])
        return sy_misfit(graph, node, error, "argument %u must be a matrix with a row for each %s of the route", i + 1,
                         counted[dim]);
    return true;
}

static bool matrix_to(const sy_graph *graph, sy_node *node, int from, int to, sy_error *error)
{
    if (!sy_need_route(graph, node, 1, error) || !need_matrix(graph, node, 0, from, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    sy_dtype dtype = sy_dtype_is_float(x->dtype) ? SY_F32 : x->dtype;
    node->type = sy_tensor(dtype, 2, (const int32_t[]){sy_arg_type(graph, node, 1)->dim[to], x->dim[1]});
    return true;
}

bool sy_infer_combine(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!matrix_to(graph, node, SY_ROUTE_SLOTS, SY_ROUTE_ROWS, error))
        return false;
    if (node->type.dtype != SY_F32)
        return sy_misfit(graph, node, error, "works on floating-point numbers; cast first");
    return sy_need_switch(graph, node, "weighted", node->attributes.weighted, error);
}

bool sy_infer_route_gather(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    return matrix_to(graph, node, SY_ROUTE_ROWS, SY_ROUTE_SLOTS, error);
}

bool sy_infer_route_spread(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    return matrix_to(graph, node, SY_ROUTE_TARGETS, SY_ROUTE_SLOTS, error);
}

bool sy_infer_route_scatter(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!matrix_to(graph, node, SY_ROUTE_SLOTS, SY_ROUTE_ROWS, error) ||
        !need_matrix(graph, node, 2, SY_ROUTE_ROWS, error))
        return false;
    const sy_type *base = sy_arg_type(graph, node, 2);
    if (base->dim[1] != node->type.dim[1] || sy_dtype_is_float(base->dtype) != (node->type.dtype == SY_F32))
        return sy_misfit(graph, node, error, "the base must have the columns and the kind of numbers of the first");
    return true;
}

bool sy_infer_route_load(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 0, error))
        return false;
    node->type = sy_tensor(SY_I32, 1, &sy_arg_type(graph, node, 0)->dim[SY_ROUTE_TARGETS]);
    return true;
}

bool sy_infer_route_words(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 0, error))
        return false;
    uint64_t words = sy_type_count(sy_arg_type(graph, node, 0));
    if (words > INT32_MAX)
        return sy_misfit(graph, node, error, "the route is too large to be a tensor");
    node->type = sy_tensor(SY_U32, 1, (const int32_t[]){(int32_t)words});
    return true;
}

double sy_flops_combine(const sy_graph *graph, const sy_node *node)
{
    return (node->attributes.weighted ? 2.0 : 1.0) * (double)sy_type_count(sy_arg_type(graph, node, 0));
}

bool sy_eval_combine(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_eval_route *r = sy_eval_arg_route(e, value, 1);
    uint64_t n = sy_last(&node->type);
    const double *y = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (int32_t t = 0; out && t < r->rows; t++)
        for (int32_t i = r->row_offsets[t]; i < r->row_offsets[t + 1]; i++) {
            int32_t s = r->row_slots[i];
            double w = node->attributes.weighted ? r->weight[s] : 1;
            for (uint64_t c = 0; c < n; c++)
                out[(uint64_t)t * n + c] += w * y[(uint64_t)s * n + c];
        }
    return out;
}

/* out[s] = x[from[s]] for each slot. */
static bool gather(sy_eval *e, sy_value value, const int32_t *from, int32_t count, sy_error *error)
{
    uint64_t n = sy_last(&sy_eval_node(e, value)->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (int32_t s = 0; out && s < count; s++)
        memcpy(out + (uint64_t)s * n, x + (uint64_t)from[s] * n, n * sizeof *out);
    return out;
}

bool sy_eval_route_gather(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_eval_route *r = sy_eval_arg_route(e, value, 1);
    return gather(e, value, r->row, r->count, error);
}

bool sy_eval_route_spread(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_eval_route *r = sy_eval_arg_route(e, value, 1);
    return gather(e, value, r->target, r->count, error);
}

bool sy_eval_route_scatter(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_eval_route *r = sy_eval_arg_route(e, value, 1);
    uint64_t n = sy_last(&sy_eval_node(e, value)->type);
    const double *y = sy_eval_arg(e, value, 0), *base = sy_eval_arg(e, value, 2);
    double *out = sy_eval_result(e, value, error);
    for (int32_t t = 0; out && t < r->rows; t++) {
        int32_t end = r->row_offsets[t + 1];
        const double *from = end > r->row_offsets[t] ? y + (uint64_t)r->row_slots[end - 1] * n : base + (uint64_t)t * n;
        memcpy(out + (uint64_t)t * n, from, n * sizeof *out);
    }
    return out;
}

bool sy_eval_route_load(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_eval_route *r = sy_eval_arg_route(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (int32_t t = 0; out && t < r->targets; t++)
        out[t] = r->offsets[t + 1] - r->offsets[t];
    return out;
}

bool sy_eval_route_words(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_type_count(&node->type);
    double *out = sy_eval_result(e, value, error);
    if (!out)
        return false;
    /* The words are stored into the upper half of the result and widened in place from the front. */
    uint32_t *words = (uint32_t *)(void *)out + n;
    if (!sy_eval_store(e, node->args[0], 0, words, n * sizeof *words, error))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t word = words[i];
        out[i] = word;
    }
    return true;
}
