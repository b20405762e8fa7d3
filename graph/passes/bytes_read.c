/* How much of its inputs a group touches, for the traffic that --stats reports. */
#include "graph/passes/passes.h"

/* The walk goes from the group's outputs to its inputs as in plan.h; along each path the smallest element count of the
 * views passed since the last op bounds what that path touches. A slice of a shared value (adaLN) counts as the slice.
 * Paths longer than networks have are counted as reading all. */
enum { DEEPEST = 200 };

typedef struct counting {
    const sy_plan *plan;
    const sy_group *group;
    sy_value input;
    uint64_t elements;
    uint32_t steps; /* bounds the work: expressions are trees here */
} counting;

static bool is_input(const sy_group *group, sy_value value)
{
    for (uint32_t i = 0; i < group->n_inputs; i++)
        if (group->inputs[i] == value)
            return true;
    return false;
}

static void count(counting *c, sy_value value, uint64_t through, int depth)
{
    const sy_node *node = &c->plan->graph->nodes[value];
    uint64_t own = sy_type_count(&node->type);
    if (value == c->input) {
        c->elements += own < through ? own : through;
        return;
    }
    if (is_input(c->group, value) || node->load_time)
        return;
    if (depth > DEEPEST || ++c->steps > 20000) {
        c->elements = UINT64_MAX / 2;
        return;
    }
    bool view = sy_op_get(node->op)->class == SY_CLASS_VIEW;
    for (uint32_t i = 0; i < node->n_args && c->elements < UINT64_MAX / 2; i++)
        count(c, node->args[i], view ? (own < through ? own : through) : UINT64_MAX, depth + 1);
}

uint64_t sy_plan_bytes_read(const sy_plan *plan, const sy_group *group, sy_value input)
{
    const sy_type *type = &plan->graph->nodes[input].type;
    uint64_t all = sy_type_count(type), bytes = sy_type_bytes(type);
    counting c = {.plan = plan, .group = group, .input = input};
    for (uint32_t i = 0; i < group->n_outputs; i++)
        count(&c, group->outputs[i], UINT64_MAX, 0);
    return c.elements >= all ? bytes : (uint64_t)((double)bytes * (double)c.elements / (double)all);
}
