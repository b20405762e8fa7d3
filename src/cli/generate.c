/* switchyard generate: pictures from prompts, with routing maps. Talks to the library through its public header, but
 * for writing PNGs and maps. */
#include "src/cli/commands.h"
#include "src/picture/maps.h"
#include "src/picture/png.h"
#include "src/switchyard.h"

#include "graph/base/file.h"
#include "graph/base/text.h"
#include "graph/import/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char command[] = "generate";

static const char help[] =
    "usage: switchyard generate [MODEL] [OPTIONS]\n"
    "\n"
    "Makes pictures. MODEL is a .safetensors file of a network Switchyard knows (dit, dit-moe, promoe …), or a folder "
    "of "
    "Stable\n"
    "Diffusion 1.x in the layout of diffusers, prompted by any text; without it, the model that comes with Switchyard "
    "is "
    "used:\n"
    "emoji, prompted by words.\n"
    "\n"
    "What to make\n"
    "  --prompt TEXT      words the model knows, \"cat face with tears of joy\"; given several times: one a picture\n"
    "  --negative TEXT    for models prompted by text: what guidance goes away from (default: the empty text); given "
    "several\n"
    "                     times: one a picture\n"
    "  --label N          for models prompted by class: its number; given several times: one a picture\n"
    "  --count N          pictures made at once, 1 to 1024 (default 1, or the number of prompts or labels)\n"
    "  --seed N           seed of the first picture, the next has N + 1 and so on (default 0). A picture depends on "
    "its own\n"
    "                     seed and prompt alone\n"
    "  --list-prompts     print the model's words and the prompts it was trained on, and end\n"
    "\n"
    "How\n"
    "  --steps N          sampling steps (default: the model's)\n"
    "  --guidance X       classifier-free guidance scale; 1 is none and takes half the time (default: the model's)\n"
    "  --sampler NAME     euler, heun, midpoint, rk4, dopri5 (flow models); ddim, dpm++2m, dpm++fast, ddpm (noise-predicting "
    "models)\n"
    "  --eta X            ddim: 0, deterministic, to 1 (default 0)\n"
    "  --shift X          flow models: shift of the noise levels (default 1)\n"
    "  --set NAME=VALUE   a setting, given any number of times: `switchyard settings` lists them\n"
    "  --steer RULE       where tokens are routed, given any number of times: [ROUTE:]off=N or [ROUTE:]to=N, nothing to\n"
    "                     expert N, or all to it first; ROUTE is a tap's name with * for any text (default: all routes);\n"
    "                     @X,Y,W,H behind it: only tokens of that part of the grid; #I: only picture I, from 0\n"
    "  --precision NAME   of weights on the device: stored (default, as in the file), f32, f16\n"
    "  --device NAME      part of a device's name, its number in `switchyard devices`, or reference: the built-in "
    "evaluator,\n"
    "                     slow and exact (default: the best device)\n"
    "\n"
    "Where to\n"
    "  --out FILE         PNG (default out.png). Of several pictures FILE x.png becomes x-0.png, x-1.png …\n"
    "  --routes DIR       write, for every picture, a sheet map-N.png: what every evaluation was (guided or not, "
    "whole, "
    "cached,\n"
    "                     left out), the estimate of the picture step by step, the size of the velocity, which tokens "
    "ran "
    "and how\n"
    "                     often each was left out, and for each mixture of experts which expert made which patch, the "
    "load, and\n"
    "                     entropies; all routes as routes.safetensors; the evaluations as steps.json. DIR is made if "
    "it is "
    "not there\n"
    "  --taps NAMES       values to keep of every step, separated by commas, * for any text (\"blocks.*.x,preview\"): "
    "written to\n"
    "                     taps.safetensors in the folder of --out\n"
    "  --record FILE      the dispatches of one step with their data, for switchyard replay: what a bug report needs in\n"
    "                     place of the model; --record-step N says which (default 1)\n"
    "  --stats            print what was compiled, moved and waited for\n"
    "  --json             print a machine-readable result on standard output\n"
    "  --quiet            no progress\n"
    "  --help             this text\n"
    "\n"
    "PNG files carry prompt, seed and settings as text. Files appear when they are complete; Ctrl-C leaves none half "
    "written.\n"
    "Environment: SWITCHYARD_MODEL, the default model; XDG_CACHE_HOME, where compiled kernels are kept.\n"
    "Exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.\n";

