/* The least Vulkan that runs one kernel: for tests of emission and for measuring variants. Every message of the
 * validation layer (with synchronization validation, where the layer is installed) is printed and counted. */
#ifndef SY_TESTS_HELP_VULKAN_H
#define SY_TESTS_HELP_VULKAN_H

#include "graph/limits.h"

#include <stddef.h>
#include <stdint.h>

typedef struct vk_device vk_device;

/* All compute devices with Vulkan 1.2; 0: there is no Vulkan here. */
uint32_t vk_open(vk_device **devices, uint32_t room);
void vk_close(vk_device **devices, uint32_t n);
const sy_limits *vk_limits(const vk_device *device);
unsigned vk_messages(void); /* of the validation layer so far */

typedef struct vk_job {
    const uint32_t *spirv;
    uint32_t n_spirv, n_bindings, n_push;
    const uint32_t *push;
    void *data[24]; /* a binding each, copied in before and out after */
    size_t bytes[24];
    uint32_t texels; /* bit i: binding i is a texel buffer */
    uint32_t groups[3];
    uint32_t repeats; /* dispatches timed after a first one; 0: only the first */
} vk_job;
/* Seconds of the fastest timed dispatch (of the only one, if repeats is 0); negative: failed. *first: of making the
 * pipeline and the first dispatch, which on software drivers is when the code is made. */
double vk_run(vk_device *device, const vk_job *job, double *first);

#endif
