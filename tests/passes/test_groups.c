/* Groups are what plan.h says they are, found out by trying rather than by the rules that made them: the expressions of
 * a group are copied into a graph of their own, the anchors (or, in ROW groups, what the first of them reads) cut off
 * and made inputs, one element of that input is changed, and it is seen which elements of the outputs change with it.
 * In MATMUL, ATTENTION and MAP groups that is at most one element an output; in ROW groups those of the same row. And
 * each group computes, from what it reads alone, what the graph says. */
#include "tests/passes/help_passes.h"
#include "tests/ir/help_random.h"

/* Copies what `wanted` needs from `plan` into a graph where `cut` are inputs. */
typedef struct cutting {
    const sy_plan *plan;
    sy_graph *graph;
    sy_value *map;
} cutting;

static sy_value input_like(cutting *c, const char *prefix, sy_value v)
{
    char name[16];
    snprintf(name, sizeof name, "%s%u", prefix, v);
    return sy_graph_add(c->graph, SY_OP_INPUT, NULL, 0, NULL, &c->plan->graph->nodes[v].type, name);
}

static void cut_off(cutting *c, sy_value v)
{
    if (!c->map[v] && !c->plan->graph->nodes[v].type.is_route)
        c->map[v] = input_like(c, "v", v);
}

/* The value to change. Of ROW groups: a new input that takes the place of x in the ROW ops alone, as the group may read
 * x from memory in other ways too. */
static sy_value cut_anchor(cutting *c, const sy_group *group, sy_value cut)
{
    if (group->kind != SY_GROUP_ROW) {
        cut_off(c, cut);
        return c->map[cut];
    }
    sy_value x = input_like(c, "x", cut);
    for (uint32_t i = 0; i < group->n_anchors; i++) {
        const sy_node *node = &c->plan->graph->nodes[group->anchors[i]];
        if (node->args[0] == cut)
            c->map[group->anchors[i]] = sy_graph_add(c->graph, node->op, &x, 1, &node->attributes, &node->type, NULL);
    }
    return x;
}

/* Routes cannot be inputs: they are made anew from what they are made of. */
static void copy_needed(cutting *c, sy_value v)
{
    const sy_node *node = &c->plan->graph->nodes[v];
    sy_value args[16];
    if (c->map[v])
        return;
    if (node->n_args > 16) {
        cut_off(c, v);
        return;
    }
    for (uint32_t i = 0; i < node->n_args; i++) {
        copy_needed(c, node->args[i]);
        args[i] = c->map[node->args[i]];
    }
    c->map[v] = sy_graph_add(c->graph, node->op, args, node->n_args, &node->attributes, &node->type, node->name);
}

static sy_value cut_value(const sy_graph *graph, const sy_group *group)
{
    if (group->kind == SY_GROUP_ROW)
        return graph->nodes[group->anchors[0]].args[0];
    return group->n_anchors ? group->anchors[0] : 0;
}

typedef struct change {
    sy_value cut; /* in the cut graph; 0: nothing changed */
    uint64_t element;
    const sy_graph *graph;
} change;

static bool read_changed(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const change *c = context;
    if (!help_read(NULL, leaf, out, error))
        return false;
    if (c->cut && leaf == &c->graph->nodes[c->cut])
        out[c->element] += leaf->type.dtype == SY_I32 || leaf->type.dtype == SY_U32 ? 1 : 0.375;
    return true;
}

static double *outputs_of(const sy_graph *graph, sy_value out, change *c)
{
    sy_eval eval = {0};
    sy_error error = {0};
    uint64_t bytes = sy_type_count(&graph->nodes[out].type) * sizeof(double);
    double *values = malloc(bytes);
    bool fine = sy_eval_init(&eval, graph, &error);
    eval.read = read_changed;
    eval.context = c;
    fine = fine && sy_eval_value(&eval, out, &error);
    CHECK_SAY(fine, "%s", error.message);
    if (fine)
        memcpy(values, eval.tensor[out], bytes);
    else
        memset(values, 0, bytes);
    sy_eval_free(&eval);
    return values;
}

static bool differ(double a, double b)
{
    return !(a == b || (isnan(a) && isnan(b)));
}

