/* GLSL -> SPIR-V 1.5 for Vulkan 1.2: compiled by glslang, optimised and validated by SPIRV-Tools. Thread-safe. */
#ifndef SY_EMIT_SPIRV_H
#define SY_EMIT_SPIRV_H

#include "graph/base/error.h"
#include "graph/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* glslang keeps state of the process; each user holds a reference while it compiles. */
bool sy_spirv_open(sy_error *error);
void sy_spirv_close(void);
/* *out is a new array (free). Errors name the line of the source and quote it. */
bool sy_spirv_compile(const char *name, const char *glsl, uint32_t **out, size_t *n_out, sy_error *error);
/* A shader of a user's own. What is wrong with it is his to read: all of the compiler's complaints go to `log` as
 * "path:line: error: …", one a line, and the first of them is the error's message. Not optimised: what the driver gets
 * is what was written. Includes (GL_GOOGLE_include_directive) are looked for from the current folder. */
typedef struct sy_spirv_source {
    const char *path, *text;
    const char *const *defines; /* "NAME" or "NAME=VALUE" */
    uint32_t n_defines;
} sy_spirv_source;
bool sy_spirv_compile_source(const sy_spirv_source *source, uint32_t **out, size_t *n_out, sy_text *log,
                             sy_error *error);
/* Are these words valid SPIR-V for Vulkan 1.2? A driver must never see any that are not. */
bool sy_spirv_validate(const char *name, const uint32_t *words, size_t n_words, sy_error *error);
/* The module as text, one instruction a line, with names of ids where it has any; free(). NULL: it is no module. */
char *sy_spirv_disassemble(const uint32_t *words, size_t n_words);
/* Versions of the tools, for cache keys. Static text. */
const char *sy_spirv_versions(void);

#endif
