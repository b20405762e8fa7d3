/* The public interface from file to pictures, on every device: the same bytes each time, a batch is its singles, taps
 * cost nothing unasked, cancelling leaves things usable, bad arguments and files are named. The default model, few steps. */
#include "src/switchyard.h"
#include "tests/check.h"

#include <math.h>

static sy_context *context;
static sy_model *model;
static const char *device;

#define CHECK_OK(call) CHECK_SAY((call) == SY_OK, "%s", sy_context_message(context))

static sy_pipeline *pipeline(sy_pipeline_params params)
{
    sy_pipeline *p = NULL;
    params.device = device;
    CHECK_OK(sy_pipeline_create(model, &params, &p));
    REQUIRE(p);
    return p;
}

static sy_result *generate(sy_pipeline *p, uint32_t n_prompts, const char *const *prompts, const uint32_t *seeds)
{
    sy_result *r = NULL;
    sy_generate_params params = {.prompts = prompts, .n_prompts = n_prompts, .seeds = seeds};
    CHECK_OK(sy_generate(p, &params, &r));
    REQUIRE(r);
    return r;
}

static size_t picture_bytes(const sy_result *r)
{
    return (size_t)r->width * r->height * r->channels * sizeof(float);
}

static const char *const prompts[] = {"cat face", "red apple", "grinning face", "cat face"};
static const uint32_t seeds[] = {7, 8, 9, 4000000000u};

static void test_same_bytes(int runs)
{
    sy_pipeline *p = pipeline((sy_pipeline_params){.steps = 2});
    sy_result *first = generate(p, 1, prompts, seeds);
    CHECK(first->count == 1 && first->pictures && first->n_taps == 0 && first->width == sy_model_get_info(model)->width);
    double sum = 0;
    for (size_t i = 0; i < picture_bytes(first) / sizeof(float); i++) {
        REQUIRE(isfinite(first->data[i]));
        sum += fabs((double)first->data[i]);
    }
    CHECK(sum > 0);
    for (int i = 1; i < runs; i++) {
        sy_result *again = generate(p, 1, prompts, seeds);
        CHECK(!memcmp(first->data, again->data, picture_bytes(first)));
        CHECK(strcmp(device, "reference") == 0 || again->host_waits == 1);
        sy_result_destroy(&again);
    }
    uint32_t other = 8; /* another seed, another picture */
    sy_result *second = generate(p, 1, prompts, &other);
    CHECK(memcmp(first->data, second->data, picture_bytes(first)) != 0);
    sy_result_destroy(&second);
    second = generate(p, 1, prompts + 1, seeds);
    CHECK(memcmp(first->data, second->data, picture_bytes(first)) != 0);
    sy_result_destroy(&second);
    sy_result_destroy(&first);
    sy_pipeline_destroy(&p);
}

static void test_batch(void)
{
    sy_pipeline *four = pipeline((sy_pipeline_params){.steps = 2, .count = 4}), *one = pipeline((sy_pipeline_params){.steps = 2});
    sy_result *together = generate(four, 4, prompts, seeds);
    CHECK(together->count == 4);
    for (int i = 0; i < 4; i++) {
        sy_result *alone = generate(one, 1, prompts + i, seeds + i);
        const float *a = together->data + (size_t)i * picture_bytes(alone) / sizeof(float);
        double worst = 0;
        for (size_t k = 0; k < picture_bytes(alone) / sizeof(float); k++)
            worst = fmax(worst, fabs((double)a[k] - (double)alone->data[k]));
        CHECK_SAY(!memcmp(a, alone->data, picture_bytes(alone)), "picture %d differs by up to %g", i, worst);
        sy_result_destroy(&alone);
    }
    sy_result_destroy(&together);
    sy_pipeline_destroy(&one);
    sy_pipeline_destroy(&four);
}

