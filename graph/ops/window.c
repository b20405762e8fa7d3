/* Windows: see window.h. */
#include "graph/ops/window.h"

static int32_t or_one(int32_t x)
{
    return x ? x : 1;
}

sy_window sy_window_of(const sy_graph *graph, const sy_node *node)
{
    const sy_type *x = &graph->nodes[node->args[0]].type;
    const sy_attributes *a = &node->attributes;
    int spatial = x->rank - 2, first = SY_SPATIAL - spatial;
    sy_window w = {.images = x->dim[0], .groups = or_one(a->groups), .taps = 1, .pixels = x->dim[0]};
    for (int d = 0; d < SY_SPATIAL; d++) {
        bool real = d >= first;
        int i = d - first;
        w.in[d] = real ? x->dim[1 + i] : 1;
        w.out[d] = real ? node->type.dim[1 + i] : 1;
        w.size[d] = !real ? 1 : node->op == SY_OP_CONV ? graph->nodes[node->args[1]].type.dim[i] : a->window[i];
        w.stride[d] = real ? or_one(a->stride[i]) : 1;
        w.pad[d] = real ? a->pad[i] : 0;
        w.dilate[d] = real ? or_one(a->dilate[i]) : 1;
        w.up[d] = real ? or_one(a->up[i]) : 1;
        w.taps *= w.size[d];
        w.pixels *= w.out[d];
    }
    return w;
}

int64_t sy_window_source(const sy_window *w, int64_t out, int64_t tap)
{
    int64_t place[SY_SPATIAL], at[SY_SPATIAL], pixel;
    for (int d = SY_SPATIAL - 1; d >= 0; d--) {
        place[d] = out % w->out[d] * w->stride[d] - w->pad[d] + tap % w->size[d] * w->dilate[d];
        out /= w->out[d];
        tap /= w->size[d];
        at[d] = place[d] / w->up[d];
    }
    pixel = out;
    for (int d = 0; d < SY_SPATIAL; d++) {
        if (place[d] < 0 || place[d] % w->up[d] || at[d] >= w->in[d])
            return -1;
        pixel = pixel * w->in[d] + at[d];
    }
    return pixel;
}
