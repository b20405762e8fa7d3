/* Attention: load_q/k/v(batch, head, row, d4) give four elements of a head, store(batch, head, row, e4, …) runs the
 * epilogue. Heads whose size is not a multiple of four are read one by one, with zeros behind the end. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

#include <stdio.h>

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
    for (uint32_t i = 0; i < gen->group->n_outputs; i++) {
        sy_ix at[SY_MAX_RANK];
        if (!sy_pull_invert(gen, gen->group->outputs[i], gen->group->anchors[0], index, at)) {
            sy_gen_fail(gen, "an output of an attention is not made of it element by element");
            return;
        }
        sy_push_store(gen, i, at, sy_pull(gen, gen->group->outputs[i], at));
    }
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

bool sy_emit_attention(sy_gen *gen, sy_text *out)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[0]];
    const sy_variant *v = sy_variant_find(gen->group->variant);
    const sy_type *k = &gen->graph->nodes[node->args[1]].type;
    int64_t d4 = (k->dim[3] + 3) / 4, e4 = (node->type.dim[3] + 3) / 4, keys = k->dim[2];
    if (node->op == SY_OP_ROUTE_ATTENTION || node->n_args > 3 || node->attributes.causal ||
        k->dim[1] != node->type.dim[1])
        return sy_fail(gen->error, SY_CODE_UNAVAILABLE,
                       "attention with a route, a bias, a diagonal or grouped queries "
                       "runs in the reference alone.");
    write_load(gen, "q", node->args[0]);
    write_load(gen, "k", node->args[1]);
    write_load(gen, "v", node->args[2]);
    write_store(gen, &node->type);
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    const sy_template_value values[] = {
        {"d4", d4, NULL},
        {"rows", v->rows, NULL},
        {"e4", e4, NULL},
        {"s", keys, NULL},
        {"t", node->type.dim[2], NULL},
        {"step", v->step, NULL},
        {"ragged", keys % v->step != 0, NULL},
        {"staged", v->shared[0] != '0', NULL},
        {"local", v->local[0], NULL},
        {"scale", 0, sy_gen_literal(gen, SY_F32, node->attributes.scale).text},
    };
    return sy_template_expand(v->file, v->section, values, sizeof values / sizeof *values, out, gen->error);
}
