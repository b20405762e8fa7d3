/* See the header. */
#include "src/tune/tune.h"

#include "graph/emit/manifest.h"
#include "src/run/session_private.h" /* sy_seconds */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two sums of a whole step in another order: some rounding. A wrong kernel is far off, or not a number. */
static const double TOLERANCE = 1e-4;
/* A variant must be this much faster to count: less is noise. */
static const double GAIN = 0.97;

typedef struct tuner {
    const sy_tune_runner *runner;
    sy_tune_result *result;
    uint64_t candidates[SY_TUNE_ROWS]; /* by row: not tried yet */
    uint64_t known, wrong;             /* variants whose rightness is known; those that are not right */
    float *wanted;
    uint64_t n_wanted;
    double start, budget;
} tuner;

static double left(const tuner *t)
{
    return t->budget > 0 ? t->budget - (sy_seconds() - t->start) : INFINITY;
}

static sy_tune_row *row_of(tuner *t, const char *problem)
{
    for (uint32_t i = 0; i < t->result->n_rows; i++)
        if (!strcmp(t->result->rows[i].problem, problem))
            return &t->result->rows[i];
    return NULL;
}

static void refuse(tuner *t, const char *variant, const char *problem, const char *why)
{
    sy_tune_result *r = t->result;
    if (r->n_refusals == SY_TUNE_REFUSALS)
        return;
    sy_tune_refusal *x = &r->refusals[r->n_refusals++];
    snprintf(x->variant, sizeof x->variant, "%s", variant);
    snprintf(x->problem, sizeof x->problem, "%s", problem);
    snprintf(x->why, sizeof x->why, "%s", why);
}

static uint32_t index_of(const char *variant)
{
    uint32_t n;
    const sy_variant *all = sy_variants(&n, NULL), *v = sy_variant_find(variant);
    return v ? (uint32_t)(v - all) : SY_MAX_VARIANTS;
}

/* Asked once a variant. */
static bool is_right(tuner *t, uint32_t i)
{
    uint32_t n;
    const char *why = "";
    const sy_variant *all = sy_variants(&n, NULL);
    uint64_t bit = UINT64_C(1) << i;
    if (!(t->known & bit) && !t->runner->right(t->runner->context, all[i].name, &why)) {
        t->wrong |= bit;
        refuse(t, all[i].name, "", why);
    }
    t->known |= bit;
    return !(t->wrong & bit);
}

/* Sums of a class, in `seconds` by row, of the dispatches that took `variants[row]` (NULL: any). */
static void add_up(tuner *t, const sy_tune_time *times, uint32_t n, const char *const *variants, double *seconds,
                   uint32_t *dispatches)
{
    for (uint32_t i = 0; i < n; i++) {
        sy_tune_row *row = row_of(t, times[i].problem);
        ptrdiff_t k = row - t->result->rows;
        if (!row || (variants && (!variants[k] || strcmp(variants[k], times[i].variant))))
            continue;
        seconds[k] += times[i].seconds;
        dispatches[k]++;
    }
}

static double total_of(const sy_tune_time *times, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += times[i].seconds;
    return sum;
}

static bool agrees(const tuner *t, const float *output, uint64_t n)
{
    double difference = 0, size = 0;
    if (n != t->n_wanted)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        double d = (double)output[i] - (double)t->wanted[i];
        difference += d * d;
        size += (double)t->wanted[i] * (double)t->wanted[i];
    }
    return difference <= TOLERANCE * TOLERANCE * (size > 0 ? size : 1); /* false for NaN as well */
}

