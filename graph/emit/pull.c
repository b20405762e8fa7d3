/* Pulling through views and loads, and storing. Every index handed down has the rank of the node's type. */
#include "graph/emit/gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const sy_val zero = {"0.0", 1, SY_F32};

sy_val sy_pull_apart(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_type *type = &gen->graph->nodes[value].type;
    const char *part[4] = {0};
    sy_val one = zero;
    for (int i = 0; i < 4; i++) {
        sy_ix at[SY_MAX_RANK];
        for (int d = 0; d < type->rank; d++)
            at[d] = sy_ix_replace(gen->ix, index[d], gen->lane, sy_ix_const(gen->ix, i));
        int before = gen->component;
        gen->component = i;
        one = sy_pull(gen, value, at);
        gen->component = before;
        part[i] = one.text;
    }
    return sy_gen_temp(gen, one.dtype, 4, "%s(%s, %s, %s, %s)", sy_gen_type(one.dtype, 4), part[0], part[1], part[2],
                       part[3]);
}

const char *sy_pull_word(sy_gen *gen, sy_value route, uint32_t section, sy_ix at)
{
    int binding = sy_gen_binding(gen, route);
    sy_ix word = sy_ix_add(gen->ix, at, sy_ix_const(gen->ix, section));
    if (binding < 0) {
        sy_gen_fail(gen, "a route is not among the inputs of its group");
        return "0u";
    }
    gen->uses[binding] |= 1;
    return sy_gen_temp(gen, SY_U32, 1, "b%d.d[%s]", binding, sy_gen_ix(gen, word)).text;
}

/* Through a texel buffer: a texel is four words, eight halves. Bits, not numbers, so the view's format is always uint.
 */
static sy_val fetch(sy_gen *gen, int binding, sy_dtype stored, sy_ix flat, bool four)
{
    bool halves = stored == SY_F16 || stored == SY_BF16;
    int64_t each = halves ? 8 : 4;
    const char *at = sy_gen_ix(gen, sy_ix_div(gen->ix, flat, each));
    sy_val texel = sy_gen_temp(gen, SY_U32, 4, "texelFetch(tex%d, int(%s))", binding, at);
    sy_ix part = sy_ix_mod(gen->ix, flat, each);
    const char *name = stored == SY_F16 ? "f16" : "bf16", *as = stored == SY_F32   ? "uintBitsToFloat"
                                                                : stored == SY_I32 ? sy_gen_type(SY_I32, four ? 4 : 1)
                                                                                   : "";
    gen->uses[binding] |= 4;
    if (four && halves)
        return sy_gen_temp(gen, SY_F32, 4, "sy_%s4(%s == 0u ? %s.xy : %s.zw)", name,
                           sy_gen_ix(gen, sy_ix_div(gen->ix, part, 4)), texel.text, texel.text);
    if (four)
        return sy_gen_temp(gen, stored, 4, "%s(%s)", as, texel.text);
    if (halves)
        return sy_gen_temp(gen, SY_F32, 1, "sy_%s(%s[%s], %s)", name, texel.text,
                           sy_gen_ix(gen, sy_ix_div(gen->ix, part, 2)), sy_gen_ix(gen, sy_ix_mod(gen->ix, part, 2)));
    return sy_gen_temp(gen, stored, 1, "%s(%s[%s])", as, texel.text, sy_gen_ix(gen, part));
}

static sy_val load_scalar(sy_gen *gen, int binding, sy_dtype stored, sy_ix flat)
{
    if (gen->texels >> binding & 1)
        return fetch(gen, binding, stored, flat, false);
    gen->uses[binding] |= 1;
    if (stored != SY_F16 && stored != SY_BF16)
        return sy_gen_temp(gen, stored, 1, "b%d.d[%s]", binding, sy_gen_ix(gen, flat));
    const char *word = sy_gen_ix(gen, sy_ix_div(gen->ix, flat, 2)), *half = sy_gen_ix(gen, sy_ix_mod(gen->ix, flat, 2));
    return sy_gen_temp(gen, SY_F32, 1, "sy_%s(b%d.d[%s], %s)", stored == SY_F16 ? "f16" : "bf16", binding, word, half);
}

