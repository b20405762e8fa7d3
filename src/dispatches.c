/* How long each dispatch of a pipeline's last evaluation took, under the names the graph gives them. */
#include "src/api.h"
#include "src/profile/measure.h"

static bool list_names(sy_arena *arena, const sy_program *p, sy_dispatch_time **out)
{
    sy_dispatch_time *list = sy_arena_array(arena, (size_t)p->n_dispatches + 1, sizeof *list);
    for (uint32_t i = 0; list && i < p->n_dispatches; i++) {
        const sy_dispatch *d = &p->dispatches[i];
        list[i] = (sy_dispatch_time){.name = d->label,
                                     .kind = d->kind,
                                     .kernel = p->kernels[d->kernel].name,
                                     .flops = d->flops,
                                     .bytes = d->bytes};
        size_t layer = sy_label_split(d->label, &list[i].ops);
        if (!(list[i].layer = sy_arena_printf(arena, "%.*s", (int)layer, d->label)))
            return false;
    }
    *out = list;
    return list != NULL;
}

/* The program of the network that runs last; a decoder may come after it. */
static uint32_t last_network(const sy_sampling *s)
{
    for (uint32_t i = s->n_schedule; i > 0; i--)
        if (s->programs[s->schedule[i - 1]].network)
            return s->schedule[i - 1];
    return 0;
}

static bool list_times(sy_pipeline *p, const sy_dispatch_time **out, size_t *count, sy_error *error)
{
    uint32_t which = last_network(&p->sampling);
    const sy_program *program = p->programs[which];
    const double *times = sy_session_timings(p->session, which);
    if (!p->timings)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the pipeline was made without sy_pipeline_params.timings");
    if (!times)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "%s has no timestamps, or nothing has run yet", p->device);
    if (!p->times[which] && !list_names(&p->times_arena, program, &p->times[which]))
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the times of dispatches");
    for (uint32_t i = 0; i < program->n_dispatches; i++) {
        p->times[which][i].begin = times[2 * i];
        p->times[which][i].seconds = times[2 * i + 1] - times[2 * i];
    }
    *out = p->times[which];
    *count = program->n_dispatches;
    return true;
}

sy_status sy_pipeline_dispatches(sy_pipeline *pipeline, const sy_dispatch_time **list, size_t *count)
{
    sy_error error = {0};
    *list = NULL;
    *count = 0;
    list_times(pipeline, list, count, &error);
    return sy_api_done(pipeline->model->context, &error);
}
