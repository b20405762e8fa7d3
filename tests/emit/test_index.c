/* Index expressions: the normal forms that matter, and the value of random expressions against plain arithmetic. */
#include "graph/emit/index.h"
#include "tests/check.h"

static sy_ix_pool *pool;

static void expect(sy_ix a, const char *wanted)
{
    sy_text text = {0};
    sy_ix_print(pool, a, &text);
    CHECK_TEXT(text.data, wanted);
    sy_text_free(&text);
}

static void test_forms(void)
{
    sy_ix m = sy_ix_var(pool, "m", 0, 511), q = sy_ix_var(pool, "q", 0, 1023), l = sy_ix_var(pool, "L", 0, 3), rest;
    sy_ix back = sy_ix_add(pool, sy_ix_mul(pool, sy_ix_div(pool, m, 64), 64), sy_ix_mod(pool, m, 64));
    CHECK(back == m);
    /* a vector of four inside a row of 64 */
    sy_ix n = sy_ix_add(pool, sy_ix_mul(pool, q, 4), l);
    expect(sy_ix_div(pool, n, 64), "(q / 16u)");
    expect(sy_ix_mod(pool, n, 64), "(L + 4u * (q % 16u))");
    CHECK(sy_ix_split(pool, sy_ix_mod(pool, n, 64), l, &rest) && sy_ix_multiple_of(pool, rest, 4));
    CHECK(!sy_ix_split(pool, sy_ix_mod(pool, n, 6), l, &rest));
    /* three levels join again */
    sy_ix index[3];
    int32_t dims[3] = {8, 4, 16};
    sy_ix_unflat(pool, m, dims, 3, index);
    CHECK(sy_ix_flat(pool, index, dims, 3) == m);
    sy_ix_unflat(pool, n, (int32_t[]){16, 4, 64}, 3, index);
    CHECK(sy_ix_flat(pool, index, (int32_t[]){16, 4, 64}, 3) == n);
    expect(sy_ix_mod(pool, sy_ix_add(pool, m, sy_ix_const(pool, 512)), 512), "m");
    expect(sy_ix_div(pool, sy_ix_add(pool, m, sy_ix_const(pool, 512)), 512), "1u");
}

/* A random expression and its value for given values of two variables. */
static sy_ix make(unsigned *seed, int depth, sy_ix x, sy_ix y, int64_t vx, int64_t vy, int64_t *value)
{
    *seed = *seed * 1664525u + 1013904223u;
    unsigned pick = *seed >> 28, c = 1 + (*seed >> 8) % 12;
    int64_t a, b;
    if (depth == 0 || pick < 2) {
        *value = pick & 1 ? vx : vy;
        return pick & 1 ? x : y;
    }
    sy_ix left = make(seed, depth - 1, x, y, vx, vy, &a);
    if (pick < 6) {
        sy_ix right = make(seed, depth - 1, x, y, vx, vy, &b);
        *value = a + b;
        return sy_ix_add(pool, left, right);
    }
    if (pick < 9) {
        *value = a * c;
        return sy_ix_mul(pool, left, c);
    }
    *value = pick < 13 ? a / c : a % c;
    return pick < 13 ? sy_ix_div(pool, left, c) : sy_ix_mod(pool, left, c);
}

static void test_values(void)
{
    sy_ix x = sy_ix_var(pool, "x", 0, 40), y = sy_ix_var(pool, "y", 0, 7);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned seed = i * 2654435761u + 1;
        int64_t vx = (i * 7) % 41, vy = (i * 5) % 8, wanted, got = -1;
        sy_ix e = make(&seed, 5, x, y, vx, vy, &wanted);
        CHECK(sy_ix_low(pool, e) <= wanted && wanted <= sy_ix_high(pool, e));
        e = sy_ix_replace(pool, sy_ix_replace(pool, e, x, sy_ix_const(pool, vx)), y, sy_ix_const(pool, vy));
        CHECK_SAY(sy_ix_is_const(pool, e, &got) && got == wanted, "%u: %lld, not %lld", i, (long long)got,
                  (long long)wanted);
    }
    CHECK(!sy_ix_failed(pool));
}

int main(void)
{
    pool = sy_ix_pool_create();
    REQUIRE(pool);
    test_forms();
    test_values();
    sy_ix_pool_destroy(&pool);
    CHECK(!pool);
    return check_done();
}
