/* The two networks of "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM, arXiv 2206.00364) under
 * NVlabs' names, with or without "model." in front:
 *
 *   song-unet        DDPM++ and NCSN++ of arXiv 2011.13456: embedding added, everything that is added up scaled by
 *                    sqrt(1/2), attention in one block a level on the way up; NCSN++ resamples by [1,3,3,1] and adds a
 *                    pyramid of the input to the way down ("aux_residual", a convolution that, as published, runs
 * before its down-sampling and not after it) dhariwal-unet    ADM (arXiv 2105.05233) once more: scale and shift,
 * attention in all blocks of a level
 *
 *   enc.RxR_conv, then at each resolution R: RxR_down, RxR_block0 … ;  dec.RxR_in0, _in1 or RxR_up, then RxR_block0 …
 *
 * What there is the names say, R included. Metadata where they cannot: num_heads (song-unet: 1), num_head_channels
 * (dhariwal-unet: 64), precond ("edm", "vp", "ve", "iddpm": edm_precond.c). The augmentation's map_augment is for
 * training; without it the published networks give the same. Taps: "enc.….x", "dec.….x", and of each skip what skip.h
 * says. Settings: those of skip.h. */
#include "graph/zoo/edm.h"
#include "graph/import/safetensors.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/skip.h"
#include "graph/zoo/unet_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SONG_STEPS = 18, DHARIWAL_STEPS = 256, MOST_FILTER = 8 };

typedef struct edm {
    sy_graph *g;
    const sy_network_config *c;
    sy_layers layers;
    bool song;
    int32_t heads, head_channels;
    double scale, eps; /* of sums; of norms */
    sy_value condition;
    sy_value kept[SY_UNET_MOST_BLOCKS];
    int32_t n_kept;
} edm;

typedef enum resample { SAME, DOWN, UP } resample;

/* The picture size is in the name of the first convolution: "enc.32x32_conv.weight". */
static int32_t find_side(const struct sy_safetensors *file)
{
    for (uint32_t i = 0; i < sy_safetensors_count(file); i++) {
        const char *name = sy_safetensors_at(file, i)->name;
        int rows, columns, end = 0;
        if (!strncmp(name, "model.", 6))
            name += 6;
        if (sscanf(name, "enc.%5dx%5d_conv.weight%n", &rows, &columns, &end) == 2 && end && !name[end] &&
            rows == columns && rows > 0 && rows <= SY_UNET_MOST_SIDE)
            return rows;
    }
    return 0;
}

static const char *prefix(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "model.map_layer0.weight") ? "model." : "";
}

bool sy_song_recognise(const struct sy_safetensors *file)
{
    const char *p = prefix(file);
    int side = find_side(file);
    return side && sy_zoo_has(file, "%sdec.%dx%d_aux_conv.weight", p, side, side);
}

bool sy_dhariwal_recognise(const struct sy_safetensors *file)
{
    const char *p = prefix(file);
    return find_side(file) && sy_zoo_has(file, "%sout_conv.weight", p);
}

static bool configure(const struct sy_safetensors *file, sy_network_config *c, bool song, sy_error *error)
{
    char first[64], last[64], label[64];
    const char *p = prefix(file);
    int32_t in[4], out[4], table[2], side = find_side(file);
    if (!side)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file has no first convolution \"enc.RxR_conv.weight\".");
    snprintf(first, sizeof first, "%senc.%dx%d_conv.weight", p, (int)side, (int)side);
    snprintf(label, sizeof label, "%smap_label.weight", p);
    if (song)
        snprintf(last, sizeof last, "%sdec.%dx%d_aux_conv.weight", p, (int)side, (int)side);
    else
        snprintf(last, sizeof last, "%sout_conv.weight", p);
    if (!sy_zoo_shape(file, first, 4, in, error) || !sy_zoo_shape(file, last, 4, out, error))
        return false;
    c->side = side;
    c->channels = in[1];
    c->channels_out = in[1]; /* iDDPM's variance is not passed on */
    c->width = in[0];
    c->null_row = -1;
    c->objective = SY_OBJECTIVE_EDM;
    c->time_scale = 1;
    c->guidance = 1;
    c->steps = song ? SONG_STEPS : DHARIWAL_STEPS;
    if (c->channels > 1024 || (out[0] != in[1] && out[0] != 2 * in[1]))
        return sy_fail(error, SY_CODE_INVALID_FILE, "%d input and %d output channels are not those of a picture.",
                       (int)in[1], (int)out[0]);
    if (sy_zoo_has(file, "%s", label) &&
        (!sy_zoo_shape(file, label, 2, table, error) || !sy_zoo_configure_label(file, table[1], false, c, error)))
        return false;
    sy_precond precond;
    return sy_precond_of(file, &precond, error) && sy_zoo_configure_dtype(file, first, c, error) &&
           sy_zoo_configure_space(file, c, error) && sy_zoo_configure_end(file, c, error);
}

