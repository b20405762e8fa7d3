/* A compute shader that does nothing but multiply cooperative matrices of f16 into f32 accumulators, as SPIR-V made here: front
 * ends of the distributions we build on do not know the extension. */
#ifndef SY_PROFILE_MATRIX_ROOF_H
#define SY_PROFILE_MATRIX_ROOF_H

#include "graph/base/arena.h"
#include "src/device/snapshot.h"

typedef struct sy_matrix_roof {
    const uint32_t *spirv; /* on the arena */
    uint32_t n_spirv, m, n, k, local; /* local: invocations of a workgroup, one subgroup */
    double operations_a_group;
    uint64_t bytes_a_group; /* written to binding 0 */
} sy_matrix_roof;

/* False where the device has no such matrices for a subgroup (or memory is out). */
bool sy_matrix_roof_make(const sy_device_snapshot *snapshot, sy_arena *arena, sy_matrix_roof *out);

#endif
