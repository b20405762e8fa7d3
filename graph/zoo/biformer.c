/* BiFormer, "Vision Transformer with Bi-Level Routing Attention" (arXiv 2303.08810): a pyramid that classifies
 * pictures. In a stage the image is cut into n_win x n_win regions; the mean query of a region (all heads together)
 * scores the mean keys of all regions, and its tokens attend to the tokens of the best topk regions: one block route an
 * image, the same for all heads. The weights of the route are not multiplied in, and the scores of both levels are
 * scaled by the root of the whole width, not of a head's. To the result a depthwise convolution of the values is added
 * (lepe).
 *
 * Tensor names are those of the authors' code. Metadata: switchyard.image_size, .n_win (7), .head_width (32),
 * .topk.0 … .topk.3 (1, 4, 16, -2; negative: full attention, scaled by a head's width, with lepe), .full_heads (8),
 * heads of such a stage. Images that n_win does not divide are filled up with zeros to the right and below, as there.
 * The authors' variants with positions in q and k, mixed kernels and softmaxed route weights are not built. */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>

enum { STAGES = 4, MAX_DEPTH = 256, MAX_WIDTH = 1 << 14, MAX_IMAGE = 1 << 12 };

typedef struct biformer {
    sy_graph *g;
    const struct sy_safetensors *file;
    int32_t batch, side, stages, windows, head_width, full_heads, classes, channels;
    int32_t width[STAGES], depth[STAGES], topk[STAGES];
    sy_dtype dtype;
} biformer;

static bool read_stage(biformer *m, int32_t i, sy_error *error)
{
    static const int32_t usual[STAGES] = {1, 4, 16, -2};
    char name[96], key[16];
    int32_t norm[1];
    snprintf(name, sizeof name, "stages.%d.0.norm1.weight", i);
    snprintf(key, sizeof key, "topk.%d", i);
    m->topk[i] = usual[i];
    if (!sy_zoo_shape(m->file, name, 1, norm, error) ||
        !sy_zoo_metadata_int(m->file, key, -2, 4096, &m->topk[i], error))
        return false;
    m->width[i] = norm[0];
    while (m->depth[i] <= MAX_DEPTH && sy_zoo_has(m->file, "stages.%d.%d.norm1.weight", i, m->depth[i]))
        m->depth[i]++;
    int32_t heads = m->topk[i] > 0 ? norm[0] / m->head_width : m->full_heads;
    if (m->topk[i] == 0 || m->topk[i] > m->windows * m->windows || norm[0] > MAX_WIDTH || m->depth[i] > MAX_DEPTH ||
        heads < 1 || norm[0] % heads || (m->topk[i] > 0 && norm[0] % m->head_width))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "Stage %d: %d heads of %d channels and the %d best of %d x %d regions "
                       "are not possible.",
                       i, heads, norm[0], m->topk[i], m->windows, m->windows);
    return true;
}

static bool configure(biformer *m, sy_error *error)
{
    int32_t head[2], stem[4];
    m->side = 224;
    m->windows = 7;
    m->head_width = 32;
    m->full_heads = 8;
    if (!sy_zoo_shape(m->file, "downsample_layers.0.0.weight", 4, stem, error) ||
        !sy_zoo_shape(m->file, "head.weight", 2, head, error) ||
        !sy_zoo_dtype(m->file, "head.weight", &m->dtype, error) ||
        !sy_zoo_metadata_int(m->file, "image_size", 4, MAX_IMAGE, &m->side, error) ||
        !sy_zoo_metadata_int(m->file, "n_win", 1, 64, &m->windows, error) ||
        !sy_zoo_metadata_int(m->file, "head_width", 1, 1024, &m->head_width, error) ||
        !sy_zoo_metadata_int(m->file, "full_heads", 1, 1024, &m->full_heads, error))
        return false;
    m->channels = stem[1];
    m->classes = head[0];
    while (m->stages < STAGES && sy_zoo_has(m->file, "stages.%d.0.norm1.weight", m->stages))
        if (!read_stage(m, m->stages++, error))
            return false;
    return (m->stages && m->channels <= 1024) ||
           sy_fail(error, SY_CODE_INVALID_FILE, "The file has no stage, or too many channels (%d).", m->channels);
}

