/* Kernels of every kind on every Vulkan device here, against the reference evaluator. */
#include "graph/ir/build.h"
#include "tests/check.h"
#include "tests/emit/help_kernel.h"

static vk_device *device;
static struct sy_emitter *emitter;
static bool every; /* run the next cases in every variant that can, not in the chosen one alone */

static sy_value in(sy_graph *g, const char *name, sy_type type)
{
    return sy_input(g, name, type);
}

static void expect(const char *name, sy_graph *g, sy_group group, double tolerance)
{
    kernel_case c = {.name = name, .graph = g, .group = group, .tolerance = tolerance, .every = every};
    CHECK_SAY(kernel_run(device, emitter, &c), "%s", name);
}

static sy_group map_of(sy_value output)
{
    return (sy_group){.kind = SY_GROUP_MAP, .outputs = {output}, .n_outputs = 1};
}

static void test_elementwise(int32_t n)
{
    sy_graph *g = sy_graph_create("unary");
    sy_value x = in(g, "x", SY_T(SY_F32, n, 5)), y = in(g, "y", SY_T(SY_F16, 5)), z = in(g, "z", SY_T(SY_BF16, n, 1)),
             sum = 0;
    static const sy_op ops[] = {SY_OP_NEG,  SY_OP_ABS,       SY_OP_SIN,      SY_OP_COS,  SY_OP_TANH,  SY_OP_SIGMOID,
                                SY_OP_SILU, SY_OP_GELU_TANH, SY_OP_GELU_ERF, SY_OP_RELU, SY_OP_FLOOR, SY_OP_EXP};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        sy_value v = sy_mul(g, sy_unary(g, ops[i], sy_add(g, x, sy_const(g, 0.1 * (double)i))),
                            sy_const(g, 1.0 + 0.3 * (double)i));
        sum = sum ? sy_add(g, sum, v) : v;
    }
    sy_value square = sy_add(g, sy_mul(g, x, x), sy_const(g, 0.5));
    sum = sy_add(g, sum, sy_unary(g, SY_OP_LOG, square));
    sum = sy_add(g, sum, sy_binary(g, SY_OP_DIV, sy_unary(g, SY_OP_RSQRT, square), sy_unary(g, SY_OP_SQRT, square)));
    sum = sy_add(g, sum, sy_unary(g, SY_OP_RECIPROCAL, square));
    sum = sy_select(g, sy_binary(g, SY_OP_LESS, x, sy_const(g, 0.2)), sum, sy_binary(g, SY_OP_MAX, x, sum));
    sum = sy_binary(g, SY_OP_MIN, sum, sy_const(g, 30));
    sum = sy_add(g, sum, sy_mul(g, sy_cast(g, y, SY_F32), sy_cast(g, z, SY_F32)));
    expect("elementwise", g, map_of(sum), 0);
}

static void test_large_angles(void)
{
    sy_graph *g = sy_graph_create("angles");
    sy_value whole = sy_unary(g, SY_OP_FLOOR, sy_mul(g, in(g, "x", SY_T(SY_F32, 1000)), sy_const(g, 1024)));
    sy_value x = sy_mul(g, whole, sy_const(g, 18.25)); /* exact in f32, as the reference takes it */
    sy_value y = sy_concat(g, (sy_value[]){sy_unary(g, SY_OP_SIN, x), sy_unary(g, SY_OP_COS, x)}, 2, 0);
    expect("sin and cos of large angles", g, map_of(y), 1e-6);
    g = sy_graph_create("tails");
    x = sy_mul(g, in(g, "x", SY_T(SY_F32, 1000)), sy_const(g, 300));
    y = sy_concat(g,
                  (sy_value[]){sy_unary(g, SY_OP_TANH, x), sy_unary(g, SY_OP_SIGMOID, x), sy_unary(g, SY_OP_SILU, x),
                               sy_unary(g, SY_OP_GELU_TANH, x), sy_unary(g, SY_OP_GELU_ERF, x)},
                  5, 0);
    expect("activations far out", g, map_of(y), 1e-6);
}

