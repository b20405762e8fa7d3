/* Types, layouts, limits and the builder: names, scopes, nodes asked for twice, sticky errors, ops made of several. */
#include "graph/ir/build.h"
#include "graph/ir/document.h"
#include "graph/ir/route.h"
#include "graph/limits.h"

#include "tests/check.h"

static void test_types(void)
{
    char text[96];
    sy_type t = SY_T(SY_F16, 3, 5), route = sy_route_type(64, 12, 128);
    CHECK_TEXT(sy_type_text(&t, text), "f16[3,5]");
    CHECK_TEXT(sy_type_text(&route, text), "route[64->12; 128]");
    CHECK(sy_type_count(&t) == 15 && sy_type_bytes(&t) == 32);
    t.dtype = SY_I32;
    CHECK(sy_type_bytes(&t) == 60);
    t = SY_T(SY_F32, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX);
    CHECK(sy_type_count(&t) == UINT64_MAX && sy_type_bytes(&t) == UINT64_MAX && sy_type_wrong(&t));
    t = sy_tensor(SY_F32, 7, (const int32_t[]){1, 1, 1, 1, 1, 1, 1});
    CHECK(sy_type_wrong(&t) != NULL);
    t = SY_T(SY_F32, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN);
    CHECK(strlen(sy_type_text(&t, text)) < 96);
    route = sy_route_type(INT32_MAX, INT32_MAX, INT32_MAX);
    CHECK(sy_type_count(&route) == UINT64_MAX && sy_type_wrong(&route));
    sy_type a = sy_route_type(4, 5, 6), b = sy_route_type(4, 5, 7), c = SY_T(SY_U32, 4, 5, 6);
    CHECK(sy_type_equal(&a, &a) && !sy_type_equal(&a, &b) && !sy_type_equal(&a, &c));
}

/* The worst spread of slots over targets needs exactly as many tiles as the layout has room for. */
static void test_layout(void)
{
    for (int32_t targets = 1; targets < 9; targets++) {
        for (int32_t slots = 1; slots < 40; slots++) {
            sy_type type = sy_route_type(10, targets, slots);
            sy_route_layout l = sy_route_layout_of(&type);
            /* one slot to each of the first targets, the rest by whole tiles to the first, is the worst */
            uint32_t used = targets < slots ? (uint32_t)targets : (uint32_t)slots;
            uint32_t worst = used + ((uint32_t)slots - used) / SY_ROUTE_TILE_MIN;
            CHECK_SAY(l.max_tiles == worst, "%d slots, %d targets: %u, not %u", slots, targets, l.max_tiles, worst);
            CHECK(l.count == 0 && l.offsets == 1 && l.rows == l.offsets + (uint32_t)targets + 1);
            CHECK(l.weights == l.rows + 2 * (uint32_t)slots && l.row_slots == l.row_offsets + 11);
            CHECK(l.indirect == l.tiles + 1 + 2 * worst && l.words == l.indirect + 3 * SY_ROUTE_CONSUMERS);
            CHECK(sy_type_count(&type) == l.words);
        }
    }
}

static void test_limits(void)
{
    sy_limits l = sy_limits_floor();
    CHECK(l.shared_bytes == 16384 && l.invocations == 128 && l.group_size[0] == 128 && l.group_size[2] == 64);
    CHECK(l.group_count[1] == 65535 && l.storage_buffers == 8 && l.storage_range == 1 << 27);
    CHECK(l.offset_alignment == 256 && l.push_bytes == 128 && l.vulkan_version == (1u << 22 | 2u << 12));
}

