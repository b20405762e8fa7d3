/* Routes: examples worked out by hand from the papers' rules, producers against the same selection written with tensors
 * and route.build, and what is stored of a route. */
#include "graph/ir/build.h"
#include "help_ops.h"
#include "tests/check.h"

#include <math.h>

/* ---- by hand ---- */

typedef struct content {
    const double *scores, *mask;
} content;

static bool read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const content *c = context;
    const double *from = !strcmp(leaf->name, "scores") ? c->scores : c->mask;
    (void)error;
    memcpy(out, from, sy_type_count(&leaf->type) * sizeof *out);
    return true;
}

/* "target: row weight, row weight | target: …" of the graph's last value. */
static void route_is(const char *what, sy_graph *g, content c, const char *wanted)
{
    sy_error error = {0};
    sy_text text = {0};
    sy_eval e;
    REQUIRE(sy_graph_check(g, NULL) && sy_eval_init(&e, g, NULL));
    e.read = read;
    e.context = &c;
    bool ok = sy_eval_value(&e, g->n_nodes - 1, &error);
    CHECK_SAY(ok, "%s: %s", what, error.message);
    const sy_eval_route *r = e.route[g->n_nodes - 1];
    for (int32_t t = 0; ok && t < r->targets; t++) {
        sy_text_printf(&text, "%s%d:", t ? " | " : "", t);
        for (int32_t s = r->offsets[t]; s < r->offsets[t + 1]; s++)
            sy_text_printf(&text, "%s %d %g", s > r->offsets[t] ? "," : "", r->row[s], r->weight[s]);
    }
    CHECK_SAY(text.data && !strcmp(text.data, wanted), "%s:\n%s\nwanted\n%s", what, text.data, wanted);
    sy_text_free(&text);
    sy_eval_free(&e);
    sy_graph_destroy(&g);
}

static sy_graph *graph(void)
{
    sy_graph *g = sy_graph_create("route");
    REQUIRE(g);
    return g;
}

/* Four tokens, three experts. */
static const double p[] = {.5, .3, .2, .6, .1, .3, .7, .2, .1, .1, .2, .7};

static void test_token_choice(void)
{
    sy_graph *g = graph();
    sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 1, false);
    route_is("Switch: the largest probability", g, (content){p, NULL}, "0: 0 0.5, 1 0.6, 2 0.7 | 1: | 2: 3 0.7");
    g = graph();
    sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 2, true);
    route_is("Mixtral: two, divided by their sum", g, (content){p, NULL},
             "0: 0 0.625, 1 0.666667, 2 0.777778 | 1: 0 0.375, 2 0.222222, 3 0.222222 | 2: 1 0.333333, 3 0.777778");
    static const double ties[] = {1, 1, 1, 0, 2, 2};
    g = graph();
    sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 2, 3)), 2, false);
    route_is("of equals the lower index", g, (content){ties, NULL}, "0: 0 1 | 1: 0 1, 1 2 | 2: 1 2");
}

/* Token 0 keeps off target 0, token 1 is sent to target 2, token 2 has one target left, token 3 none. */
static void test_steered(void)
{
    static const double steer[] = {-1, 0, 0, 0, 0, 1, -1, -1, 0, -1, -1, -1};
    sy_graph *g = graph();
    g->steered = true;
    sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 2, false);
    route_is("steered", g, (content){p, steer}, "0: 1 0.6 | 1: 0 0.3 | 2: 0 0.2, 1 0.3, 2 0.1");
    g = graph();
    g->steered = true;
    sy_route_expert_choice(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 1, 4);
    route_is("experts steered", g, (content){p, steer}, "0: 1 0.6 | 1: 0 0.3 | 2: 1 0.3");
    for (int also = 0; also < 2; also++) { /* row 0 always, whatever else steers: its weights stay its scores */
        static const double away[] = {-1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, -1};
        g = graph();
        g->steered = also;
        sy_value row = sy_iota(g, SY_T(SY_I32, 4, 3), 0), one = sy_cast(g, sy_const(g, 1), SY_I32);
        sy_value first = sy_binary(g, SY_OP_LESS, row, one);
        sy_route_expert_choice_first(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), first, 2, 4);
        route_is("row 0 first", g, (content){p, away},
                 also ? "0: 0 0.5, 2 0.7 | 1: 0 0.3, 2 0.2 | 2: 0 0.2, 1 0.3"
                      : "0: 0 0.5, 2 0.7 | 1: 0 0.3, 2 0.2 | 2: 0 0.2, 3 0.7");
    }
}