bool sy_song_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    return configure(file, c, true, error);
}

bool sy_dhariwal_configure(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    return configure(file, c, false, error);
}

/* Side of the filter "<layer>resample_filter" [1,1,k,k]; without one, or with the plain mean's, 2. */
static int32_t filter_side(const edm *e, const char *name)
{
    const sy_stored_tensor *t = sy_layers_find(&e->layers, name);
    int64_t k = t && t->rank == 4 ? t->dim[2] : 2;
    if (k > MOST_FILTER)
        sy_fail(&e->g->error, SY_CODE_INVALID_FILE, "%.200s.%s has %d x %d taps.", e->g->scope, name, (int)k, (int)k);
    return k < 2 || k > MOST_FILTER ? 2 : (int32_t)k;
}

/* x through the filter, every channel by itself, at half or twice the side. Up: four times the filter over x with zeros
 * between its pixels. The filter of 2 x 2 is the mean down and a nearest neighbour up. */
static sy_value filtered(const edm *e, sy_value x, const char *name, resample to, int32_t pad)
{
    sy_graph *g = e->g;
    int32_t c = sy_layers_dim(&e->layers, x, -1), k = filter_side(e, name);
    if (k == 2)
        return to == DOWN ? sy_pool(g, x, SY_POOL_MEAN, 2, 2, 0) : sy_upsample_nearest(g, x, 2);
    sy_value f = sy_zoo_param(g, name, SY_T(e->c->dtype, 1, 1, k, k));
    f = sy_mul(g, f, sy_const(g, to == UP ? 4 : 1));
    f = sy_broadcast(g, sy_reshape(g, f, SY_T(SY_F32, k, k, 1, 1)), SY_T(SY_F32, k, k, 1, c));
    sy_attributes a = {.groups = c};
    for (int d = 0; d < 2; d++) {
        a.stride[d] = to == DOWN ? 2 : 1;
        a.up[d] = to == UP ? 2 : 1;
        a.pad[d] = a.pad_high[d] = to == UP ? k - 1 - pad : pad;
    }
    return sy_conv(g, x, f, &a);
}

static sy_value resampled(const edm *e, sy_value x, const char *name, resample to)
{
    return to == SAME ? x : filtered(e, x, name, to, (filter_side(e, name) - 1) / 2);
}

static sy_value norm(const edm *e, sy_value x, const char *name)
{
    int32_t groups = sy_layers_dim(&e->layers, x, -1) / 4;
    sy_layers l = e->layers;
    l.groups = groups < 1 ? 1 : groups > 32 ? 32 : groups;
    return sy_layers_group_norm(&l, x, name, e->eps);
}

static sy_value sum(const edm *e, sy_value a, sy_value b)
{
    a = sy_add(e->g, a, b);
    return e->scale == 1 ? a : sy_mul(e->g, a, sy_const(e->g, e->scale));
}

/* The block the scope is in. */
static sy_value block(const edm *e, sy_value x, resample to)
{
    sy_graph *g = e->g;
    int32_t out = sy_layers_rows(&e->layers, "conv0.weight"), told = sy_layers_rows(&e->layers, "affine.weight");
    sy_value h = resampled(e, sy_silu(g, norm(e, x, "norm0")), "conv0.resample_filter", to);
    h = sy_layers_conv(&e->layers, h, "conv0", 3, 1);
    sy_value p = sy_unet_pixel(&e->layers, sy_layers_linear(&e->layers, e->condition, "affine", true));
    if (told == 2 * out) {
        sy_value scale = sy_slice_axis(g, p, 3, 0, out), shift = sy_slice_axis(g, p, 3, out, out);
        h = sy_add(g, sy_mul(g, norm(e, h, "norm1"), sy_add(g, scale, sy_const(g, 1))), shift);
    } else {
        h = norm(e, sy_add(g, h, p), "norm1");
    }
    h = sy_layers_conv(&e->layers, sy_silu(g, h), "conv1", 3, 1);
    x = resampled(e, x, "skip.resample_filter", to);
    if (sy_layers_find(&e->layers, "skip.weight"))
        x = sy_layers_conv(&e->layers, x, "skip", 1, 1);
    x = sum(e, h, x);
    if (sy_layers_find(&e->layers, "qkv.weight")) {
        int32_t heads = e->heads ? e->heads : sy_layers_dim(&e->layers, x, -1) / e->head_channels;
        x = sum(e, sy_unet_attention(&e->layers, e->c, norm(e, x, "norm2"), "qkv", "proj", heads, SY_QKV_EDM), x);
    }
    sy_tap(g, "x", x);
    return x;
}

