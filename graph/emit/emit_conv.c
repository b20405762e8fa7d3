/* Convolution as an implicit matmul: for each tap of the window, rows of A are pixels of x and rows of B that tap's
 * input channels. Nothing is unfolded: load_a0(batch, pixel, k4) pulls four channels of a pixel, load_b(batch, tap, k,
 * n4) four output channels, store(batch, row, n4, …) runs the epilogue for pixel `row` of the result; batch is the
 * group of channels. Which pixel a tap reads, and whether there is one, is decided once a tap (conv_pixel in the
 * template), so the loop over channels is that of matmul. Depthwise: no sum over channels; k4 counts the channels
 * themselves. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"
#include "graph/ops/window.h"

#include <stdio.h>

typedef struct shape {
    sy_window window;
    bool depthwise;
    uint32_t parts; /* of the sum over channels; load_a<part> */
    int64_t ends[SY_GEN_PARTS];
    int64_t batches, pixels /* of x */, k, k4, n, n4; /* channels in and out, of a batch */
} shape;

static shape shape_of(const sy_gen *gen)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[0]];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type;
    shape s = {.window = sy_window_of(gen->graph, node), .depthwise = gen->group->kind == SY_GROUP_DEPTHWISE};
    s.batches = s.depthwise ? 1 : s.window.groups;
    s.k = x->dim[x->rank - 1] / s.batches;
    s.n = node->type.dim[x->rank - 1] / s.batches;
    s.pixels = (int64_t)sy_type_count(x) / x->dim[x->rank - 1];
    s.k4 = (s.k + 3) / 4;
    s.n4 = (s.n + 3) / 4;
    s.parts = 1;
    s.ends[0] = s.k4;
    if (!s.depthwise && s.batches == 1)
        s.parts = sy_gen_parts(gen, node->args[0], s.ends);
    return s;
}

static sy_ix channel(sy_gen *gen, const shape *s, sy_ix own, int64_t size)
{
    sy_ix batch = sy_ix_var(gen->ix, "batch", 0, s->batches - 1);
    return s->batches > 1 ? sy_ix_add(gen->ix, sy_ix_mul(gen->ix, batch, size), own) : own;
}

/* Four channels of `size`, the vector `name` in begin … end - 1: at once where they stand in fours, else one by one, 0
 * beyond the end. */
static void write_four(sy_gen *gen, const shape *s, sy_value value, sy_ix *index, int64_t size, const char *name,
                       int64_t begin, int64_t end)
{
    int last = gen->graph->nodes[value].type.rank - 1;
    if (size % 4 == 0) {
        sy_ix at = sy_ix_mul(gen->ix, sy_ix_var(gen->ix, name, begin, end - 1), 4);
        index[last] = channel(gen, s, sy_ix_add(gen->ix, at, gen->lane), size);
        sy_gen_line(gen, "return %s;", sy_gen_wide(gen, sy_pull(gen, value, index), 4));
        return;
    }
    const char *part[4];
    for (int i = 0; i < 4; i++) {
        sy_ix at = sy_gen_var(gen, size - 1, "min(4u * %s + %du, %lluu)", name, i, (unsigned long long)size - 1);
        index[last] = channel(gen, s, at, size);
        sy_val v = sy_pull(gen, value, index);
        part[i] =
            sy_gen_temp(gen, SY_F32, 1, "4u * %s + %du < %lluu ? %s : 0.0", name, i, (unsigned long long)size, v.text)
                .text;
    }
    sy_gen_line(gen, "return vec4(%s, %s, %s, %s);", part[0], part[1], part[2], part[3]);
}

static void write_loads(sy_gen *gen, const shape *s)
{
    const sy_node *node = &gen->graph->nodes[gen->group->anchors[0]];
    const sy_type *x = &gen->graph->nodes[node->args[0]].type, *w = &gen->graph->nodes[node->args[1]].type;
    sy_ix index[SY_MAX_RANK];
    for (uint32_t p = 0; p < s->parts; p++) {
        char head[64];
        snprintf(head, sizeof head, "vec4 load_a%u(uint batch, uint pixel, uint k4)", p);
        sy_gen_begin(gen, head);
        sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "pixel", 0, s->pixels - 1), x->dim, x->rank - 1, index);
        write_four(gen, s, node->args[0], index, s->k, "k4", p ? s->ends[p - 1] : 0, s->ends[p]);
        sy_gen_end(gen);
    }
    sy_gen_begin(gen, "vec4 load_b(uint batch, uint tap, uint k, uint n4)");
    sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "tap", 0, s->window.taps - 1), w->dim, w->rank - 2, index);
    if (s->depthwise)
        index[w->rank - 2] = sy_ix_const(gen->ix, 0);
    else if (s->k % 4)
        index[w->rank - 2] = sy_gen_var(gen, s->k - 1, "min(k, %lluu)", (unsigned long long)s->k - 1);
    else
        index[w->rank - 2] = sy_ix_var(gen->ix, "k", 0, s->k - 1);
    write_four(gen, s, node->args[1], index, s->n, "n4", 0, s->n4);
    sy_gen_end(gen);
}

