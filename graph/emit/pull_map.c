/* What MAP ops and computed leaves are in GLSL. Element-wise ops come from one table; those that read at computed
 * indices follow. Guards clamp an index before it is used and select the result after, so no read leaves its buffer. */
#include "graph/emit/gen.h"

#include <stdio.h>
#include <string.h>

static const sy_val zero = {"0.0", 1, SY_F32};

/* GLSL of element-wise ops, from the one table of graph/ops; a, b, c are the arguments. */
static const struct elementwise {
    sy_op op;
    const char *text;
} elementwise[] = {
#define EW(name, expression, glsl) {SY_OP_##name, glsl},
#include "graph/ops/elementwise.def"
#undef EW
};

/* The table's text with the arguments put in for a, b and c where they stand alone. */
static void fill(sy_text *out, const char *text, const char *const *args)
{
    for (const char *p = text; *p;) {
        size_t word = strspn(p, "abcdefghijklmnopqrstuvwxyz_0123456789");
        if (word == 1 && *p >= 'a' && *p <= 'c')
            sy_text_add(out, args[*p - 'a']);
        else
            sy_text_add_bytes(out, p, word ? word : 1);
        p += word ? word : 1;
    }
}

/* The argument's index for the element of a broadcasting op. */
static void argument_index(sy_gen *gen, const sy_type *result, const sy_type *from, const sy_ix *index, sy_ix *at)
{
    for (int i = 0; i < from->rank; i++)
        at[i] = from->dim[i] == 1 ? sy_ix_const(gen->ix, 0) : index[result->rank - from->rank + i];
}

static sy_val pull_elementwise(sy_gen *gen, sy_value value, const struct elementwise *row, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    sy_val arg[3] = {zero, zero, zero};
    const char *text[3] = {0};
    sy_ix at[SY_MAX_RANK];
    sy_text line = {0};
    int width = 1;
    for (uint32_t i = 0; i < node->n_args && i < 3; i++) {
        argument_index(gen, &node->type, &gen->graph->nodes[node->args[i]].type, index, at);
        arg[i] = sy_pull(gen, node->args[i], at);
        width = arg[i].width > width ? arg[i].width : width;
    }
    if (node->type.dtype == SY_U32 && (row->op == SY_OP_ABS || row->op == SY_OP_RELU))
        return arg[0];
    for (uint32_t i = 0; i < node->n_args && i < 3; i++)
        text[i] = sy_gen_wide(gen, arg[i], width);
    gen->math = gen->math || strstr(row->text, "sy_");
    fill(&line, row->text, text);
    sy_val result = sy_gen_temp(gen, node->type.dtype, width, "%s", line.data ? line.data : "0");
    if (!line.data || line.failed)
        sy_gen_fail(gen, "out of memory");
    sy_text_free(&line);
    return result;
}

static sy_val pull_cast(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    sy_val x = sy_pull(gen, node->args[0], index);
    sy_dtype to = node->type.dtype, from = gen->graph->nodes[node->args[0]].type.dtype;
    if (to == from || (to == SY_F32 && x.dtype == SY_F32))
        return x;
    if (sy_gen_register(to) != x.dtype)
        x = sy_gen_temp(gen, to, x.width, "%s(%s)", sy_gen_type(sy_gen_register(to), x.width), x.text);
    if (to == SY_F16 || to == SY_BF16)
        x = sy_gen_temp(gen, SY_F32, x.width, "sy_round_%s(%s)", to == SY_F16 ? "f16" : "bf16", x.text);
    return x;
}

/* An index as numbers: uint or uvec4. */
static sy_val index_value(sy_gen *gen, sy_ix index)
{
    const char *part[4];
    if (!sy_ix_uses(gen->ix, index, gen->lane))
        return (sy_val){sy_gen_ix(gen, index), 1, SY_U32};
    for (int i = 0; i < 4; i++)
        part[i] = sy_gen_ix(gen, sy_ix_replace(gen->ix, index, gen->lane, sy_ix_const(gen->ix, i)));
    return sy_gen_temp(gen, SY_U32, 4, "uvec4(%s, %s, %s, %s)", part[0], part[1], part[2], part[3]);
}

