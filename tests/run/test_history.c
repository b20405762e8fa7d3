/* Taps that stay on the device: what somebody else copies from there, while the run goes on, is byte by byte what a
 * run without a history hands back; a kept run outlives its pipeline; what does not fit is refused with the numbers. */
#include "tests/check.h"
#include "tests/run/help_draw.h"

#include "graph/base/file.h"
#include "src/picture/maps.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static sy_context *context;
static sy_model *model;
static const char *device;

#define CHECK_OK(call) CHECK_SAY((call) == SY_OK, "%s", sy_context_message(context))

/* Copies every slice as soon as progress has told that it is there. */
typedef struct reader {
    sy_drawer draw;
    const sy_history *history;
    uint8_t ***copies; /* [tap][row] */
    atomic_uint told;
    atomic_bool stop, failed;
    uint32_t reads, early; /* early: before the run was over */
    double longest;        /* wait for one of them */
} reader;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void read_row(reader *r, uint32_t row)
{
    for (uint32_t i = 0; i < r->history->n_taps; i++) {
        const sy_history_slice *s = &r->history->taps[i].slices[row];
        double start = seconds();
        if (!s->buffer)
            continue;
        r->copies[i][row] = malloc(s->bytes);
        if (!r->copies[i][row] || !sy_drawer_read(&r->draw, s->buffer, s->offset, s->bytes)) {
            atomic_store(&r->failed, true);
            continue;
        }
        memcpy(r->copies[i][row], r->draw.mapped, s->bytes);
        double waited = seconds() - start;
        r->longest = waited > r->longest ? waited : r->longest;
        r->reads++;
        r->early += !atomic_load(&r->stop);
    }
}

static void *read_along(void *context_of_thread)
{
    reader *r = context_of_thread;
    for (uint32_t row = 0; row < r->history->n_evaluations;) {
        bool over = atomic_load(&r->stop);
        if (row < atomic_load(&r->told))
            read_row(r, row++);
        else if (over)
            break;
        else
            sy_drawer_read(&r->draw, VK_NULL_HANDLE, 0, 0); /* a frame that shows nothing new */
    }
    return NULL;
}

static bool tell(void *user, const sy_progress *progress)
{
    reader *r = user;
    CHECK(progress->done >= atomic_load(&r->told));
    atomic_store(&r->told, progress->done);
    return true;
}

static VkDeviceSize largest(const sy_history *h)
{
    VkDeviceSize most = 4;
    for (uint32_t i = 0; i < h->n_taps; i++)
        for (uint32_t row = 0; row < h->n_evaluations; row++)
            most = h->taps[i].slices[row].bytes > most ? h->taps[i].slices[row].bytes : most;
    return most;
}

static void reader_open(reader *r, const sy_history *h)
{
    sy_vulkan v;
    *r = (reader){.history = h, .copies = calloc(h->n_taps, sizeof *r->copies)};
    REQUIRE(r->copies);
    for (uint32_t i = 0; i < h->n_taps; i++)
        REQUIRE(r->copies[i] = calloc(h->n_evaluations, sizeof **r->copies));
    CHECK_OK(sy_context_vulkan(context, device, &v));
    REQUIRE(sy_drawer_open(&r->draw, &v, largest(h)));
}

static void reader_close(reader *r)
{
    for (uint32_t i = 0; i < r->history->n_taps; i++) {
        for (uint32_t row = 0; row < r->history->n_evaluations; row++)
            free(r->copies[i][row]);
        free(r->copies[i]);
    }
    free(r->copies);
    sy_drawer_close(&r->draw);
}

static const char *const prompts[] = {"cat face", "red apple"};
static const uint32_t seeds[] = {7, 4000000000u};

static sy_result *generate(sy_pipeline *p, reader *watched)
{
    sy_result *r = NULL;
    uint32_t n = sy_pipeline_get_info(p)->count;
    sy_generate_params params = {.prompts = prompts, .n_prompts = n, .seeds = seeds};
    if (watched) {
        params.progress = tell;
        params.user = watched;
    }
    CHECK_OK(sy_generate(p, &params, &r));
    REQUIRE(r);
    return r;
}

