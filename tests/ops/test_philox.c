/* Random numbers: the generator against the vectors of Random123, the normals against what normals are. */
#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "graph/ops/philox.h"
#include "tests/check.h"

/* kat_vectors of Random123 1.14, philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

typedef struct given {
    double seeds[3], counter;
} given;

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const given *g = context;
    (void)error;
    if (leaf->type.dim[0] == 3 || !strcmp(leaf->name, "seeds"))
        memcpy(out, g->seeds, (size_t)leaf->type.dim[0] * sizeof *out);
    else
        out[0] = g->counter;
    return true;
}

/* Normals [items, 5000] for these seeds. */
static double *normals(const given *g, int32_t items, int stream, bool counted)
{
    enum { EACH = 5000 };
    sy_graph *graph = sy_graph_create("random");
    REQUIRE(graph);
    sy_value seeds = sy_input(graph, "seeds", SY_T(SY_U32, items));
    sy_value counter = counted ? sy_input(graph, "counter", SY_T(SY_U32, 1)) : 0;
    sy_value v = sy_random_normal(graph, seeds, counter, stream, SY_T(SY_F32, items, 50, 100));
    sy_eval e;
    REQUIRE(v && sy_eval_init(&e, graph, NULL));
    e.read = read;
    e.context = (void *)g;
    REQUIRE(sy_eval_value(&e, v, NULL));
    double *copy = malloc((size_t)items * EACH * sizeof *copy);
    REQUIRE(copy);
    memcpy(copy, e.tensor[v], (size_t)items * EACH * sizeof *copy);
    sy_eval_free(&e);
    sy_graph_destroy(&graph);
    return copy;
}

static bool same(const double *a, const double *b)
{
    return !memcmp(a, b, 5000 * sizeof *a);
}

/* An item depends on its own seed alone; stream and counter give other numbers. */
static void independence(void)
{
    given three = {{7, 4294967295.0, 11}, 0}, one = {{11}, 0}, later = {{11}, 1};
    double *a = normals(&three, 3, 0, false), *b = normals(&one, 1, 0, false), *c = normals(&one, 1, 1, false);
    double *d = normals(&one, 1, 0, true), *e = normals(&later, 1, 0, true);
    CHECK(same(a + 10000, b) && !same(a, b) && !same(a + 5000, b));
    CHECK(!same(b, c));
    CHECK(same(b, d)); /* no counter is counter 0 */
    CHECK(!same(d, e));
    free(a), free(b), free(c), free(d), free(e);
}

/* Of 5000 independent standard normals mean, variance, skewness, kurtosis and neighbours' covariance lie within 5
 * standard errors. */
static void moments(void)
{
    given g = {{20260101}, 3};
    double *x = normals(&g, 1, 2, true), sum[5] = {0}, pairs = 0, n = 5000;
    for (int i = 0; i < 5000; i++) {
        for (int p = 1; p <= 4; p++)
            sum[p] += pow(x[i], p) / n;
        pairs += i ? x[i] * x[i - 1] / n : 0;
    }
    CHECK_SAY(fabs(sum[1]) < 5 / sqrt(n), "mean %g", sum[1]);
    CHECK_SAY(fabs(sum[2] - 1) < 5 * sqrt(2 / n), "variance %g", sum[2]);
    CHECK_SAY(fabs(sum[3]) < 5 * sqrt(15 / n), "third moment %g", sum[3]);
    CHECK_SAY(fabs(sum[4] - 3) < 5 * sqrt(96 / n), "fourth moment %g", sum[4]);
    CHECK_SAY(fabs(pairs) < 5 / sqrt(n), "covariance of neighbours %g", pairs);
    free(x);
}

/* The uniform numbers are never 0 or 1 and exact in f32, so the normals are finite and bounded. */
static void extremes(void)
{
    double low[4], high[4];
    sy_philox_normals((const uint32_t[]){0, 0, ~0u, 0}, low);
    sy_philox_normals((const uint32_t[]){~0u, 0x80000000u, 511, 0x40000000u}, high);
    CHECK(fabs(low[0] - sqrt(48 * log(2))) < 1e-12);
    CHECK(low[2] > 0 && low[2] < 4e-4);
    CHECK(high[0] < 0 && high[0] > -4e-4);
    CHECK(fabs(high[3] - sqrt(48 * log(2))) < 1e-9 && fabs(high[2]) < 1e-5);
}

int main(void)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        sy_philox(vectors[i].counter, vectors[i].key, out);
        CHECK_SAY(!memcmp(out, vectors[i].out, sizeof out), "vector %d: %08x %08x %08x %08x", (int)i, out[0], out[1],
                  out[2], out[3]);
    }
    independence();
    moments();
    extremes();
    return check_done();
}
