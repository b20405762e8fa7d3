/* Whole graphs through compiler and session on every device against the f64 reference: fused and unfused, random ones
 * in which everything meets everything, and the networks of the zoo at a small size. Argument: a part of a graph's
 * name, to look at it alone. */
#include "graph/import/safetensors.h"
#include "src/run/convert.h"
#include "src/run/session.h"
#include "tests/passes/help_passes.h"
#include "tests/run/help_devices.h"

static const char *only;

static double *values_of(const sy_node *leaf)
{
    double *values = calloc(sy_type_count(&leaf->type), sizeof *values);
    REQUIRE(values);
    help_read(NULL, leaf, values, NULL);
    return values;
}

/* A file of the graph's parameters in memory. */
static sy_safetensors *weights_of(const sy_graph *g, uint8_t **bytes)
{
    sy_text header = {0}, body = {0};
    sy_text_add(&header, "{");
    for (sy_value v = 1; v < g->n_nodes; v++) {
        const sy_node *node = &g->nodes[v];
        if (node->op != SY_OP_PARAM)
            continue;
        uint64_t count = sy_type_count(&node->type);
        uint64_t size = count * (node->type.dtype == SY_F16 || node->type.dtype == SY_BF16 ? 2 : 4);
        double *values = values_of(node);
        char *stored = calloc(1, size + 4);
        REQUIRE(stored);
        sy_convert_from_double(node->type.dtype, values, count, stored);
        const char *dtype = node->type.dtype == SY_F16 ? "F16" : node->type.dtype == SY_BF16 ? "BF16" : "F32";
        sy_text_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", body.size ? "," : "", node->name, dtype);
        for (int k = 0; k < node->type.rank; k++)
            sy_text_printf(&header, "%s%d", k ? "," : "", node->type.dim[k]);
        sy_text_printf(&header, "],\"data_offsets\":[%zu,%zu]}", body.size, body.size + (size_t)size);
        sy_text_add_bytes(&body, stored, size);
        free(stored);
        free(values);
    }
    sy_text_add(&header, "}");
    uint64_t n = header.size;
    *bytes = calloc(1, 8 + n + body.size + 8);
    REQUIRE(*bytes && !header.failed && !body.failed);
    memcpy(*bytes, &n, 8);
    memcpy(*bytes + 8, header.data, n);
    if (body.size)
        memcpy(*bytes + 8 + n, body.data, body.size);
    sy_error error = {0};
    sy_safetensors *file = sy_safetensors_from_memory(*bytes, 8 + n + body.size, 0, &error);
    CHECK_SAY(file != NULL, "%s", error.message);
    sy_text_free(&header);
    sy_text_free(&body);
    return file;
}

static bool write_inputs(sy_session *session, const sy_graph *g, sy_error *error)
{
    for (sy_value v = 1; v < g->n_nodes; v++) {
        const sy_node *node = &g->nodes[v];
        if (node->op != SY_OP_INPUT)
            continue;
        uint64_t bytes = sy_type_bytes(&node->type);
        double *values = values_of(node);
        void *data = calloc(1, bytes);
        REQUIRE(data);
        sy_convert_from_double(node->type.dtype, values, sy_type_count(&node->type), data);
        bool ok = sy_session_write(session, node->name, data, bytes, error);
        free(data);
        free(values);
        if (!ok)
            return false;
    }
    return true;
}

/* Relative L2 distance of every f32 output from the reference. */
static void compare(const sy_session *session, const sy_graph *g, double tolerance, const char *what)
{
    sy_eval eval = {0};
    sy_error error = {0};
    bool fine = sy_eval_init(&eval, g, &error);
    eval.read = help_read;
    for (uint32_t e = 0; e < g->n_ends && fine; e++) {
        sy_session_result r;
        const sy_end *end = &g->ends[e];
        if (end->kind != SY_END_OUTPUT)
            continue;
        fine = sy_eval_value(&eval, end->value, &error) && sy_session_read(session, end->name, &r, &error);
        double distance = 0, norm = 0;
        for (uint64_t i = 0; fine && i < sy_type_count(&g->nodes[end->value].type); i++) {
            double wanted = eval.tensor[end->value][i], got = ((const float *)r.data)[i];
            distance += (got - wanted) * (got - wanted);
            norm += wanted * wanted;
        }
        CHECK_SAY(sqrt(distance) <= tolerance * sqrt(norm) + 1e-30, "%s, output %s: relative distance %g", what,
                  end->name, sqrt(distance / norm));
    }
    CHECK_SAY(fine, "%s: %s", what, error.message);
    sy_eval_free(&eval);
}

