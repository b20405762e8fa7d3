/* SCEdit (arXiv 2312.11392): the U-Net stays as it is; what is trained are tuners on its skips, here read from the file
 * that has the U-Net's tensors too.
 *
 * SC-Tuner, "lsc_identity.I.tuner_op.ln1/.ln2": h + s MLP_I(h), MLP(x) = W2 gelu(W1 x + b1) + b2 over the channels, I
 * counting from the deepest skip.
 *
 * CSC-Tuner, its tensors behind "control.K." (several may act at once; the authors keep each in a file of its own): a
 * picture eight times the latent's side goes through pre_hint_blocks, seven 3x3 convolutions with SiLU between, the
 * third, fifth and seventh of stride 2, then through a chain of dense_hint_blocks, SiLU and a convolution for each skip
 * of the way down, of stride 2 where that one is smaller than the one before. With the hint f of a skip h its control
 * is f + MLP(h + f): the shortcut is the hint, not the sum. In all h' = h + s MLP(h) + c sum_K (f_K + MLP_K(h + f_K)),
 * setting "scedit" = "s,c", both 1 where nothing is said.
 *
 * Tap "scedit.I.edit" f32[N]: |h' - h|_2 / |h|_2 of the Ith skip from the deepest. */
#include "graph/zoo/scedit.h"

#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"

#include <stdio.h>

enum { MAX_CONTROLS = 8, HINT_LAYERS = 7, MAX_SKIPS = 512 };

#define FIRST_TUNER "lsc_identity.0.tuner_op.ln1.weight"
#define FIRST_HINT  "control.0.pre_hint_blocks.0.weight"

bool sy_scedit_wants_hint(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, FIRST_HINT);
}

static sy_value mlp(const sy_layers *l, sy_value x, int i)
{
    sy_graph *g = l->g;
    if (!x)
        return 0;
    const sy_type image = g->nodes[x].type;
    sy_scope_push(g, "lsc_identity.%d.tuner_op", i);
    sy_value h = sy_unary(g, SY_OP_GELU_ERF, sy_layers_pointwise(l, sy_layers_tokens(l, x), "ln1"));
    h = sy_reshape(g, sy_layers_pointwise(l, h, "ln2"), image);
    sy_scope_pop(g);
    return h;
}

/* The hint of every skip, in the order of the way down. */
static void hints_of(const sy_layers *l, sy_value picture, const sy_value *skips, int n, sy_value *hints)
{
    sy_graph *g = l->g;
    char name[48];
    sy_value x = sy_transpose(g, picture, (const int32_t[]){0, 2, 3, 1});
    for (int i = 0; i < HINT_LAYERS; i++) {
        snprintf(name, sizeof name, "pre_hint_blocks.%d", 2 * i);
        x = sy_layers_conv(l, i ? sy_silu(g, x) : x, name, 3, i >= 2 && i % 2 == 0 ? 2 : 1);
    }
    for (int i = 0; i < n; i++) {
        bool smaller = i && sy_layers_dim(l, skips[i], 1) < sy_layers_dim(l, skips[i - 1], 1);
        snprintf(name, sizeof name, "dense_hint_blocks.%d.1", i);
        hints[i] = x = sy_layers_conv(l, sy_silu(g, x), name, 3, smaller ? 2 : 1);
    }
}

static sy_value norm(sy_graph *g, sy_value x)
{
    const int32_t *dim = g->nodes[x].type.dim;
    sy_value flat = sy_reshape(g, sy_mul(g, x, x), SY_T(SY_F32, dim[0], dim[1] * dim[2] * dim[3]));
    return sy_unary(g, SY_OP_SQRT, sy_row(g, SY_OP_REDUCE_SUM, flat, 0));
}

static void tap_edit(sy_graph *g, sy_value edit, sy_value skip, int i)
{
    if (!edit || !skip)
        return;
    char name[32];
    snprintf(name, sizeof name, "scedit.%d.edit", i);
    sy_value ratio = sy_binary(g, SY_OP_DIV, norm(g, edit), norm(g, skip));
    sy_tap(g, name, sy_reshape(g, ratio, SY_T(SY_F32, g->nodes[skip].type.dim[0])));
}

static sy_value scaled(sy_graph *g, sy_value x, double scale)
{
    return scale == 1 ? x : sy_mul(g, x, sy_const(g, scale));
}

void sy_scedit(sy_graph *g, const sy_network_config *config, sy_value *skips, int n, sy_value hint)
{
    double scales[2] = {1, 1};
    int32_t said;
    sy_value edits[MAX_SKIPS] = {0}, hints[MAX_SKIPS];
    sy_layers l = {.g = g, .file = config->file};
    bool tunes = sy_zoo_has(l.file, FIRST_TUNER), controls = sy_scedit_wants_hint(l.file);
    if ((!tunes && !controls) || n > MAX_SKIPS || !sy_zoo_numbers(config, "scedit", scales, 2, &said, &g->error) ||
        !sy_layers_dtype(l.file, tunes ? FIRST_TUNER : FIRST_HINT, &l.dtype, &g->error))
        return;
    if (controls && !hint) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "this file has control tuners of SCEdit: the network needs the picture they follow");
        return;
    }
    for (int i = 0; tunes && scales[0] != 0 && i < n; i++)
        edits[i] = scaled(g, mlp(&l, skips[i], n - 1 - i), scales[0]);
    for (int k = 0; controls && scales[1] != 0 && k < MAX_CONTROLS; k++) {
        if (!sy_zoo_has(l.file, "control.%d.pre_hint_blocks.0.weight", k))
            break;
        sy_scope_push(g, "control.%d", k);
        hints_of(&l, hint, skips, n, hints);
        for (int i = 0; i < n; i++) {
            sy_value f = hints[i], c = sy_add(g, f, mlp(&l, sy_add(g, skips[i], f), n - 1 - i));
            edits[i] = edits[i] ? sy_add(g, edits[i], scaled(g, c, scales[1])) : scaled(g, c, scales[1]);
        }
        sy_scope_pop(g);
    }
    for (int i = 0; i < n; i++) {
        if (!edits[i])
            continue;
        tap_edit(g, edits[i], skips[i], n - 1 - i);
        skips[i] = sy_add(g, skips[i], edits[i]);
    }
}
