/* Pipelines: sampling graphs compiled for a device, in a session. */
#include "src/api.h"
#include "src/run/session_private.h" /* sy_seconds */

#include <stdio.h>
#include <stdlib.h>

const char *sy_sampler_text(sy_sampler sampler)
{
    return (unsigned)sampler < SY_SAMPLER_COUNT ? sy_sampler_names[sampler] : NULL;
}

static double run_flops(const sy_pipeline *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->sampling.n_schedule; i++)
        sum += p->programs[p->sampling.schedule[i]]->stats.flops;
    return sum;
}

static void describe(sy_pipeline *p, double compile_seconds, double load_seconds)
{
    const sy_program_stats *s = &p->programs[0]->stats;
    const sy_session_stats *session = sy_session_get_stats(p->session);
    uint32_t compiled = p->init->stats.kernels_compiled, cached = p->init->stats.kernels_cached;
    uint64_t weights = 0;
    for (uint32_t i = 0; i < p->sampling.n_programs; i++) {
        const sy_program_stats *other = &p->programs[i]->stats;
        s = other->flops > s->flops ? other : s;
        compiled += other->kernels_compiled;
        cached += other->kernels_cached;
        weights = other->weight_bytes > weights ? other->weight_bytes : weights;
    }
    p->info = (sy_pipeline_info){.device = p->device,
                                 .sampler = sy_sampler_names[p->sampling.sampler],
                                 .count = p->sampling.count,
                                 .steps = p->sampling.steps,
                                 .evaluations = p->sampling.evaluations,
                                 .guidance = p->sampling.guidance,
                                 .precision = p->sampling.config.dtype == SY_F32 ? SY_PRECISION_F32 : SY_PRECISION_F16,
                                 .programs = p->sampling.n_programs,
                                 .run_flops = run_flops(p),
                                 .shared_bytes = session->shared_bytes,
                                 .reused_bytes = session->reused_bytes,
                                 .pipelines = session->pipelines,
                                 .dispatches = s->dispatches,
                                 .dispatches_unfused = s->dispatches_unfused,
                                 .kernels = s->kernels,
                                 .kernels_compiled = compiled,
                                 .kernels_cached = cached,
                                 .barriers = s->barriers,
                                 .submissions_per_step = session->segments ? session->segments : 1,
                                 .flops = s->flops,
                                 .bytes = s->bytes,
                                 .bytes_unfused = s->bytes_unfused,
                                 .arena_bytes = s->arena_bytes,
                                 .arena_lower_bound = s->arena_lower_bound,
                                 .weight_bytes = session->weight_bytes ? session->weight_bytes : weights,
                                 .device_bytes = session->device_bytes,
                                 .compile_seconds = compile_seconds,
                                 .load_seconds = load_seconds};
}

/* What is asked for must be a tap of some program; each program gives those it has. */
static bool check_taps(const sy_sampling *s, const sy_pipeline_params *params, sy_error *error)
{
    for (uint32_t i = 0; i < params->n_taps; i++) {
        bool found = params->taps[i][0] == '?';
        for (uint32_t k = 0; k < s->n_programs && !found; k++)
            for (uint32_t e = 0; e < s->programs[k].graph->n_ends && !found; e++) {
                const sy_end *end = &s->programs[k].graph->ends[e];
                found = end->kind == SY_END_TAP && sy_tap_fits(params->taps[i], end->name);
            }
        if (!found)
            return sy_fail(error, SY_CODE_NOT_FOUND, "no tap of this model is named \"%s\"", params->taps[i]);
    }
    return true;
}

/* The patterns, each for a program that may not have it, and what tells which evaluations ran. */
static const char **optional_taps(const sy_pipeline_params *params, sy_arena *arena)
{
    const char **taps = sy_arena_array(arena, (size_t)params->n_taps + 1, sizeof *taps);
    for (uint32_t i = 0; taps && i < params->n_taps; i++)
        if (!(taps[i] = sy_arena_printf(arena, "?%s", params->taps[i] + (params->taps[i][0] == '?'))))
            return NULL;
    if (taps)
        taps[params->n_taps] = "?run.each";
    return taps;
}

