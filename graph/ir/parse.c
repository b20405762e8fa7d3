/* The text form, reading. The grammar, in one place:
 *
 *     text      = "graph" [string] "{" { statement } "}"
 *     statement = @name ":" type marks                                         a parameter
 *               | %name "=" op [string] [literal] [ "(" argument, … ")" ] { attribute "=" setting } [ ":" type ] marks
 *               | ("output" | "carry" | "tap" | "step_output") string argument
 *     argument  = %name | @name | number                                       a number is a constant of f32[1]
 *     literal   = number | "[" number, … "]"                                   what a const holds
 *     setting   = number | true | false | "[" number, … "]"
 *     type      = dtype "[" number, … "]" | "route" "[" rows "->" targets ";" slots "]"
 *     marks     = { !scope | #dispatch | "load" | "run" }
 *
 * A leaf without its string is named as its value is. Types may be left out where the op infers them.
 *
 * The text is untrusted: it is read once from front to back, without recursion; names, values, arguments and the
 * whole are bounded; memory taken is a small multiple of the text's size. Each node is made by sy_graph_add and
 * so checked like one from the builder, and the whole graph is verified before it is given out. */
#include "graph/base/nearest.h"
#include "graph/base/number.h"
#include "graph/ir/attribute.h"
#include "graph/ir/names.h"
#include "graph/ir/syntax.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARGS = 1024 };

typedef struct parser {
    sy_lexer lexer;
    sy_graph *graph;
    sy_arena keys;  /* names of values, for the table alone */
    sy_names names; /* '%' values, '@' parameters, '!' scopes (a value that has it), '0'… ends by kind */
    double *list;   /* the bracketed list read last */
    uint32_t n_list, list_room;
    uint32_t n_args;
    sy_value args[MOST_ARGS];
} parser;

static bool expected(parser *p, const char *what)
{
    char found[64];
    return sy_lexer_fail(&p->lexer, &p->lexer.token, "expected %s, found %s.", what,
                         sy_token_describe(&p->lexer.token, found));
}

static bool at(const parser *p, sy_token_kind kind, const char *text)
{
    return p->lexer.token.kind == kind && !strcmp(p->lexer.token.text, text);
}

/* Goes past the token if it is that one. */
static bool accept(parser *p, sy_token_kind kind, const char *text)
{
    if (!at(p, kind, text))
        return false;
    sy_lexer_next(&p->lexer);
    return true;
}

static bool expect_mark(parser *p, const char *mark, const char *what)
{
    return accept(p, SY_TOKEN_MARK, mark) || expected(p, what);
}

/* The sticky error of the graph, at a place in the text. */
static bool graph_error(parser *p, const sy_token *where)
{
    const sy_error *e = &p->graph->error;
    if (e->code == SY_CODE_OUT_OF_MEMORY)
        return sy_fail(p->lexer.error, e->code, "%s", e->message);
    return sy_lexer_fail(&p->lexer, where, "%s", e->message);
}

static bool no_memory(parser *p)
{
    return sy_fail(p->lexer.error, SY_CODE_OUT_OF_MEMORY, "no memory to read a graph of %u values.", p->graph->n_nodes);
}

static bool read_number(parser *p, double *out)
{
    const sy_token *t = &p->lexer.token;
    bool word = t->kind == SY_TOKEN_WORD && (!strcmp(t->text, "inf") || !strcmp(t->text, "nan"));
    if ((t->kind != SY_TOKEN_NUMBER && !word) || !sy_number_read(t->text, t->size, out))
        return expected(p, "a number");
    sy_lexer_next(&p->lexer);
    return true;
}

static bool read_integer(parser *p, const char *what, int32_t *out)
{
    const sy_token *t = &p->lexer.token;
    double x;
    if (t->kind != SY_TOKEN_NUMBER || !sy_number_read(t->text, t->size, &x) || x != floor(x) || x < INT32_MIN ||
        x > INT32_MAX)
        return expected(p, what);
    *out = (int32_t)x;
    sy_lexer_next(&p->lexer);
    return true;
}

