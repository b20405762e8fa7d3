/* Random valid graphs over all ops of the table, the same for the same seed. */
#ifndef SY_TESTS_IR_HELP_RANDOM_H
#define SY_TESTS_IR_HELP_RANDOM_H

#include "graph/ir/build.h"

typedef struct help_random {
    uint64_t state;
} help_random;
uint32_t help_next(help_random *r, uint32_t below);

/* A graph in which `op` occurs, beside others. Asserts that it is valid. */
sy_graph *help_random_graph(uint64_t seed, sy_op op, int n_ops);

/* NULL if equal node for node, else what differs. */
const char *help_difference(const sy_graph *a, const sy_graph *b);

#endif
