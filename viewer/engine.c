/* See engine.h. */
#include "viewer/engine_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void engine_publish_phase(engine *e, engine_phase phase)
{
    pthread_mutex_lock(&e->lock);
    e->state.phase = phase;
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

void engine_publish_note(engine *e, const char *text)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->state.note, sizeof e->state.note, "%s", text);
    pthread_mutex_unlock(&e->lock);
}

void engine_publish_failure(engine *e, sy_status status)
{
    const char *message = sy_context_message(e->context);
    pthread_mutex_lock(&e->lock);
    e->state.phase = status == SY_ERROR_CANCELLED ? ENGINE_CANCELLED : ENGINE_FAILED;
    e->state.status = status;
    snprintf(e->state.message, sizeof e->state.message, "%s", *message ? message : sy_status_text(status));
    pthread_mutex_unlock(&e->lock);
    e->wake();
}

/* Begins an epoch, gives back the lock that is held, and waits until the one before is let go. */
static void await_let_go(engine *e)
{
    uint64_t epoch = ++e->state.epoch;
    pthread_mutex_unlock(&e->lock);
    e->wake();
    pthread_mutex_lock(&e->lock);
    while (e->let_go < epoch && !e->stop)
        pthread_cond_wait(&e->news, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

void engine_withdraw(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->current = s->before = NULL;
    s->done = s->before_done = 0;
    s->result = s->second = NULL;
    s->model = NULL;
    s->dispatches = NULL;
    s->n_dispatches = 0;
    await_let_go(e);
}

void engine_withdraw_second(engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->state.second = NULL;
    await_let_go(e);
}

void engine_publish_kept(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_state *s = &e->state;
    s->model = e->model ? sy_model_get_info(e->model) : NULL;
    memcpy(s->model_path, e->model_path, sizeof s->model_path);
    s->before = e->kept ? sy_kept_history(e->kept) : NULL;
    s->before_done = e->kept_done;
    s->before_run = e->kept_run;
    s->before_request = e->kept_request;
    pthread_mutex_unlock(&e->lock);
    e->wake();
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
    if (pthread_create(&e->thread, NULL, engine_work, e) == 0)
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

void engine_second(engine *e, const char *device)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->second_device, sizeof e->second_device, "%s", device);
    e->second_wanted = true;
    pthread_cond_broadcast(&e->news);
    pthread_mutex_unlock(&e->lock);
}

void engine_save_routes(engine *e, const char *path)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->save_path, sizeof e->save_path, "%s", path);
    e->save_wanted = true;
    e->save_over = false;
    pthread_cond_broadcast(&e->news);
    pthread_mutex_unlock(&e->lock);
}

bool engine_routes_saved(engine *e, bool *failed, char *why, size_t size)
{
    pthread_mutex_lock(&e->lock);
    bool over = e->save_over;
    *failed = e->save_failed;
    snprintf(why, size, "%s", e->save_why);
    pthread_mutex_unlock(&e->lock);
    return over;
}

void engine_cancel(engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->cancel = true;
    e->run_wanted = e->open_wanted = e->second_wanted = false;
    pthread_mutex_unlock(&e->lock);
}

bool engine_busy(engine *e)
{
    pthread_mutex_lock(&e->lock);
    engine_phase phase = e->state.phase;
    bool busy = e->open_wanted || e->run_wanted || e->second_wanted || phase == ENGINE_OPENING || phase == ENGINE_COMPILING ||
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
