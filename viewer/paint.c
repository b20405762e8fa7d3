/* See paint.h. */
#include "viewer/paint.h"

#include "viewer/paint_frag.h"
#include "viewer/paint_vert.h"

#include <stdio.h>
#include <string.h>

enum { VERTEX = 20 };

static bool make_pass(paint *p, VkImageLayout final_layout, VkRenderPass *pass)
{
    const VkAttachmentDescription colour = {.format = p->format,
                                            .samples = VK_SAMPLE_COUNT_1_BIT,
                                            .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
                                            .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
                                            .stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
                                            .stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
                                            .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
                                            .finalLayout = final_layout};
    const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    const VkSubpassDescription subpass = {.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
                                          .colorAttachmentCount = 1,
                                          .pColorAttachments = &reference};
    /* In: what waited for the swapchain's image, and the copy of the frame before. Out: a copy to the host may follow. */
    const VkSubpassDependency dependencies[] = {
        {.srcSubpass = VK_SUBPASS_EXTERNAL,
         .dstSubpass = 0,
         .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
         .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
         .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT,
         .dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT},
        {.srcSubpass = 0,
         .dstSubpass = VK_SUBPASS_EXTERNAL,
         .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
         .dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT,
         .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
         .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT}};
    const VkRenderPassCreateInfo info = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
                                         .attachmentCount = 1,
                                         .pAttachments = &colour,
                                         .subpassCount = 1,
                                         .pSubpasses = &subpass,
                                         .dependencyCount = 2,
                                         .pDependencies = dependencies};
    return gpu_check(p->g, p->g->vk.vkCreateRenderPass(p->g->sy.device, &info, NULL, pass), "making a render pass");
}

static bool make_sampler(paint *p, VkFilter filter, VkSampler *sampler)
{
    const VkSamplerCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
                                      .magFilter = filter,
                                      .minFilter = VK_FILTER_LINEAR,
                                      .addressModeU = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                      .addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                      .addressModeW = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE};
    return gpu_check(p->g, p->g->vk.vkCreateSampler(p->g->sy.device, &info, NULL, sampler), "making a sampler");
}

static bool make_layouts(paint *p)
{
    const gpu_functions *vk = &p->g->vk;
    const VkDevice device = p->g->sy.device;
    const VkDescriptorSetLayoutBinding binding = {.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
                                                  .descriptorCount = 1,
                                                  .stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT};
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding};
    const VkPushConstantRange range = {VK_SHADER_STAGE_VERTEX_BIT, 0, 8};
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, PAINT_TEXTURES};
    const VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT,
                                             .maxSets = PAINT_TEXTURES,
                                             .poolSizeCount = 1,
                                             .pPoolSizes = &size};
    static const char what[] = "making the layout of textures";
    if (!gpu_check(p->g, vk->vkCreateDescriptorSetLayout(device, &set, NULL, &p->set_layout), what) ||
        !gpu_check(p->g, vk->vkCreateDescriptorPool(device, &pool, NULL, &p->sets), what))
        return false;
    const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &p->set_layout,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &range};
    return gpu_check(p->g, vk->vkCreatePipelineLayout(device, &layout, NULL, &p->layout), what);
}

