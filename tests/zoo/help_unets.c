/* See the header. */
#include "tests/zoo/help_unets.h"

#include <stdio.h>
#include <string.h>

/* Own counts from the shapes of the publications' code; the papers round them to 296, 422, 554 and 559 million (ADM)
 * and 55.7 (EDM, CIFAR-10; there with map_augment, which is for training and which no network here reads). */
enum { AUGMENT = 9 * 128 };
const unet_size unet_sizes[] = {
    {"ADM 64", UNET_ADM, 64, 192, {1, 2, 3, 4}, 3, 2, 8, 3, 6, 1000, false, 295904454, 541},
    {"ADM 128", UNET_ADM, 128, 256, {1, 1, 2, 3, 4}, 2, 4, 16, 3, 6, 1000, false, 421529606, 0},
    {"ADM 256", UNET_ADM, 256, 256, {1, 1, 2, 2, 4, 4}, 2, 8, 32, 3, 6, 1000, false, 553838086, 567},
    {"ADM 256 unconditional", UNET_ADM, 256, 256, {1, 1, 2, 2, 4, 4}, 2, 8, 32, 3, 6, 0, false, 552814086, 0},
    {"ADM 512", UNET_ADM, 512, 256, {0.5, 1, 1, 2, 2, 4, 4}, 2, 16, 64, 3, 6, 1000, false, 558997638, 645},
    {"ADM 64 to 256", UNET_ADM, 256, 192, {1, 1, 2, 2, 4, 4}, 2, 8, 32, 6, 6, 1000, false, 311795910, 0},
    {"DDPM++ CIFAR-10", UNET_SONG, 32, 128, {2, 2, 2}, 4, 2, 2, 3, 3, 0, false, 55733891 - AUGMENT, 0},
    {"DDPM++ CIFAR-10 by class", UNET_SONG, 32, 128, {2, 2, 2}, 4, 2, 2, 3, 3, 10, false, 55735299 - AUGMENT, 0},
    {"DDPM++ FFHQ", UNET_SONG, 64, 128, {1, 2, 2, 2}, 4, 4, 4, 3, 3, 0, false, 0, 0},
    {"NCSN++ CIFAR-10", UNET_SONG, 32, 128, {2, 2, 2}, 4, 2, 2, 3, 3, 0, true, 0, 0},
    {"EDM ImageNet-64", UNET_DHARIWAL, 64, 192, {1, 2, 3, 4}, 3, 2, 8, 3, 3, 1000, false, 295899267, 0},
    {"DiC-S", UNET_DIC, 32, 96, {6, 6, 5, 6, 6}, 0, 0, 0, 4, 8, 1001, false, 32835752, 0},
    {"DiC-B", UNET_DIC, 32, 192, {6, 6, 5, 6, 6}, 0, 0, 0, 4, 8, 1001, false, 129529160, 0},
    {"DiC-XL", UNET_DIC, 32, 384, {7, 7, 8, 7, 7}, 0, 0, 0, 4, 8, 1001, false, 702266120, 0},
    {"DiC-H", UNET_DIC, 32, 384, {14, 14, 10, 14, 14}, 0, 0, 0, 4, 8, 1001, false, 1034516744, 0},
    {0},
};

typedef struct writer {
    sy_text *out;
    uint64_t at, values;
    uint32_t tensors;
} writer;

/* Dimensions end with 0. */
static void tensor(writer *w, bool counts, const char *name, const char *suffix, const int *dims)
{
    uint64_t n = 1;
    sy_text_printf(w->out, ",\"%s%s\":{\"dtype\":\"F32\",\"shape\":[", name, suffix);
    for (int i = 0; dims[i]; i++) {
        n *= (uint64_t)dims[i];
        sy_text_printf(w->out, "%s%d", i ? "," : "", dims[i]);
    }
    sy_text_printf(w->out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)w->at,
                   (unsigned long long)(w->at + 4 * n));
    w->at += 4 * n;
    w->values += counts ? n : 0;
    w->tensors += counts;
}

/* Weight [out] (in 0), [out,in], [out,in,1] (kernel -1) or [out,in,kernel,kernel], and if wanted the bias. */
static void layer(writer *w, const char *at, const char *name, int out, int in, int kernel, bool bias)
{
    char full[96];
    int dims[5] = {out, in, kernel < 0 ? 1 : kernel, kernel < 0 ? 0 : kernel, 0};
    snprintf(full, sizeof full, "%s%s", at, name);
    tensor(w, true, full, ".weight", dims);
    if (bias)
        tensor(w, true, full, ".bias", (const int[]){out, 0});
}

static bool attends(const unet_size *s, int level)
{
    return (1 << level) >= s->attention && (1 << level) <= s->attention_end;
}

static int count_levels(const unet_size *s)
{
    int n = 0;
    while (s->mult[n] > 0)
        n++;
    return n;
}

static int width_at(const unet_size *s, int level)
{
    return (int)(s->width * s->mult[level]);
}

