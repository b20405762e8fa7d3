/* Matmuls that read the same few rows and differ only in their weights become one matmul over the weights side by side
 * (joined at load time) and slices of its result: the adaLN projections of all blocks are then one dispatch per step.
 * If each of them has a bias added, and nothing else sees the sum before the bias, the biases are joined and added too.
 *
 * Sound: column n of a matmul depends on column n of its right argument alone. Worth it only for few rows, where a
 * matmul is bound by reading weights and by being launched; with many rows each one fills the device by itself.
 * Joined weights must stay within what a device binds at once; what is more makes a further matmul. The joined node
 * must stand after all weights, which depend on leaves alone and so can be copied early. */
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 64, MOST_PARTS = 1024 };

typedef struct merge {
    const sy_graph *graph;
    const bool *live;
    uint32_t *uses;
    uint64_t most_bytes; /* of joined weights */
    sy_value *only_user; /* by value: its user, if it has one use and that is an argument */
    sy_rewrite *rewrite;
} merge;

/* The members of one merged matmul. */
typedef struct members {
    sy_value *matmuls, *sums; /* sums[i]: matmul i with its bias, or the matmul itself */
    sy_value *biases;         /* NULL: without */
    uint32_t n;
} members;

static const sy_node *at(const merge *m, sy_value value)
{
    return &m->graph->nodes[value];
}

static bool mergeable(const merge *m, sy_value value)
{
    const sy_node *node = at(m, value);
    if (!m->live[value] || node->op != SY_OP_MATMUL || node->load_time || !at(m, node->args[1])->load_time)
        return false;
    const sy_type *left = &at(m, node->args[0])->type;
    return at(m, node->args[1])->type.rank == 2 &&
           sy_type_count(left) / (uint64_t)left->dim[left->rank - 1] <= MOST_ROWS;
}

/* Weights that can lie side by side. */
static bool fits(const merge *m, sy_value a, sy_value b)
{
    const sy_node *x = at(m, a), *y = at(m, b);
    return x->args[0] == y->args[0] && x->attributes.transpose_b == y->attributes.transpose_b &&
           at(m, x->args[1])->type.dtype == at(m, y->args[1])->type.dtype;
}

/* The value that adds a bias[N] to the matmul and is its only use; 0 if there is none. */
static sy_value sum_of(const merge *m, sy_value matmul, sy_value *bias)
{
    sy_value sum = m->only_user[matmul];
    if (!sum || at(m, sum)->op != SY_OP_ADD || !sy_type_equal(&at(m, sum)->type, &at(m, matmul)->type))
        return 0;
    *bias = at(m, sum)->args[at(m, sum)->args[0] == matmul];
    const sy_node *node = at(m, *bias);
    const sy_type *type = &at(m, matmul)->type;
    return node->load_time && node->type.rank == 1 && node->type.dim[0] == type->dim[type->rank - 1] ? sum : 0;
}

static sy_value add(merge *m, sy_op op, const sy_value *args, uint32_t n, const sy_attributes *attributes)
{
    return sy_graph_add(m->rewrite->graph, op, args, n, attributes, NULL, NULL);
}

/* What joins the parts of many scopes stands in none. */
static void no_scope(merge *m)
{
    m->rewrite->graph->scope = "";
    m->rewrite->scope = NULL;
}

/* The joined weights or biases: new values of old[0 … n-1], side by side. */
static sy_value joined(merge *m, const sy_value *old, uint32_t n, int axis, sy_error *error)
{
    sy_value parts[MOST_PARTS];
    for (uint32_t i = 0; i < n; i++)
        if (!(parts[i] = sy_rewrite_need(m->rewrite, old[i], error)))
            return 0;
    no_scope(m);
    return add(m, SY_OP_CONCAT, parts, n, &(sy_attributes){.axis = axis});
}

/* Slices of the joined result take the place of the members. */
static void give_out(merge *m, const members *these, sy_value whole)
{
    sy_attributes start = {0};
    for (uint32_t i = 0; i < these->n && whole; i++) {
        sy_type type = at(m, these->matmuls[i])->type;
        sy_rewrite_scope(m->rewrite, these->matmuls[i]);
        sy_value slice = sy_graph_add(m->rewrite->graph, SY_OP_SLICE, &whole, 1, &start, &type, NULL);
        m->rewrite->map[these->sums[i]] = slice;
        start.ints[type.rank - 1] += type.dim[type.rank - 1];
    }
}

