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

#endif
