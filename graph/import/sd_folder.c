/* See the header. A network's weights are one file (NAME.safetensors, or NAME.fp16.safetensors) or several with an
 * index, NAME.safetensors.index.json, whose "weight_map" says which file has which tensor. Options of a configuration
 * that change what is computed are checked against the one value that is built; options that are not known are not
 * looked at. */
#include "graph/import/sd_folder.h"

#include "graph/base/file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_JSON = 16 << 20, MAX_PATH = 4096, MAX_PARTS = 64, MAX_FACTS = 32, FACT = 96 };

typedef struct folder {
    const char *path;
    sy_safetensors *parts[MAX_PARTS];
    uint32_t n_parts, n_facts;
    char key[MAX_FACTS][FACT], value[MAX_FACTS][FACT];
} folder;

static bool join_path(char out[MAX_PATH], const char *a, const char *b, const char *c, sy_error *error)
{
    int n = snprintf(out, MAX_PATH, "%s/%s%s%s", a, b, *c ? "/" : "", c);
    return (n > 0 && n < MAX_PATH) || sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the path \"%.80s…\" is too long", a);
}

/* The object in a JSON file of the folder. NULL on error. */
static cJSON *read_json(const folder *f, const char *part, const char *name, sy_error *error)
{
    char path[MAX_PATH];
    size_t size;
    if (!join_path(path, f->path, part, name, error))
        return NULL;
    char *text = sy_file_load(path, MAX_JSON, &size, error);
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    if (text && !cJSON_IsObject(json)) {
        sy_fail(error, SY_CODE_INVALID_FILE, "%s/%s is not a JSON object.", part, name);
        cJSON_Delete(json);
        json = NULL;
    }
    free(text);
    return json;
}

static bool say(folder *f, const char *key, const char *value, sy_error *error)
{
    if (f->n_facts == MAX_FACTS)
        return sy_fail(error, SY_CODE_INTERNAL, "a folder has more than %d facts", MAX_FACTS);
    snprintf(f->key[f->n_facts], FACT, "switchyard.%s", key);
    snprintf(f->value[f->n_facts++], FACT, "%s", value);
    return true;
}

/* A number of a configuration becomes metadata; a list of them becomes the setting `list`, where that is not NULL. */
static bool take_number(folder *f, const cJSON *json, const char *name, const char *key, const char *list,
                        sy_error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name), *each;
    char text[FACT] = "";
    size_t used = 0;
    if (!item || cJSON_IsNull(item))
        return true;
    if (cJSON_IsNumber(item)) {
        snprintf(text, sizeof text, "%.9g", item->valuedouble);
        return say(f, key, text, error);
    }
    if (!cJSON_IsArray(item) || !list)
        return sy_fail(error, SY_CODE_INVALID_FILE, "\"%s\" in a config.json is not a number.", name);
    cJSON_ArrayForEach (each, item)
        if (cJSON_IsNumber(each) && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.9g", used ? "," : "", each->valuedouble);
    return used < sizeof text ? say(f, list, text, error)
                              : sy_fail(error, SY_CODE_INVALID_FILE, "\"%s\" in a config.json is too long.", name);
}

/* What is said of an option must be what is built; absent is fine. */
static bool must_be(const cJSON *json, const char *where, const char *name, const char *wanted, sy_error *error)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    char text[FACT] = "something else";
    if (!item)
        return true;
    if (cJSON_IsString(item))
        snprintf(text, sizeof text, "%s", item->valuestring);
    else if (cJSON_IsNumber(item))
        snprintf(text, sizeof text, "%.9g", item->valuedouble);
    else if (cJSON_IsBool(item) || cJSON_IsNull(item))
        snprintf(text, sizeof text, "%s", cJSON_IsNull(item) ? "null" : cJSON_IsTrue(item) ? "true" : "false");
    return !strcmp(text, wanted) ||
           sy_fail(error, SY_CODE_INVALID_FILE,
                   "%s: \"%s\" is %.40s; only %s is known here, so pictures would come out wrong.", where, name, text,
                   wanted);
}

