/* Fixtures in the one form of tools/reference/fixture.py, which the table of systems names: "input.NAME",
 * "output.NAME", "tap.NAME" and "route.NAME" beside the weights. Shared by the tests on the reference evaluator and on
 * devices. */
#ifndef SY_TESTS_ZOO_HELP_SYSTEM_H
#define SY_TESTS_ZOO_HELP_SYSTEM_H

#include "graph/import/safetensors.h"
#include "graph/zoo/systems.h"
#include "graph/zoo/zoo.h"

/* Opens the file and builds its graph; exits the test with a message when the file is not as it should be. */
typedef struct system_fixture {
    const char *name;
    sy_safetensors *file;
    sy_graph *graph;
    double tolerance; /* of the reference evaluator */
} system_fixture;
system_fixture system_open(const char *name);
void system_close(system_fixture *f);
/* The numbers of "<kind>.<name>" (and "_rest"), or NULL; free() them. */
double *system_values(const system_fixture *f, const char *kind, const char *name, uint64_t *count);

/* Calls `test` with each fixture that the table of systems names, once each, in the order of the table; only those in
 * `only`, if there are any. Fixtures of fixture_names (help_fixture.h) have a form and tests of their own. Returns how
 * many there were. */
int system_each(char *const *only, void (*test)(const system_fixture *f, void *context), void *context);

/* A tap's route as a dense matrix of weights, NaN where a row does not go to a target, against "route.NAME" of the
 * file: the same pairs, and weights within `tolerance`. False if they differ or there is none; `why` says how. */
bool system_same_route(const system_fixture *f, const char *tap, const double *got, uint64_t count, double tolerance,
                       char why[200]);
/* How many tensors "output.*", "tap.*" and "route.*" the file has, without the "_rest". */
int system_expected(const system_fixture *f);

#endif