/* Guided-diffusion. */

static void adm_residual(writer *w, const unet_size *s, const char *block, int k, int in, int out)
{
    char at[64];
    snprintf(at, sizeof at, "%s%d.", block, k);
    layer(w, at, "in_layers.0", in, 0, 0, true);
    layer(w, at, "in_layers.2", out, in, 3, true);
    layer(w, at, "emb_layers.1", 2 * out, 4 * s->width, 0, true);
    layer(w, at, "out_layers.0", out, 0, 0, true);
    layer(w, at, "out_layers.3", out, out, 3, true);
    if (in != out)
        layer(w, at, "skip_connection", out, in, 1, true);
}

static void adm_attention(writer *w, const char *block, int k, int width)
{
    char at[64];
    snprintf(at, sizeof at, "%s%d.", block, k);
    layer(w, at, "norm", width, 0, 0, true);
    layer(w, at, "qkv", 3 * width, width, -1, true);
    layer(w, at, "proj_out", width, width, -1, true);
}

static void adm(writer *w, const unet_size *s)
{
    int levels = count_levels(s), now = width_at(s, 0), pushed[64] = {now}, n = 1, i = 0;
    char at[48];
    layer(w, "", "time_embed.0", 4 * s->width, s->width, 0, true);
    layer(w, "", "time_embed.2", 4 * s->width, 4 * s->width, 0, true);
    if (s->classes)
        layer(w, "", "label_emb", s->classes, 4 * s->width, 0, false);
    layer(w, "", "input_blocks.0.0", now, s->channels, 3, true);
    for (int level = 0; level < levels; level++)
        for (int k = 0; k < s->blocks + (level + 1 < levels); k++) {
            snprintf(at, sizeof at, "input_blocks.%d.", n);
            int out = k < s->blocks ? width_at(s, level) : now;
            adm_residual(w, s, at, 0, now, out);
            if (k < s->blocks && attends(s, level))
                adm_attention(w, at, 1, out);
            pushed[n++] = now = out;
        }
    adm_residual(w, s, "middle_block.", 0, now, now);
    adm_attention(w, "middle_block.", 1, now);
    adm_residual(w, s, "middle_block.", 2, now, now);
    for (int level = levels - 1; level >= 0; level--)
        for (int k = 0; k <= s->blocks; k++, i++) {
            int last = 1, out = width_at(s, level);
            snprintf(at, sizeof at, "output_blocks.%d.", i);
            adm_residual(w, s, at, 0, now + pushed[--n], out);
            now = out;
            if (attends(s, level))
                adm_attention(w, at, last++, out);
            if (level && k == s->blocks)
                adm_residual(w, s, at, last, out, out);
        }
    layer(w, "", "out.0", now, 0, 0, true);
    layer(w, "", "out.2", s->channels_out, now, 3, true);
}

/* NVlabs. `way`: the block resamples. */
static void edm_block(writer *w, const unet_size *s, const char *block, int in, int out, bool way, bool attention)
{
    bool song = s->kind == UNET_SONG;
    int taps = s->ncsn ? 4 : 2, filter[] = {1, 1, taps, taps, 0};
    char at[64], name[96];
    snprintf(at, sizeof at, "model.%s.", block);
    layer(w, at, "norm0", in, 0, 0, true);
    layer(w, at, "conv0", out, in, 3, true);
    layer(w, at, "affine", song ? out : 2 * out, 4 * s->width, 0, true);
    layer(w, at, "norm1", out, 0, 0, true);
    layer(w, at, "conv1", out, out, 3, true);
    for (int i = 0; way && i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", at, i ? "skip" : "conv0");
        tensor(w, false, name, ".resample_filter", filter);
    }
    if (in != out || (way && song))
        layer(w, at, "skip", out, in, 1, true);
    if (attention) {
        layer(w, at, "norm2", out, 0, 0, true);
        layer(w, at, "qkv", 3 * out, out, 1, true);
        layer(w, at, "proj", out, out, 1, true);
    }
}

static void edm_ends(writer *w, const unet_size *s, int now)
{
    bool song = s->kind == UNET_SONG;
    int emb = 4 * s->width, noise = s->ncsn ? 2 * s->width : s->width;
    char at[48];
    layer(w, "model.", "map_layer0", emb, noise, 0, true);
    layer(w, "model.", "map_layer1", emb, emb, 0, true);
    if (s->ncsn)
        tensor(w, false, "model.map_noise", ".freqs", (const int[]){noise / 2, 0});
    if (s->classes)
        layer(w, "model.", "map_label", song ? noise : emb, s->classes, 0, song);
    snprintf(at, sizeof at, "model.dec.%dx%d_", s->side, s->side);
    layer(w, song ? at : "model.", song ? "aux_norm" : "out_norm", now, 0, 0, true);
    layer(w, song ? at : "model.", song ? "aux_conv" : "out_conv", s->channels_out, now, 3, true);
}

