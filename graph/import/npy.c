/* .npy: a magic number and version, the size of the header, a Python dictionary of three entries as text, the data.
 * The dictionary is read by a scanner that knows exactly this shape and nothing else of Python. Memory is taken
 * only after the file was seen to hold as many bytes as the shape needs. */
#include "graph/import/npy.h"

#include "graph/base/file.h"
#include "graph/ops/eval.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MOST ((size_t)8 << 30)

typedef struct scanner {
    const char *at, *end;
} scanner;

static void space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t'))
        s->at++;
}

static bool accept(scanner *s, char c)
{
    space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* A string in either quotes, without escapes; at most size - 1 bytes. */
static bool string(scanner *s, char *out, size_t size)
{
    char quote = accept(s, '\'') ? '\'' : accept(s, '"') ? '"' : '\0';
    size_t n = 0;
    if (!quote)
        return false;
    while (s->at < s->end && *s->at != quote && n + 1 < size)
        out[n++] = *s->at++;
    out[n] = '\0';
    return accept(s, quote);
}

static bool word(scanner *s, const char *text)
{
    size_t n = strlen(text);
    space(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n))
        return false;
    s->at += n;
    return true;
}

static bool shape(scanner *s, sy_npy_raw *raw)
{
    if (!accept(s, '('))
        return false;
    while (!accept(s, ')')) {
        int64_t dim = -1;
        space(s);
        while (s->at < s->end && *s->at >= '0' && *s->at <= '9' && dim <= INT32_MAX)
            dim = (dim < 0 ? 0 : dim) * 10 + (*s->at++ - '0');
        if (dim < 0 || dim > INT32_MAX || raw->rank == SY_NPY_RANK)
            return false;
        raw->dim[raw->rank++] = dim;
        if (!accept(s, ',') && (space(s), s->at == s->end || *s->at != ')'))
            return false;
    }
    return true;
}

/* What is converted, each into which dtype. */
static const struct descr {
    const char *text;
    uint32_t size;
    sy_dtype dtype;
} descrs[] = {{"<f4", 4, SY_F32}, {"<f8", 8, SY_F32}, {"<f2", 2, SY_F16},
              {"<i4", 4, SY_I32}, {"<i8", 8, SY_I32}, {"<u4", 4, SY_U32}};

static bool header(scanner *s, sy_npy_raw *raw, sy_error *error)
{
    char key[20];
    bool fortran = false, has_shape = false, has_order = false;
    if (!accept(s, '{'))
        return sy_fail(error, SY_CODE_INVALID_FILE, "the header is not a dictionary.");
    while (!accept(s, '}')) {
        bool fine = string(s, key, sizeof key) && accept(s, ':');
        if (fine && !strcmp(key, "descr")) {
            fine = string(s, raw->descr, sizeof raw->descr);
        } else if (fine && !strcmp(key, "fortran_order")) {
            fortran = word(s, "True");
            fine = has_order = fortran || word(s, "False");
        } else if (fine && !strcmp(key, "shape") && !has_shape) {
            fine = has_shape = shape(s, raw);
        } else {
            fine = false;
        }
        if (!fine || (!accept(s, ',') && (space(s), s->at == s->end || *s->at != '}')))
            return sy_fail(error, SY_CODE_INVALID_FILE, "the header is not one of descr, fortran_order and shape.");
    }
    if (fortran || !has_order || !has_shape)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       fortran ? "it is in Fortran order: save a C-contiguous array."
                               : "the header lacks fortran_order or shape.");
    return true;
}

/* Bytes of an element; 0: not one of ours. */
static uint32_t element_bytes(const char *descr)
{
    static const char *const single[] = {"|b1", "|i1", "|u1"};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (!strcmp(descr, single[i]))
            return 1;
    if (descr[0] != '<' || !strchr("fiu", descr[1]) || !descr[1] || !descr[2] || descr[3])
        return 0;
    uint32_t n = (uint32_t)(descr[2] - '0');
    return n == 2 || n == 4 || n == 8 ? n : 0;
}

