/* The table of systems: its form, that what it names exists, and every fixture it names on the f64 evaluator against
 * the independent implementation that wrote it.
 *
 *     test_zoo_systems [FIXTURE …]      those alone */
#include "graph/ops/eval.h"
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"
#include "tests/zoo/help_system.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

static void test_table(const sy_systems *systems)
{
    uint32_t first = 0, running = 0;
    for (uint32_t i = 0; i < systems->count; i++) {
        const sy_system *s = &systems->rows[i];
        first += s->tier == 1;
        running += s->runs;
        CHECK_SAY(s->tier != 1 || *s->show, "%s is of tier 1 and shows nothing", s->key);
        CHECK_SAY(!*s->builder == !*s->check, "%s needs builder and check, or neither", s->key);
        CHECK(sy_systems_find(systems, s->key) == s);
    }
    CHECK(systems->count == 323 && first == 34 && running > 0);
    CHECK(!sy_systems_find(systems, "no such row"));
    printf("%u of %u systems run\n", running, systems->count);
}

/* Networks are in a registry, fixtures and tests in the tree. */
static void test_names(const sy_systems *systems)
{
    char name[64], path[512];
    for (uint32_t i = 0; i < systems->count; i++) {
        const sy_system *s = &systems->rows[i];
        for (const char *at = s->builder; sy_systems_next(&at, name);)
            CHECK_SAY(sy_systems_builder_known(name), "%s: builder \"%s\" is no network of the zoo and no setting",
                      s->key, name);
        for (const char *at = s->check; sy_systems_next(&at, name);) {
            char *colon = strchr(name, ':');
            if (colon) {
                *colon = '\0';
                snprintf(path, sizeof path, "%s/tests/%s/test_%s.c", SY_SOURCE_DIR, name, colon + 1);
            } else {
                snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, name);
            }
            CHECK_SAY(access(path, R_OK) == 0, "%s: its check %s is not there", s->key, path);
        }
    }
}

static bool is_named(const sy_systems *systems, const char *wanted)
{
    char name[64];
    for (const char *const *own = fixture_names; *own; own++)
        if (!strcmp(*own, wanted))
            return true;
    for (uint32_t i = 0; i < systems->count; i++)
        for (const char *at = systems->rows[i].check; sy_systems_next(&at, name);)
            if (!strcmp(name, wanted))
                return true;
    return false;
}

/* A fixture that no row names is a check that nobody runs. Files without outputs have another form and other readers.
 */
static void test_fixtures_named(const sy_systems *systems)
{
    char path[600], name[256];
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures", SY_SOURCE_DIR);
    DIR *folder = opendir(path);
    REQUIRE(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s", entry->d_name);
        char *suffix = strstr(name, ".safetensors");
        if (!suffix)
            continue;
        sy_error error = {0};
        snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s", SY_SOURCE_DIR, entry->d_name);
        system_fixture f = {.file = sy_safetensors_open(path, SY_SAFETENSORS_HEADER_ONLY, &error)};
        CHECK_SAY(f.file, "%s", error.message);
        *suffix = '\0';
        if (f.file && system_expected(&f))
            CHECK_SAY(is_named(systems, name), "no row of graph/zoo/systems.tsv names the fixture %s as its check",
                      name);
        sy_safetensors_close(&f.file);
    }
    closedir(folder);
}

static void test_parse(void)
{
#define HEAD "# head\nkey\ttitle\tkind\ttier\tbuilder\tcheck\tshow\n"
    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"name\ttitle\tkind\ttier\tbuilder\tcheck\tshow\n", "Column 1"},
        {HEAD "a\tA\tgraph\t1\tdit\tdit\n", "Line 3 of the table of systems has 6 cells"},
        {HEAD "a\tA\tgraph\t1\tdit\tdit\tx\ty\n", "has 8 cells"},
        {HEAD "a\tA\tgraph\t4\tdit\tdit\tx\n", "The tier on line 3"},
        {HEAD "a\tA\tgraph\t1\tdit\t\tx\n", "an empty cell"},
        {HEAD "a\tA\tgraph\t1\tdit\tdit\tx\na\tB\tgraph\t1\tdit\tdit\tx\n", "\"a\" twice, again on line 4"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sy_error error = {0};
        sy_systems *systems = sy_systems_parse(wrong[i].text, strlen(wrong[i].text), &error);
        CHECK_SAY(!systems && strstr(error.message, wrong[i].error), "%zu: %s", i, error.message);
        sy_systems_destroy(&systems);
    }
    static const char right[] = HEAD "a\tA\tgraph\t1\tdit,x:y\tdit\tx\nb\tB\tsampler\t0\t-\t-\t-";
    sy_error error = {0};
    sy_systems *systems = sy_systems_parse(right, sizeof right - 1, &error);
    REQUIRE(systems && systems->count == 2);
    CHECK(systems->rows[0].runs && !systems->rows[1].runs && !*systems->rows[1].show && systems->rows[0].tier == 1);
    const char *at = systems->rows[0].builder;
    char name[64];
    CHECK(sy_systems_next(&at, name) && !strcmp(name, "dit") && sy_systems_builder_known(name));
    CHECK(sy_systems_next(&at, name) && !strcmp(name, "x:y") && !sy_systems_next(&at, name));
    CHECK(!sy_systems_builder_known("no-such-network") && !sy_systems_builder_known("setting:no-such-setting"));
    CHECK(sy_systems_builder_known("setting:guidance.sigma"));
    sy_systems_destroy(&systems);
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const system_fixture *f = context;
    uint64_t count = sy_type_count(&leaf->type), n = 0;
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(f->file, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    double *values = system_values(f, "input", leaf->name, &n);
    bool ok = values && n == count;
    if (ok)
        memcpy(out, values, count * sizeof *out);
    free(values);
    return ok ||
           sy_fail(error, SY_CODE_NOT_FOUND, "the file's \"input.%s\" is not there or has another size", leaf->name);
}

