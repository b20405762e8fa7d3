/* sy_compile as its callers see it: what a program holds, statistics that agree with it, refusals that say why. */
#include "tests/passes/help_passes.h"

static void check_program(const sy_program *p)
{
    double flops = 0, bytes = 0;
    uint32_t barriers = 0;
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        const sy_dispatch *d = &p->dispatches[i];
        flops += d->flops;
        bytes += d->bytes;
        barriers += d->barrier;
        CHECK(d->kernel < p->n_kernels && p->kernels[d->kernel].n_bindings == d->n_bindings);
        CHECK(d->label && strchr(d->label, ':') && d->label[strlen(d->label) - 1] != ':');
        CHECK(d->groups[0] && d->groups[1] && d->groups[2]);
        CHECK(!d->indirect || (d->indirect_at.size == 12 && d->indirect_at.offset % 4 == 0));
        for (uint32_t b = 0; b < d->n_bindings; b++) {
            const sy_binding *binding = &d->bindings[b];
            const sy_place *at = &binding->place;
            CHECK(binding->access && at->size && at->offset + at->size <= p->space_bytes[at->space][at->buffer]);
            CHECK(!(binding->access & SY_WRITE) ||
                  (at->space != SY_SPACE_WEIGHT && at->space != SY_SPACE_INPUT && at->space != SY_SPACE_STEP));
        }
    }
    CHECK(p->stats.dispatches == p->n_dispatches && p->stats.kernels == p->n_kernels && p->stats.barriers == barriers);
    CHECK_SAY(fabs(flops - p->stats.flops) <= 1e-6 * flops, "%g of %g", flops, p->stats.flops);
    CHECK_SAY(bytes == p->stats.bytes && bytes < p->stats.bytes_unfused, "%g, %g", bytes, p->stats.bytes_unfused);
    CHECK(p->stats.dispatches_unfused > p->n_dispatches);
    for (uint32_t i = 0; i < p->n_weights; i++)
        CHECK(p->graph->nodes[p->weights[i].value].load_time && p->weights[i].place.space == SY_SPACE_WEIGHT &&
              p->weights[i].place.size >= sy_type_bytes(&p->weights[i].type));
    CHECK(p->n_passes > 10);
}

static void check_network(void)
{
    static const char *const taps[] = {"blocks.*.route", "*.x"}, *const columns[] = {"time"};
    sy_network_config c = help_config("promoe", 4, 32, 8);
    sy_graph *g = help_network(&c, 2);
    sy_error error = {0};
    sy_compile_params params = {
        .no_spirv = true, .taps = taps, .n_taps = 2, .max_steps = 7, .step_columns = columns, .n_step_columns = 1};
    sy_program *p = sy_compile(g, &params, &error);
    sy_graph_destroy(&g); /* the program stands alone */
    REQUIRE(p != NULL);
    check_program(p);
    uint32_t routes = 0;
    CHECK_SAY(p->n_outputs == 1 + 2 + 4, "%u outputs", p->n_outputs);
    for (uint32_t i = 0; i < p->n_outputs; i++) {
        const sy_io *io = &p->outputs[i];
        bool sliced = strcmp(io->name, "out") != 0;
        routes += io->type.is_route;
        CHECK(io->place.space == SY_SPACE_OUTPUT && sliced == (io->step_bytes != 0));
        CHECK(io->place.size >= (sliced ? 7 * io->step_bytes : sy_type_bytes(&io->type)));
        CHECK(!sliced || io->step_bytes >= sy_type_bytes(&io->type));
    }
    CHECK_SAY(routes == 2, "%u routes", routes);
    CHECK(p->n_inputs == 3 && p->n_states == 0 && p->n_step_columns == 1 && !strcmp(p->step_columns[0], "time"));
    /* Depth costs no kernels. */
    c.depth = 8;
    g = help_network(&c, 2);
    sy_program *deep = sy_compile(g, &params, &error);
    CHECK(deep && deep->n_kernels == p->n_kernels && deep->n_dispatches > p->n_dispatches);
    sy_graph_destroy(&g);
    sy_program_destroy(&deep);
    sy_program_destroy(&p);
}

static void refused(const sy_graph *g, sy_compile_params params, sy_code code, const char *part)
{
    sy_error error = {0};
    params.no_spirv = true;
    sy_program *p = sy_compile(g, &params, &error);
    CHECK_SAY(!p && error.code == code && strstr(error.message, part), "%d: %s", error.code, error.message);
    sy_program_destroy(&p);
}

static void check_refusals(void)
{
    static const char *const taps[] = {"blocks.9.route"};
    sy_text text = {0};
    sy_graph *g = sy_graph_create("refused");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 4096, 4096));
    sy_output(g, "y", sy_mul(g, sy_unary(g, SY_OP_EXP, x), sy_step(g, "sigma")));
    refused(g, (sy_compile_params){0}, SY_CODE_INVALID_ARGUMENT, "sigma");
    sy_compile_params params = {.step_columns = (const char *const[]){"sigma"}, .n_step_columns = 1};
    params.taps = taps;
    params.n_taps = 1;
    refused(g, params, SY_CODE_NOT_FOUND, "blocks.9.route");
    params.n_taps = 0;
    params.print = &text;
    params.print_after = "melt";
    refused(g, params, SY_CODE_INVALID_ARGUMENT, "melt");
    params.print_after = NULL;
    sy_limits limits = sy_limits_floor();
    limits.storage_range = 1 << 20;
    params.limits = &limits;
    refused(g, params, SY_CODE_UNAVAILABLE, "1048576");
    sy_text_free(&text);
    sy_graph_destroy(&g);
}

static void check_print(void)
{
    sy_text text = {0};
    sy_graph *g = sy_graph_create("printed");
    sy_output(g, "y", sy_unary(g, SY_OP_EXP, sy_input(g, "x", SY_T(SY_F32, 4))));
    sy_program *p = sy_compile(g, &(sy_compile_params){.no_spirv = true, .print = &text, .print_after = "all"}, NULL);
    REQUIRE(p && text.data);
    for (const sy_pass *pass = sy_passes; pass->name; pass++) {
        char line[64];
        snprintf(line, sizeof line, "; after %s:", pass->name);
        CHECK_SAY(strcmp(pass->name, "program") == 0 || strstr(text.data, line), "%s is not printed", pass->name);
    }
    CHECK(strstr(text.data, "; #0 map reads %1@input+0 writes %2@output+0"));
    sy_text_free(&text);
    sy_program_destroy(&p);
    sy_graph_destroy(&g);
}

int main(void)
{
    check_network();
    check_refusals();
    check_print();
    return check_done();
}
