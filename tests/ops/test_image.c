/* The builder's image layers against PyTorch's definitions, written down by other means: channels first, plain loops,
 * weights in the order of PyTorch. Transposed convolution scatters, as its definition does. */
#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "tests/check.h"

#include <math.h>

/* Every leaf is filled from its name and index, so that the formulas below can ask for the same numbers. */
static double number(const char *name, uint64_t i)
{
    uint64_t h = 1469598103934665603u;
    for (const char *p = name; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    h = (h ^ i) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    return (double)(h % 2001) / 1000 - 1;
}

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context, (void)error;
    for (uint64_t i = 0; i < sy_type_count(&leaf->type); i++)
        out[i] = number(leaf->name, i) + (strstr(leaf->name, "running_var") ? 2 : 0);
    return true;
}

static sy_graph *g;
enum { MOST = 8192 };
static double result[MOST];

/* The value's elements, until the next call. */
static const double *value(const char *what, sy_value v, const char *type)
{
    sy_error error = {0};
    char text[96];
    CHECK_SAY(v && sy_graph_check(g, &error), "%s: %s", what, error.message);
    REQUIRE(v);
    CHECK_TEXT(sy_type_text(&g->nodes[v].type, text), type);
    sy_eval e;
    REQUIRE(sy_eval_init(&e, g, &error));
    e.read = read;
    REQUIRE(sy_eval_value(&e, v, &error) && sy_type_count(&g->nodes[v].type) <= MOST);
    memcpy(result, e.tensor[v], sy_type_count(&g->nodes[v].type) * sizeof *result);
    sy_eval_free(&e);
    return result;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-10 * (1 + fabs(b));
}

/* Input "x" is [N,H,W,C]. */
static double pixel(int h, int w, int c, int n, int y, int x, int k)
{
    if (y < 0 || x < 0 || y >= h || x >= w)
        return 0;
    return number("x", (uint64_t)(((n * h + y) * w + x) * c + k));
}

static void test_conv_layer(void)
{
    enum { N = 2, H = 6, W = 5, C = 4, O = 6, K = 3, G = 2, S = 2, P = 1, OH = 3, OW = 3 };
    g = sy_graph_create("conv");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, N, H, W, C));
    sy_attributes a = {.stride = {S, S}, .pad = {P, P}, .pad_high = {P, P}, .groups = G};
    sy_value y = sy_conv_layer_with(g, x, "c", O, (const int32_t[]){K, K}, &a, true, SY_F32);
    const double *got = value("conv", y, "f32[2,3,3,6]");
    bool same = true;
    for (int n = 0; n < N; n++)
        for (int o = 0; o < O; o++)
            for (int i = 0; i < OH * OW; i++) {
                double sum = number("c.bias", (uint64_t)o);
                for (int c = 0; c < C / G; c++)
                    for (int k = 0; k < K * K; k++)
                        sum += number("c.weight", (uint64_t)((o * (C / G) + c) * K * K + k)) *
                               pixel(H, W, C, n, i / OW * S - P + k / K, i % OW * S - P + k % K,
                                     o / (O / G) * (C / G) + c);
                same = same && near(got[(n * OH * OW + i) * O + o], sum);
            }
    CHECK_SAY(same, "conv_layer differs");
    x = sy_input(g, "line", SY_T(SY_F32, 1, 9, 2));
    value("1-d", sy_conv_layer(g, x, "d", 3, 3, 1, 1, false, SY_F16), "f32[1,9,3]");
    CHECK(!sy_conv_layer(g, sy_input(g, "flat", SY_T(SY_F32, 3, 4)), "e", 3, 3, 1, 1, false, SY_F32));
    CHECK(strstr(g->error.message, "a convolution layer needs an image"));
    sy_graph_destroy(&g);
}

/* kernel = stride takes another way than the rest. */
static void test_transposed(int k, int s, int p, int more, int groups, const char *type)
{
    enum { N = 2, H = 3, W = 4, C = 4, O = 6 };
    int oh = (H - 1) * s - 2 * p + k + more, ow = (W - 1) * s - 2 * p + k + more, own = O / groups;
    g = sy_graph_create("transposed");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, N, H, W, C));
    sy_value y = sy_conv_transpose_layer(g, x, "t", O, k, s, p, more, groups == 1 ? 0 : groups, true, SY_F32);
    const double *got = value("transposed", y, type);
    double *want = calloc((size_t)(N * oh * ow * O), sizeof *want);
    REQUIRE(want);
    for (int i = 0; i < N * oh * ow * O; i++)
        want[i] = number("t.bias", (uint64_t)(i % O));
    for (int i = 0; i < N * H * W * C; i++)
        for (int o = 0; o < own; o++)
            for (int tap = 0; tap < k * k; tap++) {
                int c = i % C, oy = i / C / W % H * s - p + tap / k, ox = i / C % W * s - p + tap % k;
                if (oy >= 0 && ox >= 0 && oy < oh && ox < ow)
                    want[((i / C / W / H * oh + oy) * ow + ox) * O + c / (C / groups) * own + o] +=
                        number("x", (uint64_t)i) * number("t.weight", (uint64_t)((c * own + o) * k * k + tap));
            }
    bool same = true;
    for (int i = 0; i < N * oh * ow * O; i++)
        same = same && near(got[i], want[i]);
    CHECK_SAY(same, "transposed, kernel %d, stride %d, pad %d + %d, %d groups differs", k, s, p, more, groups);
    free(want);
    sy_graph_destroy(&g);
}

