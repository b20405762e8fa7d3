/* The state of emitting one kernel, shared by the files of graph/emit. Private to it.
 *
 * Pulling: sy_pull gives the value of a node at an index as a GLSL expression, writing the statements it needs into
 * the function under way, recursively through views and maps down to buffers or to what the anchor has computed.
 * An index may hold the variable `lane`, which stands for 0, 1, 2, 3 at once: then the value is a vector of four. */
#ifndef SY_EMIT_GEN_H
#define SY_EMIT_GEN_H

#include "graph/emit/index.h"
#include "graph/passes/plan.h"

enum { SY_GEN_BINDINGS = SY_GROUP_INPUTS + SY_GROUP_OUTPUTS + 1, SY_GEN_DEPTH = 400 };

/* An expression that is cheap to repeat: a name or a literal. */
typedef struct sy_val {
    const char *text;
    uint8_t width;  /* 1 or 4; 1 in a place of 4 stands for four equal ones */
    sy_dtype dtype; /* SY_F32, SY_I32 or SY_U32: what it is in registers */
} sy_val;

typedef struct sy_memo {
    sy_value value;
    sy_ix index[SY_MAX_RANK];
    sy_val result;
} sy_memo;

typedef struct sy_gen {
    const sy_plan *plan;
    const sy_graph *graph;
    const sy_group *group;
    sy_error *error;
    bool failed;
    sy_arena arena;
    sy_ix_pool *ix;
    sy_ix lane;
    sy_text functions; /* whole functions, done */
    sy_text body;      /* the function under way */
    uint32_t n_temps, depth, indent;
    int component; /* -1, or which of the four a vector is being taken apart into */
    sy_memo *memos;
    uint32_t n_memos, memos_room;
    uint8_t uses[SY_GEN_BINDINGS]; /* bits: 1 as scalars, 2 as vectors of four, 4 through a texel buffer */
    uint32_t texels;               /* bit i: input i is read through a texel buffer */
    bool math, philox;
    bool row_quads;     /* ROW: an invocation has four rows, its statistics are vectors of theirs */
    bool anchor_values; /* the anchors' values stand in acc0, acc1 (matmul, attention) */
    uint32_t n_push, push[SY_PUSH_WORDS], push_binding[SY_PUSH_WORDS];
    uint8_t *reach; /* by value, for the anchor in reach_for: 0 unknown, 1 no, 2 yes */
    sy_value reach_for;
} sy_gen;

