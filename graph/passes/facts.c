/* Facts of ops and plans that several passes ask for. Derived, never stored: a pass may change the graph freely and the
 * next question is answered from what is there. */
#include "graph/passes/passes.h"

#include <string.h>

bool sy_no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to compile the graph.");
}

bool sy_op_is_elementwise(sy_op op)
{
    return op >= SY_OP_NEG && op <= SY_OP_SELECT;
}

bool sy_op_walks_rows(sy_op op)
{
    return (op >= SY_OP_SORT && op <= SY_OP_HISTOGRAM) || op == SY_OP_MOMENTS;
}

bool sy_concat_is_free(const sy_graph *graph, sy_value concat)
{
    enum { MOST = 4 };
    const sy_node *node = &graph->nodes[concat];
    if (node->op != SY_OP_CONCAT || node->n_args > MOST || node->attributes.axis != node->type.rank - 1 ||
        node->type.dtype > SY_BF16)
        return false;
    for (uint32_t i = 0; i < node->n_args; i++)
        if (graph->nodes[node->args[i]].type.dim[node->attributes.axis] % 4)
            return false;
    return true;
}

sy_value sy_concat_below(const sy_graph *graph, sy_value value, const sy_value *inputs, uint32_t n_inputs)
{
    for (int depth = 0; depth < 32; depth++) {
        const sy_node *node = &graph->nodes[value];
        sy_value below = 0;
        for (uint32_t i = 0; i < n_inputs; i++)
            if (inputs[i] == value)
                return 0;
        if (sy_concat_is_free(graph, value))
            return value;
        for (uint32_t i = 0; i < node->n_args && sy_op_is_elementwise(node->op) && !below; i++)
            if (sy_type_count(&graph->nodes[node->args[i]].type) == sy_type_count(&node->type))
                below = node->args[i];
        if (node->op == SY_OP_RESHAPE) {
            const sy_type *x = &graph->nodes[node->args[0]].type;
            if (x->dim[x->rank - 1] == node->type.dim[node->type.rank - 1])
                below = node->args[0];
        }
        if (!below)
            return 0;
        value = below;
    }
    return 0;
}

sy_value sy_group_moments(const sy_graph *graph, const sy_group *group)
{
    for (uint32_t i = 0; i < group->n_outputs && group->n_anchors; i++)
        if (graph->nodes[group->outputs[i]].op == SY_OP_MOMENTS)
            return group->outputs[i];
    return 0;
}

bool sy_node_is_free(const sy_node *node)
{
    return node->op == SY_OP_IOTA || node->op == SY_OP_STEP || node->op == SY_OP_STEP_INDEX ||
           (node->op == SY_OP_CONST && node->attributes.values.count == 1);
}

bool sy_node_costs(const sy_node *node)
{
    sy_class class = sy_op_get(node->op)->class;
    return class != SY_CLASS_LEAF && class != SY_CLASS_VIEW && !node->load_time;
}

sy_value sy_graph_state(const sy_graph *graph, const char *name)
{
    for (sy_value v = 1; v < graph->n_nodes; v++)
        if (graph->nodes[v].op == SY_OP_STATE && !strcmp(graph->nodes[v].name, name))
            return v;
    return 0;
}

int32_t *sy_plan_writers(const sy_plan *plan, sy_arena *arena)
{
    int32_t *writers = sy_arena_array(arena, plan->graph->n_nodes, sizeof *writers);
    if (!writers)
        return NULL;
    for (uint32_t v = 0; v < plan->graph->n_nodes; v++)
        writers[v] = -1;
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_outputs; i++)
            writers[plan->groups[g].outputs[i]] = (int32_t)g;
    return writers;
}

static bool reads(const sy_group *group, sy_value value)
{
    for (uint32_t i = 0; i < group->n_inputs; i++)
        if (group->inputs[i] == value)
            return true;
    return false;
}

typedef struct edges {
    sy_plan_waits *waits;
    bool fill; /* second time round: the edges themselves, with first[] as cursors */
} edges;

static void edge(const edges *e, uint32_t before, uint32_t after)
{
    if (e->fill) {
        e->waits->after[e->waits->first[before]++] = after;
    } else {
        e->waits->first[before + 1]++;
        e->waits->waits[after]++;
    }
}

static void for_each_edge(const sy_plan *plan, const int32_t *writers, const edges *e)
{
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_inputs; i++) {
            int32_t writer = writers[plan->groups[g].inputs[i]];
            if (writer >= 0 && writer != (int32_t)g)
                edge(e, (uint32_t)writer, g);
        }
    for (uint32_t i = 0; i < plan->graph->n_ends; i++) {
        const sy_end *end = &plan->graph->ends[i];
        int32_t writer = writers[end->value];
        if (end->kind != SY_END_CARRY || writer < 0)
            continue;
        sy_value state = sy_graph_state(plan->graph, end->name);
        for (uint32_t g = 0; g < plan->n_groups; g++)
            if ((int32_t)g != writer && reads(&plan->groups[g], state))
                edge(e, g, (uint32_t)writer);
    }
}

bool sy_plan_find_waits(const sy_plan *plan, const int32_t *writers, sy_arena *arena, sy_plan_waits *out)
{
    uint32_t n = plan->n_groups;
    out->first = sy_arena_array(arena, n + 2, sizeof *out->first);
    out->waits = sy_arena_array(arena, n + 1, sizeof *out->waits);
    if (!out->first || !out->waits)
        return false;
    for_each_edge(plan, writers, &(edges){out, false});
    for (uint32_t g = 0; g < n; g++)
        out->first[g + 1] += out->first[g];
    out->after = sy_arena_array(arena, out->first[n] + 1, sizeof *out->after);
    if (!out->after)
        return false;
    for_each_edge(plan, writers, &(edges){out, true});
    for (uint32_t g = n; g > 0; g--)
        out->first[g] = out->first[g - 1];
    out->first[0] = 0;
    return true;
}
