/* CLIP's text encoder (arXiv 2103.00020), as transformers names its tensors: a causal pre-norm transformer over the
 * tokens of a prompt, all of them, padding too, for padding is not masked. Stable Diffusion takes what the last norm
 * gives.
 *
 * Metadata, for what shapes do not say: switchyard.text.heads (width / 64), switchyard.text.activation ("quick_gelu",
 * x sigmoid(1.702 x), or "gelu"). */
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/sd.h"

#include <string.h>

enum { MAX_LAYERS = 128, MAX_TOKENS = 4096 };

#define POSITIONS "text_model.embeddings.position_embedding.weight"
#define WORDS     "text_model.embeddings.token_embedding.weight"

typedef struct encoder {
    sy_layers layers;
    int32_t heads;
    bool quick;
} encoder;

static sy_value attention(const encoder *e, sy_value x)
{
    sy_graph *g = e->layers.g;
    if (!x)
        return 0;
    const sy_type type = g->nodes[x].type;
    sy_value part[3];
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++)
        part[i] = sy_layers_heads(&e->layers, sy_layers_linear(&e->layers, x, names[i], true), e->heads);
    sy_value y = sy_attention_full(g, &(sy_attention_params){.q = part[0], .k = part[1], .v = part[2], .causal = true});
    y = sy_reshape(g, sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3}), type);
    return sy_layers_linear(&e->layers, y, "out_proj", true);
}

static sy_value feed_forward(const encoder *e, sy_value x)
{
    sy_graph *g = e->layers.g;
    x = sy_layers_linear(&e->layers, x, "fc1", true);
    if (e->quick)
        x = sy_mul(g, x, sy_unary(g, SY_OP_SIGMOID, sy_mul(g, x, sy_const(g, 1.702))));
    else
        x = sy_unary(g, SY_OP_GELU_ERF, x);
    return sy_layers_linear(&e->layers, x, "fc2", true);
}

static sy_value block(const encoder *e, sy_value x)
{
    sy_graph *g = e->layers.g;
    sy_value u = sy_layers_layer_norm(&e->layers, x, "layer_norm1", 1e-5);
    sy_scope_push(g, "self_attn");
    x = sy_add(g, x, attention(e, u));
    sy_scope_pop(g);
    u = sy_layers_layer_norm(&e->layers, x, "layer_norm2", 1e-5);
    sy_scope_push(g, "mlp");
    x = sy_add(g, x, feed_forward(e, u));
    sy_scope_pop(g);
    return x;
}

static bool read_file(const struct sy_safetensors *file, encoder *e, int32_t words[2], int32_t positions[2],
                      sy_error *error)
{
    if (!sy_zoo_shape(file, WORDS, 2, words, error) || !sy_zoo_shape(file, POSITIONS, 2, positions, error) ||
        !sy_layers_dtype(file, WORDS, &e->layers.dtype, error))
        return false;
    e->heads = words[1] / 64 ? words[1] / 64 : 1;
    const char *activation = sy_zoo_metadata(file, "text.activation");
    if (activation && strcmp(activation, "quick_gelu") && strcmp(activation, "gelu"))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The text encoder's activation is \"%.40s\"; \"quick_gelu\" and \"gelu\" are known.",
                       activation);
    e->quick = !activation || !strcmp(activation, "quick_gelu");
    return sy_zoo_metadata_int(file, "text.heads", 1, words[1], &e->heads, error);
}

sy_value sy_clip_encode(sy_graph *g, const struct sy_safetensors *file, sy_value tokens)
{
    encoder e = {.layers = {.g = g, .file = file}};
    int32_t words[2], positions[2];
    if (!tokens || !read_file(file, &e, words, positions, &g->error))
        return 0;
    int32_t n = sy_layers_dim(&e.layers, tokens, 1);
    if (n > positions[0]) {
        sy_fail(&g->error, SY_CODE_INVALID_FILE, "The text encoder has positions for %d tokens, not for %d.",
                (int)positions[0], (int)n);
        return 0;
    }
    sy_value x = sy_take_rows(g, sy_param(g, WORDS, SY_T(e.layers.dtype, words[0], words[1])), tokens);
    sy_value p = sy_zoo_param(g, POSITIONS, SY_T(e.layers.dtype, positions[0], positions[1]));
    x = sy_add(g, sy_zoo_f32(g, x), n < positions[0] ? sy_slice_axis(g, p, 0, 0, n) : p);
    sy_scope_push(g, "text_model");
    for (int i = 0; i < MAX_LAYERS && sy_zoo_has(file, "text_model.encoder.layers.%d.mlp.fc1.weight", i); i++) {
        sy_scope_push(g, "encoder.layers.%d", i);
        x = block(&e, x);
        sy_scope_pop(g);
    }
    x = sy_layers_layer_norm(&e.layers, x, "final_layer_norm", 1e-5);
    sy_scope_pop(g);
    return x;
}

int32_t sy_clip_tokens(const struct sy_safetensors *file)
{
    sy_error none = {0};
    int32_t positions[2];
    return sy_zoo_has(file, POSITIONS) && sy_zoo_shape(file, POSITIONS, 2, positions, &none) &&
                   positions[0] <= MAX_TOKENS
               ? positions[0]
               : 0;
}

bool sy_clip_text_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    int32_t positions[2];
    if (!sy_zoo_shape(file, POSITIONS, 2, positions, error))
        return false;
    if (positions[0] > MAX_TOKENS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "A text of %d tokens is not possible.", (int)positions[0]);
    sy_output(g, "hidden", sy_clip_encode(g, file, sy_input(g, "tokens", SY_T(SY_I32, batch, positions[0]))));
    return sy_graph_check(g, error);
}
