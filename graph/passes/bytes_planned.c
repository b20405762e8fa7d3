/* What the tiles of a kernel ask memory for, caches aside: the left argument once for each column of workgroups, the right
 * one once for each row of them, all else once. Beside the bytes that have to move (bytes_read.c) this says what a
 * choice of tiles costs; caches lie between the two. Routed work counts at the static bound. */
#include "graph/passes/passes.h"

#include "graph/ops/window.h"

enum { DEEPEST = 64 };

static bool reaches(const sy_plan *plan, const sy_group *group, sy_value from, sy_value input, int depth)
{
    const sy_node *node = &plan->graph->nodes[from];
    if (from == input)
        return true;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        if (group->inputs[i] == from)
            return false;
    for (uint32_t i = 0; depth < DEEPEST && i < node->n_args; i++)
        if (reaches(plan, group, node->args[i], input, depth + 1))
            return true;
    return false;
}

/* How often the arguments of the anchors are read: [0] the left one, [1] the right one, [2] a third tensor's (values). */
typedef struct times {
    double of[3];
} times;

static times times_of(const sy_plan *plan, const sy_group *group)
{
    const sy_graph *graph = plan->graph;
    const sy_node *node = group->n_anchors ? &graph->nodes[group->anchors[0]] : NULL;
    const uint32_t *n = group->groups;
    switch (group->kind) {
    case SY_GROUP_MATMUL:
        return (times){{n[1], n[0], 1}};
    case SY_GROUP_GROUPED_MATMUL: { /* a tile reads the matrix of one target */
        const sy_type *route = &graph->nodes[node->args[2]].type, *a = &graph->nodes[node->args[0]].type;
        double rows = (double)sy_type_count(a) / a->dim[a->rank - 1];
        return (times){{n[0] * (double)route->dim[SY_ROUTE_SLOTS] / rows, (double)n[1] / route->dim[SY_ROUTE_TARGETS], 1}};
    }
    case SY_GROUP_CONV:
    case SY_GROUP_DEPTHWISE: {
        sy_window window = sy_window_of(graph, node);
        const sy_type *w = &graph->nodes[node->args[1]].type;
        bool whole = group->kind == SY_GROUP_CONV;
        double batches = whole ? (double)window.groups : 1, channels = whole ? w->dim[w->rank - 2] * batches : w->dim[w->rank - 1];
        double asked = (double)window.pixels * (double)window.taps * channels;
        return (times){{n[1] * asked / (double)sy_type_count(&graph->nodes[node->args[0]].type), n[0] * (n[2] / batches), 1}};
    }
    case SY_GROUP_ATTENTION: { /* queries once; keys and values once for each workgroup of queries, a route's share of them */
        double kept = 1;
        if (node->op == SY_OP_ROUTE_ATTENTION) {
            const sy_type *route = &graph->nodes[node->args[3]].type;
            kept = (double)route->dim[SY_ROUTE_SLOTS] / ((double)route->dim[SY_ROUTE_ROWS] * route->dim[SY_ROUTE_TARGETS]);
        }
        return (times){{1, n[0] * kept, n[0] * kept}};
    }
    default:
        return (times){{1, 1, 1}};
    }
}

double sy_plan_bytes_planned(const sy_plan *plan, const sy_group *group)
{
    double bytes = 0;
    times t = times_of(plan, group);
    for (uint32_t i = 0; i < group->n_inputs; i++) {
        double most = 0;
        for (uint32_t a = 0; a < group->n_anchors; a++) {
            const sy_node *node = &plan->graph->nodes[group->anchors[a]];
            for (uint32_t k = 0; k < 3 && k < node->n_args; k++)
                if (t.of[k] > most && reaches(plan, group, node->args[k], group->inputs[i], 0))
                    most = t.of[k];
        }
        double least = (double)sy_plan_bytes_read(plan, group, group->inputs[i]);
        bytes += most > 1 ? most * least : least;
    }
    for (uint32_t i = 0; i < group->n_outputs; i++)
        bytes += (double)sy_type_bytes(&plan->graph->nodes[group->outputs[i]].type);
    return bytes;
}
