/* See help_vulkan.h. */
#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include "tests/emit/help_vulkan.h"

#include <volk.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vk_device {
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family, memory_type;
    sy_limits limits;
};

static VkInstance instance;
static VkDebugUtilsMessengerEXT messenger;
static unsigned messages;

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT type,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *context)
{
    (void)context;
    if (severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT &&
        (type & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT)) {
        messages++;
        fprintf(stderr, "validation: %s\n", data->pMessage);
    }
    return VK_FALSE;
}

unsigned vk_messages(void)
{
    return messages;
}

const sy_limits *vk_limits(const vk_device *device)
{
    return &device->limits;
}

static VkResult create_instance(void)
{
    static const char *layer = "VK_LAYER_KHRONOS_validation";
    const char *extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkDebugUtilsMessengerCreateInfoEXT report = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
    };
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &report,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enables,
    };
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = &features,
        .pApplicationInfo = &app,
        .enabledLayerCount = 1,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = 2,
        .ppEnabledExtensionNames = extensions,
    };
    if (!getenv("SY_NO_VALIDATION") && vkCreateInstance(&info, NULL, &instance) == VK_SUCCESS) {
        volkLoadInstance(instance);
        return vkCreateDebugUtilsMessengerEXT(instance, &report, NULL, &messenger);
    }
    info.pNext = NULL;
    info.enabledLayerCount = info.enabledExtensionCount = 0;
    VkResult result = vkCreateInstance(&info, NULL, &instance);
    if (result == VK_SUCCESS)
        volkLoadInstance(instance);
    return result;
}

static void read_limits(vk_device *d, const VkPhysicalDeviceProperties *p)
{
    sy_limits *l = &d->limits;
    *l = sy_limits_floor();
    snprintf(l->device, sizeof l->device, "%s", p->deviceName);
    l->cpu = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    l->vulkan_version = p->apiVersion;
    l->shared_bytes = p->limits.maxComputeSharedMemorySize;
    l->invocations = p->limits.maxComputeWorkGroupInvocations;
    memcpy(l->group_size, p->limits.maxComputeWorkGroupSize, sizeof l->group_size);
    memcpy(l->group_count, p->limits.maxComputeWorkGroupCount, sizeof l->group_count);
    l->loop_limit = strstr(p->deviceName, "llvmpipe") ? 65535 : 0;
    l->texel_elements = l->cpu && !getenv("SY_NO_TEXELS") ? p->limits.maxTexelBufferElements : 0;
}

static bool open_device(vk_device *d, VkPhysicalDevice physical)
{
    VkPhysicalDeviceProperties properties;
    VkQueueFamilyProperties families[16];
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t n = 16;
    vkGetPhysicalDeviceProperties(physical, &properties);
    if (properties.apiVersion < VK_API_VERSION_1_2)
        return false;
    d->physical = physical;
    read_limits(d, &properties);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    while (d->family < n && !(families[d->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        d->family++;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    VkMemoryPropertyFlags wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    while (d->memory_type < memory.memoryTypeCount &&
           (memory.memoryTypes[d->memory_type].propertyFlags & wanted) != wanted)
        d->memory_type++;
    if (d->family == n || d->memory_type == memory.memoryTypeCount)
        return false;
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = d->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue};
    if (vkCreateDevice(physical, &info, NULL, &d->device))
        return false;
    vkGetDeviceQueue(d->device, d->family, 0, &d->queue);
    return true;
}

uint32_t vk_open(vk_device **devices, uint32_t room)
{
    VkPhysicalDevice physical[8];
    uint32_t n = 8, opened = 0;
    if (volkInitialize() || create_instance() || vkEnumeratePhysicalDevices(instance, &n, physical) < 0)
        return 0;
    for (uint32_t i = 0; i < n && opened < room; i++) {
        vk_device *d = calloc(1, sizeof *d);
        if (d && open_device(d, physical[i]))
            devices[opened++] = d;
        else
            free(d);
    }
    return opened;
}

void vk_close(vk_device **devices, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        vkDestroyDevice(devices[i]->device, NULL);
        free(devices[i]);
    }
    if (messenger)
        vkDestroyDebugUtilsMessengerEXT(instance, messenger, NULL);
    if (instance)
        vkDestroyInstance(instance, NULL);
}

typedef struct resources {
    VkDeviceMemory memory;
    VkBuffer buffer[24];
    VkBufferView view[24];
    VkDeviceSize offset[24];
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    VkCommandPool commands;
    VkFence fence;
    char *map;
} resources;

static bool make_buffers(vk_device *d, const vk_job *job, resources *r)
{
    VkDeviceSize total = 0;
    for (uint32_t i = 0; i < job->n_bindings; i++) {
        VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                   .size = (job->bytes[i] + 3) / 4 * 4,
                                   .usage =
                                       VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT};
        VkMemoryRequirements needs;
        if (vkCreateBuffer(d->device, &info, NULL, &r->buffer[i]))
            return false;
        vkGetBufferMemoryRequirements(d->device, r->buffer[i], &needs);
        r->offset[i] = (total + needs.alignment - 1) / needs.alignment * needs.alignment;
        total = r->offset[i] + needs.size;
    }
    VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = total, .memoryTypeIndex = d->memory_type};
    if (vkAllocateMemory(d->device, &info, NULL, &r->memory) ||
        vkMapMemory(d->device, r->memory, 0, VK_WHOLE_SIZE, 0, (void **)&r->map))
        return false;
    for (uint32_t i = 0; i < job->n_bindings; i++) {
        if (vkBindBufferMemory(d->device, r->buffer[i], r->memory, r->offset[i]))
            return false;
        memcpy(r->map + r->offset[i], job->data[i], job->bytes[i]);
        VkBufferViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                       .buffer = r->buffer[i],
                                       .format = VK_FORMAT_R32G32B32A32_UINT,
                                       .range = job->bytes[i] / 16 * 16};
        if ((job->texels >> i & 1) && vkCreateBufferView(d->device, &view, NULL, &r->view[i]))
            return false;
    }
    return true;
}

