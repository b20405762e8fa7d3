/* What to make and how. A change makes the run anew from the same noise, unless that is switched off. */
#include "viewer/complete.h"
#include "viewer/panels.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool on_change = true; /* run anew */

static void changed(app *a, bool is)
{
    if (is && on_change && *a->request.prompt)
        app_generate(a);
}

static void label(const char *text)
{
    gui_text_coloured(GUI_FAINT, "%s", text);
}

/* ---- model ---- */

static bool is_model(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 12 && !strcmp(entry->d_name + n - 12, ".safetensors");
}

static int only_models(const struct dirent *entry)
{
    return is_model(entry);
}

/* The models of the folder of the one that is open. */
static void other_models(app *a, const char *path)
{
    char folder[ENGINE_PATH], other[ENGINE_PATH + 300];
    struct dirent **list;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    int n = scandir(*folder ? folder : "/", &list, only_models, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(other, sizeof other, "%s/%s", folder, list[i]->d_name);
        if (gui_selectable(list[i]->d_name, !strcmp(other, path), 0) && strcmp(other, path) != 0)
            app_open_model(a, other);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

static void model(app *a)
{
    const char *path = a->request.model, *slash = strrchr(path, '/');
    const sy_model_info *m = a->run.model;
    gui_heading("Model");
    gui_next_width(-1);
    if (gui_combo_begin("##model", *path ? slash ? slash + 1 : path : "none: drop a file here")) {
        other_models(a, path);
        gui_combo_end();
    }
    gui_tip("%s\nOther models: drop a .safetensors file on the window.", path);
    gui_font_begin(GUI_SMALL);
    if (m && m->mixtures)
        gui_text_coloured(GUI_FAINT, "%s · %u mixtures of %u experts", m->architecture, m->mixtures, m->experts);
    else if (m)
        gui_text_coloured(GUI_FAINT, "%s · %u blocks", m->architecture, m->depth);
    gui_font_end();
}

/* ---- prompt ---- */

static bool complete(void *user, const char *text, int cursor, char *whole, size_t size)
{
    const app *a = user;
    return a->run.model && complete_with(a->run.model, text, cursor, 0, whole, size);
}

/* What Tab would make of it comes first. */
static void candidates(app *a)
{
    enum { MOST = 5 };
    char *prompt = a->request.prompt, whole[ENGINE_TEXT];
    const int cursor = (int)strlen(prompt);
    int from;
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < MOST; i++) {
        const char *candidate = complete_at(a->run.model, prompt, cursor, i, &from);
        if (!candidate)
            break;
        gui_name_begin_number((int)i);
        if (gui_selectable(candidate, false, 0) && complete_with(a->run.model, prompt, cursor, i, whole, sizeof whole)) {
            snprintf(prompt, sizeof a->request.prompt, "%s", whole);
            changed(a, true);
        }
        gui_name_end();
    }
    gui_font_end();
}

static const char *prompt_hint(const sy_model_info *m)
{
    return !m ? "" : m->classes ? "number of a class" : m->text ? "any words" : m->n_words ? "words: cat face" : "makes one kind";
}

static void prompt(app *a)
{
    const sy_model_info *m = a->run.model;
    bool entered = false;
    static bool typing;
    gui_heading("Prompt");
    gui_next_width(-1);
    if (a->focus_prompt && m)
        gui_focus_next();
    a->focus_prompt = a->focus_prompt && !m;
    gui_input_completing("##prompt", prompt_hint(m), a->request.prompt, sizeof a->request.prompt, &entered, complete, a);
    const bool active = gui_active();
    gui_tip("Enter generates, Tab completes. \" | \" stands between the prompts of several pictures.");
    if (entered)
        app_generate(a);
    /* Shown a frame longer than the field is active, so that they can be clicked. */
    if (m && (m->n_words || m->n_prompts) && (active || typing))
        candidates(a);
    typing = active || (typing && gui_mouse_down(0));
    if (m && m->text) {
        label("Negative");
        gui_next_width(-1);
        gui_input("##negative", "what guidance goes away from", a->request.negative, sizeof a->request.negative, &entered);
        changed(a, gui_edited());
    }
}

/* ---- numbers ---- */

static bool number(const char *name, uint32_t *value, int least, int most, const char *tip)
{
    int v = (int)*value;
    gui_name_begin(name);
    label(name);
    gui_next_width(-1);
    gui_number("##value", &v, 1, least, most);
    const bool edited = gui_edited();
    gui_tip("%s", tip);
    gui_name_end();
    bool is = (uint32_t)v != *value;
    *value = (uint32_t)v;
    return is || edited;
}

static bool sampler(engine_request *r)
{
    static const char *names[SY_SAMPLER_COUNT];
    int chosen = (int)r->sampler;
    for (int i = 0; i < SY_SAMPLER_COUNT; i++)
        names[i] = sy_sampler_text((sy_sampler)i);
    label("Sampler");
    gui_next_width(-1);
    bool is = gui_combo("##sampler", &chosen, names, SY_SAMPLER_COUNT);
    r->sampler = (sy_sampler)chosen;
    return is;
}

static const char *value_of(const engine_request *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_settings; i++)
        if (!strcmp(r->settings[i].name, name))
            return r->settings[i].value;
    return "";
}

