/* Route producers become tensors and one route.build for each route that something reads.
 *
 * Every producer and transformer is a rewrite of a list of entries (row, target, weight), an entry with a target below
 * 0 standing for none: top_k makes the list row by row, split replaces the targets of masked rows, capacity drops
 * entries. So a chain of any of them is a chain of element-wise ops on the lists, which fuse into the kernels around
 * them, and only the end of the chain is built as a route. A link of the chain that something else reads is built as
 * well; a link nobody reads is not.
 *
 * Capacity is counted in list order. As the last link it is left to route.build, with the list in the order asked for;
 * followed by another link it is applied at once: entry i is dropped if `capacity` entries of its group and target have
 * a lower key, counted by comparing all pairs. That is quadratic, but exact, deterministic, and no published network
 * needs it. */
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include "graph/ir/build.h"
#include "graph/ir/route.h"

#include <stdlib.h>

typedef struct list {
    sy_value rows, targets, weights; /* of equal shape: [T,k] if by_row, else [L] */
    bool by_row;                     /* row t of the shape holds the entries of row t, best first */
    sy_value choice;                 /* not by_row: how many better entries its maker gave the row, [L] */
    int32_t length, n_rows, n_targets, k;
    int32_t capacity, group_rows; /* still to be applied, in the order of the list; capacity 0: none */
    bool choice_major;            /* … which is then all first choices, all second ones … (by_row only) */
} list;

static sy_value whole_number(sy_graph *g, int32_t value)
{
    double number = value;
    return sy_const_of(g, SY_T(SY_I32, 1), &number, 1);
}

static sy_value flat(sy_graph *g, sy_value x, int32_t length)
{
    return sy_reshape(g, x, SY_T(SY_F32, length));
}

static sy_value zeros(sy_graph *g, int32_t length)
{
    double zero = 0;
    return sy_const_of(g, SY_T(SY_I32, length), &zero, 1);
}

static bool is_producer(sy_op op)
{
    return op == SY_OP_ROUTE_TOP_K || op == SY_OP_ROUTE_EXPERT_CHOICE || op == SY_OP_ROUTE_SPLIT ||
           op == SY_OP_ROUTE_CAPACITY;
}

/* The scores as the choice sees them (SY_STEERED), of a producer that is steered. */
static sy_value steered(sy_graph *g, sy_value scores, sy_value steer)
{
    sy_value none = whole_number(g, 0), off = sy_binary(g, SY_OP_LESS, steer, none),
             on = sy_binary(g, SY_OP_LESS, none, steer);
    return sy_select(g, off, sy_const(g, -SY_STEERED),
                     sy_select(g, on, sy_const(g, SY_STEERED), sy_cast(g, scores, SY_F32)));
}

/* Drops the entries that were steered away from and came in for want of others: `steer` along the targets' axis. */
static void drop_off(sy_graph *g, list *l, sy_value ids, sy_value steer)
{
    sy_value off = sy_binary(g, SY_OP_LESS, sy_take_last(g, steer, ids), whole_number(g, 0));
    l->targets = sy_select(g, off, whole_number(g, -1), l->targets);
    l->weights = sy_select(g, off, sy_const(g, 0), l->weights);
}

static list from_top_k(sy_graph *g, const sy_node *node, const sy_node *old_scores, sy_value scores, sy_value steer)
{
    int32_t rows = old_scores->type.dim[0], targets = old_scores->type.dim[1], k = node->attributes.k;
    list l = {.by_row = true, .n_rows = rows, .n_targets = targets, .k = k, .length = rows * k};
    l.targets = sy_top_k(g, steer ? steered(g, scores, steer) : scores, k);
    l.weights = sy_cast(g, sy_take_last(g, scores, l.targets), SY_F32);
    if (steer)
        drop_off(g, &l, l.targets, steer);
    if (node->attributes.renormalise)
        l.weights = sy_binary(g, SY_OP_DIV, l.weights, sy_row(g, SY_OP_REDUCE_SUM, l.weights, 0));
    l.rows = sy_iota(g, SY_T(SY_I32, rows, k), 0);
    return l;
}

/* Each target chooses among the rows of each group: top_k along the rows. */
static sy_value turned(sy_graph *g, sy_value x, int32_t groups, int32_t rows, int32_t targets)
{
    return sy_transpose(g, sy_reshape(g, x, SY_T(SY_F32, groups, rows, targets)), (const int32_t[]){0, 2, 1});
}

