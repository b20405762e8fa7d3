/* A recording: the dispatches of one step with their data, in one file, to be replayed without the model.
 *
 * The file is a .safetensors: tensors U32 "buffer.N" (what a buffer held before the step), "kernel.N" (SPIR-V) and
 * "result.N" (what a result held after it), and in the metadata, under "switchyard.recording", JSON:
 *   version     1; others are refused
 *   made_by, device, driver, what, step
 *   buffers     [{name, bytes, before}]  before: name of a tensor; without it, zeros
 *   kernels     [{name, spirv}]
 *   dispatches  [{label, kernel, bindings [[binding, buffer, offset, bytes]], push [words], groups [x, y, z],
 *                 indirect [buffer, offset] where sized on the device, barrier, flops, bytes}]
 *   results     [{name, type, buffer, offset, bytes, after}]
 * Files are untrusted: everything is checked before it is used, SPIR-V is validated, and devices that replay one are
 * opened so that shaders cannot reach outside their buffers. */
#ifndef SY_RUN_RECORDING_H
#define SY_RUN_RECORDING_H

#include "graph/import/safetensors.h"
#include "src/run/work.h"

enum { SY_RECORDING_VERSION = 1 };

typedef struct sy_recording_result {
    const char *name;
    sy_dtype dtype;
    uint32_t buffer;
    uint64_t offset, bytes; /* bytes: whole elements */
    const void *after;      /* `bytes` of it, not aligned to anything */
} sy_recording_result;

typedef struct sy_recording {
    sy_arena arena;
    const char *made_by, *device, *driver, *what;
    uint32_t step;
    sy_work work;
    const double *flops, *bytes; /* by dispatch */
    const sy_recording_result *results;
    uint32_t n_results;
    sy_shader **shaders; /* private: by kernel */
    sy_safetensors *file;
} sy_recording;

/* NULL on error. */
sy_recording *sy_recording_open(const char *path, sy_error *error);
/* The bytes must stay until it is closed. */
sy_recording *sy_recording_from_memory(const void *bytes, size_t size, sy_error *error);
void sy_recording_close(sy_recording **recording);

struct sy_session;
/* Runs the session up to `step` (from 0), and writes that step with its data to `path`. Inputs must be written; results
 * of earlier runs are gone. `what`: for people, what it is of. UNAVAILABLE on the reference evaluator. */
bool sy_session_record(struct sy_session *session, uint32_t step, const char *what, const char *path, sy_error *error);

#endif
