/* Constant folding: an op over constants is computed once, here, by the reference evaluator, and becomes a constant, if
 * that stays small: a few values, or one value for all elements. Results are in f64, so folding is at least as
 * exact as the device. What depends on weights or is large is left to the pass hoist. */
#include "graph/passes/passes.h"
#include "graph/passes/simplify.h"

#include "graph/ops/eval.h"

#include <math.h>

enum { MOST_FOLDED = 1024 };

static bool constant_arguments(const sy_simplifier *s, const sy_node *node, bool *splat)
{
    *splat = sy_op_is_elementwise(node->op);
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sy_node *arg = &s->graph->nodes[node->args[i]];
        if (arg->op != SY_OP_CONST)
            return false;
        *splat &= arg->attributes.values.count == 1;
    }
    return node->n_args > 0;
}

/* The node over its constants in a graph of its own; with `splat`, of one element each. */
static sy_value small_graph(sy_graph *small, const sy_simplifier *s, const sy_node *node, bool splat)
{
    enum { MOST = 8 };
    sy_value args[MOST];
    sy_type type = node->type;
    if (splat)
        type = (sy_type){.rank = 1, .dtype = type.dtype, .dim = {1}};
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sy_node *arg = &s->graph->nodes[node->args[i]];
        sy_type own = arg->type;
        if (splat)
            own = (sy_type){.rank = 1, .dtype = own.dtype, .dim = {1}};
        args[i] = sy_graph_add(small, SY_OP_CONST, NULL, 0, &arg->attributes, &own, NULL);
    }
    return sy_graph_add(small, node->op, args, node->n_args, &node->attributes, &type, NULL);
}

/* The constant of the node's type with these values; 0 if one of them is not finite (there is no text for it). */
static sy_value constant(sy_simplifier *s, const sy_node *node, const double *values, uint32_t count)
{
    bool equal = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return 0;
        equal &= values[i] == values[0];
    }
    sy_node folded = {.op = SY_OP_CONST, .type = node->type};
    folded.attributes.values = (sy_value_list){values, equal ? 1 : count};
    return sy_simplify_share(s, &folded);
}

sy_value sy_simplify_fold(sy_simplifier *s, const sy_node *node)
{
    bool splat;
    uint64_t count = sy_type_count(&node->type);
    if (node->type.is_route || node->n_args > 8 || !constant_arguments(s, node, &splat) ||
        (!splat && count > MOST_FOLDED))
        return 0;
    sy_graph *small = sy_graph_create("fold");
    if (!small)
        return 0;
    sy_value value = small_graph(small, s, node, splat), made = 0;
    sy_eval eval;
    if (value && sy_eval_init(&eval, small, NULL)) {
        if (sy_eval_value(&eval, value, NULL))
            made = constant(s, node, eval.tensor[value], splat ? 1 : (uint32_t)count);
        sy_eval_free(&eval);
    }
    sy_graph_destroy(&small);
    return made;
}
