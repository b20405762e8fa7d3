/* Sessions on a device: memory and weights. Buffers are few: one or more an arena, weights and outputs as the programs
 * say; states, inputs and the step table are the session's own, so that programs can share them by name, and weights
 * lie where the first program that has them put them. */
#include "src/run/device_session.h"

#include "src/run/marks.h"

#include <string.h>

#include "src/run/weights.h"

/* Inputs and states: from the program's own layout to the session's, by the name of what lies there. */
static bool locate_named(const sy_io *ios, uint32_t n_ios, const sy_slot *slots, uint32_t n_slots,
                         const sy_place *place, uint64_t *offset)
{
    for (uint32_t i = 0; i < n_ios; i++) {
        const sy_place *io = &ios[i].place;
        if (io->buffer != place->buffer || place->offset < io->offset || place->offset - io->offset >= io->size)
            continue;
        const sy_slot *slot = sy_slot_find(slots, n_slots, ios[i].name);
        if (!slot)
            return false;
        *offset = slot->offset + (place->offset - io->offset);
        return true;
    }
    return false;
}

bool sy_locate(const sy_device_session *d, uint32_t which, const sy_place *place, VkBuffer *buffer, uint64_t *offset,
               sy_error *error)
{
    const sy_program_objects *o = &d->objects[which];
    const sy_program *p = o->program;
    const sy_session *s = d->session;
    bool ok = place->buffer < SY_SPACE_BUFFERS;
    sy_place weight;
    *offset = place->offset;
    *buffer = VK_NULL_HANDLE;
    switch (ok ? place->space : SY_SPACE_COUNT) {
    case SY_SPACE_ARENA:
        *buffer = d->arena[place->buffer].handle;
        break;
    case SY_SPACE_WEIGHT:
        ok = sy_shared_find(&d->shared, p, which, place, &weight);
        if (ok) {
            *buffer = d->weight[weight.buffer]->buffer.handle;
            *offset = weight.offset;
        }
        break;
    case SY_SPACE_OUTPUT:
        *buffer = o->output[place->buffer].handle;
        break;
    case SY_SPACE_STEP:
        *buffer = d->step.handle;
        break;
    case SY_SPACE_STATE:
        ok = locate_named(p->states, p->n_states, s->states, s->n_states, place, offset);
        *buffer = d->state.handle;
        break;
    case SY_SPACE_INPUT:
        ok = locate_named(p->inputs, p->n_inputs, s->inputs, s->n_inputs, place, offset);
        *buffer = d->input.handle;
        break;
    default:
        ok = false;
    }
    if (!ok || !*buffer)
        return sy_fail(error, SY_CODE_INTERNAL,
                       "a program reads memory at %llu of space %d, buffer %u, which is not there",
                       (unsigned long long)place->offset, place->space, place->buffer);
    return true;
}

static bool make(sy_device_session *d, sy_memory_use use, uint64_t bytes, const char *name, sy_vk_buffer *buffer,
                 sy_error *error)
{
    if (!bytes)
        return true;
    if (!sy_vk_buffer_create(d->device, use, bytes, name, buffer, error))
        return false;
    *(use == SY_MEMORY_DEVICE ? &d->session->stats.device_bytes : &d->session->stats.host_bytes) += buffer->size;
    return true;
}

static uint64_t step_bytes(const sy_device_session *d)
{
    const sy_session_params *p = &d->session->params;
    uint64_t bytes = 4 * (SY_STEP_TABLE_WORD + (uint64_t)p->n_steps * p->n_columns);
    for (int i = 0; i < SY_PROGRAMS; i++) {
        const sy_program *program = d->objects[i].program;
        if (program && program->space_bytes[SY_SPACE_STEP][0] > bytes)
            bytes = program->space_bytes[SY_SPACE_STEP][0];
    }
    return bytes;
}

/* The arena is one for all programs: only one of them runs at a time. */
static uint64_t arena_bytes(const sy_device_session *d, int buffer)
{
    uint64_t most = 0;
    for (int i = 0; i < SY_PROGRAMS; i++) {
        const sy_program *program = d->objects[i].program;
        if (program && program->space_bytes[SY_SPACE_ARENA][buffer] > most)
            most = program->space_bytes[SY_SPACE_ARENA][buffer];
    }
    return most;
}

