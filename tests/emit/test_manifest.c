/* The manifest: each variant fits the floor of Vulkan 1.2 or is one of several of its kind, says its shared memory as
 * it is in the SPIR-V, and some variant of each kind fits every device. Kernels are made from graphs of each kind for
 * every variant. */
#include "graph/emit/manifest.h"
#include "graph/ir/build.h"
#include "tests/check.h"

#include <string.h>

static struct sy_emitter *emitter;

enum {
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT = 43,
    OP_VARIABLE = 59,
    WORKGROUP = 4,
    IDS = 1 << 16
};

/* Bytes of all variables in shared memory, read from the module itself. */
static uint32_t shared_in(const uint32_t *words, uint32_t n)
{
    static uint32_t size[IDS], value[IDS], total;
    memset(size, 0, sizeof size);
    memset(value, 0, sizeof value);
    total = 0;
    REQUIRE(n > 5 && words[3] < IDS); /* the bound of ids */
    for (uint32_t i = 5; i < n;) {
        uint32_t op = words[i] & 0xffff, length = words[i] >> 16;
        const uint32_t *w = &words[i];
        REQUIRE(length > 0);
        if (op == OP_TYPE_INT || op == OP_TYPE_FLOAT)
            size[w[1]] = w[2] / 8;
        if (op == OP_TYPE_VECTOR)
            size[w[1]] = size[w[2]] * w[3];
        if (op == OP_CONSTANT)
            value[w[2]] = w[3];
        if (op == OP_TYPE_ARRAY)
            size[w[1]] = size[w[2]] * value[w[3]];
        if (op == OP_TYPE_POINTER)
            size[w[1]] = size[w[3]];
        if (op == OP_VARIABLE && w[3] == WORKGROUP)
            total += size[w[1]];
        i += length;
    }
    return total;
}

static sy_graph *graph_of(sy_group_kind kind, bool two, sy_group *group)
{
    sy_graph *g = sy_graph_create("variant");
    sy_value x = 0, y = 0, w = 0, r = 0;
    *group = (sy_group){.kind = kind, .n_anchors = kind != SY_GROUP_MAP, .n_outputs = 1};
    if (kind == SY_GROUP_MAP) {
        y = sy_silu(g, x = sy_input(g, "x", SY_T(SY_F32, 40)));
    } else if (kind == SY_GROUP_ROW) {
        y = sy_top_k(g, x = sy_input(g, "x", SY_T(SY_F32, 4, 32)), 3);
    } else if (kind == SY_GROUP_MATMUL) {
        y = sy_matmul(g, x = sy_input(g, "x", SY_T(SY_F32, 4, 32)), w = sy_input(g, "w", SY_T(SY_F32, 32, 64)), false);
    } else if (kind == SY_GROUP_CONV || kind == SY_GROUP_DEPTHWISE) {
        bool alone = kind == SY_GROUP_DEPTHWISE;
        x = sy_input(g, "x", SY_T(SY_F32, 1, 2, 4, 32));
        w = sy_input(g, "w", SY_T(SY_F32, 3, 3, alone ? 1 : 32, alone ? 32 : 8));
        y = sy_conv(g, x, w, &(sy_attributes){.pad = {1, 1}, .pad_high = {1, 1}, .groups = alone ? 32 : 1});
    } else if (kind == SY_GROUP_ATTENTION) {
        x = sy_input(g, "x", SY_T(SY_F32, 1, 2, 16, 40));
        y = sy_attention(g, x, x, w = sy_input(g, "v", SY_T(SY_F32, 1, 2, 16, 24)), 0.2);
    } else {
        sy_value rows = sy_input(g, "rows", SY_T(SY_I32, 32)), to = sy_input(g, "to", SY_T(SY_I32, 32));
        sy_value weights = sy_input(g, "weights", SY_T(SY_F32, 32));
        r = sy_route_build(g, rows, to, weights, 16, 4, 0, 0);
        y = r;
        memcpy(group->inputs, (sy_value[]){rows, to, weights}, 3 * sizeof(sy_value));
        group->n_inputs = 3;
        if (kind == SY_GROUP_GROUPED_MATMUL) {
            x = sy_input(g, "x", SY_T(SY_F32, 16, 32));
            w = sy_input(g, "w", SY_T(SY_F32, 4, 32, 64));
            y = sy_grouped_matmul(g, x, w, r, true, false);
        }
    }
    group->anchors[0] = y;
    if (two) {
        group->anchors[1] =
            kind == SY_GROUP_MATMUL ? sy_matmul(g, x, w, false) : sy_grouped_matmul(g, x, w, r, true, false);
        group->n_anchors = 2;
        y = sy_mul(g, y, group->anchors[1]);
    }
    if (kind != SY_GROUP_ROUTE) {
        memcpy(group->inputs, (sy_value[]){x, w, r}, 3 * sizeof(sy_value));
        group->n_inputs = r ? 3 : w ? 2 : 1;
    }
    group->outputs[0] = y;
    return g;
}

