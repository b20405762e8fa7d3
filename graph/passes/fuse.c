/* Fuse: every op that costs work gets a group, which becomes one dispatch.
 *
 * One walk in topological order decides for each value: stored already (leaves, load-time values), free, a view, or an
 * op. Matmuls, attention, row ops and routes open a group, or join one as a further anchor. A map op joins, as
 * epilogue, the latest group that makes one of its arguments, if the rules allow; else it is recomputed by its reader
 * if that is cheap, as prologue; else it is a map group of its own. Afterwards groups are improved as wholes
 * (fuse_merge.c), and ends settled (fuse_ends.c).
 *
 * Sound because the graph's meaning is not touched: groups only say which values meet in one dispatch. What must hold
 * is that groups wait for each other without cycles, which every join checks, and that each op of a group finds what it
 * reads either at its own index (spine) or in memory written before (inputs), which the join rules check. */
#include "graph/passes/fuse.h"

#include <stdlib.h>
#include <string.h>

static void fuser_free(sy_fuser *f)
{
    free(f->role);
    free(f->is_end);
    free(f->heavy);
    free(f->cost);
    free(f->group);
    free(f->layout);
    free(f->next);
    free(f->first_user);
    free(f->users);
    free(f->seen);
    free(f->group_seen);
    free(f->stack);
    free(f->groups);
    free(f->layouts);
}

static bool fuser_init(sy_fuser *f, sy_plan *plan, sy_error *error)
{
    size_t n = plan->graph->n_nodes + 2, n_args = 0;
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        n_args += plan->graph->nodes[v].n_args;
    *f = (sy_fuser){
        .plan = plan,
        .graph = plan->graph,
        .role = calloc(n, sizeof *f->role),
        .is_end = calloc(n, sizeof *f->is_end),
        .heavy = calloc(n, sizeof *f->heavy),
        .cost = calloc(n, sizeof *f->cost),
        .group = malloc(n * sizeof *f->group),
        .layout = calloc(n, sizeof *f->layout),
        .next = calloc(n, sizeof *f->next),
        .first_user = calloc(n, sizeof *f->first_user),
        .users = calloc(n_args + 1, sizeof *f->users),
        .seen = calloc(n, sizeof *f->seen),
        .group_seen = calloc(n, sizeof *f->group_seen),
        .stack = calloc(n_args + 1, sizeof *f->stack),
        .groups = calloc(n, sizeof *f->groups),
    };
    if (!f->role || !f->is_end || !f->heavy || !f->cost || !f->group || !f->layout || !f->next || !f->first_user ||
        !f->users || !f->seen || !f->group_seen || !f->stack || !f->groups) {
        fuser_free(f);
        return sy_no_memory(error);
    }
    memset(f->group, -1, n * sizeof *f->group);
    return true;
}

static void find_users(sy_fuser *f)
{
    const sy_graph *graph = f->graph;
    for (sy_value v = 1; v < graph->n_nodes; v++)
        for (uint32_t i = 0; i < graph->nodes[v].n_args; i++)
            f->first_user[graph->nodes[v].args[i] + 1]++;
    for (sy_value v = 1; v <= graph->n_nodes; v++)
        f->first_user[v] += f->first_user[v - 1];
    /* Filled with first_user[v] as a cursor, then shifted back. */
    for (sy_value v = 1; v < graph->n_nodes; v++)
        for (uint32_t i = 0; i < graph->nodes[v].n_args; i++)
            f->users[f->first_user[graph->nodes[v].args[i]]++] = v;
    for (sy_value v = graph->n_nodes; v > 0; v--)
        f->first_user[v] = f->first_user[v - 1];
    f->first_user[0] = 0;
    for (uint32_t e = 0; e < graph->n_ends; e++)
        f->is_end[graph->ends[e].value] = true;
}

static sy_group_kind conv_kind(const sy_graph *graph, const sy_node *node)
{
    const sy_type *w = &graph->nodes[node->args[1]].type;
    bool alone = w->dim[w->rank - 2] == 1 && w->dim[w->rank - 1] == node->attributes.groups;
    return alone ? SY_GROUP_DEPTHWISE : SY_GROUP_CONV;
}

