/* A whole step of a model against its limit: for each dispatch the time its FLOPs would take at a quarter of the
 * device's multiply-add roof or its bytes at the triad's rate, whichever is longer, summed over the step. */
#include "tests/bench/bench.h"

#include "graph/import/safetensors.h"
#include "src/sample/sampling.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 8 };

static _Noreturn void die(const char *what, const sy_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
    exit(1);
}

/* Label inputs of a prompt nobody wrote: row 0 for the conditional half, unconditional where the file says. */
static void write_labels(sy_session *session, const sy_program *program, const sy_network_config *config, sy_error *error)
{
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const sy_io *io = &program->inputs[i];
        uint64_t n = sy_type_count(&io->type);
        int32_t rows = io->type.dim[0], *ids = calloc(n, sizeof *ids);
        float *weights = calloc(n, sizeof *weights);
        uint64_t each = n / (uint64_t)rows;
        for (int32_t r = 0; r < rows; r++)
            for (uint64_t w = 0; w < each; w++) {
                bool null = rows > 1 && r >= rows / 2;
                ids[(uint64_t)r * each + w] = w ? -1 : null ? config->null_row : 0;
                weights[(uint64_t)r * each + w] = w ? 0.0f : 1.0f;
            }
        bool ok = sy_session_write(session, io->name, io->type.dtype == SY_F32 ? (void *)weights : (void *)ids, n * 4, error);
        free(ids), free(weights);
        if (!ok)
            die(io->name, error);
    }
}

void bench_model_open(bench *b, bench_model *m, bench_run *run, const char *path, uint32_t steps)
{
    sy_error error = {0};
    sy_network_config config;
    *m = (bench_model){.file = sy_safetensors_open(path, 0, &error)};
    if (!m->file || !sy_zoo_config_from_file(m->file, &config, &error) ||
        !sy_sampling_make(&config, &(sy_pipeline_params){.steps = steps}, &m->sampling, &error))
        die(path, &error);
    const sy_sampling *sampling = &m->sampling;
    *run = (bench_run){.name = path, .replays = sampling->n_rows};
    run->program = sy_compile(sampling->step, &(sy_compile_params){.limits = b->limits, .step_columns = sy_sampler_columns, .n_step_columns = SY_SAMPLER_COLUMN_COUNT, .max_steps = sampling->n_rows}, &error);
    m->table = sy_sampling_table(sampling);
    if (!run->program || !m->table)
        die(path, &error);
    run->flops = run->program->stats.flops;
    run->session = sy_session_create(&(sy_session_params){.device = b->device, .step = run->program, .weights = m->file, .table = m->table, .columns = sy_sampler_columns, .n_columns = SY_SAMPLER_COLUMN_COUNT, .n_steps = sampling->n_rows, .timings = bench_wants_dispatches()}, &error);
    if (!run->session)
        die(path, &error);
    write_labels(run->session, run->program, &config, &error);
    if (!sy_session_run(run->session, NULL, NULL, &error))
        die(path, &error);
}

void bench_model_close(bench_model *m)
{
    free(m->table);
    sy_sampling_free(&m->sampling);
    sy_safetensors_close(&m->file);
}

int bench_model_goals(bench *b, const char *path)
{
    bench_run roof, triad, model;
    bench_model opened;
    double operations = bench_fma_roof(b, &roof), moved = bench_triad_roof(b, &triad);
    bench_model_open(b, &opened, &model, path, STEPS);
    bench_measure((bench_run *[]){&roof, &triad, &model}, 3);

    double peak = operations / roof.best, bandwidth = moved / triad.best, goal = 0;
    for (uint32_t i = 0; i < model.program->n_dispatches; i++)
        goal += bench_goal(&model.program->dispatches[i], peak, bandwidth);
    const sy_program_stats *s = &model.program->stats;
    printf("%s: a step of %u dispatches (%u unfused), %.1f MFLOP, %.2f MB moved (%.2f MB unfused)\n", opened.sampling.config.architecture,
           s->dispatches, s->dispatches_unfused, s->flops * 1e-6, s->bytes * 1e-6, s->bytes_unfused * 1e-6);
    printf("  %.2f ms a step, %.2f GFLOP/s; roofs: %.1f GFLOP/s, triad %.2f GB/s; sum of first goals %.2f ms\n", model.seconds * 1e3,
           s->flops / model.seconds * 1e-9, peak * 1e-9, bandwidth * 1e-9, goal * 1e3);
    bench_print("share of the sum of its dispatches' first goals", goal / model.seconds, "", 0.6, false);
    bench_print_dispatches(&model, peak, bandwidth);
    bench_free(&model), bench_free(&roof), bench_free(&triad);
    bench_model_close(&opened);
    return 0;
}
