/* Reading recordings. Numbers become integers through one function that refuses what is none; names of tensors are
 * looked up in a file whose spans are checked already; SPIR-V is validated before it is looked at. */
#include "src/run/recording.h"

#include "graph/emit/spirv.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BUFFERS = 4096, MOST_KERNELS = 4096, MOST_DISPATCHES = 65536, MOST_RESULTS = 4096 };

static bool wrong(sy_error *error, const char *what)
{
    return sy_fail(error, SY_CODE_INVALID_FILE, "the recording is not sound: %s", what);
}

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a recording");
}

/* A whole number from 0 to most. */
static bool number(const cJSON *item, uint64_t most, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 0x1p53 || item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (uint64_t)item->valuedouble;
    return *out <= most;
}

static bool field(const cJSON *object, const char *name, uint64_t most, uint64_t *out)
{
    return number(cJSON_GetObjectItemCaseSensitive(object, name), most, out);
}

/* `n` whole numbers in a list. */
static bool numbers(const cJSON *list, uint32_t n, uint64_t most, uint64_t *out)
{
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != (int)n)
        return false;
    const cJSON *item = list->child;
    for (uint32_t i = 0; i < n; i++, item = item->next)
        if (!number(item, most, &out[i]))
            return false;
    return true;
}

static const char *string(sy_recording *r, const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? sy_arena_string(&r->arena, item->valuestring) : NULL;
}

/* Work and rates are for people: whatever is no number is unknown. */
static double amount(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 && isfinite(item->valuedouble) ? item->valuedouble : 0;
}

static const sy_stored_tensor *tensor(const sy_recording *r, const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    const sy_stored_tensor *t = cJSON_IsString(item) ? sy_safetensors_find(r->file, item->valuestring) : NULL;
    return t && t->readable && t->dtype == SY_U32 && t->data ? t : NULL;
}

/* A list of objects; *n of them. */
static const cJSON *list_of(const cJSON *root, const char *name, uint32_t most, uint32_t *n)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, name);
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    *n = count < 0 || (uint32_t)count > most ? 0 : (uint32_t)count;
    return count < 0 || (uint32_t)count > most ? NULL : list;
}

static bool read_buffers(sy_recording *r, const cJSON *root, sy_error *error)
{
    const cJSON *list = list_of(root, "buffers", MOST_BUFFERS, &r->work.n_buffers), *item = list ? list->child : NULL;
    sy_work_buffer *out = sy_arena_array(&r->arena, (size_t)r->work.n_buffers + 1, sizeof *out);
    if (!out)
        return no_memory(error);
    for (uint32_t i = 0; i < r->work.n_buffers; i++, item = item->next) {
        const sy_stored_tensor *before = tensor(r, item, "before");
        out[i].name = string(r, item, "name");
        if (!out[i].name || !field(item, "bytes", UINT64_C(1) << 40, &out[i].bytes) || !out[i].bytes || out[i].bytes % 4)
            return wrong(error, "a buffer without a name or a size");
        if (cJSON_GetObjectItemCaseSensitive(item, "before") && (!before || before->bytes != out[i].bytes))
            return wrong(error, "a buffer's content is not there, or of another size");
        out[i].data = before ? before->data : NULL;
    }
    r->work.buffers = out;
    return list || wrong(error, "it has no list of buffers");
}

static bool read_kernels(sy_recording *r, const cJSON *root, sy_error *error)
{
    const cJSON *list = list_of(root, "kernels", MOST_KERNELS, &r->work.n_kernels), *item = list ? list->child : NULL;
    sy_work_kernel *out = sy_arena_array(&r->arena, (size_t)r->work.n_kernels + 1, sizeof *out);
    r->shaders = sy_arena_array(&r->arena, (size_t)r->work.n_kernels + 1, sizeof *r->shaders);
    if (!out || !r->shaders)
        return no_memory(error);
    for (uint32_t i = 0; i < r->work.n_kernels; i++, item = item->next) {
        const sy_stored_tensor *spirv = tensor(r, item, "spirv");
        const char *name = string(r, item, "name");
        uint32_t *words = spirv ? sy_arena_alloc(&r->arena, spirv->bytes + 4) : NULL;
        if (!spirv || !name)
            return wrong(error, "a kernel without a name or SPIR-V");
        if (!words)
            return no_memory(error);
        memcpy(words, spirv->data, spirv->bytes);
        out[i] = (sy_work_kernel){.name = name, .spirv = words, .n_words = spirv->bytes / 4};
        if (!sy_spirv_validate(name, words, out[i].n_words, error) || !(r->shaders[i] = sy_shader_reflect(words, out[i].n_words, error)))
            return sy_fail_context(error, "kernel %u", i);
        out[i].shader = r->shaders[i];
    }
    r->work.kernels = out;
    return list || wrong(error, "it has no list of kernels");
}

