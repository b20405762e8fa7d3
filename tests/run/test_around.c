/* Methods around the network, from settings to pictures - the programs of a run, its schedule, what the device decides
 * - against an independent PyTorch implementation (tools/reference/around.py): the same pictures from the same first
 * noise, and the same decisions. All runs in the reference evaluator; those in which the device decides, and those that
 * keep values from step to step, on every Vulkan device too, with the same bytes each time. */
#include "graph/import/safetensors.h"
#include "graph/ir/build.h"
#include "graph/ir/route.h"
#include "src/run/session.h"
#include "src/sample/sampling.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"
#include "tests/zoo/help_fixture.h"

#include <cjson/cJSON.h>
#include <math.h>

enum { PICTURES = 2, MOST_SETTINGS = 16 };

static sy_safetensors *around;

/* What the file's metadata says of a run. */
typedef struct told {
    cJSON *json;
    const char *network, *sampler, *objective;
    sy_named_setting settings[MOST_SETTINGS];
    uint32_t n_settings;
    sy_pipeline_params params;
} told;

static told read_told(const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "switchyard.%s", name);
    const char *text = sy_safetensors_metadata(around, name);
    told t = {.json = cJSON_Parse(text ? text : sy_safetensors_metadata(around, key))};
    REQUIRE(t.json);
    cJSON *setting, *settings = cJSON_GetObjectItem(t.json, "settings");
    t.network = cJSON_GetStringValue(cJSON_GetObjectItem(t.json, "network"));
    t.sampler = cJSON_GetStringValue(cJSON_GetObjectItem(t.json, "sampler"));
    t.objective = cJSON_GetStringValue(cJSON_GetObjectItem(t.json, "objective"));
    cJSON_ArrayForEach (setting, settings) {
        REQUIRE(t.n_settings < MOST_SETTINGS);
        t.settings[t.n_settings++] = (sy_named_setting){setting->string, setting->valuestring};
    }
    t.params = (sy_pipeline_params){.count = PICTURES,
                                    .steps = (uint32_t)cJSON_GetObjectItem(t.json, "steps")->valueint,
                                    .guidance = cJSON_GetObjectItem(t.json, "guidance")->valuedouble,
                                    .n_settings = t.n_settings};
    for (int i = 0; i < SY_SAMPLER_COUNT; i++)
        if (!strcmp(sy_sampler_text((sy_sampler)i), t.sampler))
            t.params.sampler = (sy_sampler)i;
    REQUIRE(t.network && t.params.sampler);
    return t;
}

static double *given(const char *run, const char *what, uint64_t *count)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", run, what);
    return sy_safetensors_find(around, name) ? fixture_read(around, name, count) : NULL;
}

/* The first noise is given in place of random numbers; all else that the init program sets stays. */
static void give_noise(sy_graph *init)
{
    for (uint32_t i = 0; i < init->n_ends; i++)
        if (init->ends[i].kind == SY_END_CARRY && !strcmp(init->ends[i].name, "x")) {
            sy_value noise = sy_input(init, "noise", init->nodes[init->ends[i].value].type);
            init->ends[i].value = sy_add(init, noise, sy_const(init, 0));
        }
    REQUIRE(sy_graph_check(init, NULL));
}

typedef struct work {
    sy_sampling sampling;
    sy_program *init, *programs[SY_SAMPLING_PROGRAMS];
    sy_session *session;
} work;

static bool compile(work *w, sy_vk_device *device, sy_error *error)
{
    static const char *const taps[] = {"?run.each", "?ode.accepted", "?sampler.active.route"};
    sy_compile_params params = {.limits = device ? &device->plan->limits : NULL,
                                .step_columns = sy_sampler_columns,
                                .n_step_columns = SY_SAMPLER_COLUMN_COUNT,
                                .max_steps = w->sampling.n_rows,
                                .taps = taps,
                                .n_taps = 3,
                                .no_spirv = !device,
                                .cache_directory = getenv("XDG_CACHE_HOME")};
    for (uint32_t i = 0; i < w->sampling.n_programs; i++) {
        params.conditional = w->sampling.programs[i].condition != NULL;
        if (!(w->programs[i] = sy_compile(w->sampling.programs[i].graph, &params, error)))
            return false;
    }
    params.conditional = false;
    params.n_taps = 0;
    w->init = sy_compile(w->sampling.init, &params, error);
    return w->init != NULL;
}

