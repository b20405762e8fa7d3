/* Reports from JSON. The file may be anything: every number is checked where it is used as an index or a size, and what is
 * missing is unknown. */
#include "src/profile/json.h"
#include "src/profile/roofs.h"

#include <math.h>
#include <string.h>

typedef struct reader {
    sy_profile_report *r;
    sy_error *error;
} reader;

static const cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = member(o, name);
    return cJSON_IsNumber(x) && isfinite(x->valuedouble) ? x->valuedouble : 0;
}

static uint64_t whole(const cJSON *o, const char *name, uint64_t most)
{
    double x = number(o, name);
    return x < 0 ? 0 : x > (double)most ? most : (uint64_t)x;
}

static uint32_t small(const cJSON *o, const char *name)
{
    return (uint32_t)whole(o, name, UINT32_MAX);
}

static const char *text(const reader *d, const cJSON *o, const char *name)
{
    const cJSON *x = member(o, name);
    const char *copy = sy_arena_string(&d->r->arena, cJSON_IsString(x) ? x->valuestring : "");
    return copy ? copy : "";
}

static bool no_memory(const reader *d)
{
    return sy_fail(d->error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
}

static bool wrong(const reader *d, const char *what)
{
    return sy_fail(d->error, SY_CODE_INVALID_FILE, "it is no profile of Switchyard: %s", what);
}

static bool doubles(const reader *d, const cJSON *array, const double **out, uint32_t *n)
{
    int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    double *list = sy_arena_array(&d->r->arena, (size_t)count + 1, sizeof *list);
    if (!list)
        return no_memory(d);
    const cJSON *x = count ? array->child : NULL;
    for (int i = 0; i < count; i++, x = x->next)
        list[i] = cJSON_IsNumber(x) && isfinite(x->valuedouble) ? x->valuedouble : 0;
    *out = list;
    *n = (uint32_t)count;
    return true;
}

/* What is said of samples is computed again, not believed. */
static bool samples(const reader *d, const cJSON *o, sy_samples *out)
{
    const double *of;
    uint32_t n;
    *out = (sy_samples){0};
    if (!cJSON_IsObject(o))
        return true;
    if (!doubles(d, member(o, "samples"), &of, &n))
        return false;
    return sy_samples_describe(of, n, out) || no_memory(d);
}

static bool by_mode(const reader *d, const cJSON *o, const char *name, sy_samples out[SY_MODES])
{
    for (int m = 0; m < SY_MODES; m++)
        if (!samples(d, member(member(o, name), sy_profile_mode_text((sy_profile_mode)m)), &out[m]))
            return false;
    return true;
}

static void few(const cJSON *array, int n, double *out)
{
    for (int m = 0; m < n; m++) {
        const cJSON *x = cJSON_GetArrayItem(array, m);
        out[m] = cJSON_IsNumber(x) && isfinite(x->valuedouble) ? x->valuedouble : 0;
    }
}

static void pair(const cJSON *array, double out[SY_MODES])
{
    few(array, SY_MODES, out);
}

static void triple(const cJSON *array, uint32_t out[3])
{
    for (int i = 0; i < 3; i++) {
        const cJSON *x = cJSON_GetArrayItem(array, i);
        out[i] = cJSON_IsNumber(x) && x->valuedouble > 0 && x->valuedouble < 4e9 ? (uint32_t)x->valuedouble : 0;
    }
}

static bool facts(const reader *d, const cJSON *array, sy_profile_fact **out, uint32_t *n)
{
    int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    sy_profile_fact *list = sy_arena_array(&d->r->arena, (size_t)count + 1, sizeof *list);
    if (!list)
        return no_memory(d);
    const cJSON *x = count ? array->child : NULL;
    for (int i = 0; i < count; i++, x = x->next)
        list[i] = (sy_profile_fact){text(d, x, "name"), text(d, x, "unit"), text(d, x, "text"), number(x, "value")};
    *out = list;
    *n = (uint32_t)count;
    return true;
}

static sy_roof_kind roof_kind(const char *name)
{
    for (int k = 0; k < SY_ROOF_KINDS; k++)
        if (!strcmp(name, sy_roof_text((sy_roof_kind)k)))
            return (sy_roof_kind)k;
    return SY_ROOF_KINDS;
}

bool sy_roofs_from_json(const cJSON *list, sy_arena *arena, sy_roofs *roofs, sy_error *error)
{
    const cJSON *x;
    *roofs = (sy_roofs){0};
    if (!cJSON_IsArray(list))
        return sy_fail(error, SY_CODE_INVALID_FILE, "it has no list of roofs");
    cJSON_ArrayForEach (x, list) {
        const cJSON *name = member(x, "roof"), *note = member(x, "note");
        sy_roof_kind kind = roof_kind(cJSON_IsString(name) ? name->valuestring : "");
        if (kind == SY_ROOF_KINDS || roofs->n == SY_MOST_ROOFS)
            continue;
        sy_roof *r = &roofs->roof[roofs->n++];
        *r = (sy_roof){kind, number(x, "value"), number(x, "spread"), whole(x, "working_set", UINT64_C(1) << 50),
                       sy_arena_string(arena, cJSON_IsString(note) ? note->valuestring : "")};
        if (!r->note)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for roofs");
    }
    return true;
}

static bool read_dispatch(const reader *d, const cJSON *x, void *at)
{
    sy_profile_dispatch *out = at;
    *out = (sy_profile_dispatch){.name = text(d, x, "name"),
                                 .layer = text(d, x, "layer"),
                                 .ops = text(d, x, "ops"),
                                 .kind = text(d, x, "kind"),
                                 .program = small(x, "program"),
                                 .kernel = small(x, "kernel"),
                                 .indirect = cJSON_IsTrue(member(x, "indirect")),
                                 .barrier = cJSON_IsTrue(member(x, "barrier")),
                                 .route = member(x, "route") ? small(x, "route") : SY_NO_ROUTE,
                                 .bound_flops = number(x, "bound_flops"),
                                 .flops = number(x, "flops"),
                                 .least_bytes = number(x, "least_bytes"),
                                 .planned_bytes = number(x, "planned_bytes")};
    triple(member(x, "groups"), out->groups);
    pair(member(x, "begin"), out->begin);
    return by_mode(d, x, "seconds", out->time) && facts(d, member(x, "counters"), &out->counters, &out->n_counters);
}

static bool read_kernel(const reader *d, const cJSON *x, void *at)
{
    sy_profile_kernel *out = at;
    *out = (sy_profile_kernel){.name = text(d, x, "name"),
                               .shared_bytes = small(x, "shared_bytes"),
                               .bindings = small(x, "bindings"),
                               .push_bytes = small(x, "push_bytes"),
                               .spirv_bytes = small(x, "spirv_bytes"),
                               .instructions = small(x, "instructions"),
                               .arithmetic = roof_kind(text(d, x, "arithmetic"))};
    triple(member(x, "workgroup"), out->local);
    const cJSON *mix = member(x, "mix"), *m;
    int n = cJSON_IsArray(mix) ? cJSON_GetArraySize(mix) : 0;
    sy_profile_mix *list = sy_arena_array(&d->r->arena, (size_t)n + 1, sizeof *list);
    if (!list)
        return no_memory(d);
    if (n)
        cJSON_ArrayForEach (m, mix)
            list[out->n_mix++] = (sy_profile_mix){text(d, m, "name"), small(m, "count")};
    out->mix = list;
    return facts(d, member(x, "facts"), &out->facts, &out->n_facts);
}

static bool read_route(const reader *d, const cJSON *x, void *at)
{
    sy_profile_route *out = at;
    const double *load;
    *out = (sy_profile_route){.name = text(d, x, "name"),
                              .layer_first = small(x, "first_dispatch"),
                              .rows = small(x, "rows"),
                              .slots = small(x, "slots"),
                              .used = number(x, "used"),
                              .tiles = number(x, "tiles"),
                              .tile_rows = number(x, "tile_rows"),
                              .imbalance = number(x, "imbalance")};
    if (!doubles(d, member(x, "load"), &load, &out->targets))
        return false;
    out->load = (double *)load; /* on the report's arena, like all of it */
    return true;
}

static bool read_program(const reader *d, const cJSON *x, void *at)
{
    sy_profile_program *out = at;
    *out = (sy_profile_program){.name = text(d, x, "name"),
                                .first = small(x, "first"),
                                .n = small(x, "dispatches"),
                                .turns = small(x, "turns"),
                                .arena_bytes = whole(x, "arena_bytes", UINT64_C(1) << 50),
                                .arena_lower_bound = whole(x, "arena_lower_bound", UINT64_C(1) << 50)};
    pair(member(x, "sum"), out->sum);
    pair(member(x, "begun"), out->begun);
    return by_mode(d, x, "total", out->total);
}

static bool read_buffer(const reader *d, const cJSON *x, void *at)
{
    *(sy_profile_buffer *)at = (sy_profile_buffer){.name = text(d, x, "name"),
                                                   .program = small(x, "program"),
                                                   .buffer = small(x, "buffer"),
                                                   .offset = whole(x, "offset", UINT64_C(1) << 50),
                                                   .bytes = whole(x, "bytes", UINT64_C(1) << 50),
                                                   .first = small(x, "first"),
                                                   .last = small(x, "last")};
    return true;
}

static bool read_list(const reader *d, const cJSON *o, const char *name, size_t size, bool (*read)(const reader *, const cJSON *, void *),
                      void **out, uint32_t *n)
{
    const cJSON *array = member(o, name), *x;
    int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (count > SY_PROFILE_MOST)
        return wrong(d, "a list in it is longer than any could be");
    char *list = sy_arena_array(&d->r->arena, (size_t)count + 1, size);
    if (!list)
        return no_memory(d);
    if (count)
        cJSON_ArrayForEach (x, array)
            if (!read(d, x, list + size * (*n)++))
                return false;
    *out = list;
    return true;
}

/* Indices lie where they say. */
static bool check(const reader *d)
{
    const sy_profile_report *r = d->r;
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *x = &r->dispatches[i];
        if (x->program >= r->n_programs || x->kernel >= r->n_kernels || (x->route != SY_NO_ROUTE && x->route >= r->n_routes))
            return wrong(d, "a dispatch names a program, a kernel or a route that is not there");
    }
    for (uint32_t i = 0; i < r->n_programs; i++)
        if (r->programs[i].first > r->n_dispatches || r->programs[i].n > r->n_dispatches - r->programs[i].first)
            return wrong(d, "a program has dispatches that are not there");
    for (uint32_t i = 0; i < r->n_routes; i++)
        if (r->routes[i].layer_first >= r->n_dispatches)
            return wrong(d, "a route is read by a dispatch that is not there");
    for (uint32_t i = 0; i < r->n_buffers; i++)
        if (r->buffers[i].program >= r->n_programs || r->buffers[i].first > r->buffers[i].last || r->buffers[i].last >= r->n_dispatches)
            return wrong(d, "memory lives between dispatches that are not there");
    for (uint32_t i = 0; i < r->n_kernels; i++)
        if (r->kernels[i].arithmetic >= SY_ROOF_KINDS)
            return wrong(d, "a kernel has arithmetic of no known kind");
    return true;
}

