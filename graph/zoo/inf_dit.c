/* Inf-DiT, "Upsampling Any-Resolution Image with Memory-Efficient Diffusion Transformer" (arXiv 2405.04312): a DiT on
 * pixels. The image is cut into blocks, and in every layer the tokens of a block attend to those of four blocks: their
 * own, the one to the left, the one above and the one above that to the left (unidirectional block attention), so that
 * an image can be made row by row with a bounded memory. That dependence is a block route over the grid, the same for
 * all heads and layers. Positions are rotary, by rows and columns of the whole image. The small image, enlarged by
 * repetition, lies beside the noisy one in the input's channels; in the first layer tokens also attend to the patches
 * of the small image in the 3 x 3 blocks around theirs (a second route). A vector of the whole image (CLIP's) joins the
 * time in the modulation.
 *
 * What the paper leaves open is as in a DiT (arXiv 2212.09748). Tensors: x_embedder.proj [D, 6, p, p],
 * lr_embedder.proj [D, 3, q, q], t_embedder.mlp.{0, 2}, image_embedder [D, E], blocks.N.{adaLN_modulation.1, attn.qkv,
 * attn.proj, mlp.fc1, mlp.fc2}, blocks.0.cross.{q, kv, proj} and cross_norm, final_layer.{adaLN_modulation.1, linear}.
 * Metadata: switchyard.num_heads, .image_size, .scale (small to large, 4), .block_size (pixels of a block, 128). */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

#include <math.h>

enum { MAX_WIDTH = 1 << 14, MAX_DEPTH = 256, MAX_SIDE = 1 << 14, TIME_FEATURES = 256 };

typedef struct inf_dit {
    sy_graph *g;
    int32_t batch, side, scale, channels, patch, small_patch, width, depth, heads, hidden, embedding, channels_out;
    int32_t cells, in_block, blocks; /* tokens and blocks along a side; tokens along a side of a block */
    int32_t small_in_block;          /* patches of the small image along a side of a block */
    sy_dtype dtype;
} inf_dit;

static bool configure(inf_dit *m, const struct sy_safetensors *file, sy_error *error)
{
    int32_t proj[4], small[4], fc1[2], linear[2], image[2], block = 128;
    m->heads = 1;
    m->scale = 4;
    if (!sy_zoo_shape(file, "x_embedder.proj.weight", 4, proj, error) ||
        !sy_zoo_shape(file, "lr_embedder.proj.weight", 4, small, error) ||
        !sy_zoo_shape(file, "image_embedder.weight", 2, image, error) ||
        !sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error) ||
        !sy_zoo_shape(file, "final_layer.linear.weight", 2, linear, error) ||
        !sy_zoo_dtype(file, "x_embedder.proj.weight", &m->dtype, error) ||
        !sy_zoo_metadata_int(file, "num_heads", 1, 1024, &m->heads, error) ||
        !sy_zoo_metadata_int(file, "image_size", 1, MAX_SIDE, &m->side, error) ||
        !sy_zoo_metadata_int(file, "scale", 1, 64, &m->scale, error) ||
        !sy_zoo_metadata_int(file, "block_size", 1, MAX_SIDE, &block, error))
        return false;
    m->width = proj[0];
    m->channels = small[1];
    m->patch = proj[2];
    m->small_patch = small[2];
    m->hidden = fc1[0];
    m->embedding = image[1];
    while (m->depth <= MAX_DEPTH && sy_zoo_has(file, "blocks.%d.mlp.fc1.weight", m->depth))
        m->depth++;
    int32_t small_block = block / m->scale;
    bool fine = m->width <= MAX_WIDTH && m->width % m->heads == 0 && m->width / m->heads % 4 == 0 && m->depth >= 1 &&
                m->depth <= MAX_DEPTH && m->channels <= 1024 && proj[1] == 2 * m->channels && m->patch <= 64 &&
                m->small_patch <= 64 && m->hidden <= 16 * MAX_WIDTH && m->embedding <= 16 * MAX_WIDTH && m->side > 0 &&
                m->side % block == 0 && block % m->patch == 0 && block % m->scale == 0 &&
                small_block % m->small_patch == 0 && linear[0] % (m->patch * m->patch) == 0;
    if (!fine)
        return sy_fail(
            error, SY_CODE_INVALID_FILE,
            "An image of %d in blocks of %d, patches of %d, or %d times smaller in patches of %d, is not possible "
            "with width %d and %d heads.",
            m->side, block, m->patch, m->scale, m->small_patch, m->width, m->heads);
    m->channels_out = linear[0] / (m->patch * m->patch);
    m->cells = m->side / m->patch;
    m->in_block = block / m->patch;
    m->blocks = m->side / block;
    m->small_in_block = small_block / m->small_patch;
    return true;
}

