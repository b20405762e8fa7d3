/* The engine's inside: engine.c publishes and takes requests, engine_work.c is the thread. */
#ifndef SY_VIEWER_ENGINE_PRIVATE_H
#define SY_VIEWER_ENGINE_PRIVATE_H

#include "viewer/engine.h"

#include <pthread.h>

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
    bool open_wanted, run_wanted, second_wanted, cancel, stop;
    char second_device[256];
    bool save_wanted, save_over, save_failed;
    char save_path[ENGINE_PATH], save_why[500];
    uint64_t let_go;

    /* The engine thread's own. */
    sy_model *model;
    sy_pipeline *pipeline;
    sy_result *result, *second;
    sy_kept *kept;
    engine_request request; /* what the pipeline was made for */
    engine_request kept_request;
    uint32_t run, done, kept_run, kept_done; /* number of the run, rows */
    engine_dispatch *dispatches;
    char model_path[ENGINE_PATH];
};

void *engine_work(void *engine);

/* On the engine's thread. */
void engine_publish_phase(engine *e, engine_phase phase);
void engine_publish_note(engine *e, const char *text);
void engine_publish_failure(engine *e, sy_status status); /* with the context's message */
void engine_publish_kept(engine *e);                      /* model and the run before */
/* Takes the pointers back, and waits until nobody uses what they led to. */
void engine_withdraw(engine *e);
void engine_withdraw_second(engine *e);

#endif
