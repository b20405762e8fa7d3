/* Noise schedules and the training steps a sampler visits. f64 throughout: the cosine schedule's last products
 * are near 1e-9, and the rounded spacing depends on the accumulated floating-point sum itself. */
#include "src/sample/sampler.h"

#include <math.h>

static double cosine_bar(double u)
{
    double c = cos((u + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

static double beta_at(sy_betas betas, int i)
{
    double u = (double)i / (SY_TRAINING_STEPS - 1);
    switch (betas) {
    case SY_BETAS_SCALED_LINEAR: {
        double root = sqrt(0.00085) + u * (sqrt(0.012) - sqrt(0.00085));
        return root * root;
    }
    case SY_BETAS_COSINE: {
        double beta = 1 - cosine_bar((i + 1.0) / SY_TRAINING_STEPS) / cosine_bar((double)i / SY_TRAINING_STEPS);
        return fmin(beta, 0.999);
    }
    default:
        return 1e-4 + u * (0.02 - 1e-4);
    }
}

void sy_sampler_alpha_bar(sy_betas betas, double alpha_bar[SY_TRAINING_STEPS])
{
    double product = 1;
    for (int i = 0; i < SY_TRAINING_STEPS; i++) {
        product *= 1 - beta_at(betas, i);
        alpha_bar[i] = product;
    }
}

bool sy_sampler_times(sy_spacing spacing, uint32_t n, uint32_t *times, sy_error *error)
{
    if (n < 1 || n > SY_TRAINING_STEPS)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "%u steps asked for; this model was trained with %d: ask for 1 to %d", n, SY_TRAINING_STEPS,
                       SY_TRAINING_STEPS);
    switch (spacing) {
    case SY_SPACING_STRIDE:
        for (uint32_t stride = 1; stride < SY_TRAINING_STEPS; stride++) {
            if ((SY_TRAINING_STEPS + stride - 1) / stride != n)
                continue;
            for (uint32_t k = 0; k < n; k++)
                times[k] = k * stride;
            return true;
        }
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "no whole stride over %d training steps visits exactly %u of them", SY_TRAINING_STEPS, n);
    case SY_SPACING_LEADING: {
        uint32_t stride = SY_TRAINING_STEPS / n;
        for (uint32_t k = 0; k < n; k++)
            times[k] = k * stride + (stride > 1 ? 1 : 0);
        return true;
    }
    case SY_SPACING_LINSPACE:
        if (n >= SY_TRAINING_STEPS)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "this sampler takes at most %d steps",
                           SY_TRAINING_STEPS - 1);
        for (uint32_t k = 0; k < n; k++)
            times[k] = (uint32_t)rint((SY_TRAINING_STEPS - 1.0) * (k + 1) / n);
        return true;
    default: { /* rounded */
        double stride = n > 1 ? (SY_TRAINING_STEPS - 1.0) / (n - 1) : 1, at = 0;
        for (uint32_t k = 0; k < n; k++, at += stride)
            times[k] = (uint32_t)rint(at);
        return true;
    }
    }
}
