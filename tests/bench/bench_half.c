/* Matmul and grouped matmul with weights of half precision, whose activations may be rounded to it: where the device has
 * cooperative matrices, against the rate these reach with nothing to load, measured just before. */
#include "src/profile/roofs.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

static void experts(bench_run *run, int rows)
{
    float *choice = calloc((size_t)rows * 8, sizeof *choice);
    for (int i = 0; choice && i < rows; i++)
        choice[i * 8 + i % 8] = 1;
    if (choice)
        bench_input(run, "l", choice, (uint64_t)rows * 8);
    free(choice);
}

int bench_half(bench *b)
{
    bench_run dense, grouped;
    sy_arena arena = {0};
    sy_error error = {0};
    sy_roofs roofs;
    char text[900];
    double roof = 0;
    const int side = b->limits->cpu ? 512 : 4096, hidden = b->limits->cpu ? 256 : 2048;
    b->half = true;
    if (!sy_roofs_measure(b->device, b->cache, &arena, &roofs, &error)) {
        fprintf(stderr, "roofs: %s\n", error.message);
        return 1;
    }
    for (uint32_t i = 0; i < roofs.n; i++)
        roof = roofs.roof[i].kind == SY_ROOF_MATRIX ? roofs.roof[i].value : roof;
    sy_arena_free(&arena);
    snprintf(text, sizeof text,
             "graph \"half\" {\n"
             "  %%a = input \"a\" : f32[%d,%d]\n"
             "  %%w = param \"w\" : f32[%d,%d]\n"
             "  %%h = cast(%%w) : f16[%d,%d]\n"
             "  %%c = matmul(%%a, %%h) : f32[%d,%d]\n"
             "  output \"c\" %%c\n"
             "}\n", side, side, side, side, side, side, side, side);
    bench_text(b, &dense, "matmul", text, 3);
    snprintf(text, sizeof text,
             "graph \"experts\" {\n"
             "  %%x = input \"x\" : f32[%d,%d]\n"
             "  %%l = input \"l\" : f32[%d,8]\n"
             "  %%w = param \"w\" : f32[8,%d,%d]\n"
             "  %%h = cast(%%w) : f16[8,%d,%d]\n"
             "  %%r = route.top_k(%%l) k=1\n"
             "  %%o = grouped_matmul(%%x, %%h, %%r) gather=1\n"
             "  output \"o\" %%o\n"
             "}\n", 2 * hidden, hidden, 2 * hidden, hidden, hidden, hidden, hidden);
    bench_text(b, &grouped, "grouped matmul", text, 3);
    experts(&grouped, 2 * hidden);
    bench_measure((bench_run *[]){&dense, &grouped}, 2);
    double rate = 2.0 * side * side * side / dense.seconds, routed = 4.0 * hidden * hidden * hidden / grouped.seconds;
    printf("f16 weights, %s, matmul %d^3: %.3f TFLOP/s (median)\n", dense.program->kernels[0].name, side, rate * 1e-12);
    printf("8 experts, one a row, %d rows, %d x %d: %.3f TFLOP/s with its route\n", 2 * hidden, hidden, hidden, routed * 1e-12);
    if (roof > 0)
        bench_print("matmul, share of the device's matrix roof", rate / roof, "", 0.6, false);
    else
        printf("  the device has no cooperative matrices of f16 into f32, or this build cannot use them\n");
    bench_print("grouped matmul at even load, share of the dense one's rate", routed / rate, "", 0.85, false);
    bench_free(&dense);
    bench_free(&grouped);
    return 0;
}