static sy_val load_four(sy_gen *gen, int binding, sy_dtype stored, sy_ix base)
{
    if (gen->texels >> binding & 1)
        return fetch(gen, binding, stored, base, true);
    const char *at = sy_gen_ix(gen, sy_ix_div(gen->ix, base, 4));
    gen->uses[binding] |= 2;
    if (stored == SY_F16 || stored == SY_BF16)
        return sy_gen_temp(gen, SY_F32, 4, "sy_%s4(v%d.d[%s])", stored == SY_F16 ? "f16" : "bf16", binding, at);
    return sy_gen_temp(gen, stored, 4, "v%d.d[%s]", binding, at);
}

static sy_val load(sy_gen *gen, int binding, sy_dtype stored, sy_ix flat)
{
    sy_ix base;
    if (!sy_ix_uses(gen->ix, flat, gen->lane))
        return load_scalar(gen, binding, stored, flat);
    if (sy_ix_split(gen->ix, flat, gen->lane, &base) && sy_ix_multiple_of(gen->ix, base, 4))
        return load_four(gen, binding, stored, base);
    sy_val part[4];
    for (int i = 0; i < 4; i++)
        part[i] = load_scalar(gen, binding, stored, sy_ix_replace(gen->ix, flat, gen->lane, sy_ix_const(gen->ix, i)));
    return sy_gen_temp(gen, stored, 4, "%s(%s, %s, %s, %s)", sy_gen_type(sy_gen_register(stored), 4), part[0].text,
                       part[1].text, part[2].text, part[3].text);
}

/* Where a slice of a value in memory begins differs between equal layers (their columns of one merged matmul), so
 * it goes into a push word: `words` flat elements, as a multiple of four where it is one. */
static sy_ix push_offset(sy_gen *gen, int binding, int64_t elements)
{
    char name[24];
    uint32_t value = (uint32_t)(elements % 4 ? elements : elements / 4), factor = elements % 4 ? 1 : 4, i = 0;
    while (i < gen->n_push && (gen->push[i] != value || gen->push_binding[i] != (uint32_t)binding * 8 + factor))
        i++;
    if (i == SY_PUSH_WORDS - (gen->plan->params->conditional ? SY_BASE_WORDS : 0))
        return sy_ix_const(gen->ix, elements);
    if (i == gen->n_push) {
        gen->push[i] = value;
        gen->push_binding[i] = (uint32_t)binding * 8 + factor;
        gen->n_push++;
    }
    snprintf(name, sizeof name, "push.w%u", i);
    return sy_ix_mul(gen->ix, sy_ix_var(gen->ix, name, 0, INT32_MAX / 4), factor);
}

/* A slice, or slices of slices, of a value in memory. False: it is something else. */
static bool pull_slice(sy_gen *gen, sy_value value, const sy_ix *index, sy_val *result)
{
    const sy_graph *g = gen->graph;
    sy_value source = value;
    int64_t offset = 0;
    int32_t start[SY_MAX_RANK] = {0};
    while (g->nodes[source].op == SY_OP_SLICE && sy_gen_binding(gen, source) < 0) {
        for (int i = 0; i < g->nodes[source].type.rank; i++)
            start[i] += g->nodes[source].attributes.ints[i];
        source = g->nodes[source].args[0];
    }
    int binding = sy_gen_binding(gen, source);
    if (binding < 0 || source == value)
        return false;
    const sy_type *type = &g->nodes[source].type;
    for (int i = 0; i < type->rank; i++)
        offset = offset * type->dim[i] + start[i];
    sy_ix flat =
        sy_ix_add(gen->ix, sy_ix_flat(gen->ix, index, type->dim, type->rank), push_offset(gen, binding, offset));
    *result = load(gen, binding, type->dtype, flat);
    return true;
}

