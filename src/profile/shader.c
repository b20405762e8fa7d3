#include "src/profile/shader_private.h"

#include "graph/base/file.h"
#include "graph/emit/spirv.h"
#include "src/profile/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILE = 64 << 20 };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool load_spirv(shader_job *j, const char *bytes, size_t size, sy_error *error)
{
    const char *path = j->p->path;
    if (!size || size % 4)
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s: %zu bytes are no whole number of words: it is not SPIR-V", path, size);
    j->n_words = size / 4;
    j->words = malloc(size);
    if (!j->words)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %s", path);
    memcpy(j->words, bytes, size);
    for (size_t i = 0; j->words[0] == 0x03022307 && i < j->n_words; i++)
        if (i) /* the magic number last: it says which order the rest is in */
            j->words[i] = __builtin_bswap32(j->words[i]);
    if (j->words[0] == 0x03022307)
        j->words[0] = 0x07230203;
    if (j->words[0] != 0x07230203)
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s: it does not begin with SPIR-V's magic number", path);
    return sy_spirv_validate(path, j->words, j->n_words, error);
}

static bool load(shader_job *j, sy_text *log, sy_error *error)
{
    size_t size;
    char *text = sy_file_load(j->p->path, MOST_FILE, &size, error);
    sy_spirv_source source = {.path = j->p->path, .text = text, .defines = j->p->defines, .n_defines = j->p->n_defines};
    if (!text)
        return false;
    bool ok = ends_with(j->p->path, ".spv") ? load_spirv(j, text, size, error) : sy_spirv_compile_source(&source, &j->words, &j->n_words, log, error);
    free(text);
    j->shader = ok ? sy_shader_reflect(j->words, j->n_words, error) : NULL;
    return j->shader || (ok && sy_fail_context(error, "%s", j->p->path));
}

/* One combination: the constants' values, the work, its name. */
typedef struct variant {
    uint32_t ids[SHADER_CONSTANTS], index;
    uint64_t values[SHADER_CONSTANTS];
    sy_work_kernel kernel;
    sy_work_dispatch dispatch;
    sy_work work;
    uint32_t local[3];
    const char *text; /* "WIDTH=64 8=2" */
} variant;

static double constant_value(const sy_shader_constant *c, uint64_t bits)
{
    sy_element element = c->scalar == SY_SCALAR_FLOAT ? c->bits == 16 ? SY_ELEMENT_F16 : c->bits == 64 ? SY_ELEMENT_F64 : SY_ELEMENT_F32
                         : c->scalar == SY_SCALAR_INT ? c->bits == 8 ? SY_ELEMENT_I8 : c->bits == 16 ? SY_ELEMENT_I16 : c->bits == 64 ? SY_ELEMENT_I64 : SY_ELEMENT_I32
                                                      : SY_ELEMENT_U64;
    return sy_element_get(element, &bits);
}

static bool set_groups(const shader_job *j, variant *v, sy_error *error)
{
    const sy_shader_params *p = j->p;
    if (!sy_work_local(&v->kernel, v->local))
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s: its workgroup is computed from constants in a way that cannot be followed", p->path);
    for (int i = 0; i < 3; i++) {
        uint32_t local = v->local[i] ? v->local[i] : 1;
        v->dispatch.groups[i] = p->groups[0] ? p->groups[i] : (uint32_t)(((uint64_t)p->threads[i] + local - 1) / local);
    }
    return true;
}

