/* Pipelines: sampling graphs compiled for a device, in a session. */
#include "src/api.h"
#include "src/run/session_private.h" /* sy_seconds */

#include <stdio.h>
#include <stdlib.h>

const char *sy_sampler_text(sy_sampler sampler)
{
    return (unsigned)sampler < SY_SAMPLER_COUNT ? sy_sampler_names[sampler] : NULL;
}

static void describe(sy_pipeline *p, double compile_seconds, double load_seconds)
{
    const sy_program_stats *s = &p->step->stats;
    const sy_session_stats *session = sy_session_get_stats(p->session);
    p->info = (sy_pipeline_info){.device = p->device,
                                 .sampler = sy_sampler_names[p->sampling.sampler],
                                 .count = p->sampling.count,
                                 .steps = p->sampling.steps,
                                 .evaluations = p->sampling.n_rows,
                                 .guidance = p->sampling.guidance,
                                 .precision = p->sampling.config.dtype == SY_F32 ? SY_PRECISION_F32 : SY_PRECISION_F16,
                                 .dispatches = s->dispatches,
                                 .dispatches_unfused = s->dispatches_unfused,
                                 .kernels = s->kernels,
                                 .kernels_compiled = s->kernels_compiled + p->init->stats.kernels_compiled,
                                 .kernels_cached = s->kernels_cached + p->init->stats.kernels_cached,
                                 .barriers = s->barriers,
                                 .submissions_per_step = session->segments ? session->segments : 1,
                                 .flops = s->flops,
                                 .bytes = s->bytes,
                                 .bytes_unfused = s->bytes_unfused,
                                 .arena_bytes = s->arena_bytes,
                                 .arena_lower_bound = s->arena_lower_bound,
                                 .weight_bytes = s->weight_bytes,
                                 .device_bytes = session->device_bytes,
                                 .compile_seconds = compile_seconds,
                                 .load_seconds = load_seconds};
}

static bool create(sy_pipeline *p, const sy_pipeline_params *params, sy_error *error)
{
    sy_model *m = p->model;
    sy_vk_device *device;
    double start = sy_seconds();
    if (!sy_sampling_make(&m->config, params, &p->sampling, error) ||
        !sy_api_device(m->context, params->device, &device, p->device, sizeof p->device, error))
        return false;
    sy_compile_params compile = {.step_columns = sy_sampler_columns,
                                 .n_step_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .max_steps = p->sampling.n_rows,
                                 .taps = params->taps,
                                 .n_taps = params->n_taps};
    if (!sy_api_compile(m->context, device, p->sampling.step, &compile, &p->step, error))
        return sy_fail_context(error, "compiling %s", m->config.architecture);
    compile.n_taps = 0;
    if (!sy_api_compile(m->context, device, p->sampling.init, &compile, &p->init, error))
        return sy_fail_context(error, "compiling the first noise");
    double compiled = sy_seconds();
    float *table = sy_sampling_table(&p->sampling);
    if (!table)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the step table");
    sy_session_params session = {.device = device,
                                 .init = p->init,
                                 .step = p->step,
                                 .weights = m->file,
                                 .table = table,
                                 .columns = sy_sampler_columns,
                                 .n_columns = SY_SAMPLER_COLUMN_COUNT,
                                 .n_steps = p->sampling.n_rows,
                                 .cache_directory = m->context->cache_directory,
                                 .loading = params->loading,
                                 .context = params->user};
    p->session = sy_session_create(&session, error);
    free(table);
    if (!p->session)
        return false;
    describe(p, compiled - start, sy_seconds() - compiled);
    return true;
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
    sy_program_destroy(&p->step);
    sy_sampling_free(&p->sampling);
    free(p);
    *pipeline = NULL;
}

const sy_pipeline_info *sy_pipeline_get_info(const sy_pipeline *pipeline)
{
    return &pipeline->info;
}
