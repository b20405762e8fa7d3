/* A SPIR-V module under inspection. Private to reflect*.c. */
#ifndef SY_EMIT_REFLECT_PRIVATE_H
#define SY_EMIT_REFLECT_PRIVATE_H

#include "graph/emit/reflect.h"

enum {
    SPV_MOST_IDS = 1 << 20,
    SPV_MOST_DEPTH = 12, /* of types in types */
    SPV_MOST_FIELDS = 1024,
    SPV_NONE = UINT32_MAX
};

/* Opcodes. */
enum {
    OP_NAME = 5,
    OP_MEMBER_NAME = 6,
    OP_ENTRY_POINT = 15,
    OP_EXECUTION_MODE = 16,
    OP_CAPABILITY = 17,
    OP_TYPE_BOOL = 20,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_MATRIX = 24,
    OP_TYPE_IMAGE = 25,
    OP_TYPE_SAMPLED_IMAGE = 27,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_RUNTIME_ARRAY = 29,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT_TRUE = 41,
    OP_CONSTANT_FALSE = 42,
    OP_CONSTANT = 43,
    OP_CONSTANT_COMPOSITE = 44,
    OP_SPEC_CONSTANT_TRUE = 48,
    OP_SPEC_CONSTANT_FALSE = 49,
    OP_SPEC_CONSTANT = 50,
    OP_SPEC_CONSTANT_COMPOSITE = 51,
    OP_FUNCTION = 54,
    OP_VARIABLE = 59,
    OP_DECORATE = 71,
    OP_MEMBER_DECORATE = 72,
    OP_EXECUTION_MODE_ID = 331
};

/* What is known of an id: where its instruction is, and its decorations. */
typedef struct spv_id {
    uint32_t at; /* word of the instruction that makes it; 0: none does */
    uint32_t name; /* word of the instruction that names it */
    uint32_t spec, stride, binding, set; /* SPV_NONE: not decorated so */
    bool block, buffer_block, read_only, write_only, workgroup_size;
} spv_id;

typedef struct spv_member { /* a decoration or a name of a struct's member, in order of the module */
    uint32_t type, member, what, value; /* what: the decoration; value: its word, or of a name the instruction's */
} spv_member;

typedef struct spv_module {
    const uint32_t *words;
    size_t n_words;
    spv_id *ids;
    uint32_t bound;
    spv_member *members;
    uint32_t n_members;
    sy_shader *shader;
    sy_error *error;
    uint64_t *steps; /* left, of walks over types */
    uint32_t entry; /* id of the entry point's function */
    uint32_t local_size, local_size_id, composite; /* words of the instructions that say the workgroup; 0: none */
} spv_module;

enum { SPV_MEMBER_NAME = 1 << 20 }; /* `what` of names: past all decorations */

/* The instruction that makes an id if it is `op` (0: any) and has `least` words; else 0. */
uint32_t spv_made(const spv_module *m, uint32_t id, uint32_t op, uint32_t least);
static inline uint32_t spv_op(const spv_module *m, uint32_t at)
{
    return m->words[at] & 0xffff;
}
static inline uint32_t spv_length(const spv_module *m, uint32_t at)
{
    return m->words[at] >> 16;
}
/* A string of an instruction from its word `skip` on, on the shader's arena; "" where it is not sound. NULL: no memory. */
const char *spv_string(const spv_module *m, uint32_t at, uint32_t skip);
/* Value of a whole-number constant, specialised or not (its default). */
bool spv_number(const spv_module *m, uint32_t id, uint64_t *value);

/* reflect_types.c */
bool spv_block(const spv_module *m, uint32_t type, sy_shader_block *block);
bool spv_bytes(const spv_module *m, uint32_t type, uint32_t depth, uint64_t *bytes); /* explicit layout or packed */
bool spv_scalar_of(const spv_module *m, uint32_t type, sy_scalar *scalar, uint32_t *bits);

#endif