bool sy_gen_init(sy_gen *gen, const sy_plan *plan, uint32_t group, sy_error *error);
void sy_gen_free(sy_gen *gen);
/* Notes the failure (first one counts); generating goes on harmlessly. */
void sy_gen_fail(sy_gen *gen, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A function: begin, statements, end. `head` is everything before the brace. */
void sy_gen_begin(sy_gen *gen, const char *head);
void sy_gen_end(sy_gen *gen);
void sy_gen_line(sy_gen *gen, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Blocks inside a function: values pulled inside are forgotten at its end. */
uint32_t sy_gen_open(sy_gen *gen);
void sy_gen_close(sy_gen *gen, uint32_t opened, const char *end);

const char *sy_gen_ix(sy_gen *gen, sy_ix index); /* its GLSL, on gen->arena */
const char *sy_gen_type(sy_dtype dtype, int width);
sy_dtype sy_gen_register(sy_dtype stored); /* f16 and bf16 are f32 in registers */
/* Declares a new temporary holding the expression. */
sy_val sy_gen_temp(sy_gen *gen, sy_dtype dtype, int width, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
sy_val sy_gen_literal(sy_gen *gen, sy_dtype dtype, double value);
/* A fresh index variable declared as the expression, lo 0. */
sy_ix sy_gen_var(sy_gen *gen, int64_t hi, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The value as text of that width. */
const char *sy_gen_wide(sy_gen *gen, sy_val value, int width);

int sy_gen_binding(const sy_gen *gen, sy_value value); /* of an input; -1: not materialised for this group */
bool sy_gen_anchor(const sy_gen *gen, sy_value value, uint32_t *which);
const char *sy_gen_step_word(sy_gen *gen, const char *word); /* uint at that word of the STEP buffer */

/* pull.c */
sy_val sy_pull(sy_gen *gen, sy_value value, const sy_ix *index);
/* Four scalar pulls, joined. */
sy_val sy_pull_apart(sy_gen *gen, sy_value value, const sy_ix *index);
/* Word `at` (a GLSL expression or index) of a materialised route. */
const char *sy_pull_word(sy_gen *gen, sy_value route, uint32_t section, sy_ix at);
void sy_push_store(sy_gen *gen, uint32_t output, const sy_ix *index, sy_val value);
/* All outputs of the group but `without` (0: none), each at its index: all are computed before any is stored, for one may
 * be written over a state that another reads. */
void sy_push_outputs(sy_gen *gen, sy_value without, sy_ix (*at)[SY_MAX_RANK]);
/* Index of `output` where the anchor's is `index`: follows element-wise ops and bijective views. */
bool sy_pull_invert(sy_gen *gen, sy_value output, sy_value anchor, const sy_ix *index, sy_ix *result);
bool sy_pull_reaches(sy_gen *gen, sy_value value, sy_value anchor);

/* parts.c: where the left argument of a contraction is a concat along the summed axis, directly or under element-wise
 * ops, the sum goes over one part after the other, each with a load of its own: nothing is copied together, and no load
 * asks which part it is in. Ends of the parts in vectors of four; 1 part: none of this. */
enum { SY_GEN_PARTS = 4 };
uint32_t sy_gen_parts(const sy_gen *gen, sy_value value, int64_t ends[SY_GEN_PARTS]);
/* PART<p>_BEGIN and PART<p>_END for the templates. */
void sy_gen_write_parts(sy_gen *gen, uint32_t n, const int64_t *ends);

/* store.c: the epilogue of a contraction, store(`parameters`), in terms of batch, row and the vector n4 of `columns`; `place`
 * gives the index of the anchor's element there. Where moments of a value ride with it, store gives back that value's four,
 * and store_moments(batch, run, n4, mean, spread) stores those of a run of rows. */
typedef void sy_gen_place(sy_gen *gen, const void *shape, sy_ix column, sy_ix *index);
void sy_gen_write_store(sy_gen *gen, const char *parameters, int64_t columns, sy_gen_place *place, const void *shape);

/* pull_map.c: ops of class MAP and leaves that are computed. */
sy_val sy_pull_map(sy_gen *gen, sy_value value, const sy_ix *index);
/* pull_walk.c: those of them that loop over a row. */
sy_val sy_pull_walk(sy_gen *gen, sy_value value, const sy_ix *index);

/* pull_image.c */
sy_val sy_pull_pad(sy_gen *gen, sy_value value, const sy_ix *index);
sy_val sy_pull_resize(sy_gen *gen, sy_value value, const sy_ix *index);
sy_val sy_pull_pool(sy_gen *gen, sy_value value, const sy_ix *index);

/* The kinds: each writes its functions into gen->functions and the template into out. */
bool sy_emit_map(sy_gen *gen, sy_text *out);
bool sy_emit_row(sy_gen *gen, sy_text *out);
bool sy_emit_matmul(sy_gen *gen, sy_text *out);
bool sy_emit_conv(sy_gen *gen, sy_text *out);
bool sy_emit_attention(sy_gen *gen, sy_text *out);
bool sy_emit_route(sy_gen *gen, sy_text *out);

/* template.c: files of shaders/. A section runs from "//@section NAME" to the next; "//@for i COUNT" … "//@end"
 * repeats,
 * "//@if NAME" … "//@end" keeps if NAME is not 0 ("!NAME": is 0), and @{NAME} stands for a value; @{NAME_quad},
 * @{NAME_part}, @{NAME_next}, @{NAME_octo} and @{NAME_lane} for its quotient and remainder by 4, the number after it, and
 * its quotient and remainder by 8. A COUNT may be a number.
 */
typedef struct sy_template_value {
    const char *name;
    int64_t number;
    const char *text; /* where not NULL, instead of number */
} sy_template_value;
bool sy_template_expand(const char *file, const char *section, const sy_template_value *values, uint32_t n_values,
                        sy_text *out, sy_error *error);

#endif
