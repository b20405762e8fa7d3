/* See runs.h. */
#include "viewer/app.h"
#include "viewer/file.h"
#include "viewer/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };
static const char format[] = "switchyard-exploration";

static void note(runs *r, const engine_request *request)
{
    if (r->n && request_same(&r->list[r->n - 1], request))
        return;
    if (!r->list && !(r->list = calloc(RUNS_MOST, sizeof *r->list)))
        return;
    if (r->n == RUNS_MOST)
        memmove(r->list, r->list + 1, --r->n * sizeof *r->list);
    r->list[r->n++] = *request;
}

void runs_follow(app *a)
{
    const engine_state *s = &a->run;
    if (s->current && s->current_run != a->runs.seen) {
        a->runs.seen = s->current_run;
        note(&a->runs, &s->request);
    }
    if (a->runs.before_first && (s->phase == ENGINE_DONE || s->phase == ENGINE_FAILED) && !engine_busy(a->engine)) {
        a->runs.before_first = false;
        a->request = a->runs.last;
        app_generate(a);
    }
}

void runs_again(app *a, uint32_t index)
{
    if (index >= a->runs.n)
        return;
    const bool timings = a->request.timings;
    a->request = a->runs.list[index];
    a->request.timings = timings;
    app_generate(a);
}

void runs_free(runs *r)
{
    free(r->list);
    *r = (runs){0};
}

bool runs_is_file(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json");
}

bool runs_save(const app *a, const char *path, char *error, size_t size)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "runs");
    bool ok = list && cJSON_AddStringToObject(o, "format", format) && cJSON_AddNumberToObject(o, "version", VERSION) &&
              cJSON_AddStringToObject(o, "device", a->device) && cJSON_AddItemToObject(o, "look", look_to_json(&a->look, false));
    for (uint32_t i = 0; ok && i < a->runs.n; i++)
        ok = cJSON_AddItemToArray(list, request_to_json(&a->runs.list[i]));
    ok = ok && cJSON_AddItemToObject(o, "controls", request_to_json(&a->request));
    if (ok && a->run.current)
        ok = cJSON_AddItemToObject(o, "run", request_to_json(&a->run.request));
    if (ok && a->run.before)
        ok = cJSON_AddItemToObject(o, "before", request_to_json(&a->run.before_request));
    char *text = ok ? cJSON_Print(o) : NULL;
    if (!text)
        snprintf(error, size, "there is not enough memory to write %s", path);
    ok = text && file_write(path, text, strlen(text), error, size);
    cJSON_free(text);
    cJSON_Delete(o);
    return ok;
}

typedef struct opened {
    runs runs;
    engine_request run, before;
    bool has_run, has_before;
} opened;

static bool part(const cJSON *o, const char *name, engine_request *out, bool *has, char *error, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    *has = item != NULL;
    return !item || request_from_json(out, item, error, size);
}

static bool take(opened *x, const cJSON *o, char *error, size_t size)
{
    const cJSON *item, *version = cJSON_GetObjectItemCaseSensitive(o, "version");
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "format"));
    if (!kind || strcmp(kind, format) != 0) {
        snprintf(error, size, "it is no exploration as this program writes them");
        return false;
    }
    if (!cJSON_IsNumber(version) || version->valuedouble != VERSION) {
        snprintf(error, size, "it is of another version of the program");
        return false;
    }
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(o, "runs")) {
        engine_request r = {0};
        if (!request_from_json(&r, item, error, size))
            return false;
        note(&x->runs, &r);
    }
    return part(o, "run", &x->run, &x->has_run, error, size) && part(o, "before", &x->before, &x->has_before, error, size);
}

bool runs_open(app *a, const char *path, char *error, size_t size)
{
    char why[400] = "it is not JSON";
    size_t bytes;
    char *text = file_read(path, &bytes, error, size);
    cJSON *o = text ? cJSON_ParseWithLength(text, bytes) : NULL;
    opened *x = calloc(1, sizeof *x); /* large */
    bool read = text != NULL, ok = o && x && take(x, o, why, sizeof why);
    free(text);
    if (read && !ok)
        snprintf(error, size, "%s cannot be opened: %s", path, why);
    if (ok) {
        runs_free(&a->runs);
        a->runs = x->runs;
        a->runs.seen = a->run.current_run;
        look_from_json(&a->look, cJSON_GetObjectItemCaseSensitive(o, "look"), false);
        a->runs.before_first = x->has_run && x->has_before;
        a->runs.last = x->run;
        if (x->has_run) {
            a->request = x->has_before ? x->before : x->run;
            app_generate(a);
        }
    } else if (x) {
        runs_free(&x->runs);
    }
    free(x);
    cJSON_Delete(o);
    return ok;
}
