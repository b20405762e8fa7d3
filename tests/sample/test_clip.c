/* Clipped estimates: a step whose clean image is cut to -1 … 1, against the formulas of guided-diffusion for one pixel
 * after the other, on the f64 evaluator. */
#include "graph/ops/eval.h"
#include "src/sample/sampler.h"
#include "src/sample/step_graph.h"
#include "tests/check.h"

#include <math.h>

enum { CHANNELS = 1, SIDE = 4, PIXELS = CHANNELS * SIDE * SIDE };

static const sy_sampler_row *row;

static double pixel(int i)
{
    return sin(2.3 * i) * 2;
}

/* What the network says of a pixel: too much for many of them. */
static double noise(double x)
{
    return 0.4 * x - 0.7;
}

static sy_value network(void *context, sy_graph *g, const sy_zoo_inputs *in)
{
    (void)context;
    return sy_sub(g, sy_mul(g, in->x, sy_const(g, 0.4)), sy_const(g, 0.7));
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context;
    if (leaf->op == SY_OP_STATE && !strcmp(leaf->name, "x")) {
        for (int i = 0; i < PIXELS; i++)
            out[i] = pixel(i);
        return true;
    }
    for (int i = 0; leaf->op == SY_OP_STEP && i < SY_SAMPLER_COLUMN_COUNT; i++)
        if (!strcmp(leaf->name, sy_sampler_columns[i])) {
            *out = ((const double *)row)[i];
            return true;
        }
    return sy_fail(error, SY_CODE_NOT_FOUND, "nothing is known of \"%s\"", leaf->name);
}

/* x_0 of eps, cut; then x of the step before by DDIM with the eps that goes with it. */
static double expected(double x, double a, double before, int *cut)
{
    double clean = (x - sqrt(1 - a) * noise(x)) / sqrt(a);
    *cut += fabs(clean) > 1;
    clean = fmax(-1, fmin(1, clean));
    double eps = (x - sqrt(a) * clean) / sqrt(1 - a);
    return sqrt(before) * clean + sqrt(1 - before) * eps;
}

static void check_step(uint32_t step)
{
    enum { STEPS = 5 };
    sy_sampler_params params = {.sampler = SY_SAMPLING_DDIM, .objective = SY_OBJECTIVE_DDPM, .steps = STEPS};
    sy_error error = {0};
    sy_sampler_row *rows = NULL;
    uint32_t n_rows = 0, times[STEPS];
    double bar[SY_TRAINING_STEPS];
    REQUIRE(sy_sampler_table(&params, &rows, &n_rows, &error) && n_rows == STEPS);
    REQUIRE(sy_sampler_times(SY_SPACING_STRIDE, STEPS, times, &error));
    sy_sampler_alpha_bar(SY_BETAS_LINEAR, bar);
    sy_step_graph_params p = {.count = 1,
                              .channels = CHANNELS,
                              .height = SIDE,
                              .width = SIDE,
                              .out_channels = CHANNELS,
                              .unlabelled = true,
                              .clip = true,
                              .network = network};
    sy_graph *g = sy_step_graph_build(&p, &error);
    CHECK_SAY(g, "%s", error.message);
    REQUIRE(g);
    sy_eval eval = {0};
    REQUIRE(sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    row = &rows[step];
    double a = bar[times[STEPS - 1 - step]], before = step + 1 < STEPS ? bar[times[STEPS - 2 - step]] : 1;
    int cut = 0;
    for (uint32_t i = 0; i < g->n_ends; i++) {
        bool preview = g->ends[i].kind == SY_END_TAP && !strcmp(g->ends[i].name, "preview");
        if (g->ends[i].kind != SY_END_CARRY && !preview)
            continue;
        CHECK_SAY(sy_eval_value(&eval, g->ends[i].value, &error), "%s", error.message);
        const double *got = eval.tensor[g->ends[i].value];
        REQUIRE(got);
        for (int k = 0; k < PIXELS; k++)
            CHECK_SAY(preview ? fabs(got[k]) <= 1 + 1e-12 : fabs(got[k] - expected(pixel(k), a, before, &cut)) < 1e-10,
                      "step %u, pixel %d: %s is %g", step, k, preview ? "the preview" : "x", got[k]);
    }
    CHECK_SAY(cut > 0, "step %u: no pixel was cut, so nothing was tested", step);
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
    free(rows);
}

int main(void)
{
    check_step(0);
    check_step(2);
    check_step(4);
    return check_done();
}
