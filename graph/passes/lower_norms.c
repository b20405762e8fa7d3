/* Statistics of group norms become row ops, and where it pays `moments` that ride with the dispatch that makes the tensor.
 *
 * Mean and variance of each group (the pixels of an image, the channels of the group) are put together from those of each
 * channel over runs of pixels (Chan, Golub, LeVeque 1979: with equal counts the variance is the mean of the runs' variances
 * plus the variance of their means), so nothing is lost where the mean is large. Those of runs are made
 *
 *   riding    as a further output of the convolution or matmul behind whose epilogue the tensor is made: a kernel has whole
 *             runs of rows at hand when it stores them, so the tensor is not read again. `fuse` joins them; should it
 *             not, they are a map of their own, slower and as right. Joined skips ride with each of their makers.
 *   apart     by two row ops over the stored tensor, which read channels side by side, as they lie.
 *
 * Whether they can ride is decided here because the length of a run shows in the shapes behind: it divides the rows that the
 * kernel's invocation or workgroup makes. */
#include "graph/emit/manifest.h"
#include "graph/ops/window.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include "graph/ir/build.h"

#include <stdlib.h>

enum { JOINED = 4 /* most parts of a concat that costs nothing */ };

typedef struct image {
    int32_t n, pixels, channels, groups, own, rows; /* own: channels of a group; rows: R of group_moment */
} image;

static image image_of(const sy_graph *graph, const sy_node *node)
{
    const sy_type *type = &graph->nodes[node->args[0]].type;
    image im = {type->dim[0], 1, type->dim[type->rank - 1], node->attributes.groups, 0, node->type.dim[1]};
    im.own = im.channels / im.groups;
    for (int d = 1; d < type->rank - 1; d++)
        im.pixels *= type->dim[d];
    return im;
}

/* ---- what can ride ---- */

bool sy_moments_fit(const sy_graph *graph, sy_value anchor, sy_value x)
{
    const sy_node *node = &graph->nodes[anchor];
    const sy_type *type = &graph->nodes[x].type, *b = &graph->nodes[node->args[1]].type;
    int32_t channels = type->dim[type->rank - 1];
    if (node->type.dim[node->type.rank - 1] != channels || sy_type_count(&node->type) != sy_type_count(type))
        return false;
    if (node->op == SY_OP_MATMUL)
        return channels % 4 == 0 && b->rank == 2;
    if (node->op != SY_OP_CONV)
        return false;
    sy_window w = sy_window_of(graph, node); /* transposed: the rows of a tile are no neighbours */
    return channels % (4 * w.groups) == 0 && w.up[0] == 1 && w.up[1] == 1 && w.up[2] == 1;
}

/* The contraction in whose epilogue x will be made: the last of those it depends on element by element. 0: none. */
static sy_value maker_of(const sy_graph *graph, sy_value x, int depth)
{
    const sy_node *node = &graph->nodes[x];
    sy_value best = 0;
    if (node->op == SY_OP_CONV || node->op == SY_OP_MATMUL)
        return x;
    if (depth == 6 || (!sy_op_is_elementwise(node->op) && node->op != SY_OP_RESHAPE))
        return 0;
    for (uint32_t i = 0; i < node->n_args; i++) {
        bool whole = sy_type_count(&graph->nodes[node->args[i]].type) == sy_type_count(&node->type);
        sy_value maker = whole ? maker_of(graph, node->args[i], depth + 1) : 0;
        best = maker > best ? maker : best;
    }
    return best;
}

