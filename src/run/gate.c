/* Programs that run where a value on the device says so. Every direct dispatch of such a program becomes an indirect
 * one: its size stands in a buffer twice, once as it is and once as the device reads it. So does the size of every part
 * of a dispatch that is given in parts; where a part begins is among its push words (sy_program.conditional). At the head of the program one
 * small kernel copies the sizes or writes zeros, by the condition. Dispatches that are sized by a route need nothing of
 * the sort: the route is built by a dispatch of the same program, so a zero put at the head of the program in the place
 * where its size will be stays there if the program does not run. (Arena memory is dead between programs.) */
#include "src/run/device_session.h"

#include <string.h>

enum {
    COMPUTE = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
    COPY = VK_PIPELINE_STAGE_TRANSFER_BIT,
    INDIRECT = VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
    GROUP = 64 /* invocations of gate.comp */
};

/* Three a dispatch, and three a segment, which are the size of a part if it is one. */
static uint32_t words_of(const sy_program_objects *o)
{
    return 3 * (o->program->n_dispatches + o->n_segments);
}

static bool check_indirect(const sy_program *p, sy_error *error)
{
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        if (p->dispatches[i].indirect && p->dispatches[i].indirect_at.space != SY_SPACE_ARENA)
            return sy_fail(error, SY_CODE_UNAVAILABLE,
                           "%s: a program with a condition cannot be sized by a route that is no value of its own",
                           p->dispatches[i].label);
    return true;
}

static bool fill_sizes(sy_device_session *d, sy_program_objects *o, sy_upload *upload, sy_error *error)
{
    uint32_t n = words_of(o), *words = sy_arena_array(&d->session->arena, (size_t)n + 1, sizeof *words);
    if (!words)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the sizes of dispatches");
    for (uint32_t i = 0; i < o->program->n_dispatches; i++)
        memcpy(words + 3 * i, o->program->dispatches[i].groups, 3 * sizeof *words);
    for (uint32_t i = 0; i < o->n_segments; i++)
        memcpy(words + 3 * (o->program->n_dispatches + i), o->segments[i].count, 3 * sizeof *words);
    if (!sy_vk_buffer_create(d->device, SY_MEMORY_DEVICE, 8 * (uint64_t)n + 4, "sizes of dispatches", &o->gate, error))
        return false;
    d->session->stats.device_bytes += o->gate.size;
    return sy_upload_put(upload, &o->gate, 0, words, 4 * (uint64_t)n, error);
}

static bool make_set(sy_device_session *d, sy_program_objects *o, sy_error *error)
{
    const sy_session *s = d->session;
    sy_vk_device *v = d->device;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = d->gate_pool,
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &d->gate_set_layout};
    if (!sy_vk_check(v->vk.vkAllocateDescriptorSets(v->handle, &info, &o->gate_set), error, "a descriptor set"))
        return false;
    const sy_slot *condition = sy_slot_find(s->states, s->n_states, o->condition);
    VkDescriptorBufferInfo buffers[2] = {{d->state.handle, condition->offset, 4}, {o->gate.handle, 0, VK_WHOLE_SIZE}};
    VkWriteDescriptorSet writes[2];
    for (uint32_t i = 0; i < 2; i++)
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = o->gate_set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &buffers[i]};
    v->vk.vkUpdateDescriptorSets(v->handle, 2, writes, 0, NULL);
    return true;
}

bool sy_gate_create(sy_device_session *d, sy_upload *upload, sy_error *error)
{
    for (uint32_t i = 0; i < SY_PROGRAMS; i++) {
        sy_program_objects *o = &d->objects[i];
        if (!o->condition)
            continue;
        if (!d->gate && !sy_record_small(d, "gate", 2, 1, SY_PROGRAMS, &d->gate_set_layout, &d->gate_layout, &d->gate,
                                         &d->gate_pool, error))
            return false;
        if (!check_indirect(o->program, error) || !fill_sizes(d, o, upload, error) || !make_set(d, o, error))
            return false;
    }
    return true;
}

bool sy_gate_record(sy_device_session *d, uint32_t which, VkCommandBuffer c, sy_error *error)
{
    struct VolkDeviceTable *vk = &d->device->vk;
    const sy_program_objects *o = &d->objects[which];
    uint32_t n = words_of(o);
    for (uint32_t i = 0; i < o->program->n_dispatches; i++) {
        const sy_dispatch *dispatch = &o->program->dispatches[i];
        VkBuffer buffer;
        VkDeviceSize offset;
        if (!dispatch->indirect)
            continue;
        if (!sy_locate(d, which, &dispatch->indirect_at, &buffer, &offset, error))
            return sy_fail_context(error, "%s, its size", dispatch->label);
        vk->vkCmdFillBuffer(c, buffer, offset, 12, 0);
    }
    sy_vk_label_begin(d->device, c, "condition");
    vk->vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, d->gate);
    vk->vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, d->gate_layout, 0, 1, &o->gate_set, 0, NULL);
    vk->vkCmdPushConstants(c, d->gate_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &n);
    vk->vkCmdDispatch(c, (n + GROUP - 1) / GROUP + !n, 1, 1);
    sy_vk_label_end(d->device, c);
    sy_record_barrier(d, c, COMPUTE | COPY, VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                      COMPUTE | INDIRECT,
                      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_INDIRECT_COMMAND_READ_BIT);
    return true;
}

void sy_gate_dispatch(sy_device_session *d, uint32_t which, uint32_t index, const sy_segment *segment, VkCommandBuffer c)
{
    const sy_program_objects *o = &d->objects[which];
    uint32_t entry = segment->part ? o->program->n_dispatches + (uint32_t)(segment - o->segments) : index;
    d->device->vk.vkCmdDispatchIndirect(c, o->gate.handle, 4 * ((VkDeviceSize)words_of(o) + 3 * entry));
}

void sy_gate_destroy(sy_device_session *d)
{
    sy_vk_device *v = d->device;
    for (int i = 0; i < SY_PROGRAMS; i++)
        sy_vk_buffer_destroy(v, &d->objects[i].gate);
    if (d->gate_pool)
        v->vk.vkDestroyDescriptorPool(v->handle, d->gate_pool, NULL);
}
