/* What a driver must never be given: sizes past its limits, ranges past their buffers, features it has not. */
#include "src/run/work.h"

#include <string.h>

static const struct {
    uint32_t capability;
    const char *name;
    size_t feature; /* offset in sy_device_snapshot.features + 1; 0: always there */
    uint32_t subgroup; /* bit of VkSubgroupFeatureFlags */
} capabilities[] = {
#define FEATURE(field) offsetof(sy_device_snapshot, features.field) + 1
    {0, "Matrix", 0, 0},
    {1, "Shader", 0, 0},
    {9, "Float16", FEATURE(float16), 0},
    {10, "Float64", FEATURE(float64), 0},
    {11, "Int64", FEATURE(int64), 0},
    {12, "Int64Atomics", FEATURE(int64_atomics), 0},
    {22, "Int16", FEATURE(int16), 0},
    {28, "UniformBufferArrayDynamicIndexing", FEATURE(dynamic_buffer_index), 0},
    {30, "StorageBufferArrayDynamicIndexing", FEATURE(dynamic_buffer_index), 0},
    {39, "Int8", FEATURE(int8), 0},
    {46, "SampledBuffer", 0, 0},
    {47, "ImageBuffer", 0, 0},
    {50, "ImageQuery", 0, 0},
    {61, "GroupNonUniform", 0, 1},
    {62, "GroupNonUniformVote", 0, 2},
    {63, "GroupNonUniformArithmetic", 0, 4},
    {64, "GroupNonUniformBallot", 0, 8},
    {65, "GroupNonUniformShuffle", 0, 16},
    {66, "GroupNonUniformShuffleRelative", 0, 32},
    {67, "GroupNonUniformClustered", 0, 64},
    {68, "GroupNonUniformQuad", 0, 128},
    {4433, "StorageBuffer16BitAccess", FEATURE(storage16), 0},
    {4434, "UniformAndStorageBuffer16BitAccess", FEATURE(uniform16), 0},
    {4435, "StoragePushConstant16", FEATURE(push16), 0},
    {4441, "VariablePointersStorageBuffer", FEATURE(variable_pointers), 0},
    {4442, "VariablePointers", FEATURE(variable_pointers), 0},
    {4448, "StorageBuffer8BitAccess", FEATURE(storage8), 0},
    {4449, "UniformAndStorageBuffer8BitAccess", FEATURE(uniform8), 0},
    {4450, "StoragePushConstant8", FEATURE(push8), 0},
    {5345, "VulkanMemoryModel", FEATURE(memory_model), 0},
    {5346, "VulkanMemoryModelDeviceScope", FEATURE(memory_model_device), 0},
#undef FEATURE
};

static bool check_capability(const sy_vk_device *d, const sy_work_kernel *k, uint32_t capability, sy_error *error)
{
    const sy_device_snapshot *s = d->snapshot;
    size_t i = 0;
    while (i < sizeof capabilities / sizeof *capabilities && capabilities[i].capability != capability)
        i++;
    if (i == sizeof capabilities / sizeof *capabilities)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: it needs SPIR-V capability %u, which is not switched on here.", k->name, capability);
    bool there = !capabilities[i].feature || ((const uint8_t *)s)[capabilities[i].feature - 1] == SY_YES;
    if (capabilities[i].subgroup)
        there = s->subgroup.in_compute == SY_YES && (s->subgroup.operations & capabilities[i].subgroup);
    return there || sy_fail(error, SY_CODE_UNAVAILABLE, "%s: it needs %s, which %s does not have.", k->name,
                            capabilities[i].name, s->name);
}

bool sy_work_local(const sy_work_kernel *k, uint32_t local[3])
{
    const sy_shader *s = k->shader;
    for (int i = 0; i < 3; i++) {
        local[i] = s->local[i];
        for (uint32_t v = 0; v < k->n_values && s->local_constant[i] != SY_NO_CONSTANT; v++)
            if (s->constants[s->local_constant[i]].id == k->ids[v])
                local[i] = k->values[v] > UINT32_MAX ? UINT32_MAX : (uint32_t)k->values[v];
    }
    return s->local_known;
}

