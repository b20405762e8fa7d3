/* What a compute shader in SPIR-V asks for: bindings, push constants, workgroup, specialisation constants, capabilities.
 * Reads any module; every count, id and string is checked before it is used, so it may be fed with untrusted words. It
 * is no validator: what it does not need it does not look at. */
#ifndef SY_EMIT_REFLECT_H
#define SY_EMIT_REFLECT_H

#include "graph/base/arena.h"
#include "graph/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum sy_resource_kind {
    SY_RESOURCE_STORAGE,       /* a storage buffer */
    SY_RESOURCE_UNIFORM,       /* a uniform buffer */
    SY_RESOURCE_TEXELS,        /* a uniform texel buffer */
    SY_RESOURCE_STORAGE_TEXELS,
    SY_RESOURCE_OTHER          /* images, samplers, whatever else */
} sy_resource_kind;
const char *sy_resource_text(sy_resource_kind kind); /* "storage buffer", … */

typedef enum sy_scalar { SY_SCALAR_FLOAT, SY_SCALAR_INT, SY_SCALAR_UINT, SY_SCALAR_BOOL, SY_SCALAR_OTHER } sy_scalar;

enum { SY_RUNTIME_LENGTH = UINT32_MAX }; /* of an array without a length of its own */

/* A field of a block; those of structs inside it are "outer.inner". */
typedef struct sy_shader_field {
    const char *name; /* "" where the module has none */
    sy_scalar scalar;
    uint32_t bits;          /* of the scalar */
    uint32_t components;    /* of a vector; of a matrix columns * rows; else 1 */
    uint32_t column_stride; /* bytes between columns of a matrix; else 0 */
    uint32_t rows;          /* of a matrix; else components */
    uint32_t length;        /* of an array; 0: none; SY_RUNTIME_LENGTH */
    uint32_t stride;        /* bytes between the array's elements */
    uint64_t offset, bytes; /* in the block; of the whole field, runtime arrays 0 */
} sy_shader_field;

typedef struct sy_shader_block {
    const sy_shader_field *fields;
    uint32_t n_fields;
    uint64_t bytes;         /* of everything that has a length */
    uint32_t runtime_stride; /* of the array at the end that has none; 0: there is no such array */
} sy_shader_block;

typedef struct sy_shader_resource {
    sy_resource_kind kind;
    const char *name; /* of the variable, else of its block, else "" */
    uint32_t set, binding, count; /* count: of an array of descriptors, else 1; SY_RUNTIME_LENGTH */
    bool read_only, write_only;
    sy_shader_block block; /* buffers */
} sy_shader_resource;

typedef struct sy_shader_constant {
    uint32_t id; /* as in layout(constant_id = …) */
    const char *name;
    sy_scalar scalar;
    uint32_t bits;
    uint64_t value; /* the default's bits */
} sy_shader_constant;

enum { SY_NO_CONSTANT = UINT32_MAX };

typedef struct sy_shader {
    sy_arena arena;
    const char *entry; /* of the one compute entry point */
    uint32_t version;  /* 0x00010500: 1.5 */
    uint32_t local[3];          /* invocations a workgroup, by the constants' defaults */
    uint32_t local_constant[3]; /* index of the constant that says it; SY_NO_CONSTANT: none does */
    bool local_known;           /* false: computed from constants in a way that is not followed */
    const sy_shader_resource *resources; /* by set and binding */
    uint32_t n_resources;
    sy_shader_block push; /* bytes 0: none */
    const sy_shader_constant *constants; /* by id */
    uint32_t n_constants;
    const uint32_t *capabilities; /* SpvCapability */
    uint32_t n_capabilities;
    uint64_t shared_bytes; /* of workgroup memory, by the constants' defaults */
    uint32_t n_instructions; /* of all functions */
} sy_shader;

/* NULL on error. Two resources in one place, or several entry points, are errors. */
sy_shader *sy_shader_reflect(const uint32_t *words, size_t n_words, sy_error *error);
void sy_shader_destroy(sy_shader **shader);

/* GLSL of a field's type: "vec4", "float[]", "uint16_t[8]". Returns out. */
const char *sy_shader_field_text(const sy_shader_field *field, char out[48]);

#endif
