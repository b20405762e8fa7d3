/* Devices and buffers on the Vulkan driver at hand, under validation: what was written is what is read, through every
 * use of memory, and nothing is said or left over. Several instances and devices at once do not disturb each other. */
#include "src/device/device.h"
#include "tests/check.h"

#include <pthread.h>

static void print_message(void *user, sy_severity severity, const char *text)
{
    (void)user;
    fprintf(stderr, "validation (%d): %s\n", (int)severity, text);
}

static sy_vk_instance *open_instance(void)
{
    sy_error error = {0};
    sy_vk_instance_params params = {.validation = true, .message = print_message};
    sy_vk_instance *instance = sy_vk_instance_create(&params, &error);
    if (!instance)
        fprintf(stderr, "%s\n", error.message);
    return instance;
}

/* Copies buffer to buffer, on a command pool of its own. */
static void copy(sy_vk_device *d, const sy_vk_buffer *from, const sy_vk_buffer *to, uint64_t size)
{
    VkCommandPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                         .queueFamilyIndex = d->plan->family};
    VkCommandPool pool = VK_NULL_HANDLE;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    VkFenceCreateInfo fence_info = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    REQUIRE(d->vk.vkCreateCommandPool(d->handle, &pool_info, NULL, &pool) == VK_SUCCESS);
    VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool,
                                            .commandBufferCount = 1};
    REQUIRE(d->vk.vkAllocateCommandBuffers(d->handle, &allocate, &commands) == VK_SUCCESS);
    REQUIRE(d->vk.vkCreateFence(d->handle, &fence_info, NULL, &fence) == VK_SUCCESS);
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    REQUIRE(d->vk.vkBeginCommandBuffer(commands, &begin) == VK_SUCCESS);
    sy_vk_label_begin(d, commands, "copy");
    VkBufferCopy region = {.size = size};
    d->vk.vkCmdCopyBuffer(commands, from->handle, to->handle, 1, &region);
    VkMemoryBarrier barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT};
    d->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                               VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, NULL, 0,
                               NULL);
    sy_vk_label_end(d, commands);
    REQUIRE(d->vk.vkEndCommandBuffer(commands) == VK_SUCCESS);
    VkSubmitInfo submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    REQUIRE(d->vk.vkQueueSubmit(d->queue, 1, &submit, fence) == VK_SUCCESS);
    REQUIRE(d->vk.vkWaitForFences(d->handle, 1, &fence, VK_TRUE, UINT64_C(10000000000)) == VK_SUCCESS);
    d->vk.vkDestroyFence(d->handle, fence, NULL);
    d->vk.vkDestroyCommandPool(d->handle, pool, NULL);
}

static void test_round_trip(sy_vk_device *d)
{
    enum { SIZE = 70000 };
    sy_error error = {0};
    sy_vk_buffer staging, own, back;
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_STAGING, SIZE, "staging", &staging, &error));
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_DEVICE, SIZE, "own", &own, &error));
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_READBACK, SIZE, "back", &back, &error));
    CHECK(d->n_buffers == 3);
    CHECK(staging.mapped && back.mapped && (own.mapped != NULL) == d->plan->unified);
    for (uint32_t i = 0; i < SIZE; i++)
        ((uint8_t *)staging.mapped)[i] = (uint8_t)(i * 7 + i / 251);
    CHECK(sy_vk_buffer_flush(d, &staging, 0, SIZE, &error));
    copy(d, &staging, &own, SIZE);
    copy(d, &own, &back, SIZE);
    CHECK(sy_vk_buffer_invalidate(d, &back, 13, SIZE - 13, &error));
    CHECK(!memcmp(staging.mapped, back.mapped, SIZE));
    sy_vk_buffer_destroy(d, &staging);
    sy_vk_buffer_destroy(d, &own);
    sy_vk_buffer_destroy(d, &back);
    sy_vk_buffer_destroy(d, &back); /* zero is allowed */
    CHECK(d->n_buffers == 0);
    for (uint32_t i = 0; i < SY_MAX_HEAPS; i++)
        CHECK(d->heap_used[i] == 0);
}

static void expect_message(void *user, sy_severity severity, const char *text)
{
    (void)severity;
    if (strstr(text, "SYNC-HAZARD-WRITE-AFTER-WRITE"))
        ++*(int *)user;
}

/* Two copies to the same place without a barrier, recorded and never run: if this is not found, silence proves nothing.
 */
static void test_validation_listens(void)
{
    int found = 0;
    sy_error error = {0};
    sy_vk_instance_params params = {.validation = true, .message = expect_message, .user = &found};
    sy_vk_instance *instance = sy_vk_instance_create(&params, &error);
    REQUIRE(instance);
    sy_vk_device *d = sy_vk_device_create(instance, 0, &error);
    REQUIRE(d);
    sy_vk_buffer a, b;
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_DEVICE, 64, "a", &a, &error));
    REQUIRE(sy_vk_buffer_create(d, SY_MEMORY_DEVICE, 64, "b", &b, &error));
    VkCommandPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                         .queueFamilyIndex = d->plan->family};
    VkCommandPool pool = VK_NULL_HANDLE;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    REQUIRE(d->vk.vkCreateCommandPool(d->handle, &pool_info, NULL, &pool) == VK_SUCCESS);
    VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool,
                                            .commandBufferCount = 1};
    REQUIRE(d->vk.vkAllocateCommandBuffers(d->handle, &allocate, &commands) == VK_SUCCESS);
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    REQUIRE(d->vk.vkBeginCommandBuffer(commands, &begin) == VK_SUCCESS);
    VkBufferCopy region = {.size = 64};
    d->vk.vkCmdCopyBuffer(commands, a.handle, b.handle, 1, &region);
    d->vk.vkCmdCopyBuffer(commands, a.handle, b.handle, 1, &region);
    d->vk.vkEndCommandBuffer(commands);
    CHECK(found == 1 && instance->messages == 1);
    d->vk.vkDestroyCommandPool(d->handle, pool, NULL);
    sy_vk_buffer_destroy(d, &a);
    sy_vk_buffer_destroy(d, &b);
    sy_vk_device_destroy(&d);
    CHECK(instance->messages == 1);
    sy_vk_instance_destroy(&instance);
}