static sy_val pull_view(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_type *from = &gen->graph->nodes[node->args[0]].type;
    sy_ix at[SY_MAX_RANK];
    sy_val result;
    switch (node->op) {
    case SY_OP_RESHAPE:
        sy_ix_unflat(gen->ix, sy_ix_flat(gen->ix, index, node->type.dim, node->type.rank), from->dim, from->rank, at);
        break;
    case SY_OP_TRANSPOSE:
        for (int i = 0; i < node->type.rank; i++)
            at[node->attributes.ints[i]] = index[i];
        break;
    case SY_OP_SLICE:
        if (pull_slice(gen, value, index, &result))
            return result;
        for (int i = 0; i < from->rank; i++)
            at[i] = sy_ix_add(gen->ix, index[i], sy_ix_const(gen->ix, node->attributes.ints[i]));
        break;
    default: /* broadcast: missing leading dimensions are 1 */
        for (int i = 0; i < from->rank; i++) {
            int out = node->type.rank - from->rank + i;
            at[i] = from->dim[i] == 1 ? sy_ix_const(gen->ix, 0) : index[out];
        }
        break;
    }
    return sy_pull(gen, node->args[0], at);
}

/* The value of a ROW node of this group at a column: its argument there and the statistics of the running row. */
static sy_val row_value(sy_gen *gen, uint32_t which, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[which]];
    sy_ix column = index[node->type.rank - 1];
    if (node->op == SY_OP_TOP_K) {
        if (!sy_ix_uses(gen->ix, column, gen->lane))
            return sy_gen_temp(gen, SY_I32, 1, "s%u_ids(%s)", which, sy_gen_ix(gen, column));
        const char *part[4];
        for (int i = 0; i < 4; i++)
            part[i] = sy_gen_ix(gen, sy_ix_replace(gen->ix, column, gen->lane, sy_ix_const(gen->ix, i)));
        return sy_gen_temp(gen, SY_I32, 4, "ivec4(s%u_ids(%s), s%u_ids(%s), s%u_ids(%s), s%u_ids(%s))", which, part[0],
                           which, part[1], which, part[2], which, part[3]);
    }
    static const char *const parts[] = {".x", ".y", ".z", ".w"};
    bool wide = gen->row_quads && gen->component < 0;
    const char *part = gen->row_quads && !wide ? parts[gen->component] : "";
    if (node->op == SY_OP_REDUCE_SUM || node->op == SY_OP_REDUCE_MEAN || node->op == SY_OP_REDUCE_MAX)
        return sy_gen_temp(gen, SY_F32, wide ? 4 : 1, "s%u_a%s", which, part);
    sy_val x = sy_pull(gen, node->args[0], index);
    if (wide)
        x = (sy_val){sy_gen_wide(gen, x, 4), 4, x.dtype};
    if (node->op == SY_OP_SOFTMAX)
        return sy_gen_temp(gen, SY_F32, x.width, "exp(%s - s%u_a%s) * s%u_b%s", x.text, which, part, which, part);
    if (node->op == SY_OP_ENTMAX) {
        bool sparse = node->attributes.alpha == 2;
        x = sy_gen_temp(gen, SY_F32, x.width, "max((%s - s%u_a) * %s - s%u_b, 0.0)", x.text, which,
                        sparse ? "1.0" : "0.5", which);
        return sparse ? x : sy_gen_temp(gen, SY_F32, x.width, "%s * %s", x.text, x.text);
    }
    if (node->op == SY_OP_LAYER_NORM)
        return sy_gen_temp(gen, SY_F32, x.width, "(%s - s%u_a%s) * s%u_b%s", x.text, which, part, which, part);
    return sy_gen_temp(gen, SY_F32, x.width, "%s * s%u_b%s", x.text, which, part);
}

static sy_val pull_new(sy_gen *gen, sy_value value, const sy_ix *index)
{
    const sy_node *node = &gen->graph->nodes[value];
    const sy_class class = sy_op_get(node->op)->class;
    int binding = sy_gen_binding(gen, value);
    uint32_t which;
    if (binding >= 0)
        return load(gen, binding, node->type.dtype, sy_ix_flat(gen->ix, index, node->type.dim, node->type.rank));
    if (sy_gen_anchor(gen, value, &which)) {
        static const char *const part[] = {".x", ".y", ".z", ".w"};
        if (!gen->anchor_values)
            return row_value(gen, which, index);
        char *text = sy_arena_printf(&gen->arena, "acc%u%s", which, gen->component < 0 ? "" : part[gen->component]);
        return (sy_val){text ? text : "acc0", gen->component < 0 ? 4 : 1, SY_F32};
    }
    if (class == SY_CLASS_VIEW)
        return pull_view(gen, value, index);
    if (class == SY_CLASS_MAP || class == SY_CLASS_LEAF)
        return sy_pull_map(gen, value, index);
    sy_gen_fail(gen, "%s (value %u) is neither an input nor an anchor of its group", sy_op_get(node->op)->name, value);
    return zero;
}

