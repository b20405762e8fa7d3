/* The verifier. A rule looks at one node, or at the whole graph; rules are rows of one table, each with the stage
 * from which on it holds. Node rules run in the order of the table for one node after the other, so a rule may rely on
 * those above it, and on all arguments of a node being verified already. */
#include "graph/ir/attribute.h"
#include "graph/ir/names.h"
#include "graph/ir/syntax.h"
#include "graph/ir/verify.h"

#include <stdlib.h>
#include <string.h>

static bool rule_op(const sy_graph *graph, sy_value v, sy_error *error)
{
    sy_op op = graph->nodes[v].op;
    bool fine = op > SY_OP_NONE && op < SY_OP_COUNT;
    return fine || sy_fail(error, SY_CODE_INTERNAL, "op %d does not exist.", (int)op);
}

static bool rule_arity(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    const sy_op_info *info = sy_op_get(node->op);
    bool fine = node->n_args >= info->least && node->n_args <= info->most && (node->args || !node->n_args);
    return fine || sy_fail(error, SY_CODE_INTERNAL, "it has %u arguments.", node->n_args);
}

static bool rule_order(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    for (uint32_t i = 0; i < node->n_args; i++)
        if (!node->args[i] || node->args[i] >= v)
            return sy_fail(error, SY_CODE_INTERNAL, "argument %u is %%%u, not an earlier value.", i + 1, node->args[i]);
    return true;
}

static bool rule_name(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    if (!node->scope)
        return sy_fail(error, SY_CODE_INTERNAL, "its scope is NULL, not \"\".");
    if (sy_op_is_named(node->op))
        return (node->name && *node->name) || sy_fail(error, SY_CODE_INTERNAL, "it has no name.");
    return !node->name || sy_fail(error, SY_CODE_INTERNAL, "it has a name, \"%s\".", node->name);
}

static bool rule_attributes(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    for (sy_attribute a = 0; a < SY_ATTRIBUTE_COUNT; a++)
        if (!sy_op_has(sy_op_get(node->op), a) && sy_attribute_is_set(&node->attributes, a))
            return sy_fail(error, SY_CODE_INTERNAL, "it has an attribute \"%s\", which the op does not take.",
                           sy_attribute_get(a)->name);
    return true;
}

static bool rule_type(const sy_graph *graph, sy_value v, sy_error *error)
{
    sy_node node = graph->nodes[v]; /* infer writes to the type of a copy */
    char text[96], wanted[96];
    const char *wrong = sy_type_wrong(&node.type);
    if (wrong)
        return sy_fail(error, SY_CODE_INTERNAL, "its type cannot be: %s.", wrong);
    if (!sy_op_get(node.op)->infer(graph, &node, true, error))
        return sy_fail(error, SY_CODE_INTERNAL, "its arguments do not fit.");
    return sy_type_equal(&node.type, &graph->nodes[v].type) ||
           sy_fail(error, SY_CODE_INTERNAL, "its type is %s, but the op gives %s.",
                   sy_type_text(&graph->nodes[v].type, text), sy_type_text(&node.type, wanted));
}

static bool rule_load_time(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    return !node->load_time || sy_node_is_load_time(graph, node) ||
           sy_fail(error, SY_CODE_INTERNAL, "it is of load time, but depends on a value that is not.");
}

static bool rule_group(const sy_graph *graph, sy_value v, sy_error *error)
{
    int32_t group = graph->nodes[v].group;
    return group >= -1 || sy_fail(error, SY_CODE_INTERNAL, "its group is %d.", group);
}

static bool rule_lowered(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    return !node->type.is_route || node->op == SY_OP_ROUTE_BUILD ||
           sy_fail(error, SY_CODE_INTERNAL, "only route.build makes routes at this stage.");
}

static bool rule_unplaced(const sy_graph *graph, sy_value v, sy_error *error)
{
    const sy_node *node = &graph->nodes[v];
    bool no_work = node->load_time || sy_op_get(node->op)->class == SY_CLASS_LEAF;
    return !no_work || node->group == -1 ||
           sy_fail(error, SY_CODE_INTERNAL, "it is in dispatch #%d, but is there before any dispatch.", node->group);
}

static bool whole_leaves(const sy_graph *graph, sy_error *error)
{
    sy_names names = {0};
    bool fine = true;
    for (sy_value v = 1; v < graph->n_nodes && fine; v++) {
        const sy_node *node = &graph->nodes[v];
        if (!node->name)
            continue;
        sy_value there = sy_names_put(&names, (char)node->op, node->name, v);
        if (!there)
            fine =
                sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to compare the names of %u values.", graph->n_nodes);
        else if (there != v)
            fine = sy_fail(error, SY_CODE_INTERNAL, "%%%u and %%%u are both the %s \"%s\".", there, v,
                           sy_op_get(node->op)->name, node->name);
    }
    sy_names_free(&names);
    return fine;
}

static bool whole_ends(const sy_graph *graph, sy_error *error)
{
    sy_names names = {0};
    bool fine = true;
    for (uint32_t i = 0; i < graph->n_ends && fine; i++) {
        const sy_end *end = &graph->ends[i];
        const char *kind = sy_syntax_end_name(end->kind);
        uint32_t there = 0;
        if ((unsigned)end->kind > SY_END_STEP_OUTPUT || !end->name || !*end->name)
            fine = sy_fail(error, SY_CODE_INTERNAL, "end %u has no kind or no name.", i);
        else if (!end->value || end->value >= graph->n_nodes)
            fine = sy_fail(error, SY_CODE_INTERNAL, "the %s \"%s\" is %%%u, which does not exist.", kind, end->name,
                           end->value);
        else if (!(there = sy_names_put(&names, (char)end->kind, end->name, i + 1)))
            fine = sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to compare the names of %u ends.", graph->n_ends);
        else if (there != i + 1)
            fine = sy_fail(error, SY_CODE_INTERNAL, "there are two ends %s \"%s\".", kind, end->name);
    }
    sy_names_free(&names);
    return fine;
}

