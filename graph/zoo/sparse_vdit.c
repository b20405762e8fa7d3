/* Sparse-vDiT (arXiv 2506.03065): a video diffusion transformer with attention over all tokens of all frames, whose
 * heads have a pattern each, chosen once for layer and head: dense, a band around the diagonal, a band that repeats
 * from frame to frame (the same place in other frames), a few columns that all queries see, or none, and then the head
 * gives 0. The patterns depend on nothing a run changes, so their routes are made when weights are loaded, and the
 * heads of a layer that have the same pattern run together. No code is public; patterns are written here in blocks of
 * tokens, where the paper's widths (unpublished) would be rounded to blocks by its kernels too.
 *
 * The transformer is a DiT (arXiv 2212.09748) over patches of frames, conditioned on the time alone: tensors
 * x_embedder.proj [D, C, p, p], pos_embed [1, F h w, D], t_embedder.mlp.{0, 2}, blocks.N.{adaLN_modulation.1, attn.qkv,
 * attn.proj, mlp.fc1, mlp.fc2}, final_layer.{adaLN_modulation.1, linear}. Metadata: switchyard.num_heads, .frames,
 * .image_size, .block (tokens of a block, 64), and for each layer .heads.N, one word a head with spaces between:
 *
 *     dense   skip   diagonal:W   multi-diagonal:W   stripe:J,J,…
 *
 * W and J count blocks; a frame must be a whole number of blocks where a head is multi-diagonal. */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 1 << 14, MAX_DEPTH = 256, MAX_TOKENS = 1 << 20, MAX_HEADS = 256, MAX_COLUMNS = 64 };
enum { TIME_FEATURES = 256, SKIPPED = 4 /* in the tap of modes, after dense, diagonal, multi-diagonal and stripe */ };

typedef struct vdit {
    sy_graph *g;
    const struct sy_safetensors *file;
    int32_t batch, frames, side, channels, channels_out, patch, grid, tokens, width, depth, heads, hidden, block;
    sy_dtype dtype;
} vdit;

/* What a head does. */
typedef struct mode {
    bool skip;
    sy_block_pattern pattern;
    int32_t columns[MAX_COLUMNS];
} mode;

static bool configure(vdit *m, sy_error *error)
{
    int32_t proj[4], position[3], fc1[2], linear[2];
    m->heads = 1;
    m->frames = 1;
    m->block = 64;
    if (!sy_zoo_shape(m->file, "x_embedder.proj.weight", 4, proj, error) ||
        !sy_zoo_shape(m->file, "pos_embed", 3, position, error) ||
        !sy_zoo_shape(m->file, "blocks.0.mlp.fc1.weight", 2, fc1, error) ||
        !sy_zoo_shape(m->file, "final_layer.linear.weight", 2, linear, error) ||
        !sy_zoo_dtype(m->file, "pos_embed", &m->dtype, error) ||
        !sy_zoo_metadata_int(m->file, "num_heads", 1, MAX_HEADS, &m->heads, error) ||
        !sy_zoo_metadata_int(m->file, "frames", 1, 4096, &m->frames, error) ||
        !sy_zoo_metadata_int(m->file, "image_size", 1, 1 << 14, &m->side, error) ||
        !sy_zoo_metadata_int(m->file, "block", 1, 4096, &m->block, error))
        return false;
    m->width = proj[0];
    m->channels = proj[1];
    m->patch = proj[2];
    m->hidden = fc1[0];
    m->tokens = position[1];
    m->grid = m->patch <= 64 ? m->side / m->patch : 0;
    while (m->depth <= MAX_DEPTH && sy_zoo_has(m->file, "blocks.%d.mlp.fc1.weight", m->depth))
        m->depth++;
    bool fine = m->width <= MAX_WIDTH && m->width % m->heads == 0 && m->depth >= 1 && m->depth <= MAX_DEPTH &&
                m->channels <= 1024 && m->hidden <= 16 * MAX_WIDTH && m->tokens <= MAX_TOKENS && m->grid >= 1 &&
                (int64_t)m->grid * m->patch == m->side && (int64_t)m->frames * m->grid * m->grid == m->tokens &&
                linear[0] % (m->patch * m->patch) == 0;
    m->channels_out = fine ? linear[0] / (m->patch * m->patch) : 0;
    return fine ||
           sy_fail(error, SY_CODE_INVALID_FILE,
                   "%d frames of %d x %d in patches of %d are not %d tokens, or %d heads do not share a width of %d.",
                   m->frames, m->side, m->side, m->patch, m->tokens, m->heads, m->width);
}

