/* Images, channels last: convolution, pooling, resizing, padding. */
#include "graph/ops/family.h"
#include "graph/ops/window.h"

#include <math.h>
#include <string.h>

/* ---- shapes ---- */

/* x[N,S…,C] with 1 to 3 spatial dimensions. */
static bool need_image(const sy_graph *graph, const sy_node *node, sy_error *error)
{
    if (!sy_need_tensors(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    if (x->rank < 3 || x->rank > SY_SPATIAL + 2)
        return sy_misfit(graph, node, error, "an image is [N,S…,C] with 1 to %d spatial dimensions", SY_SPATIAL);
    return sy_dtype_is_float(x->dtype) || sy_misfit(graph, node, error, "images are floating-point numbers");
}

/* Entries are in range; those past the `n` first are 0. Where 0 stands for 1, all ones are written as zeros and
 * others as they are meant, so that equal nodes have equal attributes. */
static bool settle_list(const sy_graph *graph, const sy_node *node, const char *name, int32_t *list, int n, bool counts,
                        sy_error *error)
{
    bool ones = counts;
    for (int d = 0; d < SY_MAX_RANK; d++) {
        if (list[d] < 0 || list[d] > SY_WINDOW_MOST || (d >= n && list[d]))
            return sy_misfit(graph, node, error, "%s has %d at %d; it takes %d numbers up to %d", name, list[d], d, n,
                             SY_WINDOW_MOST);
        ones = ones && list[d] <= 1;
    }
    for (int d = 0; d < n && counts; d++)
        list[d] = ones ? 0 : list[d] ? list[d] : 1;
    return true;
}

/* Length of a result along one dimension; 0 if the window is longer than what it slides over. */
static int64_t slide(int64_t in, int64_t up, int64_t pads, int64_t size, int64_t dilate, int64_t stride)
{
    int64_t room = (in - 1) * up + 1 + pads - (size - 1) * dilate - 1;
    return room < 0 ? 0 : room / stride + 1;
}

/* The spatial dimensions of the result; windows are `size`. Every sum a kernel makes of them fits 31 bits. */
static bool slide_all(const sy_graph *graph, sy_node *node, const int32_t *size, sy_error *error)
{
    const sy_type *x = sy_arg_type(graph, node, 0);
    const sy_attributes *a = &node->attributes;
    for (int d = 0; d < x->rank - 2; d++) {
        int64_t up = a->up[d] ? a->up[d] : 1, stride = a->stride[d] ? a->stride[d] : 1;
        int64_t dilate = a->dilate[d] ? a->dilate[d] : 1, pads = (int64_t)a->pad[d] + a->pad_high[d];
        if (x->dim[1 + d] * up + pads + size[d] * dilate + stride > INT32_MAX / 2)
            return sy_misfit(graph, node, error, "dimension %d is too long", 1 + d);
        int64_t out = slide(x->dim[1 + d], up, pads, size[d], dilate, stride);
        if (!out)
            return sy_misfit(graph, node, error, "the window is longer than dimension %d with its padding", 1 + d);
        node->type.dim[1 + d] = (int32_t)out;
    }
    return true;
}

bool sy_infer_conv(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!need_image(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0), *w = sy_arg_type(graph, node, 1);
    sy_attributes *a = &node->attributes;
    int n = x->rank - 2;
    if (w->rank != x->rank || !sy_dtype_is_float(w->dtype))
        return sy_misfit(graph, node, error, "the weight is [K…,C/groups,O] with a K for each spatial dimension");
    if (!settle_list(graph, node, "stride", a->stride, n, true, error) ||
        !settle_list(graph, node, "pad", a->pad, n, false, error) ||
        !settle_list(graph, node, "pad_high", a->pad_high, n, false, error) ||
        !settle_list(graph, node, "dilate", a->dilate, n, true, error) ||
        !settle_list(graph, node, "up", a->up, n, true, error))
        return false;
    int32_t groups = a->groups ? a->groups : 1;
    if (groups < 1 || x->dim[n + 1] % groups || w->dim[n + 1] % groups || w->dim[n] != x->dim[n + 1] / groups)
        return sy_misfit(graph, node, error,
                         "%d groups: they divide both channels, and the weight has C/groups of them", groups);
    a->groups = groups == 1 ? 0 : groups;
    node->type = *x;
    node->type.dtype = SY_F32;
    node->type.dim[n + 1] = w->dim[n + 1];
    return slide_all(graph, node, w->dim, error);
}

bool sy_infer_pool(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!need_image(graph, node, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    sy_attributes *a = &node->attributes;
    int n = x->rank - 2;
    if (!settle_list(graph, node, "window", a->window, n, false, error) ||
        !settle_list(graph, node, "stride", a->stride, n, true, error) ||
        !settle_list(graph, node, "pad", a->pad, n, false, error) ||
        !settle_list(graph, node, "pad_high", a->pad_high, n, false, error))
        return false;
    if (a->mode < 0 || a->mode > 2)
        return sy_misfit(graph, node, error, "mode is %d, and must be 0, 1 or 2", a->mode);
    int64_t taps = 1;
    for (int d = 0; d < n; d++) { /* then every window has a pixel of x in it */
        if (a->window[d] < 1 || a->pad[d] >= a->window[d] || a->pad_high[d] >= a->window[d])
            return sy_misfit(graph, node, error, "a window is at least 1 and longer than its pads");
        taps *= a->window[d];
    }
    if (taps > SY_WINDOW_MOST)
        return sy_misfit(graph, node, error, "a window has at most %d pixels", SY_WINDOW_MOST);
    node->type = *x;
    node->type.dtype = SY_F32;
    return slide_all(graph, node, a->window, error);
}

bool sy_infer_resize(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    enum { LONGEST = 32767 }; /* 2 S S' fits 31 bits: places are computed in whole numbers */
    if (!need_image(graph, node, error) || !sy_need_type(graph, node, type_given, error) ||
        !sy_need_switch(graph, node, "mode", node->attributes.mode, error))
        return false;
    const sy_type *x = sy_arg_type(graph, node, 0);
    sy_type type = *x;
    type.dtype = SY_F32;
    for (int d = 1; d < x->rank - 1 && node->type.rank == x->rank; d++) {
        type.dim[d] = node->type.dim[d];
        if (x->dim[d] > LONGEST || type.dim[d] > LONGEST)
            return sy_misfit(graph, node, error, "dimension %d is longer than %d", d, LONGEST);
    }
    if (node->type.rank != x->rank || node->type.dim[0] != x->dim[0] || sy_last(&node->type) != sy_last(x))
        return sy_misfit(graph, node, error, "only spatial dimensions are resized");
    node->type = type;
    return true;
}

bool sy_infer_pad(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error)
{
    (void)type_given;
    if (!sy_need_tensors(graph, node, error))
        return false;
    sy_type type = *sy_arg_type(graph, node, 0);
    sy_attributes *a = &node->attributes;
    if (!settle_list(graph, node, "pad", a->pad, type.rank, false, error) ||
        !settle_list(graph, node, "pad_high", a->pad_high, type.rank, false, error))
        return false;
    if (a->mode < 0 || a->mode > 3)
        return sy_misfit(graph, node, error, "mode is %d, and must be 0 to 3", a->mode);
    for (int d = 0; d < type.rank; d++) {
        int32_t most = a->mode == 2 ? type.dim[d] - 1 : a->mode == 3 ? type.dim[d] : SY_WINDOW_MOST;
        if (a->pad[d] > most || a->pad_high[d] > most)
            return sy_misfit(graph, node, error, "dimension %d: mode %d pads at most %d", d, a->mode, most);
        if ((int64_t)type.dim[d] + a->pad[d] + a->pad_high[d] > INT32_MAX)
            return sy_misfit(graph, node, error, "dimension %d is too long", d);
        type.dim[d] += a->pad[d] + a->pad_high[d];
    }
    node->type = type;
    return true;
}

/* ---- costs ---- */

/* Of a transposed convolution only one tap in `up` meets a pixel. */
double sy_flops_conv(const sy_graph *graph, const sy_node *node)
{
    sy_window w = sy_window_of(graph, node);
    const sy_type *weight = sy_arg_type(graph, node, 1);
    double taps = (double)w.taps / w.up[0] / w.up[1] / w.up[2];
    return 2.0 * (double)sy_type_count(&node->type) * weight->dim[weight->rank - 2] * taps;
}

double sy_flops_pool(const sy_graph *graph, const sy_node *node)
{
    return (double)sy_type_count(&node->type) * (double)sy_window_of(graph, node).taps;
}

double sy_flops_resize(const sy_graph *graph, const sy_node *node)
{
    (void)graph;
    return (double)sy_type_count(&node->type) * 2.0 * (1 << (node->type.rank - 2));
}

/* ---- values ---- */

/* One tap of one pixel: out[O] += x[C] w[C/groups,O], group by group. */
static void add_tap(double *restrict out, const double *restrict x, const double *restrict w, uint64_t c, uint64_t o,
                    uint64_t groups)
{
    uint64_t own = o / groups;
    for (uint64_t i = 0; i < c; i++) {
        uint64_t first = i / (c / groups) * own;
        const double *row = w + i % (c / groups) * o + first;
        for (uint64_t k = 0; k < own; k++)
            out[first + k] += x[i] * row[k];
    }
}

bool sy_eval_conv(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_window window = sy_window_of(e->graph, node);
    uint64_t c = sy_last(sy_arg_type(e->graph, node, 0)), o = sy_last(&node->type), groups = (uint64_t)window.groups;
    const double *x = sy_eval_arg(e, value, 0), *w = sy_eval_arg(e, value, 1);
    double *out = sy_eval_result(e, value, error);
    for (int64_t p = 0; out && p < window.pixels; p++)
        for (int64_t tap = 0; tap < window.taps; tap++) {
            int64_t from = sy_window_source(&window, p, tap);
            if (from >= 0)
                add_tap(out + (uint64_t)p * o, x + (uint64_t)from * c, w + (uint64_t)tap * (c / groups) * o, c, o,
                        groups);
        }
    return out;
}

bool sy_eval_pool(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_window window = sy_window_of(e->graph, node);
    int32_t mode = node->attributes.mode;
    uint64_t c = sy_last(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (int64_t p = 0; out && p < window.pixels; p++) {
        double *to = out + (uint64_t)p * c;
        int64_t met = 0;
        for (int64_t tap = 0; tap < window.taps; tap++) {
            int64_t from = sy_window_source(&window, p, tap);
            if (from < 0)
                continue;
            for (uint64_t i = 0; i < c; i++) {
                double one = x[(uint64_t)from * c + i];
                to[i] = mode ? to[i] + one : met ? fmax(to[i], one) : one;
            }
            met++;
        }
        for (uint64_t i = 0; i < c && mode; i++)
            to[i] /= (double)(mode == 1 ? met : window.taps);
    }
    return out;
}

/* Where pixel `at` of `out` lies among `in` pixels: between *low and the next, at *share of the way. */
static void between(int64_t at, int64_t in, int64_t out, bool aligned, int64_t *low, double *share)
{
    int64_t place = aligned ? at * (in - 1) : (2 * at + 1) * in - out, unit = aligned ? out - 1 : 2 * out;
    unit = unit ? unit : 1;
    place = place < 0 ? 0 : place > (in - 1) * unit ? (in - 1) * unit : place;
    *low = place / unit;
    *share = (double)(place % unit) / (double)unit;
}

bool sy_eval_resize(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *from = sy_arg_type(e->graph, node, 0);
    int n = from->rank - 2;
    uint64_t c = sy_last(from), pixels = sy_rows(&node->type);
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    for (uint64_t p = 0; out && p < pixels; p++) {
        int64_t low[SY_SPATIAL];
        double share[SY_SPATIAL];
        uint64_t rest = p;
        for (int d = n - 1; d >= 0; d--) {
            between((int64_t)(rest % (uint64_t)node->type.dim[1 + d]), from->dim[1 + d], node->type.dim[1 + d],
                    node->attributes.mode, &low[d], &share[d]);
            rest /= (uint64_t)node->type.dim[1 + d];
        }
        for (int corner = 0; corner < 1 << n; corner++) {
            double weight = 1;
            uint64_t pixel = rest;
            for (int d = 0; d < n; d++) {
                bool next = corner >> d & 1;
                int64_t at = low[d] + (next && low[d] + 1 < from->dim[1 + d]);
                weight *= next ? share[d] : 1 - share[d];
                pixel = pixel * (uint64_t)from->dim[1 + d] + (uint64_t)at;
            }
            for (uint64_t i = 0; i < c; i++)
                out[p * c + i] += weight * x[pixel * c + i];
        }
    }
    return out;
}

/* The index along a dimension that a padded one reads; -1: a zero. */
static int64_t padded(int64_t at, int64_t n, int32_t mode)
{
    if (at >= 0 && at < n)
        return at;
    switch (mode) {
    case 1:
        return at < 0 ? 0 : n - 1;
    case 2:
        return at < 0 ? -at : 2 * (n - 1) - at;
    case 3:
        return at < 0 ? at + n : at - n;
    default:
        return -1;
    }
}

bool sy_eval_pad(sy_eval *e, sy_value value, sy_error *error)
{
    const sy_node *node = sy_eval_node(e, value);
    const sy_type *from = sy_arg_type(e->graph, node, 0), *type = &node->type;
    const double *x = sy_eval_arg(e, value, 0);
    double *out = sy_eval_result(e, value, error);
    uint64_t count = sy_type_count(type);
    for (uint64_t k = 0; out && k < count; k++) {
        uint64_t rest = k, flat = 0, step = 1;
        bool inside = true;
        for (int d = type->rank - 1; d >= 0; d--) {
            int64_t at = padded((int64_t)(rest % (uint64_t)type->dim[d]) - node->attributes.pad[d], from->dim[d],
                                node->attributes.mode);
            rest /= (uint64_t)type->dim[d];
            inside = inside && at >= 0;
            flat += (uint64_t)(at < 0 ? 0 : at) * step;
            step *= (uint64_t)from->dim[d];
        }
        out[k] = inside ? x[flat] : 0;
    }
    return out;
}
