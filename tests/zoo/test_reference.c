/* Every network of the zoo against the independent PyTorch implementation, on the f64 evaluator: file, configuration,
 * builder and ops at once. Both compute in f64 from the same f32 or f16 weights, so they agree to rounding. */
#include "graph/ops/eval.h"
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"

#include <math.h>

typedef struct source {
    const fixture *f;
    int32_t first;
} source;

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const source *s = context;
    uint64_t count = sy_type_count(&leaf->type);
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(s->f->file, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    const double *values = fixture_input(s->f, leaf->name, s->first);
    if (!values)
        return sy_fail(error, SY_CODE_NOT_FOUND, "no input \"%s\"", leaf->name);
    memcpy(out, values, count * sizeof *out);
    return true;
}

/* The route of a block against the gates of the fixture: the same experts for each token, with the same gates. */
static void check_route(const fixture *f, int32_t block, const sy_eval_route *route)
{
    uint64_t count, rows = (uint64_t)(f->batch * f->tokens);
    double *gates = fixture_route(f, block, &count);
    REQUIRE(gates && count == rows * (uint64_t)route->targets && (uint64_t)route->rows == rows);
    double *got = malloc(count * sizeof *got);
    REQUIRE(got);
    for (uint64_t i = 0; i < count; i++)
        got[i] = NAN;
    for (int32_t s = 0; s < route->count; s++)
        got[(uint64_t)route->row[s] * (uint64_t)route->targets + (uint64_t)route->target[s]] = route->weight[s];
    uint64_t wrong = 0, chosen = 0;
    for (uint64_t i = 0; i < count; i++) {
        chosen += !isnan(gates[i]);
        wrong += isnan(got[i]) != isnan(gates[i]) || fabs(got[i] - gates[i]) > 1e-7;
    }
    CHECK_SAY(wrong == 0, "%s, block %d: %llu gates differ", f->name, (int)block, (unsigned long long)wrong);
    CHECK(chosen == (uint64_t)route->count);
    free(got);
    free(gates);
}

static void check_taps(const fixture *f, const sy_graph *g, sy_eval *eval)
{
    sy_error error = {0};
    int32_t routes = 0, streams = 0;
    for (uint32_t i = 0; i < g->n_ends; i++) {
        int block, length = 0;
        if (g->ends[i].kind != SY_END_TAP)
            continue;
        if (sscanf(g->ends[i].name, "blocks.%d.route%n", &block, &length) == 1 && length && !g->ends[i].name[length]) {
            REQUIRE(sy_eval_value(eval, g->ends[i].value, &error));
            check_route(f, block, eval->route[g->ends[i].value]);
            routes++;
        }
        length = 0;
        streams += sscanf(g->ends[i].name, "blocks.%d.x%n", &block, &length) == 1 && length > 0;
    }
    const sy_network_config *c = &f->config;
    CHECK(streams == c->depth);
    CHECK(routes == (c->experts ? c->interleave ? c->depth / 2 : c->depth : 0));
}

/* Runs samples first … first + batch - 1; their output is compared with the fixture's, which ran them together. */
static void check_samples(const fixture *f, int32_t first, int32_t batch)
{
    sy_error error = {0};
    sy_eval eval = {0};
    source s = {f, first};
    sy_graph *g = fixture_graph(f, batch);
    sy_value output = g->ends[g->n_ends - 1].value;
    REQUIRE(g->ends[g->n_ends - 1].kind == SY_END_OUTPUT);
    CHECK_SAY(sy_graph_verify(g, SY_STAGE_SOURCE, &error), "%s", error.message);
    REQUIRE(sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    eval.context = &s;
    bool ok = sy_eval_value(&eval, output, &error);
    CHECK_SAY(ok, "%s: %s", f->name, error.message);
    if (ok) {
        double e = fixture_error(eval.tensor[output], f->output + (uint64_t)first * f->output_values,
                                 (uint64_t)batch * f->output_values);
        CHECK_SAY(e < 1e-11, "%s: samples %d to %d: relative error %g", f->name, (int)first, (int)(first + batch - 1),
                  e);
        if (f->output_exact_weights) {
            e = fixture_error(eval.tensor[output], f->output_exact_weights + (uint64_t)first * f->output_values,
                              (uint64_t)batch * f->output_values);
            CHECK_SAY(e < 5e-3, "%s: f16 storage costs a relative error of %g", f->name, e);
        }
        if (batch == f->batch)
            check_taps(f, g, &eval);
    }
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

int main(void)
{
    for (const char *const *name = fixture_names; *name; name++) {
        fixture f = fixture_open(*name);
        check_samples(&f, 0, f.batch);
        for (int32_t i = 0; i < f.batch; i++)
            check_samples(&f, i, 1);
        fixture_close(&f);
    }
    return check_done();
}
