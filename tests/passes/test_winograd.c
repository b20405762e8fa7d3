/* 3x3 convolutions by fewer multiplications: the same results after every pass, where it pays and nowhere else. */
#include "tests/passes/help_passes.h"

static uint32_t count(const sy_graph *graph, sy_op op)
{
    uint32_t n = 0;
    for (sy_value v = 1; v < graph->n_nodes; v++)
        n += graph->nodes[v].op == op;
    return n;
}

typedef struct shape {
    int32_t images, height, width, channels, out;
    sy_attributes attributes;
    bool taken;
} shape;

/* The convolution with what stands around it in networks: an activation before, bias, activation and residual behind. */
static sy_graph *around(const shape *s, sy_dtype dtype)
{
    sy_graph *g = sy_graph_create("conv");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, s->images, s->height, s->width, s->channels));
    int32_t of_group = s->channels / (s->attributes.groups ? s->attributes.groups : 1);
    sy_value w = sy_param(g, "w", SY_T(dtype, s->out, of_group, 3, 3)); /* as PyTorch stores it */
    w = sy_transpose(g, w, (const int32_t[]){2, 3, 1, 0});
    w = dtype == SY_F32 ? w : sy_cast(g, w, SY_F32);
    sy_value y = sy_conv(g, sy_silu(g, x), w, &s->attributes);
    y = sy_silu(g, sy_add(g, y, sy_param(g, "b", SY_T(SY_F32, s->out))));
    if (sy_type_equal(&g->nodes[y].type, &g->nodes[x].type))
        y = sy_add(g, y, x);
    sy_output(g, "y", y);
    return g;
}

static void check_shape(const shape *s, sy_dtype dtype, bool cpu)
{
    sy_limits limits = sy_limits_floor();
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    limits.cpu = cpu;
    sy_graph *g = around(s, dtype);
    sy_plan *plan = help_run(g, &params, "winograd");
    REQUIRE(plan != NULL);
    uint32_t left = count(plan->graph, SY_OP_CONV), wanted = cpu && s->taken ? 0 : 1;
    CHECK_SAY(left == wanted, "%dx%d, %d to %d channels: %u convolutions are left", s->height, s->width, s->channels, s->out,
              left);
    sy_plan_destroy(&plan);
    if (!wanted)
        help_check_stages(g, &params, "fuse", 1e-9);
    sy_graph_destroy(&g);
}

/* In a step: the input by index with the activation before, three products, what stands behind in the last; weights are made when they are loaded. */
static void check_dispatches(const shape *s)
{
    sy_limits limits = sy_limits_floor();
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    sy_error error = {0};
    limits.cpu = true;
    sy_graph *g = around(s, SY_F16);
    sy_program *program = sy_compile(g, &params, &error);
    CHECK_SAY(program != NULL, "%s", error.message);
    if (program) {
        double direct = 2.0 * 9 * s->images * s->height * s->width * s->channels * s->out;
        CHECK_SAY(program->stats.dispatches == 4, "%u dispatches", program->stats.dispatches);
        CHECK_SAY(program->stats.flops < 0.75 * direct, "%g operations for %g", program->stats.flops, direct);
    }
    sy_program_destroy(&program);
    sy_graph_destroy(&g);
}

/* Weights grow: past the bound on all of them convolutions stay as they are. */
static void check_bound(void)
{
    sy_limits limits = sy_limits_floor();
    sy_compile_params params = {.limits = &limits, .no_spirv = true};
    limits.cpu = true;
    sy_graph *g = sy_graph_create("many");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 1, 32, 32, 512));
    for (int i = 0; i < 12; i++) { /* 36 MiB each */
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        x = sy_conv(g, x, sy_param(g, name, SY_T(SY_F32, 3, 3, 512, 512)),
                    &(sy_attributes){.pad = {1, 1}, .pad_high = {1, 1}});
    }
    sy_output(g, "y", x);
    sy_plan *plan = help_run(g, &params, "winograd");
    REQUIRE(plan != NULL);
    CHECK_SAY(count(plan->graph, SY_OP_CONV) == 5, "%u of 12 are left", count(plan->graph, SY_OP_CONV));
    sy_plan_destroy(&plan);
    sy_graph_destroy(&g);
}

int main(void)
{
    const sy_attributes same = {.pad = {1, 1}, .pad_high = {1, 1}}, valid = {.pad = {0}},
                        odd = {.pad = {2, 0}, .pad_high = {0, 2}};
    const shape shapes[] = {
        {1, 16, 16, 64, 64, same, true},  {2, 16, 12, 64, 80, same, true}, {1, 34, 30, 64, 64, valid, true},
        {3, 16, 16, 72, 64, odd, true},   {1, 16, 16, 24, 24, same, false}, {1, 4, 4, 256, 256, same, false},
        {1, 18, 16, 64, 64, same, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&shapes[i], SY_F32, true);
    check_shape(&shapes[0], SY_F16, true);
    check_shape(&shapes[0], SY_F32, false); /* on hardware: direct */
    const sy_attributes others[] = {
        {.pad = {1, 1}, .pad_high = {1, 1}, .stride = {2, 2}}, {.pad = {2, 2}, .pad_high = {2, 2}, .dilate = {2, 2}},
        {.pad = {1, 1}, .pad_high = {1, 1}, .groups = 2}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_shape(&(shape){1, 32, 32, 128, 128, others[i], false}, SY_F32, true);
    check_dispatches(&shapes[1]);
    check_bound();
    return check_done();
}
