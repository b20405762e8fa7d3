/* A lost device is reported once, with the dispatch it was in. The loss is staged, the place is real: an event that
 * nobody sets holds the device at one dispatch of the second step, and the wait for it is told that the device is
 * lost; what the message names must be what the device itself wrote before it stopped. */
#include "graph/ir/build.h"
#include "graph/program.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

enum { STEPS = 3, HELD = 3 /* the dispatch that is held */ };

static struct VolkDeviceTable real;
static VkEvent event;
static uint32_t recorded;
static bool holding, released, waited, refuse;

/* The first time the event is set already; every later one waits for the host. */
static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer c, uint32_t x, uint32_t y, uint32_t z)
{
    if (holding && recorded++ == HELD) {
        VkMemoryBarrier b = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, .dstAccessMask = VK_ACCESS_SHADER_READ_BIT};
        real.vkCmdWaitEvents(c, 1, &event, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 1, &b, 0,
                             NULL, 0, NULL);
        real.vkCmdPipelineBarrier(c, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1, &b, 0, NULL,
                                  0, NULL);
        real.vkCmdResetEvent(c, event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
    }
    real.vkCmdDispatch(c, x, y, z);
}

static VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t most)
{
    if (!holding)
        return real.vkWaitSemaphores(device, info, most);
    if (!released) {
        /* Past the first step, when its kernels are compiled too, the rest is quick. */
        for (int i = 0; i < 2000 && real.vkGetEventStatus(device, event) != VK_EVENT_RESET; i++)
            real.vkWaitSemaphores(device, info, 10000000);
        waited = true;
        CHECK(real.vkWaitSemaphores(device, info, UINT64_C(700000000)) == VK_TIMEOUT);
        return VK_ERROR_DEVICE_LOST;
    }
    for (int i = 0; i < 1000; i++) {
        real.vkSetEvent(device, event);
        if (real.vkWaitSemaphores(device, info, 10000000) == VK_SUCCESS)
            return VK_SUCCESS;
    }
    return VK_TIMEOUT;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    return refuse ? VK_ERROR_DEVICE_LOST : real.vkQueueSubmit(queue, n, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL fault_info(VkDevice device, VkDeviceFaultCountsEXT *counts, VkDeviceFaultInfoEXT *info)
{
    (void)device;
    if (!info) {
        counts->addressInfoCount = counts->vendorInfoCount = 1;
        return VK_SUCCESS;
    }
    strcpy(info->description, "MMU fault");
    info->pAddressInfos[0] = (VkDeviceFaultAddressInfoEXT){VK_DEVICE_FAULT_ADDRESS_TYPE_READ_INVALID_EXT, 0xabc000, 4096};
    info->pVendorInfos[0] = (VkDeviceFaultVendorInfoEXT){"shader engine 2", 7, 9};
    return VK_SUCCESS;
}

static sy_program *program(const sy_vk_device *d)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("layers");
    REQUIRE(g);
    sy_value x = sy_state(g, "x", SY_T(SY_F32, 20, 12)), w = sy_input(g, "w", SY_T(SY_F32, 12, 12));
    for (int i = 0; i < 3; i++) {
        sy_scope_push(g, "blocks.%d", i);
        x = sy_matmul(g, sy_row(g, SY_OP_SOFTMAX, x, 0), w, false);
        sy_scope_pop(g);
    }
    sy_carry(g, "x", x);
    REQUIRE(sy_graph_check(g, NULL));
    sy_program *p = sy_compile(g, &(sy_compile_params){.limits = &d->plan->limits, .max_steps = STEPS}, &error);
    CHECK_SAY(p != NULL, "%s", error.message);
    REQUIRE(p && p->n_dispatches > HELD + 1);
    sy_graph_destroy(&g);
    return p;
}

static sy_session *session(sy_vk_device *d, const sy_program *p)
{
    static const float w[144] = {1};
    sy_error error = {0};
    sy_session *s = sy_session_create(&(sy_session_params){.device = d, .step = p, .n_steps = STEPS}, &error);
    CHECK_SAY(s && sy_session_write(s, "w", w, sizeof w, &error), "%s", error.message);
    REQUIRE(s && !error.code);
    return s;
}

static void says(const sy_error *error, const char *part)
{
    CHECK_SAY(strstr(error->message, part), "\"%s\" is not in: %s", part, error->message);
}

static void test_device(sy_vk_device *d)
{
    char label[200];
    sy_error error = {0}, again = {0}, other = {0}, before = {0};
    VkEventCreateInfo info = {VK_STRUCTURE_TYPE_EVENT_CREATE_INFO};
    sy_program *p = program(d);
    real = d->vk;
    REQUIRE(real.vkCreateEvent(d->handle, &info, NULL, &event) == VK_SUCCESS && real.vkSetEvent(d->handle, event) == VK_SUCCESS);
    d->vk.vkCmdDispatch = dispatch;
    d->vk.vkWaitSemaphores = wait_semaphores;
    d->vk.vkQueueSubmit = submit;
    sy_session *beside = session(d, p);
    recorded = 0;
    holding = true;
    sy_session *s = session(d, p);
    d->faults = true;
    d->vk.vkGetDeviceFaultInfoEXT = fault_info;
    CHECK(!sy_session_run(s, NULL, NULL, &error) && error.code == SY_CODE_DEVICE_LOST && waited);
    printf("%s\n", error.message);
    snprintf(label, sizeof label, "in step 2 of 3, in dispatch %d of %u \"%s\"", HELD + 1, p->n_dispatches, p->dispatches[HELD].label);
    says(&error, label);
    says(&error, "blocks.1: matmul");
    says(&error, "VK_ERROR_DEVICE_LOST");
    says(&error, "The driver says: MMU fault; invalid read at 0xabc000 within 4096 bytes; shader engine 2 (code 0x7, data 0x9)");
    CHECK(!sy_session_run(s, NULL, NULL, &again) && again.code == SY_CODE_DEVICE_LOST);
    says(&again, "the device was lost earlier (in step 2 of 3");
    CHECK(!sy_session_run(beside, NULL, NULL, &other) && other.code == SY_CODE_DEVICE_LOST);
    says(&other, "the device was lost earlier");
    released = true; /* what is still there must be let go */
    sy_session_destroy(&s);
    sy_session_destroy(&beside);
    holding = released = waited = false;

    d->faults = false;
    d->lost = (sy_error){0};
    s = session(d, p);
    refuse = true;
    CHECK(!sy_session_run(s, NULL, NULL, &before) && before.code == SY_CODE_DEVICE_LOST);
    says(&before, "before the first dispatch");
    refuse = false;
    d->lost = (sy_error){0};
    sy_session_destroy(&s);
    d->vk = real;
    d->vk.vkDestroyEvent(d->handle, event, NULL);
    sy_program_destroy(&p);
}

int main(void)
{
    if (!sy_test_devices(test_device))
        return check_skip("no Vulkan device");
    return check_done();
}
