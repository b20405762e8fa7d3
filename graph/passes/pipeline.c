/* The pipeline: what happens between a network and a program, one row a pass, in order. Every pass is run by one
 * function that times it, verifies what it left (the graph by the rules of its stage, the plan by sy_plan_verify) and
 * prints it when asked, so a pass that breaks something is named by the error. */
#include "graph/passes/passes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const sy_pass sy_passes[] = {
    {"select_taps", "taps that were asked for become outputs of every step, all others go", sy_pass_select_taps,
     SY_STAGE_SOURCE},
    {"simplify", "fold constants, drop what changes nothing, share what is equal, to a fixed point", sy_pass_simplify,
     SY_STAGE_SOURCE},
    {"merge_matmuls", "small matmuls of one left argument become one over joined weights (adaLN of all blocks)",
     sy_pass_merge_matmuls, SY_STAGE_SOURCE},
    {"lower_routes", "chains of route producers become selections and one route.build", sy_pass_lower_routes,
     SY_STAGE_LOWERED},
    {"lower_rows", "sorts, long scans and large top_k become steps whose loops are short", sy_pass_lower_rows,
     SY_STAGE_LOWERED},
    {"winograd", "large 3x3 convolutions become products of fewer multiplications, on CPU drivers", sy_pass_winograd,
     SY_STAGE_LOWERED},
    {"lower_norms", "statistics of group norms become row ops, or ride with what makes the tensor", sy_pass_lower_norms,
     SY_STAGE_LOWERED},
    {"simplify_lowered", "simplify once more, what lowering made", sy_pass_simplify, SY_STAGE_LOWERED},
    {"split_weights", "weights larger than one binding are read in pieces", sy_pass_split_weights, SY_STAGE_LOWERED},
    {"hoist", "what depends on weights alone is computed when they are loaded; weights in the layout kernels want",
     sy_pass_hoist, SY_STAGE_LOWERED},
    {"fuse", "ops become groups, one dispatch each: prologue, anchors, epilogue", sy_pass_fuse, SY_STAGE_FUSED},
    {"order", "order of dispatch: independent groups together, lives of values short", sy_pass_order, SY_STAGE_FUSED},
    {"choose_kernels", "template variant, tile and grid of each group, for this device", sy_pass_choose_kernels,
     SY_STAGE_FUSED},
    {"plan_memory", "where every value lies: arenas by liveness, states, weights, inputs, outputs", sy_pass_plan_memory,
     SY_STAGE_FUSED},
    {"barriers", "a barrier where a hazard is, and nowhere else", sy_pass_barriers, SY_STAGE_FUSED},
    {"emit", "GLSL and SPIR-V of each group, equal kernels once", sy_pass_emit, SY_STAGE_FUSED},
    {"program", "the program the run time gets", sy_pass_program, SY_STAGE_FUSED},
    {NULL, NULL, NULL, SY_STAGE_SOURCE},
};
enum { N_PASSES = sizeof sy_passes / sizeof *sy_passes - 1 };

sy_plan *sy_plan_create(const sy_graph *graph, const sy_compile_params *params, sy_error *error)
{
    if (!sy_graph_check(graph, error) || !sy_graph_verify(graph, SY_STAGE_SOURCE, error))
        return NULL;
    sy_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        sy_no_memory(error);
        return NULL;
    }
    plan->params = params;
    plan->limits = params->limits ? *params->limits : sy_limits_floor();
    plan->graph = sy_graph_clone(graph);
    plan->times = sy_arena_array(&plan->arena, N_PASSES, sizeof *plan->times);
    if (!plan->graph || !plan->times) {
        sy_no_memory(error);
        sy_plan_destroy(&plan);
        return NULL;
    }
    return plan;
}

void sy_plan_destroy(sy_plan **plan)
{
    if (!plan || !*plan)
        return;
    sy_program_destroy(&(*plan)->program);
    sy_graph_destroy(&(*plan)->graph);
    sy_arena_free(&(*plan)->arena);
    free(*plan);
    *plan = NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void print_after(const sy_plan *plan, const sy_pass *pass)
{
    const sy_compile_params *p = plan->params;
    if (!p->print || !p->print_after || !plan->graph ||
        (strcmp(p->print_after, "all") && strcmp(p->print_after, pass->name)))
        return;
    sy_text_printf(p->print, "; after %s: %s\n", pass->name, pass->doc);
    sy_graph_print(plan->graph, p->print);
    sy_plan_print(plan, p->print);
}

static bool run_pass(sy_plan *plan, const sy_pass *pass, sy_error *error)
{
    double begin = now();
    if (!pass->run(plan, error))
        return sy_fail_context(error, "pass %s", pass->name);
    /* The last pass hands graph and plan over to the program; they were verified after the one before. */
    if (plan->graph && (!sy_graph_verify(plan->graph, pass->stage, error) || !sy_plan_verify(plan, error)))
        return sy_fail_context(error, "after pass %s", pass->name);
    plan->times[plan->n_times++] = (sy_pass_time){pass->name, now() - begin};
    print_after(plan, pass);
    return true;
}

bool sy_plan_run(sy_plan *plan, const char *last, sy_error *error)
{
    for (const sy_pass *pass = sy_passes; pass->name; pass++) {
        if (!run_pass(plan, pass, error))
            return false;
        if (last && !strcmp(pass->name, last))
            return true;
    }
    return !last || sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no pass \"%s\".", last);
}
