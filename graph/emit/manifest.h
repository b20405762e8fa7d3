/* shaders/manifest.json: which variants of kernel templates there are and what each needs. The one place where tile
 * sizes and shared memory are said; templates, group counts and tests take them from here. */
#ifndef SY_EMIT_MANIFEST_H
#define SY_EMIT_MANIFEST_H

#include "graph/passes/plan.h"

enum { SY_MAX_VARIANTS = 64 };

typedef struct sy_variant {
    char name[40], file[40], section[24], doc[200];
    sy_group_kind kind;
    bool cpu, gpu;          /* for software drivers, for hardware */
    uint32_t rows, columns; /* of outputs a workgroup's y-slice or an invocation makes: see the template */
    uint32_t local[3];
    uint32_t lanes;   /* ROW: invocations that share a row; ATTENTION: a query; 0 elsewhere */
    uint32_t step;    /* of the inner loop, where it is staged; ROUTE: not 0, it is unrolled */
    uint32_t anchors; /* only for this many; 0: any */
    uint32_t adjacent; /* ROW: not 0: four rows an invocation, chosen where they lie side by side in memory */
    uint32_t matrix[2]; /* subgroups along the rows and the columns of a tile, which share its cooperative matrices: x of the
                           workgroup is a subgroup's lanes; 0: none of this */
    uint32_t subgroup; /* only where subgroups have this size, and broadcast; 0: any */
    uint32_t most_vectors; /* ATTENTION: of four channels in a head of keys and one of values; 0: any */
    uint32_t most_rows, least_rows, least_columns, most_columns; /* of the whole problem; 0: no bound */
    /* Bytes: a formula of rows, columns, local, step, anchors, ids, d4, e4 (vectors of a head), probe (1 where an
     * attention skips blocks), matrix_m, matrix_n (the device's shape of cooperative matrices). */
    char shared[128];
} sy_variant;

/* The table, in order of preference; parsed once in the process. NULL and an error if the manifest is not sound. */
const sy_variant *sy_variants(uint32_t *n, sy_error *error);
const sy_variant *sy_variant_find(const char *name); /* NULL: no such variant, or no name */
/* Shared memory of the variant in this group, in bytes. */
uint32_t sy_variant_shared(const sy_variant *variant, const sy_plan *plan, const sy_group *group);

/* What decides between variants of one kind. */
typedef struct sy_problem {
    sy_group_kind kind;
    uint32_t n_anchors;
    uint64_t rows, columns; /* rows: of the output, or expected of one target; columns: of the output, or of a row */
    uint32_t run;           /* CONV, MATMUL: rows of a run whose moments are given as well; 0: they are not */
    uint32_t tile_rows;     /* GROUPED_MATMUL: of the route's tiles, where another consumer has decided; 0: not yet */
    uint32_t d, e;          /* attention: size of a head in keys and values */
    uint64_t blocks;        /* attention: of keys, the most that a route lists for a query */
    uint32_t together;      /* attention: queries that one workgroup must have, to skip blocks together; 0: any */
    uint32_t ids;           /* ROW: indices that top_k keeps for a row */
    bool quads;             /* ROW: all of its ops are sums and largest ones, of which a vector holds four rows' */
    bool adjacent;          /* ROW: neighbouring rows lie side by side: columns of what is in memory */
    bool half;              /* MATMUL, GROUPED_MATMUL: right arguments are stored f16, and left ones may be rounded to it */
    uint64_t iterations;    /* ROW: of all loops of an invocation that has a row for itself; CONV: of its taps and channels */
} sy_problem;
sy_problem sy_problem_of(const sy_plan *plan, const sy_group *group);
/* Does the kernel of this attention decide, block by block, what to leave out? */
bool sy_skips(const sy_node *node);
/* The first variant that serves; NULL and an error that says what is lacking. */
const sy_variant *sy_choose_variant(const sy_problem *problem, const sy_limits *limits, sy_error *error);
/* True if the variant gives right results for the problem on such a device, whether it is made for it or not. */
bool sy_variant_can(const sy_variant *variant, const sy_problem *problem, const sy_limits *limits);
/* Invocations of a workgroup in x: the variant's own, more where queries must be together, a subgroup's with matrices. */
uint32_t sy_variant_local(const sy_variant *variant, const sy_problem *problem, const sy_limits *limits);
/* Sets what choose_kernels sets in the group, for that variant. */
bool sy_variant_apply(const sy_variant *variant, sy_plan *plan, uint32_t group, sy_error *error);

/* Words of a route for the counts of (group, target) while capacity is applied: the longer run of sections that are
 * written later, but not that of the weights, which holds what is kept. *where: its first. */
int64_t sy_route_scratch(const sy_route_layout *at, int64_t *where);

#endif
