/* Attention: dense against the fma roof and our own matmul; over a route's blocks against dense; causal against dense.
 */
#include "graph/ir/build.h"
#include "graph/zoo/block_routes.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADS = 8,
    LONG_HEADS = 2 /* of 4096 tokens: a head takes as long as the others */,
    CHANNELS = 64,
    TOKENS = 4096,
    BLOCK = 64,
    BLOCKS = TOKENS / BLOCK
};

static void dense(bench *b, bench_run *run, const char *name, int tokens, const char *more)
{
    int heads = tokens > 2048 ? LONG_HEADS : HEADS;
    char text[600];
    snprintf(text, sizeof text,
             "graph \"attention\" {\n"
             "  %%q = input \"q\" : f32[1,%d,%d,%d]\n"
             "  %%k = input \"k\" : f32[1,%d,%d,%d]\n"
             "  %%v = input \"v\" : f32[1,%d,%d,%d]\n"
             "  %%y = attention(%%q, %%k, %%v) scale=0.125%s\n"
             "  output \"y\" %%y\n"
             "}\n",
             heads, tokens, CHANNELS, heads, tokens, CHANNELS, heads, tokens, CHANNELS, more);
    bench_text(b, run, name, text, tokens > 2048 ? 1 : 3);
}

/* Each query block of each head keeps `kept` key blocks, spread evenly from an own first one. */
static void routed(bench *b, bench_run *run, const char *name, int kept, const char *more)
{
    enum { ROWS = LONG_HEADS * BLOCKS };
    int entries = ROWS * kept;
    char text[1000];
    snprintf(text, sizeof text,
             "graph \"routed\" {\n"
             "  %%q = input \"q\" : f32[1,%d,%d,%d]\n"
             "  %%k = input \"k\" : f32[1,%d,%d,%d]\n"
             "  %%v = input \"v\" : f32[1,%d,%d,%d]\n"
             "  %%rows = input \"rows\" : i32[%d]\n"
             "  %%blocks = input \"blocks\" : i32[%d]\n"
             "  %%weights = input \"weights\" : f32[%d]\n"
             "  %%r = route.build(%%rows, %%blocks, %%weights) rows=%d targets=%d\n"
             "  %%y = route_attention(%%q, %%k, %%v, %%r) scale=0.125 block_rows=%d block_keys=%d%s\n"
             "  output \"y\" %%y\n"
             "}\n",
             LONG_HEADS, TOKENS, CHANNELS, LONG_HEADS, TOKENS, CHANNELS, LONG_HEADS, TOKENS, CHANNELS, entries, entries,
             entries, ROWS, BLOCKS, BLOCK, BLOCK, more);
    bench_text(b, run, name, text, 1);
    int32_t *list = calloc((size_t)entries, sizeof *list);
    if (!list)
        exit(1);
    for (int i = 0; i < entries; i++)
        list[i] = i / kept;
    bench_words(run, "rows", list, (uint64_t)entries);
    for (int i = 0; i < entries; i++)
        list[i] = (i / kept * 7 + i % kept * BLOCKS / kept) % BLOCKS;
    bench_words(run, "blocks", list, (uint64_t)entries);
    free(list);
}

/* SpargeAttn's first stage alone: means, similarities, softmax, ranks, the route. `share` of the blocks are kept. */
static void predict(bench *b, bench_run *run, double share)
{
    sy_error error = {0};
    sy_text text = {0};
    sy_graph *g = sy_graph_create("prediction");
    sy_type type = SY_T(SY_F32, 1, LONG_HEADS, TOKENS, CHANNELS);
    sy_sparge_params p = {.block_rows = BLOCK, .block_keys = BLOCK, .similarity = -1, .share = share};
    p.q = sy_input(g, "q", type);
    p.k = sy_input(g, "k", type);
    sy_output(g, "load", sy_route_load(g, sy_sparge_route(g, &p)));
    if (!sy_graph_check(g, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    sy_graph_print(g, &text);
    sy_text_add_bytes(&text, "", 1);
    bench_text(b, run, "block prediction", text.data, 3);
    sy_text_free(&text);
    sy_graph_destroy(&g);
}

int bench_attention(bench *b)
{
    bench_run roof, matmul, small, large, causal, routes[3], skip, prediction;
    static const int kept[3] = {BLOCKS / 4, BLOCKS / 2, BLOCKS * 3 / 4};
    bench_fma_roof(b, &roof);
    bench_text(b, &matmul, "matmul 1024^3",
               "graph \"matmul\" {\n"
               "  %a = input \"a\" : f32[1024,1024]\n"
               "  %b = input \"b\" : f32[1024,1024]\n"
               "  %c = matmul(%a, %b) : f32[1024,1024]\n"
               "  output \"c\" %c\n"
               "}\n",
               1);
    dense(b, &small, "attention 1024", 1024, "");
    dense(b, &large, "attention 4096", TOKENS, "");
    dense(b, &causal, "attention 4096, causal", TOKENS, " causal=1");
    for (int i = 0; i < 3; i++)
        routed(b, &routes[i], "route attention", kept[i], "");
    routed(b, &skip, "route attention, skip", kept[1], " skip=30");
    predict(b, &prediction, 0.5);
    bench_run *all[] = {&roof,      &matmul,    &small,     &large, &causal,
                        &routes[0], &routes[1], &routes[2], &skip,  &prediction};
    bench_measure(all, sizeof all / sizeof *all);
    double peak = roof.flops / roof.best, rate = 2.0 * 1024 * 1024 * 1024 / matmul.seconds;
    printf("roof %.1f GFLOP/s, matmul 1024^3 %.2f GFLOP/s\n", peak * 1e-9, rate * 1e-9);
    bench_run *two[] = {&small, &large};
    for (int i = 0; i < 2; i++) {
        double tokens = i ? TOKENS : 1024, heads = i ? LONG_HEADS : HEADS,
               flops = 4.0 * heads * CHANNELS * tokens * tokens / two[i]->seconds;
        printf("%s tokens, %d heads of %d: %.2f GFLOP/s, %.1f ms\n", i ? "4096" : "1024", (int)heads, CHANNELS,
               flops * 1e-9, two[i]->seconds * 1e3);
        bench_print("share of the driver's fma roof", flops / peak, "", 0.35, false);
        bench_print("share of our matmul's rate", flops / rate, "", 0.8, false);
    }
    bench_print("causal / dense time", causal.seconds / large.seconds, "", 0.6, true);
    for (int i = 0; i < 3; i++) {
        char what[80];
        snprintf(what, sizeof what, "%d %% of blocks kept, with building the route: time / dense",
                 100 * kept[i] / BLOCKS);
        bench_print(what, routes[i].seconds / large.seconds, "", (double)kept[i] / BLOCKS + 0.1, true);
    }
    bench_print("50 % kept, second stage at 30 (scores twice): time / dense", skip.seconds / large.seconds, "", 1.1,
                true);
    bench_print("predicting 50 % of blocks: time / attention saved",
                prediction.seconds / (large.seconds - routes[1].seconds), "", 0.1, true);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bench_print_dispatches(all[i], peak, 1);
        bench_free(all[i]);
    }
    return 0;
}
