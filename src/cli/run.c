/* switchyard run: any graph in the text form, or the network of any model, on .npy arrays. */
#include "src/cli/commands.h"
#include "src/run/convert.h"
#include "src/switchyard.h"

#include "graph/import/npy.h"
#include "graph/ir/build.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char command[] = "run";

static const char help[] =
    "usage: switchyard run FILE [--in NAME=FILE.npy]… [--out NAME=FILE.npy]… [OPTIONS]\n"
    "\n"
    "Compiles the graph in FILE (the text form, see switchyard compile; or a .safetensors model, whose network it is)\n"
    "for a device and runs it.\n"
    "\n"
    "  --in NAME=FILE     content of an input: .npy, little endian, C order; f64 and i64 are taken as f32 and i32\n"
    "  --out NAME=FILE    where to write an output; a tapped value is written with a leading dimension of steps\n"
    "                     and a tapped route as weights [steps, rows, targets], NaN where a row does not go to a "
    "target\n"
    "  --list             print inputs given, outputs and taps with their shapes, and write nothing\n"
    "  --weights FILE     a .safetensors file with the parameters of a graph in the text form\n"
    "  --batch N          samples that a model's network takes at a time (default 1)\n"
    "  --steps N          times the graph runs, states carried from run to run (default 1)\n"
    "  --columns NAMES    columns of the step table the graph reads, separated by commas\n"
    "  --table FILE       their values: f32 [steps, columns] as .npy\n"
    "  --taps NAMES       values to keep of every step, separated by commas, * for any text\n"
    "  --device NAME      part of a device's name, its number in `switchyard devices`, or reference (default: the "
    "best)\n"
    "  --record FILE      also write the dispatches of step --record-step N (default 1) with their data, for switchyard\n"
    "                     replay: what a bug report needs in place of the model\n"
    "  --stats            print times\n"
    "  --help             this text\n"
    "\n"
    "Files appear when they are complete. Exit status: 0 done, 1 failed, 2 wrong arguments.\n";

enum { MOST = 64 };

typedef struct named {
    char *name; /* a copy, cut at the = */
    const char *path;
} named;

typedef struct options {
    const char *graph, *table;
    named in[MOST], out[MOST];
    uint32_t n_in, n_out;
    char *taps, *columns;
    const char *tap_names[MOST], *column_names[MOST];
    bool list, stats;
    sy_graph_params params;
} options;

static bool take_pair(const char *option, const char *text, named *list, uint32_t *n)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return sy_cli_usage(command, "%s is \"%s\"; it takes NAME=FILE.npy", option, text), false;
    if (*n == MOST)
        return sy_cli_usage(command, "%s can be given %d times", option, MOST), false;
    char *copy = strndup(text, (size_t)(equals - text));
    if (!copy)
        return sy_cli_fail(command, "no memory"), false;
    list[(*n)++] = (named){copy, equals + 1};
    return true;
}

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

