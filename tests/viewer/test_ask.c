/* Questions about routes against plain C: loads, entropies, affinity, regions, ranges, values; none waits, and none is asked
 * twice. */
#include "help_synthetic.h"

#include "viewer/ask.h"

#include <math.h>

enum { GRID = 8, TOKENS = GRID * GRID, COUNT = 2, ROWS = 2 * COUNT * TOKENS, A = 7, B = 5, SIDE = 16 };

static test_pair first[ROWS * 2], second[ROWS];
static float scores[ROWS * B];
static float map[COUNT * 3 * SIDE * SIDE], energy[2 * COUNT] = {1.5f, 2.5f, 3.5f, -4};
static uint32_t frame;

static const void *answer(overlay *o, gpu *g, const ask_question *q, uint32_t *words)
{
    for (int i = 0; i < 2 * OVERLAY_SLOTS; i++) {
        overlay_begin(o, frame++ % OVERLAY_SLOTS);
        const void *a = overlay_ask(o, q, words);
        if (a)
            return a;
        test_frame(o, g);
    }
    return NULL;
}

static bool near(double x, double y)
{
    return fabs(x - y) < 1e-3 * (1 + fabs(y));
}

static int32_t best_of(const test_pair *pairs, uint32_t n, int32_t row)
{
    int32_t best = -1;
    float weight = 0;
    for (uint32_t i = 0; i < n; i++)
        if (pairs[i].row == row && (best < 0 || pairs[i].weight > weight)) {
            best = pairs[i].target;
            weight = pairs[i].weight;
        }
    return best;
}

static void test_load(overlay *o, gpu *g, const ask_question *base)
{
    for (uint32_t half = 0; half < 2; half++) {
        ask_question q = *base;
        uint32_t words, load[A] = {0};
        double weight = 0, most = 0, least = 1e9, bits = 0, least_bits = 9, most_bits = 0, pair[2] = {0};
        q.half = half, q.picture = 1;
        const ask_load *a = answer(o, g, &q, &words);
        REQUIRE(a && words == sizeof *a / 4 + A);
        int32_t begin = (int32_t)((half * COUNT + 1) * TOKENS);
        for (int32_t row = begin; row < begin + TOKENS; row++) {
            int n = 0;
            for (uint32_t i = 0; i < ROWS * 2; i++)
                if (first[i].row == row) {
                    load[first[i].target]++;
                    weight += (double)first[i].weight;
                    most = fmax(most, (double)first[i].weight);
                    least = fmin(least, (double)first[i].weight);
                    pair[n++] = (double)first[i].weight;
                }
            double p = pair[0] / (pair[0] + pair[1]);
            double h = -(p * log2(p) + (1 - p) * log2(1 - p));
            bits += h;
            least_bits = fmin(least_bits, h);
            most_bits = fmax(most_bits, h);
        }
        CHECK(a->tokens == TOKENS && a->slots == 2 * TOKENS && a->with_bits == TOKENS);
        CHECK_SAY(near((double)a->weight, weight) && near((double)a->most, most) && near((double)a->least, least),
                  "%g %g %g for %g %g %g", (double)a->weight, (double)a->most, (double)a->least, weight, most, least);
        CHECK(near((double)a->least_bits, least_bits) && near((double)a->most_bits, most_bits));
        CHECK_SAY(near((double)a->bits, bits), "%g for %g", (double)a->bits, bits);
        for (int t = 0; t < A; t++)
            CHECK_SAY(a->load[t] == load[t], "half %u target %d: %u for %u", half, t, a->load[t], load[t]);
    }
}

