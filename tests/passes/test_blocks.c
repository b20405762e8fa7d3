/* Dispatches of whole networks, counted: what issue and README promise of fusion. A block's share is the difference
 * between networks of different depth, so everything the block causes is counted, wherever it runs. */
#include "tests/passes/help_passes.h"

#include "tests/check.h"

static void print_groups(const sy_plan *plan)
{
    if (!getenv("SY_TEST_PRINT"))
        return;
    char *text = help_text(plan);
    fputs(text, stderr);
    free(text);
}

static uint32_t dispatches(sy_network_config config, int32_t depth, bool no_fusion)
{
    config.depth = depth;
    sy_graph *g = help_network(&config, 2);
    sy_plan *plan = help_run(g, &(sy_compile_params){.no_fusion = no_fusion, .no_spirv = true}, "barriers");
    uint32_t n = plan ? plan->n_groups : 0;
    if (plan)
        print_groups(plan);
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
    return n;
}

static void check_share(const char *what, const sy_network_config *config, int32_t step, uint32_t most)
{
    uint32_t few = dispatches(*config, step, false), more = dispatches(*config, 2 * step, false);
    uint32_t unfused = dispatches(*config, 2 * step, true);
    CHECK_SAY(more > few && more - few <= most, "%s: %u dispatches in %d blocks, %u in %d: more than %u", what, few,
              step, more, 2 * step, most);
    CHECK_SAY(unfused > 2 * more, "%s: unfused %u, fused %u", what, unfused, more);
    printf("%s: %u dispatches for %d block(s) more (unfused network %u, fused %u)\n", what, more - few, step, unfused,
           more);
}

int main(void)
{
    sy_network_config dit = help_config("dit", 1, 32, 8);
    check_share("dense DiT block", &dit, 1, 8);
    sy_network_config moe = help_config("dit-moe", 1, 32, 8);
    check_share("DiT-MoE block", &moe, 1, 14);
    moe.attention_names = SY_ATTENTION_WQKV;
    moe.qk_norm = true;
    moe.qk_norm_eps = 1e-6;
    check_share("DiT-MoE block with q/k norm", &moe, 1, 14);
    moe.dtype = SY_F16;
    check_share("DiT-MoE block with q/k norm, f16 weights", &moe, 1, 14);
    sy_network_config promoe = help_config("promoe", 2, 32, 8);
    check_share("ProMoE: a dense and a mixture block", &promoe, 2, 8 + 14);
    sy_network_config ec = help_config("promoe-ec", 2, 32, 8);
    check_share("ProMoE-EC: a dense and a mixture block", &ec, 2, 8 + 14);
    return check_done();
}
