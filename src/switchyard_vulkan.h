/* Drawing what a network does while it does it: for programs that share the library's Vulkan devices.
 *
 *   1. sy_context_create with sy_context_params.vulkan: the extensions that drawing needs
 *   2. sy_context_vulkan           the device's handles and a queue to draw with
 *
 * Thread safety: as in switchyard.h, but for what is said here. The handles may be used by another thread; the queue
 * only between sy_vulkan_lock and sy_vulkan_unlock where own_queue is false (also vkQueuePresentKHR and
 * vkQueueWaitIdle), held for no longer than the call. Creating objects and allocating memory needs no lock. */
#ifndef SWITCHYARD_VULKAN_H
#define SWITCHYARD_VULKAN_H

#include <vulkan/vulkan_core.h>

#include "switchyard.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In sy_context_params as `const sy_vulkan_params *vulkan` (forward declared in switchyard.h); copied. */
struct sy_vulkan_params {
    const char *const *instance_extensions; /* each is enabled if the loader has it; see sy_vulkan.instance_extensions */
    uint32_t n_instance_extensions;
    const char *const *device_extensions; /* each is enabled on devices that have it */
    uint32_t n_device_extensions;
};

typedef struct sy_vulkan {
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    uint32_t api_version;      /* the device's, at most what the instance was made for */
    VkQueue queue;             /* to draw, to compute and to copy with; VK_NULL_HANDLE: this device cannot draw */
    uint32_t queue_family;
    bool own_queue;            /* networks run on another one: no lock needed */
    bool validated;            /* by the validation layer; its messages come to sy_context_params.message */
    const char *const *instance_extensions; /* those wished for that are enabled */
    uint32_t n_instance_extensions;
    const char *const *device_extensions;
    uint32_t n_device_extensions;
    void *lock; /* for sy_vulkan_lock */
} sy_vulkan;

/* Opens the device (part of its name or its index; NULL: the best). Its handles are the context's and live as long. */
sy_status sy_context_vulkan(sy_context *context, const char *device, sy_vulkan *vulkan);
void sy_vulkan_lock(const sy_vulkan *vulkan); /* any thread */
void sy_vulkan_unlock(const sy_vulkan *vulkan);

#ifdef __cplusplus
}
#endif
#endif