static void test_integers(void)
{
    sy_graph *g = sy_graph_create("integers");
    sy_value a = in(g, "a", SY_T(SY_I32, 7, 4)), i = sy_iota(g, SY_T(SY_I32, 7, 4), 1),
             r = sy_iota(g, SY_T(SY_I32, 7, 4), 0);
    sy_value x = sy_add(g, sy_mul(g, a, i), sy_sub(g, r, sy_cast(g, sy_cast(g, a, SY_F32), SY_I32)));
    x = sy_select(g, sy_binary(g, SY_OP_EQUAL, i, r), sy_unary(g, SY_OP_NEG, x),
                  sy_binary(g, SY_OP_DIV, x, sy_add(g, i, sy_cast(g, sy_const(g, 1), SY_I32))));
    expect("integers", g, map_of(x), 0);
}

static void test_views(int32_t n, int32_t c)
{
    sy_graph *g = sy_graph_create("views");
    sy_value x = in(g, "x", SY_T(SY_F32, n, 3, c)), t = sy_transpose(g, x, (int32_t[]){1, 0, 2});
    sy_value s = sy_slice(g, t, (int32_t[]){1, 0, 0}, SY_T(SY_F32, 2, n, c));
    sy_value flat = sy_reshape(g, s, SY_T(SY_F32, 2 * n, c)),
             b = sy_broadcast(g, in(g, "b", SY_T(SY_F32, 1, c)), SY_T(SY_F32, 2 * n, c));
    sy_value joined = sy_concat(g, (sy_value[]){flat, b, in(g, "y", SY_T(SY_F32, 2 * n, 8))}, 3, 1);
    sy_value up = sy_transpose(g, sy_add(g, joined, sy_const(g, 1)), (int32_t[]){1, 0});
    expect("views", g, map_of(up), 0);
    g = sy_graph_create("patches"); /* image [2,3,4p,4p] -> tokens, the permuted reads of a patch embedding */
    x = in(g, "x", SY_T(SY_F32, 2, 3, 8, 8));
    t = sy_transpose(g, sy_reshape(g, x, SY_T(SY_F32, 2, 3, 4, 2, 4, 2)), (int32_t[]){0, 2, 4, 1, 3, 5});
    expect("patches", g, map_of(sy_mul(g, sy_reshape(g, t, SY_T(SY_F32, 2, 16, 12)), sy_const(g, 2))), 0);
}

static void test_stores(void)
{
    static const sy_dtype types[] = {SY_F16, SY_BF16, SY_I32, SY_U32};
    for (int i = 0; i < 4; i++)
        for (int32_t n = 5; n <= 8; n += 3) {
            sy_graph *g = sy_graph_create("stores");
            sy_value x = sy_mul(g, in(g, "x", SY_T(SY_F32, 3, n)), sy_const(g, types[i] == SY_I32 ? 100 : 3));
            x = types[i] == SY_U32 ? sy_unary(g, SY_OP_ABS, x) : x;
            expect("stores", g, map_of(sy_cast(g, x, types[i])), types[i] == SY_BF16 ? 4e-3 : 5e-4);
        }
}

static void test_indexed(int32_t c)
{
    sy_graph *g = sy_graph_create("indexed");
    sy_value table = in(g, "table", SY_T(SY_F32, 9, c)),
             ids = in(g, "ids", SY_T(SY_I32, 7)); /* ids to 10: two are outside */
    expect("take_rows", g, map_of(sy_add(g, sy_take_rows(g, table, ids), sy_const(g, 1))), 0);
    g = sy_graph_create("indexed");
    expect("take_last", g, map_of(sy_take_last(g, in(g, "x", SY_T(SY_F32, 7, 9)), in(g, "ids", SY_T(SY_I32, 7, c)))),
           0);
    g = sy_graph_create("random");
    sy_value z = sy_random_normal(g, in(g, "seeds", SY_T(SY_U32, 3)), sy_step_index(g), 2, SY_T(SY_F32, 3, c, 5));
    kernel_case k = {.name = "random", .graph = g, .group = map_of(z), .step = 3, .tolerance = 1e-6};
    CHECK(kernel_run(device, emitter, &k));
}

static void test_steps(void)
{
    static const char *const columns[] = {"t", "scale", "shift"};
    sy_graph *g = sy_graph_create("steps");
    sy_value x = in(g, "x", SY_T(SY_F32, 5, 6));
    x = sy_add(g, sy_mul(g, x, sy_step(g, "scale")), sy_step(g, "shift"));
    sy_graph_end(g, SY_END_STEP_OUTPUT, "trace", x);
    kernel_case k = {
        .name = "steps", .graph = g, .group = map_of(x), .step_columns = columns, .n_step_columns = 3, .step = 2};
    CHECK(kernel_run(device, emitter, &k));
}

