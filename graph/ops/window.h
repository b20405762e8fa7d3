/* Windows over images that lie channels last: which pixel of x[N,S…,C] a tap of the window at a place of the result
 * reads. Convolution and pooling, in the reference and in kernels, ask here. */
#ifndef SY_OPS_WINDOW_H
#define SY_OPS_WINDOW_H

#include "graph/ir/ir.h"

enum { SY_SPATIAL = 3 /* most spatial dimensions */, SY_WINDOW_MOST = 65535 /* of a stride, pad, dilation … */ };

/* Fewer than three spatial dimensions: the leading ones are 1 wide here, so that users need not care. */
typedef struct sy_window {
    int32_t images, groups;                  /* N; groups of channels (pool: 1) */
    int32_t in[SY_SPATIAL], out[SY_SPATIAL]; /* S and S' */
    int32_t size[SY_SPATIAL], stride[SY_SPATIAL], pad[SY_SPATIAL], dilate[SY_SPATIAL], up[SY_SPATIAL];
    int64_t taps, pixels; /* of a window; of the result, over all images */
} sy_window;

/* Of a conv or pool node whose type is set. */
sy_window sy_window_of(const sy_graph *graph, const sy_node *node);
/* The pixel (index over N, S…) that tap `tap` reads for pixel `out` of the result; -1: none, it is padding. */
int64_t sy_window_source(const sy_window *window, int64_t out, int64_t tap);

#endif