static void test_group_norm(int n_groups)
{
    enum { N = 2, H = 3, W = 5, C = 6 };
    g = sy_graph_create("norm");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, N, H, W, C));
    const double *got = value("group norm", sy_group_norm(g, x, n_groups, 1e-3), "f32[2,3,5,6]");
    int own = C / n_groups, count = H * W * own;
    bool same = true;
    for (int n = 0; n < N; n++)
        for (int group = 0; group < n_groups; group++) {
            double mean = 0, square = 0;
            for (int i = 0; i < count; i++) {
                double v = pixel(H, W, C, n, i / own / W, i / own % W, group * own + i % own);
                mean += v / count;
                square += v * v / count;
            }
            for (int i = 0; i < count; i++) {
                int at = (n * H * W + i / own) * C + group * own + i % own;
                same = same && near(got[at], (number("x", (uint64_t)at) - mean) / sqrt(square - mean * mean + 1e-3));
            }
        }
    CHECK_SAY(same, "group norm of %d groups differs", n_groups);
    sy_graph_destroy(&g);
}

static void test_rest(void)
{
    enum { N = 2, H = 4, W = 6, C = 8 };
    g = sy_graph_create("rest");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, N, H, W, C));
    const double *got = value("batch norm", sy_batch_norm(g, x, "bn", 1e-5, SY_F32), "f32[2,4,6,8]");
    bool same = true;
    for (uint64_t i = 0; i < N * H * W * C; i++) {
        uint64_t c = i % C;
        double scaled = (number("x", i) - number("bn.running_mean", c)) / sqrt(number("bn.running_var", c) + 2 + 1e-5);
        same = same && near(got[i], scaled * number("bn.weight", c) + number("bn.bias", c));
    }
    CHECK_SAY(same, "batch norm differs");
    sy_value shuffled = sy_pixel_shuffle(g, x, 2);
    got = value("pixel shuffle", shuffled, "f32[2,8,12,2]");
    same = true;
    for (int i = 0; i < 2 * 8 * 12 * 2; i++) {
        int c = i % 2, xx = i / 2 % 12, yy = i / 24 % 8, n = i / 192;
        same = same && near(got[i], pixel(H, W, C, n, yy / 2, xx / 2, c * 4 + yy % 2 * 2 + xx % 2));
    }
    CHECK_SAY(same, "pixel shuffle differs");
    got = value("pixel unshuffle", sy_pixel_unshuffle(g, shuffled, 2), "f32[2,4,6,8]");
    same = true;
    for (uint64_t i = 0; i < N * H * W * C; i++)
        same = same && got[i] == number("x", i);
    CHECK_SAY(same, "pixel unshuffle does not undo pixel shuffle");
    got = value("roll", sy_roll(g, x, 2, -2), "f32[2,4,6,8]");
    same = true;
    for (int i = 0; i < N * H * W * C; i++)
        same = same && near(got[i], pixel(H, W, C, i / C / W / H, i / C / W % H, (i / C % W + 2) % W, i % C));
    CHECK_SAY(same && sy_roll(g, x, 1, 8) == x, "roll differs");
    got = value("nearest", sy_upsample_nearest(g, x, 3), "f32[2,12,18,8]");
    same = true;
    for (int i = 0; i < N * 12 * 18 * C; i++)
        same = same && near(got[i], pixel(H, W, C, i / C / 18 / 12, i / C / 18 % 12 / 3, i / C % 18 / 3, i % C));
    CHECK_SAY(same, "nearest upsampling differs");
    value("volume", sy_upsample_nearest(g, sy_input(g, "v", SY_T(SY_F32, 1, 2, 3, 4, 5)), 2), "f32[1,4,6,8,5]");
    value("pool", sy_pool(g, x, SY_POOL_MAX, 3, 2, 1), "f32[2,2,3,8]");
    value("resize", sy_resize(g, x, (const int32_t[]){9, 2}, true), "f32[2,9,2,8]");
    value("pad", sy_pad(g, x, (const int32_t[]){0, 1, 2, 0}, (const int32_t[]){0, 1, 0, 0}, SY_PAD_REFLECT),
          "f32[2,6,8,8]");
    CHECK(!sy_pixel_shuffle(g, x, 3));
    sy_graph_destroy(&g);
}

/* Ops on "no value" are silent, as all of the builder's are. */
static void test_nothing(void)
{
    g = sy_graph_create("nothing");
    CHECK(!sy_conv(g, 0, 0, NULL) && !sy_conv_layer(g, 0, "c", 1, 1, 1, 0, true, SY_F32) && !sy_pool(g, 0, 0, 1, 1, 0));
    CHECK(!sy_conv_transpose_layer(g, 0, "t", 1, 1, 1, 0, 0, 0, true, SY_F32) && !sy_group_norm(g, 0, 1, 0));
    CHECK(!sy_resize(g, 0, NULL, false) && !sy_pad(g, 0, NULL, NULL, SY_PAD_ZERO) && !sy_roll(g, 0, 0, 1));
    CHECK(!sy_batch_norm(g, 0, "b", 0, SY_F32) && !sy_instance_norm(g, 0, 0) && !sy_upsample_nearest(g, 0, 2));
    CHECK(!sy_pixel_shuffle(g, 0, 2) && !sy_pixel_unshuffle(g, 0, 2) && sy_graph_check(g, NULL));
    sy_graph_destroy(&g);
}

int main(void)
{
    test_conv_layer();
    test_transposed(3, 2, 1, 1, 1, "f32[2,6,8,6]");
    test_transposed(4, 2, 1, 0, 2, "f32[2,6,8,6]");
    test_transposed(3, 1, 0, 0, 1, "f32[2,5,6,6]");
    test_transposed(2, 2, 0, 0, 1, "f32[2,6,8,6]");
    test_group_norm(1);
    test_group_norm(3);
    test_group_norm(6);
    test_rest();
    test_nothing();
    return check_done();
}
