/* Routes: producers, transformers, and route.build, to which the pass lower_routes reduces all of them. */
#include "graph/ir/route.h"
#include "graph/ops/family.h"

#include <stdlib.h>
#include <string.h>

static bool need_scores(const sy_graph *graph, const sy_node *node, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *scores = sy_arg_type(graph, node, 0);
    if (scores->rank != 2 || !sy_dtype_is_float(scores->dtype))
        return sy_misfit(graph, node, error, "scores are a floating-point matrix of rows by targets");
    const sy_type *steer = node->n_args > 1 ? sy_arg_type(graph, node, 1) : NULL;
    if (steer && (steer->dtype != SY_I32 || steer->rank != 2 || memcmp(steer->dim, scores->dim, 2 * sizeof *steer->dim)))
        return sy_misfit(graph, node, error, "what steers is i32 in the shape of the scores");
    return true;
}

static bool set_route(const sy_graph *graph, sy_node *node, int64_t rows, int64_t targets, int64_t slots,
                      sy_error *error)
{
    if (rows > INT32_MAX || targets > INT32_MAX || slots > INT32_MAX)
        return sy_misfit(graph, node, error, "the route would have more than 2^31 entries");
    node->type = sy_route_type((int32_t)rows, (int32_t)targets, (int32_t)slots);
    return true;
}

bool sy_infer_route_top_k(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!need_scores(graph, node, error))
        return false;
    const sy_type *s = sy_arg_type(graph, node, 0);
    int32_t k = node->attributes.k;
    if (k < 1 || k > s->dim[1])
        return sy_misfit(graph, node, error, "k = %d is not between 1 and the number of targets", k);
    return sy_need_switch(graph, node, "renormalise", node->attributes.renormalise, error) &&
           set_route(graph, node, s->dim[0], s->dim[1], (int64_t)s->dim[0] * k, error);
}

bool sy_infer_route_expert_choice(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!need_scores(graph, node, error))
        return false;
    const sy_type *s = sy_arg_type(graph, node, 0);
    int32_t k = node->attributes.k, group = node->attributes.group_rows;
    if (group < 1 || s->dim[0] % group)
        return sy_misfit(graph, node, error, "group_rows = %d does not divide the rows", group);
    if (k < 1 || k > group)
        return sy_misfit(graph, node, error, "k = %d is not between 1 and group_rows", k);
    return set_route(graph, node, s->dim[0], s->dim[1], (int64_t)(s->dim[0] / group) * s->dim[1] * k, error);
}

/* Whether each row has a list of its own choices, best first, which split and capacity keep. The walk is bounded: a
 * hostile graph could otherwise make it quadratic. */
static bool chosen_by_row(const sy_graph *graph, const sy_node *node, bool *by_row, sy_error *error)
{
    enum { MOST_LINKS = 64 };
    const sy_node *producer = &graph->nodes[node->args[0]];
    int links = 0;
    while ((producer->op == SY_OP_ROUTE_SPLIT || producer->op == SY_OP_ROUTE_CAPACITY) && links++ < MOST_LINKS)
        producer = &graph->nodes[producer->args[0]];
    *by_row = producer->op == SY_OP_ROUTE_TOP_K;
    return links <= MOST_LINKS ||
           sy_misfit(graph, node, error, "more than %d splits and capacities follow each other", MOST_LINKS);
}

/* A masked row has one slot instead of its own. Where each row has its own k entries (top-k) that never needs more
 * room; where targets choose, a masked row may have had none. */
bool sy_infer_route_split(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 0, error))
        return false;
    const sy_type *r = sy_arg_type(graph, node, 0), *mask = sy_arg_type(graph, node, 1);
    if (mask->dtype != SY_I32 || mask->rank != 1 || mask->dim[0] != r->dim[SY_ROUTE_ROWS])
        return sy_misfit(graph, node, error, "the mask must be i32, one for each row");
    int32_t targets = node->attributes.targets, target = node->attributes.target;
    if (targets < r->dim[SY_ROUTE_TARGETS] || target < 0 || target >= targets)
        return sy_misfit(graph, node, error,
                         "target %d of %d: there must be at least the route's targets, and target among them", target,
                         targets);
    bool by_row;
    if (!chosen_by_row(graph, node, &by_row, error))
        return false;
    int64_t more = by_row ? 0 : r->dim[SY_ROUTE_ROWS];
    return set_route(graph, node, r->dim[SY_ROUTE_ROWS], targets, r->dim[SY_ROUTE_SLOTS] + more, error);
}

