/* A snapshot from a driver: the only part that calls Vulkan. The instance asks for Vulkan 1.2, so what later versions
 * took in is read through its extension, which drivers go on listing; a structure is chained only when its extension is
 * there. */
#include "src/device/snapshot_read.h"
#include "src/device/cooperative_matrix.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* Newer than the headers this builds with; numbers and layouts are those of the Vulkan registry. */
#ifndef VK_KHR_shader_bfloat16
#define VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME                          "VK_KHR_shader_bfloat16"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR ((VkStructureType)1000141000)
typedef struct VkPhysicalDeviceShaderBfloat16FeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 shaderBFloat16Type;
    VkBool32 shaderBFloat16DotProduct;
    VkBool32 shaderBFloat16CooperativeMatrix;
} VkPhysicalDeviceShaderBfloat16FeaturesKHR;
#endif
typedef VkResult(VKAPI_PTR *matrix_properties_function)(VkPhysicalDevice, uint32_t *,
                                                        VkCooperativeMatrixPropertiesKHR *);

static uint8_t answer(VkBool32 yes)
{
    return yes ? SY_YES : SY_NO;
}

static bool read_extensions(const sy_vk_instance_functions *vk, VkPhysicalDevice device, sy_device_snapshot *s,
                            sy_error *error)
{
    uint32_t n = 0;
    if (!sy_vk_check(vk->vkEnumerateDeviceExtensionProperties(device, NULL, &n, NULL), error,
                     "listing the extensions of a device"))
        return false;
    VkExtensionProperties *list = calloc(n ? n : 1, sizeof *list);
    if (!list)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory reading a device's extensions.");
    VkResult result = vk->vkEnumerateDeviceExtensionProperties(device, NULL, &n, list);
    s->n_extensions = n;
    for (uint32_t i = 0; i < n && result >= 0; i++)
        sy_snapshot_add_extension(s, list[i].extensionName); /* without room: n_extensions tells */
    free(list);
    return result == VK_INCOMPLETE || sy_vk_check(result, error, "listing the extensions of a device");
}

static void read_memory_and_queues(const sy_vk_instance_functions *vk, VkPhysicalDevice device, sy_device_snapshot *s)
{
    VkPhysicalDeviceMemoryProperties memory;
    vk->vkGetPhysicalDeviceMemoryProperties(device, &memory);
    s->n_heaps = memory.memoryHeapCount < SY_MAX_HEAPS ? memory.memoryHeapCount : SY_MAX_HEAPS;
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        s->heaps[i].size = memory.memoryHeaps[i].size;
        s->heaps[i].flags = memory.memoryHeaps[i].flags;
    }
    s->n_types = memory.memoryTypeCount < SY_MAX_MEMORY_TYPES ? memory.memoryTypeCount : SY_MAX_MEMORY_TYPES;
    for (uint32_t i = 0; i < s->n_types; i++) {
        s->types[i].heap = memory.memoryTypes[i].heapIndex;
        s->types[i].flags = memory.memoryTypes[i].propertyFlags;
    }
    VkQueueFamilyProperties families[SY_MAX_FAMILIES];
    uint32_t n = SY_MAX_FAMILIES;
    vk->vkGetPhysicalDeviceQueueFamilyProperties(device, &n, families);
    s->n_families = n;
    for (uint32_t i = 0; i < n; i++) {
        s->families[i].flags = families[i].queueFlags;
        s->families[i].count = families[i].queueCount;
        s->families[i].timestamp_bits = families[i].timestampValidBits;
    }
}

