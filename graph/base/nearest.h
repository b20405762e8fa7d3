/* "Did you mean": the name most like a wrong one, for error messages. */
#ifndef SY_BASE_NEAREST_H
#define SY_BASE_NEAREST_H

#include <stddef.h>

typedef struct sy_nearest {
    const char *wanted;
    const char *best; /* NULL as long as nothing was alike enough */
    unsigned distance;
} sy_nearest;

/* Begin with {.wanted = name}, offer every candidate, then read `best`. Candidates must outlive it. */
void sy_nearest_offer(sy_nearest *nearest, const char *candidate);

#endif
