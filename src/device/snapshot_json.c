/* Snapshots as JSON. Written: unknown fields are left out, the order is fixed, so equal snapshots give equal bytes.
 * Read: a report may come from anybody, so every value is checked for type and range; unknown keys are passed over,
 * because newer versions of the program may write more. */
#include "src/device/snapshot.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct names {
    uint32_t bit;
    const char *text;
} names;

/* clang-format off */
static const names heap_names[] = {{1, "deviceLocal"}, {2, "multiInstance"}, {0, NULL}};
static const names type_names[] = {{1, "deviceLocal"},    {2, "hostVisible"}, {4, "hostCoherent"},
                                   {8, "hostCached"},     {16, "lazilyAllocated"}, {32, "protected"},
                                   {64, "deviceCoherentAMD"}, {128, "deviceUncachedAMD"},
                                   {256, "rdmaCapableNV"}, {0, NULL}};
static const names queue_names[] = {{1, "graphics"},      {2, "compute"},       {4, "transfer"},
                                    {8, "sparseBinding"}, {16, "protected"},    {32, "videoDecode"},
                                    {64, "videoEncode"},  {256, "opticalFlowNV"}, {0, NULL}};
static const names subgroup_names[] = {
    {1, "basic"},         {2, "vote"},       {4, "arithmetic"}, {8, "ballot"},  {16, "shuffle"},
    {32, "shuffleRelative"}, {64, "clustered"}, {128, "quad"},     {256, "partitionedNV"}, {512, "rotate"},
    {1024, "rotateClustered"}, {0, NULL}};
/* clang-format on */

/* ---- writing ---- */

/* Doubles are exact up to 2^53; larger sizes ("no bound" on some drivers) are written as text. */
static bool put_u64(cJSON *object, const char *key, uint64_t value)
{
    if (value < UINT64_C(1) << 53)
        return cJSON_AddNumberToObject(object, key, (double)value) != NULL;
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool put_known(cJSON *object, const char *key, uint64_t value)
{
    return !value || put_u64(object, key, value);
}

static bool put_text(cJSON *object, const char *key, const char *text)
{
    return !*text || cJSON_AddStringToObject(object, key, text);
}

static bool put_answer(cJSON *object, const char *key, unsigned answer)
{
    return answer == SY_UNKNOWN || cJSON_AddBoolToObject(object, key, answer == SY_YES);
}

static bool put_hex(cJSON *object, const char *key, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "0x%04x", value);
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool put_version(cJSON *object, const char *key, uint32_t version)
{
    char text[32];
    sy_snapshot_version_text(version, text);
    return !version || cJSON_AddStringToObject(object, key, text);
}

static bool put_three(cJSON *object, const char *key, const uint32_t v[3])
{
    if (!v[0])
        return true;
    cJSON *array = cJSON_AddArrayToObject(object, key);
    bool ok = array != NULL;
    for (int i = 0; i < 3 && ok; i++)
        ok = cJSON_AddItemToArray(array, cJSON_CreateNumber(v[i]));
    return ok;
}

/* Bits without a name are written as their number, so that nothing is lost. */
static bool put_flags(cJSON *object, const char *key, const names *table, uint32_t flags)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    bool ok = array != NULL;
    for (; table->text && ok; table++) {
        if (flags & table->bit)
            ok = cJSON_AddItemToArray(array, cJSON_CreateString(table->text));
        flags &= ~table->bit;
    }
    if (flags && ok)
        ok = cJSON_AddItemToArray(array, cJSON_CreateNumber(flags));
    return ok;
}

static bool write_limits(cJSON *o, const sy_device_snapshot *s)
{
    bool ok = true;
#define X(type, field, key) ok = ok && put_known(o, key, s->limits.field);
    SY_DEVICE_LIMIT_LIST(X)
#undef X
    ok = ok && put_three(o, "maxComputeWorkGroupSize", s->limits.group_size);
    ok = ok && put_three(o, "maxComputeWorkGroupCount", s->limits.group_count);
    if (s->limits.timestamp_period > 0)
        ok = ok && cJSON_AddNumberToObject(o, "timestampPeriod", s->limits.timestamp_period);
    return ok;
}

