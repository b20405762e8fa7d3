/* What the window shows: surface and swapchain, made anew when the window changes. Drawing thread. */
#ifndef SY_VIEWER_SWAPCHAIN_H
#define SY_VIEWER_SWAPCHAIN_H

#include "viewer/paint.h"
#include "viewer/window.h"

enum { SWAPCHAIN_IMAGES = 8 };

typedef struct swapchain {
    gpu *g;
    VkSurfaceKHR surface;
    VkSurfaceFormatKHR format;
    VkSwapchainKHR handle;
    uint32_t width, height, n;
    VkImageView views[SWAPCHAIN_IMAGES];
    VkFramebuffer framebuffers[SWAPCHAIN_IMAGES];
    VkSemaphore drawn[SWAPCHAIN_IMAGES]; /* what presenting waits for */
    bool stale;                          /* must be made anew before the next frame */
    bool lost;                           /* and its surface before that: swapchain_renew */
} swapchain;

/* Surface and format; no images yet. Fails where the device cannot present to it. */
bool swapchain_open(swapchain *s, gpu *g, window *w);
void swapchain_close(swapchain *s); /* nothing of it may be in flight */
/* Another surface of the same window in place of one that was lost. False: it needs another format, or gpu.error. Nothing may
 * be in flight. */
bool swapchain_renew(swapchain *s, window *w);
/* Images for a window of that size; the old ones are given back. Nothing may be in flight. */
bool swapchain_fit(swapchain *s, paint *p, uint32_t width, uint32_t height);

/* False where there is none now: stale or lost is set, or gpu.error says why, or the display is not ready (neither). */
bool swapchain_acquire(swapchain *s, VkSemaphore acquired, uint32_t *image);
bool swapchain_present(swapchain *s, uint32_t image);

#endif
