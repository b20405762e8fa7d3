/* Attention through routes between blocks, and tokens that do not run, against plain C: blocks as regions and as runs of
 * tokens, with heads, with and without a pick. */
#include "help_synthetic.h"

#include "viewer/palette.h"

#include <math.h>

enum { GRID = 8, TOKENS = GRID * GRID, COUNT = 2, SAMPLES = 2 * COUNT, REGIONS = 16, RUNS = 8, HEADS = 3, KEPT_OF = 4 };
enum { RUN_ROWS = SAMPLES * HEADS * RUNS, REGION_ROWS = SAMPLES * REGIONS };

static const uint8_t unread[4] = {10, 11, 13, 235}, yes[4] = {86, 180, 233, 255}, no[4] = {40, 36, 34, 255};

typedef struct bench {
    gpu *g;
    overlay *o;
    test_history h;
    layers found;
    test_pair regions[REGION_ROWS * KEPT_OF], runs[RUN_ROWS * 2];
    uint32_t frame;
} bench;

static uint8_t *draw(bench *b, const overlay_request *r, overlay_tile *tile)
{
    const char *why = overlay_why_not(r);
    CHECK_SAY(!why, "%s", why);
    overlay_begin(b->o, b->frame++ % OVERLAY_SLOTS);
    REQUIRE(overlay_want(b->o, r, tile));
    test_frame(b->o, b->g);
    return test_read(b->g, tile);
}

static void check_texel(const uint8_t *texels, const overlay_tile *tile, uint32_t x, uint32_t y, const uint8_t wanted[4],
                        int slack, const char *what)
{
    const uint8_t *got = test_texel(texels, tile, x, y);
    bool same = true;
    for (int i = 0; i < 4; i++)
        same = same && abs((int)got[i] - (int)wanted[i]) <= slack;
    CHECK_SAY(same, "%s at %u %u: %d %d %d %d for %d %d %d %d", what, x, y, got[0], got[1], got[2], got[3], wanted[0],
              wanted[1], wanted[2], wanted[3]);
}

static void ramp(double x, uint8_t out[4])
{
    palette_colour c = palette_size((float)x);
    out[0] = c.r, out[1] = c.g, out[2] = c.b, out[3] = 255;
}

static void fill(bench *b)
{
    static const int32_t dims[] = {REGION_ROWS, REGIONS};
    static float affinity[2 * REGION_ROWS * REGIONS];
    test_history_make(&b->h, b->g, COUNT, 16, GRID, 1, true);
    for (int32_t i = 0; i < REGION_ROWS * KEPT_OF; i++)
        b->regions[i] = (test_pair){i / KEPT_OF, (i / KEPT_OF * 5 + i % KEPT_OF * 3) % REGIONS, 20 * test_random() - 5};
    for (int32_t i = 0; i < RUN_ROWS * 2; i++)
        b->runs[i] = (test_pair){i / 2, (i / 2 + i % 2 * 3) % RUNS, test_random() / 2};
    test_route(&b->h, "blocks.0.route", REGION_ROWS, REGIONS, b->regions, REGION_ROWS * KEPT_OF);
    test_values(&b->h, "blocks.0.affinity", affinity, 2, dims);
    test_route(&b->h, "blocks.1.attn.route", RUN_ROWS, RUNS, b->runs, RUN_ROWS * 2);
    layers_find(&b->h.history, &b->found);
    const layer *l = layers_named(&b->found, "blocks.0"), *m = layers_named(&b->found, "blocks.1.attn");
    REQUIRE(l && m);
    CHECK(l->kind == LAYER_BLOCKS && l->regions && !l->shares && m->kind == LAYER_BLOCKS && !m->regions && m->shares);
    layer_rows rows;
    CHECK(layer_rows_at(&b->h.history, l, 0, &rows) && rows.heads == 1 && rows.queries == REGIONS && rows.key_side == 2);
    CHECK(layer_rows_at(&b->h.history, m, 0, &rows) && rows.heads == HEADS && rows.queries == RUNS && rows.query_side == 8);
}

static uint32_t region_of(uint32_t x, uint32_t y)
{
    return y / 2 * (GRID / 2) + x / 2;
}

