/* Arena: memory that is given back all at once. Everything that belongs to a graph, a program or a snapshot
 * lives in one arena, so ownership needs no bookkeeping. Not thread-safe; one arena, one owner. */
#ifndef SY_BASE_ARENA_H
#define SY_BASE_ARENA_H

#include <stddef.h>

typedef struct sy_arena {
    struct sy_arena_block *block; /* newest block; private */
    size_t total;                 /* bytes taken from the system so far */
} sy_arena;

/* `size` zeroed bytes aligned for any type, or NULL when memory is out. A zero-initialised arena is empty. */
void *sy_arena_alloc(sy_arena *arena, size_t size);
/* An array of `count` zeroed elements; NULL also when count * size overflows. */
void *sy_arena_array(sy_arena *arena, size_t count, size_t size);
char *sy_arena_string(sy_arena *arena, const char *text);
char *sy_arena_printf(sy_arena *arena, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
void sy_arena_free(sy_arena *arena); /* gives everything back; the arena is empty again */

#endif
