/* Roof of f32 arithmetic: twelve independent chains of fused multiply-adds in named registers, nothing else. */
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) writeonly buffer Out { float value[]; } result;

const int ROUNDS = 2000; /* each 12 multiply-adds */

void main()
{
    float x = float(gl_GlobalInvocationID.x) * 1e-6;
    float a = x, b = x + 1, c = x + 2, d = x + 3, e = x + 4, f = x + 5;
    float g = x + 6, h = x + 7, i = x + 8, j = x + 9, k = x + 10, l = x + 11;
    for (int n = 0; n < ROUNDS; n++) {
        a = fma(a, 0.999, x), b = fma(b, 0.999, x), c = fma(c, 0.999, x), d = fma(d, 0.999, x);
        e = fma(e, 0.999, x), f = fma(f, 0.999, x), g = fma(g, 0.999, x), h = fma(h, 0.999, x);
        i = fma(i, 0.999, x), j = fma(j, 0.999, x), k = fma(k, 0.999, x), l = fma(l, 0.999, x);
    }
    result.value[gl_GlobalInvocationID.x] = a + b + c + d + e + f + g + h + i + j + k + l;
}