/* A run while another thread reads along. */
static sy_result *generate_watched(sy_pipeline *p, reader *r)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, read_along, r) == 0);
    sy_result *result = generate(p, r);
    atomic_store(&r->stop, true);
    pthread_join(thread, NULL);
    CHECK(!atomic_load(&r->failed) && r->reads > 0);
    return result;
}

static const sy_tap_result *tap_named(const sy_result *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_taps; i++)
        if (!strcmp(r->taps[i].name, name))
            return &r->taps[i];
    return NULL;
}

static void check_route(const sy_history_route *at, const uint32_t *words, const sy_route_step *step, const char *name)
{
    const uint32_t *targets = words + at->targets, *offsets = words + at->offsets;
    CHECK_SAY(words[at->count] == step->n_slots && (int32_t)step->n_slots <= at->n_slots, "%s: %u slots", name,
              words[at->count]);
    CHECK(!memcmp(words + at->rows, step->row, step->n_slots * sizeof(int32_t)));
    CHECK(!memcmp(targets, step->target, step->n_slots * sizeof(int32_t)));
    CHECK(!memcmp(words + at->weights, step->weight, step->n_slots * sizeof(float)));
    CHECK(offsets[0] == 0 && offsets[at->n_targets] == step->n_slots);
    for (uint32_t k = 0; k < step->n_slots; k++) { /* sorted the other way round they are the same slots */
        int32_t row = step->row[k];
        bool found = false;
        for (uint32_t i = words[at->row_offsets + (uint32_t)row]; i < words[at->row_offsets + (uint32_t)row + 1]; i++)
            found = found || words[at->row_slots + i] == k;
        CHECK_SAY(found, "%s: slot %u is not among those of row %d", name, k, row);
    }
}

/* All copies against the taps of the same run read back. Returns how many slices were compared. */
static uint32_t compare(const reader *r, const sy_result *wanted)
{
    uint32_t compared = 0;
    for (uint32_t i = 0; i < r->history->n_taps; i++) {
        const sy_history_tap *tap = &r->history->taps[i];
        const sy_tap_result *t = tap_named(wanted, tap->name);
        CHECK_SAY(t && t->is_route == tap->is_route, "%s", tap->name);
        for (uint32_t row = 0; t && row < r->history->n_evaluations; row++) {
            const sy_history_slice *s = &tap->slices[row];
            const uint8_t *copy = r->copies[i][row];
            CHECK_SAY(!s->buffer == !copy, "%s of row %u", tap->name, row);
            if (!copy)
                continue;
            const sy_history_form *form = &tap->forms[s->form];
            CHECK(s->form < tap->n_forms && form->array.bytes == s->bytes && s->offset % 256 == 0);
            if (tap->is_route)
                check_route(&form->route, (const uint32_t *)(const void *)copy, &t->steps[row], tap->name);
            else
                CHECK_SAY(!memcmp(copy, (const uint8_t *)t->array.data + row * (t->array.bytes / t->evaluations),
                                  s->bytes),
                          "%s of row %u differs", tap->name, row);
            compared++;
        }
    }
    return compared;
}

static void check_evaluations(const sy_history *h, const sy_result *r)
{
    CHECK(h->count == r->count && h->width == r->width && h->channels == r->channels && h->device_bytes > 0);
    CHECK(h->tokens_per_picture == r->tokens_per_picture && h->grid_width == r->grid_width);
    for (uint32_t row = 0; row < h->n_evaluations; row++)
        CHECK(h->evaluations[row].row == row);
    for (uint32_t i = 0; i < r->n_evaluations; i++) {
        const sy_evaluation *e = &r->evaluations[i], *there = &h->evaluations[e->row];
        CHECK(there->step == e->step && there->sigma == e->sigma && there->guided == e->guided && there->ran &&
              !strcmp(there->program, e->program));
    }
}

/* Reads all of a history that is complete. */
static void read_all(reader *r, const sy_history *h)
{
    reader_open(r, h);
    for (uint32_t row = 0; row < h->n_evaluations; row++)
        read_row(r, row);
    CHECK(!atomic_load(&r->failed));
}

