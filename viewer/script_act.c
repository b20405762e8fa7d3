/* What the commands of scripts do. Most set what a panel would set. */
#include "viewer/panels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef script_result result;

static result wrong(char *error, size_t size, const char *what, const char *word)
{
    snprintf(error, size, "\"%s\" is not %s", word, what);
    return SCRIPT_WRONG;
}

static bool number(const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out >= least && *out <= most;
}

static result take_int(const char *text, int least, int most, int *out, char *error, size_t size)
{
    double value;
    char what[80];
    if (number(text, least, most, &value) && value == (double)(int)value) {
        *out = (int)value;
        return SCRIPT_DONE;
    }
    snprintf(what, sizeof what, "a whole number from %d to %d", least, most);
    return wrong(error, size, what, text);
}

static result take_real(const char *text, double least, double most, float *out, char *error, size_t size)
{
    double value;
    char what[80];
    if (number(text, least, most, &value)) {
        *out = (float)value;
        return SCRIPT_DONE;
    }
    snprintf(what, sizeof what, "a number from %g to %g", least, most);
    return wrong(error, size, what, text);
}

static result either(const char *word, const char *no, const char *yes, bool *out, char *error, size_t size)
{
    char what[80];
    snprintf(what, sizeof what, "%s or %s", no, yes);
    if (strcmp(word, no) != 0 && strcmp(word, yes) != 0)
        return wrong(error, size, what, word);
    *out = !strcmp(word, yes);
    return SCRIPT_DONE;
}

/* ---- what to make ---- */

#define ACT(name) static result act_##name(app *a, const script_line *l, char *error, size_t size)
#define UNUSED ((void)a, (void)l, (void)error, (void)size)

static result take_text(const char *text, char *out, size_t out_size, char *error, size_t size)
{
    if (strlen(text) >= out_size) {
        snprintf(error, size, "longer than %zu bytes", out_size - 1);
        return SCRIPT_WRONG;
    }
    snprintf(out, out_size, "%s", text);
    return SCRIPT_DONE;
}

ACT(prompt)
{
    return take_text(l->words[1], a->request.prompt, sizeof a->request.prompt, error, size);
}

ACT(negative)
{
    return take_text(l->words[1], a->request.negative, sizeof a->request.negative, error, size);
}

ACT(model)
{
    UNUSED;
    app_open_model(a, l->words[1]);
    return SCRIPT_DONE;
}

ACT(device)
{
    UNUSED;
    app_device(a, l->words[1]);
    return SCRIPT_DONE;
}

static result take_count(const char *text, uint32_t least, uint32_t most, uint32_t *out, char *error, size_t size)
{
    int value;
    result r = take_int(text, (int)least, most > INT32_MAX ? INT32_MAX : (int)most, &value, error, size);
    if (r == SCRIPT_DONE)
        *out = (uint32_t)value;
    return r;
}

ACT(seed)
{
    return take_count(l->words[1], 0, INT32_MAX, &a->request.seed, error, size);
}

ACT(count)
{
    return take_count(l->words[1], 1, ENGINE_PICTURES, &a->request.count, error, size);
}

ACT(steps)
{
    return take_count(l->words[1], 0, 10000, &a->request.steps, error, size);
}

ACT(sampler)
{
    return options_sampler(l->words[1], &a->request.sampler) ? SCRIPT_DONE
                                                             : wrong(error, size, "a sampler", l->words[1]);
}

ACT(guidance)
{
    float value;
    result r = take_real(l->words[1], 0, 1000, &value, error, size);
    if (r == SCRIPT_DONE)
        a->request.guidance = (double)value;
    return r;
}

ACT(set)
{
    return options_set(&a->request, l->words[1], l->n > 2 ? l->words[2] : "", error, size) ? SCRIPT_DONE : SCRIPT_WRONG;
}

