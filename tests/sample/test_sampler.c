/* Tables of samplers against published numbers, and against literal loops of the published algorithms on a toy
 * network that is linear in x and depends on the time. */
#include "src/sample/sampler.h"
#include "tests/check.h"

#include <math.h>

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fmax(fabs(a), fabs(b)) + 1e-300;
}

#define CHECK_NEAR(got, wanted, relative)                                                                              \
    do {                                                                                                               \
        double got_ = (got), wanted_ = (wanted);                                                                       \
        CHECK_SAY(near(got_, wanted_, relative), "got %.10g, wanted %.10g", got_, wanted_);                            \
    } while (0)

/* The toy network, its variance channel, and noise of step i. */
static double network(double x, double t)
{
    return 0.6 * x + 0.3 * sin(t) + 0.1;
}
static double variance(double x, double t)
{
    return tanh(x + cos(t));
}
static double noise(uint32_t i)
{
    return cos(17.0 * i + 1);
}

static double run_table(const sy_sampler_params *params, double x, uint32_t *evaluations, double *preview)
{
    sy_sampler_row *rows;
    sy_error error = {0};
    uint32_t n;
    double h = 0;
    bool ok = sy_sampler_table(params, &rows, &n, &error);
    CHECK_SAY(ok, "%s", error.message);
    if (!ok)
        return NAN;
    for (uint32_t i = 0; i < n; i++) {
        const sy_sampler_row *r = &rows[i];
        double v = network(x, r->t), w = variance(x, r->t);
        double next = r->cx * x + r->ch * h + r->cv * v + r->cn * exp(r->l0 + r->l1 * w) * noise(i);
        *preview = r->px * x + r->pv * v;
        h = r->ex * x + r->eh * h + r->ev * v;
        x = next;
    }
    free(rows);
    *evaluations = n;
    return x;
}

static void test_flow_loops(void)
{
    static const uint32_t steps[] = {1, 2, 7, 50};
    uint32_t evaluations;
    double preview;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        uint32_t n = steps[s];
        sy_sampler_params p = {.sampler = SY_SAMPLING_EULER, .steps = n, .objective = SY_OBJECTIVE_FLOW};
        double x = 0.7, clean = 0;
        for (uint32_t i = n; i >= 1; i--) { /* DiT-MoE: t = i / N, z -= v / N */
            double v = network(x, (double)i / n);
            clean = x - (double)i / n * v;
            x -= v / n;
        }
        CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-12);
        CHECK_NEAR(preview, clean, 1e-12);
        CHECK(evaluations == n);

        p.time_scale = 1000; /* ProMoE, with a shift */
        p.shift = 3;
        x = 0.7;
        for (uint32_t k = 0; k < n; k++) {
            double a = 1 - (double)k / n, b = 1 - (double)(k + 1) / n;
            a = 3 * a / (1 + 2 * a);
            b = 3 * b / (1 + 2 * b);
            x += (b - a) * network(x, 1000 * a);
        }
        CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-12);

        p = (sy_sampler_params){.sampler = SY_SAMPLING_HEUN, .steps = n, .objective = SY_OBJECTIVE_FLOW_REVERSED};
        x = 0.7;
        for (uint32_t k = 0; k < n; k++) { /* SiT: time from 0 (noise) to 1 (data), the last step Euler */
            double t = (double)k / n, u = (double)(k + 1) / n, v = network(x, t), predicted = x + (u - t) * v;
            x = k + 1 == n ? predicted : x + (u - t) * 0.5 * (v + network(predicted, u));
        }
        CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-12);
        CHECK(evaluations == 2 * n - 1);
        CHECK_NEAR(preview, x, 1e-9); /* the last estimate is the end point */
    }
}

static void test_order_of_heun(void)
{
    /* dx/dt = v integrated exactly: Heun's error falls fourfold when steps double (the one Euler step at the end
     * adds a term of the same order), Euler's twofold. */
    sy_sampler_params p = {.objective = SY_OBJECTIVE_FLOW_REVERSED};
    double error[2][2], preview;
    uint32_t n;
    for (int heun = 0; heun < 2; heun++)
        for (int i = 0; i < 2; i++) {
            p.sampler = SY_SAMPLING_EULER;
            p.steps = 10000;
            double exact = run_table(&p, 0.7, &n, &preview);
            p.sampler = heun ? SY_SAMPLING_HEUN : SY_SAMPLING_EULER;
            p.steps = 20u << i;
            error[heun][i] = fabs(run_table(&p, 0.7, &n, &preview) - exact);
        }
    CHECK(error[0][0] / error[0][1] > 1.9 && error[0][0] / error[0][1] < 2.1);
    CHECK(error[1][0] / error[1][1] > 3.3 && error[1][0] < error[0][0] / 5);
}

