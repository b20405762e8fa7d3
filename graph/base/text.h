/* Growing text. Used for everything that prints IR, GLSL and JSON. Not thread-safe. */
#ifndef SY_BASE_TEXT_H
#define SY_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct sy_text {
    char *data; /* always terminated once something was written; NULL while empty. Free with sy_text_free. */
    size_t size, room;
    bool failed; /* memory was out at some point; the content is incomplete */
} sy_text;

void sy_text_add(sy_text *text, const char *string);
void sy_text_add_bytes(sy_text *text, const char *bytes, size_t count);
void sy_text_printf(sy_text *text, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void sy_text_free(sy_text *text);

#endif
