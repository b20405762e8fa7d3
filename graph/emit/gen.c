/* See gen.h: text, temporaries, scopes. */
#include "graph/emit/gen.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inputs that are read through texel buffers: whole texels of 16 bytes, and no more than the device allows. */
static uint32_t texel_inputs(const sy_plan *plan, const sy_group *group)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < group->n_inputs; i++) {
        const sy_type *type = &plan->graph->nodes[group->inputs[i]].type;
        uint64_t bytes = sy_type_bytes(type);
        if (!type->is_route && bytes % 16 == 0 && bytes / 16 <= plan->limits.texel_elements)
            bits |= 1u << i;
    }
    return bits;
}

bool sy_gen_init(sy_gen *gen, const sy_plan *plan, uint32_t group, sy_error *error)
{
    *gen = (sy_gen){.plan = plan, .graph = plan->graph, .group = &plan->groups[group], .error = error, .component = -1};
    gen->ix = sy_ix_pool_create();
    gen->reach = calloc(plan->graph->n_nodes, 1);
    if (!gen->ix || !gen->reach) {
        sy_gen_free(gen);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory");
    }
    gen->lane = sy_ix_var(gen->ix, "lane", 0, 3);
    gen->texels = texel_inputs(plan, gen->group);
    return true;
}

void sy_gen_free(sy_gen *gen)
{
    sy_ix_pool_destroy(&gen->ix);
    sy_text_free(&gen->functions);
    sy_text_free(&gen->body);
    sy_arena_free(&gen->arena);
    free(gen->memos);
    free(gen->reach);
}

void sy_gen_fail(sy_gen *gen, const char *format, ...)
{
    char message[400];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    if (!gen->failed)
        sy_fail(gen->error, SY_CODE_INTERNAL, "emission: %s", message);
    gen->failed = true;
}

static const char *print(sy_gen *gen, const char *format, va_list list)
{
    va_list copy;
    va_copy(copy, list);
    int size = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    char *text = size < 0 ? NULL : sy_arena_alloc(&gen->arena, (size_t)size + 1);
    if (!text) {
        sy_gen_fail(gen, "out of memory");
        return "0";
    }
    vsnprintf(text, (size_t)size + 1, format, list);
    return text;
}

static const char *printed(sy_gen *gen, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const char *text = print(gen, format, list);
    va_end(list);
    return text;
}

void sy_gen_begin(sy_gen *gen, const char *head)
{
    sy_text_free(&gen->body);
    gen->n_memos = gen->n_temps = 0;
    gen->indent = 1;
    sy_text_printf(&gen->body, "%s\n{\n", head);
}

void sy_gen_end(sy_gen *gen)
{
    sy_text_add(&gen->body, "}\n\n");
    sy_text_add_bytes(&gen->functions, gen->body.data, gen->body.size);
    if (gen->body.failed || gen->functions.failed)
        sy_gen_fail(gen, "out of memory");
    gen->n_memos = 0;
}

void sy_gen_line(sy_gen *gen, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const char *line = print(gen, format, list);
    va_end(list);
    sy_text_printf(&gen->body, "%*s%s\n", (int)(4 * gen->indent), "", line);
}

uint32_t sy_gen_open(sy_gen *gen)
{
    gen->indent++;
    return gen->n_memos;
}

void sy_gen_close(sy_gen *gen, uint32_t opened, const char *end)
{
    gen->n_memos = opened;
    gen->indent--;
    sy_gen_line(gen, "%s", end);
}

const char *sy_gen_ix(sy_gen *gen, sy_ix index)
{
    sy_text text = {0};
    sy_ix_print(gen->ix, index, &text);
    const char *copy = text.data && !text.failed ? printed(gen, "%s", text.data) : NULL;
    sy_text_free(&text);
    if (!copy || sy_ix_failed(gen->ix))
        sy_gen_fail(gen, "an index expression is too large");
    return copy ? copy : "0u";
}

sy_dtype sy_gen_register(sy_dtype stored)
{
    return stored == SY_I32 || stored == SY_U32 ? stored : SY_F32;
}

const char *sy_gen_type(sy_dtype dtype, int width)
{
    if (dtype == SY_I32)
        return width == 4 ? "ivec4" : "int";
    if (dtype == SY_U32)
        return width == 4 ? "uvec4" : "uint";
    return width == 4 ? "vec4" : "float";
}

sy_val sy_gen_temp(sy_gen *gen, sy_dtype dtype, int width, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const char *text = print(gen, format, list);
    va_end(list);
    sy_val value = {printed(gen, "t%u", gen->n_temps++), (uint8_t)width, sy_gen_register(dtype)};
    sy_gen_line(gen, "%s %s = %s;", sy_gen_type(dtype, width), value.text, text);
    return value;
}

sy_ix sy_gen_var(sy_gen *gen, int64_t hi, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const char *text = print(gen, format, list);
    va_end(list);
    /* The number is part of the name, and functions restart it: a range must not be taken from another function. */
    const char *name = printed(gen, "u%u_%llu", gen->n_temps++, (unsigned long long)hi);
    sy_gen_line(gen, "uint %s = %s;", name, text);
    return sy_ix_var(gen->ix, name, 0, hi);
}

sy_val sy_gen_literal(sy_gen *gen, sy_dtype dtype, double value)
{
    sy_val result = {NULL, 1, sy_gen_register(dtype)};
    if (dtype == SY_I32) {
        result.text = value <= INT32_MIN ? "int(0x80000000u)" : printed(gen, "%d", (int32_t)value);
    } else if (dtype == SY_U32) {
        result.text = printed(gen, "%uu", (uint32_t)value);
    } else if (isnan(value) || isinf((float)value)) {
        result.text = printed(gen, "uintBitsToFloat(0x%xu)",
                              isnan(value) ? 0x7fc00000u
                              : value > 0  ? 0x7f800000u
                                           : 0xff800000u);
    } else {
        char text[40];
        snprintf(text, sizeof text, "%.9g", (double)(float)value);
        result.text = printed(gen, strpbrk(text, ".e") ? "%s" : "%s.0", text);
    }
    if (value < 0 && dtype != SY_U32)
        result.text = printed(gen, "(%s)", result.text);
    return result;
}

const char *sy_gen_wide(sy_gen *gen, sy_val value, int width)
{
    return value.width == width ? value.text : printed(gen, "%s(%s)", sy_gen_type(value.dtype, width), value.text);
}

int sy_gen_binding(const sy_gen *gen, sy_value value)
{
    for (uint32_t i = 0; i < gen->group->n_inputs; i++)
        if (gen->group->inputs[i] == value)
            return (int)i;
    return -1;
}

bool sy_gen_anchor(const sy_gen *gen, sy_value value, uint32_t *which)
{
    for (uint32_t i = 0; i < gen->group->n_anchors; i++)
        if (gen->group->anchors[i] == value) {
            *which = i;
            return true;
        }
    return false;
}

const char *sy_gen_step_word(sy_gen *gen, const char *word)
{
    uint32_t binding = gen->group->n_inputs + gen->group->n_outputs;
    gen->uses[binding] |= 1;
    if (!gen->group->reads_step)
        sy_gen_fail(gen, "the step buffer is read by a group that is not marked so");
    return printed(gen, "b%u.d[%s]", binding, word);
}