static bool make_pipeline(paint *p, VkShaderModule vertex, VkShaderModule fragment)
{
    const VkPipelineShaderStageCreateInfo stages[] = {
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_VERTEX_BIT,
         .module = vertex,
         .pName = "main"},
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
         .module = fragment,
         .pName = "main"}};
    const VkVertexInputBindingDescription binding = {0, VERTEX, VK_VERTEX_INPUT_RATE_VERTEX};
    const VkVertexInputAttributeDescription attributes[] = {{0, 0, VK_FORMAT_R32G32_SFLOAT, 0},
                                                            {1, 0, VK_FORMAT_R32G32_SFLOAT, 8},
                                                            {2, 0, VK_FORMAT_R8G8B8A8_UNORM, 16}};
    const VkPipelineVertexInputStateCreateInfo input = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
        .vertexBindingDescriptionCount = 1,
        .pVertexBindingDescriptions = &binding,
        .vertexAttributeDescriptionCount = 3,
        .pVertexAttributeDescriptions = attributes};
    const VkPipelineInputAssemblyStateCreateInfo assembly = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
        .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST};
    const VkPipelineViewportStateCreateInfo viewport = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO, .viewportCount = 1, .scissorCount = 1};
    const VkPipelineRasterizationStateCreateInfo raster = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO, .lineWidth = 1};
    const VkPipelineMultisampleStateCreateInfo samples = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
        .rasterizationSamples = VK_SAMPLE_COUNT_1_BIT};
    const VkPipelineColorBlendAttachmentState over = {.blendEnable = VK_TRUE,
                                                      .srcColorBlendFactor = VK_BLEND_FACTOR_SRC_ALPHA,
                                                      .dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
                                                      .srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
                                                      .dstAlphaBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
                                                      .colorWriteMask = 15};
    const VkPipelineColorBlendStateCreateInfo blend = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO, .attachmentCount = 1, .pAttachments = &over};
    const VkDynamicState states[] = {VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR};
    const VkPipelineDynamicStateCreateInfo dynamic = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO, .dynamicStateCount = 2, .pDynamicStates = states};
    const VkGraphicsPipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
                                               .stageCount = 2,
                                               .pStages = stages,
                                               .pVertexInputState = &input,
                                               .pInputAssemblyState = &assembly,
                                               .pViewportState = &viewport,
                                               .pRasterizationState = &raster,
                                               .pMultisampleState = &samples,
                                               .pColorBlendState = &blend,
                                               .pDynamicState = &dynamic,
                                               .layout = p->layout,
                                               .renderPass = p->to_copy};
    return gpu_check(
        p->g, p->g->vk.vkCreateGraphicsPipelines(p->g->sy.device, VK_NULL_HANDLE, 1, &info, NULL, &p->pipeline),
        "making the pipeline that draws");
}

/* Both passes are compatible: what is made for one will do for the other. */
bool paint_open(paint *p, gpu *g, VkFormat format)
{
    *p = (paint){.g = g, .format = format};
    VkShaderModule vertex = VK_NULL_HANDLE, fragment = VK_NULL_HANDLE;
    bool ok = make_pass(p, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, &p->to_copy) &&
              (!g->swapchains || make_pass(p, VK_IMAGE_LAYOUT_PRESENT_SRC_KHR, &p->to_present)) &&
              make_sampler(p, VK_FILTER_LINEAR, &p->smooth) &&
              make_sampler(p, VK_FILTER_NEAREST, &p->nearest) && make_layouts(p) &&
              gpu_shader(g, view_paint_vert, sizeof view_paint_vert, &vertex) &&
              gpu_shader(g, view_paint_frag, sizeof view_paint_frag, &fragment) && make_pipeline(p, vertex, fragment);
    if (vertex)
        g->vk.vkDestroyShaderModule(g->sy.device, vertex, NULL);
    if (fragment)
        g->vk.vkDestroyShaderModule(g->sy.device, fragment, NULL);
    return ok;
}

void paint_close(paint *p)
{
    if (!p->g)
        return;
    const gpu_functions *vk = &p->g->vk;
    const VkDevice device = p->g->sy.device;
    for (int i = 0; i < PAINT_SLOTS; i++) {
        gpu_buffer_destroy(p->g, &p->vertices[i]);
        gpu_buffer_destroy(p->g, &p->indices[i]);
    }
    gpu_image_destroy(p->g, &p->font);
    vk->vkDestroyPipeline(device, p->pipeline, NULL);
    vk->vkDestroyPipelineLayout(device, p->layout, NULL);
    vk->vkDestroyDescriptorPool(device, p->sets, NULL);
    vk->vkDestroyDescriptorSetLayout(device, p->set_layout, NULL);
    vk->vkDestroySampler(device, p->smooth, NULL);
    vk->vkDestroySampler(device, p->nearest, NULL);
    vk->vkDestroyRenderPass(device, p->to_copy, NULL);
    vk->vkDestroyRenderPass(device, p->to_present, NULL);
    *p = (paint){0};
}

