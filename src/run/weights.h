/* Weights: from a model file to where a program wants them. */
#ifndef SY_RUN_WEIGHTS_H
#define SY_RUN_WEIGHTS_H

#include "graph/program.h"

struct sy_safetensors;

/* True if every parameter the program's weights are made of is in the file, with the right shape and a floating-point
 * type; else names the first that is not, with the nearest names there are. Allocates nothing on the device. `file`
 * may be NULL where the program has no parameters. */
bool sy_weights_check(const sy_program *program, const struct sy_safetensors *file, sy_error *error);

/* A parameter (a node of op param) as doubles. */
bool sy_weights_read(const struct sy_safetensors *file, const sy_node *param, double *out, sy_error *error);

/* Takes `bytes` of a weight that belong at `place.offset + offset`; pieces of a weight come in order. */
typedef struct sy_weight_sink {
    bool (*put)(void *context, const sy_place *place, uint64_t offset, const void *data, uint64_t bytes,
                sy_error *error);
    bool (*progress)(void *context, uint64_t done, uint64_t total); /* may be NULL; false cancels */
    void *context, *progress_context;
    const bool *wanted;   /* by weight; NULL: all */
    uint64_t done, total; /* bytes, of what is loaded in several turns; total 0: those of this program alone */
} sy_weight_sink;

/* Makes all weights of the program, one after another. Needs host memory for the largest weight that is not a plain
 * parameter stored as it is in the file (those are passed on from the mapped file). */
bool sy_weights_load(const sy_program *program, const struct sy_safetensors *file, sy_weight_sink *sink,
                     sy_error *error);

#endif
