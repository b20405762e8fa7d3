/* The builder, fifth part: the discrete Fourier transform, composed of matmuls with tables of cosines and sines that
 * are made when weights are loaded. An axis whose length has a divisor of at most DIRECT is taken apart (Cooley and
 * Tukey 1965): transforms of the one factor, a turn of each element, transforms of the other; so a length of a x b
 * costs a + b multiplications an element instead of a b. On the sizes of networks these matmuls are what devices do
 * best.
 *
 * Complex numbers are two planes along a leading axis, [2, rows, n]: real parts, then imaginary ones. */
#include "graph/ir/build.h"

#include <math.h>

enum { DIRECT = 64, MOST = 1 << 14 };

/* cos and sin of 2 pi i j / n at [rows, columns]. i j stays whole and below n, so that large tables are exact as well.
 */
static void table(sy_graph *g, int32_t rows, int32_t columns, int32_t n, sy_value *c, sy_value *s)
{
    double whole = n, turn = 2 * acos(-1) / n;
    sy_value i = sy_iota(g, SY_T(SY_I32, rows, 1), 0), j = sy_iota(g, SY_T(SY_I32, 1, columns), 1);
    sy_value product = sy_mul(g, i, j), length = sy_const_of(g, SY_T(SY_I32, 1), &whole, 1);
    sy_value rest = sy_sub(g, product, sy_mul(g, sy_binary(g, SY_OP_DIV, product, length), length));
    sy_value angle = sy_mul(g, sy_cast(g, rest, SY_F32), sy_const(g, turn));
    *c = sy_unary(g, SY_OP_COS, angle);
    *s = sy_unary(g, SY_OP_SIN, angle);
}

static sy_value plane(sy_graph *g, sy_value z, int which)
{
    return sy_slice_axis(g, z, 0, which, 1);
}

/* (re, im) (c - sign i s), where c and s already stand multiplied with both: p = z c, q = z s. */
static sy_value turned(sy_graph *g, sy_value p, sy_value q, bool inverse)
{
    sy_op first = inverse ? SY_OP_SUB : SY_OP_ADD, second = inverse ? SY_OP_ADD : SY_OP_SUB;
    sy_value parts[] = {sy_binary(g, first, plane(g, p, 0), plane(g, q, 1)),
                        sy_binary(g, second, plane(g, p, 1), plane(g, q, 0))};
    return sy_concat(g, parts, 2, 0);
}

/* z[2, rows, n] along its last axis. */
static sy_value along_last(sy_graph *g, sy_value z, int32_t rows, int32_t n, bool inverse)
{
    int32_t a = n > DIRECT ? DIRECT : 1;
    while (a > 1 && n % a)
        a--;
    sy_value c, s;
    if (a == 1) {
        table(g, n, n, n, &c, &s);
        return turned(g, sy_matmul(g, z, c, false), sy_matmul(g, z, s, false), inverse);
    }
    /* element i1 b + i2 to frequency k1 + a k2 */
    int32_t b = n / a;
    const int32_t exchange[] = {0, 1, 3, 2};
    z = sy_transpose(g, sy_reshape(g, z, SY_T(SY_F32, 2, rows, a, b)), exchange);
    z = along_last(g, sy_reshape(g, z, SY_T(SY_F32, 2, rows * b, a)), rows * b, a, inverse);
    z = sy_reshape(g, z, SY_T(SY_F32, 2, rows, b, a));
    table(g, b, a, n, &c, &s);
    z = sy_transpose(g, turned(g, sy_mul(g, z, c), sy_mul(g, z, s), inverse), exchange);
    z = along_last(g, sy_reshape(g, z, SY_T(SY_F32, 2, rows * a, b)), rows * a, b, inverse);
    z = sy_transpose(g, sy_reshape(g, z, SY_T(SY_F32, 2, rows, a, b)), exchange);
    return sy_reshape(g, z, SY_T(SY_F32, 2, rows, n));
}

bool sy_dft2(sy_graph *g, sy_value re, sy_value im, bool inverse, sy_value *out_re, sy_value *out_im)
{
    *out_re = *out_im = 0;
    if (!re || re >= g->n_nodes)
        return false;
    const sy_type type = g->nodes[re].type;
    if (type.is_route || type.rank != 4 || type.dim[1] > MOST || type.dim[2] > MOST)
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                       "a Fourier transform needs images, [N,H,W,C], of at most %d pixels a side.", MOST);
    int32_t n = type.dim[0], h = type.dim[1], w = type.dim[2], c = type.dim[3];
    const int32_t last[] = {0, 1, 4, 2, 3}, exchange[] = {0, 1, 2, 4, 3}, back[] = {0, 1, 4, 3, 2};
    sy_type one = SY_T(SY_F32, 1, n, h, w, c);
    sy_value planes[] = {sy_reshape(g, re, one),
                         im ? sy_reshape(g, im, one)
                            : sy_broadcast(g, sy_const_of(g, SY_T(SY_F32, 1, 1, 1, 1, 1), (double[]){0}, 1), one)};
    sy_value z = sy_transpose(g, sy_concat(g, planes, 2, 0), last); /* [2,N,C,H,W] */
    z = along_last(g, sy_reshape(g, z, SY_T(SY_F32, 2, n * c * h, w)), n * c * h, w, inverse);
    z = sy_transpose(g, sy_reshape(g, z, SY_T(SY_F32, 2, n, c, h, w)), exchange);
    z = along_last(g, sy_reshape(g, z, SY_T(SY_F32, 2, n * c * w, h)), n * c * w, h, inverse);
    z = sy_transpose(g, sy_reshape(g, z, SY_T(SY_F32, 2, n, c, w, h)), back); /* [2,N,H,W,C] */
    if (inverse)
        z = sy_mul(g, z, sy_const(g, 1.0 / ((double)h * w)));
    *out_re = sy_reshape(g, plane(g, z, 0), type);
    *out_im = sy_reshape(g, plane(g, z, 1), type);
    return *out_re && *out_im;
}
