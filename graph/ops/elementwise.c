/* Element-wise ops and casts. The formulas stand in elementwise.def, once for C (floats) and GLSL. */
#include "graph/ops/family.h"

#include <math.h>

/* One run of elements: out[i] from x[0][i step[0]], x[1][i step[1]], x[2][i step[2]]. The table's expressions are loops
 * of their own, so that the op is chosen once a run. Fewer arguments: the others are any number with step 0. */
typedef struct run {
    const double *x[3];
    uint64_t step[3], count;
    double *out;
} run;

static void run_floats(sy_op op, const run *r)
{
    switch (op) {
#define EW(id, expression, glsl)                                                                                       \
    case SY_OP_##id:                                                                                                   \
        for (uint64_t i = 0; i < r->count; i++) {                                                                      \
            double a = r->x[0][i * r->step[0]], b = r->x[1][i * r->step[1]], c = r->x[2][i * r->step[2]];              \
            (void)b, (void)c;                                                                                          \
            r->out[i] = expression;                                                                                    \
        }                                                                                                              \
        break;
#include "graph/ops/elementwise.def"
#undef EW
    default:
        break;
    }
}

/* What a 32-bit register of that dtype holds of a whole number. */
static double wrap(sy_dtype dtype, int64_t x)
{
    return dtype == SY_U32 ? (double)(uint32_t)x : (double)(int32_t)(uint32_t)x;
}

/* Integers: in 64 bits, wrapped to 32. A product may pass even 64 bits, but its low half is right in unsigned numbers.
 */
static int64_t whole(sy_op op, int64_t a, int64_t b, int64_t c)
{
    switch (op) {
    case SY_OP_NEG:
        return -a;
    case SY_OP_ABS:
        return a < 0 ? -a : a;
    case SY_OP_RELU:
        return a > 0 ? a : 0;
    case SY_OP_ADD:
        return a + b;
    case SY_OP_SUB:
        return a - b;
    case SY_OP_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case SY_OP_DIV:
        return b ? a / b : 0; /* devices may give anything for x / 0 */
    case SY_OP_MIN:
        return a < b ? a : b;
    case SY_OP_MAX:
        return a > b ? a : b;
    case SY_OP_LESS:
        return a < b;
    case SY_OP_EQUAL:
        return a == b;
    default: /* select */
        return a ? b : c;
    }
}

static void run_integers(sy_op op, sy_dtype dtype, const run *r)
{
    for (uint64_t i = 0; i < r->count; i++) {
        double a = r->x[0][i * r->step[0]], b = r->x[1][i * r->step[1]], c = r->x[2][i * r->step[2]];
        r->out[i] = wrap(dtype, whole(op, (int64_t)a, (int64_t)b, (int64_t)c));
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
static bool common_dtype(const sy_graph *graph, const sy_node *node, uint32_t i, uint32_t k, sy_dtype *out,
                         sy_error *error)
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

/* Steps in an argument's elements as the result's index goes up along each of its dimensions. */
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

bool sy_eval_elementwise(sy_eval *e, sy_value value, sy_error *error)
{
    static const double none = 0;
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *type = &node->type;
    double *out = sy_eval_result(e, value, error);
    uint64_t stride[3][SY_MAX_RANK] = {0}, count = sy_type_count(type), inner = sy_last(type);
    run r = {.x = {&none, &none, &none}, .count = inner};
    int32_t index[SY_MAX_RANK] = {0};
    for (uint32_t i = 0; i < node->n_args; i++) {
        r.x[i] = sy_eval_arg(e, value, i);
        strides_of(sy_arg_type(e->graph, node, i), type->rank, stride[i]);
        r.step[i] = stride[i][type->rank - 1];
    }
    /* The last argument is one whose kind is that of the computation: of select, the first is the condition. */
    bool floats = sy_dtype_is_float(sy_arg_type(e->graph, node, node->n_args - 1)->dtype);
    for (uint64_t k = 0; out && k < count; k += inner) {
        r.out = out + k;
        if (floats)
            run_floats(node->op, &r);
        else
            run_integers(node->op, type->dtype, &r);
        for (int d = type->rank - 2; d >= 0; d--) {
            for (uint32_t i = 0; i < node->n_args; i++)
                r.x[i] += stride[i][d];
            if (++index[d] < type->dim[d])
                break;
            for (uint32_t i = 0; i < node->n_args; i++)
                r.x[i] -= stride[i][d] * (uint64_t)type->dim[d];
            index[d] = 0;
        }
    }
    return out;
}

/* Truncated; what no 32-bit integer holds wraps, and what is no number gives 0. Devices may give anything there. */
static double to_integer(sy_dtype dtype, double x)
{
    return isfinite(x) ? wrap(dtype, (int64_t)fmod(trunc(x), 4294967296.0)) : 0;
}

bool sy_eval_cast(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_type *type = &sy_eval_node(e, value)->type;
    const double *x = sy_eval_arg(e, value, 0);
    uint64_t count = sy_type_count(type);
    bool floats = sy_dtype_is_float(type->dtype);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < count; i++)
        out[i] = floats ? sy_eval_round(type->dtype, x[i]) : to_integer(type->dtype, x[i]);
    return out;
}
