/* The parser of the text form under libFuzzer: any bytes give a graph or an error; a graph prints, and its text
 * gives a graph that prints the same. */
#include "graph/ir/ir.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    sy_graph *graph = sy_graph_parse((const char *)data, size, &error);
    if (!graph) {
        if (!error.message[0])
            abort();
        return 0;
    }
    sy_text text = {0}, again = {0};
    sy_graph_print(graph, &text);
    sy_graph *back = sy_graph_parse(text.data, text.size, &error);
    if (!back)
        abort();
    sy_graph_print(back, &again);
    if (again.size != text.size || memcmp(again.data, text.data, text.size))
        abort();
    sy_text_free(&text);
    sy_text_free(&again);
    sy_graph_destroy(&graph);
    sy_graph_destroy(&back);
    return 0;
}
