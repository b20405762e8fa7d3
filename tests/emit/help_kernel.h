/* Runs one group, made by hand, on a device and compares every output with the reference evaluator. */
#ifndef SY_TESTS_HELP_KERNEL_H
#define SY_TESTS_HELP_KERNEL_H

#include "graph/ops/eval.h"
#include "graph/passes/plan.h"
#include "tests/emit/help_vulkan.h"

typedef struct kernel_case {
    const char *name;
    sy_graph *graph;  /* destroyed by kernel_run */
    sy_group group;   /* kind, anchors, outputs; inputs are found unless given */
    double tolerance; /* of the relative L2 error; 0: 1e-5 */
    const char *const *step_columns;
    uint32_t n_step_columns, step;
    bool every;             /* runs every variant that can, not the chosen one alone */
    uint32_t tile_rows;     /* ROUTE: of the tiles; 0: 16 */
    const double *integers; /* NULL, or what to fill i32 inputs with, cyclic */
    uint32_t n_integers;
} kernel_case;

/* Values of leaves: deterministic, about standard normal; integers small. */
bool kernel_read(void *context, const sy_node *leaf, double *out, sy_error *error);
/* True if all outputs agree. Prints what differs. With `glsl` the text is printed as well. */
bool kernel_run(vk_device *device, struct sy_emitter *emitter, kernel_case *c);

#endif
