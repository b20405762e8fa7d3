/* When an op may join a group that makes one of its arguments. The rules are those plan.h states for groups; each join
 * is checked three ways: indices (every element needs only anchor elements that are at hand), order (nothing else the
 * op reads may wait for the group: groups stay without cycles), and buffers (what the group binds fits the device). */
#include "graph/emit/manifest.h"
#include "graph/passes/fuse.h"

#include <stdlib.h>
#include <string.h>

int32_t sy_fuse_new_group(sy_fuser *f, sy_group_kind kind, sy_value first, bool anchor)
{
    const sy_type *type = &f->graph->nodes[first].type;
    sy_fuse_group *g = &f->groups[f->n_groups]; /* room for one a node */
    *g = (sy_fuse_group){.kind = kind, .elements = type->is_route ? 0 : sy_type_count(type)};
    if (anchor)
        g->anchors[g->n_anchors++] = first;
    if (kind == SY_GROUP_ROW) {
        const sy_type *x = &f->graph->nodes[f->graph->nodes[first].args[0]].type;
        g->rows = sy_type_count(x) / (uint64_t)x->dim[x->rank - 1];
        g->elements = 0;
    }
    sy_fuse_add_member(f, (int32_t)f->n_groups, first, 0);
    return (int32_t)f->n_groups++;
}

void sy_fuse_add_member(sy_fuser *f, int32_t group, sy_value value, uint32_t layout)
{
    f->role[value] = SY_ROLE_MEMBER;
    f->group[value] = group;
    f->layout[value] = layout;
    f->next[value] = f->groups[group].member;
    f->groups[group].member = value;
    f->groups[group].n_members++;
}

/* Takes back the newest member. */
static void remove_newest(sy_fuser *f, int32_t group)
{
    sy_value value = f->groups[group].member;
    f->groups[group].member = f->next[value];
    f->groups[group].n_members--;
    f->role[value] = SY_ROLE_NONE;
    f->group[value] = -1;
    f->next[value] = 0;
}

static bool join_if_fits(sy_fuser *f, int32_t group, sy_value value, uint32_t layout)
{
    if (f->groups[group].n_members >= SY_FUSE_MEMBERS)
        return false;
    sy_fuse_add_member(f, group, value, layout);
    if (sy_fuse_fits(f, group))
        return true;
    remove_newest(f, group);
    return false;
}

/* The id of `before` followed by a transpose; UINT32_MAX when memory is out, which equals no other. */
static uint32_t layout_after(sy_fuser *f, uint32_t before, const sy_node *transpose)
{
    const sy_type *x = &f->graph->nodes[transpose->args[0]].type;
    sy_fuse_layout wanted = {.before = before, .rank = x->rank};
    memcpy(wanted.dims, x->dim, sizeof wanted.dims);
    memcpy(wanted.perm, transpose->attributes.ints, sizeof wanted.perm);
    for (uint32_t i = 0; i < f->n_layouts; i++) {
        const sy_fuse_layout *l = &f->layouts[i];
        if (l->before == before && l->rank == wanted.rank && !memcmp(l->dims, wanted.dims, sizeof l->dims) &&
            !memcmp(l->perm, wanted.perm, sizeof l->perm))
            return i + 1;
    }
    if (f->n_layouts == f->layouts_room) {
        uint32_t room = f->layouts_room ? f->layouts_room * 2 : 16;
        sy_fuse_layout *layouts = realloc(f->layouts, room * sizeof *layouts);
        if (!layouts)
            return UINT32_MAX;
        f->layouts = layouts;
        f->layouts_room = room;
    }
    f->layouts[f->n_layouts++] = wanted;
    return f->n_layouts;
}

bool sy_fuse_spine(sy_fuser *f, int32_t group, sy_value value, uint32_t *layout, sy_value *member)
{
    enum { DEEPEST = 16 };
    sy_value chain[DEEPEST];
    int n = 0;
    while (f->role[value] == SY_ROLE_VIEW) {
        sy_op op = f->graph->nodes[value].op;
        if ((op != SY_OP_RESHAPE && op != SY_OP_TRANSPOSE) || n == DEEPEST)
            return false;
        chain[n++] = value;
        value = f->graph->nodes[value].args[0];
    }
    if (f->role[value] != SY_ROLE_MEMBER || f->group[value] != group || f->groups[group].moments == value)
        return false;
    *layout = f->layout[value];
    *member = value;
    while (n-- > 0)
        if (f->graph->nodes[chain[n]].op == SY_OP_TRANSPOSE)
            *layout = layout_after(f, *layout, &f->graph->nodes[chain[n]]);
    return *layout != UINT32_MAX;
}

