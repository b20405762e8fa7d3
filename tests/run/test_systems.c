/* Every fixture that the table of systems names on every Vulkan device against the independent implementation in f64:
 * outputs and taps to 1e-5 in the relative L2 norm, routes equal as sets, and the same bytes when run again.
 *
 *     test_run_systems [FIXTURE …]      those alone */
#include "graph/ir/route.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"
#include "tests/zoo/help_fixture.h"
#include "tests/zoo/help_system.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const *only;
static int n_only;

static const char *cache_directory(void)
{
    return getenv("XDG_CACHE_HOME"); /* set by scripts/test; kernels of SPIR-V are compiled again without */
}

static bool write_input(const system_fixture *f, sy_session *session, const sy_io *io, sy_error *error)
{
    uint64_t count = sy_type_count(&io->type), n = 0;
    double *values = system_values(f, "input", io->name, &n);
    union {
        float f;
        int32_t i;
        uint32_t u;
    } *words = calloc(count, sizeof *words);
    REQUIRE(words);
    bool ok = values && n == count;
    for (uint64_t i = 0; ok && i < count; i++)
        if (io->type.dtype == SY_F32)
            words[i].f = (float)values[i];
        else if (io->type.dtype == SY_I32)
            words[i].i = (int32_t)values[i];
        else
            words[i].u = (uint32_t)values[i];
    ok = ok ? sy_session_write(session, io->name, words, count * 4, error)
            : sy_fail(error, SY_CODE_NOT_FOUND, "the file's \"input.%s\" is not there or has another size", io->name);
    free(words);
    free(values);
    return ok;
}

/* An output's words. */
static uint32_t *read_words(const system_fixture *f, const sy_session *session, const char *name, sy_type *type)
{
    sy_session_result result;
    sy_error error = {0};
    CHECK_SAY(sy_session_read(session, name, &result, &error), "%s: %s: %s", f->name, name, error.message);
    REQUIRE(!error.code && result.bytes == sy_type_count(&result.type) * 4);
    uint32_t *words = malloc(result.bytes);
    REQUIRE(words);
    memcpy(words, result.data, result.bytes);
    *type = result.type;
    return words;
}

static double *as_numbers(const uint32_t *words, const sy_type *type)
{
    uint64_t count = sy_type_count(type);
    double *out = malloc(count * sizeof *out);
    REQUIRE(out);
    for (uint64_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, &words[i], sizeof value);
        out[i] = type->dtype == SY_F32 ? value : type->dtype == SY_I32 ? (double)(int32_t)words[i] : (double)words[i];
    }
    return out;
}

/* The words of a route as a dense matrix; `route` is the type of the tapped value before it became words. */
static void check_route(const system_fixture *f, const char *name, const uint32_t *words, const sy_type *route)
{
    int32_t rows = route->dim[SY_ROUTE_ROWS], targets = route->dim[SY_ROUTE_TARGETS];
    sy_route_layout at = sy_route_layout_of(route);
    uint64_t count = (uint64_t)rows * (uint64_t)targets;
    double *dense = malloc(count * sizeof *dense);
    REQUIRE(dense);
    for (uint64_t i = 0; i < count; i++)
        dense[i] = NAN;
    CHECK_SAY(words[at.count] <= (uint32_t)route->dim[SY_ROUTE_SLOTS], "%s: %s has %u slots", f->name, name,
              words[at.count]);
    for (uint32_t s = 0; s < words[at.count] && s < (uint32_t)route->dim[SY_ROUTE_SLOTS]; s++) {
        uint32_t row = words[at.rows + s], target = words[at.targets + s];
        float weight;
        memcpy(&weight, &words[at.weights + s], sizeof weight);
        CHECK(row < (uint32_t)rows && target < (uint32_t)targets);
        if (row < (uint32_t)rows && target < (uint32_t)targets)
            dense[(uint64_t)row * (uint64_t)targets + target] = weight;
    }
    char why[200];
    CHECK_SAY(system_same_route(f, name, dense, count, 1e-4, why), "%s: %s: %s", f->name, name, why);
    free(dense);
}

/* Of one end: what it is against what the file says; the error of a tensor. */
static double check_end(const system_fixture *f, const sy_session *session, const sy_end *end, bool first)
{
    sy_type type, tapped = f->graph->nodes[end->value].type;
    uint32_t *words = read_words(f, session, end->name, &type);
    double e = 0;
    if (tapped.is_route) {
        check_route(f, end->name, words, &tapped);
    } else {
        uint64_t n = 0;
        double *got = as_numbers(words, &type);
        double *expected = system_values(f, end->kind == SY_END_OUTPUT ? "output" : "tap", end->name, &n);
        REQUIRE(expected && n == sy_type_count(&type));
        e = fixture_error(got, expected, n);
        CHECK_SAY(e <= 1e-5, "%s: %s: relative error %g in run %d", f->name, end->name, e, first ? 1 : 2);
        free(expected);
        free(got);
    }
    free(words);
    return e;
}

