#include "tests/run/help_draw.h"

static bool make_commands(sy_drawer *d)
{
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->vulkan.queue_family};
    if (d->vk.vkCreateCommandPool(d->vulkan.device, &pool, NULL, &d->pool) != VK_SUCCESS)
        return false;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->pool,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return d->vk.vkAllocateCommandBuffers(d->vulkan.device, &info, &d->commands) == VK_SUCCESS &&
           d->vk.vkCreateFence(d->vulkan.device, &fence, NULL, &d->fence) == VK_SUCCESS;
}

static bool make_buffer(sy_drawer *d)
{
    PFN_vkGetPhysicalDeviceMemoryProperties properties =
        (PFN_vkGetPhysicalDeviceMemoryProperties)d->vulkan.get_instance_proc_addr(
            d->vulkan.instance, "vkGetPhysicalDeviceMemoryProperties");
    const uint32_t wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    VkMemoryRequirements needs;
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = d->size,
                               .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    uint32_t type = 0;
    properties(d->vulkan.physical_device, &memory);
    if (d->vk.vkCreateBuffer(d->vulkan.device, &info, NULL, &d->buffer) != VK_SUCCESS)
        return false;
    d->vk.vkGetBufferMemoryRequirements(d->vulkan.device, d->buffer, &needs);
    while (type < memory.memoryTypeCount &&
           !((needs.memoryTypeBits >> type & 1) && (memory.memoryTypes[type].propertyFlags & wanted) == wanted))
        type++;
    VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = type};
    return type < memory.memoryTypeCount &&
           d->vk.vkAllocateMemory(d->vulkan.device, &allocate, NULL, &d->memory) == VK_SUCCESS &&
           d->vk.vkBindBufferMemory(d->vulkan.device, d->buffer, d->memory, 0) == VK_SUCCESS &&
           d->vk.vkMapMemory(d->vulkan.device, d->memory, 0, VK_WHOLE_SIZE, 0, &d->mapped) == VK_SUCCESS;
}

bool sy_drawer_open(sy_drawer *d, const sy_vulkan *vulkan, VkDeviceSize size)
{
    *d = (sy_drawer){.vulkan = *vulkan, .size = size};
    volkLoadDeviceTable(&d->vk, vulkan->device);
    if (make_commands(d) && make_buffer(d))
        return true;
    sy_drawer_close(d);
    return false;
}

void sy_drawer_close(sy_drawer *d)
{
    if (d->fence)
        d->vk.vkDestroyFence(d->vulkan.device, d->fence, NULL);
    if (d->pool)
        d->vk.vkDestroyCommandPool(d->vulkan.device, d->pool, NULL);
    if (d->buffer)
        d->vk.vkDestroyBuffer(d->vulkan.device, d->buffer, NULL);
    if (d->memory)
        d->vk.vkFreeMemory(d->vulkan.device, d->memory, NULL);
    *d = (sy_drawer){0};
}

static void record_copy(sy_drawer *d, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize bytes)
{
    VkMemoryBarrier written = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT},
                    copied = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                              .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                              .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    VkBufferCopy copy = {.srcOffset = offset, .size = bytes};
    d->vk.vkCmdPipelineBarrier(d->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                               VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &written, 0, NULL, 0, NULL);
    d->vk.vkCmdCopyBuffer(d->commands, buffer, d->buffer, 1, &copy);
    d->vk.vkCmdPipelineBarrier(d->commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &copied, 0,
                               NULL, 0, NULL);
}

bool sy_drawer_read(sy_drawer *d, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize bytes)
{
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &d->commands};
    if (bytes > d->size || d->vk.vkBeginCommandBuffer(d->commands, &begin) != VK_SUCCESS)
        return false;
    if (bytes)
        record_copy(d, buffer, offset, bytes);
    if (d->vk.vkEndCommandBuffer(d->commands) != VK_SUCCESS)
        return false;
    sy_vulkan_lock(&d->vulkan);
    VkResult result = d->vk.vkQueueSubmit(d->vulkan.queue, 1, &info, d->fence);
    sy_vulkan_unlock(&d->vulkan);
    return result == VK_SUCCESS &&
           d->vk.vkWaitForFences(d->vulkan.device, 1, &d->fence, VK_TRUE, UINT64_MAX) == VK_SUCCESS &&
           d->vk.vkResetFences(d->vulkan.device, 1, &d->fence) == VK_SUCCESS;
}
