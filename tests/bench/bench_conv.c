/* Convolutions and group norm of diffusion U-Nets, against the driver's own roofs in the same run: multiply-adds for
 * convolutions (counted directly, no fast algorithm), bytes of a triad for the norm (read once, written once). */
#include "tests/bench/bench.h"

#include <stdio.h>

typedef struct conv_case {
    int channels, size;
    double goal; /* share of the fma roof */
} conv_case;

/* A convolution whose input is made by a map before it and whose bias rides along, as in networks. */
static void make_conv(bench *b, bench_run *run, char *name, char *text, size_t room, const conv_case *c)
{
    snprintf(name, 64, "conv 3x3 %d to %d at %dx%d", c->channels, c->channels, c->size, c->size);
    snprintf(text, room,
             "graph \"conv\" {\n"
             "  %%x = input \"x\" : f32[1,%d,%d,%d]\n"
             "  @w : f32[3,3,%d,%d]   @b : f32[%d]\n"
             "  %%y = conv(%%x, @w) pad=[1,1] pad_high=[1,1]\n"
             "  %%z = add(%%y, @b)\n"
             "  output \"z\" %%z\n"
             "}\n",
             c->size, c->size, c->channels, c->channels, c->channels, c->channels);
    bench_text(b, run, name, text, 5);
}

int bench_conv(bench *b)
{
    static const conv_case cases[] = {{64, 64, 0.3}, {256, 32, 0.4}, {256, 16, 0.4}, {64, 8, 0.1}};
    enum { CASES = sizeof cases / sizeof *cases, ALL = CASES + 3 };
    static const char norm[] = "graph \"norm\" {\n"
                               "  %x = input \"x\" : f32[1,64,64,320]\n"
                               "  @w : f32[320]   @b : f32[320]\n"
                               "  %r = reshape(%x) : f32[1,4096,32,10]\n"
                               "  %t = transpose(%r) ints=[0,2,1,3]\n"
                               "  %n = reshape(%t) : f32[1,32,40960]\n"
                               "  %l = layer_norm(%n) eps=1e-5\n"
                               "  %u = reshape(%l) : f32[1,32,4096,10]\n"
                               "  %v = transpose(%u) ints=[0,2,1,3]\n"
                               "  %y = reshape(%v) : f32[1,64,64,320]\n"
                               "  %s = mul(%y, @w)   %z = add(%s, @b)   %o = silu(%z)\n"
                               "  output \"o\" %o\n"
                               "}\n";
    bench_run runs[ALL], *all[ALL];
    char names[CASES][64], text[512];
    bench_fma_roof(b, &runs[CASES]);
    double triad = bench_triad_roof(b, &runs[CASES + 1]);
    bench_text(b, &runs[CASES + 2], "group norm and SiLU 64x64x320, 32 groups", norm, 5);
    for (int i = 0; i < CASES; i++)
        make_conv(b, &runs[i], names[i], text, sizeof text, &cases[i]);
    for (int i = 0; i < ALL; i++)
        all[i] = &runs[i];
    bench_measure(all, ALL);
    double peak = runs[CASES].flops / runs[CASES].best, bandwidth = triad / runs[CASES + 1].best;
    printf("roofs: %.1f GFLOP/s, %.2f GB/s\n", peak * 1e-9, bandwidth * 1e-9);
    for (int i = 0; i < CASES; i++) {
        const conv_case *c = &cases[i];
        double rate = 18.0 * c->channels * c->channels * c->size * c->size / runs[i].seconds;
        printf("%s: %.3f ms, %.2f GFLOP/s\n", runs[i].name, runs[i].seconds * 1e3, rate * 1e-9);
        bench_print("share of the driver's fma roof", rate / peak, "", c->goal, false);
        bench_print_dispatches(&runs[i], peak, bandwidth);
    }
    double rate = 2 * 4.0 * 64 * 64 * 320 / runs[CASES + 2].seconds;
    printf("%s: %.3f ms\n", runs[CASES + 2].name, runs[CASES + 2].seconds * 1e3);
    bench_print("share of the driver's triad roof", rate / bandwidth, "", 0.3, false);
    bench_print_dispatches(&runs[CASES + 2], peak, bandwidth);
    for (int i = 0; i < ALL; i++)
        bench_free(&runs[i]);
    return 0;
}
