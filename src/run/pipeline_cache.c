/* A file is a header of ours (magic, size, hash of the content) and the driver's bytes, under a name that is the hash
 * of the key. The driver checks its own header besides; a damaged file never reaches it. */
#include "src/run/pipeline_cache.h"

#include "graph/base/file.h"
#include "graph/base/hash.h"
#include "graph/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_BYTES = 64 << 20 };

typedef struct header {
    char magic[8];
    uint64_t size, lo, hi;
} header;
static const char magic[8] = "sypipe1";

static char *path_of(const sy_vk_device *device, const char *directory)
{
    const sy_device_snapshot *s = device->snapshot;
    sy_text key = {0}, path = {0};
    sy_text_printf(&key, "%s|%x|%x|%x|%x|%s|%s|%s", s->name, s->vendor_id, s->device_id, s->driver_version,
                   s->api_version, s->driver_name, s->driver_info, s->cache_uuid);
    if (!key.failed) {
        char name[33];
        sy_hash_text(sy_hash_bytes(key.data, key.size, 0), name);
        sy_text_printf(&path, "%s/pipelines-%s.bin", directory, name);
    }
    sy_text_free(&key);
    if (path.failed)
        sy_text_free(&path);
    return path.data;
}

/* The driver's bytes of a whole and undamaged file, else NULL. */
static void *content(void *file, size_t size, size_t *n)
{
    header h;
    if (size < sizeof h)
        return NULL;
    memcpy(&h, file, sizeof h);
    uint8_t *data = (uint8_t *)file + sizeof h;
    sy_hash hash = sy_hash_bytes(data, size - sizeof h, 1);
    if (memcmp(h.magic, magic, sizeof magic) || h.size != size - sizeof h || h.lo != hash.lo || h.hi != hash.hi)
        return NULL;
    *n = size - sizeof h;
    return data;
}

sy_pipeline_cache sy_pipeline_cache_open(sy_vk_device *device, const char *directory)
{
    sy_pipeline_cache cache = {.path = directory && *directory ? path_of(device, directory) : NULL};
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    size_t size = 0, n = 0;
    char *file = cache.path ? sy_file_load(cache.path, MOST_BYTES, &size, NULL) : NULL;
    void *data = file ? content(file, size, &n) : NULL;
    if (data) {
        info.initialDataSize = n;
        info.pInitialData = data;
    }
    VkResult result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &cache.handle);
    if (result == VK_SUCCESS) {
        cache.loaded = n;
    } else if (n) {
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        if (device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &cache.handle) != VK_SUCCESS)
            cache.handle = VK_NULL_HANDLE;
    } else {
        cache.handle = VK_NULL_HANDLE;
    }
    free(file);
    return cache;
}

static void keep(sy_vk_device *device, const sy_pipeline_cache *cache)
{
    size_t size = 0;
    if (device->vk.vkGetPipelineCacheData(device->handle, cache->handle, &size, NULL) != VK_SUCCESS ||
        size == cache->loaded || !size || size > MOST_BYTES - sizeof(header))
        return;
    uint8_t *data = malloc(size);
    if (data && device->vk.vkGetPipelineCacheData(device->handle, cache->handle, &size, data) == VK_SUCCESS) {
        sy_hash hash = sy_hash_bytes(data, size, 1);
        header h = {.size = size, .lo = hash.lo, .hi = hash.hi};
        memcpy(h.magic, magic, sizeof magic);
        sy_new_file *file = sy_file_begin(cache->path, NULL);
        if (file) {
            sy_file_put(file, &h, sizeof h);
            sy_file_put(file, data, size);
            sy_file_end(&file, true, NULL);
        }
    }
    free(data);
}

void sy_pipeline_cache_close(sy_vk_device *device, sy_pipeline_cache *cache)
{
    if (cache->handle) {
        if (cache->path)
            keep(device, cache);
        device->vk.vkDestroyPipelineCache(device->handle, cache->handle, NULL);
    }
    free(cache->path);
    *cache = (sy_pipeline_cache){0};
}
