/* What a session left for the host, in the public form: arrays as they are, routes opened from their words. */
#include "graph/ir/route.h"
#include "src/api.h"

#include <string.h>

_Static_assert((int)SY_ARRAY_F32 == (int)SY_F32 && (int)SY_ARRAY_F16 == (int)SY_F16 &&
                   (int)SY_ARRAY_BF16 == (int)SY_BF16 && (int)SY_ARRAY_I32 == (int)SY_I32 &&
                   (int)SY_ARRAY_U32 == (int)SY_U32 && (int)SY_ARRAY_MAX_RANK == (int)SY_MAX_RANK,
               "the public array types are those of the graph");

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the results");
}

/* All slices behind one another. */
static const void *copy_slices(const sy_session_result *r, sy_arena *arena)
{
    uint8_t *data = sy_arena_array(arena, r->n_slices, r->bytes);
    for (uint32_t i = 0; data && i < r->n_slices; i++)
        memcpy(data + i * r->bytes, (const uint8_t *)r->data + i * r->step_bytes, r->bytes);
    return data;
}

bool sy_api_array(const sy_session_result *r, sy_arena *arena, sy_array *array, sy_error *error)
{
    *array = (sy_array){
        .name = sy_arena_string(arena, r->name), .data = copy_slices(r, arena), .bytes = r->bytes * r->n_slices};
    if (!array->name || !array->data)
        return no_memory(error);
    if (r->type.is_route) {
        array->type = SY_ARRAY_U32;
        array->rank = 1;
        array->dim[0] = (int32_t)(r->bytes / 4);
        return true;
    }
    array->type = (sy_array_type)r->type.dtype;
    array->rank = r->type.rank;
    memcpy(array->dim, r->type.dim, sizeof array->dim);
    return true;
}

/* The words come from a device: every number in them is checked before it is believed. */
static bool open_route(const sy_session_result *r, const uint32_t *words, sy_arena *arena, sy_route_step *step,
                       sy_error *error)
{
    sy_route_layout at = sy_route_layout_of(&r->type);
    int32_t rows = r->type.dim[SY_ROUTE_ROWS], targets = r->type.dim[SY_ROUTE_TARGETS],
            slots = r->type.dim[SY_ROUTE_SLOTS];
    uint32_t n = words[at.count];
    if (n > (uint32_t)slots)
        return sy_fail(error, SY_CODE_DEVICE,
                       "route \"%s\" came back with %u slots of %d: the device computed it wrongly", r->name, n, slots);
    int32_t *row = sy_arena_array(arena, (size_t)n + 1, sizeof *row),
            *target = sy_arena_array(arena, (size_t)n + 1, sizeof *target);
    float *weight = sy_arena_array(arena, (size_t)n + 1, sizeof *weight);
    if (!row || !target || !weight)
        return no_memory(error);
    memcpy(row, words + at.rows, n * sizeof *row);
    memcpy(target, words + at.targets, n * sizeof *target);
    memcpy(weight, words + at.weights, n * sizeof *weight);
    for (uint32_t i = 0; i < n; i++)
        if (row[i] < 0 || row[i] >= rows || target[i] < 0 || target[i] >= targets)
            return sy_fail(error, SY_CODE_DEVICE,
                           "route \"%s\" came back with row %d to target %d: the device computed it wrongly", r->name,
                           row[i], target[i]);
    *step = (sy_route_step){.n_slots = n, .row = row, .target = target, .weight = weight};
    return true;
}

static bool tap_of(const sy_session_result *r, sy_arena *arena, sy_tap_result *tap, sy_error *error)
{
    *tap = (sy_tap_result){
        .name = sy_arena_string(arena, r->name), .is_route = r->type.is_route, .evaluations = r->n_slices};
    if (!tap->name)
        return no_memory(error);
    if (!r->type.is_route)
        return sy_api_array(r, arena, &tap->array, error);
    tap->rows = r->type.dim[SY_ROUTE_ROWS];
    tap->targets = r->type.dim[SY_ROUTE_TARGETS];
    sy_route_step *steps = sy_arena_array(arena, r->n_slices, sizeof *steps);
    const uint32_t *words = copy_slices(r, arena);
    if (!steps || !words)
        return no_memory(error);
    if (r->bytes < 4 * (uint64_t)sy_route_layout_of(&r->type).indirect)
        return sy_fail(error, SY_CODE_INTERNAL, "route \"%s\" is kept in %llu bytes, too few", r->name,
                       (unsigned long long)r->bytes);
    tap->steps = steps;
    for (uint32_t i = 0; i < r->n_slices; i++)
        if (!open_route(r, words + i * (r->bytes / 4), arena, &steps[i], error))
            return false;
    return true;
}

bool sy_api_taps(const sy_session *session, sy_arena *arena, const sy_tap_result **taps, uint32_t *n_taps,
                 sy_error *error)
{
    sy_session_result r;
    uint32_t n = 0, i = 0;
    while (sy_session_output(session, i++, &r))
        n += r.step_bytes > 0;
    sy_tap_result *list = sy_arena_array(arena, (size_t)n + 1, sizeof *list);
    if (!list)
        return no_memory(error);
    *taps = list;
    *n_taps = 0;
    for (i = 0; sy_session_output(session, i, &r); i++)
        if (r.step_bytes > 0 && !tap_of(&r, arena, &list[(*n_taps)++], error))
            return false;
    return true;
}
