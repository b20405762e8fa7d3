#include "help_random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct maker {
    sy_graph *g;
    help_random r;
    int n_leaves;
} maker;

uint32_t help_next(help_random *r, uint32_t below)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

static int32_t range(maker *m, int32_t least, int32_t most)
{
    return least + (int32_t)help_next(&m->r, (uint32_t)(most - least + 1));
}

/* Names of every sort: plain words, dotted paths, and ones that need quotes and escapes. */
static const char *name(maker *m, char out[80])
{
    static const char *const forms[] = {"x%d", "blocks.%d.attn.qkv.weight", "odd name %d", "\"%d\\\"", "%d", "é\t%d",
                                        "a-%d"};
    snprintf(out, 80, forms[help_next(&m->r, sizeof forms / sizeof *forms)], m->n_leaves++);
    return out;
}

static sy_type type_of(maker *m, sy_value v)
{
    return m->g->nodes[v].type;
}

/* A fresh leaf of a random kind that can have the type. */
static sy_value leaf(maker *m, sy_type type)
{
    char text[80];
    double x = ldexp((double)range(m, -1000000, 1000000), range(m, -40, 40)) / 3;
    switch (help_next(&m->r, 5)) {
    case 0:
        return sy_input(m->g, name(m, text), type);
    case 1:
        return sy_state(m->g, name(m, text), type);
    case 2:
        if (type.dtype == SY_I32 || type.dtype == SY_U32)
            x = range(m, 0, 3);
        return sy_const_of(m->g, type, &x, 1);
    default:
        return sy_param(m->g, name(m, text), type);
    }
}

/* An earlier tensor with that dtype and rank (0: any), or a fresh one. */
static sy_value pick(maker *m, sy_dtype dtype, int rank)
{
    for (int attempt = 0; attempt < 20 && m->g->n_nodes > 1; attempt++) {
        sy_value v = 1 + help_next(&m->r, m->g->n_nodes - 1);
        sy_type t = type_of(m, v);
        if (!t.is_route && t.dtype == dtype && (!rank || t.rank == rank) && sy_type_count(&t) < 4096)
            return v;
    }
    sy_type type = {.dtype = dtype, .rank = (uint8_t)(rank ? rank : range(m, 1, 4))};
    for (int i = 0; i < type.rank; i++)
        type.dim[i] = range(m, 1, 7);
    return leaf(m, type);
}

static sy_value fresh_route(maker *m)
{
    int32_t rows = range(m, 1, 12), targets = range(m, 1, 6);
    sy_value scores = leaf(m, SY_T(SY_F32, rows, targets));
    m->g->steered = help_next(&m->r, 2);
    return sy_route_top_k(m->g, scores, range(m, 1, targets), help_next(&m->r, 2));
}

static sy_value pick_route(maker *m)
{
    for (int attempt = 0; attempt < 10 && m->g->n_nodes > 1; attempt++) {
        sy_value v = 1 + help_next(&m->r, m->g->n_nodes - 1);
        if (type_of(m, v).is_route)
            return v;
    }
    return fresh_route(m);
}

/* A tensor that broadcasts against x. */
static sy_value partner(maker *m, sy_value x)
{
    sy_type type = type_of(m, x);
    for (int i = 0; i < type.rank; i++)
        if (!help_next(&m->r, 3))
            type.dim[i] = 1;
    return leaf(m, type);
}