static void test_affinity(overlay *o, gpu *g, const ask_question *base, const layer *other)
{
    ask_question q = *base;
    uint32_t words, wanted[A][B] = {{0}};
    q.kind = ASK_AFFINITY, q.other = other;
    const uint32_t *a = answer(o, g, &q, &words);
    REQUIRE(a && words == A * B);
    for (int32_t row = 0; row < TOKENS; row++)
        wanted[best_of(first, ROWS * 2, row)][best_of(second, ROWS, row)]++;
    CHECK(!memcmp(a, wanted, sizeof wanted));
    memset(wanted, 0, sizeof wanted);
    q.picked = (overlay_cells){1, 2, 3, 7};
    a = answer(o, g, &q, &words);
    REQUIRE(a && words == A * B);
    for (int32_t row = 0; row < TOKENS; row++)
        if (row % GRID >= 1 && row % GRID <= 3 && row / GRID >= 2)
            wanted[best_of(first, ROWS * 2, row)][best_of(second, ROWS, row)]++;
    CHECK(!memcmp(a, wanted, sizeof wanted));
}

/* Mean of softmaxes: the synthetic scores are no distribution. */
static void test_scores(overlay *o, gpu *g, const ask_question *base, const layer *scored)
{
    ask_question q = *base;
    uint32_t words;
    double wanted[B] = {0};
    q.kind = ASK_SCORES, q.layer = scored, q.picture = 1, q.half = 1, q.picked = (overlay_cells){5, 0, 6, 0};
    const float *a = answer(o, g, &q, &words);
    REQUIRE(a && words == B);
    for (int x = 5; x <= 6; x++) {
        const float *row = scores + ((COUNT + 1) * TOKENS + x) * B;
        double sum = 0;
        for (int t = 0; t < B; t++)
            sum += exp((double)row[t]);
        for (int t = 0; t < B; t++)
            wanted[t] += exp((double)row[t]) / sum / 2;
    }
    for (int t = 0; t < B; t++)
        CHECK_SAY(near((double)a[t], wanted[t]), "target %d: %g for %g", t, (double)a[t], wanted[t]);
    q.layer = base->layer;
    CHECK(!answer(o, g, &q, &words)); /* it has none */
}

static void test_region(overlay *o, gpu *g, const ask_question *base)
{
    ask_question q = *base;
    uint32_t words;
    double wanted[A][2] = {{0}};
    q.kind = ASK_REGION, q.picked = (overlay_cells){2, 1, 4, 6};
    const float *a = answer(o, g, &q, &words);
    REQUIRE(a && words == 2 * A);
    for (uint32_t i = 0; i < ROWS * 2; i++) {
        int32_t x = first[i].row % GRID, y = first[i].row / GRID;
        if (first[i].row < TOKENS && x >= 2 && x <= 4 && y >= 1 && y <= 6) {
            wanted[first[i].target][0] += (double)first[i].weight;
            wanted[first[i].target][1]++;
        }
    }
    for (int t = 0; t < A; t++)
        CHECK(near((double)a[2 * t], wanted[t][0]) && (double)a[2 * t + 1] == wanted[t][1]);
}

static void test_numbers(overlay *o, gpu *g, const ask_question *base, const layers *found)
{
    ask_question q = *base;
    uint32_t words;
    float least = 1e9f, most = -1e9f;
    q.kind = ASK_RANGE, q.layer = layers_named(found, "guidance.map"), q.picture = 1;
    const float *a = answer(o, g, &q, &words);
    REQUIRE(a && words == 3);
    for (int i = 3 * SIDE * SIDE; i < 2 * 3 * SIDE * SIDE; i++) {
        least = fminf(least, map[i]);
        most = fmaxf(most, map[i]);
    }
    CHECK(a[0] == least && a[1] == most);
    q.kind = ASK_VALUES, q.layer = layers_named(found, "out.skip_energy");
    REQUIRE(q.layer && q.layer->kind == LAYER_SERIES);
    a = answer(o, g, &q, &words);
    REQUIRE(a && words == 2 * COUNT);
    CHECK(!memcmp(a, energy, sizeof energy));
}

