/* Weights larger than what a device binds at once are read in pieces. A matmul over such a weight becomes matmuls over
 * runs of its columns; element-wise ops on the result stay on the pieces, so that activations, gates and biases ride in
 * the pieces' epilogues as they did before; where somebody needs all columns, they are joined. A table becomes tables
 * of runs of its rows: a row number outside a table reads 0, so the sum over the tables is the row.
 *
 * Sound: column n of a matmul depends on column n of its right argument alone, and so does an element-wise op. The
 * pieces of a stack of experts are stacks of pieces of experts, so nothing larger than a piece is made when weights are
 * loaded. */
#include "graph/ir/build.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include <stdlib.h>

enum {
    RUN = 64,      /* columns: whole panels (see hoist) */
    SHORT_RUN = 4, /* where no panel fits: whole vectors */
    MOST_PIECES = 256
};

typedef struct pieces {
    sy_value *value; /* new values; NULL: not split */
    uint32_t n;
    int32_t width; /* columns of each but the last */
} pieces;

typedef struct split {
    sy_rewrite rewrite;
    sy_arena arena;
    pieces *pieces; /* by old value */
    bool *early;    /* by old value: depends on parameters and constants alone */
    uint64_t most;  /* bytes of one binding */
} split;

static const sy_node *at(const split *s, sy_value old)
{
    return &s->rewrite.old->nodes[old];
}

static void find_early(split *s)
{
    for (sy_value v = 1; v < s->rewrite.old->n_nodes; v++) {
        const sy_node *node = at(s, v);
        s->early[v] = node->n_args ? !node->type.is_route
                                   : node->op == SY_OP_PARAM || node->op == SY_OP_CONST || node->op == SY_OP_IOTA;
        for (uint32_t i = 0; s->early[v] && i < node->n_args; i++)
            s->early[v] = s->early[node->args[i]];
    }
}

/* Bytes of a weight as it will be stored: under the cast to f32 if there is one. */
static uint64_t stored_bytes(const split *s, sy_value weight)
{
    const sy_node *node = at(s, weight);
    uint64_t own = sy_type_bytes(&node->type);
    if (node->op == SY_OP_CAST && node->type.dtype == SY_F32) {
        uint64_t inner = sy_type_bytes(&at(s, node->args[0])->type);
        return inner < own ? inner : own;
    }
    return own;
}

/* How many along `axis` of an early value go into one piece; 0: all of it can be bound, or not even one RUN can. */
static int32_t piece_width(const split *s, sy_value weight, int axis, int32_t run)
{
    uint64_t bytes = stored_bytes(s, weight);
    int32_t all = at(s, weight)->type.dim[axis];
    if (bytes <= s->most || !s->early[weight])
        return 0;
    uint64_t each = bytes / (uint64_t)all + 1, width = s->most / each / (uint64_t)run * (uint64_t)run;
    return width && ((uint64_t)all + width - 1) / width <= MOST_PIECES ? (int32_t)width : 0;
}

/* True if a reshape only puts dimensions of 1 before its argument's. */
static bool adds_ones(const sy_type *type, const sy_type *inner)
{
    int more = type->rank - inner->rank;
    for (int i = 0; i < type->rank; i++)
        if (more < 0 || type->dim[i] != (i < more ? 1 : inner->dim[i - more]))
            return false;
    return true;
}

/* start … start + size - 1 along `axis` of an old early value, as a new value, cut as close to the parameters as can
 * be. */
