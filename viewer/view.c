/* See view.h: begins, runs the frames, ends. */
#include "viewer/view.h"
#include "viewer/panels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("switchyard view: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

void app_complain(app *a, bool warning, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(a->banner, sizeof a->banner, format, arguments);
    va_end(arguments);
    a->banner_is_warning = warning;
    a->redraw = 2;
}

/* Does anything that is shown read more of the network than its pictures? If not, nothing more is written by it. */
static bool needs_taps(const app *a)
{
    static const char *const without[] = {"profile", "run", "runs"}; /* tabs; routes can be exported */
    const look *l = &a->look;
    bool tab = true;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        tab = tab && strcmp(l->tab, without[i]) != 0;
    return tab || l->all_layers || (l->overlay != LOOK_NONE && l->overlay != LOOK_DIFFERENCE);
}

void app_follow_taps(app *a)
{
    const engine_phase phase = a->run.phase;
    if (engine_busy(a->engine))
        return;
    if (phase == ENGINE_DONE || phase == ENGINE_FAILED || phase == ENGINE_CANCELLED)
        a->made_again = false;
    if (phase == ENGINE_DONE && a->run.current && !a->run.request.taps && needs_taps(a)) {
        engine_request with = a->run.request;
        with.taps = a->made_again = true;
        engine_generate(a->engine, &with);
    }
}

void app_generate(app *a)
{
    a->request.taps = needs_taps(a);
    a->banner[0] = 0;
    a->look.step = LOOK_LATEST;
    if (*a->request.model)
        engine_generate(a->engine, &a->request);
    else
        app_complain(a, true, "No model is open. Drop a .safetensors file on the window, or name one: switchyard view MODEL.");
}

void app_model_opened(app *a)
{
    const sy_model_info *m = a->run.model;
    char *prompt = a->request.prompt;
    if (!*prompt && (m->n_prompts || m->classes))
        snprintf(prompt, sizeof a->request.prompt, "%s", m->n_prompts ? m->prompts[0] : "0");
    if (a->window && !a->script && !a->wait_for_user && a->run.phase == ENGINE_IDLE && (*prompt || (!m->n_words && !m->text)))
        app_generate(a);
    a->wait_for_user = false;
}

void app_open_model(app *a, const char *path)
{
    char why[500];
    if (runs_is_file(path)) {
        if (!runs_open(a, path, why, sizeof why))
            app_complain(a, true, "%s", why);
        return;
    }
    a->request_before = a->request;
    snprintf(a->request.model, sizeof a->request.model, "%s", path);
    a->request.n_settings = a->request.n_steers = 0; /* they were the other model's */
    a->request.steps = 0;
    a->request.guidance = 0;
    a->request.sampler = SY_SAMPLER_DEFAULT;
    a->request.prompt[0] = a->request.negative[0] = 0;
    a->banner[0] = 0;
    engine_open(a->engine, &a->request);
}

void app_device(app *a, const char *name)
{
    snprintf(a->device, sizeof a->device, "%s", name);
    a->reopen = true;
}

bool app_row(const app *a, uint32_t *row)
{
    const engine_state *s = &a->run;
    if (!s->current || !s->done)
        return false;
    *row = s->done - 1;
    if (a->look.step != LOOK_LATEST)
        for (uint32_t i = 0; i < s->done; i++)
            if ((int)s->current->evaluations[i].step <= a->look.step)
                *row = i;
    return true;
}

static void print_timings(const app *a)
{
    const frame_times *t = &a->times;
    double n = t->frames ? t->frames : 1;
    fprintf(stderr,
            "frames %u; while generating %.1f a second (%u in %.2f s); a frame: building %.2f ms, recording %.2f ms, "
            "drawing and presenting %.2f ms\n"
            "input to screen: mean %.1f ms, most %.1f ms (%u inputs); first picture after %.2f s\n",
            t->frames, t->running > 0 ? t->frames_running / t->running : 0, t->frames_running, t->running,
            t->building / n * 1e3, t->recording / n * 1e3, t->presenting / n * 1e3,
            t->inputs ? t->input_sum / t->inputs * 1e3 : 0, t->input_most * 1e3, t->inputs, t->first_picture);
}

/* ---- without a window ---- */

static int headless(app *a)
{
    bool generating = !a->script;
    char error[600];
    a->width = a->options->width ? a->options->width : 1280;
    a->height = a->options->height ? a->options->height : 800;
    a->scale = a->options->scale > 0 ? a->options->scale : 1;
    if (!stage_open(a))
        return fail("%s", a->banner);
    for (uint32_t settled = 0; settled < 2;) {
        if (a->reopen) {
            stage_close(a);
            if (!stage_open(a))
                return fail("%s", a->banner);
        }
        if (!frame_headless(a))
            return fail("%s", a->g.error);
        if (generating && (a->run.model || a->run.phase == ENGINE_FAILED)) {
            generating = false;
            app_generate(a);
        }
        const bool waits = !a->script || script_step(a->script, a);
        const bool busy = generating || engine_busy(a->engine) || gui_events_waiting();
        if (a->script && *script_error(a->script))
            return fail("%s", script_error(a->script));
        if (waits && busy)
            window_sleep(0.01);
        settled = waits && (a->script ? script_ended(a->script) : !busy) ? settled + 1 : 0;
    }
    if (!a->script && a->run.phase == ENGINE_FAILED)
        return fail("%s", a->run.message);
    if (a->options->screenshot && !frame_screenshot(a, a->options->screenshot, error, sizeof error))
        return fail("%s", error);
    return 0;
}

/* ---- with one ---- */

static bool open_window(app *a)
{
    char why[300];
    uint32_t n;
    look *l = &a->look;
    const uint32_t width = a->options->width ? a->options->width : (uint32_t)l->window_width;
    const uint32_t height = a->options->height ? a->options->height : (uint32_t)l->window_height;
    if (window_prepare(&n, why, sizeof why))
        a->window = window_open(width, height, "Switchyard", why, sizeof why);
    if (!a->window)
        fail("%s. Without a display: switchyard view --headless --screenshot out.png, or --script FILE", why);
    return a->window != NULL;
}

static int windowed(app *a)
{
    char error[600];
    int status = 0;
    uint32_t width, height;
    if (!open_window(a))
        return 1;
    if (!stage_open(a))
        return fail("%s", a->banner);
    frame_loop(a);
    if (a->staged && a->options->screenshot && !frame_screenshot(a, a->options->screenshot, error, sizeof error))
        status = fail("%s", error);
    if (a->script && *script_error(a->script))
        status = fail("%s", script_error(a->script));
    window_size(a->window, &width, &height);
    a->look.window_width = (int)width;
    a->look.window_height = (int)height;
    look_remember(&a->look);
    return a->failed ? 1 : status;
}

int sy_view_main(int argc, char **argv, const char *default_model)
{
    static options o; /* large */
    static app a;
    char error[1200];
    int status;
    if (!options_parse(&o, argc, argv, default_model, &status))
        return status;
    a.options = &o;
    a.request = o.request;
    a.started = window_time();
    snprintf(a.device, sizeof a.device, "%s", o.device ? o.device : "");
    if (o.script && !(a.script = script_load(o.script, error, sizeof error)))
        return fail("%s", error);
    look_reset(&a.look);
    if (!o.headless)
        look_recall(&a.look);
    status = gui_open() ? o.headless ? headless(&a) : windowed(&a) : fail("no memory");
    if (o.timings_of_frames)
        print_timings(&a);
    stage_close(&a);
    if (!o.headless)
        window_close(&a.window);
    gui_close();
    script_free(&a.script);
    runs_free(&a.runs);
    return status;
}
