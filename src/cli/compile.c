/* switchyard compile: what the compiler makes of a graph or a model. Looks inside the compiler, so it talks to graph/
 * directly; needs no device, but compiles for one where a snapshot of it is given. */
#include "src/cli/commands.h"
#include "src/device/plan.h"
#include "src/sample/sampling.h"

#include "graph/base/file.h"
#include "graph/import/sd_folder.h"
#include "graph/ir/document.h"
#include "graph/program.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <time.h>

static const char command[] = "compile";

static const char help[] =
    "usage: switchyard compile FILE [OPTIONS]\n"
    "       switchyard compile --ops\n"
    "\n"
    "FILE is a graph in the text form, or a .safetensors model or folder, of which one step of sampling is "
    "compiled, or the whole\n"
    "network if it is none that is sampled.\n"
    "\n"
    "  --print              print the graph as it goes in\n"
    "  --print-after=PASS   print the graph after a pass, or after each with PASS = all; --passes lists them\n"
    "  --stats              dispatches, kernels, bytes moved and memory, before and after; time of each pass\n"
    "  --labels             one line a dispatch: kernel, workgroups, work, what is in it\n"
    "  --dump DIR           write every kernel as NAME.comp and NAME.spv; DIR is made if it is not there\n"
    "  --limits FILE        compile for the device in a JSON file of `switchyard devices --json` (default: for the "
    "least that\n"
    "                       every Vulkan 1.2 device has)\n"
    "  --no-fusion          every op its own dispatch, to compare with\n"
    "  --no-kernels         stop before kernels are made\n"
    "  --taps NAMES         values to keep, separated by commas, * for any text\n"
    "  --columns NAMES      columns of the step table a graph in the text form reads, separated by commas\n"
    "  --count N, --steps N, --guidance X   of a model, as for switchyard generate\n"
    "  --passes             list the passes in order, and end\n"
    "  --ops                print the table of all ops as documentation, and end\n"
    "  --help               this text\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong arguments.\n";

enum { MOST = 64 };

typedef struct options {
    const char *file, *dump, *limits, *print_after;
    char *taps, *columns;
    const char *tap_names[MOST], *column_names[MOST];
    uint32_t n_taps, n_columns;
    bool print, stats, labels, no_fusion, no_kernels;
    sy_pipeline_params model;
} options;