/* A whole number from 0 behind the text's first `skip` characters; -1: none. *end: what follows. */
static int32_t number(const char *text, const char **end)
{
    char *after;
    long value = *text >= '0' && *text <= '9' ? strtol(text, &after, 10) : -1;
    if (value < 0 || value > MAX_TOKENS)
        return -1;
    *end = after;
    return (int32_t)value;
}

/* One head's word; true if it is understood and fits the network. */
static bool read_mode(const vdit *m, const char *word, size_t size, mode *out)
{
    static const struct {
        const char *name;
        sy_pattern_kind kind;
    } kinds[] = {
        {"diagonal:", SY_PATTERN_BAND}, {"multi-diagonal:", SY_PATTERN_PERIODIC}, {"stripe:", SY_PATTERN_STRIPE}};
    int32_t blocks = (m->tokens + m->block - 1) / m->block, cells = m->grid * m->grid;
    memset(out, 0, sizeof *out);
    if (size == 5 && !memcmp(word, "dense", 5))
        return true;
    if (size == 4 && !memcmp(word, "skip", 4))
        return out->skip = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].name);
        const char *at = word + n, *end = word + size;
        if (size <= n || memcmp(word, kinds[i].name, n))
            continue;
        out->pattern.kind = kinds[i].kind;
        if (kinds[i].kind != SY_PATTERN_STRIPE) {
            out->pattern.width = number(at, &at);
            out->pattern.period = cells / m->block;
            return out->pattern.width >= 0 && at == end &&
                   (kinds[i].kind == SY_PATTERN_BAND || (cells % m->block == 0 && cells >= m->block));
        }
        while (out->pattern.n_columns < MAX_COLUMNS) {
            int32_t column = number(at, &at);
            if (column < 0 || column >= blocks)
                return false;
            out->columns[out->pattern.n_columns++] = column;
            if (at == end)
                return true;
            if (*at++ != ',')
                return false;
        }
    }
    return false;
}

static bool read_modes(const vdit *m, int32_t block, mode *modes, sy_error *error)
{
    char key[24];
    snprintf(key, sizeof key, "heads.%d", block);
    const char *text = sy_zoo_metadata(m->file, key), *at = text;
    for (int32_t h = 0; h < m->heads; h++) {
        size_t size = at ? strcspn(at, " ") : 0;
        if (text && !read_mode(m, at, size, &modes[h]))
            return sy_fail(error, SY_CODE_INVALID_FILE,
                           "The metadata switchyard.%s says \"%.40s\" of head %d; a head is dense, skip, diagonal:W, "
                           "multi-diagonal:W or stripe:J,… in blocks of %d tokens.",
                           key, at, h, m->block);
        if (!text)
            memset(&modes[h], 0, sizeof modes[h]);
        else
            at += size + (at[size] == ' ');
    }
    return true;
}

static bool same(const mode *a, const mode *b)
{
    return a->skip == b->skip && a->pattern.kind == b->pattern.kind && a->pattern.width == b->pattern.width &&
           a->pattern.n_columns == b->pattern.n_columns && !memcmp(a->columns, b->columns, sizeof a->columns);
}

/* The heads of `members` of x[N, H, T, d], side by side. */
static sy_value heads_of(const vdit *m, sy_value x, const int32_t *members, int32_t count)
{
    sy_value parts[MAX_HEADS];
    for (int32_t i = 0; i < count; i++)
        parts[i] = sy_slice_axis(m->g, x, 1, members[i], 1);
    return count == 1 ? parts[0] : sy_concat(m->g, parts, (uint32_t)count, 1);
}