static void test_manners(overlay *o, gpu *g, const ask_question *base)
{
    ask_question q = *base;
    uint32_t words;
    CHECK(answer(o, g, &q, &words) != NULL);
    uint64_t before = overlay_count(o).questions;
    q.source.run = 77;
    overlay_begin(o, frame++ % OVERLAY_SLOTS);
    CHECK(!overlay_ask(o, &q, &words)); /* never recorded: forgotten, and asked again */
    for (int i = 0; i < 3; i++) {
        overlay_begin(o, frame++ % OVERLAY_SLOTS);
        CHECK(!overlay_ask(o, &q, &words) && !overlay_ask(o, &q, &words)); /* on its way; asked once */
        test_frame(o, g);
    }
    overlay_begin(o, frame++ % OVERLAY_SLOTS);
    CHECK(overlay_ask(o, &q, &words) != NULL);
    CHECK_SAY(overlay_count(o).questions == before + 1, "%llu questions", (unsigned long long)overlay_count(o).questions);
    for (uint32_t run = 0; run < 300; run++) { /* many at once: put off, all answered in the end */
        q.source.run = 1000 + run;
        overlay_ask(o, &q, &words);
    }
    CHECK(overlay_waiting(o));
    for (int i = 0; i < 12; i++) {
        test_frame(o, g);
        overlay_begin(o, frame++ % OVERLAY_SLOTS);
        for (uint32_t run = 0; run < 300; run++) {
            q.source.run = 1000 + run;
            overlay_ask(o, &q, &words);
        }
    }
    q.source.run = 1299;
    CHECK(overlay_ask(o, &q, &words) != NULL && !overlay_waiting(o));
    q.source.evaluation = 5;
    CHECK(!overlay_ask(o, &q, &words) && words == 0);
    q = (ask_question){.kind = ASK_LOAD};
    CHECK(!overlay_ask(o, &q, &words));
}

int main(void)
{
    static const int32_t map_dims[] = {COUNT, 3, SIDE, SIDE}, energy_dims[] = {2 * COUNT}, scores_dims[] = {ROWS, B};
    test_device d;
    test_history h;
    layers found;
    overlay *o = NULL;
    test_device_open(&d);
    gpu *g = &d.gpu;
    for (int32_t i = 0; i < ROWS; i++) {
        int32_t t = (int32_t)(test_random() * A);
        first[2 * i] = (test_pair){i, t, test_random() + 0.01f};
        first[2 * i + 1] = (test_pair){i, (t + 1 + i % (A - 1)) % A, test_random() + 0.01f};
        second[i] = (test_pair){i, (int32_t)(test_random() * B), 1};
    }
    for (int i = 0; i < ROWS * B; i++)
        scores[i] = 3 * test_random() - 1;
    for (int i = 0; i < COUNT * 3 * SIDE * SIDE; i++)
        map[i] = 4 * test_random() - 2;
    test_history_make(&h, g, COUNT, SIDE, GRID, 1, true);
    test_route(&h, "blocks.1.route", ROWS, A, first, ROWS * 2);
    test_route(&h, "blocks.2.route", ROWS, B, second, ROWS);
    test_values(&h, "blocks.2.scores", scores, 2, scores_dims);
    test_values(&h, "guidance.map", map, 4, map_dims);
    test_values(&h, "out.skip_energy", energy, 1, energy_dims);
    layers_find(&h.history, &found);
    REQUIRE(found.n == 4 && overlay_create(g, &o));
    ask_question base = {.kind = ASK_LOAD,
                         .source = {&h.history, 1, 0},
                         .layer = layers_named(&found, "blocks.1"),
                         .picked = overlay_no_cells};
    test_load(o, g, &base);
    test_affinity(o, g, &base, layers_named(&found, "blocks.2"));
    test_region(o, g, &base);
    test_scores(o, g, &base, layers_named(&found, "blocks.2"));
    test_numbers(o, g, &base, &found);
    test_manners(o, g, &base);
    overlay_destroy(&o);
    test_history_free(&h);
    test_device_close(&d);
    return check_done();
}
