/* switchyard tune: which variant of each kernel is fastest on this device. */
#include "src/cli/commands.h"

#include "src/api.h"
#include "src/tune/model.h"
#include "src/tune/store.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char command[] = "tune";

static const char help[] =
    "usage: switchyard tune [MODEL]… [OPTIONS]\n"
    "       switchyard tune --merge FILE… --out FILE\n"
    "\n"
    "Times the variants of every kernel that MODEL (default: the model that comes with Switchyard) runs on a device, and\n"
    "remembers the fastest for each class of problems; all commands use them from then on. Without it kernels are\n"
    "chosen by the device's limits alone. A variant counts only if it passes the self-test against the reference\n"
    "evaluator and gives the same picture; one that a driver computes wrongly is found here and never taken.\n"
    "\n"
    "  --seconds N        at most so long for each model, 1 to 86400 (default 120)\n"
    "  --repeats N        runs that a median is of, 1 to 101 (default 5)\n"
    "  --count N          pictures at once: other shapes, other kernels (default 1)\n"
    "  --steps N          sampling steps of a run (default 1)\n"
    "  --precision NAME   of weights on the device: stored (default), f32, f16\n"
    "  --set NAME=VALUE   a setting, as generate takes it\n"
    "  --device NAME      part of a device's name, or its number in `switchyard devices` (default: the best)\n"
    "  --out FILE         the file to put results into (default: tuning.json in the cache directory, which is read by\n"
    "                     itself; any other when SWITCHYARD_TUNING names it)\n"
    "  --merge            the arguments are such files; later ones go over earlier ones\n"
    "  --json             print a machine-readable result\n"
    "  --quiet            no progress\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted (what is in the file stays as it was).\n";

typedef struct options {
    sy_tune_model_params tune;
    sy_cli_settings settings;
    const char *out;
    uint32_t seconds;
    bool merge, json, quiet, terminal;
} options;

static bool progress(void *user, uint32_t done, uint32_t total, double seconds_left)
{
    const options *o = user;
    if (!o->quiet) {
        fprintf(stderr, "%sround %u of %u, at most %.0f s left%s", o->terminal ? "\r\033[K" : "", done, total,
                seconds_left > 0 ? seconds_left : 0, o->terminal && done < total ? "" : "\n");
        fflush(stderr);
    }
    return !sy_cli_interrupted();
}

static int by_time(const void *a, const void *b)
{
    const sy_tune_row *x = a, *y = b;
    return (x->before_seconds < y->before_seconds) - (x->before_seconds > y->before_seconds);
}

static void print_text(const char *path, const sy_tune_result *r)
{
    printf("%s: %.3f ms of dispatches a step by limits, %.3f ms tuned (%.2f); %u rounds%s\n", path, 1e3 * r->before_seconds,
           1e3 * r->seconds, r->seconds / (r->before_seconds > 0 ? r->before_seconds : 1), r->rounds,
           r->out_of_time ? ", out of time: --seconds gives more" : "");
    if (!r->kept)
        printf("nothing was found that makes the whole faster: kernels stay as limits choose them\n");
    for (uint32_t i = 0; i < r->n_rows; i++) {
        const sy_tune_row *row = &r->rows[i];
        if (r->kept && strcmp(row->variant, row->before))
            printf("  %-66s %-20s %9.1f us -> %-20s %9.1f us\n", row->problem, row->before, 1e6 * row->before_seconds,
                   row->variant, 1e6 * row->seconds);
    }
    for (uint32_t i = 0; i < r->n_refusals; i++)
        printf("  refused: %s%s%s: %s\n", r->refusals[i].variant, *r->refusals[i].problem ? " for " : "",
               r->refusals[i].problem, r->refusals[i].why);
}

static cJSON *json_of(const char *path, const sy_tune_result *r)
{
    cJSON *o = cJSON_CreateObject(), *rows = cJSON_AddArrayToObject(o, "rows"),
          *refused = cJSON_AddArrayToObject(o, "refused");
    cJSON_AddStringToObject(o, "model", path);
    cJSON_AddNumberToObject(o, "before_seconds", r->before_seconds);
    cJSON_AddNumberToObject(o, "seconds", r->seconds);
    cJSON_AddNumberToObject(o, "rounds", r->rounds);
    cJSON_AddBoolToObject(o, "kept", r->kept);
    cJSON_AddBoolToObject(o, "out_of_time", r->out_of_time);
    for (uint32_t i = 0; i < r->n_rows; i++) {
        const sy_tune_row *row = &r->rows[i];
        cJSON *x = cJSON_CreateObject();
        cJSON_AddStringToObject(x, "problem", row->problem);
        cJSON_AddStringToObject(x, "variant", row->variant);
        cJSON_AddNumberToObject(x, "seconds", row->seconds);
        cJSON_AddStringToObject(x, "before", row->before);
        cJSON_AddNumberToObject(x, "before_seconds", row->before_seconds);
        cJSON_AddNumberToObject(x, "dispatches", row->dispatches);
        cJSON_AddNumberToObject(x, "tried", row->tried);
        cJSON_AddItemToArray(rows, x);
    }
    for (uint32_t i = 0; i < r->n_refusals; i++) {
        cJSON *x = cJSON_CreateObject();
        cJSON_AddStringToObject(x, "variant", r->refusals[i].variant);
        cJSON_AddStringToObject(x, "problem", r->refusals[i].problem);
        cJSON_AddStringToObject(x, "why", r->refusals[i].why);
        cJSON_AddItemToArray(refused, x);
    }
    return o;
}

