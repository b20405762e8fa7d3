/* Mean and variance of images: of the groups of a group norm, and of runs of pixels, from which those are put together. */
#include "graph/ops/family.h"

enum { LONGEST = 128 }; /* run: kernels sum deviations from its first row, which loses up to so many last bits */

static bool need_f32(const sy_graph *graph, const sy_node *node, sy_error *error)
{
    return sy_need_tensors(graph, node, error) && (sy_arg_type(graph, node, 0)->dtype == SY_F32 ||
                                                   sy_misfit(graph, node, error, "works on f32; cast first"));
}

bool sy_infer_group_moment(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    if (!need_f32(graph, node, error) || !sy_need_type(graph, node, type_given, error) ||
        !sy_need_switch(graph, node, "mode", node->attributes.mode, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *type = &node->type;
    int32_t groups = node->attributes.groups, channels = x->dim[x->rank - 1];
    if (x->rank < 3 || x->rank > 5)
        return sy_misfit(graph, node, error, "an image is [N,S…,C] with 1 to 3 spatial dimensions");
    if (groups < 1 || channels % groups)
        return sy_misfit(graph, node, error, "%d groups do not divide the channels", groups);
    bool fine = type->dtype == SY_F32 && type->rank == 3 && type->dim[0] == x->dim[0] && type->dim[2] == 1 &&
                type->dim[1] % groups == 0 && channels % type->dim[1] == 0;
    return fine || sy_misfit(graph, node, error, "the type is f32[N,R,1], R a multiple of %d that divides %d", groups,
                             channels);
}

bool sy_infer_moments(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!need_f32(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    int32_t length = node->attributes.length;
    uint64_t rows = sy_rows(x);
    if (length < 1 || length > LONGEST || rows % (uint64_t)length)
        return sy_misfit(graph, node, error, "length = %d: it is 1 to %d and divides the rows", length, LONGEST);
    const int32_t dims[] = {2, (int32_t)(rows / (uint64_t)length), x->dim[x->rank - 1]};
    node->type = sy_tensor(SY_F32, 3, dims);
    return true;
}

double sy_flops_moments(const sy_graph *graph, const sy_node *node)
{
    return 4.0 * (double)sy_type_count(sy_arg_type(graph, node, 0));
}

/* Mean of `n` blocks of `width` numbers that are `stride` apart, and the mean square deviation from it. */
static void moments(const double *x, uint64_t n, uint64_t stride, uint64_t width, double *mean, double *variance)
{
    double sum = 0, squares = 0, count = (double)(n * width);
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < width; j++)
            sum += x[i * stride + j];
    *mean = sum / count;
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < width; j++)
            squares += (x[i * stride + j] - *mean) * (x[i * stride + j] - *mean);
    *variance = squares / count;
}

bool sy_eval_group_moment(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *type = sy_arg_type(e->graph, node, 0);
    uint64_t c = sy_last(type), images = (uint64_t)type->dim[0], pixels = sy_rows(type) / images;
    uint64_t groups = (uint64_t)node->attributes.groups, each = (uint64_t)node->type.dim[1] / groups;
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error), of[2];
    for (uint64_t i = 0; out && i < images * groups; i++) {
        moments(x + i / groups * pixels * c + i % groups * (c / groups), pixels, c, c / groups, &of[0], &of[1]);
        for (uint64_t r = 0; r < each; r++)
            out[i * each + r] = of[node->attributes.mode];
    }
    return out;
}

bool sy_eval_moments(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    uint64_t c = (uint64_t)node->type.dim[2], runs = (uint64_t)node->type.dim[1];
    uint64_t length = (uint64_t)node->attributes.length;
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t i = 0; out && i < runs * c; i++)
        moments(x + i / c * length * c + i % c, length, c, 1, &out[i], &out[runs * c + i]);
    return out;
}
