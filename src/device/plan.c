/* From snapshot to plan. Everything unknown is taken at Vulkan's guaranteed minimum, everything known is clamped to
 * what can be true (a "no bound" of 2^63 bytes is no bound on a heap of 8 GiB). A device is refused only for what no
 * driver setting can change: too old, no compute queue, no usable memory, less shared memory than kernels are made for.
 */
#include "src/device/plan.h"

#include <stdio.h>
#include <string.h>

enum { /* Vulkan's bits, named here because plans need no Vulkan headers */
       HEAP_DEVICE_LOCAL = 1,
       DEVICE_LOCAL = 1,
       HOST_VISIBLE = 2,
       HOST_COHERENT = 4,
       HOST_CACHED = 8,
       SPECIAL = 0x1f0, /* lazily allocated, protected, AMD's device-coherent and -uncached, NVIDIA's RDMA: need a
                           feature, or are slow */
       QUEUE_GRAPHICS = 1,
       QUEUE_COMPUTE = 2,
};
#define VERSION_1_2 (1u << 22 | 2u << 12)

static void note(sy_device_plan *plan, const char *text)
{
    if (plan->n_notes < SY_PLAN_NOTES)
        plan->notes[plan->n_notes++] = text;
}

static bool refused(const sy_device_snapshot *s, sy_device_plan *plan)
{
    char version[32];
    sy_snapshot_version_text(s->api_version, version);
    bool compute = !s->n_families, mappable = !s->n_types;
    for (uint32_t i = 0; i < s->n_families; i++)
        compute |= (s->families[i].flags & QUEUE_COMPUTE) && s->families[i].count;
    for (uint32_t i = 0; i < s->n_types; i++)
        mappable |= (s->types[i].flags & HOST_VISIBLE) && !(s->types[i].flags & SPECIAL);
    if (!s->api_version)
        snprintf(plan->refusal, sizeof plan->refusal,
                 "The report does not say which Vulkan version the driver has; Switchyard needs 1.2. Make a whole one "
                 "with \"switchyard devices --json\".");
    else if (s->api_version < VERSION_1_2)
        snprintf(plan->refusal, sizeof plan->refusal,
                 "The driver has Vulkan %s; Switchyard needs 1.2. A newer driver for this device may have it.",
                 version);
    else if (s->limits.shared_bytes && s->limits.shared_bytes < 16384)
        snprintf(plan->refusal, sizeof plan->refusal,
                 "The device has %u bytes of shared memory for compute; Vulkan promises 16384, and so much is needed.",
                 s->limits.shared_bytes);
    else if (!compute)
        snprintf(plan->refusal, sizeof plan->refusal, "The device has no queue that computes.");
    else if (!mappable)
        snprintf(plan->refusal, sizeof plan->refusal, "The device has no memory that the host can map.");
    return plan->refusal[0] != '\0';
}

/* A family of its own for compute runs beside the desktop's drawing and is not preempted by it. Among equals: one whose
 * timestamps work, then the driver's first. */
static void choose_queue(const sy_device_snapshot *s, sy_device_plan *plan)
{
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < s->n_families; i++) {
        if (!(s->families[i].flags & QUEUE_COMPUTE) || !s->families[i].count)
            continue;
        int score = (s->families[i].flags & QUEUE_GRAPHICS ? 0 : 2) + (s->families[i].timestamp_bits ? 1 : 0);
        if (score > best_score)
            best = (int)i, best_score = score;
    }
    plan->n_queues = 1;
    if (best < 0) {
        note(plan, "The report does not say which queues there are; the first family is assumed.");
        return;
    }
    plan->family = (uint32_t)best;
    plan->n_queues = s->families[best].count;
    plan->dedicated = !(s->families[best].flags & QUEUE_GRAPHICS);
    if (s->families[best].timestamp_bits && s->limits.timestamp_period > 0) {
        plan->timestamp_bits = s->families[best].timestamp_bits;
        plan->timestamp_period = s->limits.timestamp_period;
    } else {
        note(plan, "The queue has no timestamps: kernels cannot be timed one by one.");
    }
}

/* A queue to draw with while networks run: of another family where those have one of their own, else the second of the
 * same family, else the same queue. */