static bool read_bindings(sy_recording *r, const cJSON *object, sy_work_dispatch *x, sy_error *error)
{
    const cJSON *list = list_of(object, "bindings", SY_WORK_BINDINGS, &x->n_bindings), *item = list ? list->child : NULL;
    sy_work_binding *out = sy_arena_array(&r->arena, (size_t)x->n_bindings + 1, sizeof *out);
    uint64_t n[4];
    if (!out)
        return no_memory(error);
    for (uint32_t i = 0; i < x->n_bindings; i++, item = item->next) {
        if (!numbers(item, 4, UINT64_C(1) << 48, n) || n[0] > UINT32_MAX || n[1] >= r->work.n_buffers)
            return wrong(error, "a binding is not four numbers, of which the second is a buffer");
        out[i] = (sy_work_binding){.binding = (uint32_t)n[0], .buffer = (uint32_t)n[1], .offset = n[2], .bytes = n[3]};
    }
    x->bindings = out;
    return list || wrong(error, "a dispatch has no list of bindings");
}

static bool read_dispatch(sy_recording *r, const cJSON *item, sy_work_dispatch *x, sy_error *error)
{
    const cJSON *push = cJSON_GetObjectItemCaseSensitive(item, "push"), *indirect = cJSON_GetObjectItemCaseSensitive(item, "indirect");
    uint64_t words[SY_WORK_PUSH / 4], groups[3], at[2], kernel;
    int n = cJSON_IsArray(push) ? cJSON_GetArraySize(push) : -1;
    x->label = string(r, item, "label");
    if (!x->label || !field(item, "kernel", UINT32_MAX, &kernel) || kernel >= r->work.n_kernels)
        return wrong(error, "a dispatch without a label or a kernel");
    if (n < 0 || n > SY_WORK_PUSH / 4 || !numbers(push, (uint32_t)n, UINT32_MAX, words))
        return wrong(error, "a dispatch's push constants are no list of words");
    if (!numbers(cJSON_GetObjectItemCaseSensitive(item, "groups"), 3, UINT32_MAX, groups))
        return wrong(error, "a dispatch's workgroups are not three numbers");
    if (indirect && (!numbers(indirect, 2, UINT64_C(1) << 48, at) || at[0] >= r->work.n_buffers))
        return wrong(error, "a dispatch is sized by something that is no buffer");
    x->kernel = (uint32_t)kernel;
    x->push_bytes = 4 * (uint32_t)n;
    for (int i = 0; i < n; i++) {
        uint32_t word = (uint32_t)words[i];
        memcpy(x->push + 4 * i, &word, 4);
    }
    for (int i = 0; i < 3; i++)
        x->groups[i] = (uint32_t)groups[i];
    if (indirect) {
        x->indirect = true;
        x->indirect_buffer = (uint32_t)at[0];
        x->indirect_offset = at[1];
    }
    x->barrier = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "barrier"));
    return read_bindings(r, item, x, error);
}

static bool read_dispatches(sy_recording *r, const cJSON *root, sy_error *error)
{
    const cJSON *list = list_of(root, "dispatches", MOST_DISPATCHES, &r->work.n_dispatches), *item = list ? list->child : NULL;
    size_t n = (size_t)r->work.n_dispatches + 1;
    sy_work_dispatch *out = sy_arena_array(&r->arena, n, sizeof *out);
    double *flops = sy_arena_array(&r->arena, n, sizeof *flops), *bytes = sy_arena_array(&r->arena, n, sizeof *bytes);
    if (!out || !flops || !bytes)
        return no_memory(error);
    for (uint32_t i = 0; i < r->work.n_dispatches; i++, item = item->next) {
        flops[i] = amount(item, "flops");
        bytes[i] = amount(item, "bytes");
        if (!read_dispatch(r, item, &out[i], error))
            return sy_fail_context(error, "dispatch %u", i);
    }
    r->work.dispatches = out;
    r->flops = flops;
    r->bytes = bytes;
    return list || wrong(error, "it has no list of dispatches");
}