sy_group_kind sy_fuse_kind(const sy_graph *graph, const sy_node *node)
{
    switch (sy_op_get(node->op)->class) {
    case SY_CLASS_ROW:
        return SY_GROUP_ROW;
    case SY_CLASS_MATMUL:
        return node->op == SY_OP_CONV             ? conv_kind(graph, node)
               : node->op == SY_OP_GROUPED_MATMUL ? SY_GROUP_GROUPED_MATMUL
                                                  : SY_GROUP_MATMUL;
    case SY_CLASS_ATTENTION:
        return SY_GROUP_ATTENTION;
    case SY_CLASS_ROUTE:
        return SY_GROUP_ROUTE;
    default:
        return SY_GROUP_MAP;
    }
}

/* A costing op or a stored view: into a group, or pulled. */
static void place(sy_fuser *f, sy_value v)
{
    const sy_node *node = &f->graph->nodes[v];
    sy_group_kind kind = sy_fuse_kind(f->graph, node);
    bool fusing = !f->plan->params->no_fusion, joined = false;
    if (sy_op_get(node->op)->class == SY_CLASS_VIEW) {
        joined = sy_fuse_join_end(f, v);
    } else if (fusing && node->op == SY_OP_MOMENTS) {
        joined = sy_fuse_join_moments(f, v);
        f->heavy[v] = true;
    } else if (fusing && kind == SY_GROUP_MAP) {
        joined = !(sy_fuse_is_scaled_skip(f, v) && sy_fuse_pull(f, v)) && sy_fuse_join_epilogue(f, v);
        if (!joined && sy_fuse_pull(f, v)) {
            f->role[v] = SY_ROLE_PULLED;
            return;
        }
    } else if (fusing && kind == SY_GROUP_ROW) {
        joined = sy_fuse_join_rows(f, v);
    } else if (fusing && (kind == SY_GROUP_MATMUL || kind == SY_GROUP_GROUPED_MATMUL)) {
        joined = sy_fuse_join_pair(f, v);
    }
    if (!joined)
        sy_fuse_spill(f, sy_fuse_new_group(f, kind, v, kind != SY_GROUP_MAP));
}

static void decide(sy_fuser *f)
{
    for (sy_value v = 1; v < f->graph->n_nodes; v++) {
        const sy_node *node = &f->graph->nodes[v];
        sy_class class = sy_op_get(node->op)->class;
        if (sy_node_is_free(node))
            f->role[v] = SY_ROLE_FREE;
        else if (class == SY_CLASS_LEAF || node->load_time)
            f->role[v] = SY_ROLE_STORED;
        else if (class == SY_CLASS_VIEW && !f->is_end[v])
            f->role[v] = SY_ROLE_VIEW;
        else
            place(f, v);
    }
}

/* Hands the groups to the plan, and to each op the group it is computed in: pulled ones the first that reads them. */
static bool hand_over(sy_fuser *f, sy_error *error)
{
    sy_plan *plan = f->plan;
    plan->groups = sy_arena_array(&plan->arena, f->n_groups + plan->graph->n_ends + 1, sizeof *plan->groups);
    if (!plan->groups)
        return sy_no_memory(error);
    for (uint32_t g = 0; g < f->n_groups; g++) {
        if (f->groups[g].dissolved)
            continue;
        if (!sy_fuse_collect(f, (int32_t)g, &plan->groups[plan->n_groups], error))
            return false;
        for (sy_value m = f->groups[g].member; m; m = f->next[m])
            f->graph->nodes[m].group = (int32_t)plan->n_groups;
        plan->n_groups++;
    }
    for (sy_value v = f->graph->n_nodes; v-- > 1;) {
        int32_t group = f->graph->nodes[v].group;
        for (uint32_t i = 0; group >= 0 && i < f->graph->nodes[v].n_args; i++) {
            sy_value base = sy_fuse_through_views(f, f->graph->nodes[v].args[i]);
            if (f->role[base] == SY_ROLE_PULLED)
                f->graph->nodes[base].group = group;
        }
    }
    return true;
}

static bool fuse(sy_plan *plan, sy_error *error)
{
    sy_fuser f;
    if (!fuser_init(&f, plan, error))
        return false;
    find_users(&f);
    decide(&f);
    if (!plan->params->no_fusion) {
        sy_fuse_dissolve(&f);
        sy_fuse_merge_siblings(&f);
        sy_fuse_sink_views(&f);
    }
    bool fine = hand_over(&f, error);
    fuser_free(&f);
    return fine;
}

bool sy_pass_fuse(sy_plan *plan, sy_error *error)
{
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        plan->graph->nodes[v].group = -1;
    return sy_fuse_split_concats(plan, error) && sy_fuse_prepare_ends(plan->graph, error) && fuse(plan, error) &&
           sy_fuse_carries(plan, error);
}
