/* Known oddities of drivers, each a named predicate over the snapshot and a change of the plan. A row needs a source
 * and a test. Driver ids are never taken alone: at least one vendor's driver carries another vendor's number. */
#include "src/device/plan.h"

#include <string.h>

enum { DRIVER_SWIFTSHADER = 10, DRIVER_LLVMPIPE = 13, VENDOR_MESA = 0x10005, VENDOR_GOOGLE = 0x1ae0 };

static bool is_lavapipe(const sy_device_snapshot *s)
{
    return s->vendor_id == VENDOR_MESA && (s->driver_id == DRIVER_LLVMPIPE || !strncmp(s->name, "llvmpipe", 8));
}

static void limit_loops(sy_device_plan *plan)
{
    plan->limits.loop_limit = 65535;
}

/* Some reports have no device type; the two software drivers are known by name as well. */
static bool is_software(const sy_device_snapshot *s)
{
    return s->type == SY_DEVICE_CPU || is_lavapipe(s) ||
           (s->vendor_id == VENDOR_GOOGLE &&
            (s->driver_id == DRIVER_SWIFTSHADER || !strncmp(s->name, "SwiftShader", 11)));
}

static void use_cpu(sy_device_plan *plan)
{
    plan->limits.cpu = true;
    plan->submission_seconds = 0;
}

/* Integrated graphics whose own heap is a small carve-out beside a large host heap: the same memory chips, so the large
 * one is as fast and the small one is soon full. */
static bool has_small_carve_out(const sy_device_snapshot *s)
{
    uint64_t own = 0, other = 0;
    for (uint32_t i = 0; i < s->n_heaps; i++) {
        uint64_t *most = s->heaps[i].flags & 1 ? &own : &other;
        if (s->heaps[i].size > *most)
            *most = s->heaps[i].size;
    }
    return s->type == SY_DEVICE_INTEGRATED && own && own < other / 4;
}

static void ignore_device_local(sy_device_plan *plan)
{
    plan->any_heap = true;
}

const sy_quirk sy_quirks[] = {
    {"loop-limit",
     "Mesa's llvmpipe counts the turns of all loops of an invocation together; after 65,535 every loop ends after one "
     "turn.",
     "Kernels are made so that an invocation stays below.",
     "Mesa, src/gallium/auxiliary/gallivm/lp_bld_limits.h and lp_bld_ir_common.c; tests/device/test_loops.c",
     is_lavapipe, limit_loops},
    {"software",
     "The driver runs shaders on the processor: shared memory is no faster than other memory, and nothing "
     "ends long submissions.",
     "Kernels use wide register tiles without shared memory, and submissions are not split.",
     "VkPhysicalDeviceType of the driver; tests/device/test_plan.c", is_software, use_cpu},
    {"small-carve-out",
     "The integrated device's own memory heap is under a quarter of the host's, and is the same memory.",
     "Everything is placed in the large heap.",
     "public reports of AMD integrated graphics with 256 MiB set aside in the firmware; tests/device/test_plan.c",
     has_small_carve_out, ignore_device_local},
    {0},
};