static sy_value make_leaf(maker *m, sy_op op)
{
    char text[80];
    sy_type type = SY_T(help_next(&m->r, 2) ? SY_F32 : SY_F16, range(m, 1, 9), range(m, 1, 9));
    double values[81];
    switch (op) {
    case SY_OP_STEP:
        return sy_step(m->g, name(m, text));
    case SY_OP_STEP_INDEX:
        return sy_step_index(m->g);
    case SY_OP_IOTA:
        type.dtype = help_next(&m->r, 2) ? SY_I32 : SY_F32;
        return sy_iota(m->g, type, range(m, 0, 1));
    case SY_OP_CONST:
        for (int i = 0; i < 81; i++)
            values[i] = i == 5 ? -0.0 : (double)range(m, -1000000000, 1000000000) / range(m, 1, 1 << 20);
        type.dtype = SY_F32;
        return sy_const_of(m->g, type, values, help_next(&m->r, 4) ? (uint32_t)sy_type_count(&type) : 1);
    case SY_OP_INPUT:
        return sy_input(m->g, name(m, text), type);
    case SY_OP_STATE:
        return sy_state(m->g, name(m, text), type);
    default:
        return sy_param(m->g, name(m, text), type);
    }
}

static sy_value make_view(maker *m, sy_op op)
{
    sy_value x = pick(m, SY_F32, 0);
    sy_type type = type_of(m, x);
    int32_t ints[SY_MAX_RANK] = {0};
    int axis = range(m, 0, type.rank - 1);
    switch (op) {
    case SY_OP_RESHAPE:
        return sy_reshape(m->g, x, SY_T(SY_F32, 1, (int32_t)sy_type_count(&type)));
    case SY_OP_TRANSPOSE:
        for (int i = 0; i < type.rank; i++)
            ints[i] = (i + axis) % type.rank;
        return sy_transpose(m->g, x, ints);
    case SY_OP_SLICE:
        ints[0] = range(m, 0, type.dim[axis] - 1);
        return sy_slice_axis(m->g, x, axis, ints[0], range(m, 1, type.dim[axis] - ints[0]));
    case SY_OP_BROADCAST:
        x = partner(m, x);
        if (type.rank < SY_MAX_RANK) { /* repeated in any case */
            memmove(type.dim + 1, type.dim, type.rank++ * sizeof *type.dim);
            type.dim[0] = 2;
        }
        return sy_broadcast(m->g, x, type);
    default:
        return help_next(&m->r, 2) && type.rank < SY_MAX_RANK
                   ? sy_stack(m->g, (sy_value[]){x, x, leaf(m, type)}, 3)
                   : sy_concat(m->g, (sy_value[]){x, leaf(m, type)}, 2, axis);
    }
}

static sy_value make_product(maker *m, sy_op op)
{
    sy_value x = pick(m, SY_F32, help_next(&m->r, 2) ? 2 : 3);
    sy_type type = type_of(m, x);
    int32_t k = type.dim[type.rank - 1], n = range(m, 1, 9), b = range(m, 1, 2), h = range(m, 1, 3), s = range(m, 1, 5);
    bool t = help_next(&m->r, 2);
    char text[80];
    if (op == SY_OP_MATMUL)
        return help_next(&m->r, 2) ? sy_linear(m->g, x, name(m, text), n, t, SY_F32)
                                   : sy_matmul(m->g, x, leaf(m, t ? SY_T(SY_F32, n, k) : SY_T(SY_F32, k, n)), t);
    sy_attention_params p = {.k = leaf(m, SY_T(SY_F32, b, 1, s, 4)), .v = leaf(m, SY_T(SY_F32, b, 1, s, 3))};
    p.q = leaf(m, SY_T(SY_F32, b, h, n, 4));
    p.scale = 1 / sqrt(k);
    p.causal = help_next(&m->r, 2);
    if (op == SY_OP_ATTENTION) {
        p.bias = help_next(&m->r, 2) ? leaf(m, SY_T(SY_F32, h, 1, s)) : 0;
        return sy_attention_full(m->g, &p);
    }
    p.block_rows = p.block_keys = 2;
    p.skip = (double)help_next(&m->r, 2) * 3.5;
    p.route = sy_route_top_k(m->g, leaf(m, SY_T(SY_F32, b * (t ? 1 : h) * ((n + 1) / 2), (s + 1) / 2)), 1, false);
    return sy_route_attention(m->g, &p);
}

