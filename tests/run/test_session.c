/* Sessions over programs written by hand: states shared by name between two programs, step table, step counter, step
 * outputs, weights, indirect dispatch, bounded submissions, cancelling. No compiler is involved but for SPIR-V, so what
 * fails here is the session's. */
#include "graph/import/safetensors.h"
#include "graph/ir/build.h"
#include "graph/passes/plan.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

#define HEAD "#version 450\nlayout(local_size_x = 4) in;\n"

/* x[i] = seed[i] */
static const char init_source[] =
    HEAD "layout(std430, binding = 0) readonly buffer A { uint seed[]; };\n"
         "layout(std430, binding = 1) writeonly buffer B { float x[]; };\n"
         "void main() { x[gl_GlobalInvocationID.x] = float(seed[gl_GlobalInvocationID.x]); }\n";
/* x[i] += table[step].second * factor; trace[step][i] = x[i]; groups = 1 */
static const char add_source[] = HEAD "layout(std430, binding = 0) buffer A { float x[]; };\n"
                                      "layout(std430, binding = 1) writeonly buffer B { float trace[]; };\n"
                                      "layout(std430, binding = 2) readonly buffer C { uint words[]; };\n"
                                      "layout(std430, binding = 3) writeonly buffer D { uint groups[]; };\n"
                                      "layout(push_constant) uniform P { uint factor; };\n"
                                      "void main() { uint i = gl_GlobalInvocationID.x, s = words[0];\n"
                                      "    x[i] += uintBitsToFloat(words[4 + 2 * s + 1]) * float(factor);\n"
                                      "    trace[s * 64 + i] = x[i];\n"
                                      "    if (i < 3) groups[i] = 1; }\n";
/* sum[i] = x[i] + w[i], as many groups as the buffer says */
static const char sum_source[] = HEAD "layout(std430, binding = 0) readonly buffer A { float x[]; };\n"
                                      "layout(std430, binding = 1) readonly buffer B { float w[]; };\n"
                                      "layout(std430, binding = 2) writeonly buffer C { float sum[]; };\n"
                                      "void main() { uint i = gl_GlobalInvocationID.x; sum[i] = x[i] + w[i]; }\n";

enum { STEPS = 7 };
static const char *const columns[] = {"first", "second"};
static struct sy_emitter *emitter;
static double work = 0; /* FLOPs a dispatch claims */

static sy_kernel kernel(const char *name, const char *source, uint32_t n_bindings, uint32_t push_words)
{
    sy_kernel k = {
        .name = name, .glsl = source, .local_size = {4, 1, 1}, .n_bindings = n_bindings, .push_words = push_words};
    sy_error error = {0};
    bool cached;
    CHECK_SAY(sy_emit_spirv(emitter, name, source, &k.spirv, &k.n_spirv, &cached, &error), "%s", error.message);
    return k;
}

static sy_place place(sy_space space, uint64_t offset, uint64_t size)
{
    return (sy_place){.space = space, .offset = offset, .size = size};
}

typedef struct programs {
    sy_graph *graph;
    sy_kernel init_kernel, kernels[2];
    sy_binding init_bindings[2], add[4], sum[3];
    sy_dispatch init_dispatch, dispatches[2];
    sy_io init_inputs[1], states[2], init_states[1], outputs[2];
    sy_weight weights[1];
    sy_program init, step;
} programs;