static list from_expert_choice(sy_graph *g, const sy_node *node, const sy_node *old_scores, sy_value scores,
                               sy_value steer)
{
    int32_t rows = old_scores->type.dim[0], targets = old_scores->type.dim[1], k = node->attributes.k;
    int32_t in_group = node->attributes.group_rows ? node->attributes.group_rows : rows, groups = rows / in_group;
    list l = {.n_rows = rows, .n_targets = targets, .length = groups * targets * k};
    sy_value by_target = turned(g, scores, groups, in_group, targets);
    sy_value ids =
        sy_top_k(g, steer ? turned(g, steered(g, scores, steer), groups, in_group, targets) : by_target, k);
    sy_value first = sy_mul(g, sy_iota(g, SY_T(SY_I32, groups, 1, 1), 0), whole_number(g, in_group));
    l.targets = sy_iota(g, SY_T(SY_I32, groups, targets, k), 1);
    l.weights = sy_cast(g, sy_take_last(g, by_target, ids), SY_F32);
    if (steer)
        drop_off(g, &l, ids, turned(g, steer, groups, in_group, targets));
    l.rows = flat(g, sy_add(g, ids, first), l.length);
    l.targets = flat(g, l.targets, l.length);
    l.weights = flat(g, l.weights, l.length);
    l.choice = zeros(g, l.length);
    return l;
}

static list from_build(const sy_graph *old, const sy_rewrite *rewrite, const sy_node *node)
{
    const sy_attributes *a = &node->attributes;
    int32_t length = old->nodes[node->args[0]].type.dim[0];
    return (list){
        .choice = sy_iota(rewrite->graph, SY_T(SY_I32, length), 0),
        .rows = rewrite->map[node->args[0]],
        .targets = rewrite->map[node->args[1]],
        .weights = rewrite->map[node->args[2]],
        .length = length,
        .n_rows = a->rows,
        .n_targets = a->targets,
        .capacity = a->capacity,
        .group_rows = a->group_rows,
    };
}

/* 1 for pairs (i, j), as [L,L], where op(a_j, b_i) holds. */
static sy_value pairs(sy_graph *g, sy_op op, sy_value a, sy_value b, int32_t length)
{
    return sy_binary(g, op, sy_reshape(g, a, SY_T(SY_I32, 1, length)), sy_reshape(g, b, SY_T(SY_I32, length, 1)));
}

/* Drops entries that have `capacity` entries of their target and group before them, in the order of `key` and, of equal
 * keys, `then` (i32[L] both; `then` 0 if keys differ). */
static void apply_capacity(sy_graph *g, list *l, sy_value key, sy_value then)
{
    sy_value rows = flat(g, l->rows, l->length), targets = flat(g, l->targets, l->length);
    sy_value before = pairs(g, SY_OP_LESS, key, key, l->length);
    if (then)
        before =
            sy_add(g, before,
                   sy_mul(g, pairs(g, SY_OP_EQUAL, key, key, l->length), pairs(g, SY_OP_LESS, then, then, l->length)));
    before = sy_mul(g, before, pairs(g, SY_OP_EQUAL, targets, targets, l->length));
    if (l->group_rows) {
        sy_value group = sy_binary(g, SY_OP_DIV, rows, whole_number(g, l->group_rows));
        before = sy_mul(g, before, pairs(g, SY_OP_EQUAL, group, group, l->length));
    }
    sy_value rank = flat(g, sy_row(g, SY_OP_REDUCE_SUM, sy_cast(g, before, SY_F32), 0), l->length);
    sy_value kept = sy_binary(g, SY_OP_LESS, rank, sy_const(g, l->capacity));
    targets = sy_select(g, kept, targets, whole_number(g, -1));
    l->targets = l->by_row ? sy_reshape(g, targets, SY_T(SY_I32, l->n_rows, l->k)) : targets;
    l->capacity = 0;
}

/* The order in which entries lay claim to a place, as a number an entry. */
static sy_value claim(sy_graph *g, const list *l)
{
    if (!l->choice_major)
        return sy_iota(g, SY_T(SY_I32, l->length), 0);
    sy_value choice = sy_mul(g, sy_iota(g, SY_T(SY_I32, l->n_rows, l->k), 1), whole_number(g, l->n_rows));
    return flat(g, sy_add(g, choice, sy_iota(g, SY_T(SY_I32, l->n_rows, l->k), 0)), l->length);
}

static void settle_capacity(sy_graph *g, list *l)
{
    if (l->capacity)
        apply_capacity(g, l, claim(g, l), 0);
}

