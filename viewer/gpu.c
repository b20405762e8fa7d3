/* See gpu.h. */
#include "viewer/gpu.h"

#include <stdio.h>
#include <string.h>

/* Longer than any network's longest submission; past it the device counts as lost. */
static const uint64_t most_wait_ns = 60ull * 1000 * 1000 * 1000;

static const char *result_text(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of the device's memory";
    case VK_ERROR_DEVICE_LOST:
        return "the device was lost";
    case VK_ERROR_SURFACE_LOST_KHR:
        return "the window's surface was lost";
    case VK_ERROR_OUT_OF_DATE_KHR:
        return "the window has changed";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialisation failed";
    case VK_TIMEOUT:
        return "it took too long";
    default:
        return NULL;
    }
}

bool gpu_check(gpu *g, VkResult result, const char *what)
{
    if (result == VK_SUCCESS)
        return true;
    const char *text = result_text(result);
    if (text)
        snprintf(g->error, sizeof g->error, "%s: %s", what, text);
    else
        snprintf(g->error, sizeof g->error, "%s: Vulkan error %d", what, (int)result);
    g->lost = g->lost || result == VK_ERROR_DEVICE_LOST || result == VK_TIMEOUT;
    return false;
}

bool gpu_open(gpu *g, const sy_vulkan *sy)
{
    *g = (gpu){.sy = *sy};
    gpu_functions *vk = &g->vk;
    if (!sy->queue) {
        snprintf(g->error, sizeof g->error, "this device computes but cannot draw");
        return false;
    }
#define X(name) vk->name = (PFN_##name)sy->get_instance_proc_addr(sy->instance, #name);
    GPU_INSTANCE_FUNCTIONS(X)
    GPU_SURFACE_FUNCTIONS(X)
#undef X
    if (!vk->vkGetDeviceProcAddr || !vk->vkGetPhysicalDeviceMemoryProperties || !vk->vkGetPhysicalDeviceProperties) {
        snprintf(g->error, sizeof g->error, "the Vulkan loader lacks functions");
        return false;
    }
    const char *missing = NULL;
#define X(name)                                                                                                        \
    vk->name = (PFN_##name)vk->vkGetDeviceProcAddr(sy->device, #name);                                                 \
    missing = vk->name ? missing : #name;
    GPU_DEVICE_FUNCTIONS(X)
#undef X
    if (missing) {
        snprintf(g->error, sizeof g->error, "the driver has no %s", missing);
        return false;
    }
    for (uint32_t i = 0; i < sy->n_device_extensions; i++)
        g->swapchains = g->swapchains || !strcmp(sy->device_extensions[i], VK_KHR_SWAPCHAIN_EXTENSION_NAME);
    if (g->swapchains) {
#define X(name) vk->name = (PFN_##name)vk->vkGetDeviceProcAddr(sy->device, #name);
        GPU_SWAPCHAIN_FUNCTIONS(X)
#undef X
    }
    vk->vkGetPhysicalDeviceMemoryProperties(sy->physical_device, &g->memory);
    vk->vkGetPhysicalDeviceProperties(sy->physical_device, &g->properties);
    const VkCommandPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                          .queueFamilyIndex = sy->queue_family};
    return gpu_check(g, vk->vkCreateCommandPool(sy->device, &info, NULL, &g->pool), "making a command pool");
}

void gpu_close(gpu *g)
{
    if (g->pool)
        g->vk.vkDestroyCommandPool(g->sy.device, g->pool, NULL);
    g->pool = VK_NULL_HANDLE;
}

/* The first type with all flags wanted, among those allowed; UINT32_MAX if there is none. */
static uint32_t memory_type(const gpu *g, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    for (uint32_t i = 0; i < g->memory.memoryTypeCount; i++)
        if ((allowed >> i & 1) && (g->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return i;
    return UINT32_MAX;
}

static bool allocate(gpu *g, const VkMemoryRequirements *need, gpu_place place, VkDeviceMemory *memory)
{
    const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags best = place == GPU_DEVICE      ? VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
                                       : place == GPU_HOST_READ ? host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT
                                                                : host;
    uint32_t type = memory_type(g, need->memoryTypeBits, best);
    if (type == UINT32_MAX)
        type = memory_type(g, need->memoryTypeBits, place == GPU_DEVICE ? 0 : host);
    if (type == UINT32_MAX)
        return gpu_check(g, VK_ERROR_OUT_OF_DEVICE_MEMORY, "no memory type of the device will do");
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need->size, .memoryTypeIndex = type};
    return gpu_check(g, g->vk.vkAllocateMemory(g->sy.device, &info, NULL, memory), "drawing needs memory");
}

bool gpu_buffer_create(gpu *g, VkDeviceSize bytes, VkBufferUsageFlags usage, gpu_place place, gpu_buffer *buffer)
{
    const gpu_functions *vk = &g->vk;
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = usage};
    VkMemoryRequirements need;
    *buffer = (gpu_buffer){.bytes = bytes};
    bool ok = gpu_check(g, vk->vkCreateBuffer(g->sy.device, &info, NULL, &buffer->handle), "making a buffer");
    if (ok) {
        vk->vkGetBufferMemoryRequirements(g->sy.device, buffer->handle, &need);
        ok = allocate(g, &need, place, &buffer->memory) &&
             gpu_check(g, vk->vkBindBufferMemory(g->sy.device, buffer->handle, buffer->memory, 0), "making a buffer") &&
             (place == GPU_DEVICE ||
              gpu_check(g, vk->vkMapMemory(g->sy.device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped),
                        "mapping a buffer"));
    }
    if (!ok)
        gpu_buffer_destroy(g, buffer);
    return ok;
}

