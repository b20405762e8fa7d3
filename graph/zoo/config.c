/* The configuration of a model file. Names and shapes decide; metadata decides where they cannot, or where it says
 * something else. The file is untrusted: sizes are bounded before anything is built from them, and in the end the
 * network is built once without weights and every parameter it asks for is looked up in the file. */
#include "graph/import/safetensors.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/scedit.h"
#include "graph/zoo/settings.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SIZE = 1 << 24,
    MAX_SIDE = 8192,
    MAX_TOKENS = 1 << 16,
    MAX_WIDTH = 1 << 15,
    MAX_WORDS = 256,
    MAX_TENSORS = 1 << 14
};

/* Heads of the published widths; the same in every network of the family. */
static const struct {
    int32_t width, heads;
} published_heads[] = {{384, 6}, {768, 12}, {1024, 16}, {1152, 16}, {1408, 16}};

bool sy_zoo_has(const struct sy_safetensors *file, const char *format, ...)
{
    char name[256];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(name, sizeof name, format, list);
    va_end(list);
    return n > 0 && n < (int)sizeof name && sy_safetensors_find(file, name);
}

bool sy_zoo_shape(const struct sy_safetensors *file, const char *name, uint32_t rank, int32_t *dims, sy_error *error)
{
    const sy_stored_tensor *tensor = sy_safetensors_need(file, name, error);
    if (!tensor)
        return false;
    if (tensor->rank != rank)
        return sy_fail(error, SY_CODE_INVALID_FILE, "Tensor \"%s\" has %u dimensions; it should have %u.", name,
                       tensor->rank, rank);
    for (uint32_t i = 0; i < rank; i++) {
        if (tensor->dim[i] < 1 || tensor->dim[i] > MAX_SIZE)
            return sy_fail(error, SY_CODE_INVALID_FILE, "Dimension %u of tensor \"%s\" is %lld; 1 to %d are possible.",
                           i, name, (long long)tensor->dim[i], MAX_SIZE);
        dims[i] = (int32_t)tensor->dim[i];
    }
    return true;
}

bool sy_zoo_dtype(const struct sy_safetensors *file, const char *name, sy_dtype *dtype, sy_error *error)
{
    const sy_stored_tensor *tensor = sy_safetensors_need(file, name, error);
    if (!tensor)
        return false;
    if (!tensor->readable || tensor->dtype > SY_BF16)
        return sy_fail(error, SY_CODE_INVALID_FILE, "Tensor \"%s\" is %s; weights must be F32, F16 or BF16.", name,
                       tensor->dtype_name);
    *dtype = tensor->dtype;
    return true;
}

const char *sy_zoo_metadata(const struct sy_safetensors *file, const char *key)
{
    char name[64];
    snprintf(name, sizeof name, "switchyard.%s", key);
    return sy_safetensors_metadata(file, name);
}

bool sy_zoo_metadata_double(const struct sy_safetensors *file, const char *key, double least, double most,
                            double *value, sy_error *error)
{
    const char *text = sy_zoo_metadata(file, key);
    if (!text)
        return true;
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !(x >= least && x <= most))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The metadata switchyard.%s is \"%.40s\"; it must be a number from %g to %g.", key, text, least,
                       most);
    *value = x;
    return true;
}

bool sy_zoo_metadata_int(const struct sy_safetensors *file, const char *key, int32_t least, int32_t most,
                         int32_t *value, sy_error *error)
{
    double x = *value;
    if (!sy_zoo_metadata_double(file, key, least, most, &x, error))
        return false;
    if (sy_zoo_metadata(file, key) && x != floor(x))
        return sy_fail(error, SY_CODE_INVALID_FILE, "The metadata switchyard.%s is %g; it must be a whole number.", key,
                       x);
    *value = (int32_t)x;
    return true;
}

