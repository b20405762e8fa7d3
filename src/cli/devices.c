/* switchyard devices: which Vulkan devices there are, and whether and how each would be used. */
#include "src/cli/commands.h"
#include "src/device/device.h"

#include "graph/base/file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: switchyard devices [--json] [--from FILE]\n"
    "\n"
    "Lists the Vulkan devices of this machine, best first. The number in front is what --device of other commands "
    "takes. A\n"
    "refused device is listed with the reason.\n"
    "\n"
    "  --json       everything the driver says that matters to compute, and what follows from it (\"verdict\"), as "
    "JSON.\n"
    "               Attach this to a report: the verdict can be worked out again from it on any machine\n"
    "  --from FILE  take the devices from such a JSON file instead of this machine's drivers\n"
    "  --help       this text\n"
    "\n"
    "Columns: tier says what kernels could use: cpu (a software driver), basic (Vulkan 1.2 and no more), half (16-bit\n"
    "arithmetic and storage), matrix (cooperative matrices). memory is what the device's main heap holds.\n"
    "\n"
    "Environment: VK_DRIVER_FILES or VK_ICD_FILENAMES choose the drivers, SWITCHYARD_VALIDATION=1 switches the\n"
    "validation layer on. Exit status: 0 if a usable device is listed, 1 if none is, 2 for wrong arguments.\n";

typedef struct device_list {
    sy_device_snapshot *snapshots;
    sy_device_plan *plans;
    uint32_t count;
} device_list;

static bool make_room(device_list *list, uint32_t count, sy_error *error)
{
    list->snapshots = calloc(count ? count : 1, sizeof *list->snapshots);
    list->plans = calloc(count ? count : 1, sizeof *list->plans);
    if (list->snapshots && list->plans)
        return true;
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory listing %u devices.", count);
}

static void free_list(device_list *list)
{
    free(list->snapshots);
    free(list->plans);
}

static bool list_here(device_list *list, sy_error *error)
{
    sy_vk_instance *instance = sy_vk_instance_create(&(sy_vk_instance_params){.message = sy_cli_validation}, error);
    bool ok = instance && make_room(list, instance->n_physicals, error);
    for (uint32_t i = 0; ok && i < instance->n_physicals; i++) {
        list->snapshots[i] = instance->physicals[i].snapshot;
        list->plans[i] = instance->physicals[i].plan;
        list->count = i + 1;
    }
    sy_vk_instance_destroy(&instance);
    return ok;
}

/* What --json wrote: an object with a list of devices; one snapshot alone is taken too. */
static bool list_json(const cJSON *json, device_list *list, sy_error *error)
{
    const cJSON *devices = cJSON_GetObjectItemCaseSensitive(json, "devices");
    uint32_t n = cJSON_IsArray(devices) ? (uint32_t)cJSON_GetArraySize(devices) : 1;
    if (n > 256)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file lists %u devices; 256 are the most.", n);
    if (!make_room(list, n, error))
        return false;
    const cJSON *item = cJSON_IsArray(devices) ? devices->child : json;
    for (uint32_t i = 0; i < n; i++, item = item->next) {
        if (!sy_snapshot_from_json(item, &list->snapshots[i], error))
            return sy_fail_context(error, "device %u", i);
        sy_plan_make(&list->snapshots[i], &list->plans[i]);
        list->count = i + 1;
    }
    return true;
}

static bool list_from(const char *path, device_list *list, sy_error *error)
{
    size_t size = 0;
    char *text = sy_file_load(path, 16 << 20, &size, error);
    if (!text)
        return false;
    cJSON *json = cJSON_ParseWithLength(text, size);
    bool ok = json ? list_json(json, list, error) : sy_fail(error, SY_CODE_INVALID_FILE, "It is not JSON.");
    if (!ok)
        sy_fail_context(error, "%s", path);
    cJSON_Delete(json);
    free(text);
    return ok;
}

static bool print_json(const device_list *list)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *devices = root ? cJSON_AddArrayToObject(root, "devices") : NULL;
    bool ok = devices != NULL;
    for (uint32_t i = 0; i < list->count && ok; i++) {
        cJSON *device = sy_snapshot_to_json(&list->snapshots[i]);
        ok = device && cJSON_AddItemToArray(devices, device) &&
             cJSON_AddItemToObject(device, "verdict", sy_plan_to_json(&list->plans[i]));
    }
    char *text = ok ? cJSON_Print(root) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    return text != NULL;
}

static const char *name_of(const sy_device_snapshot *s)
{
    return s->name[0] ? s->name : "(unnamed)";
}

static void print_table(const device_list *list)
{
    int wide = 4, driver_wide = 6;
    for (uint32_t i = 0; i < list->count; i++) {
        const sy_device_snapshot *s = &list->snapshots[i];
        int n = (int)strlen(name_of(s)), d = (int)strlen(s->driver_info[0] ? s->driver_info : s->driver_name);
        wide = n > wide ? n : wide;
        driver_wide = d > driver_wide ? d : driver_wide;
    }
    driver_wide = driver_wide > 40 ? 40 : driver_wide;
    printf(" #  %-*s  %-10s  %-*s  %-8s  %-6s  %9s  verdict\n", wide, "name", "type", driver_wide, "driver", "Vulkan",
           "tier", "memory");
    for (uint32_t i = 0; i < list->count; i++) {
        const sy_device_snapshot *s = &list->snapshots[i];
        const sy_device_plan *p = &list->plans[i];
        char version[32] = "?", memory[32] = "?";
        if (s->api_version)
            sy_snapshot_version_text(s->api_version, version);
        if (p->heap_bytes)
            snprintf(memory, sizeof memory, "%.1f GiB", (double)p->heap_bytes / (1 << 30));
        printf("%2u  %-*s  %-10s  %-*.40s  %-8s  %-6s  %9s  %s\n", i, wide, name_of(s), sy_device_type_text(s->type),
               driver_wide, s->driver_info[0] ? s->driver_info : s->driver_name, version,
               p->usable ? sy_tier_text(p->tier) : "-", memory, p->usable ? "usable" : "refused");
        if (!p->usable)
            printf("    %s\n", p->refusal);
    }
}

int sy_command_devices(int argc, char **argv)
{
    bool json = false;
    const char *from = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            fputs(help, stdout);
            return 0;
        }
        if (!strcmp(argv[i], "--json")) {
            json = true;
        } else if (!strcmp(argv[i], "--from") && i + 1 < argc) {
            from = argv[++i];
        } else {
            fprintf(stderr, "switchyard devices: \"%s\" %s. See switchyard devices --help.\n", argv[i],
                    strcmp(argv[i], "--from") ? "is not an option of it" : "needs the name of a JSON file after it");
            return 2;
        }
    }
    sy_error error = {0};
    device_list list = {0};
    uint32_t usable = 0;
    if (!(from ? list_from(from, &list, &error) : list_here(&list, &error))) {
        fprintf(stderr, "switchyard devices: %s\n", error.message);
        free_list(&list);
        return 1;
    }
    for (uint32_t i = 0; i < list.count; i++)
        usable += list.plans[i].usable;
    bool printed = true;
    if (json)
        printed = print_json(&list);
    else if (list.count)
        print_table(&list);
    else
        puts("There is no Vulkan device. \"switchyard doctor\" says what is missing.");
    free_list(&list);
    return printed && usable ? 0 : 1;
}
