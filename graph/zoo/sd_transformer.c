/* The transformers of Stable Diffusion's U-Net: group norm, projection, blocks that attend to themselves and to the
 * text, projection, residual.
 *
 * GRI attention (setting "gri" = "region,pool"; A-SDM, arXiv 2312.15516): where the picture's sides divide, attention
 * to itself is global and regional at once. The paper has no public code; our reading: a query attends, in one softmax,
 * to the keys of its own region of region x region pixels and to those of the whole picture pooled by pool x pool
 * means, made by the same projections. Pixels are put in order of regions, so that a region is a block of keys, and the
 * pooled ones follow as blocks of their own: what a region sees is a route of blocks, fixed, tapped as "attn1.route" [N
 * regions -> key blocks], and the work follows it. */
#include "graph/zoo/networks.h"
#include "graph/zoo/sd_blocks.h"

#include <math.h>

typedef struct grid {
    int32_t height, width;
} grid;

/* [N,H W,C] -> [N,H W,C], pixels region after region; and back. */
static sy_value by_regions(sy_graph *g, sy_value x, grid at, int32_t side, bool back)
{
    if (!x)
        return 0;
    const sy_type type = g->nodes[x].type;
    int32_t n = type.dim[0], c = type.dim[2], rows = at.height / side, columns = at.width / side;
    sy_type split =
        back ? SY_T(SY_F32, n, rows, columns, side, side, c) : SY_T(SY_F32, n, rows, side, columns, side, c);
    x = sy_transpose(g, sy_reshape(g, x, split), (const int32_t[]){0, 1, 3, 2, 4, 5});
    return sy_reshape(g, x, type);
}

/* Means of pool x pool pixels, as tokens. */
static sy_value pooled(sy_graph *g, sy_value x, grid at, int32_t pool)
{
    if (!x)
        return 0;
    const sy_type type = g->nodes[x].type;
    x = sy_reshape(g, x, SY_T(SY_F32, type.dim[0], at.height, at.width, type.dim[2]));
    x = sy_pool(g, x, SY_POOL_MEAN, pool, pool, 0);
    return sy_reshape(g, x, SY_T(SY_F32, type.dim[0], at.height / pool * (at.width / pool), type.dim[2]));
}

/* Row i of a sample, a region, to key block i and to those of the pooled picture. */
static sy_value regions_route(sy_graph *g, int32_t samples, int32_t regions, int32_t blocks)
{
    int32_t each = 1 + blocks - regions, slots = samples * regions * each;
    sy_type list = SY_T(SY_I32, slots);
    double zero = 0, one = 1, divisor = each, count = regions;
    sy_value s = sy_iota(g, list, 0), per_row = sy_const_of(g, SY_T(SY_I32, 1), &divisor, 1);
    sy_value row = sy_binary(g, SY_OP_DIV, s, per_row), j = sy_sub(g, s, sy_mul(g, row, per_row));
    sy_value n = sy_const_of(g, SY_T(SY_I32, 1), &count, 1);
    sy_value own = sy_sub(g, row, sy_mul(g, sy_binary(g, SY_OP_DIV, row, n), n));
    double before = regions - 1;
    sy_value whole = sy_add(g, j, sy_const_of(g, SY_T(SY_I32, 1), &before, 1));
    sy_value first = sy_binary(g, SY_OP_EQUAL, j, sy_const_of(g, SY_T(SY_I32, 1), &zero, 1));
    return sy_route_build(g, row, sy_select(g, first, own, whole), sy_const_of(g, SY_T(SY_F32, slots), &one, 1),
                          samples * regions, blocks, 0, 0);
}

static sy_value regional(const sy_sd_unet *u, sy_value x, grid at, int32_t heads, const sy_layers *l)
{
    sy_graph *g = u->g;
    int32_t side = u->region, area = side * side, tokens = at.height * at.width, regions = tokens / area;
    int32_t whole = tokens / (u->pool * u->pool), blocks = regions + (whole + area - 1) / area;
    sy_value parts[] = {by_regions(g, x, at, side, false), pooled(g, x, at, u->pool)};
    sy_value keys = sy_concat(g, parts, 2, 1);
    sy_value q = sy_layers_heads(l, sy_layers_linear(l, parts[0], "to_q", false), heads);
    sy_value route = regions_route(g, sy_layers_dim(l, x, 0), regions, blocks);
    sy_tap(g, "route", route);
    sy_value y = sy_route_attention(
        g, &(sy_attention_params){.q = q,
                                  .k = sy_layers_heads(l, sy_layers_linear(l, keys, "to_k", false), heads),
                                  .v = sy_layers_heads(l, sy_layers_linear(l, keys, "to_v", false), heads),
                                  .scale = 1 / sqrt(fmax(sy_layers_dim(l, q, 3), 1)),
                                  .route = route,
                                  .block_rows = area,
                                  .block_keys = area});
    if (!y)
        return 0;
    const sy_type type = g->nodes[y].type;
    y = sy_reshape(g, sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3}),
                   SY_T(SY_F32, type.dim[0], tokens, type.dim[1] * type.dim[3]));
    return by_regions(g, y, at, side, true);
}

