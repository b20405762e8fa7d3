/* Hardware counters in profiles: which are meant by names, what the driver's results are as facts, and a list for people. All
 * but sy_counters_measure are functions of what they are given, no device needed. */
#ifndef SY_PROFILE_COUNTERS_H
#define SY_PROFILE_COUNTERS_H

#include "src/device/counters.h"
#include "src/profile/report.h"
#include "src/run/count.h"

/* The index that the device has in its instance. */
uint32_t sy_counters_index(const sy_vk_device *device);

/* The indices of the counters that `names` means, each once, rising, into *chosen on the arena. `names`: with commas between, each
 * a counter's name or a category, case aside, or "all". NOT_FOUND names the first that means nothing here. */
bool sy_counters_choose(const sy_counters *counters, const char *names, sy_arena *arena, uint32_t **chosen, uint32_t *n, sy_error *error);

/* "%", "ns", "B/s", "cycles", …; "" of a plain number or one of a later specification. */
const char *sy_counter_unit(VkPerformanceCounterUnitKHR unit);
/* What a result is by its storage; false: of a later specification. */
bool sy_counter_value(VkPerformanceCounterStorageKHR storage, const VkPerformanceCounterResultKHR *result, double *value);

/* The results of one dispatch, all its rows, as facts: amounts (numbers, bytes, cycles, time) of its parts are added up, and of
 * rates, shares and levels the mean is taken. Returns how many facts there are at `out`, which has room for n. */
uint32_t sy_counters_facts(const sy_counters *counters, const uint32_t *chosen, uint32_t n, const sy_count_row *const *rows,
                           uint32_t n_rows, sy_arena *arena, sy_profile_fact *out);

/* One a line: name, unit, category, what it is. */
void sy_counters_print(const sy_counters *counters, sy_text *out);

/* Reads the counters named of every dispatch of the report, which must be described. UNAVAILABLE where this device, or this user,
 * cannot; INVALID_ARGUMENT where they take more runs than is sensible. Results of the session's earlier runs are gone. */
bool sy_counters_measure(sy_session *session, const sy_vk_device *device, const char *names, sy_profile_report *report, sy_error *error);

#endif