static bool write_subgroup(cJSON *o, const sy_device_snapshot *s)
{
    bool ok = put_known(o, "size", s->subgroup.size) && put_known(o, "min", s->subgroup.min);
    ok = ok && put_known(o, "max", s->subgroup.max) && put_known(o, "maxInGroup", s->subgroup.max_in_group);
    if (s->subgroup.operations)
        ok = ok && put_flags(o, "operations", subgroup_names, s->subgroup.operations);
    return ok && put_answer(o, "inCompute", s->subgroup.in_compute) &&
           put_answer(o, "sizeSelectable", s->subgroup.selectable);
}

static bool write_memory(cJSON *o, const sy_device_snapshot *s)
{
    cJSON *array = s->n_heaps ? cJSON_AddArrayToObject(o, "memoryHeaps") : NULL;
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        cJSON *heap = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, heap) || !put_u64(heap, "size", s->heaps[i].size) ||
            !put_flags(heap, "flags", heap_names, s->heaps[i].flags))
            return false;
    }
    array = s->n_types ? cJSON_AddArrayToObject(o, "memoryTypes") : NULL;
    for (uint32_t i = 0; i < s->n_types; i++) {
        cJSON *type = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, type) || !put_u64(type, "heap", s->types[i].heap) ||
            !put_flags(type, "flags", type_names, s->types[i].flags))
            return false;
    }
    array = s->n_families ? cJSON_AddArrayToObject(o, "queueFamilies") : NULL;
    for (uint32_t i = 0; i < s->n_families; i++) {
        cJSON *family = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, family) || !put_u64(family, "count", s->families[i].count) ||
            !put_u64(family, "timestampValidBits", s->families[i].timestamp_bits) ||
            !put_flags(family, "flags", queue_names, s->families[i].flags))
            return false;
    }
    return true;
}

static bool write_matrices(cJSON *o, const sy_device_snapshot *s)
{
    cJSON *array = s->n_matrices ? cJSON_AddArrayToObject(o, "cooperativeMatrices") : NULL;
    for (uint32_t i = 0; i < s->n_matrices; i++) {
        const uint32_t *m = &s->matrices[i].m;
        cJSON *row = cJSON_CreateArray(); /* m, n, k, a, b, c, r, scope, saturating */
        if (!cJSON_AddItemToArray(array, row))
            return false;
        for (int j = 0; j < 8; j++)
            if (!cJSON_AddItemToArray(row, cJSON_CreateNumber(m[j])))
                return false;
        if (!cJSON_AddItemToArray(row, cJSON_CreateBool(s->matrices[i].saturating)))
            return false;
    }
    return true;
}

static bool write_extensions(cJSON *o, const sy_device_snapshot *s)
{
    if (!s->n_extensions)
        return true;
    cJSON *array = put_u64(o, "extensionCount", s->n_extensions) ? cJSON_AddArrayToObject(o, "extensions") : NULL;
    bool ok = array != NULL;
    for (const char *at = s->extensions, *end; ok && (end = strchr(at, ' ')); at = end + 1) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(end - at), at);
        ok = cJSON_AddItemToArray(array, cJSON_CreateString(name));
    }
    return ok;
}

static bool write_all(cJSON *o, const sy_device_snapshot *s)
{
    bool ok = put_text(o, "name", s->name);
    if (s->vendor_id)
        ok = ok && put_hex(o, "vendorID", s->vendor_id) && put_hex(o, "deviceID", s->device_id);
    ok = ok && (!s->type || cJSON_AddStringToObject(o, "deviceType", sy_device_type_text(s->type)));
    ok = ok && put_version(o, "apiVersion", s->api_version);
    cJSON *driver = ok ? cJSON_AddObjectToObject(o, "driver") : NULL;
    ok = driver && put_known(driver, "id", s->driver_id) && put_text(driver, "name", s->driver_name) &&
         put_text(driver, "info", s->driver_info) && put_known(driver, "version", s->driver_version);
    ok = ok && put_text(o, "pipelineCacheUUID", s->cache_uuid);
    cJSON *limits = ok ? cJSON_AddObjectToObject(o, "limits") : NULL;
    ok = limits && write_limits(limits, s);
    cJSON *subgroup = ok ? cJSON_AddObjectToObject(o, "subgroup") : NULL;
    ok = subgroup && write_subgroup(subgroup, s) && write_memory(o, s);
    cJSON *features = ok ? cJSON_AddObjectToObject(o, "features") : NULL;
    ok = features != NULL;
#define X(field, key) ok = ok && put_answer(features, key, s->features.field);
    SY_DEVICE_FEATURE_LIST(X)
#undef X
    return ok && write_matrices(o, s) && write_extensions(o, s);
}

