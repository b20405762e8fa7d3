/* Dense and grouped matrix products. */
#include "graph/ops/family.h"

#include <stdlib.h>
#include <string.h>

/* a[…,K] b[K,N], or with equal leading dimensions: batch products of M x K by K x N. */
typedef struct shape {
    uint64_t batch, m, k, n;
} shape;

static shape shape_of(const sy_graph *graph, const sy_node *node)
{
    const sy_type *a = sy_arg_type(graph, node, 0), *b = sy_arg_type(graph, node, 1);
    shape s = {1, 1, sy_last(a), (uint64_t)node->type.dim[node->type.rank - 1]};
    int batched = b->rank > 2 ? b->rank - 2 : 0;
    for (int d = 0; d < a->rank - 1; d++)
        *(d < batched ? &s.batch : &s.m) *= (uint64_t)a->dim[d];
    return s;
}

bool sy_infer_matmul(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *a = sy_arg_type(graph, node, 0), *b = sy_arg_type(graph, node, 1);
    if (!sy_dtype_is_float(a->dtype) || !sy_dtype_is_float(b->dtype))
        return sy_misfit(graph, node, error, "both must be floating-point");
    if (b->rank < 2 || (b->rank > 2 && a->rank != b->rank))
        return sy_misfit(graph, node, error, "the right one is a matrix, or has as many dimensions as the left one");
    for (int d = 0; d + 2 < b->rank; d++)
        if (a->dim[d] != b->dim[d])
            return sy_misfit(graph, node, error, "the leading dimensions differ");
    bool t = node->attributes.transpose_b;
    if (sy_last(a) != (uint64_t)b->dim[b->rank - (t ? 1 : 2)])
        return sy_misfit(graph, node, error, "the inner dimensions differ");
    if (!sy_need_switch(graph, node, "transpose_b", node->attributes.transpose_b, error))
        return false;
    sy_type type = *a;
    type.dtype = SY_F32;
    type.dim[a->rank - 1] = b->dim[b->rank - (t ? 2 : 1)];
    node->type = type;
    return true;
}

double sy_flops_matmul(const sy_graph *graph, const sy_node *node)
{
    shape s = shape_of(graph, node);
    return 2.0 * (double)s.batch * (double)s.m * (double)s.n * (double)s.k;
}

enum { LANES = 8 };

/* m rows of a, K long, times b, [K,N] or transposed [N,K]. Row i of a is rows[i], if there are any, else i. */
typedef struct product {
    const double *a, *b;
    const int32_t *rows;
    double *out, *panel; /* panel: K x LANES numbers of scratch */
    uint64_t m, k, n;
    bool transposed;
} product;

/* LANES columns of b, side by side. */
static void fill_panel(const product *p, uint64_t first, uint64_t columns)
{
    for (uint64_t c = 0; c < LANES; c++) {
        const double *from = p->transposed ? p->b + (first + c) * p->k : p->b + first + c;
        uint64_t step = p->transposed ? 1 : p->n;
        for (uint64_t i = 0; i < p->k; i++)
            p->panel[i * LANES + c] = c < columns ? from[i * step] : 0;
    }
}

/* Two rows of a times the panel: 16 sums that stay in registers. */
static void two_rows(double sum0[restrict LANES], double sum1[restrict LANES], const double *restrict a0,
                     const double *restrict a1, const double *restrict panel, uint64_t k)
{
    double s0[LANES] = {0}, s1[LANES] = {0};
    for (uint64_t i = 0; i < k; i++, panel += LANES) {
        double x = a0[i], y = a1[i];
        for (int c = 0; c < LANES; c++) {
            s0[c] += x * panel[c];
            s1[c] += y * panel[c];
        }
    }
    memcpy(sum0, s0, sizeof s0);
    memcpy(sum1, s1, sizeof s1);
}

