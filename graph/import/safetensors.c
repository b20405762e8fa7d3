/* Reading .safetensors: eight bytes with the size of the header, a JSON object, then the data. What is checked, in
 * this order, before a file is given out:
 *   - the header fits the file and SIZE_MOST, begins with '{', and nests no deeper than its format does;
 *   - every entry has a dtype the format knows, a shape of whole numbers and two offsets;
 *   - elements times their size is what the offsets span, computed without overflow;
 *   - no name is there twice; sorted by offset, each tensor begins where the one before ends, the first at 0 and
 *     the last ends with the file: no overlaps, no holes, nothing past the end.
 * cJSON does the JSON. It recurses by nesting, which is bounded here first, and its memory is a fixed multiple of
 * the header's size. */
#include "graph/import/safetensors.h"

#include "graph/base/nearest.h"
#include "graph/ir/names.h"
#include "graph/ops/eval.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE_MOST = 16 << 20, DEEPEST = 4, PREFIX = 8 };

struct sy_safetensors {
    sy_arena arena;
    sy_stored_tensor *tensors;
    uint64_t *begins; /* of each, in the data part */
    uint32_t n_tensors;
    sy_safetensors_text *metadata;
    uint32_t n_metadata;
    sy_names names; /* 't' tensors, 'm' metadata: index + 1 */
    void *map;
    size_t map_size;
    sy_safetensors **parts; /* of a joined one */
    uint32_t n_parts;
};

/* Bits of an element. */
static const struct dtype_row {
    const char *name;
    uint32_t bits;
    bool readable;
    sy_dtype dtype;
} dtypes[] = {
    {"F32", 32, true, SY_F32},     {"F16", 16, true, SY_F16},     {"BF16", 16, true, SY_BF16},
    {"I32", 32, true, SY_I32},     {"U32", 32, true, SY_U32},     {"F64", 64, false, SY_F32},
    {"I64", 64, false, SY_I32},    {"U64", 64, false, SY_U32},    {"C64", 64, false, SY_F32},
    {"I16", 16, false, SY_I32},    {"U16", 16, false, SY_U32},    {"I8", 8, false, SY_I32},
    {"U8", 8, false, SY_U32},      {"BOOL", 8, false, SY_U32},    {"F8_E4M3", 8, false, SY_F32},
    {"F8_E5M2", 8, false, SY_F32}, {"F8_E8M0", 8, false, SY_F32}, {"F6_E2M3", 6, false, SY_F32},
    {"F6_E3M2", 6, false, SY_F32}, {"F4", 4, false, SY_F32},
};

static bool invalid(sy_error *error, const char *name, const char *what)
{
    return sy_fail(error, SY_CODE_INVALID_FILE, "tensor \"%.200s\": %s.", name, what);
}

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the header of a safetensors file.");
}

/* Brackets outside of strings nest at most DEEPEST deep. Not a check of the JSON, only of what it can make a
 * recursive parser do. */
static bool nests_little(const char *json, size_t size)
{
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        char c = json[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEEPEST)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

/* A whole number from 0 to 2^53, all of which a double holds. */
static bool whole(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9007199254740992.0)
        return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static bool read_shape(const cJSON *shape, sy_stored_tensor *t, uint32_t bits, sy_error *error)
{
    const cJSON *item;
    if (!cJSON_IsArray(shape))
        return invalid(error, t->name, "its shape is not a list");
    t->count = 1;
    cJSON_ArrayForEach (item, shape) {
        uint64_t dim;
        if (t->rank == SY_STORED_RANK)
            return invalid(error, t->name, "it has more than 8 dimensions");
        if (!whole(item, &dim))
            return invalid(error, t->name, "a dimension is not a whole number");
        if (dim && t->count > UINT64_MAX / 64 / dim)
            return invalid(error, t->name, "its shape has more elements than can be");
        t->dim[t->rank++] = (int64_t)dim;
        t->count *= dim;
    }
    if (t->count * bits % 8)
        return invalid(error, t->name, "its elements do not fill whole bytes");
    t->bytes = t->count * bits / 8;
    return true;
}

/* The child of that name of an object; NULL also if it is there twice. */
static const cJSON *only_child(const cJSON *object, const char *name)
{
    const cJSON *found = NULL, *item;
    cJSON_ArrayForEach (item, object) {
        if (strcmp(item->string, name))
            continue;
        if (found)
            return NULL;
        found = item;
    }
    return found;
}

static bool read_tensor(sy_safetensors *file, const cJSON *entry, sy_error *error)
{
    uint32_t index = file->n_tensors;
    sy_stored_tensor *t = &file->tensors[index];
    const struct dtype_row *row = dtypes, *end = dtypes + sizeof dtypes / sizeof *dtypes;
    uint64_t offset[2];
    t->name = sy_arena_string(&file->arena, entry->string);
    if (!t->name)
        return no_memory(error);
    if (!cJSON_IsObject(entry))
        return invalid(error, t->name, "it is not described by an object");
    const cJSON *dtype = only_child(entry, "dtype"), *offsets = only_child(entry, "data_offsets");
    if (!cJSON_IsString(dtype))
        return invalid(error, t->name, "it has no dtype");
    while (row < end && strcmp(row->name, dtype->valuestring))
        row++;
    if (row == end)
        return sy_fail(error, SY_CODE_INVALID_FILE, "tensor \"%.200s\": the dtype \"%.40s\" is not known.", t->name,
                       dtype->valuestring);
    t->dtype_name = row->name;
    t->dtype = row->dtype;
    t->readable = row->readable;
    if (!read_shape(only_child(entry, "shape"), t, row->bits, error))
        return false;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !whole(offsets->child, &offset[0]) ||
        !whole(offsets->child->next, &offset[1]) || offset[1] < offset[0])
        return invalid(error, t->name, "its data_offsets are not two whole numbers in order");
    if (offset[1] - offset[0] != t->bytes)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "tensor \"%.200s\": shape and dtype make %llu bytes, its offsets %llu.", t->name,
                       (unsigned long long)t->bytes, (unsigned long long)(offset[1] - offset[0]));
    file->begins[index] = offset[0];
    uint32_t there = sy_names_put(&file->names, 't', t->name, index + 1);
    if (!there)
        return no_memory(error);
    file->n_tensors++;
    return there == index + 1 || invalid(error, t->name, "it is there twice");
}

