/* See the header. Skip-Cache's rule is that of the authors' code (OpenSparseLLMs/Skip-DiT), counted in evaluations; its
 * times are of 1000 training steps, for flows 1000 sigma. RAS's steps are given for 30 of them and scale. The interval
 * of guidance is of noise levels (LOW < sigma <= HIGH) or of sampling steps, both ends included; the evaluations of one
 * step share the decision of its first, as in the authors' code. */
#include "src/sample/plan.h"

#include "graph/zoo/networks.h"
#include "graph/zoo/settings.h"

#include <math.h>
#include <stdlib.h>

static bool number(const sy_sampling *s, const char *name, double otherwise, double *value, sy_error *error)
{
    return sy_setting_number(&s->config, name, otherwise, value, error);
}

static bool has_variant(const sy_sampling *s, sy_variant variant, const char *what, sy_error *error)
{
    return s->config.variants >> variant & 1 ||
           sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s is not possible with this model: %s has no such program", what,
                   s->config.architecture);
}

/* One evaluation a step. */
static bool single(const sy_sampling *s, const char *what, sy_error *error)
{
    bool one = s->n_rows == s->steps;
    for (uint32_t k = 0; one && k < s->n_rows; k++)
        one = s->rows[k].number == k;
    return one || sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s takes a sampler with one evaluation a step, not %s",
                          what, sy_sampler_names[s->sampler]);
}

static bool plan_guidance(const sy_sampling *s, sy_run_plan *plan, sy_error *error)
{
    double sigma[2], steps[2], time[2];
    int32_t n_sigma, n_steps, n_time;
    if (!sy_zoo_numbers(&s->config, "guidance.sigma", sigma, 2, &n_sigma, error) ||
        !sy_zoo_numbers(&s->config, "guidance.steps", steps, 2, &n_steps, error) ||
        !sy_zoo_numbers(&s->config, "guidance.time", time, 2, &n_time, error) ||
        !number(s, "guidance.rescale", 0, &plan->rescale, error))
        return false;
    int32_t given = n_sigma + n_steps + n_time;
    if (given && (given != 2 || n_sigma == 1 || n_steps == 1))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "the interval of guidance is two numbers, of guidance.sigma, guidance.time or guidance.steps");
    if (given && s->ode)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "dopri5 chooses its noise levels while it runs: an interval of guidance needs another sampler");
    const sy_sampler_row *first = s->rows; /* of the running step */
    for (uint32_t k = 0; k < s->n_rows; k++) {
        const sy_sampler_row *row = &s->rows[k];
        first = row->number != first->number ? row : first;
        bool inside = true;
        if (n_sigma)
            inside = first->sigma > sigma[0] && first->sigma <= sigma[1];
        else if (n_time)
            inside = first->t > time[0] && first->t <= time[1];
        else if (n_steps)
            inside = row->number >= steps[0] && row->number <= steps[1];
        plan->rows[k].guided = s->guided && inside;
    }
    return true;
}

static bool plan_perturbation(const sy_sampling *s, sy_run_plan *plan, sy_error *error)
{
    double layers[64];
    int32_t n;
    if (!sy_zoo_numbers(&s->config, "stg.layers", layers, 64, &n, error) ||
        !number(s, "stg.scale", 1, &plan->perturbed_scale, error))
        return false;
    plan->perturbed = n > 0;
    return !n || has_variant(s, SY_VARIANT_PERTURBED, "stg.layers", error);
}

static bool plan_skipping(const sy_sampling *s, sy_run_plan *plan, sy_error *error)
{
    double most;
    if (!number(s, "adaptive.threshold", 0, &plan->skip.threshold, error) ||
        !number(s, "adaptive.most", 4, &most, error))
        return false;
    plan->skip.most = (int32_t)most;
    plan->skips = plan->skip.threshold > 0;
    return !plan->skips || single(s, "adaptive.threshold", error);
}

/* Time of a row in the thousand training steps. */
static double time_of(const sy_sampling *s, const sy_sampler_row *row)
{
    return s->config.objective == SY_OBJECTIVE_DDPM ? row->t : 1000 * row->sigma;
}

