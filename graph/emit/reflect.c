/* Two walks over the instructions: the first notes where ids are made and how they are decorated, the second has
 * everything at hand. Nothing is trusted: an instruction that leaves the module, an id past the bound, a string without
 * end is an error or ignored, never followed. */
#include "graph/emit/reflect_private.h"

#include <stdlib.h>
#include <string.h>

enum { SPEC_ID = 1, BLOCK = 2, BUFFER_BLOCK = 3, ARRAY_STRIDE = 6, BUILT_IN = 11, NON_WRITABLE = 24, NON_READABLE = 25, BINDING = 33, SET = 34 };
enum { UNIFORM_CONSTANT = 0, UNIFORM = 2, WORKGROUP = 4, PUSH_CONSTANT = 9, STORAGE_BUFFER = 12 };
enum { GL_COMPUTE = 5, LOCAL_SIZE = 17, LOCAL_SIZE_ID = 38, BUILT_IN_WORKGROUP_SIZE = 25, DIM_BUFFER = 5, MOST_RESOURCES = 256 };

static bool wrong(spv_module *m, const char *what)
{
    return sy_fail(m->error, SY_CODE_INVALID_FILE, "the SPIR-V is not sound: %s.", what);
}

uint32_t spv_made(const spv_module *m, uint32_t id, uint32_t op, uint32_t least)
{
    uint32_t at = id < m->bound ? m->ids[id].at : 0;
    return at && (!op || spv_op(m, at) == op) && spv_length(m, at) >= least ? at : 0;
}

const char *spv_string(const spv_module *m, uint32_t at, uint32_t skip)
{
    uint32_t length = spv_length(m, at);
    const char *text = (const char *)(m->words + at + skip);
    if (length <= skip || !memchr(text, 0, 4 * (size_t)(length - skip)))
        return "";
    return sy_arena_string(&m->shader->arena, text);
}

bool spv_number(const spv_module *m, uint32_t id, uint64_t *value)
{
    uint32_t at = spv_made(m, id, 0, 3);
    if (!at)
        return false;
    switch (spv_op(m, at)) {
    case OP_CONSTANT:
    case OP_SPEC_CONSTANT:
        if (spv_length(m, at) < 4)
            return false;
        *value = m->words[at + 3];
        if (spv_length(m, at) > 4)
            *value |= (uint64_t)m->words[at + 4] << 32;
        return true;
    case OP_CONSTANT_TRUE:
    case OP_SPEC_CONSTANT_TRUE:
    case OP_CONSTANT_FALSE:
    case OP_SPEC_CONSTANT_FALSE:
        *value = spv_op(m, at) == OP_CONSTANT_TRUE || spv_op(m, at) == OP_SPEC_CONSTANT_TRUE;
        return true;
    default:
        return false;
    }
}

/* Which word of an instruction is the id it makes; 0: none that matters here. */
static uint32_t result_word(uint32_t op)
{
    if (op >= OP_TYPE_BOOL - 1 && op <= OP_TYPE_POINTER + 1)
        return 1;
    if ((op >= OP_CONSTANT_TRUE && op <= 52) || op == OP_VARIABLE || op == OP_FUNCTION)
        return 2;
    return 0;
}

static void decorate(spv_module *m, uint32_t at)
{
    uint32_t length = spv_length(m, at), id = m->words[at + 1], what = m->words[at + 2];
    uint32_t value = length > 3 ? m->words[at + 3] : 0;
    spv_id *i = &m->ids[id];
    switch (what) {
    case SPEC_ID:
        i->spec = value;
        break;
    case ARRAY_STRIDE:
        i->stride = value;
        break;
    case BINDING:
        i->binding = value;
        break;
    case SET:
        i->set = value;
        break;
    case BLOCK:
        i->block = true;
        break;
    case BUFFER_BLOCK:
        i->buffer_block = true;
        break;
    case NON_WRITABLE:
        i->read_only = true;
        break;
    case NON_READABLE:
        i->write_only = true;
        break;
    case BUILT_IN:
        i->workgroup_size = value == BUILT_IN_WORKGROUP_SIZE;
        break;
    }
}

static bool entry_point(spv_module *m, uint32_t at)
{
    if (m->words[at + 1] != GL_COMPUTE)
        return true;
    if (m->shader->entry)
        return sy_fail(m->error, SY_CODE_INVALID_FILE, "the SPIR-V has several compute entry points; one is needed.");
    m->entry = m->words[at + 2];
    m->shader->entry = spv_string(m, at, 3);
    return m->shader->entry || sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
}