static void choose_draw_queue(const sy_device_snapshot *s, sy_device_plan *plan)
{
    for (uint32_t i = 0; i < s->n_families && !plan->draws; i++) {
        uint32_t family = plan->dedicated ? i : plan->family;
        uint32_t both = QUEUE_GRAPHICS | QUEUE_COMPUTE;
        if ((s->families[family].flags & both) != both || !s->families[family].count)
            continue;
        plan->draws = true;
        plan->draw_family = family;
        plan->draw_index = family == plan->family && s->families[family].count > 1;
        plan->own_draw_queue = family != plan->family || plan->draw_index;
    }
}

/* The device's memory is the machine's. A device with memory of its own always lists a heap of the host's beside it. */
static bool shares_memory(const sy_device_snapshot *s, const sy_device_plan *plan)
{
    bool own = false;
    for (uint32_t i = 0; i < s->n_heaps; i++)
        own |= !(s->heaps[i].flags & HEAP_DEVICE_LOCAL);
    return plan->limits.cpu || s->type == SY_DEVICE_INTEGRATED || (s->n_heaps && !own);
}

/* How good a memory type is for a use; negative: not at all. The size of the heap decides among equals, and then the
 * driver's order, which Vulkan defines to be by performance. */
static int memory_score(const sy_device_snapshot *s, const sy_device_plan *plan, sy_memory_use use, uint32_t type)
{
    uint32_t flags = s->types[type].flags;
    bool shared = shares_memory(s, plan);
    if (flags & SPECIAL)
        return -1;
    switch (use) {
    case SY_MEMORY_DEVICE:
        /* On shared memory one that can be mapped saves the staging copy; elsewhere it may sit behind a small window.
         */
        return (flags & DEVICE_LOCAL && !plan->any_heap ? 8 : 0) +
               (shared && (flags & HOST_VISIBLE) && (flags & HOST_COHERENT) ? 4 : 0) + (flags & HOST_CACHED ? 0 : 1);
    case SY_MEMORY_STAGING:
        if (!(flags & HOST_VISIBLE))
            return -1;
        return (flags & HOST_COHERENT ? 8 : 0) + (flags & DEVICE_LOCAL ? 0 : 4) + (flags & HOST_CACHED ? 0 : 1);
    default:
        if (!(flags & HOST_VISIBLE))
            return -1;
        return (flags & HOST_CACHED ? 8 : 0) + (flags & HOST_COHERENT ? 4 : 0) + (flags & DEVICE_LOCAL ? 0 : 1);
    }
}

static void order_memory(const sy_device_snapshot *s, sy_device_plan *plan, sy_memory_use use)
{
    uint8_t *order = plan->memory[use];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_types; i++) {
        int score = memory_score(s, plan, use, i);
        if (score < 0)
            continue;
        uint32_t at = n++;
        for (; at > 0; at--) { /* insertion: keeps the driver's order among equals */
            uint8_t other = order[at - 1];
            int other_score = memory_score(s, plan, use, other);
            uint64_t size = s->heaps[s->types[i].heap].size, other_size = s->heaps[s->types[other].heap].size;
            if (other_score > score || (other_score == score && other_size >= size))
                break;
            order[at] = other;
        }
        order[at] = (uint8_t)i;
    }
    plan->n_memory[use] = n;
}

/* The heap that decides what fits, from the first choice for the device's own memory. */
static void measure_heap(const sy_device_snapshot *s, sy_device_plan *plan)
{
    uint64_t bytes = 0;
    if (plan->n_memory[SY_MEMORY_DEVICE]) {
        uint32_t type = plan->memory[SY_MEMORY_DEVICE][0];
        bytes = s->heaps[s->types[type].heap].size;
        plan->unified = shares_memory(s, plan) && (s->types[type].flags & HOST_VISIBLE);
    } else {
        for (uint32_t i = 0; i < s->n_heaps; i++) /* types unknown: the largest heap of the device */
            if ((s->heaps[i].flags & HEAP_DEVICE_LOCAL) && s->heaps[i].size > bytes)
                bytes = s->heaps[i].size;
        note(plan, "The report does not say which memory types there are.");
    }
    /* Memory of its own is nearly all ours; what is shared with the rest of the machine is not. */
    plan->heap_bytes = bytes;
    plan->budget_bytes = bytes / 100 * (shares_memory(s, plan) ? 75 : 90);
}