static sy_group anchored(sy_group_kind kind, sy_value anchor, sy_value output)
{
    return (sy_group){.kind = kind, .anchors = {anchor}, .n_anchors = 1, .outputs = {output}, .n_outputs = 1};
}

static void test_matmul(int32_t m, int32_t k, int32_t n, bool transpose_b, sy_dtype weights)
{
    char name[96];
    snprintf(name, sizeof name, "matmul %dx%dx%d%s %s", m, k, n, transpose_b ? " bT" : "", sy_dtype_name(weights));
    sy_graph *g = sy_graph_create("matmul");
    sy_value a = in(g, "a", SY_T(SY_F32, m, k)),
             b = in(g, "b", transpose_b ? SY_T(weights, n, k) : SY_T(weights, k, n));
    sy_value c = sy_matmul(g, a, b, transpose_b), out = sy_silu(g, sy_add(g, c, in(g, "bias", SY_T(SY_F32, n))));
    out = sy_add(g, sy_mul(g, out, in(g, "gate", SY_T(SY_F32, m, 1))), in(g, "residual", SY_T(SY_F32, m, n)));
    expect(name, g, anchored(SY_GROUP_MATMUL, c, out), 0);
}

static void test_matmul_forms(void)
{
    sy_graph *g = sy_graph_create("batched");
    sy_value c = sy_matmul(g, in(g, "a", SY_T(SY_F32, 3, 9, 12)), in(g, "b", SY_T(SY_F32, 3, 12, 20)), false);
    expect("batched matmul", g, anchored(SY_GROUP_MATMUL, c, c), 0);
    /* gate and up; a prologue on the left; a result stored transposed */
    g = sy_graph_create("gated");
    sy_value x = in(g, "x", SY_T(SY_F32, 2, 19, 16)),
             left = sy_mul(g, x, sy_add(g, in(g, "scale", SY_T(SY_F32, 2, 1, 16)), sy_const(g, 1)));
    sy_value gate = sy_matmul(g, left, in(g, "wg", SY_T(SY_F32, 16, 24)), false),
             up = sy_matmul(g, left, in(g, "wu", SY_T(SY_F32, 16, 24)), false);
    sy_value out = sy_transpose(g, sy_mul(g, sy_silu(g, gate), up), (int32_t[]){0, 2, 1});
    sy_group group = {.kind = SY_GROUP_MATMUL, .anchors = {gate, up}, .n_anchors = 2, .outputs = {out}, .n_outputs = 1};
    expect("gate and up", g, group, 0);
    /* heads: qkv [B,T,3 H d] kept as three outputs is not needed; split and permuted store */
    g = sy_graph_create("heads");
    c = sy_matmul(g, in(g, "x", SY_T(SY_F32, 2, 7, 16)), in(g, "w", SY_T(SY_F32, 16, 24)), false);
    out = sy_transpose(g, sy_reshape(g, c, SY_T(SY_F32, 2, 7, 3, 8)), (int32_t[]){0, 2, 1, 3});
    expect("heads", g, anchored(SY_GROUP_MATMUL, c, out), 0);
}

/* SiLU and a scale in front, bias, activation and residual behind; ragged in every dimension. */
static void test_conv(int32_t h, int32_t c, int32_t o, int32_t groups, int32_t stride, int32_t up, sy_dtype weights)
{
    char name[96];
    snprintf(name, sizeof name, "conv %d, %d to %d, %d groups, stride %d, up %d, %s", h, c, o, groups, stride, up,
             sy_dtype_name(weights));
    sy_graph *g = sy_graph_create("conv");
    sy_value x = sy_silu(g, sy_mul(g, in(g, "x", SY_T(SY_F32, 2, h, 7, c)), in(g, "scale", SY_T(SY_F32, 2, 1, 1, c))));
    sy_attributes a = {.stride = {stride, 1}, .pad = {1, 2}, .pad_high = {2, 0}, .up = {up, up}, .groups = groups};
    sy_value y = sy_conv(g, x, in(g, "w", SY_T(weights, 3, 2, c / groups, o)), &a);
    sy_value out = sy_silu(g, sy_add(g, y, in(g, "bias", SY_T(SY_F32, o))));
    out = sy_add(g, out, in(g, "residual", g->nodes[y].type));
    expect(name, g, anchored(groups == c && o == c ? SY_GROUP_DEPTHWISE : SY_GROUP_CONV, y, out), 0);
}