/* What queries of `rows` (a bit each, of the sample) give every key; times: how often they list it. */
static void masses(const test_pair *pairs, uint32_t n, uint32_t sample, uint32_t heads, uint32_t queries, uint64_t picked,
                   double mass[REGIONS], int times[REGIONS])
{
    memset(mass, 0, REGIONS * sizeof *mass);
    memset(times, 0, REGIONS * sizeof *times);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = (uint32_t)pairs[i].row;
        if (row / (heads * queries) != sample || !(picked >> row % queries & 1))
            continue;
        mass[pairs[i].target] += (double)pairs[i].weight;
        times[pairs[i].target]++;
    }
}

static void test_regions(bench *b, overlay_cells cells)
{
    const layer *l = layers_named(&b->found, "blocks.0");
    bool any = cells.x0 <= cells.x1;
    uint64_t picked = any ? 0 : UINT64_MAX;
    for (uint32_t y = cells.y0; any && y <= cells.y1; y++)
        for (uint32_t x = cells.x0; x <= cells.x1; x++)
            picked |= 1ull << region_of(x, y);
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        overlay_request r = {.kind = OVERLAY_ATTENTION,
                             .source = {&b->h.history, 1, 0},
                             .layer = l,
                             .picture = sample % COUNT,
                             .half = sample / COUNT,
                             .picked = cells};
        overlay_tile tile;
        double mass[REGIONS], low = 1e30, high = -1e30;
        int times[REGIONS];
        uint8_t *texels = draw(b, &r, &tile), wanted[4];
        masses(b->regions, REGION_ROWS * KEPT_OF, sample, 1, REGIONS, picked, mass, times);
        for (int k = 0; k < REGIONS; k++) {
            mass[k] = any ? mass[k] : times[k];
            low = times[k] ? fmin(low, mass[k]) : low;
            high = times[k] ? fmax(high, mass[k]) : high;
        }
        low = any ? low - 0.1 * (high - low) : 0;
        for (uint32_t t = 0; t < TOKENS; t++) {
            uint32_t key = region_of(t % GRID, t / GRID);
            ramp(high > low ? (mass[key] - low) / (high - low) : 1, wanted);
            check_texel(texels, &tile, t % GRID, t / GRID, times[key] ? wanted : unread, 2, "region");
        }
        free(texels);
    }
}

static void test_runs(bench *b)
{
    overlay_cells cells = {2, 3, 5, 4}; /* rows 3 and 4 are runs 3 and 4 */
    overlay_request r = {.kind = OVERLAY_ATTENTION,
                         .source = {&b->h.history, 1, 0},
                         .layer = layers_named(&b->found, "blocks.1.attn"),
                         .picture = 1,
                         .half = 1,
                         .picked = cells};
    overlay_tile tile;
    double mass[REGIONS], high = 0;
    int times[REGIONS];
    uint8_t *texels = draw(b, &r, &tile), wanted[4];
    masses(b->runs, RUN_ROWS * 2, 3, HEADS, RUNS, 1u << 3 | 1u << 4, mass, times);
    for (int k = 0; k < RUNS; k++)
        high = fmax(high, mass[k]);
    for (uint32_t t = 0; t < TOKENS; t++) {
        ramp(mass[t / 8] / high, wanted);
        check_texel(texels, &tile, t % GRID, t / GRID, times[t / 8] ? wanted : unread, 2, "run");
    }
    free(texels);
    r.kind = OVERLAY_MATRIX;
    texels = draw(b, &r, &tile);
    CHECK(tile.width == RUNS && tile.height == RUNS);
    for (uint32_t q = 0; q < RUNS; q++) {
        masses(b->runs, RUN_ROWS * 2, 3, HEADS, RUNS, 1u << q, mass, times);
        for (uint32_t k = 0; k < RUNS; k++) {
            ramp((double)times[k] / HEADS, wanted);
            check_texel(texels, &tile, k, q, times[k] ? wanted : unread, 1, "matrix");
        }
    }
    free(texels);
}

