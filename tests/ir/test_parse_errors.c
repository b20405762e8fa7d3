/* Every way a text can be wrong: a place, what was wanted, what was found; and nothing leaks (see the sanitizers). */
#include "graph/ir/ir.h"

#include "tests/check.h"

static const struct wrong {
    const char *text, *message;
} table[] = {
    {"", "line 1, column 1: expected \"graph\", found the end of the text."},
    {"program {}", "line 1, column 1: expected \"graph\", found \"program\"."},
    {"graph \"a", "line 1, column 7: the string does not end on its line."},
    {"graph \"a\\q\" {}", "line 1, column 7: strings hold no zero byte and only the escapes \\\" \\\\ \\n \\t \\xHH."},
    {"graph \"a\\", "line 1, column 7: strings hold no zero byte and only the escapes \\\" \\\\ \\n \\t \\xHH."},
    {"graph \"a\\x00\" {}",
     "line 1, column 7: strings hold no zero byte and only the escapes \\\" \\\\ \\n \\t \\xHH."},
    {"graph \"a\" ", "line 1, column 11: expected '{', found the end of the text."},
    {"graph {",
     "line 1, column 8: expected a statement (%name = …, @name : …, output, carry, tap, step_output) or '}', "
     "found the end of the text."},
    {"graph { } x", "line 1, column 11: expected the end of the text after '}', found \"x\"."},
    {"graph {\n  $ }", "line 2, column 3: '$' begins nothing."},
    {"graph {\n \x01 }", "line 2, column 2: byte 0x01 begins nothing."},
    {"graph { % }", "line 1, column 9: a value's name must follow '%', like %x or %12."},
    {"graph { %x matmul }", "line 1, column 12: expected '=' after the value's name, found \"matmul\"."},
    {"graph { %x = 3 }", "line 1, column 14: expected an op, like matmul, found \"3\"."},
    {"graph { %x = matmull(%a) }", "line 1, column 14: there is no op \"matmull\"; nearest: \"matmul\"."},
    {"graph { %x = qqqqqqqqqqqq }", "line 1, column 14: there is no op \"qqqqqqqqqqqq\"."},
    {"graph { %x = silu(%y) }", "line 1, column 19: no value %y was defined before."},
    {"graph { %x = silu(@w) }", "line 1, column 19: no parameter @w was defined before."},
    {"graph { %x = silu(1 2) }", "line 1, column 21: expected ',' or ')' after an argument, found \"2\"."},
    {"graph { %x = silu(1, 2) }", "line 1, column 14: silu takes 1 arguments, not 2."},
    {"graph { %x = concat }", "line 1, column 14: concat takes 1 to 1024 arguments, not 0."},
    {"graph { %x = silu \"name\" (1) }", "line 1, column 14: silu takes no name."},
    {"graph { %x = silu(1) k=2 }", "line 1, column 22: silu takes no attribute \"k\"."},
    {"graph { %x = silu(1) kk=2 }", "line 1, column 22: silu takes no attribute \"kk\"."},
    {"graph { %x = top_k(1) k=2 k=1 }", "line 1, column 27: the attribute \"k\" is given twice."},
    {"graph { %x = top_k(1) k=1.5 }", "line 1, column 25: expected a whole number, found \"1.5\"."},
    {"graph { %x = top_k(1) k=3000000000 }", "line 1, column 25: expected a whole number, found \"3000000000\"."},
    {"graph { %x = layer_norm(1) eps=1e }", "line 1, column 32: expected a number, found \"1e\"."},
    {"graph { %x = transpose(1) ints=0 }", "line 1, column 32: expected '[' and a list of whole numbers, found \"0\"."},
    {"graph { %x = transpose(1) ints=[0,1,2,3,4,5,6] }",
     "line 1, column 45: expected ']': such a list has at most 6 numbers, found \"6\"."},
    {"graph { %x = const }", "line 1, column 20: expected a number, found \"}\"."},
    {"graph { %x = const [1, x] }", "line 1, column 24: expected a number, found \"x\"."},
    {"graph { %x = const [1 2] }", "line 1, column 23: expected ',' or ']', found \"2\"."},
    {"graph { %x = const [1,", "line 1, column 23: expected a number, found the end of the text."},
    {"graph { @w f32[1] }", "line 1, column 12: expected ':' and the parameter's type, found \"f32\"."},
    {"graph { @w : f64[1] }", "line 1, column 14: expected a type like f32[64,128] (f32, f16, bf16, i32, u32) or "
                              "route[64->8; 128], found \"f64\"."},
    {"graph { @w : f32 }", "line 1, column 18: expected '[', found \"}\"."},
    {"graph { @w : f32[] }", "line 1, column 18: expected a dimension, found \"]\"."},
    {"graph { @w : f32[0] }", "line 1, column 14: this type cannot be: a dimension is below 1."},
    {"graph { @w : f32[-4] }", "line 1, column 14: this type cannot be: a dimension is below 1."},
    {"graph { @w : f32[65536,65536] }",
     "line 1, column 14: this type cannot be: it has more elements than 32-bit indices reach."},
    {"graph { @w : f32[1,1,1,1,1,1,1] }",
     "line 1, column 30: expected ']': tensors have at most 6 dimensions, found \"1\"."},
    {"graph { @w : f32[1 }", "line 1, column 20: expected ',' or ']', found \"}\"."},
    {"graph { %r = input : route[4,2] }", "line 1, column 29: expected '->', found \",\"."},
    {"graph { %r = input : route[4->2 4] }", "line 1, column 33: expected ';', found \"4\"."},
    {"graph { %r = input : route[2000000000->2; 2000000000] }",
     "line 1, column 22: this type cannot be: it has more elements than 32-bit indices reach."},
    {"graph { @w : f32[1] @w : f32[1] }", "line 1, column 21: the parameter \"w\" is there already."},
    {"graph { @\"\" : f32[1] }", "line 1, column 9: param needs a name."},
    {"graph { %w = const 1 %w = const 2 }", "line 1, column 22: the value %w is there already."},
    {"graph { @w : f32[1] # }",
     "line 1, column 21: the number of a dispatch must follow '#' (comments begin with \"//\")."},
    {"graph { @w : f32[1] #99999999999 }",
     "line 1, column 21: expected the number of a dispatch, found \"#99999999999\"."},
    {"graph { @w : f32[1] ! }", "line 1, column 21: a scope must follow '!'."},
    {"graph { %x = input : f32[1] load }",
     "line 1, column 14: marked \"load\", but it does not depend on parameters and constants alone."},
    {"graph { output %x }", "line 1, column 16: expected its name in quotes, found \"%x\"."},
    {"graph { output \"\" 1 }", "line 1, column 16: expected its name in quotes, found the string \"\"."},
    {"graph { output \"y\" 1 }", "line 1, column 20: expected a value (%name), found \"1\"."},
    {"graph { output \"y\" %x }", "line 1, column 20: no value %x was defined before."},
    {"graph { %x = const 1 output \"y\" %x output \"y\" %x }", "line 1, column 43: the output \"y\" is there already."},
    {"graph { %x = const 1 carry \"s\" %x }", "rule \"carries\": carry \"s\": there is no state of that name."},
    {"graph { %s = state : f32[2] %x = const 1 carry \"s\" %x }",
     "rule \"carries\": carry \"s\": the state is f32[2], its next value f32[1]."},
    {"graph { %a = input \"x\" : f32[2] %b = input \"x\" : f32[2] }",
     "rule \"leaves\": %1 and %2 are both the input \"x\"."},
};

