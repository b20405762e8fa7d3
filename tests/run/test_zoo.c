/* Every network of the zoo on every Vulkan device against the independent PyTorch implementation in f64: outputs to
 * 1e-5 in the relative L2 norm (5e-3 against the weights before they were rounded to f16), routes equal as sets, 8 runs
 * the same bytes, and a batch the same bytes as its samples one by one. */
#include "graph/ir/route.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"
#include "tests/zoo/help_fixture.h"

#include <math.h>

enum { RUNS = 8 };

/* Software drivers compile for seconds a network, so only one runs sample by sample as well. */
static const char *const one_by_one = "promoe_words";
static const char *const route_taps[] = {"blocks.*.route"};

static const char *cache_directory(void)
{
    return getenv("XDG_CACHE_HOME"); /* set by scripts/test; kernels of SPIR-V are compiled again without */
}

typedef struct run {
    sy_graph *graph;
    sy_program *program;
    sy_session *session;
    uint32_t n_weights; /* of the program made last */
} run;

static bool write_input(sy_session *session, const sy_io *io, const double *values, sy_error *error)
{
    uint64_t count = sy_type_count(&io->type);
    union {
        float f;
        int32_t i;
        uint32_t word;
    } *words = calloc(count, sizeof *words);
    REQUIRE(words && values);
    for (uint64_t i = 0; i < count; i++)
        if (io->type.dtype == SY_F32)
            words[i].f = (float)values[i];
        else
            words[i].i = (int32_t)values[i];
    bool ok = sy_session_write(session, io->name, words, count * 4, error);
    free(words);
    return ok;
}

static bool start(run *r, const fixture *f, sy_vk_device *device, int32_t batch, uint64_t range, sy_error *error)
{
    sy_limits limits = device->plan->limits;
    limits.storage_range = range ? range : limits.storage_range;
    r->graph = fixture_graph(f, batch);
    sy_compile_params params = {.limits = &limits,
                                .taps = route_taps,
                                .n_taps = f->config.experts ? 1 : 0,
                                .cache_directory = cache_directory()};
    r->program = sy_compile(r->graph, &params, error);
    if (!r->program)
        return false;
    r->n_weights = r->program->n_weights;
    sy_session_params session = {
        .device = device, .step = r->program, .weights = f->file, .cache_directory = cache_directory()};
    r->session = sy_session_create(&session, error);
    return r->session != NULL;
}

static bool evaluate(run *r, const fixture *f, int32_t first, sy_error *error)
{
    for (uint32_t i = 0; i < r->program->n_inputs; i++) {
        const sy_io *io = &r->program->inputs[i];
        if (!write_input(r->session, io, fixture_input(f, io->name, first), error))
            return false;
    }
    return sy_session_run(r->session, NULL, NULL, error);
}

static void stop(run *r)
{
    sy_session_destroy(&r->session);
    sy_program_destroy(&r->program);
    sy_graph_destroy(&r->graph);
}

/* A copy of an output as doubles. */
static double *read_output(const sy_session *session, const char *name, uint64_t *count)
{
    sy_session_result result;
    sy_error error = {0};
    CHECK_SAY(sy_session_read(session, name, &result, &error), "%s", error.message);
    REQUIRE(!error.code);
    *count = sy_type_count(&result.type);
    double *out = calloc(*count, sizeof *out);
    REQUIRE(out && result.bytes == *count * 4);
    for (uint64_t i = 0; i < *count; i++)
        if (result.type.dtype == SY_F32) {
            float value;
            memcpy(&value, (const char *)result.data + 4 * i, 4);
            out[i] = value;
        } else {
            uint32_t value;
            memcpy(&value, (const char *)result.data + 4 * i, 4);
            out[i] = value;
        }
    return out;
}

/* The (row, target) pairs of a tapped route, against the gates of the fixture. */
static void check_route(const fixture *f, const sy_session *session, int32_t block)
{
    char name[64];
    uint64_t n_words, n_gates, wrong = 0, chosen = 0;
    int32_t targets = f->config.experts + f->config.extra_experts, rows = f->batch * f->tokens;
    snprintf(name, sizeof name, "blocks.%d.route", (int)block);
    double *gates = fixture_route(f, block, &n_gates);
    if (!gates)
        return;
    double *words = read_output(session, name, &n_words);
    for (uint64_t i = 0; i < n_gates; i++)
        chosen += !isnan(gates[i]);
    sy_type type = sy_route_type(rows, targets, (int32_t)chosen);
    sy_route_layout at = sy_route_layout_of(&type);
    CHECK_SAY(words[at.count] == (double)chosen, "%s: %s has %g slots, should have %llu", f->name, name,
              words[at.count], (unsigned long long)chosen);
    for (int32_t e = 0; words[at.count] == (double)chosen && e < targets; e++)
        for (uint64_t s = (uint64_t)words[at.offsets + e]; s < (uint64_t)words[at.offsets + e + 1] && s < chosen; s++) {
            double row = words[at.rows + s];
            wrong += row >= rows || isnan(gates[(uint64_t)row * (uint64_t)targets + (uint64_t)e]);
        }
    CHECK_SAY(wrong == 0, "%s: %s: %llu slots are not where they should be", f->name, name, (unsigned long long)wrong);
    free(words);
    free(gates);
}

