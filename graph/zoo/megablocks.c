/* MegaBlocks, "Efficient Sparse Training with Mixture-of-Experts" (arXiv 2211.15841): one dropless mixture layer, under
 * the names of the authors' library. Whatever the load, every token reaches its experts:
 *
 *     p = softmax(W x),  y = bias + sum over the top_k likeliest e of p_e gelu(x W1_e^T) W2_e
 *
 * The paper sorts tokens by expert, pads each expert's rows to whole blocks and multiplies block-sparse matrices; here
 * a grouped matmul walks the same rows without the padding. What the paper's blocks would have wasted is tapped:
 *
 *     load      i32[E]           tokens of each expert
 *     padded    i32[E]           the same, rounded up to whole blocks of rows
 *     waste     f32[1]           share of padded rows that hold no token
 *     topology  i32[blocks, E]   1 where a block of rows is multiplied with an expert's columns: block-diagonal
 *
 * Metadata: switchyard.top_k (1), .sequence_length (512), .block_rows (128), .normalise (0: gates are raw
 * probabilities; 1: divided by their sum). */
#include "graph/zoo/moe.h"
#include "graph/zoo/networks.h"

enum { MAX_WIDTH = 1 << 15, MAX_TOKENS = 1 << 20, MAX_HIDDEN = 1 << 18 };

static sy_value whole_number(sy_graph *g, int32_t value)
{
    double number = value;
    return sy_const_of(g, SY_T(SY_I32, 1), &number, 1);
}

/* i32[E]: the blocks of the experts before each one. A row of counts times a strict upper triangle; f32 holds them. */
static sy_value blocks_before(sy_graph *g, sy_value blocks, int32_t experts)
{
    sy_value row = sy_iota(g, SY_T(SY_I32, experts, experts), 0),
             column = sy_iota(g, SY_T(SY_I32, experts, experts), 1);
    sy_value earlier = sy_cast(g, sy_binary(g, SY_OP_LESS, row, column), SY_F32);
    sy_value counts = sy_reshape(g, sy_cast(g, blocks, SY_F32), SY_T(SY_F32, 1, experts));
    return sy_reshape(g, sy_cast(g, sy_matmul(g, counts, earlier, false), SY_I32), SY_T(SY_I32, experts));
}

static void tap_blocks(sy_graph *g, sy_value route, int32_t block_rows)
{
    const sy_type type = g->nodes[route].type;
    int32_t experts = type.dim[SY_ROUTE_TARGETS], slots = type.dim[SY_ROUTE_SLOTS];
    sy_value load = sy_route_load(g, route), size = whole_number(g, block_rows);
    sy_value blocks = sy_binary(g, SY_OP_DIV, sy_add(g, load, whole_number(g, block_rows - 1)), size);
    sy_value padded = sy_mul(g, blocks, size);
    sy_value used = sy_row(g, SY_OP_REDUCE_SUM, sy_cast(g, load, SY_F32), 0);
    sy_value all = sy_row(g, SY_OP_REDUCE_SUM, sy_cast(g, padded, SY_F32), 0);
    int32_t most = slots / block_rows + experts; /* each expert has one block at most that is not full */
    sy_value first = blocks_before(g, blocks, experts), at = sy_iota(g, SY_T(SY_I32, most, experts), 0);
    sy_value begun = sy_binary(g, SY_OP_LESS, at, first);
    sy_value topology = sy_sub(g, sy_binary(g, SY_OP_LESS, at, sy_add(g, first, blocks)), begun);
    sy_tap(g, "load", load);
    sy_tap(g, "padded", padded);
    sy_tap(g, "waste", sy_sub(g, sy_const(g, 1), sy_binary(g, SY_OP_DIV, used, all)));
    sy_tap(g, "topology", topology);
}

bool sy_megablocks_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    int32_t router[2], w1[2], tokens = 512, top_k = 1, block_rows = 128, normalise = 0;
    sy_dtype dtype;
    if (!sy_zoo_shape(file, "router.layer.weight", 2, router, error) ||
        !sy_zoo_shape(file, "experts.mlp.w1", 2, w1, error) || !sy_zoo_dtype(file, "experts.mlp.w1", &dtype, error) ||
        !sy_zoo_metadata_int(file, "sequence_length", 1, MAX_TOKENS, &tokens, error) ||
        !sy_zoo_metadata_int(file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &top_k, error) ||
        !sy_zoo_metadata_int(file, "block_rows", 1, 1 << 16, &block_rows, error) ||
        !sy_zoo_metadata_int(file, "normalise", 0, 1, &normalise, error))
        return false;
    int32_t experts = router[0], width = router[1], hidden = w1[0] / experts, rows = batch * tokens;
    if (experts > SY_ZOO_MAX_EXPERTS || top_k > experts || width > MAX_WIDTH || hidden < 1 || hidden > MAX_HIDDEN ||
        hidden * experts != w1[0])
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d of %d experts of width %d with %d hidden channels in all is not possible.", (int)top_k,
                       (int)experts, (int)width, (int)w1[0]);
    sy_value x = sy_reshape(g, sy_input(g, "x", SY_T(SY_F32, batch, tokens, width)), SY_T(SY_F32, rows, width));
    sy_value p = sy_row(g, SY_OP_SOFTMAX, sy_linear(g, x, "router.layer", experts, false, dtype), 0);
    sy_value r = sy_route_top_k(g, p, top_k, normalise);
    sy_type flat = SY_T(dtype, experts * hidden, width), by_expert = SY_T(dtype, experts, hidden, width);
    sy_value up = sy_reshape(g, sy_param(g, "experts.mlp.w1", flat), by_expert);
    sy_value down = sy_reshape(g, sy_param(g, "experts.mlp.w2", flat), by_expert);
    sy_value h = sy_unary(g, SY_OP_GELU_TANH, sy_grouped_matmul(g, x, up, r, true, true));
    sy_value y = sy_combine(g, sy_grouped_matmul(g, h, down, r, false, false), r, true);
    y = sy_add(g, y, sy_zoo_param(g, "experts.bias", SY_T(dtype, width)));
    sy_output(g, "y", sy_reshape(g, y, SY_T(SY_F32, batch, tokens, width)));
    sy_scope_push(g, "blocks.0");
    sy_tap(g, "scores", p);
    sy_tap(g, "route", r);
    tap_blocks(g, r, block_rows);
    sy_scope_pop(g);
    return sy_graph_check(g, error);
}