/* More tiles than a dispatch has workgroups in x. */
static void test_long_conv(void)
{
    sy_graph *g = sy_graph_create("long");
    sy_value y = sy_conv(g, in(g, "x", SY_T(SY_F32, 1, 4 * 65536 + 5, 4)), in(g, "w", SY_T(SY_F32, 2, 1, 4)),
                         &(sy_attributes){.groups = 4});
    expect("long depthwise", g, anchored(SY_GROUP_DEPTHWISE, y, y), 0);
    g = sy_graph_create("long");
    y = sy_conv(g, in(g, "x", SY_T(SY_F32, 1, 16 * 65536 + 9, 2)), in(g, "w", SY_T(SY_F32, 2, 1, 18)),
                &(sy_attributes){.groups = 2});
    expect("long, two groups", g, anchored(SY_GROUP_CONV, y, y), 0);
}

static void test_rows(int32_t r, int32_t n)
{
    static const sy_op ops[] = {SY_OP_SOFTMAX,    SY_OP_LAYER_NORM,  SY_OP_RMS_NORM,  SY_OP_L2_NORMALISE,
                                SY_OP_REDUCE_SUM, SY_OP_REDUCE_MEAN, SY_OP_REDUCE_MAX};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %dx%d", sy_op_get(ops[i])->name, r, n);
        sy_graph *g = sy_graph_create("rows");
        sy_value x = sy_mul(g, in(g, "x", SY_T(SY_F32, r, n)), sy_const(g, 3)),
                 y = sy_row(g, ops[i], x, i > 0 && i < 4 ? 1e-5 : 0);
        sy_value out = sy_add(g, sy_mul(g, y, in(g, "scale", SY_T(SY_F32, r, 1))), sy_const(g, 0.5));
        expect(name, g, anchored(SY_GROUP_ROW, y, out), 0);
    }
}

/* The statistics of channels: rows that lie side by side, and what the whole image makes of them. */
static void test_columns(int32_t p, int32_t c)
{
    sy_graph *g = sy_graph_create("columns");
    sy_value x = sy_transpose(g, in(g, "x", SY_T(SY_F32, 2, p, c)), (int32_t[]){0, 2, 1});
    sy_value mean = sy_row(g, SY_OP_REDUCE_MEAN, x, 0), d = sy_sub(g, x, mean),
             square = sy_row(g, SY_OP_REDUCE_MEAN, sy_mul(g, d, d), 0);
    sy_value factor = sy_unary(g, SY_OP_RSQRT, sy_add(g, square, sy_const(g, 1e-3)));
    sy_value out = sy_mul(g, sy_mul(g, d, factor), in(g, "scale", SY_T(SY_F32, c, 1)));
    sy_group group = {
        .kind = SY_GROUP_ROW, .anchors = {mean, square}, .n_anchors = 2, .outputs = {factor, out}, .n_outputs = 2};
    expect("columns", g, group, 0);
}

static void test_row_chains(int32_t t, int32_t e, int32_t k)
{
    /* scores -> softmax -> top_k -> their weights, renormalised: three statistics, outputs of two lengths */
    sy_graph *g = sy_graph_create("gate");
    sy_value p = sy_row(g, SY_OP_SOFTMAX, in(g, "x", SY_T(SY_F32, t, e)), 0), ids = sy_top_k(g, p, k);
    sy_value w = sy_take_last(g, p, ids), sum = sy_row(g, SY_OP_REDUCE_SUM, w, 0),
             scaled = sy_binary(g, SY_OP_DIV, w, sum);
    sy_group group = {
        .kind = SY_GROUP_ROW, .anchors = {p, ids, sum}, .n_anchors = 3, .outputs = {ids, scaled, p}, .n_outputs = 3};
    expect("gate", g, group, 0);
}

