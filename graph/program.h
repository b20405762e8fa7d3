/* A program: what the compiler hands to the run time. Immutable once made, self-contained, free of Vulkan types;
 * one program may be used by many sessions and threads at once. Owner: whoever compiled it; sy_program_destroy. */
#ifndef SY_PROGRAM_H
#define SY_PROGRAM_H

#include "graph/ir/ir.h"
#include "graph/limits.h"

/* Where a value lives. Each space is one or more device buffers made by the session:
 *   ARENA    activations of one replay; offsets planned, reused
 *   STATE    values kept from step to step, shared by all programs of a session by name
 *   WEIGHT   parameters and what was computed from them at load time; read only
 *   INPUT    written by the host before a run
 *   STEP     word 0: index of the running step, counted on the device; then rows of the step table (f32)
 *   OUTPUT   read by the host after a run; step outputs have one slice a step */
typedef enum sy_space { SY_SPACE_ARENA, SY_SPACE_STATE, SY_SPACE_WEIGHT, SY_SPACE_INPUT, SY_SPACE_STEP, SY_SPACE_OUTPUT, SY_SPACE_COUNT } sy_space;

enum { SY_SPACE_BUFFERS = 128 }; /* most buffers of a space */
enum { SY_STEP_TABLE_WORD = 4 }; /* the step table begins at this word of the STEP space */

/* A range of one buffer. Offsets keep the device's offset alignment; ranges keep its largest range. */
typedef struct sy_place {
    sy_space space;
    uint32_t buffer; /* which buffer of the space; 0 but for weights and arenas larger than one allocation */
    uint64_t offset, size; /* bytes */
} sy_place;

typedef enum sy_access { SY_READ = 1, SY_WRITE = 2 } sy_access;

typedef struct sy_binding { /* storage buffer `index in array` of set 0 */
    sy_place place;
    uint32_t access; /* bits of sy_access */
} sy_binding;

/* A compute shader, made from a template in shaders/ and the ops fused into it. Equal kernels are one kernel. */
typedef struct sy_kernel {
    const char *name;    /* "matmul.rows16": template and variant of shaders/manifest */
    const char *glsl;    /* whole source, for --dump and for people */
    const uint32_t *spirv;
    uint32_t n_spirv;    /* words */
    uint32_t local_size[3];
    uint32_t shared_bytes;
    uint32_t n_bindings;
    uint32_t push_words; /* 32-bit words of push constants */
    bool full_subgroups; /* made for workgroups of whole subgroups of limits.subgroup_size lanes */
    uint32_t texel_bindings; /* bit i: binding i is a uniform texel buffer, format R32G32B32A32_UINT (whole rgba32 texels
                                of the place, read only), instead of a storage buffer. 0 unless limits.texel_elements. */
} sy_kernel;

enum { SY_PUSH_WORDS = 32, SY_BASE_WORDS = 3 };

typedef struct sy_dispatch {
    uint32_t kernel;
    uint32_t n_bindings;
    const sy_binding *bindings;
    uint32_t push[SY_PUSH_WORDS];
    uint32_t groups[3];    /* direct dispatch, or the static bound of an indirect one */
    bool indirect;         /* sized on the device; workgroups past that size, if there are any, end at once */
    sy_place indirect_at;  /* 3 words; alignment 4 */
    bool barrier;          /* all writes before must be visible (shader and indirect reads) before it begins */
    const char *label;     /* "blocks.3.attn: matmul add mul add" */
    const char *kind;      /* of its group: "matmul", "grouped matmul", "attention", "row", … */
    double flops, bytes;   /* of the ops in it, routed ones at the static bound; bytes: each it needs read or written once */
    double bytes_planned;  /* what the tiles of its kernel ask memory for, caches aside */
    const char *problem;   /* the class of what its kernel solves (graph/tuning.h), and ... */
    uint64_t candidates;   /* ... bit i: variant i of shaders/manifest could solve it too */
    sy_place route;        /* the route it reads, if any (size 0: none), ... */
    sy_type route_type;    /* ... and its type */
    uint32_t tile_rows;    /* of grouped work: rows a tile of that route has */
} sy_dispatch;

