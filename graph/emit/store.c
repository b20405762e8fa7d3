/* The epilogue of contractions: see gen.h. */
#include "graph/emit/gen.h"
#include "graph/passes/passes.h"

#include <stdio.h>

/* All outputs at an element, or four, of the anchor. */
static void store_at(sy_gen *gen, sy_gen_place *place, const void *shape, sy_ix column, sy_value moments)
{
    sy_value anchor = gen->group->anchors[0];
    sy_ix index[SY_MAX_RANK], at[SY_GROUP_OUTPUTS][SY_MAX_RANK], of[SY_MAX_RANK];
    place(gen, shape, column, index);
    for (uint32_t i = 0; i < gen->group->n_outputs; i++) {
        sy_value output = gen->group->outputs[i];
        if (output != moments && !sy_pull_invert(gen, output, anchor, index, at[i])) {
            sy_gen_fail(gen, "an output of a %s is not made of it element by element",
                        sy_op_get(gen->graph->nodes[anchor].op)->name);
            return;
        }
    }
    sy_push_outputs(gen, moments, at);
    sy_value x = gen->graph->nodes[moments].args ? gen->graph->nodes[moments].args[0] : 0;
    if (moments && sy_pull_invert(gen, x, anchor, index, of))
        sy_gen_line(gen, "return %s;", sy_gen_wide(gen, sy_pull(gen, x, of), 4));
    else if (moments)
        sy_gen_fail(gen, "moments of what is not made of a contraction element by element");
}

static void write_moments(sy_gen *gen, int64_t columns, sy_gen_place *place, const void *shape, sy_value moments)
{
    const sy_type *type = &gen->graph->nodes[moments].type;
    const int last = gen->graph->nodes[gen->group->anchors[0]].type.rank - 1;
    sy_ix index[SY_MAX_RANK], n4 = sy_ix_var(gen->ix, "n4", 0, columns / 4 - 1);
    uint32_t output = 0;
    while (gen->group->outputs[output] != moments)
        output++;
    sy_gen_begin(gen, "void store_moments(uint batch, uint run, uint n4, vec4 mean, vec4 spread)");
    place(gen, shape, sy_ix_add(gen->ix, sy_ix_mul(gen->ix, n4, 4), gen->lane), index);
    for (int half = 0; half < 2; half++) {
        sy_ix at[] = {sy_ix_const(gen->ix, half), sy_ix_var(gen->ix, "run", 0, type->dim[1] - 1), index[last]};
        sy_push_store(gen, output, at, (sy_val){half ? "spread" : "mean", 4, SY_F32});
    }
    sy_gen_end(gen);
}

void sy_gen_write_store(sy_gen *gen, const char *parameters, int64_t columns, sy_gen_place *place, const void *shape)
{
    sy_value moments = sy_group_moments(gen->graph, gen->group);
    char head[96];
    snprintf(head, sizeof head, "%s store(%s)", moments ? "vec4" : "void", parameters);
    gen->anchor_values = true;
    sy_gen_begin(gen, head);
    if (columns % 4 == 0) {
        sy_ix n4 = sy_ix_var(gen->ix, "n4", 0, columns / 4 - 1);
        store_at(gen, place, shape, sy_ix_add(gen->ix, sy_ix_mul(gen->ix, n4, 4), gen->lane), moments);
    } else {
        for (int i = 0; i < 4; i++) {
            sy_gen_line(gen, "if (4u * n4 + %du < %lluu) {", i, (unsigned long long)columns);
            uint32_t scope = sy_gen_open(gen);
            gen->component = i;
            store_at(gen, place, shape, sy_gen_var(gen, columns - 1, "4u * n4 + %du", i), 0);
            gen->component = -1;
            sy_gen_close(gen, scope, "}");
        }
    }
    sy_gen_end(gen);
    gen->anchor_values = false;
    if (moments)
        write_moments(gen, columns, place, shape, moments);
}
