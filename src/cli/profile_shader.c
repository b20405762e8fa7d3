/* switchyard profile SHADER: any compute shader, timed on a device. */
#include "src/cli/profile_shader.h"
#include "src/cli/commands.h"
#include "src/cli/measured.h"

#include "src/profile/shader.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char command[] = "profile";

static const char help[] =
    "usage: switchyard profile SHADER.comp|.glsl|.spv --groups X[,Y[,Z]] [OPTIONS]\n"
    "\n"
    "Times a compute shader of your own, without a window. What it needs is read from its SPIR-V; what of that is not\n"
    "given is asked for by name.\n"
    "\n"
    "  --groups X,Y,Z      workgroups to dispatch, or\n"
    "  --threads X,Y,Z     invocations, rounded up to whole workgroups: the same work whatever the workgroup is\n"
    "  --bind WHERE=SPEC   content of a buffer. WHERE is BINDING, SET.BINDING or its name; SPEC is\n"
    "                        FILE.npy                  the array as it is\n"
    "                        f32[64,128]               zeros; types f32 f16 bf16 f64 i32 u32 i16 u16 i8 u8 i64 u64\n"
    "                        f32[64,128]:uniform:1     numbers from 0 to 1 by seed; or :normal:1, :ones, :iota, :2.5, :1,2,3\n"
    "                        n=64,scale=0.5            fields of a uniform buffer by name, or values in their order\n"
    "  --push n=64,scale=2 push constants, by name or in their order\n"
    "  --spec ID=V1,V2,…   values of a specialisation constant (its id or name); each combination of several is a variant.\n"
    "                      A workgroup whose size is such a constant is swept with it\n"
    "  --out WHERE=FILE    writes a buffer as .npy after the first run (of the first variant)\n"
    "  --expect WHERE=SPEC holds a buffer against FILE.npy or a generated array after the first run of each variant\n"
    "  --tolerance X       of |got - wanted| / max(1, |wanted|) (default 1e-5)\n"
    "  --define NAME=VALUE defines a macro, for GLSL\n"
    "  --flops X --bytes X work of one dispatch, for rates and the roofline (bytes by default: what the buffers hold)\n"
    "  --repeat N          timed runs of each variant (default 20), after --warmup N others (default 3)\n"
    "  --device NAME       part of a device's name, or its number in `switchyard devices` (default: the best)\n"
    "  --json FILE, --trace FILE, --html FILE   the report as data, for Perfetto or chrome://tracing, as a page\n"
    "  --rows N            rows of the table (default: all)\n"
    "  --help              this text\n"
    "\n"
    "Exit status: 0 done, 1 failed or an output is wrong, 2 wrong arguments, 130 interrupted.\n";

enum { MOST = 64 };

typedef struct options {
    sy_shader_params p;
    const char *defines[MOST], *binds[MOST], *specs[MOST], *outs[MOST], *expects[MOST];
    const char *device;
    sy_cli_reports reports;
} options;

bool sy_cli_is_shader(const char *path)
{
    static const char *const ends[] = {".comp", ".glsl", ".spv"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n > strlen(ends[i]) && !strcmp(path + n - strlen(ends[i]), ends[i]))
            return true;
    return false;
}

static bool take_three(const char *option, const char *text, uint32_t out[3])
{
    char part[24];
    out[0] = out[1] = out[2] = 1;
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(text, ",");
        snprintf(part, sizeof part, "%.*s", (int)(n < sizeof part ? n : sizeof part - 1), text);
        if (!sy_cli_u32(command, option, part, 1, UINT32_MAX, &out[i]))
            return false;
        text += n;
        if (!*text)
            return true;
        text++;
    }
    sy_cli_usage(command, "%s takes at most three numbers", option);
    return false;
}

static bool take_text(const char *option, const char *text, const char **list, uint32_t *n)
{
    if (*n == MOST)
        return sy_cli_usage(command, "%s can be given %d times", option, MOST), false;
    list[(*n)++] = text;
    return true;
}

