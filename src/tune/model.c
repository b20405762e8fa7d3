/* See the header. Each run makes a pipeline with the table under trial, which the context hands to the compiler in place
 * of what it knows of the device. */
#include "src/tune/model.h"

#include "src/api.h"
#include "src/device/self_test.h"
#include "src/tune/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    sy_model *model;
    const sy_tune_model_params *params;
    sy_pipeline_params pipeline;
    sy_vk_device *device;
    sy_tune_time *times; /* of the last run */
    double *samples;     /* [repeats][n] */
    sy_pipeline *current;
    sy_result *output;
    char why[300];
} job;

static void forget(job *j)
{
    sy_result_destroy(&j->output);
    sy_pipeline_destroy(&j->current);
    free(j->times), free(j->samples);
    j->times = NULL;
    j->samples = NULL;
}

/* Something that the model can be asked for. */
static bool generate(job *j, sy_error *error)
{
    const sy_model_info *info = sy_model_get_info(j->model);
    const char *prompt = info->n_prompts ? info->prompts[0] : info->n_words ? info->words[0] : "a picture";
    int32_t label = 0;
    sy_generate_params params = {.prompts = &prompt, .n_prompts = 1, .labels = &label, .n_labels = 1};
    sy_result_destroy(&j->output);
    sy_status status = sy_generate(j->current, &params, &j->output);
    return status == SY_OK || sy_fail(error, (sy_code)status, "%s", sy_context_message(j->model->context));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Dispatches of all programs that ran, one after another. */
static uint32_t dispatches_of(const job *j)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < j->current->sampling.n_programs; i++)
        n += sy_session_timings(j->current->session, i) ? j->current->programs[i]->n_dispatches : 0;
    return n;
}

static void read_times(job *j, uint32_t repeat, uint32_t n)
{
    for (uint32_t i = 0, at = 0; i < j->current->sampling.n_programs; i++) {
        const double *times = sy_session_timings(j->current->session, i);
        for (uint32_t k = 0; times && k < j->current->programs[i]->n_dispatches && at < n; k++, at++)
            j->samples[repeat * n + at] = times[2 * k + 1] - times[2 * k];
    }
}

static bool medians(job *j, uint32_t repeats, uint32_t n, sy_error *error)
{
    double *list = calloc(repeats, sizeof *list);
    j->times = calloc((size_t)n + 1, sizeof *j->times);
    if (!list || !j->times) {
        free(list);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for times");
    }
    for (uint32_t i = 0, at = 0; i < j->current->sampling.n_programs; i++) {
        const sy_program *p = j->current->programs[i];
        bool ran = sy_session_timings(j->current->session, i) != NULL;
        for (uint32_t k = 0; ran && k < p->n_dispatches && at < n; k++, at++) {
            for (uint32_t r = 0; r < repeats; r++)
                list[r] = j->samples[r * n + at];
            qsort(list, repeats, sizeof *list, ascending);
            j->times[at] = (sy_tune_time){.problem = p->dispatches[k].problem,
                                          .variant = p->kernels[p->dispatches[k].kernel].name,
                                          .candidates = p->dispatches[k].candidates,
                                          .seconds = list[repeats / 2]};
        }
    }
    free(list);
    return true;
}

static bool run(void *context, const sy_tuning *tuning, const sy_tune_time **times, uint32_t *n, const float **output,
                uint64_t *n_output, sy_error *error)
{
    job *j = context;
    sy_context *c = j->model->context;
    uint32_t repeats = j->params->repeats ? j->params->repeats : 5;
    const sy_session_observer observer = {.timing = SY_TIMING_SERIAL};
    forget(j);
    c->trial = tuning;
    sy_status status = sy_pipeline_create(j->model, &j->pipeline, &j->current);
    c->trial = NULL;
    bool ok = status == SY_OK || sy_fail(error, (sy_code)status, "%s", sy_context_message(c));
    ok = ok && sy_session_observe(j->current->session, &observer, error) && generate(j, error); /* this one warms up */
    *n = ok ? dispatches_of(j) : 0;
    if (ok && !*n)
        ok = sy_fail(error, SY_CODE_UNAVAILABLE, "%s has no timestamps: its kernels cannot be timed one by one",
                     j->current->device);
    j->samples = ok ? calloc((size_t)repeats * *n, sizeof *j->samples) : NULL;
    ok = ok && (j->samples || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for times"));
    for (uint32_t r = 0; ok && r < repeats; r++)
        if ((ok = generate(j, error)))
            read_times(j, r, *n);
    if (!ok || !medians(j, repeats, *n, error))
        return false;
    *times = j->times;
    *output = j->output->data;
    *n_output = (uint64_t)j->output->count * j->output->channels * j->output->width * j->output->height;
    return true;
}

static bool right(void *context, const char *variant, const char **why)
{
    job *j = context;
    sy_self_test_report report;
    sy_error error = {0};
    sy_self_test_params params = {.cache_directory = j->model->context->cache_directory, .variant = variant};
    *why = j->why;
    if (!sy_self_test(j->device, &params, &report, &error)) {
        snprintf(j->why, sizeof j->why, "it could not be tested: %.260s", error.message);
        return false;
    }
    for (uint32_t i = 0; i < report.n_cases; i++)
        if (!report.cases[i].passed) {
            snprintf(j->why, sizeof j->why, "wrong in the self-test \"%s\": %.200s", report.cases[i].name,
                     report.cases[i].message);
            return false;
        }
    snprintf(j->why, sizeof j->why, "no case of the self-test has a problem for it, so nothing proves it");
    return report.n_cases > 0;
}

static bool tell(void *context, uint32_t done, uint32_t total, double seconds_left)
{
    const job *j = context;
    return !j->params->progress || j->params->progress(j->params->user, done, total, seconds_left);
}

static bool keep(job *j, const char *path, const sy_tune_result *result, sy_error *error)
{
    sy_tuning_store *store = path ? sy_tuning_store_load(path, true, error) : NULL;
    bool ok = !path || (store && sy_tuning_store_put(store, j->device->snapshot, result, error) &&
                        sy_tuning_store_save(store, path, error));
    if (path)
        sy_tuning_store_free(&store);
    return ok;
}

static bool tune(job *j, const char *path, sy_tune_result *result, sy_error *error)
{
    char name[300];
    sy_context *c = j->model->context;
    const sy_tune_runner runner = {.run = run, .right = right, .progress = tell, .context = j};
    if (!sy_api_device(c, j->params->pipeline.device, &j->device, name, sizeof name, error))
        return false;
    if (!j->device)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator has no kernels to tune");
    sy_tuning *tuning = sy_api_tuning(c, j->device, error);
    if (!tuning || !sy_tune(&runner, j->params->seconds, tuning, result, error))
        return false;
    return keep(j, path, result, error);
}

sy_status sy_tune_model(sy_model *model, const sy_tune_model_params *params, const char *path, sy_tune_result *result)
{
    sy_error error = {0};
    job j = {.model = model, .params = params, .pipeline = params->pipeline};
    j.pipeline.steps = j.pipeline.steps ? j.pipeline.steps : 1;
    tune(&j, path, result, &error);
    forget(&j);
    return sy_api_done(model->context, &error);
}