cJSON *sy_snapshot_to_json(const sy_device_snapshot *snapshot)
{
    cJSON *object = cJSON_CreateObject();
    if (object && !write_all(object, snapshot)) {
        cJSON_Delete(object);
        object = NULL;
    }
    return object;
}

/* ---- reading ---- */

static bool bad(sy_error *error, const char *key, const char *wanted)
{
    return sy_fail(error, SY_CODE_INVALID_FILE, "The device snapshot's \"%s\" is not %s.", key, wanted);
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

/* A whole number of at most `max`: a JSON number, or text for those a double cannot hold. */
static bool whole(const cJSON *item, const char *key, uint64_t max, uint64_t *out, sy_error *error)
{
    if (cJSON_IsNumber(item)) {
        double v = item->valuedouble;
        if (v >= 0 && v < 9007199254740992.0 && v == (double)(uint64_t)v && (uint64_t)v <= max) {
            *out = (uint64_t)v;
            return true;
        }
    } else if (cJSON_IsString(item) && item->valuestring[0] >= '0' && item->valuestring[0] <= '9') {
        const char *text = item->valuestring;
        char *end;
        bool hex = text[0] == '0' && text[1] == 'x';
        unsigned long long v = strtoull(text, &end, hex ? 16 : 10);
        if (!*end && strlen(text) <= 20 && v <= max) {
            *out = v;
            return true;
        }
    }
    return bad(error, key, "a whole number in range");
}

static bool get_u64(const cJSON *object, const char *key, uint64_t *out, sy_error *error)
{
    const cJSON *item = get(object, key);
    return !item || whole(item, key, UINT64_MAX, out, error);
}

static bool get_u32(const cJSON *object, const char *key, uint32_t *out, sy_error *error)
{
    const cJSON *item = get(object, key);
    uint64_t v = 0;
    if (!item)
        return true;
    if (!whole(item, key, UINT32_MAX, &v, error))
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool get_answer(const cJSON *object, const char *key, sy_answer *out, sy_error *error)
{
    const cJSON *item = get(object, key);
    if (!item)
        return true;
    if (!cJSON_IsBool(item))
        return bad(error, key, "true or false");
    *out = cJSON_IsTrue(item) ? SY_YES : SY_NO;
    return true;
}

static bool get_text(const cJSON *object, const char *key, char *out, size_t room, sy_error *error)
{
    const cJSON *item = get(object, key);
    if (!item)
        return true;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= room)
        return bad(error, key, "a short text");
    memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    return true;
}

static bool get_version(const cJSON *object, const char *key, uint32_t *out, sy_error *error)
{
    char text[32] = "";
    unsigned major, minor, patch;
    if (!get_text(object, key, text, sizeof text, error))
        return false;
    if (!*text)
        return true;
    if (sscanf(text, "%3u.%4u.%4u", &major, &minor, &patch) != 3 || major > 127 || minor > 1023 || patch > 4095)
        return bad(error, key, "a version like \"1.3.255\"");
    *out = major << 22 | minor << 12 | patch;
    return true;
}

static bool get_three(const cJSON *object, const char *key, uint32_t out[3], sy_error *error)
{
    const cJSON *array = get(object, key);
    if (!array)
        return true;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != 3)
        return bad(error, key, "a list of three numbers");
    for (int i = 0; i < 3; i++) {
        uint64_t v = 0;
        if (!whole(cJSON_GetArrayItem(array, i), key, UINT32_MAX, &v, error))
            return false;
        out[i] = (uint32_t)v;
    }
    return true;
}

static bool get_flags(const cJSON *object, const char *key, const names *table, uint32_t *out, sy_error *error)
{
    const cJSON *array = get(object, key), *item;
    if (!array)
        return true;
    if (!cJSON_IsArray(array))
        return bad(error, key, "a list of flags");
    cJSON_ArrayForEach (item, array) {
        const names *row = table;
        uint64_t bits = 0;
        if (cJSON_IsString(item)) {
            while (row->text && strcmp(row->text, item->valuestring))
                row++;
            if (!row->text)
                return sy_fail(error, SY_CODE_INVALID_FILE,
                               "The device snapshot's \"%s\" has an unknown flag \"%.60s\".", key, item->valuestring);
            bits = row->bit;
        } else if (!whole(item, key, UINT32_MAX, &bits, error)) {
            return false;
        }
        *out |= (uint32_t)bits;
    }
    return true;
}

