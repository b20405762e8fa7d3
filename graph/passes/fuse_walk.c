/* Walks over the half-fused graph: what a value needs, what a group reads and stores. All iterative, as graphs
 * may be deep, and all in terms of roles, so that they mean the same at every moment of the pass. */
#include "graph/passes/fuse.h"

sy_value sy_fuse_through_views(const sy_fuser *f, sy_value value)
{
    while (f->role[value] == SY_ROLE_VIEW)
        value = f->graph->nodes[value].args[0];
    return value;
}

static void push_args(sy_fuser *f, sy_value value, uint32_t *top)
{
    const sy_node *node = &f->graph->nodes[value];
    for (uint32_t i = node->n_args; i-- > 0;)
        f->stack[(*top)++] = node->args[i];
}

/* Empties the stack, going back through everything; true as soon as a member of `group` is met. Each value is expanded
 * at most once, so the stack holds no more than one entry an argument. */
static bool walk_back(sy_fuser *f, uint32_t top, int32_t group)
{
    while (top) {
        sy_value v = f->stack[--top];
        if (f->seen[v] == f->stamp)
            continue;
        f->seen[v] = f->stamp;
        if (f->role[v] == SY_ROLE_VIEW || f->role[v] == SY_ROLE_PULLED)
            push_args(f, v, &top);
        if (f->role[v] != SY_ROLE_MEMBER)
            continue;
        int32_t other = f->group[v];
        if (other == group)
            return true;
        if (f->group_seen[other] == f->stamp)
            continue;
        f->group_seen[other] = f->stamp;
        for (sy_value m = f->groups[other].member; m; m = f->next[m]) {
            f->seen[m] = f->stamp;
            push_args(f, m, &top);
        }
    }
    return false;
}

bool sy_fuse_reaches(sy_fuser *f, sy_value value, int32_t group)
{
    f->stamp++;
    f->stack[0] = value;
    return walk_back(f, 1, group);
}

bool sy_fuse_group_reaches(sy_fuser *f, int32_t from, int32_t group)
{
    return from == group || sy_fuse_reaches(f, f->groups[from].member, group);
}

/* Is some reader of `value` outside `group`? Views pass the question on; a stored view is a reader of its own. Views
 * on views deeper than any network has count as read outside: then a value is stored that need not be. */
static bool read_outside(const sy_fuser *f, sy_value value, int32_t group, int depth)
{
    if (depth > 64)
        return true;
    for (uint32_t i = f->first_user[value]; i < f->first_user[value + 1]; i++) {
        sy_value user = f->users[i];
        if (f->role[user] == SY_ROLE_VIEW) {
            if (read_outside(f, user, group, depth + 1))
                return true;
        } else if (f->role[user] != SY_ROLE_MEMBER || f->group[user] != group) {
            return true;
        }
    }
    return false;
}

bool sy_fuse_is_output(const sy_fuser *f, sy_value member)
{
    return f->is_end[member] || read_outside(f, member, f->group[member], 0);
}

/* Calls for what `group` reads from memory. Structural order: members from the oldest, arguments from the first. */
static bool for_each_input(sy_fuser *f, int32_t group, bool (*visit)(void *context, sy_value input), void *context,
                           bool *reads_step)
{
    uint32_t top = 0;
    f->stamp++;
    /* Members are linked newest first; pushed in that order the oldest is on top. */
    for (sy_value m = f->groups[group].member; m; m = f->next[m])
        push_args(f, m, &top);
    while (top) {
        sy_value v = f->stack[--top];
        if (f->seen[v] == f->stamp)
            continue;
        f->seen[v] = f->stamp;
        switch (f->role[v]) {
        case SY_ROLE_FREE:
            *reads_step |= f->graph->nodes[v].op == SY_OP_STEP || f->graph->nodes[v].op == SY_OP_STEP_INDEX;
            break;
        case SY_ROLE_VIEW:
        case SY_ROLE_PULLED:
            push_args(f, v, &top);
            break;
        case SY_ROLE_MEMBER:
            if (f->group[v] != group && !visit(context, v))
                return false;
            break;
        default:
            if (!visit(context, v))
                return false;
        }
    }
    return true;
}

static bool count_input(void *context, sy_value input)
{
    (void)input;
    ++*(uint32_t *)context;
    return true;
}

static bool is_step_output(const sy_fuser *f, sy_value value)
{
    for (uint32_t e = 0; e < f->graph->n_ends; e++)
        if (f->graph->ends[e].value == value && f->graph->ends[e].kind == SY_END_STEP_OUTPUT)
            return true;
    return false;
}

sy_fuse_size sy_fuse_measure(sy_fuser *f, int32_t group)
{
    sy_fuse_size size = {0};
    for_each_input(f, group, count_input, &size.inputs, &size.reads_step);
    for (sy_value m = f->groups[group].member; m; m = f->next[m]) {
        size.outputs += sy_fuse_is_output(f, m);
        size.reads_step |= f->is_end[m] && is_step_output(f, m);
    }
    return size;
}

bool sy_fuse_fits(sy_fuser *f, int32_t group)
{
    sy_fuse_size size = sy_fuse_measure(f, group);
    return size.inputs <= SY_GROUP_INPUTS && size.outputs <= SY_GROUP_OUTPUTS &&
           size.inputs + size.outputs + size.reads_step <= f->plan->limits.storage_buffers;
}

static bool add_input(void *context, sy_value input)
{
    sy_group *group = context;
    if (group->n_inputs == SY_GROUP_INPUTS)
        return false;
    group->inputs[group->n_inputs++] = input;
    return true;
}

bool sy_fuse_collect(sy_fuser *f, int32_t g, sy_group *out, sy_error *error)
{
    const sy_fuse_group *from = &f->groups[g];
    *out = (sy_group){.kind = from->kind, .n_anchors = from->n_anchors};
    for (uint32_t i = 0; i < from->n_anchors; i++)
        out->anchors[i] = from->anchors[i];
    sy_fuse_size size = sy_fuse_measure(f, g);
    if (!sy_fuse_fits(f, g))
        return sy_fail(error, SY_CODE_UNAVAILABLE,
                       "%s of %s reads %u and writes %u values%s; the device binds %u storage buffers.",
                       sy_op_get(f->graph->nodes[from->member].op)->name, f->graph->nodes[from->member].scope,
                       size.inputs, size.outputs, size.reads_step ? " and the step table" : "",
                       f->plan->limits.storage_buffers);
    for_each_input(f, g, add_input, out, &out->reads_step);
    out->reads_step = size.reads_step;
    for (sy_value m = from->member; m; m = f->next[m])
        if (sy_fuse_is_output(f, m))
            out->outputs[out->n_outputs++] = m;
    for (uint32_t i = 0; i < out->n_outputs / 2; i++) { /* the list is newest first */
        sy_value last = out->outputs[out->n_outputs - 1 - i];
        out->outputs[out->n_outputs - 1 - i] = out->outputs[i];
        out->outputs[i] = last;
    }
    return true;
}