enum { MOST_LISTED = 1024, MOST_TAPS = 64, MAP_ROWS = 6 };

typedef struct options {
    const char *model, *out, *routes;
    const char *prompts[MOST_LISTED], *negatives[MOST_LISTED];
    int32_t labels[MOST_LISTED];
    uint32_t n_prompts, n_negatives, n_labels, seed;
    char *taps; /* a copy, cut up */
    const char *tap_names[MOST_TAPS + SY_MAP_TAPS];
    uint32_t n_taps;
    bool stats, json, quiet, list;
    const char *record;
    uint32_t record_step;
    sy_cli_settings settings;
    sy_cli_steers steers;
    sy_pipeline_params pipeline;
} options;

/* ---- arguments ---- */

static bool choose(const char *option, const char *text, const char *const *names, int n, int *out)
{
    for (int i = 0; i < n; i++)
        if (!strcasecmp(text, names[i])) {
            *out = i;
            return true;
        }
    sy_text list = {0};
    for (int i = 0; i < n; i++)
        sy_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    sy_cli_usage(command, "%s is \"%s\"; it takes %s", option, text, list.data ? list.data : "");
    sy_text_free(&list);
    return false;
}

static bool take_sampler(options *o, const char *text)
{
    const char *names[SY_SAMPLER_COUNT];
    int chosen;
    for (int i = 0; i < SY_SAMPLER_COUNT; i++)
        names[i] = sy_sampler_text((sy_sampler)i);
    if (!choose("--sampler", text, names, SY_SAMPLER_COUNT, &chosen))
        return false;
    o->pipeline.sampler = (sy_sampler)chosen;
    return true;
}

static bool take_precision(options *o, const char *text)
{
    static const char *const names[] = {"stored", "f32", "f16"};
    int chosen;
    if (!choose("--precision", text, names, 3, &chosen))
        return false;
    o->pipeline.precision = (sy_precision)chosen;
    return true;
}

