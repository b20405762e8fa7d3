/* Models: an open file, its configuration, its words. */
#include "src/api.h"

#include "graph/import/sd_folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROMPTS = 100000 };

static void count_parameters(sy_model *m)
{
    for (uint32_t i = 0; i < sy_safetensors_count(m->file); i++)
        m->info.parameters += sy_safetensors_at(m->file, i)->count;
}

static bool list_words(sy_model *m, sy_error *error)
{
    sy_error none = {0};
    m->vocabulary = sy_vocabulary_from_file(m->file, &none);
    if (none.code != SY_CODE_OK) {
        *error = none;
        return false;
    }
    int32_t n = m->vocabulary ? sy_vocabulary_count(m->vocabulary) : 0;
    if (!m->config.words)
        n = 0;
    const char **words = sy_arena_array(&m->arena, (size_t)n + 1, sizeof *words);
    if (!words)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the vocabulary");
    for (int32_t i = 0; i < n; i++)
        words[i] = sy_vocabulary_word(m->vocabulary, i);
    m->info.words = words;
    m->info.n_words = (uint32_t)n;
    return true;
}

/* Optional and for people only: what cannot be read is no list. */
static bool list_prompts(sy_model *m, sy_error *error)
{
    const char *text = sy_safetensors_metadata(m->file, "switchyard.prompts");
    cJSON *list = text ? cJSON_Parse(text) : NULL;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    n = n > MOST_PROMPTS ? MOST_PROMPTS : n;
    const char **prompts = sy_arena_array(&m->arena, (size_t)n + 1, sizeof *prompts);
    bool ok = prompts != NULL;
    cJSON *item;
    if (ok && n)
        cJSON_ArrayForEach (item, list) {
            if (!cJSON_IsString(item) || m->info.n_prompts == (uint32_t)n)
                continue;
            char *copy = sy_arena_string(&m->arena, item->valuestring);
            ok = ok && copy;
            prompts[m->info.n_prompts++] = copy;
        }
    cJSON_Delete(list);
    m->info.prompts = prompts;
    return ok || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the list of prompts");
}

/* A file, or a folder in the layout of diffusers with its tokenizer. */
static bool open_file(sy_model *m, const char *path, sy_error *error)
{
    bool folder;
    m->file = sy_model_file_open(path, 0, &folder, error);
    if (!m->file || !folder)
        return m->file;
    char *tokenizer = sy_arena_printf(&m->arena, "%s/tokenizer", path);
    if (!tokenizer)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a model");
    m->tokenizer = sy_clip_tokenizer_open(tokenizer, error);
    return m->tokenizer;
}

static bool open_model(sy_model *m, const char *path, sy_error *error)
{
    static const char *const objectives[] = {[SY_OBJECTIVE_DDPM] = "ddpm",
                                             [SY_OBJECTIVE_FLOW] = "flow",
                                             [SY_OBJECTIVE_FLOW_REVERSED] = "flow-reversed",
                                             [SY_OBJECTIVE_EDM] = "edm"};
    sy_network_config *c = &m->config;
    if (!open_file(m, path, error) || !sy_zoo_config_from_file(m->file, c, error))
        return false;
    uint32_t side = (uint32_t)(c->picture_side ? c->picture_side : c->side);
    m->info = (sy_model_info){.path = sy_arena_string(&m->arena, path),
                              .architecture = c->architecture,
                              .width = side,
                              .height = side,
                              .channels = (uint32_t)(c->picture_side ? 3 : c->channels),
                              .latent = c->latent && !c->picture_side,
                              .text = m->tokenizer != NULL,
                              .depth = (uint32_t)c->depth,
                              .mixtures = c->experts ? (uint32_t)(c->interleave ? c->depth / 2 : c->depth) : 0,
                              .experts = (uint32_t)(c->experts + c->extra_experts),
                              .top_k = (uint32_t)c->top_k,
                              .classes = c->words ? 0 : (uint32_t)(c->null_row >= 0 ? c->null_row : c->label_rows),
                              .objective = objectives[c->objective],
                              .default_steps = c->steps > 0 ? (uint32_t)c->steps : 50,
                              .default_guidance = c->guidance > 0 ? c->guidance : 1};
    if (!m->info.path)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a model");
    count_parameters(m);
    return list_words(m, error) && list_prompts(m, error);
}

sy_status sy_model_open(sy_context *context, const char *path, sy_model **model)
{
    sy_error error = {0};
    sy_model *m = calloc(1, sizeof *m);
    *model = m;
    if (!m) {
        sy_fail(&error, SY_CODE_OUT_OF_MEMORY, "no memory for a model");
        return sy_api_done(context, &error);
    }
    m->context = context;
    if (!path)
        sy_fail(&error, SY_CODE_INVALID_ARGUMENT, "no path of a model was given");
    else if (!open_model(m, path, &error))
        sy_fail_context(&error, "%s", path);
    if (error.code != SY_CODE_OK)
        sy_model_destroy(model);
    return sy_api_done(context, &error);
}

void sy_model_destroy(sy_model **model)
{
    sy_model *m = model ? *model : NULL;
    if (!m)
        return;
    sy_vocabulary_destroy(&m->vocabulary);
    sy_clip_tokenizer_destroy(&m->tokenizer);
    sy_safetensors_close(&m->file);
    sy_arena_free(&m->arena);
    free(m);
    *model = NULL;
}

const sy_model_info *sy_model_get_info(const sy_model *model)
{
    return &model->info;
}
