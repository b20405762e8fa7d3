/* What the run is: device, model, what was compiled. */
#include "viewer/panels.h"

#include <stdio.h>
#include <string.h>

static bool begin(const char *name)
{
    if (!gui_table_begin(name, 2, false, 0))
        return false;
    gui_table_column("what", gui_px(120));
    gui_table_column("value", 0);
    return true;
}

static void row(const char *what, const char *value)
{
    gui_table_row();
    gui_table_next();
    gui_text_coloured(GUI_FAINT, "%s", what);
    gui_table_next();
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", value);
}

static void row_number(const char *what, double value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    char text[64];
    int i = 0;
    for (; value >= 1000 && i < 4 && *unit; i++)
        value /= 1000;
    snprintf(text, sizeof text, "%.3g %s%s", value, prefixes[i], unit);
    row(what, text);
}

static void model(const sy_model_info *m)
{
    char text[200];
    const char *slash = strrchr(m->path, '/');
    gui_heading("Model");
    if (!begin("model"))
        return;
    row("file", slash ? slash + 1 : m->path);
    row("architecture", m->architecture);
    row_number("parameters", (double)m->parameters, " ");
    snprintf(text, sizeof text, "%u x %u x %u%s", m->width, m->height, m->channels, m->latent ? ", latent" : "");
    row("makes", text);
    if (m->mixtures) {
        snprintf(text, sizeof text, "%u blocks, %u mixtures of %u experts, %u a token", m->depth, m->mixtures, m->experts,
                 m->top_k);
        row("routing", text);
    }
    row("objective", m->objective);
    gui_table_end();
}

static void run(const engine_state *s)
{
    char text[200];
    gui_heading("This run");
    if (!begin("run"))
        return;
    row("device", s->device);
    snprintf(text, sizeof text, "%s, %u steps, guidance %g", s->sampler, s->info.steps, s->info.guidance);
    row("sampler", text);
    row_number("work of a step", s->info.flops, "FLOP");
    row_number("moved in a step", s->info.bytes, "B");
    snprintf(text, sizeof text, "%u of %u before fusion, %u kernels", s->info.dispatches, s->info.dispatches_unfused,
             s->info.kernels);
    row("dispatches", text);
    row_number("device memory", (double)s->info.device_bytes, "B");
    snprintf(text, sizeof text, "%.2f s, %u kernels new", s->info.compile_seconds, s->info.kernels_compiled);
    row("compiled in", text);
    if (s->phase == ENGINE_DONE) {
        snprintf(text, sizeof text, "%.2f s", s->seconds);
        row("made in", text);
    }
    if (s->current)
        row_number("history", (double)s->current->device_bytes, "B");
    gui_table_end();
}

void panel_run(app *a)
{
    if (a->run.model)
        model(a->run.model);
    if (a->run.current)
        run(&a->run);
    else
        gui_text_wrapped(GUI_FAINT, "Nothing has been generated yet.");
}