static bool whole_carries(const sy_graph *graph, sy_error *error)
{
    sy_names states = {0};
    bool fine = true;
    for (sy_value v = 1; v < graph->n_nodes && fine; v++)
        if (graph->nodes[v].op == SY_OP_STATE && !sy_names_put(&states, 's', graph->nodes[v].name, v))
            fine = sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to compare the states of the graph.");
    for (uint32_t i = 0; i < graph->n_ends && fine; i++) {
        const sy_end *end = &graph->ends[i];
        char state[96], value[96];
        if (end->kind != SY_END_CARRY)
            continue;
        sy_value v = sy_names_get(&states, 's', end->name);
        if (!v)
            fine = sy_fail(error, SY_CODE_INTERNAL, "carry \"%s\": there is no state of that name.", end->name);
        else if (!sy_type_equal(&graph->nodes[v].type, &graph->nodes[end->value].type))
            fine = sy_fail(error, SY_CODE_INTERNAL, "carry \"%s\": the state is %s, its next value %s.", end->name,
                           sy_type_text(&graph->nodes[v].type, state),
                           sy_type_text(&graph->nodes[end->value].type, value));
    }
    sy_names_free(&states);
    return fine;
}

/* What the outputs, carries and step outputs need must be computed somewhere. Taps do not count: those asked for
 * are step outputs by then. */
static bool whole_computed(const sy_graph *graph, sy_error *error)
{
    bool fine = true;
    bool *live = calloc(graph->n_nodes, sizeof *live);
    if (!live)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to look at %u values.", graph->n_nodes);
    for (uint32_t i = 0; i < graph->n_ends; i++)
        if (graph->ends[i].kind != SY_END_TAP)
            live[graph->ends[i].value] = true;
    for (sy_value v = graph->n_nodes - 1; v > 0 && fine; v--) {
        const sy_node *node = &graph->nodes[v];
        sy_class class = sy_op_get(node->op)->class;
        if (!live[v] || node->load_time)
            continue;
        if (class != SY_CLASS_LEAF && class != SY_CLASS_VIEW && node->group < 0)
            fine = sy_fail(error, SY_CODE_INTERNAL, "%%%u = %s is needed, but in no dispatch.", v,
                           sy_op_get(node->op)->name);
        for (uint32_t i = 0; i < node->n_args; i++)
            live[node->args[i]] = true;
    }
    free(live);
    return fine;
}

static const sy_verify_rule rules[] = {
    {"op", "The op is one of the table.", SY_STAGE_SOURCE, rule_op, NULL},
    {"arity", "It has as many arguments as its op takes.", SY_STAGE_SOURCE, rule_arity, NULL},
    {"order", "Arguments stand before what uses them.", SY_STAGE_SOURCE, rule_order, NULL},
    {"name", "Inputs, states, step columns and parameters have names, nothing else has.", SY_STAGE_SOURCE, rule_name,
     NULL},
    {"attributes", "Only attributes that the op takes are set.", SY_STAGE_SOURCE, rule_attributes, NULL},
    {"type", "The type is what the op infers from its arguments.", SY_STAGE_SOURCE, rule_type, NULL},
    {"load time", "A value of load time depends on values of load time alone.", SY_STAGE_SOURCE, rule_load_time, NULL},
    {"group", "Dispatches are counted from 0; -1 is none.", SY_STAGE_SOURCE, rule_group, NULL},
    {"lowered", "Routes are made by route.build alone.", SY_STAGE_LOWERED, rule_lowered, NULL},
    {"unplaced", "Leaves and values of load time are in no dispatch.", SY_STAGE_FUSED, rule_unplaced, NULL},
    {"leaves", "No two leaves of a kind have the same name.", SY_STAGE_SOURCE, NULL, whole_leaves},
    {"ends", "Ends have a kind, a name unique in it, and a value.", SY_STAGE_SOURCE, NULL, whole_ends},
    {"carries", "A carry has the name and the type of a state.", SY_STAGE_SOURCE, NULL, whole_carries},
    {"computed", "What ends need and what costs work is in a dispatch.", SY_STAGE_FUSED, NULL, whole_computed},
    {NULL, NULL, SY_STAGE_SOURCE, NULL, NULL},
};

const sy_verify_rule *sy_verify_rules(void)
{
    return rules;
}

bool sy_graph_verify(const sy_graph *graph, sy_stage stage, sy_error *error)
{
    sy_error own = {0};
    if (!graph->n_nodes || graph->nodes[0].op != SY_OP_NONE)
        return sy_fail(error, SY_CODE_INTERNAL, "rule \"op\": the graph does not begin with the node \"no value\".");
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        for (const sy_verify_rule *rule = rules; rule->name; rule++) {
            if (rule->stage > stage || !rule->node || rule->node(graph, v, &own))
                continue;
            sy_op op = graph->nodes[v].op;
            const sy_op_info *info = op > SY_OP_NONE && op < SY_OP_COUNT ? sy_op_get(op) : NULL;
            return sy_fail(error, own.code, "rule \"%s\": %%%u = %s: %s", rule->name, v, info ? info->name : "?",
                           own.message);
        }
    }
    for (const sy_verify_rule *rule = rules; rule->name; rule++)
        if (rule->stage <= stage && rule->whole && !rule->whole(graph, &own))
            return sy_fail(error, own.code, "rule \"%s\": %s", rule->name, own.message);
    return true;
}
