/* Each rule of the verifier is broken once, in an otherwise good graph, and named in the error. */
#include "graph/ir/build.h"
#include "graph/ir/verify.h"

#include "tests/check.h"

/* 1 x, 2 w, 3 matmul, 4 scores, 5 route.top_k, 6 grouped weights, 7 grouped_matmul, 8 combine, 9 state, 10 neg */
static sy_graph *good(void)
{
    sy_graph *g = sy_graph_create("good");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 8, 4));
    sy_value y = sy_matmul(g, x, sy_param(g, "w", SY_T(SY_F32, 4, 4)), false);
    sy_value route = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 8, 3)), 2, false);
    sy_value h = sy_grouped_matmul(g, y, sy_param(g, "experts", SY_T(SY_F32, 3, 4, 5)), route, true, false);
    sy_output(g, "y", sy_combine(g, h, route, true));
    sy_value state = sy_state(g, "s", SY_T(SY_F32, 2));
    sy_carry(g, "s", sy_unary(g, SY_OP_NEG, state));
    sy_tap(g, "route", route);
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    CHECK(g->n_nodes == 11);
    return g;
}

/* The same after lowering, with everything that works in a dispatch. */
static sy_graph *lowered(void)
{
    sy_graph *g = sy_graph_create("lowered");
    sy_value rows = sy_input(g, "rows", SY_T(SY_I32, 16)), targets = sy_input(g, "targets", SY_T(SY_I32, 16));
    sy_value weights = sy_input(g, "weights", SY_T(SY_F32, 16));
    sy_value route = sy_route_build(g, rows, targets, weights, 8, 3, 0, 0);
    sy_value load = sy_route_load(g, route);
    sy_value two = sy_mul(g, sy_param(g, "w", SY_T(SY_F32, 4)), sy_const(g, 2));
    sy_output(g, "load", load);
    sy_output(g, "two", two);
    g->nodes[route].group = 0;
    g->nodes[load].group = 1;
    return g;
}

static void check_broken(sy_graph *g, sy_stage stage, const char *rule)
{
    sy_error error = {0};
    char wanted[64];
    snprintf(wanted, sizeof wanted, "rule \"%s\":", rule);
    CHECK_SAY(!sy_graph_verify(g, stage, &error), "rule %s saw nothing", rule);
    CHECK_SAY(!strncmp(error.message, wanted, strlen(wanted)), "wanted rule %s, got: %s", rule, error.message);
    CHECK(!sy_graph_verify(g, stage, NULL));
    sy_graph_destroy(&g);
}

#define BREAK(rule, stage, make, change)                                                                               \
    do {                                                                                                               \
        g = make();                                                                                                    \
        change;                                                                                                        \
        check_broken(g, stage, rule);                                                                                  \
    } while (0)

int main(void)
{
    sy_error error = {0};
    sy_graph *g = good();
    CHECK_SAY(sy_graph_verify(g, SY_STAGE_SOURCE, &error), "%s", error.message);
    sy_graph_destroy(&g);
    g = lowered();
    CHECK_SAY(sy_graph_verify(g, SY_STAGE_FUSED, &error), "%s", error.message);
    sy_graph_destroy(&g);

    BREAK("op", SY_STAGE_SOURCE, good, g->nodes[3].op = SY_OP_COUNT);
    BREAK("op", SY_STAGE_SOURCE, good, g->nodes[3].op = SY_OP_NONE);
    BREAK("arity", SY_STAGE_SOURCE, good, g->nodes[3].n_args = 1);
    BREAK("order", SY_STAGE_SOURCE, good, g->nodes[3].args[1] = 3);
    BREAK("order", SY_STAGE_SOURCE, good, g->nodes[3].args[1] = 0);
    BREAK("name", SY_STAGE_SOURCE, good, g->nodes[1].name = NULL);
    BREAK("name", SY_STAGE_SOURCE, good, g->nodes[3].name = "y");
    BREAK("name", SY_STAGE_SOURCE, good, g->nodes[3].scope = NULL);
    BREAK("attributes", SY_STAGE_SOURCE, good, g->nodes[10].attributes.k = 1);
    BREAK("type", SY_STAGE_SOURCE, good, g->nodes[3].type.dim[0] = 9);
    BREAK("type", SY_STAGE_SOURCE, good, g->nodes[3].type.dim[0] = 0);
    BREAK("type", SY_STAGE_SOURCE, good, g->nodes[2].type.dim[0] = 5);
    BREAK("load time", SY_STAGE_SOURCE, good, g->nodes[3].load_time = true);
    BREAK("group", SY_STAGE_SOURCE, good, g->nodes[3].group = -2);
    BREAK("leaves", SY_STAGE_SOURCE, good, g->nodes[4].name = "x");
    BREAK("ends", SY_STAGE_SOURCE, good, g->ends[0].value = 99);
    BREAK("ends", SY_STAGE_SOURCE, good, g->ends[0].kind = 9);
    BREAK("ends", SY_STAGE_SOURCE, good, g->ends[0].name = "");
    BREAK("ends", SY_STAGE_SOURCE, good, sy_output(g, "y", 3));
    BREAK("carries", SY_STAGE_SOURCE, good, g->ends[1].name = "other");
    BREAK("carries", SY_STAGE_SOURCE, good, g->ends[1].value = 3);
    BREAK("lowered", SY_STAGE_LOWERED, good, (void)g);
    BREAK("unplaced", SY_STAGE_FUSED, lowered, g->nodes[1].group = 0);
    BREAK("unplaced", SY_STAGE_FUSED, lowered, g->nodes[8].group = 0);
    BREAK("computed", SY_STAGE_FUSED, lowered, g->nodes[5].group = -1);

    for (const sy_verify_rule *rule = sy_verify_rules(); rule->name; rule++)
        CHECK(rule->doc[0] && !rule->node != !rule->whole);
    return check_done();
}
