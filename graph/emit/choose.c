/* choose_kernels for one group: the problem it poses, the variant, and how many workgroups of it. */
#include "graph/emit/tuned.h"
#include "graph/ops/window.h"
#include "graph/passes/passes.h"

#include <string.h>

static uint64_t count_of(const sy_graph *graph, sy_value value)
{
    return sy_type_count(&graph->nodes[value].type);
}

/* Is the last axis of `value`, looked at through views and element-wise ops of its first argument, one that a transpose
 * took from further outside, and the one before it the innermost in memory? */
static bool rows_adjacent(const sy_graph *graph, sy_value value)
{
    for (int depth = 0; depth < 32; depth++) {
        const sy_node *node = &graph->nodes[value];
        int rank = node->type.rank;
        if (node->op == SY_OP_TRANSPOSE)
            return rank >= 2 && node->attributes.ints[rank - 2] == rank - 1 && node->type.dim[rank - 2] % 4 == 0;
        if (!sy_op_is_elementwise(node->op) || !node->n_args)
            return false;
        value = node->args[0];
    }
    return false;
}

static void row_problem(const sy_graph *graph, const sy_group *group, sy_problem *p)
{
    const sy_type *x = &graph->nodes[graph->nodes[group->anchors[0]].args[0]].type;
    p->columns = (uint64_t)x->dim[x->rank - 1];
    p->rows = sy_type_count(x) / p->columns;
    p->adjacent = rows_adjacent(graph, graph->nodes[group->anchors[0]].args[0]);
    p->quads = true;
    for (uint32_t i = 0; i < group->n_anchors; i++) {
        const sy_node *node = &graph->nodes[group->anchors[i]];
        p->quads = p->quads && node->op != SY_OP_TOP_K && node->op != SY_OP_ENTMAX;
        uint64_t length = count_of(graph, node->args[0]) / p->rows, turns = length % 4 ? length : length / 4;
        if (node->op == SY_OP_TOP_K) {
            p->ids += (uint32_t)node->attributes.k;
            p->iterations += turns * (uint64_t)node->attributes.k + (uint64_t)node->attributes.k;
        } else if (node->op == SY_OP_ENTMAX) {
            p->iterations += 21 * turns; /* passes of row.comp */
        } else {
            p->iterations += 2 * turns;
        }
    }
    for (uint32_t i = 0; i < group->n_outputs; i++)
        p->iterations += count_of(graph, group->outputs[i]) / p->rows;
}

/* Passes over the list of a route with capacity beyond the one that every route takes. */
static uint64_t counting_passes(const sy_node *node)
{
    sy_route_layout layout = sy_route_layout_of(&node->type);
    uint64_t rows = (uint64_t)node->type.dim[SY_ROUTE_ROWS], group = (uint64_t)node->attributes.group_rows;
    uint64_t keys = (group ? (rows + group - 1) / group : 1) * (uint64_t)node->type.dim[SY_ROUTE_TARGETS];
    int64_t where;
    uint64_t room = (uint64_t)sy_route_scratch(&layout, &where);
    return node->attributes.capacity && keys > room ? (keys + room - 1) / room * 2 : 0;
}

static void conv_problem(const sy_graph *graph, const sy_node *node, sy_problem *p)
{
    const sy_type *w = &graph->nodes[node->args[1]].type;
    sy_window window = sy_window_of(graph, node);
    p->rows = (uint64_t)window.pixels;
    p->columns = (uint64_t)w->dim[w->rank - 1] / (p->kind == SY_GROUP_CONV ? (uint64_t)window.groups : 1);
    p->iterations = (uint64_t)window.taps * (((uint64_t)w->dim[w->rank - 2] + 3) / 4 + 2) + 64;
}

/* Looking for blocks to leave out costs their scores a second time. A block far below its rows' largest scores adds
 * less than f32 holds, left out or not: at 2^-40, 2^16 keys of it are a last bit. */
bool sy_skips(const sy_node *node)
{
    return node->op == SY_OP_ROUTE_ATTENTION && node->attributes.skip > 0 && node->attributes.skip < 40;
}

/* Is every right argument stored as f16, as it is or under views and casts? Then it loses nothing as f16. */
static bool half_weights(const sy_graph *graph, const sy_group *group)
{
    for (uint32_t i = 0; i < group->n_anchors; i++) {
        sy_value value = graph->nodes[group->anchors[i]].args[1];
        for (const sy_node *node = &graph->nodes[value]; node->type.dtype != SY_F16; node = &graph->nodes[value]) {
            bool same = node->op == SY_OP_CAST || node->op == SY_OP_RESHAPE || node->op == SY_OP_TRANSPOSE;
            if (!same)
                return false;
            value = node->args[0];
        }
    }
    return true;
}