bool sy_infer_route_capacity(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 0, error))
        return false;
    const sy_type *r = sy_arg_type(graph, node, 0);
    int32_t group = node->attributes.group_rows, order = node->attributes.order;
    if (group < 1 || r->dim[SY_ROUTE_ROWS] % group)
        return sy_misfit(graph, node, error, "group_rows = %d does not divide the rows", group);
    if (node->attributes.capacity < 1 || order < 0 || order > 1)
        return sy_misfit(graph, node, error, "capacity must be at least 1, and order 0 or 1");
    bool by_row;
    if (!chosen_by_row(graph, node, &by_row, error))
        return false;
    if (order && !by_row)
        return sy_misfit(graph, node, error,
                         "order 1 needs first and second choices, which only routes of route.top_k have");
    node->type = *r;
    return true;
}

bool sy_infer_route_build(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    static const sy_dtype dtypes[3] = {SY_I32, SY_I32, SY_F32};
    for (uint32_t i = 0; i < 3; i++) {
        const sy_type *t = sy_arg_type(graph, node, i);
        if (t->rank != 1 || t->dim[0] != sy_arg_type(graph, node, 0)->dim[0] || t->dtype != dtypes[i])
            return sy_misfit(graph, node, error,
                             "it takes three lists of equal length: i32 rows, i32 targets, f32 weights");
    }
    const sy_attributes *a = &node->attributes;
    if (a->rows < 1 || a->targets < 1 || a->capacity < 0)
        return sy_misfit(graph, node, error, "rows and targets must be at least 1, and capacity at least 0");
    if (a->group_rows < 0 || (a->capacity && (!a->group_rows || a->rows % a->group_rows)))
        return sy_misfit(graph, node, error, "group_rows = %d does not divide the rows", a->group_rows);
    return set_route(graph, node, a->rows, a->targets, sy_arg_type(graph, node, 0)->dim[0], error);
}

double sy_flops_route(const sy_graph *graph, const sy_node *node)
{
    double n = node->type.dim[SY_ROUTE_SLOTS];
    if (node->op == SY_OP_ROUTE_TOP_K || node->op == SY_OP_ROUTE_EXPERT_CHOICE)
        n += (double)sy_type_count(sy_arg_type(graph, node, 0)) * node->attributes.k;
    return n;
}

/* ---- evaluation ---- */

static sy_route_entry *entries_for(int64_t n, sy_error *error)
{
    sy_route_entry *entries = calloc(n > 0 ? (size_t)n : 1, sizeof *entries);
    if (!entries)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %lld entries of a route.", (long long)n);
    return entries;
}

static bool put_and_free(sy_eval *e, sy_value value, uint32_t n, sy_route_entry *entries, sy_error *error)
{
    bool ok = sy_eval_put_route(e, value, n, entries, error);
    free(entries);
    return ok;
}

/* The scores as the choice sees them: those steered away from are the least, those steered to the largest. Among equals
 * the lower index is first, as always. The caller frees it; NULL: no memory. */
static double *steered_scores(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_type_count(sy_arg_type(e->graph, node, 0));
    const double *scores = sy_eval_arg(e, value, 0), *steer = node->n_args > 1 ? sy_eval_arg(e, value, 1) : NULL;
    double *x = malloc(n * sizeof *x);
    if (!x)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu scores.", (unsigned long long)n);
    for (uint64_t i = 0; x && i < n; i++)
        x[i] = !steer || steer[i] == 0 ? scores[i] : steer[i] < 0 ? -SY_STEERED : SY_STEERED;
    return x;
}

/* The target of an entry, or none where it was steered away from and came in for want of others. */
static int32_t unless_off(sy_eval *e, sy_value value, int64_t at, int32_t target)
{
    return sy_eval_node(e, value)->n_args > 1 && sy_eval_arg(e, value, 1)[at] < 0 ? -1 : target;
}

bool sy_eval_route_top_k(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *s = sy_arg_type(e->graph, node, 0);
    int32_t k = node->attributes.k;
    const double *scores = sy_eval_arg(e, value, 0);
    sy_route_entry *entries = entries_for((int64_t)s->dim[0] * k, error);
    int32_t *chosen = calloc((size_t)k, sizeof *chosen);
    double *order = steered_scores(e, value, error);
    if (!entries || !chosen || !order) {
        free(entries), free(chosen), free(order);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to choose %d targets.", k);
    }
    for (int32_t t = 0; t < s->dim[0]; t++) {
        int64_t first = (int64_t)t * s->dim[1];
        const double *row = scores + first;
        double sum = 0;
        sy_eval_best(order + first, s->dim[1], 1, k, chosen);
        for (int32_t j = 0; j < k; j++)
            sum += unless_off(e, value, first + chosen[j], 0) < 0 ? 0 : row[chosen[j]];
        for (int32_t j = 0; j < k; j++)
            entries[(int64_t)t * k + j] =
                (sy_route_entry){t, unless_off(e, value, first + chosen[j], chosen[j]), j,
                                 node->attributes.renormalise ? row[chosen[j]] / sum : row[chosen[j]]};
    }
    free(chosen), free(order);
    return put_and_free(e, value, (uint32_t)(s->dim[0] * k), entries, error);
}

