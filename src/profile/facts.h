/* What the system and the driver say beside times: clocks, compiled shaders, hardware counters. */
#ifndef SY_PROFILE_FACTS_H
#define SY_PROFILE_FACTS_H

#include "graph/program.h"
#include "src/device/device.h"
#include "src/profile/report.h"

/* Clock rates that the operating system tells, into the report's clocks as "NAME, WHEN"; none is fine. */
void sy_clocks_read(sy_profile_report *report, const char *when);

/* Where both clocks can be read at one moment: what to add to device times to get host times. A bounded number of tries; false
 * where the device cannot. */
bool sy_clocks_calibrate(const sy_vk_device *device, sy_profile_report *report);

/* Registers, spills, occupancy and whatever else the driver says of each compiled kernel (VK_KHR_pipeline_executable_properties),
 * from pipelines made for that alone; does nothing where the driver has nothing to say. */
bool sy_executable_facts(const sy_vk_device *device, const sy_program *const *programs, uint32_t n_programs, sy_profile_report *report,
                         sy_error *error);
/* What the driver answered for one executable, as facts; `prefix` (the executable's name) stands before each where there are
 * several. Returns how many were added at `out`. */
uint32_t sy_executable_decode(const VkPipelineExecutableStatisticKHR *statistics, uint32_t n, const char *prefix, sy_arena *arena,
                              sy_profile_fact *out);

#endif
