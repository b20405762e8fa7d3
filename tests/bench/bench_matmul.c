/* f32 matmul 1024^3 against the driver's own multiply-add roof, both in one run. */
#include "tests/bench/bench.h"

#include <stdio.h>

int bench_matmul(bench *b)
{
    bench_run roof, matmul;
    bench_fma_roof(b, &roof);
    bench_text(b, &matmul, "matmul 1024^3",
               "graph \"matmul\" {\n"
               "  %a = input \"a\" : f32[1024,1024]\n"
               "  %b = input \"b\" : f32[1024,1024]\n"
               "  %c = matmul(%a, %b) : f32[1024,1024]\n"
               "  output \"c\" %c\n"
               "}\n", 3);
    bench_measure((bench_run *[]){&roof, &matmul}, 2);
    double peak = roof.flops / roof.best, rate = 2.0 * 1024 * 1024 * 1024 / matmul.seconds;
    printf("matmul 1024^3, f32: %.2f GFLOP/s (median), roof %.1f GFLOP/s\n", rate * 1e-9, peak * 1e-9);
    bench_print("share of the driver's fma roof", rate / peak, "", 0.25, false);
    bench_free(&matmul);
    bench_free(&roof);
    return 0;
}
