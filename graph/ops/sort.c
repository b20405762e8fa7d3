/* Sorting, running sums and counts along the last axis. The order of sort is total: by number, of equals by index, and
 * a NaN counts as the last number there is. */
#include "graph/ops/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTED = 1 << 24 }; /* longest row of a histogram: its parts are added as f32, exact to there */

static bool need_run(const sy_graph *graph, const sy_node *node, sy_error *error)
{
    return node->attributes.length >= 0 ||
           sy_misfit(graph, node, error, "length = %d is negative", node->attributes.length);
}

bool sy_infer_sort(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error) || !need_run(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    if (!sy_dtype_is_float(x->dtype))
        return sy_misfit(graph, node, error, "works on floating-point numbers; cast first");
    node->type = *x;
    node->type.dtype = SY_I32;
    return sy_need_switch(graph, node, "order", node->attributes.order, error);
}

bool sy_infer_sort_place(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error) || !need_run(graph, node, error))
        return false;
    node->type = *sy_arg_type(graph, node, 0);
    return node->type.dtype == SY_I32 || sy_misfit(graph, node, error, "ranks are i32");
}

bool sy_infer_sort_merge(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!sy_infer_sort(graph, node, type_given, error))
        return false;
    if (!sy_type_equal(sy_arg_type(graph, node, 1), &node->type))
        return sy_misfit(graph, node, error, "the indices must be i32 of the numbers' dimensions");
    return node->attributes.length >= 1 || sy_misfit(graph, node, error, "length must be at least 1");
}

bool sy_infer_cumsum(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    node->type = *sy_arg_type(graph, node, 0);
    if (node->type.dtype == SY_U32)
        return sy_misfit(graph, node, error, "adds floating-point numbers or i32; cast first");
    if (node->type.dtype != SY_I32)
        node->type.dtype = SY_F32;
    return true;
}

bool sy_infer_histogram(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    node->type = *sy_arg_type(graph, node, 0);
    int32_t *last = &node->type.dim[node->type.rank - 1];
    if (node->type.dtype != SY_I32)
        return sy_misfit(graph, node, error, "counts i32 numbers; cast first");
    if (node->attributes.targets < 1 || *last > COUNTED)
        return sy_misfit(graph, node, error, "targets must be at least 1, and rows at most %d long", COUNTED);
    *last = node->attributes.targets;
    return true;
}

double sy_flops_sort(const sy_graph *graph, const sy_node *node)
{
    double n = (double)sy_type_count(sy_arg_type(graph, node, 0)), row = (double)sy_last(sy_arg_type(graph, node, 0));
    double run = node->attributes.length > 0 && node->attributes.length < row ? node->attributes.length : row;
    switch (node->op) {
    case SY_OP_SORT:
        return n * ceil(log2(row + 1)); /* comparisons, as many as any method needs */
    case SY_OP_SORT_MERGE:
        return n * ceil(log2(run + 1));
    case SY_OP_SORT_RANK:
    case SY_OP_SORT_PLACE:
        return n * run;
    case SY_OP_HISTOGRAM:
        return n * node->attributes.targets;
    default:
        return n;
    }
}

/* ---- evaluation ---- */

typedef struct numbered {
    double x;
    int32_t at;
} numbered;

static int ascending(const void *a, const void *b)
{
    const numbered *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : (p->at > q->at) - (p->at < q->at);
}

bool sy_eval_sort(const double *x, int64_t n, bool descending, int32_t *out, sy_error *error)
{
    numbered *list = malloc((size_t)n * sizeof *list);
    if (!list)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to sort %lld numbers.", (long long)n);
    for (int64_t i = 0; i < n; i++)
        list[i] = (numbered){isnan(x[i]) ? INFINITY : descending ? -x[i] : x[i], (int32_t)i};
    qsort(list, (size_t)n, sizeof *list, ascending);
    for (int64_t i = 0; i < n; i++)
        out[i] = list[i].at;
    free(list);
    return true;
}

/* For each run of each row: indices in order, as numbers of the row. `run` 0: the row. */
static bool sort_runs(sy_eval *e, sy_value value, int64_t run, bool as_ranks, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    int64_t n = (int64_t)sy_last(&node->type), rows = (int64_t)sy_rows(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    int32_t *order = malloc((size_t)n * sizeof *order);
    bool fine =
        out && (order || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to sort %lld numbers.", (long long)n));
    run = run < 1 || run > n ? n : run;
    for (int64_t r = 0; r < rows && fine; r++)
        for (int64_t begin = 0; begin < n && fine; begin += run) {
            int64_t length = n - begin < run ? n - begin : run;
            double *to = out + r * n + begin;
            fine = sy_eval_sort(x + r * n + begin, length, node->attributes.order, order, error);
            for (int64_t i = 0; i < length && fine; i++)
                to[as_ranks ? order[i] : i] = (double)(as_ranks ? i : begin + order[i]);
        }
    free(order);
    return fine;
}

bool sy_eval_sort_all(sy_eval *e, sy_value value, sy_error *error)
{
    return sort_runs(e, value, 0, false, error);
}

bool sy_eval_sort_rank(sy_eval *e, sy_value value, sy_error *error)
{
    return sort_runs(e, value, sy_eval_node(e, value)->attributes.length, true, error);
}

/* Runs of twice the length, sorted, are what sorting them gives, whatever order their halves were in. */
bool sy_eval_sort_merge(sy_eval *e, sy_value value, sy_error *error)
{
    return sort_runs(e, value, 2 * (int64_t)sy_eval_node(e, value)->attributes.length, false, error);
}

bool sy_eval_sort_place(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    int64_t n = (int64_t)sy_last(&node->type), rows = (int64_t)sy_rows(&node->type), run = node->attributes.length;
    const double *rank = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    run = run < 1 || run > n ? n : run;
    for (int64_t r = 0; out && r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            int64_t begin = i / run * run, length = n - begin < run ? n - begin : run;
            double at = rank[r * n + i];
            if (at >= 0 && at < (double)length)
                out[r * n + begin + (int64_t)at] = (double)i;
        }
    return out;
}

bool sy_eval_cumsum(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t n = sy_last(&node->type), count = sy_type_count(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error), sum = 0;
    for (uint64_t i = 0; out && i < count; i++) {
        sum = (i % n ? sum : 0) + x[i];
        out[i] = node->type.dtype == SY_I32 ? (double)(int32_t)(uint32_t)(int64_t)sum : sum; /* integers wrap */
    }
    return out;
}

bool sy_eval_histogram(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *type = sy_arg_type(e->graph, node, 0);
    uint64_t n = sy_last(type), count = sy_type_count(type), targets = sy_last(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < count; i++)
        if (x[i] >= 0 && x[i] < (double)targets)
            out[i / n * targets + (uint64_t)x[i]]++;
    return out;
}
