/* Steered runs of the default model: what is switched off gets nothing, a region goes where it is sent, in its picture
 * alone, and nothing else changes before the first steered layer; rules that cannot be followed say why. */
#include "src/switchyard.h"
#include "tests/check.h"

#include <string.h>

static const char *const first = "blocks.1.route";

typedef struct fixture {
    sy_context *context;
    sy_model *model;
    sy_pipeline *pipeline;
} fixture;

static const char prompt[] = "owl";
static const char *const prompts[] = {prompt};

static sy_result *generate(fixture *f, const sy_steer *rules, uint32_t n)
{
    sy_result *r = NULL;
    sy_generate_params params = {.prompts = prompts, .n_prompts = 1, .seed = 3, .steers = rules, .n_steers = n};
    sy_status status = sy_generate(f->pipeline, &params, &r);
    CHECK_SAY(status == SY_OK, "%s", sy_context_message(f->context));
    REQUIRE(r);
    return r;
}

static const sy_tap_result *tap(const sy_result *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_taps; i++)
        if (!strcmp(r->taps[i].name, name))
            return &r->taps[i];
    REQUIRE(!"the tap is there");
    return NULL;
}

/* Conditional rows of the pictures that go to a target, within a region or outside of it. */
static int32_t count(const sy_result *r, const sy_tap_result *t, int32_t target, int32_t picture, bool within)
{
    int32_t n = 0, tokens = (int32_t)r->tokens_per_picture, side = (int32_t)r->grid_width;
    for (uint32_t e = 0; e < t->evaluations; e++)
        for (uint32_t s = 0; s < t->steps[e].n_slots; s++) {
            int32_t row = t->steps[e].row[s], cell = row % tokens;
            bool inside = cell % side >= 2 && cell % side < 6 && cell / side >= 4 && cell / side < 7;
            n += t->steps[e].target[s] == target && row / tokens == picture && inside == within;
        }
    return n;
}

static bool same(const sy_route_step *a, const sy_route_step *b)
{
    return a->n_slots == b->n_slots && !memcmp(a->row, b->row, a->n_slots * sizeof *a->row) &&
           !memcmp(a->target, b->target, a->n_slots * sizeof *a->target);
}

static void test_rules(fixture *f)
{
    sy_result *plain = generate(f, NULL, 0), *again = generate(f, NULL, 0);
    CHECK(!memcmp(plain->pictures, again->pictures, 2 * 3 * (size_t)plain->width * plain->height));
    const sy_tap_result *t = tap(plain, first);
    int32_t busy = 0; /* an expert that is used much: the rules must take something away */
    for (int32_t e = 1; e < t->targets - 1; e++)
        if (count(plain, t, e, 0, false) + count(plain, t, e, 0, true) >
            count(plain, t, busy, 0, false) + count(plain, t, busy, 0, true))
            busy = e;
    int32_t other = (busy + 1) % (t->targets - 1);
    const sy_steer rules[] = {{.kind = SY_STEER_OFF, .target = busy},
                              {.route = first, .kind = SY_STEER_TO, .target = other, .picture = 2, .x = 2, .y = 4,
                               .width = 4, .height = 3}};
    sy_result *steered = generate(f, rules, 2);
    t = tap(steered, first);
    uint32_t evaluations = t->evaluations;
    CHECK(count(plain, tap(plain, first), busy, 0, false) > 0);
    for (uint32_t i = 0; i < steered->n_taps; i++)
        for (int32_t picture = 0; picture < 2; picture++)
            for (int within = 0; within < 2; within++)
                CHECK_SAY(count(steered, &steered->taps[i], busy, picture, within) == 0, "%s, expert %d, picture %d",
                          steered->taps[i].name, busy, picture);
    CHECK(count(steered, t, other, 1, true) == (int32_t)evaluations * 12);
    CHECK(count(steered, t, other, 0, true) < (int32_t)evaluations * 12);
    /* Unconditional tokens all go to the last expert: a split behind the choice is not steered. */
    CHECK(count(steered, t, t->targets - 1, 2, true) == (int32_t)evaluations * 12);
    CHECK(memcmp(plain->pictures, steered->pictures, 2 * 3 * (size_t)plain->width * plain->height));
    /* The rules of one run do not stay for the next. */
    sy_result *last = generate(f, NULL, 0);
    CHECK(!memcmp(plain->pictures, last->pictures, 2 * 3 * (size_t)plain->width * plain->height));
    CHECK(same(&tap(last, first)->steps[1], &tap(plain, first)->steps[1]));
    sy_result *all[] = {plain, again, steered, last};
    for (int i = 0; i < 4; i++)
        sy_result_destroy(&all[i]);
}

static void fails(fixture *f, sy_steer rule, sy_status wanted, const char *says)
{
    sy_result *r = NULL;
    sy_generate_params params = {.prompts = prompts, .n_prompts = 1, .steers = &rule, .n_steers = 1};
    sy_status status = sy_generate(f->pipeline, &params, &r);
    CHECK_SAY(status == wanted && strstr(sy_context_message(f->context), says), "%d: %s", status,
              sy_context_message(f->context));
    sy_result_destroy(&r);
}

static void open(fixture *f, bool steering, const char *setting, const char *value)
{
    static const char *const taps[] = {"blocks.*.route"};
    sy_named_setting named = {setting, value};
    sy_pipeline_params params = {.count = 2,
                                 .steps = 2,
                                 .taps = taps,
                                 .n_taps = 1,
                                 .settings = &named,
                                 .n_settings = setting != NULL,
                                 .steering = steering};
    sy_pipeline_destroy(&f->pipeline);
    sy_status status = sy_pipeline_create(f->model, &params, &f->pipeline);
    CHECK_SAY(status == SY_OK, "%s", sy_context_message(f->context));
    REQUIRE(f->pipeline);
}

int main(void)
{
    fixture f = {0};
    const sy_context_params none = {.cache_directory = NULL};
    REQUIRE(sy_context_create(&none, &f.context) == SY_OK);
    REQUIRE(sy_model_open(f.context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &f.model) == SY_OK);
    open(&f, true, NULL, NULL);
    test_rules(&f);
    fails(&f, (sy_steer){.target = 12}, SY_ERROR_INVALID_ARGUMENT, "it has 0 to 11");
    fails(&f, (sy_steer){.picture = 3}, SY_ERROR_INVALID_ARGUMENT, "no picture 3");
    fails(&f, (sy_steer){.route = "nonesuch"}, SY_ERROR_NOT_FOUND, first);
    /* More experts a token than the model was trained with. */
    open(&f, false, "top_k", "2");
    fails(&f, (sy_steer){.target = 1}, SY_ERROR_INVALID_ARGUMENT, "without `steering`");
    sy_result *two = generate(&f, NULL, 0);
    CHECK(tap(two, first)->steps[0].n_slots == 3 * 2 * two->tokens_per_picture);
    sy_result_destroy(&two);
    sy_pipeline_destroy(&f.pipeline);
    sy_model_destroy(&f.model);
    CHECK(sy_context_validation_messages(f.context) == 0);
    sy_context_destroy(&f.context);
    return check_done();
}
