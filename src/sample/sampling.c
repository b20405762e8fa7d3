/* Defaults come from the model's configuration; what cannot be is refused here, with the remedy, before any work. */
#include "src/sample/sampling.h"

#include "graph/zoo/settings.h"
#include "src/sample/plan.h"

#include <math.h>
#include <stdlib.h>

_Static_assert(SY_SAMPLER_COLUMN_COUNT <= 64, "columns have bits in a word");
_Static_assert((int)SY_SAMPLER_COUNT == (int)SY_SAMPLING_COUNT && (int)SY_SAMPLER_DOPRI5 == (int)SY_SAMPLING_DOPRI5 &&
                   (int)SY_SAMPLER_DPM_FAST == (int)SY_SAMPLING_DPM_FAST &&
                   (int)SY_SAMPLER_MIDPOINT == (int)SY_SAMPLING_MIDPOINT &&
                   (int)SY_SAMPLER_DDPM == (int)SY_SAMPLING_DDPM && (int)SY_SAMPLER_DPM2M == (int)SY_SAMPLING_DPM2M &&
                   (int)SY_SAMPLER_HEUN == (int)SY_SAMPLING_HEUN,
               "the public samplers are those of sampler.h");

static sy_value network(void *context, sy_graph *graph, const sy_zoo_inputs *inputs)
{
    const sy_network_config *config = context;
    graph->steered = config->steered;
    sy_value output = sy_zoo_build(graph, config, inputs);
    graph->steered = false;
    return output;
}

static sy_value encode(void *context, sy_graph *graph, sy_value tokens)
{
    return sy_zoo_encode(graph, context, tokens);
}

static sy_value decode(void *context, sy_graph *graph, sy_value latent)
{
    return sy_zoo_decode(graph, context, latent);
}

static bool settle_guidance(sy_sampling *s, const sy_pipeline_params *p, sy_error *error)
{
    double asked = p->guidance;
    if (!isfinite(asked) || asked < 0)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "a guidance of %g makes no sense: 1 is none, 1.5 to 8 are usual", asked);
    s->guidance = asked > 0 ? asked : s->config.guidance > 0 ? s->config.guidance : 1;
    bool possible = s->config.null_row >= 0 || s->config.text_tokens;
    if (!possible && asked > 0 && asked != 1)
        return sy_fail(
            error, SY_CODE_INVALID_ARGUMENT,
            "this model was trained without an unconditional label, so guidance is not possible: use guidance 1");
    s->guided = s->guidance != 1 && possible;
    if (!s->guided)
        s->guidance = 1;
    return true;
}

static bool make_table(sy_sampling *s, const sy_pipeline_params *p, sy_error *error)
{
    enum { ATTEMPTS = 100 };
    sy_sampler_params sampler = {.sampler = (sy_sampler_kind)p->sampler,
                                 .objective = s->config.objective,
                                 .betas = s->config.betas,
                                 .steps = p->steps              ? p->steps
                                          : s->config.steps > 0 ? (uint32_t)s->config.steps
                                                                : 50,
                                 .guidance = s->guidance,
                                 .time_scale = s->config.time_scale,
                                 .shift = p->shift,
                                 .eta = p->eta,
                                 .learned_variance = s->config.objective == SY_OBJECTIVE_DDPM && s->config.learn_sigma,
                                 .last_is_first = s->config.last_is_first,
                                 .step_size = s->config.step_size};
    s->sampler = sy_sampler_resolve(&sampler);
    if (s->sampler == SY_SAMPLING_DDIM && s->config.leading_steps)
        sampler.spacing = SY_SPACING_LEADING;
    s->ode = s->sampler == SY_SAMPLING_DOPRI5;
    if (s->ode && !p->steps)
        sampler.steps = ATTEMPTS;
    s->steps = sampler.steps;
    return sy_sampler_table(&sampler, &s->rows, &s->n_rows, error);
}

/* The columns that are not 0 in all rows, and cin where it is not 1. */
static uint64_t used_columns(const sy_sampling *s)
{
    uint64_t uses = 0;
    bool scaled = false;
    for (int column = 0; column < SY_SAMPLER_COLUMN_COUNT; column++)
        uses |= (uint64_t)sy_sampler_uses(s->rows, s->n_rows, column) << column;
    for (uint32_t i = 0; i < s->n_rows; i++)
        scaled = scaled || s->rows[i].cin != 1;
    return scaled ? uses : uses & ~(UINT64_C(1) << SY_COLUMN_cin);
}