/* An object member: the object itself when absent, so that reading it finds nothing. */
static bool get_object(const cJSON *object, const char *key, const cJSON **out, sy_error *error)
{
    static const cJSON empty = {.type = cJSON_Object};
    *out = get(object, key);
    if (*out && !cJSON_IsObject(*out))
        return bad(error, key, "an object");
    if (!*out)
        *out = &empty;
    return true;
}

static bool get_list(const cJSON *object, const char *key, uint32_t max, const cJSON **out, uint32_t *count,
                     sy_error *error)
{
    *out = get(object, key);
    *count = 0;
    if (!*out)
        return true;
    if (!cJSON_IsArray(*out) || cJSON_GetArraySize(*out) > (int)max)
        return bad(error, key, "a list of the size Vulkan allows");
    *count = (uint32_t)cJSON_GetArraySize(*out);
    return true;
}

static bool read_limits(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    uint64_t v;
#define X(type, field, key)                                                                                            \
    v = 0;                                                                                                             \
    if (!get_u64(o, key, &v, error))                                                                                   \
        return false;                                                                                                  \
    if (v > (type)-1)                                                                                                  \
        return bad(error, key, "in range");                                                                            \
    s->limits.field = (type)v;
    SY_DEVICE_LIMIT_LIST(X)
#undef X
    const cJSON *period = get(o, "timestampPeriod");
    if (period && (!cJSON_IsNumber(period) || !(period->valuedouble >= 0) || period->valuedouble > 1e9))
        return bad(error, "timestampPeriod", "a number of nanoseconds");
    s->limits.timestamp_period = period ? period->valuedouble : 0;
    return get_three(o, "maxComputeWorkGroupSize", s->limits.group_size, error) &&
           get_three(o, "maxComputeWorkGroupCount", s->limits.group_count, error);
}

static bool read_subgroup(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    return get_u32(o, "size", &s->subgroup.size, error) && get_u32(o, "min", &s->subgroup.min, error) &&
           get_u32(o, "max", &s->subgroup.max, error) && get_u32(o, "maxInGroup", &s->subgroup.max_in_group, error) &&
           get_flags(o, "operations", subgroup_names, &s->subgroup.operations, error) &&
           get_answer(o, "inCompute", &s->subgroup.in_compute, error) &&
           get_answer(o, "sizeSelectable", &s->subgroup.selectable, error);
}

static bool read_memory(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    const cJSON *list, *item;
    uint32_t n, i = 0;
    if (!get_list(o, "memoryHeaps", SY_MAX_HEAPS, &list, &s->n_heaps, error))
        return false;
    cJSON_ArrayForEach (item, list) {
        if (!cJSON_IsObject(item))
            return bad(error, "memoryHeaps", "a list of objects");
        if (!get_u64(item, "size", &s->heaps[i].size, error) ||
            !get_flags(item, "flags", heap_names, &s->heaps[i].flags, error))
            return false;
        i++;
    }
    if (!get_list(o, "memoryTypes", SY_MAX_MEMORY_TYPES, &list, &s->n_types, error))
        return false;
    i = 0;
    cJSON_ArrayForEach (item, list) {
        if (!cJSON_IsObject(item))
            return bad(error, "memoryTypes", "a list of objects");
        if (!get_u32(item, "heap", &s->types[i].heap, error) ||
            !get_flags(item, "flags", type_names, &s->types[i].flags, error))
            return false;
        if (s->types[i].heap >= s->n_heaps)
            return bad(error, "heap", "a heap of the device");
        i++;
    }
    if (!get_list(o, "queueFamilies", SY_MAX_FAMILIES, &list, &n, error))
        return false;
    s->n_families = n;
    i = 0;
    cJSON_ArrayForEach (item, list) {
        if (!cJSON_IsObject(item))
            return bad(error, "queueFamilies", "a list of objects");
        if (!get_flags(item, "flags", queue_names, &s->families[i].flags, error) ||
            !get_u32(item, "count", &s->families[i].count, error) ||
            !get_u32(item, "timestampValidBits", &s->families[i].timestamp_bits, error))
            return false;
        i++;
    }
    return true;
}

