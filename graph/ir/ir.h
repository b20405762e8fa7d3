/* The intermediate representation: one graph of immutable values in single assignment.
 *
 * A node is an op applied to earlier values; it makes exactly one value, a tensor or a route. Shapes are static;
 * how many slots of a route are filled is known on the device only, under the static bound in its type. The same
 * structure serves from the builder to the last pass: passes rewrite nodes, fusion marks which dispatch a node
 * belongs to, and so the reference evaluator can run a graph at any stage of the pipeline.
 *
 * Ownership: everything hangs on the graph's arena. Thread safety: a graph may be used by one thread at a time. */
#ifndef SY_IR_H
#define SY_IR_H

#include "graph/base/arena.h"
#include "graph/base/error.h"
#include "graph/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { SY_MAX_RANK = 6, SY_MAX_NAME = 1023 /* bytes of a leaf's, scope's, end's or graph's name */ };
/* Most elements of a tensor and words of a route: every index, in kernels too, fits 32 bits with a sign. */
#define SY_MAX_ELEMENTS INT32_MAX

typedef enum sy_dtype { SY_F32, SY_F16, SY_BF16, SY_I32, SY_U32, SY_DTYPE_COUNT } sy_dtype;

/* A tensor (`f32[64,128]`) or a route (`route[64->12; 128]`: 64 rows, 12 targets, at most 128 slots). */
typedef struct sy_type {
    bool is_route;
    uint8_t rank;             /* tensors */
    sy_dtype dtype;           /* tensors; routes hold 32-bit words */
    int32_t dim[SY_MAX_RANK]; /* tensors: outermost first, each at least 1. Routes: rows, targets, slots. */
} sy_type;

enum { SY_ROUTE_ROWS, SY_ROUTE_TARGETS, SY_ROUTE_SLOTS }; /* indices into dim of a route's type */

typedef enum sy_op {
    SY_OP_NONE, /* node 0 of every graph: "no value" */
#define SY_OP(name, text, least, most, class, attributes, infer, cost, eval, doc) SY_OP_##name,
#include "graph/ops/ops.def"
#undef SY_OP
    SY_OP_COUNT
} sy_op;

typedef enum sy_class {
    SY_CLASS_LEAF,
    SY_CLASS_VIEW,
    SY_CLASS_MAP,
    SY_CLASS_ROW,
    SY_CLASS_MATMUL,
    SY_CLASS_ATTENTION,
    SY_CLASS_ROUTE
} sy_class;

/* Attributes: I integer, L list of SY_MAX_RANK integers, F float, V list of values. One row an attribute; struct, printer and parser
 * derive from it. Which op takes which attribute is said in ops.def; all others are 0. */
#define SY_ATTRIBUTE_LIST(X)                                                                       \
    X(I, axis)                                                                                     \
    X(L, ints)                                                                                     \
    X(I, transpose_b)                                                                              \
    X(F, scale)                                                                                    \
    X(F, eps)                                                                                      \
    X(I, k)                                                                                        \
    X(I, renormalise)                                                                              \
    X(I, rows)                                                                                     \
    X(I, target)                                                                                   \
    X(I, targets)                                                                                  \
    X(I, capacity)                                                                                 \
    X(I, group_rows)                                                                               \
    X(I, order)                                                                                    \
    X(I, gather)                                                                                   \
    X(I, weighted)                                                                                 \
    X(I, stream)                                                                                   \
    X(I, mode)                                                                                     \
    X(I, groups)                                                                                   \
    X(L, window)                                                                                   \
    X(L, stride)                                                                                   \
    X(L, pad)                                                                                      \
    X(L, pad_high)                                                                                 \
    X(L, dilate)                                                                                   \
    X(L, up)                                                                                       \
    X(I, causal)                                                                                   \
    X(I, block_rows)                                                                               \
    X(I, block_keys)                                                                               \
    X(F, skip)                                                                                     \
    X(I, length)                                                                                   \
    X(F, alpha)                                                                                    \
    X(V, values)

typedef enum sy_attribute {
#define X(kind, name) SY_ATTRIBUTE_##name,
    SY_ATTRIBUTE_LIST(X)
#undef X
    SY_ATTRIBUTE_COUNT
} sy_attribute;

typedef struct sy_value_list {
    const double *data;
    uint32_t count;
} sy_value_list;

typedef struct sy_attributes {
#define SY_FIELD_I(name) int32_t name;
#define SY_FIELD_L(name) int32_t name[SY_MAX_RANK];
#define SY_FIELD_F(name) double name;
#define SY_FIELD_V(name) sy_value_list name;
#define X(kind, name) SY_FIELD_##kind(name)
    SY_ATTRIBUTE_LIST(X)
#undef X
#undef SY_FIELD_I
#undef SY_FIELD_L
#undef SY_FIELD_F
#undef SY_FIELD_V
} sy_attributes;

typedef uint32_t sy_value; /* index of a node in its graph; 0 is "no value" */

