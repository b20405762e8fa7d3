/* Small things every user of snapshots needs: the extension list, and the words for numbers. */
#include "src/device/snapshot.h"

#include <stdio.h>
#include <string.h>

/* Where `name` is in the sorted list, or where it would go; *found says which. */
static char *extension_place(char *list, const char *name, bool *found)
{
    size_t n = strlen(name);
    *found = false;
    for (char *at = list; *at;) {
        char *end = strchr(at, ' ');
        if (!end)
            return at;
        size_t length = (size_t)(end - at);
        int order = strncmp(at, name, length < n ? length : n);
        if (!order && length == n) {
            *found = true;
            return at;
        }
        if (order > 0 || (!order && length > n))
            return at;
        at = end + 1;
    }
    return list + strlen(list);
}

bool sy_snapshot_has_extension(const sy_device_snapshot *snapshot, const char *name)
{
    bool found;
    extension_place((char *)snapshot->extensions, name, &found); /* only looks */
    return found;
}

bool sy_snapshot_add_extension(sy_device_snapshot *snapshot, const char *name)
{
    bool found;
    size_t n = strlen(name), used = strlen(snapshot->extensions);
    char *at = extension_place(snapshot->extensions, name, &found);
    if (found)
        return true;
    if (!n || strchr(name, ' ') || n + 1 >= sizeof snapshot->extensions - used)
        return false;
    memmove(at + n + 1, at, used - (size_t)(at - snapshot->extensions) + 1);
    memcpy(at, name, n);
    at[n] = ' ';
    return true;
}

void sy_snapshot_version_text(uint32_t version, char out[32])
{
    snprintf(out, 32, "%u.%u.%u", version >> 22 & 0x7f, version >> 12 & 0x3ff, version & 0xfff);
}

const char *sy_device_type_text(sy_device_type type)
{
    static const char *const text[] = {"unknown", "other", "integrated", "discrete", "virtual", "cpu"};
    return (unsigned)type < sizeof text / sizeof *text ? text[type] : text[0];
}
