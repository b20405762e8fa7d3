/* From problems to rows of a tuning (graph/tuning.h), and from rows to variants. */
#ifndef SY_EMIT_TUNED_H
#define SY_EMIT_TUNED_H

#include "graph/emit/manifest.h"
#include "graph/tuning.h"

/* Two to an octave, from below. */
uint64_t sy_size_class(uint64_t size);
void sy_problem_class(const sy_plan *plan, const sy_group *group, const sy_problem *problem, char out[SY_PROBLEM_CLASS]);

/* The table's variant if there is one that can solve the problem; else NULL. `tuning` may be NULL. */
const sy_variant *sy_tuned_variant(const sy_tuning *tuning, const char *problem_class, const sy_problem *problem,
                                   const sy_limits *limits);

/* Bit i: variant i of the manifest can solve the problem on such a device and is made for its sort of device. */
uint64_t sy_variant_candidates(const sy_problem *problem, const sy_limits *limits);

#endif
