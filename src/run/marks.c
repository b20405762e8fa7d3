#include "src/run/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of the buffer. AT: 0 before the first dispatch, 1 + number of a dispatch, counted through all programs, or AFTER. */
enum { AT = 0, STEP = 1, WORDS = 2 };
static const uint32_t AFTER = UINT32_MAX;

static bool wanted(void)
{
    const char *text = getenv("SWITCHYARD_MARKS");
    return !text || strcmp(text, "0") != 0;
}

bool sy_marks_create(sy_device_session *d, sy_error *error)
{
    if (!wanted())
        return true;
    if (!sy_vk_buffer_create(d->device, SY_MEMORY_READBACK, 4 * WORDS, "marks", &d->marks, error))
        return false;
    memset(d->marks.mapped, 0, 4 * WORDS);
    d->session->stats.host_bytes += d->marks.size;
    return sy_vk_buffer_flush(d->device, &d->marks, 0, 4 * WORDS, error);
}

void sy_marks_destroy(sy_device_session *d)
{
    sy_vk_buffer_destroy(d->device, &d->marks);
}

bool sy_marks_on(const sy_device_session *d)
{
    return d->marks.handle != VK_NULL_HANDLE;
}

static uint32_t first_of(const sy_device_session *d, uint32_t program)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < program; i++)
        n += d->objects[i].program ? d->objects[i].program->n_dispatches : 0;
    return n;
}

static void write_word(const sy_device_session *d, VkCommandBuffer c, uint32_t word, uint32_t value)
{
    if (sy_marks_on(d))
        d->device->vk.vkCmdUpdateBuffer(c, d->marks.handle, 4 * word, 4, &value);
}

void sy_marks_begin(const sy_device_session *d, VkCommandBuffer c)
{
    write_word(d, c, AT, 0);
    write_word(d, c, STEP, 0);
}

void sy_marks_end(const sy_device_session *d, VkCommandBuffer c)
{
    write_word(d, c, AT, AFTER);
}

void sy_marks_step(const sy_device_session *d, VkCommandBuffer c)
{
    VkBufferCopy counter = {.srcOffset = 0, .dstOffset = 4 * STEP, .size = 4};
    if (sy_marks_on(d))
        d->device->vk.vkCmdCopyBuffer(c, d->step.handle, d->marks.handle, 1, &counter);
}

void sy_marks_dispatch(const sy_device_session *d, uint32_t program, uint32_t index, VkCommandBuffer c)
{
    write_word(d, c, AT, first_of(d, program) + index);
}

/* The dispatches that began with this one: those after it up to the next barrier. */
static uint32_t beside(const sy_program *p, uint32_t index)
{
    uint32_t n = 1;
    while (index + n < p->n_dispatches && !p->dispatches[index + n].barrier)
        n++;
    return n;
}

static void list(const sy_program *p, uint32_t index, char *out, size_t room)
{
    enum { NAMED = 3 };
    uint32_t n = beside(p, index);
    size_t used = 0;
    for (uint32_t i = 0; i < n && i < NAMED && used < room; i++) {
        const char *label = p->dispatches[index + i].label;
        label += label[0] == ':' && label[1] == ' ' ? 2 : 0;
        used += (size_t)snprintf(out + used, room - used, "%sdispatch %u of %u \"%.90s\"", i ? " or beside it " : "",
                                 index + i + 1, p->n_dispatches, label);
    }
    if (n > NAMED && used < room)
        snprintf(out + used, room - used, " or one of %u more beside them", n - NAMED);
}

bool sy_marks_explain(const sy_device_session *d, sy_error *error)
{
    char names[400];
    if (!sy_marks_on(d))
        return false;
    sy_vk_buffer_invalidate(d->device, &d->marks, 0, 4 * WORDS, NULL); /* a lost device's memory can still be read */
    const volatile uint32_t *words = d->marks.mapped;
    uint32_t at = words[AT], step = words[STEP];
    if (!at)
        return sy_fail_context(error, "before the first dispatch, while copying to the device"), true;
    if (at == AFTER)
        return sy_fail_context(error, "after the last dispatch, while copying results"), true;
    for (uint32_t which = 0; which < SY_PROGRAMS; which++) {
        const sy_program *p = d->objects[which].program;
        uint32_t first = first_of(d, which);
        if (!p || at < first || at - first >= p->n_dispatches)
            continue;
        list(p, at - first, names, sizeof names);
        if (which == SY_INIT)
            sy_fail_context(error, "at the start, before step 1, in %s", names);
        else
            sy_fail_context(error, "in step %u of %u, in %s", step + 1, d->session->params.n_steps, names);
        return true;
    }
    sy_fail_context(error, "the device's marks make no sense (%u)", at);
    return true;
}