/* "ROUTE off|to TARGET [X Y WIDTH HEIGHT]"; "none" takes all rules out. */
ACT(steer)
{
    engine_request *q = &a->request;
    if (l->n == 2 && !strcmp(l->words[1], "none"))
        return q->n_steers = 0, SCRIPT_DONE;
    engine_steer *s = &q->steers[q->n_steers];
    int place[4] = {0};
    bool to = false;
    if (q->n_steers == ENGINE_STEERS || (l->n != 4 && l->n != 8)) {
        snprintf(error, size, l->n != 4 && l->n != 8 ? "steer takes none, or ROUTE off|to TARGET [X Y WIDTH HEIGHT]"
                                                     : "too many rules");
        return SCRIPT_WRONG;
    }
    *s = (engine_steer){0};
    result r = either(l->words[2], "off", "to", &to, error, size);
    if (r == SCRIPT_DONE)
        r = take_text(strcmp(l->words[1], "*") ? l->words[1] : "", s->route, sizeof s->route, error, size);
    if (r == SCRIPT_DONE)
        r = take_int(l->words[3], 0, 65535, &s->rule.target, error, size);
    for (int i = 0; r == SCRIPT_DONE && i < l->n - 4; i++)
        r = take_int(l->words[4 + i], i < 2 ? 0 : 1, 4096, &place[i], error, size);
    s->rule = (sy_steer){.kind = to ? SY_STEER_TO : SY_STEER_OFF,
                         .target = s->rule.target,
                         .x = (uint32_t)place[0],
                         .y = (uint32_t)place[1],
                         .width = (uint32_t)place[2],
                         .height = (uint32_t)place[3]};
    q->n_steers += r == SCRIPT_DONE;
    return r;
}

ACT(second)
{
    UNUSED;
    engine_second(a->engine, l->words[1]);
    return SCRIPT_DONE;
}

ACT(generate)
{
    UNUSED;
    app_generate(a);
    return SCRIPT_DONE;
}

ACT(cancel)
{
    UNUSED;
    engine_cancel(a->engine);
    return SCRIPT_DONE;
}

/* Or has done what no frame has seen yet: app.run is the frame's, and what it points to is let go by frames alone. */
static bool busy(app *a)
{
    static engine_state now; /* large */
    const bool works = engine_busy(a->engine) || a->reopen;
    engine_look(a->engine, &now);
    return works || now.epoch != a->run.epoch || now.phase != a->run.phase || now.run != a->run.run ||
           now.done != a->run.done;
}

ACT(wait)
{
    UNUSED;
    if (busy(a))
        return SCRIPT_AGAIN;
    if (a->run.phase != ENGINE_FAILED)
        return SCRIPT_DONE;
    snprintf(error, size, "%s", a->run.message);
    return SCRIPT_WRONG;
}

ACT(wait_step)
{
    int step;
    result r = take_int(l->words[1], 0, 100000, &step, error, size);
    if (r != SCRIPT_DONE || (int)a->run.done > step)
        return r;
    if (busy(a))
        return SCRIPT_AGAIN;
    if ((int)a->run.done > step) /* it ended between the two looks */
        return SCRIPT_DONE;
    snprintf(error, size, "the run ended before step %d", step);
    return SCRIPT_WRONG;
}

ACT(expect_failure)
{
    if (busy(a))
        return SCRIPT_AGAIN;
    if (a->run.phase == ENGINE_FAILED && strstr(a->run.message, l->words[1]))
        return SCRIPT_DONE;
    snprintf(error, size, "the run did not fail with \"%s\" but is %s: %s", l->words[1], engine_phase_text(a->run.phase),
             a->run.message);
    return SCRIPT_WRONG;
}

/* ---- what to look at ---- */

ACT(step)
{
    if (!strcmp(l->words[1], "latest"))
        return a->look.step = LOOK_LATEST, SCRIPT_DONE;
    return take_int(l->words[1], 0, 100000, &a->look.step, error, size);
}

ACT(compare_step)
{
    if (!strcmp(l->words[1], "same"))
        return a->look.compare_step = LOOK_LATEST, SCRIPT_DONE;
    return take_int(l->words[1], 0, 100000, &a->look.compare_step, error, size);
}

ACT(layer)
{
    return take_text(l->words[1], a->look.layer, sizeof a->look.layer, error, size);
}

ACT(tab)
{
    return take_text(l->words[1], a->look.tab, sizeof a->look.tab, error, size);
}

ACT(picture)
{
    return take_int(l->words[1], 0, ENGINE_PICTURES - 1, &a->look.picture, error, size);
}

ACT(pick)
{
    look *k = &a->look;
    k->patch_width = k->patch_height = 1;
    if (!strcmp(l->words[1], "none"))
        return k->patch_x = k->patch_y = -1, SCRIPT_DONE;
    int *const values[] = {&k->patch_x, &k->patch_y, &k->patch_width, &k->patch_height};
    result r = l->n == 3 || l->n == 5 ? SCRIPT_DONE : SCRIPT_WRONG;
    if (r != SCRIPT_DONE)
        snprintf(error, size, "pick takes none, X Y or X Y WIDTH HEIGHT");
    for (int i = 0; r == SCRIPT_DONE && i + 1 < l->n; i++)
        r = take_int(l->words[i + 1], i < 2 ? 0 : 1, 4096, values[i], error, size);
    return r;
}

