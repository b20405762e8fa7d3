/* The evaluator's frame: what is computed when, what is kept, how it fails, and values as they are stored. */
#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "tests/check.h"

#include <math.h>

static int reads, progressed, cancel_after;
static double content;

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context;
    reads++;
    if (!strcmp(leaf->name, "bad"))
        return sy_fail(error, SY_CODE_NOT_FOUND, "no file.");
    for (uint64_t i = 0; i < sy_type_count(&leaf->type); i++)
        out[i] = content + (double)i;
    return true;
}

static bool progress(void *context, sy_value value)
{
    (void)context, (void)value;
    return ++progressed != cancel_after;
}

static sy_eval start(const sy_graph *g)
{
    sy_eval e;
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    REQUIRE(sy_eval_init(&e, g, NULL));
    e.read = read;
    e.progress = progress;
    reads = progressed = cancel_after = 0;
    return e;
}

static sy_graph *graph(void)
{
    sy_graph *g = sy_graph_create("eval");
    REQUIRE(g);
    return g;
}

/* A graph as deep as it is long, and only what is needed of it. */
static void test_order(void)
{
    enum { DEEP = 50000 };
    sy_graph *g = graph();
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2)),
             unused = sy_unary(g, SY_OP_EXP, sy_input(g, "unused", SY_T(SY_F32, 2)));
    sy_value first = x;
    for (int i = 0; i < DEEP; i++)
        x = sy_add(g, x, sy_const(g, 1));
    sy_eval e = start(g);
    content = 3;
    CHECK(sy_eval_value(&e, x, NULL));
    CHECK(e.tensor[x][0] == 3 + DEEP && e.tensor[x][1] == 4 + DEEP);
    CHECK(reads == 1 && progressed == 2 * DEEP + 1 && !e.tensor[unused]);
    CHECK(sy_eval_value(&e, first, NULL) && reads == 1); /* it is there */
    sy_eval_free(&e);
    CHECK(!e.tensor && !e.route && !e.graph);
    sy_eval_free(&e); /* twice is fine */
    sy_graph_destroy(&g);
}

