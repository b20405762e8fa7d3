/* Dispatches with their data, run without a session: a shader of a user's own, or a recording. Whoever fills one in has
 * checked nothing: sy_work_open does, and names what does not fit the device.
 *
 * Borrowed: work, device and everything they point to must outlive the run. One thread at a time, as the device. */
#ifndef SY_RUN_WORK_H
#define SY_RUN_WORK_H

#include "graph/emit/reflect.h"
#include "src/device/device.h"

enum { SY_WORK_PUSH = 256 /* bytes */, SY_WORK_SETS = 8, SY_WORK_BINDINGS = 64 /* of a dispatch */ };

typedef struct sy_work_buffer {
    const char *name;
    uint64_t bytes;
    const void *data; /* what it holds before the first dispatch; NULL: zeros */
} sy_work_buffer;

typedef struct sy_work_kernel {
    const char *name;
    const uint32_t *spirv; /* valid: see sy_spirv_validate */
    size_t n_words;
    const sy_shader *shader; /* what is in it */
    const uint32_t *ids;     /* specialisation constants that are set, and their bits */
    const uint64_t *values;
    uint32_t n_values;
} sy_work_kernel;

typedef struct sy_work_binding {
    uint32_t set, binding, buffer;
    uint64_t offset, bytes;
} sy_work_binding;

typedef struct sy_work_dispatch {
    const char *label;
    uint32_t kernel;
    const sy_work_binding *bindings; /* one for each resource of the kernel */
    uint32_t n_bindings;
    uint8_t push[SY_WORK_PUSH];
    uint32_t push_bytes;
    uint32_t groups[3]; /* or the bound of an indirect one */
    bool indirect;
    uint32_t indirect_buffer;
    uint64_t indirect_offset;
    bool barrier;
} sy_work_dispatch;

typedef struct sy_work {
    const sy_work_buffer *buffers;
    uint32_t n_buffers;
    const sy_work_kernel *kernels;
    uint32_t n_kernels;
    const sy_work_dispatch *dispatches;
    uint32_t n_dispatches;
} sy_work;

/* The workgroup of a kernel as specialised; false where it cannot be followed. */
bool sy_work_local(const sy_work_kernel *kernel, uint32_t local[3]);

/* Does a shader fit the device: capabilities, workgroup, shared memory, push constants, kinds of resources? */
bool sy_work_kernel_fits(const sy_vk_device *device, const sy_work_kernel *kernel, sy_error *error);
/* And the whole of it: ranges within buffers, alignments, sizes. */
bool sy_work_fits(const sy_vk_device *device, const sy_work *work, sy_error *error);

typedef struct sy_work_run sy_work_run;

/* Buffers, filled; pipelines. *compile_seconds (may be NULL): of the driver, by the host's clock. */
sy_work_run *sy_work_open(sy_vk_device *device, const sy_work *work, double *compile_seconds, sy_error *error);
void sy_work_close(sy_work_run **run);
/* Gives all buffers what they held at first. */
bool sy_work_reset(sy_work_run *run, sy_error *error);
/* Runs all dispatches once and waits. `seconds` (may be NULL): of each, by the device's clock, zeros where it has none;
 * `begin` (may be NULL): since the first. `serial`: a barrier before each. */
bool sy_work_go(sy_work_run *run, bool serial, double *seconds, double *begin, sy_error *error);
/* What a buffer holds now. */
bool sy_work_read(sy_work_run *run, uint32_t buffer, uint64_t offset, uint64_t bytes, void *out, sy_error *error);

#endif
