/* Every kernel for every device: the graphs of the self-test and small networks of the zoo are compiled with the limits
 * that the plan makes of each stored device, and what comes out is held against what the device said. The SPIR-V is
 * read here, not believed: its work group, its bindings, and that it asks for no optional feature. */
#include "graph/program.h"
#include "graph/zoo/zoo.h"
#include "src/device/self_test.h"
#include "tests/passes/help_passes.h"

#include <dirent.h>
#include <unistd.h>

/* ---- SPIR-V ---- */

enum {
    OP_EXECUTION_MODE = 16,
    OP_CAPABILITY = 17,
    OP_DECORATE = 71,
    MODE_LOCAL_SIZE = 17,
    DECORATION_BINDING = 33,
    CAPABILITY_SHADER = 1,
    CAPABILITY_FLOAT16 = 9,
    CAPABILITY_SAMPLED_BUFFER = 46,
    CAPABILITY_SUBGROUP = 61,
    CAPABILITY_SUBGROUP_SHUFFLE = 65,
    CAPABILITY_MEMORY_MODEL = 5345,
    CAPABILITY_MATRIX = 6022,
    SUBGROUP_SHUFFLE = 16 /* VK_SUBGROUP_FEATURE_SHUFFLE_BIT */
};

typedef struct module {
    uint32_t local_size[3], bindings, version;
    bool optional; /* a capability that some Vulkan 1.2 device may lack, and is not asked for in limits */
    bool shuffle;  /* within subgroups: only where limits allow it */
    bool matrix;   /* cooperative matrices and what belongs to them: so too */
    bool whole;
} module;

static module read_module(const uint32_t *words, uint32_t n)
{
    module m = {.whole = n > 5 && words[0] == 0x07230203};
    m.version = n > 1 ? words[1] : 0;
    for (uint32_t i = 5; i < n && m.whole;) {
        uint32_t length = words[i] >> 16, op = words[i] & 0xffff;
        if (!length || length > n - i) {
            m.whole = false;
        } else if (op == OP_CAPABILITY) {
            m.shuffle |= words[i + 1] == CAPABILITY_SUBGROUP_SHUFFLE;
            bool matrix = words[i + 1] == CAPABILITY_FLOAT16 || words[i + 1] == CAPABILITY_MEMORY_MODEL || words[i + 1] == CAPABILITY_MATRIX;
            m.matrix |= matrix;
            m.optional |= !matrix && words[i + 1] != CAPABILITY_SHADER && words[i + 1] != CAPABILITY_SAMPLED_BUFFER &&
                          words[i + 1] != CAPABILITY_SUBGROUP && words[i + 1] != CAPABILITY_SUBGROUP_SHUFFLE;
        } else if (op == OP_EXECUTION_MODE && length == 6 && words[i + 2] == MODE_LOCAL_SIZE) {
            memcpy(m.local_size, words + i + 3, sizeof m.local_size);
        } else if (op == OP_DECORATE && length == 4 && words[i + 2] == DECORATION_BINDING) {
            m.bindings = words[i + 3] + 1 > m.bindings ? words[i + 3] + 1 : m.bindings;
        }
        i += length ? length : 1;
    }
    return m;
}

/* ---- what must hold ---- */

static void check_kernel(const char *where, const sy_kernel *k, const sy_limits *l)
{
    module m = read_module(k->spirv, k->n_spirv);
    uint64_t invocations = (uint64_t)k->local_size[0] * k->local_size[1] * k->local_size[2];
    CHECK_SAY(m.whole && m.version <= 0x10500, "%s, %s: not SPIR-V for Vulkan 1.2", where, k->name);
    CHECK_SAY(!m.optional, "%s, %s: needs an optional capability", where, k->name);
    CHECK_SAY(!m.shuffle || l->subgroup_operations & SUBGROUP_SHUFFLE, "%s, %s: shuffles", where, k->name);
    CHECK_SAY(!m.matrix || (l->matrix[0] && m.local_size[0] % l->subgroup_size == 0), "%s, %s: matrices", where, k->name);
    CHECK_SAY(!memcmp(m.local_size, k->local_size, sizeof m.local_size), "%s, %s: work group", where, k->name);
    CHECK_SAY(invocations <= l->invocations, "%s, %s: %llu invocations of %u", where, k->name,
              (unsigned long long)invocations, l->invocations);
    for (int i = 0; i < 3; i++)
        CHECK_SAY(k->local_size[i] >= 1 && k->local_size[i] <= l->group_size[i], "%s, %s: axis %d", where, k->name, i);
    CHECK_SAY(k->shared_bytes <= l->shared_bytes, "%s, %s: %u bytes shared of %u", where, k->name, k->shared_bytes,
              l->shared_bytes);
    CHECK_SAY(k->n_bindings <= l->storage_buffers && m.bindings <= k->n_bindings, "%s, %s: %u bindings of %u", where,
              k->name, k->n_bindings, l->storage_buffers);
    CHECK_SAY(k->push_words * 4 <= l->push_bytes && k->push_words <= SY_PUSH_WORDS, "%s, %s: %u push words", where,
              k->name, k->push_words);
}

