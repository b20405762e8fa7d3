/* See count.h. What the specification of VK_KHR_performance_query asks for decides how it is done:
 * - the profiling lock is held from before the first counted command buffer is begun until none is left;
 * - a counter may be of a whole command buffer: its query begins it and ends it, so a counted dispatch has one of its own,
 *   and the barrier before it, conditions and the step's end are in others between;
 * - a query of several passes is complete when the same command buffer was submitted once for each, and is reset only before
 *   the first. A dispatch may change what it reads, so whole runs are repeated, each from the session's beginning, and a
 *   program is counted in one turn only: its last. All queries are reset by the host.
 * Every segment is a submission of its own: as bounded in time as anything else that the session runs. */
#include "src/run/count.h"

#include "src/run/device_session.h"

#include <stdlib.h>

static const uint64_t lock_nanoseconds = UINT64_C(5) * 1000000000;

typedef struct counting {
    sy_device_session *d;
    uint32_t n_counters;
    sy_count_row *rows;
    uint32_t n_rows, n_queries;
    uint32_t last[SY_SESSION_PROGRAMS];       /* the turn in which a program is counted; n_turns: none */
    uint32_t first[SY_SESSION_PROGRAMS + 1];  /* of its command buffers; there are as many as up to the next */
    VkCommandBuffer *commands;                /* NULL behind the last */
    uint32_t n_commands;
    VkQueryPool pool;
} counting;

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for counters");
}

static bool lock(const sy_vk_device *v, sy_error *error)
{
    VkAcquireProfilingLockInfoKHR info = {.sType = VK_STRUCTURE_TYPE_ACQUIRE_PROFILING_LOCK_INFO_KHR, .timeout = lock_nanoseconds};
    VkResult result = v->vk.vkAcquireProfilingLockKHR(v->handle, &info);
    if (result == VK_SUCCESS)
        return true;
    return sy_fail(error, SY_CODE_UNAVAILABLE, "the profiling lock could not be had (%s): %s", sy_vk_result_text(result),
                   result == VK_TIMEOUT ? "somebody else has held it for five seconds" : "the driver may not let this user profile");
}

/* Which turns are counted, and room for their rows and command buffers. */
static bool plan(counting *c, sy_arena *arena, sy_error *error)
{
    const sy_session *s = c->d->session;
    uint32_t commands = 0;
    for (uint32_t p = 0; p < s->params.n_programs; p++)
        c->last[p] = s->n_turns;
    for (uint32_t t = 0; t < s->n_turns; t++)
        c->last[s->turns[t].program] = t;
    for (uint32_t p = 0; p < s->params.n_programs; p++) {
        const sy_program_objects *o = &c->d->objects[SY_STEP + p];
        for (uint32_t i = 0; c->last[p] < s->n_turns && i < o->n_segments; i++) {
            c->n_queries += o->segments[i].n;
            commands += 2 * o->segments[i].n + 1; /* each with what stands before it; what ends a segment */
        }
    }
    c->rows = sy_arena_array(arena, (size_t)c->n_queries + 1, sizeof *c->rows);
    c->commands = calloc((size_t)commands + 1, sizeof(VkCommandBuffer));
    if (!c->rows || !c->commands)
        return no_memory(error);
    return c->n_queries || sy_fail(error, SY_CODE_UNAVAILABLE, "nothing is dispatched that could be counted");
}

static bool make_pool(counting *c, const uint32_t *counters, sy_error *error)
{
    sy_vk_device *v = c->d->device;
    VkQueryPoolPerformanceCreateInfoKHR what = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_PERFORMANCE_CREATE_INFO_KHR,
                                                .queueFamilyIndex = v->plan->family,
                                                .counterIndexCount = c->n_counters,
                                                .pCounterIndices = counters};
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .pNext = &what,
                                  .queryType = VK_QUERY_TYPE_PERFORMANCE_QUERY_KHR,
                                  .queryCount = c->n_queries};
    if (!sy_vk_check(v->vk.vkCreateQueryPool(v->handle, &info, NULL, &c->pool), error, "a pool of performance queries"))
        return false;
    v->vk.vkResetQueryPool(v->handle, c->pool, 0, c->n_queries);
    return true;
}

/* What stands before a counted dispatch: a barrier, and at the program's beginning its condition. */
static bool record_before(counting *c, uint32_t which, bool begins, sy_error *error)
{
    VkCommandBuffer *to = &c->commands[c->n_commands];
    if (!sy_record_open(c->d, to, error))
        return false;
    c->n_commands++;
    if (begins && c->d->objects[which].condition && !sy_gate_record(c->d, which, *to, error))
        return false;
    return sy_vk_check(c->d->device->vk.vkEndCommandBuffer(*to), error, "recording");
}

/* The query is the first thing and the last. */
static bool record_counted(counting *c, uint32_t which, uint32_t index, const sy_segment *segment, sy_error *error)
{
    sy_vk_device *v = c->d->device;
    VkCommandBuffer *to = &c->commands[c->n_commands];
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = c->d->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    if (!sy_vk_check(v->vk.vkAllocateCommandBuffers(v->handle, &info, to), error, "a command buffer"))
        return false;
    c->n_commands++;
    if (!sy_vk_check(v->vk.vkBeginCommandBuffer(*to, &begin), error, "recording"))
        return false;
    v->vk.vkCmdBeginQuery(*to, c->pool, c->n_rows, 0);
    if (!sy_record_dispatch(c->d, which, index, segment, *to, true, error))
        return false;
    sy_record_barrier(c->d, *to, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                      VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_READ_BIT);
    v->vk.vkCmdEndQuery(*to, c->pool, c->n_rows);
    c->rows[c->n_rows++] = (sy_count_row){.program = which - SY_STEP, .dispatch = index};
    return sy_vk_check(v->vk.vkEndCommandBuffer(*to), error, "recording");
}

