/* Taps that stay on the device, as the session laid them out; and copies of a whole run. */
#include "graph/ir/route.h"
#include "src/api.h"
#include "src/run/device_session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a history");
}

static uint64_t output_bytes(const sy_program *p)
{
    uint64_t bytes = 0;
    for (int b = 0; b < SY_SPACE_BUFFERS; b++)
        bytes += p->space_bytes[SY_SPACE_OUTPUT][b];
    return bytes;
}

static bool fits(const sy_pipeline *p, const sy_vk_device *device, uint64_t most, sy_error *error)
{
    uint64_t bytes = 0, step;
    uint32_t taps = 0, steps = p->sampling.n_turns;
    for (uint32_t i = 0; i < p->sampling.n_programs; i++) {
        bytes += output_bytes(p->programs[i]);
        taps += p->programs[i]->n_outputs;
    }
    most = most ? most : sy_vk_device_free_bytes(device, SY_MEMORY_DEVICE) / 2;
    step = (bytes + steps - 1) / steps;
    if (bytes <= most)
        return true;
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY,
                   "the history of %u taps takes %llu bytes a step, %llu for the %u steps of this run, and may take "
                   "%llu, which is enough for %llu steps: take fewer steps, pictures or taps, or allow it more",
                   taps, (unsigned long long)step, (unsigned long long)bytes, steps, (unsigned long long)most,
                   (unsigned long long)(most / step));
}

bool sy_api_history_plan(const sy_pipeline *p, const sy_vk_device *device, const sy_pipeline_params *params,
                         double *slice_seconds, sy_error *error)
{
    enum { SHARED_MILLISECONDS = 20 };
    double wanted = params->slice_seconds;
    bool shared = params->history && device && device->queue == device->draw_queue;
    *slice_seconds = wanted > 0 ? wanted : wanted < 0 || !shared ? 0 : 1e-3 * SHARED_MILLISECONDS;
    if (!isfinite(wanted))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "slice_seconds is not a finite number");
    if (!params->history)
        return true;
    if (!p->model->context->drawing)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "a history is for who draws it: make the context with sy_context_params.vulkan");
    if (!device)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator keeps no history: it has no device memory");
    return fits(p, device, params->history_bytes, error);
}

/* Where the outputs of a pipeline's session lie, or their copies. */
typedef struct buffers {
    const sy_session *session;
    const sy_vk_buffer *copies; /* by program and buffer; NULL: the session's own */
} buffers;

static const sy_vk_buffer *buffer_of(const buffers *from, uint32_t program, uint32_t buffer)
{
    const sy_device_session *d = from->session->state;
    return from->copies ? &from->copies[program * SY_SPACE_BUFFERS + buffer]
                        : &d->objects[SY_STEP + program].output[buffer];
}

static void describe_form(const sy_slot *slot, sy_history_form *form)
{
    const sy_type *type = &slot->type;
    *form = (sy_history_form){.array = {.bytes = slot->bytes}};
    if (!type->is_route) {
        form->array.type = (sy_array_type)type->dtype;
        form->array.rank = type->rank;
        memcpy(form->array.dim, type->dim, sizeof form->array.dim);
        return;
    }
    sy_route_layout at = sy_route_layout_of(type);
    form->array.type = SY_ARRAY_U32;
    form->array.rank = 1;
    form->array.dim[0] = (int32_t)(slot->bytes / 4);
    form->route = (sy_history_route){.count = at.count,
                                     .offsets = at.offsets,
                                     .rows = at.rows,
                                     .targets = at.targets,
                                     .weights = at.weights,
                                     .row_offsets = at.row_offsets,
                                     .row_slots = at.row_slots,
                                     .words = (uint32_t)(slot->bytes / 4),
                                     .n_rows = type->dim[SY_ROUTE_ROWS],
                                     .n_targets = type->dim[SY_ROUTE_TARGETS],
                                     .n_slots = type->dim[SY_ROUTE_SLOTS]};
}

