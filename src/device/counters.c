#include "src/device/counters.h"

#include <stdlib.h>
#include <string.h>

static bool has_feature(const sy_vk_instance *instance, const sy_vk_physical *p)
{
    VkPhysicalDevicePerformanceQueryFeaturesKHR feature = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PERFORMANCE_QUERY_FEATURES_KHR};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &feature};
    if (!instance->vk.vkGetPhysicalDeviceFeatures2)
        return false;
    instance->vk.vkGetPhysicalDeviceFeatures2(p->handle, &features);
    return feature.performanceCounterQueryPools;
}

const char *sy_counters_missing(const sy_vk_instance *instance, uint32_t index)
{
    const sy_vk_physical *p = &instance->physicals[index];
    if (!sy_snapshot_has_extension(&p->snapshot, VK_KHR_PERFORMANCE_QUERY_EXTENSION_NAME))
        return "this device has no VK_KHR_performance_query";
    if (!instance->vk.vkEnumeratePhysicalDeviceQueueFamilyPerformanceQueryCountersKHR ||
        !instance->vk.vkGetPhysicalDeviceQueueFamilyPerformanceQueryPassesKHR || !has_feature(instance, p))
        return "this device has VK_KHR_performance_query, but not its feature performanceCounterQueryPools";
    return p->plan.host_query_reset ? NULL : "this device cannot reset queries from the host, which counters of several passes need";
}

sy_vk_device *sy_counters_device(sy_vk_instance *instance, uint32_t index, sy_error *error)
{
    static const char *const extensions[] = {VK_KHR_PERFORMANCE_QUERY_EXTENSION_NAME};
    VkPhysicalDevicePerformanceQueryFeaturesKHR feature = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PERFORMANCE_QUERY_FEATURES_KHR,
                                                           .performanceCounterQueryPools = VK_TRUE};
    sy_vk_extra extra = {.extensions = extensions, .n_extensions = 1, .next = &feature};
    if (index >= instance->n_physicals || sy_counters_missing(instance, index))
        return sy_vk_device_create(instance, index, error);
    sy_vk_device *d = sy_vk_device_create_with(instance, index, &extra, error);
    if (d)
        d->counters = true;
    return d;
}

static bool copy(const VkPerformanceCounterKHR *c, const VkPerformanceCounterDescriptionKHR *d, sy_arena *arena, sy_counter *out)
{
    *out = (sy_counter){.name = sy_arena_printf(arena, "%.*s", VK_MAX_DESCRIPTION_SIZE, d->name),
                        .category = sy_arena_printf(arena, "%.*s", VK_MAX_DESCRIPTION_SIZE, d->category),
                        .description = sy_arena_printf(arena, "%.*s", VK_MAX_DESCRIPTION_SIZE, d->description),
                        .unit = c->unit,
                        .storage = c->storage,
                        .scope = c->scope,
                        .slows = d->flags & VK_PERFORMANCE_COUNTER_DESCRIPTION_PERFORMANCE_IMPACTING_BIT_KHR,
                        .together = d->flags & VK_PERFORMANCE_COUNTER_DESCRIPTION_CONCURRENTLY_IMPACTED_BIT_KHR};
    return out->name && out->category && out->description;
}

bool sy_counters_list(const sy_vk_instance *instance, uint32_t index, sy_arena *arena, sy_counters *out, sy_error *error)
{
    const char *why = sy_counters_missing(instance, index);
    const sy_vk_physical *p = &instance->physicals[index];
    uint32_t n = 0;
    *out = (sy_counters){0};
    if (why)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s", why);
    PFN_vkEnumeratePhysicalDeviceQueueFamilyPerformanceQueryCountersKHR enumerate =
        instance->vk.vkEnumeratePhysicalDeviceQueueFamilyPerformanceQueryCountersKHR;
    if (!sy_vk_check(enumerate(p->handle, p->plan.family, &n, NULL, NULL), error, "listing counters"))
        return false;
    if (!n)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "this device has no hardware counters for its compute queue");
    n = n < SY_MOST_COUNTERS ? n : SY_MOST_COUNTERS;
    VkPerformanceCounterKHR *counters = calloc(n, sizeof *counters);
    VkPerformanceCounterDescriptionKHR *texts = calloc(n, sizeof *texts);
    sy_counter *list = sy_arena_array(arena, n, sizeof *list);
    bool ok = counters && texts && list;
    for (uint32_t i = 0; ok && i < n; i++) {
        counters[i].sType = VK_STRUCTURE_TYPE_PERFORMANCE_COUNTER_KHR;
        texts[i].sType = VK_STRUCTURE_TYPE_PERFORMANCE_COUNTER_DESCRIPTION_KHR;
    }
    VkResult result = ok ? enumerate(p->handle, p->plan.family, &n, counters, texts) : VK_SUCCESS;
    bool listed = result == VK_INCOMPLETE || sy_vk_check(result, error, "listing counters");
    for (uint32_t i = 0; ok && listed && i < n; i++)
        ok = copy(&counters[i], &texts[i], arena, &list[i]);
    free(counters);
    free(texts);
    *out = (sy_counters){list, n};
    return listed && (ok || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for counters"));
}

uint32_t sy_counters_passes(const sy_vk_device *d, const uint32_t *counters, uint32_t n)
{
    VkQueryPoolPerformanceCreateInfoKHR info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_PERFORMANCE_CREATE_INFO_KHR,
                                                .queueFamilyIndex = d->plan->family,
                                                .counterIndexCount = n,
                                                .pCounterIndices = counters};
    uint32_t passes = 0;
    d->instance->vk.vkGetPhysicalDeviceQueueFamilyPerformanceQueryPassesKHR(d->physical, &info, &passes);
    return passes;
}
