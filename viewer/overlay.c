/* See overlay.h: tiles, and the life of it all. */
#include "viewer/overlay_private.h"
#include "viewer/palette.h"

#include "viewer/ask_comp.h"
#include "viewer/blocks_comp.h"
#include "viewer/map_comp.h"
#include "viewer/picture_comp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static uint32_t packed(palette_colour c)
{
    return (uint32_t)c.r | (uint32_t)c.g << 8 | (uint32_t)c.b << 16 | 0xFF000000u;
}

static void fill_palette(overlay_palette *p)
{
    for (uint32_t i = 0; i < 64; i++)
        p->experts[i] = packed(palette_expert(i));
    for (uint32_t i = 0; i < 256; i++) {
        p->sizes[i] = packed(palette_size((float)i / 255));
        p->differences[i] = packed(palette_difference(2 * (float)i / 255 - 1));
    }
}

static bool make_layouts(overlay *o, bool tiles, VkDescriptorSetLayout *set, VkPipelineLayout *layout)
{
    VkDescriptorSetLayoutBinding bindings[7];
    for (uint32_t i = 0; i < 7; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = i < 2   ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
                                                                       : i < 6 ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                                               : VK_DESCRIPTOR_TYPE_STORAGE_IMAGE,
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    const VkDescriptorSetLayoutCreateInfo set_info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                      .bindingCount = tiles ? 7 : 6,
                                                      .pBindings = bindings};
    const VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = set};
    gpu *g = o->g;
    return gpu_check(g, g->vk.vkCreateDescriptorSetLayout(g->sy.device, &set_info, NULL, set), "making a layout") &&
           gpu_check(g, g->vk.vkCreatePipelineLayout(g->sy.device, &info, NULL, layout), "making a layout");
}

static bool make_pipeline(overlay *o, const uint32_t *words, size_t bytes, VkPipelineLayout layout,
                          VkPipeline *pipeline)
{
    gpu *g = o->g;
    VkShaderModule module = VK_NULL_HANDLE;
    if (!gpu_shader(g, words, bytes, &module))
        return false;
    const VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                              .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                        .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                        .module = module,
                                                        .pName = "main"},
                                              .layout = layout};
    VkResult result = g->vk.vkCreateComputePipelines(g->sy.device, VK_NULL_HANDLE, 1, &info, NULL, pipeline);
    g->vk.vkDestroyShaderModule(g->sy.device, module, NULL);
    return gpu_check(g, result, "making the overlay's shaders");
}

static bool make_frame(overlay *o, overlay_frame *f)
{
    gpu *g = o->g;
    const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 2 * OVERLAY_JOBS},
                                          {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4 * OVERLAY_JOBS},
                                          {VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, OVERLAY_JOBS}};
    const VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = OVERLAY_JOBS,
                                             .poolSizeCount = 3,
                                             .pPoolSizes = sizes};
    return gpu_check(g, g->vk.vkCreateDescriptorPool(g->sy.device, &info, NULL, &f->pool), "making a pool") &&
           gpu_buffer_create(g, (VkDeviceSize)OVERLAY_JOBS * PARAMS_STRIDE, VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT,
                             GPU_HOST_WRITE, &f->params) &&
           gpu_buffer_create(g, (VkDeviceSize)ANSWER_WORDS * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, GPU_HOST_READ,
                             &f->answers);
}

static bool make(overlay *o)
{
    gpu *g = o->g;
    bool ok = make_layouts(o, true, &o->tile_set, &o->tile_layout) &&
              make_layouts(o, false, &o->ask_set, &o->ask_layout) &&
              make_pipeline(o, view_picture_comp, sizeof view_picture_comp, o->tile_layout, &o->picture) &&
              make_pipeline(o, view_map_comp, sizeof view_map_comp, o->tile_layout, &o->map) &&
              make_pipeline(o, view_blocks_comp, sizeof view_blocks_comp, o->tile_layout, &o->blocks) &&
              make_pipeline(o, view_ask_comp, sizeof view_ask_comp, o->ask_layout, &o->ask) &&
              gpu_buffer_create(g, sizeof(overlay_palette), VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT, GPU_HOST_WRITE,
                                &o->palette) &&
              gpu_buffer_create(g, 64, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, GPU_HOST_WRITE, &o->none);
    for (int i = 0; ok && i < OVERLAY_SLOTS; i++)
        ok = make_frame(o, &o->frames[i]);
    if (ok)
        fill_palette(o->palette.mapped);
    if (ok)
        memset(o->none.mapped, 0, 64);
    return ok;
}

