/* The tables of the samplers. Each function below writes its update in the form of sampler.h: the algebra is in the
 * comments. Sound because every published update used here is linear in x, the kept value, the output and noise.
 *
 * Flows and EDM have files of their own. Sources: DDIM (Song et al. 2020, eq. 12 and 16); DPM-Solver++ (Lu et al.
 * 2022, algorithm 2, midpoint form); DDPM with learned range (Nichol and Dhariwal 2021), respaced as there. */
#include "src/sample/sampler.h"

#include <math.h>
#include <stdlib.h>

_Static_assert(sizeof(sy_sampler_row) == SY_SAMPLER_COLUMN_COUNT * sizeof(double), "a row is its columns");

const char *const sy_sampler_columns[SY_SAMPLER_COLUMN_COUNT] = {
#define X(name) #name,
    SY_SAMPLER_COLUMNS(X)
#undef X
};
const char *const sy_sampler_names[SY_SAMPLING_COUNT] = {
    "default", "euler", "heun", "ddim", "dpm++2m", "ddpm", "midpoint", "rk4", "dopri5", "dpm++fast",
};

sy_sampler_kind sy_sampler_resolve(const sy_sampler_params *params)
{
    if (params->sampler != SY_SAMPLING_DEFAULT)
        return params->sampler;
    if (params->objective != SY_OBJECTIVE_DDPM)
        return params->objective == SY_OBJECTIVE_EDM ? SY_SAMPLING_HEUN : SY_SAMPLING_EULER;
    return params->learned_variance ? SY_SAMPLING_DDPM : SY_SAMPLING_DDIM;
}

bool sy_sampler_uses(const sy_sampler_row *rows, uint32_t n_rows, int column)
{
    for (uint32_t i = 0; i < n_rows; i++)
        if (((const double *)&rows[i])[column] != 0)
            return true;
    return false;
}

double sy_sampler_first_noise(const sy_sampler_params *params)
{
    return params->objective == SY_OBJECTIVE_EDM ? SY_EDM_SIGMA_MAX : 1;
}

/* clean = px x + pv eps at product a = alpha_bar. */
static void clean_of_noise(double a, sy_sampler_row *row)
{
    row->px = 1 / sqrt(a);
    row->pv = -sqrt((1 - a) / a);
}

/* x' = sqrt(a') clean + sqrt(1 - a' - s^2) eps + s z. */
static void ddim_row(double a, double next, double eta, sy_sampler_row *row)
{
    double s = eta * sqrt((1 - next) / (1 - a)) * sqrt(fmax(0, 1 - a / next));
    clean_of_noise(a, row);
    row->cx = sqrt(next) * row->px;
    row->cv = sqrt(next) * row->pv + sqrt(fmax(0, 1 - next - s * s));
    row->cn = s;
}

/* x' = mean + sigma z; mean = (sqrt(a') b / (1 - a)) clean + (sqrt(1 - b) (1 - a') / (1 - a)) x with b = 1 - a / a'.
 * sigma^2 lies between b and b (1 - a') / (1 - a); the network's w in -1 … 1 interpolates their logarithms. `floor`
 * is the smaller of the two at the second visited step, which stands for the zero at the first. */
static void ddpm_row(double a, double next, double floor, bool learned, bool last, sy_sampler_row *row)
{
    double b = 1 - a / next, kept = sqrt(next) * b / (1 - a);
    double small = last ? floor : b * (1 - next) / (1 - a);
    clean_of_noise(a, row);
    row->cx = kept * row->px + sqrt(1 - b) * (1 - next) / (1 - a);
    row->cv = kept * row->pv;
    if (last)
        return; /* no noise at the last step */
    row->cn = learned ? 1 : sqrt(small);
    if (learned) {
        row->l0 =
            (log(b) + log(small)) / 4; /* exp(l0 + l1 w) = exp((f log b + (1 - f) log small) / 2), f = (w + 1) / 2 */
        row->l1 = (log(b) - log(small)) / 4;
    }
}

/* m = clean. First order: x' = (s'/s) x + A m, A = -sqrt(a') (exp(-h) - 1), h = lambda' - lambda. Second order puts
 * m + (m - m_before) / (2 r), r = h_before / h, for m. h' keeps m. The last step ends at m. */
static void dpm_row(double a, double next, double *h_before, bool last, sy_sampler_row *row)
{
    clean_of_noise(a, row);
    row->ex = row->px;
    row->ev = row->pv;
    if (last) {
        row->cx = row->px;
        row->cv = row->pv;
        return;
    }
    double s = sqrt(1 - a), s_next = sqrt(1 - next);
    double h = log(sqrt(next) / s_next) - log(sqrt(a) / s), A = -sqrt(next) * expm1(-h);
    double half = *h_before > 0 ? h / *h_before / 2 : 0; /* 1 / (2 r); 0 on the first step */
    row->cx = s_next / s + A * (1 + half) * row->px;
    row->cv = A * (1 + half) * row->pv;
    row->ch = -A * half;
    *h_before = h;
}

