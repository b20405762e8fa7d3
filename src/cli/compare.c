/* switchyard compare: the same seeds and prompts, made plainly and in other ways, side by side with what differs, the
 * time and the operations each way takes. Ways are run in turn, so that what else the machine does hits all of them. */
#include "src/cli/commands.h"
#include "src/picture/beside.h"

#include "graph/base/number.h"
#include "graph/base/text.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char command[] = "compare";

static const char help[] =
    "usage: switchyard compare [MODEL] --prompt TEXT --with SETTINGS [--with SETTINGS …] [OPTIONS]\n"
    "\n"
    "Makes the same pictures plainly and in one or more other ways, and a sheet of them side by side: what differs, "
    "four times as\n"
    "large, beside each; time and operations below. MODEL as in `switchyard generate`.\n"
    "\n"
    "  --with SETTINGS    one other way: NAME=VALUE, several with spaces between: --with \"freeu=1.1,1.2,0.9,0.2 "
    "steps=10\".\n"
    "                     Names are those of `switchyard settings`, and steps, guidance, sampler, eta, shift\n"
    "  --set NAME=VALUE   a setting of all ways, the plain one too; any number of times\n"
    "  --prompt TEXT      any number of times: one a picture. --label N for models prompted by class\n"
    "  --seed N           of the first picture, the next has N + 1 (default 0)\n"
    "  --steps N, --guidance X, --device NAME   as in generate\n"
    "  --repeat N         runs of each way, after one that is not counted; the time is their median (default 3)\n"
    "  --out FILE         the sheet, a PNG (default compare.png)\n"
    "  --json             a machine-readable result on standard output\n"
    "  --quiet            no progress\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.\n";

enum { MOST_WAYS = 8, MOST_PICTURES = 64, MOST_RUNS = 101 };

typedef struct way {
    const char *text; /* as given; "plain" */
    sy_cli_settings settings;
    sy_pipeline_params params;
    sy_pipeline *pipeline;
    sy_result *result;
    double seconds[MOST_RUNS]; /* of its runs, sorted in the end */
} way;

typedef struct job {
    const char *model_path, *out, *prompts[MOST_PICTURES];
    int32_t labels[MOST_PICTURES];
    uint32_t n_prompts, n_labels, seed, repeat, n_ways;
    bool json, quiet;
    sy_cli_settings common;
    sy_pipeline_params params; /* of the plain way */
    way ways[MOST_WAYS];
    sy_context *context;
    sy_model *model;
} job;

/* ---- arguments ---- */

/* What is a parameter of its own rather than a setting. 1: taken; 0: another name; -1: wrong (said). */
static int take_parameter(sy_pipeline_params *p, const char *name, const char *value)
{
    bool ok;
    if (!strcmp(name, "steps"))
        ok = sy_cli_u32(command, "steps", value, 1, 10000, &p->steps);
    else if (!strcmp(name, "guidance"))
        ok = sy_cli_double(command, "guidance", value, 0.01, 1000, &p->guidance);
    else if (!strcmp(name, "eta"))
        ok = sy_cli_double(command, "eta", value, 0, 1, &p->eta);
    else if (!strcmp(name, "shift"))
        ok = sy_cli_double(command, "shift", value, 0.001, 1000, &p->shift);
    else if (!strcmp(name, "sampler")) {
        int s = 0;
        while (sy_sampler_text((sy_sampler)s) && strcasecmp(sy_sampler_text((sy_sampler)s), value))
            s++;
        ok = sy_sampler_text((sy_sampler)s) != NULL;
        if (!ok)
            sy_cli_usage(command, "there is no sampler \"%s\"; see switchyard generate --help", value);
        p->sampler = (sy_sampler)s;
    } else {
        return 0;
    }
    return ok ? 1 : -1;
}

static bool take_way(job *j, const char *text)
{
    if (j->n_ways == MOST_WAYS)
        return sy_cli_usage(command, "--with can be given %d times", MOST_WAYS - 1), false;
    way *w = &j->ways[j->n_ways++];
    char *copy = strdup(text), *rest;
    bool ok = copy != NULL;
    w->text = text;
    for (char *part = copy ? strtok_r(copy, " ", &rest) : NULL; ok && part; part = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(part, '=');
        int taken = 0;
        if (equals) {
            *equals = 0;
            taken = take_parameter(&w->params, part, equals + 1);
            *equals = '=';
        }
        ok = taken > 0 || (!taken && sy_cli_take_setting(command, &w->settings, part));
    }
    free(copy);
    return ok;
}

