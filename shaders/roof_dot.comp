/* Roof of int8 arithmetic: twelve independent chains of dot products of four packed bytes with 32-bit sums
 * (SPV_KHR_integer_dot_product; 0: the packed format of four 8-bit components). */
#version 450
#extension GL_EXT_spirv_intrinsics : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) writeonly buffer Out { int value[]; } result;

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot4(int a, int b, spirv_literal int format);

const int ROUNDS = 1000; /* each 12 dot products of four, and sums */

void main()
{
    int x = int(gl_GlobalInvocationID.x) | 0x01010101;
    int a = x, b = x + 1, c = x + 2, d = x + 3, e = x + 4, f = x + 5;
    int g = x + 6, h = x + 7, i = x + 8, j = x + 9, k = x + 10, l = x + 11;
    for (int n = 0; n < ROUNDS; n++) {
        a += dot4(a, x, 0), b += dot4(b, x, 0), c += dot4(c, x, 0), d += dot4(d, x, 0);
        e += dot4(e, x, 0), f += dot4(f, x, 0), g += dot4(g, x, 0), h += dot4(h, x, 0);
        i += dot4(i, x, 0), j += dot4(j, x, 0), k += dot4(k, x, 0), l += dot4(l, x, 0);
    }
    result.value[gl_GlobalInvocationID.x] = a + b + c + d + e + f + g + h + i + j + k + l;
}