static bool noise_rows(const sy_sampler_params *p, sy_sampler_kind kind, sy_sampler_row *rows, sy_error *error)
{
    double bar[SY_TRAINING_STEPS], h_before = 0;
    uint32_t times[SY_TRAINING_STEPS];
    sy_spacing spacing = p->spacing;
    if (kind == SY_SAMPLING_DPM_FAST && p->steps < SY_TRAINING_STEPS) {
        sy_sampler_alpha_bar(p->betas, bar);
        sy_dpm_fast_rows(bar, p->steps, rows);
        return true;
    }
    if (spacing == SY_SPACING_DEFAULT) {
        spacing = kind == SY_SAMPLING_DPM2M ? SY_SPACING_LINSPACE : SY_SPACING_ROUNDED;
        if (kind == SY_SAMPLING_DDIM && sy_sampler_times(SY_SPACING_STRIDE, p->steps, times, NULL))
            spacing = SY_SPACING_STRIDE;
    }
    if (!sy_sampler_times(spacing, p->steps, times, error))
        return false;
    sy_sampler_alpha_bar(p->betas, bar);
    double floor = 0;
    if (p->steps > 1) {
        double a0 = bar[times[0]], a1 = bar[times[1]];
        floor = (1 - a1 / a0) * (1 - a0) / (1 - a1);
    }
    for (uint32_t k = 0; k < p->steps; k++) {
        uint32_t i = p->steps - 1 - k;
        bool last = i == 0;
        double a = bar[times[i]], next = !last ? bar[times[i - 1]] : p->last_is_first ? bar[0] : 1;
        rows[k].t = times[i];
        rows[k].cin = 1;
        rows[k].number = k;
        rows[k].sigma = sqrt((1 - a) / a);
        if (kind == SY_SAMPLING_DDIM)
            ddim_row(a, next, p->eta, &rows[k]);
        else if (kind == SY_SAMPLING_DPM2M)
            dpm_row(a, next, &h_before, last, &rows[k]);
        else
            ddpm_row(a, last ? 1 : next, floor, p->learned_variance, last, &rows[k]);
    }
    return true;
}

/* Which samplers go with which objective. */
static bool check_kind(const sy_sampler_params *p, sy_sampler_kind kind, sy_error *error)
{
    static const char *const gives[] = {"noise", "velocity", "velocity", "EDM's F"};
    static const char *const use[] = {"ddim, dpm++2m, dpm++fast or ddpm", "euler, heun, midpoint, rk4 or dopri5",
                                      "euler, heun, midpoint, rk4 or dopri5", "euler or heun"};
    static const uint32_t ddpm = 1u << SY_SAMPLING_DDIM | 1u << SY_SAMPLING_DPM2M | 1u << SY_SAMPLING_DDPM |
                                 1u << SY_SAMPLING_DPM_FAST,
                          edm = 1u << SY_SAMPLING_EULER | 1u << SY_SAMPLING_HEUN,
                          flow = edm | 1u << SY_SAMPLING_MIDPOINT | 1u << SY_SAMPLING_RK4 | 1u << SY_SAMPLING_DOPRI5;
    const uint32_t possible[] = {ddpm, flow, flow, edm};
    if (possible[p->objective] >> kind & 1)
        return true;
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "sampler %s is not for models that give the %s: use %s",
                   sy_sampler_names[kind], gives[p->objective], use[p->objective]);
}

static bool check_params(const sy_sampler_params *p, sy_sampler_kind kind, sy_error *error)
{
    if ((unsigned)p->objective > SY_OBJECTIVE_EDM || (unsigned)kind >= SY_SAMPLING_COUNT)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "no such sampler or objective");
    if (!check_kind(p, kind, error))
        return false;
    if (p->steps < 1 || p->steps > 10000)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%u steps asked for: ask for 1 to 10000", p->steps);
    if (p->step_size && (kind != SY_SAMPLING_EULER || p->steps > 128 || (p->steps & (p->steps - 1))))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "a shortcut model takes sampler euler and 1, 2, 4, 8, 16, 32, 64 or 128 steps");
    if (!(p->eta >= 0 && p->eta <= 1))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "eta is %g; it lies between 0 and 1", p->eta);
    if (!(p->shift >= 0 && p->shift <= 1000) || !(p->time_scale >= 0 && p->time_scale <= 1e6))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "shift %g or time scale %g is out of range", p->shift,
                       p->time_scale);
    if (!isfinite(p->guidance))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "guidance is not a finite number");
    return true;
}

bool sy_sampler_table(const sy_sampler_params *params, sy_sampler_row **rows, uint32_t *n_rows, sy_error *error)
{
    enum { MOST_ROWS_A_STEP = 7 }; /* dopri5: six stages and the judgement */
    sy_sampler_kind kind = sy_sampler_resolve(params);
    *rows = NULL;
    *n_rows = 0;
    if (!check_params(params, kind, error))
        return false;
    sy_sampler_row *table = calloc((size_t)params->steps * MOST_ROWS_A_STEP + 1, sizeof *table);
    uint32_t n = params->steps;
    if (!table)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a table of %u steps", n);
    if (params->objective == SY_OBJECTIVE_EDM)
        n = sy_edm_rows(params, kind, table);
    else if (params->objective != SY_OBJECTIVE_DDPM)
        n = sy_flow_rows(params, kind, table);
    else if (!noise_rows(params, kind, table, error)) {
        free(table);
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        table[i].guidance = params->guidance;
    *rows = table;
    *n_rows = n;
    return true;
}