static bool note(spv_module *m, uint32_t at, uint32_t *n_capabilities)
{
    uint32_t op = spv_op(m, at), length = spv_length(m, at), word = result_word(op);
    if (word && length > word) {
        uint32_t id = m->words[at + word];
        if (id >= m->bound || m->ids[id].at)
            return wrong(m, "an id is past the bound, or made twice");
        m->ids[id].at = at;
    }
    if ((op == OP_NAME || op == OP_DECORATE || op == OP_MEMBER_NAME || op == OP_MEMBER_DECORATE) &&
        (length < 3 || m->words[at + 1] >= m->bound))
        return wrong(m, "a name or a decoration of nothing");
    switch (op) {
    case OP_NAME:
        m->ids[m->words[at + 1]].name = at;
        break;
    case OP_DECORATE:
        decorate(m, at);
        break;
    case OP_MEMBER_NAME:
        if (length > 3)
            m->members[m->n_members++] = (spv_member){m->words[at + 1], m->words[at + 2], SPV_MEMBER_NAME, at};
        break;
    case OP_MEMBER_DECORATE:
        if (length > 3)
            m->members[m->n_members++] =
                (spv_member){m->words[at + 1], m->words[at + 2], m->words[at + 3], length > 4 ? m->words[at + 4] : 0};
        break;
    case OP_CAPABILITY:
        ((uint32_t *)m->shader->capabilities)[(*n_capabilities)++] = length > 1 ? m->words[at + 1] : 0;
        break;
    case OP_ENTRY_POINT:
        return length < 4 ? wrong(m, "an entry point without a name") : entry_point(m, at);
    }
    return true;
}

/* First walk. Counts come from the instructions themselves, so arrays sized by them hold all. */
static bool survey(spv_module *m)
{
    uint32_t members = 1, capabilities = 1, n = 0, at;
    bool in_function = false;
    for (at = 5; at < m->n_words; at += spv_length(m, at)) {
        uint32_t length = spv_length(m, at), op = spv_op(m, at);
        if (!length || length > m->n_words - at)
            return wrong(m, "an instruction leaves the file");
        members += op == OP_MEMBER_NAME || op == OP_MEMBER_DECORATE;
        capabilities += op == OP_CAPABILITY;
        in_function = in_function || op == OP_FUNCTION;
        m->shader->n_instructions += in_function;
    }
    if (members > 65536)
        return wrong(m, "more than 65536 members are named or decorated");
    m->members = sy_arena_array(&m->shader->arena, members, sizeof *m->members);
    m->shader->capabilities = sy_arena_array(&m->shader->arena, capabilities, sizeof *m->shader->capabilities);
    if (!m->members || !m->shader->capabilities)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    for (at = 5; at < m->n_words; at += spv_length(m, at))
        if (!note(m, at, &n))
            return false;
    m->shader->n_capabilities = n;
    if (!m->shader->entry)
        return sy_fail(m->error, SY_CODE_INVALID_FILE, "the SPIR-V has no compute entry point: only compute shaders are run.");
    return true;
}

