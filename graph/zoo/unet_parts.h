/* What U-Nets of diffusion share beside the layers of file_layers.h. Images are channels last, [N,H,W,C]. */
#ifndef SY_ZOO_UNET_PARTS_H
#define SY_ZOO_UNET_PARTS_H

#include "graph/zoo/file_layers.h"

enum { SY_UNET_MOST_LEVELS = 16, SY_UNET_MOST_BLOCKS = 512, SY_UNET_MOST_SIDE = 8192 };

/* How the 3C outputs of the joint projection are ordered. */
typedef enum sy_qkv_order {
    SY_QKV_LEGACY, /* [head][q,k,v][channel] */
    SY_QKV_NEW,    /* [q,k,v][head][channel] */
    SY_QKV_EDM     /* [head][channel][q,k,v] */
} sy_qkv_order;

/* A vector of each sample, f32[M,C], as an image of one pixel. */
sy_value sy_unet_pixel(const sy_layers *l, sy_value x);
/* proj(attention(qkv(u))) over all pixels of u[N,H,W,C]; both layers are convolutions of one tap. The
 * setting pladis acts here. */
sy_value sy_unet_attention(const sy_layers *l, const sy_network_config *config, sy_value u, const char *qkv,
                           const char *proj, int32_t heads, sy_qkv_order order);

#endif
