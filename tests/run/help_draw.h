/* Somebody who draws: a queue of a context's device, used as switchyard_vulkan.h says, by any one thread. Reads pieces
 * of buffers by copies. */
#ifndef SY_TESTS_RUN_DRAW_H
#define SY_TESTS_RUN_DRAW_H

#include <stdlib.h>
#include <volk.h>

#include "src/switchyard_vulkan.h"

typedef struct sy_drawer {
    sy_vulkan vulkan;
    struct VolkDeviceTable vk;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkDeviceSize size;
    void *mapped;
} sy_drawer;

/* Makes what reading up to `size` bytes takes; false (and nothing is left) where something fails. */
bool sy_drawer_open(sy_drawer *drawer, const sy_vulkan *vulkan, VkDeviceSize size);
void sy_drawer_close(sy_drawer *drawer);
/* A submission that copies `bytes` to drawer->mapped, waited for. 0 bytes: one that does nothing. */
bool sy_drawer_read(sy_drawer *drawer, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize bytes);

#endif
