/* Headers of model files at the published sizes, written down from the publications' lists of names and shapes (and not
 * from our builders, which the tests hold against them). There is no data behind them. */
#ifndef SY_TESTS_ZOO_HELP_HEADER_H
#define SY_TESTS_ZOO_HELP_HEADER_H

#include "graph/base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum header_kind { HEADER_DIT, HEADER_DIT_MOE, HEADER_PROMOE } header_kind;

typedef struct header_size {
    const char *name;
    header_kind kind;
    int depth, width, heads, patch, latent, experts;
    bool fused;               /* the second naming scheme of DiT-MoE */
    uint64_t values, tensors; /* as published or counted in the specification; 0: not given there */
} header_size;

extern const header_size header_sizes[]; /* ends with a NULL name */

/* The bytes of the file (header only) into out; `metadata` is put in as it is ("\"key\":\"value\"", NULL: none). Counts
 * what it wrote. */
void header_write(const header_size *size, const char *metadata, sy_text *out, uint64_t *values, uint64_t *tensors);

#endif
