#include "src/run/work.h"

#include "src/run/session_private.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 8 << 20, BATCH = 16 /* dispatches a submission, where a watchdog bounds submissions */ };
static const uint64_t patience_nanoseconds = UINT64_C(600) * 1000000000;

typedef struct kernel_objects {
    VkDescriptorSetLayout sets[SY_WORK_SETS];
    uint32_t n_sets;
    VkPipelineLayout layout;
    VkPipeline pipeline;
} kernel_objects;

struct sy_work_run {
    sy_vk_device *d;
    const sy_work *w;
    sy_vk_buffer *buffers, staging;
    kernel_objects *kernels;
    VkDescriptorSet (*sets)[SY_WORK_SETS];
    VkDescriptorPool pool;
    VkBufferView *views;
    uint32_t n_views;
    VkCommandPool commands;
    VkCommandBuffer command;
    VkFence fence;
    VkQueryPool queries;
    uint64_t *ticks;
    bool *written; /* by buffer: some dispatch writes it */
    bool filled;   /* once */
};

static bool begin(sy_work_run *r, sy_error *error)
{
    VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                     .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                         .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                         .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    if (!sy_vk_check(r->d->vk.vkBeginCommandBuffer(r->command, &info), error, "recording"))
        return false;
    r->d->vk.vkCmdPipelineBarrier(r->command, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1, &b, 0,
                                  NULL, 0, NULL);
    return true;
}

static bool end(sy_work_run *r, sy_error *error)
{
    sy_vk_device *d = r->d;
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                         .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                         .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
    d->vk.vkCmdPipelineBarrier(r->command, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &b, 0, NULL, 0, NULL);
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &r->command};
    if (!sy_vk_check(d->vk.vkEndCommandBuffer(r->command), error, "recording"))
        return false;
    VkResult result = d->vk.vkQueueSubmit(d->queue, 1, &info, r->fence);
    if (result == VK_SUCCESS)
        result = d->vk.vkWaitForFences(d->handle, 1, &r->fence, VK_TRUE, patience_nanoseconds);
    char fault[300];
    if (result == VK_ERROR_DEVICE_LOST && sy_vk_device_fault(d, fault, sizeof fault))
        return sy_fail(error, SY_CODE_DEVICE_LOST, "the device was lost; the driver says: %s", fault);
    return sy_vk_check(result, error, "running on the device") &&
           sy_vk_check(d->vk.vkResetFences(d->handle, 1, &r->fence), error, "a fence");
}

static bool put(sy_work_run *r, const sy_vk_buffer *to, const uint8_t *data, uint64_t bytes, sy_error *error)
{
    sy_vk_device *d = r->d;
    if (to->mapped) {
        if (data)
            memcpy(to->mapped, data, bytes);
        else
            memset(to->mapped, 0, bytes);
        return sy_vk_buffer_flush(d, to, 0, bytes, error);
    }
    if (!data) {
        if (!begin(r, error))
            return false;
        d->vk.vkCmdFillBuffer(r->command, to->handle, 0, VK_WHOLE_SIZE, 0);
        return end(r, error);
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t n = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        VkBufferCopy copy = {.dstOffset = done, .size = n};
        memcpy(r->staging.mapped, data + done, n);
        if (!sy_vk_buffer_flush(d, &r->staging, 0, n, error) || !begin(r, error))
            return false;
        d->vk.vkCmdCopyBuffer(r->command, r->staging.handle, to->handle, 1, &copy);
        if (!end(r, error))
            return false;
        done += n;
    }
    return true;
}

bool sy_work_read(sy_work_run *r, uint32_t buffer, uint64_t offset, uint64_t bytes, void *out, sy_error *error)
{
    sy_vk_device *d = r->d;
    const sy_vk_buffer *from = buffer < r->w->n_buffers ? &r->buffers[buffer] : NULL;
    if (!from || offset > from->size || bytes > from->size - offset)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no such range of a buffer");
    if (from->mapped) {
        if (!sy_vk_buffer_invalidate(d, from, offset, bytes, error))
            return false;
        memcpy(out, (const uint8_t *)from->mapped + offset, bytes);
        return true;
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t n = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        VkBufferCopy copy = {.srcOffset = offset + done, .size = n};
        if (!begin(r, error))
            return false;
        d->vk.vkCmdCopyBuffer(r->command, from->handle, r->staging.handle, 1, &copy);
        if (!end(r, error) || !sy_vk_buffer_invalidate(d, &r->staging, 0, n, error))
            return false;
        memcpy((uint8_t *)out + done, r->staging.mapped, n);
        done += n;
    }
    return true;
}