static bool make_variant(shader_job *j, uint32_t index, variant *v, sy_error *error)
{
    char text[400] = "";
    size_t n = 0;
    *v = (variant){.index = index};
    for (uint32_t i = j->n_swept, rest = index; i > 0; i--) { /* the last one turns fastest */
        v->ids[i - 1] = j->shader->constants[j->swept[i - 1].constant].id;
        v->values[i - 1] = j->swept[i - 1].values[rest % j->swept[i - 1].n];
        rest /= j->swept[i - 1].n;
    }
    for (uint32_t i = 0; i < j->n_swept && n < sizeof text; i++) {
        const sy_shader_constant *c = &j->shader->constants[j->swept[i].constant];
        double value = constant_value(c, v->values[i]);
        const char *name = c->name;
        for (int axis = 0; !*name && axis < 3; axis++)
            if (j->shader->local_constant[axis] == j->swept[i].constant)
                name = (const char *[]){"local_size_x", "local_size_y", "local_size_z"}[axis];
        if (*name)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%g", i ? " " : "", name, value);
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%u=%g", i ? " " : "", c->id, value);
    }
    const char *file = strrchr(j->p->path, '/');
    v->text = sy_arena_string(&j->arena, text);
    v->kernel = (sy_work_kernel){.name = sy_arena_printf(&j->arena, "%s%s%s", file ? file + 1 : j->p->path, *text ? " " : "", text),
                                 .spirv = j->words,
                                 .n_words = j->n_words,
                                 .shader = j->shader,
                                 .ids = v->ids,
                                 .values = v->values,
                                 .n_values = j->n_swept};
    v->dispatch = (sy_work_dispatch){
        .label = v->kernel.name, .bindings = j->bindings, .n_bindings = j->shader->n_resources, .push_bytes = SY_WORK_PUSH, .barrier = true};
    memcpy(v->dispatch.push, j->push, sizeof j->push);
    v->work = (sy_work){j->buffers, j->shader->n_resources, &v->kernel, 1, &v->dispatch, 1};
    if (!v->text || !v->kernel.name)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    return set_groups(j, v, error);
}

/* Notes are kept in the order they come. */
static bool note(sy_profile_report *r, const char *text)
{
    const char **notes = sy_arena_array(&r->arena, (size_t)r->n_notes + 1, sizeof *notes);
    if (!notes || !text)
        return false;
    if (r->n_notes)
        memcpy(notes, r->notes, r->n_notes * sizeof *notes);
    notes[r->n_notes++] = text;
    r->notes = notes;
    return true;
}

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
}

/* What a resource holds now, as an array of the shape it was given. */
static bool read_back(shader_job *j, sy_work_run *run, uint32_t resource, sy_raw_array *out, sy_error *error)
{
    *out = j->arrays[resource];
    out->data = malloc((out->bytes + 3) & ~UINT64_C(3));
    return out->data ? sy_work_read(run, resource, 0, out->bytes, out->data, error) : no_memory(error);
}

/* After the first run: writes what is asked for, compares with what is wanted. Differences become counters. */
static bool check(shader_job *j, sy_work_run *run, const variant *v, sy_profile_report *r, sy_profile_dispatch *d, bool *wrong, sy_error *error)
{
    const sy_shader_params *p = j->p;
    sy_profile_fact *facts = sy_arena_array(&r->arena, (size_t)p->n_expects + 1, sizeof *facts);
    bool ok = facts != NULL || no_memory(error);
    sy_raw_array now;
    for (uint32_t i = 0; ok && v->index == 0 && i < p->n_outs; i++) {
        ok = read_back(j, run, j->outs[i], &now, error) && sy_raw_array_write(strchr(p->outs[i], '=') + 1, &now, error);
        sy_raw_array_free(&now);
    }
    for (uint32_t i = 0; ok && i < p->n_expects; i++) {
        sy_array_difference x;
        const char *name = j->shader->resources[j->expects[i]].name;
        ok = read_back(j, run, j->expects[i], &now, error) && sy_raw_array_compare(&now, &j->wanted[i], &x, error);
        sy_raw_array_free(&now);
        if (!ok)
            break;
        bool differs = !(x.greatest <= p->tolerance);
        facts[i] = (sy_profile_fact){.name = sy_arena_printf(&r->arena, "difference of %s", name),
                                     .unit = "",
                                     .text = sy_arena_printf(&r->arena, "%.3g", x.greatest),
                                     .value = x.greatest};
        *wrong = *wrong || differs;
        if (differs)
            ok = note(r, sy_arena_printf(&r->arena, "WRONG: %s: \"%s\" differs from %s by up to %.3g (%llu elements; element %llu is %.9g, wanted %.9g)",
                                         v->kernel.name, name, strchr(p->expects[i], '=') + 1, x.greatest, (unsigned long long)x.n_unequal,
                                         (unsigned long long)x.at, x.got, x.wanted)) || no_memory(error);
    }
    d->counters = facts;
    d->n_counters = p->n_expects;
    return ok;
}

