/* See the header. */
#include "src/tune/store.h"

#include "graph/base/file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, VERSION = 1 };
static const char format[] = "switchyard-tuning";

struct sy_tuning_store {
    cJSON *json;
};

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a tuning file");
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static cJSON *list_in(const cJSON *object, const char *name)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsArray(list) ? list : NULL;
}

static cJSON *empty(void)
{
    cJSON *json = cJSON_CreateObject();
    if (json && cJSON_AddStringToObject(json, "format", format) && cJSON_AddNumberToObject(json, "version", VERSION) &&
        cJSON_AddArrayToObject(json, "devices"))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* Every device has names and rows, every row its texts: nothing below asks again. */
static bool sound(const cJSON *json)
{
    const cJSON *device, *row;
    if (strcmp(text_in(json, "format"), format) || !list_in(json, "devices"))
        return false;
    cJSON_ArrayForEach (device, list_in(json, "devices")) {
        if (!*text_in(device, "device") || !*text_in(device, "templates") || !list_in(device, "rows"))
            return false;
        cJSON_ArrayForEach (row, list_in(device, "rows"))
            if (!*text_in(row, "problem") || !*text_in(row, "variant"))
                return false;
    }
    return true;
}

static bool check(const cJSON *json, const char *path, sy_error *error)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "version");
    if (!json || !sound(json))
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s is not a tuning file as `switchyard tune` writes them", path);
    if (!cJSON_IsNumber(version) || version->valuedouble != VERSION)
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s is a tuning file of another version; this program reads %d", path,
                       VERSION);
    return true;
}

sy_tuning_store *sy_tuning_store_load(const char *path, bool may_miss, sy_error *error)
{
    size_t size;
    sy_error failure = {0};
    char *text = sy_file_load(path, MOST_BYTES, &size, &failure);
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : may_miss && failure.code == SY_CODE_NOT_FOUND ? empty() : NULL;
    bool read = text != NULL;
    free(text);
    if (!read && !json) {
        if (error)
            *error = failure;
        return NULL;
    }
    sy_tuning_store *store = check(json, path, error) ? calloc(1, sizeof *store) : NULL;
    if (store)
        store->json = json;
    else
        cJSON_Delete(json);
    return store;
}

bool sy_tuning_store_save(const sy_tuning_store *store, const char *path, sy_error *error)
{
    char *text = cJSON_Print(store->json);
    sy_new_file *file = text ? sy_file_begin(path, error) : NULL;
    bool ok = text ? file != NULL : no_memory(error);
    if (ok)
        sy_file_put(file, text, strlen(text));
    ok = file ? sy_file_end(&file, ok, error) : ok;
    cJSON_free(text);
    return ok;
}

void sy_tuning_store_free(sy_tuning_store **store)
{
    if (*store)
        cJSON_Delete((*store)->json);
    free(*store);
    *store = NULL;
}

static void driver_of(const sy_device_snapshot *s, char out[600])
{
    snprintf(out, 600, "%s %s (%04x:%04x, %x)", s->driver_name, s->driver_info, s->vendor_id, s->device_id,
             s->driver_version);
}

static cJSON *device_in(const cJSON *json, const char *device, const char *driver, const char *templates)
{
    cJSON *each;
    cJSON_ArrayForEach (each, list_in(json, "devices"))
        if (!strcmp(text_in(each, "device"), device) && !strcmp(text_in(each, "driver"), driver) &&
            !strcmp(text_in(each, "templates"), templates))
            return each;
    return NULL;
}

static cJSON *device_made(cJSON *json, const char *device, const char *driver, const char *templates)
{
    cJSON *found = device_in(json, device, driver, templates), *made = found ? NULL : cJSON_CreateObject();
    if (found)
        return found;
    if (cJSON_AddStringToObject(made, "device", device) && cJSON_AddStringToObject(made, "driver", driver) &&
        cJSON_AddStringToObject(made, "templates", templates) && cJSON_AddArrayToObject(made, "rows") &&
        cJSON_AddItemToArray(list_in(json, "devices"), made))
        return made;
    cJSON_Delete(made);
    return NULL;
}

static void drop(cJSON *rows, const char *problem)
{
    for (int i = cJSON_GetArraySize(rows); i-- > 0;)
        if (!strcmp(text_in(cJSON_GetArrayItem(rows, i), "problem"), problem))
            cJSON_DeleteItemFromArray(rows, i);
}

bool sy_tuning_store_put(sy_tuning_store *store, const sy_device_snapshot *s, const sy_tune_result *found, sy_error *error)
{
    char driver[600], templates[33];
    driver_of(s, driver);
    sy_templates_hash(templates);
    cJSON *device = device_made(store->json, s->name, driver, templates), *rows = list_in(device, "rows");
    if (!rows)
        return no_memory(error);
    for (uint32_t i = 0; i < found->n_rows; i++) {
        const sy_tune_row *r = &found->rows[i];
        drop(rows, r->problem);
        if (!found->kept || !strcmp(r->variant, r->before))
            continue;
        cJSON *row = cJSON_CreateObject();
        if (!cJSON_AddStringToObject(row, "problem", r->problem) || !cJSON_AddStringToObject(row, "variant", r->variant) ||
            !cJSON_AddNumberToObject(row, "seconds", r->seconds) || !cJSON_AddStringToObject(row, "before", r->before) ||
            !cJSON_AddNumberToObject(row, "before_seconds", r->before_seconds) || !cJSON_AddItemToArray(rows, row)) {
            cJSON_Delete(row);
            return no_memory(error);
        }
    }
    return true;
}

bool sy_tuning_store_merge(sy_tuning_store *into, const sy_tuning_store *from, sy_error *error)
{
    const cJSON *device, *row;
    cJSON_ArrayForEach (device, list_in(from->json, "devices")) {
        cJSON *own = device_made(into->json, text_in(device, "device"), text_in(device, "driver"),
                                 text_in(device, "templates")),
              *rows = list_in(own, "rows");
        if (!rows)
            return no_memory(error);
        cJSON_ArrayForEach (row, list_in(device, "rows")) {
            drop(rows, text_in(row, "problem"));
            cJSON *copy = cJSON_Duplicate(row, true);
            if (!copy || !cJSON_AddItemToArray(rows, copy))
                return no_memory(error);
        }
    }
    return true;
}

bool sy_tuning_store_take(const sy_tuning_store *store, const sy_device_snapshot *s, sy_tuning *tuning, uint32_t *stale,
                          sy_error *error)
{
    char driver[600], templates[33];
    const cJSON *device, *row;
    driver_of(s, driver);
    sy_templates_hash(templates);
    *stale = 0;
    cJSON_ArrayForEach (device, list_in(store->json, "devices")) {
        if (strcmp(text_in(device, "device"), s->name) || strcmp(text_in(device, "driver"), driver))
            continue;
        bool same = !strcmp(text_in(device, "templates"), templates);
        *stale += same ? 0 : (uint32_t)cJSON_GetArraySize(list_in(device, "rows"));
        cJSON_ArrayForEach (row, list_in(device, "rows"))
            if (same && !sy_tuning_add(tuning, text_in(row, "problem"), text_in(row, "variant"), error))
                return false;
    }
    return true;
}
