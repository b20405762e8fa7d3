/* The reference evaluator: every op in plain C, f64 throughout. The oracle of the tests, what `--device reference`
 * runs, and what computes load-time values (folded weights). Works on a graph at any stage. */
#ifndef SY_OPS_EVAL_H
#define SY_OPS_EVAL_H

#include "graph/ir/route.h"

/* A route in the open: the sections of route.h as arrays; what the layout leaves to the device (tiles) is absent. */
typedef struct sy_eval_route {
    int32_t rows, targets, count;
    int32_t *offsets, *row, *target, *row_offsets, *row_slots;
    int32_t *choice; /* of each slot: which of its row's choices it was, 0 the first; capacity may go by it */
    double *weight;
} sy_eval_route;

typedef struct sy_eval {
    const sy_graph *graph;
    double **tensor;       /* by value: elements in row-major order, NULL if not computed. Integers are exact. */
    sy_eval_route **route; /* by value */
    bool *borrowed;        /* by value: the tensor is its first argument's own (reshape); private */
    /* Reads a leaf (input, state, step, param) into `out` (count elements). Set by the caller. */
    bool (*read)(void *context, const sy_node *leaf, double *out, sy_error *error);
    void *context;
    uint32_t step;                                   /* value of step_index */
    bool (*progress)(void *context, sy_value value); /* may be NULL; false cancels */
} sy_eval;

bool sy_eval_init(sy_eval *eval, const sy_graph *graph, sy_error *error);
void sy_eval_reset(sy_eval *eval); /* forgets all values but load-time ones; for the next step */
void sy_eval_free(sy_eval *eval);
/* Computes `value` and what it needs; results stay in eval->tensor / eval->route. */
bool sy_eval_value(sy_eval *eval, sy_value value, sy_error *error);
/* The value as stored: f32/i32/u32 words, packed f16/bf16, or route words of route.h (tiles of `tile_rows`). */
bool sy_eval_store(const sy_eval *eval, sy_value value, uint32_t tile_rows, void *out, uint64_t bytes, sy_error *error);

/* Conversions shared by the evaluator, the importer and tests. Round to nearest even. */
uint16_t sy_f16_from_double(double x);
double sy_f16_to_double(uint16_t h);
uint16_t sy_bf16_from_double(double x);
double sy_bf16_to_double(uint16_t h);

#endif