sy_problem sy_problem_of(const sy_plan *plan, const sy_group *group)
{
    const sy_graph *graph = plan->graph;
    sy_problem p = {.kind = group->kind, .n_anchors = group->n_anchors, .rows = 1};
    const sy_node *node = group->n_anchors ? &graph->nodes[group->anchors[0]] : NULL;
    p.half = (p.kind == SY_GROUP_MATMUL || p.kind == SY_GROUP_GROUPED_MATMUL) && plan->params && plan->params->half &&
             half_weights(graph, group);
    sy_value moments = sy_group_moments(graph, group);
    p.run = moments ? (uint32_t)graph->nodes[moments].attributes.length : 0;
    switch (group->kind) {
    case SY_GROUP_MAP:
        p.columns = count_of(graph, group->outputs[0]);
        break;
    case SY_GROUP_ROW:
        row_problem(graph, group, &p);
        break;
    case SY_GROUP_MATMUL: {
        const sy_type *a = &graph->nodes[node->args[0]].type, *b = &graph->nodes[node->args[1]].type;
        p.columns = (uint64_t)node->type.dim[node->type.rank - 1];
        p.rows = b->rank > 2 ? (uint64_t)a->dim[a->rank - 2] : sy_type_count(&node->type) / p.columns;
        break;
    }
    case SY_GROUP_CONV:
    case SY_GROUP_DEPTHWISE:
        conv_problem(graph, node, &p);
        break;
    case SY_GROUP_GROUPED_MATMUL: {
        /* Rows of one target under even load: tiles of that many waste least. */
        const sy_type *route = &graph->nodes[node->args[2]].type;
        p.columns = (uint64_t)node->type.dim[1];
        p.rows = (uint64_t)route->dim[SY_ROUTE_SLOTS] / (uint64_t)route->dim[SY_ROUTE_TARGETS];
        p.rows = p.rows ? p.rows : 1;
        break;
    }
    case SY_GROUP_ATTENTION:
        p.d = (uint32_t)graph->nodes[node->args[0]].type.dim[3];
        p.e = (uint32_t)node->type.dim[3];
        p.rows = (uint64_t)node->type.dim[2];
        p.columns = (uint64_t)graph->nodes[node->args[1]].type.dim[2];
        if (node->op == SY_OP_ROUTE_ATTENTION) {
            uint64_t block = (uint64_t)node->attributes.block_rows;
            p.rows = block < p.rows ? block : p.rows;
            p.blocks = (uint64_t)graph->nodes[node->args[3]].type.dim[SY_ROUTE_TARGETS];
            p.together = sy_skips(node) ? (uint32_t)p.rows : 0;
        }
        break;
    case SY_GROUP_ROUTE:
        p.rows = count_of(graph, node->args[0]);
        p.iterations =
            6 * p.rows + 6 * (uint64_t)node->type.dim[SY_ROUTE_ROWS] + 128 * (uint64_t)node->type.dim[SY_ROUTE_TARGETS];
        p.iterations += counting_passes(node) * p.rows;
        break;
    }
    return p;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* n workgroups in one line, folded where the device's x is too short. */
static void fold(sy_group *group, const sy_limits *limits, uint64_t n)
{
    uint64_t x = n < limits->group_count[0] ? n : 65535;
    group->groups[0] = (uint32_t)(x ? x : 1);
    group->groups[1] = (uint32_t)ceil_div(n, group->groups[0]);
    group->groups[2] = 1;
}

static bool grouped(sy_plan *plan, sy_group *group, const sy_variant *variant, uint64_t column_groups, sy_error *error)
{
    const sy_node *node = &plan->graph->nodes[group->anchors[0]];
    struct sy_route_use *use = &plan->route_uses[node->args[2]];
    sy_route_layout layout = sy_route_layout_of(&plan->graph->nodes[node->args[2]].type);
    /* All consumers of a route share its tiles: the first one decides their height. */
    group->route = node->args[2];
    group->indirect = true;
    if (use->tile_rows == 0)
        use->tile_rows = variant->rows;
    group->tile_rows = use->tile_rows;
    group->consumer = 0;
    while (group->consumer < use->n_consumers && use->columns[group->consumer] != column_groups)
        group->consumer++;
    if (group->consumer == SY_ROUTE_CONSUMERS)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "a route has grouped consumers of more than %d widths",
                       SY_ROUTE_CONSUMERS);
    if (group->consumer == use->n_consumers)
        use->columns[use->n_consumers++] = (uint32_t)column_groups;
    const sy_type *route = &plan->graph->nodes[node->args[2]].type;
    uint64_t slots = (uint64_t)route->dim[SY_ROUTE_SLOTS], targets = (uint64_t)route->dim[SY_ROUTE_TARGETS];
    uint64_t tiles = (slots + (targets < slots ? targets : slots) * (group->tile_rows - 1)) / group->tile_rows;
    /* Columns first: all of a target's matrix is read while its tiles are at hand, and lies in the cache for the next.
     */
    group->groups[0] = (uint32_t)column_groups;
    group->groups[1] = (uint32_t)(tiles < layout.max_tiles ? tiles : layout.max_tiles);
    group->groups[2] = 1;
    return true;
}

