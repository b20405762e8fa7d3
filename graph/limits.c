/* The floor of Vulkan 1.2, from the table "Required Limits" of its specification. Two rows differ on purpose: eight
 * storage buffers a stage, because no device with Vulkan 1.2 in the public reports has fewer (the specification says
 * four), and the loop limit, because a program compiled without a device may end up on a driver that has one. */
#include "graph/limits.h"

sy_limits sy_limits_floor(void)
{
    return (sy_limits){
        .device = "any Vulkan 1.2 device",
        .vulkan_version = 1u << 22 | 2u << 12,
        .shared_bytes = 16384,
        .invocations = 128,
        .group_size = {128, 128, 64},
        .group_count = {65535, 65535, 65535},
        .storage_buffers = 8,
        .storage_range = UINT64_C(1) << 27,
        .allocation_bytes = UINT64_C(1) << 30,
        .offset_alignment = 256,
        .push_bytes = 128,
        .loop_limit = 65535,
    };
}