static void test_scopes_and_leaves(void)
{
    sy_graph *g = sy_graph_create("scopes");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, 3));
    sy_scope_push(g, "blocks.%d", 7);
    sy_scope_push(g, "attn");
    sy_value w = sy_param(g, "weight", SY_T(SY_F32, 4, 3));
    CHECK_TEXT(g->nodes[w].name, "blocks.7.attn.weight");
    CHECK(w == sy_param(g, "weight", SY_T(SY_F32, 4, 3)));
    sy_value t = sy_step(g, "t"), i = sy_step_index(g);
    CHECK_TEXT(g->nodes[t].name, "t");
    CHECK(t == sy_step(g, "t") && i == sy_step_index(g) && x == sy_input(g, "x", SY_T(SY_F32, 2, 3)));
    sy_value y = sy_linear(g, x, "proj", 4, true, SY_BF16);
    CHECK_TEXT(g->nodes[y].scope, "blocks.7.attn.proj");
    CHECK_TEXT(g->nodes[g->nodes[y].args[1]].name, "blocks.7.attn.proj.bias");
    CHECK(g->nodes[g->nodes[y].args[1]].type.dtype == SY_BF16);
    sy_tap(g, "out", y);
    CHECK_TEXT(g->ends[0].name, "blocks.7.attn.out");
    sy_scope_pop(g);
    CHECK_TEXT(g->scope, "blocks.7");
    sy_scope_pop(g);
    CHECK_TEXT(g->scope, "");
    CHECK(g->nodes[w].load_time && !g->nodes[y].load_time && !g->nodes[t].load_time);
    sy_value s = sy_stack(g, (sy_value[]){w, w, w}, 3);
    CHECK(g->nodes[s].load_time && g->nodes[s].type.rank == 3 && g->nodes[s].type.dim[0] == 3);
    CHECK(sy_cast(g, x, SY_F32) == x && sy_reshape(g, x, SY_T(SY_I32, 2, 3)) == x);
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);

    CHECK(!sy_param(g, "blocks.7.attn.weight", SY_T(SY_F32, 4, 4)));
    CHECK(!sy_graph_check(g, &error) && error.code == SY_CODE_INVALID_ARGUMENT);
    CHECK_TEXT(error.message, "param \"blocks.7.attn.weight\" is asked for as f32[4,4], and before as f32[4,3].");
    uint32_t before = g->n_nodes;
    CHECK(!sy_silu(g, x) && g->n_nodes == before); /* sticky: nothing is added any more */
    sy_graph_destroy(&g);
    sy_graph_destroy(&g);
    sy_graph_destroy(NULL);
}

/* Each of these makes an error of its own, and 0; a value 0 among the arguments makes 0 and no error. */
static void test_errors(void)
{
    static const struct {
        int kind;
        const char *message;
    } table[] = {
        {0, "slice: axis 2 of a tensor with 2."},
        {1, "matmul takes 2 arguments, not 1."},
        {2, "silu: argument 1 is value 77, which does not exist yet."},
        {3, "softmax takes no attribute \"eps\"."},
        {4, "a scope is popped that was never pushed."},
        {5, "the end \"y\" has no value."},
        {6, "op 9999 does not exist."},
        {7, "reshape: type f32[0]: a dimension is below 1."},
        {8, "stack: parts of rank 6 leave no room."},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        sy_graph *g = sy_graph_create("errors");
        sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, 3)), wrong = 77, got = 0;
        sy_value deep = sy_input(g, "deep", SY_T(SY_F32, 1, 1, 1, 1, 1, 1));
        switch (table[i].kind) {
        case 0:
            got = sy_slice_axis(g, x, 2, 0, 1);
            break;
        case 1:
            got = sy_graph_add(g, SY_OP_MATMUL, &x, 1, NULL, NULL, NULL);
            break;
        case 2:
            got = sy_graph_add(g, SY_OP_SILU, &wrong, 1, NULL, NULL, NULL);
            break;
        case 3:
            got = sy_row(g, SY_OP_SOFTMAX, x, 1e-6);
            break;
        case 4:
            sy_scope_pop(g);
            break;
        case 5:
            sy_output(g, "y", 0);
            break;
        case 6:
            got = sy_graph_add(g, (sy_op)9999, &x, 1, NULL, NULL, NULL);
            break;
        case 7:
            got = sy_reshape(g, x, SY_T(SY_F32, 0));
            break;
        case 8:
            got = sy_stack(g, &deep, 1);
            break;
        }
        sy_error error = {0};
        CHECK(!got && !sy_graph_check(g, &error));
        CHECK_TEXT(error.message, table[i].message);
        sy_graph_destroy(&g);
    }
    sy_graph *g = sy_graph_create("zero");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, 3));
    CHECK(!sy_add(g, x, 0) && !sy_slice_axis(g, 0, 0, 0, 1) && !sy_linear(g, 0, "fc", 3, true, SY_F32));
    CHECK(!sy_stack(g, (sy_value[]){x, 0}, 2) && !sy_reshape(g, 0, SY_T(SY_F32, 6)));
    CHECK(sy_graph_check(g, NULL));
    sy_graph_destroy(&g);
}

static void test_document(void)
{
    sy_text text = {0};
    sy_ops_document(&text);
    for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
        char begin[64];
        snprintf(begin, sizeof begin, "| `%s", sy_op_get(op)->name);
        CHECK_SAY(strstr(text.data, begin), "%s is missing", begin);
    }
    CHECK(strstr(text.data, "| `matmul(a, b) transpose_b=1` | a[…,K] b[K,N]"));
    CHECK(strstr(text.data, "| `random_normal(a, optional b) stream=1` |"));
    CHECK(strstr(text.data, "| `param \"name\"` |"));
    sy_text_free(&text);
}

int main(void)
{
    test_types();
    test_layout();
    test_limits();
    test_scopes_and_leaves();
    test_errors();
    test_document();
    return check_done();
}
