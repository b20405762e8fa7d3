/* What the marks of where a device is cost (src/run/marks.h): the same graphs with and without them, in one run. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { LAYERS = 40 };

static void chain(bench *b, bench_run *run, const char *name, int rows, int width, bool marks)
{
    size_t room = 512 + 256 * (size_t)LAYERS, n = 0;
    char *text = malloc(room);
    if (!text)
        exit(1);
    n += (size_t)snprintf(text, room, "graph \"chain\" {\n  %%w = param \"w\" : f32[%d,%d]\n  %%x0 = input \"x\" : f32[%d,%d]\n", width, width, rows, width);
    for (int i = 0; i < LAYERS; i++)
        n += (size_t)snprintf(text + n, room - n, "  %%s%d = softmax(%%x%d)\n  %%x%d = matmul(%%s%d, %%w)\n", i, i, i + 1, i);
    snprintf(text + n, room - n, "  output \"y\" %%x%d\n}\n", LAYERS);
    setenv("SWITCHYARD_MARKS", marks ? "1" : "0", 1);
    bench_text(b, run, name, text, 1);
    free(text);
}

int bench_marks(bench *b)
{
    bench_run runs[4];
    chain(b, &runs[0], "rows 256, width 192", 256, 192, false);
    chain(b, &runs[1], "the same, marked", 256, 192, true);
    chain(b, &runs[2], "rows 4, width 16", 4, 16, false);
    chain(b, &runs[3], "the same, marked", 4, 16, true);
    bench_measure((bench_run *[]){&runs[0], &runs[1], &runs[2], &runs[3]}, 4);
    printf("%u dispatches, each behind a barrier; median of %d interleaved rounds\n", runs[0].program->n_dispatches, BENCH_ROUNDS);
    for (int i = 0; i < 4; i++)
        printf("  %-22s %9.3f ms\n", runs[i].name, runs[i].seconds * 1e3);
    bench_print("marked, to not, dispatches of the default model's size", runs[1].seconds / runs[0].seconds, "x", 1.02, true);
    bench_print("marked, to not, dispatches of next to nothing", runs[3].seconds / runs[2].seconds, "x", 1.1, true);
    printf("  %.2f us a mark\n", 1e6 * (runs[3].best - runs[2].best) / runs[2].program->n_dispatches);
    for (int i = 0; i < 4; i++)
        bench_free(&runs[i]);
    return 0;
}