typedef struct sy_io {
    const char *name;
    sy_type type;        /* of a tapped route: the route's; its words lie there as route.h says */
    sy_place place;      /* step outputs: the slice of step 0 */
    uint64_t step_bytes; /* step outputs: distance between slices; else 0 */
} sy_io;

/* A tensor to make when weights are loaded: evaluate `value` of `graph` (load-time nodes only) with the reference
 * evaluator and store it there as `type.dtype`. Plain parameters are the common case and are copied straight. */
typedef struct sy_weight {
    sy_value value;
    sy_type type;
    sy_place place;
} sy_weight;

typedef struct sy_program_stats {
    uint32_t ops, dispatches, kernels, barriers;   /* per replay */
    uint32_t dispatches_unfused;                   /* one per op that costs work */
    double flops, bytes, bytes_unfused;            /* moved per replay; bytes at planned accesses */
    uint64_t arena_bytes, arena_lower_bound;       /* planned peak; largest sum of live bytes */
    uint64_t weight_bytes, state_bytes, output_bytes;
    uint32_t kernels_compiled, kernels_cached;
} sy_program_stats;

typedef struct sy_pass_time {
    const char *name;
    double seconds; /* of the pass and its verification */
} sy_pass_time;

typedef struct sy_program {
    sy_arena arena;
    const sy_graph *graph; /* after all passes; owned */
    const sy_kernel *kernels;
    uint32_t n_kernels;
    const sy_dispatch *dispatches;
    uint32_t n_dispatches;
    const sy_weight *weights;
    uint32_t n_weights;
    const sy_io *inputs, *states, *outputs; /* outputs: SY_END_OUTPUT and SY_END_STEP_OUTPUT */
    uint32_t n_inputs, n_states, n_outputs;
    const char *const *step_columns; /* columns of the step table this program reads, in the order of sy_compile_params */
    uint32_t n_step_columns;
    uint64_t space_bytes[SY_SPACE_COUNT][SY_SPACE_BUFFERS]; /* size of each buffer of each space; 0: not used */
    sy_program_stats stats;
    bool conditional; /* as it was compiled: the last SY_BASE_WORDS push words of every kernel are the first workgroup, x y z */
    const sy_pass_time *passes; /* what compiling cost, pass by pass */
    uint32_t n_passes;
} sy_program;

/* What to compile for. Zero is the default everywhere. */
typedef struct sy_compile_params {
    const sy_limits *limits;         /* NULL: sy_limits_floor() */
    const char *const *step_columns; /* layout of a row of the step table */
    uint32_t n_step_columns;
    uint32_t max_steps;              /* slices of step outputs; 0: 1 */
    const char *const *taps;         /* names asked for; "blocks.*.route" with * for any text, "?preview" if there is one */
    uint32_t n_taps;
    const struct sy_tuning *tuning;  /* variants found best on the device; NULL: by limits alone */
    const char *cache_directory;     /* SPIR-V cache; NULL: none */
    uint64_t cache_bytes;            /* its bound; 0: 64 MiB */
    const char *print_after;         /* pass name or "all": its text form goes to `print` */
    sy_text *print;
    bool half;                       /* activations may be rounded to f16 where they meet weights that are stored f16, if the
                                        device multiplies such faster (limits->matrix); sums stay f32 */
    bool conditional;                /* it will run where a value on the device says so: kernels add a first workgroup to the
                                        index of theirs, so that a dispatch sized on the device can be given in parts */
    bool no_fusion;                  /* every op its own dispatch: to compare with */
    bool no_spirv;                   /* stop after planning: statistics and text only */
} sy_compile_params;

/* Does the name of a tap fit what was asked for? */
bool sy_tap_fits(const char *pattern, const char *name);

/* Runs the pipeline of graph/passes/pipeline.c over a copy of `graph`. NULL on error. */
sy_program *sy_compile(const sy_graph *graph, const sy_compile_params *params, sy_error *error);
void sy_program_destroy(sy_program **program);

#endif