static sy_value cut(split *s, sy_value old, int axis, int32_t start, int32_t size)
{
    const sy_node *node = at(s, old);
    sy_graph *g = s->rewrite.graph;
    if (node->op == SY_OP_CAST)
        return sy_cast(g, cut(s, node->args[0], axis, start, size), node->type.dtype);
    if (node->op == SY_OP_CONCAT && node->attributes.axis != axis) {
        sy_value *parts = sy_arena_array(&s->arena, node->n_args, sizeof *parts);
        for (uint32_t i = 0; parts && i < node->n_args; i++)
            parts[i] = cut(s, node->args[i], axis, start, size);
        return parts ? sy_concat(g, parts, node->n_args, node->attributes.axis) : 0;
    }
    if (node->op == SY_OP_TRANSPOSE)
        return sy_transpose(g, cut(s, node->args[0], node->attributes.ints[axis], start, size), node->attributes.ints);
    const sy_type *inner = node->op == SY_OP_RESHAPE ? &at(s, node->args[0])->type : NULL;
    if (inner && adds_ones(&node->type, inner) && axis >= node->type.rank - inner->rank) {
        sy_type type = node->type;
        type.dim[axis] = size;
        return sy_reshape(g, cut(s, node->args[0], axis - (node->type.rank - inner->rank), start, size), type);
    }
    return sy_slice_axis(g, s->rewrite.map[old], axis, start, size);
}

static bool begin_pieces(split *s, sy_value old, int32_t width)
{
    pieces *p = &s->pieces[old];
    int32_t all = at(s, old)->type.dim[at(s, old)->type.rank - 1];
    p->width = width;
    p->n = (uint32_t)((all + width - 1) / width);
    p->value = sy_arena_array(&s->arena, p->n, sizeof *p->value);
    return p->value != NULL;
}

/* The whole new value of an old one, joined if it is in pieces. */
static sy_value whole(split *s, sy_value old)
{
    const pieces *p = &s->pieces[old];
    if (!s->rewrite.map[old] && p->value)
        s->rewrite.map[old] = sy_concat(s->rewrite.graph, p->value, p->n, at(s, old)->type.rank - 1);
    return s->rewrite.map[old];
}

static int32_t width_of(int32_t all, int32_t width, uint32_t index)
{
    int32_t start = (int32_t)index * width;
    return all - start < width ? all - start : width;
}

static bool split_matmul(split *s, sy_value old, int32_t width)
{
    const sy_node *node = at(s, old);
    int32_t all = node->type.dim[node->type.rank - 1];
    int axis = at(s, node->args[1])->type.rank - (node->attributes.transpose_b ? 2 : 1);
    sy_value args[3];
    if (!begin_pieces(s, old, width))
        return false;
    for (uint32_t i = 0; i < node->n_args; i++)
        args[i] = i == 1 ? 0 : whole(s, node->args[i]);
    for (uint32_t i = 0; i < s->pieces[old].n; i++) {
        args[1] = cut(s, node->args[1], axis, (int32_t)i * width, width_of(all, width, i));
        s->pieces[old].value[i] =
            sy_graph_add(s->rewrite.graph, node->op, args, node->n_args, &node->attributes, NULL, NULL);
    }
    return true;
}

/* The width of the pieces that an element-wise op's arguments come in; 0: in none, or not all alike. */
static int32_t common_width(const split *s, const sy_node *node)
{
    int32_t width = 0, all = node->type.dim[node->type.rank - 1];
    for (uint32_t i = 0; i < node->n_args; i++) {
        const pieces *p = &s->pieces[node->args[i]];
        const sy_type *type = &at(s, node->args[i])->type;
        if (p->value && (type->dim[type->rank - 1] != all || (width && p->width != width)))
            return 0;
        width = p->value ? p->width : width;
    }
    return width;
}

static bool split_elementwise(split *s, sy_value old, int32_t width)
{
    const sy_node *node = at(s, old);
    int32_t all = node->type.dim[node->type.rank - 1];
    sy_value args[3];
    if (!begin_pieces(s, old, width))
        return false;
    for (uint32_t i = 0; i < s->pieces[old].n; i++) {
        int32_t size = width_of(all, width, i);
        for (uint32_t a = 0; a < node->n_args; a++) {
            const sy_type *type = &at(s, node->args[a])->type;
            const pieces *p = &s->pieces[node->args[a]];
            if (p->value)
                args[a] = p->value[i];
            else if (type->dim[type->rank - 1] == 1)
                args[a] = whole(s, node->args[a]);
            else
                args[a] =
                    sy_slice_axis(s->rewrite.graph, whole(s, node->args[a]), type->rank - 1, (int32_t)i * width, size);
        }
        sy_type type = node->type;
        type.dim[type.rank - 1] = size;
        s->pieces[old].value[i] =
            sy_graph_add(s->rewrite.graph, node->op, args, node->n_args, &node->attributes, &type, NULL);
    }
    return true;
}

