/* Tests on every Vulkan device the loader finds: one instance, validation as the environment says
 * (SWITCHYARD_VALIDATION). */
#ifndef SY_TESTS_RUN_DEVICES_H
#define SY_TESTS_RUN_DEVICES_H

#include "src/device/device.h"

/* Calls `test` with each usable device in turn. Returns how many there were. Fails a check for every message of the
 * validation layer. */
uint32_t sy_test_devices(void (*test)(sy_vk_device *device));

#endif
