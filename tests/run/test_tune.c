/* The tuner on runs that never were: the fastest right variant is taken, a fast one that is wrong never, whichever check
 * finds it; noise is no gain; what is slower as a whole is not kept; budget and cancelling. Its file: what is put in comes
 * out for that device alone, later files go over earlier ones, broken ones are refused. And on a device that claims
 * subgroups it has not got: the kernels for those are found wrong. */
#include "src/tune/store.h"
#include "src/tune/tune.h"

#include "graph/emit/manifest.h"
#include "graph/ir/ir.h"
#include "graph/program.h"
#include "src/device/device.h"
#include "src/device/self_test.h"
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char problem_a[] = "matmul anchors=1 rows=64 columns=64 inner=64", problem_b[] = "row anchors=1 rows=8 columns=8";

static const char *const variants[] = {"matmul.tile64", "matmul.tile32", "matmul.vector", "row.group", "row.each64"};

/* Seconds a variant takes, and what is wrong with it. */
typedef struct world {
    double seconds[5];
    const char *wrong_output, *wrong_test; /* variants */
    bool slower_together;
    uint32_t runs, tests, stop_after;
    sy_tune_time times[3];
    float output[4];
} world;

static uint64_t bit(const char *variant)
{
    uint32_t n;
    const sy_variant *all = sy_variants(&n, NULL);
    return UINT64_C(1) << (sy_variant_find(variant) - all);
}

static const char *chosen(const sy_tuning *tuning, const char *problem, const char *otherwise)
{
    const char *variant = otherwise;
    for (uint32_t i = 0; i < tuning->n; i++)
        if (!strcmp(tuning->rows[i].problem, problem))
            variant = tuning->rows[i].variant;
    return variant;
}

static double seconds_of(const world *w, const char *variant)
{
    for (int i = 0; i < 5; i++)
        if (!strcmp(variants[i], variant))
            return w->seconds[i];
    return 1;
}

/* Two dispatches of one class, one of another. */
static bool run(void *context, const sy_tuning *tuning, const sy_tune_time **times, uint32_t *n, const float **output,
                uint64_t *n_output, sy_error *error)
{
    world *w = context;
    (void)error;
    const char *a = chosen(tuning, problem_a, variants[0]), *b = chosen(tuning, problem_b, variants[3]);
    uint64_t mask_a = bit(variants[0]) | bit(variants[1]) | bit(variants[2]), mask_b = bit(variants[3]) | bit(variants[4]);
    bool both = strcmp(a, variants[0]) && strcmp(b, variants[3]) && w->runs > 3;
    double drag = w->slower_together && both ? 10 : 1;
    w->runs++;
    w->times[0] = w->times[1] = (sy_tune_time){problem_a, a, mask_a, drag * seconds_of(w, a)};
    w->times[2] = (sy_tune_time){problem_b, b, mask_b, drag * seconds_of(w, b)};
    for (int i = 0; i < 4; i++)
        w->output[i] = (float)i + 1;
    if (w->wrong_output && (!strcmp(a, w->wrong_output) || !strcmp(b, w->wrong_output)))
        w->output[3] += 0.01f;
    *times = w->times;
    *n = 3;
    *output = w->output;
    *n_output = 4;
    return true;
}

static bool right(void *context, const char *variant, const char **why)
{
    world *w = context;
    w->tests++;
    *why = "planted";
    return !w->wrong_test || strcmp(variant, w->wrong_test);
}

static bool progress(void *context, uint32_t done, uint32_t total, double seconds_left)
{
    const world *w = context;
    CHECK(done <= total && seconds_left > 0);
    return !w->stop_after || done < w->stop_after;
}

static sy_tune_result result; /* large */

static const char *tuned(world *w, sy_tuning *tuning, const char *problem)
{
    sy_error error = {0};
    const sy_tune_runner runner = {run, right, progress, w};
    *tuning = (sy_tuning){0};
    bool ok = sy_tune(&runner, 0, tuning, &result, &error);
    CHECK_SAY(ok, "%s", error.message);
    return chosen(tuning, problem, "none");
}

static bool refused(const char *variant)
{
    for (uint32_t i = 0; i < result.n_refusals; i++)
        if (!strcmp(result.refusals[i].variant, variant))
            return true;
    return false;
}

