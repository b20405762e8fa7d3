/* Rewriting a graph by building it anew: a pass walks the old graph in order and gives each value an equal value of the
 * new graph, a copy or something better. So every graph is in topological order by construction, and what
 * nothing asks for any more is simply not carried over. */
#ifndef SY_PASSES_REWRITE_H
#define SY_PASSES_REWRITE_H

#include "graph/passes/plan.h"

typedef struct sy_rewrite {
    const sy_graph *old;
    sy_graph *graph;   /* the new one */
    sy_value *map;     /* old value -> equal new value; 0: none yet */
    bool *live;        /* old values that an end needs; inputs and states always */
    const char *scope; /* of the old graph, as last copied */
} sy_rewrite;

bool sy_rewrite_begin(sy_rewrite *rewrite, const sy_graph *old, sy_error *error);
/* Nodes made from now on stand in the scope of that old value. */
void sy_rewrite_scope(sy_rewrite *rewrite, sy_value old);
/* Copies an old node, whose arguments must have new values, and maps it. */
sy_value sy_rewrite_copy(sy_rewrite *rewrite, sy_value old);
/* Copies a value and all it needs that has no new value yet, in order. */
sy_value sy_rewrite_need(sy_rewrite *rewrite, sy_value old, sy_error *error);
/* Copies the ends over and puts the new graph in the plan's place of the old. On failure, and when building the new
 * graph went wrong, everything new is given back and the plan keeps the old graph. */
bool sy_rewrite_end(sy_rewrite *rewrite, sy_plan *plan, sy_error *error);
void sy_rewrite_abandon(sy_rewrite *rewrite);
/* Dead code alone goes. */
bool sy_rewrite_sweep(sy_plan *plan, sy_error *error);

/* Which values ends (and, of leaves, the interface) need; `live` has graph->n_nodes elements, all false before. */
void sy_graph_live(const sy_graph *graph, bool *live);
/* Number of uses of each value: arguments of live nodes, and ends. */
void sy_graph_uses(const sy_graph *graph, const bool *live, uint32_t *uses);

#endif