/* All device memory this session will ask for. */
static uint64_t wanted_bytes(const sy_device_session *d)
{
    const sy_session *s = d->session;
    uint64_t total = s->input_bytes + s->state_bytes + step_bytes(d);
    for (int b = 0; b < SY_SPACE_BUFFERS; b++) {
        total += arena_bytes(d, b) + d->shared.bytes[b];
        for (int i = 0; i < SY_PROGRAMS; i++)
            total += d->objects[i].program ? d->objects[i].program->space_bytes[SY_SPACE_OUTPUT][b] : 0;
    }
    return total;
}

static bool make_buffers(sy_device_session *d, sy_error *error)
{
    sy_session *s = d->session;
    uint64_t wanted = wanted_bytes(d), there = sy_vk_device_free_bytes(d->device, SY_MEMORY_DEVICE);
    if (wanted > there)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY,
                       "%.0f MiB of device memory are needed and %.0f MiB are free: make fewer pictures at once, use "
                       "--precision f16, or another device",
                       (double)wanted / 1048576, (double)there / 1048576);
    for (int b = 0; b < SY_SPACE_BUFFERS; b++) {
        for (int i = 0; i < SY_PROGRAMS; i++) {
            sy_program_objects *o = &d->objects[i];
            if (o->program && !make(d, SY_MEMORY_DEVICE, o->program->space_bytes[SY_SPACE_OUTPUT][b], "outputs",
                                    &o->output[b], error))
                return false;
        }
        if (!make(d, SY_MEMORY_DEVICE, arena_bytes(d, b), "arena", &d->arena[b], error))
            return false;
    }
    return sy_weights_make(d, error) && make(d, SY_MEMORY_DEVICE, s->state_bytes, "states", &d->state, error) &&
           make(d, SY_MEMORY_DEVICE, s->input_bytes, "inputs", &d->input, error) &&
           make(d, SY_MEMORY_DEVICE, step_bytes(d), "step", &d->step, error) &&
           make(d, SY_MEMORY_STAGING, s->input_bytes, "inputs, host side", &d->staging, error) &&
           make(d, SY_MEMORY_READBACK, s->result_bytes, "results", &d->readback, error);
}

typedef struct weight_target {
    sy_upload *upload;
    uint32_t program;
} weight_target;

static bool put_weight(void *context, const sy_place *place, uint64_t offset, const void *data, uint64_t bytes,
                       sy_error *error)
{
    weight_target *t = context;
    sy_device_session *d = t->upload->d;
    sy_place at;
    if (!sy_shared_find(&d->shared, d->objects[t->program].program, t->program, place, &at))
        return sy_fail(error, SY_CODE_INTERNAL, "a weight has no buffer");
    return sy_upload_put(t->upload, &d->weight[at.buffer]->buffer, at.offset + offset, data, bytes, error);
}

static bool load(sy_device_session *d, sy_error *error)
{
    const sy_session_params *p = &d->session->params;
    sy_upload upload;
    uint64_t done = 0;
    bool ok = sy_upload_begin(d, &upload, error);
    for (uint32_t i = 0; ok && i < SY_PROGRAMS; i++) {
        if (!d->objects[i].program)
            continue;
        weight_target target = {&upload, i};
        sy_weight_sink sink = {.put = put_weight,
                               .context = &target,
                               .wanted = d->shared.stored[i],
                               .done = done,
                               .total = d->session->stats.weight_bytes - d->shared.there,
                               .progress = p->loading,
                               .progress_context = p->context};
        ok = sy_weights_load(d->objects[i].program, p->weights, &sink, error);
        done = sink.done;
    }
    if (ok && p->n_columns)
        ok = sy_upload_put(&upload, &d->step, 4 * SY_STEP_TABLE_WORD, p->table, 4 * (uint64_t)p->n_steps * p->n_columns,
                           error);
    ok = ok && sy_gate_create(d, &upload, error);
    ok = sy_upload_end(&upload, ok ? error : NULL) && ok;
    if (ok)
        sy_weights_done(d);
    return ok;
}

