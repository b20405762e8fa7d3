/* No pass changes what a graph computes: every end of every stage against the graph before, by the reference evaluator,
 * over two steps with carried states. On random graphs over all ops, on routes of every composition, and on networks.
 */
#include "tests/passes/help_passes.h"

#include "tests/check.h"
#include "tests/ir/help_random.h"

static const char *const all_taps[] = {"*"};

static void check_random_graphs(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sy_op op = (sy_op)(1 + seed % (SY_OP_COUNT - 1));
        sy_graph *g = help_random_graph(seed, op, 30);
        bool taps = false;
        for (uint32_t e = 0; e < g->n_ends; e++)
            taps |= g->ends[e].kind == SY_END_TAP;
        int failures = check_failures;
        sy_compile_params params = {.taps = all_taps, .n_taps = taps, .no_fusion = seed % 5 == 0};
        help_check_stages(g, &params, "fuse", 1e-9);
        if (check_failures > failures)
            fprintf(stderr, "random graph of seed %llu\n", (unsigned long long)seed);
        sy_graph_destroy(&g);
    }
}

/* scores -> route by the steps that `how` spells: t(op_k), T renormalised, e(xpert choice), s(plit), c(apacity by row),
 * v (capacity by choice), r a second capacity over other groups. What reads the route sees all of it. */
static sy_graph *route_graph(const char *how, uint64_t seed)
{
    int32_t rows = 4 * (int32_t)(1 + help_number(&seed, 5)), targets = 2 + (int32_t)help_number(&seed, 4);
    int32_t k = 1 + (int32_t)help_number(&seed, 2);
    sy_graph *g = sy_graph_create(how);
    sy_value scores = sy_input(g, "scores", SY_T(SY_F32, rows, targets)), r = 0;
    /* Scores that differ, as ties are for the test of top_k. */
    sy_value ramp = sy_reshape(g, sy_iota(g, SY_T(SY_F32, rows * targets), 0), SY_T(SY_F32, rows, targets));
    scores = sy_row(g, SY_OP_SOFTMAX, sy_add(g, scores, sy_mul(g, ramp, sy_const(g, 0.001))), 0);
    for (const char *step = how; *step; step++) {
        sy_value mask = sy_binary(g, SY_OP_LESS, sy_input(g, "mask", SY_T(SY_I32, rows)),
                                  sy_const_of(g, SY_T(SY_I32, 1), (double[]){2}, 1));
        if (*step == 't' || *step == 'T')
            r = sy_route_top_k(g, scores, k, *step == 'T');
        else if (*step == 'e')
            r = sy_route_expert_choice(g, scores, k, 4);
        else if (*step == 'b')
            r = sy_route_build(g,
                               sy_binary(g, SY_OP_DIV, sy_iota(g, SY_T(SY_I32, rows * 2), 0),
                                         sy_const_of(g, SY_T(SY_I32, 1), (double[]){2}, 1)),
                               sy_input(g, "targets", SY_T(SY_I32, rows * 2)),
                               sy_input(g, "weights", SY_T(SY_F32, rows * 2)), rows, 5, 2, 4);
        else if (*step == 's')
            r = sy_route_split(g, r, mask, g->nodes[r].type.dim[SY_ROUTE_TARGETS] - 1,
                               g->nodes[r].type.dim[SY_ROUTE_TARGETS] + 1);
        else
            r = sy_route_capacity(g, r, 1 + (int32_t)help_number(&seed, 3), *step == 'r' ? rows : 4, *step == 'v');
    }
    sy_type t = g->nodes[r].type;
    sy_value x = sy_input(g, "x", SY_T(SY_F32, rows, 3));
    sy_value y = sy_grouped_matmul(g, x, sy_param(g, "w", SY_T(SY_F32, t.dim[SY_ROUTE_TARGETS], 2, 3)), r, true, true);
    sy_output(g, "y", sy_combine(g, y, r, true));
    sy_output(g, "load", sy_unary(g, SY_OP_ROUTE_LOAD, r));
    sy_tap(g, "route", r);
    return g;
}

static void check_routes(void)
{
    static const char *const chains[] = {"t",   "T",   "ts",  "tc",  "tv",   "tsc", "tcs", "tvs", "tcr",
                                         "tvr", "tcv", "e",   "es",  "ec",   "esc", "ecs", "ecr", "b",
                                         "bs",  "bc",  "bcr", "tss", "tsvs", "tcc", "bsc", "ess"};
    for (unsigned i = 0; i < sizeof chains / sizeof *chains; i++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            sy_graph *g = route_graph(chains[i], seed);
            sy_error error = {0};
            CHECK_SAY(sy_graph_check(g, &error), "%s: %s", chains[i], error.message);
            if (error.code) {
                sy_graph_destroy(&g);
                continue;
            }
            help_check_stages(g, &(sy_compile_params){.taps = all_taps, .n_taps = 1}, "fuse", 1e-9);
            sy_graph_destroy(&g);
        }
}

static void check_networks(void)
{
    static const char *const names[] = {"dit", "dit-moe", "promoe", "promoe-ec"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        for (int narrow = 0; narrow < 2; narrow++) {
            sy_network_config c = help_config(names[i], 2, 16, 4);
            if (narrow) {
                c.dtype = i % 2 ? SY_BF16 : SY_F16;
                c.has_pos_embed = false;
            }
            if (narrow && i == 1) {
                c.attention_names = SY_ATTENTION_WQKV;
                c.qk_norm = true;
                c.qk_norm_eps = 1e-6;
            }
            sy_graph *g = help_network(&c, 2);
            help_check_stages(g, &(sy_compile_params){.taps = all_taps, .n_taps = 1}, "fuse", 1e-9);
            sy_graph_destroy(&g);
        }
}

int main(void)
{
    check_routes();
    check_networks();
    check_random_graphs();
    return check_done();
}