/* What limits choose: the classes there are, their times, and the output that others are held against. */
static bool begin(tuner *t, sy_error *error)
{
    static const sy_tuning none;
    const sy_tune_time *times;
    const float *output;
    uint32_t n;
    sy_tune_result *r = t->result;
    if (!t->runner->run(t->runner->context, &none, &times, &n, &output, &t->n_wanted, error))
        return false;
    t->wanted = malloc((t->n_wanted + 1) * sizeof *t->wanted);
    if (!t->wanted)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to tune");
    memcpy(t->wanted, output, t->n_wanted * sizeof *output);
    for (uint32_t i = 0; i < n; i++) {
        sy_tune_row *row = row_of(t, times[i].problem);
        uint32_t variant = index_of(times[i].variant);
        uint64_t others = variant < SY_MAX_VARIANTS ? times[i].candidates & ~(UINT64_C(1) << variant) : 0;
        if (!row && r->n_rows == SY_TUNE_ROWS)
            continue;
        if (!row) {
            row = &r->rows[r->n_rows];
            t->candidates[r->n_rows++] = others;
            snprintf(row->problem, sizeof row->problem, "%s", times[i].problem);
            snprintf(row->before, sizeof row->before, "%s", times[i].variant);
            snprintf(row->variant, sizeof row->variant, "%s", times[i].variant);
            row->tried = 1;
        }
        row->before_seconds += times[i].seconds;
        row->dispatches++;
    }
    for (uint32_t i = 0; i < r->n_rows; i++)
        r->rows[i].seconds = r->rows[i].before_seconds;
    r->before_seconds = r->seconds = total_of(times, n);
    return true;
}

/* The next variant of each class that is right; NULL where there is none. Returns how many classes have one. */
static uint32_t pick(tuner *t, const char **variants)
{
    uint32_t n, picked = 0;
    const sy_variant *all = sy_variants(&n, NULL);
    for (uint32_t k = 0; k < t->result->n_rows; k++) {
        variants[k] = NULL;
        for (uint32_t i = 0; i < n && !variants[k]; i++) {
            uint64_t bit = UINT64_C(1) << i;
            if (!(t->candidates[k] & bit))
                continue;
            t->candidates[k] &= ~bit;
            if (is_right(t, i))
                variants[k] = all[i].name;
        }
        picked += variants[k] != NULL;
    }
    return picked;
}

static bool table_of(const tuner *t, const char *const *variants, sy_tuning *table, sy_error *error)
{
    for (uint32_t k = 0; k < t->result->n_rows; k++)
        if (variants[k] && !sy_tuning_add(table, t->result->rows[k].problem, variants[k], error))
            return false;
    return true;
}

/* Runs with these variants. *good: it ran and was right; else *why says what was not. */
static bool attempt(tuner *t, const char *const *variants, bool *good, char why[200], sy_error *error)
{
    sy_tuning table = {0};
    sy_error failure = {0};
    const sy_tune_time *times = NULL;
    const float *output = NULL;
    uint32_t n = 0;
    uint64_t n_output = 0;
    bool ok = table_of(t, variants, &table, error);
    *good = ok && t->runner->run(t->runner->context, &table, &times, &n, &output, &n_output, &failure);
    sy_tuning_free(&table);
    if (!ok || failure.code == SY_CODE_CANCELLED || failure.code == SY_CODE_DEVICE_LOST) {
        if (ok && error)
            *error = failure;
        return false;
    }
    snprintf(why, 200, "%.199s", *good ? "its results differ from those of the variant chosen by limits" : failure.message);
    *good = *good && agrees(t, output, n_output);
    if (!*good)
        return true;
    double *seconds = calloc(t->result->n_rows + 1, sizeof *seconds);
    uint32_t *dispatches = calloc(t->result->n_rows + 1, sizeof *dispatches);
    if (seconds && dispatches)
        add_up(t, times, n, variants, seconds, dispatches);
    for (uint32_t k = 0; seconds && dispatches && k < t->result->n_rows; k++) {
        sy_tune_row *row = &t->result->rows[k];
        if (dispatches[k] != row->dispatches) /* it could not be taken everywhere: tiles of a route, for one */
            continue;
        row->tried++;
        if (seconds[k] < row->seconds) {
            row->seconds = seconds[k];
            snprintf(row->variant, sizeof row->variant, "%s", variants[k]);
        }
    }
    ok = (seconds && dispatches) || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to tune");
    free(seconds), free(dispatches);
    return ok;
}

