/* Tiles of tokens and pictures against plain C, patch by patch, on routes with known content, with guidance and several
 * pictures; differences of two runs; and that nothing is computed twice or kept when it must not be. */
#include "help_synthetic.h"

#include "viewer/palette.h"

#include <math.h>

enum { SIDE = 16, GRID = 8, TOKENS = GRID * GRID, COUNT = 2, EXPERTS = 13, TOP = 2, ROWS = 2 * COUNT * TOKENS, STEPS = 3 };

static const uint8_t nothing[4] = {0}, same_colour[4] = {22, 24, 28, 200}, unread[4] = {10, 11, 13, 235},
                     yes[4] = {86, 180, 233, 255}, no[4] = {40, 36, 34, 255};

typedef struct bench {
    gpu *g;
    overlay *o;
    test_history h;
    layers found;
    test_pair pairs[STEPS * ROWS * TOP]; /* of "blocks.3.route", sorted when the tap is made */
    test_pair next[STEPS * ROWS * TOP];
    float scores[STEPS * ROWS * (EXPERTS - 1)];
    float preview[STEPS * COUNT * 3 * SIDE * SIDE]; /* also "guidance.map" */
    float skipped[STEPS * COUNT * TOKENS];
    uint32_t frame;
} bench;

static bool is(const uint8_t *texel, const uint8_t *wanted, int slack)
{
    for (int i = 0; i < 4; i++)
        if (abs((int)texel[i] - (int)wanted[i]) > slack)
            return false;
    return true;
}

static void colour_of(palette_colour c, uint8_t out[4])
{
    out[0] = c.r, out[1] = c.g, out[2] = c.b, out[3] = 255;
}

/* Wants it in a frame of its own, and reads it. */
static uint8_t *draw(bench *b, const overlay_request *r, overlay_tile *tile)
{
    const char *why = overlay_why_not(r);
    CHECK_SAY(!why, "%s", why);
    overlay_begin(b->o, b->frame++ % OVERLAY_SLOTS);
    REQUIRE(overlay_want(b->o, r, tile));
    test_frame(b->o, b->g);
    return test_read(b->g, tile);
}

static overlay_request request(const bench *b, overlay_kind kind, const layer *l, uint32_t evaluation)
{
    return (overlay_request){.kind = kind,
                             .source = {&b->h.history, 1, evaluation},
                             .layer = l,
                             .picked = overlay_no_cells};
}

/* ---- the definitions, in plain C ---- */

typedef struct row_facts {
    int top, n;
    float weight, one; /* one: of target 5; negative: not there */
} row_facts;

static row_facts facts_of(const test_pair *pairs, uint32_t n, int32_t row)
{
    row_facts f = {.top = -1, .one = -1};
    for (uint32_t i = 0; i < n; i++) {
        if (pairs[i].row != row)
            continue;
        f.n++;
        f.one = pairs[i].target == 5 ? pairs[i].weight : f.one;
        if (f.top < 0 || pairs[i].weight > f.weight) {
            f.top = pairs[i].target;
            f.weight = pairs[i].weight;
        }
    }
    return f;
}

static double bits_of(const float *score, int n)
{
    double sum = 0, bits = 0, most = -1e30;
    for (int i = 0; i < n; i++)
        most = fmax(most, (double)score[i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)score[i] - most);
    for (int i = 0; i < n; i++) {
        double q = exp((double)score[i] - most) / sum;
        bits -= q > 0 ? q * log2(q) : 0;
    }
    return bits;
}

static void ramp(double x, double high, uint8_t out[4])
{
    colour_of(palette_size((float)(x / high)), out);
}

/* ---- content ---- */

/* Two experts a token, but for every seventh, which has none while the one before it has four. */
static void fill_pairs(test_pair *pairs)
{
    for (uint32_t i = 0; i < STEPS * ROWS; i++) {
        int32_t row = (int32_t)(i % ROWS), first = (int32_t)(test_random() * EXPERTS);
        bool moved = row % 7 == 3;
        int32_t away = moved ? 3 : 1; /* the neighbour's own are first and first + 1 */
        if (moved)
            first = pairs[2 * i - 2].target;
        for (int32_t k = 0; k < TOP; k++)
            pairs[i * TOP + (uint32_t)k] =
                (test_pair){row - moved, (first + (moved ? away : 0) + k) % EXPERTS, test_random()};
    }
}

