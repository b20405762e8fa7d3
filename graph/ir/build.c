/* The builder, first half: scopes, leaves, element-wise ops, views and ends. Each function puts arguments and
 * attributes in place and leaves all checking to sy_graph_add; what it must know of an argument's type before
 * that (a slice of one axis, a stack) it reads only after checking that the value exists. */
#include "graph/ir/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SCOPE_SIZE = 512 };

sy_type sy_build_type(sy_dtype dtype, const int32_t *dims, size_t rank)
{
    return sy_tensor(dtype, rank > SY_MAX_RANK ? -1 : (int)rank, dims);
}

/* The scopes that are open, innermost first; made in the graph's arena, so they need no giving back. */
struct sy_scope_frame {
    struct sy_scope_frame *outer;
    const char *scope; /* the scope before this one was pushed */
};

void sy_scope_push(sy_graph *g, const char *format, ...)
{
    char name[SCOPE_SIZE];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(name, sizeof name, format, list);
    va_end(list);
    if (n < 0 || n >= (int)sizeof name || strlen(g->scope) + (size_t)n >= sizeof name) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "scope \"%.100s\" is longer than %d bytes.", name, SCOPE_SIZE - 1);
        name[0] = '\0';
    }
    struct sy_scope_frame *frame = sy_arena_alloc(&g->arena, sizeof *frame);
    const char *scope = sy_arena_printf(&g->arena, "%s%s%s", g->scope, *g->scope && *name ? "." : "", name);
    if (!frame || !scope) {
        sy_fail(&g->error, SY_CODE_OUT_OF_MEMORY, "no memory for scope \"%s\".", name);
        return;
    }
    *frame = (struct sy_scope_frame){g->frames, g->scope};
    g->frames = frame;
    g->scope = scope;
}

void sy_scope_pop(sy_graph *g)
{
    if (!g->frames) {
        sy_fail(&g->error, SY_CODE_INTERNAL, "a scope is popped that was never pushed.");
        return;
    }
    g->scope = g->frames->scope;
    g->frames = g->frames->outer;
}

/* `name` with the scope in front, in the arena; NULL (and the error set) when memory is out. */
static const char *scoped(sy_graph *g, const char *name)
{
    const char *text = *g->scope ? sy_arena_printf(&g->arena, "%s.%s", g->scope, name) : name;
    if (!text)
        sy_fail(&g->error, SY_CODE_OUT_OF_MEMORY, "no memory for the name \"%s\".", name);
    return text;
}

static sy_value find_leaf(const sy_graph *g, sy_op op, const char *name)
{
    for (sy_value v = 1; v < g->n_nodes; v++)
        if (g->nodes[v].op == op && (!name || !strcmp(g->nodes[v].name, name)))
            return v;
    return 0;
}

/* The one leaf of that op and name; made when it is not there. */
static sy_value leaf_once(sy_graph *g, sy_op op, const char *name, const sy_type *type)
{
    sy_value v = find_leaf(g, op, name);
    char text[96], before[96];
    if (!v)
        return sy_graph_add(g, op, NULL, 0, NULL, type, name);
    if (type && !sy_type_equal(type, &g->nodes[v].type)) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s \"%s\" is asked for as %s, and before as %s.",
                sy_op_get(op)->name, name, sy_type_text(type, text), sy_type_text(&g->nodes[v].type, before));
        return 0;
    }
    return v;
}

sy_value sy_input(sy_graph *g, const char *name, sy_type type)
{
    return leaf_once(g, SY_OP_INPUT, name, &type);
}

sy_value sy_state(sy_graph *g, const char *name, sy_type type)
{
    return leaf_once(g, SY_OP_STATE, name, &type);
}

sy_value sy_step(sy_graph *g, const char *name)
{
    return leaf_once(g, SY_OP_STEP, name, NULL);
}

sy_value sy_step_index(sy_graph *g)
{
    return leaf_once(g, SY_OP_STEP_INDEX, NULL, NULL);
}

sy_value sy_param(sy_graph *g, const char *name, sy_type type)
{
    const char *whole = scoped(g, name);
    return whole ? leaf_once(g, SY_OP_PARAM, whole, &type) : 0;
}

sy_value sy_const(sy_graph *g, double value)
{
    return sy_const_of(g, SY_T(SY_F32, 1), &value, 1);
}

sy_value sy_const_of(sy_graph *g, sy_type type, const double *values, uint32_t n_values)
{
    sy_attributes a = {.values = {values, n_values}};
    return sy_graph_add(g, SY_OP_CONST, NULL, 0, &a, &type, NULL);
}

sy_value sy_iota(sy_graph *g, sy_type type, int axis)
{
    sy_attributes a = {.axis = axis};
    return sy_graph_add(g, SY_OP_IOTA, NULL, 0, &a, &type, NULL);
}

sy_value sy_unary(sy_graph *g, sy_op op, sy_value x)
{
    return sy_graph_add(g, op, &x, 1, NULL, NULL, NULL);
}

