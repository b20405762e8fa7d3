/* See the header. Text goes through these steps, those of the fast tokenizer that publishes CLIP:
 *
 *   1. the special tokens in it stand for themselves; the rest is lower-cased, character by character
 *   2. it is cut into words: 's 't 're 've 'm 'll 'd, runs of letters, single numbers, runs of anything else but spaces
 *   3. each byte of a word is a symbol, the last one with "</w>" after it
 *   4. of neighbouring symbols the pair that comes first in merges.txt is joined, until no pair is in it
 *   5. symbols are looked up in vocab.json; one that is not there is the token of the end
 *
 * Not done: composing characters that come as a letter and an accent (NFC). Prompts from keyboards are composed.
 *
 * In both files bytes are written as characters: printable ones of Latin-1 stand for themselves, the other 68 are
 * U+0100 and up, in order. Everything here works on numbers: a token is its id, a symbol of step 4 an id too, and a
 * merge is a pair of ids with a rank and the id of what they become, found in a table by hashing. */
#include "graph/import/clip_tokenizer.h"

#include "graph/base/arena.h"
#include "graph/base/file.h"
#include "graph/base/hash.h"
#include "graph/base/unicode.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TOKENS = 1 << 20,
    MAX_TOKEN_BYTES = 512,
    MAX_FILE = 64 << 20,
    MAX_TEXT = 1 << 14, /* bytes of a prompt: joining is quadratic in the longest word */
    UNKNOWN = -1
};

typedef struct token {
    const char *text;
    int32_t id;
} token;

typedef struct merge {
    int32_t left, right, result, rank; /* rank -1: an empty place */
} merge;

struct sy_clip_tokenizer {
    sy_arena arena;
    token *tokens;                       /* by hash of the text; text NULL: empty */
    merge *merges;                       /* by hash of the pair */
    uint32_t token_places, merge_places; /* powers of two */
    int32_t count, start, end, padding;
    int32_t bytes[256],
        last_bytes[256]; /* symbols of a byte, and of the last byte of a word; UNKNOWN: not in the files */
};

static const char START[] = "<|startoftext|>", END[] = "<|endoftext|>";

/* ---- tables ---- */

static uint32_t places_for(uint32_t count)
{
    uint32_t n = 16;
    while (n < 2 * count)
        n *= 2;
    return n;
}

static token *token_place(const sy_clip_tokenizer *t, const char *text, size_t size)
{
    uint32_t at = (uint32_t)sy_hash_bytes(text, size, 0).lo;
    for (;; at++) {
        token *place = &t->tokens[at & (t->token_places - 1)];
        if (!place->text || (!strncmp(place->text, text, size) && !place->text[size]))
            return place;
    }
}

static int32_t id_of(const sy_clip_tokenizer *t, const char *text, size_t size)
{
    const token *place = token_place(t, text, size);
    return place->text ? place->id : UNKNOWN;
}

static merge *merge_place(const sy_clip_tokenizer *t, int32_t left, int32_t right)
{
    const int32_t pair[2] = {left, right};
    uint32_t at = (uint32_t)sy_hash_bytes(pair, sizeof pair, 1).lo;
    for (;; at++) {
        merge *place = &t->merges[at & (t->merge_places - 1)];
        if (place->rank < 0 || (place->left == left && place->right == right))
            return place;
    }
}

/* ---- reading ---- */

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for a tokenizer.");
}

static bool add_token(sy_clip_tokenizer *t, const cJSON *item, sy_error *error)
{
    size_t size = item->string ? strlen(item->string) : 0;
    double id = item->valuedouble;
    if (!cJSON_IsNumber(item) || !(id >= 0 && id < MAX_TOKENS) || id != (double)(int32_t)id)
        return sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json: the id of \"%.40s\" is not a whole number below %d.",
                       item->string ? item->string : "", MAX_TOKENS);
    if (!size || size > MAX_TOKEN_BYTES)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "vocab.json: the token of id %d has %zu bytes; 1 to %d are possible.", (int)id, size,
                       MAX_TOKEN_BYTES);
    token *place = token_place(t, item->string, size);
    if (place->text)
        return sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json has the token \"%.40s\" twice.", item->string);
    place->id = (int32_t)id;
    place->text = sy_arena_string(&t->arena, item->string);
    t->count = place->id >= t->count ? place->id + 1 : t->count;
    return place->text || no_memory(error);
}

