/* Two timestamps around every dispatch of the step programs, only in sessions that ask for them. Both are written when
 * everything before is complete, so dispatches that overlap are told apart by what each adds. The queries of a program are
 * reset at its head and read when its turn, or the run, is over: the last turn counts. */
#include "src/run/device_session.h"

static bool scheduled(const sy_session *s, uint32_t program)
{
    for (uint32_t i = 0; i < s->n_turns; i++)
        if (s->turns[i].program == program)
            return true;
    return false;
}

bool sy_timings_create(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    sy_session *s = d->session;
    uint32_t n = 0;
    if (!v->plan->timestamp_bits)
        return true;
    for (uint32_t i = 0; i < s->params.n_programs; i++) {
        sy_program_objects *o = &d->objects[SY_STEP + i];
        o->first_query = n;
        o->timed = o->program->n_dispatches && scheduled(s, i);
        n += o->timed ? 2 * o->program->n_dispatches : 0;
        if (o->timed && !(s->timings[i] = sy_arena_array(&s->arena, 2 * (size_t)o->program->n_dispatches, sizeof(double))))
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for timings");
    }
    if (!n)
        return true;
    d->ticks = sy_arena_array(&s->arena, n, sizeof *d->ticks);
    if (!d->ticks)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for timings");
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = n};
    return sy_vk_check(v->vk.vkCreateQueryPool(v->handle, &info, NULL, &d->queries), error, "a query pool");
}

void sy_timings_reset(const sy_device_session *d, uint32_t which, VkCommandBuffer commands)
{
    const sy_program_objects *o = &d->objects[which];
    if (o->timed && d->session->observer.timing)
        d->device->vk.vkCmdResetQueryPool(commands, d->queries, o->first_query, 2 * o->program->n_dispatches);
}

void sy_timings_write(const sy_device_session *d, uint32_t which, VkCommandBuffer commands, uint32_t query)
{
    const sy_program_objects *o = &d->objects[which];
    if (o->timed && d->session->observer.timing)
        d->device->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, d->queries, o->first_query + query);
}

double sy_ticks_seconds(uint64_t from, uint64_t to, uint32_t bits, double period)
{
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    return (double)((to - from) & mask) * period * 1e-9;
}

bool sy_timings_read(sy_device_session *d, uint32_t which, sy_error *error)
{
    sy_vk_device *v = d->device;
    const sy_program_objects *o = &d->objects[which];
    const sy_device_plan *plan = v->plan;
    if (!o->timed || !d->session->observer.timing)
        return true;
    uint32_t n = 2 * o->program->n_dispatches;
    double *out = d->session->timings[which - SY_STEP];
    if (!sy_vk_check(v->vk.vkGetQueryPoolResults(v->handle, d->queries, o->first_query, n, 8 * (size_t)n, d->ticks, 8,
                                                 VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT), error, "timestamps"))
        return false;
    for (uint32_t i = 0; i < n; i++)
        out[i] = sy_ticks_seconds(d->ticks[0], d->ticks[i], plan->timestamp_bits, plan->timestamp_period);
    return true;
}

bool sy_timings_read_all(sy_device_session *d, sy_error *error)
{
    for (uint32_t i = 0; i < d->session->params.n_programs; i++)
        if (!sy_timings_read(d, SY_STEP + i, error))
            return false;
    return true;
}