/* One tap: a form for each program that has it, and the slices of the rows in which these are scheduled. */
static bool make_tap(const buffers *from, const char *name, uint32_t rows, sy_arena *arena, sy_history_tap *tap,
                     sy_error *error)
{
    const sy_session *s = from->session;
    sy_history_form *forms = sy_arena_array(arena, s->params.n_programs, sizeof *forms);
    sy_history_slice *slices = sy_arena_array(arena, (size_t)rows + 1, sizeof *slices);
    *tap = (sy_history_tap){.name = sy_arena_string(arena, name), .forms = forms, .slices = slices};
    if (!forms || !slices || !tap->name)
        return no_memory(error);
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        const sy_slot *slot = &s->outputs[i];
        if (!slot->step_bytes || strcmp(slot->name, name) != 0)
            continue;
        tap->is_route = slot->type.is_route;
        describe_form(slot, &forms[tap->n_forms]);
        for (uint32_t row = 0; row < rows; row++)
            if (sy_session_scheduled(s, slot->program, row))
                slices[row] = (sy_history_slice){.buffer = buffer_of(from, slot->program, slot->buffer)->handle,
                                                 .offset = slot->offset + row * slot->step_bytes,
                                                 .bytes = slot->bytes,
                                                 .form = tap->n_forms};
        tap->n_forms++;
    }
    return true;
}

static bool make_taps(const buffers *from, sy_arena *arena, sy_history *h, sy_error *error)
{
    const sy_session *s = from->session;
    sy_history_tap *taps = sy_arena_array(arena, (size_t)s->n_outputs + 1, sizeof *taps);
    if (!taps)
        return no_memory(error);
    h->taps = taps;
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        bool known = !s->outputs[i].step_bytes;
        for (uint32_t k = 0; k < h->n_taps && !known; k++)
            known = !strcmp(taps[k].name, s->outputs[i].name);
        if (!known && !make_tap(from, s->outputs[i].name, h->n_evaluations, arena, &taps[h->n_taps++], error))
            return false;
    }
    return true;
}

/* By row: that of the program that runs the network there, if one does. */
static bool make_evaluations(const sy_pipeline *p, sy_arena *arena, sy_history *h, sy_error *error)
{
    const sy_sampling *s = &p->sampling;
    sy_evaluation *list = sy_arena_array(arena, (size_t)s->n_rows + 1, sizeof *list);
    if (!list)
        return no_memory(error);
    h->evaluations = list;
    h->n_evaluations = s->n_rows;
    for (uint32_t row = 0; row < s->n_rows; row++)
        list[row] = (sy_evaluation){
            .step = (uint32_t)s->rows[row].number, .row = row, .sigma = s->rows[row].sigma, .program = ""};
    for (uint32_t i = 0, row = 0; i < s->n_schedule && row < s->n_rows; i++) {
        const sy_sampling_program *program = &s->programs[s->schedule[i]];
        if (program->network)
            list[row] = sy_api_evaluation(p, i, row, true);
        row += !program->same_step;
    }
    return true;
}

static bool describe(const sy_pipeline *p, const buffers *from, sy_arena *arena, sy_history *h, sy_error *error)
{
    const sy_network_config *c = &p->sampling.config;
    *h = (sy_history){.count = p->sampling.count,
                      .width = (uint32_t)c->side,
                      .height = (uint32_t)c->side,
                      .channels = (uint32_t)c->channels};
    h->grid_width = h->grid_height = c->patch ? (uint32_t)(c->side / c->patch) : 0;
    h->tokens_per_picture = h->grid_width * h->grid_height;
    for (uint32_t i = 0; i < p->sampling.n_programs; i++)
        for (uint32_t b = 0; b < SY_SPACE_BUFFERS; b++)
            h->device_bytes += buffer_of(from, i, b)->size;
    return make_evaluations(p, arena, h, error) && make_taps(from, arena, h, error);
}

bool sy_api_history_make(sy_pipeline *p, sy_error *error)
{
    buffers from = {.session = p->session};
    p->history = sy_arena_alloc(&p->arena, sizeof *p->history);
    return p->history ? describe(p, &from, &p->arena, p->history, error) : no_memory(error);
}

static bool has_history(const sy_pipeline *p, sy_error *error)
{
    return p->history || sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                                 "this pipeline has no history: create it with sy_pipeline_params.history");
}

sy_status sy_pipeline_history(sy_pipeline *pipeline, const sy_history **history)
{
    sy_error error = {0};
    *history = has_history(pipeline, &error) ? pipeline->history : NULL;
    return sy_api_done(pipeline->model->context, &error);
}