/* Cosines before sines, and the divisor half, is ADM's; sines first and half - 1 is DDPM++'s. NCSN++ has frequencies of
 * its own. */
static sy_value time_features(const edm *e, sy_value time)
{
    sy_graph *g = e->g;
    sy_value f;
    if (sy_layers_find(&e->layers, "map_noise.freqs")) {
        double turn = 4 * acos(0);
        f = sy_zoo_param(g, "map_noise.freqs", SY_T(e->c->dtype, sy_layers_rows(&e->layers, "map_noise.freqs")));
        f = sy_mul(g, f, sy_const(g, turn));
    } else {
        const sy_stored_tensor *t = sy_layers_find(&e->layers, "map_layer0.weight");
        int32_t half = t && t->rank == 2 && t->dim[1] <= 1 << 16 ? (int32_t)t->dim[1] / 2 : 0;
        if (half < 2)
            sy_fail(&g->error, SY_CODE_INVALID_FILE, "map_layer0 takes %d features; 4 to 65536 are possible.",
                    2 * (int)half);
        f = sy_zoo_frequencies(g, half, 10000, e->song ? half - 1 : half);
    }
    return f ? sy_zoo_time_features(g, time, f, e->song) : 0;
}

/* map_label is a linear layer over a one-hot vector: the label's column; in song-unet times the root of their number.
 */
static sy_value condition(const edm *e, const sy_zoo_inputs *in, sy_value time)
{
    sy_graph *g = e->g;
    const sy_network_config *c = e->c;
    sy_value y = time_features(e, time), label = 0;
    if (c->label_rows) {
        sy_value table = sy_param(g, "map_label.weight",
                                  SY_T(c->dtype, sy_layers_rows(&e->layers, "map_label.weight"), c->label_rows));
        label = sy_zoo_label_rows(g, c, in, sy_transpose(g, table, (const int32_t[]){1, 0}));
    }
    if (label && e->song) {
        label = sy_mul(g, label, sy_const(g, sqrt(c->label_rows)));
        label =
            sy_add(g, label, sy_zoo_param(g, "map_label.bias", SY_T(c->dtype, sy_layers_dim(&e->layers, label, -1))));
        y = sy_add(g, y, label);
    }
    y = sy_silu(g, sy_layers_linear(&e->layers, y, "map_layer0", true));
    y = sy_layers_linear(&e->layers, y, "map_layer1", true);
    return sy_silu(g, label && !e->song ? sy_add(g, y, label) : y);
}

/* NCSN++: x = (x + filter(conv(aux))) / sqrt 2, which is the next aux. The convolution leaves room for the filter. */
static sy_value pyramid(const edm *e, sy_value x, sy_value aux)
{
    sy_graph *g = e->g;
    const sy_network_config *c = e->c;
    int32_t pad = 1 + (filter_side(e, "resample_filter") - 1) / 2, out = sy_layers_rows(&e->layers, "weight");
    sy_attributes a = {.pad = {pad, pad}, .pad_high = {pad, pad}};
    sy_value w = sy_param(g, "weight", SY_T(c->dtype, out, sy_layers_dim(&e->layers, aux, -1), 3, 3));
    aux = sy_conv(g, aux, sy_transpose(g, w, (const int32_t[]){2, 3, 1, 0}), &a);
    aux = sy_add(g, aux, sy_zoo_param(g, "bias", SY_T(c->dtype, out)));
    return sum(e, x, filtered(e, aux, "resample_filter", DOWN, 0));
}

static void keep(edm *e, sy_value x)
{
    if (e->n_kept == SY_UNET_MOST_BLOCKS)
        sy_fail(&e->g->error, SY_CODE_INVALID_FILE, "The file has more than %d blocks.", SY_UNET_MOST_BLOCKS);
    else
        e->kept[e->n_kept++] = x;
}

/* True if the file has the block "<side>x<side>_<what>"; then the scope is in it. */
static bool enter(const edm *e, int32_t side, const char *what, const char *tensor)
{
    char name[64];
    snprintf(name, sizeof name, "%dx%d_%s.%s", (int)side, (int)side, what, tensor);
    bool there = sy_graph_check(e->g, NULL) && sy_layers_find(&e->layers, name);
    if (there)
        sy_scope_push(e->g, "%dx%d_%s", (int)side, (int)side, what);
    return there;
}

