/* Inside graph/ops: what the files of op families share. */
#ifndef SY_OPS_FAMILY_H
#define SY_OPS_FAMILY_H

#include "graph/ops/eval.h"

/* One declaration for each distinct name in the columns of ops.def; repeated declarations are the same one. */
#define SY_OP(name, text, least, most, class, attributes, infer, flops, eval, doc)                                     \
    bool sy_infer_##infer(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error);                     \
    double sy_flops_##flops(const sy_graph *graph, const sy_node *node);                                               \
    bool sy_eval_##eval(sy_eval *e, sy_value value, sy_error *error);
#include "graph/ops/ops.def"
#undef SY_OP

static inline const sy_type *sy_arg_type(const sy_graph *graph, const sy_node *node, uint32_t i)
{
    return &graph->nodes[node->args[i]].type;
}

static inline bool sy_dtype_is_float(sy_dtype dtype)
{
    return dtype == SY_F32 || dtype == SY_F16 || dtype == SY_BF16;
}

/* Fails with "op: what (the arguments are f32[…], …)". Returns false. */
bool sy_misfit(const sy_graph *graph, const sy_node *node, sy_error *error, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;
/* All arguments are tensors (routes are refused), or argument `i` is a route. */
bool sy_need_tensors(const sy_graph *graph, const sy_node *node, sy_error *error);
bool sy_need_route(const sy_graph *graph, const sy_node *node, uint32_t i, sy_error *error);
/* An op whose type cannot be inferred was given one, a tensor's. */
bool sy_need_type(const sy_graph *graph, const sy_node *node, bool type_given, sy_error *error);
/* An attribute that is a switch is 0 or 1, so that equal nodes have equal attributes. */
bool sy_need_switch(const sy_graph *graph, const sy_node *node, const char *name, int32_t value, sy_error *error);
/* The broadcast of argument types into *out (dims alone). */
bool sy_broadcast_dims(const sy_graph *graph, const sy_node *node, sy_type *out, sy_error *error);

/* Evaluation: the node, its element count and its zeroed result, in eval->tensor already. NULL when memory is out. */
double *sy_eval_result(sy_eval *e, sy_value value, sy_error *error);
static inline const sy_node *sy_eval_node(const sy_eval *e, sy_value value)
{
    return &e->graph->nodes[value];
}
static inline const double *sy_eval_arg(const sy_eval *e, sy_value value, uint32_t i)
{
    return e->tensor[e->graph->nodes[value].args[i]];
}
static inline const sy_eval_route *sy_eval_arg_route(const sy_eval *e, sy_value value, uint32_t i)
{
    return e->route[e->graph->nodes[value].args[i]];
}
/* x as the dtype holds it: f16 and bf16 round; f32 stays exact, as all arithmetic here is f64. Not for integers. */
static inline double sy_eval_round(sy_dtype dtype, double x)
{
    if (dtype == SY_F16)
        return sy_f16_to_double(sy_f16_from_double(x));
    return dtype == SY_BF16 ? sy_bf16_to_double(sy_bf16_from_double(x)) : x;
}
/* Indices of the k largest of n numbers `stride` apart, largest first; of equals the lower index first, NaN last. */
void sy_eval_best(const double *x, int64_t n, int64_t stride, int64_t k, int32_t *out);
/* One (row, target, weight) of a route under construction. */
typedef struct sy_route_entry {
    int32_t row, target, choice;
    double weight;
} sy_route_entry;

/* Sorts `n` entries by (target, row), counts, inverts, and puts the route into eval->route. Entries with a target
 * below 0 are dropped. Takes nothing over. */
bool sy_eval_put_route(sy_eval *e, sy_value value, uint32_t n, const sy_route_entry *entries, sy_error *error);
void sy_eval_route_free(sy_eval_route *route);

/* Indices of n numbers in the order of the op sort. False: no memory. */
bool sy_eval_sort(const double *x, int64_t n, bool descending, int32_t *out, sy_error *error);

/* Splits a shape at its last axis. */
static inline uint64_t sy_last(const sy_type *type)
{
    return (uint64_t)type->dim[type->rank - 1];
}
static inline uint64_t sy_rows(const sy_type *type)
{
    return sy_type_count(type) / sy_last(type);
}

#endif
