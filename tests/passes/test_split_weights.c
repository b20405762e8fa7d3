/* Weights larger than a binding: the same results after every pass, and nothing that is bound too large any more. */
#include "tests/passes/help_passes.h"

static uint64_t largest_weight(const sy_program *program)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < program->n_weights; i++)
        most = program->weights[i].place.size > most ? program->weights[i].place.size : most;
    return most;
}

static void check(const sy_graph *g, uint64_t range, uint32_t more_dispatches)
{
    sy_limits limits = sy_limits_floor(), wide = limits;
    sy_compile_params params = {.limits = &limits, .no_spirv = true}, before = {.limits = &wide, .no_spirv = true};
    sy_error error = {0};
    wide.storage_range = wide.allocation_bytes = UINT64_C(1) << 32;
    limits.storage_range = range;
    help_check_stages(g, &params, "fuse", 1e-9);
    sy_program *whole = sy_compile(g, &before, &error), *split = sy_compile(g, &params, &error);
    CHECK_SAY(whole && split, "%s: %s", g->name, error.message);
    if (whole && split) {
        CHECK(largest_weight(whole) > range); /* or there was nothing to test */
        CHECK_SAY(largest_weight(split) <= range, "%s: a weight of %llu bytes", g->name,
                  (unsigned long long)largest_weight(split));
        CHECK_SAY(split->stats.dispatches <= whole->stats.dispatches + more_dispatches,
                  "%s: %u dispatches in pieces, %u without", g->name, split->stats.dispatches, whole->stats.dispatches);
    }
    sy_program_destroy(&whole);
    sy_program_destroy(&split);
}

static void check_network(const char *name, sy_dtype dtype, uint64_t range, uint32_t more)
{
    sy_network_config c = help_config(name, 2, 32, 4);
    c.dtype = dtype;
    c.expert_hidden = 160; /* runs of 64, 64 and 32 columns */
    sy_graph *g = help_network(&c, 2);
    check(g, range, more);
    sy_graph_destroy(&g);
}

static void check_table(void)
{
    sy_graph *g = sy_graph_create("table");
    sy_value ids = sy_input(g, "ids", SY_T(SY_I32, 1));
    sy_value rows = sy_take_rows(g, sy_param(g, "table", SY_T(SY_F16, 5, 64)), ids);
    sy_output(g, "y", sy_unary(g, SY_OP_TANH, rows));
    check(g, 300, 0); /* two rows of 128 bytes each */
    sy_graph_destroy(&g);
}

static void check_plain(void)
{
    sy_graph *g = sy_graph_create("plain");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 3, 8));
    sy_value up = sy_linear(g, x, "up", 200, true, SY_F32), gate = sy_linear(g, x, "gate", 200, false, SY_F32);
    sy_value h = sy_mul(g, sy_silu(g, gate), sy_add(g, up, sy_input(g, "side", SY_T(SY_F32, 1, 200))));
    sy_output(g, "y", sy_linear(g, h, "down", 5, true, SY_F32));
    sy_output(g, "h", h);
    check(g, 4000, 7); /* gate x up in two pieces, what joins them, the matmul over all columns */
    sy_graph_destroy(&g);
}

int main(void)
{
    check_plain();
    check_table();
    check_network("dit-moe", SY_F32, 45000, 24);
    check_network("dit-moe", SY_F16, 23000, 24);
    check_network("promoe", SY_F32, 45000, 24);
    check_network("promoe-ec", SY_BF16, 45000, 24);
    return check_done();
}