/* Masked rows: their first entry goes to `target`, with weight 1; their others go. */
static void split(sy_graph *g, list *l, const sy_node *node, sy_value mask)
{
    sy_value nowhere = whole_number(g, -1), target = whole_number(g, node->attributes.target);
    settle_capacity(g, l);
    l->n_targets = node->attributes.targets;
    if (l->by_row) {
        sy_value masked = sy_reshape(g, mask, SY_T(SY_I32, l->n_rows, 1)), there = target;
        if (l->k > 1) {
            sy_value choice = sy_iota(g, SY_T(SY_I32, 1, l->k), 1);
            there = sy_select(g, sy_binary(g, SY_OP_EQUAL, choice, whole_number(g, 0)), target, nowhere);
        }
        l->targets = sy_select(g, masked, there, l->targets);
        l->weights = sy_select(g, masked, sy_const(g, 1), l->weights);
        return;
    }
    double one = 1;
    sy_value gone = sy_take_rows(g, mask, l->rows);
    sy_value rows[] = {l->rows, sy_iota(g, SY_T(SY_I32, l->n_rows), 0)};
    sy_value targets[] = {sy_select(g, gone, nowhere, l->targets), sy_select(g, mask, target, nowhere)};
    sy_value weights[] = {l->weights, sy_const_of(g, SY_T(SY_F32, l->n_rows), &one, 1)};
    l->rows = sy_concat(g, rows, 2, 0);
    l->targets = sy_concat(g, targets, 2, 0);
    sy_value choices[] = {l->choice, zeros(g, l->n_rows)};
    l->weights = sy_concat(g, weights, 2, 0);
    l->choice = sy_concat(g, choices, 2, 0);
    l->length += l->n_rows;
}

static void limit(sy_graph *g, list *l, const sy_node *node)
{
    const sy_attributes *a = &node->attributes;
    bool choice_major = a->order != 0 && l->by_row;
    if (l->capacity && l->by_row && l->group_rows == a->group_rows && l->choice_major == choice_major) {
        l->capacity = l->capacity < a->capacity ? l->capacity : a->capacity;
        return;
    }
    settle_capacity(g, l);
    l->capacity = a->capacity;
    l->group_rows = a->group_rows;
    l->choice_major = choice_major;
    if (!l->by_row) /* the list may be in any order; order 1 is for top_k alone */
        apply_capacity(g, l, l->rows, l->choice);
}

static list lowered(sy_rewrite *rewrite, const list *lists, sy_value v)
{
    const sy_graph *old = rewrite->old;
    sy_graph *g = rewrite->graph;
    const sy_node *node = &old->nodes[v];
    sy_value arg = node->args[0], steer = node->n_args > 1 ? rewrite->map[node->args[1]] : 0;
    list l = lists[arg];
    switch (node->op) {
    case SY_OP_ROUTE_TOP_K:
        return from_top_k(g, node, &old->nodes[arg], rewrite->map[arg], steer);
    case SY_OP_ROUTE_EXPERT_CHOICE:
        return from_expert_choice(g, node, &old->nodes[arg], rewrite->map[arg], steer);
    case SY_OP_ROUTE_SPLIT:
        split(g, &l, node, rewrite->map[node->args[1]]);
        return l;
    case SY_OP_ROUTE_CAPACITY:
        limit(g, &l, node);
        return l;
    default:
        return from_build(old, rewrite, node);
    }
}

static sy_value build(sy_graph *g, const list *l)
{
    sy_value parts[] = {l->rows, l->targets, l->weights};
    for (int i = 0; i < 3; i++) {
        if (l->capacity && l->choice_major)
            parts[i] = sy_transpose(g, parts[i], (const int32_t[]){1, 0});
        parts[i] = flat(g, parts[i], l->length);
    }
    return sy_route_build(g, parts[0], parts[1], parts[2], l->n_rows, l->n_targets, l->capacity, l->group_rows);
}

/* Values some live node that is not itself a link of a chain reads, or an end. */
static void mark_consumed(const sy_rewrite *rewrite, bool *consumed)
{
    const sy_graph *old = rewrite->old;
    for (sy_value v = 1; v < old->n_nodes; v++)
        for (uint32_t i = 0; rewrite->live[v] && !is_producer(old->nodes[v].op) && i < old->nodes[v].n_args; i++)
            consumed[old->nodes[v].args[i]] = true;
    for (uint32_t e = 0; e < old->n_ends; e++)
        consumed[old->ends[e].value] = true;
}

bool sy_pass_lower_routes(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    const sy_graph *old = plan->graph;
    bool *consumed = calloc(old->n_nodes, sizeof *consumed);
    list *lists = calloc(old->n_nodes, sizeof *lists);
    if (consumed && lists) {
        mark_consumed(&rewrite, consumed);
        for (sy_value v = 1; v < old->n_nodes; v++) {
            if (!rewrite.live[v])
                continue;
            sy_rewrite_scope(&rewrite, v);
            bool link = is_producer(old->nodes[v].op);
            if (link || old->nodes[v].op == SY_OP_ROUTE_BUILD)
                lists[v] = lowered(&rewrite, lists, v);
            if (!link)
                sy_rewrite_copy(&rewrite, v);
            else if (consumed[v])
                rewrite.map[v] = build(rewrite.graph, &lists[v]);
        }
    } else {
        sy_no_memory(&rewrite.graph->error);
    }
    free(consumed);
    free(lists);
    return sy_rewrite_end(&rewrite, plan, error);
}
