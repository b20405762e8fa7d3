/* Rows: for each ROW op a function x<i>(row, j) that pulls its argument and row<i>(row) that makes its statistics, in
 * order; then for each output a loop over its own row length. Values of ROW ops pulled later use the statistics. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

#include <stdio.h>

enum { VALUES = 16 };

typedef struct rows {
    const sy_variant *variant;
    int64_t n;
    bool quads; /* an invocation has four rows, which are the lanes of its vectors */
} rows;

/* Index of column j (vectors of four: the quad j) of a row of a value that lies row by row. */
static void column_index(sy_gen *gen, const rows *r, sy_value value, bool vector, sy_ix *index)
{
    const sy_type *type = &gen->graph->nodes[value].type;
    int64_t length = (int64_t)sy_type_count(type) / r->n;
    char name[24] = "j";
    sy_ix j = sy_ix_var(gen->ix, name, 0, (vector ? length / 4 : length) - 1);
    if (vector)
        j = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, j, 4), gen->lane);
    sy_ix row = sy_ix_var(gen->ix, "row", 0, (r->quads ? r->n / 4 : r->n) - 1);
    if (r->quads)
        row = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, row, 4), gen->lane);
    sy_ix flat = sy_ix_add(gen->ix, sy_ix_mul(gen->ix, row, length), j);
    sy_ix_unflat(gen->ix, flat, type->dim, type->rank, index);
}

static bool write_anchor(sy_gen *gen, const rows *r, uint32_t i)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[i]];
    sy_value x = node->args[0];
    int64_t length = (int64_t)sy_type_count(&gen->graph->nodes[x].type) / r->n;
    bool vector = length % 4 == 0 && !r->quads, wide = vector || r->quads;
    sy_ix index[SY_MAX_RANK];
    char head[64];
    if (node->op != SY_OP_TOP_K && gen->graph->nodes[x].type.dtype > SY_BF16) {
        sy_gen_fail(gen, "%s of integers", sy_op_get(node->op)->name);
        return false;
    }
    const sy_template_value values[] = {
        {"i", i, NULL},
        {"T", 0, wide ? "vec4" : "float"},
        {"S", 0, r->quads ? "vec4" : "float"},
        {"vector", vector, NULL},
        {"shared", r->variant->lanes > 1, NULL},
        {"count", vector ? length / 4 : length, NULL},
        {"k", node->attributes.k, NULL},
        {"inverse", 0, sy_gen_literal(gen, SY_F32, 1.0 / (double)length).text},
        {"sparse", node->attributes.alpha == 2, NULL},
        {"eps", 0, sy_gen_literal(gen, SY_F32, node->attributes.eps).text},
    };
    const uint32_t n = sizeof values / sizeof *values;
    if (!sy_template_expand(r->variant->file, node->op == SY_OP_TOP_K ? "ids_state" : "state", values, n,
                            &gen->functions, gen->error))
        return false;
    snprintf(head, sizeof head, "%s x%u(uint row, uint j)", wide ? "vec4" : "float", i);
    sy_gen_begin(gen, head);
    column_index(gen, r, x, vector, index);
    sy_val value = sy_pull(gen, x, index);
    const char *text = sy_gen_wide(gen, value, wide ? 4 : 1);
    sy_gen_line(gen, value.dtype == SY_F32 ? "return %s;" : wide ? "return vec4(%s);" : "return float(%s);", text);
    sy_gen_end(gen);
    return sy_template_expand(r->variant->file, sy_op_get(node->op)->name, values, n, &gen->functions, gen->error);
}

/* An output is some views over a value that lies row by row. */
static sy_value below_views(const sy_gen *gen, sy_value value)
{
    while (sy_op_get(gen->graph->nodes[value].op)->class == SY_CLASS_VIEW && sy_gen_binding(gen, value) < 0)
        value = gen->graph->nodes[value].args[0];
    return value;
}

static bool write_output(sy_gen *gen, const rows *r, uint32_t i, sy_text *loops)
{
    sy_value output = gen->group->outputs[i], base = below_views(gen, output);
    int64_t length = (int64_t)sy_type_count(&gen->graph->nodes[base].type) / r->n;
    bool vector = length % 4 == 0 && !r->quads;
    sy_ix index[SY_MAX_RANK], at[SY_MAX_RANK];
    char head[64];
    snprintf(head, sizeof head, "void store%u(uint row, uint j)", i);
    sy_gen_begin(gen, head);
    column_index(gen, r, base, vector, index);
    if (!sy_pull_invert(gen, output, base, index, at)) {
        sy_gen_fail(gen, "an output of a row group is no bijective view of its rows");
        return false;
    }
    sy_push_store(gen, i, at, sy_pull(gen, output, at));
    sy_gen_end(gen);
    const sy_template_value values[] = {{"i", i, NULL}, {"count", vector ? length / 4 : length, NULL}};
    return sy_template_expand(r->variant->file, "output", values, 2, loops, gen->error);
}

bool sy_emit_row(sy_gen *gen, sy_text *out)
{
    const sy_group *group = gen->group;
    const sy_type *x = &gen->graph->nodes[gen->graph->nodes[group->anchors[0]].args[0]].type;
    const sy_variant *v = sy_variant_find(group->variant);
    const rows r = {v, (int64_t)sy_type_count(x) / x->dim[x->rank - 1], v->rows == 4};
    gen->row_quads = r.quads;
    const sy_template_value values[] = {
        {"lanes", r.variant->lanes, NULL},       {"shared", r.variant->lanes > 1, NULL},
        {"local", group->local_size[0], NULL},   {"groups_x", group->groups[0], NULL},
        {"rows", r.quads ? r.n / 4 : r.n, NULL}, {"quads", r.quads, NULL},
        {"anchors", group->n_anchors, NULL},
    };
    const uint32_t n = sizeof values / sizeof *values;
    sy_text loops = {0};
    bool ok = sy_template_expand(r.variant->file, "prologue", values, n, &gen->functions, gen->error);
    for (uint32_t i = 0; i < group->n_anchors && ok; i++)
        ok = write_anchor(gen, &r, i);
    for (uint32_t i = 0; i < group->n_outputs && ok; i++)
        ok = write_output(gen, &r, i, &loops);
    if (ok) {
        sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
        ok = sy_template_expand(r.variant->file, "main", values, n, out, gen->error);
        if (loops.data)
            sy_text_add_bytes(out, loops.data, loops.size);
        ok = ok && sy_template_expand(r.variant->file, "end", values, n, out, gen->error);
    }
    sy_text_free(&loops);
    return ok;
}
