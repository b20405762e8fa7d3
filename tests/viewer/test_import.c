/* A result of the library as a history: the expert of every patch as the overlay draws it is that of the raw routes, for
 * every layer, step and half; so are loads, and the picture is the finished one. */
#include "help_synthetic.h"

#include "viewer/ask.h"
#include "viewer/import.h"
#include "viewer/palette.h"

#include <time.h>

static uint32_t frame;

static sy_result *generate(sy_context *context)
{
    static const char *const taps[] = {"preview", "blocks.*.route", "blocks.*.scores"};
    const char *prompt = "owl";
    sy_model *model = NULL;
    sy_pipeline *pipeline = NULL;
    sy_result *result = NULL;
    sy_pipeline_params params = {.steps = 3, .taps = taps, .n_taps = 3};
    REQUIRE(sy_model_open(context, SY_SOURCE_DIR "/models/emoji-promoe.safetensors", &model) == SY_OK);
    CHECK_SAY(sy_pipeline_create(model, &params, &pipeline) == SY_OK, "%s", sy_context_message(context));
    CHECK_SAY(sy_generate(pipeline, &(sy_generate_params){.prompts = &prompt, .n_prompts = 1}, &result) == SY_OK, "%s",
              sy_context_message(context));
    sy_pipeline_destroy(&pipeline);
    sy_model_destroy(&model);
    return result;
}

static uint8_t *draw(overlay *o, gpu *g, const overlay_request *r, overlay_tile *tile)
{
    const char *why = overlay_why_not(r);
    CHECK_SAY(!why, "%s", why);
    overlay_begin(o, frame++ % OVERLAY_SLOTS);
    REQUIRE(overlay_want(o, r, tile));
    test_frame(o, g);
    return test_read(g, tile);
}

static int32_t expert_of(const sy_route_step *step, int32_t row)
{
    int32_t best = -1;
    float weight = 0;
    for (uint32_t i = 0; i < step->n_slots; i++)
        if (step->row[i] == row && (best < 0 || step->weight[i] > weight)) {
            best = step->target[i];
            weight = step->weight[i];
        }
    return best;
}

static void check_layer(overlay *o, gpu *g, const sy_history *h, const layer *l, const sy_tap_result *tap)
{
    uint32_t seen = 0;
    for (uint32_t e = 0; e < h->n_evaluations; e++)
        for (uint32_t half = 0; half < 2; half++) {
            overlay_request r = {
                .kind = OVERLAY_EXPERT, .source = {h, 1, e}, .layer = l, .half = half, .picked = overlay_no_cells};
            overlay_tile tile;
            uint8_t *texels = draw(o, g, &r, &tile);
            CHECK(tile.width == h->grid_width && tile.height == h->grid_height);
            for (uint32_t t = 0; t < h->tokens_per_picture; t++) {
                int32_t expert = expert_of(&tap->steps[e], (int32_t)(half * h->tokens_per_picture + t));
                palette_colour c = palette_expert((uint32_t)expert);
                const uint8_t *got = test_texel(texels, &tile, t % h->grid_width, t / h->grid_width);
                CHECK_SAY(expert >= 0 && got[0] == c.r && got[1] == c.g && got[2] == c.b && got[3] == 255,
                          "%s step %u half %u token %u: expert %d", l->name, e, half, t, expert);
                seen |= 1u << expert;
            }
            free(texels);
        }
    CHECK(seen & (seen - 1)); /* several experts */
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Prints what a new step costs the device: the picture, every layer's map and the load of one, as the window asks for them;
 * less what a submission costs that draws nothing. The best of some. */
static void measure(overlay *o, gpu *g, const sy_history *h, const layers *found)
{
    double best[2] = {1e9, 1e9};
    uint32_t tiles = 0, words;
    for (uint32_t turn = 0; turn < 40; turn++) {
        const overlay_source s = {h, 100 + turn, 0};
        overlay_request picture = {.kind = OVERLAY_PICTURE, .source = s, .picked = overlay_no_cells};
        overlay_tile tile;
        overlay_begin(o, frame++ % OVERLAY_SLOTS);
        uint32_t n = 0;
        for (uint32_t i = 0; turn % 2 && i < found->n; i++) {
            overlay_request r = {.kind = OVERLAY_EXPERT, .source = s, .layer = &found->list[i], .picked = overlay_no_cells};
            n += overlay_want(o, &r, &tile);
        }
        if (turn % 2) {
            ask_question q = {.kind = ASK_LOAD, .source = s, .layer = &found->list[0], .picked = overlay_no_cells};
            n += overlay_want(o, &picture, &tile);
            overlay_ask(o, &q, &words);
        }
        double begin = now();
        test_frame(o, g);
        double seconds = now() - begin;
        best[turn % 2] = seconds < best[turn % 2] ? seconds : best[turn % 2];
        tiles = n > tiles ? n : tiles;
    }
    printf("%u tiles and a question: %.3f ms; an empty submission: %.3f ms\n", tiles, best[1] * 1e3, best[0] * 1e3);
    CHECK(tiles == 5);
}

int main(void)
{
    test_device d;
    overlay *o = NULL;
    import *imported = NULL;
    layers found;
    test_device_open(&d);
    gpu *g = &d.gpu;
    sy_result *result = generate(d.context);
    REQUIRE(result && overlay_create(g, &o) && import_result(g, result, &imported));
    const sy_history *h = import_history(imported);
    layers_find(h, &found);
    uint32_t routes = 0;
    for (uint32_t i = 0; i < result->n_taps; i++) {
        if (!result->taps[i].is_route)
            continue;
        for (uint32_t k = 0; k < found.n; k++)
            if (found.list[k].tap == i) {
                CHECK(found.list[k].kind == LAYER_EXPERTS && found.list[k].scores != LAYER_NONE);
                check_layer(o, g, h, &found.list[k], &result->taps[i]);
                routes++;
            }
    }
    CHECK(routes == 4);
    overlay_request r = {.kind = OVERLAY_PICTURE, .source = {h, 1, h->n_evaluations - 1}, .picked = overlay_no_cells};
    overlay_tile tile;
    uint8_t *texels = draw(o, g, &r, &tile);
    int worst = 0;
    for (uint32_t i = 0; i < result->width * result->height; i++)
        for (uint32_t c = 0; c < 3; c++) {
            int apart = test_texel(texels, &tile, i % result->width, i / result->width)[c] - result->pictures[3 * i + c];
            worst = abs(apart) > worst ? abs(apart) : worst;
        }
    CHECK_SAY(worst <= 1, "the last estimate and the picture are %d apart", worst);
    free(texels);
    measure(o, g, h, &found);
    overlay_destroy(&o);
    import_destroy(g, &imported);
    sy_result_destroy(&result);
    test_device_close(&d);
    return check_done();
}
