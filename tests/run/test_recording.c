/* A recorded step replayed without its program gives the bytes it gave; a file that is spoilt is an error and no more. */
#include "graph/base/file.h"
#include "graph/ir/build.h"
#include "graph/program.h"
#include "src/run/recording.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

#include <unistd.h>

enum { STEPS = 3, ROWS = 24, WIDTH = 16 };
static char folder[] = "/tmp/switchyard-recording-XXXXXX";

/* A mixture of experts (so an indirect dispatch), a state carried on, a step output. */
static sy_program *program(const sy_vk_device *d)
{
    static const char text[] = "graph \"mixture\" {\n"
                               "  %x = state \"x\" : f32[24,16]\n"
                               "  %w = input \"w\" : f32[4,16,16]\n"
                               "  %g = input \"g\" : f32[16,4]\n"
                               "  %l = matmul(%x, %g)\n"
                               "  %p = softmax(%l)\n"
                               "  %r = route.top_k(%p) k=2\n"
                               "  %h = grouped_matmul(%x, %w, %r) gather=1\n"
                               "  %y = combine(%h, %r) weighted=1\n"
                               "  %s = sin(%y)\n"
                               "  %c = const 0.125 : f32[1]\n"
                               "  %z = add(%s, %c)\n"
                               "  carry \"x\" %z\n"
                               "  tap \"p\" %p\n"
                               "}\n";
    sy_error error = {0};
    const char *taps[] = {"p"};
    sy_graph *g = sy_graph_parse(text, sizeof text - 1, &error);
    CHECK_SAY(g != NULL, "%s", error.message);
    REQUIRE(g);
    sy_program *p = sy_compile(g, &(sy_compile_params){.limits = &d->plan->limits, .max_steps = STEPS, .taps = taps, .n_taps = 1}, &error);
    CHECK_SAY(p != NULL, "%s", error.message);
    REQUIRE(p);
    sy_graph_destroy(&g);
    return p;
}

static void write_inputs(sy_session *s)
{
    float w[4 * 16 * 16], g[16 * 4];
    sy_error error = {0};
    for (int i = 0; i < 4 * 16 * 16; i++)
        w[i] = (float)(i * 37 % 101 - 50) / 90;
    for (int i = 0; i < 16 * 4; i++)
        g[i] = (float)(i * 53 % 17 - 8) / 5;
    REQUIRE(sy_session_write(s, "w", w, sizeof w, &error) && sy_session_write(s, "g", g, sizeof g, &error));
}

static const sy_recording_result *find(const sy_recording *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_results; i++)
        if (!strcmp(r->results[i].name, name))
            return &r->results[i];
    CHECK_SAY(false, "no result %s", name);
    exit(1);
}

static uint32_t replay_differs(sy_vk_device *d, const sy_recording *r)
{
    sy_error error = {0};
    uint32_t differ = 0;
    sy_work_run *run = sy_work_open(d, &r->work, NULL, &error);
    CHECK_SAY(run != NULL, "%s", error.message);
    REQUIRE(run);
    for (int k = 0; k < 2; k++) {
        bool ok = (!k || sy_work_reset(run, &error)) && sy_work_go(run, k == 1, NULL, NULL, &error);
        CHECK_SAY(ok, "%s", error.message);
        for (uint32_t i = 0; i < r->n_results; i++) {
            uint8_t *got = malloc(r->results[i].bytes);
            REQUIRE(got && sy_work_read(run, r->results[i].buffer, r->results[i].offset, r->results[i].bytes, got, &error));
            differ += memcmp(got, r->results[i].after, r->results[i].bytes) != 0;
            free(got);
        }
    }
    sy_work_close(&run);
    return differ;
}

