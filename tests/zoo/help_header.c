/* See the header. */
#include "tests/zoo/help_header.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 1000, LATENT_CHANNELS = 4, PROMOE_ROUTED = 12 };

const header_size header_sizes[] = {
    {"DiT-S/2 256", HEADER_DIT, 12, 384, 6, 2, 32, 0, false, 32963360, 0},
    {"DiT-B/2 256", HEADER_DIT, 12, 768, 12, 2, 32, 0, false, 130512416, 0},
    {"DiT-L/2 256", HEADER_DIT, 24, 1024, 16, 2, 32, 0, false, 458102816, 0},
    {"DiT-XL/2 256", HEADER_DIT, 28, 1152, 16, 2, 32, 0, false, 675129632, 292},
    {"DiT-XL/2 512", HEADER_DIT, 28, 1152, 16, 2, 64, 0, false, 676014368, 292},
    {"DiT-S/4 256", HEADER_DIT, 12, 384, 6, 4, 32, 0, false, 0, 0},
    {"DiT-B/4 256", HEADER_DIT, 12, 768, 12, 4, 32, 0, false, 0, 0},
    {"DiT-L/4 256", HEADER_DIT, 24, 1024, 16, 4, 32, 0, false, 0, 0},
    {"DiT-XL/4 256", HEADER_DIT, 28, 1152, 16, 4, 32, 0, false, 0, 0},
    {"DiT-S/8 256", HEADER_DIT, 12, 384, 6, 8, 32, 0, false, 0, 0},
    {"DiT-B/8 256", HEADER_DIT, 12, 768, 12, 8, 32, 0, false, 0, 0},
    {"DiT-L/8 256", HEADER_DIT, 24, 1024, 16, 8, 32, 0, false, 0, 0},
    {"DiT-XL/8 256", HEADER_DIT, 28, 1152, 16, 8, 32, 0, false, 0, 0},
    {"DiT-S/2 512", HEADER_DIT, 12, 384, 6, 2, 64, 0, false, 0, 0},
    {"DiT-B/4 512", HEADER_DIT, 12, 768, 12, 4, 64, 0, false, 0, 0},
    {"DiT-L/8 512", HEADER_DIT, 24, 1024, 16, 8, 64, 0, false, 0, 0},
    {"DiT-MoE-S/2-8E2A", HEADER_DIT_MOE, 12, 384, 6, 2, 32, 8, false, 199307552, 420},
    {"DiT-MoE-S/2-16E2A", HEADER_DIT_MOE, 12, 384, 6, 2, 32, 16, false, 369213728, 0},
    {"DiT-MoE-B/2-8E2A", HEADER_DIT_MOE, 12, 768, 12, 2, 32, 8, false, 795861536, 420},
    {"DiT-MoE-L/2-8E2A", HEADER_DIT_MOE, 24, 1024, 16, 2, 32, 8, false, 2823764000, 0},
    {"DiT-MoE-XL/2-8E2A", HEADER_DIT_MOE, 28, 1152, 16, 2, 32, 8, true, 4168172192, 1076},
    {"DiT-MoE-G/2-16E2A", HEADER_DIT_MOE, 40, 1408, 16, 2, 32, 16, true, 16503731232, 2492},
    {"ProMoE-S", HEADER_PROMOE, 12, 384, 6, 2, 32, PROMOE_ROUTED, false, 75543584, 450},
    {"ProMoE-B", HEADER_PROMOE, 12, 768, 12, 2, 32, PROMOE_ROUTED, false, 300607520, 450},
    {"ProMoE-L", HEADER_PROMOE, 24, 1024, 16, 2, 32, PROMOE_ROUTED, false, 1062684704, 888},
    {"ProMoE-XL", HEADER_PROMOE, 28, 1152, 16, 2, 32, PROMOE_ROUTED, false, 1567733792, 1034},
    {0},
};

typedef struct writer {
    sy_text *out;
    uint64_t values, tensors;
    const char *prefix; /* of names */
} writer;

static void tensor(writer *w, const char *shape, uint64_t values, const char *format, ...)
{
    char name[256];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    sy_text_printf(w->out, ",\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", w->prefix, name,
                   shape, (unsigned long long)(w->values * 4), (unsigned long long)((w->values + values) * 4));
    w->values += values;
    w->tensors++;
}

/* name.weight [out, in] and, if wanted, name.bias [out]. */
static void linear(writer *w, const char *name, int out, int in, bool bias)
{
    char shape[64];
    snprintf(shape, sizeof shape, "%d,%d", out, in);
    tensor(w, shape, (uint64_t)out * (uint64_t)in, "%s.weight", name);
    snprintf(shape, sizeof shape, "%d", out);
    if (bias)
        tensor(w, shape, (uint64_t)out, "%s.bias", name);
}

