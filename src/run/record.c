/* What is made once and replayed: descriptor sets, command buffers.
 *
 * Order of a run: begin (inputs copied, states cleared), the segments of the init program, then turn by turn those of
 * the program whose turn it is, with the step counter after the last of a step, then end (copies of what the host
 * reads). Every command buffer begins with a barrier against
 * all before it: submissions to one queue are ordered, so that is enough, also from one step to the next. Inside,
 * barriers stand where the compiler put them. Command buffers may be pending several times at once: they hold no state
 * that changes. */
#include "src/run/device_session.h"

#include "graph/emit/embedded.h"
#include "graph/passes/plan.h"

#include "src/run/labels.h"
#include "src/run/marks.h"

#include <stdio.h>
#include <string.h>

static bool make_pool(sy_vk_device *v, uint32_t sets, uint32_t storage, uint32_t texel, VkDescriptorPool *pool,
                      sy_error *error)
{
    VkDescriptorPoolSize sizes[2] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, storage ? storage : 1},
                                     {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, texel}};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = sets,
                                       .poolSizeCount = texel ? 2 : 1,
                                       .pPoolSizes = sizes};
    return sy_vk_check(v->vk.vkCreateDescriptorPool(v->handle, &info, NULL, pool), error, "a descriptor pool");
}

/* The set of one dispatch. */
static bool write_set(sy_device_session *d, uint32_t which, uint32_t index, sy_error *error)
{
    sy_program_objects *o = &d->objects[which];
    sy_vk_device *v = d->device;
    const sy_dispatch *dispatch = &o->program->dispatches[index];
    const sy_kernel *k = &o->program->kernels[dispatch->kernel];
    VkDescriptorBufferInfo buffers[32];
    VkWriteDescriptorSet writes[32];
    if (dispatch->n_bindings != k->n_bindings)
        return sy_fail(error, SY_CODE_INTERNAL, "%s binds %u buffers, its kernel has %u", dispatch->label,
                       dispatch->n_bindings, k->n_bindings);
    for (uint32_t i = 0; i < k->n_bindings; i++) {
        const sy_place *place = &dispatch->bindings[i].place;
        bool texel = k->texel_bindings >> i & 1;
        VkDescriptorBufferInfo *b = &buffers[i];
        if (!sy_locate(d, which, place, &b->buffer, &b->offset, error))
            return sy_fail_context(error, "%s, binding %u", dispatch->label, i);
        b->range = (place->size + 3) & ~UINT64_C(3);
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = o->sets[index],
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = texel ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                                   : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = b};
        if (!texel)
            continue;
        VkBufferViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                       .buffer = b->buffer,
                                       .format = VK_FORMAT_R32G32B32A32_UINT,
                                       .offset = b->offset,
                                       .range = b->range & ~UINT64_C(15)};
        if (!sy_vk_check(v->vk.vkCreateBufferView(v->handle, &view, NULL, &o->views[o->n_views]), error,
                         dispatch->label))
            return false;
        writes[i].pTexelBufferView = &o->views[o->n_views++];
    }
    v->vk.vkUpdateDescriptorSets(v->handle, k->n_bindings, writes, 0, NULL);
    return true;
}

static bool make_sets(sy_device_session *d, uint32_t which, sy_error *error)
{
    sy_program_objects *o = &d->objects[which];
    const sy_program *p = o->program;
    sy_arena *arena = &d->session->arena;
    uint32_t storage = 0, texel = 0;
    VkDescriptorSetLayout *layouts = sy_arena_array(arena, p->n_dispatches + 1, sizeof *layouts);
    o->sets = sy_arena_array(arena, p->n_dispatches + 1, sizeof *o->sets);
    if (!layouts || !o->sets)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for descriptor sets");
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        const sy_kernel *k = &p->kernels[p->dispatches[i].kernel];
        uint32_t texels = (uint32_t)__builtin_popcount(k->texel_bindings);
        storage += k->n_bindings - texels;
        texel += texels;
        layouts[i] = o->set_layouts[p->dispatches[i].kernel];
    }
    o->views = sy_arena_array(arena, texel + 1, sizeof *o->views);
    if (!o->views)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for buffer views");
    if (!p->n_dispatches)
        return true;
    if (!make_pool(d->device, p->n_dispatches, storage, texel, &o->pool, error))
        return false;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = o->pool,
                                        .descriptorSetCount = p->n_dispatches,
                                        .pSetLayouts = layouts};
    if (!sy_vk_check(d->device->vk.vkAllocateDescriptorSets(d->device->handle, &info, o->sets), error,
                     "descriptor sets"))
        return false;
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        if (!write_set(d, which, i, error))
            return false;
    return true;
}