static bool read_metadata(sy_safetensors *file, const cJSON *object, sy_error *error)
{
    const cJSON *item;
    if (file->metadata || !cJSON_IsObject(object))
        return sy_fail(error, SY_CODE_INVALID_FILE, "__metadata__ is there twice or is not an object.");
    file->metadata = sy_arena_array(&file->arena, (size_t)cJSON_GetArraySize(object) + 1, sizeof *file->metadata);
    if (!file->metadata)
        return no_memory(error);
    cJSON_ArrayForEach (item, object) {
        sy_safetensors_text *text = &file->metadata[file->n_metadata];
        if (!cJSON_IsString(item))
            return sy_fail(error, SY_CODE_INVALID_FILE, "metadata \"%.200s\" is not a string.", item->string);
        text->key = sy_arena_string(&file->arena, item->string);
        text->value = sy_arena_string(&file->arena, item->valuestring);
        if (!text->key || !text->value || !sy_names_put(&file->names, 'm', text->key, file->n_metadata + 1))
            return no_memory(error);
        file->n_metadata++;
    }
    return true;
}

typedef struct span {
    uint64_t begin, end;
    uint32_t index;
} span;

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Sorted by offset, the tensors fill the data part without gap or overlap; then sets where each one's data is. */
static bool check_spans(sy_safetensors *file, const unsigned char *data, uint64_t size, bool header_only,
                        sy_error *error)
{
    span *spans = sy_arena_array(&file->arena, (size_t)file->n_tensors + 1, sizeof *spans);
    uint64_t end = 0;
    if (!spans)
        return no_memory(error);
    for (uint32_t i = 0; i < file->n_tensors; i++)
        spans[i] = (span){file->begins[i], file->begins[i] + file->tensors[i].bytes, i};
    qsort(spans, file->n_tensors, sizeof *spans, compare_spans);
    for (uint32_t i = 0; i < file->n_tensors; i++) {
        if (spans[i].begin != end)
            return invalid(error, file->tensors[spans[i].index].name,
                           spans[i].begin < end ? "it overlaps another" : "there is a hole before it");
        end = spans[i].end;
    }
    if (header_only && size < end)
        return true;
    if (end != size)
        return sy_fail(error, SY_CODE_INVALID_FILE, "the tensors need %llu bytes of data, the file has %llu.",
                       (unsigned long long)end, (unsigned long long)size);
    for (uint32_t i = 0; i < file->n_tensors; i++)
        file->tensors[i].data = data + file->begins[i];
    return true;
}

static bool read_entries(sy_safetensors *file, const cJSON *root, sy_error *error)
{
    const cJSON *item;
    size_t room = (size_t)cJSON_GetArraySize(root) + 1;
    file->tensors = sy_arena_array(&file->arena, room, sizeof *file->tensors);
    file->begins = sy_arena_array(&file->arena, room, sizeof *file->begins);
    if (!file->tensors || !file->begins)
        return no_memory(error);
    cJSON_ArrayForEach (item, root) {
        bool fine =
            strcmp(item->string, "__metadata__") ? read_tensor(file, item, error) : read_metadata(file, item, error);
        if (!fine)
            return false;
    }
    return true;
}

