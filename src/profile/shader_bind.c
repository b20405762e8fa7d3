#include "src/profile/shader_private.h"

#include "graph/base/number.h"
#include "graph/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = UINT32_MAX };

static const char *resource_names(const sy_shader *s, char *out, size_t room)
{
    size_t n = 0;
    snprintf(out, room, "none");
    for (uint32_t i = 0; i < s->n_resources && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%u.%u (%s)", i ? ", " : "", s->resources[i].set, s->resources[i].binding, s->resources[i].name);
    return out;
}

/* By the buffer's name, or that of the array in it: "buffer X { float x[]; }" is X and x. */
static bool is_called(const sy_shader_resource *r, const char *name, size_t n)
{
    const sy_shader_field *last = r->block.runtime_stride ? &r->block.fields[r->block.n_fields - 1] : NULL;
    return (strlen(r->name) == n && !strncmp(r->name, name, n)) || (last && strlen(last->name) == n && !strncmp(last->name, name, n));
}

/* "3", "1.3" or a name, up to the equals sign. */
static uint32_t find_resource(const shader_job *j, const char *option, const char *text, const char **rest, sy_error *error)
{
    const sy_shader *s = j->shader;
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;
    unsigned set = 0, binding = 0;
    int used = 0;
    char names[240];
    if (!equals || !n || !equals[1]) {
        sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s is \"%.100s\"; it takes BINDING=…, SET.BINDING=… or NAME=…", option, text);
        return NONE;
    }
    *rest = equals + 1;
    bool pair = sscanf(text, "%u.%u=%n", &set, &binding, &used) == 2 && used == (int)n + 1;
    bool one = !pair && sscanf(text, "%u=%n", &binding, &used) == 1 && used == (int)n + 1;
    for (uint32_t i = 0; i < s->n_resources; i++) {
        const sy_shader_resource *r = &s->resources[i];
        if (((pair || one) && r->set == (pair ? set : 0) && r->binding == binding) || is_called(r, text, n))
            return i;
    }
    sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: there is no \"%.*s\" in the shader; it has %s", option, (int)n, text,
            resource_names(s, names, sizeof names));
    return NONE;
}

static const char *where_text(const sy_shader_resource *r, char out[32])
{
    if (r->set)
        snprintf(out, 32, "%u.%u", r->set, r->binding);
    else
        snprintf(out, 32, "%u", r->binding);
    return out;
}

/* A uniform buffer may be given by the values of its fields. */
static bool by_values(const sy_shader_resource *r, const char *spec)
{
    size_t n = strlen(spec);
    return r->kind == SY_RESOURCE_UNIFORM && !strchr(spec, '[') && !(n > 4 && !strcmp(spec + n - 4, ".npy"));
}

static bool fill_resource(shader_job *j, uint32_t i, const char *spec, sy_error *error)
{
    const sy_shader_resource *r = &j->shader->resources[i];
    sy_raw_array *a = &j->arrays[i];
    char option[64], where[32], fields[200];
    snprintf(option, sizeof option, "--bind %s", where_text(r, where));
    if (a->data)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s, \"%s\", is given twice", option, r->name);
    if (by_values(r, spec)) {
        *a = (sy_raw_array){.element = SY_ELEMENT_U8, .rank = 1, .dim = {(int64_t)r->block.bytes}, .count = r->block.bytes, .bytes = r->block.bytes};
        a->data = r->block.bytes < (1 << 20) ? calloc(1, r->block.bytes + 4) : NULL;
        if (!a->data)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for \"%s\"", r->name);
        return sy_block_fill(&r->block, spec, option, a->data, r->block.bytes, error);
    }
    if (!sy_raw_array_make(spec, a, error))
        return sy_fail_context(error, "%s", option);
    if (!a->bytes || a->bytes < r->block.bytes)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: %llu bytes are too few for \"%s\", which the shader declares as { %s }, %llu bytes", option,
                       (unsigned long long)a->bytes, r->name, sy_block_text(&r->block, fields, sizeof fields), (unsigned long long)r->block.bytes);
    if (r->block.runtime_stride && (a->bytes - r->block.bytes) % r->block.runtime_stride)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "%s: %llu bytes are no whole number of the elements of \"%s\", which the shader declares as { %s }, %u bytes each", option,
                       (unsigned long long)a->bytes, r->name, sy_block_text(&r->block, fields, sizeof fields), r->block.runtime_stride);
    return true;
}