static sy_val pull_const(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_value_list *list = &node->attributes.values;
    int64_t at;
    sy_ix flat = sy_ix_flat(gen->ix, index, node->type.dim, node->type.rank);
    if (list->count == 1)
        return sy_gen_literal(gen, node->type.dtype, list->data[0]);
    if (sy_ix_is_const(gen->ix, flat, &at) && at >= 0 && at < (int64_t)list->count)
        return sy_gen_literal(gen, node->type.dtype, list->data[at]);
    if (list->count > 64) {
        sy_gen_fail(gen, "a constant of %u values is not among the inputs of its group", list->count);
        return zero;
    }
    if (sy_ix_uses(gen->ix, flat, gen->lane))
        return sy_pull_apart(gen, value, index);
    sy_dtype dtype = sy_gen_register(node->type.dtype);
    sy_text text = {0};
    sy_text_printf(&text, "%s[](", sy_gen_type(dtype, 1));
    for (uint32_t i = 0; i < list->count; i++)
        sy_text_printf(&text, "%s%s", i ? ", " : "", sy_gen_literal(gen, dtype, list->data[i]).text);
    sy_text_printf(&text, ")[%s]", sy_gen_ix(gen, flat));
    sy_val result = sy_gen_temp(gen, dtype, 1, "%s", text.data ? text.data : "0");
    sy_text_free(&text);
    return result;
}

static sy_val pull_step(sy_gen *gen, const sy_node *node)
{
    const sy_compile_params *params = gen->plan->params;
    uint32_t columns = params ? params->n_step_columns : 0, column = 0;
    char word[96];
    if (node->op == SY_OP_STEP_INDEX)
        return sy_gen_temp(gen, SY_U32, 1, "%s", sy_gen_step_word(gen, "0"));
    while (column < columns && strcmp(params->step_columns[column], node->name))
        column++;
    if (column == columns) {
        sy_gen_fail(gen, "the step table has no column \"%.100s\"", node->name);
        return zero;
    }
    snprintf(word, sizeof word, "%uu + %uu * %s", SY_STEP_TABLE_WORD + column, columns, sy_gen_step_word(gen, "0"));
    return sy_gen_temp(gen, SY_F32, 1, "uintBitsToFloat(%s)", sy_gen_step_word(gen, word));
}

/* The value at an index that an id read from memory gives; 0 where the id is outside the dimension. */
static sy_val pull_at_id(sy_gen *gen, sy_value x, sy_ix *at, int axis, sy_val id)
{
    int32_t size = gen->graph->nodes[x].type.dim[axis];
    at[axis] = sy_gen_var(gen, size - 1, "min(uint(%s), %uu)", id.text, (unsigned)size - 1);
    sy_val v = sy_pull(gen, x, at);
    return sy_gen_temp(gen, v.dtype, v.width, "uint(%s) < %uu ? %s : %s(0)", id.text, (unsigned)size, v.text,
                       sy_gen_type(v.dtype, v.width));
}

static bool any_lane(const sy_gen *gen, const sy_ix *index, int rank)
{
    for (int i = 0; i < rank; i++)
        if (sy_ix_uses(gen->ix, index[i], gen->lane))
            return true;
    return false;
}

static sy_val pull_take(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type, *ids = &gen->graph->nodes[node->args[1]].type;
    sy_ix at[SY_MAX_RANK];
    if (any_lane(gen, index, ids->rank) &&
        (node->op == SY_OP_TAKE_ROWS || sy_ix_uses(gen->ix, index[ids->rank - 1], gen->lane)))
        return sy_pull_apart(gen, value, index);
    sy_val id = sy_pull(gen, node->args[1], index);
    if (id.width != 1)
        return sy_pull_apart(gen, value, index);
    if (node->op == SY_OP_TAKE_LAST) {
        memcpy(at, index, sizeof at[0] * (size_t)(x->rank - 1));
        return pull_at_id(gen, node->args[0], at, x->rank - 1, id);
    }
    memcpy(at + 1, index + ids->rank, sizeof at[0] * (size_t)(x->rank - 1));
    return pull_at_id(gen, node->args[0], at, 0, id);
}