static void test_attention(int32_t t, int32_t s, int32_t d, int32_t e)
{
    char name[64];
    snprintf(name, sizeof name, "attention %dx%d head %d, %d", t, s, d, e);
    sy_graph *g = sy_graph_create("attention");
    /* q from a projection [B, T, H d] with heads split; the result with heads merged again */
    sy_value q = sy_transpose(g, sy_reshape(g, in(g, "q", SY_T(SY_F32, 2, t, 3 * d)), SY_T(SY_F32, 2, t, 3, d)),
                              (int32_t[]){0, 2, 1, 3});
    sy_value k = sy_mul(g, in(g, "k", SY_T(SY_F32, 2, 3, s, d)), sy_const(g, 4)),
             v = in(g, "v", SY_T(SY_F32, 2, 3, s, e));
    sy_value y = sy_attention(g, q, k, v, 1 / 8.0);
    sy_value out = sy_reshape(g, sy_transpose(g, y, (int32_t[]){0, 2, 1, 3}), SY_T(SY_F32, 2, t, 3 * e));
    expect(name, g, anchored(SY_GROUP_ATTENTION, y, out), 0);
}

/* A list of choices: k targets a row, list order by row or (choice_major) by choice; some entries dropped (-1). */
static sy_value build_route(sy_graph *g, int32_t rows, int32_t targets, int32_t k, bool choice_major, int32_t capacity,
                            int32_t group_rows)
{
    sy_type list = SY_T(SY_I32, rows, k), turned = SY_T(SY_I32, k, rows);
    sy_value row = sy_iota(g, choice_major ? turned : list, choice_major),
             to = in(g, "to", choice_major ? turned : list);
    sy_value w = in(g, "w", SY_T(SY_F32, rows * k));
    row = sy_reshape(g, row, SY_T(SY_I32, rows * k));
    return sy_route_build(g, row, sy_reshape(g, to, SY_T(SY_I32, rows * k)), w, rows, targets, capacity, group_rows);
}

static void test_route(int32_t rows, int32_t targets, int32_t k, bool choice_major, int32_t capacity,
                       int32_t group_rows, double one)
{
    char name[96];
    double some[97];
    for (int i = 0; i < 97; i++)
        some[i] = one >= 0 ? one : (i * 37 + i * i) % (targets + 1) - 1;
    snprintf(name, sizeof name, "route %d -> %d k %d capacity %d of %d", rows, targets, k, capacity, group_rows);
    sy_graph *g = sy_graph_create("route");
    sy_value r = build_route(g, rows, targets, k, choice_major, capacity, group_rows);
    kernel_case c = {.name = name,
                     .graph = g,
                     .group = anchored(SY_GROUP_ROUTE, r, r),
                     .integers = some,
                     .n_integers = 97,
                     .every = every};
    CHECK_SAY(kernel_run(device, emitter, &c), "%s", name);
}

/* Grouped matmul with its epilogue, and combine, over the same route. `one`: all rows to that target, -1: spread. */
static void test_grouped(int32_t rows, int32_t targets, int32_t k, int32_t n, bool gather, double one)
{
    double some[89];
    sy_graph *g = sy_graph_create("grouped");
    for (int i = 0; i < 89; i++)
        some[i] = one >= 0 ? one : (i * 53 + i * i) % (targets + 1) - 1;
    sy_value r = build_route(g, rows, targets, 2, false, 0, 0);
    sy_value x = in(g, "x", gather ? SY_T(SY_F32, rows, k) : SY_T(SY_F32, rows * 2, k)),
             w = in(g, "w1", SY_T(SY_F16, targets, k, n));
    sy_value y = sy_grouped_matmul(g, x, w, r, gather, false),
             up = sy_grouped_matmul(g, x, in(g, "w2", SY_T(SY_F16, targets, k, n)), r, gather, false);
    sy_value bias = sy_route_spread(g, in(g, "b", SY_T(SY_F32, targets, n)), r);
    sy_value out = sy_mul(g, sy_silu(g, sy_add(g, y, bias)), up);
    kernel_case c = {
        .name = "grouped matmul",
        .graph = g,
        .integers = some,
        .n_integers = 89,
        .every = every,
        .group = {
            .kind = SY_GROUP_GROUPED_MATMUL, .anchors = {y, up}, .n_anchors = 2, .outputs = {out}, .n_outputs = 1}};
    CHECK_SAY(kernel_run(device, emitter, &c), "grouped %d rows, %d targets, %d, to %g", rows, targets, n, one);
    for (int op = 0; op < 5; op++) {
        g = sy_graph_create("consume");
        r = build_route(g, rows, targets, 2, false, 0, 0);
        y = in(g, "y", SY_T(SY_F32, rows * 2, n));
        out = op == 0   ? sy_add(g, sy_combine(g, y, r, true), in(g, "residual", SY_T(SY_F32, rows, n)))
              : op == 1 ? sy_combine(g, y, r, false)
              : op == 2 ? sy_route_gather(g, in(g, "x", SY_T(SY_F32, rows, n)), r)
              : op == 3 ? sy_route_scatter(g, y, r, in(g, "x", SY_T(SY_F32, rows, n)))
                        : sy_route_load(g, r);
        c = (kernel_case){.name = "consume", .graph = g, .integers = some, .n_integers = 89, .group = map_of(out)};
        CHECK_SAY(kernel_run(device, emitter, &c), "consumer %d, %d rows, %d targets, %d, to %g", op, rows, targets, n,
                  one);
    }
}

