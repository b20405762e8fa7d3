/* Contexts: messages, and devices by name. Vulkan is loaded when a device is first asked for; devices are opened once
 * and shared by the pipelines of the context. */
#include "src/api.h"
#include "src/device/counters.h"
#include "src/tune/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *sy_status_text(sy_status status)
{
    return sy_code_text((sy_code)status);
}

static char *default_cache(sy_arena *arena)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && *base == '/')
        return sy_arena_printf(arena, "%s/switchyard", base);
    return home && *home == '/' ? sy_arena_printf(arena, "%s/.cache/switchyard", home) : NULL;
}

static bool copy_names(sy_arena *arena, const char *const *names, uint32_t n, const char *const **copies)
{
    const char **list = sy_arena_array(arena, (size_t)n + 1, sizeof *list);
    for (uint32_t i = 0; list && i < n; i++)
        if (!(list[i] = sy_arena_string(arena, names[i])))
            return false;
    *copies = list;
    return list != NULL;
}

static bool copy_wishes(sy_context *c, const sy_vulkan_params *wishes)
{
    c->wishes.n_instance_extensions = wishes->n_instance_extensions;
    c->wishes.n_device_extensions = wishes->n_device_extensions;
    return copy_names(&c->arena, wishes->instance_extensions, wishes->n_instance_extensions,
                      &c->wishes.instance_extensions) &&
           copy_names(&c->arena, wishes->device_extensions, wishes->n_device_extensions, &c->wishes.device_extensions);
}

sy_status sy_context_create(const sy_context_params *params, sy_context **context)
{
    const char *cache = params ? params->cache_directory : NULL;
    sy_context *c = calloc(1, sizeof *c);
    *context = c;
    if (!c)
        return SY_ERROR_OUT_OF_MEMORY;
    if (params) {
        c->validation = params->validation;
        c->message = params->message;
        c->message_user = params->user;
        c->drawing = params->vulkan != NULL;
    }
    if (params && params->vulkan && !copy_wishes(c, params->vulkan)) {
        sy_context_destroy(context);
        return SY_ERROR_OUT_OF_MEMORY;
    }
    c->cache_directory = !cache ? default_cache(&c->arena) : *cache ? sy_arena_string(&c->arena, cache) : NULL;
    return SY_OK;
}

void sy_context_destroy(sy_context **context)
{
    sy_context *c = context ? *context : NULL;
    if (!c)
        return;
    for (int i = 0; i < SY_OPEN_DEVICES; i++)
        sy_vk_device_destroy(&c->open[i]), sy_tuning_free(&c->tuning[i]);
    sy_vk_instance_destroy(&c->instance);
    free(c->infos);
    sy_arena_free(&c->arena);
    free(c);
    *context = NULL;
}

const char *sy_context_message(const sy_context *context)
{
    return context->error.message;
}

uint32_t sy_context_validation_messages(const sy_context *context)
{
    return context->instance ? context->instance->messages : 0;
}

sy_status sy_api_done(sy_context *context, const sy_error *error)
{
    context->error = *error;
    return (sy_status)error->code;
}

static void pass_on(void *user, sy_severity severity, const char *text)
{
    const sy_context *c = user;
    (void)severity;
    if (c->message)
        c->message(c->message_user, text);
}

/* NULL where there is no Vulkan; the reason stays in the context. */
static sy_vk_instance *instance_of(sy_context *c)
{
    sy_vk_instance_params params = {.validation = c->validation,
                                    .message = pass_on,
                                    .user = c,
                                    .drawing = c->drawing,
                                    .instance_extensions = c->wishes.instance_extensions,
                                    .device_extensions = c->wishes.device_extensions,
                                    .n_instance_extensions = c->wishes.n_instance_extensions,
                                    .n_device_extensions = c->wishes.n_device_extensions};
    if (!c->looked)
        c->instance = sy_vk_instance_create(&params, &c->no_instance);
    c->looked = true;
    return c->instance;
}

static void describe(const sy_vk_physical *p, sy_device_info *info)
{
    snprintf(info->name, sizeof info->name, "%s", p->snapshot.name);
    snprintf(info->driver, sizeof info->driver, "%.120s %.120s", p->snapshot.driver_name, p->snapshot.driver_info);
    snprintf(info->kind, sizeof info->kind, "%s", sy_device_type_text(p->snapshot.type));
    info->memory_bytes = p->plan.budget_bytes;
    info->usable = p->plan.usable;
    snprintf(info->why, sizeof info->why, "%s", p->plan.refusal);
}

/* In the instance's order, best first, which is what numbers mean on the command line. */
static bool list_devices(sy_context *c, sy_error *error)
{
    sy_vk_instance *instance = instance_of(c);
    size_t n = instance ? instance->n_physicals : 0;
    if (c->infos)
        return true;
    if (!instance && c->no_instance.code != SY_CODE_UNAVAILABLE) {
        *error = c->no_instance;
        return false;
    }
    c->infos = calloc(n + 1, sizeof *c->infos);
    if (!c->infos)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a list of devices");
    for (size_t i = 0; i < n; i++)
        describe(&instance->physicals[i], &c->infos[i]);
    sy_device_info *reference = &c->infos[n];
    snprintf(reference->name, sizeof reference->name, "reference");
    snprintf(reference->driver, sizeof reference->driver, "built-in evaluator in C, f64, one thread");
    snprintf(reference->kind, sizeof reference->kind, "reference");
    reference->usable = true;
    c->n_infos = n + 1;
    return true;
}