bool sy_record_objects(sy_device_session *d, uint32_t which, sy_error *error)
{
    sy_program_objects *o = &d->objects[which];
    const sy_program *p = o->program;
    sy_arena *arena = &d->session->arena;
    o->set_layouts = sy_arena_array(arena, p->n_kernels + 1, sizeof *o->set_layouts);
    o->layouts = sy_arena_array(arena, p->n_kernels + 1, sizeof *o->layouts);
    o->pipelines = sy_arena_array(arena, p->n_kernels + 1, sizeof *o->pipelines);
    if (!o->set_layouts || !o->layouts || !o->pipelines)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for pipelines");
    bool *in_parts = sy_arena_array(arena, p->n_kernels + 1, sizeof *in_parts);
    if (!in_parts)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for pipelines");
    for (uint32_t i = 0; i < o->n_segments; i++)
        if (o->segments[i].part && !o->condition)
            in_parts[p->dispatches[o->segments[i].first].kernel] = true;
    sy_pipelines pipelines = {p->kernels, in_parts, p->n_kernels, o->set_layouts, o->layouts, o->pipelines};
    return sy_pipelines_make(d, &pipelines, error) && make_sets(d, which, error);
}

static const char *source_of(const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.comp", name);
    for (const struct sy_embedded *e = sy_embedded_shaders; e->name; e++)
        if (!strcmp(e->name, file))
            return e->data;
    return NULL;
}

bool sy_record_small(sy_device_session *d, const char *name, uint32_t bindings, uint32_t push_words, uint32_t sets,
                     VkDescriptorSetLayout *set_layout, VkPipelineLayout *layout, VkPipeline *pipeline,
                     VkDescriptorPool *pool, sy_error *error)
{
    const char *source = source_of(name);
    sy_vk_device *v = d->device;
    sy_compile_params params = {.cache_directory = d->session->params.cache_directory};
    sy_kernel kernel = {.name = name, .n_bindings = bindings, .push_words = push_words};
    sy_pipelines pipelines = {&kernel, NULL, 1, set_layout, layout, pipeline};
    bool cached;
    if (!source)
        return sy_fail(error, SY_CODE_INTERNAL, "shaders/%s.comp is not in the library", name);
    struct sy_emitter *emitter = sy_emitter_create(&params, &v->plan->limits, error);
    bool ok = emitter && sy_emit_spirv(emitter, name, source, &kernel.spirv, &kernel.n_spirv, &cached, error) &&
              sy_pipelines_make(d, &pipelines, error) && make_pool(v, sets, sets * bindings, 0, pool, error);
    sy_emitter_destroy(&emitter);
    return ok;
}

bool sy_record_advance(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    if (!sy_record_small(d, "advance", 1, 0, 1, &d->advance_set_layout, &d->advance_layout, &d->advance,
                         &d->advance_pool, error))
        return false;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = d->advance_pool,
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &d->advance_set_layout};
    if (!sy_vk_check(v->vk.vkAllocateDescriptorSets(v->handle, &info, &d->advance_set), error, "a descriptor set"))
        return false;
    VkDescriptorBufferInfo buffer = {d->step.handle, 0, 4};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = d->advance_set,
                                  .descriptorCount = 1,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = &buffer};
    v->vk.vkUpdateDescriptorSets(v->handle, 1, &write, 0, NULL);
    return true;
}

