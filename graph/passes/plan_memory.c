/* Where every value lies. Inputs, states, weights and outputs one after another in their spaces; what lives only within
 * a replay shares the arena: two values may have the same bytes if no stage needs both.
 *
 * Lives are counted in stages, not in dispatches: groups of a stage run at the same time, so sharing bytes between them
 * would need a barrier that nothing else needs. Only where that costs more than a tenth of memory are lives counted in
 * dispatches (the pass barriers then sees to the rest). Offsets are found greedily (largest first, then longest-lived
 * first, then in order of birth): each value goes into the smallest gap, between values whose lives cross its own, that
 * holds it. Then again, some times, with the value that made the peak placed first. The lowest peak of the attempts is
 * kept. Sound because a value is placed against every placed value that it must not meet.
 *
 * No buffer is larger than one allocation; no value larger than what one binding can reach. */
#include "graph/passes/passes.h"

#include <stdlib.h>
#include <string.h>

enum { TEXEL = 16 }; /* kernels may read whole texels of four words */

typedef struct life {
    sy_value value;
    uint64_t bytes;
    uint32_t begin, end; /* stages or positions, both included */
    uint64_t offset;
    uint32_t buffer;
} life;

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
    return (bytes + to - 1) / to * to;
}

static uint64_t alignment(const sy_plan *plan)
{
    return plan->limits.offset_alignment > TEXEL ? plan->limits.offset_alignment : TEXEL;
}

static uint64_t largest_buffer(const sy_plan *plan)
{
    return plan->limits.allocation_bytes ? plan->limits.allocation_bytes : UINT64_MAX / 2;
}

static bool check_size(const sy_plan *plan, sy_value value, uint64_t bytes, sy_error *error)
{
    uint64_t most = plan->limits.storage_range && plan->limits.storage_range < largest_buffer(plan)
                        ? plan->limits.storage_range
                        : largest_buffer(plan);
    if (bytes <= most)
        return true;
    const sy_node *node = &plan->graph->nodes[value];
    char text[96];
    return sy_fail(error, SY_CODE_UNAVAILABLE, "%s %s of \"%s\" takes %llu bytes; %s binds at most %llu at once.",
                   sy_op_get(node->op)->name, sy_type_text(&node->type, text), node->name ? node->name : node->scope,
                   (unsigned long long)bytes, plan->limits.device, (unsigned long long)most);
}

/* Puts a value behind the last one of a space. */
static bool append(sy_plan *plan, sy_space space, sy_value value, uint64_t bytes, sy_error *error)
{
    uint64_t *sizes = plan->space_bytes[space];
    uint32_t buffer = 0;
    bytes = round_up(bytes, TEXEL);
    if (!check_size(plan, value, bytes, error))
        return false;
    while (buffer + 1 < SY_SPACE_BUFFERS && sizes[buffer + 1])
        buffer++;
    uint64_t offset = round_up(sizes[buffer], alignment(plan));
    if (offset + bytes > largest_buffer(plan)) {
        if (++buffer == SY_SPACE_BUFFERS)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "the network needs more than %d allocations of %llu bytes.",
                           SY_SPACE_BUFFERS, (unsigned long long)largest_buffer(plan));
        offset = 0;
    }
    plan->places[value] = (sy_place){space, buffer, offset, bytes};
    sizes[buffer] = offset + bytes;
    return true;
}

static int by_name(const void *a, const void *b, void *context)
{
    const sy_graph *graph = context;
    return strcmp(graph->nodes[*(const sy_value *)a].name, graph->nodes[*(const sy_value *)b].name);
}