static bool picture_side(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t proj[4], last[2], pos[3];
    if (!sy_zoo_shape(file, "x_embedder.proj.weight", 4, proj, error) ||
        !sy_zoo_shape(file, "final_layer.linear.weight", 2, last, error))
        return false;
    c->width = proj[0];
    c->channels = proj[1];
    c->patch = proj[2];
    if (c->width > MAX_WIDTH || c->patch > 64 || c->channels > 1024 || proj[3] != c->patch)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "x_embedder.proj.weight [%d,%d,%d,%d] is not that of square patches.", (int)proj[0],
                       (int)proj[1], (int)proj[2], (int)proj[3]);
    c->channels_out = last[0] / (c->patch * c->patch);
    if (last[0] != c->channels_out * c->patch * c->patch ||
        (c->channels_out != c->channels && c->channels_out != 2 * c->channels))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "final_layer.linear has %d outputs: neither %d nor %d channels of %d x %d.", (int)last[0],
                       (int)c->channels, (int)(2 * c->channels), (int)c->patch, (int)c->patch);
    c->learn_sigma = c->channels_out == 2 * c->channels;
    c->has_pos_embed = sy_zoo_has(file, "pos_embed");
    if (c->has_pos_embed) {
        if (!sy_zoo_shape(file, "pos_embed", 3, pos, error))
            return false;
        c->side = (int32_t)lround(sqrt(pos[1])) * c->patch;
    }
    if (!sy_zoo_metadata_int(file, "image_size", 1, MAX_SIDE, &c->side, error))
        return false;
    if (!c->side)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The file has no pos_embed, so it cannot be told for which picture size it is; "
                       "give it the metadata switchyard.image_size.");
    int32_t grid = c->side / c->patch;
    if (c->side > MAX_SIDE || grid < 1 || c->side % c->patch || (int64_t)grid * grid > MAX_TOKENS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "A picture of %d x %d in patches of %d is not possible.",
                       (int)c->side, (int)c->side, (int)c->patch);
    if (c->width % 4)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The width is %d; it must be a multiple of 4.", (int)c->width);
    return true;
}

static bool transformer(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    while (c->depth <= SY_ZOO_MAX_DEPTH && sy_zoo_has(file, "blocks.%d.adaLN_modulation.1.weight", (int)c->depth))
        c->depth++;
    if (c->depth < 1 || c->depth > SY_ZOO_MAX_DEPTH)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file has %d blocks; 1 to %d are possible.", (int)c->depth,
                       SY_ZOO_MAX_DEPTH);
    c->attention_names = sy_zoo_has(file, "blocks.0.attn.Wqkv.weight") ? SY_ATTENTION_WQKV
                         : sy_zoo_has(file, "blocks.0.attn.q.weight")  ? SY_ATTENTION_APART
                                                                       : SY_ATTENTION_TIMM;
    c->qk_norm = sy_zoo_has(file, "blocks.0.attn.q_norm.weight");
    c->qk_norm_eps = c->attention_names == SY_ATTENTION_WQKV ? 1e-6 : 1e-5;
    for (size_t i = 0; i < sizeof published_heads / sizeof *published_heads; i++)
        if (published_heads[i].width == c->width)
            c->heads = published_heads[i].heads;
    if (c->qk_norm) {
        int32_t head_width;
        if (!sy_zoo_shape(file, "blocks.0.attn.q_norm.weight", 1, &head_width, error))
            return false;
        c->heads = c->width / head_width;
    }
    if (!sy_zoo_metadata_int(file, "num_heads", 1, c->width, &c->heads, error))
        return false;
    if (!c->heads)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The number of heads cannot be told from the tensors (width %d is none of the "
                       "published ones); give the file the metadata switchyard.num_heads.",
                       (int)c->width);
    if (c->width % c->heads)
        return sy_fail(error, SY_CODE_INVALID_FILE, "A width of %d does not divide into %d heads.", (int)c->width,
                       (int)c->heads);
    return true;
}

bool sy_zoo_configure_label(const struct sy_safetensors *file, int32_t rows, bool null_row, sy_network_config *c,
                            sy_error *error)
{
    sy_error local = {0};
    c->label_rows = rows;
    sy_vocabulary *vocabulary = sy_vocabulary_from_file(file, &local);
    int32_t classes = vocabulary ? sy_vocabulary_count(vocabulary) : null_row ? rows - 1 : rows;
    if (vocabulary)
        c->words = SY_ZOO_WORDS_PER_PROMPT;
    sy_vocabulary_destroy(&vocabulary);
    if (local.code)
        return sy_fail(error, local.code, "%s", local.message);
    if (!sy_zoo_metadata_int(file, "num_classes", 1, MAX_SIZE, &classes, error) ||
        (c->words && !sy_zoo_metadata_int(file, "words_per_prompt", 1, MAX_WORDS, &c->words, error)))
        return false;
    if (classes != c->label_rows && classes != c->label_rows - 1)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The label embedding has %d rows, but there are %d classes or words and one null "
                       "row at most.",
                       (int)c->label_rows, (int)classes);
    c->null_row = classes == c->label_rows ? -1 : c->label_rows - 1;
    return true;
}

/* *value becomes the index of what the metadata says in the list of `count` words; left alone where it says nothing. */
static bool choice(const struct sy_safetensors *file, const char *key, const char *const *words, int count, int *value,
                   sy_error *error)
{
    const char *text = sy_zoo_metadata(file, key);
    char all[96] = "";
    size_t used = 0;
    for (int i = 0; text && i < count; i++) {
        if (!strcmp(text, words[i])) {
            *value = i;
            return true;
        }
        used += (size_t)snprintf(all + used, sizeof all - used, "%s\"%s\"", i ? ", " : "", words[i]);
    }
    return !text || sy_fail(error, SY_CODE_INVALID_FILE,
                            "The metadata switchyard.%s is \"%.40s\"; it must be one of %s.", key, text, all);
}