void sy_record_barrier(sy_device_session *d, VkCommandBuffer c, VkPipelineStageFlags from, VkAccessFlags wrote,
                       VkPipelineStageFlags to, VkAccessFlags reads)
{
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = wrote, .dstAccessMask = reads};
    d->device->vk.vkCmdPipelineBarrier(c, from, to, 0, 1, &b, 0, NULL, 0, NULL);
}

enum {
    COMPUTE = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
    COPY = VK_PIPELINE_STAGE_TRANSFER_BIT,
    INDIRECT = VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
    KERNEL_READS = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_INDIRECT_COMMAND_READ_BIT
};

bool sy_record_open(sy_device_session *d, VkCommandBuffer *c, sy_error *error)
{
    sy_vk_device *v = d->device;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
    if (!sy_vk_check(v->vk.vkAllocateCommandBuffers(v->handle, &info, c), error, "a command buffer") ||
        !sy_vk_check(v->vk.vkBeginCommandBuffer(*c, &begin), error, "recording"))
        return false;
    sy_record_barrier(d, *c, COMPUTE | COPY | INDIRECT, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                      COMPUTE | COPY | INDIRECT,
                      KERNEL_READS | VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    return true;
}

bool sy_record_dispatch(sy_device_session *d, uint32_t which, uint32_t index, const sy_segment *segment, VkCommandBuffer c,
                        bool bind, sy_error *error)
{
    sy_program_objects *o = &d->objects[which];
    struct VolkDeviceTable *vk = &d->device->vk;
    const sy_dispatch *dispatch = &o->program->dispatches[index];
    const sy_kernel *k = &o->program->kernels[dispatch->kernel];
    if (bind)
        vk->vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, o->pipelines[dispatch->kernel]);
    vk->vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, o->layouts[dispatch->kernel], 0, 1, &o->sets[index],
                                0, NULL);
    uint32_t push[SY_PUSH_WORDS];
    memcpy(push, dispatch->push, sizeof push);
    if (o->condition && segment->part)
        memcpy(push + k->push_words - SY_BASE_WORDS, segment->base, sizeof segment->base);
    if (k->push_words)
        vk->vkCmdPushConstants(c, o->layouts[dispatch->kernel], VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * k->push_words, push);
    if (o->condition && (segment->part || !dispatch->indirect)) {
        sy_gate_dispatch(d, which, index, segment, c);
    } else if (segment->part) {
        const uint32_t *base = segment->base, *count = segment->count;
        vk->vkCmdDispatchBase(c, base[0], base[1], base[2], count[0], count[1], count[2]);
    } else if (dispatch->indirect) {
        VkBuffer buffer;
        VkDeviceSize offset;
        if (!sy_locate(d, which, &dispatch->indirect_at, &buffer, &offset, error))
            return sy_fail_context(error, "%s, its size", dispatch->label);
        vk->vkCmdDispatchIndirect(c, buffer, offset);
    } else {
        vk->vkCmdDispatch(c, dispatch->groups[0], dispatch->groups[1], dispatch->groups[2]);
    }
    return true;
}