static bool add_turn(sy_sampling *s, uint32_t program, sy_error *error)
{
    if (program == UINT32_MAX)
        return false;
    if (!s->schedule && !(s->schedule = calloc(2 * (size_t)s->n_rows + 1, sizeof *s->schedule)))
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a schedule");
    s->schedule[s->n_schedule++] = program;
    return true;
}

/* Index of a new program; UINT32_MAX if its graph could not be built. */
static uint32_t add_program(sy_sampling *s, sy_sampling_program program, sy_error *error)
{
    if (!program.graph)
        return UINT32_MAX;
    if (s->n_programs == SY_SAMPLING_PROGRAMS) {
        sy_graph_destroy(&program.graph);
        sy_fail(error, SY_CODE_INTERNAL, "a run needs more than %d programs", SY_SAMPLING_PROGRAMS);
        return UINT32_MAX;
    }
    s->programs[s->n_programs] = program;
    return s->n_programs++;
}

/* The program that runs the network as a row wants it, made when it is first wanted. */
static uint32_t network_program(sy_sampling *s, const sy_step_graph_params *graphs, const sy_run_plan *plan,
                                const sy_row_plan *row, sy_error *error)
{
    for (uint32_t i = 0; i < s->n_programs; i++) {
        const sy_sampling_program *known = &s->programs[i];
        if (known->network && known->guided == row->guided && known->variant == row->variant)
            return i;
    }
    sy_step_graph_params p = *graphs;
    p.guided = row->guided;
    p.variant = row->variant;
    sy_sampling_program program = {.network = true, .guided = row->guided, .variant = row->variant};
    if (s->ode || plan->skips)
        program.condition = "run.network";
    program.same_step = plan->skips;
    program.graph = s->ode        ? sy_stage_graph_build(&p, error)
                    : plan->skips ? sy_network_graph_build(&p, error)
                                  : sy_step_graph_build(&p, error);
    return add_program(s, program, error);
}

/* All programs, and whose turn it is when. */
static bool make_programs(sy_sampling *s, const sy_step_graph_params *graphs, const sy_run_plan *plan, sy_error *error)
{
    uint32_t ending = UINT32_MAX;
    for (uint32_t k = 0; k < s->n_rows; k++) {
        bool judges = s->ode && s->rows[k].stage == SY_STAGE_JUDGE;
        if (!judges && !add_turn(s, network_program(s, graphs, plan, &plan->rows[k], error), error))
            return false;
        s->evaluations += !judges;
        if (!judges && !plan->skips)
            continue;
        if (ending == UINT32_MAX) {
            sy_sampling_program program = {.graph = judges ? sy_attempt_graph_build(graphs, &plan->ode, error)
                                                           : sy_update_graph_build(graphs, &plan->skip, error)};
            ending = add_program(s, program, error);
        }
        if (!add_turn(s, ending, error))
            return false;
    }
    s->n_turns = s->n_rows;
    if (s->config.picture_side) {
        s->n_turns++;
        if (!add_turn(s, add_program(s, (sy_sampling_program){.graph = sy_decode_graph_build(graphs, error)}, error),
                      error))
            return false;
    }
    s->step = s->programs[0].graph;
    s->init = sy_init_graph_build(graphs, plan->skips ? &plan->skip : NULL, s->ode ? &plan->ode : NULL, error);
    return s->init != NULL;
}