typedef struct sy_node {
    sy_op op;
    uint32_t n_args;
    sy_value *args; /* each below the node's own index: nodes are in topological order, always */
    sy_type type;
    sy_attributes attributes;
    const char *name;  /* leaves: the name of the input, state, step column or parameter; else NULL */
    const char *scope; /* where in the network it stands, "blocks.3.attn"; "" at the top. Labels and taps. */
    bool load_time;    /* depends on parameters and constants alone: computed once, when weights are loaded */
    int32_t group;     /* set by the pass fuse: the dispatch it is computed in; -1: none (yet) */
} sy_node;

/* A named end of the graph. Outputs are read by the host after a run. A tap is an output that exists only when
 * asked for by name; the pass select_taps turns asked ones into outputs of every step and drops the rest.
 * A carry gives the state of that name its value for the next step. */
typedef enum sy_end_kind { SY_END_OUTPUT, SY_END_CARRY, SY_END_TAP, SY_END_STEP_OUTPUT } sy_end_kind;
typedef struct sy_end {
    sy_end_kind kind;
    const char *name;
    sy_value value;
} sy_end;

#define SY_STEER_NAME "steer."

typedef struct sy_graph {
    sy_arena arena;
    const char *name;
    sy_node *nodes; /* nodes[0] is the "no value" node */
    uint32_t n_nodes, room;
    sy_end *ends;
    uint32_t n_ends, ends_room;
    sy_error error;    /* sticky: the first error of building; see sy_graph_check */
    const char *scope; /* scope given to new nodes; never NULL */
    bool steered;      /* routes chosen by scores that are built from now on take an input that steers them, i32 in the
                          scores' shape, named SY_STEER_NAME, their scope and shape; those alike in both share it */
    struct sy_scope_frame *frames; /* what sy_scope_pop goes back to; private to build.c */
} sy_graph;

sy_graph *sy_graph_create(const char *name); /* NULL when memory is out */
void sy_graph_destroy(sy_graph **graph);     /* NULL and pointers to NULL are fine */
sy_graph *sy_graph_clone(const sy_graph *graph);

/* Adds a node. `type` may be NULL where the op can infer it. On error (wrong arity, shapes that do not fit, no
 * memory) the graph's error is set, once, and 0 returned; ops on value 0 return 0 silently: check at the end. */
sy_value sy_graph_add(sy_graph *graph, sy_op op, const sy_value *args, uint32_t n_args,
                      const sy_attributes *attributes, const sy_type *type, const char *name);
void sy_graph_end(sy_graph *graph, sy_end_kind kind, const char *name, sy_value value);
/* True if building went well so far; else copies the sticky error. */
bool sy_graph_check(const sy_graph *graph, sy_error *error);

/* Types. */
sy_type sy_tensor(sy_dtype dtype, int rank, const int32_t *dims);
sy_type sy_route_type(int32_t rows, int32_t targets, int32_t slots);
bool sy_type_equal(const sy_type *a, const sy_type *b);
uint64_t sy_type_count(const sy_type *type); /* elements of a tensor; 32-bit words of a route (see route.h); UINT64_MAX: too many */
uint64_t sy_type_bytes(const sy_type *type); /* bytes as stored: f16 and bf16 packed by two, the whole rounded up to a word */
/* NULL, or what is wrong: rank, a dimension below 1, more than SY_MAX_ELEMENTS. */
const char *sy_type_wrong(const sy_type *type);
const char *sy_dtype_name(sy_dtype dtype);
/* "f32[64,128]" into out; returns out. */
char *sy_type_text(const sy_type *type, char out[96]);

/* Facts of an op, from ops.def. */
typedef struct sy_cost {
    double flops; /* multiply and add count as one each; exp, tanh… as one */
    double bytes; /* least traffic: each argument read once, the result written once */
} sy_cost;
struct sy_eval;
typedef struct sy_op_info {
    const char *name, *doc, *enum_name;
    uint32_t least, most;
    sy_class class;
    uint64_t attributes; /* bit set of sy_attribute */
    /* Checks arguments and attributes of `node`, and sets node->type (or checks it where it must be given:
     * then *type_given). */
    bool (*infer)(const sy_graph *graph, sy_node *node, bool type_given, sy_error *error);
    double (*flops)(const sy_graph *graph, const sy_node *node);
    /* Computes the node's value into eval (graph/ops/eval.h). */
    bool (*eval)(struct sy_eval *eval, sy_value value, sy_error *error);
} sy_op_info;
const sy_op_info *sy_op_get(sy_op op);
sy_op sy_op_find(const char *name); /* SY_OP_NONE if there is no such op */
sy_cost sy_node_cost(const sy_graph *graph, sy_value value);

/* Text form. Printing and parsing give back the same graph, node for node. */
void sy_graph_print(const sy_graph *graph, sy_text *out);
/* Untrusted input. The error names line and column. NULL on error. */
sy_graph *sy_graph_parse(const char *text, size_t size, sy_error *error);

/* The verifier: a rule set per stage; each stage has the rules of those before it. */
typedef enum sy_stage {
    SY_STAGE_SOURCE,  /* arity, types, order, names unique, ends valid */
    SY_STAGE_LOWERED, /* no route producers but route.build */
    SY_STAGE_FUSED    /* every op that costs work belongs to exactly one group; groups are legal */
} sy_stage;
bool sy_graph_verify(const sy_graph *graph, sy_stage stage, sy_error *error);

#endif
