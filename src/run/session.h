/* A session: compiled programs with memory, running on a device or in the reference evaluator.
 *
 * A session owns the buffers of its programs' spaces, their pipelines and one recorded command buffer (a few, where a
 * step is longer than a submission may be) that is replayed for every step; the step's index is counted on the
 * device. A run submits everything without reading back and waits for the device once, at its end.
 *
 * Two programs share the states by name: `init` runs once, then `step` n_steps times. Without init, states begin as
 * zeros. With n_steps = 1 and no states this is simply "run a graph".
 *
 * Thread safety: one thread at a time, and the device's rules (device.h). Programs, device and weights are borrowed:
 * programs and device must outlive the session; weights are needed until sy_session_create returns, and with the
 * reference evaluator until the session is destroyed. */
#ifndef SY_RUN_SESSION_H
#define SY_RUN_SESSION_H

#include "graph/program.h"

struct sy_vk_device;
struct sy_safetensors;

typedef struct sy_session sy_session;

typedef struct sy_session_params {
    struct sy_vk_device *device; /* NULL: the reference evaluator */
    const sy_program *init;      /* may be NULL */
    const sy_program *step;
    const struct sy_safetensors *weights; /* NULL where no program has parameters */
    const float *table;                   /* n_steps rows of the columns both programs were compiled with; copied */
    const char *const *columns;           /* their names; borrowed like the programs */
    uint32_t n_columns, n_steps;          /* n_steps 0: 1 */
    const char *cache_directory;          /* for the driver's pipeline cache; NULL: none */
    bool (*loading)(void *context, uint64_t done, uint64_t total); /* bytes of weights; may be NULL; false cancels */
    void *context;
    bool timings;                 /* time every dispatch of the step program, see sy_session_timings */
} sy_session_params;

typedef struct sy_session_stats {
    double load_seconds, pipeline_seconds;      /* of sy_session_create: weights, pipelines */
    double run_seconds, first_dispatch_seconds; /* of the last run; from its call to its first submission */
    uint64_t device_bytes, host_bytes;          /* memory of this session */
    uint32_t pipelines;
    bool pipeline_cache_hit;
    uint32_t segments;                /* command buffers a step */
    uint32_t submissions, host_waits; /* of the last run */
    double longest_predicted_seconds; /* of one submission; 0 on CPU drivers, which are not bounded */
} sy_session_stats;

/* NULL on error. Weights are checked (all there, right shapes) before anything is allocated. */
sy_session *sy_session_create(const sy_session_params *params, sy_error *error);
void sy_session_destroy(sy_session **session);

/* Gives input `name` its content as stored (sy_type_bytes of its type); kept until written again. */
bool sy_session_write(sy_session *session, const char *name, const void *data, uint64_t bytes, sy_error *error);

/* Called now and then from within sy_session_run on the same thread: `done` of `total` steps are complete. False
 * cancels: what is in flight (a few submissions) ends, the run fails with SY_CODE_CANCELLED, and the session can run
 * again. */
typedef bool sy_session_progress(void *context, uint32_t done, uint32_t total);

/* All inputs must have been written. Fails with SY_CODE_DEVICE_LOST once and for all when the device is lost. */
bool sy_session_run(sy_session *session, sy_session_progress *progress, void *context, sy_error *error);

/* What can be read after a run: outputs (step outputs have n_slices = n_steps of the step program) and states. NULL if
 * there is no such name. The data is as stored, valid until the next run; slices are `step_bytes` apart. */
typedef struct sy_session_result {
    const char *name;
    sy_type type;
    const void *data;
    uint64_t bytes, step_bytes; /* of one slice; distance between slices */
    uint32_t n_slices;
} sy_session_result;
bool sy_session_read(const sy_session *session, const char *name, sy_session_result *result, sy_error *error);
/* The outputs of the step program by index, for listing; false past the end. */
bool sy_session_output(const sy_session *session, uint32_t index, sy_session_result *result);

/* Seconds of each dispatch of the step program in the last step of the last run; NULL if not asked for, or if the device
 * has no timestamps. */
const double *sy_session_timings(const sy_session *session);

const sy_session_stats *sy_session_get_stats(const sy_session *session);

#endif
