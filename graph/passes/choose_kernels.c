/* Choose kernels: template variant, tile and grid of each group, decided by graph/emit from the manifest and the
 * device's limits, one group at a time in the order of dispatch. Consumers of a route tell it their tiles here, before
 * the group that builds the route is emitted. Sound because variants of a template compute the same. */
#include "graph/passes/passes.h"

bool sy_pass_choose_kernels(sy_plan *plan, sy_error *error)
{
    plan->route_uses = sy_arena_array(&plan->arena, plan->graph->n_nodes, sizeof *plan->route_uses);
    if (!plan->route_uses)
        return sy_no_memory(error);
    for (uint32_t g = 0; g < plan->n_groups; g++)
        if (!sy_choose_kernel(plan, g, error))
            return false;
    return true;
}
