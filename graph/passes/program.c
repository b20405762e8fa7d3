/* The last pass: everything a session needs, in one self-contained program. The plan's arena and graph go over to it,
 * so nothing is copied that lies there already. */
#include "graph/passes/passes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whole step space, as kernels bind it. */
static sy_place step_place(const sy_plan *plan)
{
    return (sy_place){SY_SPACE_STEP, 0, 0, plan->space_bytes[SY_SPACE_STEP][0]};
}

static sy_binding *bindings_of(sy_plan *plan, const sy_group *group, uint32_t *n)
{
    sy_binding *bindings = sy_arena_array(&plan->arena, SY_GROUP_INPUTS + SY_GROUP_OUTPUTS + 1, sizeof *bindings);
    *n = 0;
    if (!bindings)
        return NULL;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        bindings[(*n)++] = (sy_binding){plan->places[group->inputs[i]], SY_READ};
    for (uint32_t i = 0; i < group->n_outputs; i++)
        bindings[(*n)++] = (sy_binding){plan->places[group->outputs[i]], SY_WRITE};
    if (group->reads_step)
        bindings[(*n)++] = (sy_binding){step_place(plan), SY_READ};
    return bindings;
}

/* "blocks.3.attn: matmul add mul add". The scope is that of the first anchor or output. */
static const char *label_of(sy_plan *plan, uint32_t g)
{
    const sy_group *group = &plan->groups[g];
    char text[192];
    sy_value first = group->n_anchors ? group->anchors[0] : group->outputs[0];
    int n = snprintf(text, sizeof text, "%s:", plan->graph->nodes[first].scope);
    for (sy_value v = 1; v < plan->graph->n_nodes && n < (int)sizeof text; v++) {
        const sy_node *node = &plan->graph->nodes[v];
        if (node->group == (int32_t)g && sy_node_costs(node))
            n += snprintf(text + n, sizeof text - (size_t)n, " %s", sy_op_get(node->op)->name);
    }
    if (text[n < (int)sizeof text ? n - 1 : 0] == ':') /* a stored view alone */
        snprintf(text, sizeof text, "%s: copy", plan->graph->nodes[first].scope);
    return sy_arena_string(&plan->arena, text);
}

static double bytes_of(const sy_plan *plan, const sy_group *group)
{
    double bytes = 0;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        bytes += (double)sy_plan_bytes_read(plan, group, group->inputs[i]);
    for (uint32_t i = 0; i < group->n_outputs; i++)
        bytes += (double)sy_type_bytes(&plan->graph->nodes[group->outputs[i]].type);
    return bytes;
}

/* The first route it reads. */
static void add_route(const sy_plan *plan, const sy_group *group, sy_dispatch *dispatch)
{
    for (uint32_t i = 0; i < group->n_inputs && !dispatch->route.size; i++) {
        const sy_node *node = &plan->graph->nodes[group->inputs[i]];
        if (!node->type.is_route)
            continue;
        dispatch->route = plan->places[group->inputs[i]];
        dispatch->route_type = node->type;
        dispatch->tile_rows = group->kind == SY_GROUP_GROUPED_MATMUL ? group->tile_rows : 0;
    }
}

static bool add_dispatch(sy_plan *plan, sy_dispatch *dispatch, uint32_t g, sy_error *error)
{
    const sy_group *group = &plan->groups[g];
    *dispatch = (sy_dispatch){
        .kernel = plan->kernel_of[g],
        .groups = {group->groups[0], group->groups[1], group->groups[2]},
        .indirect = group->indirect,
        .barrier = group->barrier,
        .label = label_of(plan, g),
        .kind = sy_plan_kind_text(group->kind),
        .problem = group->problem,
        .candidates = group->candidates,
        .bytes = bytes_of(plan, group),
        .bytes_planned = sy_plan_bytes_planned(plan, group),
    };
    add_route(plan, group, dispatch);
    dispatch->bindings = bindings_of(plan, group, &dispatch->n_bindings);
    memcpy(dispatch->push, plan->emitted[g].push, sizeof dispatch->push);
    if (!dispatch->bindings || !dispatch->label)
        return sy_no_memory(error);
    if (group->indirect) {
        sy_route_layout layout = sy_route_layout_of(&plan->graph->nodes[group->route].type);
        dispatch->indirect_at = plan->places[group->route];
        dispatch->indirect_at.offset += 4 * ((uint64_t)layout.indirect + 3 * group->consumer);
        dispatch->indirect_at.size = 12;
    }
    return true;
}

/* FLOPs and unfused traffic of each op, given to its dispatch. */
static void add_costs(sy_plan *plan, sy_dispatch *dispatches)
{
    for (sy_value v = 1; v < plan->graph->n_nodes; v++) {
        const sy_node *node = &plan->graph->nodes[v];
        if (!sy_node_costs(node))
            continue;
        sy_cost cost = sy_node_cost(plan->graph, v);
        if (node->group >= 0)
            dispatches[node->group].flops += cost.flops;
        plan->stats.flops += cost.flops;
        plan->stats.bytes_unfused += cost.bytes;
        plan->stats.dispatches_unfused++;
        plan->stats.ops++;
    }
}

