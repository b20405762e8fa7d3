/* Parts that U-Nets of diffusion share: norms with an affine part, layers whose sizes the file says, attention over
 * pixels. Images are channels last, [N,H,W,C]. */
#ifndef SY_ZOO_UNET_PARTS_H
#define SY_ZOO_UNET_PARTS_H

#include "graph/zoo/zoo.h"

enum { SY_UNET_MOST_LEVELS = 16, SY_UNET_MOST_BLOCKS = 512, SY_UNET_MOST_SIDE = 8192 };

/* How the 3C outputs of the joint projection are ordered. */
typedef enum sy_qkv_order {
    SY_QKV_LEGACY, /* [head][q,k,v][channel] */
    SY_QKV_NEW,    /* [q,k,v][head][channel] */
    SY_QKV_EDM     /* [head][channel][q,k,v] */
} sy_qkv_order;

/* True if the file has a tensor of that name in the graph's scope. */
bool sy_unet_has(const sy_graph *g, const sy_network_config *config, const char *name);
/* A dimension of the tensor of that name in the graph's scope, as the file has it (0: a layer's outputs); a sticky
 * error and 0 if it is not there or larger than any layer's. */
int32_t sy_unet_dim(sy_graph *g, const sy_network_config *config, const char *name, uint32_t axis);
/* The number of channels, and of pixels along the first axis, of an image; 1 where there is no value. */
int32_t sy_unet_channels(const sy_graph *g, sy_value x);
int32_t sy_unet_side(const sy_graph *g, sy_value x);

/* "<name>.weight", "<name>.bias" [C] over x[…,C] after the norm over groups. */
sy_value sy_unet_group_norm(sy_graph *g, const sy_network_config *config, sy_value x, const char *name, int32_t groups,
                            double eps);
/* A square convolution that keeps the side (divided by the stride); kernel and outputs are the file's. */
sy_value sy_unet_conv(sy_graph *g, const sy_network_config *config, sy_value x, const char *name, int32_t stride,
                      bool bias);
/* A layer whose outputs are the file's, of vectors. */
sy_value sy_unet_linear(sy_graph *g, const sy_network_config *config, sy_value x, const char *name, bool bias);
/* A vector of each sample, f32[M,C], as an image of one pixel. */
sy_value sy_unet_pixel(sy_graph *g, sy_value x);
/* proj(attention(qkv(u))) over all pixels of u[N,H,W,C]; both layers are convolutions of one tap, stored with or
 * without trailing dimensions of 1. */
sy_value sy_unet_attention(sy_graph *g, const sy_network_config *config, sy_value u, const char *qkv, const char *proj,
                           int32_t heads, sy_qkv_order order);

#endif