typedef struct option {
    const char *name, *value;
} option;

static bool must_be_all(const cJSON *json, const char *where, const option *options, sy_error *error)
{
    for (; options->name; options++)
        if (!must_be(json, where, options->name, options->value, error))
            return false;
    return true;
}

/* ---- weights ---- */

static bool open_part(folder *f, const char *part, const char *name, sy_error *error)
{
    char path[MAX_PATH];
    if (f->n_parts == MAX_PARTS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "the folder has more than %d files of weights.", MAX_PARTS);
    if (!join_path(path, f->path, part, name, error))
        return false;
    sy_safetensors *file = sy_safetensors_open(path, 0, error);
    if (file)
        f->parts[f->n_parts++] = file;
    return file;
}

/* Every file that the index names, once. Names are of files in the same folder. */
static bool open_index(folder *f, const char *part, const char *name, sy_error *error)
{
    const char *files[MAX_PARTS];
    uint32_t n = 0;
    cJSON *json = read_json(f, part, name, error);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map"), *item;
    bool ok = json && (cJSON_IsObject(map) ||
                       sy_fail(error, SY_CODE_INVALID_FILE, "%s/%s has no object \"weight_map\".", part, name));
    if (ok)
        cJSON_ArrayForEach (item, map) {
            uint32_t i = 0;
            if (!cJSON_IsString(item) || !*item->valuestring || strchr(item->valuestring, '/')) {
                ok = sy_fail(error, SY_CODE_INVALID_FILE, "%s/%s: the file of \"%.60s\" is no file's name.", part, name,
                             item->string);
                break;
            }
            while (i < n && strcmp(files[i], item->valuestring))
                i++;
            if (i < n)
                continue;
            if (n == MAX_PARTS || !open_part(f, part, item->valuestring, error)) {
                ok = sy_fail(error, SY_CODE_INVALID_FILE, "%s/%s names more than %d files.", part, name, MAX_PARTS);
                break;
            }
            files[n++] = item->valuestring;
        }
    cJSON_Delete(json);
    return ok;
}

static bool open_weights(folder *f, const char *part, const char *stem, sy_error *error)
{
    static const char *const endings[] = {".safetensors", ".safetensors.index.json", ".fp16.safetensors"};
    char path[MAX_PATH], name[FACT];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", stem, endings[i]);
        if (!join_path(path, f->path, part, name, error))
            return false;
        if (!access(path, F_OK))
            return i == 1 ? open_index(f, part, name, error) : open_part(f, part, name, error);
    }
    return sy_fail(error, SY_CODE_NOT_FOUND,
                   "the folder has no %s/%s.safetensors; weights in other forms (.bin) must be converted first", part,
                   stem);
}

/* ---- configurations ---- */

static bool read_unet(folder *f, sy_error *error)
{
    static const option options[] = {{"act_fn", "silu"},
                                     {"center_input_sample", "false"},
                                     {"flip_sin_to_cos", "true"},
                                     {"freq_shift", "0"},
                                     {"addition_embed_type", "null"},
                                     {"class_embed_type", "null"},
                                     {"time_embedding_type", "positional"},
                                     {"resnet_time_scale_shift", "default"},
                                     {"mid_block_scale_factor", "1"},
                                     {"norm_eps", "1e-05"},
                                     {NULL, NULL}};
    cJSON *json = read_json(f, "unet", "config.json", error);
    bool ok = json && must_be_all(json, "unet/config.json", options, error) &&
              take_number(f, json, "sample_size", "image_size", NULL, error) &&
              take_number(f, json, "norm_num_groups", "norm_groups", NULL, error) &&
              take_number(f, json, "attention_head_dim", "num_heads", "heads", error);
    cJSON_Delete(json);
    return ok && open_weights(f, "unet", "diffusion_pytorch_model", error);
}