static void fill(bench *b)
{
    static const int32_t score_dims[] = {ROWS, EXPERTS - 1}, preview_dims[] = {COUNT, 3, SIDE, SIDE},
                         skipped_dims[] = {COUNT * TOKENS, 1};
    fill_pairs(b->pairs);
    fill_pairs(b->next);
    for (uint32_t i = 0; i < STEPS * ROWS * (EXPERTS - 1); i++)
        b->scores[i] = 6 * test_random() - 3;
    for (uint32_t i = 0; i < STEPS * COUNT * 3 * SIDE * SIDE; i++)
        b->preview[i] = 2.4f * test_random() - 1.2f;
    for (uint32_t i = 0; i < STEPS * COUNT * TOKENS; i++)
        b->skipped[i] = floorf(4 * test_random());
    test_history_make(&b->h, b->g, COUNT, SIDE, GRID, STEPS, true);
    test_route(&b->h, "blocks.3.route", ROWS, EXPERTS, b->pairs, ROWS * TOP);
    test_values(&b->h, "blocks.3.scores", b->scores, 2, score_dims);
    test_route(&b->h, "blocks.5.route", ROWS, EXPERTS, b->next, ROWS * TOP);
    test_values(&b->h, "preview", b->preview, 4, preview_dims);
    test_values(&b->h, "sampler.skipped", b->skipped, 2, skipped_dims);
    test_values(&b->h, "guidance.map", b->preview, 4, preview_dims);
    layers_find(&b->h.history, &b->found);
}

/* ---- tests ---- */

static void test_layers(bench *b)
{
    CHECK(b->found.n == 4 && layers_preview(&b->h.history) == 3);
    const layer *l = layers_named(&b->found, "blocks.3");
    REQUIRE(l != NULL);
    CHECK(l->kind == LAYER_EXPERTS && l->tap == 0 && l->scores == 1 && l->active == LAYER_NONE && l->targets == EXPERTS);
    CHECK(layers_named(&b->found, "blocks.5")->scores == LAYER_NONE && !layers_named(&b->found, "blocks.4"));
    CHECK(layers_named(&b->found, "sampler.skipped")->kind == LAYER_COUNTS);
    CHECK(layers_named(&b->found, "guidance.map")->kind == LAYER_FIELD);
}

/* Every patch of every picture, half and step. */
static void test_tokens(bench *b, overlay_kind kind)
{
    const layer *l = layers_named(&b->found, "blocks.3");
    for (uint32_t e = 0; e < STEPS; e++)
        for (uint32_t half = 0; half < 2; half++)
            for (uint32_t picture = 0; picture < COUNT; picture++) {
                overlay_request r = request(b, kind, l, e);
                overlay_tile tile;
                r.half = half, r.picture = picture, r.target = 5;
                uint8_t *texels = draw(b, &r, &tile), wanted[4];
                CHECK(tile.width == GRID && tile.height == GRID);
                for (uint32_t t = 0; t < TOKENS; t++) {
                    int32_t row = (int32_t)((half * COUNT + picture) * TOKENS + t);
                    row_facts f = facts_of(b->pairs + (size_t)e * ROWS * TOP, ROWS * TOP, row);
                    int slack = kind == OVERLAY_EXPERT || kind == OVERLAY_KEPT ? 0 : 2;
                    memcpy(wanted, nothing, 4);
                    if (kind == OVERLAY_EXPERT && f.top >= 0)
                        colour_of(palette_expert((uint32_t)f.top), wanted);
                    if (kind == OVERLAY_WEIGHT && f.top >= 0)
                        ramp((double)f.weight, 1, wanted);
                    if (kind == OVERLAY_COUNT && f.top >= 0)
                        ramp(f.n, 3, wanted);
                    if (kind == OVERLAY_ONE)
                        f.one < 0 ? (void)memcpy(wanted, unread, 4) : ramp((double)f.one, 1, wanted);
                    if (kind == OVERLAY_KEPT)
                        memcpy(wanted, f.top >= 0 ? yes : no, 4);
                    if (kind == OVERLAY_ENTROPY)
                        ramp(bits_of(b->scores + ((size_t)e * ROWS + (size_t)row) * (EXPERTS - 1), EXPERTS - 1),
                             log2(EXPERTS - 1), wanted);
                    const uint8_t *got = test_texel(texels, &tile, t % GRID, t / GRID);
                    CHECK_SAY(is(got, wanted, slack), "kind %d step %u half %u picture %u token %u: %d %d %d %d for %d %d %d %d",
                              kind, e, half, picture, t, got[0], got[1], got[2], got[3], wanted[0], wanted[1], wanted[2],
                              wanted[3]);
                }
                for (int i = 0; i < 4; i++) /* the border repeats the corner */
                    CHECK(texels[i] == test_texel(texels, &tile, 0, 0)[i]);
                free(texels);
            }
}

