/* The plan's verifier, run after every pass on what has been planned so far. Written for being right rather than quick,
 * and independent of the passes: it recomputes from groups and places what they had to ensure.
 *
 *   coverage   each value a group reads is there: a leaf, of load time, or stored by a group; stored once
 *   buffers    what a group binds fits the device
 *   order      a value is stored before it is read; a state is overwritten after its last reader; stages ascend
 *   memory     places lie in their buffers, aligned; values of the arena that live at one time do not overlap
 *   barriers   between two dispatches that touch the same bytes, one writing, stands a barrier */
#include "graph/passes/passes.h"

#include <stdlib.h>

static bool stored_before(const sy_node *node)
{
    return (sy_op_get(node->op)->class == SY_CLASS_LEAF || node->load_time) && !sy_node_is_free(node);
}

static bool check_coverage(const sy_plan *plan, const int32_t *writers, sy_error *error)
{
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        const sy_group *group = &plan->groups[g];
        if (!group->n_outputs)
            return sy_fail(error, SY_CODE_INTERNAL, "group #%u stores nothing.", g);
        for (uint32_t i = 0; i < group->n_inputs; i++)
            if (writers[group->inputs[i]] < 0 && !stored_before(&plan->graph->nodes[group->inputs[i]]))
                return sy_fail(error, SY_CODE_INTERNAL, "group #%u reads %%%u, which nothing stores.", g,
                               group->inputs[i]);
        for (uint32_t i = 0; i < group->n_outputs; i++)
            if (writers[group->outputs[i]] != (int32_t)g)
                return sy_fail(error, SY_CODE_INTERNAL, "%%%u is stored by groups #%u and #%d.", group->outputs[i], g,
                               writers[group->outputs[i]]);
        if (group->n_inputs + group->n_outputs + group->reads_step > plan->limits.storage_buffers)
            return sy_fail(error, SY_CODE_INTERNAL, "group #%u binds %u buffers of at most %u.", g,
                           group->n_inputs + group->n_outputs + group->reads_step, plan->limits.storage_buffers);
    }
    for (uint32_t e = 0; e < plan->graph->n_ends; e++)
        if (writers[plan->graph->ends[e].value] < 0)
            return sy_fail(error, SY_CODE_INTERNAL, "the end \"%s\" is stored by no group.", plan->graph->ends[e].name);
    return true;
}

/* Does the group's expression, walked as plan.h says, end in inputs and free values alone? */
static bool check_closed(const sy_plan *plan, uint32_t g, uint32_t *seen, sy_value *stack, sy_error *error)
{
    const sy_group *group = &plan->groups[g];
    uint32_t top = 0, used = 0;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        seen[group->inputs[i]] = g + 1;
    for (uint32_t i = 0; i < group->n_outputs; i++)
        stack[top++] = group->outputs[i];
    while (top) {
        sy_value v = stack[--top];
        const sy_node *node = &plan->graph->nodes[v];
        for (uint32_t i = 0; i < group->n_inputs; i++)
            used += group->inputs[i] == v;
        if (seen[v] == g + 1)
            continue;
        seen[v] = g + 1;
        if (stored_before(node))
            return sy_fail(error, SY_CODE_INTERNAL, "group #%u needs %%%u, which is not among its inputs.", g, v);
        if (sy_node_costs(node) && node->group < 0)
            return sy_fail(error, SY_CODE_INTERNAL, "group #%u computes %%%u, which is in no group.", g, v);
        for (uint32_t i = 0; i < node->n_args; i++)
            stack[top++] = node->args[i];
    }
    return used >= group->n_inputs ||
           sy_fail(error, SY_CODE_INTERNAL, "group #%u has an input that it does not read.", g);
}

static bool check_expressions(const sy_plan *plan, sy_arena *arena, sy_error *error)
{
    size_t n_args = 0;
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        n_args += plan->graph->nodes[v].n_args;
    uint32_t *seen = sy_arena_array(arena, plan->graph->n_nodes, sizeof *seen);
    sy_value *stack = sy_arena_array(arena, n_args + SY_GROUP_OUTPUTS + 1, sizeof *stack);
    if (!seen || !stack)
        return sy_no_memory(error);
    for (uint32_t g = 0; g < plan->n_groups; g++)
        if (!check_closed(plan, g, seen, stack, error))
            return false;
    return true;
}

/* Stages are set by the pass order: before it all are 0. */
static bool ordered(const sy_plan *plan)
{
    return plan->n_groups > 0 && (plan->groups[plan->n_groups - 1].stage > 0 || plan->places);
}