static int32_t common_divisor(int32_t a, int32_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* Length of the runs that x's maker can give the moments of; 0: it cannot. */
static int32_t run_of(const sy_plan *plan, sy_value x, int32_t pixels)
{
    enum { LEAST = 8 }; /* shorter ones are too many to read again */
    sy_value maker = maker_of(plan->graph, x, 0);
    if (!maker || !sy_moments_fit(plan->graph, maker, x))
        return 0;
    sy_group group = {
        .kind = sy_fuse_kind(plan->graph, &plan->graph->nodes[maker]), .anchors = {maker}, .n_anchors = 1};
    sy_problem problem = sy_problem_of(plan, &group);
    const sy_variant *v = sy_choose_variant(&problem, &plan->limits, NULL);
    int32_t run = v ? common_divisor((int32_t)v->rows, pixels) : 0;
    problem.run = (uint32_t)run;
    return run && sy_variant_can(v, &problem, &plan->limits) && (run >= LEAST || run == pixels) ? run : 0;
}

/* A skip that is edited on its way into a concat is edited again by whoever reads it: nobody makes it. */
static bool is_edited(const sy_graph *graph, const uint32_t *uses, sy_value part)
{
    const sy_node *node = &graph->nodes[part];
    for (uint32_t i = 0; i < node->n_args && sy_op_is_elementwise(node->op) && uses[part] == 1; i++)
        if (uses[node->args[i]] > 1 &&
            sy_type_count(&graph->nodes[node->args[i]].type) == sy_type_count(&node->type))
            return true;
    return false;
}

/* The same for what may be joined of several. */
static int32_t common_run(const sy_plan *plan, const uint32_t *uses, sy_value x, int32_t pixels)
{
    const sy_node *node = &plan->graph->nodes[x];
    int32_t run = 0;
    if (plan->params->no_fusion)
        return 0;
    if (!sy_concat_is_free(plan->graph, x))
        return run_of(plan, x, pixels);
    for (uint32_t i = 0; i < node->n_args; i++) {
        int32_t own = is_edited(plan->graph, uses, node->args[i]) ? 0 : run_of(plan, node->args[i], pixels);
        if (!own)
            return 0;
        run = common_divisor(own, run);
    }
    return run;
}

/* ---- what it becomes ---- */

static sy_value reshaped(sy_graph *g, sy_value x, int rank, const int32_t *dims)
{
    return sy_reshape(g, x, sy_tensor(SY_F32, rank, dims));
}

static sy_value square(sy_graph *g, sy_value x)
{
    return sy_mul(g, x, x);
}

/* The largest part of the pixels that divides them, not above a size that keeps many invocations busy; all of them
 * where there is none worth having. */
static int32_t part_of(int32_t pixels)
{
    enum { LEAST = 16, MOST = 128 };
    for (int32_t part = MOST; part >= LEAST; part--)
        if (pixels % part == 0)
            return part;
    return pixels;
}

/* Means and variances [N,n_parts,C] of each channel over runs of pixels, read from the stored tensor. */
static sy_value apart(sy_graph *g, sy_value x, const image *im, int32_t part, sy_value *variances)
{
    const int32_t n_parts = im->pixels / part, dims[] = {im->n, n_parts, im->channels};
    sy_value runs = reshaped(g, x, 4, (const int32_t[]){im->n, n_parts, part, im->channels});
    runs = sy_transpose(g, runs, (const int32_t[]){0, 1, 3, 2});
    sy_value means = sy_row(g, SY_OP_REDUCE_MEAN, runs, 0);
    *variances = reshaped(g, sy_row(g, SY_OP_REDUCE_MEAN, square(g, sy_sub(g, runs, means)), 0), 3, dims);
    return reshaped(g, means, 3, dims);
}

/* The same, given by what makes x, or the values that x joins. */
static sy_value riding(sy_rewrite *rewrite, sy_value x, const image *im, int32_t run, sy_value *variances)
{
    sy_graph *g = rewrite->graph;
    const sy_node *node = &rewrite->old->nodes[x];
    const int32_t dims[] = {im->n, im->pixels / run, im->channels};
    bool joined = sy_concat_is_free(rewrite->old, x);
    sy_value parts[JOINED];
    uint32_t n = joined ? node->n_args : 1;
    for (uint32_t i = 0; i < n; i++) {
        sy_value part = rewrite->map[joined ? node->args[i] : x];
        parts[i] = sy_graph_add(g, SY_OP_MOMENTS, &part, 1, &(sy_attributes){.length = run}, NULL, NULL);
    }
    sy_value halves[2];
    for (int half = 0; half < 2; half++) {
        sy_value own[JOINED];
        for (uint32_t i = 0; i < n; i++)
            own[i] = sy_slice_axis(g, parts[i], 0, half, 1);
        halves[half] = reshaped(g, n > 1 ? sy_concat(g, own, n, 2) : own[0], 3, dims);
    }
    *variances = halves[1];
    return halves[0];
}

/* [N,parts,C] of each part of the pixels as rows [N,R,parts C/G], one for each of R. */
static sy_value rows_of(sy_graph *g, sy_value parts, const image *im, int32_t n_parts)
{
    int32_t length = n_parts * im->own, each = im->rows / im->groups;
    sy_value rows = reshaped(g, parts, 4, (const int32_t[]){im->n, n_parts, im->groups, im->own});
    rows = sy_transpose(g, rows, (const int32_t[]){0, 2, 1, 3});
    if (each > 1) {
        rows = reshaped(g, rows, 4, (const int32_t[]){im->n, im->groups, 1, length});
        rows = sy_broadcast(g, rows, SY_T(SY_F32, im->n, im->groups, each, length));
    }
    return reshaped(g, rows, 3, (const int32_t[]){im->n, im->rows, length});
}

static sy_value lowered(sy_rewrite *rewrite, const sy_plan *plan, const uint32_t *uses, const sy_node *node)
{
    sy_graph *g = rewrite->graph;
    const image im = image_of(rewrite->old, node);
    int32_t run = common_run(plan, uses, node->args[0], im.pixels), part = run ? run : part_of(im.pixels);
    int32_t n_parts = im.pixels / part;
    sy_value variances, means = run ? riding(rewrite, node->args[0], &im, run, &variances)
                                    : apart(g, rewrite->map[node->args[0]], &im, part, &variances);
    if (n_parts == 1 && im.own == 1)
        return sy_reshape(g, node->attributes.mode ? variances : means, node->type);
    sy_value rows = rows_of(g, means, &im, n_parts), mean = sy_row(g, SY_OP_REDUCE_MEAN, rows, 0);
    if (!node->attributes.mode)
        return mean;
    sy_value spread = sy_add(g, square(g, sy_sub(g, rows, mean)), rows_of(g, variances, &im, n_parts));
    return sy_row(g, SY_OP_REDUCE_MEAN, spread, 0);
}

bool sy_pass_lower_norms(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    uint32_t *uses = calloc(plan->graph->n_nodes, sizeof *uses);
    if (uses)
        sy_graph_uses(rewrite.old, rewrite.live, uses);
    else
        sy_no_memory(&rewrite.graph->error);
    for (sy_value v = 1; uses && v < rewrite.old->n_nodes; v++) {
        if (!rewrite.live[v])
            continue;
        sy_rewrite_scope(&rewrite, v);
        if (rewrite.old->nodes[v].op == SY_OP_GROUP_MOMENT && !rewrite.old->nodes[v].load_time)
            rewrite.map[v] = lowered(&rewrite, plan, uses, &rewrite.old->nodes[v]);
        else
            sy_rewrite_copy(&rewrite, v);
    }
    free(uses);
    return sy_rewrite_end(&rewrite, plan, error);
}