static bool put_in_list(parser *p, double x)
{
    if (p->n_list == p->list_room) {
        uint32_t room = p->list_room ? p->list_room * 2 : 64;
        double *list = realloc(p->list, room * sizeof *list);
        if (!list)
            return no_memory(p);
        p->list = list;
        p->list_room = room;
    }
    p->list[p->n_list++] = x;
    return true;
}

/* "[" number, … "]" or, alone, a number: into p->list. */
static bool read_literal(parser *p)
{
    double x;
    p->n_list = 0;
    if (!accept(p, SY_TOKEN_MARK, "["))
        return read_number(p, &x) && put_in_list(p, x);
    do {
        if (!read_number(p, &x) || !put_in_list(p, x))
            return false;
    } while (accept(p, SY_TOKEN_MARK, ","));
    return expect_mark(p, "]", "',' or ']'");
}

static bool read_route_type(parser *p, sy_type *type)
{
    int32_t rows, targets, slots;
    if (!expect_mark(p, "[", "'['") || !read_integer(p, "the number of rows", &rows))
        return false;
    if (p->lexer.token.kind != SY_TOKEN_ARROW)
        return expected(p, "'->'");
    sy_lexer_next(&p->lexer);
    if (!read_integer(p, "the number of targets", &targets) || !expect_mark(p, ";", "';'") ||
        !read_integer(p, "the number of slots", &slots) || !expect_mark(p, "]", "']'"))
        return false;
    *type = sy_route_type(rows, targets, slots);
    return true;
}

static bool read_type(parser *p, sy_type *type)
{
    sy_token where = p->lexer.token;
    sy_dtype dtype = 0;
    if (accept(p, SY_TOKEN_WORD, "route")) {
        if (!read_route_type(p, type))
            return false;
    } else {
        while (dtype < SY_DTYPE_COUNT && !at(p, SY_TOKEN_WORD, sy_dtype_name(dtype)))
            dtype++;
        if (dtype == SY_DTYPE_COUNT)
            return expected(p, "a type like f32[64,128] (f32, f16, bf16, i32, u32) or route[64->8; 128]");
        sy_lexer_next(&p->lexer);
        *type = (sy_type){.dtype = dtype};
        if (!expect_mark(p, "[", "'['"))
            return false;
        do {
            if (type->rank == SY_MAX_RANK)
                return expected(p, "']': tensors have at most 6 dimensions");
            if (!read_integer(p, "a dimension", &type->dim[type->rank++]))
                return false;
        } while (accept(p, SY_TOKEN_MARK, ","));
        if (!expect_mark(p, "]", "',' or ']'"))
            return false;
    }
    const char *wrong = sy_type_wrong(type);
    return !wrong || sy_lexer_fail(&p->lexer, &where, "this type cannot be: %s.", wrong);
}

/* What stands after the type: where the node belongs. */
typedef struct marks {
    sy_token scope_at;
    bool has_scope, load, run;
    char scope[SY_SYNTAX_NAME];
    int32_t group;
} marks;

static bool read_marks(parser *p, marks *m)
{
    const sy_token *t = &p->lexer.token;
    m->has_scope = m->load = m->run = false;
    m->group = -1;
    for (;; sy_lexer_next(&p->lexer)) {
        if (t->kind == SY_TOKEN_SCOPE) {
            m->has_scope = true;
            memcpy(m->scope, t->text, t->size + 1);
        } else if (t->kind == SY_TOKEN_GROUP) {
            double group;
            if (!sy_number_read(t->text, t->size, &group) || group > INT32_MAX)
                return expected(p, "the number of a dispatch");
            m->group = (int32_t)group;
        } else if (at(p, SY_TOKEN_WORD, "load")) {
            m->load = true;
        } else if (at(p, SY_TOKEN_WORD, "run")) {
            m->run = true;
        } else {
            return t->kind != SY_TOKEN_WRONG;
        }
    }
}

/* Sets the graph's scope for the next node; equal scopes share their text. */
static bool set_scope(parser *p, const char *scope)
{
    sy_graph *g = p->graph;
    sy_value known = *scope ? sy_names_get(&p->names, '!', scope) : 0;
    if (known || !*scope) {
        g->scope = known ? g->nodes[known].scope : "";
        return true;
    }
    g->scope = sy_arena_string(&g->arena, scope);
    if (g->scope)
        return sy_names_put(&p->names, '!', g->scope, g->n_nodes) || no_memory(p);
    g->scope = "";
    return no_memory(p);
}