static void test_schedules(void)
{
    double bar[SY_TRAINING_STEPS];
    sy_sampler_alpha_bar(SY_BETAS_LINEAR, bar);
    CHECK_NEAR(bar[0], 0.9999, 1e-12);
    CHECK_NEAR(bar[999], 4.03583e-5, 1e-5);
    sy_sampler_alpha_bar(SY_BETAS_SCALED_LINEAR, bar);
    CHECK_NEAR(bar[999], 0.00466010, 1e-6);
    CHECK_NEAR(bar[981], 0.00577550, 1e-6);
    CHECK_NEAR(bar[961], 0.00728173, 1e-6);
    sy_sampler_alpha_bar(SY_BETAS_COSINE, bar);
    CHECK_NEAR(bar[999], 2.43e-9, 2e-3);

    uint32_t times[SY_TRAINING_STEPS];
    static const uint32_t first[] = {0, 4, 8, 12, 16, 20}, last[] = {987, 991, 995, 999};
    REQUIRE(sy_sampler_times(SY_SPACING_ROUNDED, 250, times, NULL));
    CHECK(!memcmp(times, first, sizeof first));
    CHECK(!memcmp(times + 246, last, sizeof last));
    REQUIRE(sy_sampler_times(SY_SPACING_STRIDE, 50, times, NULL));
    CHECK(times[0] == 0 && times[1] == 20 && times[49] == 980);
    CHECK(!sy_sampler_times(SY_SPACING_STRIDE, 999, times, NULL));
    REQUIRE(sy_sampler_times(SY_SPACING_LEADING, 50, times, NULL));
    CHECK(times[0] == 1 && times[49] == 981);
    REQUIRE(sy_sampler_times(SY_SPACING_LINSPACE, 20, times, NULL));
    CHECK(times[0] == 50 && times[18] == 949 && times[19] == 999);
    REQUIRE(sy_sampler_times(SY_SPACING_ROUNDED, 1, times, NULL));
    CHECK(times[0] == 0);
    CHECK(!sy_sampler_times(SY_SPACING_ROUNDED, 1001, times, NULL));
    CHECK(!sy_sampler_times(SY_SPACING_ROUNDED, 0, times, NULL));

    sy_sampler_row *rows;
    uint32_t n;
    sy_sampler_params p = {
        .sampler = SY_SAMPLING_EULER, .steps = 28, .shift = 3, .time_scale = 1, .objective = SY_OBJECTIVE_FLOW};
    REQUIRE(sy_sampler_table(&p, &rows, &n, NULL));
    CHECK_NEAR(rows[1].t, 0.987805, 1e-6); /* 27 / 28 shifted by 3 */
    free(rows);
}

/* EDM, 18 steps: the noise levels that its authors' code prints, 35 evaluations, Euler in the last. */
static void test_edm(void)
{
    static const double sigma[] = {80,    57.586, 40.786, 28.375, 19.352, 12.910,  8.401,   5.315,   3.257,
                                   1.923, 1.088,  0.5854, 0.2964, 0.1395, 0.05995, 0.02293, 0.00753, 0.002};
    sy_sampler_row *rows;
    uint32_t n;
    sy_sampler_params p = {.objective = SY_OBJECTIVE_EDM, .steps = 18};
    REQUIRE(sy_sampler_table(&p, &rows, &n, NULL));
    CHECK(n == 35 && sy_sampler_first_noise(&p) == 80);
    for (uint32_t i = 0; i < 18; i++) {
        CHECK_NEAR(rows[2 * i].sigma, sigma[i], 2e-3);
        CHECK_NEAR(rows[2 * i].t, log(rows[2 * i].sigma) / 4, 1e-12);
        CHECK_NEAR(rows[2 * i].cin, 1 / sqrt(rows[2 * i].sigma * rows[2 * i].sigma + 0.25), 1e-12);
    }
    free(rows);
}

