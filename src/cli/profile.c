/* switchyard profile: where the time of a model or a graph goes, dispatch by dispatch. */
#include "src/cli/commands.h"
#include "src/cli/profile_shader.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char command[] = "profile";

static const char help[] =
    "usage: switchyard profile [FILE] [OPTIONS]\n"
    "       switchyard profile --compare BEFORE.json AFTER.json [--bound X%]\n"
    "       switchyard profile SHADER.comp|.glsl|.spv --groups X,Y,Z [OPTIONS]   any shader: see profile x.comp --help\n"
    "\n"
    "Times every dispatch of FILE by the device's timestamps, and says what its work allows on this device: FILE is a\n"
    ".safetensors model or folder (default: the one that comes with Switchyard), which is sampled, or a graph in the text form.\n"
    "\n"
    "  --mode MODE          serial: each dispatch alone, a barrier before every one; overlap: as it runs; both (default)\n"
    "  --repeat N           whole runs measured in each way (default 5), after one to warm up\n"
    "  --rows N             rows of the table (default 40; 0: all)\n"
    "  --json FILE          everything, for programs and for --compare\n"
    "  --trace FILE         for chrome://tracing or ui.perfetto.dev\n"
    "  --html FILE          a page with charts: time by layer, roofline, memory, load of experts\n"
    "  --dump DIR           GLSL, SPIR-V and disassembly of every kernel\n"
    "  --record FILE        the dispatches of one step with their data, for switchyard replay; --record-step N (default 1)\n"
    "  --roofs              measure the device's roofs anew, even where they are known\n"
    "  --counters NAMES     hardware counters of every dispatch, in runs of their own: names or categories with commas between, or\n"
    "                       all; \"--counters list\" lists what the device has (VK_KHR_performance_query)\n"
    "  --device NAME        part of a device's name, or its number in `switchyard devices` (default: the best)\n"
    "  --quiet              no table\n"
    "\n"
    "What runs, as for switchyard generate:\n"
    "  --count N, --steps N, --guidance X, --precision f32|f16, --set NAME=VALUE, --prompt TEXT, --label N, --seed N\n"
    "  --batch N            the network of a model file alone, on N samples, not sampled\n"
    "  --weights FILE       a .safetensors file with the parameters of a graph (default: noise)\n"
    "\n"
    "  --compare A B        what changed from one --json to the other beyond the noise\n"
    "  --bound X%           slower by more than this is a regression (default 5%)\n"
    "  --help               this text\n"
    "\n"
    "Exit status: 0 done, and nothing regressed; 1 failed, or something regressed; 2 wrong arguments.\n";

typedef struct options {
    const char *file, *json, *trace, *html, *dump, *before, *after;
    double bound;
    uint32_t rows, label;
    bool quiet, compare;
    sy_cli_settings settings;
    sy_pipeline_params pipeline;
    sy_profile_params params;
} options;

/* "5%" or "0.05". */
static bool take_bound(const char *text, double *bound)
{
    char copy[40];
    size_t n = strlen(text);
    bool percent = n && text[n - 1] == '%';
    snprintf(copy, sizeof copy, "%.*s", (int)(n - percent), text);
    if (!sy_cli_double(command, "--bound", copy, 0, 1e6, bound))
        return false;
    *bound = percent ? *bound / 100 : *bound;
    return true;
}

static bool take_mode(const char *text, sy_profile_modes *modes)
{
    static const char *const names[] = {"both", "serial", "overlap"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i]))
            return *modes = (sy_profile_modes)i, true;
    return sy_cli_usage(command, "--mode is \"%s\"; it takes serial, overlap or both", text), false;
}

static bool take_precision(const char *text, sy_precision *precision)
{
    if (strcmp(text, "f32") && strcmp(text, "f16"))
        return sy_cli_usage(command, "--precision is \"%s\"; it takes f32 or f16", text), false;
    *precision = text[1] == '3' ? SY_PRECISION_F32 : SY_PRECISION_F16;
    return true;
}

