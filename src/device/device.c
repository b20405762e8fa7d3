/* A device made as its plan says. Nothing is decided here: the plan was, and is tested without a device. */
#include "src/device/device.h"

#include <stdio.h>
#include <stdlib.h>

static bool create_handle(sy_vk_device *d, sy_error *error)
{
    const sy_device_plan *plan = d->plan;
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = plan->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkPhysicalDeviceVulkan12Features features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = plan->timeline,
        .hostQueryReset = plan->host_query_reset,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = plan->n_extensions,
        .ppEnabledExtensionNames = plan->extensions,
    };
    return sy_vk_check(d->instance->vk.vkCreateDevice(d->physical, &info, NULL, &d->handle), error,
                       "opening the device");
}

sy_vk_device *sy_vk_device_create(sy_vk_instance *instance, uint32_t index, sy_error *error)
{
    if (index >= instance->n_physicals) {
        sy_fail(error, SY_CODE_NOT_FOUND, "There is no Vulkan device %u; this machine has %u.", index,
                instance->n_physicals);
        return NULL;
    }
    const sy_vk_physical *physical = &instance->physicals[index];
    if (!physical->plan.usable) {
        sy_fail(error, SY_CODE_UNAVAILABLE, "%s cannot be used. %s", physical->snapshot.name, physical->plan.refusal);
        return NULL;
    }
    sy_vk_device *d = calloc(1, sizeof *d);
    if (!d) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory opening a device.");
        return NULL;
    }
    d->instance = instance;
    d->physical = physical->handle;
    d->snapshot = &physical->snapshot;
    d->plan = &physical->plan;
    if (!create_handle(d, error)) {
        sy_fail_context(error, "%s", physical->snapshot.name);
        free(d);
        return NULL;
    }
    volkLoadDeviceTable(&d->vk, d->handle);
    d->vk.vkGetDeviceQueue(d->handle, d->plan->family, 0, &d->queue);
    return d;
}

/* Memory that outlives its device is a bug of ours: said on the same way as what validation finds, so that tests fail.
 */
static void report_leaks(const sy_vk_device *d)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < SY_MAX_HEAPS; i++)
        bytes += d->heap_used[i];
    if (!bytes && !d->n_buffers)
        return;
    char text[120];
    snprintf(text, sizeof text, "device closed with %u buffers (%llu bytes) alive", d->n_buffers,
             (unsigned long long)bytes);
    d->instance->messages++;
    if (d->instance->params.message)
        d->instance->params.message(d->instance->params.user, SY_SEVERITY_ERROR, text);
}

void sy_vk_device_destroy(sy_vk_device **device)
{
    sy_vk_device *d = *device;
    *device = NULL;
    if (!d)
        return;
    d->vk.vkDeviceWaitIdle(d->handle); /* a lost device is destroyed all the same */
    report_leaks(d);
    d->vk.vkDestroyDevice(d->handle, NULL);
    free(d);
}

uint64_t sy_vk_device_free_bytes(const sy_vk_device *d, sy_memory_use use)
{
    if (!d->plan->n_memory[use])
        return 0;
    uint32_t heap = d->snapshot->types[d->plan->memory[use][0]].heap;
    uint64_t used = d->heap_used[heap], total = d->snapshot->heaps[heap].size, bound;
    if (heap == d->snapshot->types[d->plan->memory[SY_MEMORY_DEVICE][0]].heap)
        total = d->plan->budget_bytes;
    bound = total > used ? total - used : 0;
    if (sy_snapshot_has_extension(d->snapshot, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) &&
        d->instance->vk.vkGetPhysicalDeviceMemoryProperties2) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
        VkPhysicalDeviceMemoryProperties2 memory = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget};
        d->instance->vk.vkGetPhysicalDeviceMemoryProperties2(d->physical, &memory);
        uint64_t now =
            budget.heapBudget[heap] > budget.heapUsage[heap] ? budget.heapBudget[heap] - budget.heapUsage[heap] : 0;
        if (budget.heapBudget[heap] && now < bound)
            bound = now;
    }
    return bound;
}

void sy_vk_name(const sy_vk_device *d, VkObjectType type, uint64_t handle, const char *name)
{
    VkDebugUtilsObjectNameInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
        .objectType = type,
        .objectHandle = handle,
        .pObjectName = name,
    };
    if (d->instance->labels && d->instance->vk.vkSetDebugUtilsObjectNameEXT)
        d->instance->vk.vkSetDebugUtilsObjectNameEXT(d->handle, &info);
}

void sy_vk_label_begin(const sy_vk_device *d, VkCommandBuffer commands, const char *name)
{
    VkDebugUtilsLabelEXT label = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT, .pLabelName = name};
    if (d->instance->labels && d->instance->vk.vkCmdBeginDebugUtilsLabelEXT)
        d->instance->vk.vkCmdBeginDebugUtilsLabelEXT(commands, &label);
}

void sy_vk_label_end(const sy_vk_device *d, VkCommandBuffer commands)
{
    if (d->instance->labels && d->instance->vk.vkCmdEndDebugUtilsLabelEXT)
        d->instance->vk.vkCmdEndDebugUtilsLabelEXT(commands);
}
