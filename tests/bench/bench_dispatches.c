/* Where the time of a step goes: with SY_BENCH_DISPATCHES set, the shortest time of every dispatch over some runs, equal
 * kernels together, beside the time that its FLOPs take at a quarter of the multiply-add roof or its bytes at the triad's rate. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

bool bench_wants_dispatches(void)
{
    return getenv("SY_BENCH_DISPATCHES") != NULL;
}

double bench_goal(const sy_dispatch *d, double peak, double bandwidth)
{
    double compute = d->flops / (0.25 * peak), memory = d->bytes / bandwidth;
    return compute > memory ? compute : memory;
}

typedef struct row {
    uint32_t kernel, count, first;
    double seconds, goal, flops;
} row;

static int by_seconds(const void *a, const void *b)
{
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

void bench_print_dispatches(bench_run *run, double peak, double bandwidth)
{
    enum { RUNS = 15 };
    sy_error error = {0};
    const sy_program *p = run->program;
    double *best = calloc(p->n_dispatches, sizeof *best), total = 0;
    row *rows = calloc(p->n_kernels, sizeof *rows);
    if (!best || !rows || !sy_session_timings(run->session, 0)) {
        free(best), free(rows);
        return;
    }
    for (int r = 0; r < RUNS && sy_session_run(run->session, NULL, NULL, &error); r++)
        for (uint32_t i = 0; i < p->n_dispatches; i++) {
            const double *at = sy_session_timings(run->session, 0) + 2 * i;
            double seconds = at[1] - at[0];
            best[i] = r == 0 || seconds < best[i] ? seconds : best[i];
        }
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        row *at = &rows[p->dispatches[i].kernel];
        at->kernel = p->dispatches[i].kernel;
        at->first = at->count++ ? at->first : i;
        at->seconds += best[i];
        at->goal += bench_goal(&p->dispatches[i], peak, bandwidth);
        at->flops += p->dispatches[i].flops;
        total += best[i];
    }
    qsort(rows, p->n_kernels, sizeof *rows, by_seconds);
    printf("  %s, dispatch by dispatch: %.3f ms\n", run->name, 1e3 * total);
    printf("       ms      %%   n   goal/ms  GFLOP/s  kernel, groups: first of them\n");
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const sy_dispatch *d = &p->dispatches[rows[i].first];
        printf("  %7.3f %6.1f %3u  %7.3f  %7.2f  %s %ux%ux%u: %s\n", 1e3 * rows[i].seconds, 100 * rows[i].seconds / total, rows[i].count,
               1e3 * rows[i].goal, rows[i].flops / rows[i].seconds * 1e-9, p->kernels[rows[i].kernel].name, d->groups[0], d->groups[1],
               d->groups[2], d->label);
    }
    free(best), free(rows);
}
