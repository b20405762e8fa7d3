/* The device as the viewer draws with it: Vulkan's functions, buffers, images, submissions. The device is the library's
 * (switchyard_vulkan.h) and is not destroyed here. Belongs to the drawing thread. Functions return false after writing
 * why to gpu.error and keeping the first device loss in gpu.lost. */
#ifndef SY_VIEWER_GPU_H
#define SY_VIEWER_GPU_H

#include "src/switchyard_vulkan.h"

#define GPU_INSTANCE_FUNCTIONS(X)                                                                                      \
    X(vkGetDeviceProcAddr)                                                                                             \
    X(vkGetPhysicalDeviceMemoryProperties)                                                                             \
    X(vkGetPhysicalDeviceProperties)

/* Null where the surface extension is not enabled: without a window. */
#define GPU_SURFACE_FUNCTIONS(X)                                                                                       \
    X(vkDestroySurfaceKHR)                                                                                             \
    X(vkGetPhysicalDeviceSurfaceCapabilitiesKHR)                                                                       \
    X(vkGetPhysicalDeviceSurfaceFormatsKHR)                                                                            \
    X(vkGetPhysicalDeviceSurfacePresentModesKHR)                                                                       \
    X(vkGetPhysicalDeviceSurfaceSupportKHR)

#define GPU_SWAPCHAIN_FUNCTIONS(X)                                                                                     \
    X(vkAcquireNextImageKHR)                                                                                           \
    X(vkCreateSwapchainKHR)                                                                                            \
    X(vkDestroySwapchainKHR)                                                                                           \
    X(vkGetSwapchainImagesKHR)                                                                                         \
    X(vkQueuePresentKHR)

#define GPU_DEVICE_FUNCTIONS(X)                                                                                        \
    X(vkAllocateCommandBuffers)                                                                                        \
    X(vkAllocateDescriptorSets)                                                                                        \
    X(vkAllocateMemory)                                                                                                \
    X(vkBeginCommandBuffer)                                                                                            \
    X(vkBindBufferMemory)                                                                                              \
    X(vkBindImageMemory)                                                                                               \
    X(vkCmdBeginRenderPass)                                                                                            \
    X(vkCmdBindDescriptorSets)                                                                                         \
    X(vkCmdBindIndexBuffer)                                                                                            \
    X(vkCmdBindPipeline)                                                                                               \
    X(vkCmdBindVertexBuffers)                                                                                          \
    X(vkCmdClearColorImage)                                                                                            \
    X(vkCmdCopyBuffer)                                                                                                 \
    X(vkCmdCopyBufferToImage)                                                                                          \
    X(vkCmdCopyImageToBuffer)                                                                                          \
    X(vkCmdDispatch)                                                                                                   \
    X(vkCmdDraw)                                                                                                       \
    X(vkCmdDrawIndexed)                                                                                                \
    X(vkCmdEndRenderPass)                                                                                              \
    X(vkCmdFillBuffer)                                                                                                 \
    X(vkCmdPipelineBarrier)                                                                                            \
    X(vkCmdPushConstants)                                                                                              \
    X(vkCmdSetScissor)                                                                                                 \
    X(vkCmdSetViewport)                                                                                                \
    X(vkCreateBuffer)                                                                                                  \
    X(vkCreateCommandPool)                                                                                             \
    X(vkCreateComputePipelines)                                                                                        \
    X(vkCreateDescriptorPool)                                                                                          \
    X(vkCreateDescriptorSetLayout)                                                                                     \
    X(vkCreateFence)                                                                                                   \
    X(vkCreateFramebuffer)                                                                                             \
    X(vkCreateGraphicsPipelines)                                                                                       \
    X(vkCreateImage)                                                                                                   \
    X(vkCreateImageView)                                                                                               \
    X(vkCreatePipelineLayout)                                                                                          \
    X(vkCreateRenderPass)                                                                                              \
    X(vkCreateSampler)                                                                                                 \
    X(vkCreateSemaphore)                                                                                               \
    X(vkCreateShaderModule)                                                                                            \
    X(vkDestroyBuffer)                                                                                                 \
    X(vkDestroyCommandPool)                                                                                            \
    X(vkDestroyDescriptorPool)                                                                                         \
    X(vkDestroyDescriptorSetLayout)                                                                                    \
    X(vkDestroyFence)                                                                                                  \
    X(vkDestroyFramebuffer)                                                                                            \
    X(vkDestroyImage)                                                                                                  \
    X(vkDestroyImageView)                                                                                              \
    X(vkDestroyPipeline)                                                                                               \
    X(vkDestroyPipelineLayout)                                                                                         \
    X(vkDestroyRenderPass)                                                                                             \
    X(vkDestroySampler)                                                                                                \
    X(vkDestroySemaphore)                                                                                              \
    X(vkDestroyShaderModule)                                                                                           \
    X(vkEndCommandBuffer)                                                                                              \
    X(vkFreeCommandBuffers)                                                                                            \
    X(vkFreeDescriptorSets)                                                                                            \
    X(vkFreeMemory)                                                                                                    \
    X(vkGetBufferMemoryRequirements)                                                                                   \
    X(vkGetFenceStatus)                                                                                                \
    X(vkGetImageMemoryRequirements)                                                                                    \
    X(vkMapMemory)                                                                                                     \
    X(vkQueueSubmit)                                                                                                   \
    X(vkQueueWaitIdle)                                                                                                 \
    X(vkResetCommandBuffer)                                                                                            \
    X(vkResetDescriptorPool)                                                                                           \
    X(vkResetFences)                                                                                                   \
    X(vkUpdateDescriptorSets)                                                                                          \
    X(vkWaitForFences)