static bool parse(int argc, char **argv, options *o, int *status)
{
    enum { GROUPS = 256, THREADS, BIND, PUSH, SPEC, OUT, EXPECT, TOLERANCE, DEFINE, FLOPS, BYTES, REPEAT, WARMUP, DEVICE, JSON, TRACE, HTML, ROWS, HELP };
    static const struct option known[] = {{"groups", 1, 0, GROUPS},   {"threads", 1, 0, THREADS}, {"bind", 1, 0, BIND},
                                          {"push", 1, 0, PUSH},       {"spec", 1, 0, SPEC},       {"out", 1, 0, OUT},
                                          {"expect", 1, 0, EXPECT},   {"tolerance", 1, 0, TOLERANCE}, {"define", 1, 0, DEFINE},
                                          {"flops", 1, 0, FLOPS},     {"bytes", 1, 0, BYTES},     {"repeat", 1, 0, REPEAT},
                                          {"warmup", 1, 0, WARMUP},   {"device", 1, 0, DEVICE},   {"json", 1, 0, JSON},
                                          {"trace", 1, 0, TRACE},     {"html", 1, 0, HTML},       {"rows", 1, 0, ROWS},
                                          {"help", 0, 0, HELP},       {0, 0, 0, 0}};
    bool ok = true;
    int option;
    sy_shader_params *p = &o->p;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while (ok && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case GROUPS:
            ok = take_three("--groups", optarg, p->groups);
            break;
        case THREADS:
            ok = take_three("--threads", optarg, p->threads);
            break;
        case BIND:
            ok = take_text("--bind", optarg, o->binds, &p->n_binds);
            break;
        case PUSH:
            p->push = optarg;
            break;
        case SPEC:
            ok = take_text("--spec", optarg, o->specs, &p->n_specs);
            break;
        case OUT:
            ok = take_text("--out", optarg, o->outs, &p->n_outs);
            break;
        case EXPECT:
            ok = take_text("--expect", optarg, o->expects, &p->n_expects);
            break;
        case TOLERANCE:
            ok = sy_cli_double(command, "--tolerance", optarg, 0, 1e30, &p->tolerance);
            break;
        case DEFINE:
            ok = take_text("--define", optarg, o->defines, &p->n_defines);
            break;
        case FLOPS:
            ok = sy_cli_double(command, "--flops", optarg, 0, 1e30, &p->flops);
            break;
        case BYTES:
            ok = sy_cli_double(command, "--bytes", optarg, 0, 1e30, &p->bytes);
            break;
        case REPEAT:
            ok = sy_cli_u32(command, "--repeat", optarg, 1, 100000, &p->repeats);
            break;
        case WARMUP:
            ok = sy_cli_u32(command, "--warmup", optarg, 0, 100000, &p->warmups);
            break;
        case DEVICE:
            o->device = optarg;
            break;
        case JSON:
            o->reports.json = optarg;
            break;
        case TRACE:
            o->reports.trace = optarg;
            break;
        case HTML:
            o->reports.html = optarg;
            break;
        case ROWS:
            ok = sy_cli_u32(command, "--rows", optarg, 0, 1000000, &o->reports.rows);
            break;
        case HELP:
            fputs(help, stdout);
            *status = SY_EXIT_DONE;
            return false;
        default:
            sy_cli_usage(command, option == ':' ? "%s needs a value" : "there is no option %s", argv[optind - 1]);
            ok = false;
        }
    }
    if (ok && optind + 1 != argc)
        ok = !sy_cli_usage(command, optind == argc ? "a shader is needed" : "one shader at a time: \"%s\" is one too many", argv[argc - 1]);
    if (ok && !p->groups[0] == !p->threads[0])
        ok = !sy_cli_usage(command, "either --groups X,Y,Z or --threads X,Y,Z says how much is dispatched");
    if (ok)
        p->path = argv[optind];
    return ok;
}

static bool progress(void *user, uint32_t variant, uint32_t n)
{
    (void)user;
    if (n > 1 && isatty(2))
        fprintf(stderr, "\r%u of %u variants ", variant + 1, n);
    return !sy_cli_interrupted();
}

static int finish(const options *o, const sy_vk_device *device, sy_profile_report *report, const sy_shader_outcome *outcome, sy_error *error)
{
    if (report->timestamp_bits)
        sy_cli_roofs(device, report);
    if (!sy_cli_report(&o->reports, report, error))
        return sy_cli_fail(command, "%s", error->message);
    if (o->p.n_expects)
        printf("outputs: %u of %u variants as wanted, within %g\n", report->n_dispatches - outcome->n_wrong, report->n_dispatches, o->p.tolerance);
    return outcome->n_wrong ? sy_cli_fail(command, "%u of %u variants give wrong outputs", outcome->n_wrong, report->n_dispatches) : SY_EXIT_DONE;
}

static int work(options *o)
{
    sy_error error = {0};
    sy_text log = {0};
    sy_shader_outcome outcome;
    int status = SY_EXIT_FAILED;
    sy_vk_instance *instance = sy_vk_instance_create(&(sy_vk_instance_params){.message = sy_cli_validation, .any_shader = true}, &error);
    sy_vk_device *device = instance ? sy_cli_open_device(instance, o->device, &error) : NULL;
    sy_profile_report *report = device ? sy_report_create() : NULL;
    if (device && !report)
        sy_fail(&error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
    sy_cli_catch_interrupt();
    bool ok = report && sy_shader_profile(device, &o->p, report, &outcome, &log, &error);
    fputs(log.data ? log.data : "", stderr);
    if (ok)
        status = finish(o, device, report, &outcome, &error);
    else if (error.code == SY_CODE_CANCELLED)
        status = (sy_cli_fail(command, "%s", error.message), SY_EXIT_CANCELLED);
    else
        sy_cli_fail(command, "%s", error.message);
    sy_text_free(&log);
    sy_report_destroy(&report);
    sy_vk_device_destroy(&device);
    sy_vk_instance_destroy(&instance);
    return status;
}

int sy_cli_profile_shader(int argc, char **argv)
{
    options o = {.p = {.tolerance = 1e-5, .repeats = 20, .warmups = 3, .progress = progress}};
    int status;
    o.p.defines = o.defines;
    o.p.binds = o.binds;
    o.p.specs = o.specs;
    o.p.outs = o.outs;
    o.p.expects = o.expects;
    return parse(argc, argv, &o, &status) ? work(&o) : status;
}
