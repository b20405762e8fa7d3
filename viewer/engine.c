/* See engine.h. */
#include "viewer/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct engine {
    sy_context *context;
    char device[256];
    void (*wake)(void);
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news; /* for the engine's thread: a request, an epoch let go, the end */

    /* Under the lock. */
    engine_state state;
    engine_request wanted;
    bool open_wanted, run_wanted, cancel, stop;
    uint64_t let_go;

    /* The engine thread's own. */
    sy_model *model;
    sy_pipeline *pipeline;
    sy_result *result;
    sy_kept *kept;
    engine_request request; /* what the pipeline was made for */
    engine_request kept_request;
    uint32_t done, kept_done;
    engine_dispatch *dispatches;
    char model_path[ENGINE_PATH];
};

const char *engine_phase_text(engine_phase phase)
{
    static const char *const texts[] = {"ready", "opening the model", "compiling", "generating", "done", "cancelled", "failed"};
    return texts[phase];
}

uint32_t engine_prompt_at(const char *prompts, uint32_t index, char *out, size_t size)
{
    uint32_t n = 0;
    for (const char *at = prompts;; n++) {
        const char *end = strchr(at, '|');
        size_t length = end ? (size_t)(end - at) : strlen(at);
        const char *first = at + strspn(at, " ");
        while (length > 0 && at[length - 1] == ' ')
            length--;
        if ((n == index || (!end && index > n)) && out)
            snprintf(out, size, "%.*s", at + length > first ? (int)(at + length - first) : 0, first);
        if (!end)
            return n + 1;
        at = end + 1;
    }
}

/* ---- what is published ---- */

static void publish_phase(engine *e, engine_phase phase)
{
    pthread_mutex_lock(&e->lock);
    e->state.phase = phase;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

static void publish_note(engine *e, const char *text)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->state.note, sizeof e->state.note, "%s", text);
    pthread_mutex_unlock(&e->lock);
}

