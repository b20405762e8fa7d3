/* Buffers with memory of their own. There are few (arenas, weights, staging), so every one is an allocation, and
 * nothing fragments. Memory types are tried in the plan's order: a full heap falls through to the next best. */
#include "src/device/device.h"

static const char *const use_text[SY_MEMORY_USES] = {"the device", "staging", "read-back"};

static bool allocate(sy_vk_device *d, sy_memory_use use, const VkMemoryRequirements *needs, sy_vk_buffer *buffer,
                     uint32_t *type, sy_error *error)
{
    /* Flushes work on whole atoms, so the memory behind a buffer is made of whole atoms too. */
    uint64_t atom = d->plan->atom_bytes, size = (needs->size + atom - 1) / atom * atom;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (uint32_t i = 0; i < d->plan->n_memory[use]; i++) {
        uint32_t candidate = d->plan->memory[use][i], heap = d->snapshot->types[candidate].heap;
        if (!(needs->memoryTypeBits >> candidate & 1) || size > d->snapshot->heaps[heap].size)
            continue;
        VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
            .allocationSize = size,
            .memoryTypeIndex = candidate,
        };
        result = d->vk.vkAllocateMemory(d->handle, &info, NULL, &buffer->memory);
        if (result == VK_SUCCESS) {
            buffer->heap = heap;
            buffer->allocated = size;
            d->heap_used[heap] += size;
            *type = candidate;
            return true;
        }
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY)
            break;
    }
    sy_vk_check(result, error, "allocating memory");
    return sy_fail_context(error, "%.1f MiB for %s", (double)size / 1048576, use_text[use]);
}

static bool fill(sy_vk_device *d, sy_memory_use use, const char *name, sy_vk_buffer *buffer, sy_error *error)
{
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = buffer->size,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                 VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    uint32_t families[2] = {d->plan->family, d->plan->draw_family};
    if (use == SY_MEMORY_DEVICE && d->draw_queue && families[0] != families[1]) { /* who draws reads them */
        info.sharingMode = VK_SHARING_MODE_CONCURRENT;
        info.queueFamilyIndexCount = 2;
        info.pQueueFamilyIndices = families;
    }
    VkMemoryRequirements needs;
    uint32_t type = 0;
    if (!sy_vk_check(d->vk.vkCreateBuffer(d->handle, &info, NULL, &buffer->handle), error, "making a buffer"))
        return false;
    d->n_buffers++;
    sy_vk_name(d, VK_OBJECT_TYPE_BUFFER, (uint64_t)buffer->handle, name);
    d->vk.vkGetBufferMemoryRequirements(d->handle, buffer->handle, &needs);
    if (!allocate(d, use, &needs, buffer, &type, error) ||
        !sy_vk_check(d->vk.vkBindBufferMemory(d->handle, buffer->handle, buffer->memory, 0), error,
                     "giving a buffer its memory"))
        return false;
    uint32_t flags = d->snapshot->types[type].flags;
    buffer->coherent = flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if ((flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) && (use != SY_MEMORY_DEVICE || d->plan->unified))
        return sy_vk_check(d->vk.vkMapMemory(d->handle, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped), error,
                           "mapping memory");
    return true;
}

bool sy_vk_buffer_create(sy_vk_device *d, sy_memory_use use, uint64_t size, const char *name, sy_vk_buffer *buffer,
                         sy_error *error)
{
    *buffer = (sy_vk_buffer){0};
    if (!size || size > d->plan->limits.allocation_bytes)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY,
                       "The buffer \"%s\" has %.1f MiB; one allocation of this device holds %.1f MiB.", name,
                       (double)size / 1048576, (double)d->plan->limits.allocation_bytes / 1048576);
    buffer->size = (size + 3) & ~UINT64_C(3);
    if (fill(d, use, name, buffer, error))
        return true;
    sy_vk_buffer_destroy(d, buffer);
    return sy_fail_context(error, "buffer \"%s\"", name);
}

void sy_vk_buffer_destroy(sy_vk_device *d, sy_vk_buffer *buffer)
{
    if (buffer->handle) {
        d->vk.vkDestroyBuffer(d->handle, buffer->handle, NULL);
        d->n_buffers--;
    }
    if (buffer->memory) { /* freeing unmaps */
        d->vk.vkFreeMemory(d->handle, buffer->memory, NULL);
        d->heap_used[buffer->heap] -= buffer->allocated;
    }
    *buffer = (sy_vk_buffer){0};
}

/* The range grown to whole atoms; the end of the memory is one, because it was allocated so. */
static VkMappedMemoryRange atoms(const sy_vk_device *d, const sy_vk_buffer *buffer, uint64_t offset, uint64_t size)
{
    uint64_t atom = d->plan->atom_bytes, start = offset / atom * atom, end = (offset + size + atom - 1) / atom * atom;
    if (end > buffer->allocated)
        end = buffer->allocated;
    return (VkMappedMemoryRange){
        .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE, .memory = buffer->memory, .offset = start, .size = end - start};
}

bool sy_vk_buffer_flush(sy_vk_device *d, const sy_vk_buffer *buffer, uint64_t offset, uint64_t size, sy_error *error)
{
    if (buffer->coherent || !buffer->mapped || !size)
        return true;
    VkMappedMemoryRange range = atoms(d, buffer, offset, size);
    return sy_vk_check(d->vk.vkFlushMappedMemoryRanges(d->handle, 1, &range), error, "flushing memory to the device");
}

bool sy_vk_buffer_invalidate(sy_vk_device *d, const sy_vk_buffer *buffer, uint64_t offset, uint64_t size,
                             sy_error *error)
{
    if (buffer->coherent || !buffer->mapped || !size)
        return true;
    VkMappedMemoryRange range = atoms(d, buffer, offset, size);
    return sy_vk_check(d->vk.vkInvalidateMappedMemoryRanges(d->handle, 1, &range), error,
                       "reading memory of the device");
}