/* A linear field dx/dt = a x over t from 0 to 1: the orders of the solvers. */
static void test_orders(void)
{
    static const struct {
        sy_sampler_kind sampler;
        int order;
    } solvers[] = {{SY_SAMPLING_EULER, 1}, {SY_SAMPLING_MIDPOINT, 2}, {SY_SAMPLING_RK4, 4}};
    for (size_t i = 0; i < sizeof solvers / sizeof *solvers; i++) {
        double error[2];
        for (int k = 0; k < 2; k++) {
            sy_sampler_row *rows;
            uint32_t n;
            sy_sampler_params p = {
                .sampler = solvers[i].sampler, .objective = SY_OBJECTIVE_FLOW_REVERSED, .steps = k ? 16 : 8};
            REQUIRE(sy_sampler_table(&p, &rows, &n, NULL));
            double x = 1, h = 0, g = 0;
            for (uint32_t r = 0; r < n; r++) {
                const sy_sampler_row *row = &rows[r];
                double v = -0.8 * x + cos(3 * row->t), old = x, kept = h;
                x = row->cx * old + row->ch * kept + row->cg * g + row->cv * v;
                h = row->ex * old + row->eh * kept + row->eg * g + row->ev * v;
                g = row->fx * old + row->fh * kept + row->fg * g + row->fv * v;
            }
            free(rows);
            double a = 0.8, w = 3, c = a / (a * a + w * w), s = w / (a * a + w * w); /* the solution at 1 */
            error[k] = fabs(x - (c * cos(w) + s * sin(w) + (1 - c) * exp(-a)));
        }
        double order = log2(error[0] / error[1]);
        CHECK_SAY(fabs(order - solvers[i].order) < 0.3, "%s is of order %g", sy_sampler_names[solvers[i].sampler],
                  order);
    }
}

static void test_published_rows(void)
{
    sy_sampler_row *rows;
    uint32_t n;
    sy_sampler_params p = {.sampler = SY_SAMPLING_DDIM,
                           .objective = SY_OBJECTIVE_DDPM,
                           .steps = 50,
                           .betas = SY_BETAS_SCALED_LINEAR,
                           .spacing = SY_SPACING_LEADING,
                           .last_is_first = true};
    REQUIRE(sy_sampler_table(&p, &rows, &n, NULL));
    CHECK(n == 50 && rows[0].t == 981);
    CHECK_NEAR(rows[0].cx, 1.1228517, 1e-6);
    CHECK_NEAR(rows[0].cv, -0.1232520, 1e-6);
    CHECK(!sy_sampler_uses(rows, n, SY_COLUMN_cn) && !sy_sampler_uses(rows, n, SY_COLUMN_ch));
    free(rows);

    /* DPM-Solver++(2M), 20 steps: second step in terms of clean estimates m0 and m1 (h holds m1). */
    p = (sy_sampler_params){
        .sampler = SY_SAMPLING_DPM2M, .objective = SY_OBJECTIVE_DDPM, .steps = 20, .betas = SY_BETAS_SCALED_LINEAR};
    REQUIRE(sy_sampler_table(&p, &rows, &n, NULL));
    CHECK(n == 20 && rows[0].t == 999 && rows[19].t == 50 && rows[0].ch == 0 && rows[19].ch == 0);
    double of_m0 = rows[1].cv / rows[1].pv;
    CHECK_NEAR(of_m0, 0.0418020, 1e-5);
    CHECK_NEAR(rows[1].ch, -0.0132744, 1e-5);
    CHECK_NEAR(rows[1].cx - of_m0 * rows[1].px, 0.9969911, 1e-6);
    CHECK(sy_sampler_uses(rows, n, SY_COLUMN_ch));
    static const double sigma[] = {14.61464, 10.90424, 8.30280, 6.44296};
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(-rows[i].pv / rows[i].px * rows[i].px, sigma[i], 1e-5); /* sqrt((1 - a) / a) */
    CHECK_NEAR(-rows[19].pv, 0.22558, 1e-4);
    free(rows);
}

