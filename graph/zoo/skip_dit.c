/* Skip-DiT, "Accelerating Vision Diffusion Transformers with Skip Branches" (arXiv 2411.17616): DiT with long skips.
 * The first half of the L blocks push their outputs; block i of the second half starts from
 *
 *     x = skip_linears.k(LayerNorm_k([x ; popped]))    k = i - L/2,
 *
 * which replaces x (nothing is added to it). The first fusion pops the output just made: [x ; x].
 *
 * Skip-Cache, the settings skip-cache.interval and skip-cache.branch (b): a whole evaluation keeps x as it is before
 * the fusion of block L - b, in the state "cache.x". A cached one runs blocks 0 … b-1, takes x from the state and runs
 * blocks L-b … L-1, whose fusions pop what blocks b-1 … 0 have just pushed. Who calls decides which evaluation is
 * which.
 *
 * sparse-skip-dit is the same network with attention through a route, after BiFormer (arXiv 2303.08810): tokens lie in
 * square regions of the image, the mean query of a region scores the mean keys of all regions (over all heads), and the
 * region's tokens attend to the tokens of its `regions_picked` best regions alone. The tokens are put in the order of
 * the regions once, after the patches, so that a region is one block of route attention. Unlike BiFormer the scores are
 * scaled by the head's width and there is no convolution beside attention. Metadata: region_size, regions_picked.
 *
 * Taps: "blocks.N.skip_energy" (before the norm: |popped| / |x|), "blocks.N.executed" (1: in this program), and of the
 * sparse network "blocks.N.route" and "blocks.N.affinity" (regions x regions). */
#include "graph/zoo/block_routes.h"
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/settings.h"
#include "graph/zoo/skip.h"

#include <stdio.h>

enum { DEFAULT_BRANCH = 4, MOST_REGION = 64 };

typedef struct skip_dit {
    sy_dit dit;
    int32_t branch; /* blocks at each end that a cached evaluation runs; 0: no caches */
    int32_t region, picked;
} skip_dit;

static bool read_cache(skip_dit *s)
{
    const sy_network_config *c = s->dit.config;
    sy_error *error = &s->dit.g->error;
    double interval = 1, branch = DEFAULT_BRANCH;
    int32_t n;
    if (!sy_zoo_numbers(c, "skip-cache.interval", &interval, 1, &n, error) ||
        !sy_zoo_numbers(c, "skip-cache.branch", &branch, 1, &n, error))
        return false;
    if (interval <= 1)
        return true;
    if (!(branch >= 1 && branch <= c->depth / 2))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "The setting skip-cache.branch is %g; of %d blocks 1 to %d can run at each end.", branch,
                       (int)c->depth, (int)(c->depth / 2));
    s->branch = (int32_t)branch;
    return true;
}

static sy_value affine_norm(const sy_dit *dit, sy_value x, const char *name, int32_t width)
{
    sy_graph *g = dit->g;
    sy_scope_push(g, "%s", name);
    x = sy_row(g, SY_OP_LAYER_NORM, x, 1e-6);
    x = sy_mul(g, x, sy_zoo_param(g, "weight", SY_T(dit->config->dtype, width)));
    x = sy_add(g, x, sy_zoo_param(g, "bias", SY_T(dit->config->dtype, width)));
    sy_scope_pop(g);
    return x;
}

static sy_value fuse(const sy_dit *dit, int32_t k, sy_value x, sy_value popped)
{
    sy_graph *g = dit->g;
    int32_t width = dit->config->width;
    char name[64];
    sy_value both = sy_concat(g, (const sy_value[]){x, popped}, 2, 2);
    snprintf(name, sizeof name, "skip_norms.%d", (int)k);
    both = affine_norm(dit, both, name, 2 * width);
    snprintf(name, sizeof name, "skip_linears.%d.linear", (int)k);
    return sy_linear(g, both, name, width, true, dit->config->dtype);
}

static void tap_energy(const sy_dit *dit, int32_t block, sy_value x, sy_value popped)
{
    sy_graph *g = dit->g;
    sy_type image = SY_T(SY_F32, dit->batch, 1, dit->tokens, dit->config->width);
    sy_scope_push(g, "blocks.%d", block);
    sy_skip_tap_energy(g, sy_reshape(g, x, image), sy_reshape(g, popped, image));
    sy_scope_pop(g);
}

/* "change": how far what is kept has moved since the evaluation that kept it last, relative to its size; 1 where nothing
 * was kept before. What tells whether a cached evaluation would have done. */
static void tap_change(const sy_dit *dit, sy_value x, sy_value cache)
{
    sy_graph *g = dit->g;
    sy_type flat = SY_T(SY_F32, g->nodes[x].type.dim[0], dit->tokens * dit->config->width);
    sy_value parts[] = {sy_binary(g, SY_OP_SUB, x, cache), x};
    for (int i = 0; i < 2; i++) {
        parts[i] = sy_reshape(g, sy_mul(g, parts[i], parts[i]), flat);
        parts[i] = sy_row(g, SY_OP_REDUCE_SUM, parts[i], 0);
    }
    sy_value share = sy_binary(g, SY_OP_DIV, parts[0], parts[1]);
    sy_tap(g, "change", sy_reshape(g, sy_unary(g, SY_OP_SQRT, share), SY_T(SY_F32, flat.dim[0])));
}

