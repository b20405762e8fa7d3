/* Layouts of blocks. Types are trees by construction in valid modules; in others depth and number of fields end the
 * walk. Sizes saturate: no shader has 2^60 bytes. */
#include "graph/emit/reflect_private.h"

#include <stdio.h>
#include <string.h>

static const uint64_t MOST = UINT64_C(1) << 60;
enum { ROW_MAJOR = 4, MATRIX_STRIDE = 7, NON_WRITABLE = 24, OFFSET = 35 };

static uint64_t times(uint64_t a, uint64_t b)
{
    return b && a > MOST / b ? MOST : a * b;
}

/* A module can nest structs of structs so that a walk never ends; it has a bound. Past it nothing is found. */
static bool spend(const spv_module *m)
{
    uint64_t cost = m->n_members + 1;
    if (*m->steps < cost)
        return false;
    *m->steps -= cost;
    return true;
}

static bool member_value(const spv_module *m, uint32_t type, uint32_t member, uint32_t what, uint32_t *value)
{
    if (!spend(m))
        return false;
    for (uint32_t i = 0; i < m->n_members; i++) {
        const spv_member *x = &m->members[i];
        if (x->type == type && x->member == member && x->what == what) {
            *value = x->value;
            return true;
        }
    }
    return false;
}

bool spv_scalar_of(const spv_module *m, uint32_t type, sy_scalar *scalar, uint32_t *bits)
{
    uint32_t at = spv_made(m, type, 0, 2);
    *scalar = SY_SCALAR_OTHER;
    *bits = 0;
    if (!at)
        return false;
    switch (spv_op(m, at)) {
    case OP_TYPE_BOOL:
        *scalar = SY_SCALAR_BOOL;
        *bits = 32;
        return true;
    case OP_TYPE_INT:
        if (spv_length(m, at) < 4)
            return false;
        *scalar = m->words[at + 3] ? SY_SCALAR_INT : SY_SCALAR_UINT;
        *bits = m->words[at + 2];
        return *bits == 8 || *bits == 16 || *bits == 32 || *bits == 64;
    case OP_TYPE_FLOAT:
        if (spv_length(m, at) < 3)
            return false;
        *scalar = SY_SCALAR_FLOAT;
        *bits = m->words[at + 2];
        return *bits == 8 || *bits == 16 || *bits == 32 || *bits == 64;
    case OP_TYPE_POINTER:
        *bits = 64;
        return true;
    default:
        return false;
    }
}

bool spv_bytes(const spv_module *m, uint32_t type, uint32_t depth, uint64_t *bytes)
{
    uint32_t at = spv_made(m, type, 0, 2), bits, offset;
    sy_scalar scalar;
    uint64_t each, count, end = 0;
    if (!at || depth > SPV_MOST_DEPTH || !spend(m))
        return false;
    if (spv_scalar_of(m, type, &scalar, &bits)) {
        *bytes = bits / 8;
        return true;
    }
    uint32_t length = spv_length(m, at);
    switch (spv_op(m, at)) {
    case OP_TYPE_VECTOR:
    case OP_TYPE_MATRIX:
        if (length < 4 || !spv_bytes(m, m->words[at + 2], depth + 1, &each))
            return false;
        *bytes = times(each, m->words[at + 3]);
        return true;
    case OP_TYPE_ARRAY:
        if (length < 4 || !spv_number(m, m->words[at + 3], &count))
            return false;
        if (m->ids[type].stride != SPV_NONE)
            each = m->ids[type].stride;
        else if (!spv_bytes(m, m->words[at + 2], depth + 1, &each))
            return false;
        *bytes = times(each, count);
        return true;
    case OP_TYPE_RUNTIME_ARRAY:
        *bytes = 0;
        return true;
    case OP_TYPE_STRUCT:
        if (length > 2 + SPV_MOST_FIELDS)
            return false;
        for (uint32_t i = 2; i < length; i++) {
            if (!spv_bytes(m, m->words[at + i], depth + 1, &each))
                return false;
            uint64_t begin = member_value(m, type, i - 2, OFFSET, &offset) ? offset : end;
            end = begin + each > end ? begin + each : end;
            end = end > MOST ? MOST : end;
        }
        *bytes = end;
        return true;
    default:
        return false;
    }
}

typedef struct walk {
    const spv_module *m;
    sy_shader_field *fields;
    uint32_t n;
} walk;

/* A matrix, of which the member says how its columns lie. */
static void matrix(const spv_module *m, uint32_t at, uint32_t owner, uint32_t member, sy_shader_field *f)
{
    uint32_t vector = spv_made(m, m->words[at + 2], OP_TYPE_VECTOR, 4), columns = m->words[at + 3], stride, flag;
    if (!vector || columns > 4 || m->words[vector + 3] > 4)
        return;
    spv_scalar_of(m, m->words[vector + 2], &f->scalar, &f->bits);
    f->rows = m->words[vector + 3];
    f->components = columns * f->rows;
    f->column_stride = member_value(m, owner, member, MATRIX_STRIDE, &stride) ? stride : f->rows * f->bits / 8;
    if (member_value(m, owner, member, ROW_MAJOR, &flag)) /* as if it were its transpose */
        f->rows = columns;
    if (f->rows)
        f->bytes = times(f->column_stride, f->components / f->rows);
}