/* Names what is missing, with what to add. */
static bool all_given(const shader_job *j, sy_error *error)
{
    for (uint32_t i = 0; i < j->shader->n_resources; i++) {
        const sy_shader_resource *r = &j->shader->resources[i];
        char where[32], fields[160];
        if (j->arrays[i].data)
            continue;
        if (r->kind != SY_RESOURCE_STORAGE && r->kind != SY_RESOURCE_UNIFORM)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "binding %s, \"%s\", is a %s; storage and uniform buffers are what can be bound", where_text(r, where),
                           r->name, sy_resource_text(r->kind));
        const sy_shader_field *last = r->block.n_fields ? &r->block.fields[r->block.n_fields - 1] : NULL;
        const char *element = !last                                                ? "u32"
                              : last->scalar == SY_SCALAR_FLOAT ? last->bits == 16 ? "f16" : last->bits == 64 ? "f64" : "f32"
                              : last->scalar == SY_SCALAR_INT   ? last->bits == 8 ? "i8" : last->bits == 16 ? "i16" : last->bits == 64 ? "i64" : "i32"
                                                                : last->bits == 8 ? "u8" : last->bits == 16 ? "u16" : last->bits == 64 ? "u64" : "u32";
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "binding %u of set %u, the %s \"%s\" { %s }, was given no content: add --bind %s=%s[N]:uniform, or --bind %s=FILE.npy%s", r->binding,
                       r->set, sy_resource_text(r->kind), r->name, sy_block_text(&r->block, fields, sizeof fields), where_text(r, where), element, where,
                       r->kind == SY_RESOURCE_UNIFORM ? ", or its fields by name" : "");
    }
    return true;
}

static bool bind_buffers(shader_job *j, sy_error *error)
{
    const sy_shader *s = j->shader;
    const char *spec;
    for (uint32_t i = 0; i < j->p->n_binds; i++) {
        uint32_t r = find_resource(j, "--bind", j->p->binds[i], &spec, error);
        if (r == NONE || !fill_resource(j, r, spec, error))
            return false;
    }
    if (!all_given(j, error))
        return false;
    for (uint32_t i = 0; i < s->n_resources; i++) {
        const sy_shader_resource *r = &s->resources[i];
        uint64_t bytes = (j->arrays[i].bytes + 3) & ~UINT64_C(3);
        j->buffers[i] = (sy_work_buffer){.name = *r->name ? r->name : "buffer", .bytes = bytes, .data = j->arrays[i].data};
        j->bindings[i] = (sy_work_binding){.set = r->set, .binding = r->binding, .buffer = i, .bytes = bytes};
    }
    return true;
}

bool shader_bind(shader_job *j, sy_error *error)
{
    const sy_shader_params *p = j->p;
    size_t n = (size_t)j->shader->n_resources + 1;
    const char *file;
    char fields[200];
    j->arrays = sy_arena_array(&j->arena, n, sizeof *j->arrays);
    j->buffers = sy_arena_array(&j->arena, n, sizeof *j->buffers);
    j->bindings = sy_arena_array(&j->arena, n, sizeof *j->bindings);
    j->wanted = sy_arena_array(&j->arena, (size_t)p->n_expects + 1, sizeof *j->wanted);
    j->expects = sy_arena_array(&j->arena, (size_t)p->n_expects + 1, sizeof *j->expects);
    j->outs = sy_arena_array(&j->arena, (size_t)p->n_outs + 1, sizeof *j->outs);
    if (!j->arrays || !j->buffers || !j->bindings || !j->wanted || !j->expects || !j->outs)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    if (!bind_buffers(j, error))
        return false;
    for (uint32_t i = 0; i < p->n_outs; i++)
        if ((j->outs[i] = find_resource(j, "--out", p->outs[i], &file, error)) == NONE)
            return false;
    for (uint32_t i = 0; i < p->n_expects; i++) {
        if ((j->expects[i] = find_resource(j, "--expect", p->expects[i], &file, error)) == NONE || !sy_raw_array_make(file, &j->wanted[i], error))
            return sy_fail_context(error, "--expect");
        if (j->wanted[i].count != j->arrays[j->expects[i]].count)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--expect %s has %llu elements, the buffer %llu", p->expects[i],
                           (unsigned long long)j->wanted[i].count, (unsigned long long)j->arrays[j->expects[i]].count);
    }
    if (j->shader->push.bytes > sizeof j->push)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the shader has %llu bytes of push constants; %d are the most", (unsigned long long)j->shader->push.bytes,
                       SY_WORK_PUSH);
    if (p->push && *p->push && !j->shader->push.n_fields)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--push: the shader has no push constants");
    if (j->shader->push.n_fields && !p->push)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the shader has push constants { %s }: add --push NAME=VALUE,…",
                       sy_block_text(&j->shader->push, fields, sizeof fields));
    return !j->shader->push.n_fields || sy_block_fill(&j->shader->push, p->push, "--push", j->push, sizeof j->push, error);
}

