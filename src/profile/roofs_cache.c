/* Roofs on disk: one file a device and driver. Everything that matters is in the name; what does not fit inside is a miss, and so
 * is anything that cannot be read. */
#include "src/profile/roofs.h"

#include "graph/base/file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHOD = 1, MOST_BYTES = 1 << 20 }; /* another way of measuring, another method */

/* What the file says inside as well: a name may collide. */
static void key_of(const sy_vk_device *device, char out[1400])
{
    const sy_device_snapshot *s = device->snapshot;
    const char *threads = device->plan->limits.cpu ? getenv("LP_NUM_THREADS") : NULL; /* another device, so to speak */
    snprintf(out, 1400, "%d|%s|%08x:%08x|%08x|%s|%s|%s|%s", METHOD, s->name, s->vendor_id, s->device_id, s->driver_version, s->driver_name,
             s->driver_info, s->cache_uuid, threads ? threads : "");
}

static char *path_of(const char *directory, const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *p = key; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    char *path = malloc(strlen(directory) + 40);
    if (path)
        sprintf(path, "%s/roofs-%016llx.json", directory, (unsigned long long)hash);
    return path;
}

static bool load(const char *path, const char *key, sy_arena *arena, sy_roofs *roofs)
{
    sy_error error = {0};
    size_t size;
    char *text = sy_file_load(path, MOST_BYTES, &size, &error);
    cJSON *o = text ? cJSON_ParseWithLength(text, size) : NULL;
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(o, "device");
    bool ok = cJSON_IsString(of) && !strcmp(of->valuestring, key) &&
              sy_roofs_from_json(cJSON_GetObjectItemCaseSensitive(o, "roofs"), arena, roofs, &error) && roofs->n;
    cJSON_Delete(o);
    free(text);
    return ok;
}

static void store(const char *path, const char *key, const sy_roofs *roofs)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "device", key);
    cJSON_AddItemToObject(o, "roofs", sy_roofs_to_json(roofs));
    char *text = cJSON_Print(o);
    sy_error error = {0};
    sy_new_file *file = text ? sy_file_begin(path, &error) : NULL;
    if (file) {
        sy_file_put(file, text, strlen(text));
        sy_file_end(&file, true, &error);
    }
    cJSON_free(text);
    cJSON_Delete(o);
}

bool sy_roofs_get(const sy_vk_device *device, const char *directory, bool again, sy_arena *arena, sy_roofs *roofs, sy_error *error)
{
    char key[1400];
    key_of(device, key);
    char *path = directory ? path_of(directory, key) : NULL;
    if (path && !again && load(path, key, arena, roofs)) {
        roofs->cached = true;
        free(path);
        return true;
    }
    bool ok = sy_roofs_measure(device, directory, arena, roofs, error);
    if (ok && path && roofs->n)
        store(path, key, roofs);
    free(path);
    return ok;
}
