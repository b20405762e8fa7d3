/* The devices of a context, shared with who draws: extensions are enabled where they are there, the queue works under
 * the lock from another thread while a network runs, and a context without the wish says so. */
#include "tests/check.h"
#include "tests/run/help_draw.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct drawer {
    sy_drawer draw;
    atomic_bool stop, failed;
    atomic_uint submissions;
} drawer;

static void *draw(void *context)
{
    drawer *d = context;
    while (!atomic_load(&d->stop)) {
        if (!sy_drawer_read(&d->draw, VK_NULL_HANDLE, 0, 0))
            atomic_store(&d->failed, true);
        atomic_fetch_add(&d->submissions, 1);
    }
    return NULL;
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
    sy_vulkan v;
    CHECK_SAY(sy_context_vulkan(context, device, &v) == SY_OK, "%s", sy_context_message(context));
    CHECK(v.instance && v.physical_device && v.device && v.get_instance_proc_addr);
    CHECK(v.n_instance_extensions == 1 && !strcmp(v.instance_extensions[0], "VK_KHR_surface"));
    CHECK(v.n_device_extensions == 1 && !strcmp(v.device_extensions[0], "VK_KHR_swapchain"));
    if (!v.queue)
        return;
    REQUIRE(sy_drawer_open(&d.draw, &v, 4));
    run_beside(context, device, &d);
    sy_drawer_close(&d.draw);
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
