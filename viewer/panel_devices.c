/* Devices: what there is, which one works, and the same run on another one, to compare. */
#include "viewer/apart.h"
#include "viewer/facts.h"
#include "viewer/numbers.h"
#include "viewer/panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const reference = "reference";

/* A comparison that was asked for is shown as soon as it is there. */
static struct {
    bool asked;
    const sy_result *before; /* the other run at that time */
} wish;

static bool busy(const app *a)
{
    const engine_phase p = a->run.phase;
    return p == ENGINE_OPENING || p == ENGINE_COMPILING || p == ENGINE_RUNNING;
}

/* By its place in the list where another one has the same name: two drivers of one GPU may call it the same. */
static void name_for(const app *a, uint32_t index, char *text, size_t size)
{
    bool alone = true;
    for (uint32_t i = 0; i < a->n_devices; i++)
        alone = alone && (i == index || !strstr(a->devices[i].name, a->devices[index].name));
    if (alone)
        snprintf(text, size, "%s", a->devices[index].name);
    else
        snprintf(text, size, "%u", index);
}

static bool in_use(const app *a, uint32_t index)
{
    char name[256];
    bool first = true;
    for (uint32_t i = 0; i < index; i++)
        first = first && strcmp(a->devices[i].name, a->devices[index].name) != 0;
    name_for(a, index, name, sizeof name);
    if (strcmp(a->devices[index].name, a->device_shown) != 0)
        return false;
    return !strcmp(a->device, name) || (first && (*a->device < '0' || *a->device > '9'));
}

static void make_second(app *a, const char *device)
{
    wish.asked = true;
    wish.before = a->run.second;
    engine_second(a->engine, device);
}

static void compare(app *a, int how)
{
    a->look.against_device = true;
    a->look.compare_step = LOOK_LATEST;
    a->look.comparison = how;
    a->look.all_layers = false;
}

/* ---- the list ---- */

static void second_button(app *a, const char *device, bool here)
{
    gui_disabled_begin(busy(a) || !a->run.result);
    if (gui_button(here ? "The same run here, again" : "The same run there, too", -1))
        make_second(a, device);
    gui_disabled_end();
    gui_tip("%s", !a->run.result ? "once there is a finished run"
                  : here         ? "the same prompt, seed and settings once more: does this device repeat itself?"
                                 : "the same prompt, seed and settings on that device; then both side by side");
}

static void one(app *a, uint32_t index)
{
    const sy_device_info *d = &a->devices[index];
    const bool used = in_use(a, index);
    char name[256];
    name_for(a, index, name, sizeof name);
    gui_name_begin_number((int)index);
    gui_text_wrapped(d->usable ? GUI_TEXT_COLOUR : GUI_FAINT, "%s", d->name);
    gui_font_begin(GUI_SMALL);
    if (used)
        gui_text_coloured(GUI_ACCENT, "in use: it generates, and draws this window");
    if (d->memory_bytes)
        gui_text_wrapped(GUI_FAINT, "%s, %.1f GB", d->kind, (double)d->memory_bytes / 1e9);
    else
        gui_text_wrapped(GUI_FAINT, "%s", d->kind);
    gui_text_wrapped(GUI_FAINT, "%s", d->driver);
    if (!d->usable)
        gui_text_wrapped(GUI_WARNING, "cannot be used: %s", d->why);
    gui_font_end();
    if (d->usable && !used) {
        if (gui_button("Go on here", -1))
            app_device(a, name);
        gui_tip("The window and the network move to this device; the run begins anew there.");
    }
    if (d->usable)
        second_button(a, name, used);
    gui_spacing();
    gui_separator();
    gui_spacing();
    gui_name_end();
}

static void evaluator(app *a)
{
    gui_name_begin(reference);
    gui_text("Reference evaluator");
    gui_font_begin(GUI_SMALL);
    gui_text_wrapped(GUI_FAINT, "Built in: plain C on one core in double precision. It takes minutes where a device takes "
                                "seconds, and tells which of two devices is right.");
    gui_font_end();
    second_button(a, reference, false);
    gui_name_end();
}

/* ---- the comparison ---- */

