/* Methods that leave work out from step to step: of the operations they save, how much is saved in time. Whole runs of a
 * transformer of the size of DiT-S/2 (256 tokens) with random weights, plain and with the method, one after the other. */
#include "tests/bench/bench.h"

#include "src/sample/sampling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 8, MOST_SETTINGS = 4 };

static _Noreturn void die(const char *what, const sy_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
    exit(1);
}

static sy_network_config config_of(const char *architecture)
{
    sy_network_config c = {.side = 32,
                           .channels = 4,
                           .channels_out = 4,
                           .patch = 2,
                           .width = 384,
                           .depth = 12,
                           .heads = 6,
                           .mlp_hidden = 1536,
                           .label_rows = 11,
                           .null_row = 10,
                           .objective = SY_OBJECTIVE_FLOW,
                           .time_scale = 1000,
                           .guidance = 1,
                           .steps = STEPS,
                           .variants = 1u << SY_VARIANT_ACTIVE | 1u << SY_VARIANT_REFRESH | 1u << SY_VARIANT_CACHED};
    snprintf(c.architecture, sizeof c.architecture, "%s", architecture);
    return c;
}

/* A whole run in a session; run->flops are those of a replay on average. */
static void open_run(bench *b, bench_run *run, const char *architecture, const sy_named_setting *settings, uint32_t n)
{
    sy_error error = {0};
    sy_network_config config = config_of(architecture);
    sy_sampling s;
    sy_program *programs[SY_SAMPLING_PROGRAMS] = {NULL};
    sy_session_program list[SY_SAMPLING_PROGRAMS];
    if (!sy_sampling_make(&config, &(sy_pipeline_params){.settings = settings, .n_settings = n}, &s, &error))
        die(run->name, &error);
    run->replays = s.n_rows;
    bench_weights(run, s.step);
    sy_compile_params compile = {.limits = b->limits,
                                 .step_columns = sy_sampler_columns,
                                 .n_step_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .max_steps = s.n_rows};
    for (uint32_t i = 0; i < s.n_programs; i++) {
        programs[i] = sy_compile(s.programs[i].graph, &compile, &error);
        if (!programs[i])
            die(run->name, &error);
        list[i] = (sy_session_program){programs[i], s.programs[i].condition, s.programs[i].same_step};
    }
    run->program = sy_compile(s.init, &compile, &error);
    float *table = sy_sampling_table(&s);
    if (!run->program || !table)
        die(run->name, &error);
    for (uint32_t i = 0; i < s.n_schedule; i++)
        run->flops += programs[s.schedule[i]]->stats.flops / s.n_rows;
    run->session = sy_session_create(&(sy_session_params){.device = b->device,
                                                          .init = run->program,
                                                          .programs = list,
                                                          .n_programs = s.n_programs,
                                                          .schedule = s.schedule,
                                                          .n_schedule = s.n_schedule,
                                                          .weights = run->weights,
                                                          .table = table,
                                                          .columns = sy_sampler_columns,
                                                          .n_columns = SY_SAMPLER_COLUMN_COUNT,
                                                          .n_steps = s.n_rows},
                                     &error);
    const int32_t label = 3;
    const uint32_t seed = 1;
    if (!run->session || !sy_session_write(run->session, "label", &label, 4, &error) ||
        !sy_session_write(run->session, "seeds", &seed, 4, &error))
        die(run->name, &error);
    if (!sy_session_run(run->session, NULL, NULL, &error))
        die(run->name, &error);
    free(table);
    sy_sampling_free(&s);
}

static void compare(bench *b, const char *what, const char *architecture, const sy_named_setting *settings, uint32_t n)
{
    bench_run plain = {.name = architecture}, less = {.name = what};
    open_run(b, &plain, architecture, NULL, 0);
    open_run(b, &less, architecture, settings, n);
    bench_measure((bench_run *[]){&plain, &less}, 2);
    double saved_flops = 1 - less.flops / plain.flops, saved_time = 1 - less.seconds / plain.seconds;
    printf("%s: %.2f -> %.2f ms a step, %.0f -> %.0f MFLOP: %.1f %% of the time and %.1f %% of the operations saved\n",
           what, plain.seconds * 1e3, less.seconds * 1e3, plain.flops * 1e-6, less.flops * 1e-6, saved_time * 100,
           saved_flops * 100);
    bench_print("time saved to operations saved", saved_time / saved_flops, "", 0.8, false);
    bench_free(&plain), bench_free(&less);
}

int bench_steps(bench *b)
{
    const sy_named_setting cache[] = {{"skip-cache.interval", "2"}, {"skip-cache.branch", "2"}};
    const sy_named_setting ras[] = {{"ras.ratio", "0.5"}, {"ras.start", "1"}, {"ras.resets", "0"}};
    compare(b, "Skip-Cache, every second step", "skip-dit", cache, 2);
    compare(b, "RAS, half of the tokens", "dit", ras, 3);
    return 0;
}
