/* Skip-Cache: the program of cached evaluations, fed with what the program of whole evaluations keeps, against the
 * independent implementation; what it leaves out is not in its graph; wrong settings are refused. */
#include "graph/ops/eval.h"
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"
#include "tests/zoo/help_system.h"

enum { BATCH = 2 };

typedef struct program {
    const system_fixture *fixture;
    sy_graph *graph;
    sy_value output;
    const double *cache; /* of the state */
    bool cached;
} program;

static bool build(program *p, const sy_setting *settings, uint32_t n_settings, sy_error *error)
{
    sy_network_config c;
    REQUIRE(sy_zoo_config_from_file(p->fixture->file, &c, error));
    CHECK(c.variants & 1u << SY_VARIANT_CACHED);
    c.settings = settings;
    c.n_settings = n_settings;
    p->graph = sy_graph_create("skip cache");
    REQUIRE(p->graph);
    sy_zoo_inputs in = {.x = sy_input(p->graph, "x", SY_T(SY_F32, BATCH, c.channels, c.side, c.side)),
                        .time = sy_input(p->graph, "time", SY_T(SY_F32, BATCH)),
                        .label = sy_input(p->graph, "label", SY_T(SY_I32, BATCH)),
                        .variant = p->cached ? SY_VARIANT_CACHED : SY_VARIANT_FULL};
    p->output = sy_zoo_build(p->graph, &c, &in);
    return sy_graph_check(p->graph, error) && sy_graph_verify(p->graph, SY_STAGE_SOURCE, error);
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const program *p = context;
    uint64_t count = sy_type_count(&leaf->type), n = 0;
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(p->fixture->file, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    if (leaf->op == SY_OP_STATE) {
        REQUIRE(p->cache && !strcmp(leaf->name, "cache.x"));
        memcpy(out, p->cache, count * sizeof *out);
        return true;
    }
    bool later = p->cached && strcmp(leaf->name, "label") != 0;
    double *values = system_values(p->fixture, later ? "cached" : "input", leaf->name, &n);
    REQUIRE(values && n == count);
    memcpy(out, values, count * sizeof *out);
    free(values);
    return true;
}

static const double *evaluate(const program *p, sy_eval *eval, sy_value value)
{
    sy_error error = {0};
    REQUIRE(sy_eval_init(eval, p->graph, &error));
    eval->read = read_leaf;
    eval->context = (void *)p;
    bool ok = sy_eval_value(eval, value, &error);
    CHECK_SAY(ok, "%s: %s", p->fixture->name, error.message);
    REQUIRE(ok);
    return eval->tensor[value];
}

static sy_value carried(const sy_graph *g)
{
    for (uint32_t i = 0; i < g->n_ends; i++)
        if (g->ends[i].kind == SY_END_CARRY && !strcmp(g->ends[i].name, "cache.x"))
            return g->ends[i].value;
    return 0;
}

static int parameters_of_block(const sy_graph *g, const char *prefix)
{
    int n = 0;
    for (sy_value v = 1; v < g->n_nodes; v++)
        n += g->nodes[v].op == SY_OP_PARAM && !strncmp(g->nodes[v].name, prefix, strlen(prefix));
    return n;
}

static void test_cached(const char *name)
{
    sy_error error = {0};
    sy_eval whole_eval = {0}, eval = {0};
    system_fixture f = system_open(name);
    program whole = {.fixture = &f}, cached = {.fixture = &f, .cached = true};
    CHECK_SAY(build(&whole, NULL, 0, &error) && build(&cached, NULL, 0, &error), "%s", error.message);
    sy_value kept = carried(whole.graph);
    REQUIRE(kept && whole.output && cached.output && !carried(cached.graph));
    cached.cache = evaluate(&whole, &whole_eval, kept);
    const double *got = evaluate(&cached, &eval, cached.output);
    uint64_t n = 0;
    double *expected = system_values(&f, "cached", "output", &n);
    REQUIRE(expected && n == sy_type_count(&cached.graph->nodes[cached.output].type));
    double e = fixture_error(got, expected, n);
    CHECK_SAY(e <= 1e-9, "%s: relative error %g", name, e);
    CHECK(parameters_of_block(cached.graph, "blocks.0.") > 0 && parameters_of_block(cached.graph, "blocks.3.") > 0);
    CHECK(parameters_of_block(cached.graph, "blocks.1.") == 0 && parameters_of_block(cached.graph, "blocks.2.") == 0);
    free(expected);
    sy_eval_free(&eval);
    sy_eval_free(&whole_eval);
    sy_graph_destroy(&whole.graph);
    sy_graph_destroy(&cached.graph);
    system_close(&f);
}

static void test_refused(void)
{
    static const struct {
        sy_setting setting;
        bool cached;
        const char *error;
    } wrong[] = {
        {{"skip-cache.branch", "3"}, false, "of 4 blocks 1 to 2 can run at each end"},
        {{"skip-cache.interval", "1"}, true, "skip-cache.interval to be above 1"},
    };
    system_fixture f = system_open("skip_dit");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sy_error error = {0};
        program p = {.fixture = &f, .cached = wrong[i].cached};
        CHECK_SAY(!build(&p, &wrong[i].setting, 1, &error) && strstr(error.message, wrong[i].error), "%zu: %s", i,
                  error.message);
        sy_graph_destroy(&p.graph);
    }
    system_close(&f);
}

int main(void)
{
    test_cached("skip_dit");
    test_cached("sparse_skip_dit");
    test_refused();
    return check_done();
}
