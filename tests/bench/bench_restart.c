/* How soon a changed setting shows: from sy_pipeline_create to the first finished evaluation, for changes as somebody
 * makes them by hand, with a history as for drawing. Made anew, with all caches on disk warm, and with what the pipeline
 * before has (sy_pipeline_params.reuse). */
#include "tests/bench/bench.h"

#include "src/run/session_private.h" /* sy_seconds */
#include "src/switchyard_vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct change {
    const char *what;
    sy_pipeline_params params;
    sy_named_setting setting;
} change;

static const char *const taps[] = {"preview", "?*.route", "?*.energy"};
static const change changes[] = {
    {"nothing", {.steps = 20}, {0}},
    {"20 steps to 12", {.steps = 12}, {0}},
    {"guidance 2 to 3", {.steps = 20, .guidance = 3}, {0}},
    {"the sampler: heun", {.steps = 20, .sampler = SY_SAMPLER_HEUN}, {0}},
    {"the sampler: dpm++2m", {.steps = 20, .sampler = SY_SAMPLER_DPM2M}, {0}},
    {"guidance in steps 4 to 14", {.steps = 20}, {"guidance.steps", "4,14"}},
    {"FreeU", {.steps = 20}, {"freeu", "1.1,1.2,0.9,0.4"}},
    {"Skip-Tuning", {.steps = 20}, {"skip_tuning", "0.8,1"}},
    {"two experts a token", {.steps = 20}, {"top_k", "2"}},
};

static _Noreturn void die(sy_context *context)
{
    fprintf(stderr, "%s\n", sy_context_message(context));
    exit(1);
}

static bool until_first(void *user, const sy_progress *progress)
{
    double *at = user;
    if (progress->done && *at == 0)
        *at = sy_seconds();
    return progress->done == 0;
}

/* Seconds, and of them those of sy_pipeline_create; negative where the model does not take the change. */
static double first_evaluation(sy_model *model, sy_context *context, const change *c, sy_pipeline **pipeline,
                               sy_pipeline *reuse, double *created)
{
    const char *prompt = "owl";
    double start = sy_seconds(), at = 0;
    sy_pipeline_params params = c->params;
    sy_result *result = NULL;
    params.taps = taps;
    params.n_taps = 3;
    params.history = true;
    params.settings = &c->setting;
    params.n_settings = c->setting.name != NULL;
    params.reuse = reuse;
    if (sy_pipeline_create(model, &params, pipeline) != SY_OK)
        return -1;
    *created = sy_seconds() - start;
    sy_generate_params what = {.prompts = &prompt, .n_prompts = 1, .progress = until_first, .user = &at};
    sy_status status = sy_generate(*pipeline, &what, &result);
    if (status != SY_OK && status != SY_ERROR_CANCELLED)
        die(context);
    sy_result_destroy(&result);
    return at - start;
}

int bench_restart(const char *path)
{
    enum { ROUNDS = 3 };
    const sy_vulkan_params wishes = {0};
    sy_context_params params = {.vulkan = &wishes};
    sy_context *context;
    sy_model *model;
    double created, before_created;
    if (sy_context_create(&params, &context) != SY_OK)
        return 1;
    if (sy_model_open(context, path, &model) != SY_OK)
        die(context);
    printf("%s: seconds to the first evaluation, of these to create the pipeline\n", path);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        double best[2] = {-1, -1}, best_created[2] = {0};
        sy_pipeline *first = NULL, *again = NULL;
        if (first_evaluation(model, context, &changes[0], &first, NULL, &before_created) < 0)
            die(context);
        for (int round = 0; round < ROUNDS; round++)
            for (int reuse = 0; reuse < 2; reuse++) {
                double s = first_evaluation(model, context, &changes[i], &again, reuse ? first : NULL, &created);
                sy_pipeline_destroy(&again);
                if (s >= 0 && (best[reuse] < 0 || s < best[reuse])) {
                    best[reuse] = s;
                    best_created[reuse] = created;
                }
            }
        sy_pipeline_destroy(&first);
        if (best[0] >= 0)
            printf("  %-28s anew %.3f (%.3f), with what there is %.3f (%.3f)\n", changes[i].what, best[0], best_created[0],
                   best[1], best_created[1]);
    }
    sy_model_destroy(&model);
    sy_context_destroy(&context);
    return 0;
}
