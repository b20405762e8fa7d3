/* Prompts: which rows of the label embedding the words of a prompt are. The rule for cutting a prompt is that of the
 * training script (tools/train/artwork.py), or words would be missed: lower case, cut at everything that is no
 * letter or digit. The vocabulary comes from the file's metadata and is untrusted: cJSON bounds the nesting. */
#include "graph/import/safetensors.h"
#include "graph/zoo/networks.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct sy_vocabulary {
    sy_arena arena;
    const char **words;
    int32_t count;
};

enum { WORD_SIZE = 64 };

static bool fill(sy_vocabulary *v, const cJSON *json, sy_error *error)
{
    int32_t i = 0;
    const cJSON *item;
    v->count = cJSON_GetArraySize(json);
    v->words = sy_arena_array(&v->arena, (size_t)v->count, sizeof *v->words);
    if (!v->words)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a vocabulary of %d words.", (int)v->count);
    cJSON_ArrayForEach(item, json)
    {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return sy_fail(error, SY_CODE_INVALID_FILE, "Entry %d of switchyard.vocabulary is not a word.", (int)i);
        v->words[i] = sy_arena_string(&v->arena, item->valuestring);
        if (!v->words[i++])
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a vocabulary of %d words.", (int)v->count);
    }
    return true;
}

sy_vocabulary *sy_vocabulary_from_file(const struct sy_safetensors *file, sy_error *error)
{
    const char *text = sy_zoo_metadata(file, "vocabulary");
    if (!text)
        return NULL;
    cJSON *json = cJSON_Parse(text);
    sy_vocabulary *v = calloc(1, sizeof *v);
    bool ok = false;
    if (!v)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a vocabulary.");
    else if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) < 1)
        sy_fail(error, SY_CODE_INVALID_FILE, "The metadata switchyard.vocabulary is not a JSON array of words.");
    else
        ok = fill(v, json, error);
    cJSON_Delete(json);
    if (!ok)
        sy_vocabulary_destroy(&v);
    return v;
}

void sy_vocabulary_destroy(sy_vocabulary **vocabulary)
{
    if (!vocabulary || !*vocabulary)
        return;
    sy_arena_free(&(*vocabulary)->arena);
    free(*vocabulary);
    *vocabulary = NULL;
}

int32_t sy_vocabulary_count(const sy_vocabulary *vocabulary)
{
    return vocabulary->count;
}

const char *sy_vocabulary_word(const sy_vocabulary *vocabulary, int32_t id)
{
    return id >= 0 && id < vocabulary->count ? vocabulary->words[id] : NULL;
}

/* One character of UTF-8 at s, its size in *size; a byte that begins none is a character of its own, no letter. */
static uint32_t character(const char *s, int *size)
{
    const unsigned char *u = (const unsigned char *)s;
    int n = u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3 : u[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = n == 1 ? u[0] : n ? u[0] & (0x7fu >> n) : 0;
    for (int i = 1; i < n; i++) {
        if (u[i] >> 6 != 2)
            n = 0;
        else
            c = c << 6 | (u[i] & 0x3f);
    }
    *size = n ? n : 1;
    return n ? c : 0;
}

/* Letters and digits: ASCII's, and outside of it all that lies neither in the blocks of punctuation and symbols nor in
 * those of pictures. */
static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return isalnum((int)c);
    if (c < 0xc0 || c == 0xd7 || c == 0xf7)
        return c == 0xaa || c == 0xb5 || c == 0xba;
    return !(c >= 0x2000 && c < 0x2c00) && !(c >= 0x3000 && c < 0x3040) && !(c >= 0xfe00 && c < 0xfe70) && c < 0x1f000;
}

/* Appends the character in lower case (ASCII and Latin-1, where lower case is 0x20 above). */
static void append_lower(char word[WORD_SIZE], int *used, const char *s, int size, uint32_t c)
{
    if (*used + size >= WORD_SIZE)
        return;
    memcpy(word + *used, s, (size_t)size);
    if (c < 0x80)
        word[*used] = (char)tolower((int)c);
    else if (c >= 0xc0 && c <= 0xde)
        word[*used + 1] = (char)(s[1] + 0x20);
    *used += size;
    word[*used] = '\0';
}

/* The next word from *s on into `word`, cut at WORD_SIZE - 1 bytes; false at the end. */
static bool next_word(const char **s, char word[WORD_SIZE])
{
    int used = 0, size;
    for (; **s; *s += size) {
        uint32_t c = character(*s, &size);
        if (is_letter(c))
            append_lower(word, &used, *s, size, c);
        else if (used)
            return true;
    }
    return used > 0;
}

int32_t sy_vocabulary_prompt(const sy_vocabulary *vocabulary, const char *prompt, int32_t *ids, float *weights,
                             int32_t room, char unknown[64])
{
    char word[WORD_SIZE];
    int32_t known = 0;
    if (unknown)
        unknown[0] = '\0';
    for (const char *s = prompt ? prompt : ""; known < room && next_word(&s, word);) {
        int32_t id = 0;
        while (id < vocabulary->count && strcmp(vocabulary->words[id], word))
            id++;
        if (id < vocabulary->count)
            ids[known++] = id;
        else if (unknown && !*unknown)
            memcpy(unknown, word, sizeof word);
    }
    for (int32_t i = 0; i < room; i++) {
        bool null_row = !known && i == 0;
        ids[i] = i < known ? ids[i] : null_row ? vocabulary->count : -1;
        weights[i] = i < known ? 1.0f / (float)known : null_row ? 1.0f : 0.0f;
    }
    return known;
}
