/* Generating: prompts and seeds become the inputs of the step graph, states become pictures. */
#include "src/api.h"
#include "src/run/recording.h"
#include "src/run/session_private.h" /* sy_seconds */

#include "graph/base/nearest.h"

#include <stdlib.h>
#include <string.h>

typedef struct owned_result {
    sy_result result; /* first: the public pointer is to this */
    sy_arena arena;
} owned_result;

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to generate");
}

static bool unknown_word(const sy_model *m, const char *word, const char *prompt, sy_error *error)
{
    sy_text near = {0};
    const char *said[3] = {0};
    for (int k = 0; k < 3; k++) {
        sy_nearest nearest = {.wanted = word};
        for (uint32_t i = 0; i < m->info.n_words; i++)
            if (m->info.words[i] != said[0] && m->info.words[i] != said[1])
                sy_nearest_offer(&nearest, m->info.words[i]);
        if (!nearest.best)
            break;
        said[k] = nearest.best;
        sy_text_printf(&near, "%s\"%s\"", k ? ", " : "", nearest.best);
    }
    sy_fail(error, SY_CODE_NOT_FOUND,
            "the model does not know the word \"%s\" of the prompt \"%s\"%s%s; --list-prompts shows what it knows",
            word, prompt, near.data ? ": near are " : "", near.data ? near.data : "");
    sy_text_free(&near);
    return false;
}

static bool write_words(const sy_pipeline *p, const sy_generate_params *params, sy_error *error)
{
    const sy_model *m = p->model;
    size_t batch = (size_t)p->sampling.batch, room = (size_t)m->config.words, count = p->sampling.count;
    int32_t *ids = calloc(batch * room, sizeof *ids);
    float *weights = calloc(batch * room, sizeof *weights);
    bool ok = ids && weights ? true : no_memory(error);
    if (ok && (!params->prompts || (params->n_prompts != 1 && params->n_prompts != count)))
        ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                     "this model is prompted by words: give one prompt, or one for each of the %zu pictures", count);
    for (size_t i = 0; ok && i < batch; i++) {
        const char *prompt = i < count ? params->prompts[params->n_prompts == 1 ? 0 : i] : NULL;
        char unknown[64] = "";
        int32_t known =
            sy_vocabulary_prompt(m->vocabulary, prompt, ids + i * room, weights + i * room, (int32_t)room, unknown);
        if (i < count && unknown[0])
            ok = unknown_word(m, unknown, prompt, error);
        else if (i < count && known == 0)
            ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                         "the prompt \"%s\" has no word in it; --list-prompts shows what the model knows",
                         prompt ? prompt : "");
    }
    ok = ok && sy_session_write(p->session, "label", ids, batch * room * sizeof *ids, error) &&
         sy_session_write(p->session, "label_weights", weights, batch * room * sizeof *weights, error);
    free(ids);
    free(weights);
    return ok;
}

/* The prompts, then the negative texts. What does not fit the encoder is cut off, as everywhere. */
static bool write_texts(const sy_pipeline *p, const sy_generate_params *params, sy_error *error)
{
    const sy_model *m = p->model;
    size_t batch = (size_t)p->sampling.batch, room = (size_t)m->config.text_tokens, count = p->sampling.count;
    if (!params->prompts || (params->n_prompts != 1 && params->n_prompts != count))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                       "this model is prompted by text: give one prompt, or one for each of the %zu pictures", count);
    if (params->negatives && params->n_negatives != 1 && params->n_negatives != count)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "give one negative text, or one for each of the %zu pictures",
                       count);
    int32_t *ids = calloc(batch * room, sizeof *ids);
    bool ok = ids ? true : no_memory(error);
    for (size_t i = 0; ok && i < batch; i++) {
        const char *const *texts = i < count ? params->prompts : params->negatives;
        uint32_t n = i < count ? params->n_prompts : params->n_negatives;
        ok = sy_clip_tokenizer_encode(m->tokenizer, texts ? texts[n == 1 ? 0 : i % count] : "", ids + i * room,
                                      (int32_t)room, NULL, error);
    }
    ok = ok && sy_session_write(p->session, "tokens", ids, batch * room * sizeof *ids, error);
    free(ids);
    return ok;
}

