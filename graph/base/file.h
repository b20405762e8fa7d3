/* Files that are never half written: written under a temporary name beside the wanted one, renamed when complete. */
#ifndef SY_BASE_FILE_H
#define SY_BASE_FILE_H

#include "graph/base/error.h"

#include <stddef.h>

typedef struct sy_new_file sy_new_file;

sy_new_file *sy_file_begin(const char *path, sy_error *error);
/* Failures are kept and reported by sy_file_end. */
void sy_file_put(sy_new_file *file, const void *data, size_t size);
/* `keep`: the file takes its name, or false if anything failed. Else it is thrown away. Frees `file` in any case. */
bool sy_file_end(sy_new_file **file, bool keep, sy_error *error);

/* The whole of a regular file of at most `most` bytes, with a zero byte after it; free() it. NULL on error. */
char *sy_file_load(const char *path, size_t most, size_t *size, sy_error *error);

#endif