static bool make_session(work *w, sy_vk_device *device, const sy_safetensors *file, sy_error *error)
{
    sy_session_program programs[SY_SAMPLING_PROGRAMS];
    const sy_sampling *s = &w->sampling;
    float *table = sy_sampling_table(s);
    bool conditional = false; /* then every dispatch is given in as many parts as it has workgroups */
    for (uint32_t i = 0; i < s->n_programs; i++)
        conditional |= s->programs[i].condition != NULL;
    for (uint32_t i = 0; i < s->n_programs; i++)
        programs[i] = (sy_session_program){w->programs[i], s->programs[i].condition, s->programs[i].same_step};
    sy_session_params params = {.device = device,
                                .init = w->init,
                                .programs = programs,
                                .n_programs = s->n_programs,
                                .schedule = s->schedule,
                                .n_schedule = s->n_schedule,
                                .weights = file,
                                .table = table,
                                .columns = sy_sampler_columns,
                                .n_columns = SY_SAMPLER_COLUMN_COUNT,
                                .n_steps = s->n_rows,
                                .slice_seconds = conditional ? 4e-9 : 0};
    w->session = table ? sy_session_create(&params, error) : NULL;
    free(table);
    return w->session != NULL;
}

static bool write_inputs(const work *w, const char *run, const sy_network_config *config, sy_error *error)
{
    uint64_t n, n_labels;
    double *x = given(run, "x", &n), *label = given(run, "label", &n_labels);
    float *noise = calloc(n, sizeof *noise);
    int32_t labels[2 * PICTURES];
    REQUIRE(x && label && noise && n_labels == PICTURES);
    for (uint64_t i = 0; i < n; i++)
        noise[i] = (float)x[i];
    for (int i = 0; i < PICTURES; i++) {
        labels[i] = (int32_t)label[i];
        labels[PICTURES + i] = config->null_row;
    }
    static const uint32_t seeds[PICTURES]; /* declared, used for nothing */
    bool ok = sy_session_write(w->session, "seeds", seeds, sizeof seeds, error) &&
              sy_session_write(w->session, "noise", noise, n * sizeof *noise, error) &&
              sy_session_write(w->session, "label", labels, (uint64_t)w->sampling.batch * sizeof *labels, error);
    free(x);
    free(label);
    free(noise);
    return ok;
}

static void check_picture(const work *w, const char *run, double tolerance)
{
    uint64_t count;
    sy_session_result x;
    double *wanted = given(run, "picture", &count), *got = calloc(count, sizeof *got);
    REQUIRE(wanted && got && sy_session_read(w->session, "x", &x, NULL) && x.bytes == 4 * count);
    for (uint64_t i = 0; i < count; i++)
        got[i] = (double)((const float *)x.data)[i];
    double e = fixture_error(got, wanted, count);
    CHECK_SAY(e < tolerance, "%s: relative error %g", run, e);
    printf("%s: %u programs, relative error %.2g\n", run, w->sampling.n_programs, e);
    free(wanted);
    free(got);
}

/* AdaptiveDiffusion, dopri5: a tap i32[pictures] in the rows of one program, against decided[picture][k]. */
static void check_decided(const work *w, const char *run, const char *tap, const double *decided, uint64_t each)
{
    sy_session_result r;
    uint64_t k = 0;
    REQUIRE(sy_session_read(w->session, tap, &r, NULL));
    for (uint32_t row = 0; row < r.n_slices && k < each; row++) {
        if (!sy_session_scheduled(w->session, r.program, row))
            continue;
        const int32_t *got = (const int32_t *)(const void *)((const uint8_t *)r.data + row * r.step_bytes);
        for (int p = 0; p < PICTURES; p++)
            CHECK_SAY(decided[(uint64_t)p * each + k] < 0 || got[p] == (int32_t)decided[(uint64_t)p * each + k],
                      "%s: picture %d decided %d at %u", run, p, got[p], (unsigned)k);
        k++;
    }
    CHECK(k == each);
}

