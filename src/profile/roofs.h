/* The roofs of a device: measured by kernels that do one thing only, through the same sessions and timestamps as everything
 * else, and kept by device and driver. */
#ifndef SY_PROFILE_ROOFS_H
#define SY_PROFILE_ROOFS_H

#include "src/device/device.h"
#include "src/profile/report.h"

/* On a device of its own beside `device`, with the features that f16, int8 and matrices need where it has them. What cannot be
 * measured has value 0 and a note that says why. `arena` gets the notes. */
bool sy_roofs_measure(const sy_vk_device *device, const char *cache_directory, sy_arena *arena, sy_roofs *roofs, sy_error *error);

/* From the cache if they are there (then `cached` is set), else measured and put there. A cache that cannot be written is no
 * error; `again`: measured in any case. */
bool sy_roofs_get(const sy_vk_device *device, const char *cache_directory, bool again, sy_arena *arena, sy_roofs *roofs,
                  sy_error *error);

/* JSON, for the cache and for reports. */
struct cJSON;
struct cJSON *sy_roofs_to_json(const sy_roofs *roofs);
bool sy_roofs_from_json(const struct cJSON *list, sy_arena *arena, sy_roofs *roofs, sy_error *error);

#endif
