/* Skip-DiT and U-ViT at their published sizes, from lists of names and shapes written down from the publications: each
 * is recognised and configured, and its builder asks for exactly the tensors of the file, as many values as published.
 */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "graph/base/text.h"
#include "tests/check.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct header {
    sy_text text;
    uint64_t values, tensors;
} header;

/* Dimensions end with 0. */
static void tensor(header *h, const char *name, ...)
{
    uint64_t count = 1;
    va_list list;
    va_start(list, name);
    sy_text_printf(&h->text, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", h->tensors ? "," : "", name);
    for (int d, n = 0; (d = va_arg(list, int)); n++) {
        sy_text_printf(&h->text, "%s%d", n ? "," : "", d);
        count *= (uint64_t)d;
    }
    va_end(list);
    sy_text_printf(&h->text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)(4 * h->values),
                   (unsigned long long)(4 * (h->values + count)));
    h->values += count;
    h->tensors++;
}

static void linear(header *h, const char *scope, const char *name, int out, int in, bool bias)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s.weight", scope, name);
    tensor(h, full, out, in, 0);
    snprintf(full, sizeof full, "%s%s.bias", scope, name);
    if (bias)
        tensor(h, full, out, 0);
}

static void norm(header *h, const char *scope, const char *name, int width)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s.weight", scope, name);
    tensor(h, full, width, 0);
    snprintf(full, sizeof full, "%s%s.bias", scope, name);
    tensor(h, full, width, 0);
}

static void skip_dit(header *h, int depth, int width)
{
    char scope[32];
    tensor(h, "pos_embed", 1, 256, width, 0);
    tensor(h, "x_embedder.proj.weight", width, 4, 2, 2, 0);
    tensor(h, "x_embedder.proj.bias", width, 0);
    linear(h, "", "t_embedder.mlp.0", width, 256, true);
    linear(h, "", "t_embedder.mlp.2", width, width, true);
    linear(h, "", "y_embedder.embedding_table", 1001, width, false);
    for (int i = 0; i < depth; i++) {
        snprintf(scope, sizeof scope, "blocks.%d.", i);
        linear(h, scope, "attn.qkv", 3 * width, width, true);
        linear(h, scope, "attn.proj", width, width, true);
        linear(h, scope, "mlp.fc1", 4 * width, width, true);
        linear(h, scope, "mlp.fc2", width, 4 * width, true);
        linear(h, scope, "adaLN_modulation.1", 6 * width, width, true);
    }
    for (int k = 0; k < depth / 2; k++) {
        snprintf(scope, sizeof scope, "%d", k);
        norm(h, "skip_norms.", scope, 2 * width);
        snprintf(scope, sizeof scope, "%d.linear", k);
        linear(h, "skip_linears.", scope, width, 2 * width, true);
    }
    linear(h, "", "final_layer.linear", 32, width, true);
    linear(h, "", "final_layer.adaLN_modulation.1", 2 * width, width, true);
}

typedef struct u_vit {
    const char *name;
    int width, depth, heads, patch, channels, side, rows, context;
    bool last;
    uint64_t values;
} u_vit;

static void u_vit_block(header *h, const char *scope, int width, bool skip)
{
    norm(h, scope, "norm1", width);
    linear(h, scope, "attn.qkv", 3 * width, width, false);
    linear(h, scope, "attn.proj", width, width, true);
    norm(h, scope, "norm2", width);
    linear(h, scope, "mlp.fc1", 4 * width, width, true);
    linear(h, scope, "mlp.fc2", width, 4 * width, true);
    if (skip)
        linear(h, scope, "skip_linear", width, 2 * width, true);
}

static void write_u_vit(header *h, const u_vit *s)
{
    char scope[32];
    int grid = s->side / s->patch, before = 1 + (s->rows > 0) + s->context;
    tensor(h, "pos_embed", 1, before + grid * grid, s->width, 0);
    tensor(h, "patch_embed.proj.weight", s->width, s->channels, s->patch, s->patch, 0);
    tensor(h, "patch_embed.proj.bias", s->width, 0);
    if (s->rows)
        linear(h, "", "label_emb", s->rows, s->width, false);
    if (s->context)
        linear(h, "", "context_embed", s->width, 768, true);
    for (int i = 0; i < s->depth; i++) {
        bool out = i >= s->depth / 2;
        snprintf(scope, sizeof scope, out ? "out_blocks.%d." : "in_blocks.%d.", out ? i - s->depth / 2 : i);
        u_vit_block(h, scope, s->width, out);
    }
    u_vit_block(h, "mid_block.", s->width, false);
    norm(h, "", "norm", s->width);
    linear(h, "", "decoder_pred", s->patch * s->patch * s->channels, s->width, true);
    if (s->last) {
        tensor(h, "final_layer.weight", s->channels, s->channels, 3, 3, 0);
        tensor(h, "final_layer.bias", s->channels, 0);
    }
}

