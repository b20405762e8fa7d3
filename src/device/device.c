/* A device made as its plan says. Nothing is decided here: the plan was, and is tested without a device. */
#include "src/device/cooperative_matrix.h"
#include "src/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool among(const char *name, const char *const *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* The plan's extensions, and those wished for that the device has; *all is to be freed. */
static bool list_extensions(sy_vk_device *d, const sy_vk_extra *extra, const char ***all, uint32_t *n, sy_error *error)
{
    const sy_vk_instance_params *wishes = &d->instance->params;
    *all = calloc((size_t)d->plan->n_extensions + wishes->n_device_extensions + extra->n_extensions + 1, sizeof **all);
    d->extensions = calloc((size_t)wishes->n_device_extensions + 1, sizeof *d->extensions);
    if (!*all || !d->extensions) {
        free(*all);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory opening a device.");
    }
    for (uint32_t i = 0; i < d->plan->n_extensions; i++)
        (*all)[(*n)++] = d->plan->extensions[i];
    for (uint32_t i = 0; i < extra->n_extensions; i++)
        if (sy_snapshot_has_extension(d->snapshot, extra->extensions[i]) && !among(extra->extensions[i], *all, *n))
            (*all)[(*n)++] = extra->extensions[i];
    for (uint32_t i = 0; i < wishes->n_device_extensions; i++) {
        const char *name = wishes->device_extensions[i];
        if (!sy_snapshot_has_extension(d->snapshot, name) || among(name, d->extensions, d->n_extensions))
            continue;
        d->extensions[d->n_extensions++] = name;
        if (!among(name, *all, *n))
            (*all)[(*n)++] = name;
    }
    return true;
}

static bool create_handle(sy_vk_device *d, const sy_vk_extra *extra, sy_error *error)
{
    const sy_device_plan *plan = d->plan;
    bool own = d->instance->params.drawing && plan->own_draw_queue, same = plan->draw_family == plan->family;
    const char **extensions = NULL;
    uint32_t n_extensions = 0;
    float priorities[2] = {1, 1};
    VkDeviceQueueCreateInfo queues[2] = {{
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = plan->family,
        .queueCount = own && same ? 2 : 1,
        .pQueuePriorities = priorities,
    }};
    queues[1] = queues[0];
    queues[1].queueFamilyIndex = plan->draw_family;
    if (!list_extensions(d, extra, &extensions, &n_extensions, error))
        return false;
    VkPhysicalDeviceVulkan12Features features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = plan->timeline,
        .hostQueryReset = plan->host_query_reset,
        .shaderFloat16 = extra->float16 || plan->matrices,
        .vulkanMemoryModel = extra->memory_model || plan->matrices,
        .vulkanMemoryModelDeviceScope = plan->matrices,
        .pNext = extra->next,
    };
    VkPhysicalDeviceFaultFeaturesEXT fault = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT};
    VkPhysicalDeviceFeatures2 there = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &fault};
    for (uint32_t i = 0; i < plan->n_extensions; i++)
        d->faults = d->faults || !strcmp(plan->extensions[i], VK_EXT_DEVICE_FAULT_EXTENSION_NAME);
    if (d->faults)
        d->instance->vk.vkGetPhysicalDeviceFeatures2(d->physical, &there);
    d->faults = fault.deviceFault;
    fault.deviceFaultVendorBinary = VK_FALSE;
    fault.pNext = extra->next;
    if (d->faults)
        features.pNext = &fault;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = features.pNext, .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroups = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT, .pNext = &matrices, .computeFullSubgroups = VK_TRUE};
    if (plan->matrices)
        features.pNext = &subgroups;
    /* For shaders of somebody else's: whatever the device has. */
    VkPhysicalDeviceVulkan11Features features11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &features};
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &features11};
    bool any = d->instance->params.any_shader;
    if (any) {
        d->instance->vk.vkGetPhysicalDeviceFeatures2(d->physical, &all);
        all.features.robustBufferAccess = all.features.robustBufferAccess && d->instance->params.robust;
    }
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = any ? (const void *)&all : &features,
        .queueCreateInfoCount = own && !same ? 2 : 1,
        .pQueueCreateInfos = queues,
        .enabledExtensionCount = n_extensions,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult result = d->instance->vk.vkCreateDevice(d->physical, &info, NULL, &d->handle);
    free(extensions);
    return sy_vk_check(result, error, "opening the device");
}

static void get_queues(sy_vk_device *d)
{
    const sy_device_plan *plan = d->plan;
    d->vk.vkGetDeviceQueue(d->handle, plan->family, 0, &d->queue);
    if (!d->instance->params.drawing || !plan->draws)
        return;
    d->draw_queue = d->queue;
    if (plan->own_draw_queue)
        d->vk.vkGetDeviceQueue(d->handle, plan->draw_family, plan->draw_index, &d->draw_queue);
}

sy_vk_device *sy_vk_device_create(sy_vk_instance *instance, uint32_t index, sy_error *error)
{
    return sy_vk_device_create_with(instance, index, &(sy_vk_extra){0}, error);
}

sy_vk_device *sy_vk_device_create_with(sy_vk_instance *instance, uint32_t index, const sy_vk_extra *extra, sy_error *error)
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
    if (!create_handle(d, extra, error)) {
        sy_fail_context(error, "%s", physical->snapshot.name);
        free(d->extensions);
        free(d);
        return NULL;
    }
    volkLoadDeviceTable(&d->vk, d->handle);
    get_queues(d);
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

VkResult sy_vk_device_submit(sy_vk_device *d, const VkSubmitInfo *info)
{
    pthread_mutex_lock(&d->lock);
    VkResult result = d->vk.vkQueueSubmit(d->queue, 1, info, VK_NULL_HANDLE);
    pthread_mutex_unlock(&d->lock);
    return result;
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
    pthread_mutex_destroy(&d->lock);
    free(d->extensions);
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
