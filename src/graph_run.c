/* Running a graph in the text form, or the network of a model file, on named arrays. */
#include "src/api.h"
#include "src/run/recording.h"
#include "src/run/convert.h"
#include "src/run/session_private.h" /* sy_seconds */

#include "graph/base/file.h"
#include "graph/base/nearest.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_GRAPH_BYTES = 256 << 20 };

typedef struct owned_result {
    sy_graph_result result; /* first: the public pointer is to this */
    sy_arena arena;
} owned_result;

/* What one call makes and gives back. */
typedef struct work {
    sy_graph *graph;
    sy_safetensors *weights;
    sy_program *program;
    sy_session *session;
} work;

static const sy_array *find_input(const sy_array *inputs, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (inputs[i].name && !strcmp(inputs[i].name, name))
            return &inputs[i];
    return NULL;
}

static bool is_integer(sy_dtype dtype)
{
    return dtype == SY_I32 || dtype == SY_U32;
}

static bool give(const work *w, const sy_io *io, const sy_array *array, sy_error *error)
{
    char text[96], given[96];
    if (!array)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the graph's input \"%s\" %s was not given", io->name,
                       sy_type_text(&io->type, text));
    if (array->rank > SY_MAX_RANK || (unsigned)array->type > SY_ARRAY_U32 || !array->data)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "array \"%s\" has no such rank or type, or no data", io->name);
    sy_type type = sy_tensor((sy_dtype)array->type, (int)array->rank, array->dim);
    bool same = type.rank == io->type.rank && is_integer(type.dtype) == is_integer(io->type.dtype);
    for (int i = 0; same && i < type.rank; i++)
        same = type.dim[i] == io->type.dim[i];
    if (!same)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "input \"%s\" is %s; %s was given", io->name,
                       sy_type_text(&io->type, text), sy_type_text(&type, given));
    uint64_t count = sy_type_count(&io->type), bytes = sy_type_bytes(&io->type);
    if (array->bytes < count * (type.dtype == SY_F16 || type.dtype == SY_BF16 ? 2 : 4))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "array \"%s\" has %llu bytes, too few for %s", io->name,
                       (unsigned long long)array->bytes, sy_type_text(&type, given));
    double *numbers = calloc(count, sizeof *numbers);
    void *stored = calloc(1, bytes);
    bool ok = numbers && stored ? true : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for input \"%s\"", io->name);
    if (ok) {
        sy_convert_to_double(type.dtype, array->data, count, numbers);
        sy_convert_from_double(io->type.dtype, numbers, count, stored);
        ok = sy_session_write(w->session, io->name, stored, bytes, error);
    }
    free(numbers);
    free(stored);
    return ok;
}

static bool check_names(const sy_program *program, const sy_array *inputs, uint32_t n_inputs, sy_error *error)
{
    for (uint32_t i = 0; i < n_inputs; i++) {
        bool known = false;
        sy_nearest nearest = {.wanted = inputs[i].name ? inputs[i].name : ""};
        for (uint32_t k = 0; k < program->n_inputs; k++) {
            known = known || !strcmp(program->inputs[k].name, nearest.wanted);
            sy_nearest_offer(&nearest, program->inputs[k].name);
        }
        if (!known)
            return sy_fail(error, SY_CODE_NOT_FOUND, "the graph has no input \"%s\" that its results depend on%s%s%s",
                           nearest.wanted, nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                           nearest.best ? "\"?" : "");
    }
    return true;
}

static bool is_model(const char *path)
{
    size_t n = strlen(path);
    return n > 12 && !strcmp(path + n - 12, ".safetensors");
}

static bool load(work *w, const char *path, const sy_graph_params *p, sy_error *error)
{
    bool model = is_model(path);
    if (model && p->weights)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a model file has its own weights; %s is one too many",
                       p->weights);
    if (!model && p->batch)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "a graph in the text form says itself how many samples it takes");
    if (p->batch > INT16_MAX)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%u samples at a time are too many", p->batch);
    const char *weights = model ? path : p->weights;
    if (weights && !(w->weights = sy_safetensors_open(weights, 0, error)))
        return sy_fail_context(error, "%s", weights);
    if (model) {
        w->graph = sy_zoo_file_graph(w->weights, p->batch ? (int32_t)p->batch : 1, error);
    } else {
        size_t size;
        char *text = sy_file_load(path, MOST_GRAPH_BYTES, &size, error);
        w->graph = text ? sy_graph_parse(text, size, error) : NULL;
        free(text);
    }
    return w->graph || sy_fail_context(error, "%s", path);
}

