/* Arrays for shaders of a user's own: any element type a buffer may hold, generated or from .npy files as they are. */
#ifndef SY_PROFILE_ARRAY_H
#define SY_PROFILE_ARRAY_H

#include "graph/base/error.h"
#include "graph/emit/reflect.h"

#include <stdint.h>

/* Name, bytes, NumPy's name. bf16, which NumPy lacks, is written as f32. */
#define SY_ELEMENT_LIST(X)                                                                                             \
    X(F32, "f32", 4, "<f4")                                                                                            \
    X(F16, "f16", 2, "<f2")                                                                                            \
    X(BF16, "bf16", 2, "<f4")                                                                                          \
    X(F64, "f64", 8, "<f8")                                                                                            \
    X(I32, "i32", 4, "<i4")                                                                                            \
    X(U32, "u32", 4, "<u4")                                                                                            \
    X(I16, "i16", 2, "<i2")                                                                                            \
    X(U16, "u16", 2, "<u2")                                                                                            \
    X(I8, "i8", 1, "|i1")                                                                                              \
    X(U8, "u8", 1, "|u1")                                                                                              \
    X(I64, "i64", 8, "<i8")                                                                                            \
    X(U64, "u64", 8, "<u8")

typedef enum sy_element {
#define X(name, text, bytes, descr) SY_ELEMENT_##name,
    SY_ELEMENT_LIST(X)
#undef X
    SY_ELEMENTS
} sy_element;

typedef struct sy_raw_array {
    sy_element element;
    uint32_t rank;
    int64_t dim[8];
    uint64_t count, bytes;
    uint8_t *data; /* owned: sy_raw_array_free */
} sy_raw_array;
void sy_raw_array_free(sy_raw_array *array);

/* From a specification:
 *   FILE.npy                its bytes as they are
 *   f32[64,128]             zeros
 *   f32[64,128]:ones, :iota, :uniform, :uniform:SEED (0 to 1), :normal:SEED, :2.5, :1,2,3 (again and again)
 * The same seed gives the same numbers on every machine. False (with a message) on anything else. */
bool sy_raw_array_make(const char *text, sy_raw_array *out, sy_error *error);
bool sy_raw_array_write(const char *path, const sy_raw_array *array, sy_error *error);

double sy_element_get(sy_element element, const void *at);
bool sy_element_put(sy_element element, double value, void *at); /* false: it cannot hold the value */
const char *sy_element_text(sy_element element);

/* The greatest of |got - wanted| / max(1, |wanted|), and where; NaN equals NaN, and differs from all else by infinity. */
typedef struct sy_array_difference {
    double greatest, got, wanted;
    uint64_t at, n_unequal; /* elements whose values are not the same */
} sy_array_difference;
bool sy_raw_array_compare(const sy_raw_array *got, const sy_raw_array *wanted, sy_array_difference *out, sy_error *error);

/* Writes values into the fields of a block: "64,0.5" in the order of the fields, "n=64,scale=0.5" by name, mixed: what
 * follows a name without one of its own goes on from there. Every field must get its values. */
bool sy_block_fill(const sy_shader_block *block, const char *text, const char *option, uint8_t *out, uint64_t room, sy_error *error);
/* "uint n, float scale[4]", for messages; cut where it does not fit. Returns out. */
const char *sy_block_text(const sy_shader_block *block, char *out, size_t room);

#endif
