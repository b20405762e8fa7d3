/* The memory plan and the barriers, by brute force: lives recomputed from the order of dispatch, every pair of values
 * compared byte range by byte range, hazards looked for between every two dispatches without a barrier between them. On
 * networks and random graphs, on devices from the floor up. And the peak against the lower bound. */
#include "tests/passes/help_passes.h"
#include "tests/ir/help_random.h"

static bool overlap(sy_place a, sy_place b)
{
    return a.space == b.space && a.buffer == b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

static bool writes(const sy_group *g, sy_value v)
{
    for (uint32_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v)
            return true;
    return false;
}

/* For each byte range: what a reader finds there is what the value's writer put there, nobody having written since. */
static void check_contents(const sy_plan *plan, const char *what)
{
    for (uint32_t r = 0; r < plan->n_groups; r++)
        for (uint32_t i = 0; i < plan->groups[r].n_inputs; i++) {
            sy_value v = plan->groups[r].inputs[i];
            const sy_node *node = &plan->graph->nodes[v];
            bool made = false, spoiled = false;
            for (uint32_t w = 0; w < r; w++) {
                if (writes(&plan->groups[w], v)) {
                    made = true;
                    spoiled = false;
                }
                for (uint32_t o = 0; o < plan->groups[w].n_outputs; o++) {
                    sy_value other = plan->groups[w].outputs[o];
                    spoiled |= other != v && overlap(plan->places[v], plan->places[other]);
                }
            }
            bool there = node->load_time || sy_op_get(node->op)->class == SY_CLASS_LEAF;
            CHECK_SAY(made != there && !spoiled, "%s: group %u reads %%%u, which is %s", what, r, v,
                      spoiled ? "overwritten" : "not there");
        }
}

/* Two outputs of one group, and an output and an input, must not share bytes: but for a state read in place. */
static void check_within(const sy_plan *plan, const char *what)
{
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        const sy_group *group = &plan->groups[g];
        for (uint32_t i = 0; i < group->n_outputs; i++) {
            sy_place p = plan->places[group->outputs[i]];
            for (uint32_t j = 0; j < i; j++)
                CHECK_SAY(!overlap(p, plan->places[group->outputs[j]]), "%s: group %u: two outputs share bytes", what,
                          g);
            for (uint32_t j = 0; j < group->n_inputs; j++)
                CHECK_SAY(!overlap(p, plan->places[group->inputs[j]]) ||
                              plan->graph->nodes[group->inputs[j]].op == SY_OP_STATE,
                          "%s: group %u writes over what it reads", what, g);
        }
    }
}

static void check_barriers(const sy_plan *plan, const char *what)
{
    CHECK(plan->n_groups == 0 || plan->groups[0].barrier);
    for (uint32_t b = 1; b < plan->n_groups; b++)
        for (uint32_t a = b; a-- > 0 && !plan->groups[a + 1].barrier;) {
            const sy_group *x = &plan->groups[a], *y = &plan->groups[b];
            bool hazard = false;
            for (uint32_t i = 0; i < x->n_outputs; i++) {
                for (uint32_t j = 0; j < y->n_inputs; j++)
                    hazard |= overlap(plan->places[x->outputs[i]], plan->places[y->inputs[j]]);
                for (uint32_t j = 0; j < y->n_outputs; j++)
                    hazard |= overlap(plan->places[x->outputs[i]], plan->places[y->outputs[j]]);
            }
            for (uint32_t i = 0; i < x->n_inputs; i++)
                for (uint32_t j = 0; j < y->n_outputs; j++)
                    hazard |= overlap(plan->places[x->inputs[i]], plan->places[y->outputs[j]]);
            CHECK_SAY(!hazard, "%s: no barrier between %u and %u", what, a, b);
        }
}

/* A barrier must have a reason: some dispatch since the barrier before that it keeps apart from the dispatch it stands
 * before. */
static void check_reasons(const sy_plan *plan, const char *what)
{
    uint32_t begin = 0;
    for (uint32_t g = 1; g < plan->n_groups; g++) {
        if (!plan->groups[g].barrier)
            continue;
        bool reason = false;
        for (uint32_t a = begin; a < g; a++)
            for (uint32_t i = 0; i < plan->groups[a].n_inputs + plan->groups[a].n_outputs; i++) {
                bool write = i >= plan->groups[a].n_inputs;
                sy_place p = plan->places[write ? plan->groups[a].outputs[i - plan->groups[a].n_inputs]
                                                : plan->groups[a].inputs[i]];
                for (uint32_t j = 0; j < plan->groups[g].n_outputs; j++)
                    reason |= overlap(p, plan->places[plan->groups[g].outputs[j]]);
                for (uint32_t j = 0; j < plan->groups[g].n_inputs && write; j++)
                    reason |= overlap(p, plan->places[plan->groups[g].inputs[j]]);
            }
        CHECK_SAY(reason, "%s: the barrier before %u has no reason", what, g);
        begin = g;
    }
}

static void check_limits(const sy_plan *plan, const char *what)
{
    const sy_limits *l = &plan->limits;
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        const sy_group *group = &plan->groups[g];
        CHECK_SAY(group->n_inputs + group->n_outputs + group->reads_step <= l->storage_buffers, "%s: group %u", what,
                  g);
        for (uint32_t i = 0; i < group->n_inputs + group->n_outputs; i++) {
            sy_place p = plan->places[i < group->n_inputs ? group->inputs[i] : group->outputs[i - group->n_inputs]];
            CHECK_SAY(p.size && p.size <= l->storage_range && p.offset % l->offset_alignment == 0, "%s: group %u", what,
                      g);
        }
    }
    for (int s = 0; s < SY_SPACE_COUNT; s++)
        for (int b = 0; b < 16; b++)
            CHECK_SAY(plan->space_bytes[s][b] <= l->allocation_bytes, "%s: space %d", what, s);
}

