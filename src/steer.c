/* Steering routes: what the rules of a run say of each (row, target) pair, written to the inputs that graphs built with
 * sy_network_config.steered have. A route is known by the name of its tap. */
#include "src/api.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The input that steers the route of an end, or NULL: the producer stands behind splits and capacities. */
static const char *input_of(const sy_graph *g, const sy_end *end)
{
    const sy_node *node = &g->nodes[end->value];
    while (node->op == SY_OP_ROUTE_SPLIT || node->op == SY_OP_ROUTE_CAPACITY)
        node = &g->nodes[node->args[0]];
    bool steered = (node->op == SY_OP_ROUTE_TOP_K || node->op == SY_OP_ROUTE_EXPERT_CHOICE) && node->n_args > 1;
    const sy_node *input = steered ? &g->nodes[node->args[1]] : NULL;
    return input && input->op == SY_OP_INPUT ? input->name : NULL;
}

/* A route in one program, and how its rows stand for the grid of each picture. */
typedef struct steered {
    const char *name;
    int32_t rows, targets;
    int32_t samples;       /* of the batch: conditional ones, unconditional ones … */
    int32_t columns, lines; /* of a sample's rows as a grid; 0: they are none */
    int32_t cell_width, cell_height; /* tokens a row of the route stands for, each way */
} steered;

static steered describe(const sy_pipeline *p, const sy_sampling_program *program, const sy_end *end, const sy_type *type)
{
    const sy_network_config *c = &p->model->config;
    int32_t count = (int32_t)p->sampling.count, side = c->patch ? c->side / c->patch : 0;
    steered s = {.name = end->name, .rows = type->dim[0], .targets = type->dim[1]};
    s.samples = (program->guided ? 2 : 1) * count + (p->sampling.perturbed ? count : 0);
    int32_t each = s.rows % s.samples ? 0 : s.rows / s.samples;
    int32_t root = (int32_t)lround(sqrt((double)each));
    if (each && side && root * root == each && side % root == 0) {
        s.columns = s.lines = root;
        s.cell_width = s.cell_height = side / root;
    }
    return s;
}

static bool apply(const steered *s, const sy_steer *rule, uint32_t count, int32_t *words, sy_error *error)
{
    if (rule->target < 0 || rule->target >= s->targets)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "route \"%s\" has no target %d to steer: it has 0 to %d", s->name,
                       rule->target, s->targets - 1);
    if (rule->picture > count)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "there is no picture %u to steer: there are %u", rule->picture,
                       count);
    if ((rule->width || rule->picture) && !s->columns)
        return sy_fail(error, SY_CODE_UNAVAILABLE,
                       "the rows of route \"%s\" are not the places of a picture: only all of them can be steered", s->name);
    int32_t each = s->rows / s->samples;
    for (int32_t row = 0; row < s->rows; row++) {
        uint32_t picture = (uint32_t)(row / each) % count;
        if (rule->picture && rule->picture != picture + 1)
            continue;
        if (rule->width) { /* the row's tokens and the region's must meet */
            int64_t x = (int64_t)(row % each % s->columns) * s->cell_width, y = (int64_t)(row % each / s->columns) * s->cell_height;
            if (x + s->cell_width <= rule->x || x >= (int64_t)rule->x + rule->width || y + s->cell_height <= rule->y ||
                y >= (int64_t)rule->y + rule->height)
                continue;
        }
        words[(size_t)row * (size_t)s->targets + (size_t)rule->target] = rule->kind == SY_STEER_OFF ? -1 : 1;
    }
    return true;
}

static bool fits(const sy_steer *rule, const char *name)
{
    return sy_tap_fits(rule->route ? rule->route : "*", name);
}

/* All that is said of one input, which may belong to several taps. */
static bool write_input(const sy_pipeline *p, uint32_t which, const sy_io *input, const sy_generate_params *params,
                        bool *used, sy_error *error)
{
    const sy_sampling_program *program = &p->sampling.programs[which];
    const sy_graph *g = program->graph;
    int32_t *words = calloc(sy_type_count(&input->type), sizeof *words);
    bool ok = words || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to steer routes");
    for (uint32_t e = 0; ok && e < g->n_ends; e++) {
        const sy_end *end = &g->ends[e];
        if (end->kind != SY_END_TAP || !g->nodes[end->value].type.is_route)
            continue;
        const char *name = input_of(g, end);
        steered s = describe(p, program, end, &input->type);
        for (uint32_t i = 0; ok && name && !strcmp(name, input->name) && i < params->n_steers; i++)
            if (fits(&params->steers[i], end->name)) {
                ok = apply(&s, &params->steers[i], p->sampling.count, words, error);
                used[i] = true;
            }
    }
    ok = ok && sy_session_write(p->session, input->name, words, sy_type_bytes(&input->type), error);
    free(words);
    return ok;
}

static bool not_there(const sy_pipeline *p, const sy_steer *rule, sy_error *error)
{
    sy_text names = {0};
    for (uint32_t i = 0; i < p->sampling.n_programs; i++) {
        const sy_graph *g = p->sampling.programs[i].graph;
        for (uint32_t e = 0; i == 0 && e < g->n_ends; e++)
            if (g->ends[e].kind == SY_END_TAP && g->nodes[g->ends[e].value].type.is_route && input_of(g, &g->ends[e]))
                sy_text_printf(&names, "%s%s", names.data ? ", " : "", g->ends[e].name);
    }
    sy_fail(error, SY_CODE_NOT_FOUND, "no route that can be steered is named \"%s\"; %s%s",
            rule->route ? rule->route : "*", names.data ? "there are " : "this model has none", names.data ? names.data : "");
    sy_text_free(&names);
    return false;
}

bool sy_api_steer(const sy_pipeline *p, const sy_generate_params *params, sy_error *error)
{
    if (!p->sampling.config.steered)
        return !params->n_steers || sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                                            "routes are to be steered, but the pipeline was made without `steering`");
    bool ok = true, *used = calloc((size_t)params->n_steers + 1, sizeof *used);
    if (!used)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to steer routes");
    for (uint32_t i = 0; i < p->sampling.n_programs; i++)
        for (uint32_t k = 0; ok && k < p->programs[i]->n_inputs; k++)
            if (!strncmp(p->programs[i]->inputs[k].name, SY_STEER_NAME, strlen(SY_STEER_NAME)))
                ok = write_input(p, i, &p->programs[i]->inputs[k], params, used, error);
    for (uint32_t i = 0; ok && i < params->n_steers; i++)
        ok = used[i] || not_there(p, &params->steers[i], error);
    free(used);
    return ok;
}
