/* GLSL -> SPIR-V 1.5 for Vulkan 1.2: compiled by glslang, optimised and validated by SPIRV-Tools. Thread-safe. */
#ifndef SY_EMIT_SPIRV_H
#define SY_EMIT_SPIRV_H

#include "graph/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* glslang keeps state of the process; each user holds a reference while it compiles. */
bool sy_spirv_open(sy_error *error);
void sy_spirv_close(void);
/* *out is a new array (free). Errors name the line of the source and quote it. */
bool sy_spirv_compile(const char *name, const char *glsl, uint32_t **out, size_t *n_out, sy_error *error);
/* Versions of the tools, for cache keys. Static text. */
const char *sy_spirv_versions(void);

#endif
