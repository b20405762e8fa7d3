/* What debuggers and profilers see of a session (RenderDoc, Nsight Graphics, Radeon GPU Profiler, messages of the
 * validation layer): a region for each layer, a label for each dispatch, names of objects. Free when nobody listens. */
#ifndef SY_RUN_LABELS_H
#define SY_RUN_LABELS_H

#include "src/run/device_session.h"

enum { SY_LAYER_ROOM = 96 };

/* The layer a dispatch belongs to, from its label "SCOPE: ops": the scope up to its first number, so that
 * "blocks.3.attn.qkv: matmul add" is in "blocks.3"; "" where the scope is empty. */
void sy_label_layer(const char *label, char layer[SY_LAYER_ROOM]);

/* The regions of one command buffer. Zero is ready to begin; every command buffer begins and ends its own. */
typedef struct sy_label_regions {
    char layer[SY_LAYER_ROOM];
    bool open;
} sy_label_regions;
/* Before a dispatch: into the region of its layer, and its own label. */
void sy_label_enter(sy_label_regions *regions, const sy_device_session *d, VkCommandBuffer commands, const char *label);
void sy_label_leave(const sy_device_session *d, VkCommandBuffer commands);
void sy_label_close(sy_label_regions *regions, const sy_device_session *d, VkCommandBuffer commands);

/* Names everything made from a program after the layers that use it. */
void sy_label_objects(const sy_device_session *d, uint32_t program);

#endif