/* The last estimate of the clean picture is the picture. */
static void check_preview(const reader *r, const sy_result *result)
{
    size_t n = (size_t)result->count * result->channels * result->width * result->height;
    const float *last = NULL;
    double off = 0, norm = 0;
    for (uint32_t i = 0; i < r->history->n_taps; i++)
        for (uint32_t row = 0; row < r->history->n_evaluations && !strcmp(r->history->taps[i].name, "preview"); row++)
            if (r->copies[i][row])
                last = (const float *)(const void *)r->copies[i][row];
    REQUIRE(last);
    for (size_t i = 0; i < n; i++) {
        off += pow((double)last[i] - (double)result->data[i], 2);
        norm += pow((double)result->data[i], 2);
    }
    CHECK_SAY(sqrt(off / norm) < 1e-5, "the last estimate is off by %g", sqrt(off / norm));
}

/* The file of a history is that of the run's own routes, byte by byte. */
static void check_saved(sy_pipeline *live, const sy_result *wanted)
{
    char own[] = "/tmp/sy-routes-XXXXXX", other[] = "/tmp/sy-routes-XXXXXX";
    int files[2] = {mkstemp(own), mkstemp(other)};
    sy_error error = {0};
    size_t sizes[2] = {0};
    REQUIRE(files[0] >= 0 && files[1] >= 0);
    close(files[0]), close(files[1]);
    CHECK_OK(sy_history_save_routes(live, UINT32_MAX, own));
    CHECK_SAY(sy_map_save(other, wanted, &error), "%s", error.message);
    char *bytes[2] = {sy_file_load(own, 1 << 26, &sizes[0], &error), sy_file_load(other, 1 << 26, &sizes[1], &error)};
    CHECK(bytes[0] && bytes[1] && sizes[0] > 1000 && sizes[0] == sizes[1] && !memcmp(bytes[0], bytes[1], sizes[0]));
    free(bytes[0]), free(bytes[1]);
    CHECK(sy_history_save_routes(live, 1, "/nonesuch/routes.safetensors") == SY_ERROR_NOT_FOUND);
    unlink(own), unlink(other);
}

typedef struct run_case {
    const char *name;
    sy_pipeline_params params;
    sy_named_setting settings[3];
    uint32_t forms; /* of a route, at least */
} run_case;

static const char *const taps[] = {"preview", "?*.route", "?velocity"};

static void test_case(const run_case *c)
{
    sy_pipeline *plain = NULL, *live = NULL;
    sy_pipeline_params params = c->params;
    const sy_history *h = NULL;
    sy_kept *kept = NULL;
    reader along, after;
    params.device = device;
    params.taps = taps;
    params.n_taps = 3;
    params.settings = c->settings;
    while (params.n_settings < 3 && c->settings[params.n_settings].name)
        params.n_settings++;
    CHECK_OK(sy_pipeline_create(model, &params, &plain));
    params.history = true;
    CHECK_OK(sy_pipeline_create(model, &params, &live));
    REQUIRE(plain && live);
    CHECK_OK(sy_pipeline_history(live, &h));
    REQUIRE(h);
    reader_open(&along, h);
    sy_result *wanted = generate(plain, NULL), *got = generate_watched(live, &along);
    CHECK(got->n_taps == 0 && wanted->n_taps > 0);
    CHECK(!memcmp(got->data, wanted->data, (size_t)got->count * got->channels * got->width * got->height * 4));
    CHECK(got->n_evaluations == wanted->n_evaluations && got->flops == wanted->flops);
    check_evaluations(h, got);
    uint32_t n = compare(&along, wanted), forms = 0;
    for (uint32_t i = 0; i < h->n_taps; i++)
        forms = h->taps[i].is_route && h->taps[i].n_forms > forms ? h->taps[i].n_forms : forms;
    CHECK(forms >= c->forms);
    check_preview(&along, got);
    printf("%s, %s: %u slices, %u read while it ran; a frame waited %.0f ms at most\n", device, c->name, n, along.early,
           1e3 * along.longest);
    CHECK(along.early > 0);

    check_saved(live, wanted);
    CHECK_OK(sy_history_keep(live, &kept));
    sy_result *other = NULL; /* what is kept is not the run after it */
    sy_generate_params apple = {.prompts = prompts + 1, .n_prompts = 1};
    CHECK_OK(sy_generate(live, &apple, &other));
    reader_close(&along);
    sy_pipeline_destroy(&live);
    REQUIRE(kept);
    read_all(&after, sy_kept_history(kept));
    CHECK(compare(&after, wanted) == n);
    check_evaluations(sy_kept_history(kept), got);
    reader_close(&after);
    sy_kept_destroy(&kept);
    CHECK(!kept);
    sy_result_destroy(&other);
    sy_result_destroy(&wanted);
    sy_result_destroy(&got);
    sy_pipeline_destroy(&plain);
}

