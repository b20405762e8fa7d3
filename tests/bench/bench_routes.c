/* What it costs to make block routes: block prediction and SpargeAttn's prediction alone, against the attention that a
 * route of half the blocks saves. */
#include "graph/zoo/block_routes.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 2, CHANNELS = 64, TOKENS = 4096, BLOCK = 64, BLOCKS = TOKENS / BLOCK };
enum { DENSE, TOP_K, SPARGE, KINDS };

static void make(bench *b, bench_run *run, int kind, const char *name)
{
    sy_graph *g = sy_graph_create(name);
    sy_text text = {0};
    sy_type type = SY_T(SY_F32, 1, HEADS, TOKENS, CHANNELS);
    sy_value q = g ? sy_input(g, "q", type) : 0, k = g ? sy_input(g, "k", type) : 0;
    if (!g)
        exit(1);
    if (kind == DENSE) {
        sy_output(g, "y", sy_attention(g, q, k, sy_input(g, "v", type), 0.125));
    } else {
        sy_sparge_params p = {.q = q,
                              .k = k,
                              .block_rows = BLOCK,
                              .block_keys = BLOCK,
                              .similarity = -1,
                              .mass = 0.5,
                              .smooth_keys = true};
        sy_value route = kind == TOP_K ? sy_block_top_k_route(g, q, k, BLOCK, BLOCK, 0.125, BLOCKS / 2, NULL)
                                       : sy_sparge_route(g, &p);
        sy_output(g, "load", sy_route_load(g, route));
    }
    sy_graph_print(g, &text);
    bench_text(b, run, name, text.data, kind == DENSE ? 1 : 3);
    sy_text_free(&text);
    sy_graph_destroy(&g);
}

int bench_routes(bench *b)
{
    static const char *const names[KINDS] = {"dense attention", "route of the best half of the blocks",
                                             "SpargeAttn's route"};
    bench_run runs[KINDS], *all[KINDS];
    for (int i = 0; i < KINDS; i++) {
        make(b, &runs[i], i, names[i]);
        all[i] = &runs[i];
    }
    bench_measure(all, KINDS);
    printf("%d tokens, %d heads of %d, blocks of %d: dense attention %.1f ms\n", TOKENS, HEADS, CHANNELS, BLOCK,
           runs[DENSE].seconds * 1e3);
    for (int i = TOP_K; i < KINDS; i++) {
        char what[96];
        snprintf(what, sizeof what, "%s (%.1f ms), of what half the blocks saves", names[i], runs[i].seconds * 1e3);
        bench_print(what, runs[i].seconds / (0.5 * runs[DENSE].seconds), "", 0.1, true);
    }
    for (int i = 0; i < KINDS; i++) {
        bench_print_dispatches(&runs[i], 1e12, 1);
        bench_free(&runs[i]);
    }
    return 0;
}
