/* See roofs.h. Each roof is a program of a few equal dispatches, made by hand from a shader that does nothing else; the best
 * time of any of them counts, for what disturbs only ever takes longer. Times are those of the serial mode, as dispatches
 * are judged by. */
#include "src/profile/roofs.h"

#include "graph/emit/embedded.h"
#include "graph/passes/plan.h"
#include "src/device/cooperative_matrix.h"
#include "src/profile/matrix_roof.h"
#include "src/run/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 4, MOST_BUFFERS = 2, COPIES = 3, EMPTIES = 48, FOLD = 32768 };

typedef struct rig {
    sy_vk_device *device;
    const char *cache;
    sy_arena *arena;
    sy_roofs *roofs;
} rig;

/* What one measurement runs. */
typedef struct task {
    const char *shader; /* in shaders/; NULL: `spirv` */
    const uint32_t *spirv;
    uint32_t n_spirv, local;
    uint64_t bytes[MOST_BUFFERS]; /* of buffers; 0: none */
    uint32_t n_buffers, texel, push, n_push;
    uint64_t groups;
    uint32_t n;    /* dispatches */
    bool indirect; /* sized by a dispatch before them all */
} task;

typedef struct timing {
    double best, spread; /* of a dispatch, alone */
    double period[2];    /* from one to the next: serial, overlap */
} timing;

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to measure a roof");
}

static const char *source_of(const char *file)
{
    for (const struct sy_embedded *e = sy_embedded_shaders; e->name; e++)
        if (!strcmp(e->name, file))
            return e->data;
    return NULL;
}

static bool kernel_of(const rig *r, sy_program *p, const char *file, uint32_t n_bindings, sy_kernel *out, sy_error *error)
{
    sy_compile_params params = {.limits = &r->device->plan->limits, .cache_directory = r->cache};
    const char *source = source_of(file);
    const uint32_t *spirv;
    uint32_t n = 0;
    bool cached;
    if (!source)
        return sy_fail(error, SY_CODE_INTERNAL, "shaders/%s is not in the library", file);
    struct sy_emitter *emitter = sy_emitter_create(&params, params.limits, error);
    bool ok = emitter && sy_emit_spirv(emitter, file, source, &spirv, &n, &cached, error);
    uint32_t *copy = ok ? sy_arena_array(&p->arena, n, sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, spirv, n * sizeof *copy);
    sy_emitter_destroy(&emitter);
    *out = (sy_kernel){.name = file, .glsl = source, .spirv = copy, .n_spirv = n, .local_size = {64, 1, 1}, .n_bindings = n_bindings};
    return copy || (ok ? no_memory(error) : false);
}

/* Buffers lie one after another; the size of indirect dispatches behind them. */
static bool fill_program(const rig *r, const task *t, sy_program *p, sy_error *error)
{
    sy_kernel *kernels = sy_arena_array(&p->arena, 2, sizeof *kernels);
    sy_dispatch *dispatches = sy_arena_array(&p->arena, (size_t)t->n + 1, sizeof *dispatches);
    sy_binding *bindings = sy_arena_array(&p->arena, MOST_BUFFERS + 1, sizeof *bindings);
    if (!kernels || !dispatches || !bindings)
        return no_memory(error);
    uint64_t at = 0;
    for (uint32_t i = 0; i < t->n_buffers; i++) {
        bindings[i] = (sy_binding){{SY_SPACE_ARENA, 0, at, t->bytes[i]}, i + 1 == t->n_buffers ? SY_WRITE : SY_READ};
        at += (t->bytes[i] + 255) & ~UINT64_C(255);
    }
    sy_place size = {SY_SPACE_ARENA, 0, at, 12};
    bindings[MOST_BUFFERS] = (sy_binding){size, SY_WRITE};
    if (t->shader ? !kernel_of(r, p, t->shader, t->n_buffers, &kernels[0], error) : false)
        return false;
    if (!t->shader)
        kernels[0] = (sy_kernel){.name = "roof_matrix", .glsl = "", .spirv = t->spirv, .n_spirv = t->n_spirv, .n_bindings = t->n_buffers};
    kernels[0].push_words = t->n_push;
    kernels[0].texel_bindings = t->texel;
    if (t->indirect && !kernel_of(r, p, "roof_size.comp", 1, &kernels[1], error))
        return false;
    if (t->indirect)
        dispatches[p->n_dispatches++] = (sy_dispatch){.kernel = 1, .n_bindings = 1, .bindings = &bindings[MOST_BUFFERS], .groups = {1, 1, 1}, .barrier = true, .label = "size"};
    uint64_t x = t->groups < FOLD ? t->groups : FOLD;
    for (uint32_t i = 0; i < t->n; i++)
        dispatches[p->n_dispatches++] = (sy_dispatch){.n_bindings = t->n_buffers,
                                                      .bindings = bindings,
                                                      .push = {t->push},
                                                      .groups = {(uint32_t)x, (uint32_t)((t->groups + x - 1) / x), 1},
                                                      .indirect = t->indirect,
                                                      .indirect_at = size,
                                                      .barrier = i == 0,
                                                      .label = kernels[0].name};
    p->kernels = kernels;
    p->n_kernels = t->indirect ? 2 : 1;
    p->dispatches = dispatches;
    p->space_bytes[SY_SPACE_ARENA][0] = at + 256;
    return true;
}