/* Changes some elements of the cut value and checks which elements of `out` follow. */
static void check_reach(const cutting *c, const sy_group *group, sy_value cut, sy_value out, const char *what)
{
    change base = {0, 0, c->graph};
    const sy_type *from = &c->graph->nodes[cut].type, *to = &c->graph->nodes[out].type;
    uint64_t n = sy_type_count(from), m = sy_type_count(to), row = (uint64_t)from->dim[from->rank - 1], rows = n / row;
    double *before = outputs_of(c->graph, out, &base);
    bool by_row = group->kind == SY_GROUP_ROW;
    CHECK_SAY(by_row ? m % rows == 0 : m == n, "%s: %llu elements from %llu", what, (unsigned long long)m,
              (unsigned long long)n);
    for (uint64_t i = 0; i < n; i += 1 + n / 12) {
        change one = {cut, i, c->graph};
        double *after = outputs_of(c->graph, out, &one);
        uint64_t changed = 0, elsewhere = 0;
        for (uint64_t j = 0; j < m; j++) {
            changed += differ(before[j], after[j]);
            elsewhere += differ(before[j], after[j]) && by_row && j / (m / rows) != i / row;
        }
        CHECK_SAY(by_row ? elsewhere == 0 : changed <= 1, "%s: element %llu changes %llu others", what,
                  (unsigned long long)i, (unsigned long long)(by_row ? elsewhere : changed));
        free(after);
    }
    free(before);
}

/* Is the output a transposed one? ROW groups may permute at the end; rows are then not in row-major order. */
static bool permuted(const sy_graph *graph, sy_value v)
{
    while (sy_op_get(graph->nodes[v].op)->class == SY_CLASS_VIEW) {
        if (graph->nodes[v].op == SY_OP_TRANSPOSE)
            return true;
        v = graph->nodes[v].args[0];
    }
    return false;
}

static void check_group(const sy_plan *plan, uint32_t g, const char *what)
{
    const sy_group *group = &plan->groups[g];
    sy_value cut = cut_value(plan->graph, group);
    if (!cut || plan->graph->nodes[cut].type.is_route || sy_node_is_free(&plan->graph->nodes[cut]))
        return;
    cutting c = {
        .plan = plan, .graph = sy_graph_create("group"), .map = calloc(plan->graph->n_nodes, sizeof(sy_value))};
    char label[200];
    sy_value changed = cut_anchor(&c, group, cut);
    for (uint32_t i = 0; i < group->n_inputs; i++)
        cut_off(&c, group->inputs[i]);
    for (uint32_t i = group->kind == SY_GROUP_ROW ? group->n_anchors : 1; i < group->n_anchors; i++)
        cut_off(&c, group->anchors[i]);
    for (uint32_t i = 0; i < group->n_outputs; i++) {
        if ((group->kind == SY_GROUP_ROW && permuted(plan->graph, group->outputs[i])) ||
            group->outputs[i] == sy_group_moments(plan->graph, group)) /* of runs of elements, as they should be */
            continue;
        copy_needed(&c, group->outputs[i]);
        snprintf(label, sizeof label, "%s, group %u, output %%%u", what, g, group->outputs[i]);
        sy_error error = {0};
        CHECK_SAY(sy_graph_check(c.graph, &error), "%s: %s", label, error.message);
        if (!error.code)
            check_reach(&c, group, changed, c.map[group->outputs[i]], label);
    }
    free(c.map);
    sy_graph_destroy(&c.graph);
}

static void check_groups(const sy_graph *g, const char *what)
{
    sy_plan *plan = help_run(g, &(sy_compile_params){0}, "fuse");
    for (uint32_t i = 0; plan && i < plan->n_groups; i++)
        check_group(plan, i, what);
    sy_plan_destroy(&plan);
}

/* A matmul and its own transpose added: an element of the sum needs two of the matmul, so the sum is no epilogue of it.
 * And the same permutation twice: it is one. */
