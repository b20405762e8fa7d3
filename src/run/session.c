/* Sessions: names, layouts and the schedule, and the rules common to devices and the reference evaluator; the work is
 * in the backends. */
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

const sy_slot *sy_slot_find(const sy_slot *slots, uint32_t n, const char *name)
{
    return find((sy_slot *)slots, n, name);
}

/* Adds those of `ios` that are not there yet; a name means the same type in all programs. */
static bool gather(sy_slot *slots, uint32_t *n, const sy_io *ios, uint32_t n_ios, uint64_t *total, sy_error *error)
{
    for (uint32_t i = 0; i < n_ios; i++) {
        sy_slot *known = find(slots, *n, ios[i].name);
        char one[96], other[96];
        if (known) {
            if (!sy_type_equal(&known->type, &ios[i].type))
                return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                               "\"%s\" is %s in one program of a session and %s in another", ios[i].name,
                               sy_type_text(&known->type, one), sy_type_text(&ios[i].type, other));
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

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
}

static void add_outputs(sy_session *s, uint32_t which)
{
    const sy_program *step = s->params.programs[which].program;
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const sy_io *io = &step->outputs[i];
        sy_slot *slot = &s->outputs[s->n_outputs++];
        *slot = (sy_slot){.name = io->name,
                          .type = io->type,
                          .bytes = sy_type_bytes(&io->type),
                          .offset = io->place.offset,
                          .program = which,
                          .buffer = io->place.buffer,
                          .step_bytes = io->step_bytes,
                          .n_slices = io->step_bytes ? s->params.n_steps : 1,
                          .result = s->result_bytes};
        slot->held = s->params.history && slot->step_bytes && !(s->params.told && !strcmp(s->params.told, slot->name));
        if (!slot->held)
            s->result_bytes += align(slot->n_slices > 1 ? slot->step_bytes * slot->n_slices : slot->bytes);
    }
}

/* Slots of all programs, the step programs first. */
static bool lay_out(sy_session *s, sy_error *error)
{
    uint32_t inputs = 1, states = 1, outputs = 1;
    const sy_program *programs[SY_SESSION_PROGRAMS + 1];
    uint32_t n = s->params.n_programs;
    for (uint32_t i = 0; i < n; i++)
        programs[i] = s->params.programs[i].program;
    if (s->params.init)
        programs[n++] = s->params.init;
    for (uint32_t i = 0; i < n; i++) {
        inputs += programs[i]->n_inputs;
        states += programs[i]->n_states;
        outputs += programs[i]->n_outputs;
    }
    s->inputs = sy_arena_array(&s->arena, inputs, sizeof *s->inputs);
    s->states = sy_arena_array(&s->arena, states, sizeof *s->states);
    s->outputs = sy_arena_array(&s->arena, outputs, sizeof *s->outputs);
    if (!s->inputs || !s->states || !s->outputs)
        return no_memory(error);
    for (uint32_t i = 0; i < n; i++)
        if (!gather(s->inputs, &s->n_inputs, programs[i]->inputs, programs[i]->n_inputs, &s->input_bytes, error) ||
            !gather(s->states, &s->n_states, programs[i]->states, programs[i]->n_states, &s->state_bytes, error))
            return false;
    for (uint32_t i = 0; i < s->n_states; i++) {
        s->states[i].result = s->result_bytes;
        s->result_bytes += align(s->states[i].bytes);
    }
    for (uint32_t i = 0; i < s->params.n_programs; i++)
        add_outputs(s, i);
    return true;
}

/* The session's own list of programs, whichever way they were given. */
static bool copy_programs(sy_session *s, const sy_session_params *params, sy_error *error)
{
    uint32_t n = params->step ? 1 : params->n_programs;
    if (!n || n > SY_SESSION_PROGRAMS || (!params->step && !params->programs))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a session takes 1 to %d step programs; %u were given",
                       SY_SESSION_PROGRAMS, n);
    sy_session_program *programs = sy_arena_array(&s->arena, n, sizeof *programs);
    if (!programs)
        return no_memory(error);
    if (params->step)
        programs[0] = (sy_session_program){.program = params->step};
    else
        memcpy(programs, params->programs, n * sizeof *programs);
    s->params.programs = programs;
    s->params.n_programs = n;
    return true;
}