static void test_capacity(void)
{
    sy_graph *g = graph();
    sy_value r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 1, false);
    sy_route_capacity(g, r, 2, 4, false);
    route_is("Switch: the third token of expert 0 is dropped", g, (content){p, NULL},
             "0: 0 0.5, 1 0.6 | 1: | 2: 3 0.7");
    g = graph();
    r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 1, false);
    sy_route_capacity(g, r, 1, 2, false);
    route_is("each group of two tokens counts for itself", g, (content){p, NULL}, "0: 0 0.5, 2 0.7 | 1: | 2: 3 0.7");
    /* Token 0 chooses 0 then 1; tokens 1 and 2 choose 1 first. In row order token 0's second choice takes a place of
     * expert 1 before token 2's first; V-MoE gives first choices theirs first. */
    static const double q[] = {.6, .4, .3, .7, .2, .8};
    g = graph();
    r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 3, 2)), 2, false);
    sy_route_capacity(g, r, 2, 3, false);
    route_is("by row", g, (content){q, NULL}, "0: 0 0.6, 1 0.3 | 1: 0 0.4, 1 0.7");
    g = graph();
    r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 3, 2)), 2, false);
    sy_route_capacity(g, r, 2, 3, true);
    route_is("first choices first", g, (content){q, NULL}, "0: 0 0.6, 1 0.3 | 1: 1 0.7, 2 0.8");
    /* A dropped first choice does not make the second one a first. */
    g = graph();
    r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 3, 2)), 2, false);
    r = sy_route_capacity(g, r, 2, 3, false);
    sy_route_capacity(g, r, 1, 3, true);
    route_is("choices keep their rank", g, (content){q, NULL}, "0: 0 0.6 | 1: 1 0.7");
}

/* ProMoE: the best cosine as it is, negative or not; tokens of unconditional samples to the last expert with weight 1.
 */
static void test_split(void)
{
    static const double cosine[] = {-.3, -.1, -.2, .4, .1, .2, .9, .8, .7}, mask[] = {0, 0, 1};
    sy_graph *g = graph();
    sy_value r = sy_route_top_k(g, sy_input(g, "scores", SY_T(SY_F32, 3, 3)), 1, false);
    sy_route_split(g, r, sy_input(g, "mask", SY_T(SY_I32, 3)), 3, 4);
    route_is("ProMoE", g, (content){cosine, mask}, "0: 1 0.4 | 1: 0 -0.1 | 2: | 3: 2 1");
    g = graph();
    r = sy_route_expert_choice(g, sy_input(g, "scores", SY_T(SY_F32, 3, 3)), 1, 3);
    sy_route_split(g, r, sy_input(g, "mask", SY_T(SY_I32, 3)), 0, 3);
    static const double none[] = {0, 1, 0};
    route_is("a row that nobody chose goes where it is sent; a row may stay without any", g, (content){cosine, none},
             "0: 1 1, 2 0.9 | 1: 2 0.8 | 2: 2 0.7");
}

static void test_expert_choice(void)
{
    sy_graph *g = graph();
    sy_route_expert_choice(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 1, 2);
    route_is("each expert takes its best token of each image", g, (content){p, NULL},
             "0: 1 0.6, 2 0.7 | 1: 0 0.3, 2 0.2 | 2: 1 0.3, 3 0.7");
    g = graph();
    sy_route_expert_choice(g, sy_input(g, "scores", SY_T(SY_F32, 4, 3)), 2, 4);
    route_is("of equals the lower row", g, (content){p, NULL}, "0: 1 0.6, 2 0.7 | 1: 0 0.3, 2 0.2 | 2: 1 0.3, 3 0.7");
}

static void test_build(void)
{
    sy_graph *g = graph();
    static const double rows[] = {3, 0, 9, 0, 1, 2, -1, 3}, targets[] = {1, 1, 0, 0, 1, -1, 0, 2},
                        one[] = {1, 2, 3, 4, 5, 6, 7, 8};
    sy_value list = sy_const_of(g, SY_T(SY_I32, 8), rows, 8), to = sy_const_of(g, SY_T(SY_I32, 8), targets, 8);
    sy_route_build(g, list, to, sy_const_of(g, SY_T(SY_F32, 8), one, 8), 4, 2, 2, 4);
    route_is("rows and targets that are none are dropped, and so is the third of a target", g, (content){0},
             "0: 0 4 | 1: 0 2, 3 1");
}

/* ---- producers, and the same with tensors ---- */