enum {
    MODE = 256, REPEAT, ROWS, JSON, TRACE, HTML, DUMP, RECORD, RECORD_STEP, ROOFS, COUNTERS, DEVICE, QUIET, COUNT, STEPS, GUIDANCE, PRECISION, SET, PROMPT, LABEL, SEED,
    BATCH, WEIGHTS, COMPARE, BOUND, HELP
};
static const struct option known[] = {
    {"mode", 1, 0, MODE}, {"repeat", 1, 0, REPEAT}, {"rows", 1, 0, ROWS}, {"json", 1, 0, JSON}, {"trace", 1, 0, TRACE}, {"html", 1, 0, HTML},
    {"dump", 1, 0, DUMP}, {"record", 1, 0, RECORD}, {"record-step", 1, 0, RECORD_STEP}, {"roofs", 0, 0, ROOFS}, {"counters", 1, 0, COUNTERS}, {"device", 1, 0, DEVICE}, {"quiet", 0, 0, QUIET}, {"count", 1, 0, COUNT},
    {"steps", 1, 0, STEPS}, {"guidance", 1, 0, GUIDANCE}, {"precision", 1, 0, PRECISION}, {"set", 1, 0, SET}, {"prompt", 1, 0, PROMPT},
    {"label", 1, 0, LABEL}, {"seed", 1, 0, SEED}, {"batch", 1, 0, BATCH}, {"weights", 1, 0, WEIGHTS}, {"compare", 0, 0, COMPARE},
    {"bound", 1, 0, BOUND}, {"help", 0, 0, HELP}, {0, 0, 0, 0}};

static bool take_run_option(int option, options *o)
{
    switch (option) {
    case DEVICE:
        o->pipeline.device = optarg;
        return true;
    case RECORD:
        o->params.record = optarg;
        return true;
    case RECORD_STEP:
        if (!sy_cli_u32(command, "--record-step", optarg, 1, UINT32_MAX, &o->params.record_step))
            return false;
        o->params.record_step--;
        return true;
    case COUNT:
        return sy_cli_u32(command, "--count", optarg, 1, 1024, &o->pipeline.count);
    case STEPS:
        return sy_cli_u32(command, "--steps", optarg, 1, 10000, &o->pipeline.steps);
    case GUIDANCE:
        return sy_cli_double(command, "--guidance", optarg, 0.01, 1000, &o->pipeline.guidance);
    case PRECISION:
        return take_precision(optarg, &o->pipeline.precision);
    case SET:
        return sy_cli_take_setting(command, &o->settings, optarg);
    case PROMPT:
        o->params.prompt = optarg;
        return true;
    case LABEL:
        return sy_cli_u32(command, "--label", optarg, 0, INT32_MAX, &o->label);
    case SEED:
        return sy_cli_u32(command, "--seed", optarg, 0, UINT32_MAX, &o->params.seed);
    case BATCH:
        return sy_cli_u32(command, "--batch", optarg, 1, INT16_MAX, &o->params.batch);
    default:
        o->params.weights = optarg;
        return true;
    }
}

static bool take_option(int option, options *o)
{
    switch (option) {
    case MODE:
        return take_mode(optarg, &o->params.modes);
    case REPEAT:
        return sy_cli_u32(command, "--repeat", optarg, 1, 100000, &o->params.repeats);
    case ROWS:
        return sy_cli_u32(command, "--rows", optarg, 0, 1000000, &o->rows);
    case JSON:
        o->json = optarg;
        return true;
    case TRACE:
        o->trace = optarg;
        return true;
    case HTML:
        o->html = optarg;
        return true;
    case DUMP:
        o->dump = optarg;
        return true;
    case ROOFS:
        return o->params.measure_roofs = true;
    case COUNTERS:
        o->params.counters = optarg;
        return true;
    case QUIET:
        return o->quiet = true;
    case COMPARE:
        return o->compare = true;
    case BOUND:
        return take_bound(optarg, &o->bound);
    default:
        return take_run_option(option, o);
    }
}