/* A chain of ifs; an argument whose range the index cannot be in is left out. */
static sy_val pull_concat(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    int axis = node->attributes.axis;
    sy_ix along = index[axis], base = along, at[SY_MAX_RANK];
    bool lane = sy_ix_uses(gen->ix, along, gen->lane), wide = any_lane(gen, index, node->type.rank);
    int64_t start = 0, lo = sy_ix_low(gen->ix, along), hi = sy_ix_high(gen->ix, along);
    for (uint32_t i = 0; i < node->n_args; i++) { /* known beforehand: the argument itself */
        int32_t size = gen->graph->nodes[node->args[i]].type.dim[axis];
        if (lo >= start && hi < start + size) {
            memcpy(at, index, sizeof at[0] * (size_t)node->type.rank);
            at[axis] = sy_ix_add(gen->ix, along, sy_ix_const(gen->ix, -start));
            return sy_pull(gen, node->args[i], at);
        }
        start += size;
    }
    start = 0;
    if (lane) {
        bool whole = sy_ix_split(gen->ix, along, gen->lane, &base) && sy_ix_multiple_of(gen->ix, base, 4);
        for (uint32_t i = 0; i < node->n_args && whole; i++)
            whole = gen->graph->nodes[node->args[i]].type.dim[axis] % 4 == 0;
        if (!whole)
            return sy_pull_apart(gen, value, index);
    }
    sy_val result = sy_gen_temp(gen, node->type.dtype, wide ? 4 : 1, "%s(0)",
                                sy_gen_type(sy_gen_register(node->type.dtype), wide ? 4 : 1));
    const char *position = sy_gen_ix(gen, base), *before = "";
    for (uint32_t i = 0; i < node->n_args; i++) {
        int32_t size = gen->graph->nodes[node->args[i]].type.dim[axis];
        if (hi < start || lo >= start + size) {
            start += size;
            continue;
        }
        bool last = hi < start + size;
        if (last)
            sy_gen_line(gen, "%s{", before);
        else
            sy_gen_line(gen, "%sif (%s < %lluu) {", before, position, (unsigned long long)(start + size));
        uint32_t scope = sy_gen_open(gen);
        memcpy(at, index, sizeof at[0] * (size_t)node->type.rank);
        if (lane) {
            sy_ix quad = sy_gen_var(gen, size / 4 - 1, "(%s - %lluu) / 4u", position, (unsigned long long)start);
            at[axis] = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, quad, 4), gen->lane);
        } else if (start) {
            at[axis] = sy_gen_var(gen, size - 1, "%s - %lluu", position, (unsigned long long)start);
        } else if (!last) { /* tighter than what is known outside */
            at[axis] = sy_gen_var(gen, size - 1, "%s", position);
        }
        sy_gen_line(gen, "%s = %s;", result.text, sy_gen_wide(gen, sy_pull(gen, node->args[i], at), result.width));
        sy_gen_close(gen, scope, "}");
        before = "else ";
        start += size;
        if (last)
            break;
    }
    return result;
}

static sy_val pull_random(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    sy_ix element = sy_ix_flat(gen->ix, index + 1, node->type.dim + 1, node->type.rank - 1), base = element;
    sy_ix none = sy_ix_const(gen->ix, 0);
    bool lane = sy_ix_uses(gen->ix, element, gen->lane);
    if (sy_ix_uses(gen->ix, index[0], gen->lane) ||
        (lane && !(sy_ix_split(gen->ix, element, gen->lane, &base) && sy_ix_multiple_of(gen->ix, base, 4))))
        return sy_pull_apart(gen, value, index);
    sy_val seed = sy_pull(gen, node->args[0], index), counter = {"0u", 1, SY_U32};
    if (node->n_args > 1)
        counter = sy_pull(gen, node->args[1], &none);
    gen->philox = true;
    sy_val four =
        sy_gen_temp(gen, SY_F32, 4, "sy_random_normal4(uvec2(%s, %uu), uvec2(%s, %s))", seed.text,
                    (unsigned)node->attributes.stream, sy_gen_ix(gen, sy_ix_div(gen->ix, base, 4)), counter.text);
    if (lane)
        return four;
    return sy_gen_temp(gen, SY_F32, 1, "%s[%s]", four.text, sy_gen_ix(gen, sy_ix_mod(gen->ix, element, 4)));
}