static void test_too_large(sy_vk_device *d)
{
    sy_error error = {0};
    sy_vk_buffer buffer;
    CHECK(!sy_vk_buffer_create(d, SY_MEMORY_DEVICE, d->plan->limits.allocation_bytes + 4, "huge", &buffer, &error));
    CHECK(error.code == SY_CODE_OUT_OF_MEMORY && strstr(error.message, "huge"));
    CHECK(!buffer.handle && !buffer.memory && d->n_buffers == 0);
    CHECK(sy_vk_device_free_bytes(d, SY_MEMORY_DEVICE) > 0);
    CHECK(sy_vk_device_free_bytes(d, SY_MEMORY_DEVICE) <= d->plan->heap_bytes);
}

static void test_leak_is_reported(void)
{
    sy_error error = {0};
    sy_vk_instance *instance = sy_vk_instance_create(NULL, &error);
    REQUIRE(instance);
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        if (!instance->physicals[i].plan.usable)
            continue;
        sy_vk_device *d = sy_vk_device_create(instance, i, &error);
        REQUIRE(d);
        d->heap_used[0] += 64; /* as if a buffer had been forgotten */
        uint32_t before = instance->messages;
        sy_vk_device_destroy(&d);
        CHECK(instance->messages == before + 1);
    }
    sy_vk_instance_destroy(&instance);
}

/* Two instances on two threads: under the sanitizers this also shows that there is no shared state. */
static void *run_alone(void *unused)
{
    sy_error error = {0};
    sy_vk_instance *instance = open_instance();
    (void)unused;
    if (!instance)
        return NULL;
    uint32_t usable = 0;
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        if (!instance->physicals[i].plan.usable)
            continue;
        sy_vk_device *a = sy_vk_device_create(instance, i, &error), *b = sy_vk_device_create(instance, i, &error);
        if (a && b && a->handle != b->handle)
            usable++;
        sy_vk_device_destroy(&a);
        sy_vk_device_destroy(&b);
    }
    bool silent = instance->messages == 0;
    sy_vk_instance_destroy(&instance);
    return silent && usable ? "fine" : NULL;
}

static void test_threads(void)
{
    pthread_t threads[2];
    void *result[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        REQUIRE(!pthread_create(&threads[i], NULL, run_alone, NULL));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], &result[i]);
    CHECK(result[0] && result[1]);
}

static void test_errors(sy_vk_instance *instance)
{
    sy_error error = {0};
    CHECK(!sy_vk_device_create(instance, instance->n_physicals, &error));
    CHECK(error.code == SY_CODE_NOT_FOUND);
    sy_vk_physical *physical = &instance->physicals[0];
    sy_device_plan kept = physical->plan;
    physical->plan.usable = false;
    strcpy(physical->plan.refusal, "Too old.");
    error = (sy_error){0};
    CHECK(!sy_vk_device_create(instance, 0, &error));
    CHECK(error.code == SY_CODE_UNAVAILABLE && strstr(error.message, "Too old."));
    physical->plan = kept;
    error = (sy_error){0};
    CHECK(!sy_vk_check(VK_ERROR_DEVICE_LOST, &error, "waiting"));
    CHECK(error.code == SY_CODE_DEVICE_LOST && strstr(error.message, "waiting: VK_ERROR_DEVICE_LOST"));
    error = (sy_error){0};
    CHECK(!sy_vk_check((VkResult)-77, &error, "waiting") && strstr(error.message, "-77"));
}

int main(void)
{
    sy_error error = {0};
    sy_vk_instance *instance = open_instance();
    if (!instance)
        return check_skip("no Vulkan loader, or no validation layer");
    if (!instance->n_physicals) {
        sy_vk_instance_destroy(&instance);
        return check_skip("no Vulkan device");
    }
    CHECK(instance->validated);
    test_errors(instance);
    for (uint32_t i = 0; i < instance->n_physicals; i++) {
        const sy_vk_physical *physical = &instance->physicals[i];
        printf("%u: %s: %s\n", i, physical->snapshot.name, physical->plan.usable ? "usable" : physical->plan.refusal);
        if (!physical->plan.usable)
            continue;
        sy_vk_device *d = sy_vk_device_create(instance, i, &error);
        CHECK_SAY(d != NULL, "%s", error.message);
        if (!d)
            continue;
        test_round_trip(d);
        test_too_large(d);
        sy_vk_device_destroy(&d);
    }
    CHECK_SAY(instance->messages == 0, "%u validation messages", instance->messages);
    sy_vk_instance_destroy(&instance);
    test_leak_is_reported();
    test_validation_listens();
    test_threads();
    return check_done();
}