static bool prepare(sy_context *c, work *w, const char *path, const sy_graph_params *p, sy_graph_result *result,
                    sy_error *error)
{
    char name[300];
    sy_vk_device *device;
    double start = sy_seconds();
    if (!load(w, path, p, error))
        return false;
    sy_compile_params compile = {.step_columns = p->columns,
                                 .n_step_columns = p->n_columns,
                                 .max_steps = p->steps,
                                 .taps = p->taps,
                                 .n_taps = p->n_taps};
    if (!sy_api_device(c, p->device, &device, name, sizeof name, error) ||
        !sy_api_compile(c, device, w->graph, &compile, &w->program, error))
        return false;
    sy_session_params session = {.device = device,
                                 .step = w->program,
                                 .weights = w->weights,
                                 .table = p->table,
                                 .columns = p->columns,
                                 .n_columns = p->n_columns,
                                 .n_steps = p->steps,
                                 .cache_directory = c->cache_directory};
    w->session = sy_session_create(&session, error);
    result->compile_seconds = sy_seconds() - start;
    return w->session != NULL;
}

static bool collect(const work *w, owned_result *owned, sy_error *error)
{
    sy_session_result r;
    sy_array *outputs = sy_arena_array(&owned->arena, (size_t)w->program->n_outputs + 1, sizeof *outputs);
    if (!outputs)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the outputs");
    owned->result.outputs = outputs;
    for (uint32_t i = 0; sy_session_output(w->session, i, &r); i++)
        if (!r.step_bytes && !sy_api_array(&r, &owned->arena, &outputs[owned->result.n_outputs++], error))
            return false;
    return sy_api_taps(w->session, 0, &owned->arena, &owned->result.taps, &owned->result.n_taps, error);
}

static bool run(sy_context *c, work *w, const char *path, const sy_array *inputs, uint32_t n_inputs,
                const sy_graph_params *p, owned_result *owned, sy_error *error)
{
    if (!prepare(c, w, path, p, &owned->result, error) || !check_names(w->program, inputs, n_inputs, error))
        return false;
    for (uint32_t i = 0; i < w->program->n_inputs; i++)
        if (!give(w, &w->program->inputs[i], find_input(inputs, n_inputs, w->program->inputs[i].name), error))
            return false;
    if (p->record && !sy_session_record(w->session, p->record_step, path, p->record, error))
        return false;
    if (!sy_session_run(w->session, NULL, NULL, error))
        return false;
    owned->result.seconds = sy_session_get_stats(w->session)->run_seconds;
    return collect(w, owned, error);
}

sy_status sy_graph_run(sy_context *context, const char *path, const sy_array *inputs, uint32_t n_inputs,
                       const sy_graph_params *params, sy_graph_result **result)
{
    static const sy_graph_params defaults;
    sy_error error = {0};
    work w = {0};
    owned_result *owned = calloc(1, sizeof *owned);
    *result = NULL;
    if (!owned) {
        sy_fail(&error, SY_CODE_OUT_OF_MEMORY, "no memory to run a graph");
        return sy_api_done(context, &error);
    }
    *result = &owned->result;
    bool ok = run(context, &w, path, inputs, n_inputs, params ? params : &defaults, owned, &error);
    sy_session_destroy(&w.session);
    sy_program_destroy(&w.program);
    sy_safetensors_close(&w.weights);
    sy_graph_destroy(&w.graph);
    if (!ok)
        sy_graph_result_destroy(result);
    return sy_api_done(context, &error);
}

void sy_graph_result_destroy(sy_graph_result **result)
{
    owned_result *owned = result ? (owned_result *)(void *)*result : NULL;
    if (!owned)
        return;
    sy_arena arena = owned->arena;
    sy_arena_free(&arena);
    free(owned);
    *result = NULL;
}