static void check_plan(const sy_graph *g, const sy_compile_params *params, double ratio, const char *what)
{
    sy_plan *plan = help_run(g, params, "barriers");
    if (!plan)
        return;
    check_contents(plan, what);
    check_within(plan, what);
    check_barriers(plan, what);
    check_reasons(plan, what);
    check_limits(plan, what);
    double peak = (double)plan->stats.arena_bytes, bound = (double)plan->stats.arena_lower_bound;
    CHECK_SAY(peak >= bound, "%s: peak %g below the bound %g", what, peak, bound);
    CHECK_SAY(ratio == 0 || peak <= ratio * bound, "%s: peak %g is %.3f x the bound %g", what, peak, peak / bound,
              bound);
    printf("%s: %u dispatches, %u barriers, arena %.0f bytes, %.3f x the bound\n", what, plan->n_groups,
           plan->stats.barriers, peak, bound > 0 ? peak / bound : 0);
    sy_plan_destroy(&plan);
}

static void check_networks(void)
{
    static const char *const names[] = {"dit", "dit-moe", "promoe", "promoe-ec"}, *const taps[] = {"blocks.1.*"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        sy_network_config c = help_config(names[i], 4, 64, 16);
        sy_graph *g = help_network(&c, 2);
        check_plan(g, &(sy_compile_params){0}, 1.15, names[i]);
        check_plan(g, &(sy_compile_params){.no_fusion = true}, 1.15, "unfused");
        check_plan(g, &(sy_compile_params){.taps = taps, .n_taps = 1, .max_steps = 20}, 1.15, "with taps");
        sy_limits small = sy_limits_floor();
        small.allocation_bytes = 600000; /* several allocations a space */
        check_plan(g, &(sy_compile_params){.limits = &small}, 0, "small allocations");
        sy_graph_destroy(&g);
    }
}

/* Skips live long and are joined to what comes from below: no joint copy, and no room for one while they wait. */
static void check_skips(void)
{
    static const struct {
        int32_t channels, side, levels;
        bool norms;
    } nets[] = {{64, 32, 3, true}, {128, 64, 4, true}, {32, 64, 4, false}};
    for (unsigned i = 0; i < sizeof nets / sizeof *nets; i++)
        for (int cpu = 0; cpu < 2; cpu++) {
            sy_graph *g = help_unet(1, nets[i].channels, nets[i].side, nets[i].levels, nets[i].norms);
            sy_limits limits = sy_limits_floor();
            limits.cpu = cpu;
            sy_compile_params params = {.limits = &limits};
            check_plan(g, &params, 1.15, "unet");
            sy_plan *plan = help_run(g, &params, "fuse");
            for (uint32_t k = 0; plan && k < plan->n_groups; k++)
                for (uint32_t o = 0; o < plan->groups[k].n_outputs; o++) {
                    sy_op op = plan->graph->nodes[plan->groups[k].outputs[o]].op;
                    CHECK_SAY(op != SY_OP_CONCAT, "net %u: a dispatch copies the parts of a concat together", i);
                    CHECK_SAY(!o || op == SY_OP_MOMENTS || plan->groups[k].kind == SY_GROUP_ROW, "net %u: a scaled skip is stored beside the skip itself", i);
                }
            sy_plan_destroy(&plan);
            sy_graph_destroy(&g);
        }
}

static void check_random_graphs(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sy_graph *g = help_random_graph(seed, (sy_op)(1 + seed % (SY_OP_COUNT - 1)), 40);
        sy_limits many = sy_limits_floor();
        many.storage_buffers = 16;
        many.offset_alignment = 16;
        check_plan(g, &(sy_compile_params){.no_fusion = seed % 4 == 0}, 0, "random");
        check_plan(g, &(sy_compile_params){.limits = &many}, 0, "random, 16 buffers");
        sy_graph_destroy(&g);
    }
}

/* Carries: in place where that is safe, swapped states through a copy, and never over what is still to be read. */
static void check_carries(void)
{
    sy_graph *g = sy_graph_create("carries");
    sy_type t = SY_T(SY_F32, 64, 32);
    sy_value a = sy_state(g, "a", t), b = sy_state(g, "b", t), c = sy_state(g, "c", t), d = sy_state(g, "d", t);
    sy_carry(g, "a", b); /* a and b change places */
    sy_carry(g, "b", a);
    sy_carry(g, "c", sy_add(g, c, sy_const(g, 1))); /* in place */
    sy_value turned = sy_reshape(g, sy_transpose(g, d, (const int32_t[]){1, 0}), t);
    sy_carry(g, "d", sy_add(g, d, turned)); /* reads other elements than it writes */
    sy_output(g, "sum", sy_row(g, SY_OP_REDUCE_SUM, sy_mul(g, sy_add(g, a, b), sy_add(g, c, d)), 0));
    check_plan(g, &(sy_compile_params){0}, 0, "carries");
    help_check_stages(g, &(sy_compile_params){0}, "fuse", 1e-12);
    sy_plan *plan = help_run(g, &(sy_compile_params){0}, "barriers");
    uint32_t in_place = 0;
    for (uint32_t i = 0; plan && i < plan->n_groups; i++)
        for (uint32_t j = 0; j < plan->groups[i].n_outputs; j++)
            for (uint32_t k = 0; k < plan->groups[i].n_inputs; k++)
                in_place += overlap(plan->places[plan->groups[i].outputs[j]], plan->places[plan->groups[i].inputs[k]]);
    CHECK_SAY(in_place == 1, "%u states are written where they are read", in_place);
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
}

int main(void)
{
    check_networks();
    check_carries();
    check_skips();
    check_random_graphs();
    return check_done();
}
