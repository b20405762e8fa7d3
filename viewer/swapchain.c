/* See swapchain.h. */
#include "viewer/swapchain.h"

#include <stdio.h>
#include <stdlib.h>

static bool choose_format(swapchain *s)
{
    gpu *g = s->g;
    VkSurfaceFormatKHR formats[64];
    uint32_t n = 64;
    VkResult result =
        g->vk.vkGetPhysicalDeviceSurfaceFormatsKHR(g->sy.physical_device, s->surface, &n, formats);
    if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || !n)
        return gpu_check(g, result == VK_SUCCESS ? VK_ERROR_SURFACE_LOST_KHR : result, "asking for the window's formats");
    s->format = formats[0];
    for (uint32_t i = n; i-- > 0;) /* colours are given as the display wants them */
        if (formats[i].format == VK_FORMAT_B8G8R8A8_UNORM || formats[i].format == VK_FORMAT_R8G8B8A8_UNORM)
            s->format = formats[i];
    return true;
}

bool swapchain_open(swapchain *s, gpu *g, window *w)
{
    *s = (swapchain){.g = g};
    VkBool32 can = VK_FALSE;
    if (!g->swapchains || !g->vk.vkGetPhysicalDeviceSurfaceSupportKHR) {
        snprintf(g->error, sizeof g->error, "this device cannot show pictures in a window");
        return false;
    }
    if (!window_surface(w, g, &s->surface) ||
        !gpu_check(g,
                   g->vk.vkGetPhysicalDeviceSurfaceSupportKHR(g->sy.physical_device, g->sy.queue_family, s->surface, &can),
                   "asking whether the device can present"))
        return false;
    if (!can) {
        snprintf(g->error, sizeof g->error, "this device cannot show pictures on this display");
        return false;
    }
    return choose_format(s);
}

static void drop_images(swapchain *s)
{
    const gpu_functions *vk = &s->g->vk;
    for (uint32_t i = 0; i < s->n; i++) {
        vk->vkDestroyFramebuffer(s->g->sy.device, s->framebuffers[i], NULL);
        vk->vkDestroyImageView(s->g->sy.device, s->views[i], NULL);
        vk->vkDestroySemaphore(s->g->sy.device, s->drawn[i], NULL);
        s->framebuffers[i] = VK_NULL_HANDLE;
        s->views[i] = VK_NULL_HANDLE;
        s->drawn[i] = VK_NULL_HANDLE;
    }
    s->n = 0;
}

void swapchain_close(swapchain *s)
{
    if (!s->g)
        return;
    drop_images(s);
    if (s->handle)
        s->g->vk.vkDestroySwapchainKHR(s->g->sy.device, s->handle, NULL);
    if (s->surface)
        s->g->vk.vkDestroySurfaceKHR(s->g->sy.instance, s->surface, NULL);
    *s = (swapchain){0};
}

static bool make_images(swapchain *s, paint *p)
{
    gpu *g = s->g;
    VkImage images[SWAPCHAIN_IMAGES];
    uint32_t n = SWAPCHAIN_IMAGES;
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    if (!gpu_check(g, g->vk.vkGetSwapchainImagesKHR(g->sy.device, s->handle, &n, images), "making the window's images"))
        return false;
    for (s->n = 0; s->n < n;) {
        const uint32_t i = s->n++;
        const VkImageViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
                                            .image = images[i],
                                            .viewType = VK_IMAGE_VIEW_TYPE_2D,
                                            .format = s->format.format,
                                            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
        if (!gpu_check(g, g->vk.vkCreateImageView(g->sy.device, &view, NULL, &s->views[i]), "making the window's images") ||
            !gpu_check(g, g->vk.vkCreateSemaphore(g->sy.device, &semaphore, NULL, &s->drawn[i]), "making a semaphore") ||
            !paint_framebuffer(p, s->views[i], s->width, s->height, &s->framebuffers[i]))
            return false;
    }
    return true;
}

bool swapchain_fit(swapchain *s, paint *p, uint32_t width, uint32_t height)
{
    gpu *g = s->g;
    VkSurfaceCapabilitiesKHR c;
    drop_images(s);
    s->stale = true;
    if (!gpu_check(g, g->vk.vkGetPhysicalDeviceSurfaceCapabilitiesKHR(g->sy.physical_device, s->surface, &c),
                   "asking for the window's size"))
        return false;
    s->width = c.currentExtent.width != UINT32_MAX ? c.currentExtent.width : width;
    s->height = c.currentExtent.width != UINT32_MAX ? c.currentExtent.height : height;
    if (!s->width || !s->height)
        return true; /* minimised: stays stale */
    uint32_t n = c.minImageCount < 3 ? 3 : c.minImageCount;
    n = c.maxImageCount && n > c.maxImageCount ? c.maxImageCount : n;
    const VkSwapchainKHR old = s->handle;
    const VkSwapchainCreateInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
        .surface = s->surface,
        .minImageCount = n,
        .imageFormat = s->format.format,
        .imageColorSpace = s->format.colorSpace,
        .imageExtent = {s->width, s->height},
        .imageArrayLayers = 1,
        .imageUsage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT,
        .preTransform = c.currentTransform,
        .compositeAlpha = c.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR,
        .presentMode = VK_PRESENT_MODE_FIFO_KHR,
        .clipped = VK_TRUE,
        .oldSwapchain = old};
    s->handle = VK_NULL_HANDLE;
    bool ok = gpu_check(g, g->vk.vkCreateSwapchainKHR(g->sy.device, &info, NULL, &s->handle), "making the window's images");
    if (old)
        g->vk.vkDestroySwapchainKHR(g->sy.device, old, NULL);
    ok = ok && make_images(s, p);
    s->stale = !ok;
    return ok;
}

bool swapchain_renew(swapchain *s, window *w)
{
    gpu *g = s->g;
    const VkFormat format = s->format.format;
    swapchain_close(s);
    if (!swapchain_open(s, g, w))
        return false;
    s->stale = true;
    return s->format.format == format;
}

/* Out of date is not a failure: the swapchain is made anew. Nor is a lost surface. */
static bool judge(swapchain *s, VkResult result, const char *what)
{
    if (result == VK_ERROR_SURFACE_LOST_KHR) {
        s->lost = true;
        return false;
    }
    s->stale = s->stale || result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR;
    if (result == VK_SUCCESS || result == VK_SUBOPTIMAL_KHR)
        return true;
    return result == VK_ERROR_OUT_OF_DATE_KHR ? false : gpu_check(s->g, result, what);
}

bool swapchain_acquire(swapchain *s, VkSemaphore acquired, uint32_t *image)
{
    const uint64_t most_ns = 50ull * 1000 * 1000;
    VkResult result =
        s->g->vk.vkAcquireNextImageKHR(s->g->sy.device, s->handle, most_ns, acquired, VK_NULL_HANDLE, image);
    if (result == VK_TIMEOUT || result == VK_NOT_READY)
        return false;
    return judge(s, result, "taking the window's next image");
}

bool swapchain_present(swapchain *s, uint32_t image)
{
    const VkPresentInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
                                   .waitSemaphoreCount = 1,
                                   .pWaitSemaphores = &s->drawn[image],
                                   .swapchainCount = 1,
                                   .pSwapchains = &s->handle,
                                   .pImageIndices = &image};
    sy_vulkan_lock(&s->g->sy);
    VkResult result = s->g->vk.vkQueuePresentKHR(s->g->sy.queue, &info);
    sy_vulkan_unlock(&s->g->sy);
    return judge(s, result, "presenting");
}
