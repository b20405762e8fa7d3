/* Graphs: making, copying, adding nodes and ends. Every node goes through sy_graph_add, which checks arity,
 * attributes and types before the node exists, so a graph without error is well-formed by construction. */
#include "graph/ir/attribute.h"
#include "graph/ir/syntax.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(sy_graph *graph)
{
    return sy_fail(&graph->error, SY_CODE_OUT_OF_MEMORY, "no memory for graph \"%s\" with %u values.",
                   graph->name ? graph->name : "", graph->n_nodes);
}

sy_graph *sy_graph_create(const char *name)
{
    sy_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return NULL;
    graph->room = 256;
    graph->nodes = calloc(graph->room, sizeof *graph->nodes);
    graph->name = sy_arena_string(&graph->arena, name ? name : "");
    if (graph->name && strlen(graph->name) > SY_MAX_NAME)
        sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "a graph's name has at most %d bytes.", SY_MAX_NAME);
    if (!graph->nodes || !graph->name) {
        sy_graph_destroy(&graph);
        return NULL;
    }
    graph->n_nodes = 1;
    graph->nodes[0].scope = "";
    graph->nodes[0].group = -1;
    graph->scope = "";
    return graph;
}

void sy_graph_destroy(sy_graph **graph)
{
    if (!graph || !*graph)
        return;
    free((*graph)->nodes);
    free((*graph)->ends);
    sy_arena_free(&(*graph)->arena);
    free(*graph);
    *graph = NULL;
}

/* Doubles the room of an array that is full. */
static bool grow(void **array, uint32_t used, uint32_t *room, size_t size)
{
    if (used < *room)
        return true;
    uint32_t more = *room ? *room * 2 : 16;
    void *data = more > *room ? realloc(*array, more * size) : NULL;
    if (!data)
        return false;
    *array = data;
    *room = more;
    return true;
}

static bool check_shape_of_call(sy_graph *graph, const sy_op_info *info, const sy_node *node)
{
    if (node->n_args < info->least || node->n_args > info->most) {
        if (info->least == info->most)
            return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s takes %u arguments, not %u.", info->name,
                           info->least, node->n_args);
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s takes %u to %u arguments, not %u.", info->name,
                       info->least, info->most, node->n_args);
    }
    if (sy_op_is_named(node->op) ? !node->name || !*node->name : node->name != NULL)
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT,
                       sy_op_is_named(node->op) ? "%s needs a name." : "%s takes no name.", info->name);
    if (node->name && strlen(node->name) > SY_MAX_NAME)
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s \"%.60s…\": names have at most %d bytes.",
                       info->name, node->name, SY_MAX_NAME);
    for (sy_attribute a = 0; a < SY_ATTRIBUTE_COUNT; a++)
        if (!sy_op_has(info, a) && sy_attribute_is_set(&node->attributes, a))
            return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s takes no attribute \"%s\".", info->name,
                           sy_attribute_get(a)->name);
    return true;
}

/* Runs the op's own inference and holds it against the type that was given. */
static bool settle_type(sy_graph *graph, const sy_op_info *info, sy_node *node, const sy_type *given)
{
    const char *wrong;
    char text[96], wanted[96];
    if (given && (wrong = sy_type_wrong(given)))
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s: type %s: %s.", info->name,
                       sy_type_text(given, text), wrong);
    if (!info->infer(graph, node, given != NULL, &graph->error))
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s: the arguments do not fit.", info->name);
    if ((wrong = sy_type_wrong(&node->type)))
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s gives type %s: %s.", info->name,
                       sy_type_text(&node->type, text), wrong);
    if (given && !sy_type_equal(given, &node->type))
        return sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s gives %s here, not %s.", info->name,
                       sy_type_text(&node->type, text), sy_type_text(given, wanted));
    return true;
}

/* Leaves that are there when weights are loaded, and what depends on such values alone. */
bool sy_node_is_load_time(const sy_graph *graph, const sy_node *node)
{
    if (!node->n_args)
        return node->op == SY_OP_PARAM || node->op == SY_OP_CONST || node->op == SY_OP_IOTA;
    for (uint32_t i = 0; i < node->n_args; i++)
        if (!graph->nodes[node->args[i]].load_time)
            return false;
    return true;
}

