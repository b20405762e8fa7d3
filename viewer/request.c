/* See request.h. The file may be anybody's: texts are bounded, numbers checked. */
#include "viewer/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool add_settings(cJSON *object, const engine_request *r)
{
    cJSON *settings = cJSON_AddObjectToObject(object, "settings");
    bool ok = settings != NULL;
    for (uint32_t i = 0; ok && i < r->n_settings; i++)
        ok = cJSON_AddStringToObject(settings, r->settings[i].name, r->settings[i].value);
    return ok;
}

static bool add_steers(cJSON *object, const engine_request *r)
{
    cJSON *list = cJSON_AddArrayToObject(object, "steer");
    bool ok = list != NULL;
    for (uint32_t i = 0; ok && i < r->n_steers; i++) {
        const sy_steer *rule = &r->steers[i].rule;
        cJSON *o = cJSON_CreateObject();
        const uint32_t place[] = {rule->picture, rule->x, rule->y, rule->width, rule->height};
        double numbers[5];
        for (int k = 0; k < 5; k++)
            numbers[k] = place[k];
        ok = cJSON_AddStringToObject(o, "route", r->steers[i].route) &&
             cJSON_AddStringToObject(o, "kind", rule->kind == SY_STEER_OFF ? "off" : "to") &&
             cJSON_AddNumberToObject(o, "target", rule->target) &&
             cJSON_AddItemToObject(o, "place", cJSON_CreateDoubleArray(numbers, 5)) && cJSON_AddItemToArray(list, o);
        if (!ok)
            cJSON_Delete(o);
    }
    return ok;
}

cJSON *request_to_json(const engine_request *r)
{
    cJSON *o = cJSON_CreateObject();
    const char *sampler = r->sampler ? sy_sampler_text(r->sampler) : "";
    if (cJSON_AddStringToObject(o, "model", r->model) && cJSON_AddStringToObject(o, "prompt", r->prompt) &&
        cJSON_AddStringToObject(o, "negative", r->negative) && cJSON_AddNumberToObject(o, "seed", r->seed) &&
        cJSON_AddNumberToObject(o, "count", r->count) && cJSON_AddNumberToObject(o, "steps", r->steps) &&
        cJSON_AddStringToObject(o, "sampler", sampler) && cJSON_AddNumberToObject(o, "guidance", r->guidance) &&
        add_settings(o, r) && add_steers(o, r))
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* ---- reading ---- */

typedef struct reader {
    const cJSON *object;
    char *error;
    size_t size;
    bool failed;
} reader;

static void wrong(reader *r, const char *name, const char *what)
{
    if (!r->failed)
        snprintf(r->error, r->size, "\"%s\" is not %s", name, what);
    r->failed = true;
}

static void text(reader *r, const char *name, char *out, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->object, name);
    if (!item)
        return;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= size)
        wrong(r, name, "a text of the right length");
    else
        snprintf(out, size, "%s", item->valuestring);
}

static double number(reader *r, const char *name, double most)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->object, name);
    if (item && !(cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= most))
        wrong(r, name, "a number in its range");
    return item && !r->failed ? item->valuedouble : 0;
}

static void read_settings(reader *r, engine_request *out)
{
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(r->object, "settings"), *item;
    if (settings && !cJSON_IsObject(settings))
        wrong(r, "settings", "an object");
    cJSON_ArrayForEach (item, settings) {
        if (!cJSON_IsString(item) || strlen(item->string) >= ENGINE_NAME || strlen(item->valuestring) >= ENGINE_VALUE ||
            out->n_settings == ENGINE_SETTINGS) {
            wrong(r, "settings", "a list of names and values");
            return;
        }
        strcpy(out->settings[out->n_settings].name, item->string);
        strcpy(out->settings[out->n_settings++].value, item->valuestring);
    }
}