static const char *constant_names(const sy_shader *s, char *out, size_t room)
{
    size_t n = 0;
    snprintf(out, room, "none");
    for (uint32_t i = 0; i < s->n_constants && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%u (%s)", i ? ", " : "", s->constants[i].id, s->constants[i].name);
    return out;
}

static bool constant_bits(const sy_shader_constant *c, const char *text, size_t length, uint64_t *bits, sy_error *error)
{
    sy_element element = c->scalar == SY_SCALAR_FLOAT ? c->bits == 16 ? SY_ELEMENT_F16 : c->bits == 64 ? SY_ELEMENT_F64 : SY_ELEMENT_F32
                         : c->scalar == SY_SCALAR_INT ? c->bits == 8 ? SY_ELEMENT_I8 : c->bits == 16 ? SY_ELEMENT_I16 : c->bits == 64 ? SY_ELEMENT_I64 : SY_ELEMENT_I32
                         : c->bits == 8 ? SY_ELEMENT_U8 : c->bits == 16 ? SY_ELEMENT_U16 : c->bits == 64 ? SY_ELEMENT_U64 : SY_ELEMENT_U32;
    double value;
    *bits = 0;
    if (sy_number_read(text, length, &value) && sy_element_put(element, value, bits))
        return true;
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--spec: \"%.*s\" is no value of %s, which is %s", (int)length, text, *c->name ? c->name : "the constant",
                   sy_element_text(element));
}

static bool add_swept(shader_job *j, const char *text, sy_error *error)
{
    const sy_shader *s = j->shader;
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0, values = 1;
    char names[200];
    unsigned id;
    int used = 0;
    uint32_t c = 0;
    if (!equals || !n || !equals[1] || j->n_swept == SHADER_CONSTANTS)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--spec is \"%.100s\"; it takes ID=V1,V2,… or NAME=V1,V2,…, at most %d times", text, SHADER_CONSTANTS);
    bool number = sscanf(text, "%u=%n", &id, &used) == 1 && used == (int)n + 1;
    while (c < s->n_constants && !(number && s->constants[c].id == id) && !(strlen(s->constants[c].name) == n && !strncmp(s->constants[c].name, text, n)))
        c++;
    if (c == s->n_constants)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--spec: the shader has no specialisation constant \"%.*s\"; it has %s", (int)n, text,
                       constant_names(s, names, sizeof names));
    for (const char *at = equals; *at; at++)
        values += *at == ',';
    swept *w = &j->swept[j->n_swept++];
    *w = (swept){.constant = c, .values = sy_arena_array(&j->arena, values, sizeof *w->values)};
    if (!w->values)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for values");
    for (const char *at = equals + 1;; at++) {
        size_t length = strcspn(at, ",");
        if (!constant_bits(&s->constants[c], at, length, &w->values[w->n++], error))
            return false;
        at += length;
        if (!*at)
            return true;
    }
}

bool shader_sweep(shader_job *j, sy_error *error)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < j->p->n_specs; i++) {
        if (!add_swept(j, j->p->specs[i], error))
            return false;
        n *= j->swept[i].n;
        if (n > SY_SHADER_VARIANTS)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "--spec: more than %d combinations", SY_SHADER_VARIANTS);
    }
    j->n_variants = (uint32_t)n;
    return true;
}