static bool take_label(job *j, const char *text)
{
    uint32_t label;
    if (j->n_labels == MOST_PICTURES)
        return sy_cli_usage(command, "--label can be given %d times", MOST_PICTURES), false;
    if (!sy_cli_u32(command, "--label", text, 0, INT32_MAX, &label))
        return false;
    j->labels[j->n_labels++] = (int32_t)label;
    return true;
}

static bool take_prompt(job *j, const char *text)
{
    if (j->n_prompts == MOST_PICTURES)
        return sy_cli_usage(command, "--prompt can be given %d times", MOST_PICTURES), false;
    j->prompts[j->n_prompts++] = text;
    return true;
}

static bool take_option(job *j, int option, bool *ended)
{
    switch (option) {
    case 'p':
        return take_prompt(j, optarg);
    case 'l':
        return take_label(j, optarg);
    case 'w':
        return take_way(j, optarg);
    case 'x':
        return sy_cli_take_setting(command, &j->common, optarg);
    case 's':
        return sy_cli_u32(command, "--seed", optarg, 0, UINT32_MAX, &j->seed);
    case 'n':
        return take_parameter(&j->params, "steps", optarg) > 0;
    case 'g':
        return take_parameter(&j->params, "guidance", optarg) > 0;
    case 'r':
        return sy_cli_u32(command, "--repeat", optarg, 1, MOST_RUNS, &j->repeat);
    case 'd':
        j->params.device = optarg;
        return true;
    case 'o':
        j->out = optarg;
        return true;
    case 'j':
        return j->json = true;
    case 'q':
        return j->quiet = true;
    case 'h':
        fputs(help, stdout);
        *ended = true;
        return false;
    default: /* parse has said what is wrong */
        return false;
    }
}

/* Sets *status and returns false where the command ends here. */
static bool parse(int argc, char **argv, job *j, int *status)
{
    static const struct option known[] = {{"prompt", 1, 0, 'p'},   {"label", 1, 0, 'l'},  {"with", 1, 0, 'w'},
                                          {"set", 1, 0, 'x'},      {"seed", 1, 0, 's'},   {"steps", 1, 0, 'n'},
                                          {"guidance", 1, 0, 'g'}, {"repeat", 1, 0, 'r'}, {"device", 1, 0, 'd'},
                                          {"out", 1, 0, 'o'},      {"json", 0, 0, 'j'},   {"quiet", 0, 0, 'q'},
                                          {"help", 0, 0, 'h'},     {0, 0, 0, 0}};
    int option;
    bool ended = false;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == ':' || option == '?')
            return sy_cli_usage(command, option == ':' ? "%s takes a value" : "there is no option %s",
                                argv[optind - 1]),
                   false;
        if (!take_option(j, option, &ended)) {
            *status = ended ? SY_EXIT_DONE : SY_EXIT_USAGE;
            return false;
        }
    }
    j->model_path = optind < argc ? argv[optind++] : sy_cli_default_model();
    if (optind < argc)
        return sy_cli_usage(command, "\"%s\" is one argument too many", argv[optind]), false;
    if (!j->model_path)
        return sy_cli_usage(command, "the default model is not installed: name a .safetensors file"), false;
    if (j->n_ways < 2)
        return sy_cli_usage(command, "with what? --with NAME=VALUE (`switchyard settings` lists them)"), false;
    if (!j->n_prompts == !j->n_labels)
        return sy_cli_usage(command, "give --prompt, or --label for a model prompted by class"), false;
    return true;
}

/* ---- running ---- */

static int failed(const job *j, sy_status status)
{
    if (status == SY_ERROR_CANCELLED) {
        fprintf(stderr, "switchyard %s: interrupted\n", command);
        return SY_EXIT_CANCELLED;
    }
    sy_cli_fail(command, "%s", sy_context_message(j->context));
    return status == SY_ERROR_INVALID_ARGUMENT ? SY_EXIT_USAGE : SY_EXIT_FAILED;
}

static bool go_on(void *user, const sy_progress *progress)
{
    (void)user;
    (void)progress;
    return !sy_cli_interrupted();
}

