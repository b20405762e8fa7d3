/* .safetensors files: named tensors, mapped into memory. Everything the header says is checked before anything of
 * it can be used, so whoever holds a file may take names, shapes and data for good. The file must not be cut
 * short while it is open (no mapping survives that).
 *
 * Thread safety: an open file is immutable and may be used by many threads at once. */
#ifndef SY_IMPORT_SAFETENSORS_H
#define SY_IMPORT_SAFETENSORS_H

#include "graph/ir/ir.h"

typedef struct sy_safetensors sy_safetensors;

enum { SY_STORED_RANK = 8 };

typedef struct sy_safetensors_text {
    const char *key, *value;
} sy_safetensors_text;

typedef struct sy_stored_tensor {
    const char *name;
    const char *dtype_name; /* as in the file: "F32", "I64", … */
    bool readable;          /* dtype is valid: F32, F16, BF16, I32, U32. Others are listed, not read. */
    sy_dtype dtype;
    uint32_t rank;               /* 0: a single number */
    int64_t dim[SY_STORED_RANK]; /* each at least 0 */
    uint64_t count, bytes;       /* elements; size of data */
    const void *data;            /* not aligned to anything; NULL if only the header is there */
} sy_stored_tensor;

enum {
    SY_SAFETENSORS_HEADER_ONLY = 1 /* the data part may be missing: shapes can be looked at, data is NULL */
};

sy_safetensors *sy_safetensors_open(const char *path, unsigned flags, sy_error *error);
/* The same from memory; the bytes must stay until it is closed. */
sy_safetensors *sy_safetensors_from_memory(const void *bytes, size_t size, unsigned flags, sy_error *error);
/* One file that has the tensors of all `parts` and `metadata` alone. The parts are closed with it, or at once when this
 * fails: a name must not be in two of them. */
sy_safetensors *sy_safetensors_join(sy_safetensors *const *parts, uint32_t n_parts, const sy_safetensors_text *metadata,
                                    uint32_t n_metadata, sy_error *error);
void sy_safetensors_close(sy_safetensors **file); /* NULL and pointers to NULL are fine */

/* In the order of the header. */
uint32_t sy_safetensors_count(const sy_safetensors *file);
const sy_stored_tensor *sy_safetensors_at(const sy_safetensors *file, uint32_t index);
/* NULL if there is none of that name. */
const sy_stored_tensor *sy_safetensors_find(const sy_safetensors *file, const char *name);
/* The same with an error that names the nearest. */
const sy_stored_tensor *sy_safetensors_need(const sy_safetensors *file, const char *name, sy_error *error);
/* Value of a key of the file's metadata, or NULL. */
const char *sy_safetensors_metadata(const sy_safetensors *file, const char *key);
uint32_t sy_safetensors_metadata_count(const sy_safetensors *file);

/* The type it has in a graph; false (with a message) where a graph cannot hold it. A single number is [1]. */
bool sy_stored_type(const sy_stored_tensor *tensor, sy_type *type, sy_error *error);
/* All elements, row-major, as doubles. `count` is the room of out and must be the tensor's. */
bool sy_stored_read(const sy_stored_tensor *tensor, double *out, uint64_t count, sy_error *error);

/* Writing: all or nothing. The file appears under its name when it is complete. */
typedef struct sy_safetensors_item {
    const char *name;
    sy_type type;     /* a tensor */
    const void *data; /* sy_type_count elements, packed, of 4 or 2 bytes each */
} sy_safetensors_item;
bool sy_safetensors_write(const char *path, const sy_safetensors_item *items, uint32_t n_items,
                          const sy_safetensors_text *metadata, uint32_t n_metadata, sy_error *error);

#endif