static bool merge_these(merge *m, const members *these, sy_error *error)
{
    const sy_node *first = at(m, these->matmuls[0]);
    sy_value weights[MOST_PARTS];
    for (uint32_t i = 0; i < these->n; i++)
        weights[i] = at(m, these->matmuls[i])->args[1];
    sy_value weight = joined(m, weights, these->n, first->attributes.transpose_b ? 0 : 1, error);
    sy_value bias = these->biases ? joined(m, these->biases, these->n, 0, error) : 0;
    sy_attributes attributes = {.transpose_b = first->attributes.transpose_b};
    no_scope(m);
    sy_value whole = add(m, SY_OP_MATMUL, (sy_value[]){m->rewrite->map[first->args[0]], weight}, 2, &attributes);
    if (these->biases)
        whole = add(m, SY_OP_ADD, (sy_value[]){whole, bias}, 2, NULL);
    give_out(m, these, whole);
    return sy_graph_check(m->rewrite->graph, error);
}

/* Collects what can be merged with matmul `first`, itself included; all with bias or all without. */
static void collect(const merge *m, sy_value first, members *these)
{
    sy_value bias;
    bool with_bias = sum_of(m, first, &bias) != 0;
    int64_t columns = 0;
    uint64_t bytes = 0;
    these->n = 0;
    for (sy_value v = first; v < m->graph->n_nodes && these->n < MOST_PARTS; v++) {
        if (m->rewrite->map[v] || !mergeable(m, v) || !fits(m, first, v))
            continue;
        sy_value sum = sum_of(m, v, &bias);
        int32_t own = at(m, v)->type.dim[at(m, v)->type.rank - 1];
        uint64_t own_bytes = sy_type_bytes(&at(m, at(m, v)->args[1])->type);
        if ((sum != 0) != with_bias || columns + own > INT32_MAX || bytes + own_bytes > m->most_bytes)
            continue;
        columns += own;
        bytes += own_bytes;
        these->matmuls[these->n] = v;
        these->sums[these->n] = with_bias ? sum : v;
        these->biases[these->n++] = bias;
    }
    if (!with_bias)
        these->biases = NULL;
}

static bool rewrite_all(merge *m, sy_error *error)
{
    sy_value matmuls[MOST_PARTS], sums[MOST_PARTS], biases[MOST_PARTS];
    for (sy_value v = 1; v < m->graph->n_nodes; v++) {
        if (!m->live[v] || m->rewrite->map[v])
            continue;
        members these = {.matmuls = matmuls, .sums = sums, .biases = biases};
        if (mergeable(m, v))
            collect(m, v, &these);
        if (these.n < 2) {
            sy_rewrite_copy(m->rewrite, v);
        } else {
            if (!merge_these(m, &these, error))
                return false;
            /* With biases the bare matmuls are gone; a value of their own keeps the walk from meeting them again. */
            for (uint32_t i = 0; i < these.n; i++)
                if (!m->rewrite->map[these.matmuls[i]])
                    m->rewrite->map[these.matmuls[i]] = m->rewrite->map[these.sums[i]];
        }
    }
    return true;
}

bool sy_pass_merge_matmuls(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    const sy_graph *graph = plan->graph;
    merge m = {.graph = graph, .live = rewrite.live, .rewrite = &rewrite};
    m.most_bytes = plan->limits.storage_range < plan->limits.allocation_bytes ? plan->limits.storage_range
                                                                              : plan->limits.allocation_bytes;
    m.uses = calloc(graph->n_nodes, sizeof *m.uses);
    m.only_user = calloc(graph->n_nodes, sizeof *m.only_user);
    bool fine = m.uses && m.only_user;
    if (fine) {
        sy_graph_uses(graph, rewrite.live, m.uses);
        for (sy_value v = 1; v < graph->n_nodes; v++)
            for (uint32_t i = 0; rewrite.live[v] && i < graph->nodes[v].n_args; i++)
                if (m.uses[graph->nodes[v].args[i]] == 1)
                    m.only_user[graph->nodes[v].args[i]] = v;
        fine = rewrite_all(&m, error);
    } else {
        sy_no_memory(error);
    }
    free(m.uses);
    free(m.only_user);
    if (fine)
        return sy_rewrite_end(&rewrite, plan, error);
    sy_rewrite_abandon(&rewrite);
    return false;
}
