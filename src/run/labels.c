/* Regions do not cross command buffers: a tool that looks at one alone still finds them balanced. */
#include "src/run/labels.h"

#include <stdio.h>
#include <string.h>

void sy_label_layer(const char *label, char layer[SY_LAYER_ROOM])
{
    size_t scope = strcspn(label, ":"), n = 0;
    while (n < scope) {
        size_t part = strcspn(label + n, ".:");
        bool number = part > 0 && strspn(label + n, "0123456789") == part;
        n += part;
        if (number || label[n] != '.')
            break;
        n++;
    }
    snprintf(layer, SY_LAYER_ROOM, "%.*s", (int)(n < SY_LAYER_ROOM ? n : SY_LAYER_ROOM - 1), label);
}

/* A scope that is empty leaves ": ops". */
static const char *spoken(const char *label)
{
    return label[0] == ':' && label[1] == ' ' ? label + 2 : label;
}

void sy_label_close(sy_label_regions *r, const sy_device_session *d, VkCommandBuffer c)
{
    if (r->open)
        sy_vk_label_end(d->device, c);
    r->open = false;
}

void sy_label_enter(sy_label_regions *r, const sy_device_session *d, VkCommandBuffer c, const char *label)
{
    char layer[SY_LAYER_ROOM];
    sy_label_layer(label, layer);
    if (strcmp(layer, r->layer))
        sy_label_close(r, d, c);
    if (!r->open && layer[0]) {
        sy_vk_label_begin(d->device, c, layer);
        r->open = true;
    }
    memcpy(r->layer, layer, sizeof layer);
    sy_vk_label_begin(d->device, c, spoken(label));
}

void sy_label_leave(const sy_device_session *d, VkCommandBuffer c)
{
    sy_vk_label_end(d->device, c);
}

/* One pipeline serves every dispatch of its kernel: the first of them names it. */
static void name_pipelines(const sy_device_session *d, const sy_program_objects *o)
{
    const sy_program *p = o->program;
    char text[256];
    for (uint32_t k = 0; k < p->n_kernels; k++) {
        uint32_t users = 0, first = 0;
        for (uint32_t i = p->n_dispatches; i > 0; i--)
            if (p->dispatches[i - 1].kernel == k)
                users++, first = i - 1;
        if (!users)
            continue;
        const char *label = spoken(p->dispatches[first].label);
        if (users > 1)
            snprintf(text, sizeof text, "%s; %s, and %u more", p->kernels[k].name, label, users - 1);
        else
            snprintf(text, sizeof text, "%s; %s", p->kernels[k].name, label);
        sy_vk_name(d->device, VK_OBJECT_TYPE_PIPELINE, (uint64_t)o->pipelines[k], text);
        sy_vk_name(d->device, VK_OBJECT_TYPE_PIPELINE_LAYOUT, (uint64_t)o->layouts[k], p->kernels[k].name);
    }
}

void sy_label_objects(const sy_device_session *d, uint32_t which)
{
    const sy_program_objects *o = &d->objects[which];
    const char *program = which == SY_INIT ? "start" : o->program->graph && o->program->graph->name ? o->program->graph->name : "step";
    char text[256];
    if (!d->device->instance->labels)
        return;
    name_pipelines(d, o);
    for (uint32_t i = 0; i < o->program->n_dispatches; i++)
        sy_vk_name(d->device, VK_OBJECT_TYPE_DESCRIPTOR_SET, (uint64_t)o->sets[i], spoken(o->program->dispatches[i].label));
    for (uint32_t i = 0; i < o->n_segments; i++) {
        snprintf(text, sizeof text, "%s, part %u of %u", program, i + 1, o->n_segments);
        sy_vk_name(d->device, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)o->segments[i].commands, text);
    }
}
