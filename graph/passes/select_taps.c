/* Taps are named values that exist only when somebody asks. A tap whose name fits a requested pattern (`*` stands for
 * any text) becomes a step output; the others lose their end, and with it, in the next pass, all that was computed for
 * them alone. A tapped route is stored as its words, which are copied: the route itself stays where its consumers want
 * it. Sound because ends do not change values. A pattern that fits no tap is an error: it is a mistyped name;
 * one that begins with ? may. */
#include "graph/passes/passes.h"

#include <string.h>

/* The last star tried takes one character more whenever what follows does not fit. */
bool sy_tap_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;
    pattern += *pattern == '?';
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool asked_for(const sy_compile_params *params, const char *name)
{
    for (uint32_t i = 0; i < params->n_taps; i++)
        if (sy_tap_fits(params->taps[i], name))
            return true;
    return false;
}

static bool check_patterns(const sy_plan *plan, sy_error *error)
{
    const sy_graph *graph = plan->graph;
    for (uint32_t i = 0; i < plan->params->n_taps; i++) {
        bool found = plan->params->taps[i][0] == '?';
        for (uint32_t e = 0; e < graph->n_ends && !found; e++)
            found = graph->ends[e].kind == SY_END_TAP && sy_tap_fits(plan->params->taps[i], graph->ends[e].name);
        if (!found)
            return sy_fail(error, SY_CODE_NOT_FOUND, "no tap of \"%s\" is named \"%s\".", graph->name,
                           plan->params->taps[i]);
    }
    return true;
}

bool sy_pass_select_taps(sy_plan *plan, sy_error *error)
{
    sy_graph *graph = plan->graph;
    if (!check_patterns(plan, error))
        return false;
    uint32_t kept = 0;
    for (uint32_t e = 0; e < graph->n_ends; e++) {
        sy_end end = graph->ends[e];
        if (end.kind == SY_END_TAP) {
            if (!asked_for(plan->params, end.name))
                continue;
            end.kind = SY_END_STEP_OUTPUT;
        }
        if (end.kind != SY_END_CARRY && graph->nodes[end.value].type.is_route)
            end.value = sy_graph_add(graph, SY_OP_ROUTE_WORDS, &end.value, 1, NULL, NULL, NULL);
        graph->ends[kept++] = end;
    }
    graph->n_ends = kept;
    return sy_graph_check(graph, error);
}