static void set(app *a, const char *name, const char *value)
{
    char error[256];
    if (!options_set(&a->request, name, value, error, sizeof error))
        app_complain(a, true, "%s", error);
}

static bool guidance(app *a)
{
    engine_request *r = &a->request;
    const sy_model_info *m = a->run.model;
    float value = (float)(r->guidance > 0 ? r->guidance : m ? m->default_guidance : 1);
    bool is = false;
    label("Guidance");
    gui_next_width(-1);
    if (gui_slider("##guidance", &value, 1, 12, value <= 1 ? "none" : "%.1f"))
        r->guidance = (double)value;
    is = gui_edited();
    gui_tip("Scale of classifier-free guidance. 1 is none and takes half the time.");
    if (value <= 1)
        return is;
    const int steps = (int)(r->steps ? r->steps : m ? m->default_steps : 1);
    int first = 0, last = steps - 1;
    char text[64];
    sscanf(value_of(r, "guidance.steps"), "%d,%d", &first, &last);
    const int before[] = {first, last};
    label("Guided steps, first and last");
    gui_next_width(gui_available().x / 2 - gui_px(4));
    gui_slider_int("##first", &first, 0, steps - 1, NULL);
    is = is || gui_edited();
    gui_same_line(-1);
    gui_next_width(-1);
    gui_slider_int("##last", &last, 0, steps - 1, NULL);
    is = is || gui_edited();
    last = last < first ? first : last;
    if (first != before[0] || last != before[1]) {
        snprintf(text, sizeof text, "%d,%d", first, last);
        set(a, "guidance.steps", first == 0 && last >= steps - 1 ? "" : text);
    }
    return is;
}

/* ---- settings ---- */

static bool in_list(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at++)
        if ((at == list || at[-1] == ',') && (at[n] == 0 || at[n] == ','))
            return true;
    return false;
}

static bool applies(const sy_setting_info *s, const sy_model_info *m)
{
    return strcmp(s->name, "guidance.steps") != 0 && /* has controls of its own */
           (!*s->where || in_list(s->where, m->architecture) || in_list(s->where, m->objective));
}

static bool words_setting(app *a, const sy_setting_info *s)
{
    char words[200], *rest;
    const char *value = value_of(&a->request, s->name);
    bool is = false;
    snprintf(words, sizeof words, "%s", s->value);
    if (!gui_combo_begin("##value", *value ? value : "as the model"))
        return false;
    if (gui_selectable("as the model", !*value, 0)) {
        set(a, s->name, "");
        is = true;
    }
    for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (gui_selectable(word, !strcmp(value, word), 0)) {
            set(a, s->name, word);
            is = true;
        }
    gui_combo_end();
    return is;
}