static void check_wrong(const char *text, size_t size, const char *message)
{
    sy_error error = {0};
    sy_graph *graph = sy_graph_parse(text, size, &error);
    CHECK_SAY(!graph, "%s", text);
    CHECK(error.code == SY_CODE_INVALID_FILE);
    if (message)
        CHECK_TEXT(error.message, message);
    sy_graph_destroy(&graph);
    graph = sy_graph_parse(text, size, NULL); /* nobody need want the message */
    CHECK(!graph);
}

/* A good text cut off anywhere is an error, never more. */
static void test_cuts(void)
{
    static const char text[] =
        "graph \"cut\" { @\"a\\x41\" : f32[4,3] %x = input \"x\" : f32[2,3] !a.b #12 // note\n"
        " %c = const [1.5e-3, -inf] %y = matmul(%x, @aA) transpose_b=1 : f32[2,4] output \"y\" %y }";
    sy_graph *graph = sy_graph_parse(text, strlen(text), NULL);
    CHECK(graph != NULL);
    sy_graph_destroy(&graph);
    for (size_t size = 0; size < strlen(text); size++) {
        char *exact = malloc(size ? size : 1); /* so that reading past the end is seen */
        memcpy(exact, text, size);
        check_wrong(exact, size, NULL);
        free(exact);
    }
}

static void test_bounds(void)
{
    char name[3000], text[4000];
    memset(name, 'a', sizeof name - 1);
    name[1023] = '\0';
    snprintf(text, sizeof text, "graph { @%s : f32[1] }", name);
    sy_graph *graph = sy_graph_parse(text, strlen(text), NULL);
    CHECK(graph && strlen(graph->nodes[1].name) == 1023);
    sy_graph_destroy(&graph);
    name[1023] = 'a';
    name[1024] = '\0';
    snprintf(text, sizeof text, "graph { @%s : f32[1] }", name);
    check_wrong(text, strlen(text), "line 1, column 9: names, numbers and strings have at most 1023 bytes.");

    sy_text many = {0};
    sy_text_add(&many, "graph { %x = const 1 %y = concat(%x");
    for (int i = 0; i < 1024; i++)
        sy_text_add(&many, ",%x");
    sy_text_add(&many, ") }");
    sy_error error = {0};
    CHECK(!sy_graph_parse(many.data, many.size, &error) && strstr(error.message, "at most 1024 arguments"));
    sy_text_free(&many);

    /* Deep nesting cannot be written; long texts of brackets are read without recursion. */
    many = (sy_text){0};
    for (int i = 0; i < 100000; i++)
        sy_text_add(&many, "graph {");
    check_wrong(many.data, many.size, NULL);
    sy_text_free(&many);
}

int main(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_wrong(table[i].text, strlen(table[i].text), table[i].message);
    test_cuts();
    test_bounds();
    return check_done();
}