static bool parse(int argc, char **argv, options *o, int *status)
{
    int option;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == HELP) {
            fputs(help, stdout);
            *status = SY_EXIT_DONE;
            return false;
        }
        if (option == ':' || option == '?') {
            sy_cli_usage(command, option == ':' ? "%s takes a value" : "there is no option %s", argv[optind - 1]);
            return false;
        }
        if (!take_option(option, o))
            return false;
    }
    int n = argc - optind;
    if (o->compare && n != 2)
        return sy_cli_usage(command, "--compare takes two files that --json wrote; %d were given", n), false;
    if (!o->compare && n > 1)
        return sy_cli_usage(command, "one file at a time"), false;
    o->before = o->compare ? argv[optind] : NULL;
    o->after = o->compare ? argv[optind + 1] : NULL;
    o->file = n == 1 ? argv[optind] : sy_cli_default_model();
    if (!o->compare && !o->file)
        return sy_cli_usage(command, "which file? The model that comes with Switchyard was not found"), false;
    o->params.label = (int32_t)o->label;
    o->pipeline.settings = o->settings.settings;
    o->pipeline.n_settings = o->settings.n;
    o->params.pipeline = &o->pipeline;
    return true;
}

static int compare(const options *o, sy_context *context)
{
    char *text = NULL;
    uint32_t regressions;
    if (sy_profile_compare(context, o->before, o->after, o->bound, &text, &regressions) != SY_OK)
        return sy_cli_fail(command, "%s", sy_context_message(context));
    fputs(text, stdout);
    free(text);
    return regressions ? SY_EXIT_FAILED : SY_EXIT_DONE;
}

static int list_counters(const options *o, sy_context *context)
{
    char *text = NULL;
    if (sy_profile_list_counters(context, o->pipeline.device, &text) != SY_OK)
        return sy_cli_fail(command, "%s", sy_context_message(context));
    fputs(text, stdout);
    free(text);
    return SY_EXIT_DONE;
}

static bool show(void *user, const char *what, uint32_t done, uint32_t total)
{
    (void)user;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s %u of %u\x1b[K%s", what, done + 1, total, done + 1 == total ? "\r\x1b[K" : "");
    return !sy_cli_interrupted();
}

static bool write_all(const options *o, sy_context *context, const sy_profile *profile)
{
    const struct {
        const char *path;
        sy_profile_format format;
    } files[] = {{o->json, SY_PROFILE_JSON}, {o->trace, SY_PROFILE_TRACE}, {o->html, SY_PROFILE_HTML}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].path && sy_profile_write(context, profile, files[i].format, files[i].path) != SY_OK)
            return false;
    return !o->dump || sy_profile_dump(context, profile, o->dump) == SY_OK;
}

static int profile(const options *o, sy_context *context)
{
    sy_profile *profile = NULL;
    char *text = NULL;
    sy_cli_catch_interrupt();
    sy_status status = sy_profile_run(context, o->file, &o->params, &profile);
    bool ok = status == SY_OK && write_all(o, context, profile) &&
              (o->quiet || sy_profile_table(context, profile, o->rows, &text) == SY_OK);
    if (text)
        fputs(text, stdout);
    free(text);
    sy_profile_destroy(&profile);
    if (!ok)
        sy_cli_fail(command, "%s", sy_context_message(context));
    return ok ? SY_EXIT_DONE : status == SY_ERROR_CANCELLED ? SY_EXIT_CANCELLED : SY_EXIT_FAILED;
}

int sy_command_profile(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (sy_cli_is_shader(argv[i]))
            return sy_cli_profile_shader(argc, argv);
    options o = {.bound = 0.05, .rows = 40};
    int status;
    if (parse(argc, argv, &o, &status)) {
        sy_context *context = sy_cli_context();
        o.params.progress = show;
        status = !context ? sy_cli_fail(command, "no memory") : o.compare ? compare(&o, context)
                 : o.params.counters && !strcmp(o.params.counters, "list") ? list_counters(&o, context) : profile(&o, context);
        sy_context_destroy(&context);
    }
    sy_cli_free_settings(&o.settings);
    return status;
}
