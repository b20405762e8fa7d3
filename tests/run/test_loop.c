/* Whole sampling on every Vulkan device - network, guidance, table of steps, state carried on the device - against
 * whole sampling with the independent PyTorch implementation, from the same first noise. */
#include "graph/ir/build.h"
#include "src/run/session.h"
#include "src/sample/sampler.h"
#include "src/sample/step_graph.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"
#include "tests/zoo/help_fixture.h"

typedef struct loop {
    const char *run, *network; /* names in sampling.safetensors, of the network's fixture */
    sy_sampler_params params;
} loop;

static const loop loops[] = {
    {"loop_dit", "dit", {.sampler = SY_SAMPLING_DDIM, .steps = 5}},
    {"loop_promoe", "promoe", {.sampler = SY_SAMPLING_EULER, .steps = 4}},
};

static sy_safetensors *sampling;

static double *read_given(const loop *l, const char *key, uint64_t *count)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", l->run, key);
    double *out = fixture_read(sampling, name, count);
    REQUIRE(out);
    return out;
}

static sy_value network(void *context, sy_graph *graph, const sy_zoo_inputs *inputs)
{
    return sy_zoo_build(graph, context, inputs);
}

/* The state x begins as the input "noise": the fixture's first noise in place of random numbers. */
static sy_graph *init_graph(const sy_step_graph_params *p)
{
    sy_graph *g = sy_graph_create("init");
    REQUIRE(g);
    sy_type type = SY_T(SY_F32, p->count, p->channels, p->height, p->width);
    sy_state(g, "x", type);
    sy_carry(g, "x", sy_add(g, sy_input(g, "noise", type), sy_const(g, 0)));
    return g;
}

static float *table_of(sy_sampler_params params, uint32_t *n_rows)
{
    sy_sampler_row *rows;
    sy_error error = {0};
    CHECK_SAY(sy_sampler_table(&params, &rows, n_rows, &error), "%s", error.message);
    REQUIRE(!error.code);
    uint32_t n = *n_rows * SY_SAMPLER_COLUMN_COUNT;
    float *table = calloc(n, sizeof *table);
    REQUIRE(table);
    for (uint32_t i = 0; i < n; i++)
        table[i] = (float)((const double *)rows)[i];
    free(rows);
    return table;
}

/* Labels of the conditional half, then the null row. */
static bool write_inputs(sy_session *session, const fixture *f, const double *x, uint64_t x_count, const double *label,
                         uint64_t pictures, sy_error *error)
{
    float *noise = calloc(x_count, sizeof *noise);
    int32_t labels[16];
    REQUIRE(noise && 2 * pictures <= 16);
    for (uint64_t i = 0; i < x_count; i++)
        noise[i] = (float)x[i];
    for (uint64_t i = 0; i < pictures; i++) {
        labels[i] = (int32_t)label[i];
        labels[pictures + i] = f->config.null_row;
    }
    bool ok = sy_session_write(session, "noise", noise, x_count * sizeof *noise, error) &&
              sy_session_write(session, "label", labels, 2 * pictures * sizeof *labels, error);
    free(noise);
    return ok;
}

static void check_picture(const loop *l, const sy_session *session, uint64_t x_count)
{
    uint64_t count;
    sy_session_result result;
    sy_error error = {0};
    double *wanted = read_given(l, "picture", &count), *got = calloc(x_count, sizeof *got);
    CHECK_SAY(sy_session_read(session, "x", &result, &error), "%s", error.message);
    REQUIRE(!error.code && got && count == x_count && result.bytes == 4 * x_count);
    for (uint64_t i = 0; i < x_count; i++)
        got[i] = ((const float *)result.data)[i];
    double e = fixture_error(got, wanted, count);
    CHECK_SAY(e < 1e-5, "%s: relative error %g", l->run, e);
    CHECK(sy_session_get_stats(session)->host_waits == 1);
    printf("%s: relative error %.2g\n", l->run, e);
    free(got);
    free(wanted);
}

static void check_loop(const loop *l, sy_vk_device *device)
{
    sy_error error = {0};
    uint64_t x_count, pictures, two;
    fixture f = fixture_open(l->network);
    double *x = read_given(l, "x", &x_count), *label = read_given(l, "label", &pictures);
    double *guidance = read_given(l, "guidance", &two);
    sy_sampler_params sampler = l->params;
    sampler.objective = f.config.objective;
    sampler.time_scale = f.config.time_scale;
    sampler.guidance = guidance[0];
    uint32_t n_rows;
    float *table = table_of(sampler, &n_rows);

    sy_step_graph_params p = {.count = (int32_t)pictures,
                              .channels = f.config.channels,
                              .height = f.config.side,
                              .width = f.config.side,
                              .out_channels = f.config.channels_out,
                              .guided = true,
                              .guided_channels = (int32_t)guidance[1],
                              .network = network,
                              .context = &f.config};
    sy_graph *step = sy_step_graph_build(&p, &error), *init = init_graph(&p);
    sy_compile_params compile = {.limits = &device->plan->limits,
                                 .step_columns = sy_sampler_columns,
                                 .n_step_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .max_steps = n_rows,
                                 .cache_directory = getenv("XDG_CACHE_HOME")};
    sy_program *programs[2] = {step ? sy_compile(init, &compile, &error) : NULL,
                               step ? sy_compile(step, &compile, &error) : NULL};
    sy_session_params params = {.device = device,
                                .init = programs[0],
                                .step = programs[1],
                                .weights = f.file,
                                .table = table,
                                .columns = sy_sampler_columns,
                                .n_columns = SY_SAMPLER_COLUMN_COUNT,
                                .n_steps = n_rows};
    sy_session *session = programs[0] && programs[1] ? sy_session_create(&params, &error) : NULL;
    bool ok = session && write_inputs(session, &f, x, x_count, label, pictures, &error);
    for (int again = 0; ok && again < 2; again++) { /* the second run begins anew */
        ok = sy_session_run(session, NULL, NULL, &error);
        if (ok)
            check_picture(l, session, x_count);
    }
    CHECK_SAY(ok, "%s: %s", l->run, error.message);
    sy_session_destroy(&session);
    sy_program_destroy(&programs[0]);
    sy_program_destroy(&programs[1]);
    sy_graph_destroy(&init);
    sy_graph_destroy(&step);
    free(table);
    free(x);
    free(label);
    free(guidance);
    fixture_close(&f);
}

static void test(sy_vk_device *device)
{
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        check_loop(&loops[i], device);
}

int main(void)
{
    sy_error error = {0};
    sampling = sy_safetensors_open(SY_SOURCE_DIR "/tests/zoo/fixtures/sampling.safetensors", 0, &error);
    CHECK_SAY(sampling, "%s", error.message);
    REQUIRE(sampling);
    uint32_t devices = sy_test_devices(test);
    sy_safetensors_close(&sampling);
    return devices ? check_done() : check_skip("no usable Vulkan device");
}