static bool parse(int argc, char **argv, options *o, int *status)
{
    enum { IN = 256, OUT, LIST, WEIGHTS, BATCH, STEPS, COLUMNS, TABLE, TAPS, DEVICE, RECORD, RECORD_STEP, STATS, HELP };
    static const struct option known[] = {{"in", 1, 0, IN},
                                          {"out", 1, 0, OUT},
                                          {"list", 0, 0, LIST},
                                          {"weights", 1, 0, WEIGHTS},
                                          {"batch", 1, 0, BATCH},
                                          {"steps", 1, 0, STEPS},
                                          {"columns", 1, 0, COLUMNS},
                                          {"table", 1, 0, TABLE},
                                          {"taps", 1, 0, TAPS},
                                          {"device", 1, 0, DEVICE},
                                          {"record", 1, 0, RECORD},
                                          {"record-step", 1, 0, RECORD_STEP},
                                          {"stats", 0, 0, STATS},
                                          {"help", 0, 0, HELP},
                                          {0, 0, 0, 0}};
    bool ok = true;
    int option;
    *status = SY_EXIT_USAGE;
    optind = 0;
    while (ok && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case IN:
            ok = take_pair("--in", optarg, o->in, &o->n_in);
            break;
        case OUT:
            ok = take_pair("--out", optarg, o->out, &o->n_out);
            break;
        case LIST:
            o->list = true;
            break;
        case WEIGHTS:
            o->params.weights = optarg;
            break;
        case BATCH:
            ok = sy_cli_u32(command, "--batch", optarg, 1, INT16_MAX, &o->params.batch);
            break;
        case STEPS:
            ok = sy_cli_u32(command, "--steps", optarg, 1, 100000, &o->params.steps);
            break;
        case COLUMNS:
            ok = take_list("--columns", optarg, &o->columns, o->column_names, &o->params.n_columns);
            break;
        case TABLE:
            o->table = optarg;
            break;
        case TAPS:
            ok = take_list("--taps", optarg, &o->taps, o->tap_names, &o->params.n_taps);
            break;
        case DEVICE:
            o->params.device = optarg;
            break;
        case RECORD:
            o->params.record = optarg;
            break;
        case RECORD_STEP:
            ok = sy_cli_u32(command, "--record-step", optarg, 1, UINT32_MAX, &o->params.record_step);
            o->params.record_step -= ok;
            break;
        case STATS:
            o->stats = true;
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
    if (optind + 1 != argc)
        return sy_cli_usage(command, optind == argc
                                         ? "which graph? Name a file in the text form or a .safetensors model"
                                         : "one graph at a time"),
               false;
    o->graph = argv[optind];
    if (!o->columns != !o->table)
        return sy_cli_usage(command, "--columns and --table go together"), false;
    return true;
}

typedef struct job {
    sy_array inputs[MOST];
    void *data[MOST];
    uint32_t n_inputs;
    float *table;
    sy_context *context;
    sy_graph_result *result;
} job;

/* A file's array in its own type. */
static bool read_array(const named *from, sy_array *array, void **data, sy_error *error)
{
    sy_npy npy = {0};
    if (!sy_npy_read(from->path, &npy, error))
        return false;
    *array = (sy_array){.name = from->name,
                        .type = (sy_array_type)npy.type.dtype,
                        .rank = npy.type.rank,
                        .bytes = sy_type_bytes(&npy.type)};
    memcpy(array->dim, npy.type.dim, sizeof array->dim);
    *data = calloc(1, array->bytes);
    if (*data)
        sy_convert_from_double(npy.type.dtype, npy.data, sy_type_count(&npy.type), *data);
    array->data = *data;
    sy_npy_free(&npy);
    return *data || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %s", from->path);
}

static bool read_table(const options *o, job *j, sy_error *error)
{
    sy_npy npy = {0};
    uint32_t steps = o->params.steps ? o->params.steps : 1;
    if (!sy_npy_read(o->table, &npy, error))
        return false;
    uint64_t count = sy_type_count(&npy.type), wanted = (uint64_t)steps * o->params.n_columns;
    j->table = count == wanted ? calloc(count, sizeof *j->table) : NULL;
    if (j->table)
        sy_convert_from_double(SY_F32, npy.data, count, j->table);
    sy_npy_free(&npy);
    return j->table ||
           sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--table %s has %llu values; %u steps of %u columns need %llu",
                   o->table, (unsigned long long)count, steps, o->params.n_columns, (unsigned long long)wanted);
}

static bool write_array(const char *path, const sy_array *array, uint32_t evaluations, sy_error *error)
{
    sy_type type = sy_tensor((sy_dtype)array->type, (int)array->rank, array->dim);
    uint64_t count = sy_type_count(&type), bytes = sy_type_bytes(&type);
    double *values = calloc(count * evaluations, sizeof *values);
    if (!values)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write %s", path);
    for (uint32_t i = 0; i < evaluations; i++)
        sy_convert_to_double(type.dtype, (const uint8_t *)array->data + i * bytes, count, values + i * count);
    if (evaluations > 1 && type.rank < SY_MAX_RANK) {
        int32_t dims[SY_MAX_RANK] = {(int32_t)evaluations};
        memcpy(dims + 1, type.dim, (size_t)type.rank * sizeof *dims);
        type = sy_tensor(type.dtype, type.rank + 1, dims);
    }
    bool ok = sy_npy_write(path, &type, values, error);
    free(values);
    return ok;
}