static void place(sy_gen *gen, const void *context, sy_ix n, sy_ix *index)
{
    const shape *s = context;
    const sy_type *type = &gen->graph->nodes[gen->group->anchors[0]].type;
    sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "row", 0, s->window.pixels - 1), type->dim, type->rank - 1, index);
    index[type->rank - 1] = channel(gen, s, n, s->n);
}

bool sy_emit_conv(sy_gen *gen, sy_text *out)
{
    const sy_variant *v = sy_variant_find(gen->group->variant);
    const shape s = shape_of(gen);
    const sy_window *w = &s.window;
    bool padded = false, up = false, phased = true;
    int32_t lift[SY_SPATIAL]; /* at least the pad, and a multiple of `up` */
    for (int d = 0; d < SY_SPATIAL; d++) {
        phased = phased && w->stride[d] == 1 && w->out[d] % w->up[d] == 0;
        lift[d] = (w->pad[d] + w->up[d] - 1) / w->up[d] * w->up[d];
        int64_t end = (int64_t)(w->out[d] - 1) * w->stride[d] - w->pad[d] + (int64_t)(w->size[d] - 1) * w->dilate[d];
        up = up || w->up[d] > 1;
        padded = padded || w->pad[d] > 0 || end >= w->in[d] || up;
    }
    sy_gen_write_parts(gen, s.parts, s.ends);
    write_loads(gen, &s);
    sy_gen_write_store(gen, "uint batch, uint row, uint n4, vec4 acc0", s.n, place, &s);
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    int64_t run = sy_problem_of(gen->plan, gen->group).run;
    int64_t tr = v->rows / v->local[1], tv = v->columns / 4 / v->local[0];
    const sy_template_value values[] = {
        {"padded", padded, NULL},
        {"up", up, NULL},
        {"phased", up && phased, NULL},
        {"images", w->images, NULL},
        {"lift_z", lift[0], NULL},
        {"lift_y", lift[1], NULL},
        {"lift_x", lift[2], NULL},
        {"part_z", w->out[0] / w->up[0], NULL},
        {"part_y", w->out[1] / w->up[1], NULL},
        {"part_x", w->out[2] / w->up[2], NULL},
        {"taps", w->taps, NULL},
        {"out_z", w->out[0], NULL},
        {"out_y", w->out[1], NULL},
        {"out_x", w->out[2], NULL},
        {"in_z", w->in[0], NULL},
        {"in_y", w->in[1], NULL},
        {"in_x", w->in[2], NULL},
        {"size_y", w->size[1], NULL},
        {"size_x", w->size[2], NULL},
        {"stride_z", w->stride[0], NULL},
        {"stride_y", w->stride[1], NULL},
        {"stride_x", w->stride[2], NULL},
        {"pad_z", w->pad[0], NULL},
        {"pad_y", w->pad[1], NULL},
        {"pad_x", w->pad[2], NULL},
        {"dilate_z", w->dilate[0], NULL},
        {"dilate_y", w->dilate[1], NULL},
        {"dilate_x", w->dilate[2], NULL},
        {"up_z", w->up[0], NULL},
        {"up_y", w->up[1], NULL},
        {"up_x", w->up[2], NULL},
        {"m", w->pixels, NULL},
        {"folded", gen->group->groups[2] > s.batches, NULL},
        {"batches", s.batches, NULL},
        {"groups_x", gen->group->groups[0], NULL},
        {"n4", s.n4, NULL},
        {"k4", s.k4, NULL},
        {"parts", s.parts, NULL},
        {"rows", v->rows, NULL},
        {"vectors", v->columns / 4, NULL},
        {"rows4", v->rows / 4, NULL},
        {"columns4", v->columns / 4, NULL},
        {"local_x", v->local[0], NULL},
        {"local", (int64_t)v->local[0] * v->local[1], NULL},
        {"step", v->step, NULL},
        {"step4", v->step / 4, NULL},
        {"tr", tr, NULL},
        {"tr4", tr / 4, NULL},
        {"tv", tv, NULL},
        {"run", run, NULL},
        {"span", tr ? run / tr : 0, NULL},
    };
    const uint32_t n = sizeof values / sizeof *values;
    return (!run || sy_template_expand("moments.glsl", "all", NULL, 0, out, gen->error)) &&
           sy_template_expand(v->file, "prologue", values, n, out, gen->error) &&
           sy_template_expand(v->file, v->section, values, n, out, gen->error);
}
