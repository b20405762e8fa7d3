/* Costs of shapes whose costs one knows. */
#include "graph/ir/build.h"
#include "tests/check.h"

static sy_graph *g;

static sy_value in(const char *name, sy_type type)
{
    return sy_input(g, name, type);
}

static void is(const char *what, sy_value v, double flops, double bytes)
{
    REQUIRE(v);
    sy_cost cost = sy_node_cost(g, v);
    CHECK_SAY(cost.flops == flops && cost.bytes == bytes, "%s: %.17g operations, %.17g bytes; wanted %.17g, %.17g",
              what, cost.flops, cost.bytes, flops, bytes);
}

int main(void)
{
    g = sy_graph_create("costs");
    REQUIRE(g);
    sy_value x = in("x", SY_T(SY_F32, 64, 128)), y = in("y", SY_T(SY_F32, 64, 128)), w = in("w", SY_T(SY_F16, 96, 128));
    is("a leaf", x, 0, 0);
    is("a view", sy_transpose(g, x, (const int32_t[]){1, 0}), 0, 0);
    is("add", sy_add(g, x, y), 8192, 3 * 32768);
    is("x + x reads x once", sy_add(g, x, x), 8192, 2 * 32768);
    is("broadcast argument", sy_mul(g, x, in("s", SY_T(SY_F32, 1))), 8192, 2 * 32768 + 4);
    is("matmul, f16 weights", sy_matmul(g, x, w, true), 2.0 * 64 * 96 * 128, 64 * 128 * 4 + 96 * 128 * 2 + 64 * 96 * 4);
    is("batched matmul", sy_matmul(g, in("b0", SY_T(SY_F32, 3, 5, 7)), in("b1", SY_T(SY_F32, 3, 7, 2)), false),
       2.0 * 3 * 5 * 7 * 2, (105 + 42 + 30) * 4);
    is("odd halves take a whole word", sy_unary(g, SY_OP_NEG, in("h", SY_T(SY_F16, 5))), 5, 12 + 20);
    sy_value q = in("q", SY_T(SY_F32, 2, 4, 64, 32)), k = in("k", SY_T(SY_F32, 2, 4, 77, 32)),
             v = in("v", SY_T(SY_F32, 2, 4, 77, 16));
    double scores = 2.0 * 4 * 64 * 77;
    is("attention: two products and four operations a score", sy_attention(g, q, k, v, 1), scores * (2 * (32 + 16) + 4),
       4.0 * 8 * (64 * 32 + 77 * 32 + 77 * 16 + 64 * 16));
    sy_value im = in("im", SY_T(SY_F32, 2, 8, 8, 6)), ker = in("ker", SY_T(SY_F32, 3, 3, 3, 10));
    is("convolution: two groups", sy_conv(g, im, ker, &(sy_attributes){.groups = 2}), 2.0 * 2 * 6 * 6 * 10 * 9 * 3,
       4.0 * (2 * 64 * 6 + 270 + 2 * 36 * 10));
    is("transposed: one tap in four meets a pixel",
       sy_conv(g, im, ker, &(sy_attributes){.groups = 2, .up = {2, 2}, .pad = {1, 1}, .pad_high = {2, 2}}),
       2.0 * 2 * 16 * 16 * 10 * 9 * 3 / 4, 4.0 * (2 * 64 * 6 + 270 + 2 * 256 * 10));
    is("pool", sy_pool(g, im, SY_POOL_MEAN, 2, 2, 0), 2 * 16 * 6 * 4, 4.0 * (2 * 64 * 6 + 2 * 16 * 6));
    double causal = 2.0 * 4 * (64 * 65 / 2);
    is("causal attention sees half",
       sy_attention_full(g, &(sy_attention_params){.q = q, .k = k, .v = v, .causal = true}),
       causal * (2 * (32 + 16) + 4), 4.0 * 8 * (64 * 32 + 77 * 32 + 77 * 16 + 64 * 16));
    sy_value few =
        sy_route_top_k(g, in("blocks", SY_T(SY_F32, 2 * 4, 5)), 2, false); /* 4 blocks of 16 queries, 5 of 16 keys */
    is("route attention: the route's slots, for each of the heads that share them",
       sy_route_attention(
           g, &(sy_attention_params){.q = q, .k = k, .v = v, .route = few, .block_rows = 16, .block_keys = 16}),
       4.0 * 16 * 16 * 16 * (2 * (32 + 16) + 4),
       4.0 * 8 * (64 * 32 + 77 * 32 + 77 * 16 + 64 * 16) + (double)sy_type_bytes(&g->nodes[few].type));
    is("top_k: a pass for each", sy_top_k(g, x, 3), 3 * 8192, 32768 + 64 * 3 * 4);
    is("reduce", sy_row(g, SY_OP_REDUCE_SUM, x, 0), 8192, 32768 + 64 * 4);

    sy_value r = sy_route_top_k(g, in("scores", SY_T(SY_F32, 6, 8)), 1, false);
    double route = (double)sy_type_bytes(&g->nodes[r].type);
    sy_value experts = in("experts", SY_T(SY_F32, 8, 10, 20));
    is("grouped matmul at the bound of slots; 6 slots read 6 of 8 experts",
       sy_grouped_matmul(g, in("u", SY_T(SY_F32, 6, 10)), experts, r, true, false), 2.0 * 6 * 10 * 20,
       6 * 10 * 4 + 8 * 10 * 20 * 4 * 6.0 / 8 + route + 6 * 20 * 4);
    sy_value wide = sy_route_top_k(g, in("more scores", SY_T(SY_F32, 6, 8)), 4, false);
    is("… 24 slots all of them", sy_grouped_matmul(g, in("u", SY_T(SY_F32, 6, 10)), experts, wide, true, false),
       2.0 * 24 * 10 * 20, 6 * 10 * 4 + 8 * 10 * 20 * 4 + (double)sy_type_bytes(&g->nodes[wide].type) + 24 * 20 * 4);
    is("combine", sy_combine(g, in("slots", SY_T(SY_F32, 6, 20)), r, true), 2.0 * 6 * 20, 2 * 6 * 20 * 4 + route);
    is("take_rows reads the rows taken",
       sy_take_rows(g, in("table", SY_T(SY_F32, 1000, 16)), in("ids", SY_T(SY_I32, 3))), 0, 3 * 16 * 4 * 2 + 12);
    CHECK(sy_node_cost(g, r).flops >= 6 * 8);
    sy_graph_destroy(&g);
    return check_done();
}
