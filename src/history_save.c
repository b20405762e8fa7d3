/* The routes of a history in a file: one read-back, when somebody wants them outside of the program. */
#include "src/api.h"
#include "src/picture/maps.h"
#include "src/run/device_session.h"

#include <stdlib.h>

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to read the routes of a run");
}

/* The slices of all routes, one behind another in a buffer of the host's. */
typedef struct reading {
    const sy_history *h;
    uint32_t evaluations;
    sy_arena arena;
    sy_api_copy_of *copies;
    uint32_t n;
    uint64_t bytes;
} reading;

static bool list_copies(reading *r, sy_error *error)
{
    size_t most = 0;
    for (uint32_t i = 0; i < r->h->n_taps; i++)
        most += r->h->taps[i].is_route ? r->evaluations : 0;
    r->copies = sy_arena_array(&r->arena, most + 1, sizeof *r->copies);
    for (uint32_t i = 0; r->copies && i < r->h->n_taps; i++)
        for (uint32_t k = 0; r->h->taps[i].is_route && k < r->evaluations; k++) {
            const sy_history_slice *slice = &r->h->taps[i].slices[k];
            if (!slice->buffer)
                continue;
            r->copies[r->n++] = (sy_api_copy_of){.from = slice->buffer, .what = {slice->offset, r->bytes, slice->bytes}};
            r->bytes += slice->bytes;
        }
    return r->copies ? true : no_memory(error);
}

/* In the order of list_copies. */
static bool open_routes(reading *r, const uint8_t *data, sy_tap_result *taps, uint32_t *n, sy_error *error)
{
    uint32_t copy = 0;
    for (uint32_t i = 0; i < r->h->n_taps; i++) {
        const sy_history_tap *tap = &r->h->taps[i];
        if (!tap->is_route)
            continue;
        sy_route_step *steps = sy_arena_array(&r->arena, (size_t)r->evaluations + 1, sizeof *steps);
        if (!steps)
            return no_memory(error);
        sy_tap_result *out = &taps[(*n)++];
        *out = (sy_tap_result){.name = tap->name, .is_route = true, .evaluations = r->evaluations, .steps = steps};
        for (uint32_t k = 0; k < r->evaluations; k++) {
            if (!tap->slices[k].buffer)
                continue;
            const sy_history_route *form = &tap->forms[tap->slices[k].form].route;
            const sy_type type = sy_route_type(form->n_rows, form->n_targets, form->n_slots);
            const uint32_t *words = (const uint32_t *)(const void *)(data + r->copies[copy++].what.dstOffset);
            if (!sy_api_open_route(tap->name, &type, words, tap->slices[k].bytes, &r->arena, &steps[k], error))
                return false;
            out->rows = form->n_rows > out->rows ? form->n_rows : out->rows;
            out->targets = form->n_targets > out->targets ? form->n_targets : out->targets;
        }
    }
    return true;
}

static bool save(sy_pipeline *p, reading *r, const char *path, sy_error *error)
{
    sy_device_session *d = p->session->state;
    sy_vk_buffer host = {0};
    sy_result result = {.count = r->h->count, .tokens_per_picture = r->h->tokens_per_picture};
    sy_tap_result *taps = sy_arena_array(&r->arena, (size_t)r->h->n_taps + 1, sizeof *taps);
    if (!taps || !list_copies(r, error))
        return taps ? false : no_memory(error);
    if (!r->bytes)
        return sy_fail(error, SY_CODE_NOT_FOUND, "this run has no routes to write");
    bool ok = sy_vk_buffer_create(d->device, SY_MEMORY_READBACK, r->bytes, "routes to write", &host, error);
    for (uint32_t i = 0; i < r->n; i++)
        r->copies[i].to = host.handle;
    result.taps = taps;
    ok = ok && sy_api_copy(d, r->copies, r->n, error) && sy_vk_buffer_invalidate(d->device, &host, 0, r->bytes, error) &&
         open_routes(r, host.mapped, taps, &result.n_taps, error) && sy_map_save(path, &result, error);
    sy_vk_buffer_destroy(d->device, &host);
    return ok;
}

sy_status sy_history_save_routes(sy_pipeline *pipeline, uint32_t evaluations, const char *path)
{
    sy_error error = {0};
    reading r = {.h = pipeline->history};
    if (!r.h)
        sy_fail(&error, SY_CODE_INVALID_ARGUMENT,
                "this pipeline has no history: create it with sy_pipeline_params.history");
    else {
        r.evaluations = evaluations < r.h->n_evaluations ? evaluations : r.h->n_evaluations;
        save(pipeline, &r, path, &error);
    }
    sy_arena_free(&r.arena);
    return sy_api_done(pipeline->model->context, &error);
}
