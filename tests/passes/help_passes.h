/* What the tests of passes share: values for leaves, running a graph up to a pass, comparing what two graphs compute,
 * small networks of the zoo. A header with code in it, as checks are counted in the file that includes check.h. */
#ifndef SY_TESTS_PASSES_HELP_H
#define SY_TESTS_PASSES_HELP_H

#include "graph/ir/build.h"
#include "graph/ops/eval.h"
#include "graph/passes/passes.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"

#include <math.h>

/* A random number below n from a counter, the same on every machine. */
static inline uint32_t help_number(uint64_t *state, uint32_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*state >> 33) % n);
}

/* The same numbers for the same leaf, whatever graph it stands in. */
static inline bool help_read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)context;
    (void)error;
    uint64_t state = 12345 + (uint64_t)leaf->op;
    for (const char *c = leaf->name; *c; c++)
        state = state * 31 + (unsigned char)*c;
    uint64_t count = sy_type_count(&leaf->type);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t r = help_number(&state, 1u << 20);
        if (leaf->type.dtype == SY_I32)
            out[i] = r % 5;
        else if (leaf->type.dtype == SY_U32)
            out[i] = r;
        else /* exact in every dtype; weights small, so that networks stay tame and scores apart */
            out[i] = ((double)(r % 33) - 16) / (leaf->op == SY_OP_PARAM ? 64 : 8);
    }
    return true;
}

/* The plan of `graph` after the pass `last`; a failure is a failed check and NULL. */
static inline sy_plan *help_run(const sy_graph *graph, const sy_compile_params *params, const char *last)
{
    sy_error error = {0};
    sy_plan *plan = sy_plan_create(graph, params, &error);
    if (plan && !sy_plan_run(plan, last, &error))
        sy_plan_destroy(&plan);
    CHECK_SAY(plan != NULL, "%s: %s", graph->name, error.message);
    return plan;
}

/* States of the second step are the carries of the first. */
typedef struct states {
    const sy_graph *graph;
    double **carried; /* by end; NULL in the first step */
} states;

static inline bool read_with_states(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const states *s = context;
    for (uint32_t e = 0; leaf->op == SY_OP_STATE && s->carried && e < s->graph->n_ends; e++) {
        if (s->graph->ends[e].kind != SY_END_CARRY || strcmp(s->graph->ends[e].name, leaf->name))
            continue;
        memcpy(out, s->carried[e], sy_type_count(&leaf->type) * sizeof *out);
        return true;
    }
    return help_read(NULL, leaf, out, error);
}

/* Values of all ends over two steps: values[step * n_ends + e]. */
static inline double **evaluate(const sy_graph *graph)
{
    double **values = calloc((size_t)graph->n_ends * 2 + 1, sizeof *values);
    states s = {graph, NULL};
    for (uint32_t step = 0; step < 2; step++) {
        sy_eval eval = {0};
        sy_error error = {0};
        bool fine = sy_eval_init(&eval, graph, &error);
        eval.read = read_with_states;
        eval.context = &s;
        eval.step = step;
        for (uint32_t e = 0; e < graph->n_ends && fine; e++) {
            sy_value v = graph->ends[e].value;
            size_t bytes = sy_type_count(&graph->nodes[v].type) * sizeof(double);
            fine = sy_eval_value(&eval, v, &error);
            if (fine) {
                values[step * graph->n_ends + e] = malloc(bytes);
                memcpy(values[step * graph->n_ends + e], eval.tensor[v], bytes);
            }
        }
        CHECK_SAY(fine, "%s", error.message);
        sy_eval_free(&eval);
        s.carried = values;
    }
    return values;
}

static inline void free_values(const sy_graph *graph, double **values)
{
    for (uint32_t i = 0; i < graph->n_ends * 2; i++)
        free(values[i]);
    free(values);
}

static inline uint32_t find_end(const sy_graph *graph, const sy_end *wanted)
{
    for (uint32_t e = 0; e < graph->n_ends; e++)
        if (graph->ends[e].kind == wanted->kind && !strcmp(graph->ends[e].name, wanted->name))
            return e;
    return UINT32_MAX;
}

/* Checks that every end of `after` has the value that the end of that name has in `before`, for two steps with carries.
 */
