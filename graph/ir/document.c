/* The op table as a page: what `switchyard compile --ops` prints. Everything on it comes from graph/ops/ops.def, from
 * the list of attributes and from the verifier's rules, so it cannot be out of date. */
#include "graph/ir/attribute.h"
#include "graph/ir/document.h"
#include "graph/ir/verify.h"

static const char *const class_names[] = {
    [SY_CLASS_LEAF] = "Leaves", [SY_CLASS_VIEW] = "Views",          [SY_CLASS_MAP] = "Maps",
    [SY_CLASS_ROW] = "Rows",    [SY_CLASS_MATMUL] = "Contractions", [SY_CLASS_ATTENTION] = "Attention",
    [SY_CLASS_ROUTE] = "Routes"};
static const char *const class_docs[] = {
    [SY_CLASS_LEAF] = "No arguments: inputs, weights, constants.",
    [SY_CLASS_VIEW] = "The same elements under other indices; no dispatch of their own.",
    [SY_CLASS_MAP] =
        "Each element of the result from elements at computed indices; they ride in the dispatch of another op.",
    [SY_CLASS_ROW] = "Statistics over the last axis, then a map.",
    [SY_CLASS_MATMUL] = "Matrix products, with a kernel template of their own.",
    [SY_CLASS_ATTENTION] = "Fused attention, with a kernel template of its own.",
    [SY_CLASS_ROUTE] = "Producers and transformers of routes."};

/* "route.top_k(a) k renormalise", as one would write it. */
static void signature(const sy_op_info *info, sy_op op, sy_text *out)
{
    static const char *const kind_examples[] = {
        [SY_KIND_I] = "=1", [SY_KIND_L] = "=[0,…]", [SY_KIND_F] = "=0.5", [SY_KIND_V] = ""};
    sy_text_printf(out, "`%s", info->name);
    if (sy_op_is_named(op))
        sy_text_add(out, " \"name\"");
    if (sy_op_has(info, SY_ATTRIBUTE_values))
        sy_text_add(out, " 0.5 or [1, 2, …]");
    if (info->most > 4) {
        sy_text_add(out, "(a, b, …)");
    } else if (info->most) {
        for (uint32_t i = 0; i < info->most; i++)
            sy_text_printf(out, "%s%s%c", i ? "" : "(", i ? i >= info->least ? ", optional " : ", " : "", 'a' + (int)i);
        sy_text_add(out, ")");
    }
    for (sy_attribute a = 0; a < SY_ATTRIBUTE_COUNT; a++)
        if (sy_op_has(info, a) && sy_attribute_get(a)->kind != SY_KIND_V)
            sy_text_printf(out, " %s%s", sy_attribute_get(a)->name, kind_examples[sy_attribute_get(a)->kind]);
    sy_text_add(out, "`");
}

/* Table cells must not hold a bare bar. */
static void cell(const char *text, sy_text *out)
{
    for (; *text; text++) {
        if (*text == '|')
            sy_text_add(out, "\\");
        sy_text_add_bytes(out, text, 1);
    }
}

void sy_ops_document(sy_text *out)
{
    sy_text_add(out, "# Ops\n");
    for (sy_class class = SY_CLASS_LEAF; class <= SY_CLASS_ROUTE; class ++) {
        sy_text_printf(out, "\n## %s\n\n%s\n\n| as written | what it is |\n|---|---|\n", class_names[class],
                       class_docs[class]);
        for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
            const sy_op_info *info = sy_op_get(op);
            if (info->class != class)
                continue;
            sy_text_add(out, "| ");
            signature(info, op, out);
            sy_text_add(out, " | ");
            cell(info->doc, out);
            sy_text_add(out, " |\n");
        }
    }
    static const char *const stages[] = {
        [SY_STAGE_SOURCE] = "always", [SY_STAGE_LOWERED] = "after lower_routes", [SY_STAGE_FUSED] = "after fuse"};
    sy_text_add(
        out,
        "\n# Rules\n\nWhat the verifier holds a graph to after every pass.\n\n| rule | from | what |\n|---|---|---|\n");
    for (const sy_verify_rule *rule = sy_verify_rules(); rule->name; rule++)
        sy_text_printf(out, "| %s | %s | %s |\n", rule->name, stages[rule->stage], rule->doc);
}
