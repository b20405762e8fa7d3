/* The public side of profiling: from a file to a report, and from a report to what people and programs read. */
#include "src/profile/target.h"
#include "src/run/recording.h"

#include "graph/base/file.h"
#include "src/profile/counters.h"
#include "src/profile/facts.h"
#include "src/profile/roofs.h"

#include <stdlib.h>
#include <string.h>

enum { REPEATS = 5, MOST_NOTES = 16, MOST_REPORT_BYTES = 512 << 20 };
_Static_assert((int)SY_PROFILE_SERIAL_ONLY == 1 && (int)SY_PROFILE_OVERLAP_ONLY == 2, "modes are what they were");

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
}

static bool describe_device(const sy_vk_device *device, sy_profile_report *r, sy_error *error)
{
    const sy_device_snapshot *s = device->snapshot;
    r->device = sy_arena_string(&r->arena, s->name);
    r->driver = sy_arena_printf(&r->arena, "%s %s", s->driver_name, s->driver_info);
    r->device_kind = sy_device_type_text(s->type);
    r->timestamp_bits = device->plan->timestamp_bits;
    r->timestamp_period = device->plan->timestamp_period;
    return (r->device && r->driver) || no_memory(error);
}

static void note(sy_profile_report *r, const char *text)
{
    if (!r->notes)
        r->notes = sy_arena_array(&r->arena, MOST_NOTES, sizeof *r->notes);
    if (r->notes && r->n_notes < MOST_NOTES)
        ((const char **)r->notes)[r->n_notes++] = text;
}

/* Kernels as they were, for dumps: programs are gone by then. */
static bool keep_sources(const sy_profile_target *t, sy_profile_report *r, sy_error *error)
{
    sy_profile_source *list = sy_arena_array(&r->arena, r->n_kernels + 1, sizeof *list);
    uint32_t n = 0;
    for (uint32_t p = 0; list && p < t->n_programs; p++)
        for (uint32_t k = 0; k < t->programs[p]->n_kernels; k++) {
            const sy_kernel *kernel = &t->programs[p]->kernels[k];
            uint32_t *words = sy_arena_array(&r->arena, kernel->n_spirv + 1, sizeof *words);
            const char *glsl = sy_arena_string(&r->arena, kernel->glsl);
            if (!words || !glsl)
                return no_memory(error);
            memcpy(words, kernel->spirv, kernel->n_spirv * sizeof *words);
            list[n++] = (sy_profile_source){glsl, words, kernel->n_spirv};
        }
    r->sources = list;
    return list || no_memory(error);
}

/* A device that cannot tell is no end of a profile. */
static bool count(const sy_profile_target *t, const sy_profile_params *p, sy_profile_report *r, sy_error *error)
{
    sy_error why = {0};
    if (p->progress && !p->progress(p->user, "reading counters", 0, 1))
        return sy_fail(error, SY_CODE_CANCELLED, "cancelled");
    if (sy_counters_measure(t->session, t->device, p->counters, r, &why))
        return true;
    if (why.code == SY_CODE_UNAVAILABLE)
        note(r, sy_arena_printf(&r->arena, "no hardware counters: %s", why.message));
    else
        *error = why;
    return why.code == SY_CODE_UNAVAILABLE;
}

static bool profile(sy_context *c, const char *path, const sy_profile_params *p, sy_profile_target *t, sy_profile_report *r, sy_error *error)
{
    if (!sy_profile_target_open(c, path, p, t, r, error) || !describe_device(t->device, r, error))
        return false;
    if (p->record && !sy_session_record(t->session, p->record_step, path, p->record, error))
        return false;
    sy_measure_params m = {.session = t->session,
                           .programs = t->programs,
                           .names = t->names,
                           .schedule = t->schedule,
                           .n_programs = t->n_programs,
                           .n_schedule = t->n_schedule,
                           .modes = {p->modes != SY_PROFILE_OVERLAP_ONLY, p->modes != SY_PROFILE_SERIAL_ONLY},
                           .repeats = p->repeats ? p->repeats : REPEATS,
                           .warmups = p->warmups ? p->warmups : 1,
                           .progress = p->progress,
                           .user = p->user};
    if (p->progress && !p->progress(p->user, "measuring roofs", 0, 1))
        return sy_fail(error, SY_CODE_CANCELLED, "cancelled");
    if (!r->timestamp_bits)
        note(r, "the device has no timestamps: there are no times of dispatches, only of whole runs by the host's clock");
    if (!sy_roofs_get(t->device, c->cache_directory, p->measure_roofs, &r->arena, &r->roofs, error) ||
        !sy_profile_describe(&m, r, error) || !keep_sources(t, r, error))
        return false;
    sy_clocks_read(r, "before");
    if (!sy_profile_measure(&m, r, error))
        return false;
    sy_clocks_read(r, "after");
    if (p->counters && !count(t, p, r, error))
        return false;
    if (!sy_executable_facts(t->device, t->programs, t->n_programs, r, error))
        return false;
    if (!sy_clocks_calibrate(t->device, r))
        note(r, "the device's clock could not be lined up with the host's: times of the trace begin at 0");
    sy_report_judge(r);
    return true;
}