static bool add_struct(walk *w, uint32_t type, const char *prefix, uint64_t base, uint32_t depth);

static bool add(walk *w, uint32_t owner, uint32_t member, uint32_t type, const char *name, uint64_t offset, uint32_t depth)
{
    const spv_module *m = w->m;
    sy_shader_field f = {.name = name, .scalar = SY_SCALAR_OTHER, .components = 1, .rows = 1, .offset = offset};
    uint32_t at = spv_made(m, type, 0, 2);
    uint64_t count;
    if (!at || depth > SPV_MOST_DEPTH || w->n == SPV_MOST_FIELDS || !spv_bytes(m, type, depth, &f.bytes))
        return false;
    uint32_t op = spv_op(m, at);
    if (op == OP_TYPE_ARRAY || op == OP_TYPE_RUNTIME_ARRAY) {
        f.length = SY_RUNTIME_LENGTH;
        if (op == OP_TYPE_ARRAY) {
            if (spv_length(m, at) < 4 || !spv_number(m, m->words[at + 3], &count) || count >= SY_RUNTIME_LENGTH)
                return false;
            f.length = (uint32_t)count;
        }
        if (spv_length(m, at) < 3 || m->ids[type].stride == SPV_NONE)
            return false;
        f.stride = m->ids[type].stride;
        type = m->words[at + 2];
        if (!(at = spv_made(m, type, 0, 2)))
            return false;
        op = spv_op(m, at);
    } else if (op == OP_TYPE_STRUCT) {
        return add_struct(w, type, name, offset, depth + 1);
    }
    if (op == OP_TYPE_VECTOR && spv_length(m, at) >= 4 && m->words[at + 3] <= 16) {
        f.components = f.rows = m->words[at + 3];
        type = m->words[at + 2];
    }
    uint64_t whole = f.bytes;
    if (op == OP_TYPE_MATRIX && spv_length(m, at) >= 4)
        matrix(m, at, owner, member, &f);
    else
        spv_scalar_of(m, type, &f.scalar, &f.bits);
    if (f.length) /* the bytes of a matrix were those of one */
        f.bytes = whole;
    w->fields[w->n++] = f;
    return true;
}

static bool add_struct(walk *w, uint32_t type, const char *prefix, uint64_t base, uint32_t depth)
{
    const spv_module *m = w->m;
    uint32_t at = spv_made(m, type, OP_TYPE_STRUCT, 2);
    if (!at || depth > SPV_MOST_DEPTH)
        return false;
    for (uint32_t i = 0; i + 2 < spv_length(m, at); i++) {
        uint32_t named = 0, offset;
        if (!member_value(m, type, i, OFFSET, &offset))
            return false;
        const char *name = member_value(m, type, i, SPV_MEMBER_NAME, &named) ? spv_string(m, named, 3) : "";
        if (name && *prefix)
            name = sy_arena_printf(&m->shader->arena, "%.200s.%.200s", prefix, name);
        if (!name || !add(w, type, i, m->words[at + 2 + i], name, base + offset, depth))
            return false;
    }
    return true;
}

bool spv_block(const spv_module *m, uint32_t type, sy_shader_block *block)
{
    walk w = {m, sy_arena_array(&m->shader->arena, SPV_MOST_FIELDS, sizeof *w.fields), 0};
    *block = (sy_shader_block){0};
    if (!w.fields || !add_struct(&w, type, "", 0, 0))
        return false;
    block->fields = w.fields;
    block->n_fields = w.n;
    for (uint32_t i = 0; i < w.n; i++) {
        const sy_shader_field *f = &w.fields[i];
        uint64_t end = f->offset + f->bytes;
        block->bytes = end > block->bytes ? end : block->bytes;
        if (f->length == SY_RUNTIME_LENGTH)
            block->runtime_stride = f->stride;
    }
    return true;
}

const char *sy_shader_field_text(const sy_shader_field *f, char out[48])
{
    static const char *const scalars[] = {"float", "int", "uint", "bool", "struct"};
    static const char *const vectors[] = {"vec", "ivec", "uvec", "bvec", "struct"};
    char size[16] = "", length[16] = "";
    if (f->bits && f->bits != 32 && f->scalar != SY_SCALAR_BOOL && f->scalar != SY_SCALAR_OTHER)
        snprintf(size, sizeof size, "%u_t", f->bits);
    if (f->length == SY_RUNTIME_LENGTH)
        strcpy(length, "[]");
    else if (f->length)
        snprintf(length, sizeof length, "[%u]", f->length);
    if (f->components > f->rows && f->rows)
        snprintf(out, 48, "mat%ux%u%s", f->components / f->rows, f->rows, length);
    else if (f->components > 1 && f->scalar != SY_SCALAR_OTHER)
        snprintf(out, 48, "%s%s%u%s", *size ? size : "", vectors[f->scalar], f->components, length);
    else
        snprintf(out, 48, "%s%s%s", scalars[f->scalar], size, length);
    if (*size && f->components > 1 && f->components == f->rows) { /* f16vec4, i8vec2 … */
        static const char letters[] = "fiu";
        snprintf(out, 48, "%c%uvec%u%s", f->scalar <= SY_SCALAR_UINT ? letters[f->scalar] : '?', f->bits, f->components, length);
    }
    return out;
}
