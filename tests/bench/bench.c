/* switchyard_bench matmul|attention|moe|conv|routes|steps|model [FILE]|peers: figures of the README, each with the goal beside it. */
#include "tests/bench/bench.h"

#include "graph/emit/embedded.h"
#include "graph/ops/philox.h"
#include "graph/passes/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void die(const char *what, const sy_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
    exit(1);
}

void bench_open(bench *b)
{
    sy_error error = {0};
    *b = (bench){.cache = NULL};
    b->instance = sy_vk_instance_create(NULL, &error);
    if (!b->instance)
        die("Vulkan", &error);
    for (uint32_t i = 0; i < b->instance->n_physicals && !b->device; i++)
        if (b->instance->physicals[i].plan.usable)
            b->device = sy_vk_device_create(b->instance, i, &error);
    if (!b->device)
        die("no usable Vulkan device", &error);
    b->limits = &b->device->plan->limits;
    printf("device: %s%s\n", b->limits->device, b->limits->cpu ? " (a CPU driver)" : "");
}

void bench_close(bench *b)
{
    sy_vk_device_destroy(&b->device);
    sy_vk_instance_destroy(&b->instance);
}

static void create_session(bench *b, bench_run *run)
{
    sy_error error = {0};
    run->session = sy_session_create(&(sy_session_params){.device = b->device,
                                                          .step = run->program,
                                                          .n_steps = run->replays,
                                                          .weights = run->weights,
                                                          .timings = bench_wants_dispatches()},
                                     &error);
    if (!run->session)
        die(run->name, &error);
}