bool sy_npy_look(const void *bytes, size_t size, sy_npy_raw *out, sy_error *error)
{
    const unsigned char *b = bytes;
    *out = (sy_npy_raw){0};
    if (size < 12 || memcmp(b, "\x93NUMPY", 6) || b[6] < 1 || b[6] > 3)
        return sy_fail(error, SY_CODE_INVALID_FILE, "it is not an .npy file of version 1, 2 or 3.");
    size_t begin = b[6] == 1 ? 10 : 12, length = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - begin)
        return sy_fail(error, SY_CODE_INVALID_FILE, "it ends within its header.");
    scanner s = {(const char *)b + begin, (const char *)b + begin + length};
    if (!header(&s, out, error))
        return false;
    out->element_bytes = element_bytes(out->descr);
    if (!out->element_bytes)
        return sy_fail(error, SY_CODE_INVALID_FILE, "elements are '%s'; little-endian f, i and u of up to 8 bytes are read.",
                       out->descr);
    uint64_t there = size - begin - length;
    out->count = 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        uint64_t dim = (uint64_t)out->dim[i];
        if (dim && out->count > UINT64_MAX / 16 / dim)
            return sy_fail(error, SY_CODE_INVALID_FILE, "its shape has more elements than there are.");
        out->count *= dim;
    }
    if (there != out->count * out->element_bytes)
        return sy_fail(error, SY_CODE_INVALID_FILE, "its shape needs %llu bytes of data, the file has %llu.",
                       (unsigned long long)(out->count * out->element_bytes), (unsigned long long)there);
    out->data = b + begin + length;
    return true;
}

/* The type it has in a graph, and how its elements become that. */
static bool type_of(const sy_npy_raw *raw, sy_type *type, const struct descr **descr, sy_error *error)
{
    for (*descr = descrs; *descr < descrs + sizeof descrs / sizeof *descrs; ++*descr)
        if (!strcmp((*descr)->text, raw->descr))
            break;
    if (*descr == descrs + sizeof descrs / sizeof *descrs)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "elements are '%s'; little-endian f2, f4, f8, i4, i8 and u4 are read.", raw->descr);
    if (raw->rank > SY_MAX_RANK)
        return sy_fail(error, SY_CODE_INVALID_FILE, "the array has %u dimensions; %d are the most.", raw->rank, SY_MAX_RANK);
    *type = (sy_type){.dtype = (*descr)->dtype};
    for (uint32_t i = 0; i < raw->rank; i++)
        type->dim[type->rank++] = (int32_t)raw->dim[i];
    if (!type->rank)
        type->dim[type->rank++] = 1;
    const char *bad = sy_type_wrong(type);
    return !bad || sy_fail(error, SY_CODE_INVALID_FILE, "the array cannot be used: %s.", bad);
}

static bool convert(const struct descr *d, const unsigned char *data, uint64_t count, double *out, sy_error *error)
{
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *p = data + i * d->size;
        union {
            uint16_t f2;
            float f4;
            double f8;
            int32_t i4;
            int64_t i8;
            uint32_t u4;
        } x;
        memcpy(&x, p, d->size);
        switch (d->text[1] * 10 + d->text[2] - '0') {
        case 'f' * 10 + 2:
            out[i] = sy_f16_to_double(x.f2);
            break;
        case 'f' * 10 + 4:
            out[i] = x.f4;
            break;
        case 'f' * 10 + 8:
            out[i] = x.f8;
            break;
        case 'i' * 10 + 4:
            out[i] = x.i4;
            break;
        case 'i' * 10 + 8:
            if (x.i8 < INT32_MIN || x.i8 > INT32_MAX)
                return sy_fail(error, SY_CODE_INVALID_FILE, "element %llu is %lld, which 32 bits cannot hold.",
                               (unsigned long long)i, (long long)x.i8);
            out[i] = (double)x.i8;
            break;
        default:
            out[i] = x.u4;
        }
    }
    return true;
}

bool sy_npy_from_memory(const void *bytes, size_t size, sy_npy *out, sy_error *error)
{
    const struct descr *descr = NULL;
    sy_npy npy = {0};
    sy_npy_raw raw;
    *out = npy;
    if (!sy_npy_look(bytes, size, &raw, error) || !type_of(&raw, &npy.type, &descr, error))
        return false;
    uint64_t count = sy_type_count(&npy.type);
    npy.data = malloc(count * sizeof *npy.data);
    if (!npy.data)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu elements.", (unsigned long long)count);
    if (!convert(descr, raw.data, count, npy.data, error)) {
        free(npy.data);
        return false;
    }
    *out = npy;
    return true;
}

