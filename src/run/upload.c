/* The staging ring: two halves; while the device copies one, the host fills the other. Memory the host can map is
 * written directly. */
#include "src/run/device_session.h"

#include <string.h>

enum { HALF_BYTES = 8 << 20 };

bool sy_upload_begin(sy_device_session *d, sy_upload *u, sy_error *error)
{
    *u = (sy_upload){.d = d};
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 2};
    return sy_vk_buffer_create(d->device, SY_MEMORY_STAGING, 2 * HALF_BYTES, "staging ring", &u->ring, error) &&
           sy_vk_check(d->device->vk.vkAllocateCommandBuffers(d->device->handle, &info, u->commands), error,
                       "command buffers");
}

/* Hands the current half to the device and turns to the other, which must be free first. */
static bool flush(sy_upload *u, sy_error *error)
{
    sy_device_session *d = u->d;
    if (!u->recording)
        return true;
    u->recording = false;
    uint64_t base = (uint64_t)u->half * HALF_BYTES;
    if (!sy_vk_buffer_flush(d->device, &u->ring, base, u->used, error) ||
        !sy_vk_check(d->device->vk.vkEndCommandBuffer(u->commands[u->half]), error, "recording copies") ||
        !sy_submit(d, &u->commands[u->half], 1, &u->values[u->half], error))
        return false;
    u->half ^= 1;
    u->used = 0;
    return !u->values[u->half] || sy_submit_wait(d, u->values[u->half], error);
}

static bool start(sy_upload *u, sy_error *error)
{
    VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                     .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (u->recording)
        return true;
    u->recording =
        sy_vk_check(u->d->device->vk.vkBeginCommandBuffer(u->commands[u->half], &info), error, "recording copies");
    return u->recording;
}

bool sy_upload_put(sy_upload *u, const sy_vk_buffer *to, uint64_t offset, const void *data, uint64_t bytes,
                   sy_error *error)
{
    if (offset > to->size || bytes > to->size - offset)
        return sy_fail(error, SY_CODE_INTERNAL, "an upload of %llu bytes ends outside its buffer",
                       (unsigned long long)bytes);
    if (to->mapped) {
        memcpy((uint8_t *)to->mapped + offset, data, bytes);
        return sy_vk_buffer_flush(u->d->device, to, offset, bytes, error);
    }
    for (uint64_t done = 0; done < bytes;) {
        if (u->used == HALF_BYTES && !flush(u, error))
            return false;
        if (!start(u, error))
            return false;
        uint64_t room = HALF_BYTES - u->used, n = bytes - done < room ? bytes - done : room;
        uint64_t at = (uint64_t)u->half * HALF_BYTES + u->used;
        memcpy((uint8_t *)u->ring.mapped + at, (const uint8_t *)data + done, n);
        VkBufferCopy copy = {.srcOffset = at, .dstOffset = offset + done, .size = n};
        u->d->device->vk.vkCmdCopyBuffer(u->commands[u->half], u->ring.handle, to->handle, 1, &copy);
        u->used += n;
        done += n;
    }
    return true;
}

bool sy_upload_end(sy_upload *u, sy_error *error)
{
    sy_device_session *d = u->d;
    bool ok = flush(u, error);
    for (int i = 0; i < 2; i++)
        if (u->values[i])
            ok = sy_submit_wait(d, u->values[i], error) && ok;
    if (u->commands[0])
        d->device->vk.vkFreeCommandBuffers(d->device->handle, d->commands, 2, u->commands);
    sy_vk_buffer_destroy(d->device, &u->ring);
    return ok;
}
