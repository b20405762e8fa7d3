/* When a map op that could not join a group is recomputed by whoever reads it, instead of being stored by a dispatch of
 * its own: when that repeats little work. Cost is counted in operations an element; a reader repeats it as often as it
 * reads each element: a matmul once a tile of the other side, a row op once a pass, a map once, or more if it
 * broadcasts. Any choice here is sound; bounds only keep it from being slow. */
#include "graph/passes/fuse.h"

enum {
    CHEAP = 4,     /* a scale and a shift, a cast: nothing beside the load itself */
    MODEST = 12,   /* one transcendental or a few operations: fine where it is repeated two or three times */
    LONGEST = 200, /* no longer expression is pulled, lest shaders grow without bound */
    FEW_ROWS = 64, /* matmuls of so few rows wait for their weights */
    TINY = 1024,   /* elements of values that may be recomputed by many readers, if those are maps themselves */
    BOUNDED = 64   /* what such a value may cost: it grows with every reader that is recomputed in turn */
};

static uint32_t weight(const sy_node *node)
{
    switch (node->op) {
    case SY_OP_EXP:
    case SY_OP_LOG:
    case SY_OP_SIN:
    case SY_OP_COS:
    case SY_OP_TANH:
    case SY_OP_SIGMOID:
    case SY_OP_SILU:
    case SY_OP_GELU_TANH:
    case SY_OP_GELU_ERF:
        return 6;
    case SY_OP_SQRT:
    case SY_OP_RSQRT:
    case SY_OP_RECIPROCAL:
    case SY_OP_DIV:
    case SY_OP_CONCAT:
    case SY_OP_TAKE_ROWS:
    case SY_OP_TAKE_LAST:
    case SY_OP_ROUTE_GATHER:
    case SY_OP_ROUTE_SPREAD:
    case SY_OP_ROUTE_LOAD:
    case SY_OP_ROUTE_WORDS:
        return 2;
    case SY_OP_COMBINE:
    case SY_OP_ROUTE_SCATTER:
        return 8;
    case SY_OP_PAD:
        return 3;
    case SY_OP_RESIZE:
    case SY_OP_POOL:
        return 16;
    case SY_OP_RANDOM_NORMAL:
        return 40;
    default:
        return 1;
    }
}

/* Cost and heaviness of a value as its readers see it. */
static uint32_t cost_of_args(const sy_fuser *f, const sy_node *node, bool *heavy)
{
    uint32_t cost = 0;
    for (uint32_t i = 0; i < node->n_args; i++) {
        sy_value base = sy_fuse_through_views(f, node->args[i]);
        if (f->role[base] != SY_ROLE_PULLED)
            continue;
        cost += f->cost[base]; /* at most LONGEST and a few for each of 1,024 arguments */
        *heavy |= f->heavy[base];
    }
    return cost;
}

/* The one op that reads `value`, views looked through; 0 if there are several. Ends count as readers. */
static sy_value only_reader(const sy_fuser *f, sy_value value, int depth)
{
    sy_value reader = 0;
    for (uint32_t i = f->first_user[value]; i < f->first_user[value + 1]; i++) {
        sy_value user = f->users[i];
        const sy_node *node = &f->graph->nodes[user];
        if (sy_op_get(node->op)->class == SY_CLASS_VIEW && !f->is_end[user])
            user = depth < 16 ? only_reader(f, user, depth + 1) : 0;
        if (!user || (reader && reader != user))
            return 0;
        reader = user;
    }
    return reader;
}

/* Does `reader` read `value` (through views) as argument `i`? */
static bool reads_as(const sy_fuser *f, sy_value reader, uint32_t i, sy_value value)
{
    sy_value v = f->graph->nodes[reader].args[i];
    while (v != value && sy_op_get(f->graph->nodes[v].op)->class == SY_CLASS_VIEW)
        v = f->graph->nodes[v].args[0];
    return v == value;
}

static bool fine_for(const sy_fuser *f, sy_value value, sy_value reader)
{
    const sy_node *node = &f->graph->nodes[reader];
    uint64_t own = sy_type_count(&f->graph->nodes[value].type);
    uint32_t cost = f->cost[value];
    if (cost > LONGEST || sy_op_walks_rows(node->op))
        return false;
    switch (sy_op_get(node->op)->class) {
    case SY_CLASS_MATMUL: {
        /* A convolution reads a pixel once a tap: hardware, which stages it in shared memory, has time for the affine
         * part of a norm and its activation. Software drivers make a map of it: with it in the convolutions a U-Net
         * takes nearly twice as long on lavapipe (measured). On hardware this is not measured. */
        if (node->op == SY_OP_CONV)
            return !f->heavy[value] && cost <= (f->plan->limits.cpu ? 0 : MODEST + CHEAP);
        const sy_type *left = &f->graph->nodes[node->args[0]].type;
        bool few = sy_type_count(left) / (uint64_t)left->dim[left->rank - 1] <= FEW_ROWS;
        bool is_left = reads_as(f, reader, 0, value) && !reads_as(f, reader, 1, value);
        return !f->heavy[value] && cost <= (is_left && few ? MODEST : CHEAP);
    }
    case SY_CLASS_ATTENTION:
        return !f->heavy[value] && cost <= CHEAP;
    case SY_CLASS_ROW:
        return cost <= MODEST;
    case SY_CLASS_ROUTE:
        return true;
    default: /* maps and stored views: repeated if they broadcast */
        return cost <= CHEAP || sy_type_count(&node->type) <= own + own / 2;
    }
}

