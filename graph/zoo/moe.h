/* What the mixture-of-experts networks share: linear layers whose weights are one per expert in the file and one
 * stacked tensor in the graph, applied to the rows that a route names. */
#ifndef SY_ZOO_MOE_H
#define SY_ZOO_MOE_H

#include "graph/ir/build.h"
#include "graph/zoo/zoo.h"

/* "<prefix>0.<name>", "<prefix>1.<name>" … stacked on a new leading axis; done once, when weights are loaded. */
sy_value sy_experts_stack(sy_graph *g, const char *prefix, const char *name, int32_t experts, sy_type type);
/* The same with the prefix "experts.". */
sy_value sy_experts_param(sy_graph *g, const char *name, int32_t experts, sy_type type);

/* x W^T (+ b) with the W and b "experts.E.<name>.weight", ".bias" of each slot's expert E. `gather`: x is [rows, in]
 * and slots read their row; else x is [slots, in], what an earlier layer of the experts made. */
sy_value sy_experts_linear(sy_graph *g, sy_value x, sy_value route, bool gather, const char *name, int32_t out,
                           bool bias, sy_dtype dtype);

/* Batch prioritized routing (arXiv 2106.05974): scores[T,E], each row to its k best targets with the scores as weights;
 * the `capacity` places of a target for each group of group_rows rows are given to all first choices, then to all
 * second ones …, within a rank in falling order of the rows' best scores. */
sy_value sy_route_batch_priority(sy_graph *g, sy_value scores, int32_t k, int32_t capacity, int32_t group_rows);
/* Experts a token: what the setting top_k says, else config.top_k. */
int32_t sy_moe_top_k(sy_graph *g, const sy_network_config *config);
/* f32[T]: how many targets each row goes to. */
sy_value sy_route_count(sy_graph *g, sy_value route);

#endif