sy_status sy_context_devices(sy_context *context, const sy_device_info **devices, size_t *count)
{
    sy_error error = {0};
    *devices = NULL;
    *count = 0;
    if (list_devices(context, &error)) {
        *devices = context->infos;
        *count = context->n_infos;
    }
    return sy_api_done(context, &error);
}

/* Index into infos, or n_infos. */
static size_t choose(const sy_context *c, const char *wanted)
{
    char *end;
    if (!wanted)
        return c->n_infos > 1 && c->infos[0].usable ? 0 : c->n_infos;
    unsigned long index = strtoul(wanted, &end, 10);
    if (*wanted && !*end)
        return index < c->n_infos ? index : c->n_infos;
    for (size_t i = 0; i < c->n_infos; i++)
        if (!strcasecmp(c->infos[i].name, wanted))
            return i;
    for (size_t i = 0; i < c->n_infos; i++)
        if (strcasestr(c->infos[i].name, wanted) || strcasestr(c->infos[i].driver, wanted))
            return i;
    return c->n_infos;
}

static bool none(const sy_context *c, const char *wanted, sy_error *error)
{
    if (!c->instance)
        return sy_fail(error, SY_CODE_UNAVAILABLE,
                       "%s `switchyard doctor` says what is missing; --device reference runs without Vulkan, slowly.",
                       c->no_instance.message);
    if (!wanted)
        return sy_fail(error, SY_CODE_UNAVAILABLE,
                       "there is no usable Vulkan device%s%s. `switchyard doctor` says what is missing; --device "
                       "reference runs without Vulkan, slowly.",
                       c->n_infos > 1 ? ": " : "", c->n_infos > 1 ? c->infos[0].why : "");
    sy_text names = {0};
    for (size_t i = 0; i < c->n_infos; i++)
        sy_text_printf(&names, "%s%zu \"%s\"", i ? ", " : "", i, c->infos[i].name);
    sy_fail(error, SY_CODE_NOT_FOUND, "there is no device \"%s\"; there are %s", wanted,
            names.data ? names.data : "none");
    sy_text_free(&names);
    return false;
}

bool sy_api_device(sy_context *c, const char *wanted, sy_vk_device **device, char *name, size_t room, sy_error *error)
{
    *device = NULL;
    if (wanted && !strcasecmp(wanted, "reference")) {
        snprintf(name, room, "reference");
        return true;
    }
    if (!list_devices(c, error))
        return false;
    size_t i = choose(c, wanted);
    if (i == c->n_infos)
        return none(c, wanted, error);
    snprintf(name, room, "%s", c->infos[i].name);
    if (i == c->n_infos - 1)
        return true;
    if (!c->infos[i].usable)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "device \"%s\" cannot be used: %s", c->infos[i].name,
                       c->infos[i].why);
    if (i >= SY_OPEN_DEVICES)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "device %zu is beyond the %d that can be opened", i,
                       SY_OPEN_DEVICES);
    if (!c->open[i])
        c->open[i] = c->counters ? sy_counters_device(c->instance, (uint32_t)i, error)
                                 : sy_vk_device_create(c->instance, (uint32_t)i, error);
    *device = c->open[i];
    return *device != NULL;
}

static bool take_tuning(const sy_context *c, uint32_t i, const char *path, bool may_miss, sy_tuning *tuning, sy_error *error)
{
    uint32_t stale;
    sy_tuning_store *store = sy_tuning_store_load(path, may_miss, error);
    bool ok = store && sy_tuning_store_take(store, c->open[i]->snapshot, tuning, &stale, error);
    sy_tuning_store_free(&store);
    return ok;
}

sy_tuning *sy_api_tuning(sy_context *c, const sy_vk_device *device, sy_error *error)
{
    uint32_t i = 0;
    const char *given = getenv("SWITCHYARD_TUNING");
    while (c->open[i] != device)
        i++;
    if (!c->tuning_read[i]) {
        char *own = c->cache_directory ? sy_arena_printf(&c->arena, "%s/tuning.json", c->cache_directory) : NULL;
        if (own && !take_tuning(c, i, own, true, &c->tuning[i], NULL))
            sy_tuning_free(&c->tuning[i]);
        if (given && *given && !take_tuning(c, i, given, false, &c->tuning[i], error))
            return NULL;
        c->tuning_read[i] = true;
    }
    return &c->tuning[i];
}

bool sy_api_compile(sy_context *c, const sy_vk_device *device, const sy_graph *graph, const sy_compile_params *wishes,
                    sy_program **program, sy_error *error)
{
    sy_compile_params params = *wishes;
    if (device && !(params.tuning = c->trial ? c->trial : sy_api_tuning(c, device, error)))
        return false;
    params.limits = device ? &device->plan->limits : NULL;
    params.no_spirv = !device;
    params.cache_directory = c->cache_directory;
    *program = sy_compile(graph, &params, error);
    return *program != NULL;
}
