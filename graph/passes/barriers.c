/* Barriers: one stands before a dispatch if bytes it reads were written, or bytes it writes were read or written, since
 * the last barrier, and nowhere else. Compared are the ranges of memory, not values, so reuse of arena bytes is seen as
 * what it is. A barrier makes all earlier writes visible, so it clears the list. The first dispatch always has one: the
 * replay before, or the host, wrote what it reads. Within a dispatch a state may be read and written at the same index
 * (see fuse_ends.c): no hazard between dispatches. */
#include "graph/passes/passes.h"

#include <stdlib.h>

typedef struct touched {
    sy_place place;
    bool written;
} touched;

static bool overlap(const sy_place *a, const sy_place *b)
{
    return a->space == b->space && a->buffer == b->buffer && a->offset < b->offset + b->size &&
           b->offset < a->offset + a->size;
}

static bool hazard(const touched *list, uint32_t n, const sy_place *place, bool write)
{
    for (uint32_t i = 0; i < n; i++)
        if ((write || list[i].written) && overlap(&list[i].place, place))
            return true;
    return false;
}

/* What a group touches; the arguments of an indirect dispatch lie in its route, which is an input. */
static uint32_t touches(const sy_plan *plan, const sy_group *group, touched *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        out[n++] = (touched){plan->places[group->inputs[i]], false};
    for (uint32_t i = 0; i < group->n_outputs; i++)
        out[n++] = (touched){plan->places[group->outputs[i]], true};
    if (group->indirect)
        out[n++] = (touched){plan->places[group->route], false};
    return n;
}

bool sy_pass_barriers(sy_plan *plan, sy_error *error)
{
    enum { MOST = SY_GROUP_INPUTS + SY_GROUP_OUTPUTS + 1 };
    touched *list = calloc((size_t)plan->n_groups * MOST + 1, sizeof *list);
    uint32_t n = 0;
    if (!list)
        return sy_no_memory(error);
    plan->stats.barriers = 0;
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        touched own[MOST];
        uint32_t n_own = touches(plan, &plan->groups[g], own);
        bool needed = g == 0;
        for (uint32_t i = 0; i < n_own && !needed; i++)
            needed = hazard(list, n, &own[i].place, own[i].written);
        plan->groups[g].barrier = needed;
        plan->stats.barriers += needed;
        if (needed)
            n = 0;
        for (uint32_t i = 0; i < n_own; i++)
            list[n++] = own[i];
    }
    free(list);
    return true;
}
