/* See offscreen.h. */
#include "viewer/offscreen.h"

#include <stdlib.h>

static uint8_t *to_rgb(const gpu_buffer *pixels, VkFormat format, size_t n)
{
    const bool swapped = format == VK_FORMAT_B8G8R8A8_UNORM || format == VK_FORMAT_B8G8R8A8_SRGB;
    const uint8_t *from = pixels->mapped;
    uint8_t *rgb = malloc(n * 3);
    for (size_t i = 0; rgb && i < n; i++) {
        rgb[i * 3] = from[i * 4 + (swapped ? 2 : 0)];
        rgb[i * 3 + 1] = from[i * 4 + 1];
        rgb[i * 3 + 2] = from[i * 4 + (swapped ? 0 : 2)];
    }
    return rgb;
}

static bool record(gpu *g, paint *p, const gpu_image *image, VkFramebuffer framebuffer, const gpu_buffer *pixels)
{
    VkCommandBuffer commands;
    const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                    .imageExtent = {image->width, image->height, 1}};
    const VkMemoryBarrier host = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    if (!gpu_now_begin(g, &commands))
        return false;
    if (!paint_record(p, PAINT_SHOT, false, commands, framebuffer, image->width, image->height)) {
        g->vk.vkFreeCommandBuffers(g->sy.device, g->pool, 1, &commands);
        return false;
    }
    g->vk.vkCmdCopyImageToBuffer(commands, image->handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, pixels->handle, 1, &copy);
    g->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &host, 0, NULL,
                               0, NULL);
    return gpu_now_end(g, &commands);
}

bool offscreen_shot(gpu *g, paint *p, uint32_t width, uint32_t height, uint8_t **rgb)
{
    gpu_image image = {0};
    gpu_buffer pixels = {0};
    VkFramebuffer framebuffer = VK_NULL_HANDLE;
    const size_t n = (size_t)width * height;
    bool ok = gpu_image_create(g, width, height, p->format,
                               VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT, &image) &&
              gpu_buffer_create(g, n * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT, GPU_HOST_READ, &pixels) &&
              paint_framebuffer(p, image.view, width, height, &framebuffer) &&
              record(g, p, &image, framebuffer, &pixels);
    *rgb = ok ? to_rgb(&pixels, p->format, n) : NULL;
    if (framebuffer)
        g->vk.vkDestroyFramebuffer(g->sy.device, framebuffer, NULL);
    gpu_buffer_destroy(g, &pixels);
    gpu_image_destroy(g, &image);
    return *rgb || (ok && gpu_check(g, VK_ERROR_OUT_OF_HOST_MEMORY, "reading the image back"));
}