static bool compile_programs(sy_pipeline *p, sy_vk_device *device, const sy_pipeline_params *params, sy_error *error)
{
    sy_context *context = p->model->context;
    sy_arena arena = {0};
    sy_compile_params compile = {.step_columns = sy_sampler_columns,
                                 .n_step_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .max_steps = p->sampling.n_turns,
                                 .taps = optional_taps(params, &arena),
                                 .n_taps = params->n_taps + 1,
                                 .half = params->precision == SY_PRECISION_F16};
    bool ok = compile.taps || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the names of taps");
    for (uint32_t i = 0; ok && i < p->sampling.n_programs; i++) {
        compile.conditional = p->sampling.programs[i].condition != NULL;
        ok = sy_api_compile(context, device, p->sampling.programs[i].graph, &compile, &p->programs[i], error) ||
             sy_fail_context(error, "compiling %s", p->model->config.architecture);
    }
    sy_arena_free(&arena);
    compile.n_taps = 0;
    compile.conditional = false;
    return ok && (sy_api_compile(context, device, p->sampling.init, &compile, &p->init, error) ||
                  sy_fail_context(error, "compiling the first noise"));
}

static bool create(sy_pipeline *p, const sy_pipeline_params *params, sy_error *error)
{
    sy_model *m = p->model;
    const sy_sampling *s = &p->sampling;
    sy_vk_device *device;
    double start = sy_seconds(), slice_seconds;
    if (!sy_sampling_make(&m->config, params, &p->sampling, error) || !check_taps(s, params, error) ||
        !sy_api_device(m->context, params->device, &device, p->device, sizeof p->device, error) ||
        !compile_programs(p, device, params, error) ||
        !sy_api_history_plan(p, device, params, &slice_seconds, error))
        return false;
    double compiled = sy_seconds();
    float *table = sy_sampling_table(s);
    if (!table)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the step table");
    sy_session_program programs[SY_SAMPLING_PROGRAMS];
    for (uint32_t i = 0; i < s->n_programs; i++)
        programs[i] = (sy_session_program){p->programs[i], s->programs[i].condition, s->programs[i].same_step};
    sy_session_params session = {.device = device,
                                 .init = p->init,
                                 .programs = programs,
                                 .n_programs = s->n_programs,
                                 .schedule = s->schedule,
                                 .n_schedule = s->n_schedule,
                                 .weights = m->file,
                                 .table = table,
                                 .columns = sy_sampler_columns,
                                 .n_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .n_steps = s->n_turns,
                                 .cache_directory = m->context->cache_directory,
                                 .history = params->history,
                                 .told = "run.each",
                                 .slice_seconds = slice_seconds,
                                 .reuse = params->reuse ? params->reuse->session : NULL,
                                 .loading = params->loading,
                                 .context = params->user,
                                 .timings = params->timings ? SY_TIMING_OVERLAP : SY_TIMING_NONE};
    p->session = sy_session_create(&session, error);
    free(table);
    if (!p->session)
        return false;
    describe(p, compiled - start, sy_seconds() - compiled);
    return !params->history || sy_api_history_make(p, error);
}

sy_status sy_pipeline_create(sy_model *model, const sy_pipeline_params *params, sy_pipeline **pipeline)
{
    static const sy_pipeline_params defaults;
    sy_error error = {0};
    sy_pipeline *p = calloc(1, sizeof *p);
    *pipeline = p;
    if (!p)
        sy_fail(&error, SY_CODE_OUT_OF_MEMORY, "no memory for a pipeline");
    else {
        p->model = model;
        p->timings = params && params->timings;
        if (!create(p, params ? params : &defaults, &error))
            sy_pipeline_destroy(pipeline);
    }
    return sy_api_done(model->context, &error);
}

void sy_pipeline_destroy(sy_pipeline **pipeline)
{
    sy_pipeline *p = pipeline ? *pipeline : NULL;
    if (!p)
        return;
    sy_session_destroy(&p->session);
    sy_program_destroy(&p->init);
    for (uint32_t i = 0; i < SY_SAMPLING_PROGRAMS; i++)
        sy_program_destroy(&p->programs[i]);
    sy_sampling_free(&p->sampling);
    sy_arena_free(&p->times_arena);
    sy_arena_free(&p->arena);
    free(p);
    *pipeline = NULL;
}

const sy_pipeline_info *sy_pipeline_get_info(const sy_pipeline *pipeline)
{
    return &pipeline->info;
}
