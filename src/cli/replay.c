/* switchyard replay: a recorded step again, on any device that fits it, without the model. */
#include "src/cli/commands.h"
#include "src/cli/measured.h"

#include "src/profile/array.h"
#include "src/profile/measure.h"
#include "src/run/labels.h"
#include "src/run/recording.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command[] = "replay";

static const char help[] =
    "usage: switchyard replay FILE [OPTIONS]\n"
    "\n"
    "Runs the dispatches in FILE, which --record of run, generate and profile makes, on any device that fits them, times\n"
    "each, and compares what comes out with what came out where it was recorded. The model is not needed: FILE holds the\n"
    "kernels, and what their buffers held, weights among them. Send it with a report of a bug only where you may.\n"
    "\n"
    "  --device NAME       part of a device's name, or its number in `switchyard devices` (default: the best)\n"
    "  --tolerance X       of |got - recorded| / max(1, |recorded|) (default 1e-4); integers are compared alike\n"
    "  --repeat N          timed runs (default 5), each from the recorded content; all must give the same bytes\n"
    "  --list              say what is in FILE, and run nothing\n"
    "  --json FILE, --trace FILE, --html FILE   the report as data, for Perfetto or chrome://tracing, as a page\n"
    "  --rows N            rows of the table (default: 20; 0: all)\n"
    "  --help              this text\n"
    "\n"
    "Exit status: 0 all results as recorded, 1 failed or a result differs, 2 wrong arguments.\n";

typedef struct options {
    const char *file, *device;
    sy_cli_reports reports;
    double tolerance;
    uint32_t repeats;
    bool list;
} options;

static bool parse(int argc, char **argv, options *o, int *status)
{
    enum { DEVICE = 256, TOLERANCE, REPEAT, LIST, JSON, TRACE, HTML, ROWS, HELP };
    static const struct option known[] = {{"device", 1, 0, DEVICE}, {"tolerance", 1, 0, TOLERANCE}, {"repeat", 1, 0, REPEAT}, {"list", 0, 0, LIST},
                                          {"json", 1, 0, JSON},     {"trace", 1, 0, TRACE},         {"html", 1, 0, HTML},     {"rows", 1, 0, ROWS},
                                          {"help", 0, 0, HELP},     {0, 0, 0, 0}};
    bool ok = true;
    int option;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while (ok && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case DEVICE:
            o->device = optarg;
            break;
        case TOLERANCE:
            ok = sy_cli_double(command, "--tolerance", optarg, 0, 1e30, &o->tolerance);
            break;
        case REPEAT:
            ok = sy_cli_u32(command, "--repeat", optarg, 1, 100000, &o->repeats);
            break;
        case LIST:
            o->list = true;
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
        ok = !sy_cli_usage(command, optind == argc ? "a recording is needed" : "one recording at a time: \"%s\" is one too many", argv[argc - 1]);
    if (ok)
        o->file = argv[optind];
    return ok;
}

typedef struct job {
    const options *o;
    sy_recording *recording;
    sy_vk_instance *instance;
    sy_vk_device *device;
    sy_work_run *run;
    sy_profile_report *report;
    uint8_t **first;          /* by result: what the first run gave */
    double *seconds, *begins; /* by dispatch */
    double *samples;          /* by dispatch, by repeat */
    uint32_t differ;          /* results that are not as recorded */
    bool unsteady;            /* runs that did not give the same bytes */
} job;

static void list(const sy_recording *r)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < r->work.n_buffers; i++)
        bytes += r->work.buffers[i].bytes;
    printf("%s, step %u, recorded on %s (%s)\n%u dispatches of %u kernels, %u buffers of %.1f MiB\n", r->what, r->step + 1, r->device, r->driver,
           r->work.n_dispatches, r->work.n_kernels, r->work.n_buffers, (double)bytes / 1048576);
    for (uint32_t i = 0; i < r->n_results; i++)
        printf("result %s %s, %llu bytes\n", r->results[i].name, sy_dtype_name(r->results[i].dtype), (unsigned long long)r->results[i].bytes);
}

static sy_element element_of(sy_dtype dtype)
{
    static const sy_element elements[SY_DTYPE_COUNT] = {[SY_F32] = SY_ELEMENT_F32, [SY_F16] = SY_ELEMENT_F16, [SY_BF16] = SY_ELEMENT_BF16,
                                                        [SY_I32] = SY_ELEMENT_I32, [SY_U32] = SY_ELEMENT_U32};
    return elements[dtype];
}