sy_val sy_pull(sy_gen *gen, sy_value value, const sy_ix *index)
{
    int rank = gen->graph->nodes[value].type.rank;
    if (gen->failed || sy_ix_failed(gen->ix) || gen->graph->nodes[value].type.is_route) {
        sy_gen_fail(gen, "an index expression is too large, or a route is used as a tensor");
        return zero;
    }
    for (uint32_t i = gen->n_memos; i-- > 0;)
        if (gen->memos[i].value == value && !memcmp(gen->memos[i].index, index, (size_t)rank * sizeof *index))
            return gen->memos[i].result;
    if (gen->depth == SY_GEN_DEPTH) {
        sy_gen_fail(gen, "a fused chain is longer than %d ops", SY_GEN_DEPTH);
        return zero;
    }
    gen->depth++;
    sy_val result = pull_new(gen, value, index);
    gen->depth--;
    if (gen->n_memos == gen->memos_room) {
        uint32_t room = 2 * gen->memos_room + 64;
        sy_memo *grown = realloc(gen->memos, room * sizeof *grown);
        if (!grown) {
            sy_gen_fail(gen, "out of memory");
            return result;
        }
        gen->memos = grown;
        gen->memos_room = room;
    }
    gen->memos[gen->n_memos].value = value;
    gen->memos[gen->n_memos].result = result;
    memcpy(gen->memos[gen->n_memos++].index, index, (size_t)rank * sizeof *index);
    return result;
}

bool sy_pull_reaches(sy_gen *gen, sy_value value, sy_value anchor)
{
    const sy_node *node = &gen->graph->nodes[value];
    if (gen->reach_for != anchor) {
        memset(gen->reach, 0, gen->graph->n_nodes);
        gen->reach_for = anchor;
    }
    if (value == anchor)
        return true;
    if (value < anchor || sy_gen_binding(gen, value) >= 0)
        return false;
    if (!gen->reach[value]) {
        bool found = false;
        if (gen->depth++ < SY_GEN_DEPTH)
            for (uint32_t i = 0; i < node->n_args && !found; i++)
                found = sy_pull_reaches(gen, node->args[i], anchor);
        gen->depth--;
        gen->reach[value] = found ? 2 : 1;
    }
    return gen->reach[value] == 2;
}

bool sy_pull_invert(sy_gen *gen, sy_value output, sy_value anchor, const sy_ix *index, sy_ix *result)
{
    const sy_node *node = &gen->graph->nodes[output];
    const sy_type *type = &node->type;
    sy_ix at[SY_MAX_RANK];
    if (output == anchor) {
        memcpy(result, index, type->rank * sizeof *index);
        return true;
    }
    for (uint32_t a = 0; a < node->n_args; a++) {
        const sy_type *from = &gen->graph->nodes[node->args[a]].type;
        if (from->is_route || !sy_pull_reaches(gen, node->args[a], anchor) ||
            sy_type_count(from) != sy_type_count(type) || !sy_pull_invert(gen, node->args[a], anchor, index, at))
            continue;
        if (node->op == SY_OP_TRANSPOSE) {
            for (int i = 0; i < type->rank; i++)
                result[i] = at[node->attributes.ints[i]];
        } else {
            /* reshape, and element-wise ops: the same flat index (dimensions differ by ones at most) */
            sy_ix_unflat(gen->ix, sy_ix_flat(gen->ix, at, from->dim, from->rank), type->dim, type->rank, result);
        }
        return true;
    }
    return false;
}

/* Elements from one step's slice to the next, if the output is one slice a step; else 0. */
static uint64_t step_stride(const sy_gen *gen, sy_value value)
{
    for (uint32_t i = 0; i < gen->graph->n_ends; i++)
        if (gen->graph->ends[i].kind == SY_END_STEP_OUTPUT && gen->graph->ends[i].value == value) {
            const sy_type *type = &gen->graph->nodes[value].type;
            return SY_STEP_STRIDE(sy_type_bytes(type)) / (type->dtype == SY_F16 || type->dtype == SY_BF16 ? 2 : 4);
        }
    return 0;
}