static bool read_file(sy_safetensors *file, const unsigned char *bytes, uint64_t size, bool header_only,
                      sy_error *error)
{
    uint64_t header = 0;
    if (size < PREFIX)
        return sy_fail(error, SY_CODE_INVALID_FILE, "%llu bytes are too few for a safetensors file.",
                       (unsigned long long)size);
    for (int i = PREFIX - 1; i >= 0; i--)
        header = header << 8 | bytes[i];
    if (header > SIZE_MOST)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "it says its header has %llu bytes; at most %d are read. Is it a safetensors file?",
                       (unsigned long long)header, SIZE_MOST);
    if (header > size - PREFIX)
        return sy_fail(error, SY_CODE_INVALID_FILE, "its header should have %llu bytes, but the file ends after %llu.",
                       (unsigned long long)header, (unsigned long long)(size - PREFIX));
    const char *json = (const char *)bytes + PREFIX, *end = json;
    if (!header || json[0] != '{' || !nests_little(json, header))
        return sy_fail(error, SY_CODE_INVALID_FILE, "its header is not a JSON object of tensors.");
    cJSON *root = cJSON_ParseWithLengthOpts(json, header, &end, 0);
    while (root && end < json + header && *end == ' ')
        end++;
    bool fine = root && cJSON_IsObject(root) && end == json + header;
    if (!fine)
        sy_fail(error, SY_CODE_INVALID_FILE, "its header is not valid JSON near byte %lld.", (long long)(end - json));
    fine = fine && read_entries(file, root, error) &&
           check_spans(file, bytes + PREFIX + header, size - PREFIX - header, header_only, error);
    cJSON_Delete(root);
    return fine;
}

sy_safetensors *sy_safetensors_from_memory(const void *bytes, size_t size, unsigned flags, sy_error *error)
{
    sy_safetensors *file = calloc(1, sizeof *file);
    if (!file) {
        no_memory(error);
        return NULL;
    }
    if (!read_file(file, bytes, size, flags & SY_SAFETENSORS_HEADER_ONLY, error))
        sy_safetensors_close(&file);
    return file;
}

sy_safetensors *sy_safetensors_open(const char *path, unsigned flags, sy_error *error)
{
    struct stat facts;
    sy_safetensors *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts)) {
        sy_fail(error, errno == ENOENT ? SY_CODE_NOT_FOUND : SY_CODE_IO, "cannot open \"%s\": %s.", path,
                strerror(errno));
    } else if (!S_ISREG(facts.st_mode) || facts.st_size <= 0) {
        sy_fail(error, SY_CODE_INVALID_FILE, "\"%s\" is not a file, or is empty.", path);
    } else {
        void *map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            sy_fail(error, SY_CODE_IO, "cannot map \"%s\": %s.", path, strerror(errno));
        else if (!(file = sy_safetensors_from_memory(map, (size_t)facts.st_size, flags, error)))
            munmap(map, (size_t)facts.st_size);
        if (file) {
            file->map = map;
            file->map_size = (size_t)facts.st_size;
        } else {
            sy_fail_context(error, "%s", path);
        }
    }
    if (fd >= 0)
        close(fd);
    return file;
}

static bool join(sy_safetensors *file, const sy_safetensors_text *metadata, uint32_t n_metadata, sy_error *error)
{
    size_t room = 1;
    for (uint32_t i = 0; i < file->n_parts; i++)
        room += file->parts[i]->n_tensors;
    file->tensors = sy_arena_array(&file->arena, room, sizeof *file->tensors);
    file->metadata = sy_arena_array(&file->arena, (size_t)n_metadata + 1, sizeof *file->metadata);
    if (!file->tensors || !file->metadata)
        return no_memory(error);
    for (uint32_t i = 0; i < file->n_parts; i++)
        for (uint32_t k = 0; k < file->parts[i]->n_tensors; k++) {
            sy_stored_tensor *t = &file->tensors[file->n_tensors++];
            *t = file->parts[i]->tensors[k];
            uint32_t there = sy_names_put(&file->names, 't', t->name, file->n_tensors);
            if (!there)
                return no_memory(error);
            if (there != file->n_tensors)
                return invalid(error, t->name, "it is in two of the files that are read together");
        }
    for (uint32_t i = 0; i < n_metadata; i++) {
        sy_safetensors_text *text = &file->metadata[file->n_metadata++];
        text->key = sy_arena_string(&file->arena, metadata[i].key);
        text->value = sy_arena_string(&file->arena, metadata[i].value);
        if (!text->key || !text->value || !sy_names_put(&file->names, 'm', text->key, file->n_metadata))
            return no_memory(error);
    }
    return true;
}

