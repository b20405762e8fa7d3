/* Networks with experts that are no denoisers, at published sizes, from their lists of names and shapes alone: each
 * file is understood, its network asks for exactly the tensors of the file, and a program for the least device comes of
 * it. */
#include "graph/base/text.h"
#include "graph/import/safetensors.h"
#include "graph/program.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"

#include <stdarg.h>

typedef struct header {
    sy_text text;
    uint64_t values;
    uint32_t tensors;
    char prefix[64]; /* of names */
} header;

static void begin(header *h, const char *metadata)
{
    *h = (header){0};
    sy_text_add_bytes(&h->text, "\0\0\0\0\0\0\0\0", 8);
    sy_text_printf(&h->text, "{\"__metadata__\":{%s}", metadata);
}

/* An f16 tensor of one to four dimensions; 0 ends them. */
static void tensor(header *h, const int dims[4], const char *format, ...) __attribute__((format(printf, 3, 4)));
static void tensor(header *h, const int dims[4], const char *format, ...)
{
    char name[128];
    uint64_t n = 1;
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    sy_text_printf(&h->text, ",\"%s%s\":{\"dtype\":\"F16\",\"shape\":[", h->prefix, name);
    for (int i = 0; i < 4 && dims[i]; i++) {
        n *= (uint64_t)dims[i];
        sy_text_printf(&h->text, "%s%d", i ? "," : "", dims[i]);
    }
    sy_text_printf(&h->text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)(h->values * 2),
                   (unsigned long long)((h->values + n) * 2));
    h->values += n;
    h->tensors++;
}
#define TENSOR(h, name, ...) tensor(h, (const int[4]){__VA_ARGS__}, "%s", name)