static inline void help_same(const sy_graph *before, const sy_graph *after, double tolerance, const char *what)
{
    double **wanted = evaluate(before), **got = evaluate(after);
    CHECK_SAY(before->n_ends == after->n_ends, "%s: %u ends, then %u", what, before->n_ends, after->n_ends);
    for (uint32_t e = 0; e < before->n_ends; e++) {
        uint32_t other = find_end(after, &before->ends[e]);
        CHECK_SAY(other != UINT32_MAX, "%s: end %s is gone", what, before->ends[e].name);
        uint64_t count = sy_type_count(&before->nodes[before->ends[e].value].type);
        for (uint32_t step = 0; step < 2 && other != UINT32_MAX; step++) {
            const double *w = wanted[step * before->n_ends + e], *g = got[step * after->n_ends + other];
            double worst = 0, scale = 0;
            for (uint64_t i = 0; w && g && i < count; i++) {
                if (isfinite(w[i]) && isfinite(g[i])) {
                    worst = fmax(worst, fabs(w[i] - g[i]));
                    scale = fmax(scale, fabs(w[i]));
                } else if (!(isnan(w[i]) && isnan(g[i])) && w[i] != g[i]) {
                    worst = INFINITY;
                }
            }
            CHECK_SAY(w && g && worst <= tolerance * (1 + scale), "%s: end %s, step %u differs by %g of %g", what,
                      before->ends[e].name, step, worst, scale);
        }
    }
    free_values(before, wanted);
    free_values(after, got);
}

/* `graph` after select_taps, against every later stage up to `last`. */
static inline void help_check_stages(const sy_graph *graph, const sy_compile_params *params, const char *last,
                                     double tolerance)
{
    sy_plan *first = help_run(graph, params, "select_taps");
    REQUIRE(first != NULL);
    bool graph_changes = true; /* from order on only the plan does */
    for (const sy_pass *pass = sy_passes + 1; pass->name && graph_changes; pass++) {
        sy_plan *plan = help_run(graph, params, pass->name);
        if (plan)
            help_same(first->graph, plan->graph, tolerance, pass->name);
        sy_plan_destroy(&plan);
        graph_changes = strcmp(pass->name, "fuse") && strcmp(pass->name, last);
    }
    sy_plan_destroy(&first);
}

/* A zoo network of reduced size with inputs "x", "time" and "label"; `depth` blocks. */
static inline sy_network_config help_config(const char *architecture, int32_t depth, int32_t width, int32_t side)
{
    sy_network_config c = {
        .side = side,
        .channels = 4,
        .channels_out = 8,
        .learn_sigma = true,
        .patch = 2,
        .width = width,
        .depth = depth,
        .heads = 2,
        .mlp_hidden = 4 * width,
        .has_pos_embed = true,
        .label_rows = 5,
        .null_row = 4,
        .time_scale = 1,
        .guided_channels = 8,
        .dtype = SY_F32,
    };
    snprintf(c.architecture, sizeof c.architecture, "%s", architecture);
    if (!strcmp(architecture, "dit"))
        return c;
    c.experts = 4;
    c.top_k = 2;
    c.expert_hidden = 2 * width;
    c.shared_hidden = 2 * width;
    if (!strncmp(architecture, "promoe", 6)) {
        c.extra_experts = 1;
        c.top_k = 1;
        c.interleave = true;
    }
    return c;
}

static inline sy_graph *help_network(const sy_network_config *config, int32_t batch)
{
    sy_graph *g = sy_graph_create(config->architecture);
    sy_zoo_inputs in = {
        .x = sy_input(g, "x", SY_T(SY_F32, batch, config->channels, config->side, config->side)),
        .time = sy_input(g, "time", SY_T(SY_F32, 1)),
        .label = config->words ? sy_input(g, "label", SY_T(SY_I32, batch, config->words))
                               : sy_input(g, "label", SY_T(SY_I32, batch)),
    };
    if (config->words)
        in.label_weights = sy_input(g, "weights", SY_T(SY_F32, batch, config->words));
    sy_output(g, "out", sy_zoo_build(g, config, &in));
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    return g;
}

/* conv(silu(norm(x))) + time, twice, beside a shortcut: the block of diffusion U-Nets. */
static inline sy_value help_block(sy_graph *g, sy_value x, const char *name, int32_t channels, sy_value time)
{
    sy_scope_push(g, "%s", name);
    bool widens = g->nodes[x].type.dim[3] != channels;
    sy_value h = sy_silu(g, sy_group_norm_layer(g, x, "norm1", 4, 1e-5, SY_F32));
    h = sy_conv_layer(g, h, "conv1", channels, 3, 1, 1, true, SY_F32);
    sy_value t = sy_linear(g, sy_silu(g, time), "time", channels, true, SY_F32);
    h = sy_add(g, h, sy_reshape(g, t, SY_T(SY_F32, 1, 1, 1, channels)));
    h = sy_silu(g, sy_group_norm_layer(g, h, "norm2", 4, 1e-5, SY_F32));
    h = sy_conv_layer(g, h, "conv2", channels, 3, 1, 1, true, SY_F32);
    x = widens ? sy_conv_layer(g, x, "shortcut", channels, 1, 1, 0, true, SY_F32) : x;
    sy_scope_pop(g);
    return sy_add(g, x, h);
}

/* A U-Net of `levels` levels, input and output [N,C,H,W], skips scaled before they are joined (Skip-Tuning). `norms`
 * false: convolutions read what is joined directly, as in the first U-Net. */
