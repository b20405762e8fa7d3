/* Sessions: names, layouts and the rules common to devices and the reference evaluator; the work is in the backends. */
#include "src/run/session_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOT_ALIGN = 256 }; /* at least every device's offset alignment */

double sy_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t align(uint64_t x)
{
    return (x + SLOT_ALIGN - 1) & ~(uint64_t)(SLOT_ALIGN - 1);
}

static sy_slot *find(sy_slot *slots, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(slots[i].name, name))
            return &slots[i];
    return NULL;
}

/* Adds those of `ios` that are not there yet; a name means the same type in both programs. */
static bool gather(sy_slot *slots, uint32_t *n, const sy_io *ios, uint32_t n_ios, uint64_t *total, sy_error *error)
{
    for (uint32_t i = 0; i < n_ios; i++) {
        sy_slot *known = find(slots, *n, ios[i].name);
        if (known) {
            if (!sy_type_equal(&known->type, &ios[i].type))
                return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" has two types in the programs of one session",
                               ios[i].name);
            continue;
        }
        slots[*n] = (sy_slot){.name = ios[i].name,
                              .type = ios[i].type,
                              .bytes = sy_type_bytes(&ios[i].type),
                              .n_slices = 1,
                              .offset = *total};
        *total += align(slots[*n].bytes);
        ++*n;
    }
    return true;
}

static bool lay_out(sy_session *s, sy_error *error)
{
    const sy_program *init = s->params.init, *step = s->params.step;
    s->inputs = sy_arena_array(&s->arena, step->n_inputs + (init ? init->n_inputs : 0) + 1, sizeof *s->inputs);
    s->states = sy_arena_array(&s->arena, step->n_states + (init ? init->n_states : 0) + 1, sizeof *s->states);
    s->outputs = sy_arena_array(&s->arena, step->n_outputs + 1, sizeof *s->outputs);
    if (!s->inputs || !s->states || !s->outputs)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
    if (!gather(s->inputs, &s->n_inputs, step->inputs, step->n_inputs, &s->input_bytes, error) ||
        !gather(s->states, &s->n_states, step->states, step->n_states, &s->state_bytes, error))
        return false;
    if (init && (!gather(s->inputs, &s->n_inputs, init->inputs, init->n_inputs, &s->input_bytes, error) ||
                 !gather(s->states, &s->n_states, init->states, init->n_states, &s->state_bytes, error)))
        return false;
    for (uint32_t i = 0; i < s->n_states; i++) {
        s->states[i].result = s->result_bytes;
        s->result_bytes += align(s->states[i].bytes);
    }
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const sy_io *io = &step->outputs[i];
        sy_slot *slot = &s->outputs[s->n_outputs++];
        *slot = (sy_slot){.name = io->name,
                          .type = io->type,
                          .bytes = sy_type_bytes(&io->type),
                          .offset = io->place.offset,
                          .buffer = io->place.buffer,
                          .step_bytes = io->step_bytes,
                          .n_slices = io->step_bytes ? s->params.n_steps : 1,
                          .result = s->result_bytes};
        s->result_bytes += align(slot->n_slices > 1 ? slot->step_bytes * slot->n_slices : slot->bytes);
    }
    return true;
}

sy_session *sy_session_create(const sy_session_params *params, sy_error *error)
{
    sy_session *s = calloc(1, sizeof *s);
    if (!s) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
        return NULL;
    }
    s->params = *params;
    s->params.n_steps = params->n_steps ? params->n_steps : 1;
    size_t entries = (size_t)s->params.n_steps * params->n_columns;
    float *table = entries ? sy_arena_array(&s->arena, entries, sizeof *table) : NULL;
    if (entries && table)
        memcpy(table, params->table, entries * sizeof *table);
    s->params.table = table;
    bool ok =
        !entries || table ? lay_out(s, error) : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a step table");
    if (ok)
        ok = params->device ? sy_session_device_create(s, error) : sy_session_reference_create(s, error);
    if (!ok)
        sy_session_destroy(&s);
    return s;
}

void sy_session_destroy(sy_session **session)
{
    sy_session *s = session ? *session : NULL;
    if (!s)
        return;
    if (s->backend)
        s->backend->destroy(s);
    sy_arena_free(&s->arena);
    free(s);
    *session = NULL;
}

bool sy_session_write(sy_session *s, const char *name, const void *data, uint64_t bytes, sy_error *error)
{
    sy_slot *slot = find(s->inputs, s->n_inputs, name);
    if (!slot)
        return sy_fail(error, SY_CODE_NOT_FOUND, "there is no input \"%s\"", name);
    if (bytes != slot->bytes) {
        char text[96];
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "input \"%s\" is %s, %llu bytes; %llu were given", name,
                       sy_type_text(&slot->type, text), (unsigned long long)slot->bytes, (unsigned long long)bytes);
    }
    memcpy(s->input_memory + slot->offset, data, bytes);
    slot->written = true;
    return true;
}

bool sy_session_run(sy_session *s, sy_session_progress *progress, void *context, sy_error *error)
{
    s->ran = false;
    if (s->lost.code != SY_CODE_OK)
        return sy_fail(error, SY_CODE_DEVICE_LOST, "the device was lost earlier (%s): open the model again",
                       s->lost.message);
    for (uint32_t i = 0; i < s->n_inputs; i++)
        if (!s->inputs[i].written)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "input \"%s\" was given no value", s->inputs[i].name);
    double start = sy_seconds();
    s->stats.submissions = s->stats.host_waits = 0;
    s->ran = s->backend->run(s, progress, context, error);
    s->stats.run_seconds = sy_seconds() - start;
    return s->ran;
}

static void result_of(const sy_session *s, const sy_slot *slot, sy_session_result *result)
{
    *result = (sy_session_result){.name = slot->name,
                                  .type = slot->type,
                                  .data = s->results + slot->result,
                                  .bytes = slot->bytes,
                                  .step_bytes = slot->step_bytes,
                                  .n_slices = slot->n_slices};
}

bool sy_session_read(const sy_session *s, const char *name, sy_session_result *result, sy_error *error)
{
    if (!s->ran)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no finished run to read \"%s\" from", name);
    const sy_slot *slot = find(s->outputs, s->n_outputs, name);
    if (!slot)
        slot = find(s->states, s->n_states, name);
    if (!slot)
        return sy_fail(error, SY_CODE_NOT_FOUND, "there is no output or state \"%s\"", name);
    result_of(s, slot, result);
    return true;
}

bool sy_session_output(const sy_session *s, uint32_t index, sy_session_result *result)
{
    if (!s->ran || index >= s->n_outputs)
        return false;
    result_of(s, &s->outputs[index], result);
    return true;
}

const double *sy_session_timings(const sy_session *session)
{
    return session->ran ? session->timings : NULL;
}

const sy_session_stats *sy_session_get_stats(const sy_session *session)
{
    return &session->stats;
}
