/* One party of tools/peers/compare.py: reads lines, makes what they name, times it when told, so that rounds of several
 * programs can be interleaved from outside.
 *
 *   make KIND REPEATS NUMBER…   ->  ok MEAN    mean of |output|, to see that all parties computed the same
 *   make fma|triad 1            ->  ok AMOUNT  operations or bytes of one: the driver's roofs
 *   make model STEPS FILE       ->  ok nan
 *   time                        ->  seconds of one, as the mean of REPEATS in one submission
 *
 * KIND and its numbers are those of tools/peers/cases.py. */
#include "graph/ir/build.h"
#include "tests/bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sy_value param(sy_graph *g, const char *name, sy_type type)
{
    return sy_param(g, name, type);
}

static sy_value matmul(sy_graph *g, const int *n) /* M N K */
{
    return sy_matmul(g, sy_input(g, "a", SY_T(SY_F32, n[0], n[2])), sy_input(g, "b", SY_T(SY_F32, n[2], n[1])), false);
}

static sy_value conv(sy_graph *g, const int *n) /* height, width, channels in and out; 3x3 */
{
    return sy_conv(g, sy_input(g, "x", SY_T(SY_F32, 1, n[0], n[1], n[2])),
                   param(g, "w", SY_T(SY_F32, 3, 3, n[2], n[3])),
                   &(sy_attributes){.pad = {1, 1}, .pad_high = {1, 1}});
}

static sy_value attention(sy_graph *g, const int *n) /* heads, tokens, channels of a head */
{
    sy_type type = SY_T(SY_F32, 1, n[0], n[1], n[2]);
    sy_value q = sy_input(g, "q", type), k = sy_input(g, "k", type), v = sy_input(g, "v", type);
    return sy_attention(g, q, k, v, 1 / sqrt(n[2]));
}

static sy_value grouped(sy_graph *g, const int *n) /* experts, top, M (out), N (rows), K */
{
    sy_value route = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, n[3], n[0])), n[1], false);
    sy_value x = sy_input(g, "x", SY_T(SY_F32, n[3], n[4]));
    return sy_grouped_matmul(g, x, param(g, "w", SY_T(SY_F32, n[0], n[4], n[2])), route, true, false);
}

static sy_value moe(sy_graph *g, const int *n) /* experts, top, rows, width, hidden */
{
    sy_value route = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, n[2], n[0])), n[1], false);
    sy_value x = sy_input(g, "x", SY_T(SY_F32, n[2], n[3])), up = param(g, "up", SY_T(SY_F32, n[0], n[3], n[4]));
    sy_value h = sy_unary(g, SY_OP_GELU_TANH, sy_grouped_matmul(g, x, up, route, true, false));
    sy_value down = param(g, "down", SY_T(SY_F32, n[0], n[4], n[3]));
    return sy_combine(g, sy_grouped_matmul(g, h, down, route, false, false), route, true);
}

static sy_value softmax(sy_graph *g, const int *n) /* rows, length */
{
    return sy_row(g, SY_OP_SOFTMAX, sy_input(g, "x", SY_T(SY_F32, n[0], n[1])), 0);
}

static sy_value group_norm(sy_graph *g, const int *n) /* height, width, channels, groups; with its affine part */
{
    return sy_group_norm_layer(g, sy_input(g, "x", SY_T(SY_F32, 1, n[0], n[1], n[2])), "norm", n[3], 1e-5, SY_F32);
}

static sy_value layer_norm(sy_graph *g, const int *n) /* rows, channels; with its affine part */
{
    sy_value x = sy_row(g, SY_OP_LAYER_NORM, sy_input(g, "x", SY_T(SY_F32, n[0], n[1])), 1e-5);
    x = sy_mul(g, x, param(g, "norm.weight", SY_T(SY_F32, n[1])));
    return sy_add(g, x, param(g, "norm.bias", SY_T(SY_F32, n[1])));
}

enum { NUMBERS = 5 };

static const struct kind {
    const char *name;
    int n_numbers;
    sy_value (*make)(sy_graph *g, const int *numbers);
} kinds[] = {
    {"matmul", 3, matmul},   {"conv", 4, conv},       {"attention", 3, attention},   {"grouped", 5, grouped},
    {"moe", 5, moe},         {"softmax", 2, softmax}, {"group_norm", 4, group_norm}, {"layer_norm", 2, layer_norm},
};

/* The mean of |output|, or NaN where there is none. */
static double mean_output(const bench_run *run)
{
    sy_session_result result;
    if (!sy_session_output(run->session, 0, &result) || result.type.dtype != SY_F32)
        return NAN;
    uint64_t n = sy_type_count(&result.type);
    double sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += fabs((double)((const float *)result.data)[i]);
    return sum / (double)n;
}

/* One of `kinds`, as text, as every other benchmark is made; answers unless it is none of them. */
static bool make_kind(bench *b, bench_run *run, const char *name, uint32_t repeats, const int *numbers, int n_numbers)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) || kinds[i].n_numbers != n_numbers)
            continue;
        sy_error error = {0};
        sy_text text = {0};
        sy_graph *g = sy_graph_create(name);
        sy_output(g, "y", kinds[i].make(g, numbers));
        bool fine = sy_graph_check(g, &error);
        if (fine) {
            sy_graph_print(g, &text);
            bench_text(b, run, kinds[i].name, text.data, repeats);
            printf("ok %.6g\n", mean_output(run));
        } else {
            printf("cannot %s\n", error.message);
        }
        sy_text_free(&text);
        sy_graph_destroy(&g);
        return true;
    }
    if (!strcmp(name, "fma") || !strcmp(name, "triad")) {
        printf("ok %.17g\n", *name == 'f' ? bench_fma_roof(b, run) : bench_triad_roof(b, run));
        return true;
    }
    return false;
}

int bench_peers(bench *b)
{
    char line[4096], kind[32], path[4000];
    bench_run run = {0};
    bench_model model = {0};
    bool made = false;
    while (fgets(line, sizeof line, stdin)) {
        int numbers[NUMBERS], end = 0;
        uint32_t repeats;
        line[strcspn(line, "\n")] = '\0';
        if (!strcmp(line, "time")) {
            if (made)
                bench_measure_once(&run);
            printf(made ? "%.9g\n" : "cannot: nothing was made\n", run.seconds);
            continue;
        }
        bench_free(&run), bench_model_close(&model);
        run = (bench_run){0}, model = (bench_model){0};
        made = false;
        if (sscanf(line, "make model %u %3999[^\n]", &repeats, path) == 2) {
            bench_model_open(b, &model, &run, path, repeats);
            printf("ok nan\n");
            made = true;
        } else if (sscanf(line, "make %31s %u%n", kind, &repeats, &end) == 2 && repeats) {
            int n = 0, used;
            for (; n < NUMBERS && sscanf(line + end, "%d%n", &numbers[n], &used) == 1; end += used)
                n++;
            if (!make_kind(b, &run, kind, repeats, numbers, n))
                printf("cannot make \"%s\" of %d numbers\n", kind, n);
            made = run.session != NULL;
        } else {
            printf("cannot read \"%.60s\"\n", line);
        }
    }
    bench_free(&run), bench_model_close(&model);
    return 0;
}