static void read_steer(reader *r, const cJSON *object, engine_steer *out)
{
    reader own = {.object = object, .error = r->error, .size = r->size};
    char kind[8] = "";
    double place[5] = {0};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "place");
    text(&own, "route", out->route, sizeof out->route);
    text(&own, "kind", kind, sizeof kind);
    if (strcmp(kind, "off") != 0 && strcmp(kind, "to") != 0)
        wrong(&own, "kind", "off or to");
    out->rule.kind = strcmp(kind, "off") ? SY_STEER_TO : SY_STEER_OFF;
    out->rule.target = (int32_t)number(&own, "target", 1e6);
    for (int i = 0; i < 5; i++) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 1e6))
            wrong(&own, "place", "picture, x, y, width, height");
        else
            place[i] = item->valuedouble;
    }
    out->rule.picture = (uint32_t)place[0];
    out->rule.x = (uint32_t)place[1];
    out->rule.y = (uint32_t)place[2];
    out->rule.width = (uint32_t)place[3];
    out->rule.height = (uint32_t)place[4];
    r->failed = r->failed || own.failed;
}

bool request_from_json(engine_request *out, const cJSON *object, char *error, size_t size)
{
    reader r = {.object = object, .error = error, .size = size};
    engine_request x = {.taps = true, .timings = out->timings};
    char sampler[32] = "";
    const cJSON *item;
    if (!cJSON_IsObject(object))
        wrong(&r, "run", "an object");
    text(&r, "model", x.model, sizeof x.model);
    text(&r, "prompt", x.prompt, sizeof x.prompt);
    text(&r, "negative", x.negative, sizeof x.negative);
    text(&r, "sampler", sampler, sizeof sampler);
    x.seed = (uint32_t)number(&r, "seed", UINT32_MAX);
    x.count = (uint32_t)number(&r, "count", ENGINE_PICTURES);
    x.steps = (uint32_t)number(&r, "steps", 10000);
    x.guidance = number(&r, "guidance", 1000);
    while (*sampler && x.sampler < SY_SAMPLER_COUNT && strcmp(sy_sampler_text(x.sampler), sampler) != 0)
        x.sampler++;
    if (x.sampler == SY_SAMPLER_COUNT)
        wrong(&r, "sampler", "one there is");
    read_settings(&r, &x);
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(object, "steer")) {
        if (x.n_steers == ENGINE_STEERS)
            wrong(&r, "steer", "so short as it may be");
        else
            read_steer(&r, item, &x.steers[x.n_steers++]);
    }
    if (!r.failed)
        *out = x;
    return !r.failed;
}

/* ---- in words ---- */

static void add(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list list;
    va_start(list, format);
    if (used < size)
        vsnprintf(out + used, size - used, format, list);
    va_end(list);
}

void request_title(const engine_request *r, char *out, size_t size)
{
    snprintf(out, size, "%.80s", *r->prompt ? r->prompt : "no prompt");
    add(out, size, ", seed %u", r->seed);
    if (r->steps)
        add(out, size, ", %u steps", r->steps);
    if (r->guidance > 0)
        add(out, size, ", guidance %g", r->guidance);
    if (r->sampler)
        add(out, size, ", %s", sy_sampler_text(r->sampler));
    for (uint32_t i = 0; i < r->n_settings; i++)
        add(out, size, ", %s=%s", r->settings[i].name, r->settings[i].value);
    for (uint32_t i = 0; i < r->n_steers; i++)
        add(out, size, ", %s%s%s%d%s", r->steers[i].route, *r->steers[i].route ? " " : "",
            r->steers[i].rule.kind == SY_STEER_OFF ? "without expert " : "to expert ", r->steers[i].rule.target,
            r->steers[i].rule.width ? " in a region" : "");
}

bool request_same(const engine_request *a, const engine_request *b)
{
    cJSON *x = request_to_json(a), *y = request_to_json(b);
    bool same = x && y && cJSON_Compare(x, y, true);
    cJSON_Delete(x);
    cJSON_Delete(y);
    return same;
}