/* Adds the node with its marks; names and errors at `where`. 0 on error. */
static sy_value add(parser *p, const sy_token *where, sy_op op, const sy_attributes *attributes, const sy_type *type,
                    const char *name, const marks *m)
{
    char usual[SY_SYNTAX_NAME];
    const char *scope = m->has_scope ? m->scope : op == SY_OP_PARAM ? sy_syntax_param_scope(name, usual) : "";
    if (p->graph->n_nodes > SY_SYNTAX_NODES) {
        sy_lexer_fail(&p->lexer, where, "a graph has at most %d values.", SY_SYNTAX_NODES);
        return 0;
    }
    if (!set_scope(p, scope))
        return 0;
    sy_value v = sy_graph_add(p->graph, op, p->args, p->n_args, attributes, type, name);
    if (!v) {
        graph_error(p, where);
        return 0;
    }
    sy_node *node = &p->graph->nodes[v];
    node->group = m->group;
    if (m->load && !node->load_time) {
        sy_lexer_fail(&p->lexer, where, "marked \"load\", but it does not depend on parameters and constants alone.");
        return 0;
    }
    node->load_time = node->load_time && !m->run;
    if (op == SY_OP_PARAM && sy_names_put(&p->names, '@', node->name, v) != v) {
        sy_lexer_fail(&p->lexer, where, "the parameter \"%s\" is there already.", name);
        return 0;
    }
    return v;
}

static bool read_param(parser *p)
{
    sy_token name = p->lexer.token;
    sy_type type;
    marks m;
    sy_lexer_next(&p->lexer);
    p->n_args = 0;
    return expect_mark(p, ":", "':' and the parameter's type") && read_type(p, &type) && read_marks(p, &m) &&
           add(p, &name, SY_OP_PARAM, NULL, &type, name.text, &m);
}

/* A value by name, or a number: then a constant is added for it, unless `number` is false. */
static bool read_argument(parser *p, bool number, sy_value *out)
{
    const sy_token *t = &p->lexer.token;
    sy_token where = *t;
    if (t->kind == SY_TOKEN_VALUE || t->kind == SY_TOKEN_PARAM) {
        bool param = t->kind == SY_TOKEN_PARAM;
        *out = sy_names_get(&p->names, param ? '@' : '%', t->text);
        if (!*out)
            return sy_lexer_fail(&p->lexer, t, "no %s %c%s was defined before.", param ? "parameter" : "value",
                                 param ? '@' : '%', t->text);
        sy_lexer_next(&p->lexer);
        return true;
    }
    double x;
    if (!number || t->kind != SY_TOKEN_NUMBER)
        return expected(p, number ? "a value (%name), a parameter (@name) or a number" : "a value (%name)");
    if (!read_number(p, &x))
        return false;
    sy_attributes a = {.values = {&x, 1}};
    sy_type type = {.rank = 1, .dtype = SY_F32, .dim = {1}};
    marks none = {.group = -1};
    uint32_t n_args = p->n_args;
    p->n_args = 0;
    *out = add(p, &where, SY_OP_CONST, &a, &type, NULL, &none);
    p->n_args = n_args;
    return *out != 0;
}

static bool read_arguments(parser *p)
{
    p->n_args = 0;
    if (!accept(p, SY_TOKEN_MARK, "(") || accept(p, SY_TOKEN_MARK, ")"))
        return true;
    do {
        sy_value v;
        if (p->n_args == MOST_ARGS)
            return expected(p, "')': an op takes at most 1024 arguments");
        if (!read_argument(p, true, &v))
            return false;
        p->args[p->n_args++] = v;
    } while (accept(p, SY_TOKEN_MARK, ","));
    return expect_mark(p, ")", "',' or ')' after an argument");
}