static bool make_graphs(sy_sampling *s, const sy_pipeline_params *p, const sy_run_plan *plan, sy_error *error)
{
    const sy_network_config *config = &s->config;
    int32_t guided_channels = p->guidance_channels == SY_GUIDANCE_ALL           ? 0
                              : p->guidance_channels == SY_GUIDANCE_FIRST_THREE ? 3
                                                                                : config->guided_channels;
    sy_step_graph_params graphs = {.name = config->architecture,
                                   .count = (int32_t)s->count,
                                   .channels = config->channels,
                                   .height = config->side,
                                   .width = config->side,
                                   .out_channels = config->channels_out,
                                   .words = config->words,
                                   .label_rows = s->batch,
                                   .unlabelled = !config->label_rows,
                                   .text_tokens = config->text_tokens,
                                   .context_tokens = config->context_tokens,
                                   .context_width = config->context_width,
                                   .negative = s->negative,
                                   .guided = s->guided,
                                   .guided_channels = guided_channels,
                                   .uses = used_columns(s),
                                   .clip = config->clip,
                                   .step_size = config->step_size,
                                   .rescale = plan->rescale,
                                   .perturbed = plan->perturbed,
                                   .perturbed_scale = plan->perturbed_scale,
                                   .ras = plan->ras,
                                   .network = network,
                                   .encode = encode,
                                   .decode = decode,
                                   .context = &s->config};
    graphs.first_noise = config->objective == SY_OBJECTIVE_EDM ? SY_EDM_SIGMA_MAX : 1;
    graphs.learned_variance =
        sy_sampler_uses(s->rows, s->n_rows, SY_COLUMN_cn) && s->sampler == SY_SAMPLING_DDPM && config->learn_sigma;
    return make_programs(s, &graphs, plan, error);
}

/* The settings of the caller as the zoo wants them; *settings is to be freed. */
static bool take_settings(sy_sampling *s, const sy_pipeline_params *p, sy_setting **settings, sy_error *error)
{
    *settings = calloc((size_t)p->n_settings + 1, sizeof **settings);
    if (!*settings)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for settings");
    for (uint32_t i = 0; i < p->n_settings; i++)
        (*settings)[i] = (sy_setting){p->settings[i].name, p->settings[i].value};
    s->config.settings = *settings;
    s->config.n_settings = p->n_settings;
    return sy_settings_check(&s->config, error);
}

bool sy_sampling_make(const sy_network_config *config, const sy_pipeline_params *p, sy_sampling *s, sy_error *error)
{
    sy_setting *settings = NULL;
    sy_run_plan plan = {0};
    *s = (sy_sampling){.config = *config, .count = p->count ? p->count : 1};
    if (p->precision != SY_PRECISION_AS_STORED)
        s->config.dtype = p->precision == SY_PRECISION_F16 ? SY_F16 : SY_F32;
    if ((unsigned)p->sampler >= SY_SAMPLER_COUNT || (unsigned)p->precision > SY_PRECISION_F16 ||
        (unsigned)p->guidance_channels > SY_GUIDANCE_FIRST_THREE)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "sampler, precision or guidance channels have no such value");
    if (s->count > 1024)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%u pictures at once are too many: 1024 is the most", s->count);
    bool ok = take_settings(s, p, &settings, error) && settle_guidance(s, p, error) && make_table(s, p, error);
    s->negative = s->config.context_tokens && sy_setting_text(&s->config, "nag");
    s->batch = (int32_t)s->count * (s->guided || s->negative ? 2 : 1);
    ok = ok && sy_run_plan_make(s, &plan, error);
    s->adaptive = plan.skips;
    s->perturbed = plan.perturbed;
    s->config.steered = p->steering;
    if (ok && p->steering && plan.ras.patch)
        ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                     "routes cannot be steered where only some tokens run: leave out ras.ratio, or the steering");
    ok = ok && make_graphs(s, p, &plan, error);
    s->config.settings = NULL; /* they were the caller's */
    s->config.n_settings = 0;
    free(plan.rows);
    free(settings);
    return ok;
}

void sy_sampling_free(sy_sampling *s)
{
    free(s->rows);
    free(s->schedule);
    sy_graph_destroy(&s->init);
    for (uint32_t i = 0; i < s->n_programs; i++)
        sy_graph_destroy(&s->programs[i].graph);
    *s = (sy_sampling){0};
}

float *sy_sampling_table(const sy_sampling *s)
{
    float *table = calloc((size_t)s->n_turns * SY_SAMPLER_COLUMN_COUNT, sizeof *table);
    for (uint32_t i = 0; table && i < s->n_rows * SY_SAMPLER_COLUMN_COUNT; i++)
        table[i] = (float)((const double *)s->rows)[i];
    return table;
}
