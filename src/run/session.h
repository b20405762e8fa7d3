/* A session: compiled programs with memory, running on a device or in the reference evaluator.
 *
 * A session owns the buffers of its programs' spaces, their pipelines and, for each program, one recorded command
 * buffer (a few, where a step is longer than a submission may be) that is replayed whenever the program runs; the
 * step's index is counted on the device. A run submits everything without reading back and waits for the device once,
 * at its end.
 *
 * Programs share inputs, states, weights and the step table: states and inputs by name, weights by what they are made
 * of (those that several programs use are stored once). `init` runs once, then the step programs as the schedule says;
 * with a single one that is n_steps times. Without init, states begin as zeros. With n_steps = 1 and no states this is
 * simply "run a graph".
 *
 * What is not known before is decided on the device: a step program may name a condition, a state i32[1]. Whenever its
 * turn comes it runs if that state is not 0; else none of its work is done, nothing it carries changes, and its step
 * outputs of that step are zeros. Its dispatches are sized by a few words in device memory, which a small kernel fills
 * or zeroes at its beginning: no host in between and no optional feature.
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

/* One of the programs that make up the steps. */
typedef struct sy_session_program {
    const sy_program *program;
    const char *condition; /* name of a state i32[1], borrowed: it runs where that is not 0; NULL: always */
    bool same_step;        /* what the schedule has after it belongs to the same step */
} sy_session_program;

enum { SY_SESSION_PROGRAMS = 15 };

/* Whether dispatches are timed, and how they run while they are. */
typedef enum sy_session_timing {
    SY_TIMING_NONE,
    SY_TIMING_OVERLAP, /* as planned: a time is what a dispatch adds to all before it */
    SY_TIMING_SERIAL   /* each alone: a barrier before every one */
} sy_session_timing;

typedef struct sy_session_params {
    struct sy_vk_device *device;        /* NULL: the reference evaluator */
    const sy_program *init;             /* may be NULL */
    const sy_program *step;             /* the one step program; NULL: those of `programs` */
    const sy_session_program *programs; /* at most SY_SESSION_PROGRAMS; copied */
    const uint32_t *schedule; /* which of them runs, one after another; n_steps of those end a step. Copied. NULL: the
                                 first, again and again */
    uint32_t n_programs, n_schedule;
    const struct sy_safetensors *weights; /* NULL where no program has parameters */
    const float *table;                   /* n_steps rows of the columns both programs were compiled with; copied */
    const char *const *columns;           /* their names; borrowed like the programs */
    uint32_t n_columns, n_steps;          /* n_steps 0: 1 */
    sy_session *reuse; /* on the same device: kernels and, where `weights` are the same, weights that it has are used
                          again. Either may be destroyed first. NULL: none */
    const char *cache_directory;          /* for the driver's pipeline cache; NULL: none */
    bool (*loading)(void *context, uint64_t done, uint64_t total); /* bytes of weights; may be NULL; false cancels */
    void *context;
    sy_session_timing timings; /* of every dispatch of the step programs, see sy_session_timings */
    bool history;     /* step outputs stay on the device (switchyard_vulkan.h): none is copied to the host, but for `told` */
    const char *told; /* with history: the name of one that is; NULL: none. Borrowed */
    double slice_seconds; /* no submission is expected to take longer, and two are in flight: others share the queue.
                             Goes by what was measured. 0: no such bound */
} sy_session_params;

typedef struct sy_session_stats {
    double load_seconds, pipeline_seconds;      /* of sy_session_create: weights, pipelines */
    double run_seconds, first_dispatch_seconds; /* of the last run; from its call to its first submission */
    uint64_t device_bytes, host_bytes;          /* memory of this session */
    uint32_t pipelines;
    bool pipeline_cache_hit;
    uint32_t segments;                   /* command buffers a step, of the program that has most */
    uint64_t weight_bytes, shared_bytes; /* weights used; what storing them for each program anew would add */
    uint64_t reused_bytes;               /* of weight_bytes: those that were on the device already */
    uint32_t submissions, host_waits;    /* of the last run */
    double longest_predicted_seconds;    /* of one submission; 0 on CPU drivers, which are not bounded */
    double longest_seconds;              /* with slice_seconds: that a submission took, as far as the host could see */
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

/* What can be read after a run: outputs (step outputs have n_slices = n_steps; those of steps in which the program did
 * not run are zeros; with history they cannot be read) and states. Of an output that several programs have, that of the one scheduled last. The data is
 * as stored, valid until the next run, NULL for what stays on the device; slices are `step_bytes` apart. */
typedef struct sy_session_result {
    const char *name;
    sy_type type;
    const void *data;
    uint64_t bytes, step_bytes; /* of one slice; distance between slices */
    uint32_t n_slices;
    uint32_t program; /* outputs: whose it is */
} sy_session_result;
bool sy_session_read(const sy_session *session, const char *name, sy_session_result *result, sy_error *error);
/* The outputs of the step programs by index, program after program, for listing; false past the end. */
bool sy_session_output(const sy_session *session, uint32_t index, sy_session_result *result);
/* True if the schedule has the program in the step (whether its condition held is another matter). */
bool sy_session_scheduled(const sy_session *session, uint32_t program, uint32_t step);

/* When each dispatch of a step program began and ended (two numbers a dispatch) as it last ran in the last run: seconds of
 * the device's clock since the program's first. NULL if not asked for, if the schedule has not got the program, or if
 * the device has no timestamps. */
const double *sy_session_timings(const sy_session *session, uint32_t program);
/* The head of a route as a turn left it. */
typedef struct sy_route_head {
    uint32_t first;        /* the first dispatch of the program that reads it */
    sy_type type;
    const uint32_t *words; /* slots in use, offsets of targets [targets + 1], row tiles */
    uint64_t offset;       /* private */
} sy_route_head;
/* The routes of a program by their first readers, into `out` (room for n_dispatches); returns how many. */
uint32_t sy_session_heads(const sy_program *program, sy_route_head *out);

typedef struct sy_session_turn {
    uint32_t program, step;
    const double *times;        /* as of sy_session_timings; NULL: not timed */
    double begun;               /* their zero, in seconds of the device's clock */
    const sy_route_head *heads; /* where routes are observed */
    uint32_t n_heads;
} sy_session_turn;

/* What is watched of a session's runs from now on. */
typedef struct sy_session_observer {
    sy_session_timing timing;
    bool routes; /* look at every route: adds copies to a step, so times of such a run are not those of the program */
    bool (*turn)(void *context, const sy_session_turn *turn); /* after each turn of the schedule, which is then waited for
                                                                 before the next begins; false cancels. May be NULL */
    void *context;
} sy_session_observer;

/* NULL: nothing is watched. Takes effect with the next run; results of earlier ones are gone. UNAVAILABLE on the reference
 * evaluator. */
bool sy_session_observe(sy_session *session, const sy_session_observer *observer, sy_error *error);

/* Seconds between two readings of a counter of so many bits and nanoseconds a tick, which may have come round once. */
double sy_ticks_seconds(uint64_t from, uint64_t to, uint32_t bits, double period);

const sy_session_stats *sy_session_get_stats(const sy_session *session);

#endif