static bool measure(shader_job *j, sy_work_run *run, sy_profile_report *r, sy_profile_dispatch *d, sy_error *error)
{
    const sy_shader_params *p = j->p;
    double *samples = sy_arena_array(&r->arena, (size_t)p->repeats + 1, sizeof *samples), ignored;
    if (!samples)
        return no_memory(error);
    for (uint32_t i = 0; i < p->warmups; i++)
        if (!sy_work_go(run, true, &ignored, NULL, error))
            return false;
    for (uint32_t i = 0; i < p->repeats; i++)
        if (!sy_work_go(run, true, &samples[i], NULL, error))
            return false;
    return !r->timestamp_bits || sy_samples_describe(samples, p->repeats, &d->time[SY_MODE_SERIAL]) || no_memory(error);
}

static bool describe(shader_job *j, const variant *v, double compile_seconds, sy_profile_report *r, uint32_t at, sy_error *error)
{
    sy_profile_kernel *k = (sy_profile_kernel *)&r->kernels[at];
    sy_profile_dispatch *d = &r->dispatches[at];
    sy_profile_fact *fact = sy_arena_alloc(&r->arena, sizeof *fact);
    const char *name = sy_arena_string(&r->arena, v->kernel.name);
    double held = 0;
    for (uint32_t i = 0; i < j->shader->n_resources; i++)
        held += (double)j->arrays[i].bytes * (j->shader->resources[i].read_only || j->shader->resources[i].write_only ? 1 : 2);
    if (!fact || !name)
        return no_memory(error);
    *fact = (sy_profile_fact){.name = "compiling", .unit = "s", .text = sy_arena_printf(&r->arena, "%.4g", compile_seconds), .value = compile_seconds};
    *k = (sy_profile_kernel){.name = name,
                             .local = {v->local[0], v->local[1], v->local[2]},
                             .shared_bytes = j->shader->shared_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)j->shader->shared_bytes,
                             .bindings = j->shader->n_resources,
                             .push_bytes = (uint32_t)j->shader->push.bytes,
                             .spirv_bytes = (uint32_t)(4 * j->n_words),
                             .facts = fact,
                             .n_facts = 1};
    if (!sy_spirv_facts(j->words, j->n_words, &r->arena, k))
        return no_memory(error);
    memcpy(k->local, v->local, sizeof k->local); /* as specialised */
    d->name = name;
    d->layer = name;
    d->ops = sy_arena_string(&r->arena, v->text);
    d->kind = "shader";
    d->program = d->kernel = at;
    memcpy(d->groups, v->dispatch.groups, sizeof d->groups);
    d->barrier = true;
    d->route = SY_NO_ROUTE;
    d->flops = d->bound_flops = j->p->flops;
    d->least_bytes = d->planned_bytes = j->p->bytes > 0 ? j->p->bytes : held;
    return d->ops || no_memory(error);
}

static bool run_variant(shader_job *j, variant *v, sy_profile_report *r, sy_shader_outcome *outcome, sy_error *error)
{
    uint32_t at = r->n_dispatches;
    sy_error fits = {0};
    double compile_seconds = 0;
    bool wrong = false;
    if (j->n_variants > 1 && !sy_work_fits(j->device, &v->work, &fits)) { /* of a sweep: left out, and said */
        outcome->n_skipped++;
        return note(r, sy_arena_printf(&r->arena, "left out: %s", fits.message)) || no_memory(error);
    }
    sy_work_run *run = sy_work_open(j->device, &v->work, &compile_seconds, error);
    sy_profile_dispatch *d = &r->dispatches[at];
    bool ok = run && describe(j, v, compile_seconds, r, at, error) && sy_work_go(run, true, NULL, NULL, error) &&
              check(j, run, v, r, d, &wrong, error) && measure(j, run, r, d, error);
    sy_work_close(&run);
    sy_profile_program *program = (sy_profile_program *)&r->programs[at];
    *program = (sy_profile_program){.name = d->ops && *d->ops ? d->ops : "shader", .first = at, .n = 1, .turns = 1};
    program->total[SY_MODE_SERIAL] = d->time[SY_MODE_SERIAL];
    program->sum[SY_MODE_SERIAL] = d->time[SY_MODE_SERIAL].median;
    r->n_programs = r->n_dispatches = r->n_kernels = at + ok;
    outcome->n_wrong += wrong;
    return ok || sy_fail_context(error, "%s", v->kernel.name);
}