/* The parameters of a way: those of the plain one but for what it says itself. */
static sy_pipeline_params params_of(const job *j, way *w)
{
    sy_pipeline_params p = j->params;
    p.count = j->n_prompts ? j->n_prompts : j->n_labels;
    p.steps = w->params.steps ? w->params.steps : p.steps;
    p.guidance = w->params.guidance > 0 ? w->params.guidance : p.guidance;
    p.sampler = w->params.sampler != SY_SAMPLER_DEFAULT ? w->params.sampler : p.sampler;
    p.eta = w->params.eta > 0 ? w->params.eta : p.eta;
    p.shift = w->params.shift > 0 ? w->params.shift : p.shift;
    p.settings = w->settings.settings;
    p.n_settings = w->settings.n;
    return p;
}

static int run_way(job *j, way *w, uint32_t turn)
{
    sy_generate_params params = {.prompts = j->prompts,
                                 .n_prompts = j->n_prompts,
                                 .labels = j->labels,
                                 .n_labels = j->n_labels,
                                 .seed = j->seed,
                                 .progress = go_on};
    sy_result_destroy(&w->result);
    sy_status status = sy_generate(w->pipeline, &params, &w->result);
    if (status != SY_OK)
        return failed(j, status);
    if (!w->result->pictures)
        return sy_cli_fail(command, "%s makes latent codes, which cannot be shown", j->model_path);
    if (turn > 0)
        w->seconds[turn - 1] = w->result->seconds;
    return SY_EXIT_DONE;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const job *j, const way *w)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, w->seconds, sizeof sorted);
    qsort(sorted, j->repeat, sizeof *sorted, by_value);
    return (sorted[(j->repeat - 1) / 2] + sorted[j->repeat / 2]) / 2;
}

