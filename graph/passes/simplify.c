/* Simplify: the graph is built anew, each node as cheap as the rules know (simplify_algebra.c, simplify_view.c,
 * simplify_fold.c), equal computations once, dead code left behind; again until a round changes nothing.
 *
 * Sound because each rule gives an equal value (up to rounding where it says so), ops are pure functions of
 * arguments, attributes and type (random_normal too: it is counter-based), and a node without a use cannot be seen.
 * Each rule makes the graph smaller or moves a view or a cast one way only, so rounds end; the bound guards against a
 * mistake in that. */
#include "graph/passes/simplify.h"
#include "graph/passes/passes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 64 };

bool sy_is_splat(const sy_graph *graph, sy_value value, double *number)
{
    const sy_node *node = &graph->nodes[value];
    if (node->op != SY_OP_CONST || node->attributes.values.count != 1)
        return false;
    *number = node->attributes.values.data[0];
    return true;
}

static bool commutes(const sy_node *node)
{
    return node->op == SY_OP_ADD || node->op == SY_OP_MUL || node->op == SY_OP_MIN || node->op == SY_OP_MAX ||
           node->op == SY_OP_EQUAL;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = mix(hash, bytes[i]);
    return hash;
}

static uint64_t hash_of(const sy_node *node)
{
    uint64_t hash = mix(0, node->op);
    if (commutes(node)) {
        hash = mix(hash, (uint64_t)node->args[0] + node->args[1]);
    } else {
        for (uint32_t i = 0; i < node->n_args; i++)
            hash = mix(hash, node->args[i]);
    }
    hash = mix_bytes(hash, node->type.dim, sizeof node->type.dim);
    hash = mix(hash, node->type.dtype);
#define SY_MIX_I(name) hash = mix(hash, (uint32_t)node->attributes.name);
#define SY_MIX_L(name) hash = mix_bytes(hash, node->attributes.name, sizeof node->attributes.name);
#define SY_MIX_F(name) hash = mix_bytes(hash, &node->attributes.name, sizeof node->attributes.name);
#define SY_MIX_V(name) hash = mix_bytes(hash, node->attributes.name.data, node->attributes.name.count * sizeof(double));
#define X(kind, name)  SY_MIX_##kind(name)
    SY_ATTRIBUTE_LIST(X)
#undef X
    return node->name ? mix_bytes(hash, node->name, strlen(node->name)) : hash;
}

static bool same_attributes(const sy_attributes *a, const sy_attributes *b)
{
#define SY_SAME_I(name) a->name == b->name
#define SY_SAME_L(name) !memcmp(a->name, b->name, sizeof a->name)
#define SY_SAME_F(name) !memcmp(&a->name, &b->name, sizeof a->name)
#define SY_SAME_V(name)                                                                                                \
    (a->name.count == b->name.count &&                                                                                 \
     (!a->name.count || !memcmp(a->name.data, b->name.data, a->name.count * sizeof(double))))
#define X(kind, name) &&SY_SAME_##kind(name)
    return true SY_ATTRIBUTE_LIST(X);
#undef X
}

static bool same(const sy_node *a, const sy_node *b)
{
    if (a->op != b->op || a->n_args != b->n_args || !sy_type_equal(&a->type, &b->type) || !a->name != !b->name ||
        (a->name && strcmp(a->name, b->name)) || !same_attributes(&a->attributes, &b->attributes))
        return false;
    if (commutes(a) && a->args[0] == b->args[1] && a->args[1] == b->args[0])
        return true;
    return !a->n_args || !memcmp(a->args, b->args, a->n_args * sizeof *a->args);
}

static bool grow_table(sy_simplifier *s)
{
    uint32_t room = s->room ? s->room * 2 : 256;
    sy_value *table = room > s->room ? calloc(room, sizeof *table) : NULL;
    if (!table) {
        sy_fail(&s->graph->error, SY_CODE_OUT_OF_MEMORY, "no memory to simplify the graph.");
        return false;
    }
    for (uint32_t i = 0; i < s->room; i++) {
        if (!s->table[i])
            continue;
        uint32_t slot = (uint32_t)hash_of(&s->graph->nodes[s->table[i]]) & (room - 1);
        while (table[slot])
            slot = (slot + 1) & (room - 1);
        table[slot] = s->table[i];
    }
    free(s->table);
    s->table = table;
    s->room = room;
    return true;
}

sy_value sy_simplify_share(sy_simplifier *s, const sy_node *node)
{
    if (s->used * 2 >= s->room && !grow_table(s))
        return 0;
    uint32_t slot = (uint32_t)hash_of(node) & (s->room - 1);
    for (; s->table[slot]; slot = (slot + 1) & (s->room - 1))
        if (same(&s->graph->nodes[s->table[slot]], node))
            return s->table[slot];
    sy_value made =
        sy_graph_add(s->graph, node->op, node->args, node->n_args, &node->attributes, &node->type, node->name);
    s->table[slot] = made;
    s->used += made != 0;
    return made;
}

static sy_value simplified(sy_simplifier *s, const sy_node *node, bool *changed)
{
    sy_value better = sy_simplify_fold(s, node);
    if (!better)
        better = sy_simplify_view(s, node);
    if (!better)
        better = sy_simplify_algebra(s, node);
    *changed |= better != 0;
    return better ? better : sy_simplify_share(s, node);
}

/* One round over the graph. */
static bool simplify_once(sy_plan *plan, bool *changed, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    sy_simplifier s = {.graph = rewrite.graph};
    const sy_graph *old = plan->graph;
    uint32_t before = old->n_nodes;
    sy_value few[8];
    for (sy_value v = 1; v < old->n_nodes && rewrite.graph->error.code == SY_CODE_OK; v++) {
        if (!rewrite.live[v])
            continue;
        sy_node node = old->nodes[v];
        node.args = node.n_args <= 8 ? few : malloc(node.n_args * sizeof *node.args);
        if (!node.args) {
            sy_fail(&rewrite.graph->error, SY_CODE_OUT_OF_MEMORY, "no memory to simplify the graph.");
            break;
        }
        for (uint32_t i = 0; i < node.n_args; i++)
            node.args[i] = rewrite.map[old->nodes[v].args[i]];
        sy_rewrite_scope(&rewrite, v);
        rewrite.map[v] = simplified(&s, &node, changed);
        if (node.args != few)
            free(node.args);
    }
    free(s.table);
    if (!sy_rewrite_end(&rewrite, plan, error))
        return false;
    *changed |= plan->graph->n_nodes < before;
    return true;
}

bool sy_pass_simplify(sy_plan *plan, sy_error *error)
{
    bool changed = true;
    for (int round = 0; changed && round < MAX_ROUNDS; round++) {
        changed = false;
        if (!simplify_once(plan, &changed, error))
            return false;
    }
    return true;
}
