#include "src/profile/array.h"

#include "graph/base/file.h"
#include "graph/base/number.h"
#include "graph/import/npy.h"
#include "graph/ops/eval.h"
#include "graph/ops/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text, *descr;
    uint32_t bytes;
} elements[] = {
#define X(name, text, bytes, descr) {text, descr, bytes},
    SY_ELEMENT_LIST(X)
#undef X
};
static const uint64_t MOST_BYTES = UINT64_C(1) << 36;

const char *sy_element_text(sy_element element)
{
    return elements[element].text;
}

void sy_raw_array_free(sy_raw_array *array)
{
    free(array->data);
    *array = (sy_raw_array){0};
}

double sy_element_get(sy_element element, const void *at)
{
    union {
        float f4;
        double f8;
        uint16_t u2;
        int16_t i2;
        uint8_t u1;
        int8_t i1;
        uint32_t u4;
        int32_t i4;
        uint64_t u8;
        int64_t i8;
    } x;
    memcpy(&x, at, elements[element].bytes);
    switch (element) {
    case SY_ELEMENT_F32:
        return x.f4;
    case SY_ELEMENT_F16:
        return sy_f16_to_double(x.u2);
    case SY_ELEMENT_BF16:
        x.u4 = (uint32_t)x.u2 << 16;
        return x.f4;
    case SY_ELEMENT_F64:
        return x.f8;
    case SY_ELEMENT_I32:
        return x.i4;
    case SY_ELEMENT_U32:
        return x.u4;
    case SY_ELEMENT_I16:
        return x.i2;
    case SY_ELEMENT_U16:
        return x.u2;
    case SY_ELEMENT_I8:
        return x.i1;
    case SY_ELEMENT_U8:
        return x.u1;
    case SY_ELEMENT_I64:
        return (double)x.i8;
    default:
        return (double)x.u8;
    }
}

/* Rounded to nearest, ties to even, as devices do it. */
static uint16_t bf16(double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, 4);
    if (isnan(single))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

bool sy_element_put(sy_element element, double value, void *at)
{
    static const double least[SY_ELEMENTS] = {[SY_ELEMENT_I32] = -0x1p31, [SY_ELEMENT_I16] = -0x1p15, [SY_ELEMENT_I8] = -0x1p7, [SY_ELEMENT_I64] = -0x1p63};
    static const double past[SY_ELEMENTS] = {[SY_ELEMENT_I32] = 0x1p31, [SY_ELEMENT_U32] = 0x1p32, [SY_ELEMENT_I16] = 0x1p15, [SY_ELEMENT_U16] = 0x1p16,
                                             [SY_ELEMENT_I8] = 0x1p7,   [SY_ELEMENT_U8] = 0x1p8,   [SY_ELEMENT_I64] = 0x1p63, [SY_ELEMENT_U64] = 0x1p64};
    float single = (float)value;
    uint16_t half;
    switch (element) {
    case SY_ELEMENT_F32:
        memcpy(at, &single, 4);
        return true;
    case SY_ELEMENT_F64:
        memcpy(at, &value, 8);
        return true;
    case SY_ELEMENT_F16:
    case SY_ELEMENT_BF16:
        half = element == SY_ELEMENT_F16 ? sy_f16_from_double(value) : bf16(value);
        memcpy(at, &half, 2);
        return true;
    default:
        break;
    }
    if (!(value >= least[element] && value < past[element]) || value != floor(value))
        return false;
    uint64_t whole = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
    memcpy(at, &whole, elements[element].bytes); /* little endian, as everything here */
    return true;
}

static bool take(sy_raw_array *a, sy_error *error)
{
    a->count = 1;
    for (uint32_t i = 0; i < a->rank; i++) {
        if (a->dim[i] < 1 || a->count > MOST_BYTES / (uint64_t)a->dim[i])
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a dimension is below 1, or all of them together are too many");
        a->count *= (uint64_t)a->dim[i];
    }
    a->bytes = a->count * elements[a->element].bytes;
    a->data = calloc(1, (a->bytes + 3) & ~UINT64_C(3));
    return a->data || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %.1f MiB", (double)a->bytes / 1048576);
}

static bool load(const char *path, sy_raw_array *a, sy_error *error)
{
    size_t size;
    sy_npy_raw raw;
    char *bytes = sy_file_load(path, (size_t)MOST_BYTES, &size, error);
    bool ok = bytes && sy_npy_look(bytes, size, &raw, error);
    if (bytes && !ok)
        sy_fail_context(error, "%s", path);
    const char *descr = ok && !strcmp(raw.descr, "|b1") ? "|u1" : raw.descr;
    for (a->element = 0; ok && a->element < SY_ELEMENTS; a->element++)
        if (!strcmp(elements[a->element].descr, descr))
            break;
    for (uint32_t i = 0; ok && i < raw.rank; i++)
        a->dim[i] = raw.dim[i];
    if (ok)
        a->rank = raw.rank;
    ok = ok && (take(a, error) || sy_fail_context(error, "%s", path));
    if (ok)
        memcpy(a->data, raw.data, a->bytes);
    free(bytes);
    return ok;
}

static const char grammar[] = "takes FILE.npy, or TYPE[SHAPE] with a filling: f32[64,128]:uniform:1 "
                              "(types f32 f16 bf16 f64 i32 u32 i16 u16 i8 u8 i64 u64; fillings zeros, ones, iota, uniform, normal, numbers)";

