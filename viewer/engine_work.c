/* The engine's thread: opens models, makes pipelines, generates. */
#include "viewer/engine_private.h"
#include "viewer/layers.h"
#include "viewer/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_pipeline(engine *e)
{
    sy_result_destroy(&e->result);
    sy_result_destroy(&e->second);
    sy_pipeline_destroy(&e->pipeline);
    free(e->dispatches);
    e->dispatches = NULL;
    e->done = 0;
}

static bool open_model(engine *e, const engine_request *r)
{
    sy_model *model = NULL;
    if (e->model && !strcmp(e->model_path, r->model))
        return true;
    engine_publish_phase(e, ENGINE_OPENING);
    sy_status status = sy_model_open(e->context, r->model, &model);
    if (status != SY_OK) {
        engine_publish_failure(e, status); /* and the model before stays */
        return false;
    }
    engine_withdraw(e);
    sy_kept_destroy(&e->kept);
    drop_pipeline(e);
    sy_model_destroy(&e->model);
    e->model = model;
    snprintf(e->model_path, sizeof e->model_path, "%s", r->model);
    engine_publish_kept(e);
    return true;
}

/* The run there is becomes the one before, if there is anything of it, and more than the same without taps. */
static void keep_run(engine *e, const engine_request *next)
{
    sy_kept *kept = NULL;
    bool worth = e->pipeline && e->done && (e->result || !e->kept) &&
                 (e->request.taps == next->taps || !request_same(&e->request, next));
    if (worth && sy_history_keep(e->pipeline, &kept) != SY_OK)
        engine_publish_note(e, sy_context_message(e->context));
    engine_withdraw(e);
    if (kept) {
        sy_kept_destroy(&e->kept);
        e->kept = kept;
        e->kept_done = e->done;
        e->kept_run = e->run;
        e->kept_request = e->request;
    }
    sy_result_destroy(&e->result);
    sy_result_destroy(&e->second);
    engine_publish_kept(e);
}

static bool same_pipeline(const engine_request *a, const engine_request *b)
{
    if (a->count != b->count || a->steps != b->steps || a->sampler != b->sampler || a->guidance != b->guidance ||
        a->n_settings != b->n_settings || a->taps != b->taps || a->timings != b->timings || !a->n_steers != !b->n_steers)
        return false;
    for (uint32_t i = 0; i < a->n_settings; i++)
        if (strcmp(a->settings[i].name, b->settings[i].name) || strcmp(a->settings[i].value, b->settings[i].value))
            return false;
    return true;
}

static bool ended(engine *e)
{
    pthread_mutex_lock(&e->lock);
    bool ended = e->stop || e->cancel || e->run_wanted || e->open_wanted || e->second_wanted;
    pthread_mutex_unlock(&e->lock);
    return ended;
}

static bool on_loading(void *user, uint64_t done, uint64_t total)
{
    engine *e = user;
    pthread_mutex_lock(&e->lock);
    e->state.loading = total ? (double)done / (double)total : 0;
    pthread_mutex_unlock(&e->lock);
    e->wake();
    return !ended(e);
}

static sy_status make_pipeline(engine *e, const engine_request *r, const char *device, bool history,
                               sy_pipeline **pipeline)
{
    sy_named_setting settings[ENGINE_SETTINGS];
    for (uint32_t i = 0; i < r->n_settings; i++)
        settings[i] = (sy_named_setting){r->settings[i].name, r->settings[i].value};
    const sy_pipeline_params params = {.device = *device ? device : NULL,
                                       .count = r->count,
                                       .steps = r->steps,
                                       .sampler = r->sampler,
                                       .guidance = r->guidance,
                                       .taps = layers_taps,
                                       .n_taps = r->taps ? LAYERS_TAPS : 1, /* the first is the picture */
                                       .settings = settings,
                                       .n_settings = r->n_settings,
                                       .steering = r->n_steers > 0,
                                       .timings = r->timings,
                                       .history = history,
                                       .loading = on_loading,
                                       .user = e};
    return sy_pipeline_create(e->model, &params, pipeline);
}

static bool on_progress(void *user, const sy_progress *progress)
{
    engine *e = user;
    pthread_mutex_lock(&e->lock);
    e->state.progress = *progress;
    e->state.done = e->done = progress->done;
    pthread_mutex_unlock(&e->lock);
    e->wake();
    return !ended(e);
}