static bool take_list(const char *option, const char *text, char **copy, const char **names, uint32_t *n)
{
    char *rest;
    free(*copy);
    *copy = strdup(text);
    *n = 0;
    if (!*copy)
        return sy_cli_fail(command, "no memory"), false;
    for (char *name = strtok_r(*copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (*n == MOST)
            return sy_cli_usage(command, "%s takes at most %d names", option, MOST), false;
        names[(*n)++] = name;
    }
    return true;
}

static int print_ops(void)
{
    sy_text page = {0};
    sy_ops_document(&page);
    bool ok = page.data && !page.failed;
    if (ok)
        fputs(page.data, stdout);
    sy_text_free(&page);
    return ok ? SY_EXIT_DONE : sy_cli_fail(command, "no memory to print the ops");
}

static int print_passes(void)
{
    for (uint32_t i = 0;; i++) {
        const char *doc, *name = sy_cli_pass(i, &doc);
        if (!name)
            return SY_EXIT_DONE;
        printf("%-16s %s\n", name, doc);
    }
}

static bool parse(int argc, char **argv, options *o, int *status)
{
    enum {
        PRINT = 256,
        AFTER,
        STATS,
        LABELS,
        DUMP,
        LIMITS,
        FUSION,
        KERNELS,
        TAPS,
        COLUMNS,
        COUNT,
        STEPS,
        GUIDANCE,
        PASSES,
        OPS,
        HELP
    };
    static const struct option known[] = {{"print", 0, 0, PRINT},
                                          {"print-after", 1, 0, AFTER},
                                          {"stats", 0, 0, STATS},
                                          {"labels", 0, 0, LABELS},
                                          {"dump", 1, 0, DUMP},
                                          {"limits", 1, 0, LIMITS},
                                          {"no-fusion", 0, 0, FUSION},
                                          {"no-kernels", 0, 0, KERNELS},
                                          {"taps", 1, 0, TAPS},
                                          {"columns", 1, 0, COLUMNS},
                                          {"count", 1, 0, COUNT},
                                          {"steps", 1, 0, STEPS},
                                          {"guidance", 1, 0, GUIDANCE},
                                          {"passes", 0, 0, PASSES},
                                          {"ops", 0, 0, OPS},
                                          {"help", 0, 0, HELP},
                                          {0, 0, 0, 0}};
    bool ok = true;
    int option;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while (ok && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case PRINT:
            o->print = true;
            break;
        case AFTER:
            o->print_after = optarg;
            break;
        case STATS:
            o->stats = true;
            break;
        case LABELS:
            o->labels = true;
            break;
        case DUMP:
            o->dump = optarg;
            break;
        case LIMITS:
            o->limits = optarg;
            break;
        case FUSION:
            o->no_fusion = true;
            break;
        case KERNELS:
            o->no_kernels = true;
            break;
        case TAPS:
            ok = take_list("--taps", optarg, &o->taps, o->tap_names, &o->n_taps);
            break;
        case COLUMNS:
            ok = take_list("--columns", optarg, &o->columns, o->column_names, &o->n_columns);
            break;
        case COUNT:
            ok = sy_cli_u32(command, "--count", optarg, 1, 1024, &o->model.count);
            break;
        case STEPS:
            ok = sy_cli_u32(command, "--steps", optarg, 1, 10000, &o->model.steps);
            break;
        case GUIDANCE:
            ok = sy_cli_double(command, "--guidance", optarg, 0.01, 1000, &o->model.guidance);
            break;
        case PASSES:
            *status = print_passes();
            return false;
        case OPS:
            *status = print_ops();
            return false;
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
    if (optind + 1 != argc)
        return sy_cli_usage(command, optind == argc
                                         ? "which file? Name a graph in the text form or a .safetensors model"
                                         : "one file at a time"),
               false;
    o->file = argv[optind];
    if (o->dump && o->no_kernels)
        return sy_cli_usage(command, "--dump needs kernels, and --no-kernels leaves them out"), false;
    return true;
}

/* What is compiled: owned by `sampling` or by `graph`. */
typedef struct source {
    sy_graph *graph;
    sy_sampling sampling;
    uint32_t max_steps;
    const char *const *columns;
    uint32_t n_columns;
} source;

static bool is_model(const char *path)
{
    size_t n = strlen(path);
    struct stat facts;
    return (n > 12 && !strcmp(path + n - 12, ".safetensors")) || (!stat(path, &facts) && S_ISDIR(facts.st_mode));
}

static bool open_source(const options *o, source *s, sy_error *error)
{
    if (!is_model(o->file)) {
        size_t size;
        char *text = sy_file_load(o->file, (size_t)256 << 20, &size, error);
        s->graph = text ? sy_graph_parse(text, size, error) : NULL;
        free(text);
        s->columns = o->column_names;
        s->n_columns = o->n_columns;
        return s->graph != NULL;
    }
    sy_network_config config;
    sy_safetensors *file = sy_model_file_open(o->file, SY_SAFETENSORS_HEADER_ONLY, NULL, error);
    if (file && sy_zoo_graph_network_of(file)) {
        s->graph = sy_zoo_file_graph(file, o->model.count ? (int32_t)o->model.count : 1, error);
        sy_safetensors_close(&file);
        return s->graph != NULL;
    }
    bool ok = file && sy_zoo_config_from_file(file, &config, error) &&
              sy_sampling_make(&config, &o->model, &s->sampling, error);
    sy_safetensors_close(&file);
    s->columns = sy_sampler_columns;
    s->n_columns = SY_SAMPLER_COLUMN_COUNT;
    s->max_steps = s->sampling.n_turns;
    return ok;
}

static bool read_limits(const char *path, sy_limits *limits, sy_error *error)
{
    size_t size;
    sy_device_snapshot *snapshot = calloc(1, sizeof *snapshot);
    sy_device_plan *plan = calloc(1, sizeof *plan);
    char *text = sy_file_load(path, (size_t)16 << 20, &size, error);
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "devices"),
                *device = cJSON_IsArray(list) ? list->child : json;
    bool ok = snapshot && plan && text;
    if (ok && !device)
        ok = sy_fail(error, SY_CODE_INVALID_FILE, "it is no JSON of switchyard devices --json");
    ok = ok && sy_snapshot_from_json(device, snapshot, error);
    if (ok) {
        sy_plan_make(snapshot, plan);
        *limits = plan->limits;
        ok =
            plan->usable || sy_fail(error, SY_CODE_UNAVAILABLE, "%s cannot be used: %s", snapshot->name, plan->refusal);
    }
    cJSON_Delete(json);
    free(text);
    free(snapshot);
    free(plan);
    return ok || sy_fail_context(error, "--limits %s", path);
}

static void print_stats(const sy_program *p, double seconds)
{
    const sy_program_stats *s = &p->stats;
    printf("ops                %u\n"
           "dispatches         %u (%u before fusion)\n"
           "barriers           %u\n"
           "kernels            %u (%u compiled, %u from the cache)\n"
           "work               %.3f GFLOP\n"
           "bytes moved        %.2f MB (%.2f MB before fusion)\n"
           "arena              %llu bytes, lower bound %llu, ratio %.3f\n"
           "weights            %llu bytes\n"
           "states, outputs    %llu, %llu bytes\n"
           "compiled in        %.3f s\n",
           s->ops, s->dispatches, s->dispatches_unfused, s->barriers, s->kernels, s->kernels_compiled,
           s->kernels_cached, s->flops / 1e9, s->bytes / 1e6, s->bytes_unfused / 1e6,
           (unsigned long long)s->arena_bytes, (unsigned long long)s->arena_lower_bound,
           s->arena_lower_bound ? (double)s->arena_bytes / (double)s->arena_lower_bound : 1,
           (unsigned long long)s->weight_bytes, (unsigned long long)s->state_bytes, (unsigned long long)s->output_bytes,
           seconds);
    for (uint32_t i = 0; i < p->n_passes; i++)
        printf("  %-16s %.4f s\n", p->passes[i].name, p->passes[i].seconds);
}

static void print_labels(const sy_program *p)
{
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        const sy_dispatch *d = &p->dispatches[i];
        char groups[64];
        if (d->indirect)
            snprintf(groups, sizeof groups, "%u x route x %u", d->groups[0], d->groups[2]);
        else
            snprintf(groups, sizeof groups, "%u x %u x %u", d->groups[0], d->groups[1], d->groups[2]);
        printf("%4u %s %-24s %-18s %8.2f MFLOP %8.3f MB  %s\n", i, d->barrier ? "|" : " ", p->kernels[d->kernel].name,
               groups, d->flops / 1e6, d->bytes / 1e6, d->label);
    }
}

