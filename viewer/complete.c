/* See complete.h. */
#include "viewer/complete.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The next of the list that begins with so many characters of text and is longer. */
static const char *nth(const char *const *list, uint32_t n, const char *text, size_t length, uint32_t *index)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strncasecmp(list[i], text, length) && list[i][length] && (*index)-- == 0)
            return list[i];
    return NULL;
}

const char *complete_at(const sy_model_info *model, const char *text, int cursor, uint32_t index, int *from)
{
    int part = cursor, word = cursor;
    while (part > 0 && text[part - 1] != '|')
        part--;
    while (part < cursor && text[part] == ' ')
        part++;
    while (word > part && text[word - 1] != ' ')
        word--;
    *from = part;
    const char *found = nth(model->prompts, model->n_prompts, text + part, (size_t)(cursor - part), &index);
    if (found || word == cursor)
        return found;
    *from = word;
    return nth(model->words, model->n_words, text + word, (size_t)(cursor - word), &index);
}

bool complete_with(const sy_model_info *model, const char *text, int cursor, uint32_t index, char *whole, size_t size)
{
    int from;
    const char *candidate = complete_at(model, text, cursor, index, &from);
    return candidate && snprintf(whole, size, "%.*s%s", from, text, candidate) < (int)size;
}