static bool read_matrices(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    const cJSON *list, *row;
    uint32_t i = 0;
    if (!get_list(o, "cooperativeMatrices", SY_MAX_MATRICES, &list, &s->n_matrices, error))
        return false;
    cJSON_ArrayForEach (row, list) {
        uint32_t *m = &s->matrices[i].m;
        if (!cJSON_IsArray(row) || cJSON_GetArraySize(row) != 9 || !cJSON_IsBool(cJSON_GetArrayItem(row, 8)))
            return bad(error, "cooperativeMatrices", "a list of [m, n, k, a, b, c, r, scope, saturating]");
        for (int j = 0; j < 8; j++) {
            uint64_t v = 0;
            if (!whole(cJSON_GetArrayItem(row, j), "cooperativeMatrices", UINT32_MAX, &v, error))
                return false;
            m[j] = (uint32_t)v;
        }
        s->matrices[i++].saturating = cJSON_IsTrue(cJSON_GetArrayItem(row, 8));
    }
    return true;
}

static bool read_extensions(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    const cJSON *list, *item;
    uint32_t n;
    if (!get_list(o, "extensions", 4096, &list, &n, error) || !get_u32(o, "extensionCount", &s->n_extensions, error))
        return false;
    cJSON_ArrayForEach (item, list)
        if (!cJSON_IsString(item) || !sy_snapshot_add_extension(s, item->valuestring))
            return bad(error, "extensions", "a list of extension names");
    if (s->n_extensions < n)
        s->n_extensions = n;
    return true;
}

static bool read_type(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    char text[32] = "";
    if (!get_text(o, "deviceType", text, sizeof text, error))
        return false;
    if (!*text)
        return true;
    for (int t = SY_DEVICE_OTHER; t <= SY_DEVICE_CPU; t++)
        if (!strcmp(text, sy_device_type_text((sy_device_type)t))) {
            s->type = (sy_device_type)t;
            return true;
        }
    return bad(error, "deviceType", "other, integrated, discrete, virtual or cpu");
}

bool sy_snapshot_from_json(const cJSON *o, sy_device_snapshot *s, sy_error *error)
{
    const cJSON *driver, *limits, *subgroup, *features;
    *s = (sy_device_snapshot){0};
    if (!cJSON_IsObject(o))
        return sy_fail(error, SY_CODE_INVALID_FILE, "A device snapshot is a JSON object.");
    if (!get_object(o, "driver", &driver, error) || !get_object(o, "limits", &limits, error) ||
        !get_object(o, "subgroup", &subgroup, error) || !get_object(o, "features", &features, error))
        return false;
    bool ok = get_text(o, "name", s->name, sizeof s->name, error) && get_u32(o, "vendorID", &s->vendor_id, error) &&
              get_u32(o, "deviceID", &s->device_id, error) && read_type(o, s, error) &&
              get_version(o, "apiVersion", &s->api_version, error) && get_u32(driver, "id", &s->driver_id, error) &&
              get_text(driver, "name", s->driver_name, sizeof s->driver_name, error) &&
              get_text(driver, "info", s->driver_info, sizeof s->driver_info, error) &&
              get_u32(driver, "version", &s->driver_version, error) &&
              get_text(o, "pipelineCacheUUID", s->cache_uuid, sizeof s->cache_uuid, error) &&
              read_limits(limits, s, error) && read_subgroup(subgroup, s, error) && read_memory(o, s, error);
    sy_answer answer;
#define X(field, key)                                                                                                  \
    answer = SY_UNKNOWN;                                                                                               \
    ok = ok && get_answer(features, key, &answer, error);                                                              \
    s->features.field = (uint8_t)answer;
    SY_DEVICE_FEATURE_LIST(X)
#undef X
    return ok && read_matrices(o, s, error) && read_extensions(o, s, error);
}

bool sy_snapshot_from_text(const char *text, size_t size, sy_device_snapshot *snapshot, sy_error *error)
{
    cJSON *object = cJSON_ParseWithLength(text, size);
    if (!object)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The device snapshot is not JSON.");
    bool ok = sy_snapshot_from_json(object, snapshot, error);
    cJSON_Delete(object);
    return ok;
}
