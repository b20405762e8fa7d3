/* Sessions of several step programs: which one runs is said by a schedule, or by a state on the device. Compiled graphs
 * with a matmul, a route and its grouped matmul, on every device and in the reference evaluator, against the same
 * arithmetic in plain C; runs give the same bytes; weights that programs have in common are stored once; outputs of
 * steps in which a program does not run are zeros. */
#include "graph/import/safetensors.h"
#include "graph/ir/build.h"
#include "src/run/device_session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

#include <math.h>

enum { ROWS = 37, WIDTH = 8, EXPERTS = 2, STEPS = 9 };
enum { MIX, DOUBLE, EXPERT, COUNT }; /* programs */

/* x' = x w * gain: the plain step. */
static sy_graph *mix_graph(void)
{
    sy_graph *g = sy_graph_create("mix");
    sy_value x = sy_state(g, "x", SY_T(SY_F32, ROWS, WIDTH));
    sy_value w = sy_param(g, "w", SY_T(SY_F32, WIDTH, WIDTH));
    sy_value next = sy_mul(g, sy_step(g, "gain"), sy_matmul(g, x, w, true));
    sy_carry(g, "x", next);
    sy_tap(g, "seen", next);
    return g;
}

/* x' = x + x w: another program over the same weight. */
static sy_graph *double_graph(void)
{
    sy_graph *g = sy_graph_create("double");
    sy_value x = sy_state(g, "x", SY_T(SY_F32, ROWS, WIDTH));
    sy_value w = sy_param(g, "w", SY_T(SY_F32, WIDTH, WIDTH));
    sy_carry(g, "x", sy_add(g, x, sy_matmul(g, x, w, true)));
    return g;
}

/* y' = y + the expert of each row, x w_e, where column e of x is largest. Runs where "go" is not 0. */
static sy_graph *expert_graph(void)
{
    sy_graph *g = sy_graph_create("expert");
    sy_value x = sy_state(g, "x", SY_T(SY_F32, ROWS, WIDTH)), y = sy_state(g, "y", SY_T(SY_F32, ROWS, WIDTH));
    sy_value scores = sy_slice_axis(g, x, 1, 0, EXPERTS);
    sy_value r = sy_route_top_k(g, scores, 1, false);
    sy_value both[EXPERTS] = {sy_param(g, "w", SY_T(SY_F32, WIDTH, WIDTH)),
                              sy_param(g, "v", SY_T(SY_F32, WIDTH, WIDTH))};
    sy_value out = sy_grouped_matmul(g, x, sy_stack(g, both, EXPERTS), r, true, true);
    sy_value next = sy_add(g, y, sy_combine(g, out, r, false));
    sy_carry(g, "y", next);
    sy_tap(g, "expert", next);
    return g;
}

/* go' = 1 where the sum of all of x is above the step's limit; count' = count + go. */
static sy_graph *count_graph(void)
{
    sy_graph *g = sy_graph_create("count");
    sy_value x = sy_state(g, "x", SY_T(SY_F32, ROWS, WIDTH));
    sy_value sum = sy_row(g, SY_OP_REDUCE_SUM, sy_reshape(g, x, SY_T(SY_F32, ROWS * WIDTH)), 0);
    sy_value go = sy_binary(g, SY_OP_LESS, sy_step(g, "limit"), sum);
    sy_value count = sy_state(g, "count", SY_T(SY_I32, 1));
    sy_state(g, "go", SY_T(SY_I32, 1));
    sy_carry(g, "go", go);
    sy_carry(g, "count", sy_add(g, count, go));
    return g;
}

static sy_graph *init_graph(void)
{
    sy_graph *g = sy_graph_create("init");
    sy_value x = sy_input(g, "x0", SY_T(SY_F32, ROWS, WIDTH));
    double one = 1;
    sy_state(g, "x", SY_T(SY_F32, ROWS, WIDTH));
    sy_state(g, "go", SY_T(SY_I32, 1));
    sy_carry(g, "x", sy_add(g, x, sy_const(g, 0)));
    sy_carry(g, "go", sy_const_of(g, SY_T(SY_I32, 1), &one, 1));
    return g;
}

static float w[WIDTH][WIDTH], v[WIDTH][WIDTH], x0[ROWS][WIDTH], table[STEPS][2];
static const char *const columns[] = {"gain", "limit"};
/* The step's main program, then the conditional one, then the count that ends the step. */
static uint32_t schedule[3 * STEPS];