int main(void)
{
    vk_device *devices[8];
    uint32_t n = vk_open(devices, 8);
    sy_error error = {0};
    if (n == 0)
        return check_skip("no Vulkan 1.2 device");
    sy_compile_params params = {0};
    emitter = sy_emitter_create(&params, vk_limits(devices[0]), &error);
    REQUIRE(emitter);
    for (uint32_t i = 0; i < n; i++) {
        device = devices[i];
        printf("%s\n", vk_limits(device)->device);
        test_elementwise(13);
        test_elementwise(8);
        test_large_angles();
        test_integers();
        test_views(5, 12);
        test_views(3, 7);
        test_stores();
        test_indexed(8);
        test_indexed(3);
        test_steps();
        static const int32_t sizes[] = {1, 7, 65, 257};
        for (int s = 0; s < 4; s++)
            test_matmul(sizes[s], sizes[(s + 1) % 4], sizes[(s + 2) % 4], s % 2, SY_F32);
        test_matmul(33, 64, 72, false, SY_F16);
        test_matmul(20, 12, 16, true, SY_BF16);
        test_matmul(2, 40, 36, false, SY_F32);
        test_matmul_forms();
        test_conv(6, 12, 8, 1, 1, 1, SY_F16);
        test_conv(9, 8, 8, 8, 2, 1, SY_F32);
        test_rows(5, 64);
        test_rows(9, 7);
        test_long_conv();
        test_columns(9, 12);
        test_row_chains(9, 8, 2);
        test_row_chains(5, 7, 3);
        test_attention(65, 65, 64, 64);
        test_attention(1, 7, 7, 5);
        test_attention(16, 257, 72, 32);
        test_route(64, 8, 2, false, 0, 0, -1);
        test_route(300, 5, 3, true, 20, 100, -1);
        test_route(257, 12, 1, false, 0, 0, 3);
        test_route(65, 3, 2, true, 7, 13, -1);
        test_route(66, 40, 2, false, 1, 2, -1); /* more pairs of group and target than words to count them in */
        test_grouped(33, 4, 24, 20, true, -1);
        test_grouped(9, 3, 12, 7, false, -1);
        test_grouped(40, 4, 16, 8, true, 2);
        every = true;
        test_conv(13, 20, 12, 1, 2, 1, SY_F32);
        test_conv(5, 6, 10, 2, 1, 2, SY_BF16);
        test_conv(7, 7, 7, 7, 1, 1, SY_F32);
        test_matmul(65, 33, 70, false, SY_F32);
        test_matmul(70, 48, 68, true, SY_F16);
        test_matmul(3, 65, 44, false, SY_F32);
        test_matmul_forms();
        test_rows(8, 66);
        test_columns(8, 20);
        test_row_chains(3, 40, 3);
        test_attention(70, 37, 20, 12);
        test_attention(5, 9, 7, 5);
        test_route(300, 5, 3, true, 20, 100, -1);
        test_grouped(50, 3, 20, 36, true, -1);
        every = false;
        CHECK(vk_messages() == 0);
    }
    sy_emitter_destroy(&emitter);
    vk_close(devices, n);
    return check_done();
}
