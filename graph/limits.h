/* What the compiler needs to know of a device, and nothing more. Filled by src/ from a device snapshot; tests fill
 * it by hand or from stored snapshots of real GPUs. Plain data: no Vulkan here. */
#ifndef SY_LIMITS_H
#define SY_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sy_limits {
    char device[256];               /* for messages and cache keys */
    bool cpu;                       /* a software driver: no shared memory, wide registers tiles instead */
    uint32_t vulkan_version;        /* as VK_MAKE_API_VERSION */
    uint32_t shared_bytes;          /* maxComputeSharedMemorySize, at least 16384 */
    uint32_t invocations;           /* maxComputeWorkGroupInvocations, at least 128 */
    uint32_t group_size[3];         /* maxComputeWorkGroupSize */
    uint32_t group_count[3];        /* maxComputeWorkGroupCount, at least 65535 each */
    uint32_t storage_buffers;       /* per stage and per set, the smaller; 8 on the smallest devices known */
    uint64_t storage_range;         /* maxStorageBufferRange, at least 2^27 */
    uint64_t allocation_bytes;      /* largest single buffer */
    uint32_t offset_alignment;      /* minStorageBufferOffsetAlignment, a power of two, at most 256 */
    uint32_t push_bytes;            /* maxPushConstantsSize, at least 128 */
    uint32_t loop_limit;            /* turns of ALL loops of one invocation together (nested and one after another, those the driver
                                       unrolls excepted; one more for each time a loop ends) that run; once used up,
                                       every loop ends after one turn. 0: no limit known */
    uint32_t subgroup_size;         /* 0: unknown; kernels that need one have a fallback */
    uint32_t subgroup_operations;   /* VkSubgroupFeatureFlags in the compute stage */
    uint32_t matrix[3];             /* m, n, k of the cooperative matrices to use: f16 times f16, added in f32, of a subgroup
                                       (VK_KHR_cooperative_matrix); 0: none, or the shader compiler does not know them */
    uint32_t texel_elements;        /* maxTexelBufferElements where loads through uniform texel buffers (rgba32) are the
                                       faster way to read (CPU drivers: 3 to 5 times, measured); 0: storage loads only */
} sy_limits;

/* The floor: what every Vulkan 1.2 device has. Used when compiling without a device. */
sy_limits sy_limits_floor(void);

/* Can this build compile kernels with cooperative matrices? Its GLSL compiler must know GL_KHR_cooperative_matrix. */
bool sy_compiler_has_matrices(void);

#endif