/* In `init` the state lies at 256, in `step` at 512 behind another: the session must go by names. */
static void make_programs(programs *p)
{
    sy_type four = SY_T(SY_F32, 4), seeds = SY_T(SY_U32, 4);
    *p = (programs){.graph = sy_graph_create("by hand")};
    sy_value w = sy_param(p->graph, "w", four), doubled = sy_add(p->graph, w, w);
    REQUIRE(sy_graph_check(p->graph, NULL));
    p->init_kernel = kernel("init", init_source, 2, 0);
    p->kernels[0] = kernel("add", add_source, 4, 1);
    p->kernels[1] = kernel("sum", sum_source, 3, 0);
    p->init_inputs[0] = (sy_io){"seeds", seeds, place(SY_SPACE_INPUT, 0, 16), 0};
    p->init_states[0] = (sy_io){"x", four, place(SY_SPACE_STATE, 256, 16), 0};
    p->states[0] = (sy_io){"other", four, place(SY_SPACE_STATE, 0, 16), 0};
    p->states[1] = (sy_io){"x", four, place(SY_SPACE_STATE, 512, 16), 0};
    p->outputs[0] = (sy_io){"trace", four, place(SY_SPACE_OUTPUT, 0, 256 * (STEPS - 1) + 16), 256};
    p->outputs[1] = (sy_io){"sum", four, place(SY_SPACE_OUTPUT, 4096, 16), 0};
    p->weights[0] = (sy_weight){doubled, four, place(SY_SPACE_WEIGHT, 256, 16)};
    p->init_bindings[0] = (sy_binding){p->init_inputs[0].place, SY_READ};
    p->init_bindings[1] = (sy_binding){p->init_states[0].place, SY_WRITE};
    p->add[0] = (sy_binding){p->states[1].place, SY_READ | SY_WRITE};
    p->add[1] = (sy_binding){p->outputs[0].place, SY_WRITE};
    p->add[2] = (sy_binding){place(SY_SPACE_STEP, 0, 16 + 4 * 2 * STEPS), SY_READ};
    p->add[3] = (sy_binding){place(SY_SPACE_ARENA, 0, 12), SY_WRITE};
    p->sum[0] = (sy_binding){p->states[1].place, SY_READ};
    p->sum[1] = (sy_binding){p->weights[0].place, SY_READ};
    p->sum[2] = (sy_binding){p->outputs[1].place, SY_WRITE};
    p->init_dispatch =
        (sy_dispatch){.n_bindings = 2, .bindings = p->init_bindings, .groups = {1, 1, 1}, .label = "init"};
    p->dispatches[0] = (sy_dispatch){
        .n_bindings = 4, .bindings = p->add, .push = {3}, .groups = {1, 1, 1}, .label = "add", .flops = work};
    p->dispatches[1] = (sy_dispatch){.kernel = 1,
                                     .n_bindings = 3,
                                     .bindings = p->sum,
                                     .groups = {1, 1, 1},
                                     .indirect = true,
                                     .indirect_at = p->add[3].place,
                                     .barrier = true,
                                     .label = "sum",
                                     .flops = work};
    p->init = (sy_program){.graph = p->graph,
                           .kernels = &p->init_kernel,
                           .n_kernels = 1,
                           .dispatches = &p->init_dispatch,
                           .n_dispatches = 1,
                           .inputs = p->init_inputs,
                           .n_inputs = 1,
                           .states = p->init_states,
                           .n_states = 1};
    p->init.space_bytes[SY_SPACE_STATE][0] = 512;
    p->step = (sy_program){.graph = p->graph,
                           .kernels = p->kernels,
                           .n_kernels = 2,
                           .dispatches = p->dispatches,
                           .n_dispatches = 2,
                           .weights = p->weights,
                           .n_weights = 1,
                           .states = p->states,
                           .n_states = 2,
                           .outputs = p->outputs,
                           .n_outputs = 2};
    p->step.space_bytes[SY_SPACE_WEIGHT][0] = 512;
    p->step.space_bytes[SY_SPACE_ARENA][0] = 12;
    p->step.space_bytes[SY_SPACE_OUTPUT][0] = 4096 + 16;
}

static sy_safetensors *weights_file(void)
{
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}    ";
    static uint8_t bytes[8 + sizeof header - 1 + 16];
    uint64_t size = sizeof header - 1;
    float w[] = {0.5f, 1, 1.5f, 2};
    memcpy(bytes, &size, 8);
    memcpy(bytes + 8, header, size);
    memcpy(bytes + 8 + size, w, 16);
    return sy_safetensors_from_memory(bytes, sizeof bytes, 0, NULL);
}

typedef struct told {
    uint32_t calls, last, stop_at;
} told;

static bool tell(void *context, uint32_t done, uint32_t total)
{
    told *t = context;
    CHECK(total == STEPS && done <= total && done >= t->last);
    t->calls++;
    t->last = done;
    return done < t->stop_at;
}

static void check_results(const sy_session *session)
{
    static const float seeds[] = {5, 0, 7, 100};
    sy_session_result trace, sum, x, nothing;
    REQUIRE(sy_session_read(session, "trace", &trace, NULL) && sy_session_read(session, "sum", &sum, NULL) &&
            sy_session_read(session, "x", &x, NULL));
    CHECK(!sy_session_read(session, "traces", &nothing, NULL));
    CHECK(trace.n_slices == STEPS && trace.step_bytes == 256 && sum.n_slices == 1 && sum.bytes == 16);
    float total = 0;
    for (int s = 0; s < STEPS; s++) {
        total += 3 * (float)(s + 1); /* the table's second column is 1, 2, …; the push constant 3 */
        const float *slice = (const float *)((const uint8_t *)trace.data + (size_t)s * trace.step_bytes);
        for (int i = 0; i < 4; i++)
            CHECK_SAY(slice[i] == seeds[i] + total, "step %d: %g, wanted %g", s, (double)slice[i],
                      (double)(seeds[i] + total));
    }
    for (int i = 0; i < 4; i++) {
        CHECK(((const float *)x.data)[i] == seeds[i] + total);
        CHECK(((const float *)sum.data)[i] == seeds[i] + total + (float)(i + 1)); /* w + w */
    }
}

