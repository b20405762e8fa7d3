/* Convolutions and group norm of diffusion U-Nets, against the driver's own roofs in the same run: multiply-adds for
 * convolutions (counted directly, no fast algorithm), bytes of a triad for the norm (read once, written once). */
#include "graph/ir/build.h"
#include "tests/bench/bench.h"

#include <stdio.h>

typedef struct conv_case {
    int channels, size, up; /* up 2: transposed, 4x4 with stride 2, to twice the size */
    double goal;            /* share of the fma roof */
} conv_case;

/* A convolution whose input is made by a map before it and whose bias rides along, as in networks. */
static void make_conv(bench *b, bench_run *run, char *name, char *text, size_t room, const conv_case *c)
{
    bool up = c->up == 2;
    snprintf(name, 64, "%s %d to %d at %dx%d", up ? "transposed conv 4x4" : "conv 3x3", c->channels, c->channels,
             c->size, c->size);
    snprintf(text, room,
             "graph \"conv\" {\n"
             "  %%x = input \"x\" : f32[1,%d,%d,%d]\n"
             "  @w : f32[%d,%d,%d,%d]   @b : f32[%d]\n"
             "  %%y = conv(%%x, @w) pad=[%d,%d] pad_high=[%d,%d] up=[%d,%d]\n"
             "  %%z = add(%%y, @b)\n"
             "  output \"z\" %%z\n"
             "}\n",
             c->size, c->size, c->channels, up ? 4 : 3, up ? 4 : 3, c->channels, c->channels, c->channels, up + 1,
             up + 1, up + 1, up + 1, c->up, c->up);
    bench_text(b, run, name, text, 5);
}

/* Group norm with its affine part and SiLU: 10 channels a group, or 16. */
static void make_norm(bench *b, bench_run *run, bool even)
{
    sy_text text = {0};
    sy_graph *g = sy_graph_create("norm");
    sy_value x = sy_input(g, "x", even ? SY_T(SY_F32, 1, 50, 50, 512) : SY_T(SY_F32, 1, 64, 64, 320));
    sy_output(g, "y", sy_silu(g, sy_group_norm_layer(g, x, "norm", 32, 1e-5, SY_F32)));
    sy_graph_print(g, &text);
    bench_text(b, run, even ? "group norm and SiLU 50x50x512, 32 groups" : "group norm and SiLU 64x64x320, 32 groups",
               text.data, 5);
    sy_text_free(&text);
    sy_graph_destroy(&g);
}

int bench_conv(bench *b)
{
    static const conv_case cases[] = {
        {64, 64, 1, 0.4}, {256, 32, 1, 0.4}, {256, 16, 1, 0.4}, {64, 8, 1, 0.2}, {64, 32, 2, 0.4}};
    enum { CASES = sizeof cases / sizeof *cases, ALL = CASES + 4 };
    bench_run runs[ALL], *all[ALL];
    char names[CASES][64], text[512];
    bench_fma_roof(b, &runs[CASES]);
    double triad = bench_triad_roof(b, &runs[CASES + 1]);
    make_norm(b, &runs[CASES + 2], false);
    make_norm(b, &runs[CASES + 3], true);
    for (int i = 0; i < CASES; i++)
        make_conv(b, &runs[i], names[i], text, sizeof text, &cases[i]);
    for (int i = 0; i < ALL; i++)
        all[i] = &runs[i];
    bench_measure(all, ALL);
    double peak = runs[CASES].flops / runs[CASES].best, bandwidth = triad / runs[CASES + 1].best;
    printf("roofs: %.1f GFLOP/s, %.2f GB/s\n", peak * 1e-9, bandwidth * 1e-9);
    for (int i = 0; i < CASES; i++) {
        const conv_case *c = &cases[i];
        double direct = c->up == 2 ? runs[i].flops : 2.0 * 9 * c->channels * c->channels * c->size * c->size;
        double rate = direct / runs[i].seconds; /* where fewer are done as well: above the roof is no error then */
        printf("%s: %.3f ms, %.2f GFLOP/s\n", runs[i].name, runs[i].seconds * 1e3, rate * 1e-9);
        bench_print("share of the driver's fma roof", rate / peak, "", c->goal, false);
        bench_print_dispatches(&runs[i], peak, bandwidth);
    }
    for (int i = CASES + 2; i < ALL; i++) {
        double rate = 2 * 4.0 * 64 * 64 * 320 / runs[i].seconds;
        printf("%s: %.3f ms\n", runs[i].name, runs[i].seconds * 1e3);
        bench_print("share of the driver's triad roof", rate / bandwidth, "", 0.3, false);
        bench_print_dispatches(&runs[i], peak, bandwidth);
    }
    for (int i = 0; i < ALL; i++)
        bench_free(&runs[i]);
    return 0;
}
