/* Chrome's trace event format (also read by Perfetto): a process a program, a track a mode, a slice a dispatch at its median
 * begin with its median length, in microseconds of the device's clock. Where both clocks were lined up, slices lie at the
 * time that the host's clock showed, and the whole runs stand on a track of the host's own; else the device begins at 0
 * and the host has no track: two clocks are never put on one axis otherwise. */
#include "src/profile/report.h"

#include <cjson/cJSON.h>

static cJSON *event(cJSON *events, const char *phase, const char *name, uint32_t process, uint32_t track)
{
    cJSON *e = cJSON_CreateObject();
    cJSON_AddStringToObject(e, "ph", phase);
    cJSON_AddStringToObject(e, "name", name);
    cJSON_AddNumberToObject(e, "pid", process);
    cJSON_AddNumberToObject(e, "tid", track);
    cJSON_AddItemToArray(events, e);
    return e;
}

static void title(cJSON *events, const char *what, const char *text, uint32_t process, uint32_t track)
{
    cJSON *e = event(events, "M", what, process, track);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(e, "args"), "name", text);
}

static void slice(cJSON *e, double begin, double seconds, const char *category)
{
    cJSON_AddStringToObject(e, "cat", category);
    cJSON_AddNumberToObject(e, "ts", 1e6 * begin);
    cJSON_AddNumberToObject(e, "dur", 1e6 * seconds);
}

static void add_dispatch(cJSON *events, const sy_profile_report *r, const sy_profile_dispatch *d, int mode, double zero)
{
    cJSON *e = event(events, "X", d->name, d->program + 1, (uint32_t)mode + 1), *args;
    slice(e, zero + d->begin[mode], d->time[mode].median, d->kind);
    args = cJSON_AddObjectToObject(e, "args");
    cJSON_AddStringToObject(args, "kernel", r->kernels[d->kernel].name);
    cJSON_AddStringToObject(args, "layer", d->layer);
    cJSON_AddNumberToObject(args, "flops", d->flops);
    cJSON_AddNumberToObject(args, "least_bytes", d->least_bytes);
    cJSON_AddNumberToObject(args, "share_of_roof", d->share);
    cJSON_AddStringToObject(args, "bound_by", d->bound_by);
}

/* What is subtracted from every time, so that the numbers stay small: the earliest there is. */
static double earliest(const sy_profile_report *r)
{
    double least = 0;
    bool any = false;
    for (int m = 0; m < SY_MODES; m++)
        if (r->measured[m] && (!any || r->host_run[m][0] < least)) {
            least = r->host_run[m][0];
            any = true;
        }
    return least;
}

static void add_program(cJSON *events, const sy_profile_report *r, uint32_t index)
{
    const sy_profile_program *p = &r->programs[index];
    title(events, "process_name", p->name, index + 1, 0);
    for (int m = 0; m < SY_MODES; m++) {
        if (!p->total[m].n)
            continue;
        title(events, "thread_name", sy_profile_mode_text((sy_profile_mode)m), index + 1, (uint32_t)m + 1);
        double zero = r->calibrated ? r->calibration_offset + p->begun[m] - earliest(r) : 0;
        for (uint32_t i = p->first; i < p->first + p->n; i++)
            add_dispatch(events, r, &r->dispatches[i], m, zero);
    }
}

void sy_report_trace(const sy_profile_report *r, sy_text *out)
{
    cJSON *o = cJSON_CreateObject(), *events = cJSON_AddArrayToObject(o, "traceEvents"), *about;
    cJSON_AddStringToObject(o, "displayTimeUnit", "ns");
    about = cJSON_AddObjectToObject(o, "otherData");
    cJSON_AddStringToObject(about, "target", r->target);
    cJSON_AddStringToObject(about, "device", r->device);
    cJSON_AddStringToObject(about, "clock", r->calibrated ? "of the host; the device's was lined up with it" : "of the device, from 0");
    for (uint32_t p = 0; p < r->n_programs; p++)
        add_program(events, r, p);
    if (r->calibrated) {
        title(events, "process_name", "host", r->n_programs + 1, 0);
        for (int m = 0; m < SY_MODES; m++)
            if (r->measured[m]) {
                title(events, "thread_name", sy_profile_mode_text((sy_profile_mode)m), r->n_programs + 1, (uint32_t)m + 1);
                slice(event(events, "X", "run", r->n_programs + 1, (uint32_t)m + 1), r->host_run[m][0] - earliest(r),
                      r->host_run[m][1] - r->host_run[m][0], "host");
            }
    }
    char *printed = events ? cJSON_PrintUnformatted(o) : NULL;
    if (printed)
        sy_text_add(out, printed), sy_text_add(out, "\n");
    else
        out->failed = true;
    cJSON_free(printed);
    cJSON_Delete(o);
}
