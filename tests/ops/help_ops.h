/* Random cases of every op: a small graph around one op, contents for its leaves, and a comparison that knows
 * what is defined. Made from (op, seed) alone, the same on every machine. Shapes are ragged (1, 7, 65, 257 …); routes
 * have targets without rows, targets that take all rows, exact ties; never near ties, on which f32 and f64 could
 * differ.
 *
 * The outputs of a case are tensors: routes are seen as their words. What the op reads comes from inputs, so that
 * nothing of it is computed at load time; its weights, where it has such, are parameters of any float type. */
#ifndef SY_TESTS_HELP_OPS_H
#define SY_TESTS_HELP_OPS_H

#include "graph/ops/eval.h"

typedef struct help_array {
    const char *name;
    sy_op leaf; /* input, state, step or param */
    sy_type type;
    double *data; /* numbers that the dtype holds exactly */
} help_array;

enum { HELP_ARRAYS = 8 };

typedef struct help_case {
    sy_graph *graph;
    sy_value value; /* of the op itself */
    help_array arrays[HELP_ARRAYS];
    int n_arrays;
    uint32_t step;    /* index of the step */
    double tolerance; /* for f32: |got - wanted| <= tolerance * (|wanted| + root mean square of all wanted) */
    uint64_t state;   /* of its generator */
} help_case;

/* Aborts if the case cannot be made, which is a fault of the test. */
help_case *help_case_make(sy_op op, uint64_t seed);
void help_case_free(help_case *c);
/* For sy_eval.read; context is the case. */
bool help_case_read(void *context, const sy_node *leaf, double *out, sy_error *error);
/* A reference ready to evaluate the case; the caller frees it. */
sy_eval help_case_eval(help_case *c);
/* Compares what a device stored for the output of that index (of graph->ends) with the reference. Elements that no slot
 * of the route defines, and sections of route words that the device fills for itself, are not looked at. NULL: equal;
 * else what is not. */
const char *help_case_compare(const help_case *c, sy_eval *reference, uint32_t end, const void *words, uint64_t bytes);

#endif
