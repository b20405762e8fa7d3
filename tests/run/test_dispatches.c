/* The time of each dispatch through the public interface: named as the graph names them, in order, adding up; refused
 * with a reason where there are none. */
#include "src/switchyard.h"
#include "tests/check.h"

static sy_context *context;
static sy_model *model;

static bool has_timestamps(sy_pipeline *p)
{
    const sy_dispatch_time *list;
    size_t n;
    return sy_pipeline_dispatches(p, &list, &n) == SY_OK;
}

static void test_refused(const char *device)
{
    const sy_dispatch_time *list;
    size_t n = 1;
    sy_pipeline *p = NULL;
    REQUIRE(sy_pipeline_create(model, &(sy_pipeline_params){.device = device, .steps = 1}, &p) == SY_OK);
    CHECK(sy_pipeline_dispatches(p, &list, &n) == SY_ERROR_UNAVAILABLE && !list && n == 0);
    CHECK(strstr(sy_context_message(context), "timings"));
    sy_pipeline_destroy(&p);
}

static void run(sy_pipeline *p)
{
    sy_result *r = NULL;
    const char *prompt = "owl";
    REQUIRE(sy_generate(p, &(sy_generate_params){.prompts = &prompt, .n_prompts = 1}, &r) == SY_OK);
    sy_result_destroy(&r);
}

static void test_times(const char *device)
{
    const sy_dispatch_time *list;
    size_t n;
    sy_pipeline *p = NULL;
    const sy_named_setting interval = {"guidance.steps", "0,1"}; /* two programs: the last step runs the unguided one */
    sy_pipeline_params params = {.device = device, .steps = 3, .timings = true, .settings = &interval, .n_settings = 1};
    REQUIRE(sy_pipeline_create(model, &params, &p) == SY_OK);
    CHECK(!has_timestamps(p)); /* nothing has run */
    run(p);
    if (!has_timestamps(p)) {
        printf("%s has no timestamps\n", device);
        sy_pipeline_destroy(&p);
        return;
    }
    CHECK(sy_pipeline_get_info(p)->programs == 2);
    CHECK(sy_pipeline_dispatches(p, &list, &n) == SY_OK && n > 10);
    double sum = 0, end = 0;
    bool blocks = false, grouped = false, kernels = true;
    for (size_t i = 0; i < n; i++) {
        CHECK_SAY(list[i].seconds >= 0 && list[i].begin >= end, "dispatch %zu begins at %g, before %g, and takes %g", i,
                  list[i].begin, end, list[i].seconds);
        end = list[i].begin + list[i].seconds;
        sum += list[i].seconds;
        blocks = blocks || !strncmp(list[i].layer, "blocks.0", 8);
        grouped = grouped || !strcmp(list[i].kind, "grouped matmul");
        kernels = kernels && *list[i].kernel && *list[i].name && list[i].bytes > 0;
    }
    CHECK(blocks && grouped && kernels && sum > 0 && sum <= end);
    sy_pipeline_destroy(&p);
}

int main(void)
{
    const sy_device_info *devices;
    size_t n;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK);
    REQUIRE(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model) == SY_OK);
    REQUIRE(sy_context_devices(context, &devices, &n) == SY_OK && n >= 1);
    test_refused("reference");
    for (size_t i = 0; i + 1 < n; i++) {
        if (!devices[i].usable)
            continue;
        test_refused(devices[i].name);
        test_times(devices[i].name);
    }
    sy_model_destroy(&model);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    return check_done();
}
