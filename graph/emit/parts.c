/* Contractions over concatenated channels: see gen.h. A U-Net joins a skip to what comes from below; the convolution
 * that reads both needs no joint copy, and the skip no room kept free beside it from its birth on. */
#include "graph/emit/gen.h"
#include "graph/passes/passes.h"

uint32_t sy_gen_parts(const sy_gen *gen, sy_value value, int64_t ends[SY_GEN_PARTS])
{
    sy_value concat = sy_concat_below(gen->graph, value, gen->group->inputs, gen->group->n_inputs);
    const sy_node *node = &gen->graph->nodes[concat];
    const sy_type *type = &gen->graph->nodes[value].type;
    ends[0] = ((int64_t)type->dim[type->rank - 1] + 3) / 4;
    if (!concat || node->n_args > SY_GEN_PARTS)
        return 1;
    int64_t end = 0;
    for (uint32_t i = 0; i < node->n_args; i++) {
        end += gen->graph->nodes[node->args[i]].type.dim[node->attributes.axis];
        ends[i] = end / 4;
    }
    return node->n_args;
}

void sy_gen_write_parts(sy_gen *gen, uint32_t n, const int64_t *ends)
{
    for (uint32_t p = 0; p < n; p++)
        sy_text_printf(&gen->functions, "#define PART%u_BEGIN %lluu\n#define PART%u_END %lluu\n", p,
                       (unsigned long long)(p ? ends[p - 1] : 0), p, (unsigned long long)ends[p]);
    sy_text_add(&gen->functions, "\n");
}