static void check_dispatch(const char *where, const sy_program *p, const sy_dispatch *d, const sy_limits *l)
{
    CHECK_SAY(d->kernel < p->n_kernels && d->n_bindings == p->kernels[d->kernel].n_bindings, "%s, %s", where, d->label);
    for (int i = 0; i < 3; i++)
        CHECK_SAY(d->groups[i] >= 1 && d->groups[i] <= l->group_count[i], "%s, %s: %u groups", where, d->label,
                  d->groups[i]);
    for (uint32_t i = 0; i < d->n_bindings; i++) {
        const sy_place *at = &d->bindings[i].place;
        CHECK_SAY(at->offset % l->offset_alignment == 0, "%s, %s: binding %u at %llu", where, d->label, i,
                  (unsigned long long)at->offset);
        CHECK_SAY(at->size && at->size <= l->storage_range, "%s, %s: binding %u has %llu bytes", where, d->label, i,
                  (unsigned long long)at->size);
        CHECK_SAY(at->offset + at->size <= p->space_bytes[at->space][at->buffer],
                  "%s, %s: binding %u ends outside its buffer", where, d->label, i);
    }
    CHECK_SAY(!d->indirect || (d->indirect_at.offset % 4 == 0 && d->indirect_at.size >= 12), "%s, %s", where, d->label);
}

static void check_program(const char *where, const sy_program *p, const sy_limits *l)
{
    CHECK_SAY(p->n_dispatches > 0 && p->n_kernels > 0, "%s", where);
    for (uint32_t i = 0; i < p->n_kernels; i++)
        check_kernel(where, &p->kernels[i], l);
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        check_dispatch(where, p, &p->dispatches[i], l);
    for (int space = 0; space < SY_SPACE_COUNT; space++)
        for (int i = 0; i < 16; i++)
            CHECK_SAY(p->space_bytes[space][i] <= l->allocation_bytes, "%s: space %d", where, space);
}

/* ---- what is compiled ---- */

static sy_graph *network(const char *architecture)
{
    sy_network_config c = {.side = 16,
                           .channels = 4,
                           .channels_out = 4,
                           .patch = 2,
                           .width = 48,
                           .depth = 2,
                           .heads = 3,
                           .label_rows = 11,
                           .null_row = 10,
                           .objective = SY_OBJECTIVE_FLOW,
                           .time_scale = 1000,
                           .guided_channels = 4,
                           .guidance = 4,
                           .steps = 4,
                           .dtype = SY_F16,
                           .has_pos_embed = true,
                           .qk_norm_eps = 1e-5};
    snprintf(c.architecture, sizeof c.architecture, "%s", architecture);
    if (!strcmp(architecture, "dit")) {
        c.mlp_hidden = 96;
    } else {
        c.experts = 6;
        c.top_k = 2;
        c.expert_hidden = 56;
        c.shared_hidden = 64;
        c.extra_experts = strncmp(architecture, "promoe", 6) ? 0 : 1;
    }
    sy_graph *g = sy_graph_create(architecture);
    REQUIRE(g != NULL);
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, 2, 4, 16, 16)),
                        .time = sy_input(g, "time", SY_T(SY_F32, 1)),
                        .label = sy_input(g, "label", SY_T(SY_I32, 2))};
    sy_output(g, "y", sy_zoo_build(g, &c, &in));
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s: %s", architecture, error.message);
    return g;
}

enum { MOST_GRAPHS = 64 };

