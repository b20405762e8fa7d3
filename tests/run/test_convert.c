/* The quick conversions of loading against the exact ones, over all halves and many floats. */
#include "graph/ops/eval.h"
#include "src/run/convert.h"
#include "tests/check.h"

#include <math.h>

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

int main(void)
{
    uint32_t wrong = 0, state = 1;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h, back;
        float x, y;
        sy_convert_floats(SY_F16, &half, SY_F32, 1, &x);
        wrong += !same(x, (float)sy_f16_to_double(half));
        sy_convert_floats(SY_F32, &x, SY_F16, 1, &back);
        wrong += back != half && !isnan(x);
        sy_convert_floats(SY_BF16, &half, SY_F32, 1, &y);
        wrong += !same(y, (float)sy_bf16_to_double(half));
    }
    CHECK_SAY(wrong == 0, "%u", wrong);
    for (uint32_t i = 0; i < 4000000; i++) {
        float x;
        uint16_t got;
        state = state * 1664525u + 1013904223u;
        uint32_t word = i % 2 ? state : (state & 0x8FFFFFFFu) | 0x30000000u; /* half of them where halves are dense */
        memcpy(&x, &word, sizeof x);
        sy_convert_floats(SY_F32, &x, SY_F16, 1, &got);
        wrong += got != sy_f16_from_double((double)x) && !isnan(x);
        sy_convert_floats(SY_F32, &x, SY_BF16, 1, &got);
        wrong += got != sy_bf16_from_double((double)x) && !isnan(x);
    }
    CHECK_SAY(wrong == 0, "%u", wrong);

    uint8_t bytes[9] = {0, 0, 0, 128, 63, 0, 0, 0, 64}; /* 1 and 2 as f32, one byte off alignment */
    double d[2];
    sy_convert_to_double(SY_F32, bytes + 1, 2, d);
    CHECK(d[0] == 1 && d[1] == 2);
    double numbers[] = {-1.9, 3e9, NAN, -5};
    int32_t whole[4];
    uint32_t natural[4];
    sy_convert_from_double(SY_I32, numbers, 4, whole);
    sy_convert_from_double(SY_U32, numbers, 4, natural);
    CHECK(whole[0] == -1 && whole[1] == INT32_MAX && whole[2] == INT32_MIN && whole[3] == -5);
    CHECK(natural[0] == 0 && natural[1] == 3000000000u && natural[2] == 0 && natural[3] == 0);
    return check_done();
}
