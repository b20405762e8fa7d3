/* The builder: how networks in graph/zoo are written. Each function adds one op (or a few, where it says so) and
 * returns its value; errors are sticky in the graph, see sy_graph_add. Dims are given as they print. */
#ifndef SY_IR_BUILD_H
#define SY_IR_BUILD_H

#include "graph/ir/ir.h"

/* `SY_DIMS(2, 64, 128)` is a type argument: SY_T(SY_F32, 2, 64, 128). */
#define SY_T(dtype, ...) sy_build_type((dtype), (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
sy_type sy_build_type(sy_dtype dtype, const int32_t *dims, size_t rank);

/* Names of parameters and taps are relative to the scope: sy_param(g, "weight") in scope "blocks.0.attn.qkv" is the
 * parameter "blocks.0.attn.qkv.weight". Inputs, states, step columns and outputs are named as they are anywhere.
 * Scopes nest: push "blocks.0", push "attn"; pop takes away the last. */
void sy_scope_push(sy_graph *g, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void sy_scope_pop(sy_graph *g);

sy_value sy_input(sy_graph *g, const char *name, sy_type type);
sy_value sy_state(sy_graph *g, const char *name, sy_type type);
sy_value sy_step(sy_graph *g, const char *name);
sy_value sy_step_index(sy_graph *g);
/* The parameter of that name (with the scope in front); the same parameter asked for twice is the same node. */
sy_value sy_param(sy_graph *g, const char *name, sy_type type);
sy_value sy_const(sy_graph *g, double value); /* f32[1] */
sy_value sy_const_of(sy_graph *g, sy_type type, const double *values, uint32_t n_values); /* 1 or count */
sy_value sy_iota(sy_graph *g, sy_type type, int axis);

sy_value sy_unary(sy_graph *g, sy_op op, sy_value x);
sy_value sy_binary(sy_graph *g, sy_op op, sy_value a, sy_value b);
sy_value sy_select(sy_graph *g, sy_value condition, sy_value yes, sy_value no);
sy_value sy_cast(sy_graph *g, sy_value x, sy_dtype dtype);
#define sy_add(g, a, b) sy_binary(g, SY_OP_ADD, a, b)
#define sy_sub(g, a, b) sy_binary(g, SY_OP_SUB, a, b)
#define sy_mul(g, a, b) sy_binary(g, SY_OP_MUL, a, b)
#define sy_silu(g, x) sy_unary(g, SY_OP_SILU, x)

sy_value sy_reshape(sy_graph *g, sy_value x, sy_type type); /* dtype of `type` is ignored */
sy_value sy_transpose(sy_graph *g, sy_value x, const int32_t *perm);
sy_value sy_slice(sy_graph *g, sy_value x, const int32_t *start, sy_type type);
sy_value sy_slice_axis(sy_graph *g, sy_value x, int axis, int32_t start, int32_t size);
sy_value sy_broadcast(sy_graph *g, sy_value x, sy_type type);
sy_value sy_concat(sy_graph *g, const sy_value *parts, uint32_t n, int axis);
sy_value sy_stack(sy_graph *g, const sy_value *parts, uint32_t n); /* new leading axis; reshapes and a concat */
sy_value sy_take_rows(sy_graph *g, sy_value table, sy_value ids);
sy_value sy_take_last(sy_graph *g, sy_value x, sy_value ids);
sy_value sy_random_normal(sy_graph *g, sy_value seeds, sy_value counter, int stream, sy_type type); /* counter may be 0 */

sy_value sy_matmul(sy_graph *g, sy_value a, sy_value b, bool transpose_b);
/* x W^T + b with W = "<name>.weight" [out,in] and, if `bias`, b = "<name>.bias" [out], as PyTorch stores them. */
sy_value sy_linear(sy_graph *g, sy_value x, const char *name, int32_t out, bool bias, sy_dtype dtype);
sy_value sy_attention(sy_graph *g, sy_value q, sy_value k, sy_value v, double scale);
/* Attention in full: build_attention.c. Members left 0 are off. */
typedef struct sy_attention_params {
    sy_value q, k, v;  /* [B,H,T,d], [B,G,S,d], [B,G,S,e]; G divides H (grouped queries) */
    sy_value bias;     /* broadcasts to [B,H,T,S], added to the scaled scores; masks: a large finite negative */
    double scale;      /* 0: 1 / sqrt(d) */
    bool causal;       /* query t sees keys 0…t */
    /* sy_route_attention alone */
    sy_value route;    /* query blocks -> key blocks: B H nQ rows, or B nQ (all heads alike); nK targets */
    int32_t block_rows, block_keys; /* queries and keys of a block; the last ones may be shorter */
    double skip;       /* second stage of SpargeAttn, lambda in log2 units */
} sy_attention_params;
sy_value sy_attention_full(sy_graph *g, const sy_attention_params *params);
sy_value sy_route_attention(sy_graph *g, const sy_attention_params *params);
/* Rotary positions (arXiv 2104.09864) on x[…,T,d]. sy_rotate turns pairs of channels by angles that broadcast to
 * […,T,pairs]: channels (i, i + pairs), or (2i, 2i + 1) if interleaved; channels from 2 pairs on pass. sy_rope makes the
 * angles: pair i of n turns by position * base^(-i/n). */
typedef struct sy_rope_params {
    bool interleaved;
    double base;            /* 0: 10000 */
    int32_t channels;       /* how many of the first channels turn; 0: all */
    sy_value positions;     /* broadcasts to […,T]; 0: 0…T-1, or the grid */
    int32_t height, width;  /* > 0: T is a grid; the first half of the channels turns by row, the second by column */
} sy_rope_params;
sy_value sy_rotate(sy_graph *g, sy_value x, sy_value angles, bool interleaved);
sy_value sy_rope(sy_graph *g, sy_value x, const sy_rope_params *params);
sy_value sy_row(sy_graph *g, sy_op op, sy_value x, double eps); /* softmax, norms, reductions */
sy_value sy_top_k(sy_graph *g, sy_value x, int32_t k);
sy_value sy_entmax(sy_graph *g, sy_value x, double alpha);
/* Along the last axis, any length: indices in order; inclusive sums; counts of the numbers 0 … n - 1. */
sy_value sy_sort(sy_graph *g, sy_value x, bool descending);
sy_value sy_cumsum(sy_graph *g, sy_value x);
sy_value sy_histogram(sy_graph *g, sy_value x, int32_t n);

sy_value sy_route_top_k(sy_graph *g, sy_value scores, int32_t k, bool renormalise);
sy_value sy_route_expert_choice(sy_graph *g, sy_value scores, int32_t k, int32_t group_rows);
/* The same, but pairs of row and target where first i32[T,E] is 1, elsewhere 0, come before all others. */
sy_value sy_route_expert_choice_first(sy_graph *g, sy_value scores, sy_value first, int32_t k, int32_t group_rows);
sy_value sy_route_split(sy_graph *g, sy_value route, sy_value mask, int32_t target, int32_t targets);
sy_value sy_route_capacity(sy_graph *g, sy_value route, int32_t capacity, int32_t group_rows, bool choice_major);
sy_value sy_route_build(sy_graph *g, sy_value rows, sy_value targets, sy_value weights, int32_t n_rows,
                        int32_t n_targets, int32_t capacity, int32_t group_rows);
sy_value sy_grouped_matmul(sy_graph *g, sy_value x, sy_value w, sy_value route, bool gather, bool transpose_b);
sy_value sy_combine(sy_graph *g, sy_value y, sy_value route, bool weighted);
sy_value sy_route_gather(sy_graph *g, sy_value x, sy_value route);
sy_value sy_route_scatter(sy_graph *g, sy_value y, sy_value route, sy_value base);
sy_value sy_route_spread(sy_graph *g, sy_value b, sy_value route);
sy_value sy_route_load(sy_graph *g, sy_value route);

/* Images (build_image.c): channels last, [N,S…,C] with 1 to 3 spatial dimensions; lists of attributes run over these.
 * sy_conv(g, x, w, &(sy_attributes){.stride = {2, 2}, .pad = {1, 1}, .pad_high = {1, 1}}); NULL: all defaults. */
sy_value sy_conv(sy_graph *g, sy_value x, sy_value w, const sy_attributes *attributes);
/* Convolution layers read PyTorch's "<name>.weight" and, if `bias`, "<name>.bias" [out]. The same kernel, stride and pad
 * along each spatial dimension (weight [out,C,kernel…]); or `kernel` one number a dimension and any attributes (weight
 * [out,C/groups,kernel…]). */
sy_value sy_conv_layer(sy_graph *g, sy_value x, const char *name, int32_t out, int32_t kernel, int32_t stride,
                       int32_t pad, bool bias, sy_dtype dtype);
sy_value sy_conv_layer_with(sy_graph *g, sy_value x, const char *name, int32_t out, const int32_t *kernel,
                            const sy_attributes *attributes, bool bias, sy_dtype dtype);
/* PyTorch's ConvTranspose: weight [C,out/groups,kernel…]; `more` is its output_padding. groups 0: 1. */
sy_value sy_conv_transpose_layer(sy_graph *g, sy_value x, const char *name, int32_t out, int32_t kernel, int32_t stride,
                                 int32_t pad, int32_t more, int32_t groups, bool bias, sy_dtype dtype);
typedef enum sy_pool_mode { SY_POOL_MAX, SY_POOL_MEAN, SY_POOL_MEAN_PADDED } sy_pool_mode;
/* The same window, stride and pad along each spatial dimension. */
sy_value sy_pool(sy_graph *g, sy_value x, sy_pool_mode mode, int32_t window, int32_t stride, int32_t pad);
/* To spatial dimensions `dims`, linearly; `aligned`: corners are aligned. */
sy_value sy_resize(sy_graph *g, sy_value x, const int32_t *dims, bool aligned);
typedef enum sy_pad_mode { SY_PAD_ZERO, SY_PAD_EDGE, SY_PAD_REFLECT, SY_PAD_CIRCULAR } sy_pad_mode;
/* `low` and `high` have a number for every dimension of x, channels and images too. */
sy_value sy_pad(sy_graph *g, sy_value x, const int32_t *low, const int32_t *high, sy_pad_mode mode);
sy_value sy_upsample_nearest(sy_graph *g, sy_value x, int32_t factor); /* views alone */
/* Norms: statistics over the spatial dimensions and a group's channels. Those with an affine part fold it into one scale
 * and one shift a channel, which costs least: `scale` and `shift` are [C] or [N,C] (0: none); the layer reads
 * "<name>.weight" and "<name>.bias" [C]. */
sy_value sy_group_norm(sy_graph *g, sy_value x, int32_t groups, double eps); /* no affine part */
sy_value sy_group_norm_affine(sy_graph *g, sy_value x, int32_t groups, double eps, sy_value scale, sy_value shift);
sy_value sy_group_norm_layer(sy_graph *g, sy_value x, const char *name, int32_t groups, double eps, sy_dtype dtype);
sy_value sy_instance_norm(sy_graph *g, sy_value x, double eps);
/* PyTorch's BatchNorm at inference: "<name>.weight", "bias", "running_mean", "running_var" [C] become one scale and one
 * shift when weights are loaded. Any x[…,C]. */
sy_value sy_batch_norm(sy_graph *g, sy_value x, const char *name, double eps, sy_dtype dtype);
/* PyTorch's pixel_shuffle: [N,H,W,C r r] -> [N,H r,W r,C], channels in its order (c, row, column); and back. */
sy_value sy_pixel_shuffle(sy_graph *g, sy_value x, int32_t r);
sy_value sy_pixel_unshuffle(sy_graph *g, sy_value x, int32_t r);
/* Element i goes to (i + shift) mod n along the axis. */
sy_value sy_roll(sy_graph *g, sy_value x, int axis, int32_t shift);

/* The two-dimensional discrete Fourier transform over H and W of re + i im (im 0: real), images [N,H,W,C]: sum of
 * x e^(-2 pi i (j k / H + l m / W)), not scaled; inverse: the other sign, divided by H W. Any sizes (build_fourier.c). */
bool sy_dft2(sy_graph *g, sy_value re, sy_value im, bool inverse, sy_value *out_re, sy_value *out_im);
/* PyTorch's GRUCell: x[N,I], state h[N,H] -> the next state, with "weight_ih" [3H,I], "weight_hh" [3H,H], "bias_ih",
 * "bias_hh" [3H] in the order reset, update, new (arXiv 1406.1078). */
sy_value sy_gru_cell(sy_graph *g, sy_value x, sy_value h, sy_dtype dtype);

/* Ends. Names of taps get the scope in front. */
void sy_output(sy_graph *g, const char *name, sy_value value);
void sy_carry(sy_graph *g, const char *state, sy_value value);
void sy_tap(sy_graph *g, const char *name, sy_value value);

#endif