/* An image [N, C, side, side] in patches of p, row by row: [N, cells, cells, D] by the convolution `name`. */
static sy_value patches(const inf_dit *m, sy_value x, const char *name, int32_t channels, int32_t side, int32_t p)
{
    sy_graph *g = m->g;
    int32_t cells = side / p, values = channels * p * p;
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch, channels, cells, p, cells, p));
    x = sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 2, 4, 1, 3, 5}),
                   SY_T(SY_F32, m->batch, cells, cells, values));
    sy_scope_push(g, "%s", name);
    sy_value w = sy_param(g, "weight", SY_T(m->dtype, m->width, channels, p, p));
    x = sy_matmul(g, x, sy_reshape(g, w, SY_T(m->dtype, m->width, values)), true);
    x = sy_add(g, x, sy_zoo_param(g, "bias", SY_T(m->dtype, m->width)));
    sy_scope_pop(g);
    return x;
}

/* Part i of x[N, T, parts D], block by block, as [N, H, T, d]. */
static sy_value heads_of(const inf_dit *m, sy_value x, int32_t i)
{
    return sy_zoo_split_heads(m->g, sy_slice_axis(m->g, x, 2, i * m->width, m->width), m->heads);
}

/* Row and column of each token in the order of blocks, f32[T]: positions of a grid, cut into blocks like the tokens. */
static sy_value place(const inf_dit *m, int axis)
{
    sy_graph *g = m->g;
    sy_value at = sy_iota(g, SY_T(SY_F32, 1, m->cells, m->cells, 1), axis);
    return sy_reshape(g, sy_to_regions(g, at, m->in_block, m->in_block), SY_T(SY_F32, m->cells * m->cells));
}

/* The first half of a head's channels turns by the row, the second by the column. */
static sy_value turned(const inf_dit *m, sy_value x)
{
    sy_graph *g = m->g;
    int32_t half = m->width / m->heads / 2;
    sy_value parts[2];
    for (int i = 0; i < 2; i++)
        parts[i] = sy_rope(g, sy_slice_axis(g, x, 3, i * half, half), &(sy_rope_params){.positions = place(m, 1 + i)});
    return sy_concat(g, parts, 2, 3);
}

static sy_value part(const inf_dit *m, sy_value vectors, int32_t i)
{
    return sy_slice_axis(m->g, vectors, 2, i * m->width, m->width);
}

static sy_value modulated(const inf_dit *m, sy_value x, sy_value vectors, int32_t shift)
{
    sy_graph *g = m->g;
    x = sy_mul(g, sy_row(g, SY_OP_LAYER_NORM, x, 1e-6), sy_add(g, part(m, vectors, shift + 1), sy_const(g, 1)));
    return sy_add(g, x, part(m, vectors, shift));
}

static sy_value vectors_of(const inf_dit *m, sy_value condition, int32_t count)
{
    sy_value v = sy_linear(m->g, condition, "adaLN_modulation.1", count * m->width, true, m->dtype);
    return sy_reshape(m->g, v, SY_T(SY_F32, m->batch, 1, count * m->width));
}

static sy_value attention(const inf_dit *m, sy_value u, sy_value route)
{
    sy_graph *g = m->g;
    int32_t tokens = m->in_block * m->in_block;
    sy_scope_push(g, "attn");
    sy_value qkv = sy_linear(g, u, "qkv", 3 * m->width, true, m->dtype);
    sy_attention_params a = {.q = turned(m, heads_of(m, qkv, 0)),
                             .k = turned(m, heads_of(m, qkv, 1)),
                             .v = heads_of(m, qkv, 2),
                             .route = route,
                             .block_rows = tokens,
                             .block_keys = tokens};
    sy_value y = sy_linear(g, sy_zoo_merge_heads(g, sy_route_attention(g, &a)), "proj", m->width, true, m->dtype);
    sy_scope_pop(g);
    return y;
}

/* Tokens to the patches of the small image in the blocks around theirs. */
static sy_value cross_attention(const inf_dit *m, sy_value x, sy_value small)
{
    sy_graph *g = m->g;
    sy_block_pattern around = {.kind = SY_PATTERN_GRID, .first = -1, .last = 1, .grid_width = m->blocks};
    int32_t all = m->blocks * m->blocks;
    sy_value u = sy_zoo_layer_norm(g, x, "cross_norm", 1e-6, m->dtype);
    sy_scope_push(g, "cross");
    sy_value q = sy_linear(g, u, "q", m->width, true, m->dtype);
    sy_value kv = sy_linear(g, small, "kv", 2 * m->width, true, m->dtype);
    sy_attention_params a = {.q = heads_of(m, q, 0),
                             .k = heads_of(m, kv, 0),
                             .v = heads_of(m, kv, 1),
                             .route = sy_pattern_route(g, m->batch, all, all, &around),
                             .block_rows = m->in_block * m->in_block,
                             .block_keys = m->small_in_block * m->small_in_block};
    sy_value y = sy_linear(g, sy_zoo_merge_heads(g, sy_route_attention(g, &a)), "proj", m->width, true, m->dtype);
    sy_tap(g, "route", a.route);
    sy_scope_pop(g);
    return sy_add(g, x, y);
}