static result choose(const char *word, const char *(*name_of)(int), int *out, const char *what, char *error, size_t size)
{
    for (int i = 0; name_of(i); i++)
        if (!strcmp(name_of(i), word))
            return *out = i, SCRIPT_DONE;
    return wrong(error, size, what, word);
}

ACT(overlay)
{
    return choose(l->words[1], look_overlay_name, &a->look.overlay, "an overlay", error, size);
}

ACT(compare)
{
    return choose(l->words[1], look_comparison_name, &a->look.comparison, "a way to compare", error, size);
}

ACT(against)
{
    return either(l->words[1], "run", "device", &a->look.against_device, error, size);
}

ACT(view)
{
    return either(l->words[1], "picture", "layers", &a->look.all_layers, error, size);
}

ACT(opacity)
{
    return take_real(l->words[1], 0, 1, &a->look.opacity, error, size);
}

ACT(split)
{
    return take_real(l->words[1], 0, 1, &a->look.split, error, size);
}

ACT(zoom)
{
    return take_real(l->words[1], 0.1, 100, &a->look.zoom, error, size);
}

ACT(pan)
{
    result r = take_real(l->words[1], -10, 10, &a->look.pan_x, error, size);
    return r == SCRIPT_DONE ? take_real(l->words[2], -10, 10, &a->look.pan_y, error, size) : r;
}

ACT(scaling)
{
    return either(l->words[1], "nearest", "smooth", &a->look.smooth, error, size);
}

ACT(half)
{
    return either(l->words[1], "conditional", "unconditional", &a->look.unconditional, error, size);
}

ACT(help)
{
    return either(l->words[1], "off", "on", &a->show_help, error, size);
}

ACT(expert)
{
    if (!strcmp(l->words[1], "all"))
        return a->look.expert = -1, SCRIPT_DONE;
    return take_int(l->words[1], 0, 65535, &a->look.expert, error, size);
}

/* ---- the window ---- */

ACT(size)
{
    uint32_t width, height;
    if (!options_size(l->words[1], &width, &height))
        return wrong(error, size, "a size as 1280x800", l->words[1]);
    if (a->window) {
        window_resize(a->window, width, height);
    } else {
        a->width = width;
        a->height = height;
    }
    return SCRIPT_DONE;
}

ACT(scale)
{
    return take_real(l->words[1], 0.5, 3, &a->look.text_scale, error, size);
}

static result place(const script_line *l, int first, gui_event *e, char *error, size_t size)
{
    result r = take_real(l->words[first], 0, 16384, &e->x, error, size);
    e->kind = GUI_MOVE;
    return r == SCRIPT_DONE ? take_real(l->words[first + 1], 0, 16384, &e->y, error, size) : r;
}

static void press(int button, bool down)
{
    gui_event_add(&(gui_event){.kind = GUI_BUTTON, .code = button, .down = down});
}

ACT(move)
{
    UNUSED;
    gui_event e;
    result r = place(l, 1, &e, error, size);
    if (r == SCRIPT_DONE)
        gui_event_add(&e);
    return r;
}

ACT(click)
{
    UNUSED;
    gui_event e;
    int button = l->n > 3 && !strcmp(l->words[3], "right") ? 1 : 0;
    result r = place(l, 1, &e, error, size);
    if (r == SCRIPT_DONE) {
        gui_event_add(&e);
        press(button, true);
        press(button, false);
    }
    return r;
}

ACT(drag)
{
    UNUSED;
    gui_event from, to;
    result r = place(l, 1, &from, error, size);
    r = r == SCRIPT_DONE ? place(l, 3, &to, error, size) : r;
    if (r == SCRIPT_DONE) {
        gui_event_add(&from);
        press(0, true);
        gui_event_add(&to);
        press(0, false);
    }
    return r;
}

ACT(wheel)
{
    UNUSED;
    gui_event e = {.kind = GUI_WHEEL};
    result r = take_real(l->words[1], -100, 100, &e.y, error, size);
    if (r == SCRIPT_DONE)
        gui_event_add(&e);
    return r;
}

/* The character at *text, which moves on; what is not UTF-8 counts as its bytes. */
static uint32_t next_character(const char **text)
{
    const unsigned char *s = (const unsigned char *)*text;
    int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
    int i = 1;
    for (; i <= more && (s[i] & 0xc0) == 0x80; i++)
        c = c << 6 | (s[i] & 0x3fu);
    *text += i;
    return c;
}

