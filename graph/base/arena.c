#include "graph/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, ALIGNMENT = alignof(max_align_t) };

struct sy_arena_block {
    struct sy_arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

void *sy_arena_alloc(sy_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct sy_arena_block *b = arena->block;
    if (!b || b->size - b->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        b = calloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        b->next = arena->block;
        arena->block = b;
        arena->total += room;
    }
    void *p = b->data + b->used;
    b->used += size;
    return p;
}

void *sy_arena_array(sy_arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    return sy_arena_alloc(arena, count * size);
}

char *sy_arena_string(sy_arena *arena, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = sy_arena_alloc(arena, n);
    return copy ? memcpy(copy, text, n) : NULL;
}

char *sy_arena_printf(sy_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : sy_arena_alloc(arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void sy_arena_free(sy_arena *arena)
{
    while (arena->block) {
        struct sy_arena_block *next = arena->block->next;
        free(arena->block);
        arena->block = next;
    }
    arena->total = 0;
}
