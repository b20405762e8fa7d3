/* See target.h. Graphs get inputs of noise (integers: zeros) and, where no file has their parameters, weights of noise of the
 * size that trained ones have: how long a dispatch takes depends on shapes and on routes, hardly on values. */
#include "src/profile/target.h"

#include "graph/base/file.h"
#include "graph/import/sd_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_GRAPH_BYTES = 256 << 20, MOST_SETTINGS = 80 };

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
}

static void noise(float *out, uint64_t n, uint32_t state, float size)
{
    for (uint64_t k = 0; k < n; k++) {
        state = state * 1664525u + 1013904223u;
        out[k] = size * ((float)(state >> 8) / 8388608.0f - 1.0f);
    }
}

/* A file in memory with every parameter of the graph, as f32. */
static bool make_weights(sy_profile_target *t, sy_error *error)
{
    sy_text head = {0};
    uint64_t size = 0;
    for (sy_value v = 1; v < t->graph->n_nodes; v++) {
        const sy_node *node = &t->graph->nodes[v];
        if (node->op != SY_OP_PARAM)
            continue;
        sy_text_printf(&head, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", size ? "," : "{", node->name);
        for (int d = 0; d < node->type.rank; d++)
            sy_text_printf(&head, "%s%d", d ? "," : "", node->type.dim[d]);
        uint64_t bytes = 4 * sy_type_count(&node->type);
        sy_text_printf(&head, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)size, (unsigned long long)(size + bytes));
        size += bytes;
    }
    if (!size)
        return true;
    sy_text_add(&head, "}");
    while (head.size % 8)
        sy_text_add(&head, " ");
    uint64_t length = head.size;
    char *file = t->made = head.failed ? NULL : malloc(8 + length + size);
    if (file) {
        memcpy(file, &length, 8);
        memcpy(file + 8, head.data, length);
        noise((float *)(void *)(file + 8 + length), size / 4, 777, 0.0625f);
        t->weights = sy_safetensors_from_memory(file, 8 + length + size, 0, error);
    }
    sy_text_free(&head);
    return t->weights || (file ? false : no_memory(error));
}

static bool write_inputs(sy_profile_target *t, sy_error *error)
{
    for (uint32_t i = 0; i < t->program->n_inputs; i++) {
        const sy_io *io = &t->program->inputs[i];
        uint64_t n = sy_type_count(&io->type), bytes = sy_type_bytes(&io->type);
        uint32_t *data = calloc(1, bytes + 4);
        if (!data)
            return no_memory(error);
        if (io->type.dtype == SY_F32)
            noise((float *)(void *)data, n, 12345 + i, 1);
        bool ok = sy_session_write(t->own, io->name, data, bytes, error);
        free(data);
        if (!ok)
            return false;
    }
    return true;
}

static bool is_model(const char *path)
{
    struct stat facts;
    size_t n = strlen(path);
    return (n > 12 && !strcmp(path + n - 12, ".safetensors")) || (!stat(path, &facts) && S_ISDIR(facts.st_mode));
}

static bool load_graph(sy_profile_target *t, const char *path, const sy_profile_params *p, sy_error *error)
{
    const char *weights = is_model(path) ? path : p->weights;
    if (weights && !t->weights && !(t->weights = sy_safetensors_open(weights, 0, error)))
        return sy_fail_context(error, "%s", weights);
    if (is_model(path)) {
        t->graph = sy_zoo_file_graph(t->weights, p->batch ? (int32_t)p->batch : 1, error);
    } else {
        size_t size;
        char *text = sy_file_load(path, MOST_GRAPH_BYTES, &size, error);
        t->graph = text ? sy_graph_parse(text, size, error) : NULL;
        free(text);
    }
    if (!t->graph)
        return sy_fail_context(error, "%s", path);
    return t->weights || make_weights(t, error);
}

static bool open_graph(sy_context *c, const char *path, const sy_profile_params *p, sy_profile_target *t, sy_error *error)
{
    const char *device = p->pipeline ? p->pipeline->device : NULL;
    uint32_t steps = p->pipeline && p->pipeline->steps ? p->pipeline->steps : 1;
    sy_compile_params compile = {.max_steps = steps, .half = p->pipeline && p->pipeline->precision == SY_PRECISION_F16};
    if (!sy_api_device(c, device, &t->device, t->device_name, sizeof t->device_name, error) || !load_graph(t, path, p, error))
        return false;
    if (!sy_api_compile(c, t->device, t->graph, &compile, &t->program, error))
        return sy_fail_context(error, "%s", path);
    sy_session_params session = {.device = t->device,
                                 .step = t->program,
                                 .weights = t->weights,
                                 .n_steps = steps,
                                 .cache_directory = c->cache_directory};
    if (!(t->own = sy_session_create(&session, error)) || !write_inputs(t, error))
        return false;
    t->session = t->own;
    t->programs[0] = t->program;
    t->names[0] = "step";
    t->n_programs = 1;
    t->n_schedule = steps;
    return sy_session_run(t->session, NULL, NULL, error);
}

/* The first run writes the pipeline's inputs. */
static bool generate(sy_context *c, sy_profile_target *t, const sy_profile_params *p, sy_error *error)
{
    const sy_model_info *info = sy_model_get_info(t->model);
    const char *prompt = p->prompt ? p->prompt : info->n_prompts ? info->prompts[0] : info->n_words ? info->words[0] : "";
    int32_t label = p->label;
    sy_generate_params g = {.seed = p->seed};
    sy_result *result = NULL;
    if (info->classes)
        g.labels = &label, g.n_labels = 1;
    else
        g.prompts = &prompt, g.n_prompts = 1;
    if (sy_generate(t->pipeline, &g, &result) != SY_OK) {
        *error = c->error;
        return false;
    }
    sy_result_destroy(&result);
    return true;
}

static void name_programs(sy_profile_target *t)
{
    static const char *const variants[SY_VARIANT_COUNT] = {"full", "cached", "active", "refresh", ""};
    const sy_sampling *s = &t->pipeline->sampling;
    t->n_programs = s->n_programs;
    t->schedule = s->schedule;
    t->n_schedule = s->n_schedule;
    for (uint32_t i = 0; i < s->n_programs; i++) {
        const sy_sampling_program *program = &s->programs[i];
        t->programs[i] = t->pipeline->programs[i];
        if (program->network)
            snprintf(t->name[i], sizeof t->name[i], "%s%s", variants[program->variant], program->guided ? ", guided" : "");
        else
            snprintf(t->name[i], sizeof t->name[i], "no network %u", i);
        t->names[i] = t->name[i];
    }
}

static bool open_model(sy_context *c, const char *path, const sy_profile_params *p, sy_profile_target *t, sy_error *error)
{
    sy_pipeline_params params = p->pipeline ? *p->pipeline : (sy_pipeline_params){0};
    params.timings = false; /* observed instead */
    if (!sy_api_device(c, params.device, &t->device, t->device_name, sizeof t->device_name, error))
        return false;
    if (!t->device)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator is no device that could be profiled: name another");
    if (sy_model_open(c, path, &t->model) != SY_OK || sy_pipeline_create(t->model, &params, &t->pipeline) != SY_OK) {
        *error = c->error;
        return false;
    }
    t->session = t->pipeline->session;
    name_programs(t);
    return generate(c, t, p, error);
}

static bool is_sampled(const char *path, const sy_profile_params *p, bool *yes, sy_error *error)
{
    *yes = false;
    if (!is_model(path) || p->batch)
        return true;
    sy_safetensors *file = sy_model_file_open(path, SY_SAFETENSORS_HEADER_ONLY, NULL, error);
    if (!file)
        return sy_fail_context(error, "%s", path);
    *yes = !sy_zoo_graph_network_of(file);
    sy_safetensors_close(&file);
    return true;
}

/* Settings that decide what is computed, as text. */
static void add(sy_profile_report *r, sy_profile_setting *list, const char *name, const char *value)
{
    if (r->n_settings < MOST_SETTINGS && value && *value)
        list[r->n_settings++] = (sy_profile_setting){sy_arena_string(&r->arena, name), value};
}

static bool list_settings(const sy_profile_target *t, const sy_profile_params *p, sy_profile_report *r, sy_error *error)
{
    sy_profile_setting *list = sy_arena_array(&r->arena, MOST_SETTINGS, sizeof *list);
    if (!list)
        return no_memory(error);
    r->settings = list;
    if (!t->pipeline) {
        add(r, list, "steps", sy_arena_printf(&r->arena, "%u", t->n_schedule));
        add(r, list, "batch", p->batch ? sy_arena_printf(&r->arena, "%u", p->batch) : NULL);
        return true;
    }
    const sy_pipeline_info *info = sy_pipeline_get_info(t->pipeline);
    add(r, list, "count", sy_arena_printf(&r->arena, "%u", info->count));
    add(r, list, "steps", sy_arena_printf(&r->arena, "%u", info->steps));
    add(r, list, "sampler", sy_arena_string(&r->arena, info->sampler));
    add(r, list, "guidance", sy_arena_printf(&r->arena, "%g", info->guidance));
    add(r, list, "precision", info->precision == SY_PRECISION_F16 ? "f16" : "f32");
    for (uint32_t i = 0; p->pipeline && i < p->pipeline->n_settings; i++)
        add(r, list, p->pipeline->settings[i].name, sy_arena_string(&r->arena, p->pipeline->settings[i].value));
    return true;
}

bool sy_profile_target_open(sy_context *c, const char *path, const sy_profile_params *p, sy_profile_target *t,
                            sy_profile_report *r, sy_error *error)
{
    bool sampled;
    r->target = sy_arena_string(&r->arena, path);
    if (!r->target)
        return no_memory(error);
    if (!is_sampled(path, p, &sampled, error))
        return false;
    r->what = sampled ? "model" : "graph";
    if (sampled ? !open_model(c, path, p, t, error) : !open_graph(c, path, p, t, error))
        return false;
    if (!t->device)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator is no device that could be profiled: name another");
    return list_settings(t, p, r, error);
}

void sy_profile_target_close(sy_profile_target *t)
{
    sy_session_destroy(&t->own);
    sy_program_destroy(&t->program);
    sy_safetensors_close(&t->weights);
    free(t->made);
    sy_graph_destroy(&t->graph);
    sy_pipeline_destroy(&t->pipeline);
    sy_model_destroy(&t->model);
    *t = (sy_profile_target){0};
}