static const int32_t *dims(const biformer *m, sy_value x)
{
    static const int32_t none[SY_MAX_RANK];
    return x ? m->g->nodes[x].type.dim : none;
}

/* A depthwise convolution that keeps the size. */
static sy_value depthwise(const biformer *m, sy_value x, const char *name, int32_t width, int32_t kernel)
{
    int32_t pad = kernel / 2;
    sy_attributes a = {.pad = {pad, pad}, .pad_high = {pad, pad}, .groups = width};
    return sy_conv_layer_with(m->g, x, name, width, (const int32_t[]){kernel, kernel}, &a, true, m->dtype);
}

/* Kernel size of lepe: what the file has. */
static int32_t lepe_kernel(const biformer *m, int32_t stage, int32_t block)
{
    char name[96];
    int32_t shape[4];
    snprintf(name, sizeof name, "stages.%d.%d.attn.lepe.weight", stage, block);
    if (!sy_zoo_shape(m->file, name, 4, shape, &m->g->error))
        return 1;
    return shape[2] <= 31 && shape[2] % 2 ? shape[2] : 1;
}

/* Tokens of x[N, T, C] as [N, heads, T, C / heads]. */
static sy_value part_of(const biformer *m, sy_value x, int32_t i, int32_t width)
{
    return sy_slice_axis(m->g, x, 2, i * width, width);
}

/* Bi-level routing attention of x[N, H, W, C], whose regions are h x w. */
static sy_value routed(const biformer *m, sy_value x, int32_t stage, int32_t block)
{
    sy_graph *g = m->g;
    int32_t width = m->width[stage], heads = width / m->head_width, s = m->windows, n = dims(m, x)[0];
    int32_t full_h = dims(m, x)[1], full_w = dims(m, x)[2], h = (full_h + s - 1) / s, w = (full_w + s - 1) / s;
    if (h * s != full_h || w * s != full_w)
        x = sy_pad(g, x, (const int32_t[4]){0}, (const int32_t[4]){0, h * s - full_h, w * s - full_w, 0}, SY_PAD_ZERO);
    sy_value qkv = sy_linear(g, sy_to_regions(g, x, h, w), "qkv.qkv", 3 * width, true, m->dtype);
    sy_value part[3], one[2], affinity;
    for (int i = 0; i < 3; i++)
        part[i] = part_of(m, qkv, i, width);
    for (int i = 0; i < 2; i++)
        one[i] = sy_reshape(g, part[i], SY_T(SY_F32, n, 1, s * h * s * w, width));
    double scale = 1 / sqrt(width);
    sy_value route = sy_block_top_k_route(g, one[0], one[1], h * w, h * w, scale, m->topk[stage], &affinity);
    sy_tap(g, "affinity", affinity);
    sy_tap(g, "route", route);
    sy_attention_params a = {.q = sy_zoo_split_heads(g, part[0], heads),
                             .k = sy_zoo_split_heads(g, part[1], heads),
                             .v = sy_zoo_split_heads(g, part[2], heads),
                             .scale = scale,
                             .route = route,
                             .block_rows = h * w,
                             .block_keys = h * w};
    sy_value y = sy_from_regions(g, sy_zoo_merge_heads(g, sy_route_attention(g, &a)), s * h, s * w, h, w);
    sy_value v = sy_from_regions(g, part[2], s * h, s * w, h, w);
    y = sy_add(g, y, depthwise(m, v, "lepe", width, lepe_kernel(m, stage, block)));
    y = sy_linear(g, y, "wo", width, true, m->dtype);
    y = sy_slice_axis(g, y, 1, 0, full_h);
    return sy_slice_axis(g, y, 2, 0, full_w);
}