static const run_case cases[] = {
    {"two pictures, guidance in one of the steps", {.steps = 3, .count = 2}, {{"guidance.steps", "1,1"}}, 2},
    {"regions", {.steps = 6}, {{"ras.ratio", "0.5"}}, 1},
    {"heun, tiny slices", {.steps = 2, .sampler = SY_SAMPLER_HEUN, .slice_seconds = 1e-4}, {{0}}, 1},
    {"steps left out", {.steps = 8, .guidance = 1}, {{"adaptive.threshold", "0.2"}}, 1},
    {"dopri5",
     {.steps = 12, .sampler = SY_SAMPLER_DOPRI5, .guidance = 1},
     {{"flow.rtol", "0.3"}, {"flow.atol", "0.3"}, {"flow.first", "0.5"}},
     1},
};

static void expect_refused(sy_pipeline_params params, sy_status wanted, const char *says)
{
    sy_pipeline *p = NULL;
    sy_status status = sy_pipeline_create(model, &params, &p);
    CHECK_SAY(status == wanted && !p && strstr(sy_context_message(context), says), "%s: %s", sy_status_text(status),
              sy_context_message(context));
}

static void test_refusals(void)
{
    sy_pipeline_params params = {
        .device = device, .steps = 4, .taps = taps, .n_taps = 3, .history = true, .history_bytes = 60000};
    const sy_history *h = NULL;
    sy_kept *kept = NULL;
    sy_pipeline *p = NULL;
    expect_refused(params, SY_ERROR_OUT_OF_MEMORY, "may take 60000, which is enough for 2 steps");
    params.device = "reference";
    expect_refused(params, SY_ERROR_UNAVAILABLE, "reference");
    params = (sy_pipeline_params){.device = device, .steps = 1, .slice_seconds = NAN};
    expect_refused(params, SY_ERROR_INVALID_ARGUMENT, "slice_seconds");
    params.slice_seconds = 0;
    CHECK_OK(sy_pipeline_create(model, &params, &p));
    CHECK(sy_pipeline_history(p, &h) == SY_ERROR_INVALID_ARGUMENT && !h);
    CHECK(sy_history_keep(p, &kept) == SY_ERROR_INVALID_ARGUMENT && !kept);
    sy_pipeline_destroy(&p);
}

static void test_undrawn(void)
{
    sy_context *drawing = context;
    sy_model *other = model;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK);
    CHECK_OK(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model));
    expect_refused((sy_pipeline_params){.steps = 1, .history = true}, SY_ERROR_INVALID_ARGUMENT,
                   "sy_context_params.vulkan");
    sy_model_destroy(&model);
    sy_context_destroy(&context);
    context = drawing;
    model = other;
}

static void say(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

int main(void)
{
    static const sy_vulkan_params wishes;
    sy_context_params params = {.vulkan = &wishes, .message = say};
    const sy_device_info *devices;
    size_t n;
    REQUIRE(sy_context_create(&params, &context) == SY_OK);
    CHECK_OK(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model));
    CHECK_OK(sy_context_devices(context, &devices, &n));
    for (size_t i = 0; i + 1 < n; i++) {
        if (!devices[i].usable)
            continue;
        device = devices[i].name;
        const char *driver = getenv("SWITCHYARD_TEST_DRIVER"); /* the slow one: two forms, and regions */
        size_t most = driver && !strcmp(driver, "swiftshader") ? 2 : sizeof cases / sizeof *cases;
        for (size_t k = 0; k < most; k++)
            test_case(&cases[k]);
        test_refusals();
    }
    if (n > 1)
        test_undrawn();
    sy_model_destroy(&model);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    return n <= 1 ? check_skip("there is no Vulkan device") : check_done();
}