/* States by name, so that programs over the same states agree on the order; inputs as they come. */
static bool place_leaves(sy_plan *plan, sy_error *error)
{
    const sy_graph *graph = plan->graph;
    sy_value *states = malloc(graph->n_nodes * sizeof *states);
    uint32_t n = 0;
    bool fine = states != NULL || sy_no_memory(error);
    for (sy_value v = 1; fine && v < graph->n_nodes; v++) {
        if (graph->nodes[v].op == SY_OP_STATE)
            states[n++] = v;
        else if (graph->nodes[v].op == SY_OP_INPUT)
            fine = append(plan, SY_SPACE_INPUT, v, sy_type_bytes(&graph->nodes[v].type), error);
    }
    if (fine)
        qsort_r(states, n, sizeof *states, by_name, plan->graph);
    for (uint32_t i = 0; fine && i < n; i++)
        fine = append(plan, SY_SPACE_STATE, states[i], sy_type_bytes(&graph->nodes[states[i]].type), error);
    free(states);
    return fine;
}

static bool place_weights(sy_plan *plan, sy_error *error)
{
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_inputs; i++) {
            sy_value v = plan->groups[g].inputs[i];
            const sy_node *node = &plan->graph->nodes[v];
            if (node->load_time && !plan->places[v].size &&
                !append(plan, SY_SPACE_WEIGHT, v, sy_type_bytes(&node->type), error))
                return false;
        }
    return true;
}

static bool place_ends(sy_plan *plan, sy_error *error)
{
    uint32_t steps = plan->params->max_steps ? plan->params->max_steps : 1;
    for (uint32_t e = 0; e < plan->graph->n_ends; e++) {
        const sy_end *end = &plan->graph->ends[e];
        uint64_t bytes = sy_type_bytes(&plan->graph->nodes[end->value].type);
        if (end->kind == SY_END_CARRY)
            plan->places[end->value] = plan->places[sy_graph_state(plan->graph, end->name)];
        else if (!append(plan, SY_SPACE_OUTPUT, end->value,
                         end->kind == SY_END_STEP_OUTPUT ? SY_STEP_STRIDE(bytes) * steps : bytes, error))
            return false;
    }
    plan->space_bytes[SY_SPACE_STEP][0] =
        round_up(4 * (SY_STEP_TABLE_WORD + (uint64_t)steps * plan->params->n_step_columns), alignment(plan));
    return true;
}

/* The arena values and their lives, in stages or in positions. */
static uint32_t find_lives(const sy_plan *plan, const int32_t *writers, bool by_stage, life *lives)
{
    uint32_t n = 0, *index = (uint32_t *)calloc(plan->graph->n_nodes, sizeof *index);
    if (!index)
        return UINT32_MAX;
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_outputs; i++) {
            sy_value v = plan->groups[g].outputs[i];
            if (plan->places[v].size && plan->places[v].space != SY_SPACE_ARENA)
                continue;
            uint32_t at = by_stage ? plan->groups[g].stage : g;
            lives[n++] = (life){v, round_up(sy_type_bytes(&plan->graph->nodes[v].type), TEXEL), at, at, 0, 0};
            index[v] = n;
        }
    for (uint32_t g = 0; g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_inputs; i++) {
            sy_value v = plan->groups[g].inputs[i];
            uint32_t at = by_stage ? plan->groups[g].stage : g;
            if (writers[v] >= 0 && index[v] && lives[index[v] - 1].end < at)
                lives[index[v] - 1].end = at;
        }
    free(index);
    return n;
}

