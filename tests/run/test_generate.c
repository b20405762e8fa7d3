/* The public interface from file to pictures, on every device: the same bytes each time, a batch is its singles, taps
 * cost nothing unasked, cancelling leaves things usable, bad arguments and files are named. The default model, few
 * steps. */
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

static double relative_l2(const float *got, const float *wanted, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)got[i] - (double)wanted[i]) * ((double)got[i] - (double)wanted[i]);
        norm += (double)wanted[i] * (double)wanted[i];
    }
    return norm > 0 ? sqrt(difference / norm) : NAN;
}

static void test_same_bytes(sy_pipeline *p, const sy_result *reference, int runs)
{
    sy_result *first = generate(p, 1, prompts, seeds);
    CHECK(first->count == 1 && first->pictures && first->n_taps == 0 &&
          first->width == sy_model_get_info(model)->width);
    double off = relative_l2(first->data, reference->data, picture_bytes(first) / sizeof(float));
    CHECK_SAY(off < 1e-3, "off the reference by %g", off);
    for (int i = 1; i < runs; i++) {
        sy_result *again = generate(p, 1, prompts, seeds);
        CHECK(!memcmp(first->data, again->data, picture_bytes(first)));
        CHECK(strcmp(device, "reference") == 0 || again->host_waits == 1);
        sy_result_destroy(&again);
    }
    uint32_t other = 8; /* another seed or prompt, another picture */
    sy_result *second = generate(p, 1, prompts, &other);
    CHECK(memcmp(first->data, second->data, picture_bytes(first)) != 0);
    sy_result_destroy(&second);
    second = generate(p, 1, prompts + 1, seeds);
    CHECK(memcmp(first->data, second->data, picture_bytes(first)) != 0);
    sy_result_destroy(&second);
    sy_result_destroy(&first);
}

static void test_batch(sy_pipeline *one)
{
    sy_pipeline *four = pipeline((sy_pipeline_params){.steps = 2, .count = 4});
    sy_result *together = generate(four, 4, prompts, seeds);
    CHECK(together->count == 4);
    for (int i = 0; i < 4; i++) {
        sy_result *alone = generate(one, 1, prompts + i, seeds + i);
        const float *a = together->data + (size_t)i * picture_bytes(alone) / sizeof(float);
        CHECK_SAY(!memcmp(a, alone->data, picture_bytes(alone)), "picture %d differs by %g", i,
                  relative_l2(a, alone->data, picture_bytes(alone) / sizeof(float)));
        sy_result_destroy(&alone);
    }
    sy_result_destroy(&together);
    sy_pipeline_destroy(&four);
}

static void check_route(const sy_tap_result *t, const sy_result *r)
{
    const sy_model_info *info = sy_model_get_info(model);
    CHECK(t->rows == (int32_t)(2 * r->tokens_per_picture) && t->targets == (int32_t)info->experts);
    for (uint32_t s = 0; s < t->evaluations; s++) {
        const sy_route_step *step = &t->steps[s];
        CHECK(info->top_k != 1 || step->n_slots == (uint32_t)t->rows);
        for (uint32_t k = 1; k < step->n_slots; k++) /* sorted by target, then row */
            CHECK(step->target[k] > step->target[k - 1] ||
                  (step->target[k] == step->target[k - 1] && step->row[k] > step->row[k - 1]));
    }
}

