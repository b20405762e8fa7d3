/* What stands around the U-Net of Stable Diffusion: the text encoder before it and the decoder of pictures after it.
 * Both add to a graph, from a file that has their tensors beside those of others. */
#ifndef SY_ZOO_SD_H
#define SY_ZOO_SD_H

#include "graph/zoo/zoo.h"

/* tokens i32[N,T] -> f32[N,T,width]: the last hidden states, after the last norm. */
sy_value sy_clip_encode(sy_graph *g, const struct sy_safetensors *file, sy_value tokens);
/* latent f32[N,C,S,S], as the sampler leaves it -> f32[N,3,8 S,8 S], around -1 … 1. */
sy_value sy_vae_decode(sy_graph *g, const struct sy_safetensors *file, sy_value latent);
/* Tokens of a text and the side of the decoder's pictures from a latent's; 0 where the file has no such network. */
int32_t sy_clip_tokens(const struct sy_safetensors *file);
int32_t sy_vae_side(const struct sy_safetensors *file, int32_t side);

#endif