static void run_session(sy_vk_device *device, uint32_t want_segments)
{
    sy_error error = {0};
    programs p;
    float table[STEPS][2];
    uint32_t seeds[] = {5, 0, 7, 100};
    for (int i = 0; i < STEPS; i++) {
        table[i][0] = -1;
        table[i][1] = (float)(i + 1);
    }
    make_programs(&p);
    sy_safetensors *file = weights_file();
    sy_session_params params = {.device = device,
                                .init = &p.init,
                                .step = &p.step,
                                .weights = file,
                                .table = &table[0][0],
                                .columns = columns,
                                .n_columns = 2,
                                .n_steps = STEPS};
    sy_session *session = sy_session_create(&params, &error);
    CHECK_SAY(session, "%s", error.message);
    if (!session)
        exit(1);
    const sy_session_stats *stats = sy_session_get_stats(session);
    CHECK_SAY(stats->segments == want_segments, "%u segments", stats->segments);
    sy_safetensors_close(&file); /* needed no more */

    CHECK(!sy_session_run(session, NULL, NULL, &error) && strstr(error.message, "seeds")); /* nothing given yet */
    error = (sy_error){0};
    CHECK(!sy_session_write(session, "seed", seeds, 16, &error) && error.code == SY_CODE_NOT_FOUND);
    CHECK(!sy_session_write(session, "seeds", seeds, 12, NULL));
    CHECK(sy_session_write(session, "seeds", seeds, 16, NULL));
    sy_session_result result;
    CHECK(!sy_session_read(session, "x", &result, NULL)); /* no run yet */

    for (int i = 0; i < 8; i++) { /* every run begins anew and gives the same */
        error = (sy_error){0};
        told t = {.stop_at = UINT32_MAX};
        CHECK_SAY(sy_session_run(session, i % 2 ? tell : NULL, &t, &error), "%s", error.message);
        CHECK(i % 2 == 0 || (t.calls > 0 && t.last == STEPS));
        CHECK_SAY(stats->host_waits == 1, "%u waits", stats->host_waits);
        CHECK(stats->submissions >= 1);
        check_results(session);
    }
    told t = {.stop_at = 0};
    error = (sy_error){0};
    CHECK(!sy_session_run(session, tell, &t, &error) && error.code == SY_CODE_CANCELLED);
    CHECK(!sy_session_read(session, "x", &result, NULL)); /* a cancelled run has no results */
    CHECK(sy_session_run(session, NULL, NULL, &error));
    check_results(session);
    sy_session_destroy(&session);
    CHECK(!session);
    sy_session_destroy(&session);
    sy_graph_destroy(&p.graph);
}

/* No weights where they are needed: refused by name, nothing made. */
static void refuse(sy_vk_device *device)
{
    programs p;
    sy_error error = {0};
    make_programs(&p);
    float table[STEPS * 2] = {0};
    sy_session_params params = {.device = device,
                                .init = &p.init,
                                .step = &p.step,
                                .table = table,
                                .columns = columns,
                                .n_columns = 2,
                                .n_steps = STEPS};
    uint32_t before = device->n_buffers;
    CHECK(!sy_session_create(&params, &error) && strstr(error.message, "\"w\""));
    CHECK(device->n_buffers == before);
    sy_graph_destroy(&p.graph);
}

static void test(sy_vk_device *device)
{
    sy_vk_physical *physical = NULL;
    for (uint32_t i = 0; i < device->instance->n_physicals; i++)
        if (&device->instance->physicals[i].plan == device->plan)
            physical = &device->instance->physicals[i];
    REQUIRE(physical);
    double bound = physical->plan.submission_seconds;
    work = 0;
    run_session(device, 1);
    physical->plan.submission_seconds = 0.1; /* each dispatch claims about a second: one a submission */
    work = 50e9;
    run_session(device, 2);
    physical->plan.submission_seconds = bound;
    work = 0;
    refuse(device);
    CHECK(device->n_buffers == 0);
}

int main(void)
{
    sy_error error = {0};
    sy_limits limits = sy_limits_floor();
    emitter = sy_emitter_create(NULL, &limits, &error);
    if (!emitter) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    uint32_t devices = sy_test_devices(test);
    sy_emitter_destroy(&emitter);
    return devices ? check_done() : check_skip("no usable Vulkan device");
}