static uint64_t count_of(const sy_fuser *f, sy_value value)
{
    return sy_type_count(&f->graph->nodes[value].type);
}

/* Element-wise behind a MATMUL, ATTENTION or MAP group: at least one argument on the spine, unbroadcast; all such in
 * one layout. */
static bool fits_elements(sy_fuser *f, int32_t group, sy_value value, uint32_t *layout)
{
    const sy_node *node = &f->graph->nodes[value];
    bool found = false;
    if (!sy_op_is_elementwise(node->op) || count_of(f, value) != f->groups[group].elements)
        return false;
    for (uint32_t i = 0; i < node->n_args; i++) {
        uint32_t own;
        sy_value member;
        if (sy_fuse_spine(f, group, node->args[i], &own, &member) && count_of(f, node->args[i]) == count_of(f, value)) {
            if (found && own != *layout)
                return false;
            *layout = own;
            found = true;
        } else if (sy_fuse_reaches(f, node->args[i], group)) {
            return false;
        }
    }
    return found && (*layout == 0 || f->groups[group].kind != SY_GROUP_MAP);
}

/* Is `type`, with a last dimension of 1, one value a row of `whole`, whose rows run over its last dimension? */
static bool one_a_row(const sy_type *type, const sy_type *whole)
{
    if (type->rank > whole->rank || type->dim[type->rank - 1] != 1)
        return false;
    for (int d = 0; d < whole->rank - 1; d++) {
        int own = d - (whole->rank - type->rank);
        if ((own >= 0 ? type->dim[own] : 1) != whole->dim[d])
            return false;
    }
    return true;
}

/* Is `value` a row value of `group`, readable at the index of an op of type `at`, of the same row? Sets *reads_group if
 * it is. */
static bool fits_row_argument(sy_fuser *f, int32_t group, sy_value value, const sy_type *at, bool *reads_group)
{
    uint32_t layout;
    sy_value member;
    if (f->role[value] == SY_ROLE_VIEW && f->graph->nodes[value].op == SY_OP_BROADCAST) {
        const sy_type *type = &f->graph->nodes[value].type;
        sy_value x = f->graph->nodes[value].args[0];
        if (sy_type_count(type) == sy_type_count(at) && one_a_row(&f->graph->nodes[x].type, type) &&
            sy_fuse_spine(f, group, x, &layout, &member) && layout == 0 &&
            sy_type_count(type) / f->groups[group].rows == (uint64_t)type->dim[type->rank - 1]) {
            *reads_group = true;
            return true;
        }
    }
    if (!sy_fuse_spine(f, group, value, &layout, &member))
        return !sy_fuse_reaches(f, value, group);
    *reads_group = true;
    if (layout != 0)
        return false;
    const sy_type *type = &f->graph->nodes[value].type;
    if (sy_type_count(type) == sy_type_count(at))
        return true;
    return sy_type_count(type) == f->groups[group].rows && one_a_row(type, at);
}

static bool fits_rows(sy_fuser *f, int32_t group, sy_value value)
{
    const sy_node *node = &f->graph->nodes[value];
    bool reads_group = false;
    if (!sy_op_is_elementwise(node->op) || sy_type_count(&node->type) % f->groups[group].rows)
        return false;
    for (uint32_t i = 0; i < node->n_args; i++)
        if (!fits_row_argument(f, group, node->args[i], &node->type, &reads_group))
            return false;
    return reads_group;
}

/* Do the rows of `value` (over its last dimension) coincide with the group's rows? */
static bool same_rows(const sy_fuser *f, int32_t group, sy_value value)
{
    const sy_type *type = &f->graph->nodes[value].type;
    return sy_type_count(type) == f->groups[group].rows * (uint64_t)type->dim[type->rank - 1];
}

