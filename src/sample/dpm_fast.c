/* DPM-Solver++ in single steps of up to three evaluations, "fast" as its authors' code calls it (Lu et al. 2022,
 * algorithm 1 and section B; LuChengTHU/dpm-solver, predict_x0, solver_type "dpm_solver"), as U-ViT samples. The N
 * evaluations lie uniformly in time from 1 to 1/1000; updates take three of them each, the last ones two or one, so
 * that N come out. With m clean estimates, s the start of an update, phi as below and r the place of an inner time in
 * lambda = log(alpha / sigma) between start and end:
 *
 *   x1 = (s1/s) x - a1 phi(r1 h) m0
 *   x2 = (s2/s) x - a2 phi(r2 h) m0 + (r2/r1) a2 (phi(r2 h) / (r2 h) + 1) (m1 - m0)
 *   x' = (s'/s) x - a' phi(h) m0 + (1/r2) a' (phi(h) / h + 1) (m2 - m0)       phi(z) = exp(-z) - 1
 *
 * of order 2: x' = (s'/s) x - a' phi(h) m0 - a' phi(h) / (2 r1) (m1 - m0). g keeps x, h keeps m0. The last update ends
 * at the first training step, not at the clean image. Between training steps log alpha is interpolated linearly. */
#include "src/sample/sampler.h"

#include <math.h>

/* A time, counted in training steps from 0 to 999, and what belongs to it. */
typedef struct point {
    double time, alpha, sigma, lambda;
} point;

static point point_at(const double *bar, uint32_t k, uint32_t n)
{
    double time = (SY_TRAINING_STEPS - 1.0) * (n - k) / n;
    uint32_t low = time >= SY_TRAINING_STEPS - 1 ? SY_TRAINING_STEPS - 2 : (uint32_t)time;
    double part = time - low, log_bar = (1 - part) * log(bar[low]) + part * log(bar[low + 1]);
    point p = {.time = time, .alpha = exp(log_bar / 2), .sigma = sqrt(-expm1(log_bar))};
    p.lambda = log(p.alpha / p.sigma);
    return p;
}

/* An evaluation at p; the clean estimate is px x + pv v. */
static void evaluate(sy_sampler_row *row, const point *p, uint32_t number)
{
    *row = (sy_sampler_row){.t = p->time,
                            .cin = 1,
                            .px = 1 / p->alpha,
                            .pv = -p->sigma / p->alpha,
                            .number = number,
                            .sigma = p->sigma / p->alpha};
}

/* x' = of_start g + of_first h + of_now m: after the first evaluation. */
static void later(sy_sampler_row *row, double of_start, double of_first, double of_now)
{
    row->cg = of_start;
    row->ch = of_first;
    row->cx = of_now * row->px;
    row->cv = of_now * row->pv;
    row->fg = row->eh = 1;
}

static void update(const point *p, uint32_t order, uint32_t number, sy_sampler_row *rows)
{
    const point *s = &p[0], *end = &p[order], *next = &p[1];
    double h = end->lambda - s->lambda, phi = expm1(-h), r1 = (p[1].lambda - s->lambda) / h;
    for (uint32_t i = 0; i < order; i++)
        evaluate(&rows[i], &p[i], number);
    rows[0].fx = 1;
    rows[0].ex = rows[0].px;
    rows[0].ev = rows[0].pv;
    double of_first = -next->alpha * expm1(-(next->lambda - s->lambda));
    rows[0].cx = next->sigma / s->sigma + of_first * rows[0].px;
    rows[0].cv = of_first * rows[0].pv;
    if (order == 2) {
        double of_now = -end->alpha * phi / (2 * r1);
        later(&rows[1], end->sigma / s->sigma, -end->alpha * phi - of_now, of_now);
    } else if (order == 3) {
        double r2 = (p[2].lambda - s->lambda) / h, phi2 = expm1(-r2 * h);
        double inner = r2 / r1 * p[2].alpha * (phi2 / (r2 * h) + 1), outer = end->alpha * (phi / h + 1) / r2;
        later(&rows[1], p[2].sigma / s->sigma, -p[2].alpha * phi2 - inner, inner);
        later(&rows[2], end->sigma / s->sigma, -end->alpha * phi - outer, outer);
    }
}

void sy_dpm_fast_rows(const double alpha_bar[SY_TRAINING_STEPS], uint32_t n, sy_sampler_row *rows)
{
    uint32_t i = 0, number = 0;
    while (i < n) {
        /* 3, 3, … and in the end 2 1 where N is a multiple of three, 1 or 2 where it is not */
        uint32_t left = n - i, order = left > 3 ? 3 : left == 3 ? 2 : left;
        point points[4];
        for (uint32_t k = 0; k <= order; k++)
            points[k] = point_at(alpha_bar, i + k, n);
        update(points, order, number++, rows + i);
        i += order;
    }
}
