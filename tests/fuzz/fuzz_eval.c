/* The reference evaluator under libFuzzer: any graph that parses can be evaluated, whatever its values are. */
#include "graph/ops/eval.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ELEMENTS = 1 << 14, MOST_WORK = 1 << 20 };

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context, (void)error;
    uint64_t count = sy_type_count(&leaf->type);
    for (uint64_t i = 0; i < count; i++)
        out[i] = leaf->type.dtype == SY_I32   ? (double)(i * 7 % 11) - 2
                 : leaf->type.dtype == SY_U32 ? (double)(i * 7 % 11)
                                              : sin((double)i + leaf->name[0]);
    return true;
}

/* Whether the graph is small enough to be run thousands of times a second. */
static bool is_small(const sy_graph *graph)
{
    double elements = 0, work = 0;
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        elements += (double)sy_type_count(&graph->nodes[v].type);
        work += sy_node_cost(graph, v).flops;
    }
    return elements < MOST_ELEMENTS && work < MOST_WORK;
}

static void evaluate(const sy_graph *graph)
{
    sy_error error = {0};
    sy_eval eval;
    if (!sy_eval_init(&eval, graph, &error))
        return;
    eval.read = read_leaf;
    for (sy_value v = 1; v < graph->n_nodes && error.code == SY_CODE_OK; v++)
        sy_eval_value(&eval, v, &error);
    if (error.code == SY_CODE_INTERNAL) {
        fprintf(stderr, "internal error: %s\n", error.message);
        abort();
    }
    sy_eval_free(&eval);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_graph *graph = sy_graph_parse((const char *)data, size, NULL);
    if (graph && is_small(graph))
        evaluate(graph);
    sy_graph_destroy(&graph);
    return 0;
}
