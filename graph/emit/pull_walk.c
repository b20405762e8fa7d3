/* Ops that loop over a row for each element: ranks, places, merges, running sums, counts. See graph/passes/lower_rows.c
 * for what keeps the loops short. A vector of four neighbouring elements shares its loop where they share their run. */
#include "graph/emit/gen.h"

#include <string.h>

/* An element of the result: where its row begins to be walked, and where it ends. */
typedef struct walk {
    const sy_node *node;
    int last, width;         /* the last axis; 1, or 4 neighbours along it */
    sy_ix at[SY_MAX_RANK];   /* index into the argument; at[last] is the loop's variable, once it is open */
    const char *own;         /* the element's own index along the axis: uint or uvec4 */
    const char *begin, *end; /* of its run */
} walk;

/* False: the elements have to be made one by one. */
static bool walk_init(sy_gen *gen, sy_value value, const sy_ix *index, walk *w)
{
    const sy_node *node = &gen->graph->nodes[value];
    int last = node->type.rank - 1;
    int64_t length = gen->graph->nodes[node->args[0]].type.dim[last], run = node->attributes.length;
    sy_ix first = index[last];
    *w = (walk){.node = node, .last = last, .width = 1};
    memcpy(w->at, index, sizeof *index * (size_t)last);
    for (int i = 0; i < last; i++)
        if (sy_ix_uses(gen->ix, index[i], gen->lane))
            return false;
    run = run < 1 || run > length ? length : run;
    if (sy_ix_uses(gen->ix, index[last], gen->lane)) {
        if (!sy_ix_split(gen->ix, index[last], gen->lane, &first) || !sy_ix_multiple_of(gen->ix, first, 4) ||
            (run < length && run % 4))
            return false;
        w->width = 4;
    }
    const char *text = sy_gen_ix(gen, first);
    w->own = w->width == 4 ? sy_gen_temp(gen, SY_U32, 4, "uvec4(%s) + uvec4(0u, 1u, 2u, 3u)", text).text
                           : sy_gen_temp(gen, SY_U32, 1, "%s", text).text;
    if (run < length) {
        w->begin = sy_gen_temp(gen, SY_U32, 1, "%s / %lldu * %lldu", text, (long long)run, (long long)run).text;
        w->end =
            sy_gen_temp(gen, SY_U32, 1, "min(%s + %lldu, %lldu)", w->begin, (long long)run, (long long)length).text;
    } else {
        char *end = sy_arena_printf(&gen->arena, "%lldu", (long long)length);
        w->begin = "0u";
        w->end = end ? end : "0u";
    }
    return true;
}

static uint32_t open_loop(sy_gen *gen, walk *w)
{
    int64_t length = gen->graph->nodes[w->node->args[0]].type.dim[w->last];
    w->at[w->last] = sy_gen_var(gen, length - 1, "%s", w->begin);
    const char *j = sy_gen_ix(gen, w->at[w->last]);
    sy_gen_line(gen, "for (; %s < %s; %s++) {", j, w->end, j);
    return sy_gen_open(gen);
}

/* A number as sorting sees it: a NaN stands at the end. */
static const char *key(sy_gen *gen, const sy_node *node, sy_val x)
{
    const char *type = sy_gen_type(SY_F32, x.width);
    return sy_gen_temp(gen, SY_F32, x.width, "mix(%s, %s(uintBitsToFloat(%s)), isnan(%s))", x.text, type,
                       node->attributes.order ? "0xff800000u" : "0x7f800000u", x.text)
        .text;
}

static sy_val pull_rank(sy_gen *gen, const sy_ix *index, walk *w)
{
    const sy_node *node = w->node;
    sy_val x = sy_pull(gen, node->args[0], index);
    const char *own = sy_gen_wide(gen, (sy_val){key(gen, node, x), x.width, SY_F32}, w->width), *four = own;
    sy_val count = sy_gen_temp(gen, SY_I32, w->width, "%s(0)", sy_gen_type(SY_I32, w->width));
    uint32_t scope = open_loop(gen, w);
    const char *j = sy_gen_ix(gen, w->at[w->last]);
    const char *other = key(gen, node, sy_pull(gen, node->args[0], w->at));
    if (w->width == 4) {
        other = sy_gen_temp(gen, SY_F32, 4, "vec4(%s)", other).text;
        sy_gen_line(gen, "%s += ivec4(%s(%s, %s)) + ivec4(equal(%s, %s)) * ivec4(lessThan(uvec4(%s), %s));", count.text,
                    node->attributes.order ? "greaterThan" : "lessThan", other, four, other, four, j, w->own);
    } else {
        sy_gen_line(gen, "%s += int(%s %s %s || (%s == %s && %s < %s));", count.text, other,
                    node->attributes.order ? ">" : "<", own, other, own, j, w->own);
    }
    sy_gen_close(gen, scope, "}");
    return count;
}

