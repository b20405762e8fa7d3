/* Counters of every dispatch, on a driver made up over a real one: no driver here has VK_KHR_performance_query. The functions of
 * the extension are the test's own and hold the caller to the specification; all else, the work included, is the device's. */
#include "graph/ir/build.h"
#include "graph/program.h"
#include "src/device/counters.h"
#include "src/run/count.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

enum { STEPS = 3, PASSES = 2, COUNTERS = 3, MOST = 64 };

static struct VolkDeviceTable real;
static sy_vk_instance_functions real_instance;
static const VkQueryPool pool = (VkQueryPool)(uintptr_t)0x5150;
static VkResult lock_answer;
static bool locked, asked_for_feature, unfinished;
static uint32_t locks, pools, n_queries, taken[MOST][PASSES]; /* how often each query was submitted in each pass */
static VkCommandBuffer counted[MOST];
static int at; /* in the command buffer that is open: commands, dispatches between begin and end of a query */
static int inside;
static bool ended;

/* ---- the instance ---- */

static VKAPI_ATTR void VKAPI_CALL features2(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features)
{
    VkPhysicalDevicePerformanceQueryFeaturesKHR *asked = features->pNext;
    if (asked && asked->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PERFORMANCE_QUERY_FEATURES_KHR) {
        asked->performanceCounterQueryPools = VK_TRUE;
        features->pNext = asked->pNext; /* the driver does not know it */
    }
    real_instance.vkGetPhysicalDeviceFeatures2(physical, features);
}

static VKAPI_ATTR VkResult VKAPI_CALL enumerate(VkPhysicalDevice physical, uint32_t family, uint32_t *n, VkPerformanceCounterKHR *counters,
                                                VkPerformanceCounterDescriptionKHR *texts)
{
    (void)physical, (void)family;
    for (uint32_t i = 0; counters && i < *n && i < COUNTERS; i++) {
        CHECK(counters[i].sType == VK_STRUCTURE_TYPE_PERFORMANCE_COUNTER_KHR && texts[i].sType == VK_STRUCTURE_TYPE_PERFORMANCE_COUNTER_DESCRIPTION_KHR);
        counters[i].unit = i == 1 ? VK_PERFORMANCE_COUNTER_UNIT_PERCENTAGE_KHR : VK_PERFORMANCE_COUNTER_UNIT_CYCLES_KHR;
        counters[i].storage = i == 1 ? VK_PERFORMANCE_COUNTER_STORAGE_FLOAT32_KHR : VK_PERFORMANCE_COUNTER_STORAGE_UINT64_KHR;
        counters[i].scope = VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_BUFFER_KHR;
        snprintf(texts[i].name, sizeof texts[i].name, "counter %u", i);
        texts[i].flags = i == 2 ? VK_PERFORMANCE_COUNTER_DESCRIPTION_PERFORMANCE_IMPACTING_BIT_KHR : 0;
    }
    *n = COUNTERS;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL passes(VkPhysicalDevice physical, const VkQueryPoolPerformanceCreateInfoKHR *info, uint32_t *n)
{
    (void)physical;
    CHECK(info->sType == VK_STRUCTURE_TYPE_QUERY_POOL_PERFORMANCE_CREATE_INFO_KHR && info->counterIndexCount == 2 && info->pCounterIndices[1] == 1);
    *n = PASSES;
}

/* What the real driver has not got is checked, and taken out again. */
static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out)
{
    const char *names[64];
    VkDeviceCreateInfo less = *info;
    uint32_t n = 0;
    for (uint32_t i = 0; i < info->enabledExtensionCount && i < 64; i++)
        if (strcmp(info->ppEnabledExtensionNames[i], VK_KHR_PERFORMANCE_QUERY_EXTENSION_NAME))
            names[n++] = info->ppEnabledExtensionNames[i];
    bool extension = n + 1 == info->enabledExtensionCount, feature = false;
    less.enabledExtensionCount = n;
    less.ppEnabledExtensionNames = names;
    VkBaseOutStructure *before = (void *)info->pNext; /* features of Vulkan 1.2 come first */
    for (VkBaseOutStructure *s = before->pNext; s; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PERFORMANCE_QUERY_FEATURES_KHR) {
            feature = ((VkPhysicalDevicePerformanceQueryFeaturesKHR *)(void *)s)->performanceCounterQueryPools;
            before->pNext = s->pNext;
        } else {
            before = s;
        }
    asked_for_feature = extension && feature;
    return real_instance.vkCreateDevice(physical, &less, a, out);
}

