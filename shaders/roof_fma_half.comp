/* Roof of f16 arithmetic: twelve independent chains of multiply-adds on pairs, nothing else. */
#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) writeonly buffer Out { float value[]; } result;

const int ROUNDS = 1000; /* each 12 multiply-adds of two */

void main()
{
    f16vec2 x = f16vec2(float(gl_GlobalInvocationID.x % 1024u) * 1e-3), s = f16vec2(0.5);
    f16vec2 a = x, b = x + s, c = b + s, d = c + s, e = d + s, f = e + s;
    f16vec2 g = f + s, h = g + s, i = h + s, j = i + s, k = j + s, l = k + s;
    for (int n = 0; n < ROUNDS; n++) {
        a = fma(a, s, x), b = fma(b, s, x), c = fma(c, s, x), d = fma(d, s, x);
        e = fma(e, s, x), f = fma(f, s, x), g = fma(g, s, x), h = fma(h, s, x);
        i = fma(i, s, x), j = fma(j, s, x), k = fma(k, s, x), l = fma(l, s, x);
    }
    f16vec2 sum = a + b + c + d + e + f + g + h + i + j + k + l;
    result.value[gl_GlobalInvocationID.x] = float(sum.x) + float(sum.y);
}