static void keep_best(const task *t, const double *times, uint32_t n, sy_session_timing mode, timing *out)
{
    uint32_t first = t->indirect, count = n - first;
    double period = count > 1 ? (times[2 * n - 1] - times[2 * first + 1]) / (count - 1) : 0;
    double *best = &out->period[mode == SY_TIMING_OVERLAP];
    *best = *best <= 0 || period < *best ? period : *best;
    for (uint32_t i = first; i < n && mode == SY_TIMING_SERIAL; i++) {
        double seconds = times[2 * i + 1] - times[2 * i];
        if (seconds > 0 && (out->best <= 0 || seconds < out->best))
            out->best = seconds;
    }
}

static bool time_task(const rig *r, const task *t, timing *out, sy_error *error)
{
    sy_program *p = calloc(1, sizeof *p);
    *out = (timing){0};
    if (!p)
        return no_memory(error);
    p->graph = sy_graph_create("roof");
    double samples[RUNS];
    sy_session *session = NULL;
    bool ok = p->graph && fill_program(r, t, p, error);
    if (ok)
        session = sy_session_create(&(sy_session_params){.device = r->device, .step = p, .timings = SY_TIMING_SERIAL}, error);
    ok = ok && session;
    for (int mode = SY_TIMING_SERIAL; ok && mode >= SY_TIMING_OVERLAP; mode--) {
        if (mode == SY_TIMING_OVERLAP && t->n < 4)
            break;
        sy_session_observer o = {.timing = (sy_session_timing)mode};
        ok = mode == SY_TIMING_SERIAL || sy_session_observe(session, &o, error);
        for (int i = -1; ok && i < RUNS; i++) { /* -1: to warm up */
            ok = sy_session_run(session, NULL, NULL, error);
            const double *times = ok ? sy_session_timings(session, 0) : NULL;
            if (times && i >= 0) {
                keep_best(t, times, p->n_dispatches, (sy_session_timing)mode, out);
                if (mode == SY_TIMING_SERIAL)
                    samples[i] = times[2 * p->n_dispatches - 1] - times[2 * p->n_dispatches - 2];
            }
        }
    }
    sy_samples s;
    if (ok && sy_samples_describe(samples, RUNS, &s))
        out->spread = s.spread;
    sy_session_destroy(&session);
    sy_program_destroy(&p);
    return ok;
}

static void put(const rig *r, sy_roof_kind kind, double value, double spread, uint64_t bytes, const char *note)
{
    sy_roofs *roofs = r->roofs;
    if (roofs->n < SY_MOST_ROOFS)
        roofs->roof[roofs->n++] = (sy_roof){kind, value, spread, bytes, note};
}

/* A rate from work and time; a failure to run it is a note, not an end: what the others say holds. */
static void put_rate(const rig *r, sy_roof_kind kind, const task *t, double work, uint64_t bytes, const char *note)
{
    timing time;
    sy_error error = {0};
    if (!time_task(r, t, &time, &error))
        put(r, kind, 0, 0, bytes, sy_arena_string(r->arena, error.message));
    else if (time.best > 0)
        put(r, kind, work / time.best, work / time.best * (time.spread / (time.best + time.spread)), bytes, note);
    else
        put(r, kind, 0, 0, bytes, "it took no time that the timestamps could tell");
}

/* The better of two ways over one working set. */
static void put_memory(const rig *r, sy_roof_kind kind, const char *const shaders[2], uint64_t set, uint64_t total)
{
    bool copy = kind == SY_ROOF_COPY, texels = r->device->plan->limits.texel_elements >= set / 16;
    uint64_t quads = (copy ? set / 2 : set) / 16, moved = total > set ? total : set;
    uint32_t first = r->roofs->n;
    for (int way = 0; way < (texels ? 2 : 1); way++) {
        task t = {.shader = shaders[way],
                  .bytes = {16 * quads, copy ? 16 * quads : 4 * 4096},
                  .n_buffers = 2,
                  .texel = way,
                  .push = (uint32_t)(quads - 1),
                  .n_push = 1,
                  .groups = moved / (copy ? 32 : 16 * 8) / 64,
                  .n = COPIES};
        put_rate(r, kind, &t, (double)moved, set, way ? "through texel buffers" : "");
    }
    if (r->roofs->n == first + 2) {
        if (r->roofs->roof[first + 1].value > r->roofs->roof[first].value)
            r->roofs->roof[first] = r->roofs->roof[first + 1];
        r->roofs->n--;
    }
}

static void measure_memory(const rig *r)
{
    static const char *const copies[] = {"roof_copy.comp", "roof_copy_texel.comp"}, *const reads[] = {"roof_read.comp", "roof_read_texel.comp"};
    bool cpu = r->device->plan->limits.cpu;
    for (uint64_t set = cpu ? 256 << 10 : 2 << 20, i = 0; i < 3; i++, set *= 16) {
        uint64_t range = r->device->plan->limits.storage_range;
        while (set > range)
            set /= 2;
        put_memory(r, SY_ROOF_COPY, copies, set, cpu ? 32 << 20 : 256 << 20);
        put_memory(r, SY_ROOF_READ, reads, set, cpu ? 32 << 20 : 256 << 20);
    }
}

