/* Recording a step. The run's own command buffers are submitted up to the step and then turn by turn; what buffers hold
 * is read in between. Arenas are not stored: nothing in them outlives a program. */
#include "src/run/device_session.h"
#include "src/run/recording.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 8 << 20, MOST_BUFFERS = 1024, MOST_COMMANDS = 32 };

typedef struct captured { /* a buffer of the session that dispatches use */
    VkBuffer handle;
    uint64_t bytes;
    char name[40];
    bool empty;       /* holds nothing before the step: an arena */
    uint32_t *before; /* owned */
} captured;

typedef struct capture {
    sy_device_session *d;
    sy_vk_buffer staging;
    VkCommandBuffer copy;
    captured *buffers;
    uint32_t n_buffers, n_items, n_kernels;
    sy_safetensors_item *items;
    cJSON *json, *kernels, *dispatches;
    uint32_t *kernel_of[SY_PROGRAMS]; /* 1 + number of a kernel in the file */
    sy_arena arena;
} capture;

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a recording");
}

/* Everything submitted before must be complete. */
static bool download(capture *c, VkBuffer from, uint64_t offset, uint64_t bytes, void *out, sy_error *error)
{
    sy_device_session *d = c->d;
    struct VolkDeviceTable *vk = &d->device->vk;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    for (uint64_t done = 0; done < bytes;) {
        uint64_t n = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES, value;
        VkBufferCopy region = {.srcOffset = offset + done, .size = n};
        if (!sy_vk_check(vk->vkBeginCommandBuffer(c->copy, &begin), error, "recording copies"))
            return false;
        sy_record_barrier(d, c->copy, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_MEMORY_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
        vk->vkCmdCopyBuffer(c->copy, from, c->staging.handle, 1, &region);
        sy_record_barrier(d, c->copy, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                          VK_ACCESS_HOST_READ_BIT);
        if (!sy_vk_check(vk->vkEndCommandBuffer(c->copy), error, "recording copies") || !sy_submit(d, &c->copy, 1, &value, error) ||
            !sy_submit_wait(d, value, error) || !sy_vk_buffer_invalidate(d->device, &c->staging, 0, n, error))
            return false;
        memcpy((uint8_t *)out + done, c->staging.mapped, n);
        done += n;
    }
    return true;
}

static bool submit_one(sy_device_session *d, VkCommandBuffer commands, sy_error *error)
{
    uint64_t value;
    return sy_submit(d, &commands, 1, &value, error) && sy_submit_wait(d, value, error);
}

static bool run_program(sy_device_session *d, uint32_t which, sy_error *error)
{
    for (uint32_t i = 0; i < d->objects[which].n_segments; i++)
        if (!submit_one(d, d->objects[which].segments[i].commands, error))
            return false;
    return true;
}

/* The buffers there are: their contents are read when a dispatch first names them. */
static void list_buffers(capture *c)
{
    const sy_device_session *d = c->d;
    for (uint32_t b = 0; b < SY_SPACE_BUFFERS; b++) {
        struct {
            const sy_vk_buffer *buffer;
            const char *name;
            uint32_t program;
        } found[2 + SY_PROGRAMS] = {{&d->arena[b], "arena", 0},
                                    {d->weight[b] ? &d->weight[b]->buffer : NULL, "weights", 0}};
        for (uint32_t i = 0; i < SY_PROGRAMS; i++) {
            found[2 + i].buffer = &d->objects[i].output[b];
            found[2 + i].name = "outputs";
            found[2 + i].program = i;
        }
        for (uint32_t i = 0; i < 2 + SY_PROGRAMS && c->n_buffers < MOST_BUFFERS - 3; i++) {
            if (!found[i].buffer || !found[i].buffer->handle)
                continue;
            captured *x = &c->buffers[c->n_buffers++];
            *x = (captured){.handle = found[i].buffer->handle, .bytes = found[i].buffer->size, .empty = i == 0};
            snprintf(x->name, sizeof x->name, "%s %u.%u", found[i].name, found[i].program, b);
        }
    }
    const sy_vk_buffer *own[] = {&d->state, &d->input, &d->step};
    static const char *const names[] = {"states", "inputs", "step"};
    for (int i = 0; i < 3; i++)
        if (own[i]->handle) {
            captured *x = &c->buffers[c->n_buffers++];
            *x = (captured){.handle = own[i]->handle, .bytes = own[i]->size};
            snprintf(x->name, sizeof x->name, "%s", names[i]);
        }
}

static bool read_before(capture *c, sy_error *error)
{
    for (uint32_t i = 0; i < c->n_buffers; i++) {
        captured *x = &c->buffers[i];
        if (x->empty)
            continue;
        x->before = malloc(x->bytes);
        if (!x->before)
            return no_memory(error);
        if (!download(c, x->handle, 0, x->bytes, x->before, error))
            return sy_fail_context(error, "recording, buffer \"%s\"", x->name);
    }
    return true;
}

static bool add_item(capture *c, const char *kind, uint32_t number, const void *words, uint64_t n_words, sy_error *error)
{
    sy_safetensors_item *items = realloc(c->items, (c->n_items + 1) * sizeof *items);
    if (!items || n_words > INT32_MAX)
        return items ? sy_fail(error, SY_CODE_UNAVAILABLE, "a buffer of 8 GiB or more cannot be recorded") : no_memory(error);
    c->items = items;
    items[c->n_items] = (sy_safetensors_item){.name = sy_arena_printf(&c->arena, "%s.%u", kind, number),
                                              .type = {.dtype = SY_U32, .rank = 1, .dim = {(int32_t)n_words}},
                                              .data = words};
    return items[c->n_items++].name || no_memory(error);
}

static bool add_numbers(cJSON *object, const char *name, const double *numbers, int n)
{
    return cJSON_AddItemToObject(object, name, cJSON_CreateDoubleArray(numbers, n));
}

static bool add_kernel(capture *c, uint32_t which, uint32_t kernel, sy_error *error)
{
    const sy_kernel *k = &c->d->objects[which].program->kernels[kernel];
    cJSON *object = cJSON_CreateObject();
    char tensor[24];
    snprintf(tensor, sizeof tensor, "kernel.%u", c->n_kernels);
    cJSON_AddItemToArray(c->kernels, object);
    c->kernel_of[which][kernel] = ++c->n_kernels;
    return (cJSON_AddStringToObject(object, "name", k->name) && cJSON_AddStringToObject(object, "spirv", tensor)) ?
               add_item(c, "kernel", c->n_kernels - 1, k->spirv, k->n_spirv, error) : no_memory(error);
}

static bool find_buffer(const capture *c, VkBuffer handle, uint32_t *index, sy_error *error)
{
    for (*index = 0; *index < c->n_buffers; ++*index)
        if (c->buffers[*index].handle == handle)
            return true;
    return sy_fail(error, SY_CODE_INTERNAL, "a dispatch uses a buffer that nobody knows");
}

static bool add_dispatch(capture *c, uint32_t which, uint32_t index, bool barrier, sy_error *error)
{
    const sy_program *p = c->d->objects[which].program;
    const sy_dispatch *x = &p->dispatches[index];
    const sy_kernel *k = &p->kernels[x->kernel];
    double push[SY_PUSH_WORDS], groups[3] = {x->groups[0], x->groups[1], x->groups[2]};
    VkBuffer handle;
    uint64_t offset;
    uint32_t buffer;
    if (!c->kernel_of[which][x->kernel] && !add_kernel(c, which, x->kernel, error))
        return false;
    cJSON *object = cJSON_CreateObject(), *bindings = cJSON_CreateArray();
    cJSON_AddItemToArray(c->dispatches, object);
    cJSON_AddItemToObject(object, "bindings", bindings);
    for (uint32_t i = 0; i < x->n_bindings; i++) {
        if (!sy_locate(c->d, which, &x->bindings[i].place, &handle, &offset, error) || !find_buffer(c, handle, &buffer, error))
            return false;
        double numbers[4] = {i, buffer, (double)offset, (double)((x->bindings[i].place.size + 3) & ~UINT64_C(3))};
        cJSON_AddItemToArray(bindings, cJSON_CreateDoubleArray(numbers, 4));
    }
    for (uint32_t i = 0; i < k->push_words; i++)
        push[i] = x->push[i];
    if (x->indirect) {
        if (!sy_locate(c->d, which, &x->indirect_at, &handle, &offset, error) || !find_buffer(c, handle, &buffer, error))
            return false;
        add_numbers(object, "indirect", (double[]){buffer, (double)offset}, 2);
    }
    return (cJSON_AddStringToObject(object, "label", x->label) && cJSON_AddNumberToObject(object, "kernel", c->kernel_of[which][x->kernel] - 1) &&
            add_numbers(object, "groups", groups, 3) && add_numbers(object, "push", push, (int)k->push_words) &&
            cJSON_AddBoolToObject(object, "barrier", barrier) && cJSON_AddNumberToObject(object, "flops", x->flops) &&
            cJSON_AddNumberToObject(object, "bytes", x->bytes)) || no_memory(error);
}

/* Does the program's condition hold now? */
static bool runs(capture *c, uint32_t which, bool *yes, sy_error *error)
{
    const sy_session *s = c->d->session;
    const sy_slot *slot = c->d->objects[which].condition ? sy_slot_find(s->states, s->n_states, c->d->objects[which].condition) : NULL;
    uint32_t word = 1;
    if (slot && !download(c, c->d->state.handle, slot->offset, 4, &word, error))
        return false;
    *yes = word != 0;
    return true;
}

/* Everything before the step, then what buffers hold, then the step, noting its dispatches. */
static bool run_step(capture *c, uint32_t step, sy_error *error)
{
    sy_device_session *d = c->d;
    const sy_session *s = d->session;
    bool read = false, yes;
    if ((s->input_bytes && !sy_vk_buffer_flush(d->device, &d->staging, 0, s->input_bytes, error)) || !submit_one(d, d->begin, error) ||
        (d->objects[SY_INIT].program && !run_program(d, SY_INIT, error)))
        return false;
    for (uint32_t t = 0; t < s->n_turns && s->turns[t].step <= step; t++) {
        uint32_t which = SY_STEP + s->turns[t].program;
        const sy_program *p = d->objects[which].program;
        if (s->turns[t].step == step) {
            if (!read && !read_before(c, error))
                return false;
            if (!runs(c, which, &yes, error))
                return false;
            for (uint32_t i = 0; yes && i < p->n_dispatches; i++) /* another program's work must be seen by the next's first */
                if (!add_dispatch(c, which, i, p->dispatches[i].barrier || i == 0, error))
                    return false;
            read = true;
        }
        if (!run_program(d, which, error))
            return false;
    }
    return true;
}

static bool add_result(capture *c, cJSON *list, const sy_slot *slot, VkBuffer handle, uint64_t offset, sy_error *error)
{
    uint32_t buffer, number = (uint32_t)cJSON_GetArraySize(list);
    uint64_t bytes = (slot->bytes + 3) & ~UINT64_C(3);
    uint32_t *words = sy_arena_alloc(&c->arena, bytes);
    char tensor[24];
    snprintf(tensor, sizeof tensor, "result.%u", number);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    if (!words)
        return no_memory(error);
    if (!find_buffer(c, handle, &buffer, error) || !download(c, handle, offset, bytes, words, error) ||
        !add_item(c, "result", number, words, bytes / 4, error))
        return false;
    return (cJSON_AddStringToObject(object, "name", slot->name) &&
            cJSON_AddStringToObject(object, "type", slot->type.is_route ? "u32" : sy_dtype_name(slot->type.dtype)) &&
            cJSON_AddNumberToObject(object, "buffer", buffer) && cJSON_AddNumberToObject(object, "offset", (double)offset) &&
            cJSON_AddNumberToObject(object, "bytes", (double)slot->bytes) && cJSON_AddStringToObject(object, "after", tensor)) || no_memory(error);
}

static bool add_results(capture *c, uint32_t step, sy_error *error)
{
    const sy_device_session *d = c->d;
    const sy_session *s = d->session;
    cJSON *list = cJSON_AddArrayToObject(c->json, "results");
    for (uint32_t i = 0; i < s->n_states; i++)
        if (!add_result(c, list, &s->states[i], d->state.handle, s->states[i].offset, error))
            return false;
    for (uint32_t i = 0; i < s->n_outputs; i++) {
        const sy_slot *o = &s->outputs[i];
        if (!add_result(c, list, o, d->objects[SY_STEP + o->program].output[o->buffer].handle, o->offset + step * o->step_bytes, error))
            return false;
    }
    return true;
}

static bool write_file(capture *c, const char *path, sy_error *error)
{
    cJSON *list = cJSON_AddArrayToObject(c->json, "buffers");
    for (uint32_t i = 0; i < c->n_buffers; i++) {
        const captured *x = &c->buffers[i];
        cJSON *object = cJSON_CreateObject();
        char tensor[24];
        snprintf(tensor, sizeof tensor, "buffer.%u", i);
        cJSON_AddItemToArray(list, object);
        if (!cJSON_AddStringToObject(object, "name", x->name) || !cJSON_AddNumberToObject(object, "bytes", (double)x->bytes) ||
            (x->before && !cJSON_AddStringToObject(object, "before", tensor)))
            return no_memory(error);
        if (x->before && !add_item(c, "buffer", i, x->before, x->bytes / 4, error))
            return false;
    }
    char *text = cJSON_PrintUnformatted(c->json);
    sy_safetensors_text metadata = {"switchyard.recording", text};
    bool ok = text ? sy_safetensors_write(path, c->items, c->n_items, &metadata, 1, error) : no_memory(error);
    cJSON_free(text);
    return ok;
}

static bool prepare(capture *c, uint32_t step, const char *what, sy_error *error)
{
    sy_device_session *d = c->d;
    const sy_device_snapshot *s = d->device->snapshot;
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    const char *file = strrchr(what, '/'); /* folders are nobody's business who gets the file */
    c->buffers = calloc(MOST_BUFFERS, sizeof *c->buffers);
    c->json = cJSON_CreateObject();
    for (uint32_t i = 0; i < SY_PROGRAMS; i++)
        if (d->objects[i].program && !(c->kernel_of[i] = sy_arena_array(&c->arena, d->objects[i].program->n_kernels + 1, sizeof **c->kernel_of)))
            return no_memory(error);
    if (!c->buffers || !cJSON_AddNumberToObject(c->json, "version", SY_RECORDING_VERSION) || !cJSON_AddStringToObject(c->json, "made_by", "switchyard") ||
        !cJSON_AddStringToObject(c->json, "device", s->name) || !cJSON_AddStringToObject(c->json, "driver", s->driver_info) ||
        !cJSON_AddStringToObject(c->json, "what", file && file[1] ? file + 1 : what) || !cJSON_AddNumberToObject(c->json, "step", step) ||
        !(c->kernels = cJSON_AddArrayToObject(c->json, "kernels")) || !(c->dispatches = cJSON_AddArrayToObject(c->json, "dispatches")))
        return no_memory(error);
    list_buffers(c);
    return sy_vk_check(d->device->vk.vkAllocateCommandBuffers(d->device->handle, &info, &c->copy), error, "a command buffer") &&
           sy_vk_buffer_create(d->device, SY_MEMORY_READBACK, CHUNK_BYTES, "recording", &c->staging, error);
}

bool sy_session_record(sy_session *s, uint32_t step, const char *what, const char *path, sy_error *error)
{
    if (!s->params.device)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the reference evaluator has no dispatches to record: choose a Vulkan device");
    if (step >= s->params.n_steps)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no step %u to record; there are %u", step + 1, s->params.n_steps);
    for (uint32_t i = 0; i < s->n_inputs; i++)
        if (!s->inputs[i].written)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "input \"%s\" was given no value", s->inputs[i].name);
    capture c = {.d = s->state};
    s->ran = false;
    bool ok = prepare(&c, step, what, error) && run_step(&c, step, error) && add_results(&c, step, error) && write_file(&c, path, error);
    if (c.copy)
        c.d->device->vk.vkFreeCommandBuffers(c.d->device->handle, c.d->commands, 1, &c.copy);
    sy_vk_buffer_destroy(c.d->device, &c.staging);
    for (uint32_t i = 0; i < c.n_buffers; i++)
        free(c.buffers[i].before);
    free(c.buffers);
    free(c.items);
    cJSON_Delete(c.json);
    sy_arena_free(&c.arena);
    return ok;
}
