/* Algebraic identities. Each case says what equals what; all are exact but for these: x + 0 turns -0 into +0 and the
 * rule does not, and top_k of a softmax may see ties where rounding made two probabilities equal that were not. */
#include "graph/passes/simplify.h"

static const sy_node *def(const sy_simplifier *s, sy_value value)
{
    return &s->graph->nodes[value];
}

/* `value`, if it has the type the node has: dropping a broadcast would change the shape. */
static sy_value if_typed(const sy_simplifier *s, sy_value value, const sy_node *node)
{
    return sy_type_equal(&def(s, value)->type, &node->type) ? value : 0;
}

static bool is(const sy_simplifier *s, sy_value value, double wanted)
{
    double number;
    return sy_is_splat(s->graph, value, &number) && number == wanted;
}

/* x sigmoid(x) = silu(x) */
static sy_value silu(sy_simplifier *s, const sy_node *node)
{
    for (int i = 0; i < 2; i++) {
        const sy_node *gate = def(s, node->args[i]);
        sy_value x = node->args[1 - i];
        if (gate->op != SY_OP_SIGMOID || gate->args[0] != x)
            continue;
        return sy_simplify_share(s, &(sy_node){.op = SY_OP_SILU, .n_args = 1, .args = &x, .type = node->type});
    }
    return 0;
}

/* A cast of a cast is the outer cast if the inner one kept every value: from half to single precision. */
static sy_value cast(sy_simplifier *s, const sy_node *node)
{
    const sy_node *inner = def(s, node->args[0]);
    if (inner->type.dtype == node->type.dtype)
        return node->args[0];
    if (inner->op != SY_OP_CAST || inner->type.dtype != SY_F32)
        return 0;
    sy_value x = inner->args[0];
    sy_dtype from = def(s, x)->type.dtype;
    if (from != SY_F16 && from != SY_BF16)
        return 0;
    if (from == node->type.dtype)
        return x;
    return sy_simplify_share(s, &(sy_node){.op = SY_OP_CAST, .n_args = 1, .args = &x, .type = node->type});
}

/* Argument shapes right-aligned, 1 repeats: does the result keep its shape if argument `at` has type `type`? */
static bool broadcasts_to(const sy_simplifier *s, const sy_node *node, uint32_t at, const sy_type *type)
{
    for (int d = 0; d < node->type.rank; d++) {
        int32_t widest = 1;
        for (uint32_t i = 0; i < node->n_args; i++) {
            const sy_type *t = i == at ? type : &def(s, node->args[i])->type;
            int own = d - (node->type.rank - t->rank);
            if (own >= 0 && t->dim[own] > widest)
                widest = t->dim[own];
        }
        if (widest != node->type.dim[d])
            return false;
    }
    return true;
}

/* Element-wise ops broadcast by themselves. */
static sy_value drop_broadcast(sy_simplifier *s, const sy_node *node)
{
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sy_node *arg = def(s, node->args[i]);
        if (arg->op != SY_OP_BROADCAST || !broadcasts_to(s, node, i, &def(s, arg->args[0])->type))
            continue;
        sy_value args[3];
        for (uint32_t j = 0; j < node->n_args; j++)
            args[j] = j == i ? arg->args[0] : node->args[j];
        sy_node without = *node;
        without.args = args;
        return sy_simplify_share(s, &without);
    }
    return 0;
}

/* softmax is monotonic along the row, so the k largest stand at the same places. */
static sy_value top_k(sy_simplifier *s, const sy_node *node)
{
    const sy_node *arg = def(s, node->args[0]);
    if (arg->op != SY_OP_SOFTMAX)
        return 0;
    sy_node without = *node;
    without.args = (sy_value[]){arg->args[0]};
    return sy_simplify_share(s, &without);
}