typedef struct gpu_functions {
#define X(name) PFN_##name name;
    GPU_INSTANCE_FUNCTIONS(X)
    GPU_SURFACE_FUNCTIONS(X)
    GPU_SWAPCHAIN_FUNCTIONS(X)
    GPU_DEVICE_FUNCTIONS(X)
#undef X
} gpu_functions;

typedef struct gpu {
    sy_vulkan sy;
    gpu_functions vk;
    VkPhysicalDeviceMemoryProperties memory;
    VkPhysicalDeviceProperties properties;
    VkCommandPool pool; /* of commands recorded once */
    bool swapchains;    /* the device can present */
    bool lost;
    char error[512];
} gpu;

/* Fails where the device cannot draw. */
bool gpu_open(gpu *g, const sy_vulkan *sy);
void gpu_close(gpu *g);
/* Writes "what: result" to gpu.error; returns false. True, and nothing written, for VK_SUCCESS. */
bool gpu_check(gpu *g, VkResult result, const char *what);

typedef struct gpu_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceSize bytes;
    void *mapped; /* of host memory, coherent: stays mapped */
} gpu_buffer;
/* In host memory (coherent, mapped; cached if reading) or in the device's. */
typedef enum gpu_place { GPU_DEVICE, GPU_HOST_WRITE, GPU_HOST_READ } gpu_place;
bool gpu_buffer_create(gpu *g, VkDeviceSize bytes, VkBufferUsageFlags usage, gpu_place place, gpu_buffer *buffer);
void gpu_buffer_destroy(gpu *g, gpu_buffer *buffer); /* nothing that uses it may be in flight */

typedef struct gpu_image {
    VkImage handle;
    VkDeviceMemory memory;
    VkImageView view;
    VkFormat format;
    uint32_t width, height;
} gpu_image;
/* Two-dimensional, one level, in the device's memory, layout undefined. */
bool gpu_image_create(gpu *g, uint32_t width, uint32_t height, VkFormat format, VkImageUsageFlags usage,
                      gpu_image *image);
void gpu_image_destroy(gpu *g, gpu_image *image); /* nothing that uses it may be in flight */
/* Records a change of layout with the barrier it needs. */
void gpu_image_barrier(gpu *g, VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to,
                       VkPipelineStageFlags from_stage, VkAccessFlags from_access, VkPipelineStageFlags to_stage,
                       VkAccessFlags to_access);

bool gpu_shader(gpu *g, const uint32_t *words, size_t bytes, VkShaderModule *module);

/* vkQueueSubmit under the queue's lock. */
bool gpu_submit(gpu *g, const VkSubmitInfo *info, VkFence fence);
/* Waits until the queue has done everything, presenting included. */
bool gpu_idle(gpu *g);
/* Commands for now: gpu_now_begin, record, gpu_now_end submits and waits. Not for frames. */
bool gpu_now_begin(gpu *g, VkCommandBuffer *commands);
bool gpu_now_end(gpu *g, VkCommandBuffer *commands);

#endif
