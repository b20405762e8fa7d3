/* Samplers: the numbers of every step, worked out on the host before the first dispatch.
 *
 * All samplers here but one are linear in the state x, the kept values h and g, the network's output v and fresh noise
 * z, so a sampler is a table with one row per evaluation of the network, which is fed cin x at time t:
 *
 *   x' = cx x + ch h + cg g + cv v + cn e z     e = exp(l0 + l1 w) where the network gives a variance channel w, else 1
 *   h' = ex x + eh h + eg g + ev v
 *   g' = fx x + fh h + fg g + fv v
 *   preview = px x + pv v                       the estimate of the clean image at this row
 *
 * The one is dopri5, which chooses its own steps while it runs. Its rows are stages: v is evaluated at x + H (a1 k1 + …
 * + a6 k6) at the fraction c of a step of length H, and becomes k_stage; after the seventh stands a row
 * without the network, SY_STAGE_JUDGE, in which the attempt is judged.
 *
 * The table is computed in f64 and stored as f32. Pure functions, no state: any thread. */
#ifndef SY_SAMPLE_SAMPLER_H
#define SY_SAMPLE_SAMPLER_H

#include "graph/zoo/zoo.h" /* sy_objective */

/* Columns of a row, in the order of the step table. `t` is the time as the network wants it, `d` the step size as it
 * wants it (shortcut models), `number` the sampling step, from 0, and `sigma` the noise level there: see sampler.h's
 * sy_sampler_params. */
#define SY_SAMPLER_COLUMNS(X)                                                                                          \
    X(t)                                                                                                               \
    X(cx)                                                                                                              \
    X(ch) X(cv) X(cn) X(ex) X(eh) X(ev) X(px) X(pv) X(l0) X(l1) X(guidance) X(cin) X(cg) X(eg) X(fx) X(fh) X(fg) X(fv) \
        X(d) X(number) X(sigma) X(stage) X(c) X(a1) X(a2) X(a3) X(a4) X(a5) X(a6)

typedef struct sy_sampler_row {
#define X(name) double name;
    SY_SAMPLER_COLUMNS(X)
#undef X
} sy_sampler_row;

enum {
#define X(name) SY_COLUMN_##name,
    SY_SAMPLER_COLUMNS(X)
#undef X
        SY_SAMPLER_COLUMN_COUNT
};
extern const char *const sy_sampler_columns[SY_SAMPLER_COLUMN_COUNT];

typedef enum sy_sampler_kind {
    SY_SAMPLING_DEFAULT, /* flows: Euler; EDM: Heun; noise predictors: DDPM with a learned variance, else DDIM */
    SY_SAMPLING_EULER,
    SY_SAMPLING_HEUN,
    SY_SAMPLING_DDIM,
    SY_SAMPLING_DPM2M,
    SY_SAMPLING_DDPM,
    SY_SAMPLING_MIDPOINT,
    SY_SAMPLING_RK4,
    SY_SAMPLING_DOPRI5,
    SY_SAMPLING_DPM_FAST,
    SY_SAMPLING_COUNT
} sy_sampler_kind;
extern const char *const sy_sampler_names[SY_SAMPLING_COUNT]; /* "default", "euler", … as the command line says them */

/* Which of the training steps are visited. */
typedef enum sy_spacing {
    SY_SPACING_DEFAULT, /* DDPM: rounded; DDIM: stride, or rounded where no stride gives the count; DPM-Solver: linspace
                         */
    SY_SPACING_ROUNDED, /* IDDPM: from 0 to 999 inclusive, accumulated in floating point, rounded half to even */
    SY_SPACING_STRIDE,  /* IDDPM's "ddimN": 0, s, 2s, … for the whole s that gives exactly N of them */
    SY_SPACING_LEADING, /* diffusers: k (1000 / N) + 1 */
    SY_SPACING_LINSPACE /* diffusers' DPM-Solver: N + 1 points from 0 to 999 rounded half to even, without the 0 */
} sy_spacing;

/* Zero is the default of every field. */
typedef struct sy_sampler_params {
    sy_sampler_kind sampler;
    sy_objective objective;
    uint32_t steps;    /* at least 1; dopri5: attempts, at most */
    double guidance;   /* copied to every row */
    double time_scale; /* flows: factor of the time given to the network; 0: 1 */
    double shift;      /* flows: sigma -> s sigma / (1 + (s - 1) sigma); 0: 1 */
    double eta;        /* DDIM: 0 deterministic … 1 like DDPM */
    sy_betas betas;
    sy_spacing spacing;
    bool last_is_first; /* DDIM: after the last step stands the first training step (SD), not the clean image (DiT) */
    bool learned_variance; /* DDPM: the network gives the interpolation between the two variances */
    bool step_size;        /* the network is told the base-two logarithm of the number of steps */
} sy_sampler_params;

/* Noise levels (column sigma): flows sigma, from 1 to 0; EDM sigma, from 80 to 0; others sqrt((1 - a) / a).
 *
 * Sets *rows to a table of *n_rows rows, to be freed with free(). */
bool sy_sampler_table(const sy_sampler_params *params, sy_sampler_row **rows, uint32_t *n_rows, sy_error *error);
/* The sampler that SY_SAMPLING_DEFAULT stands for. */
sy_sampler_kind sy_sampler_resolve(const sy_sampler_params *params);
/* True if any row of the table has something else than 0 in that column (SY_COLUMN_…). */
bool sy_sampler_uses(const sy_sampler_row *rows, uint32_t n_rows, int column);
/* The standard deviation of the first noise: EDM begins at its largest noise level, all others at 1. */
double sy_sampler_first_noise(const sy_sampler_params *params);

/* The parts, for tests and tables. alpha_bar[i] = product of (1 - beta) over training steps 0 … i. */
enum { SY_TRAINING_STEPS = 1000, SY_STAGE_JUDGE = 8 };
#define SY_EDM_SIGMA_MAX 80.0
#define SY_EDM_SIGMA_MIN 0.002
void sy_sampler_alpha_bar(sy_betas betas, double alpha_bar[SY_TRAINING_STEPS]);
/* Visited training steps, ascending, into `times` (n of them). */
bool sy_sampler_times(sy_spacing spacing, uint32_t n, uint32_t *times, sy_error *error);

/* Of a row, inside src/sample. */
uint32_t sy_flow_rows(const sy_sampler_params *params, sy_sampler_kind kind, sy_sampler_row *rows);
void sy_dpm_fast_rows(const double alpha_bar[SY_TRAINING_STEPS], uint32_t n, sy_sampler_row *rows);
uint32_t sy_edm_rows(const sy_sampler_params *params, sy_sampler_kind kind, sy_sampler_row *rows);

#endif