static bool read_vocabulary(sy_clip_tokenizer *t, const char *text, size_t size, sy_error *error)
{
    cJSON *json = cJSON_ParseWithLength(text, size);
    const cJSON *item;
    uint32_t n = 0;
    bool ok = cJSON_IsObject(json);
    if (!ok)
        sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json is not a JSON object of tokens and their ids.");
    else
        cJSON_ArrayForEach (item, json)
            n++;
    if (ok && n > MAX_TOKENS)
        ok = sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json has more than %d tokens.", MAX_TOKENS);
    if (ok) {
        t->token_places = places_for(n);
        t->tokens = sy_arena_array(&t->arena, t->token_places, sizeof *t->tokens);
        ok = t->tokens || no_memory(error);
    }
    if (ok)
        cJSON_ArrayForEach (item, json)
            ok = ok && add_token(t, item, error);
    cJSON_Delete(json);
    return ok;
}

/* "a b": both, and what they make, must be tokens. */
static bool add_merge(sy_clip_tokenizer *t, const char *line, size_t size, uint32_t number, int32_t rank,
                      sy_error *error)
{
    char joined[2 * MAX_TOKEN_BYTES];
    const char *space = memchr(line, ' ', size);
    size_t left = space ? (size_t)(space - line) : 0, right = space ? size - left - 1 : 0;
    if (!left || !right || left > MAX_TOKEN_BYTES || right > MAX_TOKEN_BYTES || memchr(space + 1, ' ', right) ||
        memchr(line, 0, size))
        return sy_fail(error, SY_CODE_INVALID_FILE, "merges.txt, line %u: it must be two tokens with a space between.",
                       number);
    memcpy(joined, line, left);
    memcpy(joined + left, space + 1, right);
    merge m = {id_of(t, line, left), id_of(t, space + 1, right), id_of(t, joined, left + right), rank};
    if (m.left < 0 || m.right < 0 || m.result < 0)
        return sy_fail(error, SY_CODE_INVALID_FILE, "merges.txt, line %u: \"%.*s\" is not in vocab.json.", number,
                       m.left < 0    ? (int)(left < 40 ? left : 40)
                       : m.right < 0 ? (int)(right < 40 ? right : 40)
                                     : (int)(left + right < 40 ? left + right : 40),
                       m.left < 0    ? line
                       : m.right < 0 ? space + 1
                                     : joined);
    merge *place = merge_place(t, m.left, m.right);
    if (place->rank < 0)
        *place = m;
    return true;
}

static bool read_merges(sy_clip_tokenizer *t, const char *text, size_t size, sy_error *error)
{
    uint32_t lines = 1, number = 0;
    int32_t rank = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    if (lines > MAX_TOKENS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "merges.txt has more than %d lines.", MAX_TOKENS);
    t->merge_places = places_for(lines);
    t->merges = sy_arena_array(&t->arena, t->merge_places, sizeof *t->merges);
    if (!t->merges)
        return no_memory(error);
    for (uint32_t i = 0; i < t->merge_places; i++)
        t->merges[i].rank = -1;
    for (const char *at = text, *stop = text + size; at < stop;) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t length = (size_t)((end ? end : stop) - at);
        size_t whole = length + (end != NULL);
        length -= length && at[length - 1] == '\r';
        number++;
        if (length && !(number == 1 && length >= 8 && !memcmp(at, "#version", 8)) &&
            !add_merge(t, at, length, number, rank++, error))
            return false;
        at += whole;
    }
    return true;
}

/* The character that stands for a byte in the files. */
static uint32_t byte_character(int byte)
{
    uint32_t others = 0x100;
    for (int b = 0; b < 256; b++) {
        bool itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte)
            return itself ? (uint32_t)b : others;
        others += !itself;
    }
    return 0;
}

static void find_bytes(sy_clip_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char text[8];
        size_t n = (size_t)sy_unicode_put(byte_character(b), text);
        t->bytes[b] = id_of(t, text, n);
        memcpy(text + n, "</w>", 4);
        t->last_bytes[b] = id_of(t, text, n + 4);
    }
}

