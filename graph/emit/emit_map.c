/* Groups without anchor. Outputs have the same element count; each is computed at its own flat index, so they may
 * differ in shape. */
#include "graph/emit/gen.h"

static void store(sy_gen *gen, sy_ix flat)
{
    sy_ix at[SY_GROUP_OUTPUTS][SY_MAX_RANK];
    for (uint32_t i = 0; i < gen->group->n_outputs; i++) {
        const sy_type *type = &gen->graph->nodes[gen->group->outputs[i]].type;
        sy_ix_unflat(gen->ix, flat, type->dim, type->rank, at[i]);
    }
    sy_push_outputs(gen, 0, at);
}

bool sy_emit_map(sy_gen *gen, sy_text *out)
{
    int64_t count = (int64_t)sy_type_count(&gen->graph->nodes[gen->group->outputs[0]].type);
    if (count >= 4) {
        sy_gen_begin(gen, "void store4(uint i)");
        sy_ix i = sy_ix_var(gen->ix, "i", 0, count / 4 - 1);
        store(gen, sy_ix_add(gen->ix, sy_ix_mul(gen->ix, i, 4), gen->lane));
        sy_gen_end(gen);
    } else {
        sy_text_add(&gen->functions, "void store4(uint i) {}\n\n");
    }
    if (count % 4) {
        sy_gen_begin(gen, "void store1(uint j)");
        store(gen, sy_ix_var(gen->ix, "j", 0, count - 1));
        sy_gen_end(gen);
    }
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    const sy_template_value values[] = {
        {"groups_x", gen->group->groups[0], NULL},
        {"local", gen->group->local_size[0], NULL},
        {"whole", count / 4, NULL},
        {"rest", count % 4, NULL},
        {"count", count, NULL},
    };
    return sy_template_expand("map.comp", "vec4", values, sizeof values / sizeof *values, out, gen->error);
}