static int by_size(const void *a, const void *b)
{
    const life *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_length(const void *a, const void *b)
{
    const life *x = a, *y = b;
    uint32_t m = x->end - x->begin, n = y->end - y->begin;
    return m != n ? (m < n ? 1 : -1) : by_size(a, b);
}

static int by_birth(const void *a, const void *b)
{
    const life *x = a, *y = b;
    return x->begin != y->begin ? (x->begin > y->begin ? 1 : -1) : by_size(a, b);
}

static int by_place(const void *a, const void *b)
{
    const life *x = *(const life *const *)a, *y = *(const life *const *)b;
    if (x->buffer != y->buffer)
        return x->buffer < y->buffer ? -1 : 1;
    return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : (x->value > y->value) - (x->value < y->value);
}

/* The smallest gap of buffer `buffer` that holds the value, between the `n` neighbours (by place) it must not meet. */
static bool best_gap(const sy_plan *plan, const life *const *met, uint32_t n, uint32_t buffer, uint64_t bytes,
                     uint64_t *offset)
{
    uint64_t free_from = 0, best = UINT64_MAX, limit = largest_buffer(plan);
    for (uint32_t i = 0; i < n; i++) {
        if (met[i]->buffer != buffer)
            continue;
        if (met[i]->offset >= free_from + bytes && met[i]->offset - free_from < best) {
            best = met[i]->offset - free_from;
            *offset = free_from;
        }
        uint64_t end = round_up(met[i]->offset + met[i]->bytes, alignment(plan));
        free_from = end > free_from ? end : free_from;
    }
    if (best == UINT64_MAX)
        *offset = free_from;
    return best != UINT64_MAX || free_from + bytes <= limit;
}

/* One attempt, in the order of `lives`: offsets into lives, the sum of buffer sizes out. */
static bool attempt(const sy_plan *plan, life *lives, uint32_t n, const life **met, uint64_t sizes[SY_SPACE_BUFFERS],
                    uint64_t *total)
{
    memset(sizes, 0, SY_SPACE_BUFFERS * sizeof *sizes);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_met = 0, buffer = 0;
        for (uint32_t j = 0; j < i; j++)
            if (lives[j].begin <= lives[i].end && lives[i].begin <= lives[j].end)
                met[n_met++] = &lives[j];
        qsort(met, n_met, sizeof *met, by_place);
        while (!best_gap(plan, met, n_met, buffer, lives[i].bytes, &lives[i].offset))
            if (++buffer == SY_SPACE_BUFFERS)
                return false;
        lives[i].buffer = buffer;
        uint64_t end = lives[i].offset + lives[i].bytes;
        sizes[buffer] = end > sizes[buffer] ? end : sizes[buffer];
    }
    *total = 0;
    for (uint32_t b = 0; b < SY_SPACE_BUFFERS; b++)
        *total += sizes[b];
    return true;
}

/* The value that reaches highest goes to the front of the order. */
static void put_peak_first(life *lives, uint32_t n)
{
    uint32_t peak = 0;
    for (uint32_t i = 1; i < n; i++)
        if (lives[i].offset + lives[i].bytes > lives[peak].offset + lives[peak].bytes)
            peak = i;
    life first = lives[peak];
    memmove(lives + 1, lives, peak * sizeof *lives);
    lives[0] = first;
}

/* Places the values, if that needs less than `best` bytes, and lowers it. `enough`: no reason to look further. */
static bool place_arena(sy_plan *plan, life *lives, uint32_t n, const life **met, uint64_t enough, uint64_t *best,
                        sy_error *error)
{
    static int (*const orders[])(const void *, const void *) = {by_size, by_length, by_birth};
    enum { ORDERS = sizeof orders / sizeof *orders, MOVES = 16, MANY = 2000 };
    uint32_t moves = n < MANY ? MOVES : 1; /* an attempt is quadratic */
    uint64_t total, sizes[SY_SPACE_BUFFERS];
    for (uint32_t i = 0; i < n; i++)
        if (!check_size(plan, lives[i].value, lives[i].bytes, error))
            return false;
    for (uint32_t a = 0; a<ORDERS * moves && * best> enough; a++) {
        if (a % moves == 0)
            qsort(lives, n, sizeof *lives, orders[a / moves]);
        else
            put_peak_first(lives, n);
        if (!attempt(plan, lives, n, met, sizes, &total) || total >= *best)
            continue;
        *best = total;
        memcpy(plan->space_bytes[SY_SPACE_ARENA], sizes, sizeof sizes);
        for (uint32_t i = 0; i < n; i++)
            plan->places[lives[i].value] = (sy_place){SY_SPACE_ARENA, lives[i].buffer, lives[i].offset, lives[i].bytes};
    }
    if (*best == UINT64_MAX)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "activations need more than %d allocations of %llu bytes.",
                       SY_SPACE_BUFFERS, (unsigned long long)largest_buffer(plan));
    return true;
}

