/* Measuring a session into a report: its programs again and again, plainly and in the modes asked for, in turn, so that what
 * the machine does meanwhile hits all alike. Knows sessions and programs, not where they came from. */
#ifndef SY_PROFILE_MEASURE_H
#define SY_PROFILE_MEASURE_H

#include "graph/program.h"
#include "src/profile/report.h"
#include "src/run/session.h"

typedef struct sy_measure_params {
    sy_session *session; /* its inputs are written */
    const sy_program *const *programs; /* the session's step programs ... */
    const char *const *names;          /* ... and what they are called */
    const uint32_t *schedule;          /* as the session's; NULL: the first, n_schedule times */
    uint32_t n_programs, n_schedule;
    bool modes[SY_MODES];
    uint32_t repeats, warmups; /* whole runs, of each way of running */
    bool (*progress)(void *user, const char *what, uint32_t done, uint32_t total); /* may be NULL; false cancels */
    void *user;
} sy_measure_params;

/* Everything of the report that programs say: programs, dispatches, kernels, buffers, routes' types. No times yet. */
bool sy_profile_describe(const sy_measure_params *params, sy_profile_report *report, sy_error *error);
/* Times, and routes. The report knows whether the device has timestamps; without them only host times are taken. */
bool sy_profile_measure(const sy_measure_params *params, sy_profile_report *report, sy_error *error);

/* Where arena memory of a program is alive, into the report's buffers. */
bool sy_profile_lives(const sy_program *program, uint32_t index, uint32_t first, sy_profile_report *report, sy_error *error);

/* What SPIR-V itself says: instructions by class, workgroup size, and which arithmetic it is made of. */
bool sy_spirv_facts(const uint32_t *words, size_t n_words, sy_arena *arena, sy_profile_kernel *kernel);

/* "layer: ops": where the layer ends, and the ops ("" without). */
size_t sy_label_split(const char *label, const char **ops);

#endif
