/* Vulkan, as little of it as possible: instances, devices made as their plan says, buffers by use.
 *
 * No global state but the loader library itself: function pointers live in the instance and in the device, so several
 * of each can be alive at once, of different drivers. An instance may be used by one thread at a time, and so may a
 * device with all its buffers, but for its queues: those are used under the device's lock. Different instances may be
 * used by different threads at once. */
#ifndef SY_DEVICE_DEVICE_H
#define SY_DEVICE_DEVICE_H

#include <pthread.h>

#include <volk.h>

#include "src/device/plan.h"

/* ---- instance ---- */

typedef enum sy_severity { SY_SEVERITY_INFO, SY_SEVERITY_WARNING, SY_SEVERITY_ERROR } sy_severity;

/* A message of the validation layer (or of the driver through it). Called on the thread that made the Vulkan call. */
typedef void sy_vk_message(void *user, sy_severity severity, const char *text);

typedef struct sy_vk_instance_params {
    bool validation;        /* validation layer, synchronization validation included; also by SWITCHYARD_VALIDATION=1 */
    sy_vk_message *message; /* NULL: messages are only counted */
    void *user;
    bool drawing; /* devices get a queue to draw with, where they have one; and what else drawing needs: extensions,
                     each enabled where it is there; borrowed for as long as the instance lives */
    const char *const *instance_extensions, *const *device_extensions;
    uint32_t n_instance_extensions, n_device_extensions;
    bool any_shader; /* devices are opened with every feature of Vulkan 1.2 that they have */
    bool robust;     /* and accesses outside buffers do no harm; slower on some */
} sy_vk_instance_params;

/* What is called on an instance; volk's globals would belong to one instance only. */
typedef struct sy_vk_instance_functions {
#define SY_VK_INSTANCE_FUNCTIONS(X)                                                                                    \
    X(vkDestroyInstance)                                                                                               \
    X(vkEnumeratePhysicalDevices)                                                                                      \
    X(vkEnumerateDeviceExtensionProperties)                                                                            \
    X(vkGetPhysicalDeviceProperties)                                                                                   \
    X(vkGetPhysicalDeviceFeatures)                                                                                     \
    X(vkGetPhysicalDeviceMemoryProperties)                                                                             \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                                        \
    X(vkCreateDevice)                                                                                                  \
    X(vkGetDeviceProcAddr)
/* Absent on Vulkan 1.0, or without their extension: NULL then. */
#define SY_VK_INSTANCE_OPTIONAL_FUNCTIONS(X)                                                                           \
    X(vkGetPhysicalDeviceProperties2)                                                                                  \
    X(vkGetPhysicalDeviceFeatures2)                                                                                    \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                                            \
    X(vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)                                                                  \
    X(vkEnumeratePhysicalDeviceQueueFamilyPerformanceQueryCountersKHR)                                                 \
    X(vkGetPhysicalDeviceQueueFamilyPerformanceQueryPassesKHR)                                                         \
    X(vkCreateDebugUtilsMessengerEXT)                                                                                  \
    X(vkDestroyDebugUtilsMessengerEXT)                                                                                 \
    X(vkSetDebugUtilsObjectNameEXT)                                                                                    \
    X(vkCmdBeginDebugUtilsLabelEXT)                                                                                    \
    X(vkCmdEndDebugUtilsLabelEXT)
#define X(name) PFN_##name name;
    SY_VK_INSTANCE_FUNCTIONS(X)
    SY_VK_INSTANCE_OPTIONAL_FUNCTIONS(X)
#undef X
} sy_vk_instance_functions;

typedef struct sy_vk_physical {
    VkPhysicalDevice handle;
    sy_device_snapshot snapshot;
    sy_device_plan plan;
} sy_vk_physical;

typedef struct sy_vk_instance {
    VkInstance handle;
    sy_vk_instance_functions vk;
    sy_vk_physical *physicals; /* best first; equals in the driver's order; refused ones last */
    uint32_t n_physicals;
    bool labels;               /* debug labels reach somebody */
    bool validated;            /* the validation layer is on */
    _Atomic uint32_t messages; /* warnings and errors it gave so far */
    const char **extensions;   /* those of params.instance_extensions that are enabled */
    uint32_t n_extensions;

    sy_vk_instance_params params; /* private from here */
    VkDebugUtilsMessengerEXT messenger;
} sy_vk_instance;

/* Loads Vulkan and looks at its devices. NULL with SY_CODE_UNAVAILABLE when there is no loader; a machine without
 * drivers or devices is no error (n_physicals is 0; handle is NULL without any driver). With validation asked for and
 * no layer installed: SY_CODE_UNAVAILABLE. */