/* RAS: the active tokens of every step, as a set, against decided[picture][step][token]. */
static void check_tokens(const work *w, const char *run, const double *decided, uint64_t each)
{
    sy_session_result r;
    uint32_t checked = 0, tokens = (uint32_t)(each / w->sampling.n_rows);
    REQUIRE(sy_session_read(w->session, "sampler.active.route", &r, NULL) && tokens);
    sy_route_layout at = sy_route_layout_of(&r.type);
    for (uint32_t row = 0; row < r.n_slices; row++) {
        const uint32_t *words = (const uint32_t *)(const void *)((const uint8_t *)r.data + row * r.step_bytes);
        uint32_t n = words[at.count], sum = 0;
        if (!sy_session_scheduled(w->session, r.program, row))
            continue;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t token = words[at.rows + i] % (PICTURES * tokens), picture = token / tokens;
            CHECK_SAY(decided[picture * each + row * tokens + token % tokens] > 0, "%s: token %u runs in step %u", run,
                      token, row);
        }
        for (uint32_t i = 0; i < tokens; i++)
            for (uint32_t p = 0; p < PICTURES; p++)
                sum += decided[p * each + row * tokens + i] > 0;
        CHECK_SAY(n == sum * (w->sampling.guided ? 2 : 1), "%s: %u tokens run in step %u", run, n, row);
        checked++;
    }
    CHECK(checked > 1);
}

static void check_run(const char *run, sy_vk_device *device)
{
    sy_error error = {0};
    told t = read_told(run);
    t.params.settings = t.settings;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, t.network);
    sy_network_config config;
    sy_safetensors *file = sy_safetensors_open(path, 0, &error);
    work w = {0};
    bool ok = file && sy_zoo_config_from_file(file, &config, &error);
    if (ok && t.objective) /* the same numbers, read as EDM's F */
        config.objective = SY_OBJECTIVE_EDM;
    ok = ok && sy_sampling_make(&config, &t.params, &w.sampling, &error);
    if (ok)
        give_noise(w.sampling.init);
    ok = ok && compile(&w, device, &error) && make_session(&w, device, file, &error) &&
         write_inputs(&w, run, &config, &error);
    float *first = NULL;
    for (int again = 0; ok && again < (device ? 3 : 1); again++) {
        sy_session_result x;
        ok = sy_session_run(w.session, NULL, NULL, &error) && sy_session_read(w.session, "x", &x, &error);
        if (!ok)
            break;
        CHECK(!device || sy_session_get_stats(w.session)->host_waits == 1);
        if (again == 0) {
            uint64_t n = 0;
            double *decided = given(run, "decided", &n);
            check_picture(&w, run, 1e-5);
            if (w.sampling.adaptive || w.sampling.ode)
                check_decided(&w, run, w.sampling.ode ? "ode.accepted" : "run.each", decided, n / PICTURES);
            else if (!strncmp(run, "ras", 3))
                check_tokens(&w, run, decided, n / PICTURES);
            free(decided);
            first = malloc(x.bytes);
            REQUIRE(first);
            memcpy(first, x.data, x.bytes);
        } else {
            CHECK_SAY(!memcmp(first, x.data, x.bytes), "%s: other bytes in run %d", run, again);
        }
    }
    CHECK_SAY(ok, "%s: %s", run, error.message);
    free(first);
    sy_session_destroy(&w.session);
    for (int i = 0; i < SY_SAMPLING_PROGRAMS; i++)
        sy_program_destroy(&w.programs[i]);
    sy_program_destroy(&w.init);
    sy_sampling_free(&w.sampling);
    sy_safetensors_close(&file);
    cJSON_Delete(t.json);
}

static const char *const everywhere[] = {"adaptive", "dopri5", "ras"};
static const char *const reference[] = {"interval_sigma", "interval_steps", "midpoint", "rk4",        "edm",
                                        "adaptive",       "dopri5",         "ras",      "ras_turned", "skip_cache",
                                        "stg_residual",   "stg_attention",  "shortcut", "dpm_fast",   "dpm_fast_guided",
                                        "ras_promoe",     "interval_time"};

static void test(sy_vk_device *device)
{
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        check_run(everywhere[i], device);
}

int main(int argc, char **argv)
{
    sy_error error = {0};
    around = sy_safetensors_open(SY_SOURCE_DIR "/tests/zoo/fixtures/around.safetensors", 0, &error);
    CHECK_SAY(around, "%s", error.message);
    REQUIRE(around);
    for (int i = 1; i < argc; i++)
        check_run(argv[i], NULL);
    for (size_t i = 0; argc < 2 && i < sizeof reference / sizeof *reference; i++)
        check_run(reference[i], NULL);
    uint32_t devices = argc < 2 ? sy_test_devices(test) : 1;
    sy_safetensors_close(&around);
    return devices ? check_done() : check_skip("no usable Vulkan device; the reference passed");
}
