/* Inside the pass simplify: rules look at a node whose arguments already stand in the new graph and may name an
 * equal value instead. */
#ifndef SY_PASSES_SIMPLIFY_H
#define SY_PASSES_SIMPLIFY_H

#include "graph/passes/rewrite.h"

typedef struct sy_simplifier {
    sy_graph *graph;     /* the new graph */
    sy_value *table;     /* values by hash of what they compute, open addressing; 0: empty */
    uint32_t room, used; /* room: a power of two, never more than half full */
} sy_simplifier;

/* The value that computes what `node` says: one that exists, or a new one. 0 when the graph has an error. */
sy_value sy_simplify_share(sy_simplifier *s, const sy_node *node);
/* Values equal to `node` that are cheaper, or 0. */
sy_value sy_simplify_algebra(sy_simplifier *s, const sy_node *node);
sy_value sy_simplify_view(sy_simplifier *s, const sy_node *node);
sy_value sy_simplify_fold(sy_simplifier *s, const sy_node *node);

/* Is `value` a constant of one value for all elements? */
bool sy_is_splat(const sy_graph *graph, sy_value value, double *number);

#endif
