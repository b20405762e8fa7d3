/* VkResult in words. */
#include "src/device/device.h"

static const struct {
    VkResult result;
    const char *text;
} texts[] = {
    {VK_SUCCESS, "VK_SUCCESS"},
    {VK_NOT_READY, "VK_NOT_READY: not finished yet"},
    {VK_TIMEOUT, "VK_TIMEOUT: not finished in the time given"},
    {VK_INCOMPLETE, "VK_INCOMPLETE: there is more than was asked for"},
    {VK_ERROR_OUT_OF_HOST_MEMORY, "VK_ERROR_OUT_OF_HOST_MEMORY: the machine's memory is full"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, "VK_ERROR_OUT_OF_DEVICE_MEMORY: the device's memory is full"},
    {VK_ERROR_INITIALIZATION_FAILED, "VK_ERROR_INITIALIZATION_FAILED: the driver could not start"},
    {VK_ERROR_DEVICE_LOST,
     "VK_ERROR_DEVICE_LOST: the device stopped (a watchdog ended a long computation, or the driver failed)"},
    {VK_ERROR_MEMORY_MAP_FAILED, "VK_ERROR_MEMORY_MAP_FAILED: no address space left to map memory"},
    {VK_ERROR_LAYER_NOT_PRESENT, "VK_ERROR_LAYER_NOT_PRESENT: a layer asked for is not installed"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, "VK_ERROR_EXTENSION_NOT_PRESENT: an extension asked for is missing"},
    {VK_ERROR_FEATURE_NOT_PRESENT, "VK_ERROR_FEATURE_NOT_PRESENT: a feature asked for is missing"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, "VK_ERROR_INCOMPATIBLE_DRIVER: no driver is installed, or none fits"},
    {VK_ERROR_TOO_MANY_OBJECTS, "VK_ERROR_TOO_MANY_OBJECTS: the driver's number of allocations or objects is used up"},
    {VK_ERROR_FRAGMENTED_POOL, "VK_ERROR_FRAGMENTED_POOL: a descriptor pool is fragmented"},
    {VK_ERROR_OUT_OF_POOL_MEMORY, "VK_ERROR_OUT_OF_POOL_MEMORY: a descriptor pool is used up"},
    {VK_ERROR_FRAGMENTATION, "VK_ERROR_FRAGMENTATION: descriptors are fragmented"},
    {VK_ERROR_INVALID_EXTERNAL_HANDLE, "VK_ERROR_INVALID_EXTERNAL_HANDLE: not a valid handle"},
    {VK_PIPELINE_COMPILE_REQUIRED, "VK_PIPELINE_COMPILE_REQUIRED: the pipeline is not in the cache"},
    {VK_ERROR_UNKNOWN, "VK_ERROR_UNKNOWN: the driver failed without saying why"},
};

const char *sy_vk_result_text(VkResult result)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].result == result)
            return texts[i].text;
    return NULL;
}

bool sy_vk_check(VkResult result, sy_error *error, const char *what)
{
    if (result == VK_SUCCESS)
        return true;
    sy_code code = SY_CODE_DEVICE;
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        code = SY_CODE_OUT_OF_MEMORY;
    else if (result == VK_ERROR_DEVICE_LOST)
        code = SY_CODE_DEVICE_LOST;
    const char *text = sy_vk_result_text(result);
    return text ? sy_fail(error, code, "%s: %s.", what, text)
                : sy_fail(error, code, "%s: VkResult %d.", what, (int)result);
}
