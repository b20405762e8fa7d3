/* Inside the pass fuse: what has been decided of each value, and the groups so far. */
#ifndef SY_PASSES_FUSE_H
#define SY_PASSES_FUSE_H

#include "graph/passes/passes.h"

/* What becomes of a value. Decided in topological order; arguments are decided before their users. */
typedef enum sy_role {
    SY_ROLE_NONE,   /* not looked at yet */
    SY_ROLE_STORED, /* lies in memory before any dispatch: leaves, load-time values */
    SY_ROLE_FREE,   /* made where it is read: iota, literals, step values */
    SY_ROLE_VIEW,   /* a view, pulled by whoever reads it */
    SY_ROLE_PULLED, /* a map op, recomputed by whoever reads it */
    SY_ROLE_MEMBER  /* computed by its group: an anchor, a value on the spine, or a map of its own */
} sy_role;

enum { SY_FUSE_MEMBERS = 100 }; /* most values computed in one group: shader compilers take long over long shaders */

typedef struct sy_fuse_group {
    sy_group_kind kind;
    sy_value anchors[SY_GROUP_ANCHORS];
    uint32_t n_anchors;
    sy_value member; /* the newest; the others follow in sy_fuser.next */
    uint32_t n_members;
    uint64_t rows;     /* ROW: rows of every anchor. Else 0. */
    uint64_t elements; /* of each spine value; ROW: 0 */
    sy_value moments;  /* of one of them, made beside them; 0: none */
    bool dissolved;    /* its members went elsewhere */
} sy_fuse_group;

/* A permutation of element indices: what transposes did to a value since its anchor. Equal chains get equal ids. */
typedef struct sy_fuse_layout {
    uint32_t before; /* layout that the transpose was applied to; layout 0 is "as the anchor" */
    uint8_t rank;
    int32_t dims[SY_MAX_RANK], perm[SY_MAX_RANK];
} sy_fuse_layout;

typedef struct sy_fuser {
    sy_plan *plan;
    sy_graph *graph;
    /* by value */
    unsigned char *role;
    bool *is_end;
    bool *heavy;          /* pulled values: holds more than element-wise ops */
    uint32_t *cost;       /* pulled values: operations an element, see fuse_pull.c */
    int32_t *group;       /* members: index into groups; else -1 */
    uint32_t *layout;     /* members */
    sy_value *next;       /* members: the next one of the group; 0 ends */
    uint32_t *first_user; /* users[first_user[v] … first_user[v + 1] - 1] use v, ascending, one entry an argument */
    sy_value *users;
    uint32_t *seen, stamp; /* marks of the running walk */
    uint32_t *group_seen;
    sy_value *stack; /* room for one entry an argument, and one */
    sy_fuse_group *groups;
    uint32_t n_groups;
    sy_fuse_layout *layouts;
    uint32_t n_layouts, layouts_room;
} sy_fuser;

/* fuse_ends.c: every end gets a value of its own that can be stored where the end wants it. */
bool sy_fuse_prepare_ends(sy_graph *graph, sy_error *error);
/* fuse_ends.c: carries that cannot be written in place are copied; changes groups only by adding copies. */
bool sy_fuse_carries(sy_plan *plan, sy_error *error);
/* fuse_ends.c: concats of more parts than buffers allow become trees. */
bool sy_fuse_split_concats(sy_plan *plan, sy_error *error);

/* fuse_walk.c */
sy_value sy_fuse_through_views(const sy_fuser *f, sy_value value); /* the first value back that is no pulled view */
bool sy_fuse_reaches(sy_fuser *f, sy_value value, int32_t group);  /* does computing `value` need `group`? */
bool sy_fuse_group_reaches(sy_fuser *f, int32_t from, int32_t group);
typedef struct sy_fuse_size {
    uint32_t inputs, outputs;
    bool reads_step;
} sy_fuse_size;
sy_fuse_size sy_fuse_measure(sy_fuser *f, int32_t group); /* outputs: at most so many; users not decided count */
bool sy_fuse_fits(sy_fuser *f, int32_t group);            /* the device's buffers, and the bounds of sy_group */
bool sy_fuse_is_output(const sy_fuser *f, sy_value member);
bool sy_fuse_collect(sy_fuser *f, int32_t group, sy_group *out,
                     sy_error *error); /* inputs and outputs, in structural order */

/* fuse_join.c */
int32_t sy_fuse_new_group(sy_fuser *f, sy_group_kind kind, sy_value first, bool anchor);
void sy_fuse_add_member(sy_fuser *f, int32_t group, sy_value value, uint32_t layout);
bool sy_fuse_join_epilogue(sy_fuser *f, sy_value value); /* a map op behind what it reads */
bool sy_fuse_join_rows(sy_fuser *f, sy_value value);     /* a ROW op as further anchor */
bool sy_fuse_join_pair(sy_fuser *f, sy_value value);     /* a matmul as second anchor: gate x up */
bool sy_fuse_join_moments(sy_fuser *f, sy_value value); /* moments behind the contraction that makes what they are of */
bool sy_fuse_join_end(sy_fuser *f, sy_value view);       /* a view that is an end behind what it views */
/* A value's permutation relative to the anchors of `group`, if it is made of its members by reshapes and transposes
 * alone. */
bool sy_fuse_spine(sy_fuser *f, int32_t group, sy_value value, uint32_t *layout, sy_value *member);

/* fuse_pull.c */
/* A skip that is edited on its way into a concat, and stored as it is for others: better edited where it is read than
 * stored twice through its long life. */
bool sy_fuse_is_scaled_skip(const sy_fuser *f, sy_value value);
bool sy_fuse_pull(sy_fuser *f, sy_value value); /* may a map op be recomputed by its users? sets cost */
void sy_fuse_spill(sy_fuser *f, int32_t group); /* gives pulled values groups of their own until it fits */

/* fuse_merge.c: after every value is decided. */
void sy_fuse_dissolve(sy_fuser *f);       /* small maps into their only reader */
void sy_fuse_merge_siblings(sy_fuser *f); /* maps, and rows, side by side */
void sy_fuse_sink_views(sy_fuser *f);     /* permuted stores */

#endif