static bool upload_font(paint *p, const gui_pixels *pixels)
{
    gpu *g = p->g;
    gpu_buffer staging = {0};
    VkCommandBuffer commands;
    const VkDeviceSize bytes = (VkDeviceSize)pixels->width * pixels->height * 4;
    const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                    .imageExtent = {pixels->width, pixels->height, 1}};
    bool ok = gpu_image_create(g, pixels->width, pixels->height, VK_FORMAT_R8G8B8A8_UNORM,
                               VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT, &p->font) &&
              gpu_buffer_create(g, bytes, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, GPU_HOST_WRITE, &staging) &&
              gpu_now_begin(g, &commands);
    if (ok) {
        memcpy(staging.mapped, pixels->rgba, bytes);
        gpu_image_barrier(g, commands, p->font.handle, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                          VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, 0, VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_ACCESS_TRANSFER_WRITE_BIT);
        g->vk.vkCmdCopyBufferToImage(commands, staging.handle, p->font.handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1,
                                     &copy);
        gpu_image_barrier(g, commands, p->font.handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                          VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
                          VK_ACCESS_SHADER_READ_BIT);
        ok = gpu_now_end(g, &commands);
    }
    gpu_buffer_destroy(g, &staging);
    return ok;
}

bool paint_fonts(paint *p, float scale)
{
    gui_pixels pixels;
    if (p->font_texture && p->scale == scale)
        return true;
    if (p->font_texture)
        paint_texture_free(p, p->font_texture);
    p->font_texture = NULL;
    gpu_image_destroy(p->g, &p->font);
    gui_fonts(scale, &pixels);
    if (!upload_font(p, &pixels))
        return false;
    p->font_texture = paint_texture(p, p->font.view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, false);
    p->scale = scale;
    gui_font_texture(p->font_texture);
    return p->font_texture != NULL;
}

gui_texture paint_texture(paint *p, VkImageView view, VkImageLayout layout, bool nearest)
{
    const gpu_functions *vk = &p->g->vk;
    const VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                              .descriptorPool = p->sets,
                                              .descriptorSetCount = 1,
                                              .pSetLayouts = &p->set_layout};
    VkDescriptorSet set;
    if (!gpu_check(p->g, vk->vkAllocateDescriptorSets(p->g->sy.device, &info, &set), "too many pictures at once"))
        return NULL;
    const VkDescriptorImageInfo image = {nearest ? p->nearest : p->smooth, view, layout};
    const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                        .dstSet = set,
                                        .descriptorCount = 1,
                                        .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
                                        .pImageInfo = &image};
    vk->vkUpdateDescriptorSets(p->g->sy.device, 1, &write, 0, NULL);
    return (gui_texture)set;
}

void paint_texture_free(paint *p, gui_texture texture)
{
    VkDescriptorSet set = (VkDescriptorSet)texture;
    p->g->vk.vkFreeDescriptorSets(p->g->sy.device, p->sets, 1, &set);
}

bool paint_framebuffer(paint *p, VkImageView view, uint32_t width, uint32_t height, VkFramebuffer *framebuffer)
{
    const VkFramebufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
                                          .renderPass = p->to_copy,
                                          .attachmentCount = 1,
                                          .pAttachments = &view,
                                          .width = width,
                                          .height = height,
                                          .layers = 1};
    return gpu_check(p->g, p->g->vk.vkCreateFramebuffer(p->g->sy.device, &info, NULL, framebuffer),
                     "making a framebuffer");
}

/* At least so many bytes, with room to grow. */
static bool ensure(gpu *g, gpu_buffer *buffer, VkDeviceSize bytes, VkBufferUsageFlags usage)
{
    if (buffer->bytes >= bytes)
        return true;
    gpu_buffer_destroy(g, buffer);
    return gpu_buffer_create(g, bytes + bytes / 2 + 65536, usage, GPU_HOST_WRITE, buffer);
}