static bool take_taps(options *o, const char *text)
{
    char *rest;
    free(o->taps);
    o->taps = strdup(text);
    if (!o->taps)
        return sy_cli_fail(command, "no memory"), false;
    o->n_taps = 0;
    for (char *name = strtok_r(o->taps, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (o->n_taps == MOST_TAPS)
            return sy_cli_usage(command, "--taps takes at most %d names", MOST_TAPS), false;
        o->tap_names[o->n_taps++] = name;
    }
    return true;
}

static bool take_label(options *o, const char *text)
{
    uint32_t label;
    if (!sy_cli_u32(command, "--label", text, 0, INT32_MAX, &label))
        return false;
    if (o->n_labels == MOST_LISTED)
        return sy_cli_usage(command, "--label can be given %d times", MOST_LISTED), false;
    o->labels[o->n_labels++] = (int32_t)label;
    return true;
}

static bool take_text(const char *option, const char *text, const char **list, uint32_t *n)
{
    if (*n == MOST_LISTED)
        return sy_cli_usage(command, "%s can be given %d times", option, MOST_LISTED), false;
    list[(*n)++] = text;
    return true;
}

/* Sets *status and returns false where the command ends here. */
static bool parse(int argc, char **argv, options *o, int *status)
{
    enum {
        PROMPT = 256,
        NEGATIVE,
        LABEL,
        COUNT,
        SEED,
        LIST,
        STEPS,
        GUIDANCE,
        STEER,
        SAMPLER,
        ETA,
        SHIFT,
        SET,
        PRECISION,
        DEVICE,
        OUT,
        ROUTES,
        TAPS,
        RECORD,
        RECORD_STEP,
        STATS,
        JSON,
        QUIET,
        HELP
    };
    static const struct option known[] = {{"prompt", 1, 0, PROMPT},
                                          {"negative", 1, 0, NEGATIVE},
                                          {"label", 1, 0, LABEL},
                                          {"count", 1, 0, COUNT},
                                          {"seed", 1, 0, SEED},
                                          {"list-prompts", 0, 0, LIST},
                                          {"steps", 1, 0, STEPS},
                                          {"guidance", 1, 0, GUIDANCE},
                                          {"steer", 1, 0, STEER},
                                          {"sampler", 1, 0, SAMPLER},
                                          {"eta", 1, 0, ETA},
                                          {"shift", 1, 0, SHIFT},
                                          {"set", 1, 0, SET},
                                          {"precision", 1, 0, PRECISION},
                                          {"device", 1, 0, DEVICE},
                                          {"out", 1, 0, OUT},
                                          {"routes", 1, 0, ROUTES},
                                          {"taps", 1, 0, TAPS},
                                          {"record", 1, 0, RECORD},
                                          {"record-step", 1, 0, RECORD_STEP},
                                          {"stats", 0, 0, STATS},
                                          {"json", 0, 0, JSON},
                                          {"quiet", 0, 0, QUIET},
                                          {"help", 0, 0, HELP},
                                          {0, 0, 0, 0}};
    sy_pipeline_params *p = &o->pipeline;
    int option;
    bool ok = true;
    *status = SY_EXIT_USAGE;
    o->out = "out.png";
    optind = 0;
    while (ok && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case PROMPT:
            ok = take_text("--prompt", optarg, o->prompts, &o->n_prompts);
            break;
        case NEGATIVE:
            ok = take_text("--negative", optarg, o->negatives, &o->n_negatives);
            break;
        case LABEL:
            ok = take_label(o, optarg);
            break;
        case COUNT:
            ok = sy_cli_u32(command, "--count", optarg, 1, 1024, &p->count);
            break;
        case SEED:
            ok = sy_cli_u32(command, "--seed", optarg, 0, UINT32_MAX, &o->seed);
            break;
        case LIST:
            o->list = true;
            break;
        case STEPS:
            ok = sy_cli_u32(command, "--steps", optarg, 1, 10000, &p->steps);
            break;
        case GUIDANCE:
            ok = sy_cli_double(command, "--guidance", optarg, 0.01, 1000, &p->guidance);
            break;
        case SAMPLER:
            ok = take_sampler(o, optarg);
            break;
        case ETA:
            ok = sy_cli_double(command, "--eta", optarg, 0, 1, &p->eta);
            break;
        case SHIFT:
            ok = sy_cli_double(command, "--shift", optarg, 0.001, 1000, &p->shift);
            break;
        case SET:
            ok = sy_cli_take_setting(command, &o->settings, optarg);
            break;
        case STEER:
            ok = sy_cli_take_steer(command, &o->steers, optarg);
            break;
        case PRECISION:
            ok = take_precision(o, optarg);
            break;
        case DEVICE:
            p->device = optarg;
            break;
        case OUT:
            o->out = optarg;
            break;
        case ROUTES:
            o->routes = optarg;
            break;
        case TAPS:
            ok = take_taps(o, optarg);
            break;
        case RECORD:
            o->record = optarg;
            break;
        case RECORD_STEP:
            ok = sy_cli_u32(command, "--record-step", optarg, 1, UINT32_MAX, &o->record_step);
            o->record_step -= ok;
            break;
        case STATS:
            o->stats = true;
            break;
        case JSON:
            o->json = true;
            break;
        case QUIET:
            o->quiet = true;
            break;
        case HELP:
            fputs(help, stdout);
            *status = SY_EXIT_DONE;
            return false;
        default:
            sy_cli_usage(command, option == ':' ? "%s takes a value" : "there is no option %s", argv[optind - 1]);
            return false;
        }
    }
    if (!ok)
        return false;
    if (optind < argc)
        o->model = argv[optind++];
    if (optind < argc)
        return sy_cli_usage(command, "\"%s\" is one argument too many: prompts are given with --prompt \"…\"",
                            argv[optind]),
               false;
    return true;
}

/* ---- progress ---- */

typedef struct bar {
    bool shown, terminal, quiet;
    double last;
} bar;

static bool show(void *user, const sy_progress *p)
{
    bar *b = user;
    if (sy_cli_interrupted())
        return false;
    if (b->quiet || !b->terminal || (p->seconds - b->last < 0.1 && p->done != p->total))
        return true;
    b->last = p->seconds;
    b->shown = true;
    enum { WIDTH = 30 };
    uint32_t full = p->done * WIDTH / p->total;
    fprintf(stderr, "\r[%.*s%*s] %u/%u  ", (int)full, "##############################", (int)(WIDTH - full), "",
            p->done, p->total);
    if (p->seconds_left >= 0)
        fprintf(stderr, "%.1f s left   ", p->seconds_left);
    else
        fprintf(stderr, "%.1f s         ", p->seconds);
    return true;
}

static void clear(const bar *b)
{
    if (b->shown)
        fprintf(stderr, "\r%70s\r", "");
}