static void read_core(const VkPhysicalDeviceProperties *p, const VkPhysicalDeviceFeatures *f, sy_device_snapshot *s)
{
    const VkPhysicalDeviceLimits *l = &p->limits;
    snprintf(s->name, sizeof s->name, "%s", p->deviceName);
    s->vendor_id = p->vendorID;
    s->device_id = p->deviceID;
    s->type =
        (unsigned)p->deviceType <= VK_PHYSICAL_DEVICE_TYPE_CPU ? (sy_device_type)(p->deviceType + 1) : SY_DEVICE_OTHER;
    s->api_version = p->apiVersion;
    s->driver_version = p->driverVersion;
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(s->cache_uuid + 2 * i, 3, "%02x", p->pipelineCacheUUID[i]);
    s->limits.shared_bytes = l->maxComputeSharedMemorySize;
    s->limits.invocations = l->maxComputeWorkGroupInvocations;
    memcpy(s->limits.group_size, l->maxComputeWorkGroupSize, sizeof s->limits.group_size);
    memcpy(s->limits.group_count, l->maxComputeWorkGroupCount, sizeof s->limits.group_count);
    s->limits.storage_range = l->maxStorageBufferRange;
    s->limits.allocations = l->maxMemoryAllocationCount;
    s->limits.push_bytes = l->maxPushConstantsSize;
    s->limits.stage_storage_buffers = l->maxPerStageDescriptorStorageBuffers;
    s->limits.set_storage_buffers = l->maxDescriptorSetStorageBuffers;
    s->limits.stage_resources = l->maxPerStageResources;
    s->limits.bound_sets = l->maxBoundDescriptorSets;
    s->limits.uniform_range = l->maxUniformBufferRange;
    s->limits.storage_alignment = l->minStorageBufferOffsetAlignment;
    s->limits.texel_elements = l->maxTexelBufferElements;
    s->limits.texel_alignment = l->minTexelBufferOffsetAlignment;
    s->limits.atom_bytes = l->nonCoherentAtomSize;
    s->limits.copy_alignment = l->optimalBufferCopyOffsetAlignment;
    s->limits.timestamp_period = l->timestampPeriod;
    s->features.float64 = answer(f->shaderFloat64);
    s->features.int16 = answer(f->shaderInt16);
    s->features.int64 = answer(f->shaderInt64);
    s->features.robust_buffers = answer(f->robustBufferAccess);
    s->features.dynamic_buffer_index = answer(f->shaderStorageBufferArrayDynamicIndexing);
    s->features.sparse_binding = answer(f->sparseBinding);
}

/* Puts a structure at the front of a chain. */
#define CHAIN(head, structure) ((structure).pNext = *(head), *(head) = &(structure))

static void read_properties2(const sy_vk_instance_functions *vk, VkPhysicalDevice device, sy_device_snapshot *s)
{
    bool v12 = s->api_version >= VK_API_VERSION_1_2;
    VkPhysicalDeviceProperties2 p = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    VkPhysicalDeviceSubgroupProperties subgroup = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties allocation = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceDriverProperties driver = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceSubgroupSizeControlProperties size = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceMaintenance4Properties buffer = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
    bool has_driver = v12 || sy_snapshot_has_extension(s, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME);
    bool has_size = sy_snapshot_has_extension(s, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    bool has_buffer = sy_snapshot_has_extension(s, VK_KHR_MAINTENANCE_4_EXTENSION_NAME);
    CHAIN(&p.pNext, subgroup);
    CHAIN(&p.pNext, allocation);
    if (has_driver)
        CHAIN(&p.pNext, driver);
    if (has_size)
        CHAIN(&p.pNext, size);
    if (has_buffer)
        CHAIN(&p.pNext, buffer);
    vk->vkGetPhysicalDeviceProperties2(device, &p);
    s->limits.allocation_bytes = allocation.maxMemoryAllocationSize;
    s->limits.buffer_bytes = buffer.maxBufferSize;
    s->subgroup.size = subgroup.subgroupSize;
    s->subgroup.operations = subgroup.supportedOperations;
    s->subgroup.in_compute = subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT ? SY_YES : SY_NO;
    if (has_driver) {
        s->driver_id = driver.driverID;
        snprintf(s->driver_name, sizeof s->driver_name, "%s", driver.driverName);
        snprintf(s->driver_info, sizeof s->driver_info, "%s", driver.driverInfo);
    }
    if (has_size) {
        s->subgroup.min = size.minSubgroupSize;
        s->subgroup.max = size.maxSubgroupSize;
        s->subgroup.max_in_group = size.maxComputeWorkgroupSubgroups;
        s->subgroup.selectable = size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT ? SY_YES : SY_NO;
    }
}

static void read_features2(const sy_vk_instance_functions *vk, VkPhysicalDevice device, sy_device_snapshot *s)
{
    bool v12 = s->api_version >= VK_API_VERSION_1_2;
#define HAS(extension) sy_snapshot_has_extension(s, extension)
    VkPhysicalDeviceFeatures2 f = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    VkPhysicalDevice16BitStorageFeatures storage16 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
    VkPhysicalDeviceVariablePointersFeatures pointers = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VARIABLE_POINTERS_FEATURES};
    VkPhysicalDeviceProtectedMemoryFeatures protected = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROTECTED_MEMORY_FEATURES};
    VkPhysicalDeviceVulkan12Features f12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