/* One by one, after a round that was wrong. */
static bool attempt_each(tuner *t, const char *const *variants, sy_error *error)
{
    bool ok = true, good;
    char why[200];
    const char **one = calloc(t->result->n_rows + 1, sizeof *one);
    if (!one)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to tune");
    for (uint32_t k = 0; ok && k < t->result->n_rows && left(t) > 0; k++) {
        if (!variants[k])
            continue;
        one[k] = variants[k];
        ok = attempt(t, one, &good, why, error);
        one[k] = NULL;
        if (ok && !good)
            refuse(t, variants[k], t->result->rows[k].problem, why);
    }
    free(one);
    return ok;
}

static uint32_t rounds_left(const tuner *t)
{
    uint32_t most = 0;
    for (uint32_t k = 0; k < t->result->n_rows; k++) {
        uint32_t n = 0;
        for (uint64_t mask = t->candidates[k] & ~t->wrong; mask; mask &= mask - 1)
            n++;
        most = n > most ? n : most;
    }
    return most;
}

static bool tell(const tuner *t, sy_error *error)
{
    uint32_t done = t->result->rounds;
    if (!t->runner->progress || t->runner->progress(t->runner->context, done, done + rounds_left(t), left(t)))
        return true;
    return sy_fail(error, SY_CODE_CANCELLED, "cancelled after %u rounds", done);
}

/* All that was found, together: kept if it is right and the whole is no slower than by limits, measured now as well, so
 * that both have the machine as it is. */
static bool settle(tuner *t, sy_tuning *tuning, sy_error *error)
{
    static const sy_tuning none;
    sy_tune_result *r = t->result;
    sy_tuning found = {0};
    const sy_tune_time *times;
    const float *output;
    uint32_t n;
    uint64_t n_output;
    bool ok = true;
    for (uint32_t k = 0; ok && k < r->n_rows; k++) {
        sy_tune_row *row = &r->rows[k];
        if (row->seconds < GAIN * row->before_seconds)
            ok = sy_tuning_add(&found, row->problem, row->variant, error);
        else {
            snprintf(row->variant, sizeof row->variant, "%s", row->before);
            row->seconds = row->before_seconds;
        }
    }
    if (ok && found.n) {
        ok = t->runner->run(t->runner->context, &none, &times, &n, &output, &n_output, error);
        double before = ok ? total_of(times, n) : 0;
        r->before_seconds = ok && before < r->before_seconds ? before : r->before_seconds;
        ok = ok && t->runner->run(t->runner->context, &found, &times, &n, &output, &n_output, error);
        r->seconds = ok ? total_of(times, n) : 0;
        r->kept = ok && r->seconds < r->before_seconds && agrees(t, output, n_output);
    }
    for (uint32_t i = 0; ok && r->kept && i < found.n; i++)
        ok = sy_tuning_add(tuning, found.rows[i].problem, found.rows[i].variant, error);
    sy_tuning_free(&found);
    return ok;
}

bool sy_tune(const sy_tune_runner *runner, double seconds, sy_tuning *tuning, sy_tune_result *result, sy_error *error)
{
    tuner t = {.runner = runner, .result = result, .start = sy_seconds(), .budget = seconds};
    bool good, ok;
    char why[200];
    memset(result, 0, sizeof *result);
    ok = begin(&t, error) && tell(&t, error);
    const char **variants = ok ? calloc(result->n_rows + 1, sizeof *variants) : NULL;
    if (ok && !variants)
        ok = sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to tune");
    while (ok && left(&t) > 0 && pick(&t, variants)) {
        ok = attempt(&t, variants, &good, why, error) && (good || attempt_each(&t, variants, error));
        result->rounds++;
        ok = ok && tell(&t, error);
    }
    result->out_of_time = left(&t) <= 0 && rounds_left(&t) > 0;
    ok = ok && settle(&t, tuning, error);
    free(variants);
    free(t.wanted);
    return ok;
}