static void noise(float *out, uint64_t n, uint32_t state)
{
    for (uint64_t k = 0; k < n; k++) {
        state = state * 1664525u + 1013904223u;
        out[k] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
}

static void fill(bench_run *run)
{
    sy_error error = {0};
    for (uint32_t i = 0; i < run->program->n_inputs; i++) {
        const sy_io *io = &run->program->inputs[i];
        uint64_t n = sy_type_count(&io->type);
        float *data = calloc(n, sizeof *data);
        if (!data)
            die(run->name, &(sy_error){.message = "out of memory"});
        if (io->type.dtype == SY_F32)
            noise(data, n, 12345 + i);
        if (!sy_session_write(run->session, io->name, data, n * sizeof *data, &error))
            die(run->name, &error);
        free(data);
    }
}

static void run_once(bench_run *run)
{
    sy_error error = {0};
    if (!sy_session_run(run->session, NULL, NULL, &error))
        die(run->name, &error);
}

/* A file in memory with every parameter (f32) of the graph, about as large as trained ones: 1 / 16. */
void bench_weights(bench_run *run, const sy_graph *graph)
{
    sy_error error = {0};
    sy_text head = {0};
    uint64_t offset = 0;
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        const sy_node *node = &graph->nodes[v];
        if (node->op != SY_OP_PARAM)
            continue;
        sy_text_printf(&head, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", offset ? "," : "{", node->name);
        for (int d = 0; d < node->type.rank; d++)
            sy_text_printf(&head, "%s%d", d ? "," : "", node->type.dim[d]);
        uint64_t bytes = sy_type_bytes(&node->type);
        sy_text_printf(&head, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                       (unsigned long long)(offset + bytes));
        offset += bytes;
    }
    if (!offset)
        return;
    sy_text_add(&head, "}");
    while (head.size % 8)
        sy_text_add(&head, " ");
    uint64_t length = head.size;
    char *file = run->file = malloc(8 + length + offset);
    if (!file || head.failed)
        die(run->name, &(sy_error){.message = "out of memory"});
    memcpy(file, &length, 8);
    memcpy(file + 8, head.data, length);
    float *data = (float *)(file + 8 + length);
    noise(data, offset / 4, 777);
    for (uint64_t k = 0; k < offset / 4; k++)
        data[k] *= 0.0625f;
    sy_text_free(&head);
    run->weights = sy_safetensors_from_memory(file, 8 + length + offset, 0, &error);
    if (!run->weights)
        die(run->name, &error);
}

void bench_text(bench *b, bench_run *run, const char *name, const char *text, uint32_t replays)
{
    sy_error error = {0};
    *run = (bench_run){.name = name, .replays = replays};
    sy_graph *graph = sy_graph_parse(text, strlen(text), &error);
    if (!graph)
        die(name, &error);
    run->program = sy_compile(graph, &(sy_compile_params){.limits = b->limits, .max_steps = replays, .half = b->half}, &error);
    bench_weights(run, graph);
    sy_graph_destroy(&graph);
    if (!run->program)
        die(name, &error);
    run->flops = run->program->stats.flops;
    create_session(b, run);
    fill(run);
    run_once(run);
}

static void write_input(bench_run *run, const char *name, const void *data, uint64_t count)
{
    sy_error error = {0};
    if (!sy_session_write(run->session, name, data, count * 4, &error))
        die(run->name, &error);
    run_once(run);
}

void bench_words(bench_run *run, const char *name, const int32_t *data, uint64_t count)
{
    write_input(run, name, data, count);
}

void bench_input(bench_run *run, const char *name, const float *data, uint64_t count)
{
    write_input(run, name, data, count);
}

void bench_shader(bench *b, bench_run *run, const char *file, uint32_t buffers, uint64_t bytes, uint32_t groups,
                  double flops, uint32_t replays)
{
    sy_error error = {0};
    *run = (bench_run){.name = file, .replays = replays, .flops = flops};
    const struct sy_embedded *shader = sy_embedded_shaders;
    while (shader->name && strcmp(shader->name, file))
        shader++;
    if (!shader->name)
        die(file, &(sy_error){.message = "no such shader"});
    sy_compile_params params = {.limits = b->limits};
    struct sy_emitter *emitter = sy_emitter_create(&params, b->limits, &error);
    const uint32_t *spirv;
    uint32_t n_spirv;
    bool cached;
    if (!emitter || !sy_emit_spirv(emitter, file, shader->data, &spirv, &n_spirv, &cached, &error))
        die(file, &error);

    sy_program *p = run->program = calloc(1, sizeof *p);
    p->graph = sy_graph_create(file);
    sy_kernel *kernel = sy_arena_alloc(&p->arena, sizeof *kernel);
    sy_dispatch *dispatch = sy_arena_alloc(&p->arena, sizeof *dispatch);
    sy_binding *bindings = sy_arena_array(&p->arena, buffers, sizeof *bindings);
    uint32_t *copy = sy_arena_array(&p->arena, n_spirv, sizeof *copy);
    memcpy(copy, spirv, n_spirv * sizeof *copy);
    sy_emitter_destroy(&emitter);
    for (uint32_t i = 0; i < buffers; i++)
        bindings[i] = (sy_binding){{SY_SPACE_ARENA, 0, i * bytes, bytes}, i + 1 == buffers ? SY_WRITE : SY_READ};
    *kernel = (sy_kernel){.name = file,
                          .glsl = shader->data,
                          .spirv = copy,
                          .n_spirv = n_spirv,
                          .local_size = {64, 1, 1},
                          .n_bindings = buffers};
    *dispatch = (sy_dispatch){.n_bindings = buffers,
                              .bindings = bindings,
                              .groups = {groups, 1, 1},
                              .barrier = true,
                              .label = file,
                              .flops = flops,
                              .bytes = (double)(buffers * bytes)};
    p->kernels = kernel, p->n_kernels = 1;
    p->dispatches = dispatch, p->n_dispatches = 1;
    p->space_bytes[SY_SPACE_ARENA][0] = buffers * bytes;
    create_session(b, run);
    run_once(run);
}

/* On a busy machine the time of day says little; a CPU driver with one thread can be timed by the processor time it takes. */
static bool processor_time;

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_measure_once(bench_run *run)
{
    double before = processor_seconds();
    run_once(run);
    double spent = processor_seconds() - before;
    run->seconds = (processor_time ? spent : sy_session_get_stats(run->session)->run_seconds) / run->replays;
}

void bench_measure(bench_run *const *runs, uint32_t n)
{
    double(*seconds)[BENCH_ROUNDS] = calloc(n, sizeof *seconds);
    for (uint32_t round = 0; round < BENCH_ROUNDS; round++)
        for (uint32_t i = 0; i < n; i++) {
            bench_measure_once(runs[i]);
            seconds[i][round] = runs[i]->seconds;
        }
    for (uint32_t i = 0; i < n; i++) {
        qsort(seconds[i], BENCH_ROUNDS, sizeof(double), by_value);
        runs[i]->seconds = seconds[i][BENCH_ROUNDS / 2];
        runs[i]->best = seconds[i][0];
    }
    free(seconds);
}

void bench_free(bench_run *run)
{
    sy_session_destroy(&run->session);
    sy_program_destroy(&run->program);
    sy_safetensors_close(&run->weights);
    free(run->file);
}

double bench_fma_roof(bench *b, bench_run *run)
{
    enum { GROUPS = 256 };
    bench_shader(b, run, "roof_fma.comp", 1, GROUPS * 64 * 4, GROUPS, 2.0 * 12 * 2000 * 64 * GROUPS, 3);
    return run->flops;
}

double bench_triad_roof(bench *b, bench_run *run)
{
    bench_shader(b, run, "roof_triad.comp", 3, BENCH_TRIAD_BYTES, BENCH_TRIAD_BYTES / 16 / 64, 0, 3);
    return 3.0 * BENCH_TRIAD_BYTES;
}

void bench_print(const char *what, double got, const char *unit, double goal, bool at_most)
{
    bool reached = at_most ? got <= goal : got >= goal;
    printf("  %-62s %8.3f %-10s goal: %s %.3g  %s\n", what, got, unit, at_most ? "at most" : "at least", goal,
           reached ? "reached" : "NOT reached");
}

static const char *model_path = SY_SOURCE_DIR "/models/emoji-promoe.safetensors";

static int model(bench *b)
{
    return bench_model_goals(b, model_path);
}

static int restart(bench *b)
{
    (void)b; /* contexts open devices of their own */
    return bench_restart(model_path);
}

static const struct {
    const char *name;
    int (*run)(bench *b);
} all[] = {{"matmul", bench_matmul}, {"half", bench_half}, {"attention", bench_attention}, {"moe", bench_moe},     {"conv", bench_conv},
           {"routes", bench_routes}, {"steps", bench_steps},         {"marks", bench_marks}, {"model", model},
           {"peers", bench_peers},   {"restart", restart}};

int main(int argc, char **argv)
{
    processor_time = getenv("SY_BENCH_PROCESSOR_TIME") != NULL;
    setvbuf(stdout, NULL, _IOLBF, 0); /* whoever reads through a pipe waits for lines */
    for (size_t i = 0; i < sizeof all / sizeof *all && argc > 1; i++) {
        if (strcmp(all[i].name, argv[1]))
            continue;
        bench b = {0};
        model_path = argc > 2 ? argv[2] : model_path;
        bench_open(&b);
        int status = all[i].run(&b);
        bench_close(&b);
        return status;
    }
    fprintf(stderr, "usage: switchyard_bench matmul | half | attention | moe | conv | routes | steps | marks | model [FILE.safetensors] |\n"
                    "                        restart [FILE.safetensors] | peers\n"
                    "peers reads what to time from its input: it is one party of tools/peers/compare.py.\n"
                    "With SY_BENCH_DISPATCHES set, the time of each dispatch as well.\n"
                    "With SY_BENCH_PROCESSOR_TIME set, processor time instead of wall time: for a CPU driver with one thread\n"
                    "(LP_NUM_THREADS=1) on a machine that is busy with other things.\n");
    return 2;
}
