/* The ggml party of tools/peers/compare.py, against ggml's public headers. The protocol is that of tests/bench/bench_peers.c:
 * lines "make KIND REPEATS NUMBER…" -> "ok MEAN" or "cannot WHY", and "time" -> seconds of one. REPEATS copies of the op
 * are one graph, which is one call: the way ggml's own test-backend-ops measures. Dimensions are in ggml's order, the
 * fastest first. */
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-vulkan.h"
#include "ggml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_OPS = 4096, MOST_INPUTS = 8 };

typedef struct work {
    struct ggml_context *ctx;
    struct ggml_cgraph *graph;
    ggml_backend_buffer_t buffer;
    struct ggml_tensor *inputs[MOST_INPUTS], *out;
    float scale[MOST_INPUTS]; /* of the noise in each */
    int n_inputs;
} work;

static struct ggml_tensor *tensor(work *w, float scale, int64_t a, int64_t b, int64_t c, int64_t d)
{
    w->scale[w->n_inputs] = scale;
    return w->inputs[w->n_inputs++] = ggml_new_tensor_4d(w->ctx, GGML_TYPE_F32, a, b, c, d);
}

/* Activations are noise of -1…1, weights a sixteenth of that, as in the other parties. */
static struct ggml_tensor *input(work *w, int64_t a, int64_t b, int64_t c)
{
    return tensor(w, 1.0f, a, b, c, 1);
}

static struct ggml_tensor *weight(work *w, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return tensor(w, 0.0625f, a, b, c, d);
}

typedef struct ggml_tensor *one(work *w, const int *n, struct ggml_tensor **x);

/* Each makes its inputs the first time (x[0] NULL) and one copy of the op whenever it is called. */
static struct ggml_tensor *matmul(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[2], n[1], 1), x[1] = input(w, n[2], n[0], 1);
    return ggml_mul_mat(w->ctx, x[0], x[1]);
}

static struct ggml_tensor *conv(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[1], n[0], n[2]), x[1] = weight(w, 3, 3, n[2], n[3]);
    return ggml_conv_2d_direct(w->ctx, x[1], x[0], 1, 1, 1, 1, 1, 1);
}

static struct ggml_tensor *attention(work *w, const int *n, struct ggml_tensor **x)
{
    for (int i = 0; i < 3 && !x[2]; i++)
        x[i] = input(w, n[2], n[1], n[0]);
    return ggml_flash_attn_ext(w->ctx, x[0], x[1], x[2], NULL, 1.0f / sqrtf((float)n[2]), 0, 0);
}

/* The experts of each row, best first, and their scores [1,top,rows], as llama.cpp chooses them. */
static struct ggml_tensor *choose(work *w, struct ggml_tensor *scores, int top, struct ggml_tensor **weights)
{
    struct ggml_tensor *ids = ggml_argsort_top_k(w->ctx, scores, top);
    if (weights)
        *weights = ggml_get_rows(w->ctx, ggml_reshape_3d(w->ctx, scores, 1, scores->ne[0], scores->ne[1]), ids);
    return ids;
}

static struct ggml_tensor *grouped(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[0], n[3], 1), x[1] = input(w, n[4], 1, n[3]), x[2] = weight(w, n[4], n[2], n[0], 1);
    return ggml_mul_mat_id(w->ctx, x[2], x[1], choose(w, x[0], n[1], NULL));
}

static struct ggml_tensor *moe(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0]) {
        x[0] = input(w, n[0], n[2], 1), x[1] = input(w, n[3], 1, n[2]);
        x[2] = weight(w, n[3], n[4], n[0], 1), x[3] = weight(w, n[4], n[3], n[0], 1);
    }
    struct ggml_tensor *weights, *ids = choose(w, x[0], n[1], &weights), *sum = NULL;
    struct ggml_tensor *h = ggml_gelu(w->ctx, ggml_mul_mat_id(w->ctx, x[2], x[1], ids));
    struct ggml_tensor *y = ggml_mul(w->ctx, ggml_mul_mat_id(w->ctx, x[3], h, ids), weights);
    for (int i = 0; i < n[1]; i++) {
        struct ggml_tensor *part = ggml_view_2d(w->ctx, y, n[3], n[2], y->nb[2], (size_t)i * y->nb[1]);
        sum = sum ? ggml_add(w->ctx, sum, part) : part;
    }
    return n[1] > 1 ? sum : ggml_cont(w->ctx, sum);
}

static struct ggml_tensor *softmax(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[1], n[0], 1);
    return ggml_soft_max(w->ctx, x[0]);
}

static struct ggml_tensor *affine(work *w, struct ggml_tensor *normed, struct ggml_tensor **x)
{
    return ggml_add(w->ctx, ggml_mul(w->ctx, normed, x[1]), x[2]);
}

static struct ggml_tensor *group_norm(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[1], n[0], n[2]), x[1] = weight(w, 1, 1, n[2], 1), x[2] = weight(w, 1, 1, n[2], 1);
    return affine(w, ggml_group_norm(w->ctx, x[0], n[3], 1e-5f), x);
}