static void fill(void)
{
    uint32_t state = 7;
    float *all[] = {&w[0][0], &v[0][0], &x0[0][0]};
    const int counts[] = {WIDTH * WIDTH, WIDTH * WIDTH, ROWS * WIDTH};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < counts[k]; i++) {
            state = state * 1664525 + 1013904223;
            all[k][i] = (float)((int)(state >> 24) - 128) / 256;
        }
    for (int s = 0; s < STEPS; s++) {
        table[s][0] = s % 2 ? 0.75f : 1.25f;
        table[s][1] = s % 3 == 1 ? 100 : -100; /* every third step is followed by one without experts */
        schedule[3 * s] = s % 4 == 2 ? DOUBLE : MIX;
        schedule[3 * s + 1] = EXPERT;
        schedule[3 * s + 2] = COUNT;
    }
}

static void multiply(const double x[ROWS][WIDTH], int row, const float m[WIDTH][WIDTH], double out[WIDTH])
{
    for (int i = 0; i < WIDTH; i++) {
        out[i] = 0;
        for (int k = 0; k < WIDTH; k++)
            out[i] += x[row][k] * (double)m[i][k];
    }
}

typedef struct wanted {
    double x[ROWS][WIDTH], y[ROWS][WIDTH], seen[STEPS][ROWS][WIDTH], expert[STEPS][ROWS][WIDTH];
    int count;
} wanted;

/* The right programs, by hand. */
static void run_by_hand(wanted *r)
{
    bool go = true;
    *r = (wanted){.count = 0};
    for (int i = 0; i < ROWS * WIDTH; i++)
        (&r->x[0][0])[i] = (double)(&x0[0][0])[i];
    for (int s = 0; s < STEPS; s++) {
        double next[ROWS][WIDTH], sum = 0;
        for (int i = 0; i < ROWS; i++) {
            multiply(r->x, i, w, next[i]);
            for (int k = 0; k < WIDTH; k++)
                next[i][k] = schedule[3 * s] == DOUBLE ? r->x[i][k] + next[i][k] : (double)table[s][0] * next[i][k];
        }
        memcpy(r->x, next, sizeof next);
        if (schedule[3 * s] == MIX)
            memcpy(r->seen[s], next, sizeof next);
        for (int i = 0; go && i < ROWS; i++) {
            double y[WIDTH];
            multiply(r->x, i, r->x[i][1] > r->x[i][0] ? v : w, y);
            for (int k = 0; k < WIDTH; k++)
                r->y[i][k] += y[k];
        }
        if (go)
            memcpy(r->expert[s], r->y, sizeof r->y);
        for (int i = 0; i < ROWS * WIDTH; i++)
            sum += (&r->x[0][0])[i];
        go = sum > (double)table[s][1];
        r->count += go;
    }
}

static sy_safetensors *weights_file(void)
{
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[8,8],\"data_offsets\":[0,256]},"
                                 "\"v\":{\"dtype\":\"F32\",\"shape\":[8,8],\"data_offsets\":[256,512]}}     ";
    static uint8_t bytes[8 + sizeof header - 1 + 512];
    uint64_t size = sizeof header - 1;
    memcpy(bytes, &size, 8);
    memcpy(bytes + 8, header, size);
    memcpy(bytes + 8 + size, w, sizeof w);
    memcpy(bytes + 8 + size + sizeof w, v, sizeof v);
    return sy_safetensors_from_memory(bytes, sizeof bytes, 0, NULL);
}

