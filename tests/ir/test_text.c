/* The text form: random graphs over all ops come back node for node, and a graph written by hand reads as meant. */
#include "help_random.h"

#include "graph/base/file.h"
#include "tests/check.h"

#include <dirent.h>
#include <locale.h>

static char *print(const sy_graph *graph)
{
    sy_text text = {0};
    sy_graph_print(graph, &text);
    REQUIRE(!text.failed);
    return text.data;
}

static sy_graph *parse(const char *text)
{
    sy_error error = {0};
    sy_graph *graph = sy_graph_parse(text, strlen(text), &error);
    CHECK_SAY(graph != NULL, "%s\n%s", error.message, text);
    return graph;
}

static void test_round_trip(void)
{
    for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
        int seen = 0;
        for (uint64_t seed = 0; seed < 12; seed++) {
            sy_error error = {0};
            sy_graph *graph = help_random_graph(seed * 1000 + op, op, 30);
            for (sy_value v = 1; v < graph->n_nodes; v++)
                seen += graph->nodes[v].op == op;
            CHECK_SAY(sy_graph_verify(graph, SY_STAGE_SOURCE, &error), "%s", error.message);
            char *text = print(graph);
            sy_graph *back = parse(text);
            if (back) {
                const char *difference = help_difference(graph, back);
                CHECK_SAY(!difference, "%s, seed %d: %s\n%s", sy_op_get(op)->name, (int)seed, difference, text);
                char *again = print(back);
                CHECK_TEXT(again, text);
                free(again);
            }
            sy_graph *copy = sy_graph_clone(graph);
            CHECK(copy && !help_difference(graph, copy));
            sy_graph_destroy(&copy);
            sy_graph_destroy(&back);
            sy_graph_destroy(&graph);
            free(text);
        }
        CHECK_SAY(seen >= 3, "%s is hardly in any graph", sy_op_get(op)->name);
    }
}

static void test_reads_as_meant(void)
{
    static const char text[] = "// two layers\n"
                               "graph \"mlp\" {\n"
                               "  @fc1.weight : f32[64,16]   @fc1.bias : f32[64]\n"
                               "  @fc2.weight : f16[10,64]\n"
                               "  %x = input : f32[8,16]\n"
                               "  %t = step \"time\"\n"
                               "  %h = matmul(%x, @fc1.weight) transpose_b=true   !fc1\n"
                               "  %h2 = add(%h, @fc1.bias) : f32[8,64] !fc1\n"
                               "  %a = mul(silu_is_not_a_name, 2)\n"
                               "  output \"y\" %h2\n"
                               "}\n";
    static const char good[] = "graph {\n"
                               "  @fc1.weight : f32[64,16]   @fc1.bias : f32[64]\n"
                               "  %x = input : f32[8,16]  // named x\n"
                               "  %t = step \"time\"\n"
                               "  %h = matmul(%x, @fc1.weight) transpose_b=true   !fc1\n"
                               "  %h2 = add(%h, @fc1.bias) : f32[8,64] !fc1 #3\n"
                               "  %a = mul(%h2, -0.5) %c = const [1, 2e3, inf]\n"
                               "  output \"y\" %a tap \"hidden\" %h\n"
                               "}\n";
    sy_error error = {0};
    CHECK(!sy_graph_parse(text, strlen(text), &error));
    CHECK_TEXT(error.message, "line 9, column 12: expected a value (%name), a parameter (@name) or a number, found "
                              "\"silu_is_not_a_name\".");
    sy_graph *g = parse(good);
    REQUIRE(g);
    CHECK(g->n_nodes == 10 && g->n_ends == 2);
    CHECK_TEXT(g->nodes[3].name, "x");
    CHECK_TEXT(g->nodes[4].name, "time");
    CHECK_TEXT(g->nodes[1].scope, "fc1");
    CHECK(g->nodes[5].type.dim[0] == 8 && g->nodes[5].type.dim[1] == 64 && g->nodes[5].attributes.transpose_b == 1);
    CHECK(g->nodes[6].group == 3 && g->nodes[5].group == -1);
    CHECK(g->nodes[7].op == SY_OP_CONST && g->nodes[7].attributes.values.data[0] == -0.5);
    CHECK(g->nodes[9].type.rank == 1 && g->nodes[9].type.dim[0] == 3);
    CHECK(g->nodes[1].load_time && g->nodes[9].load_time && !g->nodes[5].load_time);
    sy_graph_destroy(&g);
}

/* What it looks like is part of what we promise. */
static void test_looks(void)
{
    static const char wanted[] = "graph \"mlp\" {\n"
                                 "  %x = input \"x\"                                               : f32[2,3]\n"
                                 "  @fc.weight                                                   : f32[4,3]\n"
                                 "  %3 = matmul(%x, @fc.weight) transpose_b=1                    : f32[2,4]   !fc\n"
                                 "  @fc.bias                                                     : f32[4]\n"
                                 "  %5 = add(%3, @fc.bias)                                       : f32[2,4]   !fc\n"
                                 "  %6 = const 0.1                                               : f32[1]\n"
                                 "  %7 = mul(%6, @fc.bias)                                       : f32[4]   load\n"
                                 "  %8 = slice(%5) ints=[0,1]                                    : f32[2,2]\n"
                                 "  output \"y\" %8\n"
                                 "  tap \"scale\" %7\n"
                                 "}\n";
    sy_graph *g = sy_graph_create("mlp");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, 3));
    sy_value y = sy_linear(g, x, "fc", 4, true, SY_F32);
    sy_value s = sy_mul(g, sy_const(g, 0.1), sy_param(g, "fc.bias", SY_T(SY_F32, 4)));
    sy_output(g, "y", sy_slice_axis(g, y, 1, 1, 2));
    sy_tap(g, "scale", s);
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    char *text = print(g);
    CHECK_TEXT(text, wanted);
    free(text);
    sy_graph_destroy(&g);
}

/* Another locale's decimal comma must not get into the text, or keep it from being read. */
static void test_locale(void)
{
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        return;
    sy_graph *g = parse("graph { %c = const 0.125 output \"c\" %c }");
    CHECK(g && g->nodes[1].attributes.values.data[0] == 0.125);
    char *text = g ? print(g) : NULL;
    CHECK(text && strstr(text, "const 0.125 "));
    free(text);
    sy_graph_destroy(&g);
    setlocale(LC_ALL, "C");
}

/* The fuzzer starts from graphs that are good ones. */
static void test_seeds(void)
{
    DIR *folder = opendir(SY_SOURCE_DIR "/tests/fuzz/corpus/text");
    REQUIRE(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[1024];
        size_t size;
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/text/%s", SY_SOURCE_DIR, entry->d_name);
        char *text = entry->d_name[0] == '.' ? NULL : sy_file_load(path, 1 << 20, &size, NULL);
        sy_graph *graph = text ? parse(text) : NULL;
        sy_graph_destroy(&graph);
        free(text);
    }
    closedir(folder);
}

int main(void)
{
    test_seeds();
    test_reads_as_meant();
    test_looks();
    test_round_trip();
    test_locale();
    return check_done();
}
