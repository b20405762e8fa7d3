/* Views of views become one view; views that change nothing go. And widening casts of weights move outwards past
 * views and concats, so that stacked or transposed half-precision weights stay half precision in memory: the cast is
 * then made where the weight is read. Sound: a view names elements and a cast changes each by itself, so they commute.
 */
#include "graph/passes/simplify.h"

#include <string.h>

static const sy_node *def(const sy_simplifier *s, sy_value value)
{
    return &s->graph->nodes[value];
}

static sy_value one(sy_simplifier *s, sy_op op, sy_value x, const sy_attributes *attributes, const sy_type *type)
{
    sy_node node = {.op = op, .n_args = 1, .args = &x, .type = *type};
    if (attributes)
        node.attributes = *attributes;
    return sy_simplify_share(s, &node);
}

static sy_value transpose(sy_simplifier *s, const sy_node *node, const sy_node *x)
{
    const int32_t *perm = node->attributes.ints;
    int last = -1;
    bool keeps_order = true; /* of the dimensions that are not 1 */
    for (int d = 0; d < node->type.rank; d++) {
        if (node->type.dim[d] == 1)
            continue;
        keeps_order &= perm[d] > last;
        last = perm[d];
    }
    if (keeps_order)
        return one(s, SY_OP_RESHAPE, node->args[0], NULL, &node->type);
    if (x->op != SY_OP_TRANSPOSE)
        return 0;
    sy_attributes both = {0};
    for (int d = 0; d < node->type.rank; d++)
        both.ints[d] = x->attributes.ints[perm[d]];
    return one(s, SY_OP_TRANSPOSE, x->args[0], &both, &node->type);
}

/* A slice that lies in one part of a concat is a slice of that part. */
static sy_value slice_of_concat(sy_simplifier *s, const sy_node *node, const sy_node *x)
{
    int axis = x->attributes.axis;
    int64_t begin = node->attributes.ints[axis], end = begin + node->type.dim[axis], at = 0;
    for (uint32_t i = 0; i < x->n_args; i++) {
        int64_t next = at + def(s, x->args[i])->type.dim[axis];
        if (begin >= at && end <= next) {
            sy_attributes inside = node->attributes;
            inside.ints[axis] = (int32_t)(begin - at);
            return one(s, SY_OP_SLICE, x->args[i], &inside, &node->type);
        }
        at = next;
    }
    return 0;
}

static sy_value slice(sy_simplifier *s, const sy_node *node, const sy_node *x)
{
    if (x->op == SY_OP_CONCAT)
        return slice_of_concat(s, node, x);
    if (x->op != SY_OP_SLICE)
        return 0;
    sy_attributes sum = {0};
    for (int d = 0; d < node->type.rank; d++)
        sum.ints[d] = node->attributes.ints[d] + x->attributes.ints[d];
    return one(s, SY_OP_SLICE, x->args[0], &sum, &node->type);
}

static bool widens(const sy_simplifier *s, const sy_node *node)
{
    if (node->op != SY_OP_CAST || node->type.dtype != SY_F32 || !node->load_time)
        return false;
    sy_dtype from = def(s, node->args[0])->type.dtype;
    return from == SY_F16 || from == SY_BF16;
}

static sy_value cast_outwards(sy_simplifier *s, const sy_node *node, const sy_node *x)
{
    sy_type narrow = node->type;
    narrow.dtype = def(s, x->args[0])->type.dtype;
    sy_value inside = one(s, node->op, x->args[0], &node->attributes, &narrow);
    return inside ? one(s, SY_OP_CAST, inside, NULL, &node->type) : 0;
}

static sy_value view(sy_simplifier *s, const sy_node *node)
{
    const sy_node *x = def(s, node->args[0]);
    double number;
    if (sy_type_equal(&x->type, &node->type) && node->op != SY_OP_TRANSPOSE)
        return node->args[0]; /* a slice or broadcast to the same shape is whole */
    if (sy_is_splat(s->graph, node->args[0], &number))
        return sy_simplify_share(s, &(sy_node){.op = SY_OP_CONST, .attributes = x->attributes, .type = node->type});
    if (widens(s, x))
        return cast_outwards(s, node, x);
    switch (node->op) {
    case SY_OP_RESHAPE:
        return x->op == SY_OP_RESHAPE ? one(s, SY_OP_RESHAPE, x->args[0], NULL, &node->type) : 0;
    case SY_OP_TRANSPOSE:
        return transpose(s, node, x);
    case SY_OP_SLICE:
        return slice(s, node, x);
    case SY_OP_BROADCAST:
        return x->op == SY_OP_BROADCAST ? one(s, SY_OP_BROADCAST, x->args[0], NULL, &node->type) : 0;
    default:
        return 0;
    }
}

/* Slices of one value, side by side from its beginning to its end, are that value. */
static sy_value whole_again(const sy_simplifier *s, const sy_node *node)
{
    int axis = node->attributes.axis;
    sy_value x = 0;
    int32_t at = 0;
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sy_node *part = def(s, node->args[i]);
        if (part->op != SY_OP_SLICE || (x && part->args[0] != x))
            return 0;
        x = part->args[0];
        for (int d = 0; d < node->type.rank; d++)
            if (part->attributes.ints[d] != (d == axis ? at : 0))
                return 0;
        at += part->type.dim[axis];
    }
    return sy_type_equal(&def(s, x)->type, &node->type) ? x : 0;
}

static sy_value concat_of_casts(sy_simplifier *s, const sy_node *node)
{
    enum { MOST = 1024 }; /* the most concat takes */
    sy_value inside[MOST];
    sy_dtype dtype = def(s, def(s, node->args[0])->n_args ? def(s, node->args[0])->args[0] : node->args[0])->type.dtype;
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sy_node *part = def(s, node->args[i]);
        if (!widens(s, part) || def(s, part->args[0])->type.dtype != dtype)
            return 0;
        inside[i] = part->args[0];
    }
    sy_node narrow = *node;
    narrow.args = inside;
    narrow.type.dtype = dtype;
    sy_value joined = sy_simplify_share(s, &narrow);
    return joined ? one(s, SY_OP_CAST, joined, NULL, &node->type) : 0;
}

sy_value sy_simplify_view(sy_simplifier *s, const sy_node *node)
{
    if (node->op == SY_OP_CONCAT) {
        if (node->n_args == 1)
            return node->args[0];
        sy_value whole = whole_again(s, node);
        return whole ? whole : concat_of_casts(s, node);
    }
    return sy_op_get(node->op)->class == SY_CLASS_VIEW ? view(s, node) : 0;
}
