/* See atlas.h. */
#include "viewer/atlas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ACROSS = 32, LEAST_SIDE = 18, MOST_TEXELS = 4096 };

static bool retire(atlas *a, uint64_t frame)
{
    for (int i = 0; i < OVERLAY_SLOTS; i++)
        if (!a->old[i].image.handle) {
            a->old[i] = (atlas_old){a->image, frame + OVERLAY_SLOTS + 1};
            a->image = (gpu_image){0};
            return true;
        }
    return false;
}

bool atlas_fit(gpu *g, atlas *a, uint32_t width, uint32_t height, uint64_t frame)
{
    uint32_t side = (width > height ? width : height) + 2, most = g->properties.limits.maxImageDimension2D;
    if (a->image.handle && side <= a->side)
        return true;
    most = most < MOST_TEXELS ? most : MOST_TEXELS;
    side = side < LEAST_SIDE ? LEAST_SIDE : side;
    uint32_t columns = most / side < MOST_ACROSS ? most / side : MOST_ACROSS;
    if (!columns) {
        snprintf(g->error, sizeof g->error, "pictures of %u texels do not fit the viewer's %u", side, most);
        return false;
    }
    if (a->image.handle && !retire(a, frame)) /* grown several times in a few frames: later */
        return false;
    const VkImageUsageFlags usage =
        VK_IMAGE_USAGE_STORAGE_BIT | VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
    free(a->tiles);
    a->tiles = calloc((size_t)columns * columns, sizeof *a->tiles);
    a->n = a->tiles ? columns * columns : 0;
    a->side = side;
    a->columns = columns;
    a->fresh = true;
    a->generation++;
    return a->tiles &&
           gpu_image_create(g, columns * side, columns * side, VK_FORMAT_R8G8B8A8_UNORM, usage, &a->image);
}

/* FNV-1a. */
static uint64_t hash_of(const atlas_key *key)
{
    const uint8_t *bytes = (const uint8_t *)key;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

uint32_t atlas_find(atlas *a, const atlas_key *key, uint64_t frame, bool *found)
{
    uint64_t hash = hash_of(key);
    uint32_t oldest = 0;
    *found = false;
    for (uint32_t i = 0; i < a->n; i++) {
        atlas_tile *t = &a->tiles[i];
        if (t->used && t->hash == hash && !memcmp(&t->key, key, sizeof *key)) {
            t->used = frame;
            *found = true;
            return i;
        }
        oldest = t->used < a->tiles[oldest].used ? i : oldest;
    }
    if (!a->n || a->tiles[oldest].used == frame)
        return UINT32_MAX;
    a->tiles[oldest] = (atlas_tile){.hash = hash, .used = frame, .key = *key};
    return oldest;
}

void atlas_forget(atlas *a, uint32_t tile)
{
    if (tile < a->n)
        a->tiles[tile].used = 0;
}

void atlas_collect(gpu *g, atlas *a, uint64_t frame)
{
    for (int i = 0; i < OVERLAY_SLOTS; i++)
        if (a->old[i].image.handle && frame >= a->old[i].until)
            gpu_image_destroy(g, &a->old[i].image);
}

void atlas_destroy(gpu *g, atlas *a)
{
    atlas_collect(g, a, UINT64_MAX);
    gpu_image_destroy(g, &a->image);
    free(a->tiles);
    *a = (atlas){0};
}

uint64_t atlas_bytes(const atlas *a)
{
    uint64_t bytes = 4 * (uint64_t)a->image.width * a->image.height;
    for (int i = 0; i < OVERLAY_SLOTS; i++)
        bytes += 4 * (uint64_t)a->old[i].image.width * a->old[i].image.height;
    return bytes;
}
