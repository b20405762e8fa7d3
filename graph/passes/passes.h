/* The passes of pipeline.c, and what they share. A pass takes the plan, changes its graph or fills in a part of the
 * plan, and returns false only on error. Each lives in the file of its name; the reason why it is sound stands there.
 */
#ifndef SY_PASSES_PASSES_H
#define SY_PASSES_PASSES_H

#include "graph/passes/plan.h"

bool sy_pass_select_taps(sy_plan *plan, sy_error *error);
bool sy_pass_simplify(sy_plan *plan, sy_error *error);
bool sy_pass_merge_matmuls(sy_plan *plan, sy_error *error);
bool sy_pass_lower_routes(sy_plan *plan, sy_error *error);
bool sy_pass_lower_rows(sy_plan *plan, sy_error *error);
bool sy_pass_winograd(sy_plan *plan, sy_error *error);
bool sy_pass_lower_norms(sy_plan *plan, sy_error *error);
bool sy_pass_split_weights(sy_plan *plan, sy_error *error);
bool sy_pass_hoist(sy_plan *plan, sy_error *error);
bool sy_pass_fuse(sy_plan *plan, sy_error *error);
bool sy_pass_order(sy_plan *plan, sy_error *error);
bool sy_pass_choose_kernels(sy_plan *plan, sy_error *error);
bool sy_pass_plan_memory(sy_plan *plan, sy_error *error);
bool sy_pass_barriers(sy_plan *plan, sy_error *error);
bool sy_pass_emit(sy_plan *plan, sy_error *error);
bool sy_pass_program(sy_plan *plan, sy_error *error);

/* Facts of ops that several passes ask for. */
bool sy_op_is_elementwise(sy_op op); /* each element of the result from the same element of each argument (broadcast) */
bool sy_op_walks_rows(sy_op op);     /* each element of the result from a loop over its row: never recomputed */
/* A concat of float channels in whole vectors of four along the last axis: reading it costs no more than reading its
 * parts. */
bool sy_concat_is_free(const sy_graph *graph, sy_value concat);
/* The free concat that `value` is, or is made of by element-wise ops of its own shape and reshapes that keep the last
 * dimension, not looking below `inputs`; 0: none. */
sy_value sy_concat_below(const sy_graph *graph, sy_value value, const sy_value *inputs, uint32_t n_inputs);
/* Kind of the group that an op anchors; MAP where it anchors none. */
sy_group_kind sy_fuse_kind(const sy_graph *graph, const sy_node *node);
/* Has the kernel of the contraction `anchor` whole runs of rows of x at hand, made in its epilogue, to give their moments? */
bool sy_moments_fit(const sy_graph *graph, sy_value anchor, sy_value x);
/* The value of op moments that the group makes beside what its anchors make; 0: none. */
sy_value sy_group_moments(const sy_graph *graph, const sy_group *group);
/* Work that needs a dispatch by right: no leaf, no view, nothing computed at load time. */
bool sy_node_costs(const sy_node *node);
/* Made where it is read, never stored: iota, constants of one value, step values, step index. */
bool sy_node_is_free(const sy_node *node);

/* Groups and memory, from fuse on. */
/* By value: the group that stores it, or -1. On `arena`; NULL when memory is out. */
int32_t *sy_plan_writers(const sy_plan *plan, sy_arena *arena);
/* The state leaf of that name, or 0. */
sy_value sy_graph_state(const sy_graph *graph, const char *name);
/* Which groups wait for which: readers of a value for the group that makes it; and the group that overwrites a
 * state for all others that read the old one. */
typedef struct sy_plan_waits {
    uint32_t *first, *after; /* after[first[g] … first[g + 1] - 1] wait for group g, one entry a reason */
    uint32_t *waits;         /* by group: entries with it in `after`; for the caller to count down */
} sy_plan_waits;
bool sy_plan_find_waits(const sy_plan *plan, const int32_t *writers, sy_arena *arena, sy_plan_waits *out);
/* Bytes of the arena that are live while the groups of the fullest position run, by order of dispatch. */
uint64_t sy_plan_lower_bound(const sy_plan *plan, const int32_t *writers);
/* Bytes of `input` that the group touches at least once: what lies under the narrowest of the views it reads through.
 */
uint64_t sy_plan_bytes_read(const sy_plan *plan, const sy_group *group, sy_value input);
/* Bytes that the tiles of the group's kernel ask memory for; at least those it touches once. After choose_kernels. */
double sy_plan_bytes_planned(const sy_plan *plan, const sy_group *group);
/* "matmul", "grouped matmul", … */
const char *sy_plan_kind_text(sy_group_kind kind);
/* The group table as comment lines of the text form. */
void sy_plan_print(const sy_plan *plan, sy_text *out);

bool sy_no_memory(sy_error *error); /* sets it; false */

#endif
