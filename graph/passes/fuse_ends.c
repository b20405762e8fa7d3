/* Ends. An end names a place: the output space, or the state that a carry writes. So the value of each end must be one
 * that a group stores there, and that nothing else wants elsewhere. Where that is not so a reshape to the same type is
 * put between: a copy, which mostly rides as one more output of the group that makes the value.
 *
 * Carries are written straight into their state, by the group that makes the value, if that is safe: no other group
 * that reads the old state must run after it (order sees to that, unless it would close a cycle), and if the group
 * itself reads the old state, then each element only where it writes it. Where it is not safe a group of its own copies
 * the value at the end. */
#include "graph/passes/fuse.h"
#include "graph/passes/rewrite.h"

#include <stdlib.h>

/* `value` as a new value of the same type that is computed in a dispatch. */
static sy_value copy_of(sy_graph *graph, sy_value value)
{
    sy_type type = graph->nodes[value].type;
    graph->scope = graph->nodes[value].scope;
    sy_value copy = sy_graph_add(graph, SY_OP_RESHAPE, &value, 1, NULL, &type, NULL);
    graph->scope = "";
    if (copy)
        graph->nodes[copy].load_time = false;
    return copy;
}

bool sy_fuse_prepare_ends(sy_graph *graph, sy_error *error)
{
    bool *used = calloc(graph->n_nodes, sizeof *used), *ended = calloc(graph->n_nodes, sizeof *ended);
    if (!used || !ended) {
        free(used);
        free(ended);
        return sy_no_memory(error);
    }
    for (sy_value v = 1; v < graph->n_nodes; v++)
        for (uint32_t i = 0; i < graph->nodes[v].n_args; i++)
            used[graph->nodes[v].args[i]] = true;
    for (uint32_t e = 0; e < graph->n_ends; e++) {
        sy_value v = graph->ends[e].value;
        sy_class class = sy_op_get(graph->nodes[v].op)->class;
        bool elsewhere = used[v] && (graph->ends[e].kind != SY_END_CARRY || class == SY_CLASS_VIEW);
        if (class == SY_CLASS_LEAF || graph->nodes[v].load_time || ended[v] || elsewhere)
            graph->ends[e].value = copy_of(graph, v);
        ended[v] = true;
    }
    free(used);
    free(ended);
    return sy_graph_check(graph, error);
}

static uint32_t most_parts(const sy_plan *plan)
{
    uint32_t buffers = plan->limits.storage_buffers, bound = SY_GROUP_INPUTS;
    return buffers < 4 ? 2 : buffers - 2 < bound ? buffers - 2 : bound;
}

/* Concats of concats, each of few enough parts. */
static sy_value concat_tree(sy_graph *graph, const sy_node *node, sy_value *parts, uint32_t n, uint32_t most)
{
    while (n > 1) {
        uint32_t made = 0;
        for (uint32_t i = 0; i < n; i += most) {
            uint32_t some = n - i < most ? n - i : most;
            parts[made++] = some == 1
                                ? parts[i]
                                : sy_graph_add(graph, SY_OP_CONCAT, parts + i, some, &node->attributes, NULL, NULL);
        }
        n = made;
    }
    return parts[0];
}

bool sy_fuse_split_concats(sy_plan *plan, sy_error *error)
{
    uint32_t most = most_parts(plan);
    bool needed = false;
    for (sy_value v = 1; v < plan->graph->n_nodes; v++) {
        const sy_node *node = &plan->graph->nodes[v];
        needed |= node->op == SY_OP_CONCAT && !node->load_time && node->n_args > most;
    }
    sy_rewrite rewrite;
    if (!needed)
        return true;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    for (sy_value v = 1; v < rewrite.old->n_nodes; v++) {
        const sy_node *node = &rewrite.old->nodes[v];
        if (!rewrite.live[v])
            continue;
        sy_value *parts = NULL;
        if (node->op == SY_OP_CONCAT && !node->load_time && node->n_args > most)
            parts = malloc(node->n_args * sizeof *parts);
        if (!parts) {
            sy_rewrite_copy(&rewrite, v);
            continue;
        }
        for (uint32_t i = 0; i < node->n_args; i++)
            parts[i] = rewrite.map[node->args[i]];
        sy_rewrite_scope(&rewrite, v);
        rewrite.map[v] = concat_tree(rewrite.graph, node, parts, node->n_args, most);
        free(parts);
    }
    return sy_rewrite_end(&rewrite, plan, error);
}

static bool is_input(const sy_group *group, sy_value value)
{
    for (uint32_t i = 0; i < group->n_inputs; i++)
        if (group->inputs[i] == value)
            return true;
    return false;
}

enum { AT_OWN_INDEX = 1, ELSEWHERE = 2 };