void gpu_buffer_destroy(gpu *g, gpu_buffer *buffer)
{
    if (buffer->handle)
        g->vk.vkDestroyBuffer(g->sy.device, buffer->handle, NULL);
    if (buffer->memory)
        g->vk.vkFreeMemory(g->sy.device, buffer->memory, NULL);
    *buffer = (gpu_buffer){0};
}

bool gpu_image_create(gpu *g, uint32_t width, uint32_t height, VkFormat format, VkImageUsageFlags usage,
                      gpu_image *image)
{
    const gpu_functions *vk = &g->vk;
    const VkImageCreateInfo info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
                                    .imageType = VK_IMAGE_TYPE_2D,
                                    .format = format,
                                    .extent = {width, height, 1},
                                    .mipLevels = 1,
                                    .arrayLayers = 1,
                                    .samples = VK_SAMPLE_COUNT_1_BIT,
                                    .tiling = VK_IMAGE_TILING_OPTIMAL,
                                    .usage = usage};
    VkMemoryRequirements need;
    *image = (gpu_image){.format = format, .width = width, .height = height};
    bool ok = gpu_check(g, vk->vkCreateImage(g->sy.device, &info, NULL, &image->handle), "making an image");
    if (ok) {
        vk->vkGetImageMemoryRequirements(g->sy.device, image->handle, &need);
        ok = allocate(g, &need, GPU_DEVICE, &image->memory) &&
             gpu_check(g, vk->vkBindImageMemory(g->sy.device, image->handle, image->memory, 0), "making an image");
    }
    if (ok) {
        const VkImageViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
                                            .image = image->handle,
                                            .viewType = VK_IMAGE_VIEW_TYPE_2D,
                                            .format = format,
                                            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
        ok = gpu_check(g, vk->vkCreateImageView(g->sy.device, &view, NULL, &image->view), "making an image");
    }
    if (!ok)
        gpu_image_destroy(g, image);
    return ok;
}

void gpu_image_destroy(gpu *g, gpu_image *image)
{
    if (image->view)
        g->vk.vkDestroyImageView(g->sy.device, image->view, NULL);
    if (image->handle)
        g->vk.vkDestroyImage(g->sy.device, image->handle, NULL);
    if (image->memory)
        g->vk.vkFreeMemory(g->sy.device, image->memory, NULL);
    *image = (gpu_image){0};
}

void gpu_image_barrier(gpu *g, VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to,
                       VkPipelineStageFlags from_stage, VkAccessFlags from_access, VkPipelineStageFlags to_stage,
                       VkAccessFlags to_access)
{
    const VkImageMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
                                          .srcAccessMask = from_access,
                                          .dstAccessMask = to_access,
                                          .oldLayout = from,
                                          .newLayout = to,
                                          .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                          .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                          .image = image,
                                          .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    g->vk.vkCmdPipelineBarrier(commands, from_stage, to_stage, 0, 0, NULL, 0, NULL, 1, &barrier);
}

bool gpu_shader(gpu *g, const uint32_t *words, size_t bytes, VkShaderModule *module)
{
    const VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
    return gpu_check(g, g->vk.vkCreateShaderModule(g->sy.device, &info, NULL, module), "making a shader");
}

bool gpu_submit(gpu *g, const VkSubmitInfo *info, VkFence fence)
{
    sy_vulkan_lock(&g->sy);
    VkResult result = g->vk.vkQueueSubmit(g->sy.queue, 1, info, fence);
    sy_vulkan_unlock(&g->sy);
    return gpu_check(g, result, "drawing");
}

bool gpu_idle(gpu *g)
{
    sy_vulkan_lock(&g->sy);
    VkResult result = g->vk.vkQueueWaitIdle(g->sy.queue);
    sy_vulkan_unlock(&g->sy);
    return gpu_check(g, result, "waiting for the queue");
}

bool gpu_now_begin(gpu *g, VkCommandBuffer *commands)
{
    const VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = g->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    return gpu_check(g, g->vk.vkAllocateCommandBuffers(g->sy.device, &info, commands), "recording commands") &&
           gpu_check(g, g->vk.vkBeginCommandBuffer(*commands, &begin), "recording commands");
}

bool gpu_now_end(gpu *g, VkCommandBuffer *commands)
{
    const gpu_functions *vk = &g->vk;
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = commands};
    VkFence fence = VK_NULL_HANDLE;
    bool ok = gpu_check(g, vk->vkEndCommandBuffer(*commands), "recording commands") &&
              gpu_check(g, vk->vkCreateFence(g->sy.device, &info, NULL, &fence), "making a fence") &&
              gpu_submit(g, &submit, fence) &&
              gpu_check(g, vk->vkWaitForFences(g->sy.device, 1, &fence, VK_TRUE, most_wait_ns), "waiting for the device");
    if (fence)
        vk->vkDestroyFence(g->sy.device, fence, NULL);
    vk->vkFreeCommandBuffers(g->sy.device, g->pool, 1, commands);
    return ok;
}