/* The turns of a run, in order, each with the step it belongs to. */
static bool copy_schedule(sy_session *s, const sy_session_params *params, sy_error *error)
{
    uint32_t n = params->schedule ? params->n_schedule : s->params.n_steps, step = 0;
    s->turns = sy_arena_array(&s->arena, (size_t)n + 1, sizeof *s->turns);
    if (!s->turns)
        return no_memory(error);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t program = params->schedule ? params->schedule[i] : 0;
        if (program >= s->params.n_programs)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "turn %u of the schedule is program %u of %u", i, program,
                           s->params.n_programs);
        bool ends = !s->params.programs[program].same_step;
        s->turns[i] = (sy_turn){program, step, ends};
        step += ends;
    }
    s->n_turns = n;
    if (step != s->params.n_steps || !n || !s->turns[n - 1].ends_step)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the schedule has %u whole steps; the step table has %u", step,
                       s->params.n_steps);
    return true;
}

static bool check_conditions(const sy_session *s, sy_error *error)
{
    sy_type one = sy_tensor(SY_I32, 1, (const int32_t[]){1});
    for (uint32_t i = 0; i < s->params.n_programs; i++) {
        const char *name = s->params.programs[i].condition;
        const sy_slot *slot = name ? sy_slot_find(s->states, s->n_states, name) : NULL;
        if (name && (!slot || !sy_type_equal(&slot->type, &one)))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the condition \"%s\" is no state i32[1]", name);
    }
    return true;
}

static bool copy_table(sy_session *s, const sy_session_params *params, sy_error *error)
{
    size_t entries = (size_t)s->params.n_steps * params->n_columns;
    float *table = entries ? sy_arena_array(&s->arena, entries, sizeof *table) : NULL;
    if (entries && table)
        memcpy(table, params->table, entries * sizeof *table);
    s->params.table = table;
    return !entries || table || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a step table");
}

sy_session *sy_session_create(const sy_session_params *params, sy_error *error)
{
    sy_session *s = calloc(1, sizeof *s);
    if (!s) {
        no_memory(error);
        return NULL;
    }
    s->params = *params;
    s->params.n_steps = params->n_steps ? params->n_steps : 1;
    s->observer.timing = params->timings;
    bool ok = copy_table(s, params, error) && copy_programs(s, params, error) && copy_schedule(s, params, error) &&
              lay_out(s, error) && check_conditions(s, error);
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
        return sy_fail(error, SY_CODE_DEVICE_LOST, "the device was lost earlier (%s): begin with a new context",
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
                                  .data = slot->held ? NULL : s->results + slot->result,
                                  .bytes = slot->bytes,
                                  .step_bytes = slot->step_bytes,
                                  .n_slices = slot->n_slices,
                                  .program = slot->program};
}

static const sy_slot *output_of_last(const sy_session *s, const char *name)
{
    for (uint32_t t = s->n_turns; t > 0; t--)
        for (uint32_t i = 0; i < s->n_outputs; i++)
            if (s->outputs[i].program == s->turns[t - 1].program && !strcmp(s->outputs[i].name, name))
                return &s->outputs[i];
    return NULL;
}

bool sy_session_read(const sy_session *s, const char *name, sy_session_result *result, sy_error *error)
{
    if (!s->ran)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no finished run to read \"%s\" from", name);
    const sy_slot *slot = output_of_last(s, name);
    if (!slot)
        slot = find(s->states, s->n_states, name);
    if (!slot)
        return sy_fail(error, SY_CODE_NOT_FOUND, "there is no output or state \"%s\"", name);
    if (slot->held)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "\"%s\" stays on the device", name);
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

bool sy_session_scheduled(const sy_session *s, uint32_t program, uint32_t step)
{
    for (uint32_t i = 0; i < s->n_turns; i++)
        if (s->turns[i].step == step && s->turns[i].program == program)
            return true;
    return false;
}

bool sy_session_observe(sy_session *s, const sy_session_observer *observer, sy_error *error)
{
    if (!s->backend->observe)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator has no device to time");
    s->observer = observer ? *observer : (sy_session_observer){0};
    s->ran = false;
    return s->backend->observe(s, error);
}

const double *sy_session_timings(const sy_session *session, uint32_t program)
{
    return session->ran && session->observer.timing && program < session->params.n_programs ? session->timings[program] : NULL;
}

const sy_session_stats *sy_session_get_stats(const sy_session *session)
{
    return &session->stats;
}
