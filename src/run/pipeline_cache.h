/* The driver's pipeline cache on disk. The key has everything that matters: device, driver and its version, the
 * driver's own cache identifier. Any mismatch, any damage and any failure is a miss, never an error. */
#ifndef SY_RUN_PIPELINE_CACHE_H
#define SY_RUN_PIPELINE_CACHE_H

#include "src/device/device.h"

typedef struct sy_pipeline_cache {
    VkPipelineCache handle; /* VK_NULL_HANDLE where even an empty one could not be made: allowed everywhere */
    char *path;             /* NULL: not kept */
    size_t loaded;          /* bytes taken from disk; 0: a miss */
} sy_pipeline_cache;

sy_pipeline_cache sy_pipeline_cache_open(sy_vk_device *device, const char *directory);
/* Writes it back if it grew, unless it is beyond its bound. Zeroes *cache. */
void sy_pipeline_cache_close(sy_vk_device *device, sy_pipeline_cache *cache);

#endif
