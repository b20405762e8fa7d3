/* Text in, text out: what each pass makes of a small graph. */
#include "tests/passes/help_passes.h"

static void check_pass(const char *pass, const char *before, const char *after)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_parse(before, strlen(before), &error);
    CHECK_SAY(g != NULL, "%s", error.message);
    if (!g)
        return;
    sy_plan *plan = help_run(
        g, &(sy_compile_params){.taps = (const char *const[]){"kept*"}, .n_taps = strstr(before, "kept") != NULL},
        pass);
    char *text = plan ? help_text(plan) : NULL;
    CHECK_TEXT(text, after);
    free(text);
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
}

int main(void)
{
    check_pass("select_taps",
               "graph \"taps\" {\n  %x = input \"x\" : f32[4]\n  %2 = neg(%x) : f32[4]\n  output \"y\" %x\n  tap "
               "\"kept.one\" %2\n  tap \"other\" %2\n}\n",
               "graph \"taps\" {\n"
               "  %x = input \"x\"                                               : f32[4]\n"
               "  %2 = neg(%x)                                                 : f32[4]\n"
               "  output \"y\" %x\n"
               "  step_output \"kept.one\" %2\n"
               "}\n");
    check_pass(
        "simplify",
        "graph \"simplify\" {\n  %x = input \"x\" : f32[4,8]\n  %2 = const 0 : f32[1]\n  %3 = add(%x, %2) : f32[4,8]\n"
        "  %4 = transpose(%3) ints=[1,0] : f32[8,4]\n  %5 = transpose(%4) ints=[1,0] : f32[4,8]\n"
        "  %6 = reshape(%5) : f32[32]\n  %7 = reshape(%6) : f32[2,16]\n  %8 = const 3 : f32[1]\n  %9 = const 4 : "
        "f32[1]\n"
        "  %10 = mul(%8, %9) : f32[1]\n  %11 = mul(%7, %10) : f32[2,16]\n  %12 = mul(%10, %7) : f32[2,16]\n"
        "  %13 = add(%11, %12) : f32[2,16]\n  %14 = exp(%13) : f32[2,16]\n  output \"y\" %13\n}\n",
        "graph \"simplify\" {\n"
        "  %x = input \"x\"                                               : f32[4,8]\n"
        "  %2 = reshape(%x)                                             : f32[2,16]\n"
        "  %3 = const 12                                                : f32[1]\n"
        "  %4 = mul(%2, %3)                                             : f32[2,16]\n"
        "  %5 = add(%4, %4)                                             : f32[2,16]\n"
        "  output \"y\" %5\n"
        "}\n");
    check_pass("simplify",
               "graph \"algebra\" {\n  %x = input \"x\" : f32[4,8]\n  %2 = softmax(%x) : f32[4,8]\n  %3 = top_k(%2) "
               "k=2 : i32[4,2]\n"
               "  %4 = sigmoid(%x) : f32[4,8]\n  %5 = mul(%x, %4) : f32[4,8]\n  %6 = cast(%x) : f16[4,8]\n  %7 = "
               "cast(%6) : f32[4,8]\n  %8 = cast(%7) : bf16[4,8]\n"
               "  output \"ids\" %3\n  output \"silu\" %5\n  output \"cast\" %8\n}\n",
               "graph \"algebra\" {\n"
               "  %x = input \"x\"                                               : f32[4,8]\n"
               "  %2 = top_k(%x) k=2                                           : i32[4,2]\n"
               "  %3 = silu(%x)                                                : f32[4,8]\n"
               "  %4 = cast(%x)                                                : f16[4,8]\n"
               "  %5 = cast(%4)                                                : bf16[4,8]\n"
               "  output \"ids\" %2\n"
               "  output \"silu\" %3\n"
               "  output \"cast\" %5\n"
               "}\n");
    check_pass("merge_matmuls",
               "graph \"adaLN\" {\n  %c = input \"c\" : f32[2,8]\n  %2 = silu(%c) : f32[2,8]\n  @a.weight : f32[3,8]\n "
               " @a.bias : f32[3]\n"
               "  %5 = matmul(%2, @a.weight) transpose_b=1 : f32[2,3]\n  %6 = add(%5, @a.bias) : f32[2,3]\n  @b.weight "
               ": f32[5,8]\n  @b.bias : f32[5]\n"
               "  %9 = matmul(%2, @b.weight) transpose_b=1 : f32[2,5]\n  %10 = add(%9, @b.bias) : f32[2,5]\n  output "
               "\"a\" %6\n  output \"b\" %10\n}\n",
               "graph \"adaLN\" {\n"
               "  %c = input \"c\"                                               : f32[2,8]\n"
               "  %2 = silu(%c)                                                : f32[2,8]\n"
               "  @a.weight                                                    : f32[3,8]\n"
               "  @a.bias                                                      : f32[3]\n"
               "  @b.weight                                                    : f32[5,8]\n"
               "  %6 = concat(@a.weight, @b.weight)                            : f32[8,8]   load\n"
               "  @b.bias                                                      : f32[5]\n"
               "  %8 = concat(@a.bias, @b.bias)                                : f32[8]   load\n"
               "  %9 = matmul(%2, %6) transpose_b=1                            : f32[2,8]\n"
               "  %10 = add(%9, %8)                                            : f32[2,8]\n"
               "  %11 = slice(%10) ints=[0,0]                                  : f32[2,3]\n"
               "  %12 = slice(%10) ints=[0,3]                                  : f32[2,5]\n"
               "  output \"a\" %11\n"
               "  output \"b\" %12\n"
               "}\n");
    check_pass("simplify_lowered",
               "graph \"routes\" {\n  %scores = input \"scores\" : f32[6,4]\n  %mask = input \"mask\" : i32[6]\n  %x = "
               "input \"x\" : f32[6,8]\n  @w : f32[5,8,8]\n"
               "  %5 = route.top_k(%scores) k=2 : route[6->4; 12]\n  %6 = route.split(%5, %mask) target=4 targets=5 : "
               "route[6->5; 12]\n"
               "  %7 = route.capacity(%6) capacity=3 group_rows=3 order=1 : route[6->5; 12]\n"
               "  %8 = grouped_matmul(%x, @w, %7) gather=1 : f32[12,8]\n  %9 = combine(%8, %7) weighted=1 : f32[6,8]\n "
               " output \"y\" %9\n}\n",
               "graph \"routes\" {\n"
               "  %scores = input \"scores\"                                     : f32[6,4]\n"
               "  %mask = input \"mask\"                                         : i32[6]\n"
               "  %x = input \"x\"                                               : f32[6,8]\n"
               "  @w                                                           : f32[5,8,8]\n"
               "  %5 = top_k(%scores) k=2                                      : i32[6,2]\n"
               "  %6 = take_last(%scores, %5)                                  : f32[6,2]\n"
               "  %7 = iota                                                    : i32[6,2]\n"
               "  %8 = const -1                                                : i32[1]\n"
               "  %9 = const 4                                                 : i32[1]\n"
               "  %10 = reshape(%mask)                                         : i32[6,1]\n"
               "  %11 = iota axis=1                                            : i32[1,2]\n"
               "  %12 = const 0                                                : i32[1]\n"
               "  %13 = equal(%11, %12)                                        : i32[1,2]   load\n"
               "  %14 = select(%13, %9, %8)                                    : i32[1,2]   load\n"
               "  %15 = select(%10, %14, %5)                                   : i32[6,2]\n"
               "  %16 = const 1                                                : f32[1]\n"
               "  %17 = select(%10, %16, %6)                                   : f32[6,2]\n"
               "  %18 = transpose(%7) ints=[1,0]                               : i32[2,6]   load\n"
               "  %19 = reshape(%18)                                           : i32[12]   load\n"
               "  %20 = transpose(%15) ints=[1,0]                              : i32[2,6]\n"
               "  %21 = reshape(%20)                                           : i32[12]\n"
               "  %22 = transpose(%17) ints=[1,0]                              : f32[2,6]\n"
               "  %23 = reshape(%22)                                           : f32[12]\n"
               "  %24 = route.build(%19, %21, %23) rows=6 targets=5 capacity=3 group_rows=3 : route[6->5; 12]\n"
               "  %25 = grouped_matmul(%x, @w, %24) gather=1                   : f32[12,8]\n"
               "  %26 = combine(%25, %24) weighted=1                           : f32[6,8]\n"
               "  output \"y\" %26\n"
               "}\n");
    check_pass("lower_rows",
               "graph \"rows\" {\n"
               "  %x = input \"x\" : f32[2,300]\n"
               "  %k = top_k(%x) k=20\n"
               "  output \"k\" %k\n"
               "  %c = cumsum(%x)\n"
               "  output \"c\" %c\n"
               "}\n",
               "graph \"rows\" {\n"
               "  %x = input \"x\"                                               : f32[2,300]\n"
               "  %2 = sort.rank(%x) order=1 length=128                        : i32[2,300]\n"
               "  %3 = sort.place(%2) length=128                               : i32[2,300]\n"
               "  %4 = sort.merge(%x, %3) order=1 length=128                   : i32[2,300]\n"
               "  %5 = sort.merge(%x, %4) order=1 length=256                   : i32[2,300]\n"
               "  %6 = slice(%5) ints=[0,0]                                    : i32[2,20]\n"
               "  %7 = const 0                                                 : f32[2,20]\n"
               "  %8 = concat(%x, %7) axis=1                                   : f32[2,320]\n"
               "  %9 = reshape(%8)                                             : f32[2,5,64]\n"
               "  %10 = cumsum(%9)                                             : f32[2,5,64]\n"
               "  %11 = slice(%10) ints=[0,0,63]                               : f32[2,5,1]\n"
               "  %12 = reshape(%11)                                           : f32[2,5]\n"
               "  %13 = const 0                                                : f32[2,1]\n"
               "  %14 = cumsum(%12)                                            : f32[2,5]\n"
               "  %15 = slice(%14) ints=[0,0]                                  : f32[2,4]\n"
               "  %16 = concat(%13, %15) axis=1                                : f32[2,5]\n"
               "  %17 = reshape(%16)                                           : f32[2,5,1]\n"
               "  %18 = add(%10, %17)                                          : f32[2,5,64]\n"
               "  %19 = reshape(%18)                                           : f32[2,320]\n"
               "  %20 = slice(%19) ints=[0,0]                                  : f32[2,300]\n"
               "  output \"k\" %6\n"
               "  output \"c\" %20\n"
               "}\n");
    check_pass("hoist",
               "graph \"hoist\" {\n  %x = input \"x\" : f32[4,8]\n  @w : f16[16,8]\n  %3 = cast(@w) : f32[16,8]\n  %4 "
               "= matmul(%x, %3) transpose_b=1 : f32[4,16]\n"
               "  @b : f16[16]\n  %6 = cast(@b) : f32[16]\n  %7 = mul(%6, %6) : f32[16]\n  %8 = add(%4, %7) : "
               "f32[4,16]\n  output \"y\" %8\n}\n",
               "graph \"hoist\" {\n"
               "  %x = input \"x\"                                               : f32[4,8]\n"
               "  @w                                                           : f16[16,8]\n"
               "  %3 = transpose(@w) ints=[1,0]                                : f16[8,16]   load\n"
               "  %4 = cast(%3)                                                : f32[8,16]   run\n"
               "  %5 = matmul(%x, %4)                                          : f32[4,16]\n"
               "  @b                                                           : f16[16]\n"
               "  %7 = cast(@b)                                                : f32[16]   load\n"
               "  %8 = mul(%7, %7)                                             : f32[16]   load\n"
               "  %9 = add(%5, %8)                                             : f32[4,16]\n"
               "  output \"y\" %9\n"
               "}\n");
    check_pass("fuse",
               "graph \"fuse\" {\n  %x = input \"x\" : f32[2,8,16]\n  %scale = input \"scale\" : f32[2,1,16]\n  %3 = "
               "layer_norm(%x) eps=1e-06 : f32[2,8,16]\n"
               "  %4 = mul(%3, %scale) : f32[2,8,16]\n  @w : f32[16,16]\n  %6 = matmul(%4, @w) : f32[2,8,16]\n  %7 = "
               "gelu_tanh(%6) : f32[2,8,16]\n"
               "  %8 = add(%x, %7) : f32[2,8,16]\n  %9 = reshape(%8) : f32[2,8,4,4]\n  %10 = transpose(%9) "
               "ints=[0,2,1,3] : f32[2,4,8,4]\n  output \"y\" %10\n}\n",
               "graph \"fuse\" {\n"
               "  %x = input \"x\"                                               : f32[2,8,16]\n"
               "  %scale = input \"scale\"                                       : f32[2,1,16]\n"
               "  %3 = layer_norm(%x) eps=1e-06                                : f32[2,8,16]   #0\n"
               "  %4 = mul(%3, %scale)                                         : f32[2,8,16]   #0\n"
               "  @w                                                           : f32[16,16]\n"
               "  %6 = matmul(%4, @w)                                          : f32[2,8,16]   #1\n"
               "  %7 = gelu_tanh(%6)                                           : f32[2,8,16]   #1\n"
               "  %8 = add(%x, %7)                                             : f32[2,8,16]   #1\n"
               "  %9 = reshape(%8)                                             : f32[2,8,4,4]\n"
               "  %10 = transpose(%9) ints=[0,2,1,3]                           : f32[2,4,8,4]   #1\n"
               "  output \"y\" %10\n"
               "}\n"
               "; #0 row anchors %3 reads %1 %2 writes %4 stage 0\n"
               "; #1 matmul anchors %6 reads %4 %5 %1 writes %10 stage 0\n");
    return check_done();
}