static void check_permutations(void)
{
    const int32_t turn[] = {1, 0};
    sy_graph *g = sy_graph_create("permutations");
    sy_value m = sy_matmul(g, sy_input(g, "x", SY_T(SY_F32, 8, 8)), sy_param(g, "w", SY_T(SY_F32, 8, 8)), false);
    sy_output(g, "two", sy_add(g, m, sy_transpose(g, m, turn)));
    check_groups(g, "a matmul and its transpose");
    sy_plan *plan = help_run(g, &(sy_compile_params){0}, "fuse");
    CHECK(plan && plan->n_groups == 2);
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
    g = sy_graph_create("one permutation");
    m = sy_matmul(g, sy_input(g, "x", SY_T(SY_F32, 8, 8)), sy_param(g, "w", SY_T(SY_F32, 8, 8)), false);
    sy_output(g, "one", sy_add(g, sy_transpose(g, m, turn), sy_transpose(g, sy_unary(g, SY_OP_TANH, m), turn)));
    check_groups(g, "a matmul twice transposed");
    plan = help_run(g, &(sy_compile_params){0}, "fuse");
    CHECK(plan && plan->n_groups == 1);
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
}

static uint32_t count_ops(const sy_plan *plan, sy_op op)
{
    uint32_t n = 0;
    for (sy_value v = 1; plan && v < plan->graph->n_nodes; v++)
        n += plan->graph->nodes[v].op == op;
    return n;
}

/* Statistics of group norms ride with convolutions and matmuls whose tiles are whole runs of an image's pixels, also where two
 * of these are joined, and are made apart elsewhere: of inputs, of edited skips, of images that a tile does not fit. */
static void check_moments(void)
{
    static const struct {
        int32_t side, channels;
        bool edited;
        uint32_t riding, groups; /* values of op moments; dispatches in all */
    } cases[] = {{16, 16, false, 2, 7}, {15, 16, false, 0, 10}, {16, 18, false, 0, 11}, {16, 16, true, 2, 8}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int cpu = 0; cpu < 2; cpu++) {
            sy_graph *g = sy_graph_create("moments");
            int32_t c = cases[i].channels;
            sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, cases[i].side, cases[i].side, c));
            sy_value a = sy_conv_layer(g, x, "a", c, 3, 1, 1, true, SY_F32);
            sy_value b = sy_linear(g, sy_group_norm_layer(g, a, "na", 2, 1e-5, SY_F32), "b", c, true, SY_F32);
            sy_output(g, "nb", sy_group_norm_layer(g, b, "nb", 2, 1e-5, SY_F32));
            a = cases[i].edited ? sy_mul(g, a, sy_const(g, 0.5)) : a;
            sy_value both = sy_concat(g, (sy_value[]){b, a}, 2, 3);
            sy_output(g, "nc", sy_group_norm_layer(g, both, "nc", 2, 1e-5, SY_F32));
            sy_limits limits = sy_limits_floor();
            limits.cpu = cpu;
            limits.storage_buffers = 16;
            sy_plan *plan = help_run(g, &(sy_compile_params){.limits = &limits}, "fuse");
            CHECK_SAY(plan && count_ops(plan, SY_OP_MOMENTS) == cases[i].riding && plan->n_groups == cases[i].groups,
                      "moments %u: %u ride, %u dispatches", i, count_ops(plan, SY_OP_MOMENTS), plan ? plan->n_groups : 0);
            for (uint32_t k = 0; plan && k < plan->n_groups; k++)
                CHECK(plan->groups[k].n_anchors || plan->graph->nodes[plan->groups[k].outputs[0]].op != SY_OP_MOMENTS);
            sy_plan_destroy(&plan);
            sy_graph_destroy(&g);
        }
}

int main(void)
{
    check_permutations();
    check_moments();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sy_graph *g = help_dense_graph(seed);
        sy_error error = {0};
        REQUIRE(sy_graph_check(g, &error));
        char what[64];
        snprintf(what, sizeof what, "dense graph of seed %llu", (unsigned long long)seed);
        check_groups(g, what);
        if (seed % 4 == 0)
            help_check_stages(g, &(sy_compile_params){0}, "fuse", 1e-9);
        sy_graph_destroy(&g);
    }
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sy_graph *g = help_random_graph(seed, SY_OP_MATMUL, 30);
        check_groups(g, "random graph");
        sy_graph_destroy(&g);
    }
    static const char *const names[] = {"dit", "dit-moe", "promoe"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        sy_network_config c = help_config(names[i], 2, 8, 4);
        sy_graph *g = help_network(&c, 2);
        check_groups(g, names[i]);
        sy_graph_destroy(&g);
    }
    sy_graph *g = help_unet(2, 8, 8, 2, true);
    check_groups(g, "unet");
    sy_graph_destroy(&g);
    return check_done();
}
