/* SpargeAttn (arXiv 2502.18137) as the setting "spargeattn" of networks, and as a network of its own: one
 * self-attention layer over x[N, T, C] with the tensors qkv and proj, [3 C, C] and [C, C].
 *
 * Metadata of the latter: switchyard.num_heads, .block_rows (128), .block_keys (64), .similarity (0.6), .mass (0.98; 0:
 * .share of the key blocks, 0.5), .skip (0: none), .causal, .sink, .smooth_keys, .quantise (0 or 1); .tokens, or
 * .grid_height and .grid_width, whose cells are then taken along a Hilbert curve. */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/networks.h"

#include <math.h>

enum { MAX_TOKENS = 1 << 20, MAX_WIDTH = 1 << 14, MAX_BLOCK = 1 << 12 };

/* theta, tau, lambda, block_rows, block_keys: sequences of small models have few tokens, hence small blocks. */
bool sy_zoo_sparge_setting(const sy_network_config *config, sy_sparge_params *params, bool *on, sy_error *error)
{
    enum { THETA, TAU, LAMBDA, ROWS, KEYS, COUNT };
    double values[COUNT] = {0.6, 0.98, 50, 128, 64};
    int32_t count;
    if (!sy_zoo_numbers(config, "spargeattn", values, COUNT, &count, error))
        return false;
    *on = count > 0;
    *params = (sy_sparge_params){
        .similarity = values[THETA],
        .mass = values[TAU],
        .skip = values[LAMBDA],
        .block_rows = (int32_t)values[ROWS],
        .block_keys = (int32_t)values[KEYS],
        .smooth_keys = true,
    };
    bool fine = fabs(values[THETA]) <= 1 && values[TAU] > 0 && values[TAU] <= 1 && values[LAMBDA] >= 0 &&
                values[ROWS] >= 1 && values[KEYS] >= 1 && values[ROWS] == floor(values[ROWS]) &&
                values[KEYS] == floor(values[KEYS]) && (values[LAMBDA] == 0 || values[ROWS] <= 128);
    return !*on || fine ||
           sy_fail(
               error, SY_CODE_INVALID_ARGUMENT,
               "the setting spargeattn is THETA,TAU,LAMBDA,ROWS,KEYS: THETA from -1 to 1, TAU above 0 and at most 1, "
               "LAMBDA at least 0, ROWS and KEYS whole numbers from 1 (ROWS at most 128 with a LAMBDA)");
}

typedef struct layer {
    int32_t heads, tokens, grid[2], width;
    sy_sparge_params attention;
    sy_dtype dtype;
} layer;

static bool read_switch(const struct sy_safetensors *file, const char *key, bool *out, sy_error *error)
{
    int32_t value = *out;
    if (!sy_zoo_metadata_int(file, key, 0, 1, &value, error))
        return false;
    *out = value;
    return true;
}

static bool configure(layer *l, const struct sy_safetensors *file, sy_error *error)
{
    int32_t proj[2];
    sy_sparge_params *a = &l->attention;
    *l = (layer){.heads = 1};
    *a = (sy_sparge_params){.block_rows = 128, .block_keys = 64, .similarity = 0.6, .mass = 0.98, .share = 0.5};
    if (!sy_zoo_shape(file, "proj.weight", 2, proj, error) || !sy_zoo_dtype(file, "proj.weight", &l->dtype, error) ||
        !sy_zoo_metadata_int(file, "num_heads", 1, 1024, &l->heads, error) ||
        !sy_zoo_metadata_int(file, "tokens", 1, MAX_TOKENS, &l->tokens, error) ||
        !sy_zoo_metadata_int(file, "grid_height", 1, 1024, &l->grid[0], error) ||
        !sy_zoo_metadata_int(file, "grid_width", 1, 1024, &l->grid[1], error) ||
        !sy_zoo_metadata_int(file, "block_rows", 1, MAX_BLOCK, &a->block_rows, error) ||
        !sy_zoo_metadata_int(file, "block_keys", 1, MAX_BLOCK, &a->block_keys, error) ||
        !sy_zoo_metadata_double(file, "similarity", -1, 1, &a->similarity, error) ||
        !sy_zoo_metadata_double(file, "mass", 0, 1, &a->mass, error) ||
        !sy_zoo_metadata_double(file, "share", 0, 1, &a->share, error) ||
        !sy_zoo_metadata_double(file, "skip", 0, 1e6, &a->skip, error) ||
        !read_switch(file, "causal", &a->causal, error) || !read_switch(file, "sink", &a->sink, error) ||
        !read_switch(file, "smooth_keys", &a->smooth_keys, error) ||
        !read_switch(file, "quantise", &a->quantise, error))
        return false;
    if (l->grid[0] && l->grid[1])
        l->tokens = l->grid[0] * l->grid[1];
    l->width = proj[0];
    return (l->tokens >= 1 && l->width <= MAX_WIDTH && l->width % l->heads == 0) ||
           sy_fail(error, SY_CODE_INVALID_FILE, "%d tokens of %d channels in %d heads are not possible.", l->tokens,
                   l->width, l->heads);
}

/* "x" f32[N, T, C] -> "y" of the same shape. Taps: "route" (query block of a head -> key blocks), "density" f32[1], the
 * share of the blocks taken. */
bool sy_spargeattn_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    layer l;
    if (!configure(&l, file, error))
        return false;
    sy_value x = sy_input(g, "x", SY_T(SY_F32, batch, l.tokens, l.width)), route;
    bool curve = l.grid[0] && l.grid[1];
    if (curve)
        x = sy_hilbert_permute(g, x, l.grid, 2, false);
    sy_value qkv = sy_linear(g, x, "qkv", 3 * l.width, true, l.dtype), part[3];
    for (int i = 0; i < 3; i++)
        part[i] = sy_zoo_split_heads(g, sy_slice_axis(g, qkv, 2, i * l.width, l.width), l.heads);
    l.attention.q = part[0];
    l.attention.k = part[1];
    l.attention.v = part[2];
    sy_value y = sy_zoo_merge_heads(g, sy_sparge_attention(g, &l.attention, &route));
    y = sy_linear(g, y, "proj", l.width, true, l.dtype);
    sy_output(g, "y", curve ? sy_hilbert_permute(g, y, l.grid, 2, true) : y);
    if (!sy_graph_check(g, error))
        return false;
    sy_tap(g, "route", route);
    sy_tap(g, "density", sy_route_density(g, route));
    return sy_graph_check(g, error);
}
