/* The evaluator's frame: order of evaluation, routes in the open, values as stored on a device. */
#include "graph/ops/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool sy_eval_init(sy_eval *eval, const sy_graph *graph, sy_error *error)
{
    *eval = (sy_eval){.graph = graph};
    eval->tensor = calloc(graph->n_nodes, sizeof *eval->tensor);
    eval->route = calloc(graph->n_nodes, sizeof *eval->route);
    eval->borrowed = calloc(graph->n_nodes, sizeof *eval->borrowed);
    if (eval->tensor && eval->route && eval->borrowed)
        return true;
    sy_eval_free(eval);
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to evaluate %u values.", graph->n_nodes);
}

void sy_eval_route_free(sy_eval_route *route)
{
    if (!route)
        return;
    free(route->offsets), free(route->row), free(route->target), free(route->choice);
    free(route->row_offsets), free(route->row_slots), free(route->weight);
    free(route);
}

static void forget(sy_eval *eval, sy_value value)
{
    if (!eval->borrowed[value])
        free(eval->tensor[value]);
    sy_eval_route_free(eval->route[value]);
    eval->tensor[value] = NULL;
    eval->route[value] = NULL;
    eval->borrowed[value] = false;
}

/* A value of load time borrows from such alone, so nothing that stays has lost its owner. */
void sy_eval_reset(sy_eval *eval)
{
    for (sy_value v = 1; v < eval->graph->n_nodes; v++)
        if (!eval->graph->nodes[v].load_time)
            forget(eval, v);
}

void sy_eval_free(sy_eval *eval)
{
    for (sy_value v = 1; eval->graph && eval->tensor && eval->route && eval->borrowed && v < eval->graph->n_nodes; v++)
        forget(eval, v);
    free(eval->tensor);
    free(eval->route);
    free(eval->borrowed);
    *eval = (sy_eval){0};
}

double *sy_eval_result(sy_eval *e, sy_value value, sy_error *error)
{
    uint64_t count = sy_type_count(&e->graph->nodes[value].type);
    if (count < SIZE_MAX / sizeof(double))
        e->tensor[value] = calloc(count, sizeof(double));
    if (!e->tensor[value])
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for %llu numbers of %s.", (unsigned long long)count,
                sy_op_get(e->graph->nodes[value].op)->name);
    return e->tensor[value];
}

static bool computed(const sy_eval *e, sy_value value)
{
    return e->tensor[value] || e->route[value];
}

/* Arguments come before their users, so one backward sweep marks what is needed and one forward sweep computes it: no
 * recursion, whatever the graph. */
bool sy_eval_value(sy_eval *eval, sy_value value, sy_error *error)
{
    const sy_graph *graph = eval->graph;
    if (!value || value >= graph->n_nodes)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "value %u does not exist.", value);
    if (computed(eval, value))
        return true;
    bool *needed = calloc((size_t)value + 1, sizeof *needed), ok = needed != NULL;
    if (!ok)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to evaluate value %u.", value);
    needed[value] = true;
    for (sy_value v = value; v > 0; v--)
        for (uint32_t i = 0; needed[v] && !computed(eval, v) && i < graph->nodes[v].n_args; i++)
            needed[graph->nodes[v].args[i]] = true;
    for (sy_value v = 1; ok && v <= value; v++) {
        if (!needed[v] || computed(eval, v))
            continue;
        ok = sy_op_get(graph->nodes[v].op)->eval(eval, v, error);
        if (!ok) {
            forget(eval, v);
            sy_fail_context(error, "value %u", v);
        } else if (eval->progress && !eval->progress(eval->context, v)) {
            ok = sy_fail(error, SY_CODE_CANCELLED, "cancelled.");
        }
    }
    free(needed);
    return ok;
}

static int by_target(const void *a, const void *b)
{
    const sy_route_entry *x = a, *y = b;
    if (x->target != y->target)
        return (x->target > y->target) - (x->target < y->target);
    if (x->row != y->row)
        return (x->row > y->row) - (x->row < y->row);
    return (x->choice > y->choice) - (x->choice < y->choice);
}

