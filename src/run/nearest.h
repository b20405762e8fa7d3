/* "Did you mean": the known names nearest to one that is not known. Pure functions. */
#ifndef SY_RUN_NEAREST_H
#define SY_RUN_NEAREST_H

#include <stddef.h>

enum { SY_NEAREST = 3 };

/* The best few so far; begin with one zeroed, offer every name, then read. */
typedef struct sy_nearest {
    const char *name[SY_NEAREST]; /* borrowed; nearest first, NULL past the last */
    size_t distance[SY_NEAREST];
} sy_nearest;

void sy_nearest_offer(sy_nearest *nearest, const char *wanted, const char *name);
/* `"a", "b"` into out (at least 8 bytes, cut where it is too small); "" if nothing is near. Returns out. */
char *sy_nearest_text(const sy_nearest *nearest, char *out, size_t room);

#endif
