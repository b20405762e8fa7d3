/* Two timestamps around every dispatch of the first step program, only in sessions that ask for them. Both are written when
 * everything before is complete, so dispatches that overlap are told apart by what each adds. The queries are reset at the
 * head of each step and read after the run: the last step counts. */
#include "src/run/device_session.h"

bool sy_timings_create(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    uint32_t n = d->objects[SY_STEP].program->n_dispatches;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 2 * n};
    bool runs = false;
    for (uint32_t i = 0; i < d->session->n_turns; i++)
        runs = runs || d->session->turns[i].program == 0;
    if (!d->session->params.timings || !v->plan->timestamp_bits || !n || !runs)
        return true;
    d->timings = sy_arena_array(&d->session->arena, n, sizeof *d->timings);
    d->ticks = sy_arena_array(&d->session->arena, 2 * (size_t)n, sizeof *d->ticks);
    if (!d->timings || !d->ticks)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for timings");
    return sy_vk_check(v->vk.vkCreateQueryPool(v->handle, &info, NULL, &d->queries), error, "a query pool");
}

void sy_timings_reset(const sy_device_session *d, VkCommandBuffer commands)
{
    if (d->queries)
        d->device->vk.vkCmdResetQueryPool(commands, d->queries, 0, 2 * d->objects[SY_STEP].program->n_dispatches);
}

void sy_timings_write(const sy_device_session *d, VkCommandBuffer commands, uint32_t query)
{
    if (d->queries)
        d->device->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, d->queries, query);
}

bool sy_timings_read(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    uint32_t n = d->objects[SY_STEP].program->n_dispatches, bits = v->plan->timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    if (!d->queries)
        return true;
    if (!sy_vk_check(v->vk.vkGetQueryPoolResults(v->handle, d->queries, 0, 2 * n, 16 * (size_t)n, d->ticks, 8, VK_QUERY_RESULT_64_BIT), error, "timestamps"))
        return false;
    for (uint32_t i = 0; i < n; i++)
        d->timings[i] = (double)((d->ticks[2 * i + 1] - d->ticks[2 * i]) & mask) * v->plan->timestamp_period * 1e-9;
    return true;
}
