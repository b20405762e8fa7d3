/* Stable Diffusion at its published size: headers with the names and shapes of diffusers and transformers, written down
 * here from the publication, give networks of as many tensors and values as are published. */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"

#include <stdarg.h>

typedef struct writer {
    sy_text out;
    uint64_t values, tensors;
} writer;

/* Shapes with 0 for dimensions that are not there. */
static void tensor(writer *w, const int shape[4], const char *format, ...)
{
    char name[256];
    uint64_t values = 1;
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    sy_text_printf(&w->out, ",\"%s\":{\"dtype\":\"F16\",\"shape\":[", name);
    for (int i = 0; i < 4 && shape[i]; i++) {
        sy_text_printf(&w->out, "%s%d", i ? "," : "", shape[i]);
        values *= (uint64_t)shape[i];
    }
    sy_text_printf(&w->out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)(2 * w->values),
                   (unsigned long long)(2 * (w->values + values)));
    w->values += values;
    w->tensors++;
}

static void layer(writer *w, const char *at, const char *name, int out, int in, int kernel, bool bias)
{
    tensor(w, (const int[4]){out, in, kernel, kernel}, "%s%s.weight", at, name);
    if (bias)
        tensor(w, (const int[4]){out}, "%s%s.bias", at, name);
}

static void norm(writer *w, const char *at, const char *name, int size)
{
    layer(w, at, name, size, 0, 0, true);
}

static void resnet(writer *w, const char *block, int j, int in, int out, int time)
{
    char at[128];
    snprintf(at, sizeof at, "%s.resnets.%d.", block, j);
    norm(w, at, "norm1", in);
    layer(w, at, "conv1", out, in, 3, true);
    if (time)
        layer(w, at, "time_emb_proj", out, time, 0, true);
    norm(w, at, "norm2", out);
    layer(w, at, "conv2", out, out, 3, true);
    if (in != out)
        layer(w, at, "conv_shortcut", out, in, 1, true);
}

static void transformer(writer *w, const char *block, int j, int c)
{
    enum { CONTEXT = 768 };
    static const char *const outs[] = {"to_q", "to_k", "to_v"};
    char at[128];
    snprintf(at, sizeof at, "%s.attentions.%d.", block, j);
    norm(w, at, "norm", c);
    layer(w, at, "proj_in", c, c, 1, true);
    layer(w, at, "proj_out", c, c, 1, true);
    for (int i = 1; i <= 3; i++) {
        snprintf(at, sizeof at, "%s.attentions.%d.transformer_blocks.0.norm%d", block, j, i);
        norm(w, at, "", c);
    }
    for (int a = 1; a <= 2; a++) {
        snprintf(at, sizeof at, "%s.attentions.%d.transformer_blocks.0.attn%d.", block, j, a);
        for (int i = 0; i < 3; i++)
            layer(w, at, outs[i], c, a == 2 && i ? CONTEXT : c, 0, false);
        layer(w, at, "to_out.0", c, c, 0, true);
    }
    snprintf(at, sizeof at, "%s.attentions.%d.transformer_blocks.0.ff.net.", block, j);
    layer(w, at, "0.proj", 8 * c, c, 0, true);
    layer(w, at, "2", c, 4 * c, 0, true);
}

static void unet(writer *w)
{
    static const int width[] = {320, 640, 1280, 1280};
    enum { TIME = 1280 };
    int skips[12], n = 0, c = 320;
    char block[32];
    layer(w, "", "time_embedding.linear_1", TIME, 320, 0, true);
    layer(w, "", "time_embedding.linear_2", TIME, TIME, 0, true);
    layer(w, "", "conv_in", c, 4, 3, true);
    skips[n++] = c;
    for (int i = 0; i < 4; i++) {
        snprintf(block, sizeof block, "down_blocks.%d", i);
        for (int j = 0; j < 2; j++) {
            resnet(w, block, j, c, width[i], TIME);
            if (i < 3)
                transformer(w, block, j, width[i]);
            skips[n++] = c = width[i];
        }
        if (i < 3) {
            layer(w, block, ".downsamplers.0.conv", c, c, 3, true);
            skips[n++] = c;
        }
    }
    resnet(w, "mid_block", 0, c, c, TIME);
    transformer(w, "mid_block", 0, c);
    resnet(w, "mid_block", 1, c, c, TIME);
    for (int i = 0; i < 4; i++) {
        snprintf(block, sizeof block, "up_blocks.%d", i);
        for (int j = 0; j < 3; j++) {
            resnet(w, block, j, c + skips[--n], width[3 - i], TIME);
            c = width[3 - i];
            if (i > 0)
                transformer(w, block, j, c);
        }
        if (i < 3)
            layer(w, block, ".upsamplers.0.conv", c, c, 3, true);
    }
    norm(w, "", "conv_norm_out", c);
    layer(w, "", "conv_out", 4, c, 3, true);
}