static void mix(const test_pair *pairs, uint32_t n, int32_t row, uint8_t out[4])
{
    double sum[3] = {0}, all = 0;
    for (uint32_t i = 0; i < n; i++)
        if (pairs[i].row == row) {
            palette_colour c = palette_expert((uint32_t)pairs[i].target);
            double w = (double)pairs[i].weight, channel[3] = {c.r, c.g, c.b};
            all += w;
            for (int k = 0; k < 3; k++)
                sum[k] += w * channel[k];
        }
    for (int k = 0; k < 4; k++)
        out[k] = all <= 0 ? 0 : k == 3 ? 255 : (uint8_t)lrint(sum[k] / all);
}

static void test_mix(bench *b)
{
    overlay_request r = request(b, OVERLAY_MIX, layers_named(&b->found, "blocks.3"), 1);
    overlay_tile tile;
    uint8_t *texels = draw(b, &r, &tile), wanted[4];
    for (uint32_t t = 0; t < TOKENS; t++) {
        mix(b->pairs + ROWS * TOP, ROWS * TOP, (int32_t)t, wanted);
        CHECK(is(test_texel(texels, &tile, t % GRID, t / GRID), wanted, 1));
    }
    free(texels);
}

/* Step 2 less step 0 of the same run, as that of two runs. */
static void test_differences(bench *b)
{
    const layer *l = layers_named(&b->found, "blocks.3");
    uint32_t n = ROWS * TOP, differ = 0;
    for (int kind = OVERLAY_EXPERT; kind <= OVERLAY_WEIGHT; kind++) {
        overlay_request r = request(b, (overlay_kind)kind, l, 2);
        overlay_tile tile;
        r.against = (overlay_source){&b->h.history, 9, 0};
        r.layer_against = l;
        uint8_t *texels = draw(b, &r, &tile), wanted[4];
        for (uint32_t t = 0; t < TOKENS; t++) {
            row_facts now = facts_of(b->pairs + 2 * n, n, (int32_t)t), before = facts_of(b->pairs, n, (int32_t)t);
            if (kind == OVERLAY_WEIGHT ? now.top < 0 && before.top < 0 : now.top == before.top)
                memcpy(wanted, same_colour, 4);
            else if (kind == OVERLAY_WEIGHT)
                colour_of(palette_difference(now.weight - before.weight), wanted);
            else if (kind == OVERLAY_MIX)
                mix(b->pairs + 2 * n, n, (int32_t)t, wanted);
            else if (now.top >= 0)
                colour_of(palette_expert((uint32_t)now.top), wanted);
            else
                memcpy(wanted, nothing, 4);
            differ += now.top != before.top;
            CHECK_SAY(is(test_texel(texels, &tile, t % GRID, t / GRID), wanted, kind == OVERLAY_EXPERT ? 0 : 2),
                      "kind %d token %u", kind, t);
        }
        free(texels);
    }
    CHECK(differ > 0);
}

static float pixel(const bench *b, uint32_t step, uint32_t picture, uint32_t channel, uint32_t x, uint32_t y)
{
    return b->preview[(((step * COUNT + picture) * 3 + channel) * SIDE + y) * SIDE + x];
}

static void test_pictures(bench *b)
{
    for (uint32_t picture = 0; picture < COUNT; picture++) {
        overlay_request plain = request(b, OVERLAY_PICTURE, NULL, 1), apart = plain;
        overlay_request field = request(b, OVERLAY_FIELD, layers_named(&b->found, "guidance.map"), 1);
        overlay_tile tiles[3];
        plain.picture = apart.picture = field.picture = picture;
        apart.against = (overlay_source){&b->h.history, 1, 0};
        field.high = 1.5f;
        uint8_t *texels[3] = {draw(b, &plain, &tiles[0]), draw(b, &apart, &tiles[1]), draw(b, &field, &tiles[2])};
        for (uint32_t i = 0; i < SIDE * SIDE; i++) {
            uint32_t x = i % SIDE, y = i / SIDE;
            uint8_t wanted[4] = {0, 0, 0, 255};
            double far = 0, size = 0;
            for (uint32_t c = 0; c < 3; c++) {
                float v = 127.5f * pixel(b, 1, picture, c, x, y) + 128.0f; /* as finished pictures are rounded */
                wanted[c] = v >= 255 ? 255 : v >= 0 ? (uint8_t)v : 0;
                far += fabs((double)pixel(b, 1, picture, c, x, y) - (double)pixel(b, 0, picture, c, x, y)) / 3;
                size += fabs((double)pixel(b, 1, picture, c, x, y)) / 3;
            }
            CHECK_SAY(is(test_texel(texels[0], &tiles[0], x, y), wanted, 0), "picture %u pixel %u %u", picture, x, y);
            ramp(fmin(far, 0.5), 0.5, wanted);
            CHECK(is(test_texel(texels[1], &tiles[1], x, y), wanted, 2));
            ramp(size, 1.5, wanted);
            CHECK(is(test_texel(texels[2], &tiles[2], x, y), wanted, 2));
        }
        for (int i = 0; i < 3; i++)
            free(texels[i]);
    }
}