/* Tokens in rows of the image to the order of the regions (each region's tokens together, row by row), or back. */
static sy_value by_region(const skip_dit *s, sy_value x, bool to)
{
    sy_graph *g = s->dit.g;
    int32_t r = s->region, grid = s->dit.config->side / s->dit.config->patch, width = s->dit.config->width;
    if (to)
        return sy_to_regions(g, sy_reshape(g, x, SY_T(SY_F32, s->dit.batch, grid, grid, width)), r, r);
    x = sy_from_regions(g, x, grid, grid, r, r);
    return sy_reshape(g, x, SY_T(SY_F32, s->dit.batch, s->dit.tokens, width));
}

/* f32[N,h,T,d] to f32[N,1,T,width]: the heads side by side, as one. */
static sy_value one_head(const sy_dit *dit, sy_value x)
{
    x = sy_transpose(dit->g, x, (const int32_t[]){0, 2, 1, 3});
    return sy_reshape(dit->g, x, SY_T(SY_F32, dit->batch, 1, dit->tokens, dit->config->width));
}

/* All heads of a region read the same regions: one route of N * regions rows. */
static sy_value attend_by_region(const sy_dit *dit, int32_t block, sy_value q, sy_value k, sy_value v)
{
    (void)block;
    const skip_dit *s = dit->own;
    sy_graph *g = dit->g;
    int32_t m = s->region * s->region;
    sy_value affinity;
    sy_value route = sy_block_top_k_route(g, one_head(dit, q), one_head(dit, k), m, m, 1, s->picked, &affinity);
    sy_tap(g, "affinity", affinity);
    sy_tap(g, "route", route);
    return sy_route_attention(
        g, &(sy_attention_params){.q = q, .k = k, .v = v, .route = route, .block_rows = m, .block_keys = m});
}

/* All L blocks, or with `cached` the first and the last few around the state. */
static sy_value blocks(const skip_dit *s, sy_value x, bool cached)
{
    const sy_dit *dit = &s->dit;
    sy_graph *g = dit->g;
    int32_t depth = dit->config->depth, half = depth / 2, kept = 0;
    sy_value stack[SY_ZOO_MAX_DEPTH / 2];
    sy_value cache = s->branch ? sy_state(g, "cache.x", g->nodes[x].type) : 0;
    for (int32_t i = 0; i < depth; i++) {
        bool runs = !cached || i < s->branch || i >= depth - s->branch;
        sy_scope_push(g, "blocks.%d", i);
        sy_tap(g, "executed", sy_const(g, runs));
        sy_scope_pop(g);
        if (!runs)
            continue;
        if (s->branch && i == depth - s->branch) {
            if (cached)
                x = cache;
            else {
                tap_change(dit, x, cache);
                sy_carry(g, "cache.x", x);
            }
        }
        if (i >= half) {
            sy_value popped = stack[--kept];
            tap_energy(dit, i, x, popped);
            x = fuse(dit, i - half, x, popped);
        }
        x = sy_dit_block(dit, i, x, sy_dit_dense);
        sy_dit_tap_stream(dit, i, s->region ? by_region(s, x, false) : x);
        if (i < half)
            stack[kept++] = x;
    }
    return x;
}

static sy_value build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs, int32_t region,
                      int32_t picked)
{
    skip_dit s = {.region = region, .picked = picked};
    sy_value x = sy_dit_begin(&s.dit, g, config, inputs);
    if (!sy_graph_check(g, NULL) || !read_cache(&s))
        return 0;
    bool cached = inputs->variant == SY_VARIANT_CACHED;
    if (cached && !s.branch) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "A cached evaluation needs the setting skip-cache.interval to be above 1.");
        return 0;
    }
    if (region) {
        s.dit.attend = attend_by_region;
        s.dit.own = &s;
        x = by_region(&s, x, true);
    }
    x = blocks(&s, x, cached);
    return sy_dit_end(&s.dit, region ? by_region(&s, x, false) : x);
}

sy_value sy_skip_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return build(g, config, inputs, 0, 0);
}

/* Side of a region in tokens, and how many a region's tokens read. */
static bool read_regions(const sy_network_config *c, int32_t *region, int32_t *picked, sy_error *error)
{
    int32_t grid = c->side / c->patch, side = 0;
    double count;
    if (!sy_zoo_metadata_int(c->file, "region_size", 1, MOST_REGION, &side, error) ||
        !sy_setting_number(c, "regions_picked", 0, &count, error))
        return false;
    if (!side || grid % side || !(count >= 1) || count > (grid / side) * (grid / side))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "The metadata switchyard.region_size (%d) must divide the %d tokens of a side, and "
                       "regions_picked (%g; a setting, or metadata) be 1 to the number of regions.",
                       (int)side, (int)grid, count);
    *region = side;
    *picked = (int32_t)count;
    return true;
}

sy_value sy_sparse_skip_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    int32_t region = 0, picked = 0;
    return read_regions(config, &region, &picked, &g->error) ? build(g, config, inputs, region, picked) : 0;
}

bool sy_skip_dit_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "blocks.0.adaLN_modulation.1.weight") && sy_zoo_has(file, "skip_linears.0.linear.weight");
}

/* As DiT's: 250 respaced steps, guidance 4 on the first three channels. */
bool sy_skip_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    if (!sy_dit_configure(file, config, error))
        return false;
    if (config->depth % 2)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The file has %d blocks; long skips join the first half to the second, so they must be even.",
                       (int)config->depth);
    config->variants |= 1u << SY_VARIANT_CACHED;
    config->variants &= ~(1u << SY_VARIANT_PERTURBED); /* skips join values of as many samples */
    if (sy_zoo_metadata(file, "region_size"))          /* its tokens lie by regions, all of them */
        config->variants &= ~(1u << SY_VARIANT_ACTIVE | 1u << SY_VARIANT_REFRESH);
    return true;
}
