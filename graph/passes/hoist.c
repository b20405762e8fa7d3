/* What depends on weights and constants alone is computed once, when weights are loaded. This pass says what
 * (load_time), and puts matmul weights in the layout kernels want: right arguments as [K,N] ([E,K,N]), so that
 * neighbouring columns, which neighbouring lanes compute, lie side by side (those of convolutions are so already: a
 * matrix a tap); wide ones in panels of PANEL columns,
 * [N / PANEL,K,PANEL], so that what one workgroup reads is one run of memory (read through views that give back [K,N]).
 *
 * Not all that could be computed early should be stored: a view, a cast to a wider type or an op that repeats its
 * arguments many times over costs little where it is read and much to keep. So from the users backwards such values are
 * given back to the kernels that read them. A route of constants is made early as well (patterns of sparse attention), but
 * not one with grouped consumers: their tiles, and the sizes of their dispatches, are made on the device.
 *
 * Sound: load-time values depend on nothing that changes from run to run; transposing both the weight and the flag that
 * says how it is read changes nothing. */
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include <stdlib.h>
#include <string.h>

static bool early(const sy_graph *graph, const sy_node *node)
{
    if (!node->n_args)
        return node->op == SY_OP_PARAM || node->op == SY_OP_CONST || node->op == SY_OP_IOTA;
    if (node->type.is_route && node->op != SY_OP_ROUTE_BUILD)
        return false;
    for (uint32_t i = 0; i < node->n_args; i++)
        if (!graph->nodes[node->args[i]].load_time)
            return false;
    return true;
}

static bool widens(const sy_graph *graph, const sy_node *node)
{
    return node->op == SY_OP_CAST && node->type.dtype == SY_F32 &&
           sy_type_bytes(&graph->nodes[node->args[0]].type) < sy_type_bytes(&node->type);
}

enum { PANEL = 64 };

static sy_value reshaped(sy_graph *graph, sy_value x, int rank, const int32_t *dims)
{
    sy_type type = sy_tensor(graph->nodes[x].type.dtype, rank, dims);
    return sy_graph_add(graph, SY_OP_RESHAPE, &x, 1, NULL, &type, NULL);
}

/* x with dimensions i and j exchanged. */
static sy_value exchanged(sy_graph *graph, sy_value x, int i, int j)
{
    sy_attributes perm = {0};
    for (int d = 0; d < graph->nodes[x].type.rank; d++)
        perm.ints[d] = d == i ? j : d == j ? i : d;
    return sy_graph_add(graph, SY_OP_TRANSPOSE, &x, 1, &perm, NULL, NULL);
}

/* weight[…,N,K], or […,K,N] if not `turned`, made […,K,N] at load time, in panels where that is possible; under the
 * cast to f32 if there is one, so that it is stored narrow. */
static sy_value laid_out(sy_rewrite *rewrite, sy_value old, bool turned)
{
    sy_graph *graph = rewrite->graph;
    const sy_node *node = &rewrite->old->nodes[old];
    sy_value inner = widens(rewrite->old, node) ? node->args[0] : old, made = rewrite->map[inner];
    int rank = node->type.rank;
    int32_t dims[SY_MAX_RANK], n = node->type.dim[turned ? rank - 2 : rank - 1],
                               k = node->type.dim[turned ? rank - 1 : rank - 2];
    memcpy(dims, node->type.dim, sizeof dims);
    if (made && n % PANEL == 0 && n > PANEL && rank < SY_MAX_RANK) {
        dims[rank - 2] = turned ? n / PANEL : k;
        dims[rank - 1] = turned ? PANEL : n / PANEL;
        dims[rank] = turned ? k : PANEL;
        made = reshaped(graph, made, rank + 1, dims);
        made = turned ? exchanged(graph, made, rank - 1, rank)
                      : exchanged(graph, made, rank - 2, rank - 1); /* the panels */
        made = exchanged(graph, made, rank - 2, rank - 1);
        dims[rank - 2] = k;
        dims[rank - 1] = n;
        made = made ? reshaped(graph, made, rank, dims) : 0;
    } else if (turned) {
        made = made ? exchanged(graph, made, rank - 2, rank - 1) : 0;
    }
    if (!made || inner == old)
        return made;
    sy_type type = graph->nodes[made].type;
    type.dtype = SY_F32;
    return sy_graph_add(graph, SY_OP_CAST, &made, 1, NULL, &type, NULL);
}

/* The views that read panels: reshape of transpose, back to one dimension less. */
static bool reads_panels(const sy_graph *graph, const sy_node *node)
{
    const sy_node *turn = node->op == SY_OP_RESHAPE ? &graph->nodes[node->args[0]] : NULL;
    int rank = node->type.rank;
    return turn && turn->op == SY_OP_TRANSPOSE && turn->type.rank == rank + 1 && turn->type.dim[rank] == PANEL &&
           turn->attributes.ints[rank - 1] == rank - 2;
}