static bool record_program(counting *c, uint32_t which, sy_error *error)
{
    const sy_program_objects *o = &c->d->objects[which];
    for (uint32_t i = 0; i < o->n_segments; i++)
        for (uint32_t k = o->segments[i].first; k < o->segments[i].first + o->segments[i].n; k++)
            if (!record_before(c, which, i == 0 && k == o->segments[0].first, error) ||
                !record_counted(c, which, k, &o->segments[i], error))
                return false;
    if (!o->ends_step)
        return true;
    VkCommandBuffer *to = &c->commands[c->n_commands];
    if (!sy_record_open(c->d, to, error))
        return false;
    c->n_commands++;
    sy_record_step_over(c->d, *to);
    return sy_vk_check(c->d->device->vk.vkEndCommandBuffer(*to), error, "recording");
}

static bool record(counting *c, sy_error *error)
{
    const sy_session *s = c->d->session;
    for (uint32_t p = 0; p < s->params.n_programs; p++) {
        c->first[p] = c->n_commands;
        if (c->last[p] < s->n_turns && !record_program(c, SY_STEP + p, error))
            return false;
        c->first[p + 1] = c->n_commands;
    }
    return true;
}

static bool run_plain(sy_device_session *d, uint32_t which, sy_error *error)
{
    const sy_program_objects *o = &d->objects[which];
    uint64_t value;
    for (uint32_t i = 0; i < o->n_segments; i++)
        if (!sy_submit(d, &o->segments[i].commands, 1, &value, error))
            return false;
    return true;
}

static bool run_counted(const counting *c, uint32_t program, uint32_t pass, sy_error *error)
{
    VkPerformanceQuerySubmitInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PERFORMANCE_QUERY_SUBMIT_INFO_KHR, .counterPassIndex = pass};
    uint64_t value;
    for (uint32_t i = c->first[program]; i < c->first[program + 1]; i += 2) {
        uint32_t left = c->first[program + 1] - i;
        if (!sy_submit_chained(c->d, &info, &c->commands[i], left < 2 ? left : 2, &value, error))
            return false;
    }
    return true;
}

static bool run_pass(const counting *c, uint32_t pass, sy_error *error)
{
    sy_device_session *d = c->d;
    const sy_session *s = d->session;
    uint64_t value;
    bool ok = (!s->input_bytes || sy_vk_buffer_flush(d->device, &d->staging, 0, s->input_bytes, error)) &&
              sy_submit(d, &d->begin, 1, &value, error) && run_plain(d, SY_INIT, error);
    for (uint32_t t = 0; ok && t < s->n_turns; t++) {
        uint32_t program = s->turns[t].program;
        ok = t == c->last[program] ? run_counted(c, program, pass, error) : run_plain(d, SY_STEP + program, error);
        ok = ok && sy_submit_wait(d, d->reached, error);
    }
    return ok;
}

static bool read_results(const counting *c, sy_arena *arena, sy_error *error)
{
    const sy_vk_device *v = c->d->device;
    size_t stride = c->n_counters * sizeof(VkPerformanceCounterResultKHR);
    VkPerformanceCounterResultKHR *all = sy_arena_array(arena, (size_t)c->n_rows * c->n_counters, sizeof *all);
    if (!all)
        return no_memory(error);
    VkResult result = v->vk.vkGetQueryPoolResults(v->handle, c->pool, 0, c->n_rows, c->n_rows * stride, all, stride, 0);
    if (result == VK_NOT_READY) /* waiting for what should be there could last for ever */
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the driver has not read all counters after all of their passes");
    for (uint32_t i = 0; i < c->n_rows; i++)
        c->rows[i].results = &all[(size_t)i * c->n_counters];
    return sy_vk_check(result, error, "reading counters");
}

bool sy_session_count(sy_session *s, const uint32_t *counters, uint32_t n_counters, uint32_t passes, sy_arena *arena, sy_counts *out,
                      sy_error *error)
{
    *out = (sy_counts){0};
    if (!s->params.device || !s->params.device->counters)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the device was not opened so that its counters can be read: begin with a new context");
    if (!n_counters || !passes)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "no counters to read");
    for (uint32_t i = 0; i < s->n_inputs; i++)
        if (!s->inputs[i].written)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "input \"%s\" was given no value", s->inputs[i].name);
    counting c = {.d = s->state, .n_counters = n_counters};
    sy_vk_device *v = c.d->device;
    s->ran = false;
    if (!plan(&c, arena, error) || !lock(v, error)) {
        free(c.commands);
        return false;
    }
    bool ok = make_pool(&c, counters, error) && record(&c, error);
    for (uint32_t pass = 0; ok && pass < passes; pass++)
        ok = run_pass(&c, pass, error);
    bool idle = !c.d->reached || sy_submit_wait(c.d, c.d->reached, ok ? error : NULL);
    ok = ok && idle && read_results(&c, arena, error);
    for (uint32_t i = 0; c.commands[i]; i++)
        v->vk.vkFreeCommandBuffers(v->handle, c.d->commands, 1, &c.commands[i]);
    free(c.commands);
    if (c.pool)
        v->vk.vkDestroyQueryPool(v->handle, c.pool, NULL);
    v->vk.vkReleaseProfilingLockKHR(v->handle);
    *out = ok ? (sy_counts){c.rows, c.n_rows} : *out;
    return ok;
}