static bool check_workgroup(const sy_vk_device *d, const sy_work_kernel *k, sy_error *error)
{
    const sy_limits *l = &d->plan->limits;
    uint32_t local[3];
    uint64_t all = 1;
    if (!sy_work_local(k, local))
        return sy_fail(error, SY_CODE_INVALID_FILE, "%s: its workgroup is computed from constants in a way that cannot be followed.", k->name);
    for (int i = 0; i < 3; i++) {
        if (!local[i] || local[i] > l->group_size[i])
            return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: a workgroup of %u x %u x %u; this device has at most %u x %u x %u.",
                           k->name, local[0], local[1], local[2], l->group_size[0], l->group_size[1], l->group_size[2]);
        all *= local[i];
    }
    if (all > l->invocations)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: a workgroup of %u x %u x %u is %llu invocations; this device has at most %u.",
                       k->name, local[0], local[1], local[2], (unsigned long long)all, l->invocations);
    if (k->shader->shared_bytes > l->shared_bytes)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: %llu bytes of shared memory; this device has %u.", k->name,
                       (unsigned long long)k->shader->shared_bytes, l->shared_bytes);
    return true;
}

bool sy_work_kernel_fits(const sy_vk_device *d, const sy_work_kernel *k, sy_error *error)
{
    const sy_shader *s = k->shader;
    uint32_t most_push = d->plan->limits.push_bytes < SY_WORK_PUSH ? d->plan->limits.push_bytes : SY_WORK_PUSH, storage = 0;
    uint32_t most_sets = d->snapshot->limits.bound_sets ? d->snapshot->limits.bound_sets : 4;
    for (uint32_t i = 0; i < s->n_capabilities; i++)
        if (!check_capability(d, k, s->capabilities[i], error))
            return false;
    if (!check_workgroup(d, k, error))
        return false;
    if (s->push.bytes > most_push)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: %llu bytes of push constants; this device has %u.", k->name,
                       (unsigned long long)s->push.bytes, most_push);
    for (uint32_t i = 0; i < s->n_resources; i++) {
        const sy_shader_resource *r = &s->resources[i];
        if (r->kind != SY_RESOURCE_STORAGE && r->kind != SY_RESOURCE_UNIFORM && r->kind != SY_RESOURCE_TEXELS)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: binding %u of set %u, \"%s\", is a %s; only buffers can be bound here.",
                           k->name, r->binding, r->set, r->name, sy_resource_text(r->kind));
        if (r->count != 1)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: binding %u of set %u, \"%s\", is an array of buffers; only single ones can be bound here.",
                           k->name, r->binding, r->set, r->name);
        if (r->set >= SY_WORK_SETS || r->set >= most_sets)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: set %u; this device binds %u sets at a time.", k->name, r->set,
                           most_sets < SY_WORK_SETS ? most_sets : SY_WORK_SETS);
        storage += r->kind == SY_RESOURCE_STORAGE;
    }
    if (storage > d->plan->limits.storage_buffers || s->n_resources > SY_WORK_BINDINGS)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: %u storage buffers of %u resources; this device binds %u at a time.", k->name,
                       storage, s->n_resources, d->plan->limits.storage_buffers);
    return true;
}