static sy_val pull_place(sy_gen *gen, walk *w)
{
    const char *wanted =
        sy_gen_temp(gen, SY_I32, w->width, "%s(%s - %s)", sy_gen_type(SY_I32, w->width), w->own, w->begin).text;
    sy_val found = sy_gen_temp(gen, SY_I32, w->width, "%s(0)", sy_gen_type(SY_I32, w->width));
    uint32_t scope = open_loop(gen, w);
    const char *j = sy_gen_ix(gen, w->at[w->last]), *rank = sy_pull(gen, w->node->args[0], w->at).text;
    if (w->width == 4)
        sy_gen_line(gen, "%s = mix(%s, ivec4(%s), equal(ivec4(%s), %s));", found.text, found.text, j, rank, wanted);
    else
        sy_gen_line(gen, "%s = %s == %s ? int(%s) : %s;", found.text, rank, wanted, j, found.text);
    sy_gen_close(gen, scope, "}");
    return found;
}

/* ids[…, place], clamped to the row, as an index along it; and the number there. */
static sy_ix id_at(sy_gen *gen, walk *w, sy_ix place, int64_t length)
{
    w->at[w->last] = place;
    sy_val id = sy_pull(gen, w->node->args[1], w->at);
    return sy_gen_var(gen, length - 1, "min(uint(%s), %lldu)", id.text, (long long)length - 1);
}

static const char *number_at(sy_gen *gen, walk *w, sy_ix id)
{
    w->at[w->last] = id;
    return key(gen, w->node, sy_pull(gen, w->node->args[0], w->at));
}

/* Place p of two runs A, B of the lengths la, lb: of the first q = p - begin places of the merged, `low` come from A,
 * found by a binary search for the lowest number of which A's next does not come before B's last. Of equals A's come
 * first: they have the lower indices. */
static sy_val pull_merge(sy_gen *gen, const sy_ix *index, walk *w)
{
    const sy_node *node = w->node;
    long long length = node->type.dim[w->last], run = node->attributes.length;
    const char *sign = node->attributes.order ? ">=" : "<=", *p = sy_gen_ix(gen, index[w->last]);
    const char *begin = sy_gen_temp(gen, SY_U32, 1, "%s / %lldu * %lldu", p, 2 * run, 2 * run).text;
    const char *la = sy_gen_temp(gen, SY_U32, 1, "min(%lldu, %lldu - %s)", run, length, begin).text;
    const char *lb = sy_gen_temp(gen, SY_U32, 1, "min(%lldu, %lldu - %s - %s)", run, length, begin, la).text;
    const char *q = sy_gen_temp(gen, SY_U32, 1, "%s - %s", p, begin).text;
    const char *low = sy_gen_temp(gen, SY_U32, 1, "%s > %s ? %s - %s : 0u", q, lb, q, lb).text;
    const char *high = sy_gen_temp(gen, SY_U32, 1, "min(%s, %s)", q, la).text;
    sy_gen_line(gen, "while (%s < %s) {", low, high);
    uint32_t scope = sy_gen_open(gen);
    const char *middle = sy_gen_temp(gen, SY_U32, 1, "(%s + %s) / 2u", low, high).text;
    sy_ix a = sy_gen_var(gen, length - 1, "%s + %s", begin, middle);
    sy_ix b = sy_gen_var(gen, length - 1, "%s + %s + %s - %s - 1u", begin, la, q, middle);
    const char *xa = number_at(gen, w, id_at(gen, w, a, length)), *xb = number_at(gen, w, id_at(gen, w, b, length));
    sy_gen_line(gen, "if (%s %s %s)", xa, sign, xb);
    sy_gen_line(gen, "    %s = %s + 1u;", low, middle);
    sy_gen_line(gen, "else");
    sy_gen_line(gen, "    %s = %s;", high, middle);
    sy_gen_close(gen, scope, "}");
    /* The element is A's next or B's next; where one run is used up, its last stands in and is not taken. */
    const char *next = sy_gen_temp(gen, SY_U32, 1, "%s - %s", q, low).text;
    a = sy_gen_var(gen, length - 1, "%s + min(%s, %s - 1u)", begin, low, la);
    b = sy_gen_var(gen, length - 1, "min(%s + %s + %s, %lldu)", begin, la, next, length - 1);
    sy_ix ia = id_at(gen, w, a, length), ib = id_at(gen, w, b, length);
    xa = number_at(gen, w, ia), xb = number_at(gen, w, ib);
    return sy_gen_temp(gen, SY_I32, 1, "int(%s < %s && (%s >= %s || %s %s %s) ? %s : %s)", low, la, next, lb, xa, sign,
                       xb, sy_gen_ix(gen, ia), sy_gen_ix(gen, ib));
}