static void check_route(const system_fixture *f, const char *tap, const sy_eval_route *route)
{
    char why[200];
    uint64_t count = (uint64_t)route->rows * (uint64_t)route->targets;
    double *dense = malloc(count * sizeof *dense);
    REQUIRE(dense);
    for (uint64_t i = 0; i < count; i++)
        dense[i] = NAN;
    for (int32_t s = 0; s < route->count; s++)
        dense[(uint64_t)route->row[s] * (uint64_t)route->targets + (uint64_t)route->target[s]] = route->weight[s];
    CHECK_SAY(system_same_route(f, tap, dense, count, 1e-6, why), "%s: %s: %s", f->name, tap, why);
    free(dense);
}

/* True if the file says what this end should be. */
static bool check_end(const system_fixture *f, const sy_end *end, sy_eval *eval)
{
    sy_error error = {0};
    bool output = end->kind == SY_END_OUTPUT, route = f->graph->nodes[end->value].type.is_route;
    uint64_t n = 0, count = sy_type_count(&f->graph->nodes[end->value].type);
    double *expected = system_values(f, output ? "output" : route ? "route" : "tap", end->name, &n);
    if (!expected && !output)
        return false;
    CHECK_SAY(expected, "%s: the file says nothing of output %s", f->name, end->name);
    bool ok = sy_eval_value(eval, end->value, &error);
    CHECK_SAY(ok, "%s: %s: %s", f->name, end->name, error.message);
    if (ok && route) {
        check_route(f, end->name, eval->route[end->value]);
    } else if (ok && expected) {
        CHECK_SAY(n == count, "%s: %s has %llu elements, not %llu", f->name, end->name, (unsigned long long)count,
                  (unsigned long long)n);
        double e = n == count ? fixture_error(eval->tensor[end->value], expected, n) : INFINITY;
        CHECK_SAY(e <= f->tolerance, "%s: %s: relative error %g", f->name, end->name, e);
    }
    free(expected);
    return expected;
}

static void check_fixture(const system_fixture *f, void *context)
{
    (void)context;
    sy_error error = {0};
    sy_eval eval = {0};
    CHECK_SAY(sy_graph_verify(f->graph, SY_STAGE_SOURCE, &error), "%s: %s", f->name, error.message);
    REQUIRE(sy_eval_init(&eval, f->graph, &error));
    eval.read = read_leaf;
    eval.context = (void *)f;
    int found = 0;
    for (uint32_t i = 0; i < f->graph->n_ends; i++)
        found += check_end(f, &f->graph->ends[i], &eval);
    CHECK_SAY(found == system_expected(f), "%s: the file says %d outputs, taps and routes; the graph has %d of them",
              f->name, system_expected(f), found);
    sy_eval_free(&eval);
}

int main(int argc, char **argv)
{
    sy_error error = {0};
    sy_systems *systems = sy_systems_create(&error);
    if (!systems)
        fprintf(stderr, "%s\n", error.message);
    REQUIRE(systems);
    if (argc == 1) {
        test_parse();
        test_table(systems);
        test_names(systems);
        test_fixtures_named(systems);
    }
    int n = system_each(argv + 1, check_fixture, NULL);
    CHECK_SAY(n >= argc - 1, "%d of the %d fixtures are named by the table", n, argc - 1);
    printf("%d fixtures\n", n);
    sy_systems_destroy(&systems);
    return check_done();
}