static bool fill(sy_clip_tokenizer *t, const char *vocabulary, size_t vocabulary_size, const char *merges,
                 size_t merges_size, const char *padding, sy_error *error)
{
    if (!read_vocabulary(t, vocabulary, vocabulary_size, error) || !read_merges(t, merges, merges_size, error))
        return false;
    t->start = id_of(t, START, strlen(START));
    t->end = id_of(t, END, strlen(END));
    if (t->start < 0 || t->end < 0)
        return sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json has no token \"%s\": it is not that of CLIP.",
                       t->start < 0 ? START : END);
    t->padding = padding ? id_of(t, padding, strlen(padding)) : t->end;
    if (t->padding < 0)
        return sy_fail(error, SY_CODE_INVALID_FILE, "vocab.json has no token \"%.40s\", which is to fill up.", padding);
    find_bytes(t);
    return true;
}

sy_clip_tokenizer *sy_clip_tokenizer_create(const char *vocabulary, size_t vocabulary_size, const char *merges,
                                            size_t merges_size, const char *padding, sy_error *error)
{
    sy_clip_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        no_memory(error);
    else if (!fill(t, vocabulary, vocabulary_size, merges, merges_size, padding, error))
        sy_clip_tokenizer_destroy(&t);
    return t;
}

/* The pad_token of special_tokens_map.json, plain or as an object with "content", on the heap; NULL if it says none. */
static char *read_padding(const char *folder)
{
    char path[4096];
    size_t size;
    sy_error none = {0};
    snprintf(path, sizeof path, "%s/special_tokens_map.json", folder);
    char *text = sy_file_load(path, 1 << 20, &size, &none), *padding = NULL;
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "pad_token");
    if (cJSON_IsObject(item))
        item = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (cJSON_IsString(item))
        padding = strdup(item->valuestring);
    cJSON_Delete(json);
    free(text);
    return padding;
}

sy_clip_tokenizer *sy_clip_tokenizer_open(const char *folder, sy_error *error)
{
    char path[4096];
    size_t vocabulary_size = 0, merges_size = 0;
    sy_clip_tokenizer *t = NULL;
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    char *vocabulary = sy_file_load(path, MAX_FILE, &vocabulary_size, error);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    char *merges = vocabulary ? sy_file_load(path, MAX_FILE, &merges_size, error) : NULL;
    if (merges) {
        char *padding = read_padding(folder);
        t = sy_clip_tokenizer_create(vocabulary, vocabulary_size, merges, merges_size, padding, error);
        free(padding);
    }
    free(vocabulary);
    free(merges);
    return t;
}

void sy_clip_tokenizer_destroy(sy_clip_tokenizer **tokenizer)
{
    if (!tokenizer || !*tokenizer)
        return;
    sy_arena_free(&(*tokenizer)->arena);
    free(*tokenizer);
    *tokenizer = NULL;
}

int32_t sy_clip_tokenizer_count(const sy_clip_tokenizer *tokenizer)
{
    return tokenizer->count;
}

/* ---- encoding ---- */

typedef struct encoder {
    const sy_clip_tokenizer *t;
    int32_t *symbols, *ranks; /* room for all bytes of the text */
    int32_t *ids, room, used, dropped;
} encoder;

static void put(encoder *e, int32_t id)
{
    if (e->used < e->room)
        e->ids[e->used++] = id;
    else
        e->dropped++;
}

/* ranks[i]: of symbols i and i + 1; INT32_MAX: no merge */
static int32_t rank_of(const encoder *e, size_t i)
{
    if (e->symbols[i] < 0 || e->symbols[i + 1] < 0)
        return INT32_MAX;
    const merge *m = merge_place(e->t, e->symbols[i], e->symbols[i + 1]);
    return m->rank < 0 ? INT32_MAX : m->rank;
}

