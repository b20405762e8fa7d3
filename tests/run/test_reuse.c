/* A pipeline made after another one: it finds weights and kernels on the device, gives the same bytes as one made anew,
 * and neither minds when the other goes. */
#include "src/switchyard.h"
#include "tests/check.h"

static sy_context *context;
static sy_model *model, *unet;
static const char *device;

#define CHECK_OK(call) CHECK_SAY((call) == SY_OK, "%s", sy_context_message(context))

static sy_pipeline *make(sy_model *m, sy_pipeline_params params)
{
    sy_pipeline *p = NULL;
    params.device = device;
    CHECK_OK(sy_pipeline_create(m, &params, &p));
    REQUIRE(p);
    return p;
}

static sy_result *run(sy_pipeline *p)
{
    static const char *const prompt = "cat face";
    sy_generate_params params = {.prompts = &prompt, .n_prompts = 1, .seed = 7};
    sy_result *r = NULL;
    CHECK_OK(sy_generate(p, &params, &r));
    REQUIRE(r);
    return r;
}

/* Destroys both. */
static void check_same(sy_result *a, sy_result *b)
{
    CHECK(!memcmp(a->data, b->data, (size_t)a->count * a->channels * a->width * a->height * sizeof(float)));
    sy_result_destroy(&a);
    sy_result_destroy(&b);
}

static const sy_pipeline_info *info(const sy_pipeline *p)
{
    return sy_pipeline_get_info(p);
}

/* More steps: nothing of it is new. */
static void test_steps(void)
{
    sy_pipeline *first = make(model, (sy_pipeline_params){.steps = 2}),
                *fresh = make(model, (sy_pipeline_params){.steps = 3}),
                *second = make(model, (sy_pipeline_params){.steps = 3, .reuse = first});
    CHECK(info(first)->reused_bytes == 0 && info(first)->pipelines > 10);
    CHECK(info(second)->reused_bytes == info(fresh)->weight_bytes && info(second)->weight_bytes == info(fresh)->weight_bytes);
    CHECK_SAY(info(second)->pipelines == 0, "%u kernels were made again", info(second)->pipelines);
    CHECK(info(second)->device_bytes < info(fresh)->device_bytes);
    sy_result *before = run(first);
    check_same(run(second), run(fresh)); /* while the first lives, and when it does not */
    check_same(run(first), before);
    sy_pipeline_destroy(&first);
    check_same(run(second), run(fresh));
    sy_pipeline *third = make(model, (sy_pipeline_params){.steps = 3, .guidance = 3, .reuse = second});
    CHECK(info(third)->pipelines == 0 && info(third)->reused_bytes == info(second)->weight_bytes);
    sy_pipeline_destroy(&third); /* the newer one first */
    check_same(run(second), run(fresh));
    sy_pipeline_destroy(&second);
    sy_pipeline_destroy(&fresh);
}

/* A change of the network: what it does not touch is there. */
static void test_setting(void)
{
    static const sy_named_setting freeu = {"freeu", "1.1,1.2,0.9,0.4"};
    sy_pipeline_params params = {.steps = 1, .settings = &freeu, .n_settings = 1};
    sy_pipeline *plain = make(unet, (sy_pipeline_params){.steps = 1}), *fresh = make(unet, params);
    params.reuse = plain;
    sy_pipeline *second = make(unet, params);
    CHECK(info(second)->pipelines > 0 && info(second)->pipelines < info(fresh)->pipelines / 2);
    CHECK(info(second)->reused_bytes > info(second)->weight_bytes * 9 / 10);
    printf("%s: FreeU after a run without: %u kernels of %u made, %.0f %% of the weights were there\n", device,
           info(second)->pipelines, info(fresh)->pipelines,
           100.0 * (double)info(second)->reused_bytes / (double)info(second)->weight_bytes);
    sy_pipeline_destroy(&plain);
    check_same(run(second), run(fresh));
    sy_pipeline_destroy(&second);
    sy_pipeline_destroy(&fresh);
}

static bool never(void *user, uint64_t done, uint64_t total)
{
    uint64_t *asked = user;
    *asked = total;
    return done == total;
}

/* Another model has other weights, also of the same name; what was cancelled while loading leaves nothing behind. */
static void test_others(void)
{
    uint64_t asked = 0;
    sy_pipeline *other = make(unet, (sy_pipeline_params){.steps = 1}), *p = NULL,
                *second = make(model, (sy_pipeline_params){.steps = 1, .reuse = other}),
                *fresh = make(model, (sy_pipeline_params){.steps = 1});
    CHECK(info(second)->reused_bytes == 0);
    check_same(run(second), run(fresh));
    sy_pipeline_params params = {.device = device, .steps = 1, .reuse = second, .precision = SY_PRECISION_F32,
                                 .loading = never, .user = &asked};
    sy_status status = sy_pipeline_create(model, &params, &p);
    CHECK_SAY(status == SY_ERROR_CANCELLED && !p && asked > 0, "%s", sy_status_text(status));
    check_same(run(second), run(fresh));
    params.precision = SY_PRECISION_F16;
    params.loading = NULL;
    p = make(model, params);
    CHECK(info(p)->reused_bytes <= info(p)->weight_bytes);
    sy_pipeline_destroy(&other);
    sy_pipeline_destroy(&second);
    sy_result *r = run(p);
    sy_result_destroy(&r);
    sy_pipeline_destroy(&p);
    sy_pipeline_destroy(&fresh);
}

int main(void)
{
    const sy_device_info *devices;
    const char *driver = getenv("SWITCHYARD_TEST_DRIVER");
    size_t n;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK);
    CHECK_OK(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model));
    CHECK_OK(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-unet.safetensors", &unet));
    CHECK_OK(sy_context_devices(context, &devices, &n));
    REQUIRE(model && unet);
    for (size_t i = 0; i + 1 < n; i++) {
        if (!devices[i].usable)
            continue;
        device = devices[i].name;
        test_steps();
        if (driver && !strcmp(driver, "swiftshader"))
            continue; /* minutes for the kernels of the U-Net, which are made anew on purpose */
        test_setting();
        test_others();
    }
    device = "reference"; /* has nothing to use again, and says nothing of it */
    sy_pipeline *slow = make(model, (sy_pipeline_params){.steps = 1}),
                *again = make(model, (sy_pipeline_params){.steps = 1, .reuse = slow});
    CHECK(info(again)->reused_bytes == 0);
    sy_pipeline_destroy(&slow);
    sy_pipeline_destroy(&again);
    sy_model_destroy(&model);
    sy_model_destroy(&unet);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    return check_done();
}
