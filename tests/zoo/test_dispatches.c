/* How many dispatches a block costs: the difference between networks that differ in one block. The bounds are the
 * project's promise: 8 for a dense DiT block, 14 for a mixture. At the sizes of the fixtures and at published ones. */
#include "graph/program.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"
#include "tests/zoo/help_header.h"

static uint32_t dispatches(sy_network_config config, int32_t depth)
{
    sy_error error = {0};
    config.depth = depth;
    fixture like = {.name = config.architecture, .config = config};
    sy_graph *g = fixture_graph(&like, 2);
    sy_limits limits = sy_limits_floor();
    limits.storage_range = limits.allocation_bytes = (uint64_t)1 << 32; /* the largest networks want large buffers */
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    sy_program *program = sy_compile(g, &params, &error);
    CHECK_SAY(program, "%s: %s", config.architecture, error.message);
    REQUIRE(program);
    uint32_t n = program->stats.dispatches;
    sy_program_destroy(&program);
    sy_graph_destroy(&g);
    return n;
}

/* Blocks come in pairs where dense ones and mixtures alternate. */
static void check_blocks(const char *name, const sy_network_config *config)
{
    enum { DENSE = 8, MIXTURE = 14 };
    bool mixture = config->experts > 0;
    uint32_t shell = dispatches(*config, 2), more;
    if (config->interleave) {
        uint32_t dense = dispatches(*config, 3) - shell;
        more = dispatches(*config, 4) - shell - dense;
        CHECK_SAY(dense <= DENSE, "%s: %u dispatches a dense block", name, dense);
    } else {
        more = dispatches(*config, 3) - shell;
    }
    CHECK_SAY(more <= (mixture ? MIXTURE : DENSE), "%s: %u dispatches a block", name, more);
    printf("%s: %u dispatches a %s, %u for two blocks and the rest\n", name, more, mixture ? "mixture" : "block",
           shell);
}

int main(void)
{
    for (const char *const *name = fixture_names; *name; name++) {
        fixture f = fixture_open(*name);
        check_blocks(*name, &f.config);
        fixture_close(&f);
    }
    static const char *const published[] = {"DiT-XL/2 256", "DiT-MoE-S/2-8E2A", "DiT-MoE-G/2-16E2A", "ProMoE-L"};
    for (const header_size *s = header_sizes; s->name; s++)
        for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
            if (strcmp(s->name, published[i]))
                continue;
            sy_text bytes = {0};
            sy_error error = {0};
            sy_network_config config;
            uint64_t values, tensors;
            header_write(s, NULL, &bytes, &values, &tensors);
            sy_safetensors *file =
                sy_safetensors_from_memory(bytes.data, bytes.size, SY_SAFETENSORS_HEADER_ONLY, &error);
            REQUIRE(file && sy_zoo_config_from_file(file, &config, &error));
            check_blocks(s->name, &config);
            sy_safetensors_close(&file);
            sy_text_free(&bytes);
        }
    return check_done();
}
