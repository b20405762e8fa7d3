/* The handles of the library's devices, for who draws with them. */
#include "src/api.h"

sy_status sy_context_vulkan(sy_context *context, const char *device, sy_vulkan *vulkan)
{
    sy_error error = {0};
    sy_vk_device *d = NULL;
    char name[300];
    *vulkan = (sy_vulkan){0};
    if (!context->drawing)
        sy_fail(&error, SY_CODE_INVALID_ARGUMENT, "the context was made without sy_context_params.vulkan");
    else if (sy_api_device(context, device, &d, name, sizeof name, &error) && !d)
        sy_fail(&error, SY_CODE_UNAVAILABLE, "\"%s\" is no Vulkan device: there is nothing to draw with", name);
    if (d) {
        const sy_vk_instance *i = d->instance;
        bool own = d->draw_queue != d->queue;
        *vulkan = (sy_vulkan){.instance = i->handle,
                              .physical_device = d->physical,
                              .device = d->handle,
                              .get_instance_proc_addr = vkGetInstanceProcAddr,
                              .api_version = VK_API_VERSION_1_2, /* the instance's; devices of less are refused */
                              .queue = d->draw_queue,
                              .queue_family = d->plan->draw_family,
                              .own_queue = d->draw_queue && own,
                              .validated = i->validated,
                              .instance_extensions = i->extensions,
                              .n_instance_extensions = i->n_extensions,
                              .device_extensions = d->extensions,
                              .n_device_extensions = d->n_extensions,
                              .lock = own ? NULL : &d->lock};
    }
    return sy_api_done(context, &error);
}

void sy_vulkan_lock(const sy_vulkan *vulkan)
{
    if (vulkan->lock)
        pthread_mutex_lock(vulkan->lock);
}

void sy_vulkan_unlock(const sy_vulkan *vulkan)
{
    if (vulkan->lock)
        pthread_mutex_unlock(vulkan->lock);
}