static bool loading(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return !sy_cli_interrupted();
}

/* ---- files ---- */

typedef struct job {
    options *o;
    sy_context *context;
    sy_model *model;
    sy_pipeline *pipeline;
    sy_result *result;
    uint32_t count;
    sy_text *files; /* one a line, as written */
} job;

/* x.png, or x-07.png for picture 7 of several. */
static char *picture_path(const job *j, uint32_t index)
{
    sy_text path = {0};
    const char *out = j->o->out, *slash = strrchr(out, '/'), *dot = strrchr(out, '.');
    size_t stem = dot && (!slash || dot > slash) ? (size_t)(dot - out) : strlen(out);
    char most[16];
    int digits = snprintf(most, sizeof most, "%u", j->count - 1);
    if (j->count == 1)
        sy_text_add(&path, out);
    else
        sy_text_printf(&path, "%.*s-%0*u%s", (int)stem, out, digits, index, out[stem] ? out + stem : ".png");
    if (path.failed)
        sy_text_free(&path);
    return path.data;
}

static const char *prompt_of(const job *j, uint32_t index, char label[32])
{
    const options *o = j->o;
    if (o->n_prompts)
        return o->prompts[o->n_prompts == 1 ? 0 : index];
    if (o->n_labels)
        snprintf(label, 32, "class %d", o->labels[o->n_labels == 1 ? 0 : index]);
    else
        snprintf(label, 32, "no prompt");
    return label;
}

static bool note_file(job *j, const char *path)
{
    sy_text_printf(j->files, "%s\n", path);
    if (!j->o->json)
        printf("%s\n", path);
    return true;
}

static bool write_picture(job *j, uint32_t index, sy_error *error)
{
    const sy_pipeline_info *info = sy_pipeline_get_info(j->pipeline);
    const sy_model_info *model = sy_model_get_info(j->model);
    const sy_result *r = j->result;
    char label[32], seed[16], settings[1000], software[32];
    const char *name = strrchr(model->path, '/');
    snprintf(seed, sizeof seed, "%u", r->seeds[index]);
    size_t used = (size_t)snprintf(settings, sizeof settings, "%s, %u steps, guidance %g", info->sampler, info->steps,
                                   info->guidance);
    for (uint32_t i = 0; i < j->o->settings.n && used < sizeof settings; i++)
        used += (size_t)snprintf(settings + used, sizeof settings - used, ", %s=%s", j->o->settings.settings[i].name,
                                 j->o->settings.settings[i].value);
    for (uint32_t i = 0; i < j->o->steers.n && used < sizeof settings; i++)
        used += (size_t)snprintf(settings + used, sizeof settings - used, ", steer %s", j->o->steers.texts[i]);
    snprintf(software, sizeof software, "switchyard %d.%d.%d", SY_VERSION_MAJOR, SY_VERSION_MINOR, SY_VERSION_PATCH);
    sy_png_text texts[] = {{"Title", prompt_of(j, index, label)},
                           {"Software", software},
                           {"Model", name ? name + 1 : model->path},
                           {"Seed", seed},
                           {"Settings", settings},
                           {"Device", info->device}};
    char *path = picture_path(j, index);
    if (!path)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a path");
    size_t bytes = (size_t)r->width * r->height * 3;
    bool ok = sy_png_write(path, r->width, r->height, r->pictures + index * bytes, texts, sizeof texts / sizeof *texts,
                           error) &&
              note_file(j, path);
    free(path);
    return ok;
}

/* Latent codes: no picture without the autoencoder; the numbers are kept. */
static bool write_latents(job *j, sy_error *error)
{
    const sy_result *r = j->result;
    int32_t dims[] = {(int32_t)r->count, (int32_t)r->channels, (int32_t)r->height, (int32_t)r->width};
    sy_safetensors_item item = {"latents", sy_tensor(SY_F32, 4, dims), r->data};
    sy_text path = {0};
    sy_text_printf(&path, "%s.safetensors", j->o->out);
    bool ok = !path.failed && sy_safetensors_write(path.data, &item, 1, NULL, 0, error) && note_file(j, path.data);
    sy_text_free(&path);
    return ok;
}