/* A block on its own; x where there is none. */
static sy_value step(const edm *e, sy_value x, int32_t side, const char *what, resample to)
{
    if (!enter(e, side, what, "conv0.weight"))
        return x;
    x = block(e, x, to);
    sy_scope_pop(e->g);
    return x;
}

/* Blocks 0 … of a resolution; on the way up each after a concatenation. */
static sy_value blocks(edm *e, sy_value x, int32_t side, sy_skips *skips, int32_t level)
{
    char what[32];
    for (int k = 0; k < SY_UNET_MOST_BLOCKS; k++) {
        snprintf(what, sizeof what, "block%d", k);
        if (!enter(e, side, what, "conv0.weight"))
            break;
        if (skips && e->n_kept)
            x = sy_skip_concat(e->g, skips, x, e->kept[--e->n_kept], level);
        else if (skips)
            sy_fail(&e->g->error, SY_CODE_INVALID_FILE, "%.200s: there is no skip left for it.", e->g->scope);
        x = block(e, x, SAME);
        sy_scope_pop(e->g);
        if (!skips)
            keep(e, x);
    }
    return x;
}

static sy_value body(edm *e, sy_value x)
{
    sy_graph *g = e->g;
    int32_t side = e->c->side, levels = 1;
    char first[64];
    sy_value aux = x;
    sy_scope_push(g, "enc");
    snprintf(first, sizeof first, "%dx%d_conv", (int)side, (int)side);
    keep(e, x = sy_layers_conv(&e->layers, x, first, 3, 1));
    x = blocks(e, x, side, NULL, 0);
    for (; side % 2 == 0 && enter(e, side / 2, "down", "conv0.weight"); levels++) {
        side /= 2;
        x = block(e, x, DOWN);
        sy_scope_pop(g);
        if (enter(e, side, "aux_residual", "weight")) {
            aux = x = pyramid(e, x, aux);
            sy_scope_pop(g);
        }
        keep(e, x);
        x = blocks(e, x, side, NULL, 0);
    }
    sy_scope_pop(g);
    sy_scope_push(g, "dec");
    sy_skips skips = sy_skips_of(g, e->c, levels);
    x = step(e, step(e, x, side, "in0", SAME), side, "in1", SAME);
    for (int32_t level = 0; level < levels; level++) {
        if (level)
            x = step(e, x, side *= 2, "up", UP);
        x = blocks(e, x, side, &skips, level);
    }
    sy_scope_pop(g);
    return x;
}

static sy_value build(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in, bool song)
{
    edm e = {.g = g,
             .c = c,
             .layers = {.g = g, .file = c->file, .dtype = c->dtype},
             .song = song,
             .heads = song,
             .head_channels = 64};
    char norm_name[64] = "out_norm", conv_name[64] = "out_conv";
    bool prefixed = *prefix(c->file);
    sy_precond precond;
    e.scale = song ? sqrt(0.5) : 1;
    e.eps = song ? 1e-6 : 1e-5;
    if (sy_zoo_metadata(c->file, "num_head_channels"))
        e.heads = 0;
    if (!sy_zoo_metadata_int(c->file, "num_heads", 1, 1 << 16, &e.heads, &g->error) ||
        !sy_zoo_metadata_int(c->file, "num_head_channels", 1, 1 << 16, &e.head_channels, &g->error) ||
        !sy_precond_of(c->file, &precond, &g->error))
        return 0;
    sy_preconditioned p = sy_precondition(g, precond, in->x, in->time);
    if (song) {
        snprintf(norm_name, sizeof norm_name, "dec.%dx%d_aux_norm", (int)c->side, (int)c->side);
        snprintf(conv_name, sizeof conv_name, "dec.%dx%d_aux_conv", (int)c->side, (int)c->side);
    }
    if (prefixed)
        sy_scope_push(g, "model");
    e.condition = condition(&e, in, p.noise);
    sy_value x = body(&e, sy_transpose(g, p.x, (const int32_t[]){0, 2, 3, 1}));
    x = sy_layers_conv(&e.layers, sy_silu(g, norm(&e, x, norm_name)), conv_name, 3, 1);
    if (prefixed)
        sy_scope_pop(g);
    if (!x)
        return 0;
    x = sy_slice_axis(g, x, 3, 0, c->channels);
    return sy_precondition_output(g, precond, &p, sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2}));
}

sy_value sy_song_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return build(g, config, inputs, true);
}

sy_value sy_dhariwal_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return build(g, config, inputs, false);
}