static bool plan_cache(const sy_sampling *s, sy_run_plan *plan, bool *caches, sy_error *error)
{
    double interval, from, to;
    if (!number(s, "skip-cache.interval", 1, &interval, error) ||
        !number(s, "skip-cache.full-from", 1000, &from, error) || !number(s, "skip-cache.full-to", 20, &to, error))
        return false;
    *caches = interval >= 2;
    if (!*caches)
        return true;
    if (!has_variant(s, SY_VARIANT_CACHED, "skip-cache.interval", error))
        return false;
    bool cached = false, over = false;
    for (uint32_t k = 0; k < s->n_rows; k++) {
        double t = time_of(s, &s->rows[k]);
        bool full = over || k % (uint32_t)interval == 0 || !cached || (t >= from && from < 1000) || t > 1000;
        plan->rows[k].variant = full ? SY_VARIANT_FULL : SY_VARIANT_CACHED;
        cached = true;
        over = over || t <= to;
    }
    return true;
}

/* Which tokens and steps; the defaults of 30 steps in proportion. */
static bool plan_ras(const sy_sampling *s, sy_run_plan *plan, bool *ras, sy_error *error)
{
    double ratio, start, end, high, n = s->steps, resets[64] = {rint(12 * n / 30), rint(22 * n / 30)};
    int32_t norm, n_resets;
    sy_ras_params *r = &plan->ras;
    if (!number(s, "ras.ratio", 1, &ratio, error) ||
        !number(s, "ras.start", fmax(1, rint(4 * n / 30)), &start, error) || !number(s, "ras.end", n, &end, error) ||
        !number(s, "ras.high", 1, &high, error) || !number(s, "ras.starvation", 0.1, &r->starvation, error) ||
        !sy_setting_choice(&s->config, "ras.metric", &norm, error) ||
        !sy_zoo_numbers(&s->config, "ras.resets", resets, 64, &n_resets, error))
        return false;
    n_resets = n_resets ? n_resets : 2;
    int32_t patch = s->config.patch, grid = patch ? s->config.side / patch : 0, tokens = grid * grid,
            out = (int32_t)((1 - ratio) * tokens);
    *ras = ratio < 1;
    if (!*ras)
        return true;
    if (!has_variant(s, SY_VARIANT_ACTIVE, "ras.ratio", error) || !single(s, "ras.ratio", error))
        return false;
    if (out < 1 || out >= tokens)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "ras.ratio %g leaves out %d of %d tokens", ratio, out, tokens);
    *r = (sy_ras_params){.patch = patch,
                         .low = (int32_t)(out * (1 - high)),
                         .norm = norm == 1,
                         .starvation = r->starvation,
                         .measures = true};
    r->high = out - r->low;
    for (uint32_t k = 0; k < s->n_rows; k++) {
        bool reset = false, inside = k >= start && k < end;
        for (int32_t i = 0; i < n_resets; i++)
            reset = reset || (resets[i] == k && k > 0);
        plan->rows[k].variant = inside && !reset           ? SY_VARIANT_ACTIVE
                                : inside || k + 1 == start ? SY_VARIANT_REFRESH
                                                           : SY_VARIANT_FULL;
    }
    return true;
}

/* States are shared by name, so what is kept of the network's inside must be of one batch; and one method at a time
 * says which steps are cheap. */
static bool check_together(const sy_sampling *s, const sy_run_plan *plan, bool caches, bool ras, sy_error *error)
{
    bool mixed = false;
    for (uint32_t k = 1; k < s->n_rows; k++)
        mixed = mixed || plan->rows[k].guided != plan->rows[0].guided;
    if (mixed && (caches || ras))
        return sy_fail(
            error, SY_CODE_INVALID_ARGUMENT,
            "an interval of guidance does not go with skip-cache or ras: what they keep is of a guided or of "
            "an unguided step");
    if (plan->perturbed && (caches || ras))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "stg does not go with skip-cache or ras");
    if (caches + ras + plan->skips + s->ode > 1)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "of skip-cache, ras, adaptive and the sampler dopri5 only one can say which steps run what");
    return true;
}

bool sy_run_plan_make(const sy_sampling *s, sy_run_plan *plan, sy_error *error)
{
    bool caches = false, ras = false;
    *plan = (sy_run_plan){.rows = calloc((size_t)s->n_rows + 1, sizeof *plan->rows)};
    if (!plan->rows)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to plan a run");
    return plan_guidance(s, plan, error) && plan_perturbation(s, plan, error) && plan_skipping(s, plan, error) &&
           plan_cache(s, plan, &caches, error) && plan_ras(s, plan, &ras, error) &&
           number(s, "flow.rtol", 1e-3, &plan->ode.rtol, error) &&
           number(s, "flow.atol", 1e-6, &plan->ode.atol, error) &&
           number(s, "flow.first", 0.05, &plan->ode.first, error) && check_together(s, plan, caches, ras, error);
}
