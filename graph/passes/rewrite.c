/* See rewrite.h. Liveness runs once backwards over a graph that is in topological order, so one sweep suffices. */
#include "graph/passes/rewrite.h"
#include "graph/passes/passes.h"

#include <stdlib.h>

void sy_graph_live(const sy_graph *graph, bool *live)
{
    for (uint32_t i = 0; i < graph->n_ends; i++)
        live[graph->ends[i].value] = true;
    for (sy_value v = graph->n_nodes; v-- > 1;) {
        const sy_node *node = &graph->nodes[v];
        if (node->op == SY_OP_INPUT || node->op == SY_OP_STATE)
            live[v] = true;
        for (uint32_t i = 0; live[v] && i < node->n_args; i++)
            live[node->args[i]] = true;
    }
}

void sy_graph_uses(const sy_graph *graph, const bool *live, uint32_t *uses)
{
    for (uint32_t i = 0; i < graph->n_ends; i++)
        uses[graph->ends[i].value]++;
    for (sy_value v = 1; v < graph->n_nodes; v++)
        for (uint32_t i = 0; live[v] && i < graph->nodes[v].n_args; i++)
            uses[graph->nodes[v].args[i]]++;
}

bool sy_rewrite_begin(sy_rewrite *rewrite, const sy_graph *old, sy_error *error)
{
    *rewrite = (sy_rewrite){
        .old = old,
        .graph = sy_graph_create(old->name),
        .map = calloc(old->n_nodes, sizeof(sy_value)),
        .live = calloc(old->n_nodes, sizeof(bool)),
    };
    if (!rewrite->graph || !rewrite->map || !rewrite->live) {
        sy_rewrite_abandon(rewrite);
        return sy_no_memory(error);
    }
    sy_graph_live(old, rewrite->live);
    return true;
}

void sy_rewrite_abandon(sy_rewrite *rewrite)
{
    free(rewrite->map);
    free(rewrite->live);
    sy_graph_destroy(&rewrite->graph);
    *rewrite = (sy_rewrite){0};
}

void sy_rewrite_scope(sy_rewrite *rewrite, sy_value old)
{
    const char *scope = rewrite->old->nodes[old].scope;
    if (scope == rewrite->scope) /* neighbours share their scope's text */
        return;
    const char *copy = sy_arena_string(&rewrite->graph->arena, scope);
    rewrite->scope = scope;
    rewrite->graph->scope = copy ? copy : "";
}

sy_value sy_rewrite_copy(sy_rewrite *rewrite, sy_value old)
{
    const sy_node *node = &rewrite->old->nodes[old];
    sy_value few[8], *args = node->n_args <= 8 ? few : malloc(node->n_args * sizeof *args);
    if (!args) {
        sy_fail(&rewrite->graph->error, SY_CODE_OUT_OF_MEMORY, "no memory to copy a node of %u arguments.",
                node->n_args);
        return 0;
    }
    for (uint32_t i = 0; i < node->n_args; i++)
        args[i] = rewrite->map[node->args[i]];
    sy_rewrite_scope(rewrite, old);
    sy_value made =
        sy_graph_add(rewrite->graph, node->op, args, node->n_args, &node->attributes, &node->type, node->name);
    if (made) {
        rewrite->graph->nodes[made].load_time = node->load_time;
        rewrite->graph->nodes[made].group = node->group;
    }
    if (args != few)
        free(args);
    return rewrite->map[old] = made;
}

sy_value sy_rewrite_need(sy_rewrite *rewrite, sy_value old, sy_error *error)
{
    if (rewrite->map[old])
        return rewrite->map[old];
    bool *need = calloc((size_t)old + 1, sizeof *need);
    if (!need) {
        sy_no_memory(error);
        return 0;
    }
    need[old] = true;
    for (sy_value v = old; v > 0; v--)
        for (uint32_t i = 0; need[v] && i < rewrite->old->nodes[v].n_args; i++)
            need[rewrite->old->nodes[v].args[i]] =
                !rewrite->map[rewrite->old->nodes[v].args[i]] || need[rewrite->old->nodes[v].args[i]];
    for (sy_value v = 1; v <= old; v++)
        if (need[v] && !rewrite->map[v])
            sy_rewrite_copy(rewrite, v);
    free(need);
    return rewrite->map[old];
}

bool sy_rewrite_end(sy_rewrite *rewrite, sy_plan *plan, sy_error *error)
{
    const sy_graph *old = rewrite->old;
    for (uint32_t i = 0; i < old->n_ends; i++)
        sy_graph_end(rewrite->graph, old->ends[i].kind, old->ends[i].name, rewrite->map[old->ends[i].value]);
    bool fine = sy_graph_check(rewrite->graph, error);
    if (fine) {
        sy_graph_destroy(&plan->graph);
        plan->graph = rewrite->graph;
        plan->graph->scope = "";
        rewrite->graph = NULL;
    }
    sy_rewrite_abandon(rewrite);
    return fine;
}

bool sy_rewrite_sweep(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    for (sy_value v = 1; v < plan->graph->n_nodes; v++)
        if (rewrite.live[v])
            sy_rewrite_copy(&rewrite, v);
    return sy_rewrite_end(&rewrite, plan, error);
}