static void run(sy_vk_device *device, const sy_graph *g, const sy_limits *limits, bool no_fusion, double tolerance,
                const char *what)
{
    uint8_t *bytes = NULL;
    sy_error error = {0};
    sy_safetensors *file = weights_of(g, &bytes);
    sy_program *program = sy_compile(g, &(sy_compile_params){.limits = limits, .no_fusion = no_fusion}, &error);
    sy_session *session = NULL;
    if (program && file)
        session = sy_session_create(&(sy_session_params){.device = device, .step = program, .weights = file}, &error);
    bool ok = session && write_inputs(session, g, &error) && sy_session_run(session, NULL, NULL, &error);
    CHECK_SAY(ok, "%s: %s", what, error.message);
    if (ok)
        compare(session, g, tolerance, what);
    sy_session_destroy(&session);
    sy_program_destroy(&program);
    sy_safetensors_close(&file);
    free(bytes);
}

static void run_both(sy_vk_device *device, sy_graph *g, bool unfused, double tolerance, const char *name)
{
    char what[96];
    for (int no_fusion = 0; no_fusion <= unfused; no_fusion++) {
        snprintf(what, sizeof what, "%s, %s", name, no_fusion ? "unfused" : "fused");
        if (!only || strstr(what, only))
            run(device, g, &device->plan->limits, no_fusion, tolerance, what);
    }
    sy_graph_destroy(&g);
}

/* Rows much longer than a workgroup or a bound on loops; many equal numbers, so that their order counts. */
static sy_graph *long_rows(int32_t length)
{
    sy_graph *g = sy_graph_create("long rows");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 1, length)), whole = sy_input(g, "i", SY_T(SY_I32, 1, length));
    sy_output(g, "sorted", sy_cast(g, sy_sort(g, x, true), SY_F32));
    sy_output(g, "ranks", sy_cast(g, sy_unary(g, SY_OP_SORT_RANK, x), SY_F32));
    sy_output(g, "best", sy_cast(g, sy_top_k(g, sy_unary(g, SY_OP_SIN, x), 300), SY_F32));
    sy_output(g, "sums", sy_cumsum(g, sy_unary(g, SY_OP_ABS, x)));
    sy_output(g, "counts", sy_cast(g, sy_histogram(g, whole, 7), SY_F32));
    sy_output(g, "sparsest", sy_entmax(g, sy_slice_axis(g, x, 1, 0, 4096), 1.5));
    return g;
}

/* A route of constants is made when weights are loaded. */
static sy_graph *early_route(void)
{
    sy_graph *g = sy_graph_create("early route");
    const double rows[] = {3, 0, 1, 1, 2}, targets[] = {0, 1, 1, 0, 2}, weights[] = {0.5, 2, 1, -1, 4};
    sy_type list = SY_T(SY_I32, 5);
    sy_value r = sy_route_build(g, sy_const_of(g, list, rows, 5), sy_const_of(g, list, targets, 5),
                                sy_const_of(g, SY_T(SY_F32, 5), weights, 5), 5, 3, 0, 0);
    sy_output(g, "y", sy_combine(g, sy_route_gather(g, sy_input(g, "x", SY_T(SY_F32, 5, 8)), r), r, true));
    sy_output(g, "load", sy_cast(g, sy_route_load(g, r), SY_F32));
    sy_plan *plan = help_run(g, &(sy_compile_params){0}, "fuse");
    for (uint32_t i = 0; plan && i < plan->n_groups; i++)
        CHECK(plan->groups[i].kind != SY_GROUP_ROUTE);
    sy_plan_destroy(&plan);
    return g;
}

static sy_value moment(sy_graph *g, sy_value x, int32_t groups, int32_t mode)
{
    const sy_type type = SY_T(SY_F32, g->nodes[x].type.dim[0], groups, 1);
    return sy_graph_add(g, SY_OP_GROUP_MOMENT, &x, 1, &(sy_attributes){.groups = groups, .mode = mode}, &type, NULL);
}

/* Group norms of what convolutions and matmuls make in their epilogues, and of two of those joined; statistics of what is
 * far from 0 beside its spread. */