static void decoder(writer *w)
{
    static const int width[] = {512, 512, 256, 128};
    static const char *const attention[] = {"to_q", "to_k", "to_v", "to_out.0"};
    int c = 512;
    char block[64];
    layer(w, "", "decoder.conv_in", c, 4, 3, true);
    resnet(w, "decoder.mid_block", 0, c, c, 0);
    resnet(w, "decoder.mid_block", 1, c, c, 0);
    norm(w, "decoder.mid_block.attentions.0.", "group_norm", c);
    for (int i = 0; i < 4; i++)
        layer(w, "decoder.mid_block.attentions.0.", attention[i], c, c, 0, true);
    for (int i = 0; i < 4; i++) {
        snprintf(block, sizeof block, "decoder.up_blocks.%d", i);
        for (int j = 0; j < 3; j++, c = width[i])
            resnet(w, block, j, c, width[i], 0);
        if (i < 3)
            layer(w, block, ".upsamplers.0.conv", c, c, 3, true);
    }
    norm(w, "decoder.", "conv_norm_out", c);
    layer(w, "", "decoder.conv_out", 3, c, 3, true);
}

static void text(writer *w)
{
    static const char *const attention[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    enum { WIDTH = 768 };
    char at[64];
    tensor(w, (const int[4]){49408, WIDTH}, "text_model.embeddings.token_embedding.weight");
    tensor(w, (const int[4]){77, WIDTH}, "text_model.embeddings.position_embedding.weight");
    for (int i = 0; i < 12; i++) {
        snprintf(at, sizeof at, "text_model.encoder.layers.%d.", i);
        norm(w, at, "layer_norm1", WIDTH);
        norm(w, at, "layer_norm2", WIDTH);
        layer(w, at, "mlp.fc1", 4 * WIDTH, WIDTH, 0, true);
        layer(w, at, "mlp.fc2", WIDTH, 4 * WIDTH, 0, true);
        snprintf(at, sizeof at, "text_model.encoder.layers.%d.self_attn.", i);
        for (int k = 0; k < 4; k++)
            layer(w, at, attention[k], WIDTH, WIDTH, 0, true);
    }
    norm(w, "text_model.", "final_layer_norm", WIDTH);
}

static void check(const char *name, void (*write)(writer *w), uint64_t values, uint64_t tensors)
{
    writer w = {0};
    sy_error error = {0};
    sy_text file = {0};
    sy_text_printf(&w.out, "{\"__metadata__\":{\"switchyard.architecture\":\"%s\"}", name);
    write(&w);
    sy_text_printf(&w.out, "}");
    uint64_t size = w.out.size;
    CHECK_SAY(w.values == values && w.tensors == tensors, "%s: the header has %llu values in %llu tensors", name,
              (unsigned long long)w.values, (unsigned long long)w.tensors);
    for (int i = 0; i < 8; i++)
        sy_text_add_bytes(&file, &(char){(char)(size >> (8 * i) & 255)}, 1);
    sy_text_add_bytes(&file, w.out.data, size);
    REQUIRE(!file.failed);
    sy_safetensors *f = sy_safetensors_from_memory(file.data, file.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    CHECK_SAY(f, "%s: %s", name, error.message);
    REQUIRE(f);
    sy_graph *g = sy_zoo_file_graph(f, 2, &error);
    CHECK_SAY(g, "%s: %s", name, error.message);
    uint64_t n_values = 0, n_params = 0;
    for (sy_value v = 1; g && v < g->n_nodes; v++)
        if (g->nodes[v].op == SY_OP_PARAM) {
            n_params++;
            n_values += sy_type_count(&g->nodes[v].type);
        }
    CHECK_SAY(n_values == values && n_params == tensors, "%s: the network has %llu values in %llu tensors", name,
              (unsigned long long)n_values, (unsigned long long)n_params);
    sy_graph_destroy(&g);
    sy_safetensors_close(&f);
    sy_text_free(&w.out);
    sy_text_free(&file);
}

static void decoder_and_quant(writer *w)
{
    decoder(w);
    layer(w, "", "post_quant_conv", 4, 4, 1, true);
}

int main(void)
{
    check("sd-unet", unet, 859520964, 686);
    check("sd-vae-decoder", decoder_and_quant, 49490179 + 20, 138 + 2);
    check("clip-text", text, 123060480, 196);
    return check_done();
}