/* Walks from an output of `group` to its inputs; false if `state` is read anywhere but at the index of the output. */
static bool reads_at_own_index(const sy_graph *graph, const sy_group *group, sy_value from, sy_value state,
                               unsigned char *seen, sy_value *stack)
{
    uint32_t top = 0;
    uint64_t count = sy_type_count(&graph->nodes[from].type);
    stack[top++] = from;
    seen[from] |= AT_OWN_INDEX;
    while (top) {
        sy_value v = stack[--top];
        const sy_node *node = &graph->nodes[v];
        if (v == state && (seen[v] & ELSEWHERE))
            return false;
        if (is_input(group, v))
            continue;
        bool keeps = (sy_op_is_elementwise(node->op) || node->op == SY_OP_RESHAPE) && !(seen[v] & ELSEWHERE);
        for (uint32_t i = 0; i < node->n_args; i++) {
            sy_value arg = node->args[i];
            unsigned char how = keeps && sy_type_count(&graph->nodes[arg].type) == count ? AT_OWN_INDEX : ELSEWHERE;
            if (seen[arg] & how)
                continue;
            seen[arg] |= how;
            stack[top++] = arg; /* at most twice a value: the room is two entries a node */
        }
    }
    return true;
}

static bool safe_in_place(const sy_graph *graph, const sy_group *group, sy_value state, bool *safe, sy_error *error)
{
    *safe = true;
    if (!is_input(group, state))
        return true;
    if (group->kind == SY_GROUP_ROW || group->kind == SY_GROUP_ROUTE) {
        *safe = false; /* other invocations may still be reading the row */
        return true;
    }
    unsigned char *seen = calloc(graph->n_nodes, 1);
    sy_value *stack = calloc((size_t)graph->n_nodes * 2, sizeof *stack);
    if (!seen || !stack) {
        free(seen);
        free(stack);
        return sy_no_memory(error);
    }
    for (uint32_t i = 0; i < group->n_outputs && *safe; i++)
        *safe = reads_at_own_index(graph, group, group->outputs[i], state, seen, stack);
    free(seen);
    free(stack);
    return true;
}

static bool add_copy(sy_plan *plan, sy_end *end, sy_error *error)
{
    sy_value value = end->value, copy = copy_of(plan->graph, value);
    if (!copy)
        return sy_graph_check(plan->graph, error);
    plan->graph->nodes[copy].group = (int32_t)plan->n_groups;
    end->value = copy;
    plan->groups[plan->n_groups++] =
        (sy_group){.kind = SY_GROUP_MAP, .inputs = {value}, .n_inputs = 1, .outputs = {copy}, .n_outputs = 1};
    return true;
}

/* Marks all groups that can run in some order; what is left waits, in the end, for itself. */
static bool find_cycles(const sy_plan *plan, bool *done, bool *cyclic, sy_error *error)
{
    sy_arena arena = {0};
    sy_plan_waits waits;
    uint32_t *ready = sy_arena_array(&arena, plan->n_groups + 1, sizeof *ready), n_ready = 0, n_done = 0;
    const int32_t *writers = sy_plan_writers(plan, &arena);
    bool fine = ready && writers && sy_plan_find_waits(plan, writers, &arena, &waits);
    for (uint32_t g = 0; fine && g < plan->n_groups; g++)
        if (!waits.waits[g])
            ready[n_ready++] = g;
    while (fine && n_done < n_ready) {
        uint32_t g = ready[n_done++];
        done[g] = true;
        for (uint32_t i = waits.first[g]; i < waits.first[g + 1]; i++)
            if (--waits.waits[waits.after[i]] == 0)
                ready[n_ready++] = waits.after[i];
    }
    *cyclic = n_done < plan->n_groups;
    sy_arena_free(&arena);
    return fine || sy_no_memory(error);
}

static int32_t writer_of(const sy_plan *plan, sy_value value)
{
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_outputs; i++)
            if (plan->groups[g].outputs[i] == value)
                return (int32_t)g;
    return -1;
}

bool sy_fuse_carries(sy_plan *plan, sy_error *error)
{
    sy_graph *graph = plan->graph;
    for (uint32_t e = 0; e < graph->n_ends; e++) {
        if (graph->ends[e].kind != SY_END_CARRY)
            continue;
        int32_t writer = writer_of(plan, graph->ends[e].value);
        bool safe = true;
        if (writer < 0)
            return sy_fail(error, SY_CODE_INTERNAL, "the carry of state \"%s\" is not made by any group.",
                           graph->ends[e].name);
        sy_value state = sy_graph_state(graph, graph->ends[e].name);
        if (!safe_in_place(graph, &plan->groups[writer], state, &safe, error) ||
            (!safe && !add_copy(plan, &graph->ends[e], error)))
            return false;
    }
    bool *done = calloc(plan->n_groups + graph->n_ends + 1, sizeof *done), cyclic = false;
    if (!done)
        return sy_no_memory(error);
    bool fine = find_cycles(plan, done, &cyclic, error);
    for (uint32_t e = 0; e < graph->n_ends && cyclic && fine; e++)
        if (graph->ends[e].kind == SY_END_CARRY && !done[writer_of(plan, graph->ends[e].value)])
            fine = add_copy(plan, &graph->ends[e], error);
    free(done);
    return fine;
}
