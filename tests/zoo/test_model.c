/* The models of models/: their files are taken, their configuration is what their cards say, prompts find their words,
 * and one evaluation is finite, depends on the prompt, and goes where the network's routes say. */
#include "graph/import/safetensors.h"
#include "graph/ops/eval.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"

#include <math.h>

enum { SAMPLES = 3, MOST_WORDS = 64 };

typedef struct model {
    sy_safetensors *file;
    int32_t ids[SAMPLES * MOST_WORDS];
    float weights[SAMPLES * MOST_WORDS];
} model;

/* The same picture and time for all samples; labels as prompted. */
static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const model *m = context;
    uint64_t count = sy_type_count(&leaf->type), one = count / SAMPLES;
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(m->file, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!strcmp(leaf->name, "x"))
            out[i] = sin(0.37 * (double)(i % one) + 0.01 * (double)(i % one % 7));
        else if (!strcmp(leaf->name, "label"))
            out[i] = m->ids[i];
        else
            out[i] = !strcmp(leaf->name, "time") ? 640.5 : m->weights[i];
    }
    return true;
}

/* Conditional samples never reach the last expert, the unconditional one goes nowhere else. */
static void check_experts(const sy_eval_route *route, int32_t tokens)
{
    int32_t wrong = 0, unconditional = 0;
    for (int32_t s = 0; s < route->count; s++) {
        bool last = route->target[s] == route->targets - 1, null_sample = route->row[s] >= (SAMPLES - 1) * tokens;
        wrong += last != null_sample || (last && route->weight[s] != 1) || fabs(route->weight[s]) > 1;
        unconditional += last;
    }
    CHECK(wrong == 0 && unconditional == tokens && route->count == SAMPLES * tokens);
}

/* Every region reads 8 different ones of 16, and not all read the same. */
static void check_regions(const sy_eval_route *route, int32_t tokens)
{
    (void)tokens;
    int32_t readers[16] = {0};
    CHECK(route->rows == SAMPLES * 16 && route->targets == 16 && route->count == SAMPLES * 16 * 8);
    for (int32_t s = 0; s < route->count; s++)
        readers[route->target[s]] += route->target[s] >= 0 && route->target[s] < 16;
    bool even = true;
    for (int i = 1; i < 16; i++)
        even = even && readers[i] == readers[0];
    CHECK(!even);
}

typedef struct expected {
    const char *file, *architecture;
    int32_t routes;
    void (*check_route)(const sy_eval_route *route, int32_t tokens);
} expected;

static void check_evaluation(model *m, const sy_network_config *c, const expected *e)
{
    sy_error error = {0};
    sy_eval eval = {0};
    sy_graph *g = sy_graph_create("default");
    REQUIRE(g);
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, SAMPLES, c->channels, c->side, c->side)),
                        .time = sy_input(g, "time", SY_T(SY_F32, 1)),
                        .label = sy_input(g, "label", SY_T(SY_I32, SAMPLES, c->words)),
                        .label_weights = sy_input(g, "label_weights", SY_T(SY_F32, SAMPLES, c->words))};
    sy_value out = sy_zoo_build(g, c, &in);
    REQUIRE(sy_graph_check(g, &error) && sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    eval.context = m;
    bool ok = sy_eval_value(&eval, out, &error);
    CHECK_SAY(ok, "%s", error.message);
    REQUIRE(ok);
    uint64_t one = sy_type_count(&g->nodes[out].type) / SAMPLES;
    double largest = 0, apart = 0;
    for (uint64_t i = 0; i < one; i++) {
        const double *y = eval.tensor[out] + i;
        largest = fmax(largest, isfinite(y[0]) ? fabs(y[0]) : INFINITY);
        apart = fmax(apart, fabs(y[0] - y[one]));
    }
    CHECK_SAY(largest > 0.01 && largest < 100 && apart > 1e-3, "%s: largest output %g, prompts differ by %g", e->file,
              largest, apart);
    int32_t routes = 0, grid = c->patch ? c->side / c->patch : 0, tokens = grid * grid;
    for (uint32_t i = 0; i < g->n_ends; i++)
        if (g->nodes[g->ends[i].value].type.is_route) {
            REQUIRE(e->check_route);
            e->check_route(eval.route[g->ends[i].value], tokens);
            routes++;
        }
    CHECK(routes == e->routes);
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

static void test_model(const expected *e)
{
    static const char *const prompts[SAMPLES] = {"cat face", "red heart", NULL};
    sy_error error = {0};
    sy_network_config c;
    char unknown[64], path[512];
    snprintf(path, sizeof path, "%s/models/%s.safetensors", SY_SOURCE_DIR, e->file);
    model m = {.file = sy_safetensors_open(path, 0, &error)};
    CHECK_SAY(m.file && sy_zoo_config_from_file(m.file, &c, &error), "%s", error.message);
    REQUIRE(!error.code);
    CHECK_TEXT(c.architecture, e->architecture);
    CHECK(c.side == 32 && c.channels == 3 && c.channels_out == 3 && !c.latent && !c.learn_sigma);
    CHECK(c.objective == SY_OBJECTIVE_FLOW && c.time_scale == 1000 && c.guidance > 1 && c.steps > 0);
    CHECK(c.words >= 1 && c.words <= MOST_WORDS);
    sy_vocabulary *vocabulary = sy_vocabulary_from_file(m.file, &error);
    REQUIRE(vocabulary);
    CHECK(sy_vocabulary_count(vocabulary) == c.label_rows - 1 && c.null_row == c.label_rows - 1);
    for (int i = 0; i < SAMPLES; i++) {
        int32_t known = sy_vocabulary_prompt(vocabulary, prompts[i], m.ids + i * c.words, m.weights + i * c.words,
                                             c.words, unknown);
        CHECK_SAY(known == (prompts[i] ? 2 : 0), "\"%s\" has %d known words", prompts[i] ? prompts[i] : "", (int)known);
    }
    CHECK(m.ids[(SAMPLES - 1) * c.words] == c.null_row);
    if (c.experts)
        CHECK(c.experts == 12 && c.extra_experts == 1 && c.interleave && c.top_k == 1);
    check_evaluation(&m, &c, e);
    sy_vocabulary_destroy(&vocabulary);
    sy_safetensors_close(&m.file);
}

int main(void)
{
    static const expected models[] = {{"emoji-promoe", "promoe", 4, check_experts},
                                      {"emoji-unet", "adm", 0, NULL},
                                      {"emoji-sparse", "sparse-skip-dit", 8, check_regions}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        test_model(&models[i]);
    return check_done();
}
