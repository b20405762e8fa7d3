/* The fixtures of tests/zoo/fixtures (made by tools/reference/fixtures.py): a network of reduced size as a model file,
 * what goes in, and what the independent implementation gives. Used by every test that runs networks, on the
 * reference evaluator and on devices. */
#ifndef SY_TESTS_ZOO_HELP_FIXTURE_H
#define SY_TESTS_ZOO_HELP_FIXTURE_H

#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"

extern const char *const fixture_names[]; /* of networks, NULL at the end: "dit", "dit_moe" … */

typedef struct fixture {
    const char *name;
    sy_safetensors *file;
    sy_network_config config;
    int32_t batch, tokens;
    double *x, *time, *label, *label_weights;            /* label_weights: NULL unless prompted by words */
    double *output;                                      /* [batch, channels_out, side, side], to f64 */
    double *output_exact_weights;                        /* f16 files: with the weights before rounding; else NULL */
    uint64_t sample_values, output_values, label_values; /* per sample */
} fixture;

/* Exits the test with a message when the file is not as it should be: nothing can be tested without it. */
fixture fixture_open(const char *name);
void fixture_close(fixture *f);

/* One tensor of any fixture file as doubles; with a "<name>_rest" beside it the two are added. free() it. NULL: not
 * there. */
double *fixture_read(const sy_safetensors *file, const char *name, uint64_t *count);

/* The network for samples first … first + batch - 1, with inputs "x", "time", "label" ("label_weights"), the output
 * "output" and all its taps. */
sy_graph *fixture_graph(const fixture *f, int32_t batch);
/* Values of the input of that name for samples from `first` on; NULL if there is no such input. */
const double *fixture_input(const fixture *f, const char *name, int32_t first);
/* The gates of block `block`: [batch * tokens, targets], NaN where a token does not go; NULL: no mixture. free() it. */
double *fixture_route(const fixture *f, int32_t block, uint64_t *count);

/* |a - b| / |b| in the Euclidean norm; NaN counts as infinite. */
double fixture_error(const double *a, const double *b, uint64_t count);

#endif