static void check_output(const fixture *f, const double *got, int32_t first, int32_t batch)
{
    uint64_t from = (uint64_t)first * f->output_values, count = (uint64_t)batch * f->output_values;
    double e = fixture_error(got, f->output + from, count);
    CHECK_SAY(e < 1e-5, "%s: samples %d to %d: relative error %g", f->name, (int)first, (int)(first + batch - 1), e);
    double half = f->output_exact_weights ? fixture_error(got, f->output_exact_weights + from, count) : 0;
    CHECK_SAY(half < 5e-3, "%s: relative error %g with weights rounded to f16", f->name, half);
    if (batch == f->batch)
        printf("%s: relative error %.2g%s\n", f->name, e, f->output_exact_weights ? " (f16 weights)" : "");
}

/* The samples one by one, from a program for one: the same bytes as in the batch. */
static void check_singles(const fixture *f, sy_vk_device *device, const double *batch)
{
    sy_error error = {0};
    run r = {0};
    bool ok = start(&r, f, device, 1, 0, &error);
    for (int32_t i = 0; ok && i < f->batch; i++) {
        uint64_t count;
        ok = evaluate(&r, f, i, &error);
        if (!ok)
            break;
        double *got = read_output(r.session, "output", &count);
        check_output(f, got, i, 1);
        CHECK_SAY(!memcmp(got, batch + (uint64_t)i * count, count * sizeof *got),
                  "%s: sample %d alone differs from the batch, by %g", f->name, (int)i,
                  fixture_error(got, batch + (uint64_t)i * count, count));
        free(got);
    }
    CHECK_SAY(ok, "%s, one by one: %s", f->name, error.message);
    stop(&r);
}

/* With a bound so low that most dispatches are given to the device in parts, grouped ones among them: the same bytes.
 * And with so little bound at once that the stacks of experts are read in pieces: the same numbers. */
static void check_parts(const fixture *f, sy_vk_device *device, const double *whole)
{
    const uint64_t range = 7000;
    sy_vk_physical *physical = NULL;
    for (uint32_t i = 0; i < device->instance->n_physicals; i++)
        if (&device->instance->physicals[i].plan == device->plan)
            physical = &device->instance->physicals[i];
    REQUIRE(physical);
    const double bound = physical->plan.submission_seconds, low = 0.1e-6;
    sy_error error = {0};
    run r = {0};
    uint64_t count;
    physical->plan.submission_seconds = low;
    bool ok = start(&r, f, device, f->batch, 0, &error) && evaluate(&r, f, 0, &error);
    CHECK_SAY(ok, "%s, in parts: %s", f->name, error.message);
    if (ok) {
        const sy_session_stats *stats = sy_session_get_stats(r.session);
        CHECK_SAY(stats->segments > 2 * r.program->n_dispatches, "%u segments of %u dispatches", stats->segments,
                  r.program->n_dispatches);
        /* Twenty microseconds are what giving it to the device is said to cost; a workgroup is not cut. */
        CHECK_SAY(stats->longest_predicted_seconds < 25e-6, "%g s", stats->longest_predicted_seconds);
        double *got = read_output(r.session, "output", &count);
        CHECK_SAY(!memcmp(got, whole, count * sizeof *got), "%s: parts differ from the whole by %g", f->name,
                  fixture_error(got, whole, count));
        free(got);
    }
    stop(&r);
    physical->plan.submission_seconds = bound;
    uint32_t weights = r.n_weights;
    ok = start(&r, f, device, 1, range, &error) && evaluate(&r, f, 0, &error);
    CHECK_SAY(ok, "%s, weights in pieces: %s", f->name, error.message);
    if (ok) {
        double *got = read_output(r.session, "output", &count);
        check_output(f, got, 0, 1);
        free(got);
    }
    CHECK_SAY(r.n_weights > weights, "%u weights, %u in pieces", weights, r.n_weights);
    stop(&r);
}

static void check_network(const char *name, sy_vk_device *device)
{
    sy_error error = {0};
    fixture f = fixture_open(name);
    run r = {0};
    uint64_t count = 0;
    double *once = NULL;
    bool ok = start(&r, &f, device, f.batch, 0, &error);
    for (int k = 0; ok && k < RUNS; k++) {
        ok = evaluate(&r, &f, 0, &error);
        double *again = ok ? read_output(r.session, "output", &count) : NULL;
        if (again && once) {
            CHECK_SAY(!memcmp(once, again, count * sizeof *again), "%s: run %d gives other bytes", name, k);
            free(again);
        } else if (again) {
            once = again;
            check_output(&f, once, 0, f.batch);
            for (int32_t block = 0; block < f.config.depth; block++)
                check_route(&f, r.session, block);
        }
    }
    CHECK_SAY(ok, "%s: %s", name, error.message);
    stop(&r);
    if (ok && !strcmp(one_by_one, name)) {
        check_singles(&f, device, once);
        check_parts(&f, device, once);
    }
    free(once);
    fixture_close(&f);
}

static void test(sy_vk_device *device)
{
    for (const char *const *name = fixture_names; *name; name++)
        check_network(*name, device);
}

int main(void)
{
    return sy_test_devices(test) ? check_done() : check_skip("no usable Vulkan device");
}