/* Sum over the row's slots, in their order. */
static sy_val pull_combine(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *route = &gen->graph->nodes[node->args[1]].type;
    const sy_route_layout at = sy_route_layout_of(route);
    if (sy_ix_uses(gen->ix, index[0], gen->lane))
        return sy_pull_apart(gen, value, index);
    int width = sy_ix_uses(gen->ix, index[1], gen->lane) ? 4 : 1;
    sy_val sum = sy_gen_temp(gen, SY_F32, width, "%s(0)", sy_gen_type(SY_F32, width));
    const char *first = sy_pull_word(gen, node->args[1], at.row_offsets, index[0]);
    const char *end = sy_pull_word(gen, node->args[1], at.row_offsets + 1, index[0]);
    sy_ix entry = sy_gen_var(gen, route->dim[SY_ROUTE_SLOTS] - 1, "%s", first);
    const char *name = sy_gen_ix(gen, entry);
    sy_gen_line(gen, "for (; %s < %s; %s++) {", name, end, name);
    uint32_t scope = sy_gen_open(gen);
    sy_ix where[2] = {0, index[1]};
    where[0] =
        sy_gen_var(gen, route->dim[SY_ROUTE_SLOTS] - 1, "%s", sy_pull_word(gen, node->args[1], at.row_slots, entry));
    sy_val y = sy_pull(gen, node->args[0], where);
    const char *wide = sy_gen_wide(gen, y, width);
    if (node->attributes.weighted)
        sy_gen_line(gen, "%s += uintBitsToFloat(%s) * %s;", sum.text,
                    sy_pull_word(gen, node->args[1], at.weights, where[0]), wide);
    else
        sy_gen_line(gen, "%s += %s;", sum.text, wide);
    sy_gen_close(gen, scope, "}");
    return sum;
}

static sy_val pull_scatter(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *route = &gen->graph->nodes[node->args[1]].type;
    const sy_route_layout at = sy_route_layout_of(route);
    if (sy_ix_uses(gen->ix, index[0], gen->lane))
        return sy_pull_apart(gen, value, index);
    int width = sy_ix_uses(gen->ix, index[1], gen->lane) ? 4 : 1;
    sy_dtype dtype = sy_gen_register(node->type.dtype);
    const char *first = sy_pull_word(gen, node->args[1], at.row_offsets, index[0]);
    const char *end = sy_pull_word(gen, node->args[1], at.row_offsets + 1, index[0]);
    sy_val result = sy_gen_temp(gen, dtype, width, "%s(0)", sy_gen_type(dtype, width));
    sy_gen_line(gen, "if (%s < %s) {", first, end);
    uint32_t scope = sy_gen_open(gen);
    int32_t slots = route->dim[SY_ROUTE_SLOTS];
    sy_ix last = sy_gen_var(gen, slots - 1, "%s - 1u", end), where[2] = {0, index[1]};
    where[0] = sy_gen_var(gen, slots - 1, "%s", sy_pull_word(gen, node->args[1], at.row_slots, last));
    sy_gen_line(gen, "%s = %s;", result.text, sy_gen_wide(gen, sy_pull(gen, node->args[0], where), width));
    sy_gen_close(gen, scope, "} else {");
    scope = sy_gen_open(gen);
    sy_gen_line(gen, "%s = %s;", result.text, sy_gen_wide(gen, sy_pull(gen, node->args[2], index), width));
    sy_gen_close(gen, scope, "}");
    return result;
}

