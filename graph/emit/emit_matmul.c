/* Matmul, plain, batched and grouped: load_a0(batch, row, k4) gives four elements along k, load_b0/1(batch, k, n4) four
 * along n, store(batch, row, n4, …) runs the epilogue. batch is the leading index, or the target of a grouped one.
 * Where K or N is not a multiple of four, loads clamp their index and A is 0 beyond its end. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

#include <stdio.h>
#include <string.h>

typedef struct shape {
    int64_t batches, m, n, k, n4, k4;
    bool grouped, batched, gather;
    uint32_t parts; /* of the sum; load_a<part> */
    int64_t ends[SY_GEN_PARTS];
} shape;

static shape shape_of(const sy_gen *gen)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[0]];
    const sy_type *a = &gen->graph->nodes[node->args[0]].type, *b = &gen->graph->nodes[node->args[1]].type;
    shape s = {.batches = 1, .n = node->type.dim[node->type.rank - 1], .k = a->dim[a->rank - 1]};
    s.grouped = node->op == SY_OP_GROUPED_MATMUL;
    s.batched = !s.grouped && b->rank > 2;
    s.gather = s.grouped && node->attributes.gather;
    s.m = s.batched ? node->type.dim[node->type.rank - 2] : (int64_t)sy_type_count(&node->type) / s.n;
    s.batches = s.grouped ? b->dim[0] : (int64_t)sy_type_count(&node->type) / (s.m * s.n);
    s.n4 = (s.n + 3) / 4;
    s.k4 = (s.k + 3) / 4;
    s.parts = sy_gen_parts(gen, node->args[0], s.ends);
    return s;
}

/* Index of an element of a left argument or result: leading dims from batch or row, then the last. */
static void row_index(sy_gen *gen, const shape *s, const sy_type *type, int64_t rows, sy_ix last, sy_ix *index)
{
    sy_ix row = sy_ix_var(gen->ix, "row", 0, rows - 1);
    int leading = type->rank - 1 - s->batched;
    if (s->batched) {
        sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "batch", 0, s->batches - 1), type->dim, leading, index);
        index[leading] = row;
    } else {
        sy_ix_unflat(gen->ix, row, type->dim, leading, index);
    }
    index[type->rank - 1] = last;
}

static void write_load_a(sy_gen *gen, const shape *s, uint32_t part)
{
    char head[64];
    sy_value a = gen->graph->nodes[gen->group->anchors[0]].args[0];
    const sy_type *type = &gen->graph->nodes[a].type;
    int64_t rows = (int64_t)sy_type_count(type) / s->k / (s->batched ? s->batches : 1);
    sy_ix index[SY_MAX_RANK], k4 = sy_ix_var(gen->ix, "k4", part ? s->ends[part - 1] : 0, s->ends[part] - 1);
    snprintf(head, sizeof head, "vec4 load_a%u(uint batch, uint row, uint k4)", part);
    sy_gen_begin(gen, head);
    if (s->k % 4 == 0) {
        row_index(gen, s, type, rows, sy_ix_add(gen->ix, sy_ix_mul(gen->ix, k4, 4), gen->lane), index);
        sy_gen_line(gen, "return %s;", sy_gen_wide(gen, sy_pull(gen, a, index), 4));
    } else {
        const char *one[4];
        for (int i = 0; i < 4; i++) {
            sy_ix k = sy_gen_var(gen, s->k - 1, "min(4u * k4 + %du, %lluu)", i, (unsigned long long)s->k - 1);
            row_index(gen, s, type, rows, k, index);
            sy_val v = sy_pull(gen, a, index);
            one[i] =
                sy_gen_temp(gen, SY_F32, 1, "4u * k4 + %du < %lluu ? %s : 0.0", i, (unsigned long long)s->k, v.text)
                    .text;
        }
        sy_gen_line(gen, "return vec4(%s, %s, %s, %s);", one[0], one[1], one[2], one[3]);
    }
    sy_gen_end(gen);
}

static void b_index(sy_gen *gen, const shape *s, const sy_node *node, sy_ix k, sy_ix n, sy_ix *index)
{
    const sy_type *type = &gen->graph->nodes[node->args[1]].type;
    if (type->rank > 2)
        sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "batch", 0, s->batches - 1), type->dim, type->rank - 2, index);
    index[type->rank - 2] = node->attributes.transpose_b ? n : k;
    index[type->rank - 1] = node->attributes.transpose_b ? k : n;
}