/* Copies what the node points to into the graph's arena. */
static bool own(sy_graph *graph, sy_node *node, const sy_value *args)
{
    sy_value_list *values = &node->attributes.values;
    if (node->n_args) {
        node->args = sy_arena_array(&graph->arena, node->n_args, sizeof *node->args);
        if (!node->args)
            return false;
        memcpy(node->args, args, node->n_args * sizeof *node->args);
    }
    if (values->count) {
        double *data = sy_arena_array(&graph->arena, values->count, sizeof *data);
        if (!data)
            return false;
        values->data = memcpy(data, values->data, values->count * sizeof *data);
    } else {
        values->data = NULL;
    }
    if (node->name && !(node->name = sy_arena_string(&graph->arena, node->name)))
        return false;
    return true;
}

sy_value sy_graph_add(sy_graph *graph, sy_op op, const sy_value *args, uint32_t n_args, const sy_attributes *attributes,
                      const sy_type *type, const char *name)
{
    if (graph->error.code != SY_CODE_OK)
        return 0;
    const sy_op_info *info = op > SY_OP_NONE && op < SY_OP_COUNT ? sy_op_get(op) : NULL;
    if (!info) {
        sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "op %d does not exist.", (int)op);
        return 0;
    }
    sy_node node = {.op = op, .n_args = n_args, .name = name, .scope = graph->scope, .group = -1};
    if (attributes)
        node.attributes = *attributes;
    if (type)
        node.type = *type;
    if (!check_shape_of_call(graph, info, &node))
        return 0;
    for (uint32_t i = 0; i < n_args; i++) {
        if (!args[i])
            return 0;
        if (args[i] >= graph->n_nodes) {
            sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s: argument %u is value %u, which does not exist yet.",
                    info->name, i + 1, args[i]);
            return 0;
        }
    }
    if (!own(graph, &node, args) || !grow((void **)&graph->nodes, graph->n_nodes, &graph->room, sizeof *graph->nodes)) {
        no_memory(graph);
        return 0;
    }
    if (!settle_type(graph, info, &node, type)) {
        if (*graph->scope)
            sy_fail_context(&graph->error, "%s", graph->scope);
        return 0;
    }
    node.load_time = sy_node_is_load_time(graph, &node);
    graph->nodes[graph->n_nodes] = node;
    return graph->n_nodes++;
}

void sy_graph_end(sy_graph *graph, sy_end_kind kind, const char *name, sy_value value)
{
    if (graph->error.code != SY_CODE_OK)
        return;
    if (!value || value >= graph->n_nodes || !name || !*name) {
        sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "the end \"%s\" has %s.", name ? name : "",
                name && *name ? "no value" : "no name");
        return;
    }
    if (strlen(name) > SY_MAX_NAME) {
        sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "the end \"%.60s…\": names have at most %d bytes.", name,
                SY_MAX_NAME);
        return;
    }
    const char *copy = sy_arena_string(&graph->arena, name);
    if (!copy || !grow((void **)&graph->ends, graph->n_ends, &graph->ends_room, sizeof *graph->ends)) {
        no_memory(graph);
        return;
    }
    graph->ends[graph->n_ends++] = (sy_end){kind, copy, value};
}

bool sy_graph_check(const sy_graph *graph, sy_error *error)
{
    if (graph->error.code == SY_CODE_OK)
        return true;
    return sy_fail(error, graph->error.code, "%s", graph->error.message);
}

sy_graph *sy_graph_clone(const sy_graph *graph)
{
    sy_graph *copy = sy_graph_create(graph->name);
    if (!copy)
        return NULL;
    copy->error = graph->error;
    sy_node *nodes = realloc(copy->nodes, graph->n_nodes * sizeof *nodes);
    bool fine = nodes != NULL;
    if (nodes) {
        copy->nodes = nodes;
        copy->room = graph->n_nodes;
    }
    /* Neighbours mostly share their scope's text: so do their copies. */
    const char *scope = graph->nodes[0].scope, *scope_copy = "";
    for (uint32_t i = 1; i < graph->n_nodes && fine; i++) {
        sy_node node = graph->nodes[i];
        if (node.scope != scope) {
            scope = node.scope;
            scope_copy = *scope ? sy_arena_string(&copy->arena, scope) : "";
        }
        node.scope = scope_copy;
        fine = scope_copy && own(copy, &node, graph->nodes[i].args);
        nodes[copy->n_nodes++] = node;
    }
    for (uint32_t i = 0; i < graph->n_ends && fine; i++) {
        const char *name = sy_arena_string(&copy->arena, graph->ends[i].name);
        fine = name && grow((void **)&copy->ends, copy->n_ends, &copy->ends_room, sizeof *copy->ends);
        if (fine)
            copy->ends[copy->n_ends++] = (sy_end){graph->ends[i].kind, name, graph->ends[i].value};
    }
    if (!fine)
        sy_graph_destroy(&copy);
    return copy;
}
