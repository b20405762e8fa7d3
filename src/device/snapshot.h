/* A device snapshot: everything a Vulkan driver said about a device that matters to compute, as plain data.
 *
 * It is read from a driver (snapshot_read.c), or from JSON that `switchyard devices --json` wrote on some machine
 * (snapshot_json.c), and everything decided about a device is decided from it alone (plan.c). So a user's report can be
 * replayed here, and the tests run over the GPUs in tests/device/snapshots without having any of them.
 *
 * Reports can be incomplete. Unknown is 0, "" or SY_UNKNOWN, in every field; no field means anything else by its zero
 * but timestamp_period and timestamp_bits, where 0 is "no timestamps". Numbers and flag bits are Vulkan's own. */
#ifndef SY_DEVICE_SNAPSHOT_H
#define SY_DEVICE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/base/error.h"
#include "graph/base/text.h"

typedef enum sy_answer { SY_UNKNOWN, SY_NO, SY_YES } sy_answer;

/* Limits: type, field, name (Vulkan's, and the key in JSON). */
#define SY_DEVICE_LIMIT_LIST(X)                                                                                        \
    X(uint32_t, shared_bytes, "maxComputeSharedMemorySize")                                                            \
    X(uint32_t, invocations, "maxComputeWorkGroupInvocations")                                                         \
    X(uint32_t, storage_range, "maxStorageBufferRange")                                                                \
    X(uint64_t, allocation_bytes, "maxMemoryAllocationSize")                                                           \
    X(uint64_t, buffer_bytes, "maxBufferSize")                                                                         \
    X(uint32_t, allocations, "maxMemoryAllocationCount")                                                               \
    X(uint32_t, push_bytes, "maxPushConstantsSize")                                                                    \
    X(uint32_t, stage_storage_buffers, "maxPerStageDescriptorStorageBuffers")                                          \
    X(uint32_t, set_storage_buffers, "maxDescriptorSetStorageBuffers")                                                 \
    X(uint32_t, stage_resources, "maxPerStageResources")                                                               \
    X(uint32_t, bound_sets, "maxBoundDescriptorSets")                                                                  \
    X(uint32_t, uniform_range, "maxUniformBufferRange")                                                                \
    X(uint64_t, storage_alignment, "minStorageBufferOffsetAlignment")                                                  \
    X(uint32_t, texel_elements, "maxTexelBufferElements")                                                              \
    X(uint64_t, texel_alignment, "minTexelBufferOffsetAlignment")                                                      \
    X(uint64_t, atom_bytes, "nonCoherentAtomSize")                                                                     \
    X(uint64_t, copy_alignment, "optimalBufferCopyOffsetAlignment")

/* Features: field, name (Vulkan's, and the key in JSON). */
#define SY_DEVICE_FEATURE_LIST(X)                                                                                      \
    X(float16, "shaderFloat16")                                                                                        \
    X(float64, "shaderFloat64")                                                                                        \
    X(int8, "shaderInt8")                                                                                              \
    X(int16, "shaderInt16")                                                                                            \
    X(int64, "shaderInt64")                                                                                            \
    X(storage16, "storageBuffer16BitAccess")                                                                           \
    X(uniform16, "uniformAndStorageBuffer16BitAccess")                                                                 \
    X(push16, "storagePushConstant16")                                                                                 \
    X(storage8, "storageBuffer8BitAccess")                                                                             \
    X(uniform8, "uniformAndStorageBuffer8BitAccess")                                                                   \
    X(push8, "storagePushConstant8")                                                                                   \
    X(timeline_semaphore, "timelineSemaphore")                                                                         \
    X(synchronization2, "synchronization2")                                                                            \
    X(buffer_device_address, "bufferDeviceAddress")                                                                    \
    X(descriptor_indexing, "descriptorIndexing")                                                                       \
    X(runtime_descriptor_array, "runtimeDescriptorArray")                                                              \
    X(memory_model, "vulkanMemoryModel")                                                                               \
    X(memory_model_device, "vulkanMemoryModelDeviceScope")                                                             \
    X(scalar_layout, "scalarBlockLayout")                                                                              \
    X(uniform_standard_layout, "uniformBufferStandardLayout")                                                          \
    X(host_query_reset, "hostQueryReset")                                                                              \
    X(subgroup_extended_types, "shaderSubgroupExtendedTypes")                                                          \
    X(subgroup_dynamic_id, "subgroupBroadcastDynamicId")                                                               \
    X(subgroup_size_control, "subgroupSizeControl")                                                                    \
    X(full_subgroups, "computeFullSubgroups")                                                                          \
    X(int64_atomics, "shaderBufferInt64Atomics")                                                                       \
    X(float_atomics, "shaderBufferFloat32AtomicAdd")                                                                   \
    X(dot_product, "shaderIntegerDotProduct")                                                                          \
    X(zero_shared, "shaderZeroInitializeWorkgroupMemory")                                                              \
    X(shared_layout, "workgroupMemoryExplicitLayout")                                                                  \
    X(maintenance4, "maintenance4")                                                                                    \
    X(pipeline_cache_control, "pipelineCreationCacheControl")                                                          \
    X(cooperative_matrix, "cooperativeMatrix")                                                                         \
    X(bfloat16, "shaderBFloat16Type")                                                                                  \
    X(robust_buffers, "robustBufferAccess")                                                                            \
    X(dynamic_buffer_index, "shaderStorageBufferArrayDynamicIndexing")                                                 \
    X(variable_pointers, "variablePointers")                                                                           \
    X(sparse_binding, "sparseBinding")                                                                                 \
    X(protected_memory, "protectedMemory")

