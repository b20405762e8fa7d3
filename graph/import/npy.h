/* .npy files: one array each, the way NumPy saves it. Little endian, C order; f64, f32, f16, i64, i32, u32 are
 * read, each into the dtype wanted. Files are untrusted: sizes are checked before memory is taken. */
#ifndef SY_IMPORT_NPY_H
#define SY_IMPORT_NPY_H

#include "graph/ir/ir.h"

typedef struct sy_npy {
    sy_type type; /* dtype: f64 and f32 are SY_F32, i64 and i32 SY_I32; the values are exact in `data` */
    double *data; /* sy_type_count(&type) elements in row-major order */
} sy_npy;         /* zero is empty */

bool sy_npy_read(const char *path, sy_npy *out, sy_error *error);
bool sy_npy_from_memory(const void *bytes, size_t size, sy_npy *out, sy_error *error);
void sy_npy_free(sy_npy *npy);

/* Writes values as the type's dtype (bf16, which the format lacks, as f32). The file appears when complete. */
bool sy_npy_write(const char *path, const sy_type *type, const double *data, sy_error *error);

/* The same without conversion, for whoever wants the bytes: elements of f2, f4, f8, i1 to i8, u1 to u8, b1. */
enum { SY_NPY_RANK = 8 };
typedef struct sy_npy_raw {
    char descr[8];          /* "<f4" */
    uint32_t element_bytes; /* 1, 2, 4 or 8 */
    uint32_t rank;          /* 0: a single number */
    int64_t dim[SY_NPY_RANK];
    uint64_t count;   /* elements; may be 0 */
    const void *data; /* within the bytes looked at, not aligned to anything */
} sy_npy_raw;
bool sy_npy_look(const void *bytes, size_t size, sy_npy_raw *out, sy_error *error);
/* `raw->data` has raw->count elements of raw->element_bytes. */
bool sy_npy_write_raw(const char *path, const sy_npy_raw *raw, sy_error *error);

#endif
