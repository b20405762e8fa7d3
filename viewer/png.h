/* PNG files. */
#ifndef SY_VIEWER_PNG_H
#define SY_VIEWER_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct png_text {
    const char *key, *value; /* Latin-1 keys of at most 79 characters, UTF-8 values */
} png_text;

/* RGB, 8 bits, row after row. Written to a temporary name and renamed; false after writing why. */
bool png_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, const png_text *texts,
               uint32_t n_texts, char *error, size_t size);

#endif