static void test_taps(sy_pipeline *bare)
{
    static const char *const names[] = {"preview", "*.route"};
    sy_pipeline *tapped = pipeline((sy_pipeline_params){.steps = 2, .taps = names, .n_taps = 2});
    sy_result *a = generate(bare, 1, prompts, seeds), *b = generate(tapped, 1, prompts, seeds);
    size_t numbers = picture_bytes(a) / sizeof(float);
    uint32_t routes = 0;
    CHECK(a->n_taps == 0);
    CHECK(relative_l2(b->data, a->data, numbers) < 1e-5); /* looking changes nothing but what is fused with what */
    CHECK(sy_pipeline_get_info(bare)->dispatches <= sy_pipeline_get_info(tapped)->dispatches);
    for (uint32_t i = 0; i < b->n_taps; i++) {
        const sy_tap_result *t = &b->taps[i];
        CHECK(t->evaluations == 2);
        if (t->is_route) {
            routes++;
            check_route(t, b);
            continue;
        }
        CHECK_TEXT(t->name, "preview");
        CHECK(t->array.rank == 4 && t->array.bytes == 2 * picture_bytes(b));
        /* after the last step the estimate is the picture */
        double off = relative_l2((const float *)t->array.data + numbers, b->data, numbers);
        CHECK_SAY(off < 1e-5, "off by %g", off);
    }
    CHECK(routes == sy_model_get_info(model)->mixtures);
    sy_result_destroy(&a);
    sy_result_destroy(&b);
    sy_pipeline_destroy(&tapped);
}

/* Steps that are different programs: what every evaluation was, and taps of all of them joined. */
static void test_programs(void)
{
    static const char *const names[] = {"*.route", "?velocity", "?nothing of the sort"};
    static const sy_named_setting interval = {"guidance.steps", "1,1"}, wrong = {"guidance.stepps", "1,1"};
    sy_pipeline_params params = {.steps = 3, .taps = names, .n_taps = 3, .settings = &interval, .n_settings = 1};
    sy_pipeline *p = pipeline(params), *plain = pipeline((sy_pipeline_params){.steps = 3});
    const sy_pipeline_info *info = sy_pipeline_get_info(p);
    sy_result *r = generate(p, 1, prompts, seeds), *whole = generate(plain, 1, prompts, seeds);
    CHECK(info->programs == 2 && sy_pipeline_get_info(plain)->programs == 1);
    CHECK(r->n_evaluations == 3 && whole->n_evaluations == 3);
    double sum = 0;
    for (uint32_t i = 0; i < r->n_evaluations; i++) {
        const sy_evaluation *e = &r->evaluations[i];
        CHECK(e->step == i && e->row == i && e->ran && e->guided == (i == 1) && !strcmp(e->program, "full"));
        CHECK(whole->evaluations[i].guided);
        sum += e->flops;
    }
    CHECK_SAY(fabs(sum - r->flops) <= 1e-9 * sum && r->flops == info->run_flops, "%g flops of %g", r->flops, sum);
    CHECK(r->flops < 0.7 * whole->flops && r->flops > 0.5 * whole->flops); /* one step of two halves, two of one */
    CHECK(relative_l2(r->data, whole->data, picture_bytes(r) / sizeof(float)) > 1e-3);
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        CHECK(t->evaluations == 3);
        if (!t->is_route)
            continue;
        CHECK(t->rows == (int32_t)(2 * r->tokens_per_picture));
        CHECK(t->steps[0].n_slots == r->tokens_per_picture && t->steps[1].n_slots == 2 * r->tokens_per_picture);
    }
    sy_result_destroy(&r);
    sy_result_destroy(&whole);
    sy_pipeline_destroy(&p);
    sy_pipeline_destroy(&plain);
    params.settings = &wrong;
    CHECK(sy_pipeline_create(model, &params, &p) == SY_ERROR_NOT_FOUND &&
          strstr(sy_context_message(context), "did you mean guidance.steps?"));
}