/* Of the second device: the rows of the first one's run stay. */
static bool on_second_progress(void *user, const sy_progress *progress)
{
    engine *e = user;
    pthread_mutex_lock(&e->lock);
    e->state.progress = *progress;
    pthread_mutex_unlock(&e->lock);
    e->wake();
    return !ended(e);
}

static sy_status run_pipeline(engine *e, const engine_request *r, sy_pipeline *pipeline,
                              bool (*progress)(void *user, const sy_progress *progress), sy_result **result)
{
    sy_steer steers[ENGINE_STEERS];
    for (uint32_t i = 0; i < r->n_steers; i++) {
        steers[i] = r->steers[i].rule;
        steers[i].route = *r->steers[i].route ? r->steers[i].route : NULL;
    }
    const sy_model_info *model = sy_model_get_info(e->model);
    char texts[ENGINE_PICTURES][ENGINE_TEXT], negative[ENGINE_TEXT];
    const char *prompts[ENGINE_PICTURES], *negatives[] = {negative};
    int32_t labels[ENGINE_PICTURES];
    uint32_t n = engine_prompt_at(r->prompt, 0, NULL, 0), count = r->count ? r->count : 1;
    n = n > 1 ? count : 1; /* one for all, or one each: the last for those that are not given */
    for (uint32_t i = 0; i < n && i < ENGINE_PICTURES; i++) {
        engine_prompt_at(r->prompt, i, texts[i], sizeof texts[i]);
        prompts[i] = texts[i];
        labels[i] = (int32_t)strtol(texts[i], NULL, 10);
    }
    snprintf(negative, sizeof negative, "%s", r->negative);
    bool labelled = model->classes > 0, prompted = !labelled && (model->n_words || model->text);
    const sy_generate_params params = {.prompts = prompted ? prompts : NULL,
                                       .n_prompts = prompted ? n : 0,
                                       .negatives = model->text && *r->negative ? negatives : NULL,
                                       .n_negatives = model->text && *r->negative ? 1 : 0,
                                       .labels = labelled ? labels : NULL,
                                       .n_labels = labelled ? n : 0,
                                       .seed = r->seed,
                                       .steers = steers,
                                       .n_steers = r->n_steers,
                                       .progress = progress,
                                       .user = e};
    return sy_generate(pipeline, &params, result);
}

