/* Values by name into push constants and uniform blocks. A field is a sequence of scalars: elements of its array,
 * columns of its matrix, components of its vector. */
#include "src/profile/array.h"

#include "graph/base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t scalars_of(const sy_shader_field *f)
{
    if (f->scalar == SY_SCALAR_OTHER || f->length == SY_RUNTIME_LENGTH)
        return 0;
    return (uint64_t)f->components * (f->length ? f->length : 1);
}

static uint64_t offset_of(const sy_shader_field *f, uint64_t scalar)
{
    uint64_t element = scalar / f->components, inside = scalar % f->components;
    uint64_t column = f->column_stride ? inside / f->rows : 0, row = f->column_stride ? inside % f->rows : inside;
    return f->offset + element * f->stride + column * f->column_stride + row * (f->bits / 8);
}

static bool element_of(const sy_shader_field *f, sy_element *element)
{
    static const struct {
        sy_scalar scalar;
        uint32_t bits;
        sy_element element;
    } table[] = {{SY_SCALAR_FLOAT, 32, SY_ELEMENT_F32}, {SY_SCALAR_FLOAT, 16, SY_ELEMENT_F16}, {SY_SCALAR_FLOAT, 64, SY_ELEMENT_F64},
                 {SY_SCALAR_INT, 32, SY_ELEMENT_I32},   {SY_SCALAR_UINT, 32, SY_ELEMENT_U32},  {SY_SCALAR_INT, 16, SY_ELEMENT_I16},
                 {SY_SCALAR_UINT, 16, SY_ELEMENT_U16},  {SY_SCALAR_INT, 8, SY_ELEMENT_I8},     {SY_SCALAR_UINT, 8, SY_ELEMENT_U8},
                 {SY_SCALAR_INT, 64, SY_ELEMENT_I64},   {SY_SCALAR_UINT, 64, SY_ELEMENT_U64}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].scalar == f->scalar && table[i].bits == f->bits) {
            *element = table[i].element;
            return true;
        }
    return false;
}

const char *sy_block_text(const sy_shader_block *block, char *out, size_t room)
{
    size_t n = 0;
    char type[48];
    out[0] = '\0';
    for (uint32_t i = 0; i < block->n_fields && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%s %s", i ? ", " : "", sy_shader_field_text(&block->fields[i], type), block->fields[i].name);
    return out;
}

/* Where the next value goes. */
typedef struct cursor {
    uint32_t field;
    uint64_t scalar;
} cursor;

static bool find_field(const sy_shader_block *block, const char *name, size_t length, cursor *c)
{
    for (uint32_t i = 0; i < block->n_fields; i++)
        if (strlen(block->fields[i].name) == length && !strncmp(block->fields[i].name, name, length)) {
            *c = (cursor){i, 0};
            return true;
        }
    return false;
}

static bool put(const sy_shader_block *block, cursor *c, uint64_t *given, double value, uint8_t *out, uint64_t room)
{
    sy_element element;
    while (c->field < block->n_fields && c->scalar >= scalars_of(&block->fields[c->field]))
        *c = (cursor){c->field + 1, 0};
    if (c->field == block->n_fields)
        return false;
    const sy_shader_field *f = &block->fields[c->field];
    uint64_t at = offset_of(f, c->scalar);
    if (!element_of(f, &element) || at > room || room - at < f->bits / 8 || !sy_element_put(element, value, out + at))
        return false;
    given[c->field]++;
    c->scalar++;
    return true;
}

static bool read_values(const sy_shader_block *block, const char *text, const char *option, uint64_t *given, uint8_t *out, uint64_t room,
                        sy_error *error)
{
    char fields[240];
    cursor c = {0};
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        const char *equals = memchr(at, '=', length), *number = equals ? equals + 1 : at;
        double value;
        if (equals && !find_field(block, at, (size_t)(equals - at), &c))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: there is no \"%.*s\"; the shader declares %s", option, (int)(equals - at), at,
                           sy_block_text(block, fields, sizeof fields));
        if (!sy_number_read(number, length - (size_t)(number - at), &value))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: \"%.*s\" is no number", option, (int)(length - (size_t)(number - at)), number);
        if (!put(block, &c, given, value, out, room))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: there is no place for \"%.*s\"; the shader declares %s", option, (int)length, at,
                           sy_block_text(block, fields, sizeof fields));
        at += length;
        at += *at == ',';
    }
    return true;
}

bool sy_block_fill(const sy_shader_block *block, const char *text, const char *option, uint8_t *out, uint64_t room, sy_error *error)
{
    uint64_t *given = calloc((size_t)block->n_fields + 1, sizeof *given);
    char type[48];
    bool ok = given ? read_values(block, text ? text : "", option, given, out, room, error)
                    : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for values");
    for (uint32_t i = 0; ok && i < block->n_fields; i++) {
        const sy_shader_field *f = &block->fields[i];
        if (given[i] < scalars_of(f) || f->scalar == SY_SCALAR_OTHER)
            ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" (%s, byte %llu) was given %llu of %llu values: add %s=VALUE%s to %s", f->name,
                         sy_shader_field_text(f, type), (unsigned long long)f->offset, (unsigned long long)given[i], (unsigned long long)scalars_of(f),
                         f->name, scalars_of(f) > 1 ? ",…" : "", option);
    }
    free(given);
    return ok;
}
