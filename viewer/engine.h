/* The engine: a thread that owns the context's models and pipelines, compiles and generates, while the drawing thread goes
 * on. Requests in, a published state out; between them one mutex, held for copies of small structs only.
 *
 * What a state points to (model, histories, result) stays as it is until the engine wants it back. It then publishes a
 * state without those pointers and a new epoch, and waits until the drawing thread says, with engine_let_go, that it
 * neither keeps the old pointers nor has anything on the device that reads what they led to. */
#ifndef SY_VIEWER_ENGINE_H
#define SY_VIEWER_ENGINE_H

#include "src/switchyard_vulkan.h"

enum { ENGINE_PATH = 1024, ENGINE_TEXT = 1024, ENGINE_NAME = 48, ENGINE_VALUE = 96, ENGINE_SETTINGS = 32, ENGINE_PICTURES = 16, ENGINE_STEERS = 32 };

/* sy_steer, with its route's name. "": all routes. */
typedef struct engine_steer {
    char route[64];
    sy_steer rule; /* route is NULL here */
} engine_steer;

/* What a run is made of. Zero: the model's default, as in switchyard.h. */
typedef struct engine_request {
    char model[ENGINE_PATH];
    char prompt[ENGINE_TEXT]; /* " | " between those of several pictures; what is prompted by class reads a number */
    char negative[ENGINE_TEXT];
    uint32_t seed, count, steps;
    sy_sampler sampler;
    double guidance;
    struct {
        char name[ENGINE_NAME], value[ENGINE_VALUE];
    } settings[ENGINE_SETTINGS];
    uint32_t n_settings;
    engine_steer steers[ENGINE_STEERS];
    uint32_t n_steers;
    bool taps;    /* routes, attention and what else overlays draw; else the pictures alone. Not part of what is saved */
    bool timings; /* time every dispatch */
} engine_request;

typedef enum engine_phase {
    ENGINE_IDLE, /* nothing was asked for */
    ENGINE_OPENING,
    ENGINE_COMPILING, /* and loading weights: fraction */
    ENGINE_RUNNING,
    ENGINE_DONE,
    ENGINE_CANCELLED,
    ENGINE_FAILED
} engine_phase;

typedef struct engine_dispatch {
    char name[96], layer[64], kind[24];
    double begin, seconds, flops, bytes;
} engine_dispatch;

typedef struct engine_state {
    uint64_t epoch;
    engine_phase phase;
    sy_status status;
    char message[2048];  /* of ENGINE_FAILED: what, where, what to do */
    char note[512];      /* something that could not be done, though the run goes on */
    uint32_t run;        /* runs begun so far */
    sy_progress progress;
    double loading;      /* ENGINE_COMPILING: part of the weights there */
    const sy_model_info *model;  /* NULL: none open */
    char model_path[ENGINE_PATH]; /* as it was asked for */
    const sy_history *current;   /* of this run; rows below `done` can be drawn. NULL: none yet */
    uint32_t done;               /* rows of current that are complete: also after a cancelled run */
    const sy_history *before;    /* the run before, kept to compare; NULL: none */
    uint32_t before_done;
    uint32_t current_run, before_run; /* numbers of these runs, counted from 1 */
    const sy_result *result;     /* of a finished run */
    const sy_result *second;     /* the same on another device (engine_second), with its taps; NULL: none */
    char second_device[256];
    engine_request request, before_request; /* what current and before were made with */
    char device[256], sampler[32];          /* of current */
    sy_pipeline_info info;                  /* of current; its texts are device and sampler above */
    const engine_dispatch *dispatches;      /* of the last evaluation, where timings were asked for */
    uint32_t n_dispatches;
    double seconds;                         /* of a finished run */
} engine_state;

typedef struct engine engine;

/* The context is the engine's until engine_stop. wake: called on the engine's thread whenever there is news. */
engine *engine_start(sy_context *context, const char *device, void (*wake)(void));
/* Cancels, waits for the step that runs, gives back everything; nothing of it may be in flight on the drawing queue. */
void engine_stop(engine **e);

/* Opens the model, if it is another one, and makes nothing. */
void engine_open(engine *e, const engine_request *request);
/* Cancels what runs, and makes this. */
void engine_generate(engine *e, const engine_request *request);
/* Makes what the last run was made of once more on another device, and publishes `second`. */
void engine_second(engine *e, const char *device);
/* Writes the routes of the run that ended (sy_history_save_routes); at most one at a time. */
void engine_save_routes(engine *e, const char *path);
/* Over; *failed: and why. */
bool engine_routes_saved(engine *e, bool *failed, char *why, size_t size);
void engine_cancel(engine *e);
bool engine_busy(engine *e); /* something runs or is about to */

void engine_look(engine *e, engine_state *state); /* state->epoch as seen */
void engine_let_go(engine *e, uint64_t epoch);

const char *engine_phase_text(engine_phase phase);
/* Copies prompt number `index` of those between " | "; the last for any past the end. Returns how many there are. */
uint32_t engine_prompt_at(const char *prompts, uint32_t index, char *out, size_t size);

#endif