static void test_counts(bench *b)
{
    overlay_request r = request(b, OVERLAY_KEPT, layers_named(&b->found, "sampler.skipped"), 2);
    overlay_tile tile;
    r.picture = 1;
    uint8_t *texels = draw(b, &r, &tile), wanted[4];
    for (uint32_t t = 0; t < TOKENS; t++) {
        ramp((double)b->skipped[(2 * COUNT + 1) * TOKENS + t], STEPS, wanted);
        CHECK(is(test_texel(texels, &tile, t % GRID, t / GRID), wanted, 2));
    }
    free(texels);
}

/* What is there is not computed again; a new run is; a frame that was never recorded leaves nothing behind. */
static void test_kept(bench *b)
{
    overlay_request r = request(b, OVERLAY_EXPERT, layers_named(&b->found, "blocks.5"), 0);
    overlay_tile tile, again;
    overlay_begin(b->o, b->frame++ % OVERLAY_SLOTS);
    CHECK(overlay_want(b->o, &r, &tile)); /* and no overlay_record */
    uint64_t before = overlay_count(b->o).tiles;
    free(draw(b, &r, &tile));
    CHECK(overlay_count(b->o).tiles == before + 1);
    free(draw(b, &r, &again));
    CHECK(overlay_count(b->o).tiles == before + 1 && again.x == tile.x && again.y == tile.y);
    r.source.run++;
    free(draw(b, &r, &again));
    CHECK(overlay_count(b->o).tiles == before + 2 && (again.x != tile.x || again.y != tile.y));
    CHECK(!overlay_waiting(b->o) && overlay_count(b->o).bytes < 8u << 20);
}

/* More than fit, frame after frame: never more than a frame's share at once, and what is shown is right. */
static void test_crowd(bench *b)
{
    enum { MANY = 1500 };
    uint64_t bytes = overlay_count(b->o).bytes;
    const layer *l = layers_named(&b->found, "blocks.5");
    for (uint32_t first = 0; first < MANY; first += 300) {
        uint32_t got = 0;
        for (uint32_t turn = 0; turn < 3; turn++) {
            uint64_t before = overlay_count(b->o).tiles;
            overlay_begin(b->o, b->frame++ % OVERLAY_SLOTS);
            got = 0;
            for (uint32_t i = 0; i < 300; i++) {
                overlay_request r = request(b, OVERLAY_EXPERT, l, i % STEPS);
                overlay_tile tile;
                r.source.run = 100 + first + i;
                got += overlay_want(b->o, &r, &tile);
            }
            CHECK(overlay_waiting(b->o) == (turn < 2));
            test_frame(b->o, b->g);
            CHECK(overlay_count(b->o).tiles - before <= OVERLAY_TILES);
        }
        CHECK_SAY(got == 300, "%u of 300", got);
    }
    CHECK(overlay_count(b->o).bytes == bytes);
    test_tokens(b, OVERLAY_EXPERT);
}

static void test_refused(const bench *b)
{
    overlay_request r = request(b, OVERLAY_EXPERT, layers_named(&b->found, "blocks.3"), STEPS);
    CHECK_TEXT(overlay_why_not(&r), "There is no such step.");
    r.source.evaluation = 0;
    CHECK(!overlay_why_not(&r));
    r.picture = COUNT;
    CHECK_TEXT(overlay_why_not(&r), "There is no such picture.");
    r.picture = 0, r.half = 2;
    CHECK(overlay_why_not(&r) != NULL);
    r.half = 0, r.kind = OVERLAY_ATTENTION;
    CHECK(overlay_why_not(&r) != NULL);
    r.source.history = NULL;
    CHECK_TEXT(overlay_why_not(&r), "Nothing has been generated yet.");
}

int main(void)
{
    test_device d;
    test_device_open(&d);
    bench *b = calloc(1, sizeof *b);
    REQUIRE(b != NULL);
    b->g = &d.gpu;
    fill(b);
    if (!overlay_create(b->g, &b->o))
        fprintf(stderr, "%s\n", b->g->error);
    REQUIRE(b->o != NULL);
    test_layers(b);
    static const overlay_kind kinds[] = {OVERLAY_EXPERT, OVERLAY_WEIGHT, OVERLAY_COUNT, OVERLAY_ONE, OVERLAY_KEPT, OVERLAY_ENTROPY};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        test_tokens(b, kinds[i]);
    test_mix(b);
    test_differences(b);
    test_pictures(b);
    test_counts(b);
    test_refused(b);
    test_kept(b);
    test_crowd(b);
    overlay_destroy(&b->o);
    test_history_free(&b->h);
    free(b);
    test_device_close(&d);
    return check_done();
}