/* What every evaluation was. */
static cJSON *json_evaluations(const job *j)
{
    const sy_result *r = j->result;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < r->n_evaluations; i++) {
        const sy_evaluation *e = &r->evaluations[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "step", e->step);
        cJSON_AddNumberToObject(row, "sigma", e->sigma);
        cJSON_AddBoolToObject(row, "guided", e->guided);
        cJSON_AddBoolToObject(row, "ran", e->ran);
        cJSON_AddStringToObject(row, "program", e->program);
        cJSON_AddNumberToObject(row, "flops", e->flops);
        cJSON_AddItemToArray(list, row);
    }
    return list;
}

/* The evaluations and every tap that is one number a picture: norms of velocity and guidance, energies of skips. */
static bool write_steps(const job *j, const char *path, sy_error *error)
{
    const sy_result *r = j->result;
    cJSON *list = json_evaluations(j), *row;
    uint32_t i = 0;
    cJSON_ArrayForEach (row, list) {
        uint32_t at = r->evaluations[i++].row;
        for (uint32_t k = 0; k < r->n_taps; k++) {
            const sy_tap_result *t = &r->taps[k];
            uint64_t numbers = t->evaluations && !t->is_route ? t->array.bytes / t->evaluations / 4 : 0;
            if (!numbers || numbers > 4 * (uint64_t)r->count || t->array.type != SY_ARRAY_F32 || at >= t->evaluations)
                continue;
            const float *values = (const float *)t->array.data + at * numbers;
            cJSON_AddItemToObject(row, t->name, cJSON_CreateFloatArray(values, (int)numbers));
        }
    }
    char *text = cJSON_Print(list);
    bool ok = text || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write the steps");
    sy_new_file *file = ok ? sy_file_begin(path, error) : NULL;
    if (file)
        sy_file_put(file, text, strlen(text));
    ok = file && sy_file_end(&file, true, error);
    cJSON_Delete(list);
    free(text);
    return ok;
}

static bool write_maps(job *j, sy_error *error)
{
    sy_text path = {0};
    if (mkdir(j->o->routes, 0777) != 0 && errno != EEXIST)
        return sy_fail(error, SY_CODE_IO, "making the folder %s: %s", j->o->routes, strerror(errno));
    char most[16], label[32], title[200];
    int digits = snprintf(most, sizeof most, "%u", j->count - 1);
    bool ok = true;
    for (uint32_t i = 0; ok && i < j->count; i++) {
        path.size = 0;
        sy_text_printf(&path, "%s/map-%0*u.png", j->o->routes, digits, i);
        snprintf(title, sizeof title, "%.150s, seed %u", prompt_of(j, i, label), j->result->seeds[i]);
        ok = !path.failed && sy_map_sheet(path.data, j->result, i, MAP_ROWS, title, error) && note_file(j, path.data);
    }
    path.size = 0;
    sy_text_printf(&path, "%s/routes.safetensors", j->o->routes);
    ok = ok && !path.failed && sy_map_save(path.data, j->result, error) && note_file(j, path.data);
    path.size = 0;
    sy_text_printf(&path, "%s/steps.json", j->o->routes);
    ok = ok && !path.failed && write_steps(j, path.data, error) && note_file(j, path.data);
    sy_text_free(&path);
    return ok;
}

static bool write_taps(job *j, sy_error *error)
{
    const sy_result *r = j->result;
    sy_safetensors_item *items = calloc((size_t)r->n_taps + 1, sizeof *items);
    uint32_t n = 0;
    if (!items)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write the taps");
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        if (t->is_route || t->array.rank >= SY_MAX_RANK)
            continue;
        int32_t dims[SY_MAX_RANK] = {(int32_t)t->evaluations};
        memcpy(dims + 1, t->array.dim, t->array.rank * sizeof *dims);
        items[n++] = (sy_safetensors_item){t->name, sy_tensor((sy_dtype)t->array.type, (int)t->array.rank + 1, dims),
                                           t->array.data};
    }
    const char *slash = strrchr(j->o->out, '/');
    sy_text path = {0}, routes = {0};
    sy_text_printf(&path, "%.*staps.safetensors", slash ? (int)(slash - j->o->out + 1) : 0, j->o->out);
    sy_text_printf(&routes, "%.*stap-routes.safetensors", slash ? (int)(slash - j->o->out + 1) : 0, j->o->out);
    bool ok = !path.failed && !routes.failed && sy_safetensors_write(path.data, items, n, NULL, 0, error) &&
              note_file(j, path.data);
    if (ok && n < r->n_taps)
        ok = sy_map_save(routes.data, r, error) && note_file(j, routes.data);
    sy_text_free(&path);
    sy_text_free(&routes);
    free(items);
    return ok;
}

