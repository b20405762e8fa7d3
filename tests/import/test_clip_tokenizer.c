/* The tokenizer of CLIP against the ids of the public implementation (tests/import/clip, made by
 * tools/reference/clip_tokens.py), and files that are wrong. */
#include "graph/base/file.h"
#include "graph/base/unicode.h"
#include "graph/import/clip_tokenizer.h"
#include "tests/check.h"

#include <cjson/cJSON.h>

enum { ROOM = 77 };

static void test_cases(const sy_clip_tokenizer *t)
{
    size_t size;
    sy_error error = {0};
    char *text = sy_file_load(SY_SOURCE_DIR "/tests/import/clip/cases.json", 1 << 20, &size, &error);
    CHECK_SAY(text, "%s", error.message);
    REQUIRE(text);
    cJSON *json = cJSON_ParseWithLength(text, size);
    const cJSON *c;
    int n = 0;
    cJSON_ArrayForEach (c, json) {
        const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItem(c, "text"));
        const cJSON *expected = cJSON_GetObjectItem(c, "ids");
        int32_t ids[ROOM], dropped = -1;
        REQUIRE(prompt && cJSON_GetArraySize(expected) == ROOM);
        bool ok = sy_clip_tokenizer_encode(t, prompt, ids, ROOM, &dropped, &error);
        CHECK_SAY(ok, "\"%s\": %s", prompt, error.message);
        const cJSON *id = expected->child;
        for (int i = 0; ok && i < ROOM; i++, id = id->next)
            CHECK_SAY(ids[i] == id->valueint, "\"%s\": id %d is %d, not %d", prompt, i, (int)ids[i], id->valueint);
        CHECK_SAY(dropped == cJSON_GetObjectItem(c, "dropped")->valueint, "\"%s\": %d dropped", prompt, (int)dropped);
        n++;
    }
    CHECK(n > 20);
    cJSON_Delete(json);
    free(text);
}

static void test_room(const sy_clip_tokenizer *t)
{
    int32_t ids[4], dropped;
    sy_error error = {0};
    CHECK(sy_clip_tokenizer_encode(t, "horse horse horse", ids, 2, &dropped, &error) && dropped > 0);
    CHECK(ids[0] == sy_clip_tokenizer_count(t) - 2 && ids[1] == sy_clip_tokenizer_count(t) - 1);
    CHECK(!sy_clip_tokenizer_encode(t, "horse", ids, 1, &dropped, &error) && error.code == SY_CODE_INVALID_ARGUMENT);
    char *text = malloc(20000);
    REQUIRE(text);
    memset(text, 'a', 19999);
    text[19999] = '\0';
    error = (sy_error){0};
    CHECK(!sy_clip_tokenizer_encode(t, text, ids, 4, NULL, &error) && strstr(error.message, "19999 bytes"));
    text[16000] = '\0';
    error = (sy_error){0};
    CHECK(sy_clip_tokenizer_encode(t, text, ids, 4, NULL, &error));
    free(text);
}