/* Weights in half precision, no guidance: near the reference on the same weights. */
static void test_half(void)
{
    const char *own = device;
    sy_pipeline_params params = {.steps = 1, .guidance = 1, .precision = SY_PRECISION_F16};
    sy_pipeline *here = pipeline(params);
    device = "reference";
    sy_pipeline *there = pipeline(params);
    device = own;
    sy_result *a = generate(here, 1, prompts, seeds), *b = generate(there, 1, prompts, seeds);
    double off = relative_l2(a->data, b->data, picture_bytes(a) / sizeof(float));
    CHECK_SAY(off < 5e-3, "off by %g", off);
    sy_result_destroy(&a);
    sy_result_destroy(&b);
    sy_pipeline_destroy(&here);
    sy_pipeline_destroy(&there);
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

static void test_cancel(sy_pipeline *p)
{
    sy_result *r = NULL, *good;
    watching w = {.stop_after = 0};
    sy_generate_params params = {.prompts = prompts, .n_prompts = 1, .progress = watch, .user = &w};
    CHECK(sy_generate(p, &params, &r) == SY_ERROR_CANCELLED && !r);
    w = (watching){.stop_after = UINT32_MAX};
    CHECK_OK(sy_generate(p, &params, &r));
    CHECK(w.last == 2 && w.left == 0);
    uint32_t zero = 0;
    good = generate(p, 1, prompts, &zero);
    CHECK(r && !memcmp(r->data, good->data, picture_bytes(good)));
    sy_result_destroy(&r);
    sy_result_destroy(&good);
}

static void expect_refused(sy_status status, sy_status wanted, const char *says)
{
    CHECK_SAY(status == wanted && strstr(sy_context_message(context), says), "%s: %s", sy_status_text(status),
              sy_context_message(context));
}

static void test_refusals(sy_pipeline *one)
{
    sy_pipeline *p = NULL;
    sy_result *r = NULL;
    sy_pipeline_params bad = {.device = "no such device"};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_NOT_FOUND, "no such device");
    bad = (sy_pipeline_params){.device = device, .sampler = SY_SAMPLER_DDIM};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_INVALID_ARGUMENT, "use euler, heun");
    bad = (sy_pipeline_params){.device = device, .guidance = -1};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_INVALID_ARGUMENT, "guidance");
    const char *no_tap = "blocks.99.route";
    bad = (sy_pipeline_params){.device = device, .taps = &no_tap, .n_taps = 1};
    expect_refused(sy_pipeline_create(model, &bad, &p), SY_ERROR_NOT_FOUND, "blocks.99.route");
    CHECK(!p);

    const char *words[] = {"cat fase", "zzqqx"};
    sy_generate_params params = {.prompts = words, .n_prompts = 1};
    expect_refused(sy_generate(one, &params, &r), SY_ERROR_NOT_FOUND, "\"face\"");
    params.prompts = words + 1;
    expect_refused(sy_generate(one, &params, &r), SY_ERROR_NOT_FOUND, "zzqqx");
    params = (sy_generate_params){.prompts = prompts, .n_prompts = 3};
    expect_refused(sy_generate(one, &params, &r), SY_ERROR_INVALID_ARGUMENT, "one prompt");
    expect_refused(sy_generate(one, NULL, &r), SY_ERROR_INVALID_ARGUMENT, "one prompt");
    CHECK(!r);
}

static void test_files(void)
{
    sy_model *m = NULL;
    char path[] = "/tmp/switchyard-test-XXXXXX";
    int file = mkstemp(path);
    REQUIRE(file >= 0);
    expect_refused(sy_model_open(context, "/nonexistent.safetensors", &m), SY_ERROR_NOT_FOUND,
                   "/nonexistent.safetensors");
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
    static const float x[] = {1, 2, 3, 4, 5, 6}, w[] = {1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1},
                       wanted[] = {1, 2, 3, 6, 4, 5, 6, 15};
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
    device = "reference";
    sy_pipeline *exact = pipeline((sy_pipeline_params){.steps = 2});
    sy_result *reference = generate(exact, 1, prompts, seeds);
    for (size_t i = 0; i < n; i++) {
        if (!devices[i].usable)
            continue;
        device = devices[i].name;
        printf("device: %s\n", device);
        bool last = i == n - 1; /* the reference itself: slow */
        sy_pipeline *one = pipeline((sy_pipeline_params){.steps = 2});
        test_same_bytes(one, reference, last ? 2 : 8);
        if (!last) {
            test_batch(one);
            test_half();
        }
        if (last)
            test_programs();
        test_taps(one);
        test_cancel(one);
        test_refusals(one);
        test_graph();
        sy_pipeline_destroy(&one);
    }
    sy_result_destroy(&reference);
    sy_pipeline_destroy(&exact);
    sy_model_destroy(&model);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    CHECK(!context && !model);
    return check_done();
}