static bool read_setting(parser *p, const sy_attribute_info *info, sy_attributes *attributes)
{
    void *field = (char *)attributes + info->offset;
    if (info->kind == SY_KIND_F)
        return read_number(p, field);
    if (info->kind == SY_KIND_I) {
        bool yes = accept(p, SY_TOKEN_WORD, "true");
        *(int32_t *)field = yes;
        return yes || accept(p, SY_TOKEN_WORD, "false") || read_integer(p, "a whole number", field);
    }
    int32_t *ints = field;
    uint32_t n = 0;
    if (!expect_mark(p, "[", "'[' and a list of whole numbers"))
        return false;
    do {
        if (n == SY_MAX_RANK)
            return expected(p, "']': such a list has at most 6 numbers");
        if (!read_integer(p, "a whole number", &ints[n++]))
            return false;
    } while (accept(p, SY_TOKEN_MARK, ","));
    return expect_mark(p, "]", "',' or ']'");
}

static bool read_attributes(parser *p, const sy_op_info *op, sy_attributes *attributes)
{
    uint32_t seen = 0;
    while (p->lexer.token.kind == SY_TOKEN_WORD && !at(p, SY_TOKEN_WORD, "load") && !at(p, SY_TOKEN_WORD, "run")) {
        sy_token word = p->lexer.token;
        sy_attribute a = sy_attribute_find(word.text);
        sy_lexer before = p->lexer;
        sy_lexer_next(&p->lexer);
        if (!at(p, SY_TOKEN_MARK, "=")) { /* the word begins the next statement */
            p->lexer = before;
            return true;
        }
        sy_lexer_next(&p->lexer);
        if (a == SY_ATTRIBUTE_COUNT || !sy_op_has(op, a) || sy_attribute_get(a)->kind == SY_KIND_V)
            return sy_lexer_fail(&p->lexer, &word, "%s takes no attribute \"%s\".", op->name, word.text);
        if (seen >> a & 1)
            return sy_lexer_fail(&p->lexer, &word, "the attribute \"%s\" is given twice.", word.text);
        seen |= 1u << a;
        if (!read_setting(p, sy_attribute_get(a), attributes))
            return false;
    }
    return true;
}

static bool read_op(parser *p, sy_op *op)
{
    if (p->lexer.token.kind != SY_TOKEN_WORD)
        return expected(p, "an op, like matmul");
    *op = sy_op_find(p->lexer.token.text);
    if (*op != SY_OP_NONE) {
        sy_lexer_next(&p->lexer);
        return true;
    }
    sy_nearest nearest = {.wanted = p->lexer.token.text};
    for (sy_op o = SY_OP_NONE + 1; o < SY_OP_COUNT; o++)
        sy_nearest_offer(&nearest, sy_op_get(o)->name);
    return sy_lexer_fail(&p->lexer, &p->lexer.token, "there is no op \"%s\"%s%s%s.", p->lexer.token.text,
                         nearest.best ? "; nearest: \"" : "", nearest.best ? nearest.best : "",
                         nearest.best ? "\"" : "");
}

/* %name = op … */
static bool read_definition(parser *p)
{
    sy_token value = p->lexer.token, where, name = {0};
    sy_attributes attributes = {0};
    sy_type type = {0};
    bool has_type = false;
    sy_op op;
    marks m;
    sy_lexer_next(&p->lexer);
    if (!expect_mark(p, "=", "'=' after the value's name"))
        return false;
    where = p->lexer.token;
    if (!read_op(p, &op))
        return false;
    if (p->lexer.token.kind == SY_TOKEN_STRING) {
        name = p->lexer.token;
        sy_lexer_next(&p->lexer);
    } else if (sy_op_is_named(op)) {
        name = value;
    }
    const sy_op_info *info = sy_op_get(op);
    if (sy_op_has(info, SY_ATTRIBUTE_values)) {
        if (!read_literal(p))
            return false;
        attributes.values = (sy_value_list){p->list, p->n_list};
        type = (sy_type){.rank = 1, .dtype = SY_F32, .dim = {(int32_t)p->n_list}};
        has_type = true;
    }
    if (!read_arguments(p) || !read_attributes(p, info, &attributes))
        return false;
    if (accept(p, SY_TOKEN_MARK, ":")) {
        if (!read_type(p, &type))
            return false;
        has_type = true;
    }
    if (!read_marks(p, &m))
        return false;
    bool named = name.kind == SY_TOKEN_STRING || sy_op_is_named(op);
    sy_value v = add(p, &where, op, &attributes, has_type ? &type : NULL, named ? name.text : NULL, &m);
    if (!v)
        return false;
    const char *key = sy_arena_string(&p->keys, value.text);
    sy_value there = key ? sy_names_put(&p->names, '%', key, v) : 0;
    if (!there)
        return no_memory(p);
    return there == v || sy_lexer_fail(&p->lexer, &value, "the value %%%s is there already.", value.text);
}