static bool record_dispatches(sy_device_session *d, uint32_t which, const sy_segment *segment, sy_error *error)
{
    VkCommandBuffer c = segment->commands;
    sy_label_regions regions = {0};
    /* Marks are written behind the same barriers, one after another. */
    VkPipelineStageFlags mark_stage = sy_marks_on(d) ? COPY : 0;
    VkAccessFlags mark_access = sy_marks_on(d) ? VK_ACCESS_TRANSFER_WRITE_BIT : 0;
    for (uint32_t i = segment->first; i < segment->first + segment->n; i++) {
        const sy_dispatch *dispatch = &d->objects[which].program->dispatches[i];
        bool barrier = (dispatch->barrier || d->session->observer.timing == SY_TIMING_SERIAL) && segment->begins;
        if (barrier)
            sy_record_barrier(d, c, COMPUTE | INDIRECT | mark_stage, VK_ACCESS_SHADER_WRITE_BIT | mark_access,
                              COMPUTE | INDIRECT | mark_stage, KERNEL_READS | mark_access);
        if (which >= SY_STEP && segment->begins && !sy_observe_dispatch(d, which, i, c, error))
            return false;
        if (barrier || i == segment->first)
            sy_marks_dispatch(d, which, i, c);
        sy_label_enter(&regions, d, c, dispatch->label);
        if (segment->begins)
            sy_timings_write(d, which, c, 2 * i);
        bool bind = i == segment->first || dispatch->kernel != dispatch[-1].kernel;
        if (!sy_record_dispatch(d, which, i, segment, c, bind, error))
            return false;
        if (segment->ends)
            sy_timings_write(d, which, c, 2 * i + 1);
        sy_label_leave(d, c);
    }
    sy_label_close(&regions, d, c);
    return true;
}

static bool record_begin(sy_device_session *d, sy_error *error)
{
    struct VolkDeviceTable *vk = &d->device->vk;
    sy_session *s = d->session;
    if (!sy_record_open(d, &d->begin, error))
        return false;
    if (s->params.history) /* who drew the run before from this queue has read it */
        sy_record_barrier(d, d->begin, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, COMPUTE | COPY, 0);
    if (s->input_bytes) {
        VkBufferCopy copy = {.size = s->input_bytes};
        vk->vkCmdCopyBuffer(d->begin, d->staging.handle, d->input.handle, 1, &copy);
    }
    if (s->state_bytes)
        vk->vkCmdFillBuffer(d->begin, d->state.handle, 0, VK_WHOLE_SIZE, 0);
    vk->vkCmdFillBuffer(d->begin, d->step.handle, 0, 4, 0);
    sy_marks_begin(d, d->begin);
    bool always = s->params.n_programs == 1 && !s->params.programs[0].condition;
    for (uint32_t i = 0; !always && i < s->n_outputs; i++) { /* of steps in which a program does not run */
        const sy_slot *o = &s->outputs[i];
        vk->vkCmdFillBuffer(d->begin, d->objects[SY_STEP + o->program].output[o->buffer].handle, o->offset,
                            (o->n_slices - 1) * o->step_bytes + o->bytes, 0);
    }
    return sy_vk_check(vk->vkEndCommandBuffer(d->begin), error, "recording");
}

/* The step is over: the device counts. */
void sy_record_step_over(sy_device_session *d, VkCommandBuffer c)
{
    struct VolkDeviceTable *vk = &d->device->vk;
    /* after marks have copied the counter, too: there may be no other barrier since */
    sy_record_barrier(d, c, COMPUTE | COPY, VK_ACCESS_SHADER_WRITE_BIT, COMPUTE,
                      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    sy_vk_label_begin(d->device, c, "step counter");
    vk->vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, d->advance);
    vk->vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, d->advance_layout, 0, 1, &d->advance_set, 0, NULL);
    vk->vkCmdDispatch(c, 1, 1, 1);
    sy_vk_label_end(d->device, c);
}

static bool record_segments(sy_device_session *d, uint32_t which, sy_error *error)
{
    sy_program_objects *o = &d->objects[which];
    for (uint32_t i = 0; i < o->n_segments; i++) {
        sy_segment *segment = &o->segments[i];
        if (!sy_record_open(d, &segment->commands, error))
            return false;
        sy_marks_step(d, segment->commands);
        if (i == 0)
            sy_timings_reset(d, which, segment->commands);
        if (o->condition && i == 0 && !sy_gate_record(d, which, segment->commands, error))
            return false;
        if (!record_dispatches(d, which, segment, error))
            return false;
        if (o->ends_step && i + 1 == o->n_segments)
            sy_record_step_over(d, segment->commands);
        if (!sy_vk_check(d->device->vk.vkEndCommandBuffer(segment->commands), error, "recording"))
            return false;
    }
    return true;
}

