/* The op table in memory, from ops.def, and the cost of a node. */
#include "graph/ops/family.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const sy_op_info table[SY_OP_COUNT] = {
    [SY_OP_NONE] = {.name = "", .doc = "", .enum_name = "NONE"},
#define A(name) (UINT64_C(1) << SY_ATTRIBUTE_##name)
#define SY_OP(id, text, fewest, greatest, kind, has, infer_, flops_, eval_, about)                                     \
    [SY_OP_##id] = {.name = text,                                                                                      \
                    .doc = about,                                                                                      \
                    .enum_name = #id,                                                                                  \
                    .least = fewest,                                                                                   \
                    .most = greatest,                                                                                  \
                    .class = SY_CLASS_##kind,                                                                          \
                    .attributes = has,                                                                                 \
                    .infer = sy_infer_##infer_,                                                                        \
                    .flops = sy_flops_##flops_,                                                                        \
                    .eval = sy_eval_##eval_},
#include "graph/ops/ops.def"
#undef SY_OP
#undef A
};

const sy_op_info *sy_op_get(sy_op op)
{
    return &table[(unsigned)op < SY_OP_COUNT ? op : SY_OP_NONE];
}

sy_op sy_op_find(const char *name)
{
    for (int op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++)
        if (!strcmp(table[op].name, name))
            return (sy_op)op;
    return SY_OP_NONE;
}

/* Bytes of argument `i` that have to be read: all of it, but where elements are picked by index. */
static double bytes_read(const sy_graph *graph, const sy_node *node, uint32_t i)
{
    const sy_type *type = sy_arg_type(graph, node, i);
    double bytes = (double)sy_type_bytes(type), picked, share;
    switch (i == 0 || node->op == SY_OP_GROUPED_MATMUL ? node->op : SY_OP_NONE) {
    case SY_OP_TAKE_ROWS:
    case SY_OP_TAKE_LAST:
    case SY_OP_ROUTE_GATHER:
    case SY_OP_ROUTE_SPREAD: /* no more elements than the result has */
        picked = (double)sy_type_count(&node->type) / (double)sy_type_count(type);
        return picked < 1 ? bytes * picked : bytes;
    case SY_OP_GROUPED_MATMUL: /* no more experts than there are slots */
        share = (double)sy_arg_type(graph, node, 2)->dim[SY_ROUTE_SLOTS] / type->dim[0];
        return i == 1 && share < 1 ? bytes * share : bytes;
    default:
        return bytes;
    }
}

sy_cost sy_node_cost(const sy_graph *graph, sy_value value)
{
    const sy_node *node = &graph->nodes[value];
    sy_cost cost = {.flops = table[node->op].flops(graph, node)};
    if (table[node->op].class == SY_CLASS_LEAF || table[node->op].class == SY_CLASS_VIEW)
        return cost;
    cost.bytes = (double)sy_type_bytes(&node->type);
    for (uint32_t i = 0; i < node->n_args; i++) {
        uint32_t first = 0;
        while (node->args[first] != node->args[i])
            first++;
        if (first == i) /* given twice, read once */
            cost.bytes += bytes_read(graph, node, i);
    }
    return cost;
}

double sy_flops_none(const sy_graph *graph, const sy_node *node)
{
    (void)graph, (void)node;
    return 0;
}

bool sy_misfit(const sy_graph *graph, const sy_node *node, sy_error *error, const char *format, ...)
{
    char what[256], types[256] = "", text[96];
    size_t used = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    for (uint32_t i = 0; i < node->n_args && i < 4 && used < sizeof types; i++)
        used += (size_t)snprintf(types + used, sizeof types - used, "%s%s", i ? ", " : "",
                                 sy_type_text(sy_arg_type(graph, node, i), text));
    if (!node->n_args)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: %s.", table[node->op].name, what);
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: %s; its arguments are %s%s.", table[node->op].name, what,
                   types, node->n_args > 4 ? ", …" : "");
}

bool sy_need_tensors(const sy_graph *graph, const sy_node *node, sy_error *error)
{
    for (uint32_t i = 0; i < node->n_args; i++)
        if (sy_arg_type(graph, node, i)->is_route)
            return sy_misfit(graph, node, error, "argument %u must be a tensor, not a route", i + 1);
    return true;
}

bool sy_need_route(const sy_graph *graph, const sy_node *node, uint32_t i, sy_error *error)
{
    for (uint32_t k = 0; k < node->n_args; k++)
        if (sy_arg_type(graph, node, k)->is_route != (k == i))
            return sy_misfit(graph, node, error,
                             k == i ? "argument %u must be a route" : "argument %u must be a tensor, not a route",
                             k + 1);
    return true;
}

bool sy_need_type(const sy_graph *graph, const sy_node *node, bool type_given, sy_error *error)
{
    if (!type_given)
        return sy_misfit(graph, node, error, "its type has to be given");
    if (node->type.is_route)
        return sy_misfit(graph, node, error, "its type must be a tensor's");
    return true;
}

bool sy_need_switch(const sy_graph *graph, const sy_node *node, const char *name, int32_t value, sy_error *error)
{
    return value == 0 || value == 1 || sy_misfit(graph, node, error, "%s is %d, and must be 0 or 1", name, value);
}

bool sy_broadcast_dims(const sy_graph *graph, const sy_node *node, sy_type *out, sy_error *error)
{
    int rank = 0;
    for (uint32_t i = 0; i < node->n_args; i++)
        if (sy_arg_type(graph, node, i)->rank > rank)
            rank = sy_arg_type(graph, node, i)->rank;
    out->rank = (uint8_t)rank;
    for (int d = 0; d < rank; d++) {
        int32_t dim = 1;
        for (uint32_t i = 0; i < node->n_args; i++) {
            const sy_type *type = sy_arg_type(graph, node, i);
            int at = d - (rank - type->rank);
            int32_t own = at < 0 ? 1 : type->dim[at];
            if (own != 1 && dim != 1 && own != dim)
                return sy_misfit(graph, node, error, "dimensions %d and %d do not broadcast", dim, own);
            if (own != 1)
                dim = own;
        }
        out->dim[d] = dim;
    }
    return true;
}
