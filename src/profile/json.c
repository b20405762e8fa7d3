/* Reports as JSON: everything that a report says, and nothing that could be computed from it but the judgement, so that a
 * report read back is the one that was written. */
#include "src/profile/json.h"
#include "src/profile/roofs.h"

#include <stdlib.h>

static void number(cJSON *to, const char *name, double value)
{
    cJSON_AddNumberToObject(to, name, value);
}

static void text(cJSON *to, const char *name, const char *value)
{
    if (value && *value)
        cJSON_AddStringToObject(to, name, value);
}

static void samples(cJSON *to, const char *name, const sy_samples *s)
{
    if (!s->n)
        return;
    cJSON *o = cJSON_AddObjectToObject(to, name);
    number(o, "median", s->median);
    number(o, "spread", s->spread);
    number(o, "least", s->least);
    number(o, "most", s->most);
    cJSON_AddItemToObject(o, "samples", cJSON_CreateDoubleArray(s->of, (int)s->n));
}

static void by_mode(cJSON *to, const char *name, const sy_samples s[SY_MODES])
{
    if (!s[0].n && !s[1].n)
        return;
    cJSON *o = cJSON_AddObjectToObject(to, name);
    for (int m = 0; m < SY_MODES; m++)
        samples(o, sy_profile_mode_text((sy_profile_mode)m), &s[m]);
}

static void facts(cJSON *to, const char *name, const sy_profile_fact *list, uint32_t n)
{
    if (!n)
        return;
    cJSON *array = cJSON_AddArrayToObject(to, name);
    for (uint32_t i = 0; i < n; i++) {
        cJSON *o = cJSON_CreateObject();
        text(o, "name", list[i].name);
        text(o, "unit", list[i].unit);
        text(o, "text", list[i].text);
        number(o, "value", list[i].value);
        cJSON_AddItemToArray(array, o);
    }
}

cJSON *sy_roofs_to_json(const sy_roofs *roofs)
{
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < roofs->n; i++) {
        const sy_roof *r = &roofs->roof[i];
        cJSON *o = cJSON_CreateObject();
        text(o, "roof", sy_roof_text(r->kind));
        text(o, "unit", sy_roof_unit(r->kind));
        number(o, "value", r->value);
        number(o, "spread", r->spread);
        if (r->bytes)
            number(o, "working_set", (double)r->bytes);
        text(o, "note", r->note);
        cJSON_AddItemToArray(array, o);
    }
    return array;
}

static cJSON *dispatch_json(const sy_profile_dispatch *d)
{
    cJSON *o = cJSON_CreateObject();
    text(o, "name", d->name);
    text(o, "layer", d->layer);
    text(o, "ops", d->ops);
    text(o, "kind", d->kind);
    number(o, "program", d->program);
    number(o, "kernel", d->kernel);
    int groups[3] = {(int)d->groups[0], (int)d->groups[1], (int)d->groups[2]};
    cJSON_AddItemToObject(o, "groups", cJSON_CreateIntArray(groups, 3));
    cJSON_AddBoolToObject(o, "indirect", d->indirect);
    cJSON_AddBoolToObject(o, "barrier", d->barrier);
    if (d->route != SY_NO_ROUTE)
        number(o, "route", d->route);
    number(o, "bound_flops", d->bound_flops);
    number(o, "flops", d->flops);
    number(o, "least_bytes", d->least_bytes);
    number(o, "planned_bytes", d->planned_bytes);
    by_mode(o, "seconds", d->time);
    cJSON_AddItemToObject(o, "begin", cJSON_CreateDoubleArray(d->begin, SY_MODES));
    number(o, "intensity", d->intensity);
    number(o, "roof_seconds", d->roof_seconds);
    number(o, "share", d->share);
    text(o, "bound_by", d->bound_by);
    cJSON_AddBoolToObject(o, "above_roof", d->above_roof);
    facts(o, "counters", d->counters, d->n_counters);
    return o;
}

static cJSON *kernel_json(const sy_profile_kernel *k)
{
    cJSON *o = cJSON_CreateObject();
    text(o, "name", k->name);
    int local[3] = {(int)k->local[0], (int)k->local[1], (int)k->local[2]};
    cJSON_AddItemToObject(o, "workgroup", cJSON_CreateIntArray(local, 3));
    number(o, "shared_bytes", k->shared_bytes);
    number(o, "bindings", k->bindings);
    number(o, "push_bytes", k->push_bytes);
    number(o, "spirv_bytes", k->spirv_bytes);
    number(o, "instructions", k->instructions);
    text(o, "arithmetic", sy_roof_text(k->arithmetic));
    cJSON *mix = cJSON_AddArrayToObject(o, "mix");
    for (uint32_t i = 0; i < k->n_mix; i++) {
        cJSON *m = cJSON_CreateObject();
        text(m, "name", k->mix[i].name);
        number(m, "count", k->mix[i].count);
        cJSON_AddItemToArray(mix, m);
    }
    facts(o, "facts", k->facts, k->n_facts);
    return o;
}

