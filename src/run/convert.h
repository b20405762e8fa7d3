/* Numbers as they are stored and as doubles. Pure functions. */
#ifndef SY_RUN_CONVERT_H
#define SY_RUN_CONVERT_H

#include "graph/ir/ir.h"

/* `data` holds `count` elements of `dtype`, 16-bit ones packed, not aligned to anything. Exact. */
void sy_convert_to_double(sy_dtype dtype, const void *data, uint64_t count, double *out);
/* Rounds to nearest even; integers truncate and saturate. An odd count of 16-bit elements leaves the last half word
 * alone. */
void sy_convert_from_double(sy_dtype dtype, const double *data, uint64_t count, void *out);
/* From one stored floating-point type to another; `data` need not be aligned. */
void sy_convert_floats(sy_dtype from, const void *data, sy_dtype to, uint64_t count, void *out);

#endif