bool sy_eval_put_route(sy_eval *e, sy_value value, uint32_t n, const sy_route_entry *entries, sy_error *error)
{
    const sy_type *type = &e->graph->nodes[value].type;
    sy_eval_route *r = calloc(1, sizeof *r);
    sy_route_entry *sorted = malloc((n ? n : 1) * sizeof *sorted);
    size_t room = n ? n : 1;
    if (r) {
        r->rows = type->dim[SY_ROUTE_ROWS], r->targets = type->dim[SY_ROUTE_TARGETS];
        r->offsets = calloc((size_t)r->targets + 1, sizeof *r->offsets);
        r->row_offsets = calloc((size_t)r->rows + 1, sizeof *r->row_offsets);
        r->row = calloc(room, sizeof *r->row), r->target = calloc(room, sizeof *r->target);
        r->choice = calloc(room, sizeof *r->choice), r->row_slots = calloc(room, sizeof *r->row_slots);
        r->weight = calloc(room, sizeof *r->weight);
    }
    if (!r || !sorted || !r->offsets || !r->row_offsets || !r->row || !r->target || !r->choice || !r->row_slots ||
        !r->weight) {
        free(sorted);
        sy_eval_route_free(r);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a route of %u slots.", n);
    }
    for (uint32_t i = 0; i < n; i++)
        if (entries[i].target >= 0 && entries[i].target < r->targets && entries[i].row >= 0 && entries[i].row < r->rows)
            sorted[r->count++] = entries[i];
    qsort(sorted, (size_t)r->count, sizeof *sorted, by_target);
    for (int32_t s = 0; s < r->count; s++) {
        r->row[s] = sorted[s].row, r->target[s] = sorted[s].target;
        r->choice[s] = sorted[s].choice, r->weight[s] = sorted[s].weight;
        r->offsets[sorted[s].target + 1]++;
        r->row_offsets[sorted[s].row + 1]++;
    }
    for (int32_t t = 0; t < r->targets; t++)
        r->offsets[t + 1] += r->offsets[t];
    for (int32_t t = 0; t < r->rows; t++)
        r->row_offsets[t + 1] += r->row_offsets[t];
    /* Slots ascend, and with them targets: filling each row in slot order sorts it by target. Filled from the back, so
     * that row_offsets needs no copy. */
    for (int32_t s = r->count - 1; s >= 0; s--)
        r->row_slots[--r->row_offsets[r->row[s] + 1]] = s;
    for (int32_t t = 0; t < r->rows; t++)
        r->row_offsets[t] = r->row_offsets[t + 1];
    r->row_offsets[r->rows] = r->count;
    free(sorted);
    e->route[value] = r;
    return true;
}

/* ---- as stored ---- */

static void store_route(const sy_eval_route *r, const sy_type *type, uint32_t tile_rows, uint32_t *word)
{
    sy_route_layout l = sy_route_layout_of(type);
    memset(word, 0, l.words * sizeof *word);
    word[l.count] = (uint32_t)r->count;
    for (int32_t t = 0; t <= r->targets; t++)
        word[l.offsets + (uint32_t)t] = (uint32_t)r->offsets[t];
    for (int32_t t = 0; t <= r->rows; t++)
        word[l.row_offsets + (uint32_t)t] = (uint32_t)r->row_offsets[t];
    for (int32_t s = 0; s < r->count; s++) {
        float weight = (float)r->weight[s];
        word[l.rows + (uint32_t)s] = (uint32_t)r->row[s];
        word[l.targets + (uint32_t)s] = (uint32_t)r->target[s];
        memcpy(&word[l.weights + (uint32_t)s], &weight, sizeof weight);
        word[l.row_slots + (uint32_t)s] = (uint32_t)r->row_slots[s];
    }
    if (tile_rows < SY_ROUTE_TILE_MIN)
        return;
    uint32_t n = 0;
    for (int32_t t = 0; t < r->targets; t++)
        for (int32_t s = r->offsets[t]; s < r->offsets[t + 1]; s += (int32_t)tile_rows, n++) {
            word[l.tiles + 1 + 2 * n] = (uint32_t)t;
            word[l.tiles + 2 + 2 * n] = (uint32_t)s;
        }
    word[l.tiles] = n;
}

bool sy_eval_store(const sy_eval *eval, sy_value value, uint32_t tile_rows, void *out, uint64_t bytes, sy_error *error)
{
    const sy_type *type = &eval->graph->nodes[value].type;
    if (!computed(eval, value) || bytes != sy_type_bytes(type))
        return sy_fail(error, SY_CODE_INTERNAL, "value %u is not there to be stored in %llu bytes.", value,
                       (unsigned long long)bytes);
    if (type->is_route) {
        store_route(eval->route[value], type, tile_rows, out);
        return true;
    }
    const double *x = eval->tensor[value];
    uint64_t count = sy_type_count(type);
    if (type->dtype == SY_F16 || type->dtype == SY_BF16)
        memset(out, 0, bytes);
    for (uint64_t i = 0; i < count; i++) {
        switch (type->dtype) {
        case SY_F16:
            ((uint16_t *)out)[i] = sy_f16_from_double(x[i]);
            break;
        case SY_BF16:
            ((uint16_t *)out)[i] = sy_bf16_from_double(x[i]);
            break;
        case SY_I32:
            ((int32_t *)out)[i] = (int32_t)x[i];
            break;
        case SY_U32:
            ((uint32_t *)out)[i] = (uint32_t)x[i];
            break;
        default:
            ((float *)out)[i] = (float)x[i];
        }
    }
    return true;
}
