/* Watching a session: what is observed is what happened (routes against those counted from the scores, times that ascend),
 * every turn is told, and watching changes no result. */
#include "graph/ir/ir.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

enum { ROWS = 96, EXPERTS = 5, WIDTH = 8, STEPS = 3 };

static const char graph_text[] =
    "graph \"moe\" {\n"
    "  %u = input \"u\" : f32[96,8]\n"
    "  %s = input \"scores\" : f32[96,5]\n"
    "  %w = input \"w\" : f32[5,8,8]\n"
    "  %r = route.top_k(%s) k=1 renormalise=0\n"
    "  %h = grouped_matmul(%u, %w, %r) transpose_b=0 gather=1\n"
    "  %o = combine(%h, %r) weighted=1\n"
    "  output \"o\" %o\n"
    "}\n";

static float u[ROWS * WIDTH], scores[ROWS * EXPERTS], w[EXPERTS * WIDTH * WIDTH];
static uint32_t load[EXPERTS];

static void fill(void)
{
    for (int i = 0; i < ROWS * WIDTH; i++)
        u[i] = (float)(i % 7) - 3;
    for (int i = 0; i < EXPERTS * WIDTH * WIDTH; i++)
        w[i] = (float)(i % 5) - 2;
    for (int t = 0; t < ROWS; t++) {
        int best = t % 3 ? t % 4 : 4; /* uneven on purpose */
        for (int e = 0; e < EXPERTS; e++)
            scores[t * EXPERTS + e] = e == best ? 0.9f : 0.1f;
        load[best]++;
    }
}

typedef struct seen {
    uint32_t turns, n_dispatches, times, heads;
    bool stop;
} seen;

static bool turn(void *context, const sy_session_turn *t)
{
    seen *s = context;
    CHECK(t->program == 0 && t->step == s->turns);
    s->turns++;
    for (uint32_t i = 0; t->times && i < s->n_dispatches; i++, s->times++)
        CHECK(t->times[2 * i] >= (i ? t->times[2 * i - 1] : 0) && t->times[2 * i + 1] >= t->times[2 * i]);
    for (uint32_t k = 0; k < t->n_heads; k++, s->heads++) {
        const sy_route_head *head = &t->heads[k];
        CHECK(head->words[0] == ROWS);
        uint32_t tiles = 0;
        for (uint32_t e = 0; e < EXPERTS; e++) {
            CHECK(head->words[e + 2] - head->words[e + 1] == load[e]);
            tiles += load[e] > 0;
        }
        CHECK(head->words[EXPERTS + 2] >= tiles && head->words[EXPERTS + 2] <= ROWS);
    }
    return !s->stop;
}

static void test(sy_vk_device *device)
{
    sy_error error = {0};
    sy_graph *graph = sy_graph_parse(graph_text, sizeof graph_text - 1, &error);
    REQUIRE(graph);
    sy_program *program = sy_compile(graph, &(sy_compile_params){.limits = &device->plan->limits, .max_steps = STEPS}, &error);
    REQUIRE(program);
    sy_session *session = sy_session_create(&(sy_session_params){.device = device, .step = program, .n_steps = STEPS}, &error);
    REQUIRE(session);
    CHECK(sy_session_write(session, "u", u, sizeof u, &error) && sy_session_write(session, "w", w, sizeof w, &error) &&
          sy_session_write(session, "scores", scores, sizeof scores, &error));
    sy_session_result r;
    float plain[ROWS * WIDTH];
    REQUIRE(sy_session_run(session, NULL, NULL, &error) && sy_session_read(session, "o", &r, &error));
    memcpy(plain, r.data, sizeof plain);
    CHECK(!sy_session_timings(session, 0));
    for (int round = 0; round < 4; round++) {
        seen s = {.n_dispatches = program->n_dispatches};
        sy_session_observer o = {.timing = round == 0   ? SY_TIMING_SERIAL
                                           : round == 1 ? SY_TIMING_OVERLAP
                                                        : SY_TIMING_NONE,
                                 .routes = round == 2,
                                 .turn = turn,
                                 .context = &s};
        CHECK(sy_session_observe(session, &o, &error));
        CHECK_SAY(sy_session_run(session, NULL, NULL, &error), "%s", error.message);
        CHECK(s.turns == STEPS);
        bool timed = round < 2 && device->plan->timestamp_bits;
        CHECK(s.times == (timed ? STEPS * program->n_dispatches : 0));
        CHECK((sy_session_timings(session, 0) != NULL) == timed);
        CHECK(s.heads == (round == 2 ? STEPS : 0));
        REQUIRE(sy_session_read(session, "o", &r, &error));
        CHECK(!memcmp(plain, r.data, sizeof plain));
    }
    seen s = {.n_dispatches = program->n_dispatches, .stop = true};
    sy_session_observer o = {.turn = turn, .context = &s};
    CHECK(sy_session_observe(session, &o, &error));
    CHECK(!sy_session_run(session, NULL, NULL, &error) && error.code == SY_CODE_CANCELLED && s.turns == 1);
    error = (sy_error){0};
    CHECK(sy_session_observe(session, NULL, &error) && sy_session_run(session, NULL, NULL, &error));
    CHECK(sy_session_get_stats(session)->host_waits == 1); /* nobody watches: one wait */
    sy_session_destroy(&session);
    sy_program_destroy(&program);
    sy_graph_destroy(&graph);
}

/* Counters come round. */
static void test_ticks(void)
{
    CHECK(sy_ticks_seconds(10, 30, 64, 1) == 20e-9);
    CHECK(sy_ticks_seconds(UINT64_MAX - 4, 5, 64, 2) == 20e-9);
    CHECK(sy_ticks_seconds((UINT64_C(1) << 36) - 3, 7, 36, 1) == 10e-9);
    CHECK(sy_ticks_seconds(UINT64_C(0xfffff00000000003), 7, 36, 1) == 4e-9); /* what lies above the bits is undefined */
}

int main(void)
{
    fill();
    test_ticks();
    if (!sy_test_devices(test))
        return check_skip("no Vulkan device");
    return check_done();
}