/* ---- reports ---- */

static void print_stats(const job *j)
{
    const sy_pipeline_info *p = sy_pipeline_get_info(j->pipeline);
    const sy_result *r = j->result;
    fprintf(stderr,
            "device             %s\n"
            "sampling           %s, %u steps, %u evaluations, guidance %g, %u pictures\n"
            "programs           %u; %.3f GFLOP done of %.3f if every evaluation ran; %.1f MiB of weights shared\n"
            "a step             %u dispatches (%u before fusion), %u barriers, %u kernels (%u compiled, %u from the "
            "cache)\n"
            "                   %.3f GFLOP, %.1f MB moved (%.1f MB before fusion)\n"
            "memory             %.1f MiB on the device: weights %.1f, arena %.2f (lower bound %.2f)\n"
            "compiling, loading %.3f s, %.3f s\n"
            "first dispatch     %.4f s after the call\n"
            "generating         %.3f s, %.1f ms a step, %.2f GFLOP/s, %u submissions, the host waited %u time%s\n",
            p->device, p->sampler, p->steps, p->evaluations, p->guidance, p->count, p->programs, r->flops / 1e9,
            p->run_flops / 1e9, (double)p->shared_bytes / 1048576, p->dispatches, p->dispatches_unfused, p->barriers,
            p->kernels, p->kernels_compiled, p->kernels_cached, p->flops / 1e9, p->bytes / 1e6, p->bytes_unfused / 1e6,
            (double)p->device_bytes / 1048576, (double)p->weight_bytes / 1048576, (double)p->arena_bytes / 1048576,
            (double)p->arena_lower_bound / 1048576, p->compile_seconds, p->load_seconds, r->first_dispatch_seconds,
            r->seconds, 1000 * r->seconds / p->evaluations, r->flops / r->seconds / 1e9, r->submissions, r->host_waits,
            r->host_waits == 1 ? "" : "s");
}

static cJSON *json_routes(const job *j)
{
    const sy_result *r = j->result;
    cJSON *list = cJSON_CreateArray();
    int32_t *owner = calloc(r->tokens_per_picture, sizeof *owner);
    for (uint32_t i = 0; owner && i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        uint32_t *load = t->is_route && t->evaluations ? calloc((size_t)t->targets, sizeof *load) : NULL;
        if (!load)
            continue;
        sy_map_facts facts;
        sy_map_read(r, t, t->evaluations - 1, 0, owner, load, &facts);
        cJSON *route = cJSON_CreateObject(), *loads = cJSON_CreateArray();
        cJSON_AddStringToObject(route, "name", t->name);
        cJSON_AddNumberToObject(route, "evenness", facts.evenness);
        if (facts.gate >= 0)
            cJSON_AddNumberToObject(route, "gate_bits", facts.gate);
        for (int32_t e = 0; e < t->targets; e++)
            cJSON_AddItemToArray(loads, cJSON_CreateNumber(load[e]));
        cJSON_AddItemToObject(route, "load_of_first_picture_at_last_step", loads);
        cJSON_AddItemToArray(list, route);
        free(load);
    }
    free(owner);
    return list;
}

