/* Views: the same elements under other indices; and concat. */
#include "graph/ops/family.h"

#include <string.h>

bool sy_infer_reshape(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error) || !sy_need_type(graph, node, type_given, error))
        return false;
    node->type.dtype = sy_arg_type(graph, node, 0)->dtype;
    char text[96];
    if (sy_type_count(&node->type) != sy_type_count(sy_arg_type(graph, node, 0)))
        return sy_misfit(graph, node, error, "the number of elements must stay, not become that of %s",
                         sy_type_text(&node->type, text));
    return true;
}

bool sy_infer_transpose(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    const int32_t *perm = node->attributes.ints;
    unsigned seen = 0;
    sy_type type = *x;
    for (int d = 0; d < x->rank; d++) {
        if (perm[d] < 0 || perm[d] >= x->rank || seen & 1u << perm[d])
            return sy_misfit(graph, node, error, "ints must be a permutation of 0…%d", x->rank - 1);
        seen |= 1u << perm[d];
        type.dim[d] = x->dim[perm[d]];
    }
    for (int d = x->rank; d < SY_MAX_RANK; d++)
        if (perm[d])
            return sy_misfit(graph, node, error, "ints has more entries than the argument has dimensions");
    node->type = type;
    return true;
}

bool sy_infer_slice(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error) || !sy_need_type(graph, node, type_given, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    node->type.dtype = x->dtype;
    if (node->type.rank != x->rank)
        return sy_misfit(graph, node, error, "a slice keeps the rank");
    for (int d = 0; d < SY_MAX_RANK; d++) {
        int32_t start = node->attributes.ints[d];
        if (d >= x->rank ? start != 0 : start < 0 || (int64_t)start + node->type.dim[d] > x->dim[d])
            return sy_misfit(graph, node, error, "dimension %d: %d + %d is outside", d, start,
                             d < x->rank ? node->type.dim[d] : 0);
    }
    return true;
}

bool sy_infer_broadcast(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error) || !sy_need_type(graph, node, type_given, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    node->type.dtype = x->dtype;
    int more = node->type.rank - x->rank;
    for (int d = 0; d < x->rank; d++)
        if (more < 0 || (x->dim[d] != 1 && x->dim[d] != node->type.dim[d + more]))
            return sy_misfit(graph, node, error, "only dimensions of 1 are repeated");
    return true;
}

bool sy_infer_concat(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    sy_type type = *sy_arg_type(graph, node, 0);
    int axis = node->attributes.axis;
    if (axis < 0 || axis >= type.rank)
        return sy_misfit(graph, node, error, "axis %d is not below the rank %d", axis, type.rank);
    int64_t sum = 0;
    for (uint32_t i = 0; i < node->n_args; i++) {
        sy_type part = *sy_arg_type(graph, node, i);
        sum += part.dim[axis];
        part.dim[axis] = type.dim[axis];
        if (!sy_type_equal(&part, &type))
            return sy_misfit(graph, node, error, "argument %u differs in more than axis %d", i + 1, axis);
    }
    if (sum > INT32_MAX)
        return sy_misfit(graph, node, error, "the result is too long");
    type.dim[axis] = (int32_t)sum;
    node->type = type;
    return true;
}

bool sy_eval_reshape(sy_eval *e, sy_value value, sy_error *error)
{
    (void)error;
    e->tensor[value] = e->tensor[sy_eval_node(e, value)->args[0]];
    e->borrowed[value] = true;
    return true;
}

/* Walks the result in order, the argument by strides: serves transpose, slice and broadcast. */
static bool walk(sy_eval *e, sy_value value, const uint64_t *stride, uint64_t start, sy_error *error)
{
    const sy_type *type = &sy_eval_node(e, value)->type;
    const double *x = sy_eval_arg(e, value, 0) + start;
    double *out = sy_eval_result(e, value, error);
    uint64_t count = sy_type_count(type), inner = sy_last(type), step = stride[type->rank - 1];
    int32_t index[SY_MAX_RANK] = {0};
    for (uint64_t k = 0; out && k < count; k += inner) {
        for (uint64_t i = 0; i < inner; i++)
            out[k + i] = x[i * step];
        for (int d = type->rank - 2; d >= 0; d--) {
            x += stride[d];
            if (++index[d] < type->dim[d])
                break;
            x -= stride[d] * (uint64_t)type->dim[d];
            index[d] = 0;
        }
    }
    return out;
}

static void row_major(const sy_type *type, uint64_t stride[SY_MAX_RANK])
{
    uint64_t step = 1;
    for (int d = type->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= (uint64_t)type->dim[d];
    }
}

bool sy_eval_transpose(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t own[SY_MAX_RANK], stride[SY_MAX_RANK];
    row_major(sy_arg_type(e->graph, node, 0), own);
    for (int d = 0; d < node->type.rank; d++)
        stride[d] = own[node->attributes.ints[d]];
    return walk(e, value, stride, 0, error);
}

bool sy_eval_slice(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t stride[SY_MAX_RANK], start = 0;
    row_major(sy_arg_type(e->graph, node, 0), stride);
    for (int d = 0; d < node->type.rank; d++)
        start += (uint64_t)node->attributes.ints[d] * stride[d];
    return walk(e, value, stride, start, error);
}

bool sy_eval_broadcast(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *x = sy_arg_type(e->graph, node, 0);
    uint64_t own[SY_MAX_RANK], stride[SY_MAX_RANK] = {0};
    row_major(x, own);
    for (int d = 0, more = node->type.rank - x->rank; d < x->rank; d++)
        stride[d + more] = x->dim[d] == 1 ? 0 : own[d];
    return walk(e, value, stride, 0, error);
}

bool sy_eval_concat(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    int axis = node->attributes.axis;
    uint64_t outer = 1, inner = 1, at = 0;
    for (int d = 0; d < axis; d++)
        outer *= (uint64_t)node->type.dim[d];
    for (int d = axis + 1; d < node->type.rank; d++)
        inner *= (uint64_t)node->type.dim[d];
    uint64_t row = inner * (uint64_t)node->type.dim[axis];
    double *out = sy_eval_result(e, value, error);
    for (uint32_t i = 0; out && i < node->n_args; i++) {
        uint64_t part = inner * (uint64_t)sy_arg_type(e->graph, node, i)->dim[axis];
        const double *x = sy_eval_arg(e, value, i);
        for (uint64_t o = 0; o < outer; o++)
            memcpy(out + o * row + at, x + o * part, part * sizeof *out);
        at += part;
    }
    return out;
}
