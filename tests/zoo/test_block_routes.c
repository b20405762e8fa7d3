/* Block routes: the order along a Hilbert curve, fixed patterns against their rules, images in regions, and what is
 * refused. The predictions are held against their references by the fixtures of graph/zoo/systems.tsv. */
#include "graph/ops/eval.h"
#include "graph/zoo/block_routes.h"
#include "tests/check.h"

#include <stdlib.h>

/* Every cell once; in a cube of a power of two each next to the one before. */
static void check_curve(const int32_t *dims, int n_dims, bool whole)
{
    int32_t order[4096], count = 1;
    bool seen[4096] = {false};
    for (int d = 0; d < n_dims; d++)
        count *= dims[d];
    REQUIRE(count <= 4096 && sy_hilbert_order(dims, n_dims, order));
    for (int32_t i = 0; i < count; i++) {
        REQUIRE(order[i] >= 0 && order[i] < count && !seen[order[i]]);
        seen[order[i]] = true;
        int32_t apart = 0, a = order[i], b = order[i ? i - 1 : 0];
        for (int d = n_dims - 1; d >= 0; d--) {
            apart += abs(a % dims[d] - b % dims[d]);
            a /= dims[d];
            b /= dims[d];
        }
        CHECK_SAY(!whole || apart == (i > 0), "cell %d of %d is %d cells from the one before", (int)i, (int)count,
                  (int)apart);
    }
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context;
    (void)error;
    for (uint64_t i = 0; i < sy_type_count(&leaf->type); i++)
        out[i] = (double)i;
    return true;
}

/* What goes there and back is as it was. */
static void check_round_trips(void)
{
    const int32_t grid[2] = {5, 6};
    sy_graph *g = sy_graph_create("there and back");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 2, 30, 3)), image = sy_reshape(g, x, SY_T(SY_F32, 2, 5, 6, 3));
    sy_value ends[2] = {sy_hilbert_permute(g, sy_hilbert_permute(g, x, grid, 2, false), grid, 2, true),
                        sy_from_regions(g, sy_to_regions(g, image, 5, 2), 5, 6, 5, 2)};
    sy_value regions = sy_to_regions(g, image, 5, 2);
    sy_error error = {0};
    sy_eval eval;
    REQUIRE(sy_graph_check(g, &error) && sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    for (int e = 0; e < 2; e++) {
        REQUIRE(sy_eval_value(&eval, ends[e], &error));
        for (int i = 0; i < 180; i++)
            CHECK(eval.tensor[ends[e]][i] == i);
    }
    /* The second token of the second region is the cell in row 0, column 3. */
    REQUIRE(sy_eval_value(&eval, regions, &error));
    CHECK(eval.tensor[regions][(10 + 1) * 3] == 3 * 3);
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

static void check_pattern(const sy_block_pattern *p, int32_t rows, int32_t columns, const char *wanted)
{
    sy_graph *g = sy_graph_create("pattern");
    sy_value r = sy_pattern_route(g, 2, rows, columns, p);
    sy_error error = {0};
    sy_eval eval;
    REQUIRE(sy_graph_check(g, &error) && sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    REQUIRE(sy_eval_value(&eval, r, &error));
    const sy_eval_route *route = eval.route[r];
    char got[512];
    REQUIRE(rows * columns < 512 && route->rows == 2 * rows);
    for (int32_t b = 0; b < 2; b++) {
        memset(got, '.', sizeof got);
        got[rows * columns] = '\0';
        for (int32_t s = 0; s < route->count; s++)
            if (route->row[s] / rows == b)
                got[route->row[s] % rows * columns + route->target[s]] = route->weight[s] == 1 ? '#' : '?';
        CHECK_TEXT(got, wanted);
    }
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

static void check_patterns(void)
{
    static const int32_t columns[] = {0, 3};
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_ALL}, 2, 3, "######");
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_BAND, .width = 1}, 4, 4, "##..###..###..##");
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_PERIODIC, .width = 0, .period = 2}, 4, 4, "#.#..#.##.#..#.#");
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_STRIPE, .columns = columns, .n_columns = 2}, 2, 4, "#..##..#");
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_BEFORE, .width = 1}, 3, 3, "#..##..##");
    /* A grid of 2 x 2: itself, left, above, above to the left. */
    check_pattern(&(sy_block_pattern){.kind = SY_PATTERN_GRID, .first = -1, .last = 0, .grid_width = 2}, 4, 4,
                  "#...##..#.#.####");
}

static void refused(sy_graph *g, sy_value value, const char *says)
{
    sy_error error = {0};
    CHECK(!value && !sy_graph_check(g, &error));
    CHECK_SAY(strstr(error.message, says), "\"%s\" does not say \"%s\"", error.message, says);
    sy_graph_destroy(&g);
}

static void check_refusals(void)
{
    sy_graph *g = sy_graph_create("none");
    refused(g, sy_pattern_route(g, 1, 4, 4, &(sy_block_pattern){.kind = SY_PATTERN_PERIODIC}), "is not possible");
    g = sy_graph_create("empty");
    refused(g, sy_pattern_route(g, 1, 4, 4, &(sy_block_pattern){.kind = SY_PATTERN_STRIPE}), "0 of 4 x 4 blocks");
    g = sy_graph_create("large");
    refused(g, sy_pattern_route(g, 1, 1 << 20, 1 << 20, &(sy_block_pattern){.kind = SY_PATTERN_ALL}),
            "is not possible");
    g = sy_graph_create("regions");
    refused(g, sy_to_regions(g, sy_input(g, "x", SY_T(SY_F32, 1, 5, 6, 3)), 2, 2), "do not divide an image of 5 x 6");
    g = sy_graph_create("curve");
    refused(g, sy_hilbert_permute(g, sy_input(g, "x", SY_T(SY_F32, 1, 5, 3)), (const int32_t[]){2, 2}, 2, false),
            "a token for each cell");
    g = sy_graph_create("sparge");
    sy_value q = sy_input(g, "q", SY_T(SY_F32, 1, 2, 8, 4)), k = sy_input(g, "k", SY_T(SY_F32, 1, 3, 8, 4));
    refused(g, sy_sparge_route(g, &(sy_sparge_params){.q = q, .k = k, .block_rows = 4, .block_keys = 4}), "q[B,H,T,d]");
}

int main(void)
{
    check_curve((const int32_t[]){16, 16}, 2, true);
    check_curve((const int32_t[]){8, 8, 8}, 3, true);
    check_curve((const int32_t[]){64}, 1, true);
    check_curve((const int32_t[]){5, 12}, 2, false);
    check_curve((const int32_t[]){3, 7, 10}, 3, false);
    check_round_trips();
    check_patterns();
    check_refusals();
    return check_done();
}
