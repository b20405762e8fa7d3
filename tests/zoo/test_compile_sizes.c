/* Every published size compiles for the least device there is, 128 MiB a binding: what is larger is read in pieces, a
 * mixture's stacked experts above all. Headers and plans only: nothing is as large as the networks. */
#include "graph/program.h"
#include "graph/zoo/zoo.h"
#include "graph/import/safetensors.h"
#include "tests/check.h"
#include "tests/zoo/help_header.h"

static void check_size(const header_size *s)
{
    sy_text bytes = {0};
    sy_error error = {0};
    sy_limits limits = sy_limits_floor();
    uint64_t values, tensors, most = 0;
    header_write(s, NULL, &bytes, &values, &tensors);
    sy_safetensors *file = sy_safetensors_from_memory(bytes.data, bytes.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    sy_graph *g = file ? sy_zoo_file_graph(file, 2, &error) : NULL;
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    sy_program *program = g ? sy_compile(g, &params, &error) : NULL;
    CHECK_SAY(program, "%s: %s", s->name, error.message);
    for (uint32_t i = 0; program && i < program->n_weights; i++)
        most = program->weights[i].place.size > most ? program->weights[i].place.size : most;
    CHECK(most <= limits.storage_range);
    if (program)
        printf("%s: %u dispatches, %.1f GB of weights in %u tensors\n", s->name, program->stats.dispatches,
               (double)program->stats.weight_bytes * 1e-9, program->n_weights);
    sy_program_destroy(&program);
    sy_graph_destroy(&g);
    sy_safetensors_close(&file);
    sy_text_free(&bytes);
}

int main(void)
{
    for (const header_size *s = header_sizes; s->name; s++)
        check_size(s);
    return check_done();
}