static void edm(writer *w, const unet_size *s)
{
    bool song = s->kind == UNET_SONG;
    int levels = count_levels(s), now = song ? s->width : width_at(s, 0), pushed[64], n = 0, aux = s->channels;
    char at[48];
    for (int level = 0; level < levels; level++) {
        int r = s->side >> level;
        snprintf(at, sizeof at, level ? "enc.%dx%d_down" : "model.enc.%dx%d_conv", r, r);
        if (level)
            edm_block(w, s, at, now, now, true, false);
        else
            layer(w, "", at, now, s->channels, 3, true);
        if (level && s->ncsn) {
            snprintf(at, sizeof at, "model.enc.%dx%d_aux_residual", r, r);
            layer(w, "", at, now, aux, 3, true);
            tensor(w, false, at, ".resample_filter", (const int[]){1, 1, 4, 4, 0});
            aux = now;
        }
        pushed[n++] = now;
        for (int k = 0; k < s->blocks; k++) {
            snprintf(at, sizeof at, "enc.%dx%d_block%d", r, r, k);
            edm_block(w, s, at, now, width_at(s, level), false, attends(s, level));
            pushed[n++] = now = width_at(s, level);
        }
    }
    for (int level = levels - 1; level >= 0; level--) {
        int r = s->side >> level;
        bool deepest = level == levels - 1;
        for (int k = 0; k <= deepest; k++) {
            snprintf(at, sizeof at, deepest ? "dec.%dx%d_in%d" : "dec.%dx%d_up", r, r, k);
            edm_block(w, s, at, now, now, !deepest, deepest && !k);
        }
        for (int k = 0; k <= s->blocks; k++) {
            snprintf(at, sizeof at, "dec.%dx%d_block%d", r, r, k);
            edm_block(w, s, at, now + pushed[--n], width_at(s, level), false,
                      attends(s, level) && (k == s->blocks || !song));
            now = width_at(s, level);
        }
    }
    edm_ends(w, s, now);
}

static void dic_block(writer *w, const char *stage, int k, int in, int width)
{
    char at[64];
    snprintf(at, sizeof at, "%s%d.conv.", stage, k);
    layer(w, at, "norm0", in, 0, 0, true);
    layer(w, at, "conv0", width, in, 3, true);
    layer(w, at, "affine.1", 3 * width, width, 0, true);
    layer(w, at, "norm1", width, 0, 0, true);
    layer(w, at, "conv1", width, width, 3, true);
    if (in != width)
        layer(w, at, "skip", width, in, 1, true);
}

static void dic(writer *w, const unet_size *s)
{
    static const char *const stages[] = {"enc_blocks.0.", "enc_blocks.1.", "lat_blocks.0.", "dec_blocks.0.",
                                         "dec_blocks.1."};
    static const int level_of[] = {0, 1, 2, 1, 0};
    char at[48];
    layer(w, "", "x_embedder.proj", s->width, s->channels, 3, true);
    for (int level = 0; level < 3; level++) {
        int width = s->width << level;
        snprintf(at, sizeof at, "t_embedder_ls.%d.", level);
        layer(w, at, "mlp.0", width, 256, 0, true);
        layer(w, at, "mlp.2", width, width, 0, true);
        snprintf(at, sizeof at, "y_embedder_ls.%d.", level);
        layer(w, at, "embedding_table", s->classes, width, 0, false);
    }
    for (int stage = 0; stage < 5; stage++) {
        int width = s->width << level_of[stage];
        for (int k = 0; k < (int)s->mult[stage]; k++)
            dic_block(w, stages[stage], k, stage > 2 && k % 3 == 0 ? 2 * width : width, width);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(at, sizeof at, "downs.%d.", i);
        layer(w, at, "body.0", s->width << i >> 1, s->width << i, 3, false);
        snprintf(at, sizeof at, "ups.%d.", i);
        layer(w, at, "body.0", 4 * (s->width << (1 - i)), s->width << (2 - i), 3, false);
    }
    layer(w, "", "output", s->width, s->width, 3, true);
    layer(w, "", "final_layer.adaLN_modulation.1", 2 * s->width, s->width, 0, true);
    layer(w, "", "final_layer.out_proj", s->channels_out, s->width, 3, true);
}

void unet_write(const unet_size *s, sy_text *out, uint64_t *values, uint32_t *tensors)
{
    writer w = {.out = out};
    sy_text_add_bytes(out, "\0\0\0\0\0\0\0\0", 8);
    sy_text_add(out, "{\"__metadata__\":{}");
    if (s->kind == UNET_ADM)
        adm(&w, s);
    else if (s->kind == UNET_DIC)
        dic(&w, s);
    else
        edm(&w, s);
    sy_text_add(out, "}");
    uint64_t length = out->size - 8;
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(length >> (8 * i) & 255);
    *values = w.values;
    *tensors = w.tensors;
}