static bool reads_no_group(const sy_fuser *f, const sy_node *node)
{
    for (uint32_t i = 0; i < node->n_args; i++)
        if (f->role[sy_fuse_through_views(f, node->args[i])] == SY_ROLE_MEMBER)
            return false;
    return true;
}

static bool read_by_maps(const sy_fuser *f, sy_value value, int depth)
{
    for (uint32_t i = f->first_user[value]; i < f->first_user[value + 1]; i++) {
        sy_value user = f->users[i];
        sy_class class = sy_op_get(f->graph->nodes[user].op)->class;
        bool small = sy_type_count(&f->graph->nodes[user].type) <= TINY;
        if (!small || sy_op_walks_rows(f->graph->nodes[user].op) ||
            (class != SY_CLASS_MAP && (class != SY_CLASS_VIEW || depth == 16 || !read_by_maps(f, user, depth + 1))))
            return false;
    }
    return true;
}

/* Skips: does every reader of this concat do as well with its parts? Contractions do if they sum over them one after
 * the other (see emit/parts.c), rows and maps by choosing. Then the joint copy is never made, and unlike a copy whose
 * parts are written in place nothing is kept free beside a skip through its long life. */
static bool read_in_parts(const sy_fuser *f, sy_value value, int depth)
{
    for (uint32_t i = f->first_user[value]; i < f->first_user[value + 1]; i++) {
        sy_value user = f->users[i];
        const sy_node *node = &f->graph->nodes[user];
        sy_class class = sy_op_get(node->op)->class;
        bool fine = !f->is_end[user] && (class == SY_CLASS_MAP || class == SY_CLASS_ROW);
        if (class == SY_CLASS_VIEW)
            fine = !f->is_end[user] && depth < 16 && read_in_parts(f, user, depth + 1);
        if (class == SY_CLASS_MATMUL)
            fine = sy_concat_below(f->graph, node->args[0], NULL, 0) && reads_as(f, user, 0, value) &&
                   !reads_as(f, user, 1, value) && node->attributes.groups <= 1;
        if (!fine)
            return false;
    }
    return true;
}

bool sy_fuse_is_scaled_skip(const sy_fuser *f, sy_value value)
{
    const sy_node *node = &f->graph->nodes[value];
    uint32_t first = f->first_user[value];
    if (f->first_user[value + 1] != first + 1 || !sy_concat_is_free(f->graph, f->users[first]) ||
        !sy_op_is_elementwise(node->op) || f->is_end[value])
        return false;
    for (uint32_t i = 0; i < node->n_args; i++) {
        sy_value x = node->args[i];
        if (f->role[x] == SY_ROLE_MEMBER && f->first_user[x + 1] - f->first_user[x] > 1 &&
            sy_type_count(&f->graph->nodes[x].type) == sy_type_count(&node->type))
            return true;
    }
    return false;
}

bool sy_fuse_pull(sy_fuser *f, sy_value value)
{
    const sy_node *node = &f->graph->nodes[value];
    bool free = sy_concat_is_free(f->graph, value), heavy = !free && !sy_op_is_elementwise(node->op);
    f->cost[value] = (free ? 0 : weight(node)) + cost_of_args(f, node, &heavy);
    f->heavy[value] = heavy;
    if (sy_op_walks_rows(node->op) || f->is_end[value] || f->first_user[value] == f->first_user[value + 1])
        return false;
    if (node->op == SY_OP_CAST && f->role[sy_fuse_through_views(f, node->args[0])] == SY_ROLE_STORED)
        return true; /* a narrow weight: storing it wide is what the narrow type was there to avoid */
    if (free && !heavy && f->cost[value] <= CHEAP && read_in_parts(f, value, 0))
        return true;
    sy_value reader = only_reader(f, value, 0);
    if (reader)
        return fine_for(f, value, reader);
    return !heavy && f->cost[value] <= BOUNDED && sy_type_count(&node->type) <= TINY && reads_no_group(f, node) &&
           read_by_maps(f, value, 0);
}

/* Memory values that `pulled` reads: as a group of its own, for the moment of counting. */
static uint32_t inputs_of(sy_fuser *f, sy_value pulled)
{
    int32_t own = sy_fuse_new_group(f, SY_GROUP_MAP, pulled, false);
    uint32_t inputs = sy_fuse_measure(f, own).inputs;
    f->n_groups--;
    f->role[pulled] = SY_ROLE_PULLED;
    f->group[pulled] = -1;
    f->next[pulled] = 0;
    return inputs;
}

/* The value pulled by members of `group` that reads the most, at least two values: storing it frees buffers. 0: none.
 */
static sy_value fattest(sy_fuser *f, int32_t group)
{
    sy_value best = 0;
    uint32_t most = 1;
    for (sy_value m = f->groups[group].member; m; m = f->next[m])
        for (uint32_t i = 0; i < f->graph->nodes[m].n_args; i++) {
            sy_value v = sy_fuse_through_views(f, f->graph->nodes[m].args[i]);
            uint32_t inputs = f->role[v] == SY_ROLE_PULLED ? inputs_of(f, v) : 0;
            if (inputs > most) {
                most = inputs;
                best = v;
            }
        }
    return best;
}

void sy_fuse_spill(sy_fuser *f, int32_t group)
{
    while (!sy_fuse_fits(f, group)) {
        sy_value v = fattest(f, group);
        if (!v)
            return;
        sy_fuse_spill(f, sy_fuse_new_group(f, SY_GROUP_MAP, v, false));
    }
}
