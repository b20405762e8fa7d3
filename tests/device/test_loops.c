/* The loop limit of a device's plan is true: up to it, all turns of all loops of an invocation run; and a device for
 * which none is known runs more. This is how the quirk of llvmpipe was found: nested loops multiply, each end of a loop
 * counts as a turn, and once the count is used up every later loop of the shader runs once. */
#include "graph/passes/plan.h"
#include "src/device/device.h"
#include "tests/check.h"

static const char shader[] = "#version 450\n"
                             "layout(local_size_x = 64) in;\n"
                             "layout(std430, set = 0, binding = 0) buffer B { uint v[]; };\n"
                             "void main()\n"
                             "{\n"
                             "    uint n = v[0], m = v[1], nested = 0u, after = 0u;\n"
                             "    for (uint i = 0u; i < n; i++)\n"
                             "        for (uint j = 0u; j < m; j++)\n"
                             "            nested += v[2];\n"
                             "    for (uint i = 0u; i < m; i++)\n"
                             "        after += v[2];\n"
                             "    v[4u + 2u * gl_LocalInvocationIndex] = nested;\n"
                             "    v[5u + 2u * gl_LocalInvocationIndex] = after;\n"
                             "}\n";

static void print_message(void *user, sy_severity severity, const char *text)
{
    (void)user;
    fprintf(stderr, "validation (%d): %s\n", (int)severity, text);
}

typedef struct pipeline {
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline handle;
    VkDescriptorPool descriptors;
    VkDescriptorSet set;
    VkCommandPool commands;
} pipeline;

static pipeline make_pipeline(sy_vk_device *d, const uint32_t *spirv, uint32_t n, const sy_vk_buffer *buffer)
{
    pipeline p = {0};
    VkShaderModuleCreateInfo module = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = (size_t)n * 4, .pCode = spirv};
    REQUIRE(d->vk.vkCreateShaderModule(d->handle, &module, NULL, &p.module) == VK_SUCCESS);
    VkDescriptorSetLayoutBinding binding = {0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    VkDescriptorSetLayoutCreateInfo set_layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding};
    REQUIRE(d->vk.vkCreateDescriptorSetLayout(d->handle, &set_layout, NULL, &p.set_layout) == VK_SUCCESS);
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &p.set_layout};
    REQUIRE(d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, &p.layout) == VK_SUCCESS);
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = p.module,
                  .pName = "main"},
        .layout = p.layout,
    };
    REQUIRE(d->vk.vkCreateComputePipelines(d->handle, VK_NULL_HANDLE, 1, &info, NULL, &p.handle) == VK_SUCCESS);
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1};
    VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &size};
    REQUIRE(d->vk.vkCreateDescriptorPool(d->handle, &pool, NULL, &p.descriptors) == VK_SUCCESS);
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = p.descriptors,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &p.set_layout};
    REQUIRE(d->vk.vkAllocateDescriptorSets(d->handle, &allocate, &p.set) == VK_SUCCESS);
    VkDescriptorBufferInfo range = {buffer->handle, 0, VK_WHOLE_SIZE};
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = p.set,
                                  .descriptorCount = 1,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = &range};
    d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
    VkCommandPoolCreateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                        .queueFamilyIndex = d->plan->family};
    REQUIRE(d->vk.vkCreateCommandPool(d->handle, &commands, NULL, &p.commands) == VK_SUCCESS);
    return p;
}

static void free_pipeline(sy_vk_device *d, const pipeline *p)
{
    d->vk.vkDestroyCommandPool(d->handle, p->commands, NULL);
    d->vk.vkDestroyDescriptorPool(d->handle, p->descriptors, NULL);
    d->vk.vkDestroyPipeline(d->handle, p->handle, NULL);
    d->vk.vkDestroyPipelineLayout(d->handle, p->layout, NULL);
    d->vk.vkDestroyDescriptorSetLayout(d->handle, p->set_layout, NULL);
    d->vk.vkDestroyShaderModule(d->handle, p->module, NULL);
}

static void run(sy_vk_device *d, const pipeline *p)
{
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = p->commands, .commandBufferCount = 1};
    REQUIRE(d->vk.vkAllocateCommandBuffers(d->handle, &allocate, &commands) == VK_SUCCESS);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    REQUIRE(d->vk.vkBeginCommandBuffer(commands, &begin) == VK_SUCCESS);
    d->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p->handle);
    d->vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &p->set, 0, NULL);
    d->vk.vkCmdDispatch(commands, 1, 1, 1);
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    d->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                               &barrier, 0, NULL, 0, NULL);
    REQUIRE(d->vk.vkEndCommandBuffer(commands) == VK_SUCCESS);
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    REQUIRE(d->vk.vkQueueSubmit(d->queue, 1, &submit, VK_NULL_HANDLE) == VK_SUCCESS);
    REQUIRE(d->vk.vkQueueWaitIdle(d->queue) == VK_SUCCESS);
}

/* Are all turns of n x m, and of the loop after it, run in every invocation? */
static bool all_run(sy_vk_device *d, const pipeline *p, sy_vk_buffer *buffer, uint32_t n, uint32_t m)
{
    uint32_t *v = buffer->mapped;
    bool all = true;
    memset(v, 0, buffer->size);
    v[0] = n, v[1] = m, v[2] = 1;
    CHECK(sy_vk_buffer_flush(d, buffer, 0, buffer->size, NULL));
    run(d, p);
    CHECK(sy_vk_buffer_invalidate(d, buffer, 0, buffer->size, NULL));
    for (uint32_t i = 0; i < 64; i++)
        all &= v[4 + 2 * i] == n * m && v[5 + 2 * i] == m;
    return all;
}

static void test_device(sy_vk_device *d)
{
    sy_error error = {0};
    sy_compile_params params = {.limits = &d->plan->limits};
    const uint32_t *spirv = NULL;
    uint32_t n_words = 0;
    bool cached;
    struct sy_emitter *emitter = sy_emitter_create(&params, &d->plan->limits, &error);
    REQUIRE(emitter && sy_emit_spirv(emitter, "loops", shader, &spirv, &n_words, &cached, &error));
    sy_vk_buffer buffer;
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_READBACK, 1024, "loops", &buffer, &error));
    pipeline p = make_pipeline(d, spirv, n_words, &buffer);
    CHECK(all_run(d, &p, &buffer, 1000, 62)); /* (62 + 1 + 1) x 1000 + 1 + 62 + 1 turns: below 65,535 */
    bool more = all_run(d, &p, &buffer, 1000, 70);
    if (!d->plan->limits.loop_limit)
        CHECK_SAY(more, "%s ends loops that its plan does not know a limit of", d->snapshot->name);
    else if (more)
        printf("%s runs more than its loop limit: the quirk may be limited to older versions\n", d->snapshot->name);
    free_pipeline(d, &p);
    sy_vk_buffer_destroy(d, &buffer);
    sy_emitter_destroy(&emitter);
}

int main(void)
{
    sy_error error = {0};
    sy_vk_instance_params params = {.validation = true, .message = print_message};
    sy_vk_instance *instance = sy_vk_instance_create(&params, &error);
    if (!instance)
        return check_skip(error.message);
    uint32_t tested = 0;
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        sy_vk_device *d = instance->physicals[i].plan.usable ? sy_vk_device_create(instance, i, &error) : NULL;
        if (!d)
            continue;
        test_device(d);
        sy_vk_device_destroy(&d);
        tested++;
    }
    CHECK(instance->messages == 0);
    sy_vk_instance_destroy(&instance);
    return tested ? check_done() : check_skip("no usable Vulkan device");
}