static void test_wrong(void)
{
#define SPECIAL "\"<|startoftext|>\":0,\"<|endoftext|>\":1"
    static const struct {
        const char *vocabulary, *merges, *padding, *error;
    } wrong[] = {
        {"[1]", "", NULL, "not a JSON object"},
        {"{" SPECIAL, "", NULL, "not a JSON object"},
        {"{\"a\":0}", "", NULL, "no token \"<|startoftext|>\""},
        {"{" SPECIAL ",\"a\":-1}", "", NULL, "the id of \"a\""},
        {"{" SPECIAL ",\"a\":1.5}", "", NULL, "the id of \"a\""},
        {"{" SPECIAL ",\"a\":1e9}", "", NULL, "the id of \"a\""},
        {"{" SPECIAL ",\"a\":\"b\"}", "", NULL, "the id of \"a\""},
        {"{" SPECIAL ",\"\":3}", "", NULL, "has 0 bytes"},
        {"{" SPECIAL ",\"a\":3,\"a\":4}", "", NULL, "\"a\" twice"},
        {"{" SPECIAL ",\"a\":3}", "a\n", NULL, "line 1: it must be two tokens"},
        {"{" SPECIAL ",\"a\":3}", "#version\na b c\n", NULL, "line 2: it must be two tokens"},
        {"{" SPECIAL ",\"a\":3}", "\na b\n", NULL, "line 2: \"b\" is not"},
        {"{" SPECIAL ",\"a\":3}", "a a", NULL, "line 1: \"aa\" is not"},
        {"{" SPECIAL "}", "", "!", "no token \"!\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sy_error error = {0};
        sy_clip_tokenizer *t =
            sy_clip_tokenizer_create(wrong[i].vocabulary, strlen(wrong[i].vocabulary), wrong[i].merges,
                                     strlen(wrong[i].merges), wrong[i].padding, &error);
        CHECK_SAY(!t && strstr(error.message, wrong[i].error), "%zu: %s", i, error.message);
        sy_clip_tokenizer_destroy(&t);
    }
    sy_error error = {0};
    CHECK(!sy_clip_tokenizer_open("no/such/folder", &error) && error.message[0]);
}

/* By hand: "abab" with "a b" before "b a" is ab ab</w>; what is not in the vocabulary is the end. */
static void test_order(void)
{
    static const char vocabulary[] = "{" SPECIAL ",\"a\":2,\"b\":3,\"b</w>\":4,\"ab\":5,\"ab</w>\":6,\"ba\":7,\"!\":8}";
    static const char merges[] = "a b\r\nb a\r\na b</w>\r\n";
    static const int32_t expected[] = {0, 5, 6, 1, 1, 1, 8, 8};
    int32_t ids[8];
    sy_error error = {0};
    sy_clip_tokenizer *t =
        sy_clip_tokenizer_create(vocabulary, sizeof vocabulary - 1, merges, sizeof merges - 1, "!", &error);
    CHECK_SAY(t, "%s", error.message);
    REQUIRE(t);
    CHECK(sy_clip_tokenizer_encode(t, "ABab .\xff", ids, 8, NULL, &error));
    CHECK(ids[4] == 1 && ids[5] == 1); /* "." and U+FFFD's three bytes are one word of four unknown symbols */
    for (int i = 0; i < 3; i++)
        CHECK(ids[i] == expected[i]);
    CHECK(sy_clip_tokenizer_encode(t, "abab", ids, 8, NULL, &error));
    for (int i = 0; i < 4; i++)
        CHECK(ids[i] == expected[i]);
    CHECK(ids[4] == 8 && ids[7] == 8);
    sy_clip_tokenizer_destroy(&t);
}

static void test_unicode(void)
{
    size_t used;
    char out[4];
    CHECK(sy_unicode_at("\xf0\x9f\x99\x82", 4, &used) == 0x1f642 && used == 4);
    CHECK(sy_unicode_at("\xf0\x9f\x99\x82", 3, &used) == 0xfffd && used == 1);
    CHECK(sy_unicode_at("\xc0\x80", 2, &used) == 0xfffd && used == 1);
    CHECK(sy_unicode_at("\xed\xa0\x80", 3, &used) == 0xfffd && used == 1);
    CHECK(sy_unicode_put(0x20ac, out) == 3 && !memcmp(out, "\xe2\x82\xac", 3));
    CHECK(sy_unicode_lower(0xc4) == 0xe4 && sy_unicode_lower(0x410) == 0x430 && sy_unicode_lower(0xd7) == 0xd7);
    CHECK(sy_unicode_letter(0x4e00) && !sy_unicode_letter(0x1f642) && sy_unicode_number(0xbd));
}

int main(void)
{
    sy_error error = {0};
    sy_clip_tokenizer *t = sy_clip_tokenizer_open(SY_SOURCE_DIR "/tests/import/clip", &error);
    CHECK_SAY(t, "%s", error.message);
    REQUIRE(t);
    test_cases(t);
    test_room(t);
    sy_clip_tokenizer_destroy(&t);
    test_wrong();
    test_order();
    test_unicode();
    return check_done();
}
