/* Hardware counters of every dispatch of a session: VK_KHR_performance_query. Not for others than the profiler. */
#ifndef SY_RUN_COUNT_H
#define SY_RUN_COUNT_H

#include "src/device/device.h"
#include "src/run/session.h"

/* What was read. A dispatch that is split into parts, so that submissions stay short, has as many rows. */
typedef struct sy_count_row {
    uint32_t program, dispatch;
    const VkPerformanceCounterResultKHR *results; /* one a counter, in the order asked for; how to read them their storage says */
} sy_count_row;

typedef struct sy_counts {
    const sy_count_row *rows;
    uint32_t n;
} sy_counts;

/* Runs the session's schedule once a pass and reads these counters of every dispatch, each alone, in the last turn that each
 * step program has. `counters`: indices as the driver numbers them, rising; `passes`: what sy_counters_passes says of
 * them. Inputs must be written; results of earlier runs are gone. Rows are on `arena`.
 * The device must have been opened by sy_counters_device. UNAVAILABLE where it was not, where the driver lets nobody or
 * somebody else profile, or where the counters were not read after all; else errors as of sy_session_run. */
bool sy_session_count(sy_session *session, const uint32_t *counters, uint32_t n_counters, uint32_t passes, sy_arena *arena,
                      sy_counts *out, sy_error *error);

#endif