static sy_value flat(sy_graph *g, sy_value x)
{
    return sy_reshape(g, x, SY_T(SY_F32, (int32_t)sy_type_count(&g->nodes[x].type)));
}

static sy_value whole(sy_graph *g, double x)
{
    return sy_const_of(g, SY_T(SY_I32, 1), &x, 1);
}

/* Lists of rows, targets and weights for a producer, in the order in which it gives places. */
typedef struct lists {
    sy_value rows, targets, weights;
    bool by_row;
} lists;

static lists lists_of(sy_graph *g, sy_value v)
{
    const sy_node node = g->nodes[v];
    const sy_attributes *a = &node.attributes;
    lists l = {0};
    if (node.op == SY_OP_ROUTE_TOP_K) {
        l.targets = sy_top_k(g, node.args[0], a->k);
        l.weights = sy_take_last(g, node.args[0], l.targets);
        if (a->renormalise)
            l.weights = sy_binary(g, SY_OP_DIV, l.weights, sy_row(g, SY_OP_REDUCE_SUM, l.weights, 0));
        l.rows = sy_iota(g, g->nodes[l.targets].type, 0);
        l.by_row = true;
    } else if (node.op == SY_OP_ROUTE_EXPERT_CHOICE) {
        const sy_type scores = g->nodes[node.args[0]].type;
        int32_t in = a->group_rows, groups = scores.dim[0] / in, targets = scores.dim[1];
        sy_value turned =
            sy_transpose(g, sy_reshape(g, node.args[0], SY_T(SY_F32, groups, in, targets)), (const int32_t[]){0, 2, 1});
        sy_value ids = sy_top_k(g, turned, a->k);
        l.weights = sy_take_last(g, turned, ids);
        l.rows = sy_add(g, ids, sy_mul(g, sy_iota(g, SY_T(SY_I32, groups, 1, 1), 0), whole(g, in)));
        l.targets = sy_iota(g, g->nodes[ids].type, 1);
    } else { /* split */
        l = lists_of(g, node.args[0]);
        sy_value mask = sy_take_rows(g, node.args[1], l.rows), send = whole(g, a->target);
        if (l.by_row)
            send = sy_select(g, sy_iota(g, g->nodes[l.rows].type, 1), whole(g, -1), send);
        else
            send = whole(g, -1);
        l.targets = sy_select(g, mask, send, l.targets);
        l.weights = sy_select(g, mask, sy_const(g, 1), l.weights);
        if (!l.by_row) {
            int32_t rows = node.type.dim[SY_ROUTE_ROWS];
            double one = 1;
            sy_value parts[3][2] = {{flat(g, l.rows), sy_iota(g, SY_T(SY_I32, rows), 0)},
                                    {flat(g, l.targets), sy_select(g, node.args[1], whole(g, a->target), whole(g, -1))},
                                    {flat(g, l.weights), sy_const_of(g, SY_T(SY_F32, rows), &one, 1)}};
            l = (lists){sy_concat(g, parts[0], 2, 0), sy_concat(g, parts[1], 2, 0), sy_concat(g, parts[2], 2, 0),
                        false};
        }
    }
    return l;
}

static sy_value lowered(sy_graph *g, sy_value v)
{
    sy_node node = g->nodes[v];
    bool limited = node.op == SY_OP_ROUTE_CAPACITY;
    lists l = lists_of(g, limited ? node.args[0] : v);
    sy_value parts[] = {l.rows, l.targets, l.weights};
    for (int i = 0; i < 3; i++) {
        if (limited && node.attributes.order)
            parts[i] = sy_transpose(g, parts[i], (const int32_t[]){1, 0});
        parts[i] = flat(g, parts[i]);
    }
    return sy_route_build(g, parts[0], parts[1], parts[2], node.type.dim[SY_ROUTE_ROWS],
                          node.type.dim[SY_ROUTE_TARGETS], limited ? node.attributes.capacity : 0,
                          limited ? node.attributes.group_rows : 0);
}

/* Capacity counts by row; only lists of row by row can leave that to route.build. Steered ones: test_ops.c. */
static bool can_be_lowered(const sy_graph *g, sy_value v)
{
    bool limited = g->nodes[v].op == SY_OP_ROUTE_CAPACITY;
    while (g->nodes[v].op == SY_OP_ROUTE_CAPACITY || g->nodes[v].op == SY_OP_ROUTE_SPLIT)
        v = g->nodes[v].args[0];
    return g->nodes[v].n_args == 1 && (!limited || g->nodes[v].op == SY_OP_ROUTE_TOP_K);
}

