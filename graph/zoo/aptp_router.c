/* The prompt router of APTP (arXiv 2406.12042, section 3): a prompt's embedding z, made by a sentence encoder outside
 * of this network, goes through the architecture predictor, a perceptron of two layers with a GELU between, to an
 * embedding e as wide as the architecture codes, and to the code with the largest cosine to e. sd-unet builds the
 * network for it (setting aptp): which code runs is known before a run.
 *
 * The file: aptp.predictor.0.{weight,bias}, aptp.predictor.2.{weight,bias}, aptp.codes [codes, gates] (our names; the
 * predictor's depth is our reading). Input "prompt" f32[N,width]; outputs "embedding" f32[N,gates] and "code" i32[N].
 * Tap "aptp.route", prompts to codes, weight the cosine, and "aptp.cosine" f32[N,codes]. */
#include "graph/zoo/file_layers.h"
#include "graph/zoo/networks.h"

bool sy_aptp_router_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    sy_layers l = {.g = g, .file = file};
    int32_t first[2], codes[2];
    if (!sy_zoo_shape(file, "aptp.predictor.0.weight", 2, first, error) ||
        !sy_zoo_shape(file, "aptp.codes", 2, codes, error) || !sy_layers_dtype(file, "aptp.codes", &l.dtype, error))
        return false;
    sy_scope_push(g, "aptp");
    sy_value z = sy_input(g, "prompt", SY_T(SY_F32, batch, first[1]));
    sy_value e = sy_unary(g, SY_OP_GELU_ERF, sy_layers_linear(&l, z, "predictor.0", true));
    e = sy_layers_linear(&l, e, "predictor.2", true);
    sy_value table = sy_row(g, SY_OP_L2_NORMALISE, sy_zoo_param(g, "codes", SY_T(l.dtype, codes[0], codes[1])), 1e-12);
    sy_value cosine = sy_matmul(g, sy_row(g, SY_OP_L2_NORMALISE, e, 1e-12), table, true);
    sy_value best = sy_top_k(g, cosine, 1);
    sy_tap(g, "cosine", cosine);
    sy_tap(g, "route", sy_route_top_k(g, cosine, 1, false));
    sy_scope_pop(g);
    sy_output(g, "embedding", e);
    sy_output(g, "code", sy_reshape(g, best, SY_T(SY_I32, batch)));
    return sy_graph_check(g, error);
}