static int tune_model(const options *o, sy_context *context, const char *path, const char *out, cJSON *list)
{
    sy_model *model = NULL;
    sy_tune_result *result = calloc(1, sizeof *result);
    sy_status status = !result ? SY_ERROR_OUT_OF_MEMORY : sy_model_open(context, path, &model);
    if (status == SY_OK)
        status = sy_tune_model(model, &o->tune, out, result);
    if (status == SY_OK) {
        qsort(result->rows, result->n_rows, sizeof *result->rows, by_time);
        if (o->json)
            cJSON_AddItemToArray(list, json_of(path, result));
        else
            print_text(path, result);
    } else if (status != SY_ERROR_CANCELLED)
        sy_cli_fail(command, "%s", result ? sy_context_message(context) : "no memory");
    sy_model_destroy(&model);
    free(result);
    return status == SY_OK ? SY_EXIT_DONE : status == SY_ERROR_CANCELLED ? SY_EXIT_CANCELLED : SY_EXIT_FAILED;
}

static int tune_all(const options *o, char **models, int n)
{
    char own[1200];
    sy_context *context = sy_cli_context();
    const char *fallback = sy_cli_default_model(), *cache = context ? context->cache_directory : NULL;
    cJSON *list = cJSON_CreateArray();
    int code = SY_EXIT_DONE;
    snprintf(own, sizeof own, "%s/tuning.json", cache ? cache : "");
    const char *out = o->out ? o->out : cache ? own : NULL;
    if (!context || !list)
        code = sy_cli_fail(command, "no memory");
    else if (!n && !fallback)
        code = sy_cli_fail(command, "the model that comes with Switchyard is not there: name one");
    else if (!out)
        code = sy_cli_fail(command, "there is no cache directory to put results into: --out FILE");
    sy_cli_catch_interrupt();
    for (int i = 0; code == SY_EXIT_DONE && i < (n ? n : 1); i++)
        code = tune_model(o, context, n ? models[i] : fallback, out, list);
    if (code == SY_EXIT_DONE && o->json) {
        char *text = cJSON_Print(list);
        puts(text ? text : "[]");
        cJSON_free(text);
    } else if (code == SY_EXIT_DONE)
        printf("written to %s\n", out);
    cJSON_Delete(list);
    sy_context_destroy(&context);
    return code;
}

static int merge(const options *o, char **files, int n)
{
    sy_error error = {0};
    if (!o->out || !n)
        return sy_cli_usage(command, "--merge takes files, and --out the one to write");
    sy_tuning_store *all = sy_tuning_store_load(files[0], false, &error);
    bool ok = all != NULL;
    for (int i = 1; ok && i < n; i++) {
        sy_tuning_store *more = sy_tuning_store_load(files[i], false, &error);
        ok = more && sy_tuning_store_merge(all, more, &error);
        sy_tuning_store_free(&more);
    }
    ok = ok && sy_tuning_store_save(all, o->out, &error);
    sy_tuning_store_free(&all);
    return ok ? SY_EXIT_DONE : sy_cli_fail(command, "%s", error.message);
}

static bool take_precision(const char *text, sy_precision *out)
{
    static const char *const names[] = {"stored", "f32", "f16"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i]))
            return *out = (sy_precision)i, true;
    return sy_cli_usage(command, "--precision is \"%s\"; it takes stored, f32, f16", text), false;
}

static bool take(options *o, int option, const char *text)
{
    sy_pipeline_params *p = &o->tune.pipeline;
    switch (option) {
    case 's':
        return sy_cli_u32(command, "--seconds", text, 1, 86400, &o->seconds);
    case 'r':
        return sy_cli_u32(command, "--repeats", text, 1, 101, &o->tune.repeats);
    case 'c':
        return sy_cli_u32(command, "--count", text, 1, 1024, &p->count);
    case 't':
        return sy_cli_u32(command, "--steps", text, 1, 10000, &p->steps);
    case 'p':
        return take_precision(text, &p->precision);
    case 'S':
        return sy_cli_take_setting(command, &o->settings, text);
    case 'd':
        p->device = text;
        return true;
    case 'o':
        o->out = text;
        return true;
    case 'm':
        return o->merge = true;
    case 'j':
        return o->json = true;
    case 'q':
        return o->quiet = true;
    default:
        sy_cli_usage(command, option == ':' ? "an option lacks its value" : "there is no such option");
        return false;
    }
}

int sy_command_tune(int argc, char **argv)
{
    static const struct option list[] = {{"seconds", 1, 0, 's'},   {"repeats", 1, 0, 'r'}, {"count", 1, 0, 'c'},
                                         {"steps", 1, 0, 't'},     {"precision", 1, 0, 'p'}, {"set", 1, 0, 'S'},
                                         {"device", 1, 0, 'd'},    {"out", 1, 0, 'o'},     {"merge", 0, 0, 'm'},
                                         {"json", 0, 0, 'j'},      {"quiet", 0, 0, 'q'},   {"help", 0, 0, 'h'},
                                         {0}};
    options o = {.seconds = 120, .terminal = isatty(STDERR_FILENO)};
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":", list, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return SY_EXIT_DONE;
        }
        if (!take(&o, option, optarg)) {
            sy_cli_free_settings(&o.settings);
            return SY_EXIT_USAGE;
        }
    }
    o.tune.seconds = o.seconds;
    o.tune.progress = progress;
    o.tune.user = &o;
    o.tune.pipeline.settings = o.settings.settings;
    o.tune.pipeline.n_settings = o.settings.n;
    int code = o.merge ? merge(&o, argv + optind, argc - optind) : tune_all(&o, argv + optind, argc - optind);
    sy_cli_free_settings(&o.settings);
    return code;
}