static struct ggml_tensor *layer_norm(work *w, const int *n, struct ggml_tensor **x)
{
    if (!x[0])
        x[0] = input(w, n[1], n[0], 1), x[1] = weight(w, n[1], 1, 1, 1), x[2] = weight(w, n[1], 1, 1, 1);
    return affine(w, ggml_norm(w->ctx, x[0], 1e-5f), x);
}

static const struct kind {
    const char *name;
    int n_numbers;
    one *make;
} kinds[] = {
    {"matmul", 3, matmul},   {"conv", 4, conv},       {"attention", 3, attention},   {"grouped", 5, grouped},
    {"moe", 5, moe},         {"softmax", 2, softmax}, {"group_norm", 4, group_norm}, {"layer_norm", 2, layer_norm},
};

static void drop(work *w)
{
    if (w->buffer)
        ggml_backend_buffer_free(w->buffer);
    if (w->ctx)
        ggml_free(w->ctx);
    *w = (work){0};
}

static void fill(work *w)
{
    for (int i = 0; i < w->n_inputs; i++) {
        size_t n = (size_t)ggml_nelements(w->inputs[i]);
        float *data = malloc(n * sizeof *data);
        uint32_t state = 12345u + (uint32_t)i;
        for (size_t k = 0; k < n; k++) {
            state = state * 1664525u + 1013904223u;
            data[k] = w->scale[i] * ((float)(state >> 8) / 8388608.0f - 1.0f);
        }
        ggml_backend_tensor_set(w->inputs[i], data, 0, n * sizeof *data);
        free(data);
    }
}

static double mean_output(const work *w)
{
    size_t n = (size_t)ggml_nelements(w->out);
    float *data = malloc(n * sizeof *data);
    double sum = 0;
    ggml_backend_tensor_get(w->out, data, 0, n * sizeof *data);
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)data[i]);
    free(data);
    return sum / (double)n;
}

/* Processor time where compare.py asks for it. */
static double now(void)
{
    struct timespec t;
    clock_gettime(getenv("SY_BENCH_PROCESSOR_TIME") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Makes and runs it once, which compiles its kernels; prints the answer. False: nothing was made. */
static bool make(work *w, ggml_backend_t backend, const char *name, int repeats, const int *numbers, int n_numbers)
{
    const struct kind *kind = kinds, *end = kinds + sizeof kinds / sizeof *kinds;
    struct ggml_tensor *x[MOST_INPUTS] = {0};
    while (kind < end && (strcmp(kind->name, name) || kind->n_numbers != n_numbers))
        kind++;
    if (kind == end)
        return printf("cannot make %s: ggml has no such op here\n", name), false;
    w->ctx = ggml_init((struct ggml_init_params){
        .mem_size = MOST_OPS * ggml_tensor_overhead() + ggml_graph_overhead_custom(MOST_OPS, false), .no_alloc = true});
    w->graph = ggml_new_graph_custom(w->ctx, MOST_OPS, false);
    for (int i = 0; i < repeats; i++)
        ggml_build_forward_expand(w->graph, w->out = kind->make(w, numbers, x));
    for (int i = 0; i < ggml_graph_n_nodes(w->graph); i++)
        if (!ggml_backend_supports_op(backend, ggml_graph_node(w->graph, i)))
            return printf("cannot run %s: its Vulkan back-end does not support it\n",
                          ggml_op_desc(ggml_graph_node(w->graph, i))),
                   false;
    w->buffer = ggml_backend_alloc_ctx_tensors(w->ctx, backend);
    if (!w->buffer)
        return printf("cannot make %s: no memory\n", name), false;
    fill(w);
    if (ggml_backend_graph_compute(backend, w->graph) != GGML_STATUS_SUCCESS)
        return printf("cannot run %s\n", name), false;
    printf("ok %.6g\n", mean_output(w));
    return true;
}

int main(void)
{
    char line[4096], kind[32], description[256];
    work w = {0};
    int repeats = 0;
    bool made = false;
    ggml_backend_t backend = ggml_backend_vk_get_device_count() ? ggml_backend_vk_init(0) : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!backend)
        return fprintf(stderr, "ggml sees no Vulkan device\n"), 1;
    ggml_backend_vk_get_device_description(0, description, sizeof description);
    printf("ggml %s, %s\n", ggml_version(), description);
    while (fgets(line, sizeof line, stdin)) {
        int numbers[5], n = 0, end = 0, used;
        if (!strncmp(line, "time", 4)) {
            double before = now();
            if (made)
                ggml_backend_graph_compute(backend, w.graph);
            if (made)
                printf("%.9g\n", (now() - before) / repeats);
            else
                printf("cannot: nothing was made\n");
            continue;
        }
        drop(&w), made = false;
        if (sscanf(line, "make %31s %d%n", kind, &repeats, &end) == 2 && repeats > 0) {
            for (; n < 5 && sscanf(line + end, "%d%n", &numbers[n], &used) == 1; end += used)
                n++;
            made = make(&w, backend, kind, repeats, numbers, n);
        } else {
            printf("cannot read the line\n");
        }
    }
    drop(&w);
    ggml_backend_free(backend);
    return 0;
}
