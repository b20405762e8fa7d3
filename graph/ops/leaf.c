/* Leaves: inputs, states, step values, parameters, constants, indices. */
#include "graph/ops/family.h"

#include <math.h>

bool sy_infer_declared(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    return sy_need_type(graph, node, type_given, error);
}

bool sy_infer_step(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)graph, (void)type_given, (void)error;
    node->type = sy_tensor(SY_F32, 1, (const int32_t[]){1});
    return true;
}

bool sy_infer_step_index(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)graph, (void)type_given, (void)error;
    node->type = sy_tensor(SY_U32, 1, (const int32_t[]){1});
    return true;
}

bool sy_infer_const(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_type(graph, node, type_given, error))
        return false;
    uint64_t count = sy_type_count(&node->type);
    uint32_t given = node->attributes.values.count;
    if (given != 1 && given != count)
        return sy_misfit(graph, node, error, "%u values for %llu elements; give 1 or one each", given,
                         (unsigned long long)count);
    if (sy_dtype_is_float(node->type.dtype))
        return true;
    bool is_signed = node->type.dtype == SY_I32;
    for (uint32_t i = 0; i < given; i++) {
        double x = node->attributes.values.data[i];
        if (!(x == floor(x) && x >= (is_signed ? INT32_MIN : 0) && x <= (is_signed ? (double)INT32_MAX : UINT32_MAX)))
            return sy_misfit(graph, node, error, "%g is no %s", x, sy_dtype_name(node->type.dtype));
    }
    return true;
}

bool sy_infer_iota(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_type(graph, node, type_given, error))
        return false;
    if (node->attributes.axis < 0 || node->attributes.axis >= node->type.rank)
        return sy_misfit(graph, node, error, "axis %d is not below the rank %d", node->attributes.axis,
                         node->type.rank);
    return true;
}

bool sy_eval_leaf(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    double *out = sy_eval_result(e, value, error);
    if (!out)
        return false;
    if (node->op == SY_OP_STEP_INDEX) {
        out[0] = e->step;
        return true;
    }
    if (!e->read)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s \"%s\" has no content.", sy_op_get(node->op)->name,
                       node->name);
    return e->read(e->context, node, out, error);
}

bool sy_eval_const(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_value_list *list = &sy_eval_node(e, value)->attributes.values;
    uint64_t count = sy_type_count(&sy_eval_node(e, value)->type);
    double *out = sy_eval_result(e, value, error);
    sy_dtype dtype = sy_eval_node(e, value)->type.dtype;
    for (uint64_t i = 0; out && i < count; i++)
        out[i] = sy_eval_round(dtype, list->data[list->count == 1 ? 0 : i]);
    return out;
}

bool sy_eval_iota(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_type *type = &sy_eval_node(e, value)->type;
    int axis = sy_eval_node(e, value)->attributes.axis;
    uint64_t count = sy_type_count(type), inner = 1;
    double *out = sy_eval_result(e, value, error);
    for (int d = axis + 1; d < type->rank; d++)
        inner *= (uint64_t)type->dim[d];
    for (uint64_t i = 0; out && i < count; i++)
        out[i] = (double)(i / inner % (uint64_t)type->dim[axis]);
    return out;
}
