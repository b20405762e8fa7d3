/* Watching a session run: timestamps, the heads of routes, and a call after every turn. Command buffers are recorded anew
 * when what is watched changes, so that a session which nobody watches has nothing of it, and one session (one copy of
 * the weights) can be run in turn plainly, timed, and with its routes looked at.
 *
 * A route is copied just before the first dispatch that reads it: later its memory may hold something else. */
#include "src/run/device_session.h"

#include "graph/ir/route.h"


enum {
    COMPUTE = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
    COPY = VK_PIPELINE_STAGE_TRANSFER_BIT,
    INDIRECT = VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT
};

static uint32_t head_words(const sy_type *route)
{
    return (uint32_t)route->dim[SY_ROUTE_TARGETS] + 3; /* count, offsets, tiles */
}

static bool same_place(const sy_place *a, const sy_place *b)
{
    return a->space == b->space && a->buffer == b->buffer && a->offset == b->offset;
}

static bool writes(const sy_dispatch *d, const sy_place *place)
{
    for (uint32_t i = 0; i < d->n_bindings; i++)
        if (d->bindings[i].access & SY_WRITE && same_place(&d->bindings[i].place, place))
            return true;
    return false;
}

uint32_t sy_session_heads(const sy_program *p, sy_route_head *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        const sy_dispatch *d = &p->dispatches[i];
        bool fresh = d->route.size > 0;
        for (uint32_t k = n; k > 0 && fresh; k--) { /* the same memory holds another route once it is written again */
            const sy_dispatch *first = &p->dispatches[out[k - 1].first];
            bool rewritten = false;
            for (uint32_t j = out[k - 1].first + 1; j < i && !rewritten; j++)
                rewritten = writes(&p->dispatches[j], &d->route);
            fresh = !same_place(&first->route, &d->route) || rewritten;
        }
        if (fresh)
            out[n++] = (sy_route_head){.first = i, .type = d->route_type};
    }
    return n;
}

static bool make_heads(sy_device_session *d, sy_error *error)
{
    sy_session *s = d->session;
    uint64_t words = 0;
    for (uint32_t i = 0; i < s->params.n_programs; i++) {
        sy_program_objects *o = &d->objects[SY_STEP + i];
        o->heads = sy_arena_array(&s->arena, (size_t)o->program->n_dispatches + 1, sizeof *o->heads);
        if (!o->heads)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for routes");
        o->n_heads = sy_session_heads(o->program, o->heads);
        for (uint32_t k = 0; k < o->n_heads; k++) {
            o->heads[k].offset = 4 * words;
            words += head_words(&o->heads[k].type);
        }
    }
    if (!words || !sy_vk_buffer_create(d->device, SY_MEMORY_READBACK, 4 * words, "heads of routes", &d->heads, error))
        return !words;
    s->stats.host_bytes += d->heads.size;
    for (uint32_t i = 0; i < s->params.n_programs; i++)
        for (uint32_t k = 0; k < d->objects[SY_STEP + i].n_heads; k++) {
            sy_route_head *head = &d->objects[SY_STEP + i].heads[k];
            head->words = (const uint32_t *)(const void *)((const uint8_t *)d->heads.mapped + head->offset);
        }
    return true;
}

bool sy_observe_dispatch(sy_device_session *d, uint32_t which, uint32_t index, VkCommandBuffer commands, sy_error *error)
{
    const sy_program_objects *o = &d->objects[which];
    for (uint32_t k = 0; d->session->observer.routes && k < o->n_heads; k++) {
        const sy_route_head *head = &o->heads[k];
        VkBuffer from;
        uint64_t at;
        if (head->first != index)
            continue;
        if (!sy_locate(d, which, &o->program->dispatches[index].route, &from, &at, error))
            return false;
        sy_route_layout layout = sy_route_layout_of(&head->type);
        uint64_t begin = 4 * ((uint64_t)head_words(&head->type) - 1);
        VkBufferCopy copies[2] = {{at + 4 * (uint64_t)layout.count, head->offset, begin},
                                  {at + 4 * (uint64_t)layout.tiles, head->offset + begin, 4}};
        sy_record_barrier(d, commands, COMPUTE, VK_ACCESS_SHADER_WRITE_BIT, COPY, VK_ACCESS_TRANSFER_READ_BIT);
        d->device->vk.vkCmdCopyBuffer(commands, from, d->heads.handle, 2, copies);
        sy_record_barrier(d, commands, COPY, VK_ACCESS_TRANSFER_WRITE_BIT, COMPUTE | INDIRECT | VK_PIPELINE_STAGE_HOST_BIT,
                          VK_ACCESS_HOST_READ_BIT);
    }
    return true;
}

bool sy_observe_turn(sy_device_session *d, uint64_t position, sy_error *error)
{
    sy_session *s = d->session;
    uint32_t turn = 0;
    while (turn < s->n_turns && d->turn_ends[turn] < position)
        turn++;
    if (!s->observer.turn || turn == s->n_turns || d->turn_ends[turn] != position)
        return true;
    const sy_program_objects *o = &d->objects[SY_STEP + s->turns[turn].program];
    if (!sy_submit_wait(d, d->reached, error) || !sy_timings_read(d, SY_STEP + s->turns[turn].program, error) ||
        (d->heads.handle && !sy_vk_buffer_invalidate(d->device, &d->heads, 0, d->heads.size, error)))
        return false;
    sy_session_turn what = {.program = s->turns[turn].program,
                            .step = s->turns[turn].step,
                            .times = s->observer.timing ? s->timings[s->turns[turn].program] : NULL,
                            .begun = o->timed && s->observer.timing ? (double)d->ticks[0] * d->device->plan->timestamp_period * 1e-9 : 0,
                            .heads = s->observer.routes ? o->heads : NULL,
                            .n_heads = s->observer.routes ? o->n_heads : 0};
    return s->observer.turn(s->observer.context, &what) || sy_fail(error, SY_CODE_CANCELLED, "cancelled in step %u", what.step + 1);
}

bool sy_observe_begin(sy_session *s, sy_error *error)
{
    sy_device_session *d = s->state;
    if (s->observer.timing && !d->queries && !sy_timings_create(d, error))
        return false;
    if (s->observer.routes && !d->heads.handle && !make_heads(d, error))
        return false;
    return sy_record_again(d, error);
}