static bool print_json(const job *j)
{
    const sy_pipeline_info *p = sy_pipeline_get_info(j->pipeline);
    const sy_result *r = j->result;
    char label[32];
    cJSON *root = cJSON_CreateObject(), *pictures = cJSON_AddArrayToObject(root, "pictures"),
          *files = cJSON_AddArrayToObject(root, "files");
    cJSON_AddStringToObject(root, "device", p->device);
    cJSON_AddStringToObject(root, "model", sy_model_get_info(j->model)->path);
    cJSON_AddStringToObject(root, "sampler", p->sampler);
    cJSON *settings = cJSON_AddObjectToObject(root, "settings");
    for (uint32_t i = 0; i < j->o->settings.n; i++)
        cJSON_AddStringToObject(settings, j->o->settings.settings[i].name, j->o->settings.settings[i].value);
    cJSON *steers = j->o->steers.n ? cJSON_AddArrayToObject(root, "steer") : NULL;
    for (uint32_t i = 0; steers && i < j->o->steers.n; i++)
        cJSON_AddItemToArray(steers, cJSON_CreateString(j->o->steers.texts[i]));
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"steps", p->steps},
                   {"evaluations", p->evaluations},
                   {"guidance", p->guidance},
                   {"programs", p->programs},
                   {"flops", r->flops},
                   {"run_flops", p->run_flops},
                   {"shared_bytes", (double)p->shared_bytes},
                   {"width", r->width},
                   {"height", r->height},
                   {"seconds", r->seconds},
                   {"compile_seconds", p->compile_seconds},
                   {"load_seconds", p->load_seconds},
                   {"first_dispatch_seconds", r->first_dispatch_seconds},
                   {"submissions", r->submissions},
                   {"host_waits", r->host_waits},
                   {"dispatches", p->dispatches},
                   {"dispatches_unfused", p->dispatches_unfused},
                   {"barriers", p->barriers},
                   {"kernels", p->kernels},
                   {"kernels_compiled", p->kernels_compiled},
                   {"flops_per_step", p->flops},
                   {"bytes_per_step", p->bytes},
                   {"bytes_per_step_unfused", p->bytes_unfused},
                   {"device_bytes", (double)p->device_bytes},
                   {"weight_bytes", (double)p->weight_bytes},
                   {"arena_bytes", (double)p->arena_bytes},
                   {"arena_lower_bound", (double)p->arena_lower_bound}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(root, numbers[i].name, numbers[i].value);
    cJSON_AddItemToObject(root, "evaluation_list", json_evaluations(j));
    for (uint32_t i = 0; i < j->count; i++) {
        cJSON *picture = cJSON_CreateObject();
        cJSON_AddStringToObject(picture, "prompt", prompt_of(j, i, label));
        cJSON_AddNumberToObject(picture, "seed", r->seeds[i]);
        cJSON_AddItemToArray(pictures, picture);
    }
    char *rest, *list = j->files->data;
    for (char *path = list ? strtok_r(list, "\n", &rest) : NULL; path; path = strtok_r(NULL, "\n", &rest))
        cJSON_AddItemToArray(files, cJSON_CreateString(path));
    cJSON_AddItemToObject(root, "routes", json_routes(j));
    char *text = cJSON_Print(root);
    if (text)
        puts(text);
    cJSON_Delete(root);
    free(text);
    return text != NULL;
}

static int list_prompts(const sy_model *model)
{
    const sy_model_info *info = sy_model_get_info(model);
    if (info->classes) {
        printf("%s is prompted by class: --label 0 to %u\n", info->path, info->classes - 1);
        return SY_EXIT_DONE;
    }
    if (!info->n_words) {
        printf(info->text ? "%s is prompted by text: --prompt \"…\", any words\n" : "%s takes no prompt\n", info->path);
        return SY_EXIT_DONE;
    }
    printf("words (%u):\n", info->n_words);
    for (uint32_t i = 0, column = 0; i < info->n_words; i++) {
        column += printf("%s%s", column ? " " : "  ", info->words[i]) > 0 ? (uint32_t)strlen(info->words[i]) + 1 : 0;
        if (column > 90 || i + 1 == info->n_words) {
            putchar('\n');
            column = 0;
        }
    }
    printf("prompts of the training set (%u); any mixture of words will do:\n", info->n_prompts);
    for (uint32_t i = 0; i < info->n_prompts; i++)
        printf("  %s\n", info->prompts[i]);
    return SY_EXIT_DONE;
}

/* ---- the command ---- */

static int status_of(const job *j, sy_status status)
{
    if (status == SY_ERROR_CANCELLED) {
        fprintf(stderr, "switchyard %s: interrupted\n", command);
        return SY_EXIT_CANCELLED;
    }
    sy_cli_fail(command, "%s", sy_context_message(j->context));
    return status == SY_ERROR_INVALID_ARGUMENT ? SY_EXIT_USAGE : SY_EXIT_FAILED;
}