static bool read_vae(folder *f, sy_error *error)
{
    static const option options[] = {{"act_fn", "silu"}, {"shift_factor", "null"}, {NULL, NULL}};
    cJSON *json = read_json(f, "vae", "config.json", error);
    bool ok = json && must_be_all(json, "vae/config.json", options, error) &&
              take_number(f, json, "scaling_factor", "vae.scaling_factor", NULL, error) &&
              take_number(f, json, "norm_num_groups", "vae.norm_groups", NULL, error);
    cJSON_Delete(json);
    return ok && open_weights(f, "vae", "diffusion_pytorch_model", error);
}

static bool read_text(folder *f, sy_error *error)
{
    cJSON *json = read_json(f, "text_encoder", "config.json", error);
    const cJSON *activation = cJSON_GetObjectItemCaseSensitive(json, "hidden_act");
    bool ok = json && must_be(json, "text_encoder/config.json", "layer_norm_eps", "1e-05", error) &&
              take_number(f, json, "num_attention_heads", "text.heads", NULL, error) &&
              take_number(f, json, "max_position_embeddings", "context_tokens", NULL, error);
    if (ok && cJSON_IsString(activation))
        ok = say(f, "text.activation", activation->valuestring, error);
    cJSON_Delete(json);
    return ok && open_weights(f, "text_encoder", "model", error);
}

/* Whichever scheduler it names, the noise levels it was trained with are what matters; the sampler is the caller's. */
static bool read_scheduler(folder *f, sy_error *error)
{
    static const option options[] = {{"prediction_type", "epsilon"}, {"num_train_timesteps", "1000"},
                                     {"trained_betas", "null"},      {"clip_sample", "false"},
                                     {"thresholding", "false"},      {"beta_schedule", "scaled_linear"},
                                     {"beta_start", "0.00085"},      {"beta_end", "0.012"},
                                     {"steps_offset", "1"},          {NULL, NULL}};
    cJSON *json = read_json(f, "scheduler", "scheduler_config.json", error);
    const cJSON *to_one = cJSON_GetObjectItemCaseSensitive(json, "set_alpha_to_one");
    bool ok = json && must_be_all(json, "scheduler/scheduler_config.json", options, error) &&
              say(f, "betas", "scaled-linear", error) && say(f, "spacing", "leading", error) &&
              say(f, "last_is_first", cJSON_IsTrue(to_one) ? "0" : "1", error);
    cJSON_Delete(json);
    return ok;
}

sy_safetensors *sy_sd_folder_open(const char *path, sy_error *error)
{
    folder *f = calloc(1, sizeof *f);
    sy_safetensors *file = NULL;
    sy_safetensors_text facts[MAX_FACTS];
    if (!f) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a folder of models");
        return NULL;
    }
    f->path = path;
    cJSON *index = read_json(f, "model_index.json", "", error);
    if (!index)
        sy_fail_context(error, "a folder must have the layout of diffusers");
    bool ok = index && say(f, "architecture", "sd-unet", error) && read_unet(f, error) && read_vae(f, error) &&
              read_text(f, error) && read_scheduler(f, error);
    cJSON_Delete(index);
    for (uint32_t i = 0; i < f->n_facts; i++)
        facts[i] = (sy_safetensors_text){f->key[i], f->value[i]};
    if (ok)
        file = sy_safetensors_join(f->parts, f->n_parts, facts, f->n_facts, error);
    else
        for (uint32_t i = 0; i < f->n_parts; i++)
            sy_safetensors_close(&f->parts[i]);
    free(f);
    return file;
}

sy_safetensors *sy_model_file_open(const char *path, unsigned flags, bool *is_folder, sy_error *error)
{
    struct stat facts;
    bool found = !stat(path, &facts) && S_ISDIR(facts.st_mode);
    if (is_folder)
        *is_folder = found;
    return found ? sy_sd_folder_open(path, error) : sy_safetensors_open(path, flags, error);
}
