/* Expands a template: see gen.h. Line by line; loops by running their lines again. */
#include "graph/emit/embedded.h"
#include "graph/emit/gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LOOPS = 5, MAX_NAME = 32 };

typedef struct expansion {
    const char *file, *end; /* end of the section's text */
    const sy_template_value *values;
    uint32_t n_values;
    sy_template_value loops[MAX_LOOPS];
    char names[MAX_LOOPS][MAX_NAME];
    uint32_t n_loops;
    sy_text *out;
    sy_error *error;
} expansion;

static const sy_template_value *find(const expansion *e, const char *name, size_t length)
{
    for (uint32_t i = e->n_loops; i-- > 0;)
        if (strlen(e->loops[i].name) == length && !memcmp(e->loops[i].name, name, length))
            return &e->loops[i];
    for (uint32_t i = 0; i < e->n_values; i++)
        if (strlen(e->values[i].name) == length && !memcmp(e->values[i].name, name, length))
            return &e->values[i];
    return NULL;
}

/* A number, a name, or a name after '!' for "not". */
static bool number(const expansion *e, const char *text, size_t length, int64_t *result)
{
    bool negate = length > 0 && *text == '!';
    text += negate;
    length -= negate;
    if (length > 0 && *text >= '0' && *text <= '9') {
        *result = strtoll(text, NULL, 10);
        return true;
    }
    const sy_template_value *value = find(e, text, length);
    if (!value)
        return sy_fail(e->error, SY_CODE_INTERNAL, "shaders/%s: no value \"%.*s\"", e->file, (int)length, text);
    *result = negate ? !value->number : value->number;
    return true;
}

static size_t word(const char *text)
{
    return strcspn(text, " \n");
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

static const char *skip_space(const char *line)
{
    return line + strspn(line, " ");
}

static bool is(const char *line, const char *directive)
{
    return !strncmp(skip_space(line), directive, strlen(directive));
}

/* The line after the //@end of the block whose body begins here. */
static const char *block_end(const expansion *e, const char *line)
{
    for (int depth = 1; line < e->end; line = next_line(line)) {
        depth += is(line, "//@for ") || is(line, "//@if ");
        depth -= is(line, "//@end");
        if (depth == 0)
            return line;
    }
    return e->end;
}

/* Which of the endings of gen.h these five characters are; -1: none. */
static int suffix_of(const char *end)
{
    static const char *const suffixes[] = {"_quad", "_part", "_next", "_octo", "_lane"};
    for (int i = 0; i < 5; i++)
        if (!memcmp(end, suffixes[i], 5))
            return i;
    return -1;
}

static bool expand_line(expansion *e, const char *line, const char *end)
{
    while (line < end) {
        const char *at = strstr(line, "@{"), *close = at ? strchr(at, '}') : NULL;
        if (!at || at >= end || !close) {
            sy_text_add_bytes(e->out, line, (size_t)(end - line));
            return true;
        }
        sy_text_add_bytes(e->out, line, (size_t)(at - line));
        size_t length = (size_t)(close - at - 2);
        const sy_template_value *value = find(e, at + 2, length), *base = NULL;
        int suffix = -1;
        if (!value && length > 5 && (suffix = suffix_of(close - 5)) >= 0)
            base = find(e, at + 2, length - 5);
        if (base) {
            int64_t i = base->number;
            const int64_t results[] = {i / 4, i % 4, i + 1, i / 8, i % 8};
            sy_text_printf(e->out, "%lld", (long long)results[suffix]);
            line = close + 1;
            continue;
        }
        if (!value)
            return sy_fail(e->error, SY_CODE_INTERNAL, "shaders/%s: no value \"%.*s\"", e->file, (int)(close - at - 2),
                           at + 2);
        if (value->text)
            sy_text_add(e->out, value->text);
        else
            sy_text_printf(e->out, "%lld", (long long)value->number);
        line = close + 1;
    }
    return true;
}

static bool expand(expansion *e, const char *line, const char *end)
{
    while (line < end) {
        const char *next = next_line(line), *text = skip_space(line);
        int64_t n = 0;
        if (is(line, "//@for ") || is(line, "//@if ")) {
            bool loop = is(line, "//@for ");
            const char *first = text + (loop ? 7 : 6), *count = loop ? skip_space(first + word(first)) : first;
            const char *stop = block_end(e, next);
            if (!number(e, count, word(count), &n))
                return false;
            if (loop) {
                if (e->n_loops == MAX_LOOPS || word(first) >= MAX_NAME)
                    return sy_fail(e->error, SY_CODE_INTERNAL, "shaders/%s: loops too deep", e->file);
                uint32_t depth = e->n_loops++;
                memcpy(e->names[depth], first, word(first));
                e->names[depth][word(first)] = '\0';
                e->loops[depth] = (sy_template_value){e->names[depth], 0, NULL};
                for (; e->loops[depth].number < n; e->loops[depth].number++)
                    if (!expand(e, next, stop))
                        return false;
                e->n_loops--;
            } else if (n && !expand(e, next, stop)) {
                return false;
            }
            line = next_line(stop);
            continue;
        }
        if (!is(line, "//@") && !expand_line(e, line, next))
            return false;
        line = next;
    }
    return true;
}

bool sy_template_expand(const char *file, const char *section, const sy_template_value *values, uint32_t n_values,
                        sy_text *out, sy_error *error)
{
    const struct sy_embedded *source = sy_embedded_shaders;
    char mark[64];
    while (source->name && strcmp(source->name, file))
        source++;
    if (!source->name)
        return sy_fail(error, SY_CODE_INTERNAL, "there is no shaders/%s", file);
    snprintf(mark, sizeof mark, "//@section %s\n", section);
    const char *begin = strstr(source->data, mark);
    if (!begin)
        return sy_fail(error, SY_CODE_INTERNAL, "shaders/%s has no section \"%s\"", file, section);
    begin = next_line(begin);
    const char *end = strstr(begin, "//@section ");
    expansion e = {.file = file, .values = values, .n_values = n_values, .out = out, .error = error};
    e.end = end ? end : begin + strlen(begin);
    return expand(&e, begin, e.end) && (!out->failed || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory"));
}