/* Attention of heads that share a pattern, [N, count, T, d]. `first` of them names the tap. */
static sy_value together(const vdit *m, const sy_value *qkv, const int32_t *members, int32_t count, mode *own)
{
    sy_graph *g = m->g;
    double zero = 0;
    if (own->skip)
        return sy_const_of(g, SY_T(SY_F32, m->batch, count, m->tokens, m->width / m->heads), &zero, 1);
    sy_attention_params a = {.q = heads_of(m, qkv[0], members, count),
                             .k = heads_of(m, qkv[1], members, count),
                             .v = heads_of(m, qkv[2], members, count),
                             .block_rows = m->block,
                             .block_keys = m->block};
    if (own->pattern.kind == SY_PATTERN_ALL)
        return sy_attention_full(g, &a);
    int32_t blocks = (m->tokens + m->block - 1) / m->block;
    char tap[24];
    own->pattern.columns = own->columns;
    a.route = sy_pattern_route(g, m->batch, blocks, blocks, &own->pattern);
    snprintf(tap, sizeof tap, "route.%d", members[0]);
    sy_tap(g, tap, a.route);
    return sy_route_attention(g, &a);
}

static sy_value attention(const vdit *m, sy_value u, mode *modes)
{
    sy_graph *g = m->g;
    sy_value qkv[3], outputs[MAX_HEADS];
    int32_t members[MAX_HEADS];
    bool done[MAX_HEADS] = {false};
    double kinds[MAX_HEADS];
    for (int32_t h = 0; h < m->heads; h++)
        kinds[h] = modes[h].skip ? SKIPPED : (double)modes[h].pattern.kind;
    sy_scope_push(g, "attn");
    sy_tap(g, "modes", sy_const_of(g, SY_T(SY_F32, m->heads), kinds, (uint32_t)m->heads));
    sy_value joint = sy_linear(g, u, "qkv", 3 * m->width, true, m->dtype);
    for (int i = 0; i < 3; i++)
        qkv[i] = sy_zoo_split_heads(g, sy_slice_axis(g, joint, 2, i * m->width, m->width), m->heads);
    for (int32_t h = 0; h < m->heads; h++) {
        int32_t count = 0;
        for (int32_t k = h; k < m->heads && !done[h]; k++)
            if (!done[k] && same(&modes[h], &modes[k]))
                members[count++] = k;
        sy_value y = count ? together(m, qkv, members, count, &modes[h]) : 0;
        for (int32_t i = 0; i < count; i++) {
            outputs[members[i]] = count == 1 ? y : sy_slice_axis(g, y, 1, i, 1);
            done[members[i]] = true;
        }
    }
    sy_value y = m->heads == 1 ? outputs[0] : sy_concat(g, outputs, (uint32_t)m->heads, 1);
    y = sy_linear(g, sy_zoo_merge_heads(g, y), "proj", m->width, true, m->dtype);
    sy_scope_pop(g);
    return y;
}

/* Member i of a condition's vectors. */
static sy_value part(const vdit *m, sy_value vectors, int32_t i)
{
    return sy_slice_axis(m->g, vectors, 2, i * m->width, m->width);
}

static sy_value modulated(const vdit *m, sy_value x, sy_value vectors, int32_t shift)
{
    sy_graph *g = m->g;
    x = sy_mul(g, sy_row(g, SY_OP_LAYER_NORM, x, 1e-6), sy_add(g, part(m, vectors, shift + 1), sy_const(g, 1)));
    return sy_add(g, x, part(m, vectors, shift));
}

static sy_value vectors_of(const vdit *m, sy_value condition, int32_t count)
{
    sy_value v = sy_linear(m->g, condition, "adaLN_modulation.1", count * m->width, true, m->dtype);
    return sy_reshape(m->g, v, SY_T(SY_F32, m->batch, 1, count * m->width));
}

