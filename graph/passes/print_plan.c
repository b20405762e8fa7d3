/* The plan in words: one comment line a group under the graph's text, for --print-after. As much as is known at that
 * point. */
#include "graph/passes/passes.h"

static const char *const kinds[] = {[SY_GROUP_MAP] = "map",
                                    [SY_GROUP_ROW] = "row",
                                    [SY_GROUP_MATMUL] = "matmul",
                                    [SY_GROUP_GROUPED_MATMUL] = "grouped_matmul",
                                    [SY_GROUP_CONV] = "conv",
                                    [SY_GROUP_DEPTHWISE] = "depthwise",
                                    [SY_GROUP_ATTENTION] = "attention",
                                    [SY_GROUP_ROUTE] = "route"};
const char *sy_plan_kind_text(sy_group_kind kind)
{
    return kind == SY_GROUP_GROUPED_MATMUL ? "grouped matmul" : kinds[kind];
}

static const char *const spaces[] = {"arena", "state", "weight", "input", "step", "output"};

static void print_values(const sy_plan *plan, sy_text *out, const char *title, const sy_value *values, uint32_t n)
{
    if (!n)
        return;
    sy_text_printf(out, " %s", title);
    for (uint32_t i = 0; i < n; i++) {
        sy_text_printf(out, " %%%u", values[i]);
        if (plan->places && plan->places[values[i]].size) {
            const sy_place *p = &plan->places[values[i]];
            sy_text_printf(out, "@%s", spaces[p->space]);
            if (p->buffer)
                sy_text_printf(out, "%u", p->buffer);
            sy_text_printf(out, "+%llu", (unsigned long long)p->offset);
        }
    }
}

static void print_group(const sy_plan *plan, uint32_t g, sy_text *out)
{
    const sy_group *group = &plan->groups[g];
    sy_text_printf(out, "; #%u %s", g, kinds[group->kind]);
    print_values(plan, out, "anchors", group->anchors, group->n_anchors);
    print_values(plan, out, "reads", group->inputs, group->n_inputs);
    if (group->reads_step)
        sy_text_add(out, " step");
    print_values(plan, out, "writes", group->outputs, group->n_outputs);
    if (group->variant) {
        sy_text_printf(out, " kernel %s grid %ux%ux%u", group->variant, group->groups[0], group->groups[1],
                       group->groups[2]);
        if (group->indirect)
            sy_text_printf(out, " indirect by %%%u.%u", group->route, group->consumer);
    }
    sy_text_printf(out, " stage %u%s\n", group->stage, group->barrier ? " barrier" : "");
}

void sy_plan_print(const sy_plan *plan, sy_text *out)
{
    for (uint32_t g = 0; g < plan->n_groups; g++)
        print_group(plan, g, out);
}