bool overlay_create(gpu *g, overlay **created)
{
    overlay *o = *created = calloc(1, sizeof *o);
    ask_store *answers = ask_store_create();
    if (!o || !answers) {
        free(o);
        ask_store_destroy(answers);
        *created = NULL;
        snprintf(g->error, sizeof g->error, "no memory to draw routes");
        return false;
    }
    o->g = g;
    o->answers = answers;
    if (!make(o))
        overlay_destroy(created);
    return *created != NULL;
}

void overlay_destroy(overlay **created)
{
    overlay *o = *created;
    *created = NULL;
    if (!o)
        return;
    gpu *g = o->g;
    VkDevice device = g->sy.device;
    for (int i = 0; i < 2; i++)
        atlas_destroy(g, &o->atlases[i]);
    for (int i = 0; i < OVERLAY_SLOTS; i++) {
        if (o->frames[i].pool)
            g->vk.vkDestroyDescriptorPool(device, o->frames[i].pool, NULL);
        gpu_buffer_destroy(g, &o->frames[i].params);
        gpu_buffer_destroy(g, &o->frames[i].answers);
    }
    gpu_buffer_destroy(g, &o->palette);
    gpu_buffer_destroy(g, &o->none);
    VkPipeline pipelines[] = {o->picture, o->map, o->blocks, o->ask};
    VkPipelineLayout layouts[] = {o->tile_layout, o->ask_layout};
    VkDescriptorSetLayout sets[] = {o->tile_set, o->ask_set};
    for (int i = 0; i < 4; i++)
        if (pipelines[i])
            g->vk.vkDestroyPipeline(device, pipelines[i], NULL);
    for (int i = 0; i < 2; i++) {
        if (layouts[i])
            g->vk.vkDestroyPipelineLayout(device, layouts[i], NULL);
        if (sets[i])
            g->vk.vkDestroyDescriptorSetLayout(device, sets[i], NULL);
    }
    ask_store_destroy(o->answers);
    free(o);
}

/* ---- frames ---- */

void overlay_begin(overlay *o, uint32_t slot)
{
    for (uint32_t i = 0; i < o->n_jobs; i++) /* wanted by a frame that was never recorded */
        if (o->jobs[i].atlas)
            atlas_forget(o->jobs[i].atlas, o->jobs[i].tile);
    if (o->n_jobs && o->now)
        ask_drop(o, o->now);
    o->n_jobs = 0;
    o->waiting = false;
    o->frame++;
    o->now = &o->frames[slot % OVERLAY_SLOTS];
    for (int i = 0; i < 2; i++)
        atlas_collect(o->g, &o->atlases[i], o->frame);
    ask_collect(o, o->now);
    o->g->vk.vkResetDescriptorPool(o->g->sy.device, o->now->pool, 0);
}

bool overlay_waiting(const overlay *o)
{
    return o->waiting;
}

bool overlay_expecting(const overlay *o)
{
    bool any = false;
    for (int i = 0; i < OVERLAY_SLOTS; i++)
        any = any || o->frames[i].n_asked;
    return any;
}

/* ---- tiles ---- */

static atlas_key key_of(const overlay_request *r, const overlay_scale *scale, uint32_t tap, uint32_t tap_against)
{
    atlas_key key;
    memset(&key, 0, sizeof key);
    key.run[0] = r->source.run;
    key.evaluation[0] = r->source.evaluation;
    key.tap[0] = tap;
    key.tap[1] = LAYER_NONE;
    if (r->against.history) {
        key.run[1] = r->against.run;
        key.evaluation[1] = r->against.evaluation;
        key.tap[1] = tap_against;
    }
    key.kind = (uint32_t)r->kind;
    key.picture = r->picture;
    key.half = r->half;
    key.target = r->kind == OVERLAY_ONE ? r->target : 0;
    key.picked = r->kind == OVERLAY_ATTENTION ? r->picked : overlay_no_cells;
    key.low = scale->low;
    key.high = scale->high;
    return key;
}

