/* Preconditioning of EDM (arXiv 2206.00364, table 1). A denoiser is D(x; s) = c_skip x + c_out F(c_in x, c_noise), s
 * the noise level. Whoever samples knows EDM's four numbers alone (sigma_data = 1/2):
 *
 *   c_skip = 1/4 / (s^2 + 1/4)   c_out = s / (2 sqrt(s^2 + 1/4))   c_in = 1 / sqrt(s^2 + 1/4)   c_noise = ln(s) / 4
 *
 * The others have c_skip = 1, c_out = -s (VE: s) and
 *
 *   VP      c_in = 1 / sqrt(s^2 + 1)   c_noise = 999 t, t = (sqrt(0.1^2 + 2 19.9 ln(1 + s^2)) - 0.1) / 19.9
 *   VE      c_in = 1                   c_noise = ln(s / 2)
 *   iDDPM   c_in = 1 / sqrt(s^2 + 1)   c_noise = 999 - the index of the nearest of its 1001 noise levels
 *
 * Such a network G is the F of the same D when it is fed accordingly: with f = x / sqrt(s^2 + 1/4), which is what
 * comes, F = (D - c_skip x) / c_out = 2 s f -+ 2 sqrt(s^2 + 1/4) G. */
#include "graph/zoo/edm.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <string.h>

enum { IDDPM_STEPS = 1000 };

bool sy_precond_of(const struct sy_safetensors *file, sy_precond *precond, sy_error *error)
{
    static const char *const names[] = {"edm", "vp", "ve", "iddpm"};
    const char *said = sy_zoo_metadata(file, "precond");
    int i = 0;
    while (said && i < 4 && strcmp(said, names[i]))
        i++;
    *precond = (sy_precond)i;
    return i < 4 || sy_fail(error, SY_CODE_INVALID_FILE,
                            "The metadata switchyard.precond is \"%.40s\"; it must be \"edm\", \"vp\", \"ve\" or "
                            "\"iddpm\".",
                            said);
}

/* u[1000] = 0; u[j-1] = sqrt((u[j]^2 + 1) / max(a[j-1] / a[j], 0.001) - 1), a[j] = sin^2(pi j / (2 1000 1.008)). */
static sy_value iddpm_levels(sy_graph *g)
{
    double u[IDDPM_STEPS + 1], quarter = acos(0);
    u[IDDPM_STEPS] = 0;
    for (int j = IDDPM_STEPS; j > 0; j--) {
        double before = sin(quarter * (j - 1) / IDDPM_STEPS / 1.008), now = sin(quarter * j / IDDPM_STEPS / 1.008);
        u[j - 1] = sqrt((u[j] * u[j] + 1) / fmax(before * before / (now * now), 0.001) - 1);
    }
    return sy_const_of(g, SY_T(SY_F32, 1, IDDPM_STEPS + 1), u, IDDPM_STEPS + 1);
}

static sy_value root_of_sum(sy_graph *g, sy_value square, double more)
{
    return sy_unary(g, SY_OP_SQRT, sy_add(g, square, sy_const(g, more)));
}

/* c_noise of s f32[M]. */
static sy_value noise_of(sy_graph *g, sy_precond precond, sy_value s)
{
    int32_t m = g->nodes[s].type.dim[0];
    if (precond == SY_PRECOND_VE)
        return sy_unary(g, SY_OP_LOG, sy_mul(g, s, sy_const(g, 0.5)));
    if (precond == SY_PRECOND_VP) {
        sy_value log_of = sy_unary(g, SY_OP_LOG, sy_add(g, sy_mul(g, s, s), sy_const(g, 1)));
        sy_value t = root_of_sum(g, sy_mul(g, log_of, sy_const(g, 2 * 19.9)), 0.1 * 0.1);
        return sy_mul(g, sy_sub(g, t, sy_const(g, 0.1)), sy_const(g, 999 / 19.9));
    }
    sy_value away = sy_unary(g, SY_OP_ABS, sy_sub(g, iddpm_levels(g), sy_reshape(g, s, SY_T(SY_F32, m, 1))));
    sy_value nearest = sy_cast(g, sy_top_k(g, sy_unary(g, SY_OP_NEG, away), 1), SY_F32);
    return sy_sub(g, sy_const(g, IDDPM_STEPS - 1), sy_reshape(g, nearest, SY_T(SY_F32, m)));
}

sy_preconditioned sy_precondition(sy_graph *g, sy_precond precond, sy_value x, sy_value time)
{
    sy_preconditioned p = {.x = x, .noise = time, .fed = x};
    if (precond == SY_PRECOND_EDM || !x || !time)
        return p;
    sy_value s = sy_unary(g, SY_OP_EXP, sy_mul(g, time, sy_const(g, 4)));
    p.noise = noise_of(g, precond, s);
    p.sigma = sy_reshape(g, s, SY_T(SY_F32, g->nodes[time].type.dim[0], 1, 1, 1));
    sy_value square = sy_mul(g, p.sigma, p.sigma), scale = root_of_sum(g, square, 0.25);
    if (precond != SY_PRECOND_VE)
        scale = sy_binary(g, SY_OP_DIV, scale, root_of_sum(g, square, 1));
    p.x = sy_mul(g, x, scale);
    return p;
}

sy_value sy_precondition_output(sy_graph *g, sy_precond precond, const sy_preconditioned *p, sy_value y)
{
    if (precond == SY_PRECOND_EDM || !y)
        return y;
    sy_value root = root_of_sum(g, sy_mul(g, p->sigma, p->sigma), 0.25);
    y = sy_mul(g, sy_mul(g, root, sy_const(g, precond == SY_PRECOND_VE ? 2 : -2)), y);
    return sy_add(g, sy_mul(g, sy_mul(g, p->sigma, sy_const(g, 2)), p->fed), y);
}
