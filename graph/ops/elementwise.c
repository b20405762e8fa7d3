/* Element-wise ops and casts. The formulas stand in elementwise.def, once for C and GLSL. */
#include "graph/ops/elementwise.h"

#include "graph/ops/family.h"

#include <math.h>

const char *sy_elementwise_glsl(sy_op op)
{
    switch (op) {
#define EW(id, c_text, glsl)                                                                                           \
    case SY_OP_##id:                                                                                                   \
        return glsl;
#include "graph/ops/elementwise.def"
#undef EW
    default:
        return NULL;
    }
}

static double apply(sy_op op, double a, double b, double c)
{
    switch (op) {
#define EW(id, c_text, glsl)                                                                                           \
    case SY_OP_##id:                                                                                                   \
        return c_text;
#include "graph/ops/elementwise.def"
#undef EW
    default:
        return 0;
    }
}

bool sy_infer_unary(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    node->type = *sy_arg_type(graph, node, 0);
    if (sy_dtype_is_float(node->type.dtype))
        node->type.dtype = SY_F32;
    return true;
}

bool sy_infer_unary_float(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_infer_unary(graph, node, type_given, error))
        return false;
    if (node->type.dtype != SY_F32)
        return sy_misfit(graph, node, error, "works on floating-point numbers; cast first");
    return true;
}

bool sy_infer_cast(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error) || !sy_need_type(graph, node, type_given, error))
        return false;
    sy_type same = *sy_arg_type(graph, node, 0);
    same.dtype = node->type.dtype;
    if (!sy_type_equal(&same, &node->type))
        return sy_misfit(graph, node, error, "a cast keeps the dimensions");
    return true;
}

/* The dtype in registers that both arguments must share: all floats are f32 there. */
static bool common_dtype(const sy_graph *graph, const sy_node *node, uint32_t i, uint32_t k, sy_dtype *out, sy_error *error)
{
    sy_dtype a = sy_arg_type(graph, node, i)->dtype, b = sy_arg_type(graph, node, k)->dtype;
    a = sy_dtype_is_float(a) ? SY_F32 : a;
    b = sy_dtype_is_float(b) ? SY_F32 : b;
    if (a != b)
        return sy_misfit(graph, node, error, "the dtypes differ; cast one of them");
    *out = a;
    return true;
}

bool sy_infer_binary(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    sy_type type = {0};
    if (!sy_need_tensors(graph, node, error) || !common_dtype(graph, node, 0, 1, &type.dtype, error) ||
        !sy_broadcast_dims(graph, node, &type, error))
        return false;
    node->type = type;
    return true;
}

bool sy_infer_compare(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_infer_binary(graph, node, type_given, error))
        return false;
    node->type.dtype = SY_I32;
    return true;
}

bool sy_infer_select(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    sy_type type = {0};
    if (!sy_need_tensors(graph, node, error) || !common_dtype(graph, node, 1, 2, &type.dtype, error) ||
        !sy_broadcast_dims(graph, node, &type, error))
        return false;
    if (sy_arg_type(graph, node, 0)->dtype != SY_I32)
        return sy_misfit(graph, node, error, "the condition must be i32, as less and equal give it");
    node->type = type;
    return true;
}

double sy_flops_map(const sy_graph *graph, const sy_node *node)
{
    (void)graph;
    return (double)sy_type_count(&node->type);
}

/* Offset in an argument's elements of the result's element at `index`. */
static void strides_of(const sy_type *arg, int rank, uint64_t stride[SY_MAX_RANK])
{
    uint64_t step = 1;
    for (int d = rank - 1; d >= 0; d--) {
        int at = d - (rank - arg->rank);
        int32_t dim = at < 0 ? 1 : arg->dim[at];
        stride[d] = dim == 1 ? 0 : step;
        step *= (uint64_t)dim;
    }
}

/* What a 32-bit register of that dtype would hold. */
static double wrap(sy_dtype dtype, double x)
{
    if (dtype == SY_F32 || !isfinite(x))
        return x;
    double whole = fmod(trunc(x), 4294967296.0);
    uint32_t bits = (uint32_t)(int64_t)whole;
    return dtype == SY_U32 ? (double)bits : (double)(int32_t)bits;
}

bool sy_eval_elementwise(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    double *out = sy_eval_result(e, value, error);
    if (!out)
        return false;
    uint64_t stride[3][SY_MAX_RANK] = {0}, at[3] = {0}, count = sy_type_count(&node->type);
    const double *arg[3] = {0};
    int32_t index[SY_MAX_RANK] = {0};
    int rank = node->type.rank;
    for (uint32_t i = 0; i < node->n_args; i++) {
        arg[i] = sy_eval_arg(e, value, i);
        strides_of(sy_arg_type(e->graph, node, i), rank, stride[i]);
    }
    bool whole = node->type.dtype != SY_F32;
    for (uint64_t k = 0; k < count; k++) {
        double x = apply(node->op, arg[0][at[0]], arg[1] ? arg[1][at[1]] : 0, arg[2] ? arg[2][at[2]] : 0);
        out[k] = whole ? wrap(node->type.dtype, x) : x;
        for (int d = rank - 1; d >= 0; d--) {
            for (uint32_t i = 0; i < node->n_args; i++)
                at[i] += stride[i][d];
            if (++index[d] < node->type.dim[d])
                break;
            for (uint32_t i = 0; i < node->n_args; i++)
                at[i] -= stride[i][d] * (uint64_t)node->type.dim[d];
            index[d] = 0;
        }
    }
    return true;
}

bool sy_eval_cast(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_type *type = &sy_eval_node(e, value)->type;
    const double *x = sy_eval_arg(e, value, 0);
    uint64_t count = sy_type_count(type);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < count; i++) {
        if (type->dtype == SY_F16)
            out[i] = sy_f16_to_double(sy_f16_from_double(x[i]));
        else if (type->dtype == SY_BF16)
            out[i] = sy_bf16_to_double(sy_bf16_from_double(x[i]));
        else
            out[i] = type->dtype == SY_F32 ? x[i] : wrap(type->dtype, x[i]);
    }
    return out;
}