static sy_value block(const inf_dit *m, sy_value x, sy_value condition, sy_value small, sy_value route, int32_t i)
{
    sy_graph *g = m->g;
    sy_scope_push(g, "blocks.%d", i);
    sy_value v = vectors_of(m, condition, 6);
    x = sy_add(g, x, sy_mul(g, part(m, v, 2), attention(m, modulated(m, x, v, 0), route)));
    if (i == 0)
        x = cross_attention(m, x, small);
    sy_value u = sy_linear(g, modulated(m, x, v, 3), "mlp.fc1", m->hidden, true, m->dtype);
    u = sy_linear(g, sy_unary(g, SY_OP_GELU_TANH, u), "mlp.fc2", m->width, true, m->dtype);
    x = sy_add(g, x, sy_mul(g, part(m, v, 5), u));
    sy_scope_pop(g);
    return x;
}

static sy_value embed_condition(const inf_dit *m, sy_value time, sy_value image)
{
    sy_graph *g = m->g;
    sy_value t = sy_dit_time_features(g, time, TIME_FEATURES);
    t = sy_silu(g, sy_linear(g, t, "t_embedder.mlp.0", m->width, true, m->dtype));
    t = sy_linear(g, t, "t_embedder.mlp.2", m->width, true, m->dtype);
    return sy_silu(g, sy_add(g, t, sy_linear(g, image, "image_embedder", m->width, true, m->dtype)));
}

/* "x" f32[N, C, side, side], "small" f32[N, C, side / scale, side / scale], "time" f32[N], "image" f32[N, E] ->
 * "output". Taps: "route", the blocks that a block sees; "readers", how many blocks still need the keys and values of
 * each, which is what a cache holds; "blocks.0.cross.route". */
bool sy_inf_dit_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    inf_dit m = {.g = g, .batch = batch};
    if (!configure(&m, file, error))
        return false;
    int32_t s = m.side / m.scale, all = m.blocks * m.blocks, b = m.in_block, cells = m.cells;
    sy_value noisy = sy_input(g, "x", SY_T(SY_F32, batch, m.channels, m.side, m.side));
    sy_value small = sy_input(g, "small", SY_T(SY_F32, batch, m.channels, s, s));
    sy_value time = sy_input(g, "time", SY_T(SY_F32, batch)),
             image = sy_input(g, "image", SY_T(SY_F32, batch, m.embedding));
    sy_value large = sy_reshape(g, small, SY_T(SY_F32, batch * m.channels, s, 1, s, 1));
    large = sy_broadcast(g, large, SY_T(SY_F32, batch * m.channels, s, m.scale, s, m.scale));
    large = sy_reshape(g, large, SY_T(SY_F32, batch, m.channels, m.side, m.side));
    sy_value x = sy_concat(g, (sy_value[]){noisy, large}, 2, 1);
    x = sy_to_regions(g, patches(&m, x, "x_embedder.proj", 2 * m.channels, m.side, m.patch), b, b);
    sy_value lr = patches(&m, small, "lr_embedder.proj", m.channels, s, m.small_patch);
    lr = sy_to_regions(g, lr, m.small_in_block, m.small_in_block);
    sy_block_pattern behind = {.kind = SY_PATTERN_GRID, .first = -1, .last = 0, .grid_width = m.blocks};
    sy_value route = sy_pattern_route(g, batch, all, all, &behind), condition = embed_condition(&m, time, image);
    sy_tap(g, "route", route);
    sy_tap(g, "readers", sy_route_load(g, route));
    for (int32_t i = 0; i < m.depth; i++)
        x = block(&m, x, condition, lr, route, i);
    sy_scope_push(g, "final_layer");
    x = modulated(&m, x, vectors_of(&m, condition, 2), 0);
    int32_t p = m.patch, c = m.channels_out;
    x = sy_from_regions(g, sy_linear(g, x, "linear", p * p * c, true, m.dtype), cells, cells, b, b);
    sy_scope_pop(g);
    x = sy_transpose(g, sy_reshape(g, x, SY_T(SY_F32, batch, cells, cells, p, p, c)),
                     (const int32_t[]){0, 5, 1, 3, 2, 4});
    sy_output(g, "output", sy_reshape(g, x, SY_T(SY_F32, batch, c, m.side, m.side)));
    return sy_graph_check(g, error);
}