bool sy_npy_read(const char *path, sy_npy *out, sy_error *error)
{
    size_t size;
    *out = (sy_npy){0};
    char *bytes = sy_file_load(path, FILE_MOST, &size, error);
    if (!bytes)
        return false;
    bool fine = sy_npy_from_memory(bytes, size, out, error);
    if (!fine)
        sy_fail_context(error, "%s", path);
    free(bytes);
    return fine;
}

void sy_npy_free(sy_npy *npy)
{
    free(npy->data);
    *npy = (sy_npy){0};
}

/* One element as the bytes of its dtype; false where the dtype cannot hold it. */
static bool element(sy_dtype dtype, double x, unsigned char out[4])
{
    float single = (float)x;
    uint16_t half;
    int32_t i;
    uint32_t u;
    switch (dtype) {
    case SY_F16:
        half = sy_f16_from_double(x);
        memcpy(out, &half, sizeof half);
        return true;
    case SY_I32:
        if (!(x >= INT32_MIN && x <= INT32_MAX))
            return false;
        i = (int32_t)x;
        memcpy(out, &i, sizeof i);
        return true;
    case SY_U32:
        if (!(x >= 0 && x <= UINT32_MAX))
            return false;
        u = (uint32_t)x;
        memcpy(out, &u, sizeof u);
        return true;
    default:
        memcpy(out, &single, sizeof single);
        return true;
    }
}

/* A file with everything before the data. */
static sy_new_file *begin_file(const char *path, const char *descr, const int64_t *dim, uint32_t rank, sy_error *error)
{
    sy_text text = {0};
    sy_text_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (uint32_t i = 0; i < rank; i++)
        sy_text_printf(&text, "%lld,%s", (long long)dim[i], i + 1 < rank ? " " : "");
    sy_text_add(&text, "), }");
    while ((10 + text.size + 1) % 64 && !text.failed)
        sy_text_add(&text, " ");
    sy_text_add(&text, "\n");
    sy_new_file *file = text.failed ? NULL : sy_file_begin(path, error);
    if (text.failed)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the header of \"%s\".", path);
    if (file) {
        unsigned char front[10] = {
            0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)text.size, (unsigned char)(text.size >> 8)};
        sy_file_put(file, front, sizeof front);
        sy_file_put(file, text.data, text.size);
    }
    sy_text_free(&text);
    return file;
}

bool sy_npy_write_raw(const char *path, const sy_npy_raw *raw, sy_error *error)
{
    sy_new_file *file = begin_file(path, raw->descr, raw->dim, raw->rank, error);
    if (!file)
        return false;
    sy_file_put(file, raw->data, raw->count * raw->element_bytes);
    return sy_file_end(&file, true, error);
}

bool sy_npy_write(const char *path, const sy_type *type, const double *data, sy_error *error)
{
    static const char *const names[SY_DTYPE_COUNT] = {
        [SY_F32] = "<f4", [SY_F16] = "<f2", [SY_BF16] = "<f4", [SY_I32] = "<i4", [SY_U32] = "<u4"};
    const char *wrong = type->is_route ? "it is a route" : sy_type_wrong(type);
    int64_t dim[SY_MAX_RANK];
    if (wrong)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" cannot be written: %s.", path, wrong);
    for (int i = 0; i < type->rank; i++)
        dim[i] = type->dim[i];
    sy_new_file *file = begin_file(path, names[type->dtype], dim, (uint32_t)type->rank, error);
    if (!file)
        return false;
    uint64_t count = sy_type_count(type), i = 0;
    unsigned char bytes[4];
    while (i < count && element(type->dtype, data[i], bytes)) {
        sy_file_put(file, bytes, type->dtype == SY_F16 ? 2 : 4);
        i++;
    }
    if (i == count)
        return sy_file_end(&file, true, error);
    sy_file_end(&file, false, NULL);
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\": element %llu, %g, is no %s.", path, (unsigned long long)i,
                   data[i], sy_dtype_name(type->dtype));
}
