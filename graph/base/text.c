#include "graph/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(sy_text *text, size_t more)
{
    if (text->failed)
        return false;
    if (text->room - text->size > more) /* one byte stays for the terminator */
        return true;
    size_t room = text->room ? text->room * 2 : 1024;
    while (room - text->size <= more)
        room *= 2;
    char *data = realloc(text->data, room);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void sy_text_add_bytes(sy_text *text, const char *bytes, size_t count)
{
    if (!reserve(text, count))
        return;
    memcpy(text->data + text->size, bytes, count);
    text->size += count;
    text->data[text->size] = '\0';
}

void sy_text_add(sy_text *text, const char *string)
{
    sy_text_add_bytes(text, string, strlen(string));
}

void sy_text_printf(sy_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->size, (size_t)n + 1, format, again);
        text->size += (size_t)n;
    }
    va_end(again);
}

void sy_text_free(sy_text *text)
{
    free(text->data);
    *text = (sy_text){0};
}