static sy_value make_image(maker *m, sy_op op)
{
    int32_t n = range(m, 1, 3), c = range(m, 1, 3), s = range(m, 3, 5);
    sy_type type = {.dtype = SY_F32, .rank = (uint8_t)(n + 2), .dim = {1, s, s, s, c}}, w = type;
    type.dim[n + 1] = w.dim[n] = c;
    w.dim[n + 1] = range(m, 1, 5);
    for (int d = 0; d < n; d++)
        w.dim[d] = range(m, 1, 3);
    sy_attributes a = {
        .stride = {range(m, 1, 2)}, .pad = {0, 1}, .pad_high = {1}, .dilate = {1}, .up = {range(m, 1, 2)}};
    a.pad[1] = n > 1;
    sy_value x = leaf(m, type);
    if (op == SY_OP_CONV)
        return sy_conv(m->g, x, leaf(m, w), &a);
    if (op == SY_OP_POOL)
        return sy_pool(m->g, x, (sy_pool_mode)range(m, 0, 2), range(m, 2, 3), range(m, 1, 2), range(m, 0, 1));
    if (op == SY_OP_RESIZE)
        return sy_resize(m->g, x, (const int32_t[]){range(m, 1, 7), range(m, 1, 7), range(m, 1, 7)},
                         help_next(&m->r, 2));
    return sy_pad(m->g, x, (const int32_t[SY_MAX_RANK]){0, range(m, 0, 2)}, (const int32_t[SY_MAX_RANK]){0, 1},
                  (sy_pad_mode)range(m, 0, 3));
}

static sy_value make_route(maker *m, sy_op op)
{
    sy_value r = pick_route(m);
    int32_t rows = type_of(m, r).dim[SY_ROUTE_ROWS], targets = type_of(m, r).dim[SY_ROUTE_TARGETS];
    int32_t slots = type_of(m, r).dim[SY_ROUTE_SLOTS], n = range(m, 1, 6), list = range(m, 1, 20);
    switch (op) {
    case SY_OP_ROUTE_TOP_K:
        return fresh_route(m);
    case SY_OP_ROUTE_EXPERT_CHOICE:
        return sy_route_expert_choice(m->g, leaf(m, SY_T(SY_F32, 12, n)), range(m, 1, 4), 4);
    case SY_OP_ROUTE_SPLIT:
        return sy_route_split(m->g, r, leaf(m, SY_T(SY_I32, rows)), targets, targets + 1);
    case SY_OP_ROUTE_CAPACITY:
        r = fresh_route(m);
        return sy_route_capacity(m->g, r, range(m, 1, 3), type_of(m, r).dim[SY_ROUTE_ROWS], help_next(&m->r, 2));
    case SY_OP_ROUTE_BUILD:
        return sy_route_build(m->g, leaf(m, SY_T(SY_I32, list)), leaf(m, SY_T(SY_I32, list)),
                              leaf(m, SY_T(SY_F32, list)), rows, targets, range(m, 0, 3), rows);
    case SY_OP_GROUPED_MATMUL:
        return sy_grouped_matmul(m->g, leaf(m, SY_T(SY_F32, rows, 5)), leaf(m, SY_T(SY_F32, targets, 5, n)), r, true,
                                 false);
    case SY_OP_COMBINE:
        return sy_combine(m->g, leaf(m, SY_T(SY_F32, slots, n)), r, help_next(&m->r, 2));
    case SY_OP_ROUTE_GATHER:
        return sy_route_gather(m->g, leaf(m, SY_T(SY_F32, rows, n)), r);
    case SY_OP_ROUTE_SCATTER:
        return sy_route_scatter(m->g, leaf(m, SY_T(SY_F32, slots, n)), r, leaf(m, SY_T(SY_F32, rows, n)));
    case SY_OP_ROUTE_SPREAD:
        return sy_route_spread(m->g, leaf(m, SY_T(SY_F32, targets, n)), r);
    default:
        return sy_unary(m->g, op, r); /* route.load, route.words */
    }
}