/* ---- the device ---- */

static VKAPI_ATTR VkResult VKAPI_CALL acquire(VkDevice device, const VkAcquireProfilingLockInfoKHR *info)
{
    (void)device;
    CHECK(info->sType == VK_STRUCTURE_TYPE_ACQUIRE_PROFILING_LOCK_INFO_KHR && info->timeout && !locked);
    locked = lock_answer == VK_SUCCESS;
    locks += locked;
    return lock_answer;
}

static VKAPI_ATTR void VKAPI_CALL release(VkDevice device)
{
    (void)device;
    CHECK(locked && !pools);
    for (int i = 0; i < MOST; i++)
        CHECK(!counted[i]); /* none is left that was counted */
    locked = false;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pool(VkDevice device, const VkQueryPoolCreateInfo *info, const VkAllocationCallbacks *a, VkQueryPool *out)
{
    const VkQueryPoolPerformanceCreateInfoKHR *what = info->pNext;
    (void)device, (void)a;
    CHECK(info->queryType == VK_QUERY_TYPE_PERFORMANCE_QUERY_KHR && what && what->sType == VK_STRUCTURE_TYPE_QUERY_POOL_PERFORMANCE_CREATE_INFO_KHR);
    CHECK(what->counterIndexCount == 2 && what->pCounterIndices[0] == 0 && what->pCounterIndices[1] == 1);
    REQUIRE(info->queryCount <= MOST);
    n_queries = info->queryCount;
    pools++;
    *out = pool;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_pool(VkDevice device, VkQueryPool which, const VkAllocationCallbacks *a)
{
    (void)device, (void)a;
    CHECK(which == pool);
    pools--;
}

static VKAPI_ATTR void VKAPI_CALL reset_pool(VkDevice device, VkQueryPool which, uint32_t first, uint32_t n)
{
    (void)device;
    CHECK(which == pool && first == 0 && n == n_queries);
    memset(taken, 0, sizeof taken);
}

static VKAPI_ATTR VkResult VKAPI_CALL begin_commands(VkCommandBuffer c, const VkCommandBufferBeginInfo *info)
{
    at = inside = 0;
    ended = false;
    return real.vkBeginCommandBuffer(c, info);
}

static VKAPI_ATTR void VKAPI_CALL begin_query(VkCommandBuffer c, VkQueryPool which, uint32_t query, VkQueryControlFlags flags)
{
    CHECK(which == pool && query < n_queries && !flags && locked && at == 0 && !counted[query]);
    counted[query] = c;
}

static VKAPI_ATTR void VKAPI_CALL end_query(VkCommandBuffer c, VkQueryPool which, uint32_t query)
{
    CHECK(which == pool && query < n_queries && counted[query] == c && inside == 1 && !ended);
    ended = true;
}

static VKAPI_ATTR void VKAPI_CALL bind_pipeline(VkCommandBuffer c, VkPipelineBindPoint point, VkPipeline pipeline)
{
    CHECK(!ended);
    at++;
    real.vkCmdBindPipeline(c, point, pipeline);
}

static VKAPI_ATTR void VKAPI_CALL barrier(VkCommandBuffer c, VkPipelineStageFlags from, VkPipelineStageFlags to, VkDependencyFlags flags, uint32_t n,
                                          const VkMemoryBarrier *memory, uint32_t n_buffers, const VkBufferMemoryBarrier *buffers,
                                          uint32_t n_images, const VkImageMemoryBarrier *images)
{
    CHECK(!ended);
    at++;
    real.vkCmdPipelineBarrier(c, from, to, flags, n, memory, n_buffers, buffers, n_images, images);
}

static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer c, uint32_t x, uint32_t y, uint32_t z)
{
    CHECK(!ended);
    at++;
    inside++;
    real.vkCmdDispatch(c, x, y, z);
}

static VKAPI_ATTR void VKAPI_CALL free_commands(VkDevice device, VkCommandPool from, uint32_t n, const VkCommandBuffer *list)
{
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < MOST; k++)
            counted[k] = counted[k] == list[i] ? NULL : counted[k];
    real.vkFreeCommandBuffers(device, from, n, list);
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    VkTimelineSemaphoreSubmitInfo timeline = *(const VkTimelineSemaphoreSubmitInfo *)infos->pNext;
    const VkPerformanceQuerySubmitInfoKHR *pass = timeline.pNext;
    VkSubmitInfo less = *infos;
    REQUIRE(n == 1 && timeline.sType == VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
    for (uint32_t i = 0; i < less.commandBufferCount; i++)
        for (uint32_t q = 0; q < n_queries; q++)
            if (counted[q] && less.pCommandBuffers[i] == counted[q]) {
                REQUIRE(pass && pass->sType == VK_STRUCTURE_TYPE_PERFORMANCE_QUERY_SUBMIT_INFO_KHR && pass->counterPassIndex < PASSES && locked);
                taken[q][pass->counterPassIndex]++;
            }
    timeline.pNext = NULL;
    less.pNext = &timeline;
    return real.vkQueueSubmit(queue, 1, &less, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL results(VkDevice device, VkQueryPool which, uint32_t first, uint32_t n, size_t size, void *data,
                                              VkDeviceSize stride, VkQueryResultFlags flags)
{
    VkPerformanceCounterResultKHR *out = data;
    (void)device;
    CHECK(which == pool && first == 0 && n == n_queries && stride == 2 * sizeof *out && size == n * stride && !(flags & ~(VkFlags)VK_QUERY_RESULT_WAIT_BIT));
    for (uint32_t q = 0; q < n; q++) {
        for (int p = 0; p < PASSES; p++)
            CHECK_SAY(taken[q][p] == 1, "query %u, pass %d: %u times", q, p, taken[q][p]);
        out[2 * q].uint64 = 1000 + q;
        out[2 * q + 1].float32 = 12.5f;
    }
    return unfinished ? VK_NOT_READY : VK_SUCCESS;
}

static void fake(sy_vk_device *d)
{
    real = d->vk;
    d->vk.vkAcquireProfilingLockKHR = acquire, d->vk.vkReleaseProfilingLockKHR = release;
    d->vk.vkCreateQueryPool = create_pool, d->vk.vkDestroyQueryPool = destroy_pool, d->vk.vkResetQueryPool = reset_pool;
    d->vk.vkBeginCommandBuffer = begin_commands, d->vk.vkFreeCommandBuffers = free_commands;
    d->vk.vkCmdBeginQuery = begin_query, d->vk.vkCmdEndQuery = end_query;
    d->vk.vkCmdBindPipeline = bind_pipeline, d->vk.vkCmdPipelineBarrier = barrier, d->vk.vkCmdDispatch = dispatch;
    d->vk.vkQueueSubmit = submit, d->vk.vkGetQueryPoolResults = results;
}

static sy_program *program(const sy_vk_device *d)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("layers");
    REQUIRE(g);
    sy_value x = sy_state(g, "x", SY_T(SY_F32, 20, 12)), w = sy_input(g, "w", SY_T(SY_F32, 12, 12));
    for (int i = 0; i < 3; i++)
        x = sy_matmul(g, sy_row(g, SY_OP_SOFTMAX, x, 0), w, false);
    sy_carry(g, "x", x);
    REQUIRE(sy_graph_check(g, NULL));
    sy_program *p = sy_compile(g, &(sy_compile_params){.limits = &d->plan->limits, .max_steps = STEPS}, &error);
    CHECK_SAY(p != NULL, "%s", error.message);
    sy_graph_destroy(&g);
    REQUIRE(p && p->n_dispatches >= 3);
    return p;
}

static float state(sy_session *s, uint32_t i)
{
    sy_error error = {0};
    sy_session_result r;
    CHECK_SAY(sy_session_run(s, NULL, NULL, &error), "%s", error.message);
    REQUIRE(sy_session_read(s, "x", &r, &error) && r.data);
    return ((const float *)r.data)[i];
}

static void count(sy_vk_device *d)
{
    static const uint32_t which[] = {0, 1};
    float w[144];
    sy_error error = {0};
    sy_arena arena = {0};
    sy_counts counts;
    for (int i = 0; i < 144; i++)
        w[i] = (float)(i % 7) - 3;
    sy_program *p = program(d);
    sy_session *s = sy_session_create(&(sy_session_params){.device = d, .step = p, .n_steps = STEPS}, &error);
    REQUIRE(s);
    CHECK(!sy_session_count(s, which, 2, PASSES, &arena, &counts, &error) && strstr(error.message, "\"w\"")); /* not written yet */
    error = (sy_error){0};
    REQUIRE(sy_session_write(s, "w", w, sizeof w, &error));
    float before = state(s, 17);
    CHECK(sy_counters_passes(d, which, 2) == PASSES);
    CHECK_SAY(sy_session_count(s, which, 2, PASSES, &arena, &counts, &error), "%s", error.message);
    CHECK(locks == 1 && !locked && counts.n == p->n_dispatches && n_queries == counts.n);
    for (uint32_t i = 0; i < counts.n; i++)
        CHECK(counts.rows[i].program == 0 && counts.rows[i].dispatch == i && counts.rows[i].results[0].uint64 == 1000 + i &&
              counts.rows[i].results[1].float32 == 12.5f);
    CHECK(state(s, 17) == before); /* and the session runs as it did */
    unfinished = true;
    error = (sy_error){0};
    CHECK(!sy_session_count(s, which, 2, PASSES, &arena, &counts, &error) && error.code == SY_CODE_UNAVAILABLE && !locked && !counts.n);
    unfinished = false;
    lock_answer = VK_TIMEOUT;
    error = (sy_error){0};
    CHECK(!sy_session_count(s, which, 2, PASSES, &arena, &counts, &error) && error.code == SY_CODE_UNAVAILABLE && strstr(error.message, "somebody else"));
    lock_answer = VK_SUCCESS;
    CHECK(state(s, 17) == before);
    sy_session_destroy(&s);
    sy_program_destroy(&p);
    sy_arena_free(&arena);
}

static void test_device(sy_vk_device *d)
{
    sy_vk_instance *instance = d->instance;
    uint32_t index = 0;
    sy_arena arena = {0};
    sy_error error = {0};
    sy_counters list;
    sy_counts counts;
    while (instance->physicals[index].handle != d->physical)
        index++;
    sy_vk_physical *physical = &instance->physicals[index];
    if (!sy_counters_missing(instance, index) || !physical->plan.host_query_reset)
        return; /* a driver that has it is not to be faked */
    CHECK(!sy_counters_list(instance, index, &arena, &list, &error) && error.code == SY_CODE_UNAVAILABLE);
    sy_vk_device *plain = sy_counters_device(instance, index, &error);
    REQUIRE(plain);
    CHECK(!plain->counters);
    sy_program *p = program(plain);
    sy_session *s = sy_session_create(&(sy_session_params){.device = plain, .step = p}, &error);
    REQUIRE(s);
    CHECK(!sy_session_count(s, &(uint32_t){0}, 1, 1, &arena, &counts, &error) && error.code == SY_CODE_UNAVAILABLE);
    sy_session_destroy(&s);
    sy_program_destroy(&p);
    sy_vk_device_destroy(&plain);

    real_instance = instance->vk;
    REQUIRE(sy_snapshot_add_extension(&physical->snapshot, VK_KHR_PERFORMANCE_QUERY_EXTENSION_NAME));
    CHECK(strstr(sy_counters_missing(instance, index), "feature") != NULL); /* the real driver has no such feature */
    instance->vk.vkGetPhysicalDeviceFeatures2 = features2;
    instance->vk.vkCreateDevice = create_device;
    instance->vk.vkEnumeratePhysicalDeviceQueueFamilyPerformanceQueryCountersKHR = enumerate;
    instance->vk.vkGetPhysicalDeviceQueueFamilyPerformanceQueryPassesKHR = passes;
    CHECK(!sy_counters_missing(instance, index));
    CHECK_SAY(sy_counters_list(instance, index, &arena, &list, &error) && list.n == COUNTERS, "%s", error.message);
    CHECK_TEXT(list.list[2].name, "counter 2");
    CHECK(list.list[2].slows && !list.list[1].slows && list.list[1].unit == VK_PERFORMANCE_COUNTER_UNIT_PERCENTAGE_KHR);
    sy_vk_device *with = sy_counters_device(instance, index, &error);
    CHECK_SAY(with && with->counters && asked_for_feature, "%s", error.message);
    REQUIRE(with);
    fake(with);
    locks = 0;
    count(with);
    with->vk = real;
    sy_vk_device_destroy(&with);
    asked_for_feature = false;
    with = sy_vk_device_create(instance, index, &error); /* nobody asks for counters: no trace of them */
    CHECK(with && !with->counters && !asked_for_feature);
    sy_vk_device_destroy(&with);
    instance->vk = real_instance;
    sy_arena_free(&arena);
}

int main(void)
{
    if (!sy_test_devices(test_device))
        return check_skip("no Vulkan device");
    return check_done();
}