static void measure_arithmetic(const rig *r)
{
    const sy_device_snapshot *s = r->device->snapshot;
    uint64_t groups = r->device->plan->limits.cpu ? 256 : 8192;
    double lanes = 64.0 * (double)groups;
    task t = {.bytes = {groups * 256}, .n_buffers = 1, .groups = groups, .n = COPIES};
    t.shader = "roof_fma.comp";
    put_rate(r, SY_ROOF_F32, &t, 2.0 * 12 * 2000 * lanes, 0, "");
    t.shader = "roof_fma_half.comp";
    if (s->features.float16 == SY_YES)
        put_rate(r, SY_ROOF_F16, &t, 2.0 * 2 * 12 * 1000 * lanes, 0, "");
    else
        put(r, SY_ROOF_F16, 0, 0, 0, "the device has no shaderFloat16");
    t.shader = "roof_dot.comp";
    if (s->features.dot_product == SY_YES)
        put_rate(r, SY_ROOF_I8, &t, 8.0 * 12 * 1000 * lanes, 0, "");
    else
        put(r, SY_ROOF_I8, 0, 0, 0, "the device has no shaderIntegerDotProduct");
}

static void measure_matrix(const rig *r)
{
    sy_matrix_roof m;
    if (!sy_matrix_roof_make(r->device->snapshot, r->arena, &m)) {
        put(r, SY_ROOF_MATRIX, 0, 0, 0, "the device has no cooperative matrices of f16 into f32 for a subgroup");
        return;
    }
    uint64_t groups = r->device->plan->limits.cpu ? 64 : 4096;
    task t = {.spirv = m.spirv, .n_spirv = m.n_spirv, .bytes = {groups * m.bytes_a_group}, .n_buffers = 1, .groups = groups, .n = COPIES};
    put_rate(r, SY_ROOF_MATRIX, &t, m.operations_a_group * (double)groups, 0, sy_arena_printf(r->arena, "%u x %u x %u", m.m, m.n, m.k));
}

static void measure_dispatches(const rig *r)
{
    timing plain, indirect;
    sy_error error = {0};
    task t = {.shader = "roof_empty.comp", .groups = 1, .n = EMPTIES};
    if (time_task(r, &t, &plain, &error)) {
        put(r, SY_ROOF_EMPTY, plain.best, plain.spread, 0, "");
        double barrier = plain.period[0] - plain.period[1];
        put(r, SY_ROOF_BARRIER, barrier > 0 ? barrier : 0, 0, 0, barrier > 0 ? "" : "it adds nothing that could be told from the noise");
    } else {
        put(r, SY_ROOF_EMPTY, 0, 0, 0, sy_arena_string(r->arena, error.message));
    }
    t.indirect = true;
    error = (sy_error){0};
    if (time_task(r, &t, &indirect, &error))
        put(r, SY_ROOF_INDIRECT, indirect.best, indirect.spread, 0, "");
    else
        put(r, SY_ROOF_INDIRECT, 0, 0, 0, sy_arena_string(r->arena, error.message));
}

static sy_vk_device *open_rig(const sy_vk_device *device, sy_error *error)
{
    static const char *const extensions[] = {"VK_KHR_shader_integer_dot_product", "VK_KHR_cooperative_matrix"};
    const sy_device_snapshot *s = device->snapshot;
    bool matrix = s->features.cooperative_matrix == SY_YES && s->features.memory_model == SY_YES;
    bool own = matrix && !device->plan->matrices; /* else the device is made with them already */
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .pNext = own ? &matrices : NULL,
        .shaderIntegerDotProduct = VK_TRUE};
    sy_vk_extra extra = {.extensions = extensions,
                         .n_extensions = sizeof extensions / sizeof *extensions,
                         .float16 = s->features.float16 == SY_YES,
                         .memory_model = matrix,
                         .next = s->features.dot_product == SY_YES ? (void *)&dot : own ? (void *)&matrices : NULL};
    for (uint32_t i = 0; i < device->instance->n_physicals; i++)
        if (device->instance->physicals[i].handle == device->physical)
            return sy_vk_device_create_with(device->instance, i, &extra, error);
    sy_fail(error, SY_CODE_INTERNAL, "a device is not among those of its instance");
    return NULL;
}

bool sy_roofs_measure(const sy_vk_device *device, const char *cache_directory, sy_arena *arena, sy_roofs *roofs, sy_error *error)
{
    rig r = {open_rig(device, error), cache_directory, arena, roofs};
    *roofs = (sy_roofs){0};
    if (!r.device)
        return false;
    if (r.device->plan->timestamp_bits) {
        measure_memory(&r);
        measure_arithmetic(&r);
        measure_matrix(&r);
        measure_dispatches(&r);
    }
    sy_vk_device_destroy(&r.device);
    return true;
}