static bool record_end(sy_device_session *d, sy_error *error)
{
    struct VolkDeviceTable *vk = &d->device->vk;
    sy_session *s = d->session;
    if (!sy_record_open(d, &d->end, error))
        return false;
    sy_marks_end(d, d->end);
    for (uint32_t i = 0; i < s->n_states; i++) {
        VkBufferCopy copy = {
            .srcOffset = s->states[i].offset, .dstOffset = s->states[i].result, .size = s->states[i].bytes};
        vk->vkCmdCopyBuffer(d->end, d->state.handle, d->readback.handle, 1, &copy);
    }
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        const sy_slot *o = &s->outputs[i];
        if (o->held)
            continue;
        VkBufferCopy copy = {
            .srcOffset = o->offset, .dstOffset = o->result, .size = (o->n_slices - 1) * o->step_bytes + o->bytes};
        vk->vkCmdCopyBuffer(d->end, d->objects[SY_STEP + o->program].output[o->buffer].handle, d->readback.handle, 1,
                            &copy);
    }
    sy_record_barrier(d, d->end, COPY, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                      VK_ACCESS_HOST_READ_BIT);
    return sy_vk_check(vk->vkEndCommandBuffer(d->end), error, "recording");
}

static bool count_turns(sy_device_session *d, sy_error *error)
{
    const sy_session *s = d->session;
    uint64_t end = d->objects[SY_INIT].n_segments;
    if (!d->turn_ends)
        d->turn_ends = sy_arena_array(&d->session->arena, s->n_turns, sizeof *d->turn_ends);
    if (!d->turn_ends)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a schedule");
    for (uint32_t i = 0; i < s->n_turns; i++)
        d->turn_ends[i] = end += d->objects[SY_STEP + s->turns[i].program].n_segments;
    return true;
}

bool sy_record_commands(sy_device_session *d, sy_error *error)
{
    bool ok = count_turns(d, error) && record_begin(d, error) && record_end(d, error);
    for (uint32_t which = 0; ok && which < SY_PROGRAMS; which++) {
        const sy_program_objects *o = &d->objects[which];
        ok = !o->program || record_segments(d, which, error);
        if (ok && o->program)
            sy_label_objects(d, which);
        if (which >= SY_STEP && o->n_segments > d->session->stats.segments)
            d->session->stats.segments = o->n_segments;
    }
    return ok;
}

bool sy_record_again(sy_device_session *d, sy_error *error)
{
    sy_vk_device *v = d->device;
    if (d->reached && !sy_submit_wait(d, d->reached, error))
        return false;
    for (uint32_t which = 0; which < SY_PROGRAMS; which++)
        for (uint32_t i = 0; i < d->objects[which].n_segments; i++) {
            VkCommandBuffer *commands = &d->objects[which].segments[i].commands;
            if (*commands)
                v->vk.vkFreeCommandBuffers(v->handle, d->commands, 1, commands);
            *commands = NULL;
        }
    VkCommandBuffer ends[2] = {d->begin, d->end};
    v->vk.vkFreeCommandBuffers(v->handle, d->commands, 2, ends);
    d->begin = d->end = NULL;
    return sy_record_commands(d, error);
}

void sy_record_free(sy_device_session *d)
{
    sy_vk_device *v = d->device;
    for (int which = 0; which < SY_PROGRAMS; which++) {
        sy_program_objects *o = &d->objects[which];
        for (uint32_t i = 0; i < o->n_views; i++)
            v->vk.vkDestroyBufferView(v->handle, o->views[i], NULL);
        if (o->pool)
            v->vk.vkDestroyDescriptorPool(v->handle, o->pool, NULL);
    }
    sy_gate_destroy(d);
    if (d->advance_pool)
        v->vk.vkDestroyDescriptorPool(v->handle, d->advance_pool, NULL);
    for (sy_kernel_use *u = d->kernels; u; u = u->next)
        sy_store_release_kernel(d->store, u->kernel);
}
