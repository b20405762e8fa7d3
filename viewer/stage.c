/* See app.h: device, engine, and what is made on the device. */
#include "viewer/app.h"

#include <stdio.h>
#include <string.h>

static const uint64_t most_wait_ns = 60ull * 1000 * 1000 * 1000;

static void no_wake(void)
{
}

static void on_validation(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "validation: %s\n", text);
}

static bool open_context(app *a)
{
    char why[300];
    uint32_t n = 0;
    const char *const *extensions = NULL;
    static const char *const device_extensions[] = {VK_KHR_SWAPCHAIN_EXTENSION_NAME};
    if (a->window && !(extensions = window_prepare(&n, why, sizeof why))) {
        app_complain(a, false, "%s", why);
        return false;
    }
    const sy_vulkan_params vulkan = {.instance_extensions = extensions,
                                     .n_instance_extensions = n,
                                     .device_extensions = device_extensions,
                                     .n_device_extensions = a->window ? 1 : 0};
    const sy_context_params params = {.vulkan = &vulkan, .message = on_validation};
    if (sy_context_create(&params, &a->context) == SY_OK)
        return true;
    app_complain(a, false, "There is not enough memory to begin.");
    return false;
}

static bool open_device(app *a)
{
    const sy_device_info *list;
    size_t n;
    sy_vulkan vulkan;
    a->n_devices = 0;
    if (sy_context_devices(a->context, &list, &n) == SY_OK)
        for (size_t i = 0; i < n && a->n_devices < APP_DEVICES; i++)
            if (strcmp(list[i].kind, "reference") != 0)
                a->devices[a->n_devices++] = list[i];
    if (sy_context_vulkan(a->context, *a->device ? a->device : NULL, &vulkan) != SY_OK) {
        app_complain(a, false, "%s", sy_context_message(a->context));
        return false;
    }
    if (!gpu_open(&a->g, &vulkan)) {
        app_complain(a, false, "Drawing cannot begin: %s.", a->g.error);
        return false;
    }
    snprintf(a->device_shown, sizeof a->device_shown, "%s", a->g.properties.deviceName);
    return true;
}

static bool make_slot(app *a, frame_slot *s)
{
    gpu *g = &a->g;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = g->sy.queue_family};
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    *s = (frame_slot){0};
    if (!gpu_check(g, g->vk.vkCreateCommandPool(g->sy.device, &pool, NULL, &s->pool), "making a command pool") ||
        !gpu_check(g, g->vk.vkCreateFence(g->sy.device, &fence, NULL, &s->done), "making a fence") ||
        !gpu_check(g, g->vk.vkCreateSemaphore(g->sy.device, &semaphore, NULL, &s->acquired), "making a semaphore"))
        return false;
    const VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = s->pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = 1};
    return gpu_check(g, g->vk.vkAllocateCommandBuffers(g->sy.device, &commands, &s->commands), "making commands");
}

static bool open_drawing(app *a)
{
    bool ok = !a->window || swapchain_open(&a->swapchain, &a->g, a->window);
    ok = ok && paint_open(&a->p, &a->g, a->window ? a->swapchain.format.format : VK_FORMAT_R8G8B8A8_UNORM);
    for (int i = 0; ok && i < PAINT_FRAMES; i++)
        ok = make_slot(a, &a->slots[i]);
    ok = ok && sight_open(&a->sight, &a->g);
    a->slot = 0;
    a->swapchain.stale = true;
    if (!ok)
        app_complain(a, false, "Drawing cannot begin: %s.", a->g.error);
    return ok;
}

bool stage_open(app *a)
{
    a->staged = open_context(a) && open_device(a) && open_drawing(a);
    if (a->staged)
        a->engine = engine_start(a->context, a->device, a->window ? window_wake : no_wake);
    if (!a->engine) {
        stage_close(a);
        return false;
    }
    if (*a->request.model)
        engine_open(a->engine, &a->request);
    a->reopen = false;
    return true;
}

bool stage_wait(app *a)
{
    for (int i = 0; i < PAINT_FRAMES; i++)
        if (a->slots[i].busy) {
            if (!gpu_check(&a->g, a->g.vk.vkWaitForFences(a->g.sy.device, 1, &a->slots[i].done, VK_TRUE, most_wait_ns),
                           "waiting for the last frame"))
                return false;
            a->slots[i].busy = false;
        }
    return true;
}

void stage_close(app *a)
{
    export_stop(a);
    gpu *g = &a->g;
    if (g->pool && stage_wait(a))
        gpu_idle(g); /* and what is presented */
    engine_stop(&a->engine);
    a->run = (engine_state){0};
    a->let_go = 0;
    a->model_seen = NULL;
    for (int i = 0; g->pool && i < PAINT_FRAMES; i++) {
        frame_slot *s = &a->slots[i];
        if (s->pool)
            g->vk.vkDestroyCommandPool(g->sy.device, s->pool, NULL);
        if (s->done)
            g->vk.vkDestroyFence(g->sy.device, s->done, NULL);
        if (s->acquired)
            g->vk.vkDestroySemaphore(g->sy.device, s->acquired, NULL);
        *s = (frame_slot){0};
    }
    sight_close(a);
    swapchain_close(&a->swapchain);
    paint_close(&a->p);
    gpu_close(g);
    sy_context_destroy(&a->context);
    a->staged = false;
}