static void test_taps(void)
{
    static const char *const names[] = {"preview", "*.route"};
    sy_pipeline *bare = pipeline((sy_pipeline_params){.steps = 2, .guidance = 1}),
                *tapped = pipeline((sy_pipeline_params){.steps = 2, .guidance = 1, .taps = names, .n_taps = 2});
    sy_result *a = generate(bare, 1, prompts, seeds), *b = generate(tapped, 1, prompts, seeds);
    CHECK(!memcmp(a->data, b->data, picture_bytes(a))); /* looking changes nothing */
    CHECK(a->n_taps == 0);
    uint32_t routes = 0;
    for (uint32_t i = 0; i < b->n_taps; i++) {
        const sy_tap_result *t = &b->taps[i];
        CHECK(t->evaluations == 2);
        if (!t->is_route) {
            CHECK_TEXT(t->name, "preview");
            CHECK(t->array.rank == 4 && t->array.bytes == 2 * picture_bytes(b));
            /* after the last step the estimate is the picture */
            const float *last = (const float *)t->array.data + picture_bytes(b) / sizeof(float);
            double worst = 0;
            for (size_t k = 0; k < picture_bytes(b) / sizeof(float); k++)
                worst = fmax(worst, fabs((double)last[k] - (double)b->data[k]));
            CHECK_SAY(worst < 1e-5, "off by %g", worst);
            continue;
        }
        routes++;
        CHECK(t->rows == (int32_t)b->tokens_per_picture && t->targets == (int32_t)sy_model_get_info(model)->experts);
        for (uint32_t s = 0; s < t->evaluations; s++) {
            CHECK(t->steps[s].n_slots == (uint32_t)t->rows * sy_model_get_info(model)->top_k);
            for (uint32_t k = 1; k < t->steps[s].n_slots; k++) /* sorted by target, then row */
                CHECK(t->steps[s].target[k] > t->steps[s].target[k - 1] ||
                      (t->steps[s].target[k] == t->steps[s].target[k - 1] && t->steps[s].row[k] > t->steps[s].row[k - 1]));
        }
    }
    CHECK(routes == sy_model_get_info(model)->mixtures);
    sy_result_destroy(&a);
    sy_result_destroy(&b);
    sy_pipeline_destroy(&bare);
    sy_pipeline_destroy(&tapped);
}

typedef struct watching {
    uint32_t calls, stop_after, last;
    double left;
} watching;

static bool watch(void *user, const sy_progress *p)
{
    watching *w = user;
    CHECK(p->done >= w->last && p->done <= p->total);
    w->last = p->done;
    w->left = p->seconds_left;
    return ++w->calls <= w->stop_after;
}

static void test_cancel(void)
{
    sy_pipeline *p = pipeline((sy_pipeline_params){.steps = 3});
    sy_result *r = NULL, *good;
    watching w = {.stop_after = 0};
    sy_generate_params params = {.prompts = prompts, .n_prompts = 1, .progress = watch, .user = &w};
    CHECK(sy_generate(p, &params, &r) == SY_ERROR_CANCELLED && !r);
    w = (watching){.stop_after = UINT32_MAX};
    CHECK_OK(sy_generate(p, &params, &r));
    CHECK(w.last == 3 && w.left == 0);
    uint32_t zero = 0;
    good = generate(p, 1, prompts, &zero);
    CHECK(r && !memcmp(r->data, good->data, picture_bytes(good)));
    sy_result_destroy(&r);
    sy_result_destroy(&good);
    sy_pipeline_destroy(&p);
}

static void expect_refused(sy_status status, sy_status wanted, const char *says)
{
    CHECK_SAY(status == wanted && strstr(sy_context_message(context), says), "%s: %s", sy_status_text(status), sy_context_message(context));
}

static void test_refusals(void)
{
    sy_pipeline *p = NULL;
    sy_result *r = NULL;
    sy_pipeline_params bad = {.device = "no such device"};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_NOT_FOUND, "no such device");
    bad = (sy_pipeline_params){.device = device, .sampler = SY_SAMPLER_DDIM};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_INVALID_ARGUMENT, "use euler or heun");
    bad = (sy_pipeline_params){.device = device, .guidance = -1};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_INVALID_ARGUMENT, "guidance");
    const char *no_tap = "blocks.99.route";
    bad = (sy_pipeline_params){.device = device, .taps = &no_tap, .n_taps = 1};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_NOT_FOUND, "blocks.99.route");
    CHECK(!p);

    p = pipeline((sy_pipeline_params){.steps = 1, .count = 2});
    const char *words[] = {"cat fase", "zzqqx"};
    sy_generate_params params = {.prompts = words, .n_prompts = 1};
    expect_refused(sy_generate(p, &params, &r), SY_ERROR_NOT_FOUND, "\"face\"");
    params.prompts = words + 1;
    expect_refused(sy_generate(p, &params, &r), SY_ERROR_NOT_FOUND, "zzqqx");
    params = (sy_generate_params){.prompts = prompts, .n_prompts = 3};
    expect_refused(sy_generate(p, &params, &r), SY_ERROR_INVALID_ARGUMENT, "one prompt");
    expect_refused(sy_generate(p, NULL, &r), SY_ERROR_INVALID_ARGUMENT, "one prompt");
    CHECK(!r);
    sy_pipeline_destroy(&p);
}

