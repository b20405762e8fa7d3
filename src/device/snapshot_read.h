/* Inside src/device: reading a snapshot from a driver. */
#ifndef SY_DEVICE_SNAPSHOT_READ_H
#define SY_DEVICE_SNAPSHOT_READ_H

#include "src/device/device.h"

bool sy_snapshot_read(const sy_vk_instance *instance, VkPhysicalDevice device, sy_device_snapshot *snapshot,
                      sy_error *error);

#endif