static bool read_settings(const reader *d, const cJSON *o)
{
    const cJSON *settings = member(o, "settings"), *x;
    int n = cJSON_IsObject(settings) ? cJSON_GetArraySize(settings) : 0;
    sy_profile_setting *list = sy_arena_array(&d->r->arena, (size_t)n + 1, sizeof *list);
    if (!list)
        return no_memory(d);
    d->r->settings = list;
    if (n)
        cJSON_ArrayForEach (x, settings)
            list[d->r->n_settings++] = (sy_profile_setting){sy_arena_string(&d->r->arena, x->string),
                                                            sy_arena_string(&d->r->arena, cJSON_IsString(x) ? x->valuestring : "")};
    for (int i = 0; i < n; i++)
        if (!list[i].name || !list[i].value)
            return no_memory(d);
    return true;
}

static bool read_notes(const reader *d, const cJSON *o)
{
    const cJSON *notes = member(o, "notes"), *x;
    int n = cJSON_IsArray(notes) ? cJSON_GetArraySize(notes) : 0;
    const char **list = sy_arena_array(&d->r->arena, (size_t)n + 1, sizeof *list);
    if (!list)
        return no_memory(d);
    d->r->notes = list;
    if (n)
        cJSON_ArrayForEach (x, notes)
            if (cJSON_IsString(x) && !(list[d->r->n_notes++] = sy_arena_string(&d->r->arena, x->valuestring)))
                return no_memory(d);
    return true;
}