/* Makes the variant's kernel and compares what the manifest says of it with what the module says. */
static void check_variant(const sy_variant *v, bool two)
{
    sy_error error = {0};
    sy_group group;
    sy_graph *g = graph_of(v->kind, two, &group);
    sy_compile_params params = {0};
    sy_plan plan = {.graph = g, .params = &params, .limits = sy_limits_floor(), .groups = &group, .n_groups = 1};
    plan.limits.shared_bytes = 65536;
    plan.limits.invocations = 1024;
    for (int i = 0; i < 3; i++)
        plan.limits.group_size[i] = 1024;
    plan.route_uses = calloc(g->n_nodes, sizeof *plan.route_uses);
    REQUIRE(plan.route_uses && sy_graph_check(g, &error));
    if (v->kind == SY_GROUP_ROUTE)
        plan.route_uses[group.outputs[0]] = (struct sy_route_use){16, 1, {2}};
    sy_problem problem = sy_problem_of(&plan, &group);
    sy_emitted emitted;
    const uint32_t *spirv;
    uint32_t n;
    bool cached;
    if (sy_variant_can(v, &problem, &plan.limits)) {
        bool ok = sy_variant_apply(v, &plan, 0, &error) && sy_emit_group(&plan, 0, &emitted, &error) &&
                  sy_emit_spirv(emitter, v->name, emitted.glsl, &spirv, &n, &cached, &error);
        CHECK_SAY(ok, "%s: %s", v->name, error.message);
        if (ok)
            CHECK_SAY(emitted.shared_bytes == shared_in(spirv, n),
                      "%s says %u bytes of shared memory; its module has %u", v->name, emitted.shared_bytes,
                      shared_in(spirv, n));
        /* Equal groups make equal text, whatever their values are called. */
        sy_emitted again;
        CHECK(ok && sy_emit_group(&plan, 0, &again, &error) && !strcmp(again.glsl, emitted.glsl));
    }
    free(plan.route_uses);
    sy_graph_destroy(&g);
}

static void test_rows_of_manifest(void)
{
    sy_error error = {0};
    uint32_t n;
    const sy_variant *all = sy_variants(&n, &error);
    REQUIRE(all && n > 0);
    for (uint32_t i = 0; i < n; i++) {
        const sy_variant *v = &all[i];
        CHECK_SAY(sy_variant_find(v->name) == v, "%s stands twice", v->name);
        CHECK_SAY(strlen(v->doc) > 5 && (v->cpu || v->gpu) && v->local[0] && v->local[1] && v->local[2], "%s", v->name);
        bool two = v->kind == SY_GROUP_MATMUL || v->kind == SY_GROUP_GROUPED_MATMUL;
        check_variant(v, false);
        if (two)
            check_variant(v, true);
    }
    CHECK(!sy_variant_find("matmul.none") && !sy_variant_find(NULL));
}

/* Every kind has a variant for the smallest device there may be, and for a software driver that ends loops. */
static void test_choice(void)
{
    sy_limits floor = sy_limits_floor(), cpu = floor;
    cpu.cpu = true;
    cpu.loop_limit = 65535;
    for (int kind = SY_GROUP_MAP; kind <= SY_GROUP_ROUTE; kind++)
        for (uint32_t anchors = 1; anchors <= 2; anchors++)
            for (uint64_t rows = 1; rows <= 1 << 20; rows *= 4) {
                sy_problem p = {.kind = (sy_group_kind)kind,
                                .n_anchors = anchors,
                                .rows = rows,
                                .columns = 768,
                                .d = 128,
                                .e = 128};
                p.iterations = kind == SY_GROUP_ROUTE ? 6 * rows : 1000;
                sy_error error = {0};
                CHECK_SAY(sy_choose_variant(&p, &floor, &error), "%s", error.message);
                CHECK_SAY(kind == SY_GROUP_ROUTE || sy_choose_variant(&p, &cpu, &error), "%s", error.message);
            }
    /* Too many rounds for an invocation that has a row for itself: the row is shared. */
    sy_problem p = {.kind = SY_GROUP_ROW, .n_anchors = 1, .rows = 8, .columns = 4096, .ids = 100, .iterations = 102400};
    const sy_variant *v = sy_choose_variant(&p, &cpu, NULL);
    CHECK(v && v->lanes > 1);
    p.iterations = 1u << 30;
    sy_error error = {0};
    CHECK(!sy_choose_variant(&p, &cpu, &error) && error.code == SY_CODE_UNAVAILABLE && strstr(error.message, "row"));
}

int main(void)
{
    sy_error error = {0};
    sy_compile_params params = {0};
    sy_limits limits = sy_limits_floor();
    emitter = sy_emitter_create(&params, &limits, &error);
    REQUIRE(emitter);
    test_rows_of_manifest();
    test_choice();
    sy_emitter_destroy(&emitter);
    CHECK(!emitter);
    return check_done();
}