static double error_of(const void *got, const double *want, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)((const float *)got)[i] - want[i];
        difference += d * d;
        size += want[i] * want[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

static void check_slices(const sy_session *session, const char *name, const double *want)
{
    sy_session_result r;
    CHECK(sy_session_read(session, name, &r, NULL) && r.n_slices == STEPS);
    for (uint32_t s = 0; s < STEPS; s++) {
        double e = error_of((const uint8_t *)r.data + s * r.step_bytes, want + s * ROWS * WIDTH, ROWS * WIDTH);
        CHECK_SAY(e < 1e-5, "%s at step %u: off by %g", name, s, e);
    }
}

static void check_results(const sy_session *session, const wanted *want)
{
    sy_session_result x, y, count;
    REQUIRE(sy_session_read(session, "x", &x, NULL) && sy_session_read(session, "y", &y, NULL) &&
            sy_session_read(session, "count", &count, NULL));
    double ex = error_of(x.data, &want->x[0][0], ROWS * WIDTH), ey = error_of(y.data, &want->y[0][0], ROWS * WIDTH);
    CHECK_SAY(ex < 1e-5 && ey < 1e-5, "x is off by %g, y by %g", ex, ey);
    CHECK_SAY(*(const int32_t *)count.data == want->count, "%d steps with experts, %d wanted",
              *(const int32_t *)count.data, want->count);
    check_slices(session, "seen", &want->seen[0][0][0]);
    check_slices(session, "expert", &want->expert[0][0][0]);
    CHECK(sy_session_scheduled(session, DOUBLE, 2) && !sy_session_scheduled(session, DOUBLE, 3));
}

/* How the session is given to the device. */
typedef enum how { WHOLE, IN_SEGMENTS, IN_PARTS, WAYS } how;

/* The conditional program's dispatches are cut, each in as many parts as it has workgroups. */
static void check_parts(const sy_program *program, const sy_session_stats *stats, double bound)
{
    sy_arena arena = {0};
    sy_segment *segments;
    sy_error error = {0};
    uint32_t n, parts = 0, routed = 0;
    REQUIRE(sy_segments_plan(program, bound, false, &arena, &segments, &n, &error));
    for (uint32_t i = 0; i < n; i++) {
        parts += segments[i].part;
        routed += segments[i].part && program->dispatches[segments[i].first].indirect;
    }
    CHECK_SAY(parts > 4 && routed > 1 && stats->segments >= n, "%u parts, %u of them routed, %u segments", parts, routed,
              stats->segments);
    sy_arena_free(&arena);
}

static void test_way(sy_vk_device *device, how way, float first[2][ROWS * WIDTH])
{
    static sy_graph *(*const graphs[])(void) = {mix_graph, double_graph, expert_graph, count_graph, init_graph};
    static const char *const taps[] = {"seen", "expert"};
    sy_program *programs[COUNT + 2];
    sy_error error = {0};
    wanted want;
    fill();
    run_by_hand(&want);
    for (int i = 0; i < COUNT + 2; i++) {
        sy_graph *g = graphs[i]();
        sy_compile_params params = {.limits = device ? &device->plan->limits : NULL,
                                    .step_columns = columns,
                                    .n_step_columns = 2,
                                    .max_steps = STEPS,
                                    .taps = i == MIX ? taps : taps + 1,
                                    .n_taps = i == MIX || i == EXPERT,
                                    .conditional = i == EXPERT && way == IN_PARTS,
                                    .cache_directory = getenv("XDG_CACHE_HOME"),
                                    .no_spirv = !device};
        programs[i] = sy_compile(g, &params, &error);
        CHECK_SAY(programs[i], "%s", error.message);
        REQUIRE(programs[i]);
        sy_graph_destroy(&g);
    }
    sy_session_program list[] = {{programs[MIX], NULL, true},
                                 {programs[DOUBLE], NULL, true},
                                 {programs[EXPERT], "go", true},
                                 {programs[COUNT], NULL, false}};
    sy_safetensors *file = weights_file();
    sy_session_params params = {.device = device,
                                .init = programs[COUNT + 1],
                                .programs = list,
                                .n_programs = 4,
                                .schedule = schedule,
                                .n_schedule = 3 * STEPS,
                                .weights = file,
                                .table = &table[0][0],
                                .columns = columns,
                                .n_columns = 2,
                                .n_steps = STEPS,
                                .slice_seconds = way == WHOLE ? 0 : 4e-9};
    sy_session *session = sy_session_create(&params, &error);
    CHECK_SAY(session, "%s", error.message);
    REQUIRE(session);
    const sy_session_stats *stats = sy_session_get_stats(session);
    CHECK_SAY(!device || stats->shared_bytes == sizeof w, "%llu bytes shared", (unsigned long long)stats->shared_bytes);
    CHECK(sy_session_write(session, "x0", x0, sizeof x0, NULL));
    if (device && way == IN_PARTS)
        check_parts(programs[EXPERT], stats, 1e-9);
    for (int i = 0; i < 8; i++) {
        CHECK_SAY(sy_session_run(session, NULL, NULL, &error), "%s", error.message);
        check_results(session, &want);
        CHECK(!device || stats->host_waits == 1);
        sy_session_result x, y;
        REQUIRE(sy_session_read(session, "x", &x, NULL) && sy_session_read(session, "y", &y, NULL));
        CHECK((i == 0 && way == WHOLE) || (!memcmp(first[0], x.data, x.bytes) && !memcmp(first[1], y.data, y.bytes)));
        memcpy(first[0], x.data, x.bytes);
        memcpy(first[1], y.data, y.bytes);
    }
    sy_session_destroy(&session);

    params.n_schedule = 3 * STEPS - 1; /* the last step has no end */
    CHECK(!sy_session_create(&params, &error) && strstr(error.message, "whole steps"));
    params.n_schedule = 3 * STEPS;
    list[EXPERT].condition = "x"; /* no i32[1] */
    error = (sy_error){0};
    CHECK(!sy_session_create(&params, &error) && strstr(error.message, "\"x\""));
    sy_safetensors_close(&file);
    for (int i = 0; i < COUNT + 2; i++)
        sy_program_destroy(&programs[i]);
}

/* The same bytes every time, however the work is cut. */
static void test(sy_vk_device *device)
{
    static float first[2][ROWS * WIDTH];
    for (int way = 0; way < (device ? WAYS : 1); way++)
        test_way(device, (how)way, first);
}

int main(void)
{
    test(NULL);
    return sy_test_devices(test) ? check_done() : check_skip("no usable Vulkan device; the reference passed");
}
