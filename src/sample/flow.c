/* Solvers of the ordinary differential equation of a flow, dx/ds = noise - data from s = 1 to 0 (rectified flow, Liu et
 * al. 2022; flow matching, Lipman et al. 2022). In every row u = noise - data is the network's output v, or, where time
 * runs the other way, its negative; `step` is negative.
 *
 *   euler     x' = x + step u
 *   heun      h = x + step/2 u, then from the Euler point x' = h + step/2 u
 *   midpoint  h = x, then from the middle x' = h + step u
 *   rk4       the classical four stages: g = x, h gathers x + step (u1/6 + u2/3 + u3/3 + u4/6)
 *   dopri5    Dormand and Prince 1980: rows are stages, the step is the device's business (ode_graph.c) */
#include "src/sample/sampler.h"

/* Noise level of point k of N + 1: from 1 (noise) to 0 (data), shifted. */
static double flow_sigma(const sy_sampler_params *p, uint32_t k)
{
    double sigma = 1 - (double)k / p->steps, s = p->shift > 0 ? p->shift : 1;
    return s * sigma / (1 + (s - 1) * sigma);
}

typedef struct flow {
    const sy_sampler_params *p;
    sy_sampler_row *rows;
    uint32_t n;
    double sign, scale, step; /* u = sign v; of the time; of the running step */
} flow;

/* Another row: an evaluation at noise level sigma, of step k. */
static sy_sampler_row *add(flow *f, uint32_t k, double sigma)
{
    sy_sampler_row *r = &f->rows[f->n++];
    *r = (sy_sampler_row){.t = f->scale * (f->sign < 0 ? 1 - sigma : sigma),
                          .cin = 1,
                          .px = 1,
                          .pv = -f->sign * sigma,
                          .number = k,
                          .sigma = sigma};
    return r;
}

static void heun_rows(flow *f, uint32_t k, double now, double next)
{
    double v = f->sign * f->step;
    sy_sampler_row *r = add(f, k, now);
    r->cx = 1;
    r->cv = v;
    if (k + 1 == f->p->steps) /* the end is clean data: there is no second slope */
        return;
    r->ex = 1;
    r->ev = v / 2;
    r = add(f, k, next);
    r->ch = 1;
    r->cv = v / 2;
}

static void midpoint_rows(flow *f, uint32_t k, double now)
{
    double v = f->sign * f->step;
    sy_sampler_row *r = add(f, k, now);
    r->cx = r->ex = 1;
    r->cv = v / 2;
    r = add(f, k, now + f->step / 2);
    r->ch = 1;
    r->cv = v;
}

static void rk4_rows(flow *f, uint32_t k, double now, double next)
{
    double v = f->sign * f->step;
    sy_sampler_row *r = add(f, k, now);
    r->cx = r->fx = r->ex = 1;
    r->cv = v / 2;
    r->ev = v / 6;
    for (int i = 0; i < 2; i++) { /* the two stages in the middle */
        r = add(f, k, now + f->step / 2);
        r->cg = r->fg = r->eh = 1;
        r->cv = i ? v : v / 2;
        r->ev = v / 3;
    }
    r = add(f, k, next);
    r->ch = 1;
    r->cv = v / 6;
}

/* k1 once, then six stages an attempt (the last of an accepted one is the first of the next), then a row without the
 * network, in which the attempt is judged. Times go by the device, so t is the factor of the time here, and d says
 * which way it runs. */
static void dopri5_rows(flow *f)
{
    static const double c[7] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
    static const double a[7][6] = {{0},
                                   {1.0 / 5},
                                   {3.0 / 40, 9.0 / 40},
                                   {44.0 / 45, -56.0 / 15, 32.0 / 9},
                                   {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                                   {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                                   {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}};
    for (uint32_t k = 0; k < f->p->steps; k++) {
        for (int stage = k ? 1 : 0; stage < 7; stage++)
            f->rows[f->n++] = (sy_sampler_row){.t = f->scale,
                                               .d = f->sign,
                                               .cin = 1,
                                               .number = k,
                                               .stage = stage + 1,
                                               .c = c[stage],
                                               .a1 = a[stage][0],
                                               .a2 = a[stage][1],
                                               .a3 = a[stage][2],
                                               .a4 = a[stage][3],
                                               .a5 = a[stage][4],
                                               .a6 = a[stage][5]};
        f->rows[f->n++] = (sy_sampler_row){.cin = 1, .number = k, .stage = SY_STAGE_JUDGE};
    }
}

uint32_t sy_flow_rows(const sy_sampler_params *p, sy_sampler_kind kind, sy_sampler_row *rows)
{
    flow f = {.p = p,
              .rows = rows,
              .sign = p->objective == SY_OBJECTIVE_FLOW_REVERSED ? -1 : 1,
              .scale = p->time_scale > 0 ? p->time_scale : 1};
    if (kind == SY_SAMPLING_DOPRI5) {
        dopri5_rows(&f);
        return f.n;
    }
    for (uint32_t k = 0; k < p->steps; k++) {
        double now = flow_sigma(p, k), next = flow_sigma(p, k + 1);
        f.step = next - now;
        if (kind == SY_SAMPLING_HEUN) {
            heun_rows(&f, k, now, next);
        } else if (kind == SY_SAMPLING_MIDPOINT) {
            midpoint_rows(&f, k, now);
        } else if (kind == SY_SAMPLING_RK4) {
            rk4_rows(&f, k, now, next);
        } else {
            sy_sampler_row *r = add(&f, k, now);
            r->cx = 1;
            r->cv = f.sign * f.step;
        }
    }
    for (uint32_t i = 0, steps = p->steps; p->step_size && i < f.n; i++)
        for (f.rows[i].d = 0; steps >> (uint32_t)f.rows[i].d > 1;)
            f.rows[i].d++;
    return f.n;
}