/* Is `value` on the spine, in rows that are still the group's? */
static bool row_value(sy_fuser *f, int32_t group, sy_value value)
{
    uint32_t layout;
    sy_value member;
    return sy_fuse_spine(f, group, value, &layout, &member) && layout == 0 && same_rows(f, group, value);
}

/* take_last(x, ids): any column of the own row. */
static bool fits_take_last(sy_fuser *f, int32_t group, sy_value value)
{
    const sy_node *node = &f->graph->nodes[value];
    if (node->op != SY_OP_TAKE_LAST || !same_rows(f, group, value))
        return false;
    bool inside = false;
    for (int i = 0; i < 2; i++) {
        if (row_value(f, group, node->args[i]))
            inside = true;
        else if (sy_fuse_reaches(f, node->args[i], group))
            return false;
    }
    return inside;
}

static bool join_as_epilogue(sy_fuser *f, int32_t group, sy_value value)
{
    uint32_t layout = 0;
    if (f->groups[group].kind == SY_GROUP_ROUTE)
        return false;
    bool may = f->groups[group].kind == SY_GROUP_ROW ? fits_rows(f, group, value) || fits_take_last(f, group, value)
                                                     : fits_elements(f, group, value, &layout);
    return may && join_if_fits(f, group, value, layout);
}

/* The groups that make arguments of `value`, latest first: the later a group, the less can stand between it and the op.
 */
static uint32_t candidates(const sy_fuser *f, sy_value value, int32_t out[4])
{
    const sy_node *node = &f->graph->nodes[value];
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_args && i < 3; i++) {
        sy_value base = sy_fuse_through_views(f, node->args[i]);
        if (f->role[base] != SY_ROLE_MEMBER)
            continue;
        uint32_t at = n;
        while (at > 0 && out[at - 1] < f->group[base])
            at--;
        if (at > 0 && out[at - 1] == f->group[base])
            continue;
        memmove(out + at + 1, out + at, (n - at) * sizeof *out);
        out[at] = f->group[base];
        n++;
    }
    return n;
}

bool sy_fuse_join_epilogue(sy_fuser *f, sy_value value)
{
    int32_t groups[4];
    uint32_t n = candidates(f, value, groups);
    for (uint32_t i = 0; i < n; i++)
        if (join_as_epilogue(f, groups[i], value))
            return true;
    return false;
}

static bool add_row_anchor(sy_fuser *f, int32_t group, sy_value value)
{
    sy_fuse_group *g = &f->groups[group];
    if (g->kind != SY_GROUP_ROW || g->n_anchors == SY_GROUP_ANCHORS || !join_if_fits(f, group, value, 0))
        return false;
    g->anchors[g->n_anchors++] = value;
    return true;
}

/* Behind the group that makes the argument; or beside another ROW op over the same argument, which waits for nothing
 * that this one does not wait for. */
bool sy_fuse_join_rows(sy_fuser *f, sy_value value)
{
    sy_value x = f->graph->nodes[value].args[0], base = sy_fuse_through_views(f, x);
    if (f->role[base] == SY_ROLE_MEMBER && f->groups[f->group[base]].kind == SY_GROUP_ROW &&
        row_value(f, f->group[base], x) && add_row_anchor(f, f->group[base], value))
        return true;
    for (uint32_t i = f->first_user[x]; i < f->first_user[x + 1] && f->users[i] < value; i++) {
        sy_value other = f->users[i];
        bool row = sy_op_get(f->graph->nodes[other].op)->class == SY_CLASS_ROW && f->role[other] == SY_ROLE_MEMBER;
        if (row && add_row_anchor(f, f->group[other], value))
            return true;
    }
    return false;
}

bool sy_fuse_join_moments(sy_fuser *f, sy_value value)
{
    sy_value x = f->graph->nodes[value].args[0], base = sy_fuse_through_views(f, x), member;
    uint32_t layout;
    if (f->role[base] != SY_ROLE_MEMBER)
        return false;
    int32_t group = f->group[base];
    sy_fuse_group *g = &f->groups[group];
    sy_group then = {.kind = g->kind, .n_anchors = 1, .outputs = {value}, .n_outputs = 1};
    if ((g->kind != SY_GROUP_CONV && g->kind != SY_GROUP_MATMUL) || g->n_anchors != 1 || g->moments ||
        !sy_moments_fit(f->graph, g->anchors[0], x) || !sy_fuse_spine(f, group, x, &layout, &member) || layout != 0)
        return false;
    then.anchors[0] = g->anchors[0];
    sy_problem problem = sy_problem_of(f->plan, &then);
    if (!sy_choose_variant(&problem, &f->plan->limits, NULL) || !join_if_fits(f, group, value, 0))
        return false;
    g->moments = value;
    return true;
}

