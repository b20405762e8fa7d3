#include "src/cli/measured.h"

#include "graph/base/file.h"
#include "src/api.h"
#include "src/cli/commands.h"
#include "src/profile/roofs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sy_vk_device *sy_cli_open_device(sy_vk_instance *instance, const char *wanted, sy_error *error)
{
    char *end = NULL;
    unsigned long number = wanted ? strtoul(wanted, &end, 10) : 0;
    bool is_number = wanted && *wanted && !*end;
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        const sy_vk_physical *p = &instance->physicals[i];
        if (!wanted ? p->plan.usable : is_number ? number == i : strcasestr(p->snapshot.name, wanted) != NULL)
            return sy_vk_device_create(instance, i, error);
    }
    if (wanted)
        sy_fail(error, SY_CODE_NOT_FOUND, "there is no Vulkan device \"%s\"; switchyard devices lists them", wanted);
    else
        sy_fail(error, SY_CODE_UNAVAILABLE, "there is no Vulkan device that can be used; switchyard doctor says what is missing");
    return NULL;
}

static bool save(const char *path, const sy_profile_report *report, void (*writer)(const sy_profile_report *, sy_text *), sy_error *error)
{
    sy_text text = {0};
    if (!path)
        return true;
    writer(report, &text);
    sy_new_file *file = text.failed ? NULL : sy_file_begin(path, error);
    if (text.failed)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
    if (file)
        sy_file_put(file, text.data ? text.data : "", text.size);
    bool ok = file && sy_file_end(&file, true, error);
    sy_text_free(&text);
    return ok;
}

void sy_cli_roofs(const sy_vk_device *device, sy_profile_report *report)
{
    sy_context *context = sy_cli_context(); /* knows where the cache is */
    sy_error error = {0};
    if (context && !sy_roofs_get(device, context->cache_directory, false, &report->arena, &report->roofs, &error))
        fprintf(stderr, "roofs of the device: %s\n", error.message);
    sy_context_destroy(&context);
}

bool sy_cli_report(const sy_cli_reports *wanted, sy_profile_report *report, sy_error *error)
{
    sy_text table = {0};
    sy_report_judge(report);
    if (!save(wanted->json, report, sy_report_json, error) || !save(wanted->trace, report, sy_report_trace, error) ||
        !save(wanted->html, report, sy_report_html, error))
        return false;
    sy_report_table(report, wanted->rows, &table);
    fputs(table.data ? table.data : "", stdout);
    sy_text_free(&table);
    return true;
}