/* Counts must agree before anything is loaded. */
static bool settle_count(job *j)
{
    options *o = j->o;
    const sy_model_info *info = sy_model_get_info(j->model);
    uint32_t listed = o->n_prompts ? o->n_prompts : o->n_labels;
    bool unprompted = !info->classes && !info->n_words && !info->text;
    if (unprompted && listed)
        return sy_cli_usage(command, "this model makes pictures of one kind: it takes neither --prompt nor --label"),
               false;
    if (info->classes && o->n_prompts)
        return sy_cli_usage(command, "this model is prompted by class: use --label 0 to %u in place of --prompt",
                            info->classes - 1),
               false;
    if (!info->classes && o->n_labels)
        return sy_cli_usage(command, "this model is not prompted by class: use --prompt in place of --label"), false;
    if (o->n_negatives && !info->text)
        return sy_cli_usage(command, "--negative is for models prompted by text"), false;
    if (!listed && info->text)
        return sy_cli_usage(command, "which text? --prompt \"a photograph of …\""), false;
    if (!listed && !unprompted)
        return sy_cli_usage(command,
                            info->classes
                                ? "which class? --label N"
                                : "which words? --prompt \"cat face\" (--list-prompts shows what the model knows)"),
               false;
    if (!o->pipeline.count)
        o->pipeline.count = listed ? listed : 1;
    if (listed > 1 && listed != o->pipeline.count)
        return sy_cli_usage(command,
                            "--count %u does not go with %u prompts or labels: give one, or one for each picture",
                            o->pipeline.count, listed),
               false;
    j->count = o->pipeline.count;
    return true;
}

static bool write_all(job *j, sy_error *error)
{
    if (j->result->pictures) {
        for (uint32_t i = 0; i < j->count; i++)
            if (!write_picture(j, i, error))
                return false;
    } else if (!write_latents(j, error)) {
        return false;
    }
    return (!j->o->routes || write_maps(j, error)) && (!j->o->taps || write_taps(j, error));
}

static int work(job *j)
{
    options *o = j->o;
    sy_status status = sy_model_open(j->context, o->model, &j->model);
    if (status != SY_OK)
        return status_of(j, status);
    if (o->list)
        return list_prompts(j->model);
    if (!settle_count(j))
        return SY_EXIT_USAGE;
    if (o->routes)
        for (int i = 0; i < SY_MAP_TAPS; i++)
            o->tap_names[o->n_taps++] = sy_map_taps[i];
    o->pipeline.taps = o->tap_names;
    o->pipeline.n_taps = o->n_taps;
    o->pipeline.loading = loading;
    o->pipeline.settings = o->settings.settings;
    o->pipeline.n_settings = o->settings.n;
    o->pipeline.steering = o->steers.n > 0;
    sy_cli_catch_interrupt();
    status = sy_pipeline_create(j->model, &o->pipeline, &j->pipeline);
    if (status != SY_OK)
        return status_of(j, status);
    bar b = {.terminal = isatty(STDERR_FILENO), .quiet = o->quiet};
    sy_generate_params params = {.prompts = o->prompts,
                                 .n_prompts = o->n_prompts,
                                 .negatives = o->n_negatives ? o->negatives : NULL,
                                 .n_negatives = o->n_negatives,
                                 .labels = o->labels,
                                 .n_labels = o->n_labels,
                                 .seed = o->seed,
                                 .steers = o->steers.rules,
                                 .n_steers = o->steers.n,
                                 .record = o->record,
                                 .record_step = o->record_step,
                                 .progress = show,
                                 .user = &b};
    status = sy_generate(j->pipeline, &params, &j->result);
    clear(&b);
    if (status != SY_OK)
        return status_of(j, status);
    sy_error error = {0};
    if (!write_all(j, &error))
        return sy_cli_fail(command, "%s", error.message);
    if (o->stats)
        print_stats(j);
    return !o->json || print_json(j) ? SY_EXIT_DONE : sy_cli_fail(command, "no memory to print the result");
}

int sy_command_generate(int argc, char **argv)
{
    options o = {0};
    sy_text files = {0};
    job j = {.o = &o, .files = &files};
    int status;
    if (parse(argc, argv, &o, &status)) {
        if (!o.model)
            o.model = sy_cli_default_model();
        if (!o.model)
            status = sy_cli_usage(
                command, "the default model is not installed: name a .safetensors file, or set SWITCHYARD_MODEL");
        else if (!(j.context = sy_cli_context()))
            status = sy_cli_fail(command, "no memory");
        else
            status = work(&j);
    }
    sy_result_destroy(&j.result);
    sy_pipeline_destroy(&j.pipeline);
    sy_model_destroy(&j.model);
    sy_context_destroy(&j.context);
    sy_text_free(&files);
    free(o.taps);
    sy_cli_free_settings(&o.settings);
    sy_cli_free_steers(&o.steers);
    return status;
}
