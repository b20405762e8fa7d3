/* Whole sampling on the f64 evaluator - step graph, network, guidance, table - against whole sampling with the
 * independent PyTorch implementation, from the same first noise (tests/zoo/fixtures/sampling.safetensors). */
#include "graph/import/safetensors.h"
#include "graph/ops/eval.h"
#include "src/sample/sampler.h"
#include "src/sample/step_graph.h"
#include "tests/check.h"

#include <math.h>

typedef struct loop {
    sy_safetensors *weights;
    sy_network_config config;
    double *x, *label;
    uint64_t x_count;
    int32_t pictures;
    const sy_sampler_row *row;
} loop;

static double *read_all(const sy_safetensors *file, const char *run, const char *key, uint64_t *count)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", run, key);
    const sy_stored_tensor *tensor = sy_safetensors_find(file, name);
    REQUIRE(tensor);
    double *out = calloc(tensor->count, sizeof *out);
    REQUIRE(out && sy_stored_read(tensor, out, tensor->count, NULL));
    *count = tensor->count;
    return out;
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const loop *l = context;
    uint64_t count = sy_type_count(&leaf->type);
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(l->weights, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    if (leaf->op == SY_OP_STATE && !strcmp(leaf->name, "x")) {
        memcpy(out, l->x, count * sizeof *out);
        return true;
    }
    if (leaf->op == SY_OP_INPUT && !strcmp(leaf->name, "label")) {
        for (int32_t i = 0; i < l->pictures; i++) {
            out[i] = l->label[i];
            out[l->pictures + i] = l->config.null_row;
        }
        return true;
    }
    for (int i = 0; leaf->op == SY_OP_STEP && i < SY_SAMPLER_COLUMN_COUNT; i++)
        if (!strcmp(leaf->name, sy_sampler_columns[i])) {
            *out = ((const double *)l->row)[i];
            return true;
        }
    return sy_fail(error, SY_CODE_NOT_FOUND, "nothing is known of \"%s\"", leaf->name);
}

static sy_value network(void *context, sy_graph *graph, const sy_zoo_inputs *inputs)
{
    return sy_zoo_build(graph, &((loop *)context)->config, inputs);
}

/* Steps l->x through all rows of the table. */
static bool sample(loop *l, const sy_sampler_row *rows, uint32_t n_rows, int32_t guided_channels, sy_error *error)
{
    const sy_network_config *c = &l->config;
    sy_step_graph_params p = {.count = l->pictures,
                              .channels = c->channels,
                              .height = c->side,
                              .width = c->side,
                              .out_channels = c->channels_out,
                              .guided = true,
                              .guided_channels = guided_channels,
                              .network = network,
                              .context = l};
    sy_graph *g = sy_step_graph_build(&p, error);
    sy_eval eval = {0};
    bool ok = g && sy_eval_init(&eval, g, error);
    sy_value next = 0;
    for (uint32_t i = 0; ok && i < g->n_ends; i++)
        if (g->ends[i].kind == SY_END_CARRY)
            next = g->ends[i].value;
    eval.read = read_leaf;
    eval.context = l;
    for (uint32_t k = 0; ok && k < n_rows; k++) {
        l->row = &rows[k];
        eval.step = k;
        sy_eval_reset(&eval);
        ok = sy_eval_value(&eval, next, error);
        if (ok)
            memcpy(l->x, eval.tensor[next], l->x_count * sizeof *l->x);
    }
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
    return ok;
}

static void check_loop(const sy_safetensors *file, const char *run, const char *weights, sy_sampler_params params)
{
    char path[512];
    sy_error error = {0};
    uint64_t pictures, n, n_guidance;
    loop l = {0};
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, weights);
    l.weights = sy_safetensors_open(path, 0, &error);
    CHECK_SAY(l.weights && sy_zoo_config_from_file(l.weights, &l.config, &error), "%s: %s", weights, error.message);
    REQUIRE(!error.code);
    l.x = read_all(file, run, "x", &l.x_count);
    l.label = read_all(file, run, "label", &pictures);
    l.pictures = (int32_t)pictures;
    double *guidance = read_all(file, run, "guidance", &n_guidance), *picture = read_all(file, run, "picture", &n);
    double *rest = read_all(file, run, "picture_rest", &n);
    REQUIRE(n == l.x_count && n_guidance == 2);
    params.guidance = guidance[0];
    params.objective = l.config.objective;
    params.time_scale = l.config.time_scale;
    sy_sampler_row *rows = NULL;
    uint32_t n_rows = 0;
    bool ok =
        sy_sampler_table(&params, &rows, &n_rows, &error) && sample(&l, rows, n_rows, (int32_t)guidance[1], &error);
    CHECK_SAY(ok, "%s: %s", run, error.message);
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < n; i++) {
        double wanted = picture[i] + rest[i];
        difference += (l.x[i] - wanted) * (l.x[i] - wanted);
        size += wanted * wanted;
    }
    CHECK_SAY(sqrt(difference / size) < 1e-10, "%s: relative error %g", run, sqrt(difference / size));
    free(l.x);
    free(l.label);
    free(guidance);
    free(picture);
    free(rest);
    free(rows);
    sy_safetensors_close(&l.weights);
}

int main(void)
{
    sy_error error = {0};
    sy_safetensors *file = sy_safetensors_open(SY_SOURCE_DIR "/tests/zoo/fixtures/sampling.safetensors", 0, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    check_loop(file, "loop_dit", "dit", (sy_sampler_params){.sampler = SY_SAMPLING_DDIM, .steps = 5});
    check_loop(file, "loop_promoe", "promoe", (sy_sampler_params){.sampler = SY_SAMPLING_EULER, .steps = 4});
    sy_safetensors_close(&file);
    return check_done();
}
