/* After every value has its place: three improvements that look at groups as wholes.
 *
 * dissolve       a small map that one group alone reads is recomputed there
 * merge_siblings maps of one size, or row ops over equally many rows, that read a value in common and do not wait for
 * each other become one dispatch (query and key norm; the updates of sampler state) sink_views     a stored value whose
 * only use is a chain of reshapes and transposes is stored in the last one's layout (head merge)
 *
 * Each keeps what makes groups legal: no cycles (checked by reachability), buffers (checked by counting), spine rules.
 */
#include "graph/passes/fuse.h"

enum { WINDOW = 12, CHEAP = 6 };

/* The group that alone reads `value`, -1 if there are several, or one that reads each element many times over would
 * have to recompute it. */
static int32_t only_group(const sy_fuser *f, sy_value value, int depth)
{
    int32_t found = -1;
    for (uint32_t i = f->first_user[value]; i < f->first_user[value + 1]; i++) {
        sy_value user = f->users[i];
        int32_t group = -1;
        if (f->role[user] == SY_ROLE_MEMBER) {
            sy_class class = sy_op_get(f->graph->nodes[user].op)->class;
            bool again =
                class == SY_CLASS_MATMUL || class == SY_CLASS_ATTENTION || sy_op_walks_rows(f->graph->nodes[user].op);
            group = again ? -1 : f->group[user];
        } else if (depth < 16) {
            group = only_group(f, user, depth + 1);
        }
        if (group < 0 || (found >= 0 && group != found))
            return -1;
        found = group;
    }
    return found;
}

void sy_fuse_dissolve(sy_fuser *f)
{
    for (uint32_t g = 0; g < f->n_groups; g++) {
        sy_value m = f->groups[g].member;
        if (f->groups[g].kind != SY_GROUP_MAP || f->groups[g].dissolved || !m || f->next[m] || f->is_end[m] ||
            f->heavy[m] || f->cost[m] > CHEAP)
            continue;
        int32_t reader = only_group(f, m, 0);
        if (reader < 0 || reader == (int32_t)g)
            continue;
        f->role[m] = SY_ROLE_PULLED;
        f->group[m] = -1;
        if (sy_fuse_fits(f, reader)) {
            f->groups[g].dissolved = true;
            f->groups[g].member = 0;
        } else {
            f->role[m] = SY_ROLE_MEMBER;
            f->group[m] = (int32_t)g;
        }
    }
}

static bool same_shape_of_work(const sy_fuser *f, const sy_fuse_group *a, const sy_fuse_group *b)
{
    if (a->kind != b->kind || a->dissolved || b->dissolved || a->n_members + b->n_members > SY_FUSE_MEMBERS)
        return false;
    if (a->kind == SY_GROUP_MAP)
        return a->elements == b->elements;
    if (a->kind != SY_GROUP_ROW || a->rows != b->rows || a->n_anchors + b->n_anchors > SY_GROUP_ANCHORS)
        return false;
    const sy_type *x = &f->graph->nodes[f->graph->nodes[a->anchors[0]].args[0]].type;
    const sy_type *y = &f->graph->nodes[f->graph->nodes[b->anchors[0]].args[0]].type;
    return x->dim[x->rank - 1] == y->dim[y->rank - 1];
}

/* Do the two read a value of another group, or a state or input, in common? Weights do not count: sharing them saves
 * nothing. */
static bool share_input(sy_fuser *f, int32_t a, int32_t b)
{
    sy_group one, two;
    if (!sy_fuse_collect(f, a, &one, NULL) || !sy_fuse_collect(f, b, &two, NULL))
        return false;
    for (uint32_t i = 0; i < one.n_inputs; i++)
        for (uint32_t j = 0; j < two.n_inputs && !f->graph->nodes[one.inputs[i]].load_time; j++)
            if (one.inputs[i] == two.inputs[j])
                return true;
    return false;
}

/* Moves the members of `from` behind those of `to`; the newest stay newest. */
static void move_members(sy_fuser *f, int32_t from, int32_t to)
{
    sy_value first = f->groups[from].member, last = first;
    for (sy_value m = first; m; m = f->next[m]) {
        f->group[m] = to;
        last = m;
    }
    f->next[last] = f->groups[to].member;
    f->groups[to].member = first;
}

static void merge(sy_fuser *f, int32_t a, int32_t b)
{
    sy_fuse_group *x = &f->groups[a], *y = &f->groups[b], old_x = *x;
    sy_value newest_a = x->member;
    move_members(f, b, a);
    for (uint32_t i = 0; i < y->n_anchors; i++) /* in topological order: insertion */
        x->anchors[x->n_anchors++] = y->anchors[i];
    for (uint32_t i = 1; i < x->n_anchors; i++)
        for (uint32_t j = i; j > 0 && x->anchors[j - 1] > x->anchors[j]; j--) {
            sy_value swap = x->anchors[j];
            x->anchors[j] = x->anchors[j - 1];
            x->anchors[j - 1] = swap;
        }
    if (sy_fuse_fits(f, a)) {
        x->n_members += y->n_members;
        y->dissolved = true;
        y->member = 0;
        return;
    }
    /* Undo: what was b's stands in front of a's newest. */
    sy_value m = y->member, last = m;
    for (; m != newest_a; m = f->next[m]) {
        f->group[m] = b;
        last = m;
    }
    f->next[last] = 0;
    *x = old_x;
}

void sy_fuse_merge_siblings(sy_fuser *f)
{
    for (uint32_t a = 0; a < f->n_groups; a++)
        for (uint32_t b = a + 1; b < f->n_groups && b <= a + WINDOW; b++)
            if (same_shape_of_work(f, &f->groups[a], &f->groups[b]) && share_input(f, (int32_t)a, (int32_t)b) &&
                !sy_fuse_group_reaches(f, (int32_t)a, (int32_t)b) && !sy_fuse_group_reaches(f, (int32_t)b, (int32_t)a))
                merge(f, (int32_t)a, (int32_t)b);
}

/* The last of the chain of reshapes and transposes that alone uses `value`; `value` itself if there is none. */
static sy_value end_of_chain(const sy_fuser *f, sy_value value, bool *transposes)
{
    while (f->first_user[value + 1] - f->first_user[value] == 1) {
        sy_value user = f->users[f->first_user[value]];
        sy_op op = f->graph->nodes[user].op;
        if (f->role[user] != SY_ROLE_VIEW || (op != SY_OP_RESHAPE && op != SY_OP_TRANSPOSE))
            break;
        *transposes |= op == SY_OP_TRANSPOSE;
        value = user;
    }
    return value;
}

void sy_fuse_sink_views(sy_fuser *f)
{
    for (uint32_t g = 0; g < f->n_groups; g++) {
        sy_fuse_group *group = &f->groups[g];
        if (group->dissolved || group->kind == SY_GROUP_ROUTE)
            continue;
        bool alone = group->kind != SY_GROUP_MAP || !f->next[group->member];
        for (sy_value m = group->member, next; m; m = next) {
            next = f->next[m];
            bool transposes = false;
            sy_value last = f->is_end[m] || m == group->moments ? m : end_of_chain(f, m, &transposes);
            /* Used by nobody in the end: the chain ends in a view that a group reads, or it would be dead. */
            if (last == m || !sy_fuse_is_output(f, m) || (transposes && !alone))
                continue;
            sy_fuse_add_member(f, (int32_t)g, last, 0);
        }
    }
}
