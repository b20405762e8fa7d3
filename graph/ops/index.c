/* Reads at computed indices, and random numbers, which are computed from the index alone. */
#include "graph/ops/family.h"
#include "graph/ops/philox.h"

#include <string.h>

bool sy_infer_take_rows(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *ids = sy_arg_type(graph, node, 1);
    if (ids->dtype != SY_I32)
        return sy_misfit(graph, node, error, "the ids must be i32");
    if (x->rank + ids->rank - 1 > SY_MAX_RANK)
        return sy_misfit(graph, node, error, "the result would have more than %d dimensions", SY_MAX_RANK);
    sy_type type = *ids;
    type.dtype = sy_dtype_is_float(x->dtype) ? SY_F32 : x->dtype;
    for (int d = 1; d < x->rank; d++)
        type.dim[type.rank++] = x->dim[d];
    node->type = type;
    return true;
}

bool sy_infer_take_last(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *ids = sy_arg_type(graph, node, 1);
    if (ids->dtype != SY_I32 || ids->rank != x->rank)
        return sy_misfit(graph, node, error, "the ids must be i32 of the same rank");
    for (int d = 0; d + 1 < x->rank; d++)
        if (x->dim[d] != ids->dim[d])
            return sy_misfit(graph, node, error, "all dimensions but the last must be equal");
    sy_type type = *ids;
    type.dtype = sy_dtype_is_float(x->dtype) ? SY_F32 : x->dtype;
    node->type = type;
    return true;
}

bool sy_infer_random(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error) || !sy_need_type(graph, node, type_given, error))
        return false;
    const sy_type *seeds = sy_arg_type(graph, node, 0);
    if (seeds->dtype != SY_U32 || seeds->rank != 1 || seeds->dim[0] != node->type.dim[0] || node->type.dtype != SY_F32)
        return sy_misfit(graph, node, error, "it takes u32 seeds, one for each first index of its f32 result");
    if (node->n_args > 1 &&
        (sy_arg_type(graph, node, 1)->dtype != SY_U32 || sy_type_count(sy_arg_type(graph, node, 1)) != 1))
        return sy_misfit(graph, node, error, "the counter must be u32[1]");
    return true;
}

/* Philox' ten rounds make four words with some 100 integer operations; Box-Muller turns two into two normals. */
double sy_flops_random(const sy_graph *graph, const sy_node *node)
{
    (void)graph;
    return 32.0 * (double)sy_type_count(&node->type);
}

bool sy_eval_take_rows(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *x = sy_arg_type(e->graph, node, 0);
    const double *table = sy_eval_arg(e, value, 0), *ids = sy_eval_arg(e, value, 1);
    uint64_t row = sy_type_count(x) / (uint64_t)x->dim[0], n = sy_type_count(sy_arg_type(e->graph, node, 1));
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < n; i++)
        if (ids[i] >= 0 && ids[i] < x->dim[0])
            memcpy(out + i * row, table + (uint64_t)ids[i] * row, row * sizeof *out);
    return out;
}

bool sy_eval_take_last(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(sy_arg_type(e->graph, node, 0)), k = sy_last(&node->type), rows = sy_rows(&node->type);
    const double *x = sy_eval_arg(e, value, 0), *ids = sy_eval_arg(e, value, 1);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t r = 0; out && r < rows; r++)
        for (uint64_t i = 0; i < k; i++) {
            double id = ids[r * k + i];
            out[r * k + i] = id >= 0 && id < (double)n ? x[r * n + (uint64_t)id] : 0;
        }
    return out;
}

bool sy_eval_random_normal(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t items = (uint64_t)node->type.dim[0], each = sy_type_count(&node->type) / items;
    uint32_t step = node->n_args > 1 ? (uint32_t)sy_eval_arg(e, value, 1)[0] : 0;
    const double *seeds = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t n = 0; out && n < items; n++)
        for (uint64_t i = 0; i < each; i += 4) {
            uint32_t word[4];
            double normal[4];
            sy_philox((uint32_t[]){(uint32_t)(i / 4), step, 0, 0},
                      (uint32_t[]){(uint32_t)seeds[n], (uint32_t)node->attributes.stream}, word);
            sy_philox_normals(word, normal);
            for (uint64_t c = 0; c < 4 && i + c < each; c++)
                out[n * each + i + c] = normal[c];
        }
    return out;
}