/* One line a result; bytes first, for that is what the same driver must give. */
static bool compare(job *j, uint32_t index, sy_error *error)
{
    const sy_recording_result *r = &j->recording->results[index];
    uint64_t each = r->dtype == SY_F16 || r->dtype == SY_BF16 ? 2 : 4;
    sy_raw_array got = {.element = element_of(r->dtype), .count = r->bytes / each, .bytes = r->bytes, .data = j->first[index]}, wanted = got;
    sy_array_difference x;
    wanted.data = malloc(r->bytes);
    if (!wanted.data)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for \"%s\"", r->name);
    memcpy(wanted.data, r->after, r->bytes);
    bool same = !memcmp(got.data, wanted.data, r->bytes), ok = sy_raw_array_compare(&got, &wanted, &x, error);
    free(wanted.data);
    if (!ok)
        return false;
    if (same)
        printf("%s: the same bytes\n", r->name);
    else if (x.greatest <= j->o->tolerance)
        printf("%s: differs by up to %.3g in %llu elements, within %g\n", r->name, x.greatest, (unsigned long long)x.n_unequal, j->o->tolerance);
    else
        printf("%s: DIFFERS by up to %.3g (%llu elements; element %llu is %.9g, recorded %.9g)\n", r->name, x.greatest, (unsigned long long)x.n_unequal,
               (unsigned long long)x.at, x.got, x.wanted);
    j->differ += !same && !(x.greatest <= j->o->tolerance);
    return true;
}

/* Reads all results; the first time they are kept, later they must be the same. */
static bool read_results(job *j, bool first, sy_error *error)
{
    for (uint32_t i = 0; i < j->recording->n_results; i++) {
        const sy_recording_result *r = &j->recording->results[i];
        uint8_t *now = malloc(r->bytes);
        if (!now)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for \"%s\"", r->name);
        bool ok = sy_work_read(j->run, r->buffer, r->offset, r->bytes, now, error);
        if (ok && first) {
            j->first[i] = now;
            continue;
        }
        j->unsteady = j->unsteady || (ok && memcmp(now, j->first[i], r->bytes));
        free(now);
        if (!ok)
            return false;
    }
    return true;
}

static bool measure(job *j, sy_error *error)
{
    uint32_t n = j->recording->work.n_dispatches;
    for (uint32_t k = 0; k < j->o->repeats; k++) {
        if ((k && !sy_work_reset(j->run, error)) || !sy_work_go(j->run, false, j->seconds, j->begins, error) || !read_results(j, k == 0, error))
            return false;
        for (uint32_t i = 0; i < n; i++)
            j->samples[(uint64_t)i * j->o->repeats + k] = j->seconds[i];
    }
    return true;
}