static bool bind_number(const overlay *o, const overlay_source *source, uint32_t tap, overlay_side *side,
                        overlay_bound *bound)
{
    const sy_history_slice *slice;
    const sy_history_form *form;
    overlay_bind_none(o, side, bound);
    if (!layer_slice_at(source->history, tap, source->evaluation, &slice, &form))
        return false;
    overlay_bind_slice(o, slice, &bound->data, &side->base, &side->words);
    return true;
}

/* Binds what one side of the request reads. A missing route of running tokens is nothing bound: all run. */
static bool bind_side(const overlay *o, const overlay_request *r, const overlay_source *source, const layer *l,
                      overlay_side *side, overlay_bound *bound)
{
    if (!l)
        return bind_number(o, source, layers_preview(source->history), side, bound);
    bool scores = r->kind == OVERLAY_ENTROPY && l->scores != LAYER_NONE;
    return overlay_bind_layer(o, source, l, scores, side, bound) || (r->kind == OVERLAY_KEPT && l->kind == LAYER_KEPT);
}

static void tile_size(const overlay_request *r, uint32_t *width, uint32_t *height)
{
    const sy_history *h = r->source.history;
    enum { MOST_BLOCKS = 128 };
    layer_rows rows;
    bool picture = r->kind == OVERLAY_PICTURE || r->kind == OVERLAY_FIELD;
    *width = picture ? h->width : h->grid_width;
    *height = picture ? h->height : h->grid_height;
    if (r->kind == OVERLAY_MATRIX && layer_rows_at(h, r->layer, r->source.evaluation, &rows)) {
        *width = rows.keys < MOST_BLOCKS ? rows.keys : MOST_BLOCKS;
        *height = rows.queries < MOST_BLOCKS ? rows.queries : MOST_BLOCKS;
    }
}

static void place(const atlas *a, uint32_t number, uint32_t width, uint32_t height, overlay_tile *tile)
{
    uint32_t x = number % a->columns * a->side, y = number / a->columns * a->side;
    float w = (float)a->image.width, h = (float)a->image.height;
    *tile = (overlay_tile){.image = &a->image,
                           .u0 = (float)(x + 1) / w,
                           .v0 = (float)(y + 1) / h,
                           .u1 = (float)(x + 1 + width) / w,
                           .v1 = (float)(y + 1 + height) / h,
                           .x = x + 1,
                           .y = y + 1,
                           .width = width,
                           .height = height};
}

/* The commands of a tile that is not there yet. */
static bool compute(overlay *o, const overlay_request *r, const overlay_scale *scale, atlas *a, uint32_t number,
                    const overlay_tile *tile)
{
    overlay_params params;
    overlay_bound bound[2];
    overlay_params_of(&r->source, r->layer, &params);
    params.kind = (uint32_t)r->kind;
    params.x = tile->x - 1;
    params.y = tile->y - 1;
    params.width = tile->width;
    params.height = tile->height;
    params.picture = r->picture;
    params.half = r->half;
    params.target = r->target;
    params.picked = r->picked;
    params.low = scale->low;
    params.high = scale->high;
    params.differ = r->against.history != NULL;
    params.layer_kind_b = r->layer_against ? (uint32_t)r->layer_against->kind : 0;
    bool ok = bind_side(o, r, &r->source, r->layer, &params.side[0], &bound[0]);
    overlay_bind_none(o, &params.side[1], &bound[1]);
    if (r->against.history)
        ok = ok && bind_side(o, r, &r->against, r->layer ? r->layer_against : NULL, &params.side[1], &bound[1]);
    bool blocks = r->kind == OVERLAY_ATTENTION || r->kind == OVERLAY_MATRIX;
    overlay_job job = {.pipeline = a == &o->atlases[0] ? o->picture : blocks ? o->blocks : o->map,
                       .across = (tile->width + 9) / 8, /* 8 a group, and the border */
                       .down = (tile->height + 9) / 8,
                       .atlas = a,
                       .tile = number};
    return ok && overlay_job_add(o, &params, bound, &a->image, &job);
}