sy_vk_instance *sy_vk_instance_create(const sy_vk_instance_params *params, sy_error *error);
void sy_vk_instance_destroy(sy_vk_instance **instance); /* after all its devices */

/* ---- device ---- */

typedef struct sy_vk_device {
    VkDevice handle;
    VkPhysicalDevice physical;
    struct VolkDeviceTable vk;
    sy_vk_instance *instance; /* outlives the device */
    const sy_device_snapshot *snapshot;
    const sy_device_plan *plan;       /* both belong to the instance */
    VkQueue queue;                    /* external synchronisation: under `lock` */
    VkQueue draw_queue;               /* params.drawing: to draw with; may be the same; null: none */
    pthread_mutex_t lock;             /* of `queue`: whoever draws may share it */
    const char **extensions;          /* those of params.device_extensions that are enabled */
    uint32_t n_extensions;
    uint64_t heap_used[SY_MAX_HEAPS]; /* bytes of live buffers */
    uint32_t n_buffers;
    bool counters; /* opened so that its counters can be read: counters.h */
    bool faults;   /* the driver tells what it knows of a loss: VK_EXT_device_fault */
    sy_error lost; /* the first loss, told in full; from then on nothing works any more */
} sy_vk_device;

/* Makes the device of instance->physicals[index] as its plan says; a refused one fails with the plan's sentence. */
sy_vk_device *sy_vk_device_create(sy_vk_instance *instance, uint32_t index, sy_error *error);
/* What a device gets beyond its plan, to measure with: extensions (those that it has), features of Vulkan 1.2, and a chain of
 * feature structures of others. */
typedef struct sy_vk_extra {
    const char *const *extensions;
    uint32_t n_extensions;
    bool float16, memory_model;
    void *next; /* must stay until the device is made; its last pNext is NULL */
} sy_vk_extra;
sy_vk_device *sy_vk_device_create_with(sy_vk_instance *instance, uint32_t index, const sy_vk_extra *extra, sy_error *error);
void sy_vk_device_destroy(sy_vk_device **device); /* waits until idle; buffers alive are reported as a message */

/* Bytes that can still be allocated for `use`: what the driver says now (VK_EXT_memory_budget), else the plan's budget
 * less what is in use. */
uint64_t sy_vk_device_free_bytes(const sy_vk_device *device, sy_memory_use use);

/* vkQueueSubmit on the device's queue, under its lock. */
VkResult sy_vk_device_submit(sy_vk_device *device, const VkSubmitInfo *info);

/* After a loss: what the driver knows of it, in words. False, and "", where it has nothing to say. */
bool sy_vk_device_fault(const sy_vk_device *device, char *out, size_t room);

/* Sets *error from a VkResult: "what: VK_ERROR_…: meaning". Returns false, or true when `result` is VK_SUCCESS.
 * Out of memory and device lost get their own codes. */
bool sy_vk_check(VkResult result, sy_error *error, const char *what);
const char *sy_vk_result_text(VkResult result);

/* Names an object for debuggers and validation messages; free when nobody listens. */
void sy_vk_name(const sy_vk_device *device, VkObjectType type, uint64_t handle, const char *name);
void sy_vk_label_begin(const sy_vk_device *device, VkCommandBuffer commands, const char *name);
void sy_vk_label_end(const sy_vk_device *device, VkCommandBuffer commands);

/* ---- buffers ---- */

typedef struct sy_vk_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint64_t size;
    void *mapped; /* the whole buffer, for as long as it lives, when its memory can be mapped; else NULL */
    uint32_t heap;
    bool coherent;
    uint64_t allocated; /* bytes of memory behind it */
} sy_vk_buffer;

/* A buffer with memory of its own (there are few and they are large: arenas, weights, staging). Usage is storage,
 * indirect, and transfer both ways. `size` is rounded up to 4. On failure *buffer is zero. */
bool sy_vk_buffer_create(sy_vk_device *device, sy_memory_use use, uint64_t size, const char *name, sy_vk_buffer *buffer,
                         sy_error *error);
void sy_vk_buffer_destroy(sy_vk_device *device, sy_vk_buffer *buffer); /* zero is allowed; zeroes it */
/* Make host writes visible to the device (before submitting), and device writes visible to the host (after waiting).
 * Do nothing on coherent memory. */
bool sy_vk_buffer_flush(sy_vk_device *device, const sy_vk_buffer *buffer, uint64_t offset, uint64_t size,
                        sy_error *error);
bool sy_vk_buffer_invalidate(sy_vk_device *device, const sy_vk_buffer *buffer, uint64_t offset, uint64_t size,
                             sy_error *error);

#endif
