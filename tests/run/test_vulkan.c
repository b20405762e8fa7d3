/* The devices of a context, shared with who draws: extensions are enabled where they are there, the queue works under
 * the lock from another thread while a network runs, and a context without the wish says so. */
#include "src/switchyard_vulkan.h"
#include "tests/check.h"

#include "src/device/device.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct drawer {
    sy_vulkan vulkan;
    struct VolkDeviceTable vk;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    atomic_bool stop, failed;
    atomic_uint submissions;
} drawer;

static void *draw(void *context)
{
    drawer *d = context;
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &d->commands};
    while (!atomic_load(&d->stop)) {
        sy_vulkan_lock(&d->vulkan);
        VkResult result = d->vk.vkQueueSubmit(d->vulkan.queue, 1, &info, d->fence);
        sy_vulkan_unlock(&d->vulkan);
        if (result != VK_SUCCESS ||
            d->vk.vkWaitForFences(d->vulkan.device, 1, &d->fence, VK_TRUE, UINT64_MAX) != VK_SUCCESS ||
            d->vk.vkResetFences(d->vulkan.device, 1, &d->fence) != VK_SUCCESS)
            atomic_store(&d->failed, true);
        atomic_fetch_add(&d->submissions, 1);
    }
    return NULL;
}

static void open_drawer(drawer *d)
{
    volkLoadDeviceTable(&d->vk, d->vulkan.device);
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = d->vulkan.queue_family};
    REQUIRE(d->vk.vkCreateCommandPool(d->vulkan.device, &pool, NULL, &d->pool) == VK_SUCCESS);
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = d->pool,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    REQUIRE(d->vk.vkAllocateCommandBuffers(d->vulkan.device, &info, &d->commands) == VK_SUCCESS &&
            d->vk.vkBeginCommandBuffer(d->commands, &begin) == VK_SUCCESS &&
            d->vk.vkEndCommandBuffer(d->commands) == VK_SUCCESS &&
            d->vk.vkCreateFence(d->vulkan.device, &fence, NULL, &d->fence) == VK_SUCCESS);
}

static void run_beside(sy_context *context, const char *device, drawer *d)
{
    sy_model *model = NULL;
    sy_pipeline *pipeline = NULL;
    sy_result *result = NULL;
    const char *prompt = "cat face";
    pthread_t thread;
    sy_generate_params what = {.prompts = &prompt, .n_prompts = 1};
    REQUIRE(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model) == SY_OK);
    REQUIRE(sy_pipeline_create(model, &(sy_pipeline_params){.device = device, .steps = 2}, &pipeline) == SY_OK);
    REQUIRE(pthread_create(&thread, NULL, draw, d) == 0);
    while (!atomic_load(&d->submissions))
        ;
    CHECK_SAY(sy_generate(pipeline, &what, &result) == SY_OK, "%s", sy_context_message(context));
    atomic_store(&d->stop, true);
    pthread_join(thread, NULL);
    CHECK(!atomic_load(&d->failed));
    sy_result_destroy(&result);
    sy_pipeline_destroy(&pipeline);
    sy_model_destroy(&model);
}

static void test_device(sy_context *context, const char *device)
{
    drawer d = {0};
    CHECK_SAY(sy_context_vulkan(context, device, &d.vulkan) == SY_OK, "%s", sy_context_message(context));
    CHECK(d.vulkan.instance && d.vulkan.physical_device && d.vulkan.device && d.vulkan.get_instance_proc_addr);
    CHECK(d.vulkan.n_instance_extensions == 1 && !strcmp(d.vulkan.instance_extensions[0], "VK_KHR_surface"));
    CHECK(d.vulkan.n_device_extensions == 1 && !strcmp(d.vulkan.device_extensions[0], "VK_KHR_swapchain"));
    if (!d.vulkan.queue)
        return;
    open_drawer(&d);
    run_beside(context, device, &d);
    d.vk.vkDestroyFence(d.vulkan.device, d.fence, NULL);
    d.vk.vkDestroyCommandPool(d.vulkan.device, d.pool, NULL);
}

int main(void)
{
    static const char *const instance[] = {"VK_KHR_surface", "VK_NO_such_thing", "VK_KHR_surface"},
                             *const extensions[] = {"VK_NO_such_thing", "VK_KHR_swapchain", "VK_KHR_swapchain"};
    sy_vulkan_params wishes = {instance, 3, extensions, 3};
    sy_context_params params = {.vulkan = &wishes};
    sy_context *context = NULL;
    sy_vulkan vulkan;
    const sy_device_info *devices;
    size_t n;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK);
    CHECK(sy_context_vulkan(context, NULL, &vulkan) == SY_ERROR_INVALID_ARGUMENT && !vulkan.device);
    sy_context_destroy(&context);
    REQUIRE(sy_context_create(&params, &context) == SY_OK && sy_context_devices(context, &devices, &n) == SY_OK);
    CHECK(sy_context_vulkan(context, "reference", &vulkan) == SY_ERROR_UNAVAILABLE && !vulkan.device);
    for (size_t i = 0; i + 1 < n; i++)
        if (devices[i].usable)
            test_device(context, devices[i].name);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    return n <= 1 ? check_skip("there is no Vulkan device") : check_done();
}