static bool read_report(const reader *d, const cJSON *o)
{
    sy_profile_report *r = d->r;
    if (!cJSON_IsObject(o) || number(o, "switchyard_profile") != SY_PROFILE_VERSION)
        return wrong(d, "it has no switchyard_profile of a version that is known here");
    r->target = text(d, o, "target");
    r->what = text(d, o, "what");
    r->device = text(d, o, "device");
    r->driver = text(d, o, "driver");
    r->device_kind = text(d, o, "device_kind");
    r->timestamp_bits = small(o, "timestamp_bits");
    r->timestamp_period = number(o, "timestamp_period_ns");
    r->repeats = small(o, "repeats");
    r->warmups = small(o, "warmups");
    few(member(o, "host_run"), 2 * SY_MODES, r->host_run[0]);
    r->calibrated = cJSON_IsTrue(member(o, "calibrated"));
    r->calibration_offset = number(o, "calibration_offset");
    r->calibration_error = number(o, "calibration_error");
    void *programs, *dispatches, *kernels, *routes, *buffers;
    if (!read_settings(d, o) || !read_notes(d, o) || !samples(d, member(o, "host_plain"), &r->host_plain) ||
        !by_mode(d, o, "host_timed", r->host_timed) || !sy_roofs_from_json(member(o, "roofs"), &r->arena, &r->roofs, d->error) ||
        !facts(d, member(o, "clocks"), &r->clocks, &r->n_clocks) ||
        !read_list(d, o, "programs", sizeof *r->programs, read_program, &programs, &r->n_programs) ||
        !read_list(d, o, "dispatches", sizeof *r->dispatches, read_dispatch, &dispatches, &r->n_dispatches) ||
        !read_list(d, o, "kernels", sizeof *r->kernels, read_kernel, &kernels, &r->n_kernels) ||
        !read_list(d, o, "routes", sizeof *r->routes, read_route, &routes, &r->n_routes) ||
        !read_list(d, o, "buffers", sizeof *r->buffers, read_buffer, &buffers, &r->n_buffers))
        return false;
    r->roofs.cached = cJSON_IsTrue(member(o, "roofs_cached"));
    r->programs = programs;
    r->dispatches = dispatches;
    r->kernels = kernels;
    r->routes = routes;
    r->buffers = buffers;
    for (uint32_t i = 0; i < r->n_dispatches; i++)
        for (int m = 0; m < SY_MODES; m++)
            r->measured[m] = r->measured[m] || r->dispatches[i].time[m].n;
    return check(d);
}

sy_profile_report *sy_report_from_json(const char *bytes, size_t size, sy_error *error)
{
    reader d = {sy_report_create(), error};
    cJSON *o = cJSON_ParseWithLength(bytes, size);
    bool ok = d.r ? true : no_memory(&d);
    if (ok && !o)
        ok = wrong(&d, "it is no JSON");
    ok = ok && read_report(&d, o);
    cJSON_Delete(o);
    if (ok)
        sy_report_judge(d.r);
    else
        sy_report_destroy(&d.r);
    return d.r;
}