static uint32_t known(uint32_t value, uint32_t floor)
{
    return value ? value : floor;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

static void set_limits(const sy_device_snapshot *s, sy_device_plan *plan)
{
    sy_limits *l = &plan->limits, floor = sy_limits_floor();
    snprintf(l->device, sizeof l->device, "%.120s, %.120s", s->name[0] ? s->name : "unnamed device",
             s->driver_info[0] ? s->driver_info : s->driver_name);
    l->vulkan_version = s->api_version;
    l->shared_bytes = known(s->limits.shared_bytes, floor.shared_bytes);
    l->invocations = known(s->limits.invocations, floor.invocations);
    for (int i = 0; i < 3; i++) {
        l->group_size[i] = known(s->limits.group_size[i], floor.group_size[i]);
        l->group_count[i] = at_most(known(s->limits.group_count[i], floor.group_count[i]), INT32_MAX);
    }
    uint32_t buffers = known(s->limits.stage_storage_buffers, floor.storage_buffers);
    buffers = at_most(buffers, known(s->limits.set_storage_buffers, buffers));
    buffers = at_most(buffers, known(s->limits.stage_resources, buffers));
    l->storage_buffers = at_most(buffers, 64);
    l->storage_range = known(s->limits.storage_range, (uint32_t)floor.storage_range) & ~UINT32_C(3);
    l->push_bytes = known(s->limits.push_bytes, floor.push_bytes);
    uint64_t alignment = s->limits.storage_alignment;
    if (s->limits.texel_alignment > alignment) /* places serve both kinds of views */
        alignment = s->limits.texel_alignment;
    bool power = alignment && !(alignment & (alignment - 1)) && alignment <= floor.offset_alignment;
    l->offset_alignment = power ? (uint32_t)alignment : floor.offset_alignment;
    if (l->offset_alignment < 4)
        l->offset_alignment = 4; /* everything is words */
    l->loop_limit = 0;
    l->subgroup_size = s->subgroup.in_compute == SY_YES ? s->subgroup.size : 0;
    l->subgroup_operations = l->subgroup_size ? s->subgroup.operations : 0;
    plan->atom_bytes = s->limits.atom_bytes ? s->limits.atom_bytes : 256; /* 256 is the most Vulkan allows */
}

/* Texel loads are the faster ones where the processor itself runs the shaders; a report that does not say how many
 * elements a view may have gets none. Indices are int in shaders, so more than 2^27 texels could not be told apart by
 * word. */
static void set_texels(const sy_device_snapshot *s, sy_device_plan *plan)
{
    plan->limits.texel_elements = plan->limits.cpu ? at_most(s->limits.texel_elements, 1u << 27) : 0;
}

/* After the heap is known. Some drivers say 2^63 - 1, some nothing: the heap is a bound in any case, and where it is
 * unknown only Vulkan's minimum of 1 GiB is certain. */
static void set_allocation(const sy_device_snapshot *s, sy_device_plan *plan)
{
    uint64_t floor = sy_limits_floor().allocation_bytes;
    uint64_t bytes = s->limits.allocation_bytes ? s->limits.allocation_bytes : floor;
    if (s->limits.buffer_bytes && s->limits.buffer_bytes < bytes)
        bytes = s->limits.buffer_bytes;
    uint64_t bound = plan->heap_bytes ? plan->heap_bytes : floor;
    if (bytes > bound)
        bytes = bound;
    plan->limits.allocation_bytes = bytes & ~(uint64_t)255;
}

/* The shape to use of those that multiply f16 and add in f32 in a subgroup: 16 x 16 x 16, which the kernels' tiles are made for,
 * else the largest. */
static void choose_matrices(const sy_device_snapshot *s, sy_device_plan *plan)
{
    enum { FLOAT16 = 0, FLOAT32 = 1, SCOPE_SUBGROUP = 3 };
    uint64_t best = 0;
    if (s->features.cooperative_matrix != SY_YES || s->features.memory_model != SY_YES || s->features.memory_model_device != SY_YES ||
        s->features.float16 != SY_YES || s->features.full_subgroups != SY_YES || !plan->limits.subgroup_size)
        return;
    if (!sy_compiler_has_matrices()) {
        note(plan, "Cooperative matrices are not used: built with a glslang older than 14, which cannot compile them.");
        return;
    }
    for (uint32_t i = 0; i < s->n_matrices; i++) {
        uint32_t shape[] = {s->matrices[i].m, s->matrices[i].n, s->matrices[i].k};
        uint64_t size = (uint64_t)shape[0] * shape[1] * shape[2];
        bool made_for = shape[0] == 16 && shape[1] == 16 && shape[2] == 16;
        if (s->matrices[i].a == FLOAT16 && s->matrices[i].b == FLOAT16 && s->matrices[i].c == FLOAT32 && s->matrices[i].r == FLOAT32 &&
            s->matrices[i].scope == SCOPE_SUBGROUP && shape[1] % 4 == 0 && shape[2] % 4 == 0 && (made_for ? UINT64_MAX : size) > best) {
            best = made_for ? UINT64_MAX : size;
            memcpy(plan->limits.matrix, shape, sizeof shape);
        }
    }
    plan->matrices = best > 0;
    if (plan->matrices) {
        plan->extensions[plan->n_extensions++] = "VK_KHR_cooperative_matrix";
        plan->extensions[plan->n_extensions++] = "VK_EXT_subgroup_size_control";
    }
}

static void choose_extensions(const sy_device_snapshot *s, sy_device_plan *plan)
{
    if (sy_snapshot_has_extension(s, "VK_KHR_portability_subset")) /* Vulkan demands it where it is present */
        plan->extensions[plan->n_extensions++] = "VK_KHR_portability_subset";
    if (sy_snapshot_has_extension(s, "VK_EXT_memory_budget"))
        plan->extensions[plan->n_extensions++] = "VK_EXT_memory_budget";
    if (sy_snapshot_has_extension(s, "VK_EXT_device_fault")) /* only to tell more of a loss */
        plan->extensions[plan->n_extensions++] = "VK_EXT_device_fault";
    if (sy_snapshot_has_extension(s, "VK_EXT_calibrated_timestamps")) /* to line up traces of a profile */
        plan->extensions[plan->n_extensions++] = "VK_EXT_calibrated_timestamps";
    plan->timeline = s->features.timeline_semaphore != SY_NO; /* Vulkan 1.2 promises it */
    plan->host_query_reset = s->features.host_query_reset == SY_YES;
}

static sy_device_tier choose_tier(const sy_device_snapshot *s, const sy_device_plan *plan)
{
    if (plan->limits.cpu)
        return SY_TIER_CPU;
    if (s->features.float16 != SY_YES || s->features.storage16 != SY_YES)
        return SY_TIER_BASIC;
    return s->features.cooperative_matrix == SY_YES && s->subgroup.in_compute == SY_YES ? SY_TIER_MATRIX : SY_TIER_HALF;
}

void sy_plan_make(const sy_device_snapshot *snapshot, sy_device_plan *plan)
{
    *plan = (sy_device_plan){0};
    set_limits(snapshot, plan);
    plan->submission_seconds = 0.1;
    for (int i = 0; sy_quirks[i].name; i++)
        if (sy_quirks[i].applies(snapshot)) {
            plan->quirks |= UINT64_C(1) << i;
            sy_quirks[i].apply(plan);
        }
    set_texels(snapshot, plan);
    if (refused(snapshot, plan))
        return;
    plan->usable = true;
    choose_queue(snapshot, plan);
    choose_draw_queue(snapshot, plan);
    for (int use = 0; use < SY_MEMORY_USES; use++)
        order_memory(snapshot, plan, (sy_memory_use)use);
    measure_heap(snapshot, plan);
    set_allocation(snapshot, plan);
    choose_extensions(snapshot, plan);
    choose_matrices(snapshot, plan);
    plan->tier = choose_tier(snapshot, plan);
}

const char *sy_tier_text(sy_device_tier tier)
{
    static const char *const text[] = {"cpu", "basic", "half", "matrix"};
    return (unsigned)tier < sizeof text / sizeof *text ? text[tier] : "unknown";
}