static bool write_file(const char *directory, uint32_t index, const char *name, const char *ending, const void *data,
                       size_t size, sy_error *error)
{
    sy_text path = {0};
    sy_text_printf(&path, "%s/%03u-%s.%s", directory, index, name, ending);
    sy_new_file *file = path.failed ? NULL : sy_file_begin(path.data, error);
    bool ok = file != NULL;
    if (ok) {
        sy_file_put(file, data, size);
        ok = sy_file_end(&file, true, error);
    }
    sy_text_free(&path);
    return ok;
}

static bool dump(const sy_program *p, const char *directory, sy_error *error)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return sy_fail(error, SY_CODE_IO, "making the folder %s: %s", directory, strerror(errno));
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const sy_kernel *k = &p->kernels[i];
        if (!write_file(directory, i, k->name, "comp", k->glsl, strlen(k->glsl), error) ||
            !write_file(directory, i, k->name, "spv", k->spirv, 4 * (size_t)k->n_spirv, error))
            return false;
    }
    printf("%u kernels in %s\n", p->n_kernels, directory);
    return true;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_text(sy_text *text)
{
    if (text->data)
        fputs(text->data, stdout);
    sy_text_free(text);
}

static bool work(const options *o, source *s, sy_program **program, sy_error *error)
{
    sy_text printed = {0};
    sy_limits limits = sy_limits_floor();
    if (!open_source(o, s, error))
        return sy_fail_context(error, "%s", o->file);
    if (o->limits && !read_limits(o->limits, &limits, error))
        return false;
    const sy_graph *graph = s->graph ? s->graph : s->sampling.step;
    if (o->print) {
        sy_graph_print(graph, &printed);
        print_text(&printed);
    }
    sy_compile_params params = {.limits = &limits,
                                .step_columns = s->columns,
                                .n_step_columns = s->n_columns,
                                .max_steps = s->max_steps,
                                .taps = o->tap_names,
                                .n_taps = o->n_taps,
                                .print_after = o->print_after,
                                .print = &printed,
                                .no_fusion = o->no_fusion,
                                .no_spirv = o->no_kernels};
    double start = seconds_now();
    *program = sy_compile(graph, &params, error);
    print_text(&printed); /* also what led to a failure */
    if (!*program)
        return false;
    if (o->labels)
        print_labels(*program);
    if (o->stats || (!o->print && !o->print_after && !o->labels && !o->dump))
        print_stats(*program, seconds_now() - start);
    return !o->dump || dump(*program, o->dump, error);
}

int sy_command_compile(int argc, char **argv)
{
    options o = {0};
    source s = {0};
    sy_program *program = NULL;
    sy_error error = {0};
    int status;
    if (parse(argc, argv, &o, &status))
        status = work(&o, &s, &program, &error) ? SY_EXIT_DONE : sy_cli_fail(command, "%s", error.message);
    sy_program_destroy(&program);
    sy_sampling_free(&s.sampling);
    sy_graph_destroy(&s.graph);
    free(o.taps);
    free(o.columns);
    return status;
}