static void lay_out_weights(sy_rewrite *rewrite, sy_value *columns_first)
{
    for (sy_value v = 1; v < rewrite->old->n_nodes; v++) {
        const sy_node *node = &rewrite->old->nodes[v];
        if (!rewrite->live[v])
            continue;
        if (sy_op_get(node->op)->class != SY_CLASS_MATMUL ||
            !early(rewrite->old, &rewrite->old->nodes[node->args[1]])) {
            sy_rewrite_copy(rewrite, v);
            continue;
        }
        sy_rewrite_scope(rewrite, v);
        sy_value weight = node->args[1], args[3];
        bool turned = node->attributes.transpose_b;
        sy_value *made = &columns_first[2 * weight + turned];
        if (!*made)
            *made = laid_out(rewrite, weight, turned);
        for (uint32_t i = 0; i < node->n_args; i++)
            args[i] = i == 1 ? *made : rewrite->map[node->args[i]];
        sy_attributes attributes = node->attributes;
        attributes.transpose_b = 0;
        rewrite->map[v] = sy_graph_add(rewrite->graph, node->op, args, node->n_args, &attributes, &node->type, NULL);
    }
}

/* Cheap where it is read, or large to keep? `as_weight`: read as the right argument of a matmul, where it must be
 * plain. What is cut from something larger than `most` bytes, all that a device binds at once, must be kept. */
static bool better_read(const sy_graph *graph, const sy_node *node, bool as_weight, uint64_t most)
{
    if (node->op == SY_OP_SLICE && sy_type_bytes(&graph->nodes[node->args[0]].type) > most)
        return false;
    if (widens(graph, node))
        return true;
    if (node->op == SY_OP_RESHAPE || node->op == SY_OP_SLICE || node->op == SY_OP_BROADCAST)
        return !as_weight;
    if (!sy_op_is_elementwise(node->op))
        return false;
    uint64_t arguments = 0;
    for (uint32_t i = 0; i < node->n_args; i++)
        arguments += sy_type_count(&graph->nodes[node->args[i]].type);
    return sy_type_count(&node->type) > 4 * arguments;
}

/* Marks the routes that grouped matmuls read. */
static void mark_tiled(const sy_graph *graph, bool *tiled)
{
    for (sy_value v = 1; v < graph->n_nodes; v++)
        if (graph->nodes[v].op == SY_OP_GROUPED_MATMUL)
            tiled[graph->nodes[v].args[2]] = true;
}

/* Marks what is computed early, then takes back from the users' side what is better read. */
static bool mark(sy_graph *graph, uint64_t most, sy_error *error)
{
    enum { READ = 1, READ_AS_WEIGHT = 2, READ_EARLY = 4, READ_AS_PANELS = 8 };
    unsigned char *read = calloc(graph->n_nodes, 1);
    bool *tiled = calloc(graph->n_nodes, sizeof *tiled);
    if (!read || !tiled) {
        free(read);
        free(tiled);
        return sy_no_memory(error);
    }
    mark_tiled(graph, tiled);
    for (sy_value v = 1; v < graph->n_nodes; v++)
        graph->nodes[v].load_time = !tiled[v] && early(graph, &graph->nodes[v]);
    free(tiled);
    for (uint32_t e = 0; e < graph->n_ends; e++)
        read[graph->ends[e].value] |= READ;
    for (sy_value v = graph->n_nodes; v-- > 1;) {
        sy_node *node = &graph->nodes[v];
        bool panels = reads_panels(graph, node);
        if (node->load_time && read[v] && !(read[v] & READ_EARLY) &&
            (panels || (read[v] & READ_AS_PANELS) || better_read(graph, node, read[v] & READ_AS_WEIGHT, most)))
            node->load_time = false;
        bool matmul = sy_op_get(node->op)->class == SY_CLASS_MATMUL;
        bool cast_weight = node->op == SY_OP_CAST && (read[v] & READ_AS_WEIGHT);
        for (uint32_t i = 0; i < node->n_args; i++)
            read[node->args[i]] |= node->load_time                     ? READ_EARLY
                                   : panels                            ? READ_AS_PANELS
                                   : (matmul && i == 1) || cast_weight ? READ_AS_WEIGHT
                                                                       : READ;
    }
    free(read);
    return true;
}

bool sy_pass_hoist(sy_plan *plan, sy_error *error)
{
    sy_rewrite rewrite;
    if (!sy_rewrite_begin(&rewrite, plan->graph, error))
        return false;
    sy_value *columns_first = calloc(2 * (size_t)plan->graph->n_nodes, sizeof *columns_first);
    if (columns_first)
        lay_out_weights(&rewrite, columns_first);
    else
        sy_no_memory(&rewrite.graph->error);
    free(columns_first);
    uint64_t most = plan->limits.storage_range ? plan->limits.storage_range : UINT64_MAX;
    return sy_rewrite_end(&rewrite, plan, error) && sy_rewrite_sweep(plan, error) && mark(plan->graph, most, error);
}