static sy_graph *norms(int32_t images, int32_t height, int32_t width, int32_t channels, int32_t groups)
{
    sy_graph *g = sy_graph_create("norms");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, images, height, width, channels));
    sy_value a = sy_conv_layer(g, x, "a", channels, 3, 1, 1, true, SY_F32);
    sy_value n = sy_silu(g, sy_group_norm_layer(g, a, "na", groups, 1e-5, SY_F32));
    sy_value b = sy_add(g, sy_conv_layer(g, n, "b", channels, 3, 1, 1, true, SY_F32), x);
    sy_value c = sy_linear(g, sy_group_norm_layer(g, b, "nb", groups, 1e-5, SY_F32), "c", channels, true, SY_F32);
    sy_output(g, "c", sy_instance_norm(g, c, 1e-5));
    sy_value joined = sy_concat(g, (sy_value[]){c, a}, 2, 3);
    sy_value d = sy_silu(g, sy_group_norm_layer(g, joined, "nj", groups, 1e-5, SY_F32));
    d = sy_conv_layer(g, d, "d", 8, 3, 2, 1, true, SY_F32);
    sy_output(g, "d", sy_group_norm_layer(g, d, "nd", 1, 1e-5, SY_F32));
    joined = sy_concat(g, (sy_value[]){b, x}, 2, 3); /* of what nothing makes, and so read again */
    sy_output(g, "e", sy_group_norm_layer(g, joined, "ne", groups, 1e-5, SY_F32));
    sy_value far = sy_mul(g, sy_linear(g, d, "f", channels, true, SY_F32), sy_const(g, 50));
    far = sy_add(g, far, sy_const(g, 300));
    sy_output(g, "mean", moment(g, far, groups, 0));
    sy_output(g, "variance", moment(g, far, groups, 1));
    return g;
}

/* As software drivers have them and as hardware does: the same values from other tiles. */
static void test_norms(sy_vk_device *device)
{
    static const struct {
        int32_t images, height, width, channels, groups;
    } cases[] = {{1, 16, 16, 16, 4}, {2, 8, 8, 24, 8},   {1, 32, 32, 64, 32}, {2, 4, 4, 16, 2},
                 {2, 7, 9, 12, 3},   {1, 10, 12, 20, 5}, {1, 8, 16, 6, 3},    {1, 24, 24, 68, 17}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int cpu = 0; cpu < 2; cpu++) {
            sy_graph *g = norms(cases[i].images, cases[i].height, cases[i].width, cases[i].channels, cases[i].groups);
            sy_limits limits = device->plan->limits;
            limits.cpu = cpu;
            char what[96];
            snprintf(what, sizeof what, "norms %u, %s", i, cpu ? "in rows" : "in tiles");
            if (!only || strstr(what, only))
                run(device, g, &limits, false, 1e-5, what);
            sy_graph_destroy(&g);
        }
}

/* 3x3 convolutions that CPU drivers make by fewer multiplications (winograd.c): as wide as they get in U-Nets, and a block of
 * them, so that what rounding does is seen behind it. */
static sy_graph *wide(int32_t images, int32_t side, int32_t channels, bool block)
{
    sy_graph *g = sy_graph_create("wide");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, images, side, side, channels));
    if (block)
        sy_output(g, "y", help_block(g, x, "block", channels, sy_input(g, "t", SY_T(SY_F32, 1, 20))));
    else
        sy_output(g, "y", sy_conv_layer(g, x, "conv", channels, 3, 1, 1, true, SY_F32));
    return g;
}

static void test(sy_vk_device *device)
{
    run_both(device, wide(1, 16, 256, false), false, 5e-6, "wide convolution");
    run_both(device, wide(2, 16, 96, true), false, 5e-6, "block of wide convolutions");
    test_norms(device);
    run_both(device, long_rows(70001), false, 1e-5, "long rows");
    run_both(device, early_route(), true, 1e-6, "early route");
    static const char *const names[] = {"dit", "dit-moe", "promoe", "promoe-ec"};
    char name[64];
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        for (int narrow = 0; narrow < 2; narrow++) {
            sy_network_config c = help_config(names[i], 2, 32, 8);
            c.attention_names = i == 1 && narrow ? SY_ATTENTION_WQKV : SY_ATTENTION_TIMM;
            c.qk_norm = i == 1 && narrow;
            c.qk_norm_eps = 1e-6;
            c.dtype = !narrow ? SY_F32 : i % 2 ? SY_BF16 : SY_F16;
            snprintf(name, sizeof name, "%s%s", names[i], narrow ? ", half" : "");
            run_both(device, help_network(&c, 2), i == 2 && !narrow, 1e-5, name);
        }
    for (int norms = 0; norms < 2; norms++)
        run_both(device, help_unet(2, norms ? 12 : 20, norms ? 10 : 14, 2, norms), false, 1e-5,
                 norms ? "unet" : "unet, plain");
    for (uint64_t seed = 1; seed <= 4; seed++) {
        snprintf(name, sizeof name, "dense %llu", (unsigned long long)seed);
        run_both(device, help_dense_graph(seed), seed == 1, 1e-4, name);
    }
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    return sy_test_devices(test) ? check_done() : check_skip("no usable Vulkan device");
}