static void write_load_b(sy_gen *gen, const shape *s, uint32_t which)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[which]];
    sy_ix index[SY_MAX_RANK], n4 = sy_ix_var(gen->ix, "n4", 0, s->n4 - 1), k;
    sy_gen_begin(gen,
                 which ? "vec4 load_b1(uint batch, uint k, uint n4)" : "vec4 load_b0(uint batch, uint k, uint n4)");
    if (s->k % 4)
        k = sy_gen_var(gen, s->k - 1, "min(k, %lluu)", (unsigned long long)s->k - 1);
    else
        k = sy_ix_var(gen->ix, "k", 0, s->k - 1);
    if (s->n % 4 == 0) {
        b_index(gen, s, node, k, sy_ix_add(gen->ix, sy_ix_mul(gen->ix, n4, 4), gen->lane), index);
        sy_gen_line(gen, "return %s;", sy_gen_wide(gen, sy_pull(gen, node->args[1], index), 4));
    } else {
        const char *part[4];
        for (int i = 0; i < 4; i++) {
            sy_ix n = sy_gen_var(gen, s->n - 1, "min(4u * n4 + %du, %lluu)", i, (unsigned long long)s->n - 1);
            b_index(gen, s, node, k, n, index);
            part[i] = sy_pull(gen, node->args[1], index).text;
        }
        sy_gen_line(gen, "return vec4(%s, %s, %s, %s);", part[0], part[1], part[2], part[3]);
    }
    sy_gen_end(gen);
}

static void place(sy_gen *gen, const void *context, sy_ix n, sy_ix *index)
{
    const shape *s = context;
    row_index(gen, s, &gen->graph->nodes[gen->group->anchors[0]].type, s->m, n, index);
}

static void write_rows(sy_gen *gen, const shape *s, const sy_route_layout *at)
{
    int binding = s->grouped ? sy_gen_binding(gen, gen->group->route) : -1;
    if (s->grouped && binding < 0) {
        sy_gen_fail(gen, "a route is not among the inputs of its group");
        return;
    }
    if (s->grouped) {
        gen->uses[binding] |= 1;
        sy_text_printf(&gen->functions, "uint route_word(uint i)\n{\n    return b%d.d[i];\n}\n\n", binding);
    }
    sy_text_add(&gen->functions, "uint source_row(uint row)\n{\n");
    if (s->gather)
        sy_text_printf(&gen->functions, "    return route_word(%uu + row);\n}\n\n", at->rows);
    else
        sy_text_add(&gen->functions, "    return row;\n}\n\n");
}

bool sy_emit_matmul(sy_gen *gen, sy_text *out)
{
    const sy_group *group = gen->group;
    const sy_variant *v = sy_variant_find(group->variant);
    const shape s = shape_of(gen);
    sy_route_layout at = {0};
    if (s.grouped)
        at = sy_route_layout_of(&gen->graph->nodes[group->route].type);
    if (group->tile_rows != v->rows)
        sy_gen_fail(gen, "%s makes tiles of %u rows, but the route's have %u", v->name, v->rows, group->tile_rows);
    write_rows(gen, &s, &at);
    sy_gen_write_parts(gen, s.parts, s.ends);
    for (uint32_t p = 0; p < s.parts; p++)
        write_load_a(gen, &s, p);
    for (uint32_t i = 0; i < group->n_anchors; i++)
        write_load_b(gen, &s, i);
    sy_gen_write_store(gen, "uint batch, uint row, uint n4, vec4 acc0, vec4 acc1", s.n, place, &s);
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    int64_t run = sy_problem_of(gen->plan, group).run;
    int64_t tr = v->rows / v->local[1], tv = v->columns / 4 / v->local[0];
    const uint32_t *mnk = gen->plan->limits.matrix, *parts = v->matrix;
    const bool matrix = parts[0] != 0;
    const sy_template_value values[] = {
        {"grouped", s.grouped, NULL},
        {"tiles", at.tiles, NULL},
        {"offsets", at.offsets, NULL},
        {"m", s.m, NULL},
        {"n4", s.n4, NULL},
        {"k4", s.k4, NULL},
        {"parts", s.parts, NULL},
        {"rows", v->rows, NULL},
        {"vectors", v->columns / 4, NULL},
        {"rows4", v->rows / 4, NULL},
        {"rows8", (v->rows + 7) / 8, NULL},
        {"broadcast", v->subgroup != 0, NULL},
        {"columns4", v->columns / 4, NULL},
        {"local_x", v->local[0], NULL},
        {"local_y", v->local[1], NULL},
        {"local", (int64_t)group->local_size[0] * v->local[1], NULL},
        {"matrix_m", mnk[0], NULL},
        {"matrix_n", mnk[1], NULL},
        {"matrix_k", mnk[2], NULL},
        {"subgroups", v->local[1], NULL},
        {"across", parts[1], NULL},
        {"down_each", matrix ? v->rows / parts[0] / mnk[0] : 0, NULL},
        {"across_each", matrix ? v->columns / parts[1] / mnk[1] : 0, NULL},
        {"deep", matrix ? v->step / mnk[2] : 0, NULL},
        {"step", v->step, NULL},
        {"step4", v->step / 4, NULL},
        {"tr", tr, NULL},
        {"tr4", tr / 4, NULL},
        {"tv", tv, NULL},
        {"run", run, NULL},
        {"span", tr ? run / tr : 0, NULL},
        {"anchors", group->n_anchors, NULL},
        {"last", group->n_anchors - 1, NULL},
    };
    const uint32_t n = sizeof values / sizeof *values;
    return (!run || sy_template_expand("moments.glsl", "all", NULL, 0, out, gen->error)) &&
           sy_template_expand(v->file, "prologue", values, n, out, gen->error) &&
           sy_template_expand(v->file, v->section, values, n, out, gen->error);
}