/* A route as a dense matrix of weights an evaluation. */
static bool write_route(const char *path, const sy_tap_result *t, sy_error *error)
{
    uint64_t count = (uint64_t)t->rows * (uint64_t)t->targets, all = count * t->evaluations;
    sy_type type = SY_T(SY_F32, (int32_t)t->evaluations, t->rows, t->targets);
    double *values = all <= SY_MAX_ELEMENTS ? malloc(all * sizeof *values) : NULL;
    if (!values)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write %s", path);
    for (uint64_t i = 0; i < all; i++)
        values[i] = NAN;
    for (uint32_t k = 0; k < t->evaluations; k++)
        for (uint32_t s = 0; s < t->steps[k].n_slots; s++)
            values[k * count + (uint64_t)t->steps[k].row[s] * (uint64_t)t->targets + (uint64_t)t->steps[k].target[s]] =
                t->steps[k].weight[s];
    bool ok = sy_npy_write(path, &type, values, error);
    free(values);
    return ok;
}

static bool write_one(const job *j, const named *to, sy_error *error)
{
    const sy_graph_result *r = j->result;
    for (uint32_t i = 0; i < r->n_outputs; i++)
        if (!strcmp(r->outputs[i].name, to->name))
            return write_array(to->path, &r->outputs[i], 1, error);
    for (uint32_t i = 0; i < r->n_taps; i++)
        if (!strcmp(r->taps[i].name, to->name))
            return r->taps[i].is_route ? write_route(to->path, &r->taps[i], error)
                                       : write_array(to->path, &r->taps[i].array, r->taps[i].evaluations, error);
    return sy_fail(error, SY_CODE_NOT_FOUND, "the graph has no output \"%s\"; --list shows what it has", to->name);
}

static void list(const job *j)
{
    char text[96];
    const sy_graph_result *r = j->result;
    for (uint32_t i = 0; i < r->n_outputs; i++) {
        sy_type type = sy_tensor((sy_dtype)r->outputs[i].type, (int)r->outputs[i].rank, r->outputs[i].dim);
        printf("output %s %s\n", r->outputs[i].name, sy_type_text(&type, text));
    }
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        sy_type type = t->is_route ? sy_route_type(t->rows, t->targets, 1)
                                   : sy_tensor((sy_dtype)t->array.type, (int)t->array.rank, t->array.dim);
        printf("tap %s %s, %u steps\n", t->name, sy_type_text(&type, text), t->evaluations);
    }
}

static int work(options *o, job *j)
{
    sy_error error = {0};
    for (uint32_t i = 0; i < o->n_in; i++, j->n_inputs++)
        if (!read_array(&o->in[i], &j->inputs[i], &j->data[i], &error))
            return sy_cli_fail(command, "%s", error.message);
    if (o->table && !read_table(o, j, &error))
        return sy_cli_fail(command, "%s", error.message);
    o->params.taps = o->tap_names;
    o->params.columns = o->column_names;
    o->params.table = j->table;
    if (!(j->context = sy_cli_context()))
        return sy_cli_fail(command, "no memory");
    if (sy_graph_run(j->context, o->graph, j->inputs, j->n_inputs, &o->params, &j->result) != SY_OK)
        return sy_cli_fail(command, "%s", sy_context_message(j->context));
    if (o->list)
        list(j);
    for (uint32_t i = 0; !o->list && i < o->n_out; i++)
        if (!write_one(j, &o->out[i], &error))
            return sy_cli_fail(command, "%s", error.message);
    if (o->stats)
        fprintf(stderr, "compiling %.3f s, running %.4f s\n", j->result->compile_seconds, j->result->seconds);
    return SY_EXIT_DONE;
}

int sy_command_run(int argc, char **argv)
{
    options o = {0};
    job j = {0};
    int status;
    if (parse(argc, argv, &o, &status))
        status = work(&o, &j);
    sy_graph_result_destroy(&j.result);
    sy_context_destroy(&j.context);
    for (uint32_t i = 0; i < o.n_in; i++) {
        free(o.in[i].name);
        free(j.data[i]);
    }
    for (uint32_t i = 0; i < o.n_out; i++)
        free(o.out[i].name);
    free(j.table);
    free(o.taps);
    free(o.columns);
    return status;
}