static inline sy_graph *help_unet(int32_t batch, int32_t channels, int32_t side, int32_t levels, bool norms)
{
    sy_graph *g = sy_graph_create("unet");
    sy_value x = sy_input(g, "x", SY_T(SY_F32, batch, 3, side, side)), skips[8],
             time = sy_input(g, "t", SY_T(SY_F32, 1, 20));
    x = sy_conv_layer(g, sy_transpose(g, x, (const int32_t[]){0, 2, 3, 1}), "in", channels, 3, 1, 1, true, SY_F32);
    for (int32_t level = 0; level < levels; level++) {
        char name[32];
        snprintf(name, sizeof name, "down.%d", level);
        int32_t c = channels * (level + 1);
        x = norms ? help_block(g, x, name, c, time) : sy_conv_layer(g, x, name, c, 3, 1, 1, true, SY_F32);
        skips[level] = x;
        snprintf(name, sizeof name, "halve.%d", level);
        x = level + 1 < levels ? sy_conv_layer(g, x, name, c, 3, 2, 1, true, SY_F32) : x;
    }
    for (int32_t level = levels; level-- > 0;) {
        char name[32];
        snprintf(name, sizeof name, "double.%d", level);
        int32_t c = channels * (level + 1);
        if (level + 1 < levels)
            x = sy_conv_layer(g, sy_upsample_nearest(g, x, 2), name, c, 3, 1, 1, true, SY_F32);
        sy_value skip = sy_mul(g, skips[level], sy_const(g, 0.75));
        x = sy_concat(g, (sy_value[]){x, skip}, 2, 3);
        snprintf(name, sizeof name, "up.%d", level);
        x = norms ? help_block(g, x, name, c, time) : sy_conv_layer(g, x, name, c, 3, 1, 1, true, SY_F32);
    }
    x = sy_conv_layer(g, sy_silu(g, x), "out", 3, 3, 1, 1, true, SY_F32);
    sy_output(g, "y", sy_transpose(g, x, (const int32_t[]){0, 3, 1, 2}));
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    return g;
}

/* Text of the plan's graph. Freed by the caller. */
static inline char *help_text(const sy_plan *plan)
{
    sy_text text = {0};
    sy_graph_print(plan->graph, &text);
    sy_plan_print(plan, &text);
    return text.data;
}

/* What meets in a group by chance: matmuls, row ops, views and maps over a few shapes that fit each other, heavily
 * shared. */
static inline sy_graph *help_dense_graph(uint64_t seed)
{
    sy_graph *g = sy_graph_create("dense");
    const sy_type shapes[] = {SY_T(SY_F32, 6, 4), SY_T(SY_F32, 2, 3, 4), SY_T(SY_F32, 2, 3, 2, 2)};
    sy_value pool[64];
    uint32_t n = 0;
    for (; n < 3; n++)
        pool[n] = sy_input(g, (const char *[]){"a", "b", "c"}[n], shapes[n]);
    while (n < 40) {
        sy_value x = pool[help_number(&seed, n)], y = pool[n - 1 - help_number(&seed, n < 6 ? n : 6)];
        sy_type t = g->nodes[x].type;
        int32_t last = t.dim[t.rank - 1];
        const int32_t swap[] = {0, 2, 1, 3}, turn[] = {1, 0};
        char name[16];
        snprintf(name, sizeof name, "w%u", n);
        switch (help_number(&seed, 12)) {
        case 0:
        case 1:
            x = sy_matmul(g, x, sy_param(g, name, SY_T(SY_F32, last, last)), help_number(&seed, 2));
            break;
        case 2:
            x = sy_row(g, (sy_op)(SY_OP_SOFTMAX + help_number(&seed, 4)), x, 0);
            break;
        case 3:
            x = sy_sub(g, x, sy_row(g, SY_OP_REDUCE_SUM + help_number(&seed, 3), x, 0));
            break;
        case 4:
            x = sy_row(g, SY_OP_SOFTMAX, x, 0);
            x = sy_mul(g, x, sy_row(g, SY_OP_REDUCE_SUM, sy_take_last(g, x, sy_top_k(g, x, 2)), 0));
            break;
        case 5:
            x = t.rank == 4   ? sy_reshape(g, sy_transpose(g, x, swap), t)
                : t.rank == 2 ? sy_reshape(g, sy_transpose(g, x, turn), t)
                              : x;
            break;
        case 6:
            x = sy_unary(g, SY_OP_TANH, x);
            break;
        case 7:
            x = sy_add(g, x, sy_param(g, name, SY_T(SY_F32, last)));
            break;
        default:
            x = sy_binary(g, help_number(&seed, 2) ? SY_OP_ADD : SY_OP_MUL, x, sy_reshape(g, y, t));
            break;
        }
        pool[n++] = sy_reshape(g, x, shapes[help_number(&seed, 3)]);
    }
    sy_output(g, "last", pool[n - 1]);
    sy_output(g, "one", pool[n / 2]);
    return g;
}

#endif