ACT(type)
{
    UNUSED;
    for (const char *at = l->words[1]; *at;)
        gui_event_add(&(gui_event){.kind = GUI_CHARACTER, .code = (int)next_character(&at)});
    return SCRIPT_DONE;
}

static int key_of(const char *name)
{
    static const struct {
        const char *name;
        int key;
    } keys[] = {{"space", GUI_KEY_SPACE},     {"tab", GUI_KEY_TAB},       {"left", GUI_KEY_LEFT},
                {"right", GUI_KEY_RIGHT},     {"up", GUI_KEY_UP},         {"down", GUI_KEY_DOWN},
                {"pageup", GUI_KEY_PAGE_UP},  {"pagedown", GUI_KEY_PAGE_DOWN}, {"home", GUI_KEY_HOME},
                {"end", GUI_KEY_END},         {"delete", GUI_KEY_DELETE}, {"backspace", GUI_KEY_BACKSPACE},
                {"enter", GUI_KEY_ENTER},     {"escape", GUI_KEY_ESCAPE}, {"ctrl", GUI_KEY_CTRL},
                {"shift", GUI_KEY_SHIFT},     {"alt", GUI_KEY_ALT}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(keys[i].name, name))
            return keys[i].key;
    if (name[0] && !name[1])
        return name[0] >= 'a' && name[0] <= 'z' ? name[0] - 32 : name[0];
    return GUI_KEY_NONE;
}

/* "ctrl+enter": all go down in order, and up. A single letter or sign is typed, too. */
ACT(key)
{
    UNUSED;
    char copy[80], *rest;
    int keys[4], n = 0;
    snprintf(copy, sizeof copy, "%s", l->words[1]);
    for (char *name = strtok_r(copy, "+", &rest); name && n < 4; name = strtok_r(NULL, "+", &rest)) {
        keys[n] = key_of(name);
        if (keys[n++] == GUI_KEY_NONE)
            return wrong(error, size, "a key", name);
    }
    for (int i = 0; i < n; i++)
        gui_event_add(&(gui_event){.kind = GUI_KEY, .code = keys[i], .down = true});
    if (n == 1 && !l->words[1][1])
        gui_event_add(&(gui_event){.kind = GUI_CHARACTER, .code = l->words[1][0]});
    for (int i = n; i-- > 0;)
        gui_event_add(&(gui_event){.kind = GUI_KEY, .code = keys[i], .down = false});
    return SCRIPT_DONE;
}

ACT(export)
{
    UNUSED;
    int kind = 0;
    if (a->export.active) /* the one this line began: words[2] is its path */
        return SCRIPT_AGAIN;
    if (*a->export.said && !strcmp(a->export.path, l->words[2])) {
        snprintf(error, size, "%s", a->export.said);
        a->export.path[0] = 0;
        return a->export.failed ? SCRIPT_WRONG : SCRIPT_DONE;
    }
    while (export_kind_name((export_kind)kind) && strcmp(export_kind_name((export_kind)kind), l->words[1]) != 0)
        kind++;
    if (kind == EXPORT_KINDS)
        return wrong(error, size, "view, picture, steps or routes", l->words[1]);
    return export_begin(a, (export_kind)kind, l->words[2], error, size) ? SCRIPT_AGAIN : SCRIPT_WRONG;
}

ACT(save)
{
    return runs_save(a, l->words[1], error, size) ? SCRIPT_DONE : SCRIPT_WRONG;
}

ACT(open)
{
    return runs_open(a, l->words[1], error, size) ? SCRIPT_DONE : SCRIPT_WRONG;
}

/* The panel shown writes it in the next frames. */
ACT(numbers)
{
    enum { FRAMES = 60 };
    static uint32_t since;
    if (!*a->numbers_path) {
        since = a->times.frames;
        a->numbers_given = false;
        return take_text(l->words[1], a->numbers_path, sizeof a->numbers_path, error, size) == SCRIPT_DONE ? SCRIPT_AGAIN
                                                                                                           : SCRIPT_WRONG;
    }
    if (!a->numbers_given && a->times.frames < since + FRAMES)
        return SCRIPT_AGAIN;
    if (!a->numbers_given)
        snprintf(error, size, "the tab that is shown has no numbers (tab patch, tab statistics)");
    else
        snprintf(error, size, "%s", a->numbers_error);
    a->numbers_path[0] = 0;
    return *error ? SCRIPT_WRONG : SCRIPT_DONE;
}

ACT(screenshot)
{
    return frame_screenshot(a, l->words[1], error, size) ? SCRIPT_DONE : SCRIPT_WRONG;
}