/* Before loading: the sizes of parts are loaded where a condition decides over them. */
static bool plan_segments(sy_device_session *d, sy_error *error)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < SY_PROGRAMS; i++) {
        sy_program_objects *o = &d->objects[i];
        bool whole = o->condition && !o->program->conditional;
        ok = !o->program || sy_segments_plan(o->program, sy_segments_bound(d), whole, &d->session->arena, &o->segments,
                                             &o->n_segments, error);
    }
    return ok;
}

static bool make_queue_objects(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    VkSemaphoreTypeCreateInfo timeline = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                          .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &timeline};
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = v->plan->family};
    return sy_vk_check(v->vk.vkCreateSemaphore(v->handle, &semaphore, NULL, &d->timeline), error,
                       "a timeline semaphore") &&
           sy_vk_check(v->vk.vkCreateCommandPool(v->handle, &pool, NULL, &d->commands), error, "a command pool");
}

static void destroy(sy_session *s)
{
    sy_device_session *d = s->state;
    sy_vk_device *v = d->device;
    if (d->reached)
        sy_submit_wait(d, d->reached, NULL); /* after a failure something may still run */
    sy_record_free(d);
    if (d->commands)
        v->vk.vkDestroyCommandPool(v->handle, d->commands, NULL);
    if (d->queries)
        v->vk.vkDestroyQueryPool(v->handle, d->queries, NULL);
    if (d->timeline)
        v->vk.vkDestroySemaphore(v->handle, d->timeline, NULL);
    sy_pipeline_cache_close(v, &d->cache);
    for (int b = 0; b < SY_SPACE_BUFFERS; b++) {
        sy_vk_buffer_destroy(v, &d->arena[b]);
        for (int i = 0; i < SY_PROGRAMS; i++)
            sy_vk_buffer_destroy(v, &d->objects[i].output[b]);
    }
    sy_vk_buffer *own[] = {&d->heads, &d->state, &d->input, &d->step, &d->staging, &d->readback};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sy_vk_buffer_destroy(v, own[i]);
    sy_marks_destroy(d);
    sy_weights_release(d);
    sy_store_close(&d->store);
}

static const sy_session_backend backend = {sy_observe_begin, sy_submit_run, destroy};

/* NULL where there is nothing to use again. */
static sy_store *store_of(const sy_session *other)
{
    return other && other->backend == &backend ? ((sy_device_session *)other->state)->store : NULL;
}

bool sy_session_device_create(sy_session *s, sy_error *error)
{
    const sy_session_params *p = &s->params;
    if (p->init && !sy_weights_check(p->init, p->weights, error))
        return false;
    for (uint32_t i = 0; i < p->n_programs; i++)
        if (!sy_weights_check(p->programs[i].program, p->weights, error))
            return false;
    sy_device_session *d = sy_arena_alloc(&s->arena, sizeof *d);
    if (!d)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
    d->session = s;
    d->device = p->device;
    d->store = sy_store_open(p->device, store_of(p->reuse), error);
    if (!d->store)
        return false;
    d->objects[SY_INIT].program = p->init;
    for (uint32_t i = 0; i < p->n_programs; i++) {
        sy_program_objects *o = &d->objects[SY_STEP + i];
        o->program = p->programs[i].program;
        o->condition = p->programs[i].condition;
        o->ends_step = !p->programs[i].same_step;
    }
    s->state = d;
    s->backend = &backend;
    double start = sy_seconds();
    d->cache = sy_pipeline_cache_open(d->device, p->cache_directory);
    s->stats.pipeline_cache_hit = d->cache.loaded > 0;
    if (!sy_weights_lay_out(d, error) || !make_buffers(d, error) || !make_queue_objects(d, error) ||
        !sy_marks_create(d, error) || !plan_segments(d, error) || !load(d, error))
        return false;
    s->input_memory = d->staging.mapped;
    s->results = d->readback.mapped;
    s->stats.load_seconds = sy_seconds() - start;
    start = sy_seconds();
    for (uint32_t i = 0; i < SY_PROGRAMS; i++)
        if (d->objects[i].program && !sy_record_objects(d, i, error))
            return false;
    if (!sy_record_advance(d, error) || (s->observer.timing && !sy_timings_create(d, error)) || !sy_record_commands(d, error))
        return false;
    s->stats.pipeline_seconds = sy_seconds() - start;
    s->stats.submissions = s->stats.host_waits = 0;
    return true;
}