static bool run_all(shader_job *j, sy_profile_report *r, sy_shader_outcome *outcome, sy_error *error)
{
    const sy_shader_params *p = j->p;
    variant v;
    r->dispatches = sy_arena_array(&r->arena, j->n_variants, sizeof *r->dispatches);
    r->kernels = sy_arena_array(&r->arena, j->n_variants, sizeof *r->kernels);
    r->programs = sy_arena_array(&r->arena, j->n_variants, sizeof *r->programs);
    if (!r->dispatches || !r->kernels || !r->programs)
        return no_memory(error);
    outcome->n_variants = j->n_variants;
    for (uint32_t i = 0; i < j->n_variants; i++) {
        if (p->progress && !p->progress(p->user, i, j->n_variants))
            return sy_fail(error, SY_CODE_CANCELLED, "cancelled after %u of %u variants", i, j->n_variants);
        if (!make_variant(j, i, &v, error) || !run_variant(j, &v, r, outcome, error))
            return false;
    }
    if (!r->n_dispatches)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: none of %u variants fits the device; the first: %s", p->path, j->n_variants, r->notes[0]);
    return true;
}

static bool describe_run(const shader_job *j, sy_profile_report *r, sy_error *error)
{
    const sy_device_snapshot *s = j->device->snapshot;
    const sy_shader_params *p = j->p;
    char text[64];
    sy_profile_setting *settings = sy_arena_array(&r->arena, (size_t)p->n_binds + p->n_defines + 2, sizeof *settings);
    if (!settings)
        return no_memory(error);
    r->target = sy_arena_string(&r->arena, p->path);
    r->what = "shader";
    r->device = sy_arena_string(&r->arena, s->name);
    r->driver = sy_arena_printf(&r->arena, "%s %s", s->driver_name, s->driver_info);
    r->device_kind = sy_device_type_text(s->type);
    r->timestamp_bits = j->device->plan->timestamp_bits;
    r->timestamp_period = j->device->plan->timestamp_period;
    r->measured[SY_MODE_SERIAL] = r->timestamp_bits > 0;
    r->repeats = p->repeats;
    r->warmups = p->warmups;
    snprintf(text, sizeof text, "%u,%u,%u", p->groups[0] ? p->groups[0] : p->threads[0], p->groups[0] ? p->groups[1] : p->threads[1],
             p->groups[0] ? p->groups[2] : p->threads[2]);
    settings[r->n_settings++] = (sy_profile_setting){p->groups[0] ? "groups" : "threads", sy_arena_string(&r->arena, text)};
    if (p->push)
        settings[r->n_settings++] = (sy_profile_setting){"push", sy_arena_string(&r->arena, p->push)};
    for (uint32_t i = 0; i < p->n_binds; i++)
        settings[r->n_settings++] = (sy_profile_setting){"bind", sy_arena_string(&r->arena, p->binds[i])};
    for (uint32_t i = 0; i < p->n_defines; i++)
        settings[r->n_settings++] = (sy_profile_setting){"define", sy_arena_string(&r->arena, p->defines[i])};
    r->settings = settings;
    return r->timestamp_bits || note(r, "the device has no timestamps: nothing is timed") || no_memory(error);
}

bool sy_shader_profile(sy_vk_device *device, const sy_shader_params *params, sy_profile_report *report,
                       sy_shader_outcome *outcome, sy_text *log, sy_error *error)
{
    shader_job j = {.p = params, .device = device};
    *outcome = (sy_shader_outcome){0};
    bool ok = load(&j, log, error) && shader_bind(&j, error) && shader_sweep(&j, error) && describe_run(&j, report, error) &&
              run_all(&j, report, outcome, error);
    for (uint32_t i = 0; j.arrays && i < j.shader->n_resources; i++)
        sy_raw_array_free(&j.arrays[i]);
    for (uint32_t i = 0; j.wanted && i < params->n_expects; i++)
        sy_raw_array_free(&j.wanted[i]);
    sy_shader_destroy(&j.shader);
    sy_arena_free(&j.arena);
    free(j.words);
    return ok;
}