/* From one step to the next load-time values stay, others go. */
static void test_reset(void)
{
    sy_graph *g = graph();
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2)), w = sy_unary(g, SY_OP_NEG, sy_param(g, "w", SY_T(SY_F16, 2)));
    sy_value index = sy_cast(g, sy_step_index(g), SY_F32), y = sy_add(g, sy_add(g, x, w), index);
    sy_value r = sy_route_top_k(g, sy_reshape(g, y, SY_T(SY_F32, 1, 2)), 1, false), load = sy_route_load(g, r);
    sy_eval e = start(g);
    content = 1;
    CHECK(sy_eval_value(&e, load, NULL) && e.tensor[y][0] == 0 && reads == 2 && e.route[r]);
    sy_eval_reset(&e);
    CHECK(!e.tensor[y] && !e.route[r] && e.tensor[w] && e.tensor[w][1] == -2);
    content = 5;
    e.step = 10;
    CHECK(sy_eval_value(&e, load, NULL) && reads == 3);
    CHECK(e.tensor[y][0] == 5 - 1 + 10 && e.tensor[y][1] == 6 - 2 + 10 && e.tensor[load][0] == 1);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static void test_failures(void)
{
    sy_graph *g = graph();
    sy_value bad = sy_unary(g, SY_OP_NEG, sy_input(g, "bad", SY_T(SY_F32, 2)));
    sy_value x = sy_unary(g, SY_OP_NEG, sy_input(g, "x", SY_T(SY_F32, 2)));
    float out[2];
    sy_error error = {0};
    sy_eval e = start(g);
    CHECK(!sy_eval_value(&e, bad, &error) && error.code == SY_CODE_NOT_FOUND);
    CHECK_TEXT(error.message, "value 1: no file.");
    error = (sy_error){0};
    CHECK(!sy_eval_store(&e, bad, 0, out, sizeof out, &error) && error.code == SY_CODE_INTERNAL);
    error = (sy_error){0};
    CHECK(!sy_eval_value(&e, 0, &error) && error.code == SY_CODE_INVALID_ARGUMENT);
    CHECK(!sy_eval_value(&e, g->n_nodes, NULL));
    /* Cancelled after the first value; what was computed stays, and it can go on. */
    error = (sy_error){0};
    progressed = 0, cancel_after = 1;
    CHECK(!sy_eval_value(&e, x, &error) && error.code == SY_CODE_CANCELLED);
    CHECK(!e.tensor[x] && sy_eval_value(&e, x, &error) && e.tensor[x][0] == -content);
    CHECK(!sy_eval_store(&e, x, 0, out, 4, NULL) && sy_eval_store(&e, x, 0, out, 8, NULL) &&
          out[1] == -(float)content - 1);
    sy_eval_free(&e);
    e = start(g);
    e.read = NULL;
    error = (sy_error){0};
    CHECK(!sy_eval_value(&e, x, &error));
    CHECK_TEXT(error.message, "value 3: input \"x\" has no content.");
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static void test_stored(void)
{
    static const double numbers[] = {1, -2.5, 65504, 1e-8, -0.0}, whole[] = {-2147483648.0, 2147483647, 0, -1, 7};
    static const double natural[] = {4294967295.0, 0, 2147483648.0, 1, 7};
    sy_graph *g = graph();
    sy_value v[] = {sy_const_of(g, SY_T(SY_F32, 5), numbers, 5), sy_const_of(g, SY_T(SY_F16, 5), numbers, 5),
                    sy_const_of(g, SY_T(SY_BF16, 5), numbers, 5), sy_const_of(g, SY_T(SY_I32, 5), whole, 5),
                    sy_const_of(g, SY_T(SY_U32, 5), natural, 5)};
    sy_eval e = start(g);
    union {
        float f[5];
        uint16_t h[6];
        int32_t i[5];
        uint32_t u[5];
    } out;
    for (int k = 0; k < 5; k++)
        CHECK(sy_eval_value(&e, v[k], NULL));
    CHECK(sy_eval_store(&e, v[0], 0, &out, 20, NULL));
    CHECK(out.f[0] == 1 && out.f[1] == -2.5f && out.f[3] == 1e-8f && signbit(out.f[4]));
    memset(&out, 0xff, sizeof out);
    CHECK(sy_eval_store(&e, v[1], 0, &out, 12, NULL)); /* five halves in three words, the last half 0 */
    CHECK(out.h[0] == 0x3c00 && out.h[1] == 0xc100 && out.h[2] == 0x7bff && out.h[3] == 0 && out.h[4] == 0x8000 &&
          out.h[5] == 0);
    CHECK(e.tensor[v[1]][3] == 0); /* a constant is what its dtype holds */
    CHECK(sy_eval_store(&e, v[2], 0, &out, 12, NULL));
    CHECK(out.h[0] == 0x3f80 && out.h[1] == 0xc020 && out.h[2] == 0x4780 && out.h[4] == 0x8000 && out.h[5] == 0);
    CHECK(sy_eval_store(&e, v[3], 0, &out, 20, NULL));
    CHECK(out.i[0] == INT32_MIN && out.i[1] == INT32_MAX && out.i[3] == -1);
    CHECK(sy_eval_store(&e, v[4], 0, &out, 20, NULL));
    CHECK(out.u[0] == UINT32_MAX && out.u[2] == 0x80000000u && out.u[4] == 7);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

/* Integers wrap, where doubles would have lost their low bits; casts of what no integer holds are defined. */
static void test_integers(void)
{
    static const double a[] = {4294967295.0, 65537, 3000000000.0}, zero = 0,
                        big[] = {NAN, INFINITY, -2.9, 4294967297.0};
    sy_graph *g = graph();
    sy_value x = sy_const_of(g, SY_T(SY_U32, 3), a, 3), product = sy_mul(g, x, x), sum = sy_add(g, x, x);
    sy_value y = sy_cast(g, x, SY_I32), minus = sy_unary(g, SY_OP_NEG, y), squared = sy_mul(g, y, y);
    sy_value by_zero = sy_binary(g, SY_OP_DIV, y, sy_const_of(g, SY_T(SY_I32, 1), &zero, 1));
    sy_value cast = sy_cast(g, sy_const_of(g, SY_T(SY_F32, 4), big, 4), SY_I32);
    sy_eval e = start(g);
    sy_value all[] = {product, sum, minus, squared, by_zero, cast};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(sy_eval_value(&e, all[i], NULL));
    CHECK(e.tensor[product][0] == 1 && e.tensor[product][1] == 131073 && e.tensor[product][2] == 3800301568.0);
    CHECK(e.tensor[sum][0] == 4294967294.0 && e.tensor[sum][2] == 1705032704);
    CHECK(e.tensor[y][0] == -1 && e.tensor[y][2] == -1294967296.0);
    CHECK(e.tensor[minus][0] == 1 && e.tensor[minus][2] == 1294967296.0);
    CHECK(e.tensor[squared][0] == 1 && e.tensor[squared][2] == (double)(int32_t)3800301568u);
    CHECK(e.tensor[by_zero][0] == 0);
    CHECK(e.tensor[cast][0] == 0 && e.tensor[cast][1] == 0 && e.tensor[cast][2] == -2 && e.tensor[cast][3] == 1);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

int main(void)
{
    test_order();
    test_reset();
    test_failures();
    test_stored();
    test_integers();
    return check_done();
}