static void test_files(void)
{
    sy_model *m = NULL;
    char path[] = "/tmp/switchyard-test-XXXXXX";
    int file = mkstemp(path);
    REQUIRE(file >= 0);
    expect_refused(sy_model_open(context, "/nonexistent.safetensors", &m), SY_ERROR_NOT_FOUND, "/nonexistent.safetensors");
    expect_refused(sy_model_open(context, path, &m), SY_ERROR_INVALID_FILE, path);
    FILE *f = fopen(path, "wb");
    REQUIRE(f);
    fwrite("\x10\0\0\0\0\0\0\0{\"a\":1}         ", 1, 24, f);
    fclose(f);
    expect_refused(sy_model_open(context, path, &m), SY_ERROR_INVALID_FILE, path);
    expect_refused(sy_model_open(context, NULL, &m), SY_ERROR_INVALID_ARGUMENT, "path");
    CHECK(!m);
    remove(path);
}

static void test_graph(void)
{
    static const char text[] = "graph \"g\" {\n"
                               "  %x = input \"x\" : f32[2,3]\n"
                               "  %w = input \"w\" : f16[3,4]\n"
                               "  %n = state \"n\" : f32[2,4]\n"
                               "  %y = matmul(%x, %w) : f32[2,4]\n"
                               "  %m = add(%n, %y)\n"
                               "  carry \"n\" %m\n"
                               "  output \"y\" %m\n"
                               "  tap \"product\" %y\n"
                               "}\n";
    static const float x[] = {1, 2, 3, 4, 5, 6}, w[] = {1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1}, wanted[] = {1, 2, 3, 6, 4, 5, 6, 15};
    sy_array inputs[] = {{.name = "x", .rank = 2, .dim = {2, 3}, .data = x, .bytes = sizeof x},
                         {.name = "w", .rank = 2, .dim = {3, 4}, .data = w, .bytes = sizeof w}}; /* converted to f16 */
    const char *taps = "prod*";
    sy_graph_params params = {.device = device, .taps = &taps, .n_taps = 1, .steps = 3};
    sy_graph_result *r = NULL;
    char path[] = "/tmp/switchyard-test-XXXXXX";
    int file = mkstemp(path);
    REQUIRE(file >= 0);
    FILE *f = fdopen(file, "wb");
    REQUIRE(f);
    fputs(text, f);
    fclose(f);
    CHECK_OK(sy_graph_run(context, path, inputs, 2, &params, &r));
    REQUIRE(r);
    CHECK(r->n_outputs == 1 && r->n_taps == 1 && r->outputs[0].rank == 2 && r->outputs[0].dim[1] == 4);
    for (int i = 0; i < 8; i++) {
        CHECK(((const float *)r->outputs[0].data)[i] == 3 * wanted[i]); /* three steps carried on */
        CHECK(((const float *)r->taps[0].array.data)[16 + i] == wanted[i]);
    }
    sy_graph_result_destroy(&r);
    CHECK(!r);
    expect_refused(sy_graph_run(context, path, inputs, 1, &params, &r), SY_ERROR_INVALID_ARGUMENT, "\"w\"");
    inputs[1].dim[0] = 4;
    expect_refused(sy_graph_run(context, path, inputs, 2, &params, &r), SY_ERROR_INVALID_ARGUMENT, "f16[3,4]");
    inputs[1].dim[0] = 3;
    inputs[1].name = "ww";
    expect_refused(sy_graph_run(context, path, inputs, 2, &params, &r), SY_ERROR_NOT_FOUND, "\"ww\"");
    CHECK(!r);
    remove(path);
}

int main(void)
{
    const sy_device_info *devices;
    size_t n;
    if (sy_context_create(NULL, &context) != SY_OK)
        return 1;
    CHECK_OK(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model));
    CHECK_OK(sy_context_devices(context, &devices, &n));
    REQUIRE(model && n >= 1);
    CHECK_TEXT(devices[n - 1].name, "reference");
    test_files();
    for (size_t i = 0; i < n; i++) {
        if (!devices[i].usable)
            continue;
        device = devices[i].name;
        printf("device: %s\n", device);
        bool reference = i == n - 1;
        test_same_bytes(reference ? 2 : 8);
        if (!reference)
            test_batch();
        test_taps();
        test_cancel();
        test_refusals();
        test_graph();
    }
    sy_model_destroy(&model);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    CHECK(!context && !model);
    return check_done();
}