bool sy_choose_kernel(sy_plan *plan, uint32_t index, sy_error *error)
{
    sy_group *group = &plan->groups[index];
    sy_problem p = sy_problem_of(plan, group);
    char class[SY_PROBLEM_CLASS];
    if (group->kind == SY_GROUP_GROUPED_MATMUL) {
        p.tile_rows = plan->route_uses[plan->graph->nodes[group->anchors[0]].args[2]].tile_rows;
    }
    sy_problem_class(plan, group, &p, class);
    group->problem = sy_arena_string(&plan->arena, class);
    group->candidates = sy_variant_candidates(&p, &plan->limits);
    if (!group->problem)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to choose kernels");
    const sy_variant *variant = sy_tuned_variant(plan->params->tuning, class, &p, &plan->limits);
    if (!variant)
        variant = sy_choose_variant(&p, &plan->limits, error);
    return variant && sy_variant_apply(variant, plan, index, error);
}

bool sy_variant_apply(const sy_variant *variant, sy_plan *plan, uint32_t index, sy_error *error)
{
    sy_group *group = &plan->groups[index];
    const sy_limits *limits = &plan->limits;
    const sy_problem p = sy_problem_of(plan, group);
    group->variant = variant->name;
    group->tile_rows = variant->rows;
    group->tile_columns = variant->columns;
    memcpy(group->local_size, variant->local, sizeof group->local_size);
    uint64_t lanes = variant->local[0] * (uint64_t)variant->local[1] * variant->local[2];
    bool tile = !strcmp(variant->section, "tile") || variant->matrix[0], pixels = !strcmp(variant->section, "pixels");
    if (variant->matrix[0])
        group->local_size[0] = sy_variant_local(variant, &p, limits);
    switch (group->kind) {
    case SY_GROUP_MAP:
        fold(group, limits, ceil_div(ceil_div(p.columns, 4), lanes));
        break;
    case SY_GROUP_ROW:
        fold(group, limits, variant->lanes > 1 ? p.rows : ceil_div(p.rows / variant->rows, lanes));
        break;
    case SY_GROUP_MATMUL:
        group->groups[0] = (uint32_t)ceil_div(p.rows, variant->rows);
        group->groups[1] =
            (uint32_t)ceil_div(p.columns, tile ? variant->columns : variant->columns * variant->local[0]);
        group->groups[2] = (uint32_t)(count_of(plan->graph, group->anchors[0]) / (p.rows * p.columns));
        break;
    case SY_GROUP_CONV:
    case SY_GROUP_DEPTHWISE: /* images of more tiles than fit x go on in z, behind the groups of channels */
        fold(group, limits, ceil_div(p.rows, (uint64_t)variant->rows * (pixels ? variant->local[0] : 1)));
        group->groups[2] =
            group->groups[1] * (uint32_t)(count_of(plan->graph, group->anchors[0]) / (p.rows * p.columns));
        group->groups[1] =
            (uint32_t)ceil_div(p.columns, tile || pixels ? variant->columns : variant->columns * variant->local[0]);
        break;
    case SY_GROUP_GROUPED_MATMUL:
        if (!grouped(plan, group, variant,
                     ceil_div(p.columns, tile ? variant->columns : variant->columns * variant->local[0]), error))
            return false;
        break;
    case SY_GROUP_ATTENTION: {
        const sy_type *type = &plan->graph->nodes[group->anchors[0]].type;
        group->local_size[0] = sy_variant_local(variant, &p, limits);
        /* p.rows: of all, or of a block that a route lists blocks for. */
        group->groups[0] = (uint32_t)(ceil_div((uint64_t)type->dim[2], p.rows) *
                                      ceil_div(p.rows, (uint64_t)group->local_size[0] * variant->rows));
        group->groups[1] = (uint32_t)type->dim[1];
        group->groups[2] = (uint32_t)type->dim[0];
        break;
    }
    case SY_GROUP_ROUTE:
        group->groups[0] = group->groups[1] = group->groups[2] = 1;
        break;
    }
    for (int i = 0; i < 3; i++)
        if (group->groups[i] > limits->group_count[i])
            return sy_fail(error, SY_CODE_UNAVAILABLE, "%s would need %u workgroups; device %s has %u", variant->name,
                           group->groups[i], limits->device, limits->group_count[i]);
    return true;
}
