/* What is done to a skip connection before it is concatenated; see the header for the settings.
 *
 * Skip-Tuning (arXiv 2402.15170): [h; rho s], rho linear in the level from rho_bottom at the deepest to rho_top at the
 * shallowest. The paper has no public code; all skips of one level share its rho, our reading.
 *
 * FreeU (arXiv 2309.11497): in two stages of the decoder the first half of the backbone's channels is amplified by b
 * and the lowest frequencies of the skip are scaled by s. As in the authors' published version, the stages are those
 * whose backbone has the widest and the next smaller number of channels (1280 and 640 in Stable Diffusion), and the
 * factor of a pixel is 1 + (b - 1) m with m the mean over all channels, brought to 0 … 1 over the pixels of the sample.
 * With a fifth number 1 in the setting, as in diffusers: the stages are the two deepest levels and the factor is b
 * everywhere.
 *
 * The filter of both scales, of the Fourier transform over the pixels, the box of the frequencies {-1, 0} x {-1, 0} by
 * s and takes the real part. Four frequencies of HW need no whole transform: with B[j, p] the cosines and sines of the
 * four at pixel p, the real part of what they contribute is B^T B skip / HW, two thin matmuls. B is computed at load
 * time. */
#include "graph/zoo/skip.h"
#include "graph/zoo/networks.h"

#include <math.h>

sy_skips sy_skips_of(sy_graph *g, const sy_network_config *config, int32_t levels)
{
    sy_skips s = {.levels = levels};
    double v[5] = {0};
    int32_t n;
    if (!sy_zoo_numbers(config, "skip_tuning", v, 2, &n, &g->error))
        return s;
    if (n && n != 2) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "The setting skip_tuning needs two numbers, the scales of the "
                "deepest and of the shallowest skips, such as \"0.8,1\".");
        return s;
    }
    s.tuning = n > 0;
    s.rho[0] = v[0];
    s.rho[1] = v[1];
    if (!sy_zoo_numbers(config, "freeu", v, 5, &n, &g->error))
        return s;
    if (n && (n < 4 || (n == 5 && v[4] != 1 && v[4] != 2))) {
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "The setting freeu needs four numbers b1,b2,s1,s2, such as \"1.3,1.4,0.9,0.2\", and as a fifth 1 or 2, "
                "the version.");
        return s;
    }
    s.freeu = n > 0;
    s.by_level = n == 5 && v[4] == 1;
    for (int i = 0; i < 2; i++) {
        s.b[i] = v[i];
        s.s[i] = v[2 + i];
    }
    return s;
}

static const int32_t *dims(const sy_graph *g, sy_value x)
{
    return g->nodes[x].type.dim;
}

/* f32[N,1]: the sum of squares of a sample. */
static sy_value energy(sy_graph *g, sy_value x)
{
    const int32_t *d = dims(g, x);
    sy_type flat = SY_T(SY_F32, d[0], d[1] * d[2] * d[3]);
    return sy_row(g, SY_OP_REDUCE_SUM, sy_reshape(g, sy_mul(g, x, x), flat), 0);
}

void sy_skip_tap_energy(sy_graph *g, sy_value backbone, sy_value skip)
{
    if (!sy_graph_check(g, NULL))
        return;
    sy_value ratio = sy_unary(g, SY_OP_SQRT, sy_binary(g, SY_OP_DIV, energy(g, skip), energy(g, backbone)));
    sy_tap(g, "skip_energy", sy_reshape(g, ratio, SY_T(SY_F32, dims(g, skip)[0])));
}

/* 1 + (b - 1) m on the first half of the channels. */
static sy_value amplify(sy_graph *g, sy_value h, double b, bool constant)
{
    int32_t n = dims(g, h)[0], rows = dims(g, h)[1], columns = dims(g, h)[2], c = dims(g, h)[3];
    sy_value first = sy_slice_axis(g, h, 3, 0, c / 2), rest = sy_slice_axis(g, h, 3, c / 2, c - c / 2);
    sy_value scale = sy_const(g, b);
    if (!constant) {
        sy_value m = sy_reshape(g, sy_row(g, SY_OP_REDUCE_MEAN, h, 0), SY_T(SY_F32, n, rows * columns));
        sy_value most = sy_row(g, SY_OP_REDUCE_MAX, m, 0);
        sy_value least = sy_unary(g, SY_OP_NEG, sy_row(g, SY_OP_REDUCE_MAX, sy_unary(g, SY_OP_NEG, m), 0));
        m = sy_binary(g, SY_OP_DIV, sy_sub(g, m, least), sy_sub(g, most, least));
        scale = sy_add(g, sy_mul(g, m, sy_const(g, b - 1)), sy_const(g, 1));
        scale = sy_reshape(g, scale, SY_T(SY_F32, n, rows, columns, 1));
        sy_tap(g, "backbone_scale", scale);
    }
    return sy_concat(g, (const sy_value[]){sy_mul(g, first, scale), rest}, 2, 3);
}