/* Builds and compiles what the header says for two samples. `published`: values in all, 0 where it is not known. */
static void check(header *h, const char *name, uint64_t published)
{
    sy_error error = {0};
    uint64_t n_values = 0;
    uint32_t n_params = 0;
    sy_text_add(&h->text, "}");
    for (int i = 0; i < 8; i++)
        h->text.data[i] = (char)((h->text.size - 8) >> (8 * i) & 255);
    sy_safetensors *file = sy_safetensors_from_memory(h->text.data, h->text.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    sy_graph *g = file ? sy_zoo_file_graph(file, 2, &error) : NULL;
    CHECK_SAY(g, "%s: %s", name, error.message);
    for (sy_value v = 1; g && v < g->n_nodes; v++)
        if (g->nodes[v].op == SY_OP_PARAM) {
            n_params++;
            n_values += sy_type_count(&g->nodes[v].type);
        }
    CHECK_SAY(n_values == h->values && n_params == h->tensors, "%s: %llu values in %u tensors, the file has %llu in %u",
              name, (unsigned long long)n_values, n_params, (unsigned long long)h->values, h->tensors);
    CHECK_SAY(!published || n_values == published, "%s: %llu values, published %llu", name,
              (unsigned long long)n_values, (unsigned long long)published);
    sy_limits limits = sy_limits_floor();
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    sy_program *program = g ? sy_compile(g, &params, &error) : NULL;
    CHECK_SAY(program, "%s: %s", name, error.message);
    if (program)
        printf("%s: %llu values, %u dispatches\n", name, (unsigned long long)n_values, program->stats.dispatches);
    sy_program_destroy(&program);
    sy_graph_destroy(&g);
    sy_safetensors_close(&file);
    sy_text_free(&h->text);
}

/* Every second feed-forward is a mixture. */
static void switch_base(int experts)
{
    enum { WIDTH = 768, HIDDEN = 3072, DEPTH = 12 };
    header h;
    char name[64];
    begin(&h, "\"switchyard.architecture\":\"switch-transformer\"");
    TENSOR(&h, "shared.weight", 32128, WIDTH);
    TENSOR(&h, "encoder.final_layer_norm.weight", WIDTH);
    TENSOR(&h, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 32, 12);
    for (int i = 0; i < DEPTH; i++) {
        snprintf(h.prefix, sizeof h.prefix, "encoder.block.%d.layer.", i);
        for (const char *part = "qkvo"; *part; part++)
            tensor(&h, (const int[4]){WIDTH, WIDTH}, "0.SelfAttention.%c.weight", *part);
        TENSOR(&h, "0.layer_norm.weight", WIDTH);
        TENSOR(&h, "1.layer_norm.weight", WIDTH);
        if (i % 2)
            TENSOR(&h, "1.mlp.router.classifier.weight", experts, WIDTH);
        for (int e = 0; e < (i % 2 ? experts : 1); e++) {
            tensor(&h, (const int[4]){HIDDEN, WIDTH}, i % 2 ? "1.mlp.experts.expert_%d.wi.weight" : "1.mlp.wi.weight",
                   e);
            tensor(&h, (const int[4]){WIDTH, HIDDEN}, i % 2 ? "1.mlp.experts.expert_%d.wo.weight" : "1.mlp.wo.weight",
                   e);
        }
    }
    snprintf(name, sizeof name, "Switch-Base-%d, encoder", experts);
    check(&h, name, 0);
}

static void swiglu(header *h, const char *name, int width, int hidden)
{
    tensor(h, (const int[4]){hidden, width}, "mlp.%sgate_proj.weight", name);
    tensor(h, (const int[4]){hidden, width}, "mlp.%sup_proj.weight", name);
    tensor(h, (const int[4]){width, hidden}, "mlp.%sdown_proj.weight", name);
}

static void deepseek_moe_16b(void)
{
    enum { WIDTH = 2048, WORDS = 102400, DEPTH = 28, EXPERTS = 64 };
    header h;
    begin(&h, "\"switchyard.architecture\":\"deepseekmoe\",\"switchyard.sequence_length\":\"128\"");
    TENSOR(&h, "model.embed_tokens.weight", WORDS, WIDTH);
    TENSOR(&h, "lm_head.weight", WORDS, WIDTH);
    TENSOR(&h, "model.norm.weight", WIDTH);
    for (int i = 0; i < DEPTH; i++) {
        snprintf(h.prefix, sizeof h.prefix, "model.layers.%d.", i);
        for (const char *part = "qkvo"; *part; part++)
            tensor(&h, (const int[4]){WIDTH, WIDTH}, "self_attn.%c_proj.weight", *part);
        TENSOR(&h, "input_layernorm.weight", WIDTH);
        TENSOR(&h, "post_attention_layernorm.weight", WIDTH);
        if (i == 0) {
            swiglu(&h, "", WIDTH, 10944);
            continue;
        }
        TENSOR(&h, "mlp.gate.weight", EXPERTS, WIDTH);
        swiglu(&h, "shared_experts.", WIDTH, 2 * 1408);
        for (int e = 0; e < EXPERTS; e++) {
            char name[32];
            snprintf(name, sizeof name, "experts.%d.", e);
            swiglu(&h, name, WIDTH, 1408);
        }
    }
    check(&h, "DeepSeekMoE 16B", 16375728128);
}

/* B/16 at 224 x 224: the last two of the odd blocks are mixtures. */
static void v_moe_base(int experts)
{
    enum { WIDTH = 768, HIDDEN = 3072, DEPTH = 12, HEADS = 12, TOKENS = 197 };
    header h;
    begin(&h, "\"switchyard.architecture\":\"v-moe\"");
    TENSOR(&h, "embedding/kernel", 16, 16, 3, WIDTH);
    TENSOR(&h, "embedding/bias", WIDTH);
    TENSOR(&h, "cls", 1, 1, WIDTH);
    TENSOR(&h, "Encoder/posembed_input/pos_embedding", 1, TOKENS, WIDTH);
    TENSOR(&h, "Encoder/encoder_norm/scale", WIDTH);
    TENSOR(&h, "Encoder/encoder_norm/bias", WIDTH);
    TENSOR(&h, "head/kernel", WIDTH, 1000);
    TENSOR(&h, "head/bias", 1000);
    for (int i = 0; i < DEPTH; i++) {
        static const char *const parts[] = {"query", "key", "value"};
        snprintf(h.prefix, sizeof h.prefix, "Encoder/encoderblock_%d/", i);
        for (int k = 0; k < 2; k++) {
            tensor(&h, (const int[4]){WIDTH}, "LayerNorm_%d/scale", k);
            tensor(&h, (const int[4]){WIDTH}, "LayerNorm_%d/bias", k);
        }
        for (int k = 0; k < 3; k++) {
            tensor(&h, (const int[4]){WIDTH, HEADS, WIDTH / HEADS}, "SelfAttention/%s/kernel", parts[k]);
            tensor(&h, (const int[4]){HEADS, WIDTH / HEADS}, "SelfAttention/%s/bias", parts[k]);
        }
        TENSOR(&h, "SelfAttention/out/kernel", HEADS, WIDTH / HEADS, WIDTH);
        TENSOR(&h, "SelfAttention/out/bias", WIDTH);
        if (i == 9 || i == 11) {
            TENSOR(&h, "Moe/Router/dense/kernel", WIDTH, experts);
            TENSOR(&h, "Moe/Mlp/Dense_0/kernel", experts, WIDTH, HIDDEN);
            TENSOR(&h, "Moe/Mlp/Dense_0/bias", experts, HIDDEN);
            TENSOR(&h, "Moe/Mlp/Dense_1/kernel", experts, HIDDEN, WIDTH);
            TENSOR(&h, "Moe/Mlp/Dense_1/bias", experts, WIDTH);
        } else {
            TENSOR(&h, "Mlp/Dense_0/kernel", WIDTH, HIDDEN);
            TENSOR(&h, "Mlp/Dense_0/bias", HIDDEN);
            TENSOR(&h, "Mlp/Dense_1/kernel", HIDDEN, WIDTH);
            TENSOR(&h, "Mlp/Dense_1/bias", WIDTH);
        }
    }
    check(&h, "V-MoE B/16, last two", 0);
}

int main(void)
{
    switch_base(8);
    switch_base(64);
    v_moe_base(32);
    deepseek_moe_16b();
    return check_done();
}