static void norm(writer *w, const char *name, int width)
{
    char shape[64];
    snprintf(shape, sizeof shape, "%d", width);
    tensor(w, shape, (uint64_t)width, "%s.weight", name);
    tensor(w, shape, (uint64_t)width, "%s.bias", name);
}

static void shell(writer *w, const header_size *s)
{
    char shape[64];
    int d = s->width, p = s->patch, grid = s->latent / p;
    snprintf(shape, sizeof shape, "1,%d,%d", grid * grid, d);
    tensor(w, shape, (uint64_t)(grid * grid * d), "pos_embed");
    snprintf(shape, sizeof shape, "%d,%d,%d,%d", d, LATENT_CHANNELS, p, p);
    tensor(w, shape, (uint64_t)(d * LATENT_CHANNELS * p * p), "x_embedder.proj.weight");
    snprintf(shape, sizeof shape, "%d", d);
    tensor(w, shape, (uint64_t)d, "x_embedder.proj.bias");
    linear(w, "t_embedder.mlp.0", d, 256, true);
    linear(w, "t_embedder.mlp.2", d, d, true);
    linear(w, "y_embedder.embedding_table", CLASSES + 1, d, false);
    linear(w, "final_layer.adaLN_modulation.1", 2 * d, d, true);
    linear(w, "final_layer.linear", p * p * 2 * LATENT_CHANNELS, d, true);
}

static void dit_moe_feed_forward(writer *w, const header_size *s)
{
    int d = s->width;
    char name[64];
    linear(w, "moe.gate", s->experts, d, false);
    for (int e = 0; e <= s->experts; e++) {
        int hidden = e < s->experts ? 4 * d : 2 * d;
        snprintf(name, sizeof name, e < s->experts ? "moe.experts.%d" : "moe.shared_experts", e);
        char part[96];
        snprintf(part, sizeof part, "%s.gate_proj", name);
        linear(w, part, hidden, d, false);
        snprintf(part, sizeof part, "%s.up_proj", name);
        linear(w, part, hidden, d, false);
        snprintf(part, sizeof part, "%s.down_proj", name);
        linear(w, part, d, hidden, false);
    }
}

static void promoe_feed_forward(writer *w, const header_size *s)
{
    int d = s->width;
    char name[64], shape[64];
    snprintf(shape, sizeof shape, "%d,%d", PROMOE_ROUTED, d);
    tensor(w, shape, (uint64_t)(PROMOE_ROUTED * d), "mlp.cluster_centers");
    for (int e = 0; e <= PROMOE_ROUTED + 1; e++) {
        snprintf(name, sizeof name, e <= PROMOE_ROUTED ? "mlp.experts.%d" : "mlp.shared_expert", e);
        char part[96];
        snprintf(part, sizeof part, "%s.up_proj", name);
        linear(w, part, 2 * d, d, true);
        snprintf(part, sizeof part, "%s.down_proj", name);
        linear(w, part, d, 2 * d, true);
    }
}

static void block(writer *w, const header_size *s, int i)
{
    int d = s->width;
    linear(w, "adaLN_modulation.1", 6 * d, d, true);
    linear(w, s->fused ? "attn.Wqkv" : "attn.qkv", 3 * d, d, true);
    linear(w, s->fused ? "attn.out_proj" : "attn.proj", d, d, true);
    if (s->fused) {
        norm(w, "attn.q_norm", d / s->heads);
        norm(w, "attn.k_norm", d / s->heads);
    }
    if (s->kind == HEADER_DIT_MOE)
        dit_moe_feed_forward(w, s);
    else if (s->kind == HEADER_PROMOE && i % 2 == 1)
        promoe_feed_forward(w, s);
    else {
        linear(w, "mlp.fc1", 4 * d, d, true);
        linear(w, "mlp.fc2", d, 4 * d, true);
    }
}

void header_write(const header_size *size, const char *metadata, sy_text *out, uint64_t *values, uint64_t *tensors)
{
    char prefix[32];
    writer w = {.out = out, .prefix = ""};
    sy_text_add_bytes(out, "\0\0\0\0\0\0\0\0", 8);
    sy_text_printf(out, "{\"__metadata__\":{%s}", metadata ? metadata : "");
    shell(&w, size);
    w.prefix = prefix;
    for (int i = 0; i < size->depth; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d.", i);
        block(&w, size, i);
    }
    sy_text_add(out, "}");
    uint64_t length = out->size - 8;
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(length >> (8 * i) & 255);
    *values = w.values;
    *tensors = w.tensors;
}
