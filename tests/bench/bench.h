/* What the benchmarks share: a device, sessions made from graph text, and medians of interleaved runs. A benchmark
 * prints ratios measured in one run and never fails on a time: these are figures, not tests. */
#ifndef SY_TESTS_BENCH_H
#define SY_TESTS_BENCH_H

#include "graph/program.h"
#include "src/device/device.h"
#include "graph/import/safetensors.h"
#include "src/run/session.h"
#include "src/sample/sampling.h"

enum { BENCH_ROUNDS = 7 };

typedef struct bench {
    sy_vk_instance *instance;
    sy_vk_device *device;
    const sy_limits *limits;
    const char *cache;
    bool half; /* sy_compile_params.half of what bench_text compiles */
} bench;

/* A program in a session of `replays` steps; `name` is what is printed. */
typedef struct bench_run {
    const char *name;
    sy_program *program;
    sy_session *session;
    sy_safetensors *weights; /* of graphs with parameters, over `file` */
    void *file;
    uint32_t replays;
    double flops;   /* of one replay */
    double seconds; /* median of one replay, after bench_measure */
    double best;
} bench_run;

void bench_open(bench *b); /* first usable device; exits with a sentence if there is none */
void bench_close(bench *b);
/* Compiles `text`, fills its inputs with normal noise (i32 and u32 inputs with zeros) and warms up. */
void bench_text(bench *b, bench_run *run, const char *name, const char *text, uint32_t replays);
/* Random weights for every parameter (f32) of the graph, in memory. */
void bench_weights(bench_run *run, const sy_graph *graph);
/* Overwrites an input with `count` floats, or integers. */
void bench_words(bench_run *run, const char *name, const int32_t *data, uint64_t count);
void bench_input(bench_run *run, const char *name, const float *data, uint64_t count);
/* A hand-made program of one kernel of shaders/, for the roofs: n output or input buffers of `bytes` each. */
void bench_shader(bench *b, bench_run *run, const char *file, uint32_t buffers, uint64_t bytes, uint32_t groups,
                  double flops, uint32_t replays);
/* Runs all in turn, BENCH_ROUNDS times round, and sets their medians: what the machine does meanwhile hits all alike. */
void bench_measure(bench_run *const *runs, uint32_t n);
void bench_measure_once(bench_run *run); /* one run of it alone, which sets `seconds` */
void bench_free(bench_run *run);         /* fine with zeros */

/* The roofs of this device: f32 operations a second, bytes a second of a triad. */
double bench_fma_roof(bench *b, bench_run *run);
double bench_triad_roof(bench *b, bench_run *run);
enum { BENCH_TRIAD_BYTES = 16 << 20 };

/* A model file's step as `generate` runs it, with guidance; the run is freed with bench_free, before this. */
typedef struct bench_model {
    sy_safetensors *file;
    sy_sampling sampling;
    float *table;
} bench_model;
void bench_model_open(bench *b, bench_model *m, bench_run *run, const char *path, uint32_t steps);
void bench_model_close(bench_model *m); /* fine with zeros */

/* bench_dispatches.c */
bool bench_wants_dispatches(void);
double bench_goal(const sy_dispatch *dispatch, double peak, double bandwidth); /* seconds */
void bench_print_dispatches(bench_run *run, double peak, double bandwidth);    /* nothing where sessions have no timings */

void bench_print(const char *what, double got, const char *unit, double goal, bool at_most);

int bench_matmul(bench *b);
int bench_half(bench *b);
int bench_moe(bench *b);
int bench_conv(bench *b);
int bench_attention(bench *b);
int bench_routes(bench *b);
int bench_steps(bench *b);
int bench_marks(bench *b);
int bench_model_goals(bench *b, const char *path);
int bench_peers(bench *b);
int bench_restart(const char *path);

#endif