static cJSON *route_json(const sy_profile_route *r)
{
    cJSON *o = cJSON_CreateObject();
    text(o, "name", r->name);
    number(o, "first_dispatch", r->layer_first);
    number(o, "rows", r->rows);
    number(o, "targets", r->targets);
    number(o, "slots", r->slots);
    number(o, "used", r->used);
    number(o, "tiles", r->tiles);
    number(o, "tile_rows", r->tile_rows);
    number(o, "imbalance", r->imbalance);
    cJSON_AddItemToObject(o, "load", cJSON_CreateDoubleArray(r->load, (int)r->targets));
    return o;
}

static cJSON *program_json(const sy_profile_program *p)
{
    cJSON *o = cJSON_CreateObject();
    text(o, "name", p->name);
    number(o, "first", p->first);
    number(o, "dispatches", p->n);
    number(o, "turns", p->turns);
    number(o, "arena_bytes", (double)p->arena_bytes);
    number(o, "arena_lower_bound", (double)p->arena_lower_bound);
    by_mode(o, "total", p->total);
    cJSON_AddItemToObject(o, "begun", cJSON_CreateDoubleArray(p->begun, SY_MODES));
    cJSON_AddItemToObject(o, "sum", cJSON_CreateDoubleArray(p->sum, SY_MODES));
    return o;
}

static cJSON *buffer_json(const sy_profile_buffer *b)
{
    cJSON *o = cJSON_CreateObject();
    text(o, "name", b->name);
    number(o, "program", b->program);
    number(o, "buffer", b->buffer);
    number(o, "offset", (double)b->offset);
    number(o, "bytes", (double)b->bytes);
    number(o, "first", b->first);
    number(o, "last", b->last);
    return o;
}

static void fill(const sy_profile_report *r, cJSON *o)
{
    number(o, "switchyard_profile", SY_PROFILE_VERSION);
    text(o, "target", r->target);
    text(o, "what", r->what);
    cJSON *settings = cJSON_AddObjectToObject(o, "settings");
    for (uint32_t i = 0; i < r->n_settings; i++)
        text(settings, r->settings[i].name, r->settings[i].value);
    text(o, "device", r->device);
    text(o, "driver", r->driver);
    text(o, "device_kind", r->device_kind);
    number(o, "timestamp_bits", r->timestamp_bits);
    number(o, "timestamp_period_ns", r->timestamp_period);
    number(o, "repeats", r->repeats);
    number(o, "warmups", r->warmups);
    samples(o, "host_plain", &r->host_plain);
    by_mode(o, "host_timed", r->host_timed);
    cJSON_AddItemToObject(o, "host_run", cJSON_CreateDoubleArray(r->host_run[0], 2 * SY_MODES));
    cJSON_AddBoolToObject(o, "calibrated", r->calibrated);
    if (r->calibrated) {
        number(o, "calibration_offset", r->calibration_offset);
        number(o, "calibration_error", r->calibration_error);
    }
    cJSON_AddItemToObject(o, "roofs", sy_roofs_to_json(&r->roofs));
    cJSON_AddBoolToObject(o, "roofs_cached", r->roofs.cached);
    facts(o, "clocks", r->clocks, r->n_clocks);
#define LIST(name, function, field)                                                                                    \
    do {                                                                                                               \
        cJSON *array = cJSON_AddArrayToObject(o, name);                                                                \
        for (uint32_t i = 0; i < r->n_##field; i++)                                                                    \
            cJSON_AddItemToArray(array, function(&r->field[i]));                                                       \
    } while (0)
    LIST("programs", program_json, programs);
    LIST("dispatches", dispatch_json, dispatches);
    LIST("kernels", kernel_json, kernels);
    LIST("routes", route_json, routes);
    LIST("buffers", buffer_json, buffers);
#undef LIST
    cJSON *notes = cJSON_AddArrayToObject(o, "notes");
    for (uint32_t i = 0; i < r->n_notes; i++)
        cJSON_AddItemToArray(notes, cJSON_CreateString(r->notes[i]));
}

void sy_report_json(const sy_profile_report *report, sy_text *out)
{
    cJSON *o = cJSON_CreateObject();
    if (o)
        fill(report, o);
    char *printed = o ? cJSON_Print(o) : NULL;
    if (printed)
        sy_text_add(out, printed), sy_text_add(out, "\n");
    else
        out->failed = true;
    cJSON_free(printed);
    cJSON_Delete(o);
}
