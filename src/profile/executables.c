/* See facts.h. The device that the session runs on is left alone: pipelines that keep their statistics may compile differently,
 * so they are made a second time, on a device opened for that. */
#include "src/profile/facts.h"


enum { MOST_FACTS = 48, MOST_EXECUTABLES = 8 };

uint32_t sy_executable_decode(const VkPipelineExecutableStatisticKHR *statistics, uint32_t n, const char *prefix, sy_arena *arena,
                              sy_profile_fact *out)
{
    uint32_t added = 0;
    for (uint32_t i = 0; i < n; i++) {
        const VkPipelineExecutableStatisticKHR *s = &statistics[i];
        sy_profile_fact fact = {.unit = ""};
        switch (s->format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
            fact.value = s->value.b32 != 0;
            fact.text = s->value.b32 ? "yes" : "no";
            break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
            fact.value = (double)s->value.i64;
            fact.text = sy_arena_printf(arena, "%lld", (long long)s->value.i64);
            break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
            fact.value = (double)s->value.u64;
            fact.text = sy_arena_printf(arena, "%llu", (unsigned long long)s->value.u64);
            break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
            fact.value = s->value.f64;
            fact.text = sy_arena_printf(arena, "%.6g", s->value.f64);
            break;
        default: /* of a later specification */
            continue;
        }
        fact.name = sy_arena_printf(arena, "%s%s%.*s", prefix, *prefix ? ": " : "", VK_MAX_DESCRIPTION_SIZE, s->name);
        if (fact.name && fact.text)
            out[added++] = fact;
    }
    return added;
}

typedef struct maker {
    sy_vk_device *d;
    sy_profile_report *r;
    sy_error *error;
} maker;

static bool layout_of(const maker *m, const sy_kernel *k, VkDescriptorSetLayout *set, VkPipelineLayout *layout)
{
    VkDescriptorSetLayoutBinding bindings[32] = {0};
    for (uint32_t i = 0; i < k->n_bindings && i < 32; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = k->texel_bindings >> i & 1 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                                                                  : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set_info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                .bindingCount = k->n_bindings,
                                                .pBindings = bindings};
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 4 * k->push_words};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = set,
                                       .pushConstantRangeCount = k->push_words ? 1 : 0,
                                       .pPushConstantRanges = &push};
    return sy_vk_check(m->d->vk.vkCreateDescriptorSetLayout(m->d->handle, &set_info, NULL, set), m->error, k->name) &&
           sy_vk_check(m->d->vk.vkCreatePipelineLayout(m->d->handle, &info, NULL, layout), m->error, k->name);
}

/* All executables of the pipeline, one after another. */
static bool ask(const maker *m, VkPipeline pipeline, sy_profile_kernel *out)
{
    VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutablePropertiesKHR executables[MOST_EXECUTABLES];
    VkPipelineExecutableStatisticKHR statistics[MOST_FACTS];
    uint32_t n = MOST_EXECUTABLES;
    sy_profile_fact *list = sy_arena_array(&m->r->arena, MOST_FACTS, sizeof *list);
    if (!list)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
    for (uint32_t i = 0; i < MOST_EXECUTABLES; i++)
        executables[i] = (VkPipelineExecutablePropertiesKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    VkResult result = m->d->vk.vkGetPipelineExecutablePropertiesKHR(m->d->handle, &info, &n, executables);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE)
        return true; /* it has nothing to say after all */
    out->facts = list;
    for (uint32_t e = 0; e < n; e++) {
        VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline, .executableIndex = e};
        uint32_t count = MOST_FACTS - out->n_facts;
        for (uint32_t i = 0; i < count; i++)
            statistics[i] = (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
        result = count ? m->d->vk.vkGetPipelineExecutableStatisticsKHR(m->d->handle, &which, &count, statistics) : VK_NOT_READY;
        if (result == VK_SUCCESS || result == VK_INCOMPLETE)
            out->n_facts += sy_executable_decode(statistics, count, n > 1 ? executables[e].name : "", &m->r->arena, list + out->n_facts);
    }
    return true;
}

static bool facts_of(const maker *m, const sy_kernel *k, sy_profile_kernel *out)
{
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkShaderModule module = VK_NULL_HANDLE;
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = 4 * (size_t)k->n_spirv, .pCode = k->spirv};
    struct VolkDeviceTable *vk = &m->d->vk;
    bool ok = layout_of(m, k, &set, &layout) && sy_vk_check(vk->vkCreateShaderModule(m->d->handle, &code, NULL, &module), m->error, k->name);
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .flags = k->full_subgroups ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT : 0,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .module = module,
                                                  .pName = "main"},
                                        .layout = layout};
    ok = ok && sy_vk_check(vk->vkCreateComputePipelines(m->d->handle, VK_NULL_HANDLE, 1, &info, NULL, &pipeline), m->error, k->name) &&
         ask(m, pipeline, out);
    if (pipeline)
        vk->vkDestroyPipeline(m->d->handle, pipeline, NULL);
    if (module)
        vk->vkDestroyShaderModule(m->d->handle, module, NULL);
    if (layout)
        vk->vkDestroyPipelineLayout(m->d->handle, layout, NULL);
    if (set)
        vk->vkDestroyDescriptorSetLayout(m->d->handle, set, NULL);
    return ok;
}

static sy_vk_device *open_device(const sy_vk_device *device, sy_error *error)
{
    static const char *const extensions[] = {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, .pipelineExecutableInfo = VK_TRUE};
    sy_vk_extra extra = {.extensions = extensions, .n_extensions = 1, .next = &feature};
    for (uint32_t i = 0; i < device->instance->n_physicals; i++)
        if (device->instance->physicals[i].handle == device->physical)
            return sy_vk_device_create_with(device->instance, i, &extra, error);
    return NULL;
}

static bool can_tell(const sy_vk_device *d)
{
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &feature};
    if (!sy_snapshot_has_extension(d->snapshot, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
        return false;
    d->instance->vk.vkGetPhysicalDeviceFeatures2(d->physical, &features);
    return feature.pipelineExecutableInfo;
}

bool sy_executable_facts(const sy_vk_device *device, const sy_program *const *programs, uint32_t n_programs, sy_profile_report *r,
                         sy_error *error)
{
    if (!can_tell(device))
        return true;
    maker m = {open_device(device, error), r, error};
    bool ok = m.d != NULL;
    uint32_t at = 0;
    for (uint32_t p = 0; ok && p < n_programs; p++)
        for (uint32_t k = 0; ok && k < programs[p]->n_kernels; k++, at++)
            ok = facts_of(&m, &programs[p]->kernels[k], &r->kernels[at]);
    if (m.d)
        sy_vk_device_destroy(&m.d);
    return ok;
}