static void publish_failure(engine *e, sy_status status)
{
    const char *message = sy_context_message(e->context);
    pthread_mutex_lock(&e->lock);
    e->state.phase = status == SY_ERROR_CANCELLED ? ENGINE_CANCELLED : ENGINE_FAILED;
    e->state.status = status;
    snprintf(e->state.message, sizeof e->state.message, "%s", *message ? message : sy_status_text(status));
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

/* Takes the pointers back, and waits until nobody uses what they led to. */
static void withdraw(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->current = s->before = NULL;
    s->done = s->before_done = 0;
    s->result = NULL;
    s->model = NULL;
    s->dispatches = NULL;
    s->n_dispatches = 0;
    uint64_t epoch = ++s->epoch;
    pthread_mutex_unlock(&e->lock);
    e->wake();
    pthread_mutex_lock(&e->lock);
    while (e->let_go < epoch && !e->stop)
        pthread_cond_wait(&e->news, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static void publish_kept(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->model = e->model ? sy_model_get_info(e->model) : NULL;
    s->before = e->kept ? sy_kept_history(e->kept) : NULL;
    s->before_done = e->kept_done;
    s->before_request = e->kept_request;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

/* ---- work ---- */

static void drop_pipeline(engine *e)
{
    sy_result_destroy(&e->result);
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
    publish_phase(e, ENGINE_OPENING);
    sy_status status = sy_model_open(e->context, r->model, &model);
    if (status != SY_OK) {
        publish_failure(e, status); /* and the model before stays */
        return false;
    }
    withdraw(e);
    sy_kept_destroy(&e->kept);
    drop_pipeline(e);
    sy_model_destroy(&e->model);
    e->model = model;
    snprintf(e->model_path, sizeof e->model_path, "%s", r->model);
    publish_kept(e);
    return true;
}

/* The run there is becomes the one before, if there is anything of it. */
static void keep_run(engine *e)
{
    sy_kept *kept = NULL;
    bool worth = e->pipeline && e->done && (e->result || !e->kept);
    if (worth && sy_history_keep(e->pipeline, &kept) != SY_OK)
        publish_note(e, sy_context_message(e->context));
    withdraw(e);
    if (kept) {
        sy_kept_destroy(&e->kept);
        e->kept = kept;
        e->kept_done = e->done;
        e->kept_request = e->request;
    }
    sy_result_destroy(&e->result);
    publish_kept(e);
}

static bool same_pipeline(const engine_request *a, const engine_request *b)
{
    if (a->count != b->count || a->steps != b->steps || a->sampler != b->sampler || a->guidance != b->guidance ||
        a->n_settings != b->n_settings || a->taps != b->taps || a->timings != b->timings)
        return false;
    for (uint32_t i = 0; i < a->n_settings; i++)
        if (strcmp(a->settings[i].name, b->settings[i].name) || strcmp(a->settings[i].value, b->settings[i].value))
            return false;
    return true;
}

static bool ended(engine *e)
{
    pthread_mutex_lock(&e->lock);
    bool ended = e->stop || e->cancel || e->run_wanted || e->open_wanted;
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

static sy_status make_pipeline(engine *e, const engine_request *r)
{
    static const char *const taps[] = {"?preview", "?*.route", "?*.scores", "?velocity", "?guidance", "?*.map",
                                       "?sampler.skipped", "?*.skip_energy", "?*.executed"};
    sy_named_setting settings[ENGINE_SETTINGS];
    for (uint32_t i = 0; i < r->n_settings; i++)
        settings[i] = (sy_named_setting){r->settings[i].name, r->settings[i].value};
    const sy_pipeline_params params = {.device = *e->device ? e->device : NULL,
                                       .count = r->count,
                                       .steps = r->steps,
                                       .sampler = r->sampler,
                                       .guidance = r->guidance,
                                       .taps = taps,
                                       .n_taps = r->taps ? sizeof taps / sizeof *taps : 1,
                                       .settings = settings,
                                       .n_settings = r->n_settings,
                                       .timings = r->timings,
                                       .history = true,
                                       .loading = on_loading,
                                       .user = e};
    return sy_pipeline_create(e->model, &params, &e->pipeline);
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

static sy_status run_pipeline(engine *e, const engine_request *r)
{
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
                                       .progress = on_progress,
                                       .user = e};
    return sy_generate(e->pipeline, &params, &e->result);
}

static void publish_run(engine *e, const engine_request *r, const sy_history *history)
{
    const sy_pipeline_info *info = sy_pipeline_get_info(e->pipeline);
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->current = history;
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
    publish_phase(e, ENGINE_COMPILING);
    keep_run(e);
    sy_status status = SY_OK;
    if (!e->pipeline || !same_pipeline(&e->request, r)) {
        drop_pipeline(e);
        status = make_pipeline(e, r);
    }
    e->done = 0;
    e->request = *r;
    if (status == SY_OK)
        status = sy_pipeline_history(e->pipeline, &history);
    if (status == SY_OK) {
        publish_run(e, r, history);
        status = run_pipeline(e, r);
    }
    if (status == SY_OK)
        publish_result(e, r);
    else
        publish_failure(e, status);
}

static void *work(void *argument)
{
    engine *e = argument;
    engine_request *r = malloc(sizeof *r);
    pthread_mutex_lock(&e->lock);
    while (r && !e->stop) {
        if (!e->open_wanted && !e->run_wanted) {
            pthread_cond_wait(&e->news, &e->lock);
            continue;
        }
        const bool run = e->run_wanted, same = e->model && !strcmp(e->model_path, e->wanted.model);
        const engine_phase before = e->state.phase;
        *r = e->wanted;
        e->open_wanted = e->run_wanted = e->cancel = false;
        e->state.run += run;
        e->state.phase = ENGINE_OPENING;
        e->state.message[0] = e->state.note[0] = 0;
        e->state.status = SY_OK;
        pthread_mutex_unlock(&e->lock);
        if (run)
            generate(e, r);
        else if (open_model(e, r))
            publish_phase(e, same ? before : ENGINE_IDLE);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    free(r);
    sy_kept_destroy(&e->kept);
    drop_pipeline(e);
    sy_model_destroy(&e->model);
    return NULL;
}

/* ---- the drawing thread's side ---- */

engine *engine_start(sy_context *context, const char *device, void (*wake)(void))
{
    engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->context = context;
    e->wake = wake;
    snprintf(e->device, sizeof e->device, "%s", device ? device : "");
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->news, NULL);
    if (pthread_create(&e->thread, NULL, work, e) == 0)
        return e;
    pthread_cond_destroy(&e->news);
    pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

void engine_stop(engine **handle)
{
    engine *e = *handle;
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_broadcast(&e->news);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    pthread_cond_destroy(&e->news);
    pthread_mutex_destroy(&e->lock);
    free(e);
    *handle = NULL;
}

static void ask(engine *e, const engine_request *request, bool run)
{
    pthread_mutex_lock(&e->lock);
    e->wanted = *request;
    e->run_wanted = e->run_wanted || run;
    e->open_wanted = true;
    pthread_cond_broadcast(&e->news);
    pthread_mutex_unlock(&e->lock);
}

void engine_open(engine *e, const engine_request *request)
{
    ask(e, request, false);
}

void engine_generate(engine *e, const engine_request *request)
{
    ask(e, request, true);
}

void engine_cancel(engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->cancel = true;
    e->run_wanted = e->open_wanted = false;
    pthread_mutex_unlock(&e->lock);
}

bool engine_busy(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_phase phase = e->state.phase;
    bool busy = e->open_wanted || e->run_wanted || phase == ENGINE_OPENING || phase == ENGINE_COMPILING ||
                phase == ENGINE_RUNNING;
    pthread_mutex_unlock(&e->lock);
    return busy;
}

void engine_look(engine *e, engine_state *state)
{
    pthread_mutex_lock(&e->lock);
    *state = e->state;
    pthread_mutex_unlock(&e->lock);
    state->info.device = state->device;
    state->info.sampler = state->sampler;
}

void engine_let_go(engine *e, uint64_t epoch)
{
    pthread_mutex_lock(&e->lock);
    e->let_go = epoch;
    pthread_cond_broadcast(&e->news);
    pthread_mutex_unlock(&e->lock);
}