static bool fill_report(job *j, sy_error *error)
{
    const sy_recording *c = j->recording;
    const sy_work *w = &c->work;
    sy_profile_report *r = j->report;
    const sy_device_snapshot *s = j->device->snapshot;
    uint32_t n = w->n_dispatches, bits = j->device->plan->timestamp_bits;
    char layer[SY_LAYER_ROOM];
    sy_profile_program *program = sy_arena_alloc(&r->arena, sizeof *program);
    sy_profile_kernel *kernels = sy_arena_array(&r->arena, w->n_kernels + 1, sizeof *kernels);
    r->dispatches = sy_arena_array(&r->arena, n + 1, sizeof *r->dispatches);
    if (!program || !kernels || !r->dispatches)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
    r->target = sy_arena_string(&r->arena, j->o->file);
    r->what = "recording";
    r->device = sy_arena_string(&r->arena, s->name);
    r->driver = sy_arena_string(&r->arena, s->driver_info);
    r->device_kind = sy_device_type_text(s->type);
    r->timestamp_bits = bits;
    r->timestamp_period = j->device->plan->timestamp_period;
    r->repeats = j->o->repeats;
    r->measured[SY_MODE_OVERLAP] = bits > 0;
    for (uint32_t i = 0; i < w->n_kernels; i++) {
        const sy_work_kernel *k = &w->kernels[i];
        kernels[i] = (sy_profile_kernel){.name = sy_arena_string(&r->arena, k->name),
                                         .shared_bytes = (uint32_t)k->shader->shared_bytes,
                                         .bindings = k->shader->n_resources,
                                         .push_bytes = (uint32_t)k->shader->push.bytes,
                                         .spirv_bytes = (uint32_t)(4 * k->n_words)};
        if (!kernels[i].name || !sy_spirv_facts(k->spirv, k->n_words, &r->arena, &kernels[i]))
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
        sy_work_local(k, kernels[i].local);
    }
    *program = (sy_profile_program){.name = "step", .n = n, .turns = 1};
    for (uint32_t i = 0; i < n; i++) {
        const sy_work_dispatch *x = &w->dispatches[i];
        sy_profile_dispatch *d = &r->dispatches[i];
        const char *ops = strstr(x->label, ": ");
        sy_label_layer(x->label, layer);
        *d = (sy_profile_dispatch){.name = sy_arena_string(&r->arena, x->label),
                                   .layer = sy_arena_string(&r->arena, layer),
                                   .ops = sy_arena_string(&r->arena, ops ? ops + 2 : x->label),
                                   .kind = kernels[x->kernel].name,
                                   .kernel = x->kernel,
                                   .groups = {x->groups[0], x->groups[1], x->groups[2]},
                                   .indirect = x->indirect,
                                   .barrier = x->barrier,
                                   .route = SY_NO_ROUTE,
                                   .bound_flops = c->flops[i],
                                   .flops = c->flops[i],
                                   .least_bytes = c->bytes[i],
                                   .planned_bytes = c->bytes[i]};
        if (!d->name || !d->layer || !d->ops || (bits && !sy_samples_describe(j->samples + (uint64_t)i * j->o->repeats, j->o->repeats, &d->time[SY_MODE_OVERLAP])))
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
        d->begin[SY_MODE_OVERLAP] = j->begins[i];
        program->sum[SY_MODE_OVERLAP] += d->time[SY_MODE_OVERLAP].median;
    }
    r->kernels = kernels;
    r->n_kernels = w->n_kernels;
    r->programs = program;
    r->n_programs = 1;
    r->n_dispatches = n;
    return true;
}

static bool prepare(job *j, sy_error *error)
{
    const sy_work *w = &j->recording->work;
    size_t n = (size_t)w->n_dispatches + 1;
    sy_vk_instance_params params = {.message = sy_cli_validation, .any_shader = true, .robust = true}; /* whose shaders these are is not known */
    j->first = calloc((size_t)j->recording->n_results + 1, sizeof *j->first);
    j->seconds = calloc(n, sizeof *j->seconds);
    j->begins = calloc(n, sizeof *j->begins);
    j->samples = calloc(n * j->o->repeats, sizeof *j->samples);
    j->report = sy_report_create();
    if (!j->first || !j->seconds || !j->begins || !j->samples || !j->report)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a report");
    j->instance = sy_vk_instance_create(&params, error);
    j->device = j->instance ? sy_cli_open_device(j->instance, j->o->device, error) : NULL;
    j->run = j->device ? sy_work_open(j->device, w, NULL, error) : NULL;
    return j->run != NULL;
}

static int work(job *j)
{
    sy_error error = {0};
    if (!(j->recording = sy_recording_open(j->o->file, &error)))
        return sy_cli_fail(command, "%s", error.message);
    if (j->o->list)
        return list(j->recording), SY_EXIT_DONE;
    if (!prepare(j, &error) || !measure(j, &error) || !fill_report(j, &error) || !sy_cli_report(&j->o->reports, j->report, &error))
        return sy_cli_fail(command, "%s", error.message);
    for (uint32_t i = 0; i < j->recording->n_results; i++)
        if (!compare(j, i, &error))
            return sy_cli_fail(command, "%s", error.message);
    if (j->unsteady)
        return sy_cli_fail(command, "%u runs from the same content did not all give the same bytes", j->o->repeats);
    return j->differ ? sy_cli_fail(command, "%u of %u results are not as recorded on %s", j->differ, j->recording->n_results, j->recording->device)
                     : SY_EXIT_DONE;
}

int sy_command_replay(int argc, char **argv)
{
    options o = {.tolerance = 1e-4, .repeats = 5, .reports = {.rows = 20}};
    job j = {.o = &o};
    int status;
    if (parse(argc, argv, &o, &status))
        status = work(&j);
    sy_work_close(&j.run);
    sy_vk_device_destroy(&j.device);
    sy_vk_instance_destroy(&j.instance);
    sy_report_destroy(&j.report);
    for (uint32_t i = 0; j.first && i < j.recording->n_results; i++)
        free(j.first[i]);
    sy_recording_close(&j.recording);
    free(j.first);
    free(j.seconds);
    free(j.begins);
    free(j.samples);
    return status;
}