/* route.gather and route.spread: x at the row or the target of the slot. Slots past the count hold old words, so the
 * id is clamped. */
static sy_val pull_by_slot(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *route = &gen->graph->nodes[node->args[1]].type;
    const sy_route_layout at = sy_route_layout_of(route);
    bool gather = node->op == SY_OP_ROUTE_GATHER;
    if (sy_ix_uses(gen->ix, index[0], gen->lane))
        return sy_pull_apart(gen, value, index);
    int32_t bound = route->dim[gather ? SY_ROUTE_ROWS : SY_ROUTE_TARGETS];
    sy_ix where[2] = {0, index[1]};
    where[0] =
        sy_gen_var(gen, bound - 1, "min(%s, %uu)",
                   sy_pull_word(gen, node->args[1], gather ? at.rows : at.targets, index[0]), (unsigned)bound - 1);
    return sy_pull(gen, node->args[0], where);
}

static sy_val pull_route_read(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_route_layout at = sy_route_layout_of(&gen->graph->nodes[node->args[0]].type);
    if (sy_ix_uses(gen->ix, index[0], gen->lane))
        return sy_pull_apart(gen, value, index);
    if (node->op == SY_OP_ROUTE_WORDS)
        return (sy_val){sy_pull_word(gen, node->args[0], 0, index[0]), 1, SY_U32};
    const char *first = sy_pull_word(gen, node->args[0], at.offsets, index[0]);
    const char *end = sy_pull_word(gen, node->args[0], at.offsets + 1, index[0]);
    return sy_gen_temp(gen, SY_I32, 1, "int(%s - %s)", end, first);
}

sy_val sy_pull_map(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    for (size_t i = 0; i < sizeof elementwise / sizeof *elementwise; i++)
        if (elementwise[i].op == node->op)
            return pull_elementwise(gen, value, &elementwise[i], index);
    switch (node->op) {
    case SY_OP_CAST:
        return pull_cast(gen, value, index);
    case SY_OP_CONST:
        return pull_const(gen, value, index);
    case SY_OP_IOTA: {
        sy_val at = index_value(gen, index[node->attributes.axis]);
        return sy_gen_temp(gen, node->type.dtype, at.width, "%s(%s)",
                           sy_gen_type(sy_gen_register(node->type.dtype), at.width), at.text);
    }
    case SY_OP_STEP:
    case SY_OP_STEP_INDEX:
        return pull_step(gen, node);
    case SY_OP_TAKE_ROWS:
    case SY_OP_TAKE_LAST:
        return pull_take(gen, value, index);
    case SY_OP_CONCAT:
        return pull_concat(gen, value, index);
    case SY_OP_PAD:
        return sy_pull_pad(gen, value, index);
    case SY_OP_RESIZE:
        return sy_pull_resize(gen, value, index);
    case SY_OP_POOL:
        return sy_pull_pool(gen, value, index);
    case SY_OP_RANDOM_NORMAL:
        return pull_random(gen, value, index);
    case SY_OP_COMBINE:
        return pull_combine(gen, value, index);
    case SY_OP_ROUTE_SCATTER:
        return pull_scatter(gen, value, index);
    case SY_OP_ROUTE_GATHER:
    case SY_OP_ROUTE_SPREAD:
        return pull_by_slot(gen, value, index);
    case SY_OP_ROUTE_LOAD:
    case SY_OP_ROUTE_WORDS:
        return pull_route_read(gen, value, index);
    case SY_OP_SORT_RANK:
    case SY_OP_SORT_PLACE:
    case SY_OP_SORT_MERGE:
    case SY_OP_CUMSUM:
    case SY_OP_HISTOGRAM:
    case SY_OP_MOMENTS:
        return sy_pull_walk(gen, value, index);
    default:
        sy_gen_fail(gen, "%s \"%s\" (value %u) is neither an input of its group nor computed in it",
                    sy_op_get(node->op)->name, node->name ? node->name : "", value);
        return zero;
    }
}