sy_value sy_binary(sy_graph *g, sy_op op, sy_value a, sy_value b)
{
    return sy_graph_add(g, op, (sy_value[]){a, b}, 2, NULL, NULL, NULL);
}

sy_value sy_select(sy_graph *g, sy_value condition, sy_value yes, sy_value no)
{
    return sy_graph_add(g, SY_OP_SELECT, (sy_value[]){condition, yes, no}, 3, NULL, NULL, NULL);
}

/* The type of a tensor value, or NULL with the error set: what a builder must have before it can look at dims. */
static const sy_type *tensor_type(sy_graph *g, sy_value x, const char *op)
{
    if (!x || x >= g->n_nodes)
        return NULL;
    if (!g->nodes[x].type.is_route)
        return &g->nodes[x].type;
    sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "%s needs a tensor, not a route.", op);
    return NULL;
}

sy_value sy_cast(sy_graph *g, sy_value x, sy_dtype dtype)
{
    const sy_type *old = tensor_type(g, x, "cast");
    if (!old || old->dtype == dtype)
        return old ? x : 0;
    sy_type type = *old;
    type.dtype = dtype;
    return sy_graph_add(g, SY_OP_CAST, &x, 1, NULL, &type, NULL);
}

sy_value sy_reshape(sy_graph *g, sy_value x, sy_type type)
{
    const sy_type *old = tensor_type(g, x, "reshape");
    if (!old)
        return 0;
    type.dtype = old->dtype;
    return sy_type_equal(&type, old) ? x : sy_graph_add(g, SY_OP_RESHAPE, &x, 1, NULL, &type, NULL);
}

sy_value sy_transpose(sy_graph *g, sy_value x, const int32_t *perm)
{
    const sy_type *old = tensor_type(g, x, "transpose");
    sy_attributes a = {0};
    if (!old)
        return 0;
    memcpy(a.ints, perm, old->rank * sizeof *perm);
    return sy_graph_add(g, SY_OP_TRANSPOSE, &x, 1, &a, NULL, NULL);
}

sy_value sy_slice(sy_graph *g, sy_value x, const int32_t *start, sy_type type)
{
    const sy_type *old = tensor_type(g, x, "slice");
    sy_attributes a = {0};
    if (!old)
        return 0;
    memcpy(a.ints, start, old->rank * sizeof *start);
    type.dtype = old->dtype;
    return sy_graph_add(g, SY_OP_SLICE, &x, 1, &a, &type, NULL);
}

sy_value sy_slice_axis(sy_graph *g, sy_value x, int axis, int32_t start, int32_t size)
{
    const sy_type *old = tensor_type(g, x, "slice");
    if (!old)
        return 0;
    if (axis < 0 || axis >= old->rank) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "slice: axis %d of a tensor with %d.", axis, old->rank);
        return 0;
    }
    sy_type type = *old;
    int32_t begin[SY_MAX_RANK] = {0};
    type.dim[axis] = size;
    begin[axis] = start;
    return sy_slice(g, x, begin, type);
}

sy_value sy_broadcast(sy_graph *g, sy_value x, sy_type type)
{
    const sy_type *old = tensor_type(g, x, "broadcast");
    if (!old)
        return 0;
    type.dtype = old->dtype;
    return sy_type_equal(&type, old) ? x : sy_graph_add(g, SY_OP_BROADCAST, &x, 1, NULL, &type, NULL);
}

sy_value sy_concat(sy_graph *g, const sy_value *parts, uint32_t n, int axis)
{
    sy_attributes a = {.axis = axis};
    return sy_graph_add(g, SY_OP_CONCAT, parts, n, &a, NULL, NULL);
}

sy_value sy_stack(sy_graph *g, const sy_value *parts, uint32_t n)
{
    enum { MOST = 1024 }; /* the most concat takes */
    sy_value one[MOST];
    if (n > MOST) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "stack takes at most %d parts, not %u.", MOST, n);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        const sy_type *old = tensor_type(g, parts[i], "stack");
        if (!old)
            return 0;
        if (old->rank >= SY_MAX_RANK) {
            sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "stack: parts of rank %d leave no room.", old->rank);
            return 0;
        }
        sy_type type = {.dtype = old->dtype, .rank = (uint8_t)(old->rank + 1), .dim = {1}};
        memcpy(type.dim + 1, old->dim, old->rank * sizeof *old->dim);
        one[i] = sy_reshape(g, parts[i], type);
    }
    return sy_concat(g, one, n, 0);
}

void sy_output(sy_graph *g, const char *name, sy_value value)
{
    sy_graph_end(g, SY_END_OUTPUT, name, value);
}

void sy_carry(sy_graph *g, const char *state, sy_value value)
{
    sy_graph_end(g, SY_END_CARRY, state, value);
}

void sy_tap(sy_graph *g, const char *name, sy_value value)
{
    const char *whole = scoped(g, name);
    if (whole)
        sy_graph_end(g, SY_END_TAP, whole, value);
}
