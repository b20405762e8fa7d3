/* The tuner: which variant of a kernel is fastest on a device, class of problems by class, measured in the programs
 * that will run.
 *
 * Rounds: in each, every class of problems takes another of its variants at once, the whole is compiled and run, and each
 * dispatch is timed; so there are as many rounds as the class with most variants has, not as their product. A variant
 * counts only when it is right: it must pass the self-test's cases against the reference evaluator in f64 (ragged
 * shapes), and the round's output must agree with that of the variants chosen by limits; where a round's does not, its
 * variants are looked at one by one. What is found is put together and measured once more, and kept only if the whole is
 * not slower.
 *
 * The rounds know nothing of devices: what runs and checks is a table of functions, so tests plant what they like. */
#ifndef SY_TUNE_TUNE_H
#define SY_TUNE_TUNE_H

#include "graph/tuning.h"

#include <stdbool.h>
#include <stdint.h>

/* One dispatch of a run. */
typedef struct sy_tune_time {
    const char *problem, *variant; /* valid until the next run */
    uint64_t candidates;
    double seconds;
} sy_tune_time;

typedef struct sy_tune_runner {
    /* Compiles with the table and runs: times of every dispatch (medians of some repeats) and the output, all the runner's
     * until its next call. */
    bool (*run)(void *context, const sy_tuning *tuning, const sy_tune_time **times, uint32_t *n, const float **output,
                uint64_t *n_output, sy_error *error);
    /* Is the variant right on this device? *why: a sentence, if not; the checker's until its next call. */
    bool (*right)(void *context, const char *variant, const char **why);
    /* After each round: rounds done and expected, seconds left of the budget. False cancels. May be NULL. */
    bool (*progress)(void *context, uint32_t done, uint32_t total, double seconds_left);
    void *context;
} sy_tune_runner;

typedef struct sy_tune_row {
    char problem[SY_PROBLEM_CLASS], variant[SY_VARIANT_NAME], before[SY_VARIANT_NAME]; /* best; by limits */
    double seconds, before_seconds;                          /* a step's dispatches of the class */
    uint32_t dispatches, tried;
} sy_tune_row;

typedef struct sy_tune_refusal {
    char variant[SY_VARIANT_NAME], problem[SY_PROBLEM_CLASS]; /* problem "": everywhere */
    char why[200];
} sy_tune_refusal;

enum { SY_TUNE_ROWS = 512, SY_TUNE_REFUSALS = 128 };
typedef struct sy_tune_result {
    sy_tune_row rows[SY_TUNE_ROWS];
    sy_tune_refusal refusals[SY_TUNE_REFUSALS];
    uint32_t n_rows, n_refusals, rounds;
    double before_seconds, seconds; /* of a step's dispatches: by limits, with what was found */
    bool out_of_time, kept;         /* kept: what was found is faster as a whole */
} sy_tune_result;

/* `seconds`: the budget; 0: none. On success *tuning gains the rows that are better than what limits choose. False: a run
 * failed that has to succeed (that by limits), memory is out, or it was cancelled. */
bool sy_tune(const sy_tune_runner *runner, double seconds, sy_tuning *tuning, sy_tune_result *result, sy_error *error);

#endif