static bool check_binding(const sy_vk_device *d, const sy_work *w, const sy_work_dispatch *x, const sy_shader_resource *r, sy_error *error)
{
    const sy_work_binding *b = NULL;
    for (uint32_t i = 0; i < x->n_bindings; i++)
        if (x->bindings[i].set == r->set && x->bindings[i].binding == r->binding)
            b = &x->bindings[i];
    if (!b || b->buffer >= w->n_buffers)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: binding %u of set %u, \"%s\", has no buffer.", x->label, r->binding, r->set, r->name);
    const sy_work_buffer *buffer = &w->buffers[b->buffer];
    bool uniform = r->kind == SY_RESOURCE_UNIFORM, texels = r->kind == SY_RESOURCE_TEXELS;
    uint32_t most_uniform = d->snapshot->limits.uniform_range ? d->snapshot->limits.uniform_range : 16384;
    uint64_t most = uniform ? most_uniform : texels ? 16 * (uint64_t)d->snapshot->limits.texel_elements : d->plan->limits.storage_range;
    if (b->offset > buffer->bytes || b->bytes > buffer->bytes - b->offset || !b->bytes || b->bytes % 4)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: binding %u leaves buffer \"%s\" (%llu bytes at %llu of %llu).", x->label,
                       r->binding, buffer->name, (unsigned long long)b->bytes, (unsigned long long)b->offset, (unsigned long long)buffer->bytes);
    if (b->offset % (uniform ? 256 : d->plan->limits.offset_alignment))
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: binding %u begins at byte %llu of \"%s\"; this device wants a multiple of %u.",
                       x->label, r->binding, (unsigned long long)b->offset, buffer->name, uniform ? 256 : d->plan->limits.offset_alignment);
    if (b->bytes > most)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: binding %u is a %s of %llu bytes; this device binds at most %llu.", x->label,
                       r->binding, sy_resource_text(r->kind), (unsigned long long)b->bytes, (unsigned long long)most);
    if (b->bytes < r->block.bytes)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: binding %u, \"%s\", has %llu bytes; the shader declares %llu.", x->label,
                       r->binding, r->name, (unsigned long long)b->bytes, (unsigned long long)r->block.bytes);
    return true;
}

bool sy_work_fits(const sy_vk_device *d, const sy_work *w, sy_error *error)
{
    uint64_t all = 0, room = sy_vk_device_free_bytes(d, SY_MEMORY_DEVICE);
    for (uint32_t i = 0; i < w->n_buffers; i++) {
        if (!w->buffers[i].bytes || w->buffers[i].bytes > d->plan->limits.allocation_bytes)
            return sy_fail(error, SY_CODE_UNAVAILABLE, "buffer \"%s\" has %llu bytes; one allocation of this device holds %llu.",
                           w->buffers[i].name, (unsigned long long)w->buffers[i].bytes, (unsigned long long)d->plan->limits.allocation_bytes);
        all += w->buffers[i].bytes;
    }
    if (all > room)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "%.1f MiB of device memory are needed and %.1f MiB are free.",
                       (double)all / 1048576, (double)room / 1048576);
    for (uint32_t i = 0; i < w->n_kernels; i++)
        if (!sy_work_kernel_fits(d, &w->kernels[i], error))
            return false;
    for (uint32_t i = 0; i < w->n_dispatches; i++) {
        const sy_work_dispatch *x = &w->dispatches[i];
        const uint32_t *most = d->plan->limits.group_count;
        if (x->kernel >= w->n_kernels)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: there is no kernel %u.", x->label, x->kernel);
        const sy_shader *s = w->kernels[x->kernel].shader;
        for (int a = 0; a < 3; a++)
            if (!x->groups[a] || x->groups[a] > most[a])
                return sy_fail(error, SY_CODE_UNAVAILABLE, "%s: %u x %u x %u workgroups; this device takes 1 to %u x %u x %u.", x->label,
                               x->groups[0], x->groups[1], x->groups[2], most[0], most[1], most[2]);
        if (x->push_bytes > SY_WORK_PUSH || x->push_bytes < s->push.bytes)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: %u bytes of push constants were given, its kernel has %llu.", x->label,
                           x->push_bytes, (unsigned long long)s->push.bytes);
        if (x->indirect && (x->indirect_buffer >= w->n_buffers || w->buffers[x->indirect_buffer].bytes < 12 || x->indirect_offset % 4 ||
                            x->indirect_offset > w->buffers[x->indirect_buffer].bytes - 12))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%s: its size is read outside the buffers.", x->label);
        for (uint32_t r = 0; r < s->n_resources; r++)
            if (!check_binding(d, w, x, &s->resources[r], error))
                return false;
    }
    return true;
}