/* What the metadata says of sampling; goes over what the network's configure has set. */
static bool sampling(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    static const char *const objectives[] = {"ddpm", "flow", "flow-reversed", "edm"};
    static const char *const betas[] = {"linear", "scaled-linear", "cosine"};
    static const char *const spacings[] = {"own", "leading"};
    int objective = c->objective, schedule = c->betas, leading = c->leading_steps;
    int32_t clip = c->clip, last_is_first = c->last_is_first;
    if (!choice(file, "objective", objectives, 4, &objective, error) ||
        !choice(file, "betas", betas, 3, &schedule, error) || !choice(file, "spacing", spacings, 2, &leading, error) ||
        !sy_zoo_metadata_int(file, "last_is_first", 0, 1, &last_is_first, error) ||
        !sy_zoo_metadata_int(file, "clip", 0, 1, &clip, error))
        return false;
    c->objective = (sy_objective)objective;
    c->betas = (sy_betas)schedule;
    c->clip = clip;
    c->leading_steps = leading;
    c->last_is_first = last_is_first;
    return sy_zoo_metadata_double(file, "time_scale", 1e-6, 1e6, &c->time_scale, error) &&
           sy_zoo_metadata_int(file, "guided_channels", 0, c->channels_out, &c->guided_channels, error) &&
           sy_zoo_metadata_double(file, "guidance", 0, 1000, &c->guidance, error) &&
           sy_zoo_metadata_int(file, "steps", 1, 1000, &c->steps, error);
}

/* A file can claim many experts with the shape of one tensor: what it claims must be there before a graph is built. */
static bool mixtures(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    uint32_t tensors = sy_safetensors_count(file);
    if (tensors > MAX_TENSORS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file has %u tensors; networks have at most %d.", tensors,
                       MAX_TENSORS);
    if (!c->experts)
        return true;
    int64_t layers = c->interleave ? c->depth / 2 : c->depth;
    if (2 * layers * (c->experts + c->extra_experts) > tensors)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The file's %u tensors cannot be %d experts in each of %d blocks.",
                       tensors, (int)(c->experts + c->extra_experts), (int)layers);
    if (!sy_zoo_metadata_int(file, "top_k", 1, SY_ZOO_MAX_EXPERTS, &c->top_k, error))
        return false;
    if (c->experts + c->extra_experts > SY_ZOO_MAX_EXPERTS || c->top_k > c->experts)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "%d of %d experts a token is not possible (at most %d experts are).", (int)c->top_k,
                       (int)c->experts, SY_ZOO_MAX_EXPERTS);
    return true;
}

/* "dit, dit-moe …": every name of both registries, for messages. */
static void list_networks(char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (const sy_network *n = sy_zoo_networks; n->name && used < room; n++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", n->name);
    for (const sy_graph_network *n = sy_zoo_graph_networks; n->name && used < room; n++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", n->name);
}

static const sy_network *network_of(const struct sy_safetensors *file, sy_error *error)
{
    const char *name = sy_zoo_metadata(file, "architecture");
    const sy_network *network = name ? sy_zoo_find(name) : sy_zoo_networks;
    while (!name && network->name && !(network->recognise && network->recognise(file)))
        network++;
    if (network && network->name)
        return network;
    char known[512]; /* as many as a message holds */
    list_networks(known, sizeof known);
    if (sy_zoo_graph_network_of(file))
        sy_fail(error, SY_CODE_INVALID_FILE,
                "The file's network, %s, makes no pictures out of noise; `switchyard run` runs it.", name);
    else if (name)
        sy_fail(error, SY_CODE_INVALID_FILE,
                "The file's network is \"%.40s\", which the zoo does not have. The networks: %s.", name, known);
    else
        sy_fail(
            error, SY_CODE_INVALID_FILE,
            "The tensor names are those of no network in the zoo, and no metadata switchyard.architecture names one. "
            "tools/convert/checkpoint.py makes such files of PyTorch's. The networks: %s.",
            known);
    return NULL;
}

bool sy_zoo_configure_dtype(const struct sy_safetensors *file, const char *name, sy_network_config *c, sy_error *error)
{
    return sy_zoo_dtype(file, name, &c->dtype, error);
}

bool sy_zoo_configure_space(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    const char *space = sy_zoo_metadata(file, "space");
    if (space && strcmp(space, "latent") && strcmp(space, "pixel"))
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The metadata switchyard.space is \"%.40s\"; it must be \"latent\" or \"pixel\".", space);
    c->latent = space ? !strcmp(space, "latent") : c->channels == 4;
    return true;
}

bool sy_zoo_configure_shell(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    int32_t table[2];
    c->variants = 1u << SY_VARIANT_ACTIVE | 1u << SY_VARIANT_REFRESH;
    return picture_side(file, c, error) && transformer(file, c, error) &&
           sy_zoo_shape(file, "y_embedder.embedding_table.weight", 2, table, error) &&
           sy_zoo_configure_label(file, table[0], true, c, error) && sy_zoo_configure_space(file, c, error) &&
           sy_zoo_configure_dtype(file, "x_embedder.proj.weight", c, error);
}

bool sy_zoo_configure_end(const struct sy_safetensors *file, sy_network_config *c, sy_error *error)
{
    return mixtures(file, c, error) && sampling(file, c, error);
}

static sy_zoo_inputs declare_inputs(sy_graph *g, const sy_network_config *c, int32_t batch)
{
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, batch, c->channels, c->side, c->side)),
                        .time = sy_input(g, "time", SY_T(SY_F32, batch))};
    if (c->label_rows)
        in.label = sy_input(g, "label", c->words ? SY_T(SY_I32, batch, c->words) : SY_T(SY_I32, batch));
    if (c->words)
        in.label_weights = sy_input(g, "label_weights", SY_T(SY_F32, batch, c->words));
    if (c->context_tokens)
        in.context = sy_input(g, "context", SY_T(SY_F32, batch, c->context_tokens, c->context_width));
    if (c->context_tokens && sy_setting_text(c, "nag"))
        in.negative_context = sy_input(g, "negative_context", SY_T(SY_F32, batch, c->context_tokens, c->context_width));
    if (sy_scedit_wants_hint(c->file))
        in.hint = sy_input(g, "hint", SY_T(SY_F32, batch, 3, 8 * c->side, 8 * c->side));
    if (c->step_size)
        in.step_size = sy_input(g, "step_size", SY_T(SY_F32, batch));
    return in;
}