static uint32_t make_graphs(sy_graph **graphs, const char **names)
{
    uint32_t n = 0;
    const char *text;
    for (uint32_t i = 0; (text = sy_self_test_graph(i, &names[n])); i++) {
        sy_error error = {0};
        graphs[n] = sy_graph_parse(text, strlen(text), &error);
        CHECK_SAY(graphs[n] != NULL, "%s: %s", names[n], error.message);
        REQUIRE(graphs[n] && n + 2 < MOST_GRAPHS);
        n++;
    }
    /* Networks that are made from sizes alone; the others read theirs from files. */
    static const char *const made[] = {"dit", "dit-moe", "promoe", "promoe-ec"};
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++) {
        REQUIRE(n < MOST_GRAPHS);
        names[n] = made[i];
        graphs[n++] = network(made[i]);
    }
    names[n] = "unet";
    graphs[n++] = help_unet(1, 64, 32, 3, true);
    return n;
}

/* What the compiler looks at, without names: devices that are equal to it are compiled for once. */
static uint32_t already(const sy_limits *seen, uint32_t n, const sy_limits *l)
{
    uint32_t i = 0;
    while (i < n && memcmp(&seen[i].cpu, &l->cpu, sizeof *l - offsetof(sy_limits, cpu)))
        i++;
    return i;
}

static bool load_plan(const char *file, sy_device_plan *plan)
{
    char path[600];
    static sy_device_snapshot snapshot;
    static char text[1 << 18];
    snprintf(path, sizeof path, "%s/tests/device/snapshots/%s", SY_SOURCE_DIR, file);
    FILE *stream = fopen(path, "rb");
    REQUIRE(stream != NULL);
    size_t size = fread(text, 1, sizeof text, stream);
    fclose(stream);
    REQUIRE(sy_snapshot_from_text(text, size, &snapshot, NULL));
    if (snapshot.features.cooperative_matrix == SY_YES && !snapshot.n_matrices) { /* public reports leave shapes out; such hardware has this one */
        snapshot.n_matrices = 1;
        snapshot.matrices[0].m = snapshot.matrices[0].n = snapshot.matrices[0].k = 16;
        snapshot.matrices[0].c = snapshot.matrices[0].r = 1;
        snapshot.matrices[0].scope = 3;
    }
    sy_plan_make(&snapshot, plan);
    return plan->usable;
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        char file[600];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(file);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

int main(void)
{
    enum { MOST_DEVICES = 128 };
    static sy_limits seen[MOST_DEVICES];
    sy_graph *graphs[MOST_GRAPHS];
    const char *names[MOST_GRAPHS + 1];
    char path[600], cache[] = "/tmp/switchyard-compile-XXXXXX";
    uint32_t matrices = 0, n_seen = 0, devices = 0, n_graphs = make_graphs(graphs, names);
    REQUIRE(mkdtemp(cache) != NULL); /* equal kernels of different devices are compiled once */
    snprintf(path, sizeof path, "%s/tests/device/snapshots", SY_SOURCE_DIR);
    DIR *folder = opendir(path);
    REQUIRE(folder != NULL);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        static sy_device_plan plan;
        if (!strstr(entry->d_name, ".json") || !load_plan(entry->d_name, &plan))
            continue;
        devices++;
        REQUIRE(n_seen < MOST_DEVICES);
        if (already(seen, n_seen, &plan.limits) < n_seen)
            continue;
        seen[n_seen++] = plan.limits;
        for (uint32_t i = 0; i < n_graphs; i++) {
            sy_error error = {0};
            char where[400];
            bool half = plan.limits.matrix[0] > 0; /* the further kernels that such a device has */
            snprintf(where, sizeof where, "%s, %s", entry->d_name, names[i]);
            sy_compile_params params = {.limits = &plan.limits, .cache_directory = cache, .max_steps = 4, .half = half};
            sy_program *program = sy_compile(graphs[i], &params, &error);
            CHECK_SAY(program != NULL, "%s: %s", where, error.message);
            if (program)
                check_program(where, program, &plan.limits);
            for (uint32_t j = 0; program && j < program->n_kernels; j++)
                matrices += strstr(program->kernels[j].name, ".matrix") != NULL;
            sy_program_destroy(&program);
        }
    }
    closedir(folder);
    CHECK(devices >= 36);
    CHECK((matrices > 0) == sy_compiler_has_matrices());
    printf("%u devices, %u different ones, %u graphs each, %u kernels with cooperative matrices\n", devices, n_seen, n_graphs, matrices);
    for (uint32_t i = 0; i < n_graphs; i++)
        sy_graph_destroy(&graphs[i]);
    remove_folder(cache);
    return check_done();
}