static bool split_table(split *s, sy_value old, int32_t rows)
{
    const sy_node *node = at(s, old);
    sy_graph *g = s->rewrite.graph;
    int32_t all = at(s, node->args[0])->type.dim[0];
    sy_value ids = whole(s, node->args[1]), sum = 0;
    for (int32_t start = 0; start < all; start += rows) {
        double first = start;
        sy_value table = cut(s, node->args[0], 0, start, all - start < rows ? all - start : rows);
        sy_value own = sy_sub(g, ids, sy_const_of(g, SY_T(SY_I32, 1), &first, 1));
        sy_value part = sy_take_rows(g, table, own);
        sum = sum ? sy_add(g, sum, part) : part;
    }
    s->rewrite.map[old] = sum;
    return true;
}

/* How the node is split; 0: not at all. */
static int32_t width_of_node(const split *s, sy_value v)
{
    const sy_node *node = at(s, v);
    if (node->op == SY_OP_MATMUL || node->op == SY_OP_GROUPED_MATMUL) {
        const sy_type *b = &at(s, node->args[1])->type;
        int axis = b->rank - (node->attributes.transpose_b ? 2 : 1);
        int32_t width = s->early[v] ? 0 : piece_width(s, node->args[1], axis, RUN);
        return width || s->early[v] ? width : piece_width(s, node->args[1], axis, SHORT_RUN);
    }
    if (node->op == SY_OP_TAKE_ROWS)
        return s->early[v] ? 0 : piece_width(s, node->args[0], 0, 1);
    return sy_op_is_elementwise(node->op) ? common_width(s, node) : 0;
}

/* False when memory is out; all other errors stay with the new graph. Large early values that nobody reads whole any
 * more are swept away in the end. */
static bool rewrite_node(split *s, sy_value v)
{
    const sy_node *node = at(s, v);
    int32_t width = width_of_node(s, v);
    sy_rewrite_scope(&s->rewrite, v);
    if (width && node->op == SY_OP_TAKE_ROWS)
        return split_table(s, v, width);
    if (width)
        return sy_op_is_elementwise(node->op) ? split_elementwise(s, v, width) : split_matmul(s, v, width);
    for (uint32_t i = 0; i < node->n_args; i++)
        whole(s, node->args[i]);
    sy_rewrite_copy(&s->rewrite, v);
    return true;
}

static bool anything_to_split(const split *s)
{
    for (sy_value v = 1; v < s->rewrite.old->n_nodes; v++)
        if (s->rewrite.live[v] && width_of_node(s, v))
            return true;
    return false;
}

bool sy_pass_split_weights(sy_plan *plan, sy_error *error)
{
    split s = {.most = plan->limits.storage_range};
    if (plan->limits.allocation_bytes && plan->limits.allocation_bytes < s.most)
        s.most = plan->limits.allocation_bytes;
    if (!s.most)
        return true;
    if (!sy_rewrite_begin(&s.rewrite, plan->graph, error))
        return false;
    const sy_graph *old = s.rewrite.old;
    s.pieces = sy_arena_array(&s.arena, old->n_nodes, sizeof *s.pieces);
    s.early = sy_arena_array(&s.arena, old->n_nodes, sizeof *s.early);
    bool fine = (s.pieces && s.early) || sy_no_memory(error), wanted = false;
    if (fine) {
        find_early(&s);
        wanted = anything_to_split(&s);
    }
    for (sy_value v = 1; fine && wanted && v < old->n_nodes; v++)
        if (s.rewrite.live[v])
            fine = rewrite_node(&s, v) || sy_no_memory(error);
    for (uint32_t e = 0; fine && wanted && e < old->n_ends; e++)
        whole(&s, old->ends[e].value);
    sy_arena_free(&s.arena);
    if (fine && wanted)
        return sy_rewrite_end(&s.rewrite, plan, error) && sy_rewrite_sweep(plan, error);
    sy_rewrite_abandon(&s.rewrite);
    return fine;
}