/* Changes of the description, each of which must be refused by the reader or by the device. */
static void spoil(sy_vk_device *d, const char *bytes, size_t size)
{
    static const struct {
        const char *from, *to; /* of equal length */
    } changes[] = {{"\\\"version\\\":1", "\\\"version\\\":2"},   {"\\\"kernel\\\":0", "\\\"kernel\\\":9"},       {"\\\"groups\\\":[", "\\\"grouqs\\\":["},
                   {"\\\"bindings\\\":[[0", "\\\"bindings\\\":[[7"}, {"\\\"buffers\\\":", "\\\"bufferz\\\":"},     {"\\\"spirv\\\":\\\"kernel.0", "\\\"spirv\\\":\\\"buffer.1"},
                   {"\\\"after\\\":\\\"result.0", "\\\"after\\\":\\\"resulX.0"}, {"\\\"type\\\":\\\"f32", "\\\"type\\\":\\\"f99"}, {"\\\"push\\\":[", "\\\"puzh\\\":["},
                   {"\\\"label\\\":", "\\\"lable\\\":"},         {"\\\"offset\\\":0,", "\\\"offset\\\":-,"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *copy = malloc(size);
        REQUIRE(copy);
        memcpy(copy, bytes, size);
        char *at = memmem(copy, size, changes[i].from, strlen(changes[i].from));
        CHECK_SAY(at != NULL, "no %s", changes[i].from);
        if (at)
            memcpy(at, changes[i].to, strlen(changes[i].to));
        sy_error error = {0};
        sy_recording *r = sy_recording_from_memory(copy, size, &error);
        bool refused = !r || !sy_work_fits(d, &r->work, &error);
        CHECK_SAY(refused && error.message[0], "%s is accepted", changes[i].to);
        sy_recording_close(&r);
        free(copy);
    }
}

static void test_device(sy_vk_device *d)
{
    sy_error error = {0};
    sy_program *p = program(d);
    sy_session *s = sy_session_create(&(sy_session_params){.device = d, .step = p, .n_steps = STEPS}, &error);
    CHECK_SAY(s != NULL, "%s", error.message);
    REQUIRE(s);
    CHECK(!sy_session_record(s, 1, "mixture", "one.rec", &error) && strstr(error.message, "was given no value"));
    write_inputs(s);
    error = (sy_error){0};
    CHECK(!sy_session_record(s, STEPS, "mixture", "one.rec", &error) && strstr(error.message, "no step 4"));
    error = (sy_error){0};
    bool ok = sy_session_record(s, 1, "mixture", "one.rec", &error) && sy_session_record(s, STEPS - 1, "mixture", "last.rec", &error) &&
              sy_session_run(s, NULL, NULL, &error);
    CHECK_SAY(ok, "%s", error.message);
    sy_session_result x, taps;
    REQUIRE(ok && sy_session_read(s, "x", &x, &error) && sy_session_read(s, "p", &taps, &error));
    sy_recording *one = sy_recording_open("one.rec", &error), *last = sy_recording_open("last.rec", &error);
    CHECK_SAY(one && last, "%s", error.message);
    REQUIRE(one && last);
    CHECK_TEXT(one->what, "mixture");
    CHECK_TEXT(one->device, d->snapshot->name);
    CHECK(one->step == 1 && one->work.n_dispatches == p->n_dispatches && one->n_results == 2 && last->n_results == 2);
    bool indirect = false;
    for (uint32_t i = 0; i < one->work.n_dispatches; i++)
        indirect = indirect || one->work.dispatches[i].indirect;
    CHECK(indirect);
    /* What was recorded is what a plain run gives: the state at its end, the tap of each step. */
    CHECK(!memcmp(find(last, "x")->after, x.data, x.bytes));
    CHECK(!memcmp(find(one, "p")->after, (const uint8_t *)taps.data + taps.step_bytes, taps.bytes));
    CHECK(!memcmp(find(last, "p")->after, (const uint8_t *)taps.data + 2 * taps.step_bytes, taps.bytes));
    CHECK(memcmp(find(one, "x")->after, x.data, x.bytes) != 0);
    CHECK(replay_differs(d, one) == 0 && replay_differs(d, last) == 0);
    sy_recording_close(&last);
    sy_recording_close(&one);

    size_t size;
    char *bytes = sy_file_load("one.rec", 1 << 24, &size, &error);
    REQUIRE(bytes);
    spoil(d, bytes, size);
    for (size_t cut = 0; cut < size; cut += 997) {
        sy_error short_error = {0};
        sy_recording *r = sy_recording_from_memory(bytes, cut, &short_error);
        CHECK(!r && short_error.message[0]);
    }
    free(bytes);
    sy_session_destroy(&s);
    sy_program_destroy(&p);
}

int main(void)
{
    REQUIRE(mkdtemp(folder) && chdir(folder) == 0);
    uint32_t n = sy_test_devices(test_device);
    unlink("one.rec");
    unlink("last.rec");
    REQUIRE(chdir("/") == 0 && !rmdir(folder));
    return n ? check_done() : check_skip("no Vulkan device");
}
