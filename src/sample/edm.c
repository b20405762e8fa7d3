/* The sampler of "Elucidating the Design Space of Diffusion-Based Generative Models" (Karras et al. 2022, algorithm 1
 * without churn): x = data + sigma noise, slope (x - D(x)) / sigma with D = c_skip x + c_out F, by Heun's rule, whose
 * last step is Euler's. The network is fed c_in x and ln(sigma) / 4 and gives F; sigma_data is 1/2, rho 7. */
#include "src/sample/sampler.h"

#include <math.h>

static const double data = 0.5, rho = 7;

static double edm_sigma(uint32_t i, uint32_t n)
{
    double from = pow(SY_EDM_SIGMA_MAX, 1 / rho), to = pow(SY_EDM_SIGMA_MIN, 1 / rho);
    if (i == n)
        return 0;
    return pow(from + (n > 1 ? (double)i / (n - 1) : 0) * (to - from), rho);
}

/* An evaluation at sigma: preview is D; *sx, *sv the slope by x and by F. */
static void evaluate(sy_sampler_row *r, uint32_t step, double sigma, double *sx, double *sv)
{
    double all = sigma * sigma + data * data, skip = data * data / all, out = sigma * data / sqrt(all);
    *r = (sy_sampler_row){
        .t = log(sigma) / 4, .cin = 1 / sqrt(all), .px = skip, .pv = out, .number = step, .sigma = sigma};
    *sx = (1 - skip) / sigma;
    *sv = -out / sigma;
}

uint32_t sy_edm_rows(const sy_sampler_params *p, sy_sampler_kind kind, sy_sampler_row *rows)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->steps; k++) {
        double now = edm_sigma(k, p->steps), next = edm_sigma(k + 1, p->steps), step = next - now, sx, sv;
        sy_sampler_row *r = &rows[n++];
        evaluate(r, k, now, &sx, &sv);
        r->cx = 1 + step * sx;
        r->cv = step * sv;
        if (kind == SY_SAMPLING_EULER || next == 0)
            continue;
        r->ex = 1 + step / 2 * sx; /* h = x + step/2 slope, then x' = h + step/2 slope at the Euler point */
        r->ev = step / 2 * sv;
        r = &rows[n++];
        evaluate(r, k, next, &sx, &sv);
        r->ch = 1;
        r->cx = step / 2 * sx;
        r->cv = step / 2 * sv;
    }
    return n;
}
