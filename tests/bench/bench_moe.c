/* A mixture-of-experts feed-forward: T = 1024 rows, width 256, hidden 512, top-2, against itself under other loads and
 * against a dense feed-forward of the same active work. The scores are an input, so the load is what we say. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 1024, WIDTH = 256, HIDDEN = 512, REPLAYS = 4 };

static void moe(bench *b, bench_run *run, const char *name, int experts, bool even)
{
    char text[2048];
    snprintf(text, sizeof text,
             "graph \"moe\" {\n"
             "  %%u = input \"u\" : f32[%d,%d]\n"
             "  %%s = input \"scores\" : f32[%d,%d]\n"
             "  %%up = param \"up\" : f32[%d,%d,%d]\n"
             "  %%down = param \"down\" : f32[%d,%d,%d]\n"
             "  %%r = route.top_k(%%s) k=2 renormalise=0\n"
             "  %%h = grouped_matmul(%%u, %%up, %%r) transpose_b=0 gather=1\n"
             "  %%g = gelu_tanh(%%h)\n"
             "  %%y = grouped_matmul(%%g, %%down, %%r) transpose_b=0 gather=0\n"
             "  %%o = combine(%%y, %%r) weighted=1\n"
             "  output \"o\" %%o\n"
             "}\n",
             ROWS, WIDTH, ROWS, experts, experts, WIDTH, HIDDEN, experts, HIDDEN, WIDTH);
    bench_text(b, run, name, text, REPLAYS);
    float *scores = malloc(sizeof *scores * ROWS * (size_t)experts);
    for (int t = 0; t < ROWS; t++)
        for (int e = 0; e < experts; e++) {
            int first = even ? t % experts : 0, second = even ? (t + 1) % experts : 1;
            scores[t * experts + e] = e == first ? 0.6f : e == second ? 0.3f : 0.001f * (float)e / (float)experts;
        }
    bench_input(run, "scores", scores, (uint64_t)ROWS * (uint64_t)experts);
    free(scores);
}

int bench_moe(bench *b)
{
    bench_run few, many, skew, dense;
    moe(b, &few, "8 experts, even", 8, true);
    moe(b, &many, "64 experts, even", 64, true);
    moe(b, &skew, "8 experts, all rows on the same two", 8, false);
    char text[1024];
    snprintf(text, sizeof text,
             "graph \"dense\" {\n"
             "  %%u = input \"u\" : f32[%d,%d]\n"
             "  %%up = param \"up\" : f32[%d,%d]\n"
             "  %%down = param \"down\" : f32[%d,%d]\n"
             "  %%h = matmul(%%u, %%up)\n"
             "  %%g = gelu_tanh(%%h)\n"
             "  %%o = matmul(%%g, %%down)\n"
             "  output \"o\" %%o\n"
             "}\n",
             ROWS, WIDTH, WIDTH, 2 * HIDDEN, 2 * HIDDEN, WIDTH);
    bench_text(b, &dense, "dense, the same active work", text, REPLAYS);
    bench_run *runs[] = {&few, &many, &skew, &dense};
    bench_measure(runs, 4);
    printf("mixture of experts, %d rows, width %d, hidden %d, top-2, f32; median of %d interleaved rounds\n", ROWS, WIDTH, HIDDEN, BENCH_ROUNDS);
    for (int i = 0; i < 4; i++)
        printf("  %-38s %8.2f ms  %6.2f GFLOP/s\n", runs[i]->name, runs[i]->seconds * 1e3,
               2.0 * 2 * ROWS * 2 * WIDTH * HIDDEN / runs[i]->seconds * 1e-9);
    bench_print("64 experts to 8", many.seconds / few.seconds, "x", 1.25, true);
    bench_print("all rows on the same two experts, to even", skew.seconds / few.seconds, "x", 1.5, true);
    bench_print("8 experts, even, to a dense one", few.seconds / dense.seconds, "x", 1.3, true);
    for (int i = 0; i < 4; i++)
        bench_print_dispatches(runs[i], 40e9, 4e9);
    for (int i = 0; i < 4; i++)
        bench_free(runs[i]);
    return 0;
}