static sy_value make_map(maker *m, sy_op op)
{
    sy_value x = pick(m, SY_F32, 0);
    sy_type type = type_of(m, x);
    switch (op) {
    case SY_OP_CAST:
        return sy_cast(m->g, x, help_next(&m->r, 2) ? SY_F16 : SY_I32);
    case SY_OP_SELECT:
        type.dtype = SY_I32;
        return sy_select(m->g, leaf(m, type), x, partner(m, x));
    case SY_OP_TAKE_ROWS:
        return sy_take_rows(m->g, x, leaf(m, SY_T(SY_I32, range(m, 1, 5))));
    case SY_OP_TAKE_LAST:
        type.dtype = SY_I32;
        type.dim[type.rank - 1] = range(m, 1, 4);
        return sy_take_last(m->g, x, leaf(m, type));
    case SY_OP_RANDOM_NORMAL:
        return sy_random_normal(m->g, leaf(m, SY_T(SY_U32, 2)), help_next(&m->r, 2) ? sy_step_index(m->g) : 0,
                                range(m, 0, 9), SY_T(SY_F32, 2, 3, range(m, 1, 9)));
    case SY_OP_TOP_K:
        return sy_top_k(m->g, x, range(m, 1, type.dim[type.rank - 1]));
    case SY_OP_ENTMAX:
        return sy_entmax(m->g, x, help_next(&m->r, 2) ? 1.5 : 2);
    case SY_OP_HISTOGRAM:
        type.dtype = SY_I32;
        return sy_histogram(m->g, leaf(m, type), range(m, 1, 5));
    case SY_OP_MOMENTS:
        return sy_graph_add(m->g, op, &x, 1, &(sy_attributes){.length = type.rank > 1 ? type.dim[type.rank - 2] : 1},
                            NULL, NULL);
    case SY_OP_GROUP_MOMENT: {
        int32_t images = range(m, 1, 2), channels = range(m, 1, 3) * 2, groups = range(m, 1, 2);
        sy_type to = SY_T(SY_F32, images, help_next(&m->r, 2) ? groups : channels, 1);
        x = leaf(m, SY_T(SY_F32, images, range(m, 1, 5), range(m, 1, 5), channels));
        return sy_graph_add(m->g, op, &x, 1, &(sy_attributes){.groups = groups, .mode = range(m, 0, 1)}, &to, NULL);
    }
    case SY_OP_SORT_PLACE:
        type.dtype = SY_I32;
        return sy_unary(m->g, op, leaf(m, type));
    case SY_OP_SORT_MERGE:
        type.dtype = SY_I32;
        return sy_graph_add(m->g, op, (sy_value[]){x, leaf(m, type)}, 2,
                            &(sy_attributes){.length = range(m, 1, 5), .order = range(m, 0, 1)}, NULL, NULL);
    case SY_OP_SORT:
    case SY_OP_SORT_RANK:
    case SY_OP_CUMSUM:
        return sy_unary(m->g, op, x);
    default:
        if (sy_op_get(op)->least == 2)
            return sy_binary(m->g, op, x, partner(m, x));
        return sy_row(m->g, op, x, sy_op_get(op)->attributes ? 1e-6 : 0);
    }
}