/* A type: values are VkPhysicalDeviceType + 1, so that 0 is unknown. */
typedef enum sy_device_type {
    SY_DEVICE_UNKNOWN,
    SY_DEVICE_OTHER,
    SY_DEVICE_INTEGRATED,
    SY_DEVICE_DISCRETE,
    SY_DEVICE_VIRTUAL,
    SY_DEVICE_CPU,
} sy_device_type;

enum { SY_MAX_HEAPS = 16, SY_MAX_MEMORY_TYPES = 32, SY_MAX_FAMILIES = 16, SY_MAX_MATRICES = 64 };

typedef struct sy_device_snapshot {
    char name[256];
    uint32_t vendor_id, device_id; /* device 0 exists: it means itself when vendor_id is known */
    sy_device_type type;
    uint32_t api_version;    /* VK_MAKE_API_VERSION */
    uint32_t driver_version; /* encoded as each vendor likes */
    uint32_t driver_id;      /* VkDriverId: a hint only, see plan.c */
    char driver_name[256], driver_info[256];
    char cache_uuid[33]; /* pipelineCacheUUID, hexadecimal */

    struct {
#define X(type, field, text) type field;
        SY_DEVICE_LIMIT_LIST(X)
#undef X
        uint32_t group_size[3], group_count[3];
        double timestamp_period; /* nanoseconds a tick */
    } limits;

    struct {
        uint32_t size, min, max; /* lanes; min = max = 0 when the driver cannot say */
        uint32_t max_in_group;   /* maxComputeWorkgroupSubgroups: counts when a size is required */
        uint32_t operations;     /* VkSubgroupFeatureFlags */
        sy_answer in_compute;    /* operations are allowed in compute shaders */
        sy_answer selectable;    /* compute is among requiredSubgroupSizeStages */
    } subgroup;

    struct {
#define X(field, text) uint8_t field; /* sy_answer */
        SY_DEVICE_FEATURE_LIST(X)
#undef X
    } features;

    uint32_t n_heaps, n_types, n_families;
    struct {
        uint64_t size;
        uint32_t flags; /* VkMemoryHeapFlags */
    } heaps[SY_MAX_HEAPS];
    struct {
        uint32_t heap, flags; /* VkMemoryPropertyFlags */
    } types[SY_MAX_MEMORY_TYPES];
    struct {
        uint32_t flags, count, timestamp_bits; /* VkQueueFlags */
    } families[SY_MAX_FAMILIES];

    uint32_t n_matrices; /* cooperative matrix shapes */
    struct {
        uint32_t m, n, k, a, b, c, r, scope; /* VkComponentTypeKHR, VkScopeKHR */
        bool saturating;
    } matrices[SY_MAX_MATRICES];

    uint32_t n_extensions;  /* how many the driver has */
    char extensions[24576]; /* their names, sorted, each followed by one space; fewer than n_extensions if the report
                               left some out */
} sy_device_snapshot;

bool sy_snapshot_has_extension(const sy_device_snapshot *snapshot, const char *name);
/* Appends a name (in any order: the list is kept sorted); false when there is no room. */
bool sy_snapshot_add_extension(sy_device_snapshot *snapshot, const char *name);

/* JSON: one object, unknown fields left out, the same bytes for the same snapshot. */
struct cJSON;
struct cJSON *sy_snapshot_to_json(const sy_device_snapshot *snapshot); /* NULL: out of memory */
bool sy_snapshot_from_json(const struct cJSON *object, sy_device_snapshot *snapshot, sy_error *error);
bool sy_snapshot_from_text(const char *text, size_t size, sy_device_snapshot *snapshot, sy_error *error);

/* "1.3.255" */
void sy_snapshot_version_text(uint32_t version, char out[32]);
const char *sy_device_type_text(sy_device_type type);

#endif