bool sy_work_reset(sy_work_run *r, sy_error *error)
{
    for (uint32_t i = 0; i < r->w->n_buffers; i++)
        if ((!r->filled || r->written[i]) && !put(r, &r->buffers[i], r->w->buffers[i].data, r->w->buffers[i].bytes, error))
            return sy_fail_context(error, "buffer \"%s\"", r->w->buffers[i].name);
    r->filled = true;
    return true;
}

static VkDescriptorType type_of(sy_resource_kind kind)
{
    return kind == SY_RESOURCE_UNIFORM ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
           : kind == SY_RESOURCE_TEXELS ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                        : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

static bool make_layouts(sy_work_run *r, const sy_work_kernel *k, kernel_objects *o, sy_error *error)
{
    sy_vk_device *d = r->d;
    for (uint32_t i = 0; i < k->shader->n_resources; i++)
        if (k->shader->resources[i].set >= o->n_sets)
            o->n_sets = k->shader->resources[i].set + 1;
    for (uint32_t set = 0; set < o->n_sets; set++) {
        VkDescriptorSetLayoutBinding bindings[SY_WORK_BINDINGS];
        VkDescriptorSetLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .pBindings = bindings};
        for (uint32_t i = 0; i < k->shader->n_resources; i++)
            if (k->shader->resources[i].set == set)
                bindings[info.bindingCount++] = (VkDescriptorSetLayoutBinding){.binding = k->shader->resources[i].binding,
                                                                               .descriptorType = type_of(k->shader->resources[i].kind),
                                                                               .descriptorCount = 1,
                                                                               .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
        if (!sy_vk_check(d->vk.vkCreateDescriptorSetLayout(d->handle, &info, NULL, &o->sets[set]), error, k->name))
            return false;
    }
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = (uint32_t)(k->shader->push.bytes + 3) & ~3u};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = o->n_sets,
                                       .pSetLayouts = o->sets,
                                       .pushConstantRangeCount = push.size ? 1 : 0,
                                       .pPushConstantRanges = &push};
    return sy_vk_check(d->vk.vkCreatePipelineLayout(d->handle, &info, NULL, &o->layout), error, k->name);
}

static bool make_pipeline(sy_work_run *r, const sy_work_kernel *k, kernel_objects *o, sy_error *error)
{
    sy_vk_device *d = r->d;
    enum { MOST = 64 };
    VkSpecializationMapEntry entries[MOST];
    VkSpecializationInfo special = {.mapEntryCount = k->n_values, .pMapEntries = entries, .dataSize = 8 * k->n_values, .pData = k->values};
    VkShaderModule module;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = 4 * k->n_words, .pCode = k->spirv};
    if (k->n_values > MOST)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: %u specialisation constants were given; %d are the most.", k->name, k->n_values, MOST);
    for (uint32_t i = 0; i < k->n_values; i++) {
        uint32_t bits = 32;
        for (uint32_t c = 0; c < k->shader->n_constants; c++)
            if (k->shader->constants[c].id == k->ids[i])
                bits = k->shader->constants[c].bits;
        entries[i] = (VkSpecializationMapEntry){.constantID = k->ids[i], .offset = 8 * i, .size = bits / 8};
    }
    if (!sy_vk_check(d->vk.vkCreateShaderModule(d->handle, &code, NULL, &module), error, k->name))
        return false;
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .module = module,
                                                  .pName = k->shader->entry,
                                                  .pSpecializationInfo = k->n_values ? &special : NULL},
                                        .layout = o->layout};
    VkResult result = d->vk.vkCreateComputePipelines(d->handle, VK_NULL_HANDLE, 1, &info, NULL, &o->pipeline);
    d->vk.vkDestroyShaderModule(d->handle, module, NULL);
    sy_vk_name(d, VK_OBJECT_TYPE_PIPELINE, (uint64_t)o->pipeline, k->name);
    return sy_vk_check(result, error, k->name);
}

static bool make_pool(sy_work_run *r, sy_error *error)
{
    VkDescriptorPoolSize sizes[3] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1}, {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 1}, {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1}};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 3, .pPoolSizes = sizes};
    for (uint32_t i = 0; i < r->w->n_dispatches; i++) {
        const sy_shader *s = r->w->kernels[r->w->dispatches[i].kernel].shader;
        info.maxSets += r->kernels[r->w->dispatches[i].kernel].n_sets;
        for (uint32_t b = 0; b < s->n_resources; b++)
            for (int t = 0; t < 3; t++)
                sizes[t].descriptorCount += sizes[t].type == type_of(s->resources[b].kind);
    }
    r->views = calloc(sizes[2].descriptorCount, sizeof *r->views);
    if (!r->views)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for dispatches");
    return sy_vk_check(r->d->vk.vkCreateDescriptorPool(r->d->handle, &info, NULL, &r->pool), error, "a descriptor pool");
}