static void encode_word(encoder *e, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        e->symbols[i] = (i + 1 < n ? e->t->bytes : e->t->last_bytes)[(unsigned char)word[i]];
    for (size_t i = 0; i + 1 < n; i++)
        e->ranks[i] = rank_of(e, i);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            best = e->ranks[i] < e->ranks[best] ? i : best;
        if (e->ranks[best] == INT32_MAX)
            break;
        e->symbols[best] = merge_place(e->t, e->symbols[best], e->symbols[best + 1])->result;
        memmove(e->symbols + best + 1, e->symbols + best + 2, (n - best - 2) * sizeof *e->symbols);
        if (n > best + 2)
            memmove(e->ranks + best, e->ranks + best + 1, (n - best - 2) * sizeof *e->ranks);
        n--;
        if (best + 1 < n)
            e->ranks[best] = rank_of(e, best);
        if (best > 0)
            e->ranks[best - 1] = rank_of(e, best - 1);
    }
    for (size_t i = 0; i < n; i++)
        put(e, e->symbols[i] < 0 ? e->t->end : e->symbols[i]);
}

typedef enum kind { SPACE, LETTER, NUMBER, OTHER } kind;

static kind kind_of(uint32_t c)
{
    return sy_unicode_space(c) ? SPACE : sy_unicode_letter(c) ? LETTER : sy_unicode_number(c) ? NUMBER : OTHER;
}

/* Bytes of 's 't 're 've 'm 'll 'd at the beginning; 0: none of them. */
static size_t contraction(const char *s, size_t size)
{
    static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (size >= strlen(all[i]) && !memcmp(s, all[i], strlen(all[i])))
            return strlen(all[i]);
    return 0;
}

/* Bytes of the next word at s; *is_word false: a space. */
static size_t next_word(const char *s, size_t size, bool *is_word)
{
    size_t used, n = contraction(s, size);
    kind first = n ? OTHER : kind_of(sy_unicode_at(s, size, &used));
    *is_word = first != SPACE;
    if (n)
        return n;
    n = used;
    while (n < size && (first == LETTER || first == OTHER) && kind_of(sy_unicode_at(s + n, size - n, &used)) == first)
        n += used;
    return n;
}

/* Text without special tokens, in lower case into `low`, which has room for three bytes each byte. */
static void encode_plain(encoder *e, const char *text, size_t size, char *low)
{
    size_t n = 0, used;
    for (size_t i = 0; i < size; i += used) {
        uint32_t c = sy_unicode_at(text + i, size - i, &used);
        if (c == 0x130) { /* the one letter whose lower case is two characters: i and a dot above */
            memcpy(low + n, "i\xcc\x87", 3);
            n += 3;
        } else {
            n += (size_t)sy_unicode_put(sy_unicode_lower(c), low + n);
        }
    }
    for (size_t i = 0; i < n; i += used) {
        bool is_word;
        used = next_word(low + i, n - i, &is_word);
        if (is_word)
            encode_word(e, low + i, used);
    }
}

static void encode_text(encoder *e, const char *text, char *low)
{
    while (*text) {
        const char *start = strstr(text, START), *end = strstr(text, END);
        const char *special = start && (!end || start < end) ? start : end;
        encode_plain(e, text, special ? (size_t)(special - text) : strlen(text), low);
        if (!special)
            break;
        put(e, special == start ? e->t->start : e->t->end);
        text = special + (special == start ? strlen(START) : strlen(END));
    }
}

bool sy_clip_tokenizer_encode(const sy_clip_tokenizer *t, const char *text, int32_t *ids, int32_t room,
                              int32_t *dropped, sy_error *error)
{
    size_t size = strlen(text);
    if (size > MAX_TEXT)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the prompt has %zu bytes; %d are the most", size, MAX_TEXT);
    if (room < 2)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a text encoder of %d tokens has no room for a prompt",
                       (int)room);
    size_t most = 3 * size + 4;
    encoder e = {.t = t, .ids = ids, .room = room - 1};
    char *low = malloc(most);
    e.symbols = calloc(most, sizeof *e.symbols);
    e.ranks = calloc(most, sizeof *e.ranks);
    bool ok = (low && e.symbols && e.ranks) || no_memory(error);
    if (ok) {
        put(&e, t->start);
        encode_text(&e, text, low);
        ids[e.used++] = t->end;
        while (e.used < room)
            ids[e.used++] = t->padding;
        if (dropped)
            *dropped = e.dropped;
    }
    free(low);
    free(e.symbols);
    free(e.ranks);
    return ok;
}