static void test_lowered(sy_op op)
{
    int done = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        help_case *c = help_case_make(op, seed);
        sy_graph *g = c->graph;
        if (can_be_lowered(g, c->value)) {
            sy_error error = {0};
            sy_value other = lowered(g, c->value);
            sy_eval e = help_case_eval(c);
            uint64_t bytes = sy_type_bytes(&g->nodes[c->value].type);
            void *a = malloc(bytes), *b = malloc(bytes);
            REQUIRE(a && b);
            CHECK_SAY(other && sy_type_equal(&g->nodes[other].type, &g->nodes[c->value].type), "%s, seed %d: %s",
                      sy_op_get(op)->name, (int)seed, g->error.message);
            CHECK(sy_eval_value(&e, c->value, &error) && sy_eval_store(&e, c->value, 16, a, bytes, &error));
            CHECK(sy_eval_value(&e, other, &error) && sy_eval_store(&e, other, 16, b, bytes, &error));
            CHECK_SAY(!memcmp(a, b, bytes), "%s, seed %d: lowered by hand it is another route", sy_op_get(op)->name,
                      (int)seed);
            free(a), free(b);
            sy_eval_free(&e);
            done++;
        }
        help_case_free(c);
    }
    CHECK_SAY(done >= 20, "%s: only %d cases", sy_op_get(op)->name, done);
}

/* ---- as stored ---- */

/* Tiles cover each slot once, none two targets, in order; the rest of the words is 0. */
static void check_tiles(const sy_eval_route *r, const sy_type *type, const uint32_t *word, uint32_t tile_rows)
{
    sy_route_layout l = sy_route_layout_of(type);
    uint32_t n = word[l.tiles], slot = 0;
    bool good = n <= l.max_tiles;
    for (uint32_t i = 0; i < n && good; i++) {
        uint32_t target = word[l.tiles + 1 + 2 * i], first = word[l.tiles + 2 + 2 * i], end = first + tile_rows;
        good = first == slot && target < (uint32_t)r->targets && first >= (uint32_t)r->offsets[target] &&
               first < (uint32_t)r->offsets[target + 1];
        slot = good && end > (uint32_t)r->offsets[target + 1] ? (uint32_t)r->offsets[target + 1] : end;
    }
    CHECK_SAY(good && slot == (uint32_t)r->count, "%u tiles of %u rows reach slot %u of %d", n, tile_rows, slot,
              r->count);
    for (uint32_t i = l.tiles + 1 + 2 * n; i < l.words; i++)
        good = good && word[i] == 0;
    CHECK(good);
}

static void test_stored(void)
{
    static const uint32_t tile_rows[] = {4, 5, 16, 64, 1000};
    int empty = 0, all = 0, partly = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        help_case *c = help_case_make(seed % 2 ? SY_OP_ROUTE_CAPACITY : SY_OP_ROUTE_SPLIT, seed);
        sy_eval e = help_case_eval(c);
        const sy_type *type = &c->graph->nodes[c->value].type;
        uint64_t bytes = sy_type_bytes(type);
        uint32_t *word = malloc(bytes);
        REQUIRE(word && sy_eval_value(&e, c->value, NULL));
        const sy_eval_route *r = e.route[c->value];
        for (int32_t t = 0; t < r->targets; t++) {
            int32_t n = r->offsets[t + 1] - r->offsets[t];
            empty += n == 0;
            all += r->count && n == r->count && r->targets > 1;
        }
        partly += r->count < type->dim[SY_ROUTE_SLOTS];
        for (size_t i = 0; i < sizeof tile_rows / sizeof *tile_rows; i++) {
            memset(word, 0xff, bytes);
            CHECK(sy_eval_store(&e, c->value, tile_rows[i], word, bytes, NULL));
            check_tiles(r, type, word, tile_rows[i]);
            CHECK(word[0] == (uint32_t)r->count);
        }
        free(word);
        sy_eval_free(&e);
        help_case_free(c);
    }
    CHECK_SAY(empty > 20 && all > 3 && partly > 20, "%d empty targets, %d that take all, %d routes with free slots",
              empty, all, partly);
}

int main(void)
{
    test_token_choice();
    test_steered();
    test_capacity();
    test_split();
    test_expert_choice();
    test_build();
    test_lowered(SY_OP_ROUTE_TOP_K);
    test_lowered(SY_OP_ROUTE_EXPERT_CHOICE);
    test_lowered(SY_OP_ROUTE_SPLIT);
    test_lowered(SY_OP_ROUTE_CAPACITY);
    test_stored();
    return check_done();
}