static void test_noise_loops(void)
{
    static const uint32_t steps[] = {2, 10, 250};
    double bar[SY_TRAINING_STEPS], preview;
    uint32_t times[SY_TRAINING_STEPS], evaluations;
    sy_sampler_alpha_bar(SY_BETAS_LINEAR, bar);
    for (size_t s = 0; s < 3; s++) {
        int n = (int)steps[s];
        for (int eta = 0; eta < 2; eta++) { /* DDIM by eq. 12 with the clean image after the last step */
            sy_sampler_params p = {
                .sampler = SY_SAMPLING_DDIM, .objective = SY_OBJECTIVE_DDPM, .steps = steps[s], .eta = 0.5 * eta};
            REQUIRE(sy_sampler_times(SY_SPACING_STRIDE, steps[s], times, NULL));
            double x = 0.7;
            for (int k = n - 1; k >= 0; k--) {
                double a = bar[times[k]], b = k ? bar[times[k - 1]] : 1, e = network(x, times[k]);
                double clean = (x - sqrt(1 - a) * e) / sqrt(a);
                double sd = p.eta * sqrt((1 - b) / (1 - a)) * sqrt(1 - a / b);
                x = sqrt(b) * clean + sqrt(1 - b - sd * sd) * e + sd * noise((uint32_t)(n - 1 - k));
            }
            CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-9);
        }
        for (int learned = 0; learned < 2; learned++) { /* respaced DDPM with its own table of betas */
            sy_sampler_params p = {.sampler = SY_SAMPLING_DDPM,
                                   .objective = SY_OBJECTIVE_DDPM,
                                   .steps = steps[s],
                                   .learned_variance = learned};
            REQUIRE(sy_sampler_times(SY_SPACING_ROUNDED, steps[s], times, NULL));
            double beta[SY_TRAINING_STEPS], log_small[SY_TRAINING_STEPS], product[SY_TRAINING_STEPS + 1] = {1}, x = 0.7;
            for (int k = 0; k < n; k++) {
                beta[k] = 1 - bar[times[k]] / (k ? bar[times[k - 1]] : 1);
                product[k + 1] = product[k] * (1 - beta[k]);
                if (k)
                    log_small[k] = log(beta[k] * (1 - product[k]) / (1 - product[k + 1]));
            }
            log_small[0] = log_small[1];
            for (int k = n - 1; k >= 0; k--) {
                double a = product[k + 1], b = product[k], e = network(x, times[k]);
                double clean = sqrt(1 / a) * x - sqrt(1 / a - 1) * e;
                double mean = beta[k] * sqrt(b) / (1 - a) * clean + (1 - b) * sqrt(1 - beta[k]) / (1 - a) * x;
                double f = (variance(x, times[k]) + 1) / 2;
                double log_variance = learned ? f * log(beta[k]) + (1 - f) * log_small[k] : log_small[k];
                x = mean + (k > 0) * exp(0.5 * log_variance) * noise((uint32_t)(n - 1 - k));
            }
            CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-8);
        }
        /* DPM-Solver++(2M) in the form of the paper's algorithm 2 */
        sy_sampler_params p = {.sampler = SY_SAMPLING_DPM2M, .objective = SY_OBJECTIVE_DDPM, .steps = steps[s]};
        REQUIRE(sy_sampler_times(SY_SPACING_LINSPACE, steps[s], times, NULL));
        double x = 0.7, m1 = 0, lambda1 = 0;
        for (int k = n - 1; k >= 0; k--) {
            double a = bar[times[k]], m0 = (x - sqrt(1 - a) * network(x, times[k])) / sqrt(a),
                   lambda = 0.5 * log(a / (1 - a));
            if (k == 0) {
                x = m0;
                break;
            }
            double b = bar[times[k - 1]], h = 0.5 * log(b / (1 - b)) - lambda, d = m0;
            if (k < n - 1) {
                double r = (lambda - lambda1) / h;
                d = m0 + 0.5 * (m0 - m1) / r;
            }
            x = sqrt((1 - b) / (1 - a)) * x - sqrt(b) * (exp(-h) - 1) * d;
            m1 = m0;
            lambda1 = lambda;
        }
        CHECK_NEAR(run_table(&p, 0.7, &evaluations, &preview), x, 1e-9);
    }
}

static void test_refusals(void)
{
    sy_sampler_row *rows;
    uint32_t n;
    sy_error error = {0};
    sy_sampler_params p = {.sampler = SY_SAMPLING_DDIM, .steps = 10, .objective = SY_OBJECTIVE_FLOW};
    CHECK(!sy_sampler_table(&p, &rows, &n, &error) && !rows && error.code == SY_CODE_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "use euler, heun"));
    error = (sy_error){0};
    p = (sy_sampler_params){.sampler = SY_SAMPLING_EULER, .steps = 10, .objective = SY_OBJECTIVE_DDPM};
    CHECK(!sy_sampler_table(&p, &rows, &n, &error) && strstr(error.message, "ddpm"));
    p = (sy_sampler_params){.steps = 0, .objective = SY_OBJECTIVE_FLOW};
    CHECK(!sy_sampler_table(&p, &rows, &n, NULL));
    p = (sy_sampler_params){.steps = 1001, .objective = SY_OBJECTIVE_DDPM};
    CHECK(!sy_sampler_table(&p, &rows, &n, NULL));
    p = (sy_sampler_params){.steps = 10, .objective = SY_OBJECTIVE_DDPM, .eta = 1.5};
    CHECK(!sy_sampler_table(&p, &rows, &n, NULL));
    p = (sy_sampler_params){.steps = 10, .guidance = NAN};
    CHECK(!sy_sampler_table(&p, &rows, &n, NULL));
}

int main(void)
{
    test_flow_loops();
    test_order_of_heun();
    test_schedules();
    test_edm();
    test_orders();
    test_published_rows();
    test_noise_loops();
    test_refusals();
    return check_done();
}