/* Every third token runs: the rows of the experts' route are those, in order. */
static void test_active(bench *b)
{
    enum { ROWS = SAMPLES * TOKENS, RUNNING = (ROWS + 2) / 3, EXPERTS = 5 };
    static test_pair running[RUNNING], experts[RUNNING];
    test_history h;
    layers found;
    overlay_tile tile;
    uint8_t wanted[4];
    test_history_make(&h, b->g, COUNT, 16, GRID, 1, true);
    for (int32_t i = 0; i < RUNNING; i++) {
        running[i] = (test_pair){3 * i, 0, 1};
        experts[i] = (test_pair){i, i * 7 % EXPERTS, 0.5f};
    }
    test_route(&h, "sampler.active.route", ROWS, 1, running, RUNNING);
    uint32_t tap = test_route(&h, "blocks.2.route", ROWS, EXPERTS, experts, RUNNING);
    layers_find(&h.history, &found);
    const layer *l = layers_named(&found, "blocks.2"), *active = layers_named(&found, "sampler.active");
    REQUIRE(l && active);
    CHECK(active->kind == LAYER_KEPT && l->kind == LAYER_EXPERTS && l->active == active->tap && l->tap == tap);
    for (uint32_t sample = 0; sample < SAMPLES; sample++)
        for (int kind = 0; kind < 2; kind++) {
            overlay_request r = {.kind = kind ? OVERLAY_KEPT : OVERLAY_EXPERT,
                                 .source = {&h.history, 2, 0},
                                 .layer = kind ? active : l,
                                 .picture = sample % COUNT,
                                 .half = sample / COUNT,
                                 .picked = overlay_no_cells};
            uint8_t *texels = draw(b, &r, &tile);
            for (uint32_t t = 0; t < TOKENS; t++) {
                uint32_t row = sample * TOKENS + t;
                bool runs = row % 3 == 0;
                palette_colour c = palette_expert(row / 3 * 7 % EXPERTS);
                memcpy(wanted, runs ? (uint8_t[4]){c.r, c.g, c.b, 255} : (uint8_t[4]){0}, 4);
                if (kind)
                    memcpy(wanted, runs ? yes : no, 4);
                check_texel(texels, &tile, t % GRID, t / GRID, wanted, 0, kind ? "running" : "expert of running");
            }
            free(texels);
        }
    h.slices[active->tap][0].buffer = VK_NULL_HANDLE; /* an evaluation in which all run */
    overlay_request r = {.kind = OVERLAY_KEPT, .source = {&h.history, 3, 0}, .layer = active, .picked = overlay_no_cells};
    uint8_t *texels = draw(b, &r, &tile);
    for (uint32_t t = 0; t < TOKENS; t++)
        check_texel(texels, &tile, t % GRID, t / GRID, yes, 0, "all running");
    free(texels);
    r.kind = OVERLAY_EXPERT, r.layer = l;
    h.slices[l->tap][0].buffer = VK_NULL_HANDLE;
    CHECK(overlay_why_not(&r) != NULL);
    test_history_free(&h);
}

/* What an interrupted evaluation leaves must not hang or kill the device. */
static void test_noise(bench *b)
{
    uint32_t *words = b->h.buffer.mapped;
    overlay_tile tile;
    for (uint32_t i = 0; i < b->h.used; i++)
        words[i] = (uint32_t)(test_random() * 4294967040.0f);
    for (uint32_t i = 0; i < b->found.n; i++)
        for (int kind = 0; kind < 2; kind++) {
            overlay_request r = {.kind = kind ? OVERLAY_ATTENTION : OVERLAY_MATRIX,
                                 .source = {&b->h.history, 4, 0},
                                 .layer = &b->found.list[i],
                                 .picked = {1, 1, 6, 6}};
            free(draw(b, &r, &tile));
        }
    CHECK(!b->g->lost);
}

int main(void)
{
    test_device d;
    test_device_open(&d);
    bench *b = calloc(1, sizeof *b);
    REQUIRE(b != NULL);
    b->g = &d.gpu;
    fill(b);
    REQUIRE(overlay_create(b->g, &b->o));
    test_regions(b, (overlay_cells){3, 3, 3, 3});
    test_regions(b, (overlay_cells){1, 2, 4, 5});
    test_regions(b, overlay_no_cells);
    test_runs(b);
    test_active(b);
    test_noise(b);
    overlay_destroy(&b->o);
    test_history_free(&b->h);
    free(b);
    test_device_close(&d);
    return check_done();
}
