/* Cross-attention with PLADIS and NAG.
 *
 * PLADIS (arXiv 2503.07677, eq. 9): the weights of dense attention are moved towards, and past, those of a sparse one:
 * softmax + lambda (entmax_alpha - softmax), lambda 2 and alpha 1.5 in the paper. Rows still sum to 1, but weights
 * below zero occur, so the weighted sum is a plain matmul.
 *
 * NAG (arXiv 2505.21179, algorithm 1, and the authors' code where they differ in signs only): with Z+ and Z- what a
 * query gets of the positive and of the negative text, all heads side by side, Z = scale Z+ - (scale - 1) Z-,   r =
 * |Z|_1 / |Z+|_1,   Z' = Z min(r, tau) / r,   out = alpha Z' + (1 - alpha) Z+. The paper's printed form has 1 + phi and
 * phi in place of scale and scale - 1; the code's form is used. Both norms are kept from 0 by 1e-7, as in the code the
 * first one is.
 *
 * Taps. PLADIS: "attention.dense", "attention.sparse", "attention.mixed" f32[N,H,T,S] and "attention.words"
 * f32[N,T], words of sparse weight above zero, mean of heads. NAG: "nag.difference" f32[M,T], |Z+ - Z-|_2 / |Z+|_2, and
 * "nag.clipped" f32[M,T], 1 where r is above tau. */
#include "graph/zoo/cross_attention.h"

#include "graph/zoo/networks.h"

#include <math.h>

sy_cross_settings sy_cross_settings_of(sy_graph *g, const sy_network_config *config)
{
    sy_cross_settings s = {0};
    double pladis[2] = {2, 1.5}, nag[3] = {1, 2.5, 0.5};
    int32_t n_pladis, n_nag;
    if (!sy_zoo_numbers(config, "pladis", pladis, 2, &n_pladis, &g->error) ||
        !sy_zoo_numbers(config, "nag", nag, 3, &n_nag, &g->error))
        return s;
    s.lambda = pladis[0];
    s.entmax = pladis[1];
    s.pladis = n_pladis > 0 && s.lambda != 0;
    s.scale = nag[0];
    s.tau = nag[1];
    s.alpha = nag[2];
    s.nag = n_nag > 0 && s.alpha != 0;
    if (s.pladis && s.entmax != 1.5 && s.entmax != 2)
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT,
                "The setting pladis is \"lambda,alpha\"; alpha is %g, 1.5 and 2 are possible.", s.entmax);
    if (s.nag && s.tau <= 0)
        sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "The setting nag is \"scale,tau,alpha\"; tau is %g, not above 0.",
                s.tau);
    return s;
}

/* [N,H,T,e] -> [N,T,H e] */
static sy_value heads_joined(sy_graph *g, sy_value y)
{
    if (!y)
        return 0;
    const sy_type t = g->nodes[y].type;
    y = sy_transpose(g, y, (const int32_t[]){0, 2, 1, 3});
    return sy_reshape(g, y, SY_T(SY_F32, t.dim[0], t.dim[2], t.dim[1] * t.dim[3]));
}

static sy_value count_words(sy_graph *g, sy_value sparse)
{
    const sy_type t = g->nodes[sparse].type;
    sy_value some = sy_cast(g, sy_binary(g, SY_OP_LESS, sy_const(g, 0), sparse), SY_F32);
    sy_value words = sy_reshape(g, sy_row(g, SY_OP_REDUCE_SUM, some, 0), SY_T(SY_F32, t.dim[0], t.dim[1], t.dim[2]));
    words = sy_row(g, SY_OP_REDUCE_MEAN, sy_transpose(g, words, (const int32_t[]){0, 2, 1}), 0);
    return sy_reshape(g, words, SY_T(SY_F32, t.dim[0], t.dim[2]));
}

static sy_value attend(sy_graph *g, const sy_cross_attention *a, sy_value q, sy_value k, sy_value v, bool taps)
{
    const sy_cross_settings *s = a->settings;
    if (!s->pladis)
        return heads_joined(g, sy_attention(g, q, k, v, a->scale));
    sy_value scores = sy_mul(g, sy_matmul(g, q, k, true), sy_const(g, a->scale));
    sy_value dense = sy_row(g, SY_OP_SOFTMAX, scores, 0), sparse = sy_entmax(g, scores, s->entmax);
    sy_value mixed = sy_add(g, dense, sy_mul(g, sy_const(g, s->lambda), sy_sub(g, sparse, dense)));
    if (taps && sparse) {
        sy_tap(g, "attention.dense", dense);
        sy_tap(g, "attention.sparse", sparse);
        sy_tap(g, "attention.mixed", mixed);
        sy_tap(g, "attention.words", count_words(g, sparse));
    }
    return heads_joined(g, sy_matmul(g, mixed, v, false));
}

static sy_value first_rows(sy_graph *g, sy_value x, int32_t start, int32_t rows)
{
    return sy_slice_axis(g, x, 0, start, rows);
}

static sy_value sum_of_absolutes(sy_graph *g, sy_value x)
{
    return sy_add(g, sy_row(g, SY_OP_REDUCE_SUM, sy_unary(g, SY_OP_ABS, x), 0), sy_const(g, 1e-7));
}

static sy_value norm(sy_graph *g, sy_value x)
{
    return sy_unary(g, SY_OP_SQRT, sy_row(g, SY_OP_REDUCE_SUM, sy_mul(g, x, x), 0));
}

/* positive, negative [M,T,C] */
static sy_value guide(sy_graph *g, const sy_cross_settings *s, sy_value positive, sy_value negative)
{
    if (!positive || !negative)
        return 0;
    const sy_type type = g->nodes[positive].type;
    sy_type rows = SY_T(SY_F32, type.dim[0], type.dim[1]);
    sy_value z = sy_sub(g, sy_mul(g, sy_const(g, s->scale), positive), sy_mul(g, sy_const(g, s->scale - 1), negative));
    sy_value r = sy_binary(g, SY_OP_DIV, sum_of_absolutes(g, z), sum_of_absolutes(g, positive));
    sy_value tau = sy_const(g, s->tau);
    sy_value factor = sy_binary(g, SY_OP_DIV, sy_binary(g, SY_OP_MIN, r, tau), r);
    sy_value difference = sy_binary(g, SY_OP_DIV, norm(g, sy_sub(g, positive, negative)), norm(g, positive));
    sy_tap(g, "nag.difference", sy_reshape(g, difference, rows));
    sy_tap(g, "nag.clipped", sy_reshape(g, sy_cast(g, sy_binary(g, SY_OP_LESS, tau, r), SY_F32), rows));
    return sy_add(g, sy_mul(g, sy_const(g, s->alpha), sy_mul(g, z, factor)),
                  sy_mul(g, sy_const(g, 1 - s->alpha), positive));
}

sy_value sy_cross_attend(sy_graph *g, const sy_cross_attention *a)
{
    sy_value y = attend(g, a, a->q, a->k, a->v, true);
    if (!a->settings->nag || !a->k_negative || !y)
        return y;
    int32_t n = g->nodes[a->q].type.dim[0], m = g->nodes[a->k_negative].type.dim[0];
    sy_value negative = attend(g, a, m < n ? first_rows(g, a->q, 0, m) : a->q, a->k_negative, a->v_negative, false);
    if (m >= n)
        return guide(g, a->settings, y, negative);
    sy_value parts[] = {guide(g, a->settings, first_rows(g, y, 0, m), negative), first_rows(g, y, m, n - m)};
    return sy_concat(g, parts, 2, 0);
}