#define OPTIONAL(X)                                                                                                    \
    X(sync, Synchronization2, SYNCHRONIZATION_2, HAS("VK_KHR_synchronization2"))                                       \
    X(size, SubgroupSizeControl, SUBGROUP_SIZE_CONTROL, HAS("VK_EXT_subgroup_size_control"))                           \
    X(dot, ShaderIntegerDotProduct, SHADER_INTEGER_DOT_PRODUCT, HAS("VK_KHR_shader_integer_dot_product"))              \
    X(zero, ZeroInitializeWorkgroupMemory, ZERO_INITIALIZE_WORKGROUP_MEMORY,                                           \
      HAS("VK_KHR_zero_initialize_workgroup_memory"))                                                                  \
    X(maintenance, Maintenance4, MAINTENANCE_4, HAS("VK_KHR_maintenance4"))                                            \
    X(cache, PipelineCreationCacheControl, PIPELINE_CREATION_CACHE_CONTROL,                                            \
      HAS("VK_EXT_pipeline_creation_cache_control"))
#define X(name, type, constant, present)                                                                               \
    VkPhysicalDevice##type##Features name = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##constant##_FEATURES};                 \
    bool has_##name = present;                                                                                         \
    if (has_##name)                                                                                                    \
        CHAIN(&f.pNext, name);
    OPTIONAL(X)
#undef X
    VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR layout = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR};
    VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomics = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16 = {
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
    CHAIN(&f.pNext, storage16);
    CHAIN(&f.pNext, pointers);
    CHAIN(&f.pNext, protected);
    if (v12)
        CHAIN(&f.pNext, f12);
    if (HAS(VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME))
        CHAIN(&f.pNext, layout);
    if (HAS(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME))
        CHAIN(&f.pNext, atomics);
    if (HAS(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        CHAIN(&f.pNext, matrix);
    if (HAS(VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME))
        CHAIN(&f.pNext, bfloat16);
#undef HAS
    vk->vkGetPhysicalDeviceFeatures2(device, &f);

    s->features.storage16 = answer(storage16.storageBuffer16BitAccess);
    s->features.uniform16 = answer(storage16.uniformAndStorageBuffer16BitAccess);
    s->features.push16 = answer(storage16.storagePushConstant16);
    s->features.variable_pointers = answer(pointers.variablePointers);
    s->features.protected_memory = answer(protected.protectedMemory);
    if (v12) {
        s->features.float16 = answer(f12.shaderFloat16);
        s->features.int8 = answer(f12.shaderInt8);
        s->features.storage8 = answer(f12.storageBuffer8BitAccess);
        s->features.uniform8 = answer(f12.uniformAndStorageBuffer8BitAccess);
        s->features.push8 = answer(f12.storagePushConstant8);
        s->features.timeline_semaphore = answer(f12.timelineSemaphore);
        s->features.buffer_device_address = answer(f12.bufferDeviceAddress);
        s->features.descriptor_indexing = answer(f12.descriptorIndexing);
        s->features.runtime_descriptor_array = answer(f12.runtimeDescriptorArray);
        s->features.memory_model = answer(f12.vulkanMemoryModel);
        s->features.memory_model_device = answer(f12.vulkanMemoryModelDeviceScope);
        s->features.scalar_layout = answer(f12.scalarBlockLayout);
        s->features.uniform_standard_layout = answer(f12.uniformBufferStandardLayout);
        s->features.host_query_reset = answer(f12.hostQueryReset);
        s->features.subgroup_extended_types = answer(f12.shaderSubgroupExtendedTypes);
        s->features.subgroup_dynamic_id = answer(f12.subgroupBroadcastDynamicId);
        s->features.int64_atomics = answer(f12.shaderBufferInt64Atomics);
    }
    /* Without its structure a feature is off: the driver cannot have what it has no words for. */
    s->features.synchronization2 = answer(sync.synchronization2);
    s->features.subgroup_size_control = answer(size.subgroupSizeControl);
    s->features.full_subgroups = answer(size.computeFullSubgroups);
    s->features.dot_product = answer(dot.shaderIntegerDotProduct);
    s->features.zero_shared = answer(zero.shaderZeroInitializeWorkgroupMemory);
    s->features.maintenance4 = answer(maintenance.maintenance4);
    s->features.pipeline_cache_control = answer(cache.pipelineCreationCacheControl);
    s->features.shared_layout = answer(layout.workgroupMemoryExplicitLayout);
    s->features.float_atomics = answer(atomics.shaderBufferFloat32AtomicAdd);
    s->features.cooperative_matrix = answer(matrix.cooperativeMatrix);
    s->features.bfloat16 = answer(bfloat16.shaderBFloat16Type);
}

static void read_matrices(const sy_vk_instance *instance, VkPhysicalDevice device, sy_device_snapshot *s)
{
    matrix_properties_function list = (matrix_properties_function)vkGetInstanceProcAddr(
        instance->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    VkCooperativeMatrixPropertiesKHR found[SY_MAX_MATRICES] = {0};
    uint32_t n = SY_MAX_MATRICES;
    if (!list || s->features.cooperative_matrix != SY_YES)
        return;
    for (uint32_t i = 0; i < n; i++)
        found[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list(device, &n, found) < 0)
        return;
    s->n_matrices = n;
    for (uint32_t i = 0; i < n; i++) {
        const VkCooperativeMatrixPropertiesKHR *m = &found[i];
        s->matrices[i].m = m->MSize, s->matrices[i].n = m->NSize, s->matrices[i].k = m->KSize;
        s->matrices[i].a = m->AType, s->matrices[i].b = m->BType, s->matrices[i].c = m->CType;
        s->matrices[i].r = m->ResultType, s->matrices[i].scope = m->scope;
        s->matrices[i].saturating = m->saturatingAccumulation;
    }
}

bool sy_snapshot_read(const sy_vk_instance *instance, VkPhysicalDevice device, sy_device_snapshot *s, sy_error *error)
{
    const sy_vk_instance_functions *vk = &instance->vk;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceFeatures features;
    *s = (sy_device_snapshot){0};
    vk->vkGetPhysicalDeviceProperties(device, &properties);
    vk->vkGetPhysicalDeviceFeatures(device, &features);
    read_core(&properties, &features, s);
    if (!read_extensions(vk, device, s, error))
        return false;
    read_memory_and_queues(vk, device, s);
    if (s->api_version >= VK_API_VERSION_1_1 && vk->vkGetPhysicalDeviceProperties2 &&
        vk->vkGetPhysicalDeviceFeatures2) {
        read_properties2(vk, device, s);
        read_features2(vk, device, s);
        read_matrices(instance, device, s);
    }
    return true;
}
