/* What the tuner found: for a class of problems, the variant that was fastest on a device. A table of such is given to
 * sy_compile for that device; without one, or where it says nothing, the order of shaders/manifest decides.
 *
 * A class is a text such as "matmul anchors=1 rows=256 columns=384 inner=384": what decides between variants, with sizes
 * rounded up to two to an octave (1 2 3 4 6 8 12 16 …), so that a result serves neighbours. A row never makes a
 * variant be taken that cannot solve the problem, so tables may come from anywhere. */
#ifndef SY_TUNING_H
#define SY_TUNING_H

#include "graph/base/error.h"

#include <stdint.h>

enum { SY_PROBLEM_CLASS = 160, SY_VARIANT_NAME = 40 };

typedef struct sy_tuned {
    char problem[SY_PROBLEM_CLASS]; /* its class */
    char variant[SY_VARIANT_NAME];  /* name in shaders/manifest */
} sy_tuned;

typedef struct sy_tuning {
    const char *only; /* this variant wherever it can be, before all rows: to test it; NULL: none */
    sy_tuned *rows;   /* the last row of a class holds; owned */
    uint32_t n, room;
} sy_tuning;

bool sy_tuning_add(sy_tuning *tuning, const char *problem_class, const char *variant, sy_error *error);
void sy_tuning_free(sy_tuning *tuning);

/* Of the manifest and all templates: what was measured with others says nothing about these. */
void sy_templates_hash(char out[33]);

#endif
