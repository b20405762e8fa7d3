/* PNG files with text chunks, written whole or not at all. Thread-safe. */
#ifndef SY_PICTURE_PNG_H
#define SY_PICTURE_PNG_H

#include "graph/base/error.h"

#include <stdint.h>

typedef struct sy_png_text {
    const char *key;   /* 1 to 79 Latin-1 characters */
    const char *value; /* UTF-8; stored as iTXt where it is not plain ASCII */
} sy_png_text;

/* `rgb`: height rows of width pixels of 3 bytes. */
bool sy_png_write(const char *path, uint32_t width, uint32_t height, const uint8_t *rgb, const sy_png_text *texts,
                  uint32_t n_texts, sy_error *error);

#endif