/* Full attention, of stages with a negative topk. */
static sy_value full(const biformer *m, sy_value x, int32_t stage, int32_t block)
{
    sy_graph *g = m->g;
    int32_t width = m->width[stage], n = dims(m, x)[0], h = dims(m, x)[1], w = dims(m, x)[2];
    sy_value qkv = sy_linear(g, sy_reshape(g, x, SY_T(SY_F32, n, h * w, width)), "qkv", 3 * width, true, m->dtype);
    sy_value part[3];
    for (int i = 0; i < 3; i++)
        part[i] = sy_zoo_split_heads(g, part_of(m, qkv, i, width), m->full_heads);
    sy_value y = sy_attention(g, part[0], part[1], part[2], 1 / sqrt(width / m->full_heads));
    y = sy_reshape(g, sy_zoo_merge_heads(g, y), SY_T(SY_F32, n, h, w, width));
    if (m->topk[stage] == -2) {
        sy_value v = sy_reshape(g, part_of(m, qkv, 2, width), SY_T(SY_F32, n, h, w, width));
        y = sy_add(g, y, depthwise(m, v, "lepe", width, lepe_kernel(m, stage, block)));
    }
    return sy_linear(g, y, "proj", width, true, m->dtype);
}

static sy_value block(const biformer *m, sy_value x, int32_t stage, int32_t i)
{
    sy_graph *g = m->g;
    char name[96];
    int32_t width = m->width[stage], mlp[2];
    snprintf(name, sizeof name, "stages.%d.%d.mlp.0.weight", stage, i);
    if (!sy_zoo_shape(m->file, name, 2, mlp, &g->error))
        return 0;
    sy_scope_push(g, "stages.%d.%d", stage, i);
    x = sy_add(g, x, depthwise(m, x, "pos_embed", width, 3));
    sy_value u = sy_zoo_layer_norm(g, x, "norm1", 1e-6, m->dtype);
    sy_scope_push(g, "attn");
    u = m->topk[stage] > 0 ? routed(m, u, stage, i) : full(m, u, stage, i);
    sy_scope_pop(g);
    x = sy_add(g, x, u);
    u = sy_linear(g, sy_zoo_layer_norm(g, x, "norm2", 1e-6, m->dtype), "mlp.0", mlp[0], true, m->dtype);
    u = sy_linear(g, sy_unary(g, SY_OP_GELU_ERF, u), "mlp.3", width, true, m->dtype);
    sy_scope_pop(g);
    return sy_add(g, x, u);
}

/* Half the size: a convolution and a batch norm; in front of the first stage two, with gelu between. */
static sy_value downsample(const biformer *m, sy_value x, int32_t stage)
{
    sy_graph *g = m->g;
    sy_scope_push(g, "downsample_layers.%d", stage);
    x = sy_conv_layer(g, x, "0", stage ? m->width[stage] : m->width[0] / 2, 3, 2, 1, true, m->dtype);
    x = sy_batch_norm(g, x, "1", 1e-5, m->dtype);
    if (!stage) {
        x = sy_conv_layer(g, sy_unary(g, SY_OP_GELU_ERF, x), "3", m->width[0], 3, 2, 1, true, m->dtype);
        x = sy_batch_norm(g, x, "4", 1e-5, m->dtype);
    }
    sy_scope_pop(g);
    return x;
}

/* "x" f32[N, C, side, side] -> "logits" f32[N, classes]. Taps: each routed block's "attn.route" (region of a picture ->
 * regions) and "attn.affinity". */
bool sy_biformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    biformer m = {.g = g, .file = file, .batch = batch};
    if (!configure(&m, error))
        return false;
    sy_value x = sy_input(g, "x", SY_T(SY_F32, batch, m.channels, m.side, m.side));
    x = sy_transpose(g, x, (const int32_t[]){0, 2, 3, 1});
    for (int32_t i = 0; i < m.stages; i++) {
        x = downsample(&m, x, i);
        for (int32_t b = 0; b < m.depth[i]; b++)
            x = block(&m, x, i, b);
    }
    int32_t width = m.width[m.stages - 1], cells = x ? dims(&m, x)[1] * dims(&m, x)[2] : 1;
    x = sy_reshape(g, sy_batch_norm(g, x, "norm", 1e-5, m.dtype), SY_T(SY_F32, batch, cells, width));
    x = sy_row(g, SY_OP_REDUCE_MEAN, sy_transpose(g, x, (const int32_t[]){0, 2, 1}), 0);
    x = sy_reshape(g, x, SY_T(SY_F32, batch, width));
    sy_output(g, "logits", sy_linear(g, x, "head", m.classes, true, m.dtype));
    return sy_graph_check(g, error);
}
