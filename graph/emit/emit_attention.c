/* Attention: load_q/k/v(batch, head, row, d4) give four elements of a head, load_bias what is added to scores,
 * route_word a word of the route, store(batch, head, row, e4, …) runs the epilogue. Heads whose size is not a multiple
 * of four are read one by one, with zeros behind the end. The template walks keys in steps, online softmax as in
 * arXiv 1805.02867 and 2205.14135. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

#include <stdio.h>
#include <string.h>

#define LOG2_E 1.4426950408889634

static sy_ix variable(sy_gen *gen, const char *name, int64_t count)
{
    return sy_ix_var(gen->ix, name, 0, count - 1);
}

static void write_load(sy_gen *gen, const char *name, sy_value x)
{
    const sy_type *type = &gen->graph->nodes[x].type;
    int64_t size = type->dim[3];
    char head[80];
    sy_ix index[4] = {variable(gen, "batch", type->dim[0]), variable(gen, "head", type->dim[1]),
                      variable(gen, "row", type->dim[2]), 0};
    sy_ix quad = variable(gen, "i", (size + 3) / 4);
    snprintf(head, sizeof head, "vec4 load_%s(uint batch, uint head, uint row, uint i)", name);
    sy_gen_begin(gen, head);
    if (size % 4 == 0) {
        index[3] = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, quad, 4), gen->lane);
        sy_gen_line(gen, "return %s;", sy_gen_wide(gen, sy_pull(gen, x, index), 4));
    } else {
        const char *part[4];
        for (int i = 0; i < 4; i++) {
            index[3] = sy_gen_var(gen, size - 1, "min(4u * i + %du, %lluu)", i, (unsigned long long)size - 1);
            sy_val v = sy_pull(gen, x, index);
            part[i] =
                sy_gen_temp(gen, SY_F32, 1, "4u * i + %du < %lluu ? %s : 0.0", i, (unsigned long long)size, v.text)
                    .text;
        }
        sy_gen_line(gen, "return vec4(%s, %s, %s, %s);", part[0], part[1], part[2], part[3]);
    }
    sy_gen_end(gen);
}

static void store_at(sy_gen *gen, sy_ix *index)
{
    sy_ix at[SY_GROUP_OUTPUTS][SY_MAX_RANK];
    for (uint32_t i = 0; i < gen->group->n_outputs; i++)
        if (!sy_pull_invert(gen, gen->group->outputs[i], gen->group->anchors[0], index, at[i])) {
            sy_gen_fail(gen, "an output of an attention is not made of it element by element");
            return;
        }
    sy_push_outputs(gen, 0, at);
}

static void write_store(sy_gen *gen, const sy_type *type)
{
    int64_t size = type->dim[3];
    sy_ix index[4] = {variable(gen, "batch", type->dim[0]), variable(gen, "head", type->dim[1]),
                      variable(gen, "row", type->dim[2]), 0};
    gen->anchor_values = true;
    sy_gen_begin(gen, "void store(uint batch, uint head, uint row, uint i, vec4 acc0)");
    if (size % 4 == 0) {
        index[3] = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, variable(gen, "i", size / 4), 4), gen->lane);
        store_at(gen, index);
    } else {
        for (int i = 0; i < 4; i++) {
            sy_gen_line(gen, "if (4u * i + %du < %lluu) {", i, (unsigned long long)size);
            uint32_t scope = sy_gen_open(gen);
            gen->component = i;
            index[3] = sy_gen_var(gen, size - 1, "4u * i + %du", i);
            store_at(gen, index);
            gen->component = -1;
            sy_gen_close(gen, scope, "}");
        }
    }
    sy_gen_end(gen);
    gen->anchor_values = false;
}

/* load_bias4(batch, head, row, i): four keys; load_bias(batch, head, row, key): one. In log2 units. */
static void write_load_bias(sy_gen *gen, const sy_node *node, bool four)
{
    const sy_type *type = &gen->graph->nodes[node->args[3]].type, *k = &gen->graph->nodes[node->args[1]].type;
    const sy_type *out = &node->type;
    sy_ix key = four ? sy_ix_add(gen->ix, sy_ix_mul(gen->ix, variable(gen, "i", k->dim[2] / 4), 4), gen->lane)
                     : variable(gen, "i", k->dim[2]);
    const sy_ix full[4] = {variable(gen, "batch", out->dim[0]), variable(gen, "head", out->dim[1]),
                           variable(gen, "row", out->dim[2]), key};
    sy_ix index[SY_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        index[d] = type->dim[d] == 1 ? sy_ix_const(gen->ix, 0) : full[4 - type->rank + d];
    sy_gen_begin(gen, four ? "vec4 load_bias4(uint batch, uint head, uint row, uint i)"
                           : "float load_bias(uint batch, uint head, uint row, uint i)");
    sy_val x = sy_pull(gen, node->args[3], index);
    sy_gen_line(gen, "return %s * %s;", four ? sy_gen_wide(gen, x, 4) : x.text,
                sy_gen_literal(gen, SY_F32, LOG2_E).text);
    sy_gen_end(gen);
}

static void write_route_word(sy_gen *gen, sy_value route)
{
    int binding = sy_gen_binding(gen, route);
    if (binding < 0) {
        sy_gen_fail(gen, "a route is not among the inputs of its group");
        return;
    }
    gen->uses[binding] |= 1;
    sy_text_printf(&gen->functions, "uint route_word(uint i)\n{\n    return b%d.d[i];\n}\n\n", binding);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

bool sy_emit_attention(sy_gen *gen, sy_text *out)
{
    enum { VALUES = 48 };
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[0]];
    const sy_attributes *a = &node->attributes;
    const sy_variant *v = sy_variant_find(gen->group->variant);
    const sy_type *k = &gen->graph->nodes[node->args[1]].type;
    const bool route = node->op == SY_OP_ROUTE_ATTENTION, bias = !route && node->n_args > 3, probing = sy_skips(node);
    const bool staged = strstr(v->shared, "d4") != NULL, broadcast = v->subgroup != 0;
    int64_t d4 = (k->dim[3] + 3) / 4, e4 = (node->type.dim[3] + 3) / 4, keys = k->dim[2], step = v->step;
    int64_t parts = v->lanes > 1 ? v->lanes : 1, local = gen->group->local_size[0], queries = local * v->rows;
    bool ragged = keys % step || (route && a->block_keys % step), bias4 = bias && keys % 4 == 0 && step % 4 == 0;
    sy_route_layout at = {0};
    write_load(gen, "q", node->args[0]);
    write_load(gen, "k", node->args[1]);
    write_load(gen, "v", node->args[2]);
    if (bias)
        write_load_bias(gen, node, bias4);
    if (route) {
        at = sy_route_layout_of(&gen->graph->nodes[node->args[3]].type);
        write_route_word(gen, node->args[3]);
    }
    write_store(gen, &node->type);
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    int64_t block = route && a->block_rows < node->type.dim[2] ? a->block_rows : node->type.dim[2];
    int64_t blocks = ceil_div(node->type.dim[2], block);
    sy_text scores = {0}, probe = {0};
    sy_template_value values[VALUES] = {
        {"scores", 0, ""},
        {"probe", 0, ""},
        {"scale", 0, sy_gen_literal(gen, SY_F32, a->scale * LOG2_E).text},
        {"skip", 0, sy_gen_literal(gen, SY_F32, a->skip).text},
        {"d4", d4, NULL},
        {"e4", e4, NULL},
        {"d8", ceil_div(d4, 8), NULL},
        {"own_d4", ceil_div(d4, parts), NULL},
        {"own_e4", ceil_div(e4, parts), NULL},
        {"parts", parts, NULL},
        {"split", parts > 1, NULL},
        {"rows", v->rows, NULL},
        {"step", step, NULL},
        {"step4", step / 4, NULL},
        {"s", keys, NULL},
        {"s4", keys / 4, NULL},
        {"t", node->type.dim[2], NULL},
        {"local", local, NULL},
        {"threads", local * v->local[1], NULL},
        {"queries", queries, NULL},
        {"sharing", node->type.dim[1] / k->dim[1], NULL},
        {"heads", node->type.dim[1], NULL},
        {"staged", staged, NULL},
        {"broadcast", broadcast, NULL},
        {"plain", !staged && !broadcast, NULL},
        {"ragged", ragged, NULL},
        {"bounded", ragged, NULL},
        {"causal", a->causal, NULL},
        {"masked", ragged || a->causal, NULL},
        {"bias", bias, NULL},
        {"bias4", bias4, NULL},
        {"probing", probing, NULL},
        {"route", route, NULL},
        {"block_rows", block, NULL},
        {"block_keys", a->block_keys, NULL},
        {"turns", route ? ceil_div(a->block_keys, step) : 0, NULL},
        {"flat", route && !probing, NULL},
        {"blocks", blocks, NULL},
        {"chunks", ceil_div(block, queries), NULL},
        {"shared_rows", route && gen->graph->nodes[node->args[3]].type.dim[SY_ROUTE_ROWS] == node->type.dim[0] * blocks,
         NULL},
        {"row_offsets", at.row_offsets, NULL},
        {"row_slots", at.row_slots, NULL},
        {"targets", at.targets, NULL},
    };
    uint32_t n = 0;
    while (n < VALUES && values[n].name)
        n++;
    bool ok = sy_template_expand(v->file, "scores", values, n, &scores, gen->error);
    values[0].text = scores.data;
    ok = ok && (!probing || sy_template_expand(v->file, "probe", values, n, &probe, gen->error));
    values[1].text = probing ? probe.data : "";
    ok = ok && sy_template_expand(v->file, v->section, values, n, out, gen->error);
    sy_text_free(&probe);
    sy_text_free(&scores);
    return ok;
}
