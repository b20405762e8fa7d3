/* Order of dispatch. Groups are taken in stages: all groups of a stage can run at once, so one barrier before the stage
 * is enough. The next stage begins with the group that comes first in the program among those that wait for nothing any
 * more, and takes along other such groups if they come soon after it in the program: far ones would only hold memory
 * for longer. Sound because a group is taken only after all it waits for (values it reads, old states it overwrites)
 * is in earlier stages. */
#include "graph/passes/passes.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 6 }; /* groups of program order that a stage reaches ahead */

typedef struct ordering {
    const sy_plan *plan;
    sy_plan_waits waits; /* counted down as groups are placed */
    int32_t *stage;      /* by group; -1: not placed */
    uint32_t *by_rank;   /* groups in program order */
} ordering;

static uint32_t last_output(const sy_group *group)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < group->n_outputs; i++)
        last = group->outputs[i] > last ? group->outputs[i] : last;
    return last;
}

static int by_last_output(const void *a, const void *b, void *context)
{
    const sy_plan *plan = context;
    uint32_t x = last_output(&plan->groups[*(const uint32_t *)a]), y = last_output(&plan->groups[*(const uint32_t *)b]);
    return (x > y) - (x < y);
}

/* Fills `order` stage by stage. The groups of a stage are all chosen before any of them counts as placed. */
static bool take_stages(ordering *o, uint32_t *order)
{
    uint32_t n = o->plan->n_groups, taken = 0, low = 0;
    for (int32_t stage = 0; taken < n; stage++) {
        uint32_t begin = taken, end = n;
        while (o->stage[o->by_rank[low]] >= 0)
            low++;
        for (uint32_t r = low; r < end; r++) {
            uint32_t g = o->by_rank[r];
            if (o->stage[g] >= 0 || o->waits.waits[g])
                continue;
            if (taken == begin && n - r > WINDOW)
                end = r + WINDOW + 1;
            order[taken++] = g;
        }
        if (taken == begin)
            return false;
        for (uint32_t i = begin; i < taken; i++) {
            o->stage[order[i]] = stage;
            for (uint32_t j = o->waits.first[order[i]]; j < o->waits.first[order[i] + 1]; j++)
                o->waits.waits[o->waits.after[j]]--;
        }
    }
    return true;
}

static bool apply(sy_plan *plan, const ordering *o, const uint32_t *order, sy_error *error)
{
    sy_group *groups = sy_arena_array(&plan->arena, plan->n_groups + 1, sizeof *groups);
    uint32_t *position = sy_arena_array(&plan->arena, plan->n_groups + 1, sizeof *position);
    if (!groups || !position)
        return sy_no_memory(error);
    for (uint32_t i = 0; i < plan->n_groups; i++) {
        groups[i] = plan->groups[order[i]];
        groups[i].stage = (uint32_t)o->stage[order[i]];
        position[order[i]] = i;
    }
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        if (plan->graph->nodes[v].group >= 0)
            plan->graph->nodes[v].group = (int32_t)position[plan->graph->nodes[v].group];
    plan->groups = groups;
    return true;
}

bool sy_pass_order(sy_plan *plan, sy_error *error)
{
    uint32_t n = plan->n_groups;
    sy_arena arena = {0};
    ordering o = {.plan = plan};
    const int32_t *writers = sy_plan_writers(plan, &arena);
    o.stage = sy_arena_array(&arena, n + 1, sizeof *o.stage);
    o.by_rank = sy_arena_array(&arena, n + 1, sizeof *o.by_rank);
    uint32_t *order = sy_arena_array(&arena, n + 1, sizeof *order);
    bool fine = writers && o.stage && o.by_rank && order && sy_plan_find_waits(plan, writers, &arena, &o.waits);
    if (!fine)
        sy_no_memory(error);
    if (fine) {
        for (uint32_t g = 0; g < n; g++) {
            o.stage[g] = -1;
            o.by_rank[g] = g;
        }
        qsort_r(o.by_rank, n, sizeof *o.by_rank, by_last_output, plan);
        fine = take_stages(&o, order) ? apply(plan, &o, order, error)
                                      : sy_fail(error, SY_CODE_INTERNAL, "groups wait for each other.");
    }
    sy_arena_free(&arena);
    return fine;
}