sy_status sy_profile_run(sy_context *context, const char *path, const sy_profile_params *params, sy_profile **out)
{
    static const sy_profile_params defaults;
    sy_error error = {0};
    sy_profile_target t = {0};
    sy_profile_report *r = *out = sy_report_create();
    context->counters = context->counters || (params && params->counters);
    if (!r)
        no_memory(&error);
    else if (!profile(context, path, params ? params : &defaults, &t, r, &error))
        sy_report_destroy(out);
    sy_profile_target_close(&t);
    return sy_api_done(context, &error);
}

sy_status sy_profile_list_counters(sy_context *context, const char *name, char **text)
{
    sy_error error = {0};
    sy_text out = {0};
    sy_arena arena = {0};
    sy_counters counters;
    sy_vk_device *device;
    char called[300];
    *text = NULL;
    context->counters = true;
    if (sy_api_device(context, name, &device, called, sizeof called, &error)) {
        if (!device)
            sy_fail(&error, SY_CODE_UNAVAILABLE, "the reference evaluator has no hardware counters");
        else if (sy_counters_list(device->instance, sy_counters_index(device), &arena, &counters, &error))
            sy_counters_print(&counters, &out);
    }
    if (error.code == SY_CODE_OK && (out.failed || !out.data))
        no_memory(&error);
    if (error.code == SY_CODE_OK)
        *text = out.data;
    else
        sy_text_free(&out);
    sy_arena_free(&arena);
    return sy_api_done(context, &error);
}

void sy_profile_destroy(sy_profile **profile)
{
    sy_report_destroy(profile);
}

static bool print(const sy_profile_report *r, sy_profile_format format, sy_text *out, sy_error *error)
{
    switch (format) {
    case SY_PROFILE_JSON:
        sy_report_json(r, out);
        break;
    case SY_PROFILE_TRACE:
        sy_report_trace(r, out);
        break;
    case SY_PROFILE_HTML:
        sy_report_html(r, out);
        break;
    default:
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no format %d of profiles", (int)format);
    }
    return (!out->failed && out->data) || no_memory(error);
}

sy_status sy_profile_table(sy_context *context, const sy_profile *profile, uint32_t most_rows, char **text)
{
    sy_error error = {0};
    sy_text out = {0};
    sy_report_table(profile, most_rows, &out);
    *text = out.failed ? NULL : out.data;
    if (!*text) {
        sy_text_free(&out);
        no_memory(&error);
    }
    return sy_api_done(context, &error);
}

sy_status sy_profile_text(sy_context *context, const sy_profile *profile, sy_profile_format format, char **text)
{
    sy_error error = {0};
    sy_text out = {0};
    *text = NULL;
    if (print(profile, format, &out, &error))
        *text = out.data;
    else
        sy_text_free(&out);
    return sy_api_done(context, &error);
}

static bool write_file(const char *path, const void *data, size_t size, sy_error *error)
{
    sy_new_file *file = sy_file_begin(path, error);
    if (!file)
        return false;
    sy_file_put(file, data, size);
    return sy_file_end(&file, true, error);
}

sy_status sy_profile_write(sy_context *context, const sy_profile *profile, sy_profile_format format, const char *path)
{
    sy_error error = {0};
    sy_text out = {0};
    if (print(profile, format, &out, &error))
        write_file(path, out.data, out.size, &error);
    sy_text_free(&out);
    return sy_api_done(context, &error);
}

static sy_profile_report *read_report(const char *path, sy_error *error)
{
    size_t size;
    char *text = sy_file_load(path, MOST_REPORT_BYTES, &size, error);
    sy_profile_report *r = text ? sy_report_from_json(text, size, error) : NULL;
    free(text);
    if (!r)
        sy_fail_context(error, "%s", path);
    return r;
}

sy_status sy_profile_compare(sy_context *context, const char *before, const char *after, double bound, char **text, uint32_t *regressions)
{
    sy_error error = {0};
    sy_text out = {0};
    *text = NULL;
    *regressions = 0;
    sy_profile_report *a = read_report(before, &error), *b = a ? read_report(after, &error) : NULL;
    if (a && b && sy_report_compare(a, b, bound, &out, regressions, &error)) {
        if (out.failed || !out.data)
            no_memory(&error);
        else
            *text = out.data;
    }
    if (!*text)
        sy_text_free(&out);
    sy_report_destroy(&a);
    sy_report_destroy(&b);
    return sy_api_done(context, &error);
}
