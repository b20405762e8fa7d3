/* What the builder composes, against its formula: Fourier transforms of lengths that are prime, have factors, or are
 * large; PyTorch's GRU cell. */
#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "tests/check.h"

#include <complex.h>
#include <math.h>

static double number(uint64_t i, const char *name)
{
    return sin(1.0 + 7.3 * (double)i + (name ? name[0] + name[strlen(name) - 1] : 0));
}

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context, (void)error;
    for (uint64_t i = 0; i < sy_type_count(&leaf->type); i++)
        out[i] = number(i, leaf->name);
    return true;
}

static double complex *transform(int32_t h, int32_t w, bool complex_input, bool inverse)
{
    double turn = (inverse ? 2 : -2) * acos(-1);
    double complex *out = calloc((size_t)h * (size_t)w, sizeof *out);
    REQUIRE(out);
    for (int32_t k = 0; k < h; k++)
        for (int32_t m = 0; m < w; m++) {
            double complex sum = 0;
            for (int32_t j = 0; j < h; j++)
                for (int32_t l = 0; l < w; l++) {
                    uint64_t at = (uint64_t)(j * w + l);
                    double complex x = number(at, "re") + (complex_input ? I * number(at, "im") : 0);
                    sum += x * cexp(I * turn * ((double)(j * k % h) / h + (double)(l * m % w) / w));
                }
            out[k * w + m] = inverse ? sum / ((double)h * w) : sum;
        }
    return out;
}

static void check_transform(int32_t h, int32_t w, bool complex_input, bool inverse)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("dft");
    REQUIRE(g);
    sy_value re = sy_input(g, "re", SY_T(SY_F32, 1, h, w, 1)), im = 0, out[2];
    if (complex_input)
        im = sy_input(g, "im", SY_T(SY_F32, 1, h, w, 1));
    CHECK(sy_dft2(g, re, im, inverse, &out[0], &out[1]));
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    sy_eval e;
    REQUIRE(sy_eval_init(&e, g, &error));
    e.read = read;
    REQUIRE(sy_eval_value(&e, out[0], &error) && sy_eval_value(&e, out[1], &error));
    double complex *want = transform(h, w, complex_input, inverse);
    double worst = 0, size = 0;
    for (int32_t i = 0; i < h * w; i++) {
        double complex got = e.tensor[out[0]][i] + I * e.tensor[out[1]][i];
        worst = fmax(worst, cabs(got - want[i]));
        size = fmax(size, cabs(want[i]));
    }
    CHECK_SAY(worst < 1e-9 * size, "%d x %d: off by %g of %g", h, w, worst, size);
    free(want);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static void check_batch(void)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("there and back");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 3, 6, 130, 5)), re, im, back, nothing;
    CHECK(sy_dft2(g, x, 0, false, &re, &im) && sy_dft2(g, re, im, true, &back, &nothing));
    sy_eval e;
    REQUIRE(sy_eval_init(&e, g, &error));
    e.read = read;
    REQUIRE(sy_eval_value(&e, back, &error) && sy_eval_value(&e, nothing, &error));
    double worst = 0;
    for (uint64_t i = 0; i < 3 * 6 * 130 * 5; i++)
        worst = fmax(worst, fmax(fabs(e.tensor[back][i] - number(i, "x")), fabs(e.tensor[nothing][i])));
    CHECK_SAY(worst < 1e-9, "there and back: off by %g", worst);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void check_gru(void)
{
    enum { N = 3, IN = 5, H = 7 };
    sy_error error = {0};
    sy_graph *g = sy_graph_create("gru");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, N, IN)), h = sy_input(g, "h", SY_T(SY_F32, N, H));
    sy_value y = sy_gru_cell(g, x, h, SY_F32);
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    sy_eval e;
    REQUIRE(sy_eval_init(&e, g, &error));
    e.read = read;
    REQUIRE(sy_eval_value(&e, y, &error));
    for (uint64_t n = 0; n < N; n++)
        for (uint64_t j = 0; j < H; j++) {
            double a[3], b[3];
            for (uint64_t k = 0; k < 3; k++) {
                uint64_t row = k * H + j;
                a[k] = number(row, "bias_ih");
                b[k] = number(row, "bias_hh");
                for (uint64_t i = 0; i < IN; i++)
                    a[k] += number(row * IN + i, "weight_ih") * number(n * IN + i, "x");
                for (uint64_t i = 0; i < H; i++)
                    b[k] += number(row * H + i, "weight_hh") * number(n * H + i, "h");
            }
            double r = sigmoid(a[0] + b[0]), z = sigmoid(a[1] + b[1]), fresh = tanh(a[2] + r * b[2]);
            double want = (1 - z) * fresh + z * number(n * H + j, "h");
            CHECK(fabs(e.tensor[y][n * H + j] - want) < 1e-12);
        }
    sy_eval_free(&e);
    sy_graph_destroy(&g);
    g = sy_graph_create("wrong");
    CHECK(!sy_gru_cell(g, sy_input(g, "x", SY_T(SY_F32, 3)), sy_input(g, "h", SY_T(SY_F32, 3, 4)), SY_F32));
    CHECK(!sy_graph_check(g, &error) && strstr(error.message, "GRU"));
    sy_graph_destroy(&g);
}

int main(void)
{
    static const int32_t sizes[][2] = {{1, 1}, {7, 1}, {8, 12}, {65, 3}, {2, 130}, {67, 5}, {96, 4}, {4, 256}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int kind = 0; kind < 4; kind++)
            check_transform(sizes[i][0], sizes[i][1], kind & 1, kind & 2);
    check_batch();
    check_gru();
    return check_done();
}
