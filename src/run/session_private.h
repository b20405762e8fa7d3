/* Inside a session: what the device and the reference session share. Not for others. */
#ifndef SY_RUN_SESSION_PRIVATE_H
#define SY_RUN_SESSION_PRIVATE_H

#include "graph/base/arena.h"
#include "src/run/session.h"

/* A named range of the session's own: inputs, states and outputs are laid out by name, once for both programs. */
typedef struct sy_slot {
    const char *name;
    sy_type type;
    uint64_t bytes; /* of one slice */
    uint64_t
        offset; /* inputs: in host and device input memory; states: in state memory; outputs: in the program's space */
    uint64_t step_bytes; /* step outputs: distance between slices */
    uint32_t n_slices;
    uint32_t program, buffer; /* outputs: of which step program, which buffer of its OUTPUT space */
    uint64_t result; /* states and outputs: offset in the results */
    bool written;    /* inputs */
    bool held;       /* outputs: stays on the device, has no result */
} sy_slot;

typedef struct sy_session_backend {
    bool (*observe)(sy_session *session, sy_error *error); /* session->observer has changed */
    bool (*run)(sy_session *session, sy_session_progress *progress, void *context, sy_error *error);
    void (*destroy)(sy_session *session);
} sy_session_backend;

/* One turn of the schedule. */
typedef struct sy_turn {
    uint32_t program, step;
    bool ends_step;
} sy_turn;

struct sy_session {
    sy_arena arena;
    sy_session_params params; /* table and programs are the session's own copies, n_steps and n_programs at least 1 */
    sy_turn *turns;
    uint32_t n_turns;
    const sy_session_backend *backend;
    void *state; /* of the backend */
    sy_slot *inputs, *states, *outputs;
    uint32_t n_inputs, n_states, n_outputs;
    uint64_t input_bytes, state_bytes, result_bytes;
    uint8_t *input_memory;  /* host side; set by the backend */
    const uint8_t *results; /* host side; set by the backend's run */
    sy_session_observer observer;
    double *timings[SY_SESSION_PROGRAMS]; /* by step program, set by the backend, or NULL */
    bool ran;
    sy_error lost; /* the first loss of the device; sticky */
    sy_session_stats stats;
};

bool sy_session_reference_create(sy_session *session, sy_error *error);
bool sy_session_device_create(sy_session *session, sy_error *error);

/* The slot of that name; NULL if there is none. */
const sy_slot *sy_slot_find(const sy_slot *slots, uint32_t n, const char *name);

/* Seconds of a clock that never jumps. */
double sy_seconds(void);

#endif