/* The network as a program asks for it; every parameter is one of the file's, and the file has no others. */
static sy_network_config check(const char *name, header *h, uint64_t published, const char *architecture)
{
    sy_error error = {0};
    sy_network_config c = {0};
    sy_text bytes = {0};
    sy_text_printf(&h->text, "}");
    for (int i = 0; i < 8; i++)
        sy_text_add_bytes(&bytes, &(char){(char)((h->text.size >> (8 * i)) & 255)}, 1);
    sy_text_add_bytes(&bytes, h->text.data, h->text.size);
    sy_safetensors *file = sy_safetensors_from_memory(bytes.data, bytes.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    bool ok = file && sy_zoo_config_from_file(file, &c, &error);
    CHECK_SAY(ok, "%s: %s", name, error.message);
    REQUIRE(ok);
    CHECK_TEXT(c.architecture, architecture);
    CHECK_SAY(h->values == published, "%s: %llu values, published %llu", name, (unsigned long long)h->values,
              (unsigned long long)published);
    sy_graph *g = sy_zoo_file_graph(file, 2, &error);
    CHECK_SAY(g, "%s: %s", name, error.message);
    REQUIRE(g);
    uint64_t values = 0, tensors = 0;
    for (sy_value v = 1; v < g->n_nodes; v++)
        if (g->nodes[v].op == SY_OP_PARAM) {
            values += sy_type_count(&g->nodes[v].type);
            tensors++;
        }
    CHECK_SAY(values == h->values && tensors == h->tensors, "%s: %llu values in %llu tensors, the file %llu in %llu",
              name, (unsigned long long)values, (unsigned long long)tensors, (unsigned long long)h->values,
              (unsigned long long)h->tensors);
    sy_graph_destroy(&g);
    sy_safetensors_close(&file);
    sy_text_free(&bytes);
    sy_text_free(&h->text);
    return c;
}

static void test_u_vit(void)
{
    static const u_vit sizes[] = {
        {"CIFAR-10 S/2", 512, 12, 8, 2, 3, 32, 0, 0, true, 44255328},
        {"ImageNet-256 L/2", 1024, 20, 16, 2, 4, 32, 1001, 0, true, 286763172},
        {"ImageNet-256 H/2", 1152, 28, 16, 2, 4, 32, 1001, 0, false, 500832016},
        {"ImageNet-512 L/4", 1024, 20, 16, 4, 4, 64, 1001, 0, true, 286861524},
        {"ImageNet-512 H/4", 1152, 28, 16, 4, 4, 64, 1001, 0, false, 500942656},
        {"COCO S/2", 512, 12, 8, 2, 4, 32, 0, 77, true, 44692644},
        {"COCO S/2 deep", 512, 16, 8, 2, 4, 32, 0, 77, true, 58345636},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const u_vit *s = &sizes[i];
        header h = {0};
        sy_text_printf(&h.text, "{");
        write_u_vit(&h, s);
        sy_network_config c = check(s->name, &h, s->values, "u-vit");
        CHECK(c.side == s->side && c.patch == s->patch && c.width == s->width && c.depth == s->depth &&
              c.heads == s->heads && c.channels == s->channels && c.channels_out == s->channels);
        CHECK(c.label_rows == s->rows && c.null_row == s->rows - 1 && c.context_tokens == s->context);
        CHECK(c.latent == (s->channels == 4) && c.betas == (c.latent ? SY_BETAS_SCALED_LINEAR : SY_BETAS_LINEAR));
    }
}

int main(void)
{
    header h = {0};
    sy_text_printf(&h.text, "{");
    skip_dit(&h, 28, 1152);
    CHECK(h.tensors == 348);
    sy_network_config c = check("Skip-DiT-XL/2", &h, 712369184, "skip-dit");
    CHECK(c.depth == 28 && c.heads == 16 && c.learn_sigma && c.variants >> SY_VARIANT_CACHED & 1);
    test_u_vit();
    return check_done();
}