static void progress(app *a)
{
    const engine_state *s = &a->run;
    char text[80];
    const bool running = s->phase == ENGINE_RUNNING && s->progress.total;
    if (running)
        snprintf(text, sizeof text, "%u of %u", s->progress.done, s->progress.total);
    else
        snprintf(text, sizeof text, "%s", engine_phase_text(s->phase));
    gui_heading("The same run, there");
    gui_progress(running ? (float)s->progress.done / (float)s->progress.total : (float)s->loading, -gui_px(78), text);
    gui_same_line(-1);
    if (gui_button("Cancel", -1))
        engine_cancel(a->engine);
    gui_tip("Escape");
    gui_spacing();
}

static void row(const char *what, const char *value)
{
    gui_table_row();
    gui_table_next();
    gui_text_coloured(GUI_FAINT, "%s", what);
    gui_table_next();
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", value);
}

static void figures(const apart *f)
{
    char text[100];
    if (!gui_table_begin("apart", 2, false, 0))
        return;
    gui_table_column("what", gui_px(150));
    gui_table_column("value", 0);
    snprintf(text, sizeof text, "%.3g", f->largest);
    row("largest difference", text);
    snprintf(text, sizeof text, "%.3g", f->mean);
    row("mean difference", text);
    snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)f->differing, (unsigned long long)f->values);
    row("values that differ", text);
    if (f->shown) {
        snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)f->pixels_differing, (unsigned long long)f->pixels);
        row("pixels that differ", text);
        snprintf(text, sizeof text, "%d of 255", f->levels);
        row("by at most", text);
    }
    gui_table_end();
}

static cJSON *as_json(const engine_state *s, const apart *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "device", s->device);
    cJSON_AddStringToObject(o, "other", s->second_device);
    cJSON_AddNumberToObject(o, "values", (double)f->values);
    cJSON_AddNumberToObject(o, "differing", (double)f->differing);
    cJSON_AddNumberToObject(o, "largest", f->largest);
    cJSON_AddNumberToObject(o, "mean", f->mean);
    cJSON_AddNumberToObject(o, "pixels", (double)f->pixels);
    cJSON_AddNumberToObject(o, "pixels_differing", (double)f->pixels_differing);
    cJSON_AddNumberToObject(o, "levels", f->levels);
    return o;
}

static void comparison(app *a)
{
    const engine_state *s = &a->run;
    const look *l = &a->look;
    const bool against = l->against_device && l->comparison != LOOK_ALONE;
    static const struct {
        int how;
        const char *label;
    } ways[] = {{LOOK_THREE, "Side by side"}, {LOOK_SPLIT, "Split"}, {LOOK_CHANGED, "What differs"}};
    apart f;
    gui_heading("Compared");
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", s->device);
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", s->second_device);
    gui_font_begin(GUI_SMALL);
    if (s->second)
        gui_text_wrapped(GUI_FAINT, "%.2f s here, %.2f s there, for the same prompt, seed and settings. Of the finished picture, "
                                    "whose values go from -1 to 1:",
                         s->seconds, s->second->seconds);
    gui_font_end();
    if (apart_find(s->result, s->second, facts_picture(a, s->current), &f)) {
        figures(&f);
        gui_text_wrapped(GUI_FAINT, "%s", apart_text(&f));
        if (numbers_wanted(a))
            numbers_give(a, as_json(s, &f));
    }
    gui_spacing();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (i)
            gui_same_line(-1);
        const bool on = against && l->comparison == ways[i].how;
        if (on ? gui_button_accent(ways[i].label, 0) : gui_button(ways[i].label, 0))
            compare(a, ways[i].how);
    }
    gui_disabled_begin(!against);
    if (gui_button("Back to this run alone", -1)) {
        a->look.against_device = false;
        a->look.comparison = LOOK_ALONE;
    }
    gui_disabled_end();
    gui_spacing();
    gui_separator();
}

void panel_devices(app *a)
{
    const engine_state *s = &a->run;
    if (wish.asked && s->second && s->second != wish.before && s->phase == ENGINE_DONE) {
        wish.asked = false;
        compare(a, LOOK_THREE);
    } else if (wish.asked && !s->second) {
        wish.before = NULL; /* another one may come to lie where it was */
        wish.asked = s->phase != ENGINE_FAILED && s->phase != ENGINE_CANCELLED;
    }
    if (busy(a) && s->result) /* a run of its own has none while it goes on */
        progress(a);
    else if (s->second && s->result && s->current)
        comparison(a);
    gui_heading("Devices");
    for (uint32_t i = 0; i < a->n_devices; i++)
        one(a, i);
    evaluator(a);
}