static void test_rounds(void)
{
    sy_tuning t;
    world w = {.seconds = {1, .5, .7, 1, .2}};
    CHECK(!strcmp(tuned(&w, &t, problem_a), "matmul.tile32"));
    CHECK(!strcmp(chosen(&t, problem_b, ""), "row.each64"));
    CHECK(result.kept && result.before_seconds == 3 && result.seconds == 1.2 && result.rounds == 2 && w.runs == 5);
    CHECK(w.tests == 3); /* each once */
    sy_tuning_free(&t);
    w = (world){.seconds = {1, .98, 1.2, 1, 2}}; /* two in a hundred are noise */
    CHECK(!strcmp(tuned(&w, &t, problem_a), "none") && !result.kept && t.n == 0);
    w = (world){.seconds = {1, .5, .7, 1, .2}, .slower_together = true};
    CHECK(!strcmp(tuned(&w, &t, problem_a), "none") && !result.kept);
    sy_tuning_free(&t);
}

/* The fastest of all is wrong: once the self-test says so, once only the output does, in a round with a right one. */
static void test_planted(void)
{
    sy_tuning t;
    world w = {.seconds = {1, .1, .7, 1, .2}, .wrong_test = "matmul.tile32"};
    CHECK(!strcmp(tuned(&w, &t, problem_a), "matmul.vector") && refused("matmul.tile32") && result.n_refusals == 1);
    CHECK(!strcmp(chosen(&t, problem_b, ""), "row.each64"));
    sy_tuning_free(&t);
    w = (world){.seconds = {1, .1, .7, 1, .2}, .wrong_output = "matmul.tile32"};
    CHECK(!strcmp(tuned(&w, &t, problem_a), "matmul.vector") && refused("matmul.tile32") && result.n_refusals == 1);
    CHECK(!strcmp(chosen(&t, problem_b, ""), "row.each64"));
    sy_tuning_free(&t);
}

