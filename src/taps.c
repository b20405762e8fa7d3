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
bool sy_api_open_route(const char *name, const sy_type *type, const uint32_t *words, uint64_t bytes, sy_arena *arena,
                       sy_route_step *step, sy_error *error)
{
    sy_route_layout at = sy_route_layout_of(type);
    int32_t rows = type->dim[SY_ROUTE_ROWS], targets = type->dim[SY_ROUTE_TARGETS], slots = type->dim[SY_ROUTE_SLOTS];
    if (bytes < 4 * (uint64_t)at.indirect)
        return sy_fail(error, SY_CODE_INTERNAL, "route \"%s\" is kept in %llu bytes, too few", name,
                       (unsigned long long)bytes);
    uint32_t n = words[at.count];
    if (n > (uint32_t)slots)
        return sy_fail(error, SY_CODE_DEVICE,
                       "route \"%s\" came back with %u slots of %d: the device computed it wrongly", name, n, slots);
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
                           "route \"%s\" came back with row %d to target %d: the device computed it wrongly", name, row[i],
                           target[i]);
    *step = (sy_route_step){.n_slots = n, .row = row, .target = target, .weight = weight};
    return true;
}

/* A tap of one name, of as many programs as have it: `list`, n of them. A step's slice is that of the program that the
 * schedule has in it. */
typedef struct tap {
    const sy_session *session;
    const sy_session_result *list;
    uint32_t n;
} tap;

static const sy_session_result *slice_of(const tap *t, uint32_t step)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (sy_session_scheduled(t->session, t->list[i].program, step))
            return &t->list[i];
    return NULL;
}

static const uint8_t *data_of(const sy_session_result *r, uint32_t step)
{
    return (const uint8_t *)r->data + step * r->step_bytes;
}

/* All steps behind one another, each in the room of the largest program's; fewer rows fill the first. */
static bool join(const tap *t, sy_arena *arena, sy_array *array, sy_error *error)
{
    const sy_session_result *most = t->list;
    for (uint32_t i = 1; i < t->n; i++)
        most = t->list[i].bytes > most->bytes ? &t->list[i] : most;
    uint8_t *data = sy_arena_array(arena, most->n_slices, most->bytes);
    if (!data)
        return no_memory(error);
    for (uint32_t i = 0; i < most->n_slices; i++) {
        const sy_session_result *r = slice_of(t, i);
        if (r)
            memcpy(data + i * most->bytes, data_of(r, i), r->bytes);
    }
    *array = (sy_array){.name = sy_arena_string(arena, most->name),
                        .type = (sy_array_type)most->type.dtype,
                        .rank = most->type.rank,
                        .data = data,
                        .bytes = most->bytes * most->n_slices};
    memcpy(array->dim, most->type.dim, sizeof array->dim);
    return array->name || no_memory(error);
}

static bool tap_of(const tap *t, sy_arena *arena, sy_tap_result *out, sy_error *error)
{
    const sy_session_result *first = t->list;
    *out = (sy_tap_result){
        .name = sy_arena_string(arena, first->name), .is_route = first->type.is_route, .evaluations = first->n_slices};
    if (!out->name)
        return no_memory(error);
    if (!out->is_route)
        return join(t, arena, &out->array, error);
    sy_route_step *steps = sy_arena_array(arena, first->n_slices, sizeof *steps);
    if (!steps)
        return no_memory(error);
    out->steps = steps;
    for (uint32_t i = 0; i < t->n; i++) {
        const sy_type *type = &t->list[i].type;
        out->rows = type->dim[SY_ROUTE_ROWS] > out->rows ? type->dim[SY_ROUTE_ROWS] : out->rows;
        out->targets = type->dim[SY_ROUTE_TARGETS] > out->targets ? type->dim[SY_ROUTE_TARGETS] : out->targets;
    }
    for (uint32_t i = 0; i < first->n_slices; i++) {
        const sy_session_result *r = slice_of(t, i);
        if (r && !sy_api_open_route(r->name, &r->type, (const uint32_t *)(const void *)data_of(r, i), r->bytes, arena, &steps[i],
                                    error))
            return false;
    }
    return true;
}

bool sy_api_taps(const sy_session *session, uint32_t steps, sy_arena *arena, const sy_tap_result **taps,
                 uint32_t *n_taps, sy_error *error)
{
    sy_session_result r;
    uint32_t n = 0;
    for (uint32_t i = 0; sy_session_output(session, i, &r); i++)
        n += r.step_bytes > 0 && r.data;
    sy_tap_result *list = sy_arena_array(arena, (size_t)n + 1, sizeof *list);
    sy_session_result *all = sy_arena_array(arena, (size_t)n + 1, sizeof *all),
                      *same = sy_arena_array(arena, (size_t)n + 1, sizeof *same);
    if (!list || !all || !same)
        return no_memory(error);
    n = 0;
    for (uint32_t i = 0; sy_session_output(session, i, &r); i++)
        if (r.step_bytes > 0 && r.data) {
            r.n_slices = steps && steps < r.n_slices ? steps : r.n_slices;
            all[n++] = r;
        }
    *taps = list;
    *n_taps = 0;
    for (uint32_t i = 0; i < n; i++) {
        tap t = {session, same, 0};
        bool known = false;
        for (uint32_t k = 0; k < n; k++)
            if (!strcmp(all[k].name, all[i].name)) {
                known = known || k < i;
                same[t.n++] = all[k];
            }
        if (!known && !tap_of(&t, arena, &list[(*n_taps)++], error))
            return false;
    }
    return true;
}