static bool write_sets(sy_work_run *r, uint32_t index, sy_error *error)
{
    sy_vk_device *d = r->d;
    const sy_work_dispatch *x = &r->w->dispatches[index];
    const sy_shader *s = r->w->kernels[x->kernel].shader;
    kernel_objects *o = &r->kernels[x->kernel];
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = r->pool,
                                        .descriptorSetCount = o->n_sets,
                                        .pSetLayouts = o->sets};
    if (o->n_sets && !sy_vk_check(d->vk.vkAllocateDescriptorSets(d->handle, &info, r->sets[index]), error, x->label))
        return false;
    for (uint32_t i = 0; i < s->n_resources; i++) {
        const sy_shader_resource *want = &s->resources[i];
        const sy_work_binding *b = x->bindings;
        while (b->set != want->set || b->binding != want->binding) /* it is there: sy_work_fits */
            b++;
        r->written[b->buffer] = r->written[b->buffer] || !want->read_only;
        VkDescriptorBufferInfo buffer = {r->buffers[b->buffer].handle, b->offset, b->bytes};
        VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                      .dstSet = r->sets[index][want->set],
                                      .dstBinding = want->binding,
                                      .descriptorCount = 1,
                                      .descriptorType = type_of(want->kind),
                                      .pBufferInfo = &buffer};
        if (want->kind == SY_RESOURCE_TEXELS) {
            VkBufferViewCreateInfo view = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                           .buffer = buffer.buffer,
                                           .format = VK_FORMAT_R32G32B32A32_UINT,
                                           .offset = b->offset,
                                           .range = b->bytes & ~UINT64_C(15)};
            if (!view.range || !sy_vk_check(d->vk.vkCreateBufferView(d->handle, &view, NULL, &r->views[r->n_views]), error, x->label))
                return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: a texel buffer of less than a texel", x->label);
            write.pTexelBufferView = &r->views[r->n_views++];
        }
        d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
    }
    return true;
}

static bool make_objects(sy_work_run *r, sy_error *error)
{
    sy_vk_device *d = r->d;
    uint32_t n = r->w->n_dispatches;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->plan->family};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkQueryPoolCreateInfo queries = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 2 * n};
    if (!sy_vk_check(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &r->commands), error, "a command pool") ||
        !sy_vk_check(d->vk.vkCreateFence(d->handle, &fence, NULL, &r->fence), error, "a fence") ||
        (d->plan->timestamp_bits && n && !sy_vk_check(d->vk.vkCreateQueryPool(d->handle, &queries, NULL, &r->queries), error, "a query pool")))
        return false;
    VkCommandBufferAllocateInfo command = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                           .commandPool = r->commands,
                                           .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                           .commandBufferCount = 1};
    if (!sy_vk_check(d->vk.vkAllocateCommandBuffers(d->handle, &command, &r->command), error, "a command buffer") ||
        !sy_vk_buffer_create(d, SY_MEMORY_READBACK, CHUNK_BYTES, "staging", &r->staging, error))
        return false;
    for (uint32_t i = 0; i < r->w->n_buffers; i++)
        if (!sy_vk_buffer_create(d, SY_MEMORY_DEVICE, r->w->buffers[i].bytes, r->w->buffers[i].name, &r->buffers[i], error))
            return false;
    return sy_work_reset(r, error);
}

sy_work_run *sy_work_open(sy_vk_device *device, const sy_work *work, double *compile_seconds, sy_error *error)
{
    if (!sy_work_fits(device, work, error))
        return NULL;
    sy_work_run *r = calloc(1, sizeof *r);
    if (r) {
        *r = (sy_work_run){.d = device,
                           .w = work,
                           .buffers = calloc((size_t)work->n_buffers + 1, sizeof *r->buffers),
                           .kernels = calloc((size_t)work->n_kernels + 1, sizeof *r->kernels),
                           .sets = calloc((size_t)work->n_dispatches + 1, sizeof *r->sets),
                           .written = calloc((size_t)work->n_buffers + 1, sizeof *r->written),
                           .ticks = calloc(2 * (size_t)work->n_dispatches + 1, sizeof *r->ticks)};
    }
    if (!r || !r->buffers || !r->kernels || !r->sets || !r->ticks || !r->written) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for dispatches");
        sy_work_close(&r);
        return NULL;
    }
    bool ok = make_objects(r, error);
    double start = sy_seconds();
    for (uint32_t i = 0; ok && i < work->n_kernels; i++)
        ok = make_layouts(r, &work->kernels[i], &r->kernels[i], error) && make_pipeline(r, &work->kernels[i], &r->kernels[i], error);
    if (compile_seconds)
        *compile_seconds = sy_seconds() - start;
    ok = ok && make_pool(r, error);
    for (uint32_t i = 0; ok && i < work->n_dispatches; i++)
        ok = write_sets(r, i, error);
    if (!ok)
        sy_work_close(&r);
    return r;
}