static sy_value block(const vdit *m, sy_value x, sy_value condition, int32_t i, mode *modes)
{
    sy_graph *g = m->g;
    sy_scope_push(g, "blocks.%d", i);
    sy_value v = vectors_of(m, condition, 6);
    x = sy_add(g, x, sy_mul(g, part(m, v, 2), attention(m, modulated(m, x, v, 0), modes)));
    sy_value u = sy_linear(g, modulated(m, x, v, 3), "mlp.fc1", m->hidden, true, m->dtype);
    u = sy_linear(g, sy_unary(g, SY_OP_GELU_TANH, u), "mlp.fc2", m->width, true, m->dtype);
    x = sy_add(g, x, sy_mul(g, part(m, v, 5), u));
    sy_scope_pop(g);
    return x;
}

/* x[N, C, F, side, side] in patches of each frame, [N, F h w, D], frame by frame. */
static sy_value patches(const vdit *m, sy_value x)
{
    sy_graph *g = m->g;
    int32_t p = m->patch, s = m->grid, values = m->channels * p * p, planes = m->batch * m->channels;
    x = sy_reshape(g, x, SY_T(SY_F32, planes, m->frames * s, p, s, p));
    x = sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 1, 3, 2, 4}),
                   SY_T(SY_F32, m->batch, m->channels, m->tokens, p * p));
    x = sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3}), SY_T(SY_F32, m->batch, m->tokens, values));
    sy_value w = sy_param(g, "x_embedder.proj.weight", SY_T(m->dtype, m->width, m->channels, p, p));
    x = sy_matmul(g, x, sy_reshape(g, w, SY_T(m->dtype, m->width, values)), true);
    x = sy_add(g, x, sy_zoo_param(g, "x_embedder.proj.bias", SY_T(m->dtype, m->width)));
    return sy_add(g, x, sy_zoo_param(g, "pos_embed", SY_T(m->dtype, 1, m->tokens, m->width)));
}

/* Tokens hold (p, p, channels), channel fastest. */
static sy_value video(const vdit *m, sy_value x)
{
    sy_graph *g = m->g;
    int32_t p = m->patch, s = m->grid, c = m->channels_out;
    x = sy_reshape(g, x, SY_T(SY_F32, m->batch * m->frames * s, s, p, p, c));
    x = sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3, 4}),
                   SY_T(SY_F32, m->batch, m->frames * m->side * m->side, c));
    return sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 2, 1}),
                      SY_T(SY_F32, m->batch, c, m->frames, m->side, m->side));
}

/* "x" f32[N, C, F, side, side], "time" f32[N] -> "output". Taps: each layer's "attn.route.H", of the heads that share
 * the pattern of head H: query blocks of a sample -> key blocks; "attn.modes", of each head 0 dense, 1 diagonal,
 * 2 multi-diagonal, 3 stripe, 4 skipped. */
bool sy_sparse_vdit_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    vdit m = {.g = g, .file = file, .batch = batch};
    if (!configure(&m, error))
        return false;
    mode *modes = calloc((size_t)m.heads, sizeof *modes);
    if (!modes)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for %d heads.", m.heads);
    sy_value x = patches(&m, sy_input(g, "x", SY_T(SY_F32, batch, m.channels, m.frames, m.side, m.side)));
    sy_value t = sy_dit_time_features(g, sy_input(g, "time", SY_T(SY_F32, batch)), TIME_FEATURES);
    t = sy_silu(g, sy_linear(g, t, "t_embedder.mlp.0", m.width, true, m.dtype));
    sy_value condition = sy_silu(g, sy_linear(g, t, "t_embedder.mlp.2", m.width, true, m.dtype));
    bool fine = true;
    for (int32_t i = 0; i < m.depth && fine; i++) {
        fine = read_modes(&m, i, modes, error);
        x = fine ? block(&m, x, condition, i, modes) : 0;
    }
    free(modes);
    if (!fine)
        return false;
    sy_scope_push(g, "final_layer");
    x = modulated(&m, x, vectors_of(&m, condition, 2), 0);
    x = sy_linear(g, x, "linear", m.patch * m.patch * m.channels_out, true, m.dtype);
    sy_scope_pop(g);
    sy_output(g, "output", video(&m, x));
    return sy_graph_check(g, error);
}
