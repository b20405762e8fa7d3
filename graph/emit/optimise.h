/* SPIRV-Tools' optimizer behind C: its own C interface cannot choose passes. Thread-safe. */
#ifndef SY_EMIT_OPTIMISE_H
#define SY_EMIT_OPTIMISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs the performance passes for Vulkan 1.2. On success *out is a new array (free) of *n_out words. */
bool sy_optimise_spirv(const uint32_t *words, size_t n_words, uint32_t **out, size_t *n_out);

#ifdef __cplusplus
}
#endif

#endif
