/* Hardware counters of a device, VK_KHR_performance_query: whether it has them, what they are, and a device opened so that
 * they can be read. Reading them is src/run/count.h's. */
#ifndef SY_DEVICE_COUNTERS_H
#define SY_DEVICE_COUNTERS_H

#include "graph/base/arena.h"
#include "src/device/device.h"

enum { SY_MOST_COUNTERS = 8192 /* that a device is believed to have */ };

/* One counter; its index in the list is the driver's. Texts are on the arena, unit, storage and scope as the driver said. */
typedef struct sy_counter {
    const char *name, *category, *description;
    VkPerformanceCounterUnitKHR unit;
    VkPerformanceCounterStorageKHR storage;
    VkPerformanceCounterScopeKHR scope;
    bool slows;    /* reading it slows what runs */
    bool together; /* others running at the same time may change it */
} sy_counter;

typedef struct sy_counters {
    const sy_counter *list;
    uint32_t n;
} sy_counters;

/* Why the counters of a device cannot be read, a whole sentence; NULL: they can. */
const char *sy_counters_missing(const sy_vk_instance *instance, uint32_t index);
/* The same as sy_vk_device_create, and with the feature where the device has it: device->counters says so. */
sy_vk_device *sy_counters_device(sy_vk_instance *instance, uint32_t index, sy_error *error);

/* Those of the queue family that the plan runs on. UNAVAILABLE with the sentence of sy_counters_missing. */
bool sy_counters_list(const sy_vk_instance *instance, uint32_t index, sy_arena *arena, sy_counters *out, sy_error *error);
/* How often the same work must be submitted until all of these are read; 0: the driver gives none. */
uint32_t sy_counters_passes(const sy_vk_device *device, const uint32_t *counters, uint32_t n);

#endif
