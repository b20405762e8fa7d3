/* Drawing what a network does while it does it: for programs that share the library's Vulkan devices.
 *
 *   1. sy_context_create with sy_context_params.vulkan: the extensions that drawing needs
 *   2. sy_context_vulkan           the device's handles and a queue to draw with
 *   3. sy_pipeline_create          with taps, sy_pipeline_params.history = true: taps stay on the device
 *   4. sy_pipeline_history         where each evaluation's taps lie, in buffers that shaders can read
 *   5. sy_generate                 on one thread; on another, at the same time, what `progress` has told to be done is
 *                                  drawn straight from those buffers
 *   6. sy_history_keep             a copy of a run on the device, to compare the next one with
 *
 * Nothing is read back. Reading a slice is allowed once the evaluation is complete: after `progress` told done > row
 * (the library has seen the device finish it; what is submitted afterwards needs no semaphore, but begins with a barrier
 * from shader writes to its own reads), and until the next sy_generate on the pipeline begins, or, by a submission made
 * before to the shared queue, until that is done. Buffers may be used by the queue families of both queues.
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

/* Where a route's words lie, in words from the beginning of its slice:
 *   [count] slots in use; [offsets + e] first slot of target e; [rows + s], [targets + s], [weights + s] (f32 bits) of
 *   slot s, sorted by (target, row); [row_offsets + t] first entry of row t in [row_slots + …]: its slots, targets
 *   ascending. */
typedef struct sy_history_route {
    uint32_t count, offsets, rows, targets, weights, row_offsets, row_slots, words;
    int32_t n_rows, n_targets, n_slots; /* rows of the whole batch (with guidance both halves), most slots */
} sy_history_route;

/* A tap of one evaluation. */
typedef struct sy_history_slice {
    VkBuffer buffer; /* usage storage and transfer source; VK_NULL_HANDLE: this evaluation has not got the tap */
    VkDeviceSize offset, bytes;
    uint32_t form; /* which of the tap's forms it has */
} sy_history_slice;

/* The same tap may have fewer rows in an evaluation without guidance, or with some tokens only. */
typedef struct sy_history_form {
    sy_array array;         /* type and dimensions; no data */
    sy_history_route route; /* of routes */
} sy_history_form;

typedef struct sy_history_tap {
    const char *name;
    bool is_route;
    const sy_history_form *forms;
    uint32_t n_forms;
    const sy_history_slice *slices; /* [n_evaluations] */
} sy_history_tap;

typedef struct sy_history {
    const sy_history_tap *taps;
    uint32_t n_taps;
    const sy_evaluation *evaluations; /* [n_evaluations], by row; of one that the device leaves out `ran` is true all
                                         the same; where the network has no part in a row it is false, `program` "" */
    uint32_t n_evaluations;           /* rows are what sy_progress.done counts */
    uint32_t count, width, height, channels; /* pictures; of what the sampler makes */
    uint32_t tokens_per_picture, grid_width, grid_height;
    uint64_t device_bytes;
} sy_history;

/* Of the run that the pipeline makes or made last; valid as long as the pipeline. */
sy_status sy_pipeline_history(sy_pipeline *pipeline, const sy_history **history);

/* Reads back the routes of the first `evaluations` of them and writes them as .safetensors, in the form in which
 * `switchyard generate --routes` does: per route "NAME.counts" i32[evaluations], and, one evaluation behind another,
 * "NAME.rows", "NAME.targets" i32 and "NAME.weights" f32. Waits for the device. */
sy_status sy_history_save_routes(sy_pipeline *pipeline, uint32_t evaluations, const char *path);

/* A copy on the device of a finished (or cancelled) run, with memory of its own; waits for it. Fails with
 * SY_ERROR_OUT_OF_MEMORY and the numbers where it does not fit. It may outlive the pipeline, not the context. */
typedef struct sy_kept sy_kept;
sy_status sy_history_keep(sy_pipeline *pipeline, sy_kept **kept);
const sy_history *sy_kept_history(const sy_kept *kept);
void sy_kept_destroy(sy_kept **kept); /* nothing that reads it may be in flight */

#ifdef __cplusplus
}
#endif
#endif