static bool copy_lists(paint *p, uint32_t slot)
{
    gui_list list;
    VkDeviceSize vertices = 0, indices = 0;
    for (uint32_t i = 0; gui_draw_list(i, &list); i++) {
        vertices += (VkDeviceSize)list.n_vertices * VERTEX;
        indices += (VkDeviceSize)list.n_indices * 2;
    }
    if (!ensure(p->g, &p->vertices[slot], vertices, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT) ||
        !ensure(p->g, &p->indices[slot], indices, VK_BUFFER_USAGE_INDEX_BUFFER_BIT))
        return false;
    char *vertex = p->vertices[slot].mapped, *index = p->indices[slot].mapped;
    for (uint32_t i = 0; gui_draw_list(i, &list); i++) {
        memcpy(vertex, list.vertices, (size_t)list.n_vertices * VERTEX);
        memcpy(index, list.indices, (size_t)list.n_indices * 2);
        vertex += (size_t)list.n_vertices * VERTEX;
        index += (size_t)list.n_indices * 2;
    }
    return true;
}

/* False where nothing of it is inside. */
static bool clip(const gui_command *c, uint32_t width, uint32_t height, VkRect2D *out)
{
    float left = c->clip[0] < 0 ? 0 : c->clip[0], top = c->clip[1] < 0 ? 0 : c->clip[1];
    float right = c->clip[2] > (float)width ? (float)width : c->clip[2];
    float bottom = c->clip[3] > (float)height ? (float)height : c->clip[3];
    if (right <= left || bottom <= top)
        return false;
    *out = (VkRect2D){{(int32_t)left, (int32_t)top}, {(uint32_t)(right - left), (uint32_t)(bottom - top)}};
    return true;
}

static void draw_lists(paint *p, VkCommandBuffer commands, uint32_t width, uint32_t height)
{
    const gpu_functions *vk = &p->g->vk;
    gui_texture bound = NULL;
    gui_list list;
    uint32_t first_vertex = 0, first_index = 0;
    for (uint32_t i = 0; gui_draw_list(i, &list); i++) {
        for (uint32_t k = 0; k < list.n_commands; k++) {
            gui_command c;
            VkRect2D scissor;
            gui_draw_command(i, k, &c);
            if (!c.texture || !c.n_indices || !clip(&c, width, height, &scissor))
                continue;
            if (c.texture != bound) {
                VkDescriptorSet set = (VkDescriptorSet)c.texture;
                vk->vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, p->layout, 0, 1, &set, 0, NULL);
                bound = c.texture;
            }
            vk->vkCmdSetScissor(commands, 0, 1, &scissor);
            vk->vkCmdDrawIndexed(commands, c.n_indices, 1, first_index + c.first_index,
                                 (int32_t)(first_vertex + c.first_vertex), 0);
        }
        first_vertex += list.n_vertices;
        first_index += list.n_indices;
    }
}

bool paint_record(paint *p, uint32_t slot, bool present, VkCommandBuffer commands, VkFramebuffer framebuffer,
                  uint32_t width, uint32_t height)
{
    const gpu_functions *vk = &p->g->vk;
    if (!copy_lists(p, slot))
        return false;
    /* Of regions nothing but what stands in them is drawn: filling the window costs much where the processor does it. */
    const uint32_t panel = GUI_PANEL;
    const VkClearValue ground = {.color = {.float32 = {(float)(panel & 255) / 255, (float)(panel >> 8 & 255) / 255,
                                                       (float)(panel >> 16 & 255) / 255, 1}}};
    const VkRenderPassBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
                                         .renderPass = present ? p->to_present : p->to_copy,
                                         .framebuffer = framebuffer,
                                         .renderArea = {{0, 0}, {width, height}},
                                         .clearValueCount = 1,
                                         .pClearValues = &ground};
    const VkViewport viewport = {0, 0, (float)width, (float)height, 0, 1};
    const float two_by_size[] = {2 / (float)width, 2 / (float)height};
    const VkDeviceSize zero = 0;
    vk->vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
    vk->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, p->pipeline);
    vk->vkCmdBindVertexBuffers(commands, 0, 1, &p->vertices[slot].handle, &zero);
    vk->vkCmdBindIndexBuffer(commands, p->indices[slot].handle, 0, VK_INDEX_TYPE_UINT16);
    vk->vkCmdSetViewport(commands, 0, 1, &viewport);
    vk->vkCmdPushConstants(commands, p->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, 8, two_by_size);
    draw_lists(p, commands, width, height);
    vk->vkCmdEndRenderPass(commands);
    return true;
}
