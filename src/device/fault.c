/* What the driver knows of the loss of a device (VK_EXT_device_fault). */
#include "src/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *address_text(VkDeviceFaultAddressTypeEXT type)
{
    switch (type) {
    case VK_DEVICE_FAULT_ADDRESS_TYPE_READ_INVALID_EXT:
        return "invalid read";
    case VK_DEVICE_FAULT_ADDRESS_TYPE_WRITE_INVALID_EXT:
        return "invalid write";
    case VK_DEVICE_FAULT_ADDRESS_TYPE_EXECUTE_INVALID_EXT:
        return "invalid instruction fetch";
    case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_UNKNOWN_EXT:
    case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_INVALID_EXT:
    case VK_DEVICE_FAULT_ADDRESS_TYPE_INSTRUCTION_POINTER_FAULT_EXT:
        return "instruction";
    default:
        return "address";
    }
}

/* Drivers give an address and how many bytes around it they mean. */
static void describe(const VkDeviceFaultInfoEXT *info, const VkDeviceFaultCountsEXT *counts, char *out, size_t room)
{
    enum { SHOWN = 3 };
    int n = snprintf(out, room, "%.120s", info->description);
    for (uint32_t i = 0; i < counts->addressInfoCount && i < SHOWN && n >= 0 && (size_t)n < room; i++) {
        const VkDeviceFaultAddressInfoEXT *a = &info->pAddressInfos[i];
        n += snprintf(out + n, room - (size_t)n, "; %s at 0x%llx within %llu bytes", address_text(a->addressType),
                      (unsigned long long)a->reportedAddress, (unsigned long long)a->addressPrecision);
    }
    for (uint32_t i = 0; i < counts->vendorInfoCount && i < SHOWN && n >= 0 && (size_t)n < room; i++) {
        const VkDeviceFaultVendorInfoEXT *v = &info->pVendorInfos[i];
        n += snprintf(out + n, room - (size_t)n, "; %.80s (code 0x%llx, data 0x%llx)", v->description,
                      (unsigned long long)v->vendorFaultCode, (unsigned long long)v->vendorFaultData);
    }
}

bool sy_vk_device_fault(const sy_vk_device *d, char *out, size_t room)
{
    VkDeviceFaultCountsEXT counts = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT};
    VkDeviceFaultInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT};
    out[0] = '\0';
    if (!d->faults || !d->vk.vkGetDeviceFaultInfoEXT || d->vk.vkGetDeviceFaultInfoEXT(d->handle, &counts, NULL) < 0)
        return false;
    counts.vendorBinarySize = 0; /* the driver's own dump is for its maker's tools */
    info.pAddressInfos = calloc((size_t)counts.addressInfoCount + 1, sizeof *info.pAddressInfos);
    info.pVendorInfos = calloc((size_t)counts.vendorInfoCount + 1, sizeof *info.pVendorInfos);
    if (info.pAddressInfos && info.pVendorInfos && d->vk.vkGetDeviceFaultInfoEXT(d->handle, &counts, &info) >= 0)
        describe(&info, &counts, out, room);
    free(info.pAddressInfos);
    free(info.pVendorInfos);
    return out[0] != '\0';
}