bool overlay_want(overlay *o, const overlay_request *r, overlay_tile *tile)
{
    if (!o->now || overlay_why_not(r))
        return false;
    uint32_t width, height;
    bool there;
    overlay_scale scale = overlay_scale_of(r);
    bool picture = r->kind == OVERLAY_PICTURE || r->kind == OVERLAY_FIELD;
    atlas *a = &o->atlases[!picture];
    atlas_key key = key_of(r, &scale, r->layer ? r->layer->tap : LAYER_NONE,
                           r->layer_against ? r->layer_against->tap : LAYER_NONE);
    tile_size(r, &width, &height);
    for (uint32_t i = 0; i < o->n_jobs; i++) /* an atlas that commands of this frame write cannot grow in it */
        if (o->jobs[i].atlas == a && (width + 2 > a->side || height + 2 > a->side)) {
            o->waiting = true;
            return false;
        }
    if (!atlas_fit(o->g, a, width, height, o->frame))
        return false;
    uint32_t number = atlas_find(a, &key, o->frame, &there);
    if (number == UINT32_MAX)
        return false;
    place(a, number, width, height, tile);
    if (there)
        return true;
    uint32_t tiles = 0;
    for (uint32_t i = 0; i < o->n_jobs; i++)
        tiles += o->jobs[i].atlas != NULL;
    there = tiles < OVERLAY_TILES && compute(o, r, &scale, a, number, tile);
    if (!there) {
        atlas_forget(a, number);
        o->waiting = true;
    }
    return there;
}

static void image_barrier(overlay *o, VkCommandBuffer commands, atlas *a, bool before)
{
    gpu_image_barrier(o->g, commands, a->image.handle,
                      !before    ? VK_IMAGE_LAYOUT_GENERAL
                      : a->fresh ? VK_IMAGE_LAYOUT_UNDEFINED
                                 : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                      before ? VK_IMAGE_LAYOUT_GENERAL : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                      before ? VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                      before ? 0 : VK_ACCESS_SHADER_WRITE_BIT,
                      before ? VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT : VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
                      before ? VK_ACCESS_SHADER_WRITE_BIT : VK_ACCESS_SHADER_READ_BIT);
    a->fresh = false;
}

/* The network's writes were seen to be done by the host; copies of runs may be younger. */
static void buffer_barrier(overlay *o, VkCommandBuffer commands, bool before)
{
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | (before ? VK_ACCESS_TRANSFER_WRITE_BIT : 0),
        .dstAccessMask = before ? VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT : VK_ACCESS_HOST_READ_BIT};
    o->g->vk.vkCmdPipelineBarrier(
        commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | (before ? VK_PIPELINE_STAGE_TRANSFER_BIT : 0),
        before ? VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT : VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

void overlay_record(overlay *o, VkCommandBuffer commands)
{
    const gpu_functions *vk = &o->g->vk;
    bool writes[2] = {false, false}, asks = false;
    for (uint32_t i = 0; i < o->n_jobs; i++)
        for (int k = 0; k < 2; k++)
            writes[k] = writes[k] || o->jobs[i].atlas == &o->atlases[k];
    if (o->n_jobs)
        buffer_barrier(o, commands, true);
    for (int k = 0; k < 2; k++)
        if (writes[k])
            image_barrier(o, commands, &o->atlases[k], true);
    for (uint32_t i = 0; i < o->n_jobs; i++) {
        const overlay_job *job = &o->jobs[i];
        VkPipelineLayout layout = job->atlas ? o->tile_layout : o->ask_layout;
        vk->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, job->pipeline);
        vk->vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &job->set, 0, NULL);
        vk->vkCmdDispatch(commands, job->across, job->down, 1);
        asks = asks || !job->atlas;
        o->counters.tiles += job->atlas != NULL;
        o->counters.questions += !job->atlas;
    }
    for (int k = 0; k < 2; k++)
        if (writes[k])
            image_barrier(o, commands, &o->atlases[k], false);
    if (asks)
        buffer_barrier(o, commands, false);
    o->n_jobs = 0;
}

const gpu_image *overlay_image(const overlay *o, bool maps, uint64_t *generation)
{
    const atlas *a = &o->atlases[maps];
    *generation = a->generation;
    return a->image.handle ? &a->image : NULL;
}

overlay_counters overlay_count(const overlay *o)
{
    overlay_counters c = o->counters;
    c.bytes = o->palette.bytes + o->none.bytes + atlas_bytes(&o->atlases[0]) + atlas_bytes(&o->atlases[1]);
    for (int i = 0; i < OVERLAY_SLOTS; i++)
        c.bytes += o->frames[i].params.bytes + o->frames[i].answers.bytes;
    return c;
}