static bool write_labels(const sy_pipeline *p, const sy_generate_params *params, sy_error *error)
{
    size_t batch = (size_t)p->sampling.batch, count = p->sampling.count;
    int32_t classes = (int32_t)p->model->info.classes, *labels = calloc(batch, sizeof *labels);
    bool ok = labels ? true : no_memory(error);
    if (ok && (!params->labels || (params->n_labels != 1 && params->n_labels != count)))
        ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                     "this model is prompted by class: give one label (0 to %d), or one for each of the %zu pictures",
                     classes - 1, count);
    for (size_t i = 0; ok && i < batch; i++) {
        labels[i] = i < count ? params->labels[params->n_labels == 1 ? 0 : i] : p->model->config.null_row;
        if (i < count && (labels[i] < 0 || labels[i] >= classes))
            ok = sy_fail(error, SY_CODE_INVALID_ARGUMENT, "label %d is out of range: this model knows 0 to %d",
                         labels[i], classes - 1);
    }
    ok = ok && sy_session_write(p->session, "label", labels, batch * sizeof *labels, error);
    free(labels);
    return ok;
}

static bool write_inputs(const sy_pipeline *p, const sy_generate_params *params, sy_result *result, sy_arena *arena,
                         sy_error *error)
{
    uint32_t *seeds = sy_arena_array(arena, p->sampling.count, sizeof *seeds);
    if (!seeds)
        return no_memory(error);
    for (uint32_t i = 0; i < p->sampling.count; i++)
        seeds[i] = params->seeds ? params->seeds[i] : params->seed + i;
    result->seeds = seeds;
    const sy_network_config *c = &p->model->config;
    return (!p->model->tokenizer && c->text_tokens
                ? sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                          "this file has a text encoder but no tokenizer: open the folder it belongs to")
            : c->context_tokens && !c->text_tokens
                ? sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                          "this file has no text encoder: open the folder it belongs to")
            : c->text_tokens ? write_texts(p, params, error)
            : c->words       ? write_words(p, params, error)
            : c->label_rows  ? write_labels(p, params, error)
                             : true) &&
           sy_api_steer(p, params, error) &&
           sy_session_write(p->session, "seeds", seeds, p->sampling.count * sizeof *seeds, error);
}

typedef struct watcher {
    const sy_generate_params *params;
    double start, first_at; /* when the first step was done: compiling in the driver comes before it */
    uint32_t first_done;
} watcher;

static bool watch(void *context, uint32_t done, uint32_t total)
{
    watcher *w = context;
    double now = sy_seconds();
    if (done && !w->first_done) {
        w->first_at = now;
        w->first_done = done;
    }
    double left = done == total ? 0
                  : done > w->first_done && w->first_done
                      ? (now - w->first_at) / (done - w->first_done) * (total - done)
                      : -1;
    sy_progress progress = {.done = done, .total = total, .seconds = now - w->start, .seconds_left = left};
    return w->params->progress(w->params->user, &progress);
}

static uint8_t to_byte(float x)
{
    float y = 127.5f * x + 128.0f;                         /* -1 … 1, rounded by the truncation below */
    return y >= 255.0f ? 255 : y >= 0.0f ? (uint8_t)y : 0; /* not a number: 0 */
}

/* One channel is shown as grey; of more than three the first three are. */
static bool paint(sy_result *r, sy_arena *arena, sy_error *error)
{
    size_t pixels = (size_t)r->width * r->height;
    uint8_t *out = sy_arena_array(arena, r->count, 3 * pixels);
    if (!out)
        return no_memory(error);
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < 3; k++) {
            const float *plane = r->data + (i * r->channels + (k < r->channels ? k : r->channels - 1)) * pixels;
            for (size_t j = 0; j < pixels; j++)
                out[(i * pixels + j) * 3 + k] = to_byte(plane[j]);
        }
    r->pictures = out;
    return true;
}

static bool collect(const sy_pipeline *p, sy_result *r, sy_arena *arena, sy_error *error)
{
    const sy_network_config *c = &p->model->config;
    sy_session_result x;
    sy_array data;
    if (!sy_session_read(p->session, c->picture_side ? "picture" : "x", &x, error) ||
        !sy_api_array(&x, arena, &data, error))
        return false;
    r->count = p->sampling.count;
    r->width = r->height = (uint32_t)(c->picture_side ? c->picture_side : c->side);
    r->channels = (uint32_t)(c->picture_side ? 3 : c->channels);
    r->data = data.data;
    r->grid_width = r->grid_height = c->patch ? (uint32_t)(c->side / c->patch) : 0;
    r->tokens_per_picture = r->grid_width * r->grid_height;
    return ((c->latent && !c->picture_side) || paint(r, arena, error)) &&
           sy_api_taps(p->session, p->sampling.n_rows, arena, &r->taps, &r->n_taps, error);
}