static bool read_result(sy_recording *r, const cJSON *item, sy_recording_result *x, sy_error *error)
{
    const sy_stored_tensor *after = tensor(r, item, "after");
    const char *type = string(r, item, "type");
    uint64_t buffer;
    x->name = string(r, item, "name");
    for (x->dtype = 0; type && x->dtype < SY_DTYPE_COUNT; x->dtype++)
        if (!strcmp(sy_dtype_name(x->dtype), type))
            break;
    if (!x->name || !type || x->dtype == SY_DTYPE_COUNT || !after)
        return wrong(error, "a result without a name, a type or content");
    if (!field(item, "buffer", UINT32_MAX, &buffer) || buffer >= r->work.n_buffers || !field(item, "offset", UINT64_C(1) << 48, &x->offset) ||
        !field(item, "bytes", UINT64_C(1) << 48, &x->bytes))
        return wrong(error, "a result is in no buffer");
    uint64_t size = r->work.buffers[buffer].bytes, element = x->dtype == SY_F16 || x->dtype == SY_BF16 ? 2 : 4;
    if (!x->bytes || x->bytes % element || x->offset > size || x->bytes > size - x->offset || after->bytes < x->bytes)
        return wrong(error, "a result leaves its buffer, or its content is too short");
    x->buffer = (uint32_t)buffer;
    x->after = after->data;
    return true;
}

static bool read_results(sy_recording *r, const cJSON *root, sy_error *error)
{
    const cJSON *list = list_of(root, "results", MOST_RESULTS, &r->n_results), *item = list ? list->child : NULL;
    sy_recording_result *out = sy_arena_array(&r->arena, (size_t)r->n_results + 1, sizeof *out);
    if (!out)
        return no_memory(error);
    for (uint32_t i = 0; i < r->n_results; i++, item = item->next)
        if (!read_result(r, item, &out[i], error))
            return false;
    r->results = out;
    return list || wrong(error, "it has no list of results");
}

static bool read_all(sy_recording *r, const cJSON *root, sy_error *error)
{
    uint64_t version, step = 0;
    if (!field(root, "version", UINT32_MAX, &version))
        return wrong(error, "it has no version");
    if (version != SY_RECORDING_VERSION)
        return sy_fail(error, SY_CODE_INVALID_FILE, "the recording is of version %llu; this Switchyard reads version %d: record it anew.",
                       (unsigned long long)version, SY_RECORDING_VERSION);
    field(root, "step", UINT32_MAX, &step);
    r->step = (uint32_t)step;
    const char **texts[] = {&r->made_by, &r->device, &r->driver, &r->what};
    static const char *const names[] = {"made_by", "device", "driver", "what"};
    for (int i = 0; i < 4; i++)
        if (!(*texts[i] = string(r, root, names[i])))
            *texts[i] = "";
    return read_buffers(r, root, error) && read_kernels(r, root, error) && read_dispatches(r, root, error) && read_results(r, root, error);
}

static sy_recording *read_file(sy_safetensors *file, sy_error *error)
{
    sy_recording *r = file ? calloc(1, sizeof *r) : NULL;
    const char *text = r ? sy_safetensors_metadata(file, "switchyard.recording") : NULL;
    if (!r) {
        if (file)
            no_memory(error);
        sy_safetensors_close(&file);
        return NULL;
    }
    r->file = file;
    cJSON *root = text ? cJSON_Parse(text) : NULL;
    bool ok = text    ? root ? read_all(r, root, error) : wrong(error, "its description is no JSON")
                      : sy_fail(error, SY_CODE_INVALID_FILE, "it is no recording: switchyard run, generate and profile make them with --record.");
    cJSON_Delete(root);
    if (!ok)
        sy_recording_close(&r);
    return r;
}

sy_recording *sy_recording_open(const char *path, sy_error *error)
{
    sy_recording *r = read_file(sy_safetensors_open(path, 0, error), error);
    if (!r)
        sy_fail_context(error, "%s", path);
    return r;
}

sy_recording *sy_recording_from_memory(const void *bytes, size_t size, sy_error *error)
{
    return read_file(sy_safetensors_from_memory(bytes, size, 0, error), error);
}

void sy_recording_close(sy_recording **recording)
{
    sy_recording *r = *recording;
    *recording = NULL;
    if (!r)
        return;
    for (uint32_t i = 0; r->shaders && i < r->work.n_kernels; i++)
        sy_shader_destroy(&r->shaders[i]);
    sy_safetensors_close(&r->file);
    sy_arena arena = r->arena;
    sy_arena_free(&arena);
    free(r);
}