/* Angles 2 pi (u y / rows + v x / columns) of the pixels: f32[1, rows * columns]. */
static sy_value angles(sy_graph *g, int32_t rows, int32_t columns, int32_t u, int32_t v)
{
    double turn = 4 * acos(0);
    sy_value y = sy_mul(g, sy_iota(g, SY_T(SY_F32, rows, columns), 0), sy_const(g, turn * u / rows));
    sy_value x = sy_mul(g, sy_iota(g, SY_T(SY_F32, rows, columns), 1), sy_const(g, turn * v / columns));
    return sy_reshape(g, sy_add(g, y, x), SY_T(SY_F32, 1, rows * columns));
}

/* Along an axis of one pixel the frequencies -1 and 0 are one, counted once. */
static sy_value damp_low(sy_graph *g, sy_value skip, double s)
{
    sy_value waves[8];
    uint32_t count = 0;
    int32_t n = dims(g, skip)[0], rows = dims(g, skip)[1], columns = dims(g, skip)[2], c = dims(g, skip)[3];
    for (int32_t u = rows > 1 ? -1 : 0; u <= 0; u++)
        for (int32_t v = columns > 1 ? -1 : 0; v <= 0; v++) {
            sy_value angle = angles(g, rows, columns, u, v);
            waves[count++] = sy_unary(g, SY_OP_COS, angle);
            waves[count++] = sy_unary(g, SY_OP_SIN, angle);
        }
    sy_value basis = sy_concat(g, waves, count, 0);
    sy_value flat = sy_reshape(g, skip, SY_T(SY_F32, n, rows * columns, c));
    flat = sy_transpose(g, flat, (const int32_t[]){0, 2, 1});
    sy_value low = sy_matmul(g, sy_matmul(g, flat, basis, true), basis, false);
    low = sy_transpose(g, low, (const int32_t[]){0, 2, 1});
    low = sy_mul(g, low, sy_const(g, (s - 1) / ((double)rows * columns)));
    return sy_add(g, skip, sy_reshape(g, low, g->nodes[skip].type));
}

/* f32[N,H,W]: the size of every frequency, the root of the mean square over channels; frequency 0 first. */
static sy_value spectrum(sy_graph *g, sy_value x)
{
    sy_value re, im;
    const int32_t *d = dims(g, x);
    sy_type plane = SY_T(SY_F32, d[0], d[1], d[2]);
    if (!sy_dft2(g, x, 0, false, &re, &im))
        return 0;
    sy_value power = sy_row(g, SY_OP_REDUCE_MEAN, sy_add(g, sy_mul(g, re, re), sy_mul(g, im, im)), 0);
    return sy_reshape(g, sy_unary(g, SY_OP_SQRT, power), plane);
}

/* Which of FreeU's two stages this is; 2: neither. */
static int stage_of(sy_skips *skips, int32_t width, int32_t level)
{
    if (skips->by_level)
        return level < 2 ? level : 2;
    for (int i = 0; i < 2; i++) {
        if (!skips->width[i] && (!i || width < skips->width[0]))
            skips->width[i] = width;
        if (skips->width[i] == width)
            return i;
    }
    return 2;
}

sy_value sy_skip_concat(sy_graph *g, sy_skips *skips, sy_value h, sy_value skip, int32_t level)
{
    if (!sy_graph_check(g, NULL) || !h || !skip)
        return 0;
    int stage = skips->freeu ? stage_of(skips, dims(g, h)[3], level) : 2;
    if (stage < 2) {
        h = amplify(g, h, skips->b[stage], skips->by_level);
        sy_tap(g, "skip_spectrum.before", spectrum(g, skip));
        skip = damp_low(g, skip, skips->s[stage]);
        sy_tap(g, "skip_spectrum.after", spectrum(g, skip));
    }
    if (skips->tuning) {
        double part = skips->levels > 1 ? (double)level / (skips->levels - 1) : 0;
        skip = sy_mul(g, skip, sy_const(g, skips->rho[0] + part * (skips->rho[1] - skips->rho[0])));
    }
    sy_skip_tap_energy(g, h, skip);
    return sy_concat(g, (const sy_value[]){h, skip}, 2, 3);
}