static bool is_expected(const system_fixture *f, const sy_end *end)
{
    if (end->kind != SY_END_TAP)
        return end->kind == SY_END_OUTPUT;
    char name[1200];
    snprintf(name, sizeof name, "%s.%s", f->graph->nodes[end->value].type.is_route ? "route" : "tap", end->name);
    return sy_safetensors_find(f->file, name);
}

static uint64_t digest(const system_fixture *f, const sy_session *session)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < f->graph->n_ends; i++) {
        if (f->graph->ends[i].kind != SY_END_OUTPUT)
            continue;
        sy_type type;
        uint32_t *words = read_words(f, session, f->graph->ends[i].name, &type);
        for (uint64_t k = 0; k < sy_type_count(&type); k++)
            hash = (hash ^ words[k]) * 0x100000001b3u;
        free(words);
    }
    return hash;
}

static bool evaluate(const system_fixture *f, sy_session *session, const sy_program *program, sy_error *error)
{
    for (uint32_t i = 0; i < program->n_inputs; i++)
        if (!write_input(f, session, &program->inputs[i], error))
            return false;
    return sy_session_run(session, NULL, NULL, error);
}

static void check_fixture(const system_fixture *f, void *context)
{
    enum { MOST_TAPS = 256 };
    const char *taps[MOST_TAPS];
    uint32_t n_taps = 0;
    sy_vk_device *device = context;
    sy_error error = {0};
    for (uint32_t i = 0; i < f->graph->n_ends; i++)
        if (f->graph->ends[i].kind == SY_END_TAP && is_expected(f, &f->graph->ends[i]) && n_taps < MOST_TAPS)
            taps[n_taps++] = f->graph->ends[i].name;
    sy_compile_params params = {
        .limits = &device->plan->limits, .taps = taps, .n_taps = n_taps, .cache_directory = cache_directory()};
    sy_program *program = sy_compile(f->graph, &params, &error);
    sy_session_params session_params = {
        .device = device, .step = program, .weights = f->file, .cache_directory = cache_directory()};
    sy_session *session = program ? sy_session_create(&session_params, &error) : NULL;
    uint64_t first = 0;
    double most = 0;
    bool ok = session != NULL;
    for (int run = 0; ok && run < 2; run++) {
        ok = evaluate(f, session, program, &error);
        for (uint32_t i = 0; ok && i < f->graph->n_ends; i++)
            if (is_expected(f, &f->graph->ends[i]))
                most = fmax(most, check_end(f, session, &f->graph->ends[i], !run));
        uint64_t hash = ok ? digest(f, session) : 0;
        CHECK_SAY(!ok || !run || hash == first, "%s: the second run gives other bytes", f->name);
        first = hash;
    }
    CHECK_SAY(ok, "%s: %s", f->name, error.message);
    printf("%s: relative error %.2g at most\n", f->name, most);
    sy_session_destroy(&session);
    sy_program_destroy(&program);
}

static void test(sy_vk_device *device)
{
    int n = system_each(only, check_fixture, device);
    CHECK_SAY(n >= n_only, "%d of the %d fixtures are named by the table", n, n_only);
}

/* Names of all fixtures. */
typedef struct names {
    char *name[512];
    int n;
} names;

static void collect(const system_fixture *f, void *context)
{
    names *list = context;
    REQUIRE(list->n < (int)(sizeof list->name / sizeof *list->name));
    list->name[list->n++] = strdup(f->name);
}

/* The fixtures a few at a time, each few in a process of its own: software drivers keep what they compiled, gigabytes
 * in all. */
static int run_apart(char *program)
{
    enum { FEW = 8 };
    names list = {0};
    system_each(NULL, collect, &list);
    REQUIRE(list.n > 0);
    for (int first = 0; first < list.n; first += FEW) {
        char *arguments[FEW + 2] = {program};
        int status = -1;
        for (int i = 0; i < FEW && first + i < list.n; i++)
            arguments[i + 1] = list.name[first + i];
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            execv("/proc/self/exe", arguments);
            _exit(127);
        }
        REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            return 77;
        CHECK_SAY(WIFEXITED(status) && WEXITSTATUS(status) == 0, "fixtures from %s on: status %d", list.name[first],
                  status);
    }
    for (int i = 0; i < list.n; i++)
        free(list.name[i]);
    return check_done();
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return run_apart(argv[0]);
    only = argv + 1;
    n_only = argc - 1;
    uint32_t devices = sy_test_devices(test);
    if (!devices)
        return check_skip("no usable Vulkan device");
    return check_count ? check_done() : 0;
}
