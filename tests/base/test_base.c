#include "graph/base/arena.h"
#include "graph/base/error.h"
#include "graph/base/hash.h"
#include "graph/base/text.h"
#include "tests/check.h"

#include <stdint.h>

static void first_error_is_kept_and_context_goes_in_front(void)
{
    sy_error e = {0};
    CHECK(!sy_fail(&e, SY_CODE_NOT_FOUND, "no tensor \"%s\"", "x"));
    CHECK(!sy_fail(&e, SY_CODE_INTERNAL, "second"));
    CHECK(e.code == SY_CODE_NOT_FOUND);
    sy_fail_context(&e, "loading %s", "m.safetensors");
    CHECK_TEXT(e.message, "loading m.safetensors: no tensor \"x\"");
    for (int i = 0; i < 100; i++) /* a long way up must not overflow */
        sy_fail_context(&e, "context number %d", i);
    CHECK(strlen(e.message) < sizeof e.message);
    CHECK(!sy_fail(NULL, SY_CODE_IO, "ignored"));
}

static void arena_gives_zeroed_aligned_memory(void)
{
    sy_arena a = {0};
    for (size_t n = 1; n < 200000; n = n * 3 + 1) {
        unsigned char *p = sy_arena_alloc(&a, n);
        REQUIRE(p);
        CHECK((uintptr_t)p % 16 == 0);
        CHECK(p[0] == 0 && p[n - 1] == 0);
        memset(p, 0xff, n);
    }
    CHECK(!sy_arena_array(&a, SIZE_MAX / 4, 8));
    CHECK_TEXT(sy_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    sy_arena_free(&a);
    CHECK(a.total == 0);
}

static void text_grows(void)
{
    sy_text t = {0};
    for (int i = 0; i < 1000; i++)
        sy_text_printf(&t, "%d,", i);
    CHECK(t.size == 3890 && strlen(t.data) == t.size);
    sy_text_free(&t);
}

static void hash_is_stable_and_sensitive(void)
{
    char text[33];
    sy_hash_text(sy_hash_bytes("", 0, 0), text);
    CHECK_TEXT(text, "00000000000000000000000000000000");
    char a[64] = "the same bytes", b[64] = "the same bytes";
    for (size_t n = 1; n <= 64; n++) {
        sy_hash x = sy_hash_bytes(a, n, 1), y;
        b[n - 1] ^= 1;
        y = sy_hash_bytes(b, n, 1);
        b[n - 1] ^= 1;
        CHECK(x.lo != y.lo && x.hi != y.hi);
    }
}

int main(void)
{
    first_error_is_kept_and_context_goes_in_front();
    arena_gives_zeroed_aligned_memory();
    text_grows();
    hash_is_stable_and_sensitive();
    return check_done();
}