bool sy_fuse_join_end(sy_fuser *f, sy_value view)
{
    sy_value x = f->graph->nodes[view].args[0], base = sy_fuse_through_views(f, x), member;
    uint32_t layout;
    if (f->role[base] != SY_ROLE_MEMBER)
        return false;
    int32_t group = f->group[base];
    sy_op op = f->graph->nodes[view].op;
    if ((op != SY_OP_RESHAPE && op != SY_OP_TRANSPOSE) || f->groups[group].kind == SY_GROUP_ROUTE ||
        !sy_fuse_spine(f, group, x, &layout, &member))
        return false;
    if (op == SY_OP_TRANSPOSE)
        layout = layout_after(f, layout, &f->graph->nodes[view]);
    if (layout == UINT32_MAX || (layout != 0 && f->groups[group].kind == SY_GROUP_MAP))
        return false;
    return join_if_fits(f, group, view, layout);
}

static sy_value only_user(const sy_fuser *f, sy_value value)
{
    bool one = f->first_user[value + 1] - f->first_user[value] == 1 && !f->is_end[value];
    return one ? f->users[f->first_user[value]] : 0;
}

/* The op with two arguments where a chain of element-wise ops from `value`, each the only use of the last, meets
 * another value of the same size that depends on `other`: gate x up. 0: the chain ends before. */
static sy_value meeting_point(const sy_fuser *f, sy_value value, sy_value other)
{
    enum { LONGEST = 6 };
    sy_value ours = value;
    for (int i = 0; i < LONGEST; i++) {
        sy_value theirs = other;
        for (int j = 0; j < LONGEST && theirs; j++) {
            if (ours == theirs)
                return ours;
            theirs = only_user(f, theirs);
            if (theirs && !sy_op_is_elementwise(f->graph->nodes[theirs].op))
                break;
        }
        ours = only_user(f, ours);
        if (!ours || !sy_op_is_elementwise(f->graph->nodes[ours].op))
            return 0;
    }
    return 0;
}

/* Stored before any dispatch, perhaps read through a cast. */
static bool is_weight(const sy_graph *graph, sy_value value)
{
    const sy_node *node = &graph->nodes[value];
    /* under the cast to f32 and the views that read panels (see hoist) */
    while (!node->load_time && (node->op == SY_OP_CAST || node->op == SY_OP_RESHAPE || node->op == SY_OP_TRANSPOSE))
        node = &graph->nodes[node->args[0]];
    return node->load_time;
}

bool sy_fuse_join_pair(sy_fuser *f, sy_value value)
{
    const sy_graph *graph = f->graph;
    const sy_node *node = &graph->nodes[value];
    if (!is_weight(graph, node->args[1]))
        return false;
    for (uint32_t i = f->first_user[node->args[0]]; i < f->first_user[node->args[0] + 1]; i++) {
        sy_value other = f->users[i];
        const sy_node *first = &graph->nodes[other];
        if (other >= value || first->op != node->op || f->role[other] != SY_ROLE_MEMBER ||
            f->groups[f->group[other]].n_anchors != 1 || f->groups[f->group[other]].moments || first->args[0] != node->args[0] ||
            !is_weight(graph, first->args[1]) || (node->n_args > 2 && first->args[2] != node->args[2]) ||
            !sy_type_equal(&graph->nodes[first->args[1]].type, &graph->nodes[node->args[1]].type) ||
            first->attributes.transpose_b != node->attributes.transpose_b ||
            first->attributes.gather != node->attributes.gather || !meeting_point(f, other, value))
            continue;
        if (!join_if_fits(f, f->group[other], value, 0))
            continue;
        sy_fuse_group *g = &f->groups[f->group[other]];
        g->anchors[g->n_anchors++] = value;
        return true;
    }
    return false;
}
