/* The passes under libFuzzer: any graph that parses gets a program or a refusal. A broken invariant (an internal error:
 * the verifiers run after every pass) is a bug, and so is whatever the sanitizers see. */
#include "graph/program.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_NODES = 2000 };

/* Step values are columns of the table: all that the graph names. */
static uint32_t columns_of(const sy_graph *graph, const char *columns[], uint32_t most)
{
    uint32_t n = 0;
    for (sy_value v = 1; v < graph->n_nodes && n < most; v++)
        if (graph->nodes[v].op == SY_OP_STEP)
            columns[n++] = graph->nodes[v].name;
    return n;
}

static void compile(const sy_graph *graph, bool no_fusion)
{
    static const char *const all[] = {"*"};
    const char *columns[64];
    sy_error error = {0};
    sy_compile_params params = {.no_spirv = true, .no_fusion = no_fusion, .step_columns = columns, .taps = all};
    params.n_step_columns = columns_of(graph, columns, 64);
    for (uint32_t e = 0; e < graph->n_ends; e++)
        params.n_taps |= graph->ends[e].kind == SY_END_TAP;
    sy_program *program = sy_compile(graph, &params, &error);
    if (!program && (error.code == SY_CODE_INTERNAL || error.code == SY_CODE_OK)) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    sy_program_destroy(&program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_graph *graph = sy_graph_parse((const char *)data, size, NULL);
    if (graph && graph->n_nodes < MOST_NODES && sy_graph_verify(graph, SY_STAGE_SOURCE, NULL)) {
        compile(graph, false);
        compile(graph, true);
    }
    sy_graph_destroy(&graph);
    return 0;
}