static void publish_run(engine *e, const engine_request *r, const sy_history *history)
{
    const sy_pipeline_info *info = sy_pipeline_get_info(e->pipeline);
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->current = history;
    s->current_run = e->run = s->run;
    s->request = *r;
    s->info = *info;
    snprintf(s->device, sizeof s->device, "%s", info->device);
    snprintf(s->sampler, sizeof s->sampler, "%s", info->sampler);
    s->info.device = s->device;
    s->info.sampler = s->sampler;
    s->progress = (sy_progress){.total = info->evaluations, .seconds_left = -1};
    s->phase = ENGINE_RUNNING;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

/* A copy: the pipeline's own list goes with its next call. */
static uint32_t take_dispatches(engine *e)
{
    const sy_dispatch_time *list;
    size_t n;
    free(e->dispatches);
    e->dispatches = NULL;
    if (sy_pipeline_dispatches(e->pipeline, &list, &n) != SY_OK || !n || !(e->dispatches = calloc(n, sizeof *e->dispatches)))
        return 0;
    for (size_t i = 0; i < n; i++) {
        engine_dispatch *d = &e->dispatches[i];
        snprintf(d->name, sizeof d->name, "%s", list[i].name);
        snprintf(d->layer, sizeof d->layer, "%s", list[i].layer);
        snprintf(d->kind, sizeof d->kind, "%s", list[i].kind);
        d->begin = list[i].begin;
        d->seconds = list[i].seconds;
        d->flops = list[i].flops;
        d->bytes = list[i].bytes;
    }
    return (uint32_t)n;
}

static void publish_result(engine *e, const engine_request *r)
{
    uint32_t n = r->timings ? take_dispatches(e) : 0;
    pthread_mutex_lock(&e->lock);
    e->state.result = e->result;
    e->state.seconds = e->result->seconds;
    e->state.dispatches = n ? e->dispatches : NULL;
    e->state.n_dispatches = n;
    e->state.phase = ENGINE_DONE;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

static void generate(engine *e, const engine_request *r)
{
    const sy_history *history = NULL;
    if (!open_model(e, r))
        return;
    engine_publish_phase(e, ENGINE_COMPILING);
    keep_run(e, r);
    sy_status status = SY_OK;
    if (!e->pipeline || !same_pipeline(&e->request, r)) {
        drop_pipeline(e);
        status = make_pipeline(e, r, e->device, true, &e->pipeline);
    }
    e->done = 0;
    e->request = *r;
    if (status == SY_OK)
        status = sy_pipeline_history(e->pipeline, &history);
    if (status == SY_OK) {
        publish_run(e, r, history);
        status = run_pipeline(e, r, e->pipeline, on_progress, &e->result);
    }
    if (status == SY_OK)
        publish_result(e, r);
    else
        engine_publish_failure(e, status);
}

/* The same on another device, beside the run that there is. */
static void second(engine *e, const char *device)
{
    sy_pipeline *pipeline = NULL;
    sy_result *result = NULL;
    if (!e->result) {
        engine_publish_note(e, "There is no finished run to make again on another device.");
        engine_publish_phase(e, ENGINE_IDLE);
        return;
    }
    engine_publish_phase(e, ENGINE_COMPILING);
    engine_withdraw_second(e);
    sy_result_destroy(&e->second);
    sy_status status = make_pipeline(e, &e->request, device, false, &pipeline);
    if (status == SY_OK) {
        engine_publish_phase(e, ENGINE_RUNNING);
        status = run_pipeline(e, &e->request, pipeline, on_second_progress, &result);
    }
    if (status == SY_OK) {
        pthread_mutex_lock(&e->lock);
        snprintf(e->state.second_device, sizeof e->state.second_device, "%s", sy_pipeline_get_info(pipeline)->device);
        pthread_mutex_unlock(&e->lock);
    } else {
        engine_publish_failure(e, status);
    }
    sy_pipeline_destroy(&pipeline);
    if (status != SY_OK)
        return;
    pthread_mutex_lock(&e->lock);
    e->state.second = e->second = result;
    e->state.phase = ENGINE_DONE;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

/* Called and left with the lock held. */
static void save_routes(engine *e)
{
    char path[ENGINE_PATH];
    memcpy(path, e->save_path, sizeof path);
    e->save_wanted = false;
    pthread_mutex_unlock(&e->lock);
    sy_status status = e->pipeline && e->done ? sy_history_save_routes(e->pipeline, e->done, path) : SY_ERROR_NOT_FOUND;
    pthread_mutex_lock(&e->lock);
    e->save_over = true;
    e->save_failed = status != SY_OK;
    snprintf(e->save_why, sizeof e->save_why, "%.499s",
             e->pipeline ? sy_context_message(e->context) : "there is no run whose routes could be written");
    e->wake();
}

void *engine_work(void *argument)
{
    engine *e = argument;
    engine_request *r = malloc(sizeof *r);
    pthread_mutex_lock(&e->lock);
    while (r && !e->stop) {
        if (e->save_wanted) {
            save_routes(e);
            continue;
        }
        if (!e->open_wanted && !e->run_wanted && !e->second_wanted) {
            pthread_cond_wait(&e->news, &e->lock);
            continue;
        }
        const bool run = e->run_wanted, again = e->second_wanted && !run && !e->open_wanted, same = e->model && !strcmp(e->model_path, e->wanted.model);
        const engine_phase before = e->state.phase;
        *r = e->wanted;
        char device[sizeof e->second_device];
        memcpy(device, e->second_device, sizeof device);
        e->open_wanted = e->run_wanted = e->second_wanted = e->cancel = false;
        e->state.run += run;
        e->state.phase = ENGINE_OPENING;
        e->state.message[0] = e->state.note[0] = 0;
        e->state.status = SY_OK;
        pthread_mutex_unlock(&e->lock);
        if (again)
            second(e, device);
        else if (run)
            generate(e, r);
        else if (open_model(e, r))
            engine_publish_phase(e, same ? before : ENGINE_IDLE);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    free(r);
    sy_kept_destroy(&e->kept);
    drop_pipeline(e);
    sy_model_destroy(&e->model);
    return NULL;
}
