/* The networks after all passes of the compiler, still on the f64 evaluator: fused, merged and lowered graphs must give
 * what the independent implementation gives, routes included (as the words that taps store). */
#include "graph/ops/eval.h"
#include "graph/program.h"
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"

#include <math.h>

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const fixture *f = context;
    uint64_t count = sy_type_count(&leaf->type);
    if (leaf->op == SY_OP_PARAM) {
        const sy_stored_tensor *tensor = sy_safetensors_need(f->file, leaf->name, error);
        return tensor && sy_stored_read(tensor, out, count, error);
    }
    const double *values = fixture_input(f, leaf->name, 0);
    if (!values)
        return sy_fail(error, SY_CODE_NOT_FOUND, "no input \"%s\"", leaf->name);
    memcpy(out, values, count * sizeof *out);
    return true;
}

/* Words of a route as graph/ir/route.h lays them out, against the gates of the fixture. */
static void check_words(const fixture *f, int32_t block, const double *words)
{
    uint64_t count, rows = (uint64_t)(f->batch * f->tokens), wrong = 0, chosen = 0;
    const sy_network_config *c = &f->config;
    int32_t targets = c->experts + c->extra_experts;
    double *gates = fixture_route(f, block, &count);
    REQUIRE(gates && count == rows * (uint64_t)targets);
    for (uint64_t i = 0; i < count; i++)
        chosen += !isnan(gates[i]);
    /* The sections that are read here lie before all whose size depends on the bound of slots. */
    sy_type type = sy_route_type((int32_t)rows, targets, (int32_t)chosen);
    sy_route_layout at = sy_route_layout_of(&type);
    const double *offsets = words + at.offsets, *row = words + at.rows;
    CHECK((uint64_t)words[at.count] == chosen && (uint64_t)offsets[targets] == chosen);
    uint64_t before = 0;
    for (int32_t e = 0; e < targets; e++) {
        CHECK((uint64_t)offsets[e] == before);
        for (uint64_t r = 0; r < rows; r++)
            before += !isnan(gates[r * (uint64_t)targets + (uint64_t)e]);
        for (uint64_t s = (uint64_t)offsets[e]; s < (uint64_t)offsets[e + 1]; s++)
            wrong += !(row[s] >= 0 && row[s] < (double)rows) ||
                     isnan(gates[(uint64_t)row[s] * (uint64_t)targets + (uint64_t)e]);
    }
    CHECK_SAY(wrong == 0, "%s, block %d: %llu slots are not where they should be", f->name, (int)block,
              (unsigned long long)wrong);
    free(gates);
}

static void check_ends(fixture *f, const sy_graph *g)
{
    sy_error error = {0};
    sy_eval eval = {0};
    int32_t routes = 0, outputs = 0;
    REQUIRE(sy_eval_init(&eval, g, &error));
    eval.read = read_leaf;
    eval.context = f;
    for (uint32_t i = 0; i < g->n_ends; i++) {
        const sy_end *end = &g->ends[i];
        int block;
        bool ok = sy_eval_value(&eval, end->value, &error);
        CHECK_SAY(ok, "%s: %s: %s", f->name, end->name, error.message);
        REQUIRE(ok);
        if (end->kind == SY_END_OUTPUT && !strcmp(end->name, "output")) {
            double e = fixture_error(eval.tensor[end->value], f->output, (uint64_t)f->batch * f->output_values);
            CHECK_SAY(e < 1e-11, "%s: relative error %g", f->name, e);
            outputs++;
        } else if (sscanf(end->name, "blocks.%d.route", &block) == 1) {
            check_words(f, block, eval.tensor[end->value]);
            routes++;
        }
    }
    const sy_network_config *c = &f->config;
    CHECK(outputs == 1 && routes == (c->experts ? c->interleave ? c->depth / 2 : c->depth : 0));
    sy_eval_free(&eval);
}

int main(void)
{
    static const char *const taps[] = {"blocks.*.route"};
    for (const char *const *name = fixture_names; *name; name++)
        for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
            fixture f = fixture_open(*name);
            sy_error error = {0};
            sy_graph *g = fixture_graph(&f, f.batch);
            sy_compile_params params = {.no_spirv = true, .no_fusion = no_fusion, .taps = taps};
            params.n_taps = f.config.experts ? 1 : 0;
            sy_program *program = sy_compile(g, &params, &error);
            CHECK_SAY(program, "%s: %s", f.name, error.message);
            if (program)
                check_ends(&f, program->graph);
            sy_program_destroy(&program);
            sy_graph_destroy(&g);
            fixture_close(&f);
        }
    return check_done();
}
