/* Layers whose widths the model file says: for networks that come in many widths, pruned ones among them, under the
 * same names. Names are relative to the graph's scope, as those of parameters are. Images are [N,H,W,C], tokens
 * [N,T,C]. Errors go to the graph. */
#ifndef SY_ZOO_FILE_LAYERS_H
#define SY_ZOO_FILE_LAYERS_H

#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"

/* Channels, heads or other equal parts of a weight's dimension, of which only some are kept: networks that are pruned
 * when their weights are loaded. */
enum { SY_MAX_UNITS = 256 };
typedef struct sy_units {
    int32_t count, n_kept;
    bool kept[SY_MAX_UNITS];
} sy_units;

typedef struct sy_layers {
    sy_graph *g;
    const struct sy_safetensors *file;
    sy_dtype dtype;           /* of every weight */
    int32_t groups;           /* of group norms */
    const sy_units *out, *in; /* what is kept of the channels that layers give and read; NULL: all. Norms: out. */
} sy_layers;

/* The tensor of that name in the graph's scope, or NULL. */
const sy_stored_tensor *sy_layers_find(const sy_layers *l, const char *name);
/* Its first dimension: what a weight gives. 1, and an error, where it is not there. */
int32_t sy_layers_rows(const sy_layers *l, const char *name);
/* The dtype of a tensor by its full name, for sy_layers.dtype; false (with a message) if it is no floating-point one.
 */
bool sy_layers_dtype(const struct sy_safetensors *file, const char *name, sy_dtype *dtype, sy_error *error);

/* x's dimension; 1 where x is no value. The last one with i = -1. */
int32_t sy_layers_dim(const sy_layers *l, sy_value x, int i);

sy_value sy_layers_group_norm(const sy_layers *l, sy_value x, const char *name, double eps);
sy_value sy_layers_layer_norm(const sy_layers *l, sy_value x, const char *name, double eps);
sy_value sy_layers_linear(const sy_layers *l, sy_value x, const char *name, bool bias);
/* Kernel k x k, padded by k / 2, with bias. */
sy_value sy_layers_conv(const sy_layers *l, sy_value x, const char *name, int32_t kernel, int32_t stride);
/* Over tokens: a linear layer with bias whose weight may be stored as that of a convolution of kernel 1. */
sy_value sy_layers_pointwise(const sy_layers *l, sy_value x, const char *name);

sy_value sy_layers_tokens(const sy_layers *l, sy_value image);           /* [N,H,W,C] -> [N,H W,C] */
sy_value sy_layers_heads(const sy_layers *l, sy_value x, int32_t heads); /* [N,T,h d] -> [N,h,T,d] */

/* The layers with only some of the outputs, or inputs, or all of both (NULL). */
sy_layers sy_layers_pruned(const sy_layers *l, const sy_units *out, const sy_units *in);

/* norm1, silu, conv1 (+ `time`, may be 0, through time_emb_proj), norm2, silu, conv2, and the shortcut where there is
 * one. `inner`: the groups of norm2, and with them of conv1's channels, that are kept; NULL: all. */
sy_value sy_layers_resnet(const sy_layers *l, sy_value x, sy_value time, double eps, const sy_units *inner);

#endif