static bool make_pipeline(vk_device *d, const vk_job *job, resources *r)
{
    VkDescriptorSetLayoutBinding bindings[24];
    VkDescriptorPoolSize sizes[2] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 24},
                                     {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 24}};
    for (uint32_t i = 0; i < job->n_bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            i, job->texels >> i & 1 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
            VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    VkDescriptorSetLayoutCreateInfo set_info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                .bindingCount = job->n_bindings,
                                                .pBindings = bindings};
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * job->n_push};
    VkPipelineLayoutCreateInfo layout_info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                              .setLayoutCount = 1,
                                              .pSetLayouts = &r->set_layout,
                                              .pushConstantRangeCount = job->n_push > 0,
                                              .pPushConstantRanges = &push};
    VkShaderModuleCreateInfo module = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                       .codeSize = 4 * (size_t)job->n_spirv,
                                       .pCode = job->spirv};
    VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 2, .pPoolSizes = sizes};
    if (vkCreateDescriptorSetLayout(d->device, &set_info, NULL, &r->set_layout) ||
        vkCreatePipelineLayout(d->device, &layout_info, NULL, &r->layout) ||
        vkCreateShaderModule(d->device, &module, NULL, &r->module) ||
        vkCreateDescriptorPool(d->device, &pool, NULL, &r->pool))
        return false;
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .module = r->module,
                                                  .pName = "main"},
                                        .layout = r->layout};
    VkDescriptorSetAllocateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                       .descriptorPool = r->pool,
                                       .descriptorSetCount = 1,
                                       .pSetLayouts = &r->set_layout};
    if (vkCreateComputePipelines(d->device, VK_NULL_HANDLE, 1, &info, NULL, &r->pipeline) ||
        vkAllocateDescriptorSets(d->device, &set, &r->set))
        return false;
    for (uint32_t i = 0; i < job->n_bindings; i++) {
        VkDescriptorBufferInfo buffer = {r->buffer[i], 0, VK_WHOLE_SIZE};
        VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                      .dstSet = r->set,
                                      .dstBinding = i,
                                      .descriptorCount = 1,
                                      .descriptorType = bindings[i].descriptorType,
                                      .pBufferInfo = &buffer,
                                      .pTexelBufferView = &r->view[i]};
        vkUpdateDescriptorSets(d->device, 1, &write, 0, NULL);
    }
    return true;
}

/* Records, submits and waits; seconds by the wall clock. */
static double submit(vk_device *d, const vk_job *job, resources *r)
{
    VkCommandBuffer commands;
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = r->commands,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    struct timespec before, after;
    if (vkAllocateCommandBuffers(d->device, &allocate, &commands) || vkBeginCommandBuffer(commands, &begin))
        return -1;
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, r->pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, r->layout, 0, 1, &r->set, 0, NULL);
    if (job->n_push)
        vkCmdPushConstants(commands, r->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * job->n_push, job->push);
    vkCmdDispatch(commands, job->groups[0], job->groups[1], job->groups[2]);
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0,
                         NULL, 0, NULL);
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    if (vkEndCommandBuffer(commands) || vkResetFences(d->device, 1, &r->fence))
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (vkQueueSubmit(d->queue, 1, &info, r->fence) || vkWaitForFences(d->device, 1, &r->fence, VK_TRUE, 120000000000u))
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &after);
    vkFreeCommandBuffers(d->device, r->commands, 1, &commands);
    return (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
}

static void free_all(vk_device *d, const vk_job *job, resources *r)
{
    vkDestroyFence(d->device, r->fence, NULL);
    vkDestroyCommandPool(d->device, r->commands, NULL);
    vkDestroyDescriptorPool(d->device, r->pool, NULL);
    vkDestroyPipeline(d->device, r->pipeline, NULL);
    vkDestroyShaderModule(d->device, r->module, NULL);
    vkDestroyPipelineLayout(d->device, r->layout, NULL);
    vkDestroyDescriptorSetLayout(d->device, r->set_layout, NULL);
    for (uint32_t i = 0; i < job->n_bindings; i++) {
        vkDestroyBufferView(d->device, r->view[i], NULL);
        vkDestroyBuffer(d->device, r->buffer[i], NULL);
    }
    vkFreeMemory(d->device, r->memory, NULL);
}

double vk_run(vk_device *d, const vk_job *job, double *first)
{
    resources r = {0};
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = d->family};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    struct timespec before, after;
    double seconds = -1;
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (make_buffers(d, job, &r) && make_pipeline(d, job, &r) &&
        !vkCreateCommandPool(d->device, &pool, NULL, &r.commands) && !vkCreateFence(d->device, &fence, NULL, &r.fence))
        seconds = submit(d, job, &r);
    clock_gettime(CLOCK_MONOTONIC, &after);
    *first = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    if (seconds >= 0)
        for (uint32_t i = 0; i < job->n_bindings; i++)
            memcpy(job->data[i], r.map + r.offset[i], job->bytes[i]);
    for (uint32_t i = 0; i < job->repeats && seconds >= 0; i++) {
        double again = submit(d, job, &r);
        seconds = i == 0 || again < seconds ? again : seconds;
    }
    free_all(d, job, &r);
    return seconds;
}
