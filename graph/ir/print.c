/* The text form, writing. What it writes, parse.c reads back to the same graph, node for node:
 *
 *     graph "mlp" {
 *       @fc.weight : f32[64,16]
 *       %x = input "x" : f32[8,16]
 *       %3 = matmul(%x, @fc.weight) transpose_b=1     : f32[8,64]   !fc #0
 *       %4 = silu(%3)                                 : f32[8,64]   #0
 *       output "y" %4
 *     }
 *
 * A value is called by its index, a parameter by its name, other leaves by theirs where it is a plain word. What
 * follows from the rest is left out: attributes of 0, the scope of a parameter (its name but the last part), and
 * whether a value is made at load time, but where a pass decided otherwise ("run"). */
#include "graph/base/number.h"
#include "graph/ir/attribute.h"
#include "graph/ir/names.h"
#include "graph/ir/syntax.h"

#include <string.h>

enum { TYPE_COLUMN = 60, VALUES_A_LINE = 12 };

/* Which leaves are called by name: kind 'p' parameters, 'l' the others. A name belongs to the first that has it. */
typedef struct printer {
    const sy_graph *graph;
    sy_text *out;
    sy_names names;
} printer;

static void print_quoted(sy_text *out, const char *text)
{
    sy_text_add(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            sy_text_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            sy_text_printf(out, "\\x%02x", (unsigned)*c);
        else
            sy_text_add_bytes(out, c, 1);
    }
    sy_text_add(out, "\"");
}

/* Bare where the lexer takes it as one name, else quoted. */
static void print_name(sy_text *out, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!sy_syntax_is_name(name[i]))
            n = 0;
    if (n)
        sy_text_add(out, name);
    else
        print_quoted(out, name);
}

static bool is_plain_word(const char *name)
{
    if (!*name || (*name >= '0' && *name <= '9'))
        return false;
    while (sy_syntax_is_name(*name))
        name++;
    return !*name;
}

static void print_value(printer *p, sy_value v)
{
    const sy_node *node = v < p->graph->n_nodes ? &p->graph->nodes[v] : NULL;
    if (node && node->name && node->op == SY_OP_PARAM && sy_names_get(&p->names, 'p', node->name) == v) {
        sy_text_add(p->out, "@");
        print_name(p->out, node->name);
    } else if (node && node->name && node->op != SY_OP_PARAM && sy_names_get(&p->names, 'l', node->name) == v) {
        sy_text_printf(p->out, "%%%s", node->name);
    } else {
        sy_text_printf(p->out, "%%%u", v);
    }
}

static void print_number(sy_text *out, double x)
{
    char text[SY_NUMBER_SIZE];
    sy_text_add(out, sy_number_print(x, text));
}

static void print_values(sy_text *out, const sy_value_list *values)
{
    if (values->count == 1) {
        print_number(out, values->data[0]);
        return;
    }
    sy_text_add(out, "[");
    for (uint32_t i = 0; i < values->count; i++) {
        sy_text_add(out, !i ? "" : i % VALUES_A_LINE ? "," : ",\n    ");
        print_number(out, values->data[i]);
    }
    sy_text_add(out, "]");
}

/* At least n of them, or more if more are not 0. */
static void print_ints(sy_text *out, const int32_t *ints, int n)
{
    for (int i = n; i < SY_MAX_RANK; i++)
        if (ints[i])
            n = i + 1;
    sy_text_add(out, "[");
    for (int i = 0; i < n; i++)
        sy_text_printf(out, i ? ",%d" : "%d", ints[i]);
    sy_text_add(out, "]");
}

static void print_attributes(sy_text *out, const sy_node *node, const sy_op_info *info)
{
    for (sy_attribute a = 0; a < SY_ATTRIBUTE_COUNT; a++) {
        const sy_attribute_info *row = sy_attribute_get(a);
        const void *field = (const char *)&node->attributes + row->offset;
        bool always = a == SY_ATTRIBUTE_ints && sy_op_has(info, a); /* as many as the result has dimensions */
        if (row->kind == SY_KIND_V || (!always && !sy_attribute_is_set(&node->attributes, a)))
            continue;
        sy_text_printf(out, " %s=", row->name);
        if (row->kind == SY_KIND_I)
            sy_text_printf(out, "%d", *(const int32_t *)field);
        else if (row->kind == SY_KIND_L)
            print_ints(out, field, always ? node->type.rank : 0);
        else
            print_number(out, *(const double *)field);
    }
}

static void print_marks(printer *p, const sy_node *node)
{
    char scope[SY_SYNTAX_NAME];
    const char *usual = node->op == SY_OP_PARAM && node->name ? sy_syntax_param_scope(node->name, scope) : "";
    const char *gap = "   ";
    if (strcmp(node->scope, usual)) {
        sy_text_printf(p->out, "%s!", gap);
        print_name(p->out, node->scope);
        gap = " ";
    }
    if (node->group != -1) {
        sy_text_printf(p->out, "%s#%d", gap, node->group);
        gap = " ";
    }
    if (node->load_time && node->n_args)
        sy_text_printf(p->out, "%sload", gap);
    else if (!node->load_time && sy_node_is_load_time(p->graph, node))
        sy_text_printf(p->out, "%srun", gap);
}

static void print_node(printer *p, sy_value v)
{
    const sy_node *node = &p->graph->nodes[v];
    const sy_op_info *info = sy_op_get(node->op);
    char type[96];
    sy_text_add(p->out, "  ");
    size_t begin = p->out->size;
    print_value(p, v);
    if (node->op != SY_OP_PARAM || sy_names_get(&p->names, 'p', node->name) != v) {
        sy_text_printf(p->out, " = %s", info ? info->name : "?");
        if (node->name) {
            sy_text_add(p->out, " ");
            print_quoted(p->out, node->name);
        }
        if (node->attributes.values.count) {
            sy_text_add(p->out, " ");
            print_values(p->out, &node->attributes.values);
        }
        for (uint32_t i = 0; i < node->n_args; i++) {
            sy_text_add(p->out, i ? ", " : "(");
            print_value(p, node->args[i]);
        }
        sy_text_add(p->out, node->n_args ? ")" : "");
    }
    if (info)
        print_attributes(p->out, node, info);
    size_t used = p->out->size - begin;
    sy_text_printf(p->out, "%*s : %s", used < TYPE_COLUMN ? (int)(TYPE_COLUMN - used) : 0, "",
                   sy_type_text(&node->type, type));
    print_marks(p, node);
    sy_text_add(p->out, "\n");
}

void sy_graph_print(const sy_graph *graph, sy_text *out)
{
    printer p = {.graph = graph, .out = out};
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        const sy_node *node = &graph->nodes[v];
        if (node->name && (node->op == SY_OP_PARAM || is_plain_word(node->name)))
            sy_names_put(&p.names, node->op == SY_OP_PARAM ? 'p' : 'l', node->name, v);
    }
    sy_text_add(out, "graph ");
    print_quoted(out, graph->name);
    sy_text_add(out, " {\n");
    for (sy_value v = 1; v < graph->n_nodes; v++)
        print_node(&p, v);
    for (uint32_t i = 0; i < graph->n_ends; i++) {
        const sy_end *end = &graph->ends[i];
        sy_text_printf(out, "  %s ", sy_syntax_end_name(end->kind));
        print_quoted(out, end->name);
        sy_text_add(out, " ");
        print_value(&p, end->value);
        sy_text_add(out, "\n");
    }
    sy_text_add(out, "}\n");
    out->failed |= p.names.failed;
    sy_names_free(&p.names);
}