static bool check_order(const sy_plan *plan, const int32_t *writers, sy_arena *arena, sy_error *error)
{
    sy_plan_waits waits;
    if (!sy_plan_find_waits(plan, writers, arena, &waits))
        return sy_no_memory(error);
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        if (g && plan->groups[g].stage < plan->groups[g - 1].stage)
            return sy_fail(error, SY_CODE_INTERNAL, "group #%u is of an earlier stage than the one before.", g);
        for (uint32_t i = waits.first[g]; i < waits.first[g + 1]; i++)
            if (waits.after[i] <= g || plan->groups[waits.after[i]].stage <= plan->groups[g].stage)
                return sy_fail(error, SY_CODE_INTERNAL, "group #%u must run after #%u.", waits.after[i], g);
    }
    return true;
}

static bool overlap(const sy_place *a, const sy_place *b)
{
    return a->space == b->space && a->buffer == b->buffer && a->offset < b->offset + b->size &&
           b->offset < a->offset + a->size;
}

static bool check_place(const sy_plan *plan, sy_value v, sy_error *error)
{
    const sy_place *p = &plan->places[v];
    if (!p->size || p->size < sy_type_bytes(&plan->graph->nodes[v].type))
        return sy_fail(error, SY_CODE_INTERNAL, "%%%u has too little room.", v);
    if (p->offset % plan->limits.offset_alignment)
        return sy_fail(error, SY_CODE_INTERNAL, "%%%u lies at %llu, which is not aligned.", v,
                       (unsigned long long)p->offset);
    if (p->buffer >= SY_SPACE_BUFFERS || p->offset + p->size > plan->space_bytes[p->space][p->buffer])
        return sy_fail(error, SY_CODE_INTERNAL, "%%%u reaches beyond its buffer.", v);
    return true;
}

/* The arena by position: each value against all that are live when it is stored. */
static bool check_memory(const sy_plan *plan, sy_arena *arena, sy_error *error)
{
    uint32_t *last = sy_arena_array(arena, plan->graph->n_nodes, sizeof *last), n_live = 0;
    sy_value *live = sy_arena_array(arena, plan->graph->n_nodes, sizeof *live);
    if (!last || !live)
        return sy_no_memory(error);
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_inputs; i++) {
            last[plan->groups[g].inputs[i]] = g;
            if (!check_place(plan, plan->groups[g].inputs[i], error))
                return false;
        }
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n_live; i++)
            if (last[live[i]] >= g)
                live[kept++] = live[i];
        n_live = kept;
        for (uint32_t i = 0; i < plan->groups[g].n_outputs; i++) {
            sy_value v = plan->groups[g].outputs[i];
            if (!check_place(plan, v, error))
                return false;
            for (uint32_t j = 0; j < n_live; j++)
                if (overlap(&plan->places[v], &plan->places[live[j]]))
                    return sy_fail(error, SY_CODE_INTERNAL, "%%%u and %%%u lie in the same bytes.", v, live[j]);
            live[n_live++] = v;
        }
    }
    return true;
}

static bool conflict(const sy_plan *plan, const sy_group *a, const sy_group *b)
{
    for (uint32_t i = 0; i < a->n_outputs; i++) {
        const sy_place *p = &plan->places[a->outputs[i]];
        for (uint32_t j = 0; j < b->n_inputs; j++)
            if (overlap(p, &plan->places[b->inputs[j]]))
                return true;
        for (uint32_t j = 0; j < b->n_outputs; j++)
            if (overlap(p, &plan->places[b->outputs[j]]))
                return true;
    }
    for (uint32_t i = 0; i < a->n_inputs; i++)
        for (uint32_t j = 0; j < b->n_outputs; j++)
            if (overlap(&plan->places[a->inputs[i]], &plan->places[b->outputs[j]]))
                return true;
    return false;
}

static bool check_barriers(const sy_plan *plan, sy_error *error)
{
    uint32_t since = 0;
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        if (plan->groups[g].barrier)
            since = g;
        for (uint32_t h = since; h < g; h++)
            if (conflict(plan, &plan->groups[h], &plan->groups[g]))
                return sy_fail(error, SY_CODE_INTERNAL, "no barrier between groups #%u and #%u.", h, g);
    }
    return true;
}

bool sy_plan_verify(const sy_plan *plan, sy_error *error)
{
    if (!plan->groups)
        return true;
    sy_arena arena = {0};
    const int32_t *writers = sy_plan_writers(plan, &arena);
    bool fine = writers != NULL || sy_no_memory(error);
    fine = fine && check_coverage(plan, writers, error) && check_expressions(plan, &arena, error);
    if (fine && ordered(plan))
        fine = check_order(plan, writers, &arena, error);
    if (fine && plan->places)
        fine = check_memory(plan, &arena, error);
    if (fine && plan->n_groups && plan->groups[0].barrier)
        fine = check_barriers(plan, error);
    sy_arena_free(&arena);
    return fine;
}
