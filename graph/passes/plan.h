/* Inside the compiler: the state that passes hand on. The graph says what is computed; groups say in which
 * dispatch; placements say where values lie. Passes from `fuse` on fill the plan; graph/emit turns each group into
 * a kernel, and `program.c` turns the whole into a sy_program. Not part of any public interface. */
#ifndef SY_PASSES_PLAN_H
#define SY_PASSES_PLAN_H

#include "graph/ir/route.h"
#include "graph/program.h"

/* A group is what one dispatch computes: the expressions from its outputs back to its inputs. Walk from an output
 * through args: a value in `inputs` is read from memory; a leaf that is no input is free (iota, a constant of one
 * value: a literal; step values: the STEP buffer); all else is computed here.
 *
 * One anchor (several in ROW groups; two matmuls only for gate x up: the same left argument and, if grouped, the same
 * route, right arguments of equal types, equal attributes), what is pulled into their arguments (prologue), and what
 * consumes them (epilogue). A group without anchor is a plain map.
 *
 * Spine: the values of a group that are made from its anchors. In MATMUL, CONV, ATTENTION and MAP groups each spine value has
 * the element count of the anchor and each of its elements needs one element of each anchor, the same of both anchors:
 * it is reached by element-wise ops, reshapes and transposes alone. All else an epilogue op reads is pulled from inputs
 * at the op's own index. In ROW groups all ROW nodes have the same number of rows R (elements of the argument / last
 * dimension), an argument may itself be on the spine (a further statistics pass), and a spine value has R x its row
 * length elements, row by row; an op may read spine values of its own shape, spine values of row length 1 (broadcast
 * along the row) and, as take_last(x, ids), any column of the same row. Transposes stand only at the end of a spine,
 * between the last op and an output; reshapes anywhere.
 *
 * An output that is a VIEW is stored in that view's layout (head merge: a permuted store). Prologues are pulled: VIEW
 * and MAP ops over inputs, recomputed at each load; those of matmuls and attention hold only views and a few cheap
 * element-wise ops. Routes are never pulled: a route argument is always an input. node->group says where an op is
 * computed (-1: views, free values, load time). */
typedef enum sy_group_kind {
    SY_GROUP_MAP,
    SY_GROUP_ROW,
    SY_GROUP_MATMUL,
    SY_GROUP_GROUPED_MATMUL,
    SY_GROUP_CONV,
    SY_GROUP_DEPTHWISE, /* a conv of as many groups as channels in and out */
    SY_GROUP_ATTENTION,
    SY_GROUP_ROUTE
} sy_group_kind;

enum { SY_GROUP_ANCHORS = 4, SY_GROUP_OUTPUTS = 4, SY_GROUP_INPUTS = 16 };

typedef struct sy_group {
    sy_group_kind kind;
    sy_value anchors[SY_GROUP_ANCHORS]; /* in topological order; ROW groups: the ROW nodes */
    uint32_t n_anchors;
    sy_value outputs[SY_GROUP_OUTPUTS]; /* values it materialises; all have the same element count but in ROW groups */
    uint32_t n_outputs;
    sy_value
        inputs[SY_GROUP_INPUTS]; /* materialised values it reads: leaves, load-time values, other groups' outputs */
    uint32_t n_inputs;           /* inputs + outputs (+ the step buffer) fit the device's storage buffers */
    bool reads_step;             /* needs the STEP space: step values, step index or a step output */
    /* set by choose_kernels */
    const char *variant; /* name in shaders/manifest, "matmul.rows16" */
    const char *problem; /* its class, for tuning, and ... */
    uint64_t candidates; /* ... the variants there are for it, a bit each */
    uint32_t tile_rows, tile_columns, local_size[3], groups[3];
    bool indirect; /* groups[1] comes from the route `route`, consumer slot `consumer` */
    sy_value route;
    uint32_t consumer;
    /* set by order and barriers */
    uint32_t stage; /* groups of one stage do not depend on each other; stages ascend along the order of dispatch */
    bool barrier;
} sy_group;