/* One half of a word. The word's other half belongs to somebody else, so it is set bit by bit; the order of the two
 * does not matter, and both writers clear and set their own bits only. */
static void store_half(sy_gen *gen, uint32_t binding, sy_dtype stored, sy_ix flat, const char *text)
{
    const char *word = sy_gen_ix(gen, sy_ix_div(gen->ix, flat, 2)), *half = sy_gen_ix(gen, sy_ix_mod(gen->ix, flat, 2));
    gen->uses[binding] |= 1;
    sy_gen_line(gen, "atomicAnd(b%u.d[%s], 0xffff0000u >> (16u * %s));", binding, word, half);
    sy_gen_line(gen, "atomicOr(b%u.d[%s], sy_to_%s(%s) << (16u * %s));", binding, word,
                stored == SY_F16 ? "f16" : "bf16", text, half);
}

static void store_scalar(sy_gen *gen, uint32_t binding, sy_dtype stored, sy_ix flat, const char *text)
{
    if (stored == SY_F16 || stored == SY_BF16) {
        store_half(gen, binding, stored, flat, text);
        return;
    }
    gen->uses[binding] |= 1;
    sy_gen_line(gen, "b%u.d[%s] = %s;", binding, sy_gen_ix(gen, flat), text);
}

void sy_push_outputs(sy_gen *gen, sy_value without, sy_ix (*at)[SY_MAX_RANK])
{
    const sy_group *group = gen->group;
    sy_val values[SY_GROUP_OUTPUTS];
    for (uint32_t i = 0; i < group->n_outputs; i++)
        if (group->outputs[i] != without)
            values[i] = sy_pull(gen, group->outputs[i], at[i]);
    for (uint32_t i = 0; i < group->n_outputs; i++)
        if (group->outputs[i] != without)
            sy_push_store(gen, i, at[i], values[i]);
}

void sy_push_store(sy_gen *gen, uint32_t output, const sy_ix *index, sy_val value)
{
    static const char *const part[] = {"x", "y", "z", "w"};
    sy_value node = gen->group->outputs[output];
    const sy_type *type = &gen->graph->nodes[node].type;
    uint32_t binding = gen->group->n_inputs + output;
    sy_ix flat = sy_ix_flat(gen->ix, index, type->dim, type->rank), base;
    uint64_t stride = step_stride(gen, node);
    if (stride) { /* stride is a multiple of 64 elements, so vectors stay aligned */
        sy_ix step = sy_gen_var(gen, 1 << 16, "%s", sy_gen_step_word(gen, "0"));
        flat = sy_ix_add(gen->ix, flat, sy_ix_mul(gen->ix, step, (int64_t)stride));
    }
    bool wide = sy_ix_uses(gen->ix, flat, gen->lane);
    if (!wide) {
        store_scalar(gen, binding, type->dtype, flat, value.text);
        return;
    }
    const char *text = sy_gen_wide(gen, value, 4);
    if (sy_ix_split(gen->ix, flat, gen->lane, &base) && sy_ix_multiple_of(gen->ix, base, 4)) {
        const char *at = sy_gen_ix(gen, sy_ix_div(gen->ix, base, 4));
        gen->uses[binding] |= 2;
        if (type->dtype == SY_F16 || type->dtype == SY_BF16)
            sy_gen_line(gen, "v%u.d[%s] = sy_to_%s4(%s);", binding, at, type->dtype == SY_F16 ? "f16" : "bf16", text);
        else
            sy_gen_line(gen, "v%u.d[%s] = %s;", binding, at, text);
        return;
    }
    for (int i = 0; i < 4; i++) {
        char *one = sy_arena_printf(&gen->arena, "%s.%s", text, part[i]);
        store_scalar(gen, binding, type->dtype, sy_ix_replace(gen->ix, flat, gen->lane, sy_ix_const(gen->ix, i)),
                     one ? one : "0");
    }
}