bool sy_eval_route_expert_choice(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *s = sy_arg_type(e->graph, node, 0);
    int32_t k = node->attributes.k, group = node->attributes.group_rows, targets = s->dim[1];
    const double *scores = sy_eval_arg(e, value, 0);
    sy_route_entry *entries = entries_for(node->type.dim[SY_ROUTE_SLOTS], error);
    int32_t *chosen = calloc((size_t)k, sizeof *chosen);
    double *order = steered_scores(e, value, error);
    if (!entries || !chosen || !order) {
        free(entries), free(chosen), free(order);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to choose %d rows.", k);
    }
    uint32_t n = 0;
    for (int32_t first = 0; first < s->dim[0]; first += group)
        for (int32_t t = 0; t < targets; t++) {
            int64_t column = (int64_t)first * targets + t;
            sy_eval_best(order + column, group, targets, k, chosen);
            for (int32_t j = 0; j < k; j++) {
                int64_t at = column + (int64_t)chosen[j] * targets;
                entries[n++] = (sy_route_entry){first + chosen[j], unless_off(e, value, at, t), 0, scores[at]};
            }
        }
    free(chosen), free(order);
    return put_and_free(e, value, n, entries, error);
}

bool sy_eval_route_split(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_eval_route *r = sy_eval_arg_route(e, value, 0);
    const double *mask = sy_eval_arg(e, value, 1);
    sy_route_entry *entries = entries_for((int64_t)r->count + r->rows, error);
    if (!entries)
        return false;
    uint32_t n = 0;
    for (int32_t s = 0; s < r->count; s++)
        if (mask[r->row[s]] == 0)
            entries[n++] = (sy_route_entry){r->row[s], r->target[s], r->choice[s], r->weight[s]};
    for (int32_t t = 0; t < r->rows; t++)
        if (mask[t] != 0)
            entries[n++] = (sy_route_entry){t, node->attributes.target, 0, 1};
    return put_and_free(e, value, n, entries, error);
}

/* Order in which entries claim their places. */
static int by_row(const void *a, const void *b)
{
    const sy_route_entry *x = a, *y = b;
    return x->row != y->row ? (x->row > y->row) - (x->row < y->row) : (x->choice > y->choice) - (x->choice < y->choice);
}

static int by_choice(const void *a, const void *b)
{
    const sy_route_entry *x = a, *y = b;
    return x->choice != y->choice ? (x->choice > y->choice) - (x->choice < y->choice) : by_row(a, b);
}

/* Marks entries beyond the capacity of their (group, target), in list order, with target -1. */
static bool drop_beyond(sy_route_entry *entries, uint32_t n, int32_t capacity, int32_t group_rows, int32_t rows,
                        int32_t targets, sy_error *error)
{
    int32_t groups = rows / group_rows, *taken = calloc((size_t)groups * (size_t)targets, sizeof *taken);
    if (!taken)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the loads of %d targets.", targets);
    for (uint32_t i = 0; i < n; i++) {
        sy_route_entry *x = &entries[i];
        if (x->target < 0 || x->target >= targets || x->row < 0 || x->row >= rows)
            continue;
        if (taken[(int64_t)(x->row / group_rows) * targets + x->target]++ >= capacity)
            x->target = -1;
    }
    free(taken);
    return true;
}

bool sy_eval_route_capacity(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_eval_route *r = sy_eval_arg_route(e, value, 0);
    sy_route_entry *entries = entries_for(r->count, error);
    if (!entries)
        return false;
    for (int32_t s = 0; s < r->count; s++)
        entries[s] = (sy_route_entry){r->row[s], r->target[s], r->choice[s], r->weight[s]};
    qsort(entries, (size_t)r->count, sizeof *entries, node->attributes.order ? by_choice : by_row);
    if (!drop_beyond(entries, (uint32_t)r->count, node->attributes.capacity, node->attributes.group_rows, r->rows,
                     r->targets, error)) {
        free(entries);
        return false;
    }
    return put_and_free(e, value, (uint32_t)r->count, entries, error);
}

bool sy_eval_route_build(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_attributes *a = &node->attributes;
    uint32_t n = (uint32_t)node->type.dim[SY_ROUTE_SLOTS];
    const double *row = sy_eval_arg(e, value, 0), *target = sy_eval_arg(e, value, 1),
                 *weight = sy_eval_arg(e, value, 2);
    sy_route_entry *entries = entries_for(n, error);
    if (!entries)
        return false;
    for (uint32_t i = 0; i < n; i++)
        entries[i] = (sy_route_entry){(int32_t)row[i], (int32_t)target[i], (int32_t)i, weight[i]};
    if (a->capacity && !drop_beyond(entries, n, a->capacity, a->group_rows, a->rows, a->targets, error)) {
        free(entries);
        return false;
    }
    return put_and_free(e, value, n, entries, error);
}
