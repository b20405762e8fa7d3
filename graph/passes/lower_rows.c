/* Sorts, running sums, counts and selections of any length become steps whose loops are short, so that long rows are
 * spread over the device and no device's bound on loops is met. What the steps are built of are ordinary ops.
 *
 *   sort       each element of a run counts how many come before it (sort.rank), each place looks for its element
 *              (sort.place); runs of MERGED and more are merged two by two, each place finding its element by a binary
 *              search (sort.merge). No step needs shared memory, a barrier or an atomic.
 *   top_k      of many: the first of the sorted
 *   cumsum     within parts of PART, then over the sums of the parts, which are added
 *   histogram  of parts, which are added; as f32, exact below 2^24, the longest row it takes */
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include "graph/ir/build.h"

enum {
    MERGED = 128,       /* runs that are merged; a row of up to twice that is one run */
    PART = 64,          /* of a cumsum */
    COUNTED_PART = 1024 /* of a histogram, and the longest row of which all elements are compared with all */
};
enum { MOST_CHOSEN = 16, MOST_PASSES = 32768 }; /* of top_k by passes: k, and k times the row's length */

static sy_value sorted(sy_graph *g, sy_value x, int32_t order)
{
    int32_t length = (int32_t)(g->nodes[x].type.dim[g->nodes[x].type.rank - 1]);
    sy_attributes a = {.order = order, .length = length <= 2 * MERGED ? length : MERGED};
    sy_attributes at = {.length = a.length};
    sy_value ids = sy_graph_add(g, SY_OP_SORT_RANK, &x, 1, &a, NULL, NULL);
    ids = sy_graph_add(g, SY_OP_SORT_PLACE, &ids, 1, &at, NULL, NULL);
    for (int64_t run = a.length; ids && run < length; run *= 2) {
        a.length = (int32_t)run;
        ids = sy_graph_add(g, SY_OP_SORT_MERGE, (sy_value[]){x, ids}, 2, &a, NULL, NULL);
    }
    return ids;
}

static sy_value filled(sy_graph *g, sy_type type, double value)
{
    return sy_const_of(g, type, &value, 1);
}

/* x, `rows` rows of `length`, as [rows, parts, part]; the last part filled up with `value`. */
static sy_value in_parts(sy_graph *g, sy_value x, int32_t rows, int32_t length, int32_t part, double value)
{
    sy_dtype dtype = g->nodes[x].type.dtype;
    int32_t parts = (int32_t)(((int64_t)length + part - 1) / part), rest = parts * part - length;
    sy_value list[] = {sy_reshape(g, x, SY_T(dtype, rows, length)),
                       rest ? filled(g, SY_T(dtype, rows, rest), value) : 0};
    return sy_reshape(g, rest ? sy_concat(g, list, 2, 1) : list[0], SY_T(dtype, rows, parts, part));
}

/* Of x[rows, length]. Each level of the sums is at least PART times shorter, so the depth is small. */
static sy_value running_sums(sy_graph *g, sy_value x, int32_t rows, int32_t length)
{
    if (length <= PART)
        return sy_cumsum(g, x);
    int32_t parts = (int32_t)(((int64_t)length + PART - 1) / PART);
    sy_value own = sy_cumsum(g, in_parts(g, x, rows, length, PART, 0));
    sy_dtype dtype = own ? g->nodes[own].type.dtype : SY_F32;
    sy_value totals = sy_reshape(g, sy_slice_axis(g, own, 2, PART - 1, 1), SY_T(dtype, rows, parts));
    sy_value before[] = {filled(g, SY_T(dtype, rows, 1), 0),
                         sy_slice_axis(g, running_sums(g, totals, rows, parts), 1, 0, parts - 1)};
    sy_value sums = sy_add(g, own, sy_reshape(g, sy_concat(g, before, 2, 1), SY_T(dtype, rows, parts, 1)));
    return sy_slice_axis(g, sy_reshape(g, sums, SY_T(dtype, rows, parts * PART)), 1, 0, length);
}

static sy_value counts(sy_graph *g, sy_value x, int32_t rows, int32_t length, int32_t targets)
{
    sy_value of_parts = sy_histogram(g, in_parts(g, x, rows, length, COUNTED_PART, -1), targets);
    sy_value by_target = sy_transpose(g, sy_cast(g, of_parts, SY_F32), (const int32_t[]){0, 2, 1});
    return sy_cast(g, sy_row(g, SY_OP_REDUCE_SUM, by_target, 0), SY_I32);
}

/* Rows whose permutations are inverted by sorting them once more, rather than by comparing all with all; f32 holds
 * their indices. */
static bool inverted(int32_t length)
{
    return length > COUNTED_PART && length <= 1 << 24;
}

/* The steps for an old node, or 0 where it stays as it is. */
static sy_value lowered(sy_rewrite *rewrite, const sy_node *node)
{
    sy_graph *g = rewrite->graph;
    const sy_type *type = node->n_args ? &rewrite->old->nodes[node->args[0]].type : &node->type;
    sy_value x = node->n_args ? rewrite->map[node->args[0]] : 0;
    if (type->is_route)
        return 0;
    int32_t length = type->dim[type->rank - 1], rows = (int32_t)(sy_type_count(type) / (uint64_t)length);
    int32_t k = node->attributes.k, turns = length % 4 ? length : length / 4;
    /* Parts fill up what is there: a tensor near the bound of elements stays as it is. */
    bool room = sy_type_count(type) < SY_MAX_ELEMENTS / 2 - (uint64_t)rows * COUNTED_PART;
    bool one_run = node->attributes.length < 1 || node->attributes.length >= length;
    switch (node->op) {
    case SY_OP_SORT:
        return sorted(g, x, node->attributes.order);
    case SY_OP_SORT_RANK: /* the place of each element among those in order, and of each place its element */
        return one_run && inverted(length) ? sorted(g, sy_cast(g, sorted(g, x, node->attributes.order), SY_F32), 0) : 0;
    case SY_OP_SORT_PLACE:
        return one_run && inverted(length) ? sorted(g, sy_cast(g, x, SY_F32), 0) : 0;
    case SY_OP_TOP_K:
        if (k <= MOST_CHOSEN && (int64_t)k * turns <= MOST_PASSES)
            return 0;
        return sy_slice_axis(g, sorted(g, x, 1), type->rank - 1, 0, k);
    case SY_OP_CUMSUM:
        if (length <= PART || !room)
            return 0;
        return sy_reshape(g, running_sums(g, sy_reshape(g, x, SY_T(type->dtype, rows, length)), rows, length),
                          node->type);
    case SY_OP_HISTOGRAM:
        if (length <= COUNTED_PART || !room)
            return 0;
        return sy_reshape(g, counts(g, x, rows, length, node->attributes.targets), node->type);
    default:
        return 0;
    }
}

bool sy_pass_lower_rows(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    for (sy_value v = 1; v < rewrite.old->n_nodes; v++) {
        if (!rewrite.live[v])
            continue;
        sy_rewrite_scope(&rewrite, v);
        rewrite.map[v] = lowered(&rewrite, &rewrite.old->nodes[v]);
        if (!rewrite.map[v])
            sy_rewrite_copy(&rewrite, v);
    }
    return sy_rewrite_end(&rewrite, plan, error);
}
