/* See the headers. */
#include "graph/emit/tuned.h"

#include "graph/base/hash.h"
#include "graph/emit/embedded.h"
#include "graph/passes/passes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sy_size_class(uint64_t size)
{
    uint64_t octave = 1;
    while (octave < size && octave < UINT64_MAX / 4)
        octave *= 2;
    return octave >= 4 && size <= octave / 4 * 3 ? octave / 4 * 3 : octave;
}

/* Length of the sums: of a contraction per output; 0 where there is none. */
static uint64_t inner(const sy_plan *plan, const sy_group *group, const sy_problem *p)
{
    const sy_node *node = group->n_anchors ? &plan->graph->nodes[group->anchors[0]] : NULL;
    const sy_type *a = node && node->n_args ? &plan->graph->nodes[node->args[0]].type : NULL;
    switch (p->kind) {
    case SY_GROUP_MATMUL:
    case SY_GROUP_GROUPED_MATMUL:
        return (uint64_t)a->dim[a->rank - 1];
    case SY_GROUP_CONV:
    case SY_GROUP_DEPTHWISE:
        return 4 * p->iterations;
    default:
        return 0;
    }
}

void sy_problem_class(const sy_plan *plan, const sy_group *group, const sy_problem *p, char out[SY_PROBLEM_CLASS])
{
    int n = snprintf(out, SY_PROBLEM_CLASS, "%s anchors=%" PRIu32 " rows=%" PRIu64 " columns=%" PRIu64,
                     sy_plan_kind_text(p->kind), p->n_anchors, sy_size_class(p->rows), sy_size_class(p->columns));
    const struct {
        const char *name;
        uint64_t value;
    } more[] = {{"inner", sy_size_class(inner(plan, group, p))},
                {"head", p->d},
                {"value", p->e == p->d ? 0 : p->e},
                {"blocks", sy_size_class(p->blocks)},
                {"together", p->together},
                {"kept", sy_size_class(p->ids)},
                {"adjacent", p->adjacent},
                {"quads", p->quads},
                {"half", p->half}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].value > (i == 0 || i == 3 || i == 5)) /* a size class of nothing is 1 */
            n += snprintf(out + n, SY_PROBLEM_CLASS - (size_t)n, " %s=%" PRIu64, more[i].name, more[i].value);
}

const sy_variant *sy_tuned_variant(const sy_tuning *tuning, const char *class, const sy_problem *problem,
                                   const sy_limits *limits)
{
    const sy_variant *only = tuning ? sy_variant_find(tuning->only) : NULL;
    if (only && sy_variant_can(only, problem, limits))
        return only;
    for (uint32_t i = tuning ? tuning->n : 0; i-- > 0;)
        if (!strcmp(tuning->rows[i].problem, class)) {
            const sy_variant *v = sy_variant_find(tuning->rows[i].variant);
            return v && sy_variant_can(v, problem, limits) ? v : NULL;
        }
    return NULL;
}

bool sy_tuning_add(sy_tuning *tuning, const char *class, const char *variant, sy_error *error)
{
    if (strlen(class) >= SY_PROBLEM_CLASS || strlen(variant) >= sizeof tuning->rows->variant)
        return sy_fail(error, SY_CODE_INVALID_FILE, "\"%.60s\" with \"%.60s\" is no row of a tuning", class, variant);
    if (tuning->n == tuning->room) {
        uint32_t room = tuning->room ? 2 * tuning->room : 64;
        sy_tuned *rows = realloc(tuning->rows, room * sizeof *rows);
        if (!rows)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a tuning");
        tuning->rows = rows;
        tuning->room = room;
    }
    sy_tuned *row = &tuning->rows[tuning->n++];
    strcpy(row->problem, class);
    strcpy(row->variant, variant);
    return true;
}

void sy_tuning_free(sy_tuning *tuning)
{
    free(tuning->rows);
    *tuning = (sy_tuning){0};
}

uint64_t sy_variant_candidates(const sy_problem *problem, const sy_limits *limits)
{
    uint32_t n;
    uint64_t mask = 0;
    const sy_variant *all = sy_variants(&n, NULL);
    _Static_assert(SY_MAX_VARIANTS <= 64, "a bit a variant");
    for (uint32_t i = 0; all && i < n; i++)
        if ((limits->cpu ? all[i].cpu : all[i].gpu) && sy_variant_can(&all[i], problem, limits))
            mask |= UINT64_C(1) << i;
    return mask;
}

void sy_templates_hash(char out[33])
{
    uint64_t seed = 0;
    sy_hash hash = {0, 0};
    for (const struct sy_embedded *file = sy_embedded_shaders; file->name; file++) {
        hash = sy_hash_bytes(file->data, file->size, seed);
        seed = hash.lo ^ hash.hi;
    }
    sy_hash_text(hash, out);
}