static bool random_fill(sy_raw_array *a, bool normal, uint32_t seed)
{
    uint32_t key[2] = {seed, 0x5348}, words[4];
    for (uint64_t i = 0; i < a->count; i++) {
        double values[4];
        if (i % 4 == 0) {
            uint32_t counter[4] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), 0, 0};
            sy_philox(counter, key, words);
        }
        if (normal)
            sy_philox_normals(words, values);
        double x = normal ? values[i % 4] : ((words[i % 4] >> 9) + 0.5) * 0x1p-23;
        if (a->element >= SY_ELEMENT_I32) /* whole numbers: 0 to 127 */
            x = (double)(words[i % 4] & 127);
        sy_element_put(a->element, x, a->data + i * elements[a->element].bytes);
    }
    return true;
}

/* Numbers separated by commas, again and again. */
static bool list_fill(const char *text, sy_raw_array *a, sy_error *error)
{
    uint32_t bytes = elements[a->element].bytes;
    uint64_t n = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        double value;
        if (!sy_number_read(at, length, &value) || n == a->count)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" is no filling, and no list of at most %llu numbers", text, (unsigned long long)a->count);
        if (!sy_element_put(a->element, value, a->data + n++ * bytes))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%.*s is no %s", (int)length, at, elements[a->element].text);
        at += length;
        if (!*at)
            break;
    }
    for (uint64_t i = n; i < a->count; i++)
        memcpy(a->data + i * bytes, a->data + (i - n) * bytes, bytes);
    return true;
}

static bool fill(const char *text, sy_raw_array *a, sy_error *error)
{
    size_t word = strcspn(text, ":");
    double seed = 0;
    bool uniform = !strncmp(text, "uniform", word) && word == 7, normal = !strncmp(text, "normal", word) && word == 6;
    if (uniform || normal) {
        if (text[word] && (!sy_number_read(text + word + 1, strlen(text + word + 1), &seed) || seed < 0 || seed > UINT32_MAX || seed != floor(seed)))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" is no seed; it is a whole number of 32 bits", text + word + 1);
        return random_fill(a, normal, (uint32_t)seed);
    }
    if (!strcmp(text, "zeros"))
        return true;
    if (!strcmp(text, "ones"))
        return list_fill("1", a, error);
    if (strcmp(text, "iota"))
        return list_fill(text, a, error);
    for (uint64_t i = 0; i < a->count; i++)
        if (!sy_element_put(a->element, (double)i, a->data + i * elements[a->element].bytes))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "iota of %llu elements does not fit %s", (unsigned long long)a->count, elements[a->element].text);
    return true;
}

bool sy_raw_array_make(const char *text, sy_raw_array *a, sy_error *error)
{
    size_t n = strlen(text), word = strcspn(text, "[");
    *a = (sy_raw_array){0};
    if (n > 4 && !strcmp(text + n - 4, ".npy"))
        return load(text, a, error);
    for (a->element = 0; a->element < SY_ELEMENTS; a->element++)
        if (strlen(elements[a->element].text) == word && !strncmp(elements[a->element].text, text, word))
            break;
    if (a->element == SY_ELEMENTS || text[word] != '[')
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%.100s\": it %s", text, grammar);
    const char *at = text + word;
    do {
        char *after;
        long long dim = at[1] >= '0' && at[1] <= '9' ? strtoll(at + 1, &after, 10) : -1;
        if (dim < 1 || a->rank == 8)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%.100s\": its shape is not up to 8 numbers in brackets; it %s", text, grammar);
        a->dim[a->rank++] = dim;
        at = after;
    } while (*at == ',');
    if (*at != ']' || (at[1] && at[1] != ':'))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%.100s\": it %s", text, grammar);
    if (take(a, error) && (!at[1] || fill(at + 2, a, error)))
        return true;
    sy_raw_array_free(a);
    return sy_fail_context(error, "\"%.100s\"", text);
}

bool sy_raw_array_write(const char *path, const sy_raw_array *a, sy_error *error)
{
    sy_npy_raw raw = {.element_bytes = elements[a->element].bytes, .rank = a->rank, .count = a->count, .data = a->data};
    uint32_t *wide = NULL;
    strcpy(raw.descr, elements[a->element].descr);
    memcpy(raw.dim, a->dim, sizeof raw.dim);
    if (a->element == SY_ELEMENT_BF16) {
        wide = calloc(a->count, sizeof *wide);
        if (!wide)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write \"%s\"", path);
        for (uint64_t i = 0; i < a->count; i++)
            wide[i] = (uint32_t)(a->data[2 * i] | a->data[2 * i + 1] << 8) << 16;
        raw.element_bytes = 4;
        raw.data = wide;
    }
    bool ok = sy_npy_write_raw(path, &raw, error);
    free(wide);
    return ok;
}

bool sy_raw_array_compare(const sy_raw_array *got, const sy_raw_array *wanted, sy_array_difference *out, sy_error *error)
{
    *out = (sy_array_difference){0};
    if (got->count != wanted->count)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "it has %llu elements; %llu are wanted", (unsigned long long)got->count,
                       (unsigned long long)wanted->count);
    for (uint64_t i = 0; i < got->count; i++) {
        double g = sy_element_get(got->element, got->data + i * elements[got->element].bytes);
        double w = sy_element_get(wanted->element, wanted->data + i * elements[wanted->element].bytes);
        double scale = fabs(w) > 1 ? fabs(w) : 1;
        if (g == w || (isnan(g) && isnan(w)))
            continue;
        double difference = isfinite(g) && isfinite(w) ? fabs(g - w) / scale : INFINITY;
        if (!out->n_unequal++ || difference > out->greatest)
            *out = (sy_array_difference){difference, g, w, i, out->n_unequal};
    }
    return true;
}