static void record(sy_work_run *r, uint32_t index, bool serial)
{
    struct VolkDeviceTable *vk = &r->d->vk;
    const sy_work_dispatch *x = &r->w->dispatches[index];
    const kernel_objects *o = &r->kernels[x->kernel];
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                         .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                         .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_INDIRECT_COMMAND_READ_BIT};
    uint32_t push = (uint32_t)(r->w->kernels[x->kernel].shader->push.bytes + 3) & ~3u;
    if (x->barrier || serial)
        vk->vkCmdPipelineBarrier(r->command, stages, stages, 0, 1, &b, 0, NULL, 0, NULL);
    sy_vk_label_begin(r->d, r->command, x->label);
    if (r->queries)
        vk->vkCmdWriteTimestamp(r->command, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, r->queries, 2 * index);
    vk->vkCmdBindPipeline(r->command, VK_PIPELINE_BIND_POINT_COMPUTE, o->pipeline);
    if (o->n_sets)
        vk->vkCmdBindDescriptorSets(r->command, VK_PIPELINE_BIND_POINT_COMPUTE, o->layout, 0, o->n_sets, r->sets[index], 0, NULL);
    if (push)
        vk->vkCmdPushConstants(r->command, o->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, push, x->push);
    if (x->indirect)
        vk->vkCmdDispatchIndirect(r->command, r->buffers[x->indirect_buffer].handle, x->indirect_offset);
    else
        vk->vkCmdDispatch(r->command, x->groups[0], x->groups[1], x->groups[2]);
    if (r->queries)
        vk->vkCmdWriteTimestamp(r->command, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, r->queries, 2 * index + 1);
    sy_vk_label_end(r->d, r->command);
}

bool sy_work_go(sy_work_run *r, bool serial, double *seconds, double *begun, sy_error *error)
{
    sy_vk_device *d = r->d;
    uint32_t n = r->w->n_dispatches, batch = d->plan->submission_seconds > 0 ? BATCH : n, bits = d->plan->timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    for (uint32_t first = 0; first < n; first += batch) {
        uint32_t last = n - first < batch ? n : first + batch;
        if (!begin(r, error))
            return false;
        if (r->queries)
            d->vk.vkCmdResetQueryPool(r->command, r->queries, 2 * first, 2 * (last - first));
        for (uint32_t i = first; i < last; i++)
            record(r, i, serial);
        if (!end(r, error))
            return sy_fail_context(error, "dispatches \"%s\" to \"%s\"", r->w->dispatches[first].label, r->w->dispatches[last - 1].label);
    }
    if (r->queries && n && !sy_vk_check(d->vk.vkGetQueryPoolResults(d->handle, r->queries, 0, 2 * n, 16 * (size_t)n, r->ticks, 8, VK_QUERY_RESULT_64_BIT), error, "timestamps"))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (seconds)
            seconds[i] = (double)((r->ticks[2 * i + 1] - r->ticks[2 * i]) & mask) * d->plan->timestamp_period * 1e-9;
        if (begun)
            begun[i] = (double)((r->ticks[2 * i] - r->ticks[0]) & mask) * d->plan->timestamp_period * 1e-9;
    }
    return true;
}

void sy_work_close(sy_work_run **run)
{
    sy_work_run *r = *run;
    *run = NULL;
    if (!r)
        return;
    sy_vk_device *d = r->d;
    d->vk.vkDeviceWaitIdle(d->handle);
    for (uint32_t i = 0; r->kernels && i < r->w->n_kernels; i++) {
        d->vk.vkDestroyPipeline(d->handle, r->kernels[i].pipeline, NULL);
        d->vk.vkDestroyPipelineLayout(d->handle, r->kernels[i].layout, NULL);
        for (uint32_t s = 0; s < r->kernels[i].n_sets; s++)
            d->vk.vkDestroyDescriptorSetLayout(d->handle, r->kernels[i].sets[s], NULL);
    }
    for (uint32_t i = 0; i < r->n_views; i++)
        d->vk.vkDestroyBufferView(d->handle, r->views[i], NULL);
    d->vk.vkDestroyDescriptorPool(d->handle, r->pool, NULL);
    d->vk.vkDestroyQueryPool(d->handle, r->queries, NULL);
    d->vk.vkDestroyFence(d->handle, r->fence, NULL);
    d->vk.vkDestroyCommandPool(d->handle, r->commands, NULL);
    for (uint32_t i = 0; r->buffers && i < r->w->n_buffers; i++)
        sy_vk_buffer_destroy(d, &r->buffers[i]);
    sy_vk_buffer_destroy(d, &r->staging);
    free(r->buffers);
    free(r->kernels);
    free(r->sets);
    free(r->views);
    free(r->ticks);
    free(r->written);
    free(r);
}