/* Did the network run in this row? Said by the tap "run.each" of the row that ends the step or attempt, i32[count]. */
static bool ran_in(const sy_pipeline *p, const sy_result *r, uint32_t row)
{
    const sy_sampling *s = &p->sampling;
    uint32_t at = row;
    while (s->ode && at + 1 < s->n_rows && s->rows[at].stage != SY_STAGE_JUDGE)
        at++;
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        if (strcmp(t->name, "run.each") || t->is_route || t->array.type != SY_ARRAY_I32 || at >= t->evaluations)
            continue;
        const int32_t *each = (const int32_t *)t->array.data + (size_t)at * r->count;
        bool any = false;
        for (uint32_t k = 0; k < r->count; k++)
            any = any || each[k];
        return any;
    }
    return true;
}

sy_evaluation sy_api_evaluation(const sy_pipeline *p, uint32_t turn, uint32_t row, bool ran)
{
    static const char *const names[SY_VARIANT_COUNT] = {"full", "cached", "active", "refresh", ""};
    uint32_t which = p->sampling.schedule[turn];
    const sy_sampling_program *program = &p->sampling.programs[which];
    const sy_sampler_row *at = &p->sampling.rows[row];
    return (sy_evaluation){.step = (uint32_t)at->number,
                           .row = row,
                           .sigma = at->sigma,
                           .guided = program->guided,
                           .ran = ran,
                           .program = names[program->variant],
                           .flops = ran ? p->programs[which]->stats.flops : 0};
}

static bool list_evaluations(const sy_pipeline *p, sy_result *r, sy_arena *arena, sy_error *error)
{
    const sy_sampling *s = &p->sampling;
    sy_evaluation *list = sy_arena_array(arena, (size_t)s->n_rows + 1, sizeof *list);
    if (!list)
        return no_memory(error);
    r->evaluations = list;
    for (uint32_t i = 0, row = 0; i < s->n_schedule; i++) {
        const sy_sampling_program *program = &s->programs[s->schedule[i]];
        double flops = p->programs[s->schedule[i]]->stats.flops;
        bool ran = !program->network || ran_in(p, r, row);
        r->flops += ran ? flops : 0;
        if (program->network)
            list[r->n_evaluations++] = sy_api_evaluation(p, i, row, ran);
        row += !program->same_step;
    }
    return true;
}

/* The adaptive solver must have come to the end within its attempts. */
static bool check_end(const sy_pipeline *p, sy_error *error)
{
    sy_session_result t;
    if (!p->sampling.ode)
        return true;
    if (!sy_session_read(p->session, "ode.t", &t, error))
        return false;
    for (uint32_t i = 0; i < p->sampling.count; i++) {
        double reached = (double)((const float *)t.data)[i];
        if (!(reached >= 1))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                           "dopri5 came to %.3g of 1 in %u attempts for picture %u: give more steps, or a larger "
                           "flow.rtol",
                           reached, p->sampling.steps, i);
    }
    return true;
}

static bool generate(sy_pipeline *p, const sy_generate_params *params, owned_result *owned, sy_error *error)
{
    sy_result *r = &owned->result;
    watcher w = {.params = params, .start = sy_seconds()};
    if (!write_inputs(p, params, r, &owned->arena, error) ||
        (params->record && !sy_session_record(p->session, params->record_step, p->model->info.path, params->record, error)) ||
        !sy_session_run(p->session, params->progress ? watch : NULL, &w, error) || !check_end(p, error) ||
        !collect(p, r, &owned->arena, error) || !list_evaluations(p, r, &owned->arena, error))
        return false;
    if (p->history) /* what was read is only what tells which evaluations ran */
        r->n_taps = 0;
    const sy_session_stats *stats = sy_session_get_stats(p->session);
    r->seconds = sy_seconds() - w.start;
    r->first_dispatch_seconds = stats->first_dispatch_seconds;
    r->submissions = stats->submissions;
    r->host_waits = stats->host_waits;
    return true;
}

sy_status sy_generate(sy_pipeline *pipeline, const sy_generate_params *params, sy_result **result)
{
    static const sy_generate_params defaults;
    sy_error error = {0};
    owned_result *owned = calloc(1, sizeof *owned);
    *result = NULL;
    if (!owned)
        no_memory(&error);
    else {
        *result = &owned->result;
        if (!generate(pipeline, params ? params : &defaults, owned, &error))
            sy_result_destroy(result);
    }
    return sy_api_done(pipeline->model->context, &error);
}

void sy_result_destroy(sy_result **result)
{
    owned_result *owned = result ? (owned_result *)(void *)*result : NULL;
    if (!owned)
        return;
    sy_arena arena = owned->arena;
    sy_arena_free(&arena);
    free(owned);
    *result = NULL;
}
