/* Rotary positions against their formula: each form, some channels only, given positions, grids. */
#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "tests/check.h"

#include <math.h>

enum { HEADS = 2, TOKENS = 6, CHANNELS = 12 };

static double number(uint32_t i)
{
    return sin(1.0 + 7.3 * i);
}

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context, (void)error;
    for (uint64_t i = 0; i < sy_type_count(&leaf->type); i++)
        out[i] = leaf->type.rank == 1 ? 11.0 * (double)i : number((uint32_t)i);
    return true;
}

/* Channel c of `n` turning channels that begin at `first`, at that position. */
static double turned(const double *x, int first, int n, int c, double position, double base, bool interleaved)
{
    int pair = interleaved ? c / 2 : c % (n / 2), other = interleaved ? c ^ 1 : (c + n / 2) % n;
    bool second = interleaved ? c % 2 : c >= n / 2;
    double angle = position * pow(base, -2.0 * pair / n);
    return x[first + c] * cos(angle) + (second ? 1 : -1) * x[first + other] * sin(angle);
}

static void check(sy_rope_params p, bool positions)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("rope");
    REQUIRE(g);
    sy_value x = sy_input(g, "x", SY_T(SY_F32, HEADS, TOKENS, CHANNELS));
    if (positions)
        p.positions = sy_input(g, "at", SY_T(SY_F32, TOKENS));
    sy_value y = sy_rope(g, x, &p);
    sy_output(g, "y", y);
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    CHECK(sy_type_equal(&g->nodes[y].type, &g->nodes[x].type));
    sy_eval e;
    REQUIRE(sy_eval_init(&e, g, &error));
    e.read = read;
    REQUIRE(sy_eval_value(&e, y, &error));
    int n = p.channels ? p.channels : CHANNELS, half = n / 2;
    double base = p.base != 0 ? p.base : 10000, worst = 0;
    for (int row = 0; row < HEADS * TOKENS; row++)
        for (int c = 0; c < CHANNELS; c++) {
            double in[CHANNELS], want;
            int t = row % TOKENS;
            for (int i = 0; i < CHANNELS; i++)
                in[i] = number((uint32_t)(row * CHANNELS + i));
            if (c >= n)
                want = in[c];
            else if (!p.height)
                want = turned(in, 0, n, c, positions ? 11.0 * t : t, base, p.interleaved);
            else if (c < half)
                want = turned(in, 0, half, c, t / p.width, base, p.interleaved);
            else
                want = turned(in, half, half, c - half, t % p.width, base, p.interleaved);
            worst = fmax(worst, fabs(want - e.tensor[y][row * CHANNELS + c]));
        }
    CHECK_SAY(worst < 1e-12, "rope: interleaved %d, %d channels, %d by %d: %g", p.interleaved, n, p.height, p.width,
              worst);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static void check_wrong(sy_rope_params p)
{
    sy_graph *g = sy_graph_create("rope");
    REQUIRE(g);
    CHECK(sy_rope(g, sy_input(g, "x", SY_T(SY_F32, HEADS, TOKENS, CHANNELS)), &p) == 0);
    CHECK(!sy_graph_check(g, NULL));
    sy_graph_destroy(&g);
}

int main(void)
{
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        check((sy_rope_params){.interleaved = interleaved}, false);
        check((sy_rope_params){.interleaved = interleaved, .base = 500}, true);
        check((sy_rope_params){.interleaved = interleaved, .channels = 8}, false);
        check((sy_rope_params){.interleaved = interleaved, .height = 2, .width = 3, .base = 100}, false);
        check((sy_rope_params){.interleaved = interleaved, .height = 3, .width = 2, .channels = 8}, false);
    }
    check_wrong((sy_rope_params){.channels = 13});
    check_wrong((sy_rope_params){.channels = 5});
    check_wrong((sy_rope_params){.base = -1});
    check_wrong((sy_rope_params){.height = 2, .width = 2});
    return check_done();
}