static const script_command commands[] = {
    {"model", "FILE", 1, 1, "open another model", act_model},
    {"device", "NAME", 1, 1, "go on on another device", act_device},
    {"prompt", "TEXT", 1, 1, "what to make; \" | \" between those of several pictures", act_prompt},
    {"negative", "TEXT", 1, 1, "what guidance goes away from", act_negative},
    {"seed", "N", 1, 1, "of the first picture", act_seed},
    {"count", "N", 1, 1, "pictures side by side", act_count},
    {"steps", "N", 1, 1, "sampling steps; 0: the model's", act_steps},
    {"sampler", "NAME", 1, 1, "as for generate", act_sampler},
    {"guidance", "X", 1, 1, "its scale; 0: the model's", act_guidance},
    {"set", "NAME [VALUE]", 1, 2, "a setting; without a value it is taken out", act_set},
    {"steer", "none|ROUTE off|to TARGET [X Y WIDTH HEIGHT]", 1, 7,
     "route no token, or those of a region first, to an expert; ROUTE * is all", act_steer},
    {"second", "DEVICE", 1, 1, "make the last run again on another device", act_second},
    {"generate", "", 0, 0, "begin, or begin anew", act_generate},
    {"cancel", "", 0, 0, "stop the run", act_cancel},
    {"wait", "", 0, 0, "until the run has ended; a failed run ends the script", act_wait},
    {"wait-step", "N", 1, 1, "until step N is there", act_wait_step},
    {"expect-failure", "TEXT", 1, 1, "wait, and go on only if the run failed with TEXT in its message", act_expect_failure},
    {"step", "N|latest", 1, 1, "look at a step", act_step},
    {"compare-step", "N|same", 1, 1, "the step to compare with", act_compare_step},
    {"layer", "NAME", 1, 1, "look at a layer, blocks.3", act_layer},
    {"picture", "N", 1, 1, "one of several pictures, from 0", act_picture},
    {"pick", "none|X Y [WIDTH HEIGHT]", 1, 4, "a patch or a region, in patches from the top left", act_pick},
    {"overlay", "NAME", 1, 1, "none, expert, mix, weight, entropy, count, attention, kept, energy, map, difference", act_overlay},
    {"opacity", "X", 1, 1, "of the overlay, 0 to 1", act_opacity},
    {"half", "conditional|unconditional", 1, 1, "which half of a guided batch", act_half},
    {"expert", "N|all", 1, 1, "one expert alone", act_expert},
    {"compare", "NAME", 1, 1, "with the run before: alone, split, beside, changed, three; or the halves: halves", act_compare},
    {"against", "run|device", 1, 1, "compare with the run before, or with the other device's", act_against},
    {"view", "picture|layers", 1, 1, "the picture, or all layers and steps", act_view},
    {"split", "X", 1, 1, "where the split is, 0 to 1", act_split},
    {"zoom", "X", 1, 1, "of the picture; 1 fits it", act_zoom},
    {"pan", "X Y", 2, 2, "of the picture's middle, in its widths", act_pan},
    {"scaling", "nearest|smooth", 1, 1, "of the picture's pixels", act_scaling},
    {"tab", "NAME", 1, 1, "of the details", act_tab},
    {"help", "on|off", 1, 1, "the list of keys", act_help},
    {"size", "WxH", 1, 1, "of the window or image", act_size},
    {"scale", "X", 1, 1, "of text and widgets", act_scale},
    {"move", "X Y", 2, 2, "the pointer", act_move},
    {"click", "X Y [right]", 2, 3, "a button of the mouse", act_click},
    {"drag", "X Y X Y", 4, 4, "with the left button", act_drag},
    {"wheel", "N", 1, 1, "turn it, positive: away", act_wheel},
    {"type", "TEXT", 1, 1, "characters", act_type},
    {"key", "NAME", 1, 1, "a letter, left, enter, ctrl+enter …", act_key},
    {"export", "view|picture|steps|routes FILE", 2, 2, "steps: .webp an animation, .png a sequence", act_export},
    {"save", "FILE", 1, 1, "the exploration: runs, settings, what is looked at", act_save},
    {"open", "FILE", 1, 1, "an exploration: makes its last two runs again", act_open},
    {"numbers", "FILE", 1, 1, "what the tab that is shown says, as JSON", act_numbers},
    {"screenshot", "FILE", 1, 1, "what is seen, as a PNG", act_screenshot},
};

bool script_command_at(int index, const script_command **command)
{
    *command = index < (int)(sizeof commands / sizeof *commands) ? &commands[index] : NULL;
    return *command != NULL;
}
