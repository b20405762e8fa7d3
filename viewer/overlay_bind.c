/* Taps as bindings of shaders/tap.glsl. */
#include "viewer/overlay_private.h"

#include <string.h>

/* Bindings begin at multiples of what the device wants; the rest is `base`. */
void overlay_bind_slice(const overlay *o, const sy_history_slice *slice, VkDescriptorBufferInfo *info, uint32_t *base,
                        uint32_t *words)
{
    VkDeviceSize step = o->g->properties.limits.minStorageBufferOffsetAlignment;
    VkDeviceSize rest = step ? slice->offset % step : 0, most = o->g->properties.limits.maxStorageBufferRange;
    VkDeviceSize bytes = slice->bytes & ~(VkDeviceSize)3;
    bytes = bytes + rest <= most ? bytes : most - rest;
    *info = (VkDescriptorBufferInfo){slice->buffer, slice->offset - rest, bytes + rest};
    *base = (uint32_t)(rest / 4);
    *words = (uint32_t)(bytes / 4);
}

void overlay_bind_none(const overlay *o, overlay_side *side, overlay_bound *bound)
{
    *side = (overlay_side){0};
    bound->data = bound->active = (VkDescriptorBufferInfo){o->none.handle, 0, o->none.bytes};
}

static void set_route(const layer_rows *rows, overlay_side *side)
{
    const sy_history_route *r = &rows->form->route;
    side->rows = r->rows;
    side->targets = r->targets;
    side->weights = r->weights;
    side->row_offsets = r->row_offsets;
    side->row_slots = r->row_slots;
    side->n_rows = (uint32_t)r->n_rows;
    side->n_targets = (uint32_t)r->n_targets;
    side->n_slots = (uint32_t)r->n_slots;
    side->heads = rows->heads;
    side->queries = rows->queries;
    side->keys = rows->keys;
    side->query_side = rows->query_side;
    side->key_side = rows->key_side;
}

static bool set_scores(const overlay *o, const overlay_source *source, uint32_t tap, overlay_side *side,
                       overlay_bound *bound)
{
    const sy_history_slice *slice;
    const sy_history_form *form;
    if (!layer_slice_at(source->history, tap, source->evaluation, &slice, &form) || !form->array.rank)
        return false;
    overlay_bind_slice(o, slice, &bound->data, &side->base, &side->words);
    side->columns = (uint32_t)form->array.dim[form->array.rank - 1];
    side->n_rows = side->columns ? side->words / side->columns : 0;
    return side->columns > 0;
}

bool overlay_bind_layer(const overlay *o, const overlay_source *source, const layer *l, bool scores, overlay_side *side,
                        overlay_bound *bound)
{
    const sy_history *h = source->history;
    layer_rows rows;
    overlay_bind_none(o, side, bound);
    if (l->kind > LAYER_BLOCKS) { /* numbers */
        const sy_history_slice *slice;
        const sy_history_form *form;
        if (!layer_slice_at(h, l->tap, source->evaluation, &slice, &form))
            return false;
        overlay_bind_slice(o, slice, &bound->data, &side->base, &side->words);
        side->halves = 1;
        return true;
    }
    if (!layer_rows_at(h, l, source->evaluation, &rows))
        return false;
    side->halves = rows.halves;
    if (rows.active) {
        const sy_history_form *form = &h->taps[l->active].forms[rows.active->form];
        overlay_bind_slice(o, rows.active, &bound->active, &side->active_base, &side->active_words);
        side->active_count = form->route.count;
        side->active_rows = form->route.rows;
        side->active_slots = (uint32_t)form->route.n_slots;
    }
    if (scores)
        return l->scores != LAYER_NONE && set_scores(o, source, l->scores, side, bound);
    overlay_bind_slice(o, rows.slice, &bound->data, &side->base, &side->words);
    set_route(&rows, side);
    return true;
}

void overlay_params_of(const overlay_source *source, const layer *l, overlay_params *params)
{
    const sy_history *h = source->history;
    *params = (overlay_params){.grid_width = h->grid_width ? h->grid_width : 1,
                               .grid_height = h->grid_height ? h->grid_height : 1,
                               .count = h->count,
                               .tokens = h->tokens_per_picture,
                               .channels = h->channels,
                               .regions = l && l->regions,
                               .shares = l && l->shares,
                               .layer_kind = l ? (uint32_t)l->kind : 0};
}

bool overlay_job_add(overlay *o, const overlay_params *params, const overlay_bound bound[2], const gpu_image *image,
                     overlay_job *job)
{
    const gpu_functions *vk = &o->g->vk;
    overlay_frame *f = o->now;
    if (!f || o->n_jobs == OVERLAY_JOBS)
        return false;
    const VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                              .descriptorPool = f->pool,
                                              .descriptorSetCount = 1,
                                              .pSetLayouts = image ? &o->tile_set : &o->ask_set};
    if (vk->vkAllocateDescriptorSets(o->g->sy.device, &info, &job->set) != VK_SUCCESS)
        return false;
    memcpy((uint8_t *)f->params.mapped + (size_t)o->n_jobs * PARAMS_STRIDE, params, sizeof *params);
    const VkDescriptorBufferInfo palette = {o->palette.handle, 0, sizeof(overlay_palette)},
                                 own = {f->params.handle, (VkDeviceSize)o->n_jobs * PARAMS_STRIDE, PARAMS_STRIDE},
                                 answers = {f->answers.handle, 0, f->answers.bytes};
    const VkDescriptorImageInfo tile = {.imageView = image ? image->view : VK_NULL_HANDLE,
                                        .imageLayout = VK_IMAGE_LAYOUT_GENERAL};
    const VkDescriptorBufferInfo *buffers[] = {&palette,        &own,           &bound[0].data, &bound[0].active,
                                               &bound[1].data, image ? &bound[1].active : &answers};
    VkWriteDescriptorSet writes[7];
    for (uint32_t i = 0; i < 6; i++)
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = job->set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = i < 2 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
                                                                   : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = buffers[i]};
    writes[6] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                       .dstSet = job->set,
                                       .dstBinding = 6,
                                       .descriptorCount = 1,
                                       .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_IMAGE,
                                       .pImageInfo = &tile};
    vk->vkUpdateDescriptorSets(o->g->sy.device, image ? 7 : 6, writes, 0, NULL);
    o->jobs[o->n_jobs++] = *job;
    return true;
}