static int run_all(job *j)
{
    for (uint32_t i = 0; i < j->n_ways; i++) {
        way *w = &j->ways[i];
        for (uint32_t k = 0; k < j->common.n; k++) { /* what a way says itself goes first */
            bool own = false;
            for (uint32_t m = 0; m < w->settings.n; m++)
                own |= !strcmp(w->settings.settings[m].name, j->common.settings[k].name);
            sy_text text = {0};
            sy_text_printf(&text, "%s=%s", j->common.settings[k].name, j->common.settings[k].value);
            bool ok = text.data && (own || sy_cli_take_setting(command, &w->settings, text.data));
            sy_text_free(&text);
            if (!ok)
                return SY_EXIT_USAGE;
        }
        sy_pipeline_params params = params_of(j, w);
        sy_status status = sy_pipeline_create(j->model, &params, &w->pipeline);
        if (status != SY_OK)
            return failed(j, status);
    }
    for (uint32_t turn = 0; turn <= j->repeat; turn++) /* the first is not counted: drivers compile in it */
        for (uint32_t i = 0; i < j->n_ways; i++) {
            if (!j->quiet && isatty(STDERR_FILENO))
                fprintf(stderr, "\rrun %u of %u, way %u of %u   ", turn + 1, j->repeat + 1, i + 1, j->n_ways);
            int status = run_way(j, &j->ways[i], turn);
            if (status != SY_EXIT_DONE)
                return status;
        }
    if (!j->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%50s\r", "");
    return SY_EXIT_DONE;
}

/* ---- what came of it ---- */

static bool write_sheet(const job *j, sy_error *error)
{
    sy_beside beside[MOST_WAYS];
    sy_text lines[MOST_WAYS] = {0}, title = {0};
    const way *plain = &j->ways[0];
    const sy_pipeline_info *info = sy_pipeline_get_info(plain->pipeline);
    bool ok = true;
    sy_text_printf(&title, "%s %u steps guidance %g", j->n_prompts ? j->prompts[0] : "by class", info->steps,
                   info->guidance);
    for (uint32_t i = 0; i < j->n_ways; i++) {
        const way *w = &j->ways[i];
        double seconds = median(j, w), first = median(j, plain);
        sy_text_printf(&lines[i], "%.3g s\n%.3g GFLOP", seconds, w->result->flops * 1e-9);
        if (i) {
            sy_beside_difference d = sy_beside_compare(plain->result, w->result);
            sy_text_printf(&lines[i], "\ntime %.2f x\nwork %.2f x\npsnr %.1f db", seconds / first,
                           w->result->flops / plain->result->flops, d.psnr);
        }
        beside[i] = (sy_beside){w->text, lines[i].data ? lines[i].data : "", w->result};
        ok = ok && !lines[i].failed;
    }
    ok = ok && !title.failed ? sy_beside_sheet(j->out, beside, j->n_ways, title.data, error)
                             : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a sheet");
    for (uint32_t i = 0; i < j->n_ways; i++)
        sy_text_free(&lines[i]);
    sy_text_free(&title);
    return ok;
}

static void print_table(const job *j)
{
    const way *plain = &j->ways[0];
    printf("%-44s %10s %7s %10s %7s %9s\n", "", "seconds", "time", "GFLOP", "work", "PSNR");
    for (uint32_t i = 0; i < j->n_ways; i++) {
        const way *w = &j->ways[i];
        printf("%-44s %10.4f %6.2fx %10.3f %6.2fx", w->text, median(j, w), median(j, w) / median(j, plain),
               w->result->flops * 1e-9, w->result->flops / plain->result->flops);
        printf(i ? " %6.1f dB\n" : "\n", i ? sy_beside_compare(plain->result, w->result).psnr : 0);
    }
    printf("%s\n", j->out);
}

static bool print_json(const job *j)
{
    cJSON *root = cJSON_CreateObject(), *ways = cJSON_AddArrayToObject(root, "ways");
    const way *plain = &j->ways[0];
    cJSON_AddStringToObject(root, "model", j->model_path);
    cJSON_AddStringToObject(root, "device", sy_pipeline_get_info(plain->pipeline)->device);
    cJSON_AddStringToObject(root, "sheet", j->out);
    for (uint32_t i = 0; i < j->n_ways; i++) {
        const way *w = &j->ways[i];
        const sy_pipeline_info *info = sy_pipeline_get_info(w->pipeline);
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "with", w->text);
        cJSON_AddStringToObject(object, "sampler", info->sampler);
        cJSON_AddNumberToObject(object, "steps", info->steps);
        cJSON_AddNumberToObject(object, "guidance", info->guidance);
        cJSON_AddNumberToObject(object, "seconds", median(j, w));
        cJSON_AddNumberToObject(object, "flops", w->result->flops);
        cJSON_AddNumberToObject(object, "time_ratio", median(j, w) / median(j, plain));
        cJSON_AddNumberToObject(object, "flops_ratio", w->result->flops / plain->result->flops);
        if (i) {
            sy_beside_difference d = sy_beside_compare(plain->result, w->result);
            cJSON_AddNumberToObject(object, "mean_difference", d.mean);
            if (isfinite(d.psnr))
                cJSON_AddNumberToObject(object, "psnr", d.psnr);
            else
                cJSON_AddNullToObject(object, "psnr"); /* not one value differs */
        }
        cJSON_AddItemToArray(ways, object);
    }
    char *text = cJSON_Print(root);
    if (text)
        puts(text);
    cJSON_Delete(root);
    free(text);
    return text != NULL;
}

static int work(job *j)
{
    if (!(j->context = sy_cli_context()))
        return sy_cli_fail(command, "no memory");
    sy_cli_catch_interrupt();
    sy_status status = sy_model_open(j->context, j->model_path, &j->model);
    if (status != SY_OK)
        return failed(j, status);
    int result = run_all(j);
    sy_error error = {0};
    if (result != SY_EXIT_DONE)
        return result;
    if (!write_sheet(j, &error))
        return sy_cli_fail(command, "%s", error.message);
    if (!j->json)
        print_table(j);
    else if (!print_json(j))
        return sy_cli_fail(command, "no memory to print the result");
    return SY_EXIT_DONE;
}

int sy_command_compare(int argc, char **argv)
{
    static job j; /* large; a process runs one command */
    int status;
    j = (job){.out = "compare.png", .repeat = 3, .n_ways = 1, .ways = {{.text = "plain"}}};
    if (parse(argc, argv, &j, &status))
        status = work(&j);
    for (uint32_t i = 0; i < j.n_ways; i++) {
        sy_result_destroy(&j.ways[i].result);
        sy_pipeline_destroy(&j.ways[i].pipeline);
        sy_cli_free_settings(&j.ways[i].settings);
    }
    sy_cli_free_settings(&j.common);
    sy_model_destroy(&j.model);
    sy_context_destroy(&j.context);
    return status;
}