static int by_id(const void *a, const void *b)
{
    const sy_shader_constant *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static bool find_constants(spv_module *m)
{
    sy_shader *s = m->shader;
    uint32_t n = 0;
    for (uint32_t id = 0; id < m->bound; id++)
        n += m->ids[id].spec != SPV_NONE;
    sy_shader_constant *list = sy_arena_array(&s->arena, n + 1, sizeof *list);
    if (!list)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    for (uint32_t id = 0; id < m->bound; id++) {
        sy_shader_constant *c = &list[s->n_constants];
        uint32_t at = spv_made(m, id, 0, 3);
        if (m->ids[id].spec == SPV_NONE || !at || !spv_number(m, id, &c->value) ||
            !spv_scalar_of(m, m->words[at + 1], &c->scalar, &c->bits))
            continue;
        c->id = m->ids[id].spec;
        c->name = m->ids[id].name ? spv_string(m, m->ids[id].name, 2) : "";
        if (!c->name)
            return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
        s->n_constants++;
    }
    qsort(list, s->n_constants, sizeof *list, by_id);
    s->constants = list;
    return true;
}

/* One of the three numbers of the workgroup from the id that gives it. */
static void local_from(spv_module *m, uint32_t axis, uint32_t id)
{
    sy_shader *s = m->shader;
    uint64_t value;
    if (!spv_number(m, id, &value) || value > UINT32_MAX) {
        s->local_known = false;
        return;
    }
    s->local[axis] = (uint32_t)value;
    for (uint32_t i = 0; i < s->n_constants && m->ids[id].spec != SPV_NONE; i++)
        if (s->constants[i].id == m->ids[id].spec)
            s->local_constant[axis] = i;
}

static bool find_local(spv_module *m)
{
    sy_shader *s = m->shader;
    s->local_known = true;
    for (int i = 0; i < 3; i++)
        s->local_constant[i] = SY_NO_CONSTANT;
    for (uint32_t at = 5; at < m->n_words; at += spv_length(m, at)) {
        bool mode = spv_op(m, at) == OP_EXECUTION_MODE, by = spv_op(m, at) == OP_EXECUTION_MODE_ID;
        if ((!mode && !by) || spv_length(m, at) < 6 || m->words[at + 1] != m->entry)
            continue;
        for (uint32_t i = 0; i < 3; i++) {
            if (mode && m->words[at + 2] == LOCAL_SIZE)
                s->local[i] = m->words[at + 3 + i];
            else if (by && m->words[at + 2] == LOCAL_SIZE_ID)
                local_from(m, i, m->words[at + 3 + i]);
        }
    }
    for (uint32_t id = 0; id < m->bound; id++) { /* this one wins where it is */
        uint32_t at = m->ids[id].workgroup_size ? spv_made(m, id, 0, 6) : 0;
        for (uint32_t i = 0; at && i < 3; i++)
            local_from(m, i, m->words[at + 3 + i]);
    }
    if (s->local_known && (!s->local[0] || !s->local[1] || !s->local[2]))
        return wrong(m, "it does not say how large its workgroup is");
    return true;
}

static sy_resource_kind image_kind(const spv_module *m, uint32_t type)
{
    uint32_t at = spv_made(m, type, OP_TYPE_SAMPLED_IMAGE, 3);
    if (at)
        type = m->words[at + 2];
    at = spv_made(m, type, OP_TYPE_IMAGE, 9);
    if (!at || m->words[at + 3] != DIM_BUFFER)
        return SY_RESOURCE_OTHER;
    return m->words[at + 7] == 2 ? SY_RESOURCE_STORAGE_TEXELS : SY_RESOURCE_TEXELS;
}

/* glslang says readonly of every member, others of the variable. */
static bool all_members(const spv_module *m, uint32_t type, uint32_t what)
{
    uint32_t at = spv_made(m, type, OP_TYPE_STRUCT, 2), n = at ? spv_length(m, at) - 2 : 0, found = 0;
    for (uint32_t i = 0; i < m->n_members; i++)
        found += m->members[i].type == type && m->members[i].what == what;
    return n && found >= n;
}

static const char *resource_name(const spv_module *m, uint32_t variable, uint32_t type)
{
    const char *name = m->ids[variable].name ? spv_string(m, m->ids[variable].name, 2) : "";
    if (name && !*name && type < m->bound && m->ids[type].name)
        name = spv_string(m, m->ids[type].name, 2);
    return name;
}

static bool add_resource(spv_module *m, uint32_t id, uint32_t type, uint32_t class, sy_shader_resource *r)
{
    const spv_id *v = &m->ids[id];
    uint64_t count = 1;
    uint32_t at = spv_made(m, type, OP_TYPE_ARRAY, 4);
    *r = (sy_shader_resource){.set = v->set == SPV_NONE ? 0 : v->set, .binding = v->binding, .count = 1};
    if (at) {
        if (!spv_number(m, m->words[at + 3], &count) || count >= SY_RUNTIME_LENGTH)
            return wrong(m, "an array of resources has no length");
        r->count = (uint32_t)count;
        type = m->words[at + 2];
    } else if ((at = spv_made(m, type, OP_TYPE_RUNTIME_ARRAY, 3))) {
        r->count = SY_RUNTIME_LENGTH;
        type = m->words[at + 2];
    }
    if (v->binding == SPV_NONE || type >= m->bound)
        return wrong(m, "a resource has no binding");
    bool buffer = class != UNIFORM_CONSTANT;
    r->kind = !buffer ? image_kind(m, type)
              : class == STORAGE_BUFFER || m->ids[type].buffer_block ? SY_RESOURCE_STORAGE : SY_RESOURCE_UNIFORM;
    r->name = resource_name(m, id, type);
    r->read_only = v->read_only || all_members(m, type, NON_WRITABLE) || r->kind == SY_RESOURCE_UNIFORM || r->kind == SY_RESOURCE_TEXELS;
    r->write_only = v->write_only || all_members(m, type, NON_READABLE);
    if (!r->name)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    return !buffer || spv_block(m, type, &r->block) || wrong(m, "a buffer's layout cannot be followed");
}

static int by_place(const void *a, const void *b)
{
    const sy_shader_resource *x = a, *y = b;
    return x->set != y->set ? (x->set > y->set) - (x->set < y->set) : (x->binding > y->binding) - (x->binding < y->binding);
}

static bool find_variables(spv_module *m)
{
    sy_shader *s = m->shader;
    sy_shader_resource *list = sy_arena_array(&s->arena, MOST_RESOURCES, sizeof *list);
    if (!list)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    for (uint32_t id = 0; id < m->bound; id++) {
        uint32_t at = spv_made(m, id, OP_VARIABLE, 4), pointer = at ? spv_made(m, m->words[at + 1], OP_TYPE_POINTER, 4) : 0;
        uint32_t class = at ? m->words[at + 3] : 0, type = pointer ? m->words[pointer + 3] : 0;
        uint64_t bytes;
        if (!pointer)
            continue;
        if (class == PUSH_CONSTANT) {
            if (s->push.n_fields)
                return wrong(m, "it has two blocks of push constants");
            if (!spv_block(m, type, &s->push))
                return wrong(m, "the push constants' layout cannot be followed");
        } else if (class == WORKGROUP) {
            if (!spv_bytes(m, type, 0, &bytes))
                return wrong(m, "a shared variable's size cannot be followed");
            s->shared_bytes = bytes > UINT64_MAX - s->shared_bytes ? UINT64_MAX : s->shared_bytes + bytes;
        } else if (class == UNIFORM_CONSTANT || class == UNIFORM || class == STORAGE_BUFFER) {
            if (s->n_resources == MOST_RESOURCES)
                return wrong(m, "it has more than 256 resources");
            if (!add_resource(m, id, type, class, &list[s->n_resources]))
                return false;
            s->n_resources++;
        }
    }
    qsort(list, s->n_resources, sizeof *list, by_place);
    for (uint32_t i = 1; i < s->n_resources; i++)
        if (!by_place(&list[i - 1], &list[i]))
            return sy_fail(m->error, SY_CODE_INVALID_FILE,
                           "binding %u of set %u is declared twice, as \"%s\" and as \"%s\": one name for each.",
                           list[i].binding, list[i].set, list[i - 1].name, list[i].name);
    s->resources = list;
    return true;
}

static bool reflect(spv_module *m)
{
    if (m->n_words < 5 || m->words[0] != 0x07230203)
        return sy_fail(m->error, SY_CODE_INVALID_FILE, "it is not SPIR-V of this machine's byte order.");
    m->bound = m->words[3];
    m->shader->version = m->words[1];
    if (!m->bound || m->bound > SPV_MOST_IDS)
        return wrong(m, "its bound of ids is 0 or more than a million");
    m->ids = calloc(m->bound, sizeof *m->ids);
    if (!m->ids)
        return sy_fail(m->error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    for (uint32_t i = 0; i < m->bound; i++)
        m->ids[i].spec = m->ids[i].stride = m->ids[i].binding = m->ids[i].set = SPV_NONE;
    return survey(m) && find_constants(m) && find_local(m) && find_variables(m);
}

sy_shader *sy_shader_reflect(const uint32_t *words, size_t n_words, sy_error *error)
{
    uint64_t steps = UINT64_C(1) << 28;
    spv_module m = {.words = words, .steps = &steps, .n_words = n_words, .error = error, .shader = calloc(1, sizeof *m.shader)};
    if (!m.shader) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
        return NULL;
    }
    if (n_words > UINT32_MAX / 4 ? !wrong(&m, "it is larger than 4 GiB") : !reflect(&m))
        sy_shader_destroy(&m.shader);
    free(m.ids);
    return m.shader;
}

void sy_shader_destroy(sy_shader **shader)
{
    sy_shader *s = *shader;
    *shader = NULL;
    if (!s)
        return;
    sy_arena arena = s->arena;
    sy_arena_free(&arena);
    free(s);
}

const char *sy_resource_text(sy_resource_kind kind)
{
    static const char *const text[] = {"storage buffer", "uniform buffer", "uniform texel buffer", "storage texel buffer", "image or sampler"};
    return text[kind];
}