static bool read_end(parser *p, sy_end_kind kind)
{
    sy_token name;
    sy_value v;
    sy_lexer_next(&p->lexer);
    name = p->lexer.token;
    if (name.kind != SY_TOKEN_STRING || !name.size)
        return expected(p, "its name in quotes");
    sy_lexer_next(&p->lexer);
    if (!read_argument(p, false, &v))
        return false;
    sy_graph_end(p->graph, kind, name.text, v);
    if (p->graph->error.code != SY_CODE_OK)
        return graph_error(p, &name);
    uint32_t n = p->graph->n_ends;
    sy_value there = sy_names_put(&p->names, (char)('0' + kind), p->graph->ends[n - 1].name, n);
    if (!there)
        return no_memory(p);
    return there == n ||
           sy_lexer_fail(&p->lexer, &name, "the %s \"%s\" is there already.", sy_syntax_end_name(kind), name.text);
}

static bool read_statement(parser *p)
{
    const sy_token *t = &p->lexer.token;
    if (t->kind == SY_TOKEN_VALUE)
        return read_definition(p);
    if (t->kind == SY_TOKEN_PARAM)
        return read_param(p);
    for (sy_end_kind kind = SY_END_OUTPUT; kind <= SY_END_STEP_OUTPUT; kind++)
        if (at(p, SY_TOKEN_WORD, sy_syntax_end_name(kind)))
            return read_end(p, kind);
    return expected(p, "a statement (%name = …, @name : …, output, carry, tap, step_output) or '}'");
}

static bool read_graph(parser *p)
{
    sy_token name = {0};
    sy_lexer_next(&p->lexer);
    if (!accept(p, SY_TOKEN_WORD, "graph"))
        return expected(p, "\"graph\"");
    if (p->lexer.token.kind == SY_TOKEN_STRING) {
        name = p->lexer.token;
        sy_lexer_next(&p->lexer);
    }
    p->graph = sy_graph_create(name.text);
    if (!p->graph)
        return sy_fail(p->lexer.error, SY_CODE_OUT_OF_MEMORY, "no memory for a graph.");
    if (!expect_mark(p, "{", "'{'"))
        return false;
    while (!at(p, SY_TOKEN_MARK, "}"))
        if (!read_statement(p))
            return false;
    sy_lexer_next(&p->lexer);
    if (p->lexer.token.kind != SY_TOKEN_END)
        return expected(p, "the end of the text after '}'");
    p->graph->scope = "";
    if (sy_graph_verify(p->graph, SY_STAGE_SOURCE, p->lexer.error))
        return true;
    if (p->lexer.error->code == SY_CODE_INTERNAL) /* the text is at fault, not the compiler */
        p->lexer.error->code = SY_CODE_INVALID_FILE;
    return false;
}

sy_graph *sy_graph_parse(const char *text, size_t size, sy_error *error)
{
    sy_error own = {0}; /* so that failing is seen even where the caller wants no message */
    if (size > SY_SYNTAX_SIZE) {
        sy_fail(error, SY_CODE_INVALID_FILE, "a graph's text has at most %d MiB.", SY_SYNTAX_SIZE >> 20);
        return NULL;
    }
    parser *p = calloc(1, sizeof *p);
    if (!p) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to read a graph.");
        return NULL;
    }
    p->lexer = (sy_lexer){.text = text, .size = size, .line = 1, .error = &own};
    if (!read_graph(p)) {
        sy_graph_destroy(&p->graph);
        sy_fail(error, own.code, "%s", own.message);
    }
    sy_graph *graph = p->graph;
    sy_names_free(&p->names);
    sy_arena_free(&p->keys);
    free(p->list);
    free(p);
    return graph;
}
