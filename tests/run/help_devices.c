#include "tests/run/help_devices.h"

#include <stdio.h>
#include <stdlib.h>

static void message(void *user, sy_severity severity, const char *text)
{
    (void)user;
    if (severity != SY_SEVERITY_INFO)
        fprintf(stderr, "vulkan: %s\n", text);
}

uint32_t sy_test_devices(void (*test)(sy_vk_device *device))
{
    sy_error error = {0};
    sy_vk_instance_params params = {.message = message};
    sy_vk_instance *instance = sy_vk_instance_create(&params, &error);
    uint32_t n = 0;
    if (!instance) {
        printf("no Vulkan: %s\n", error.message);
        return 0;
    }
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        if (!instance->physicals[i].plan.usable)
            continue;
        sy_vk_device *device = sy_vk_device_create(instance, i, &error);
        if (!device) {
            fprintf(stderr, "%s\n", error.message);
            exit(1);
        }
        printf("device: %s%s\n", device->snapshot->name, instance->validated ? ", validated" : "");
        test(device);
        sy_vk_device_destroy(&device);
        n++;
    }
    uint32_t messages = instance->messages;
    sy_vk_instance_destroy(&instance);
    if (messages) {
        fprintf(stderr, "the validation layer gave %u messages\n", messages);
        exit(1);
    }
    return n;
}