static void test_stop(void)
{
    sy_tuning t = {0};
    sy_error error = {0};
    world w = {.seconds = {1, .5, .7, 1, .2}, .stop_after = 1};
    const sy_tune_runner runner = {run, right, progress, &w};
    CHECK(!sy_tune(&runner, 0, &t, &result, &error) && error.code == SY_CODE_CANCELLED && t.n == 0);
    w.stop_after = 0;
    const sy_tune_runner mute = {run, right, NULL, &w};
    CHECK(sy_tune(&mute, 1e-9, &t, &result, &error) && result.out_of_time && result.rounds == 0 && t.n == 0);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static uint32_t taken(const char *path, const sy_device_snapshot *device, const char *variant, uint32_t *stale)
{
    sy_error error = {0};
    sy_tuning t = {0};
    sy_tuning_store *store = sy_tuning_store_load(path, false, &error);
    CHECK_SAY(store && sy_tuning_store_take(store, device, &t, stale, &error), "%s", error.message);
    uint32_t n = t.n;
    CHECK(!variant || !strcmp(chosen(&t, problem_a, ""), variant));
    sy_tuning_store_free(&store);
    sy_tuning_free(&t);
    return n;
}

static void test_store(void)
{
    static const char *const broken[] = {"", "[]", "{\"format\": \"switchyard-tuning\", \"version\": 1}",
                                         "{\"format\": \"switchyard-tuning\", \"version\": 2, \"devices\": []}",
                                         ("{\"format\": \"switchyard-tuning\", \"version\": 1, \"devices\": [{\"device\": \"x\", "
                                          "\"templates\": \"y\", \"rows\": [{\"problem\": 3}]}]}")};
    char path[] = "/tmp/sy-tuning-XXXXXX", other[] = "/tmp/sy-tuning-XXXXXX";
    int files[2] = {mkstemp(path), mkstemp(other)};
    REQUIRE(files[0] >= 0 && files[1] >= 0);
    close(files[0]), close(files[1]);
    sy_error error = {0};
    sy_device_snapshot here = {.name = "here", .driver_name = "d", .driver_version = 1}, there = here;
    there.driver_version = 2;
    sy_tuning t;
    uint32_t stale;
    world w = {.seconds = {1, .5, .7, 1, .2}};
    tuned(&w, &t, problem_a);
    sy_tuning_free(&t);
    for (int i = 0; i < 5; i++) {
        write_text(path, broken[i]);
        CHECK(!sy_tuning_store_load(path, true, &error) && error.code == SY_CODE_INVALID_FILE);
        error = (sy_error){0};
    }
    unlink(path);
    CHECK(!sy_tuning_store_load(path, false, &error) && error.code == SY_CODE_NOT_FOUND);
    error = (sy_error){0};
    sy_tuning_store *store = sy_tuning_store_load(path, true, &error);
    REQUIRE(store && sy_tuning_store_put(store, &here, &result, &error) && sy_tuning_store_save(store, path, &error));
    CHECK(taken(path, &here, "matmul.tile32", &stale) == 2 && stale == 0);
    CHECK(taken(path, &there, NULL, &stale) == 0);
    /* Another run finds another; merged, the later holds. */
    w.seconds[2] = .1;
    tuned(&w, &t, problem_a);
    sy_tuning_free(&t);
    sy_tuning_store *second = sy_tuning_store_load(path, false, &error);
    REQUIRE(second && sy_tuning_store_put(second, &here, &result, &error) && sy_tuning_store_put(second, &there, &result, &error));
    CHECK(sy_tuning_store_merge(store, second, &error) && sy_tuning_store_save(store, other, &error));
    CHECK(taken(other, &here, "matmul.vector", &stale) == 2 && taken(other, &there, "matmul.vector", &stale) == 2);
    sy_tuning_store_free(&store);
    sy_tuning_store_free(&second);
    unlink(path), unlink(other);
}

/* The compiler follows a row where the variant can solve the problem, and only there. */
static void test_followed(void)
{
    static const char text[] = "graph \"m\" {\n  %x = input \"x\" : f32[300,60]\n  %w = input \"w\" : f32[60,300]\n"
                               "  %y = matmul(%x, %w)\n  output \"y\" %y\n}\n";
    static const char *const rows[] = {"", "matmul.tile32", "matmul.vector" /* four rows at most */, "row.group", "nonesuch"};
    static const char *const wanted[] = {"matmul.tile64", "matmul.tile32", "matmul.tile64", "matmul.tile64", "matmul.tile64"};
    sy_error error = {0};
    sy_limits limits = sy_limits_floor();
    limits.cpu = false;
    sy_graph *graph = sy_graph_parse(text, sizeof text - 1, &error);
    REQUIRE(graph);
    for (int i = 0; i < 5; i++) {
        sy_tuning tuning = {0};
        REQUIRE(!*rows[i] || sy_tuning_add(&tuning, "matmul anchors=1 rows=384 columns=384 inner=64", rows[i], &error));
        sy_compile_params params = {.limits = &limits, .tuning = &tuning, .no_spirv = true};
        sy_program *program = sy_compile(graph, &params, &error);
        CHECK_SAY(program && program->n_dispatches == 1, "%s", error.message);
        if (program) {
            const char *variant = program->kernels[program->dispatches[0].kernel].name;
            CHECK_SAY(!strcmp(variant, wanted[i]), "%s: %s", program->dispatches[0].problem, variant);
            CHECK(program->dispatches[0].candidates & bit("matmul.tile32"));
        }
        sy_program_destroy(&program);
        sy_tuning_free(&tuning);
    }
    sy_graph_destroy(&graph);
}

/* "Advertised, wrong": kernels that hand values round in subgroups of 8, on a driver whose subgroups have 4. */
static void test_claims(void)
{
    sy_error error = {0};
    static sy_self_test_report report;
    sy_vk_instance *instance = sy_vk_instance_create(NULL, &error);
    if (!instance || !instance->n_physicals || !instance->physicals[0].plan.usable)
        return;
    sy_limits *limits = &instance->physicals[0].plan.limits;
    bool lies = limits->cpu && limits->subgroup_size == 4;
    limits->subgroup_size = lies ? 8 : limits->subgroup_size;
    limits->subgroup_operations |= lies ? 16 : 0;
    sy_vk_device *device = sy_vk_device_create(instance, 0, &error);
    REQUIRE(device);
    const char *variant = lies ? "matmul.lanes16x2" : "matmul.rows16x2";
    const sy_self_test_params params = {.variant = variant};
    REQUIRE(sy_self_test(device, &params, &report, &error));
    CHECK(report.n_cases > 0);
    for (uint32_t i = 0; i < report.n_cases; i++)
        CHECK(strstr(report.cases[i].kernels, variant));
    CHECK_SAY(lies ? report.n_failed > 0 : report.n_failed == 0, "%u of %u cases failed", report.n_failed, report.n_cases);
    sy_vk_device_destroy(&device);
    CHECK(instance->messages == 0);
    sy_vk_instance_destroy(&instance);
}

int main(void)
{
    test_rounds();
    test_planted();
    test_stop();
    test_store();
    test_followed();
    test_claims();
    return check_done();
}
