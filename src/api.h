/* Behind the public handles. Not for others. */
#ifndef SY_API_H
#define SY_API_H

#include "graph/base/arena.h"
#include "graph/tuning.h"
#include "graph/import/clip_tokenizer.h"
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "src/device/device.h"
#include "src/run/session.h"
#include "src/sample/sampling.h"
#include "src/switchyard.h"
#include "src/switchyard_vulkan.h"

enum { SY_OPEN_DEVICES = 16 };

struct sy_context {
    sy_arena arena;
    char *cache_directory; /* NULL: none */
    bool validation;
    void (*message)(void *user, const char *text);
    void *message_user;
    bool counters; /* devices are opened so that their hardware counters can be read */
    bool drawing; /* sy_context_params.vulkan was given: */
    sy_vulkan_params wishes;
    bool looked; /* for Vulkan; instance may still be NULL */
    sy_vk_instance *instance;
    sy_error no_instance;                /* why it is NULL */
    sy_vk_device *open[SY_OPEN_DEVICES]; /* by physical index; opened once, kept */
    sy_tuning tuning[SY_OPEN_DEVICES];   /* what is known of open[i]; read when it is first asked for */
    bool tuning_read[SY_OPEN_DEVICES];
    const sy_tuning *trial; /* by the tuner, in place of what is known; NULL: none */
    sy_device_info *infos;               /* of the physical devices, then of the reference */
    size_t n_infos;
    sy_error error;
};

struct sy_model {
    sy_context *context;
    sy_arena arena;
    sy_safetensors *file;
    sy_network_config config;
    sy_vocabulary *vocabulary; /* prompted by words; else NULL */
    sy_clip_tokenizer *tokenizer; /* prompted by text; else NULL */
    sy_model_info info;
};

struct sy_pipeline {
    sy_model *model;
    sy_sampling sampling;
    sy_program *init, *programs[SY_SAMPLING_PROGRAMS]; /* as in sampling.programs */
    sy_session *session;
    sy_pipeline_info info;
    char device[300];
    bool timings;
    sy_arena times_arena; /* of what sy_pipeline_dispatches lists */
    sy_dispatch_time *times[SY_SAMPLING_PROGRAMS]; /* by program; NULL: not asked for yet */
    sy_arena arena;
    sy_history *history; /* NULL: not asked for; on the arena */
};

/* Ends a public call: keeps the error as the context's message. */
sy_status sy_api_done(sy_context *context, const sy_error *error);

/* The device that a name, an index or NULL means; *device NULL: the reference evaluator. `name` gets what it is called.
 */
bool sy_api_device(sy_context *context, const char *wanted, sy_vk_device **device, char *name, size_t room,
                   sy_error *error);

/* What tunings say of an open device: the file tuning.json in the cache directory, then the file that SWITCHYARD_TUNING
 * names, whose rows go over those. The context's. NULL if that one is broken; a broken one in the cache is as none. */
sy_tuning *sy_api_tuning(sy_context *context, const sy_vk_device *device, sy_error *error);

/* Compiles for a device (NULL: the reference evaluator, no kernels). */
bool sy_api_compile(sy_context *context, const sy_vk_device *device, const sy_graph *graph,
                    const sy_compile_params *wishes, sy_program **program, sy_error *error);

/* One submission of copies on a session's device, waited for; what they wrote can then be read by the host. */
struct sy_device_session;
typedef struct sy_api_copy_of {
    VkBuffer from, to;
    VkBufferCopy what;
} sy_api_copy_of;
bool sy_api_copy(struct sy_device_session *session, const sy_api_copy_of *copies, uint32_t n, sy_error *error);
/* Opens a route from the words that a device left, checking every number. */
bool sy_api_open_route(const char *name, const sy_type *type, const uint32_t *words, uint64_t bytes, sy_arena *arena,
                       sy_route_step *step, sy_error *error);

/* Writes the inputs that steer routes, for a pipeline that has them; else there must be no rules. */
bool sy_api_steer(const sy_pipeline *pipeline, const sy_generate_params *params, sy_error *error);

/* What turn `turn` of the schedule is, in row `row`. */
sy_evaluation sy_api_evaluation(const sy_pipeline *pipeline, uint32_t turn, uint32_t row, bool ran);

/* What the wishes for a history come to on a device, before anything is loaded: whether its steps fit, and the bound of
 * submissions. */
bool sy_api_history_plan(const sy_pipeline *pipeline, const sy_vk_device *device, const sy_pipeline_params *params,
                         double *slice_seconds, sy_error *error);
/* Once there is a session. */
bool sy_api_history_make(sy_pipeline *pipeline, sy_error *error);

/* The step outputs of a finished run as tap results, on `arena`; of the first `steps` steps (0: all). */
bool sy_api_taps(const sy_session *session, uint32_t steps, sy_arena *arena, const sy_tap_result **taps, uint32_t *n_taps,
                 sy_error *error);
/* A session's result as an array; its data is copied to the arena. Routes become words. */
bool sy_api_array(const sy_session_result *result, sy_arena *arena, sy_array *array, sy_error *error);

#endif