static sy_val pull_cumsum(sy_gen *gen, walk *w)
{
    const char *type = sy_gen_type(w->node->type.dtype, w->width);
    sy_val sum = sy_gen_temp(gen, w->node->type.dtype, w->width, "%s(0)", type);
    char *end = sy_arena_printf(&gen->arena, "%s%s + 1u", w->own, w->width == 4 ? ".w" : "");
    w->end = end ? end : "0u";
    uint32_t scope = open_loop(gen, w);
    const char *j = sy_gen_ix(gen, w->at[w->last]), *x = sy_pull(gen, w->node->args[0], w->at).text;
    if (w->width == 4)
        sy_gen_line(gen, "%s += mix(%s(0), %s(%s), lessThanEqual(uvec4(%s), %s));", sum.text, type, type, x, j, w->own);
    else
        sy_gen_line(gen, "%s += %s;", sum.text, x);
    sy_gen_close(gen, scope, "}");
    return sum;
}

static sy_val pull_histogram(sy_gen *gen, walk *w)
{
    sy_val count = sy_gen_temp(gen, SY_I32, w->width, "%s(0)", sy_gen_type(SY_I32, w->width));
    uint32_t scope = open_loop(gen, w);
    const char *x = sy_pull(gen, w->node->args[0], w->at).text;
    if (w->width == 4)
        sy_gen_line(gen, "%s += ivec4(equal(uvec4(uint(%s)), %s));", count.text, x, w->own);
    else
        sy_gen_line(gen, "%s += int(uint(%s) == %s);", count.text, x, w->own);
    sy_gen_close(gen, scope, "}");
    return count;
}

/* Mean, or mean square deviation from it, of a run of rows. Deviations are taken from the first row, which is at most
 * sqrt(length) standard deviations from the mean: nothing is lost where the mean is large. */
static sy_val pull_moments(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type;
    int32_t length = node->attributes.length;
    sy_ix at[SY_MAX_RANK];
    if (sy_ix_uses(gen->ix, index[0], gen->lane) || sy_ix_uses(gen->ix, index[1], gen->lane))
        return sy_pull_apart(gen, value, index);
    int width = sy_ix_uses(gen->ix, index[2], gen->lane) ? 4 : 1;
    const char *type = sy_gen_type(SY_F32, width);
    sy_ix row = sy_gen_var(gen, (int64_t)length * node->type.dim[1] - 1, "%du * %s", length, sy_gen_ix(gen, index[1]));
    const char *at_row = sy_gen_ix(gen, row), *end = sy_gen_temp(gen, SY_U32, 1, "%s + %du", at_row, length).text;
    sy_ix_unflat(gen->ix, row, x->dim, x->rank - 1, at);
    at[x->rank - 1] = index[2];
    sy_val first = sy_gen_temp(gen, SY_F32, width, "%s(0.0)", type), sum = sy_gen_temp(gen, SY_F32, width, "%s(0.0)", type);
    sy_val squares = sy_gen_temp(gen, SY_F32, width, "%s(0.0)", type);
    sy_gen_line(gen, "for (; %s < %s; %s++) {", at_row, end, at_row);
    uint32_t scope = sy_gen_open(gen);
    const char *text = sy_gen_wide(gen, sy_pull(gen, node->args[0], at), width);
    sy_gen_line(gen, "%s = %s + %du == %s ? %s : %s;", first.text, at_row, length, end, text, first.text);
    const char *apart = sy_gen_temp(gen, SY_F32, width, "%s - %s", text, first.text).text;
    sy_gen_line(gen, "%s += %s;", sum.text, apart);
    sy_gen_line(gen, "%s += %s * %s;", squares.text, apart, apart);
    sy_gen_close(gen, scope, "}");
    const char *inverse = sy_gen_literal(gen, SY_F32, 1.0 / length).text;
    return sy_gen_temp(gen, SY_F32, width, "%s == 0u ? %s + %s * %s : max((%s - %s * %s * %s) * %s, 0.0)",
                       sy_gen_ix(gen, index[0]), first.text, sum.text, inverse, squares.text, sum.text, sum.text,
                       inverse, inverse);
}

sy_val sy_pull_walk(sy_gen *gen, sy_value value, const sy_ix *index)
{
    walk w;
    const sy_node *node = &gen->graph->nodes[value];
    bool merge = node->op == SY_OP_SORT_MERGE;
    if (node->op == SY_OP_MOMENTS)
        return pull_moments(gen, value, index);
    if ((merge && sy_ix_uses(gen->ix, index[node->type.rank - 1], gen->lane)) || !walk_init(gen, value, index, &w))
        return sy_pull_apart(gen, value, index);
    switch (node->op) {
    case SY_OP_SORT_RANK:
        return pull_rank(gen, index, &w);
    case SY_OP_SORT_PLACE:
        return pull_place(gen, &w);
    case SY_OP_SORT_MERGE:
        return pull_merge(gen, index, &w);
    case SY_OP_CUMSUM:
        return pull_cumsum(gen, &w);
    default:
        return pull_histogram(gen, &w);
    }
}