/* Builds the network and holds every parameter it has against the file. NULL on error. */
static sy_graph *build_denoiser(const sy_network_config *c, int32_t batch, sy_error *error)
{
    sy_graph *g = sy_graph_create(c->architecture);
    if (!g) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a graph.");
        return NULL;
    }
    sy_zoo_inputs in = declare_inputs(g, c, batch);
    sy_output(g, "output", sy_zoo_build(g, c, &in));
    if (!sy_graph_check(g, error) || !sy_zoo_check_file(g, c->file, error))
        sy_graph_destroy(&g);
    return g;
}

bool sy_zoo_config_from_file(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    const sy_network *network = network_of(file, error);
    if (!network)
        return false;
    sy_network_config c = {.file = file};
    snprintf(c.architecture, sizeof c.architecture, "%s", network->name);
    if (!network->configure(file, &c, error))
        return false;
    sy_graph *g = build_denoiser(&c, 1, error);
    if (!g)
        return false;
    sy_graph_destroy(&g);
    *config = c;
    return true;
}

const sy_graph_network *sy_zoo_graph_network_of(const struct sy_safetensors *file)
{
    const char *name = sy_zoo_metadata(file, "architecture");
    for (const sy_graph_network *network = sy_zoo_graph_networks; name && network->name; network++)
        if (!strcmp(network->name, name))
            return network;
    return NULL;
}

sy_graph *sy_zoo_file_graph(const struct sy_safetensors *file, int32_t batch, sy_error *error)
{
    const sy_graph_network *network = sy_zoo_graph_network_of(file);
    if (!network) {
        sy_network_config config;
        return sy_zoo_config_from_file(file, &config, error) ? build_denoiser(&config, batch, error) : NULL;
    }
    sy_graph *g = sy_graph_create(network->name);
    if (!g) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a graph.");
        return NULL;
    }
    if (!network->build(g, file, batch, error) || !sy_graph_check(g, error) || !sy_zoo_check_file(g, file, error)) {
        sy_graph_check(g, error);
        sy_graph_destroy(&g);
    }
    return g;
}

bool sy_zoo_check_file(const sy_graph *graph, const struct sy_safetensors *file, sy_error *error)
{
    char wanted[96], found[96];
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        const sy_node *n = &graph->nodes[v];
        if (n->op != SY_OP_PARAM)
            continue;
        const sy_stored_tensor *stored = sy_safetensors_need(file, n->name, error);
        sy_type type;
        if (!stored || !sy_stored_type(stored, &type, error))
            return false;
        if (!sy_type_equal(&type, &n->type))
            return sy_fail(error, SY_CODE_INVALID_FILE, "Tensor \"%s\" is %s; it should be %s.", n->name,
                           sy_type_text(&type, found), sy_type_text(&n->type, wanted));
    }
    return true;
}