static bool add_dispatches(sy_plan *plan, sy_program *program, sy_error *error)
{
    sy_dispatch *dispatches = sy_arena_array(&plan->arena, plan->n_groups + 1, sizeof *dispatches);
    if (!dispatches)
        return sy_no_memory(error);
    for (uint32_t g = 0; g < plan->n_groups; g++)
        if (!add_dispatch(plan, &dispatches[g], g, error))
            return false;
    add_costs(plan, dispatches);
    for (uint32_t g = 0; g < plan->n_groups; g++)
        plan->stats.bytes += dispatches[g].bytes;
    program->dispatches = dispatches;
    program->n_dispatches = plan->n_groups;
    plan->stats.dispatches = plan->n_groups;
    plan->stats.kernels = plan->n_kernels;
    return true;
}

static bool add_weights(sy_plan *plan, sy_program *program, sy_error *error)
{
    sy_weight *weights = sy_arena_array(&plan->arena, plan->graph->n_nodes, sizeof *weights);
    if (!weights)
        return sy_no_memory(error);
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        if (plan->places[v].size && plan->places[v].space == SY_SPACE_WEIGHT)
            weights[program->n_weights++] = (sy_weight){v, plan->graph->nodes[v].type, plan->places[v]};
    program->weights = weights;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sy_io *)a)->name, ((const sy_io *)b)->name);
}

static bool add_leaves(sy_plan *plan, sy_op op, const sy_io **out, uint32_t *n, sy_error *error)
{
    sy_io *list = sy_arena_array(&plan->arena, plan->graph->n_nodes, sizeof *list);
    if (!list)
        return sy_no_memory(error);
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        if (plan->graph->nodes[v].op == op)
            list[(*n)++] = (sy_io){plan->graph->nodes[v].name, plan->graph->nodes[v].type, plan->places[v], 0};
    if (op == SY_OP_STATE)
        qsort(list, *n, sizeof *list, by_name);
    *out = list;
    return true;
}

static bool add_outputs(sy_plan *plan, sy_program *program, sy_error *error)
{
    const sy_graph *graph = plan->graph;
    sy_io *list = sy_arena_array(&plan->arena, graph->n_ends + 1, sizeof *list);
    if (!list)
        return sy_no_memory(error);
    for (uint32_t e = 0; e < graph->n_ends; e++) {
        const sy_end *end = &graph->ends[e];
        if (end->kind != SY_END_OUTPUT && end->kind != SY_END_STEP_OUTPUT)
            continue;
        const sy_node *node = &graph->nodes[end->value];
        sy_io io = {end->name, node->type, plan->places[end->value], 0};
        if (end->kind == SY_END_STEP_OUTPUT)
            io.step_bytes = SY_STEP_STRIDE(sy_type_bytes(&node->type));
        while (node->op == SY_OP_RESHAPE && sy_type_equal(&node->type, &graph->nodes[node->args[0]].type))
            node = &graph->nodes[node->args[0]]; /* copies made for ends */
        if (node->op == SY_OP_ROUTE_WORDS)
            io.type = graph->nodes[node->args[0]].type;
        list[program->n_outputs++] = io;
    }
    program->outputs = list;
    return true;
}

static bool add_step_columns(sy_plan *plan, sy_program *program, sy_error *error)
{
    uint32_t n = plan->params->n_step_columns;
    const char **names = sy_arena_array(&plan->arena, n + 1, sizeof *names);
    if (!names)
        return sy_no_memory(error);
    for (uint32_t i = 0; i < n; i++)
        if (!(names[i] = sy_arena_string(&plan->arena, plan->params->step_columns[i])))
            return sy_no_memory(error);
    program->step_columns = names;
    program->n_step_columns = n;
    return true;
}

bool sy_pass_program(sy_plan *plan, sy_error *error)
{
    sy_program *program = calloc(1, sizeof *program);
    if (!program)
        return sy_no_memory(error);
    if (!add_dispatches(plan, program, error) || !add_weights(plan, program, error) ||
        !add_leaves(plan, SY_OP_INPUT, &program->inputs, &program->n_inputs, error) ||
        !add_leaves(plan, SY_OP_STATE, &program->states, &program->n_states, error) ||
        !add_outputs(plan, program, error) || !add_step_columns(plan, program, error)) {
        free(program);
        return false;
    }
    program->kernels = plan->kernels;
    program->n_kernels = plan->n_kernels;
    program->stats = plan->stats;
    program->conditional = plan->params->conditional;
    memcpy(program->space_bytes, plan->space_bytes, sizeof program->space_bytes);
    program->graph = plan->graph;
    plan->graph = NULL;
    plan->program = program;
    return true;
}
