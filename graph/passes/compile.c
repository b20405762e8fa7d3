/* From a graph to a program: checks what the caller gave, runs the pipeline, and lets go of all that was only
 * needed on the way. */
#include "graph/passes/passes.h"

#include <stdlib.h>
#include <string.h>

/* Step values must be columns of the table, or the kernel would not know where to read. */
static bool check_columns(const sy_graph *graph, const sy_compile_params *params, sy_error *error)
{
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        if (graph->nodes[v].op != SY_OP_STEP)
            continue;
        bool found = false;
        for (uint32_t i = 0; i < params->n_step_columns && !found; i++)
            found = !strcmp(params->step_columns[i], graph->nodes[v].name);
        if (!found)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the step value \"%s\" is no column of the step table.",
                           graph->nodes[v].name);
    }
    return true;
}

static bool check_print(const sy_compile_params *params, sy_error *error)
{
    if (!params->print_after || !strcmp(params->print_after, "all"))
        return true;
    for (const sy_pass *pass = sy_passes; pass->name; pass++)
        if (!strcmp(pass->name, params->print_after))
            return true;
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                   "there is no pass \"%s\" to print after; \"all\" prints after each.", params->print_after);
}

sy_program *sy_compile(const sy_graph *graph, const sy_compile_params *params, sy_error *error)
{
    static const sy_compile_params defaults;
    if (!params)
        params = &defaults;
    if (!check_columns(graph, params, error) || !check_print(params, error))
        return NULL;
    sy_plan *plan = sy_plan_create(graph, params, error);
    sy_program *program = NULL;
    if (plan && sy_plan_run(plan, NULL, error)) {
        program = plan->program;
        program->passes = plan->times;
        program->n_passes = plan->n_times;
        program->arena = plan->arena;
        plan->arena = (sy_arena){0};
        plan->program = NULL;
    }
    sy_plan_destroy(&plan);
    return program;
}

void sy_program_destroy(sy_program **program)
{
    if (!program || !*program)
        return;
    sy_graph *graph = (sy_graph *)(uintptr_t)(*program)->graph; /* const to its users, ours to give back */
    sy_graph_destroy(&graph);
    sy_arena_free(&(*program)->arena);
    free(*program);
    *program = NULL;
}