/* What emission gives for a group, see sy_emit_group. */
typedef struct sy_emitted {
    const char *glsl; /* on the plan's graph arena */
    uint32_t n_push, push[SY_PUSH_WORDS];
    uint32_t shared_bytes;
    uint32_t texel_bindings; /* as in sy_kernel */
    bool full_subgroups;     /* so too */
} sy_emitted;

typedef struct sy_plan {
    sy_graph *graph;
    const sy_compile_params *params;
    sy_limits limits;
    sy_group *groups; /* in the order of dispatch, once ordered */
    uint32_t n_groups;
    sy_place *places; /* by value; size 0: never materialised */
    /* Per route value: rows of a tile and column counts of its grouped consumers (for the indirect arguments). */
    struct sy_route_use {
        uint32_t tile_rows, n_consumers, columns[SY_ROUTE_CONSUMERS];
    } * route_uses; /* by value */
    uint64_t space_bytes[SY_SPACE_COUNT][SY_SPACE_BUFFERS];
    sy_program_stats stats;
    sy_arena arena;      /* of groups, places and all else that is not the graph's; the program takes it over */
    sy_emitted *emitted; /* by group, after the pass emit */
    sy_kernel *kernels;  /* equal ones once */
    uint32_t n_kernels, *kernel_of; /* by group: its kernel */
    sy_pass_time *times;            /* one a pass run so far */
    uint32_t n_times;
    sy_program *program; /* made by the last pass, taken by sy_compile */
} sy_plan;

/* The state before the first pass, over a copy of `graph`; `params` is borrowed. NULL on error. */
sy_plan *sy_plan_create(const sy_graph *graph, const sy_compile_params *params, sy_error *error);
void sy_plan_destroy(sy_plan **plan);
/* Runs the pipeline up to and with the pass of that name (NULL: all of it), verifying after each. */
bool sy_plan_run(sy_plan *plan, const char *last, sy_error *error);
/* What holds between passes beyond the graph's own rules: groups cover the work, orders respect dependence, live values
 * do not overlap, barriers stand where hazards are. Checks what has been planned so far. */
bool sy_plan_verify(const sy_plan *plan, sy_error *error);

/* A pass: returns false on error. What it changed is verified after it, always, against `stage`. */
typedef struct sy_pass {
    const char *name, *doc;
    bool (*run)(sy_plan *plan, sy_error *error);
    sy_stage stage;
} sy_pass;
extern const sy_pass sy_passes[]; /* ends with a row whose name is NULL */

/* Bytes from one step's slice of a step output to the next. The kernel that makes the value stores at
 * (step index) * stride, so planning and emission must agree. */
#define SY_STEP_STRIDE(bytes) (((uint64_t)(bytes) + 255) & ~(uint64_t)255)

/* graph/emit: the kernel of a group: GLSL from its template and fused ops, compiled or taken from the cache.
 * Bindings of the kernel, in order: group inputs, group outputs, then the STEP buffer if reads_step. Push words carry
 * what differs between equal layers (where a slice of a shared value begins), so that they share one kernel. */
bool sy_emit_group(const sy_plan *plan, uint32_t group, sy_emitted *out, sy_error *error);
/* All that choose_kernels decides for one group, from shaders/manifest and plan->limits: variant, tiles, local size,
 * group counts; for consumers of routes indirect, route, consumer, and the route's row of plan->route_uses (its
 * `columns` are workgroups in x). Call once per group in order of dispatch. */
bool sy_choose_kernel(sy_plan *plan, uint32_t group, sy_error *error);
struct sy_emitter;
struct sy_emitter *sy_emitter_create(const sy_compile_params *params, const sy_limits *limits, sy_error *error);
void sy_emitter_destroy(struct sy_emitter **emitter);
/* GLSL -> SPIR-V through the cache; result owned by the emitter until destroyed. */
bool sy_emit_spirv(struct sy_emitter *emitter, const char *kernel_name, const char *glsl, const uint32_t **spirv,
                   uint32_t *n_words, bool *from_cache, sy_error *error);

#endif