struct sy_kept {
    sy_history history;
    sy_arena arena;
    sy_vk_device *device;
    sy_vk_buffer *copies; /* [n]: by program and buffer; on the arena */
    uint32_t n;
};

static bool make_copies(sy_kept *kept, const sy_pipeline *p, sy_error *error)
{
    const buffers from = {.session = p->session};
    uint64_t wanted = p->history->device_bytes, there = sy_vk_device_free_bytes(kept->device, SY_MEMORY_DEVICE);
    if (wanted > there)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY,
                       "keeping this run takes %llu bytes of device memory and %llu are free: let go of one kept before",
                       (unsigned long long)wanted, (unsigned long long)there);
    kept->n = p->sampling.n_programs * SY_SPACE_BUFFERS;
    kept->copies = sy_arena_array(&kept->arena, kept->n, sizeof *kept->copies);
    if (!kept->copies)
        return no_memory(error);
    for (uint32_t i = 0; i < kept->n; i++) {
        uint64_t size = buffer_of(&from, i / SY_SPACE_BUFFERS, i % SY_SPACE_BUFFERS)->size;
        if (size && !sy_vk_buffer_create(kept->device, SY_MEMORY_DEVICE, size, "kept", &kept->copies[i], error))
            return false;
    }
    return true;
}

bool sy_api_copy(sy_device_session *d, const sy_api_copy_of *copies, uint32_t n, sy_error *error)
{
    struct VolkDeviceTable *vk = &d->device->vk;
    VkCommandBuffer commands;
    uint64_t value;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (!sy_vk_check(vk->vkAllocateCommandBuffers(d->device->handle, &info, &commands), error, "a command buffer"))
        return false;
    bool ok = sy_vk_check(vk->vkBeginCommandBuffer(commands, &begin), error, "recording copies");
    if (ok) {
        sy_record_barrier(d, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_ACCESS_TRANSFER_READ_BIT);
        for (uint32_t i = 0; i < n; i++)
            vk->vkCmdCopyBuffer(commands, copies[i].from, copies[i].to, 1, &copies[i].what);
        sy_record_barrier(d, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
        ok = sy_vk_check(vk->vkEndCommandBuffer(commands), error, "recording copies") &&
             sy_submit(d, &commands, 1, &value, error) && sy_submit_wait(d, value, error);
    }
    vk->vkFreeCommandBuffers(d->device->handle, d->commands, 1, &commands);
    return ok;
}

static bool copy_all(sy_kept *kept, const sy_pipeline *p, sy_error *error)
{
    const buffers from = {.session = p->session};
    sy_api_copy_of *list = sy_arena_array(&kept->arena, (size_t)kept->n + 1, sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = 0; list && i < kept->n; i++) {
        const sy_vk_buffer *source = buffer_of(&from, i / SY_SPACE_BUFFERS, i % SY_SPACE_BUFFERS);
        if (source->size)
            list[n++] = (sy_api_copy_of){source->handle, kept->copies[i].handle, {.size = source->size}};
    }
    return list ? sy_api_copy(p->session->state, list, n, error) : no_memory(error);
}

static bool keep(const sy_pipeline *p, sy_kept *kept, sy_error *error)
{
    kept->device = ((sy_device_session *)p->session->state)->device;
    if (!make_copies(kept, p, error) || !copy_all(kept, p, error))
        return false;
    const buffers from = {p->session, kept->copies};
    return describe(p, &from, &kept->arena, &kept->history, error);
}

sy_status sy_history_keep(sy_pipeline *pipeline, sy_kept **kept)
{
    sy_error error = {0};
    *kept = NULL;
    if (has_history(pipeline, &error)) {
        *kept = calloc(1, sizeof **kept);
        if (!*kept)
            no_memory(&error);
        else if (!keep(pipeline, *kept, &error))
            sy_kept_destroy(kept);
    }
    return sy_api_done(pipeline->model->context, &error);
}

const sy_history *sy_kept_history(const sy_kept *kept)
{
    return &kept->history;
}

void sy_kept_destroy(sy_kept **kept)
{
    sy_kept *k = kept ? *kept : NULL;
    if (!k)
        return;
    for (uint32_t i = 0; i < k->n && k->copies; i++)
        sy_vk_buffer_destroy(k->device, &k->copies[i]);
    sy_arena arena = k->arena;
    sy_arena_free(&arena);
    free(k);
    *kept = NULL;
}