static void make(maker *m, sy_op op)
{
    const sy_op_info *info = sy_op_get(op);
    sy_scope_push(m->g, help_next(&m->r, 9) ? "blocks.%d" : "odd \"%d\" scope", range(m, 0, 4));
    if (info->class == SY_CLASS_LEAF)
        make_leaf(m, op);
    else if (info->class == SY_CLASS_VIEW || op == SY_OP_CONCAT)
        make_view(m, op);
    else if (op == SY_OP_CONV || op == SY_OP_POOL || op == SY_OP_RESIZE || op == SY_OP_PAD)
        make_image(m, op);
    else if (op == SY_OP_MATMUL || info->class == SY_CLASS_ATTENTION)
        make_product(m, op);
    else if (info->class == SY_CLASS_ROUTE || op == SY_OP_COMBINE || op == SY_OP_GROUPED_MATMUL ||
             !strncmp(info->name, "route.", 6))
        make_route(m, op);
    else
        make_map(m, op);
    sy_scope_pop(m->g);
    if (m->g->error.code != SY_CODE_OK) {
        fprintf(stderr, "random graph: %s: %s\n", info->name, m->g->error.message);
        abort();
    }
}

sy_graph *help_random_graph(uint64_t seed, sy_op op, int n_ops)
{
    maker m = {.g = sy_graph_create("random \"graph\""), .r = {seed}};
    for (int i = 0; i < n_ops; i++)
        make(&m, (sy_op)range(&m, SY_OP_NONE + 1, SY_OP_COUNT - 1));
    make(&m, op);
    for (sy_value v = 1; v < m.g->n_nodes; v++) {
        char text[80];
        if (!help_next(&m.r, 3))
            m.g->nodes[v].group = range(&m, 0, 20);
        if (!help_next(&m.r, 9))
            m.g->nodes[v].load_time = false; /* as a pass may decide; then for all that follows from it, too */
        for (uint32_t i = 0; i < m.g->nodes[v].n_args; i++)
            m.g->nodes[v].load_time &= m.g->nodes[m.g->nodes[v].args[i]].load_time;
        if (!help_next(&m.r, 6))
            sy_graph_end(m.g, (sy_end_kind[]){SY_END_OUTPUT, SY_END_TAP, SY_END_STEP_OUTPUT}[help_next(&m.r, 3)],
                         name(&m, text), v);
        if (m.g->nodes[v].op == SY_OP_STATE)
            sy_carry(m.g, m.g->nodes[v].name, v);
    }
    return m.g;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_attributes(const sy_attributes *a, const sy_attributes *b)
{
    sy_attributes x = *a, y = *b;
    if (x.values.count != y.values.count ||
        (x.values.count && memcmp(x.values.data, y.values.data, x.values.count * sizeof *x.values.data)))
        return false;
    x.values.data = y.values.data = NULL;
#define SAME_I(field) x.field != y.field
#define SAME_L(field) memcmp(x.field, y.field, sizeof x.field)
#define SAME_F(field) memcmp(&x.field, &y.field, sizeof x.field)
#define SAME_V(field) false
#define X(kind, field)                                                                                                 \
    if (SAME_##kind(field))                                                                                            \
        return false;
    SY_ATTRIBUTE_LIST(X)
#undef X
    return true;
}

const char *help_difference(const sy_graph *a, const sy_graph *b)
{
    if (!same_text(a->name, b->name) || a->n_nodes != b->n_nodes || a->n_ends != b->n_ends)
        return "name or counts";
    for (sy_value v = 1; v < a->n_nodes; v++) {
        const sy_node *x = &a->nodes[v], *y = &b->nodes[v];
        if (x->op != y->op || x->n_args != y->n_args ||
            (x->n_args && memcmp(x->args, y->args, x->n_args * sizeof *x->args)))
            return "op or arguments";
        if (!sy_type_equal(&x->type, &y->type) || !same_attributes(&x->attributes, &y->attributes))
            return "type or attributes";
        if (!same_text(x->name, y->name) || !same_text(x->scope, y->scope))
            return "name or scope";
        if (x->load_time != y->load_time || x->group != y->group)
            return "load time or group";
    }
    for (uint32_t i = 0; i < a->n_ends; i++)
        if (a->ends[i].kind != b->ends[i].kind || a->ends[i].value != b->ends[i].value ||
            !same_text(a->ends[i].name, b->ends[i].name))
            return "ends";
    return NULL;
}