static bool setting(app *a, const sy_setting_info *s)
{
    char value[ENGINE_VALUE];
    bool is;
    snprintf(value, sizeof value, "%s", value_of(&a->request, s->name));
    gui_name_begin(s->name);
    gui_font_begin(GUI_SMALL);
    gui_text_coloured(*value ? GUI_ACCENT : GUI_FAINT, "%s", s->name);
    gui_font_end();
    gui_tip("%s", s->meaning);
    gui_next_width(-1);
    if (!s->count) {
        is = words_setting(a, s);
    } else {
        if (gui_input("##value", s->value, value, sizeof value, NULL))
            set(a, s->name, value);
        is = gui_edited();
    }
    gui_tip("%s", s->meaning);
    gui_name_end();
    return is;
}

static bool settings(app *a)
{
    sy_setting_info s;
    char title[64];
    bool is = false;
    snprintf(title, sizeof title, a->request.n_settings ? "Settings (%u set)###settings" : "Settings###settings",
             a->request.n_settings);
    if (!a->run.model || !gui_header(title, false))
        return false;
    for (uint32_t i = 0; sy_setting_at(i, &s); i++)
        if (applies(&s, a->run.model))
            is = setting(a, &s) || is;
    return is;
}

static void device(app *a)
{
    label("Device");
    gui_next_width(-1);
    if (!gui_combo_begin("##device", a->device_shown))
        return;
    for (uint32_t i = 0; i < a->n_devices; i++) {
        const sy_device_info *d = &a->devices[i];
        gui_name_begin_number((int)i);
        gui_disabled_begin(!d->usable);
        if (gui_selectable(d->name, !strcmp(d->name, a->device_shown), 0) && d->usable)
            app_device(a, d->name);
        gui_disabled_end();
        gui_tip("%s\n%s%s%s", d->name, d->driver, d->usable ? "" : "\n", d->usable ? "" : d->why);
        gui_name_end();
    }
    gui_combo_end();
}

/* ---- the run ---- */

static void run(app *a)
{
    const engine_state *s = &a->run;
    const bool busy = s->phase == ENGINE_OPENING || s->phase == ENGINE_COMPILING || s->phase == ENGINE_RUNNING;
    char text[80];
    if (!busy) {
        if (gui_button_accent("Generate", -1))
            app_generate(a);
        gui_tip("Ctrl Enter, or g");
        return;
    }
    if (s->phase == ENGINE_RUNNING && s->progress.total)
        snprintf(text, sizeof text, "%u of %u", s->progress.done, s->progress.total);
    else
        snprintf(text, sizeof text, "%s", engine_phase_text(s->phase));
    float part = s->phase == ENGINE_RUNNING && s->progress.total ? (float)s->progress.done / (float)s->progress.total
                                                                 : (float)s->loading;
    gui_progress(part, -gui_px(78), text);
    gui_same_line(-1);
    if (gui_button("Cancel", -1))
        engine_cancel(a->engine);
    gui_tip("Escape");
}

void panel_controls(app *a)
{
    engine_request *r = &a->request;
    bool is = false;
    model(a);
    prompt(a);
    gui_spacing();
    run(a);
    gui_child_begin("numbers", 0, 0, false);
    is = number("Seed", &r->seed, 0, INT32_MAX, "Of the first picture; the next has one more. n: the next seed") || is;
    r->count = r->count ? r->count : 1;
    is = number("Pictures", &r->count, 1, ENGINE_PICTURES, "Made at once, side by side") || is;
    if (!r->steps && a->run.model)
        r->steps = a->run.model->default_steps;
    gui_disabled_begin(!a->run.model);
    is = number("Steps", &r->steps, a->run.model ? 1 : 0, 1000, "Sampling steps") || is;
    is = sampler(r) || is;
    is = guidance(a) || is;
    gui_spacing();
    is = settings(a) || is;
    gui_disabled_end();
    gui_spacing();
    device(a);
    gui_checkbox("Run again on every change", &on_change);
    gui_tip("Every change makes the run anew, from the same noise.");
    gui_font_begin(GUI_SMALL);
    gui_text_coloured(GUI_FAINT, "? shows all keys");
    gui_font_end();
    gui_child_end();
    changed(a, is);
}