sy_safetensors *sy_safetensors_join(sy_safetensors *const *parts, uint32_t n_parts, const sy_safetensors_text *metadata,
                                    uint32_t n_metadata, sy_error *error)
{
    sy_safetensors *file = calloc(1, sizeof *file);
    sy_safetensors **own = calloc((size_t)n_parts + 1, sizeof *own);
    if (!file || !own) {
        no_memory(error);
        free(file);
        free(own);
        for (uint32_t i = 0; i < n_parts; i++)
            sy_safetensors_close(&(sy_safetensors *){parts[i]});
        return NULL;
    }
    memcpy(own, parts, n_parts * sizeof *own);
    file->parts = own;
    file->n_parts = n_parts;
    if (!join(file, metadata, n_metadata, error))
        sy_safetensors_close(&file);
    return file;
}

void sy_safetensors_close(sy_safetensors **file)
{
    if (!file || !*file)
        return;
    for (uint32_t i = 0; i < (*file)->n_parts; i++)
        sy_safetensors_close(&(*file)->parts[i]);
    free((*file)->parts);
    if ((*file)->map)
        munmap((*file)->map, (*file)->map_size);
    sy_names_free(&(*file)->names);
    sy_arena_free(&(*file)->arena);
    free(*file);
    *file = NULL;
}

uint32_t sy_safetensors_count(const sy_safetensors *file)
{
    return file->n_tensors;
}

const sy_stored_tensor *sy_safetensors_at(const sy_safetensors *file, uint32_t index)
{
    return index < file->n_tensors ? &file->tensors[index] : NULL;
}

const sy_stored_tensor *sy_safetensors_find(const sy_safetensors *file, const char *name)
{
    uint32_t there = sy_names_get(&file->names, 't', name);
    return there ? &file->tensors[there - 1] : NULL;
}

const sy_stored_tensor *sy_safetensors_need(const sy_safetensors *file, const char *name, sy_error *error)
{
    const sy_stored_tensor *t = sy_safetensors_find(file, name);
    if (t)
        return t;
    sy_nearest nearest = {.wanted = name};
    for (uint32_t i = 0; i < file->n_tensors; i++)
        sy_nearest_offer(&nearest, file->tensors[i].name);
    if (nearest.best)
        sy_fail(error, SY_CODE_NOT_FOUND, "no tensor \"%.200s\"; nearest: \"%.200s\".", name, nearest.best);
    else
        sy_fail(error, SY_CODE_NOT_FOUND, "no tensor \"%.200s\" among %u.", name, file->n_tensors);
    return NULL;
}

const char *sy_safetensors_metadata(const sy_safetensors *file, const char *key)
{
    uint32_t there = sy_names_get(&file->names, 'm', key);
    return there ? file->metadata[there - 1].value : NULL;
}

uint32_t sy_safetensors_metadata_count(const sy_safetensors *file)
{
    return file->n_metadata;
}

bool sy_stored_type(const sy_stored_tensor *t, sy_type *type, sy_error *error)
{
    if (!t->readable)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "tensor \"%.200s\" is %s; F32, F16, BF16, I32 and U32 can be used: convert the file.", t->name,
                       t->dtype_name);
    if (t->rank > SY_MAX_RANK)
        return invalid(error, t->name, "it has more than 6 dimensions");
    *type = (sy_type){.dtype = t->dtype, .rank = (uint8_t)t->rank};
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dim[i] > INT32_MAX)
            return invalid(error, t->name, "a dimension is too large");
        type->dim[i] = (int32_t)t->dim[i];
    }
    if (!t->rank)
        type->dim[type->rank++] = 1;
    const char *wrong = sy_type_wrong(type);
    return !wrong || invalid(error, t->name, wrong);
}

bool sy_stored_read(const sy_stored_tensor *t, double *out, uint64_t count, sy_error *error)
{
    const unsigned char *data = t->data;
    if (!t->readable || !data || count != t->count)
        return invalid(error, t->name,
                       !t->readable ? "elements of its dtype cannot be read"
                       : !data      ? "only its header is there"
                                    : "it has another number of elements than wanted");
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half;
        uint32_t word;
        float single;
        if (t->dtype == SY_F16 || t->dtype == SY_BF16) {
            memcpy(&half, data + 2 * i, sizeof half);
            out[i] = t->dtype == SY_F16 ? sy_f16_to_double(half) : sy_bf16_to_double(half);
        } else if (t->dtype == SY_F32) {
            memcpy(&single, data + 4 * i, sizeof single);
            out[i] = single;
        } else {
            memcpy(&word, data + 4 * i, sizeof word);
            out[i] = t->dtype == SY_I32 ? (double)(int32_t)word : word;
        }
    }
    return true;
}