/* Heads of attentions that were pruned in the file are fewer, of the same size. */
static sy_value attention(sy_sd_unet *u, sy_value x, grid at, bool cross, int32_t heads)
{
    sy_graph *g = u->g;
    int32_t width = sy_layers_dim(&u->layers, x, -1), inner = sy_layers_rows(&u->layers, "to_q.weight");
    if (width % heads == 0 && inner % (width / heads) == 0)
        heads = inner / (width / heads);
    sy_units room;
    const sy_units *units = sy_sd_units(u, heads, &room);
    sy_layers l = sy_layers_pruned(&u->layers, units, NULL), last = sy_layers_pruned(&u->layers, NULL, units);
    heads = units ? units->n_kept : heads;
    bool divides = u->region && at.height % u->region == 0 && at.width % u->region == 0 && at.height % u->pool == 0 &&
                   at.width % u->pool == 0 && at.height * at.width > u->region * u->region;
    if (!cross && divides)
        return sy_layers_linear(&last, regional(u, x, at, heads, &l), "to_out.0", true);
    sy_value from = cross ? u->context : x;
    sy_value q = sy_layers_heads(&l, sy_layers_linear(&l, x, "to_q", false), heads);
    sy_value k = sy_layers_heads(&l, sy_layers_linear(&l, from, "to_k", false), heads);
    sy_value v = sy_layers_heads(&l, sy_layers_linear(&l, from, "to_v", false), heads);
    static const sy_cross_settings plain;
    sy_cross_attention a = {.settings = cross ? &u->cross : &plain,
                            .q = q,
                            .k = k,
                            .v = v,
                            .scale = 1 / sqrt(fmax(sy_layers_dim(&l, q, 3), 1))};
    if (cross && u->cross.nag && u->negative) {
        a.k_negative = sy_layers_heads(&l, sy_layers_linear(&l, u->negative, "to_k", false), heads);
        a.v_negative = sy_layers_heads(&l, sy_layers_linear(&l, u->negative, "to_v", false), heads);
    }
    return sy_layers_linear(&last, sy_cross_attend(g, &a), "to_out.0", true);
}

/* The same units of both halves of a dimension. */
static const sy_units *twice(const sy_units *units, sy_units *both)
{
    *both = (sy_units){.count = 2 * units->count, .n_kept = 2 * units->n_kept};
    for (int32_t i = 0; i < both->count; i++)
        both->kept[i] = units->kept[i % units->count];
    return both;
}

/* a gelu(b), a and b the halves of one projection. */
static sy_value feed_forward(sy_sd_unet *u, sy_value x)
{
    sy_graph *g = u->g;
    sy_units room, both;
    const sy_units *units = sy_sd_units(u, u->layers.groups, &room);
    sy_layers l = sy_layers_pruned(&u->layers, units ? twice(units, &both) : NULL, NULL);
    sy_layers last = sy_layers_pruned(&u->layers, NULL, units);
    sy_value h = sy_layers_linear(&l, x, "net.0.proj", true);
    int32_t half = sy_layers_dim(&l, h, -1) / 2;
    h = sy_mul(g, sy_slice_axis(g, h, 2, 0, half), sy_unary(g, SY_OP_GELU_ERF, sy_slice_axis(g, h, 2, half, half)));
    return sy_layers_linear(&last, h, "net.2", true);
}

static sy_value block(sy_sd_unet *u, sy_value h, grid at, int32_t heads)
{
    sy_graph *g = u->g;
    sy_value n = sy_layers_layer_norm(&u->layers, h, "norm1", 1e-5);
    sy_scope_push(g, "attn1");
    h = sy_add(g, h, attention(u, n, at, false, heads));
    sy_scope_pop(g);
    n = sy_layers_layer_norm(&u->layers, h, "norm2", 1e-5);
    sy_scope_push(g, "attn2");
    h = sy_add(g, h, attention(u, n, at, true, heads));
    sy_scope_pop(g);
    n = sy_layers_layer_norm(&u->layers, h, "norm3", 1e-5);
    sy_scope_push(g, "ff");
    h = sy_add(g, h, feed_forward(u, n));
    sy_scope_pop(g);
    return h;
}

sy_value sy_sd_transformer(sy_sd_unet *u, sy_value x, int32_t heads)
{
    sy_graph *g = u->g;
    if (!x)
        return 0;
    const sy_type image = g->nodes[x].type;
    grid at = {image.dim[1], image.dim[2]};
    sy_value h = sy_layers_tokens(&u->layers, sy_layers_group_norm(&u->layers, x, "norm", 1e-6));
    h = sy_layers_pointwise(&u->layers, h, "proj_in");
    for (int i = 0; i < SY_SD_LAYERS; i++) {
        sy_scope_push(g, "transformer_blocks.%d", i);
        bool there = sy_layers_find(&u->layers, "norm1.weight");
        h = there ? block(u, h, at, heads) : h;
        sy_scope_pop(g);
        if (!there)
            break;
    }
    return sy_add(g, sy_reshape(g, sy_layers_pointwise(&u->layers, h, "proj_out"), image), x);
}