/* b[…,N,K] transposed is b read the other way: a view less. */
static sy_value transposed_right(sy_simplifier *s, const sy_node *node)
{
    const sy_node *right = def(s, node->args[1]);
    int rank = right->type.rank;
    if (right->op != SY_OP_TRANSPOSE)
        return 0;
    for (int d = 0; d < rank; d++) {
        int wanted = d < rank - 2 ? d : 2 * rank - 3 - d;
        if (right->attributes.ints[d] != wanted)
            return 0;
    }
    sy_value args[3] = {node->args[0], right->args[0], node->n_args > 2 ? node->args[2] : 0};
    sy_node direct = *node;
    direct.args = args;
    direct.attributes.transpose_b = !node->attributes.transpose_b;
    return sy_simplify_share(s, &direct);
}

static sy_value binary(sy_simplifier *s, const sy_node *node)
{
    sy_value a = node->args[0], b = node->args[1], kept = 0;
    switch (node->op) {
    case SY_OP_ADD:
        kept = is(s, b, 0) ? a : is(s, a, 0) ? b : 0;
        break;
    case SY_OP_SUB:
        kept = is(s, b, 0) ? a : 0;
        break;
    case SY_OP_MUL:
        kept = is(s, b, 1) ? a : is(s, a, 1) ? b : 0;
        break;
    case SY_OP_DIV:
        kept = is(s, b, 1) ? a : 0;
        break;
    case SY_OP_MIN:
    case SY_OP_MAX:
        kept = a == b ? a : 0;
        break;
    default:
        break;
    }
    if (kept && (kept = if_typed(s, kept, node)))
        return kept;
    kept = node->op == SY_OP_MUL ? silu(s, node) : 0;
    return kept ? kept : drop_broadcast(s, node);
}

static sy_value select(sy_simplifier *s, const sy_node *node)
{
    double condition;
    sy_value kept = 0;
    if (node->args[1] == node->args[2])
        kept = if_typed(s, node->args[1], node);
    else if (sy_is_splat(s->graph, node->args[0], &condition))
        kept = if_typed(s, node->args[condition != 0 ? 1 : 2], node);
    return kept ? kept : drop_broadcast(s, node);
}

/* A convolution whose window is one pixel is a matmul. */
static sy_value one_pixel(sy_simplifier *s, const sy_node *node)
{
    const sy_type *w = &def(s, node->args[1])->type;
    const sy_attributes *a = &node->attributes;
    for (int d = 0; d < w->rank - 2; d++)
        if (w->dim[d] != 1 || a->stride[d] > 1 || a->up[d] > 1 || a->pad[d] || a->pad_high[d])
            return 0;
    if (a->groups > 1)
        return 0;
    sy_value weight = node->args[1];
    sy_node matrix = {.op = SY_OP_RESHAPE, .n_args = 1, .args = &weight, .scope = node->scope, .group = -1};
    matrix.type = sy_tensor(w->dtype, 2, w->dim + w->rank - 2);
    sy_value args[] = {node->args[0], sy_simplify_share(s, &matrix)};
    sy_node product = {
        .op = SY_OP_MATMUL, .n_args = 2, .args = args, .type = node->type, .scope = node->scope, .group = -1};
    return args[1] ? sy_simplify_share(s, &product) : 0;
}

sy_value sy_simplify_algebra(sy_simplifier *s, const sy_node *node)
{
    switch (node->op) {
    case SY_OP_NEG:
        return def(s, node->args[0])->op == SY_OP_NEG ? def(s, node->args[0])->args[0] : 0;
    case SY_OP_CAST:
        return cast(s, node);
    case SY_OP_ADD:
    case SY_OP_SUB:
    case SY_OP_MUL:
    case SY_OP_DIV:
    case SY_OP_MIN:
    case SY_OP_MAX:
    case SY_OP_LESS:
    case SY_OP_EQUAL:
        return binary(s, node);
    case SY_OP_SELECT:
        return select(s, node);
    case SY_OP_TOP_K:
        return top_k(s, node);
    case SY_OP_CONV:
        return one_pixel(s, node);
    case SY_OP_MATMUL:
    case SY_OP_GROUPED_MATMUL:
        return transposed_right(s, node);
    default:
        return 0;
    }
}
