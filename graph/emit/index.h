/* Index expressions: what a kernel computes to find an element. Built of constants, variables with known ranges,
 * sums, products with constants, floor division and remainder by constants; always kept in one normal form, so that
 * chains of reshape, transpose, slice and broadcast become cheap arithmetic: (m / T) * T + m % T is m again.
 *
 * An expression is a number that names it in its pool; equal expressions have equal numbers. All values of
 * variables and of whole indices are at least 0 and below 2^31; partial sums may be negative. */
#ifndef SY_EMIT_INDEX_H
#define SY_EMIT_INDEX_H

#include "graph/base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t sy_ix;

typedef struct sy_ix_pool sy_ix_pool;

sy_ix_pool *sy_ix_pool_create(void); /* NULL when memory is out */
void sy_ix_pool_destroy(sy_ix_pool **pool);
/* True once an expression could not be made (memory, too many terms): results since then mean nothing. */
bool sy_ix_failed(const sy_ix_pool *pool);

sy_ix sy_ix_const(sy_ix_pool *pool, int64_t value);
/* A variable; its name is GLSL text and is copied. The same name and range give the same variable. lo..hi inclusive. */
sy_ix sy_ix_var(sy_ix_pool *pool, const char *name, int64_t lo, int64_t hi);
sy_ix sy_ix_add(sy_ix_pool *pool, sy_ix a, sy_ix b);
sy_ix sy_ix_mul(sy_ix_pool *pool, sy_ix a, int64_t factor);
sy_ix sy_ix_div(sy_ix_pool *pool, sy_ix a, int64_t divisor); /* divisor at least 1 */
sy_ix sy_ix_mod(sy_ix_pool *pool, sy_ix a, int64_t divisor);
/* `a` with variable `var` replaced by `by`. */
sy_ix sy_ix_replace(sy_ix_pool *pool, sy_ix a, sy_ix var, sy_ix by);

bool sy_ix_uses(const sy_ix_pool *pool, sy_ix a, sy_ix var);
bool sy_ix_is_const(const sy_ix_pool *pool, sy_ix a, int64_t *value);
int64_t sy_ix_low(const sy_ix_pool *pool, sy_ix a);
int64_t sy_ix_high(const sy_ix_pool *pool, sy_ix a);
/* True if every value of `a` is a multiple of `factor`. */
bool sy_ix_multiple_of(const sy_ix_pool *pool, sy_ix a, int64_t factor);
/* True if a = rest + var, where rest has no `var` in it. */
bool sy_ix_split(sy_ix_pool *pool, sy_ix a, sy_ix var, sy_ix *rest);

/* GLSL of type uint; in parentheses where it is more than a word. */
void sy_ix_print(const sy_ix_pool *pool, sy_ix a, sy_text *out);

/* Indices of a shape: row-major flat index, and back. */
sy_ix sy_ix_flat(sy_ix_pool *pool, const sy_ix *index, const int32_t *dims, int rank);
void sy_ix_unflat(sy_ix_pool *pool, sy_ix flat, const int32_t *dims, int rank, sy_ix *index);

#endif
