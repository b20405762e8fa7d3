/* The rules of the verifier as data, for its tests and for the documentation. Inside graph/. */
#ifndef SY_IR_VERIFY_H
#define SY_IR_VERIFY_H

#include "graph/ir/ir.h"

typedef struct sy_verify_rule {
    const char *name, *doc;
    sy_stage stage;                                                   /* from which on it holds */
    bool (*node)(const sy_graph *graph, sy_value v, sy_error *error); /* or NULL */
    bool (*whole)(const sy_graph *graph, sy_error *error);            /* or NULL */
} sy_verify_rule;

/* Ends with a row whose name is NULL. */
const sy_verify_rule *sy_verify_rules(void);

#endif