uint64_t sy_plan_lower_bound(const sy_plan *plan, const int32_t *writers)
{
    sy_arena arena = {0};
    uint32_t *last = sy_arena_array(&arena, plan->graph->n_nodes, sizeof *last);
    uint64_t *dies = sy_arena_array(&arena, plan->n_groups + 1, sizeof *dies), live = 0, most = 0;
    for (uint32_t g = 0; last && g < plan->n_groups; g++)
        for (uint32_t i = 0; i < plan->groups[g].n_inputs; i++)
            last[plan->groups[g].inputs[i]] = g;
    for (uint32_t g = 0; last && dies && g < plan->n_groups; g++) {
        for (uint32_t i = 0; i < plan->groups[g].n_outputs; i++) {
            sy_value v = plan->groups[g].outputs[i];
            if (plan->places[v].space != SY_SPACE_ARENA || writers[v] != (int32_t)g)
                continue;
            uint64_t bytes = sy_type_bytes(&plan->graph->nodes[v].type);
            live += bytes;
            dies[last[v] > g ? last[v] : g] += bytes;
        }
        most = live > most ? live : most;
        live -= dies[g];
    }
    sy_arena_free(&arena);
    return most;
}

static void count_space(sy_plan *plan)
{
    const sy_space spaces[] = {SY_SPACE_WEIGHT, SY_SPACE_STATE, SY_SPACE_OUTPUT};
    uint64_t *totals[] = {&plan->stats.weight_bytes, &plan->stats.state_bytes, &plan->stats.output_bytes};
    for (int i = 0; i < 3; i++)
        for (int b = 0; b < SY_SPACE_BUFFERS; b++)
            *totals[i] += plan->space_bytes[spaces[i]][b];
}

static bool place_activations(sy_plan *plan, const int32_t *writers, sy_arena *arena, sy_error *error)
{
    life *lives = sy_arena_array(arena, plan->graph->n_nodes, sizeof *lives);
    const life **met = sy_arena_array(arena, plan->graph->n_nodes, sizeof *met);
    uint32_t n = lives && met ? find_lives(plan, writers, true, lives) : UINT32_MAX;
    uint64_t best = UINT64_MAX;
    if (n == UINT32_MAX)
        return sy_no_memory(error);
    if (n == 0)
        return true;
    for (uint32_t i = 0; i < n; i++) /* so that the bound knows them from states and outputs */
        plan->places[lives[i].value] = (sy_place){SY_SPACE_ARENA, 0, 0, 0};
    uint64_t bound = sy_plan_lower_bound(plan, writers);
    plan->stats.arena_lower_bound = bound;
    if (!place_arena(plan, lives, n, met, bound + bound / 50, &best, error))
        return false;
    if (best > bound + bound / 10 && (find_lives(plan, writers, false, lives) == UINT32_MAX ||
                                      !place_arena(plan, lives, n, met, bound + bound / 50, &best, error)))
        return sy_no_memory(error);
    plan->stats.arena_bytes = best;
    return true;
}

bool sy_pass_plan_memory(sy_plan *plan, sy_error *error)
{
    sy_arena arena = {0};
    const int32_t *writers = sy_plan_writers(plan, &arena);
    plan->places = sy_arena_array(&plan->arena, plan->graph->n_nodes, sizeof *plan->places);
    bool fine = (writers && plan->places) || sy_no_memory(error);
    fine = fine && place_leaves(plan, error) && place_weights(plan, error) && place_ends(plan, error) &&
           place_activations(plan, writers, &arena, error);
    if (fine)
        count_space(plan);
    sy_arena_free(&arena);
    return fine;
}