static void multiply(const product *p)
{
    double sum[2][LANES];
    for (uint64_t first = 0; first < p->n; first += LANES) {
        uint64_t columns = p->n - first < LANES ? p->n - first : LANES;
        fill_panel(p, first, columns);
        for (uint64_t i = 0; i < p->m; i += 2) {
            uint64_t other = i + 1 < p->m ? i + 1 : i; /* of an odd number of rows the last is computed twice */
            uint64_t r0 = p->rows ? (uint64_t)p->rows[i] : i, r1 = p->rows ? (uint64_t)p->rows[other] : other;
            two_rows(sum[0], sum[1], p->a + r0 * p->k, p->a + r1 * p->k, p->panel, p->k);
            memcpy(p->out + i * p->n + first, sum[0], columns * sizeof *p->out);
            memcpy(p->out + other * p->n + first, sum[1], columns * sizeof *p->out);
        }
    }
}

static double *panel_of(uint64_t k, sy_error *error)
{
    double *panel = malloc(k * LANES * sizeof *panel); /* k < 2^31 */
    if (!panel)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu numbers of a matrix product.",
                (unsigned long long)k * LANES);
    return panel;
}

bool sy_eval_matmul(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    shape s = shape_of(e->graph, node);
    double *out = sy_eval_result(e, value, error), *panel = out ? panel_of(s.k, error) : NULL;
    for (uint64_t i = 0; panel && i < s.batch; i++)
        multiply(&(product){.a = sy_eval_arg(e, value, 0) + i * s.m * s.k,
                            .b = sy_eval_arg(e, value, 1) + i * s.k * s.n,
                            .out = out + i * s.m * s.n,
                            .panel = panel,
                            .m = s.m,
                            .k = s.k,
                            .n = s.n,
                            .transposed = node->attributes.transpose_b});
    free(panel);
    return panel;
}

bool sy_infer_grouped_matmul(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_route(graph, node, 2, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *w = sy_arg_type(graph, node, 1), *r = sy_arg_type(graph, node, 2);
    bool t = node->attributes.transpose_b;
    if (!sy_dtype_is_float(x->dtype) || !sy_dtype_is_float(w->dtype) || x->rank != 2 || w->rank != 3)
        return sy_misfit(graph, node, error, "it takes a floating-point matrix and a stack of matrices");
    if (w->dim[0] != r->dim[SY_ROUTE_TARGETS])
        return sy_misfit(graph, node, error, "%d matrices for %d targets", w->dim[0], r->dim[SY_ROUTE_TARGETS]);
    if (x->dim[0] != r->dim[node->attributes.gather ? SY_ROUTE_ROWS : SY_ROUTE_SLOTS])
        return sy_misfit(graph, node, error, "the left one must have a row for each %s",
                         node->attributes.gather ? "row of the route (gather=1)" : "slot of the route (gather=0)");
    if (x->dim[1] != w->dim[t ? 2 : 1])
        return sy_misfit(graph, node, error, "the inner dimensions differ");
    if (!sy_need_switch(graph, node, "gather", node->attributes.gather, error) ||
        !sy_need_switch(graph, node, "transpose_b", node->attributes.transpose_b, error))
        return false;
    node->type = sy_tensor(SY_F32, 2, (const int32_t[]){r->dim[SY_ROUTE_SLOTS], w->dim[t ? 1 : 2]});
    return true;
}

double sy_flops_grouped_matmul(const sy_graph *graph, const sy_node *node)
{
    return 2.0 * (double)sy_type_count(&node->type) * sy_arg_type(graph, node, 0)->dim[1];
}

bool sy_eval_grouped_matmul(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_eval_route *r = sy_eval_arg_route(e, value, 2);
    uint64_t n = sy_last(&node->type), k = sy_last(sy_arg_type(e->graph, node, 0));
    const double *x = sy_eval_arg(e, value, 0), *w = sy_eval_arg(e, value, 1);
    double *out = sy_eval_result(e, value, error), *panel = out ? panel_of(k, error) : NULL;
    bool gather = node->attributes.gather;
    for (int32_t t = 0; panel && t < r->targets; t++) {
        uint64_t first = (uint64_t)r->offsets[t], count = (uint64_t)(r->offsets[t + 1] - r->offsets[t]);
        if (!count)
            continue;
        multiply(&(product){.a = gather ? x : x + first * k,
                            .rows = gather ? r->row + first : NULL,
                            .b = w + (uint64_t)t * n * k,
                            .out = out + first * n,
                            .panel = panel,
                            .m = count,
                            .k = k,
                            .n = n,
                            .transposed = node->attributes.transpose_b});
    }
    free(panel);
    return panel;
}
