/* Defaults come from the model's configuration; what cannot be is refused here, with the remedy, before any work. */
#include "src/sample/sampling.h"

#include "src/sample/step_graph.h"

#include <math.h>
#include <stdlib.h>

_Static_assert((int)SY_SAMPLER_COUNT == (int)SY_SAMPLING_COUNT && (int)SY_SAMPLER_DDPM == (int)SY_SAMPLING_DDPM &&
                   (int)SY_SAMPLER_DPM2M == (int)SY_SAMPLING_DPM2M && (int)SY_SAMPLER_HEUN == (int)SY_SAMPLING_HEUN,
               "the public samplers are those of sampler.h");

static sy_value network(void *context, sy_graph *graph, const sy_zoo_inputs *inputs)
{
    return sy_zoo_build(graph, context, inputs);
}

static bool settle_guidance(sy_sampling *s, const sy_pipeline_params *p, sy_error *error)
{
    double asked = p->guidance;
    if (!isfinite(asked) || asked < 0)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "a guidance of %g makes no sense: 1 is none, 1.5 to 8 are usual", asked);
    s->guidance = asked > 0 ? asked : s->config.guidance > 0 ? s->config.guidance : 1;
    if (s->config.null_row < 0 && asked > 0 && asked != 1)
        return sy_fail(
            error, SY_CODE_INVALID_ARGUMENT,
            "this model was trained without an unconditional label, so guidance is not possible: use guidance 1");
    s->guided = s->guidance != 1 && s->config.null_row >= 0;
    if (!s->guided)
        s->guidance = 1;
    return true;
}

static bool make_table(sy_sampling *s, const sy_pipeline_params *p, sy_error *error)
{
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
                                 .learned_variance = s->config.objective == SY_OBJECTIVE_DDPM && s->config.learn_sigma};
    s->steps = sampler.steps;
    s->sampler = sy_sampler_resolve(&sampler);
    return sy_sampler_table(&sampler, &s->rows, &s->n_rows, error);
}

bool sy_sampling_make(const sy_network_config *config, const sy_pipeline_params *p, sy_sampling *s, sy_error *error)
{
    *s = (sy_sampling){.config = *config, .count = p->count ? p->count : 1};
    if (p->precision != SY_PRECISION_AS_STORED)
        s->config.dtype = p->precision == SY_PRECISION_F16 ? SY_F16 : SY_F32;
    if ((unsigned)p->sampler >= SY_SAMPLER_COUNT || (unsigned)p->precision > SY_PRECISION_F16 ||
        (unsigned)p->guidance_channels > SY_GUIDANCE_FIRST_THREE)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "sampler, precision or guidance channels have no such value");
    if (s->count > 1024)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "%u pictures at once are too many: 1024 is the most", s->count);
    if (!settle_guidance(s, p, error) || !make_table(s, p, error))
        return false;
    s->batch = (int32_t)s->count * (s->guided ? 2 : 1);
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
                                   .guided = s->guided,
                                   .guided_channels = guided_channels,
                                   .clip = config->clip,
                                   .history = sy_sampler_uses_history(s->rows, s->n_rows),
                                   .noise = sy_sampler_uses_noise(s->rows, s->n_rows),
                                   .network = network,
                                   .context = &s->config};
    graphs.learned_variance = graphs.noise && s->sampler == SY_SAMPLING_DDPM && config->learn_sigma;
    s->step = sy_step_graph_build(&graphs, error);
    s->init = s->step ? sy_init_graph_build(&graphs, error) : NULL;
    return s->init != NULL;
}

void sy_sampling_free(sy_sampling *s)
{
    free(s->rows);
    sy_graph_destroy(&s->init);
    sy_graph_destroy(&s->step);
    *s = (sy_sampling){0};
}

float *sy_sampling_table(const sy_sampling *s)
{
    float *table = calloc((size_t)s->n_rows * SY_SAMPLER_COLUMN_COUNT, sizeof *table);
    for (uint32_t i = 0; table && i < s->n_rows; i++) {
        float *row = table + (size_t)i * SY_SAMPLER_COLUMN_COUNT;
#define X(name) row[SY_COLUMN_##name] = (float)s->rows[i].name;
        SY_SAMPLER_COLUMNS(X)
#undef X
    }
    return table;
}
