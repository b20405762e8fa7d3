/* Keys that work everywhere. The table is what they do and what the help shows; those of text fields are the usual. */
#include "viewer/panels.h"

#include <math.h>

static void toggle_help(app *a)
{
    a->show_help = !a->show_help;
}

static void generate(app *a)
{
    app_generate(a);
}

static void cancel(app *a)
{
    if (a->show_help)
        a->show_help = false;
    else if (*a->banner)
        a->banner[0] = 0;
    else
        engine_cancel(a->engine);
}

static void navigate(app *a)
{
    (void)a;
    gui_navigate(!gui_navigating());
}

static void focus_prompt(app *a)
{
    a->focus_prompt = true;
}

static void next_seed(app *a)
{
    a->request.seed += a->request.count ? a->request.count : 1;
    app_generate(a);
}

/* As the tab does, under its first name; what was there is replaced. */
static void write_file(app *a, export_kind kind, const char *path)
{
    char why[500];
    if (!export_begin(a, kind, path, why, sizeof why))
        app_complain(a, true, "%s", why);
}

static void export_seen(app *a)
{
    write_file(a, EXPORT_VIEW, "view.png");
}

static void export_steps(app *a)
{
    write_file(a, EXPORT_STEPS, "steps.webp");
}

static void export_routes(app *a)
{
    write_file(a, EXPORT_ROUTES, "routes.safetensors");
}

static void save(app *a)
{
    char why[500];
    if (!runs_save(a, "exploration.json", why, sizeof why))
        app_complain(a, true, "%s", why);
}

static void quit(app *a)
{
    a->quit = true;
}

static void larger(app *a)
{
    a->look.text_scale = fminf(a->look.text_scale * 1.1f, 3);
}

static void smaller(app *a)
{
    a->look.text_scale = fmaxf(a->look.text_scale / 1.1f, 0.5f);
}

static void usual_size(app *a)
{
    a->look.text_scale = 1;
}

static void step_by(app *a, int by)
{
    uint32_t row;
    if (!app_row(a, &row))
        return;
    int last = (int)a->run.current->evaluations[a->run.done - 1].step;
    int step = (a->look.step == LOOK_LATEST ? last : a->look.step) + by;
    a->look.playing = false;
    a->look.step = step >= last && by > 0 ? LOOK_LATEST : step < 0 ? 0 : step > last ? last : step;
}

static void step_back(app *a)
{
    step_by(a, -1);
}

static void step_on(app *a)
{
    step_by(a, 1);
}

static void first_step(app *a)
{
    a->look.playing = false;
    a->look.step = 0;
}

static void latest_step(app *a)
{
    a->look.playing = false;
    a->look.step = LOOK_LATEST;
}

static void play(app *a)
{
    a->look.playing = !a->look.playing;
}

static void next_overlay(app *a)
{
    a->look.overlay = (a->look.overlay + 1) % LOOK_OVERLAY_COUNT;
}

static void no_overlay(app *a)
{
    a->look.overlay = a->look.overlay == LOOK_NONE ? LOOK_EXPERT : LOOK_NONE;
}

static void next_comparison(app *a)
{
    a->look.comparison = (a->look.comparison + 1) % LOOK_COMPARISON_COUNT;
}

/* This step, to compare others with; again: none. */
static void mark_step(app *a)
{
    uint32_t row;
    if (!app_row(a, &row))
        return;
    int step = (int)a->run.current->evaluations[row].step;
    a->look.compare_step = a->look.compare_step == step ? LOOK_LATEST : step;
}

static void other_device(app *a)
{
    a->look.against_device = !a->look.against_device;
    a->look.compare_step = LOOK_LATEST;
}

static void by_split(app *a, float by)
{
    a->look.split = fminf(fmaxf(a->look.split + by, 0), 1);
}

static void split_left(app *a)
{
    by_split(a, -0.05f);
}

static void split_right(app *a)
{
    by_split(a, 0.05f);
}

static void next_picture(app *a)
{
    a->look.picture = a->run.current && a->run.current->count ? (a->look.picture + 1) % (int)a->run.current->count : 0;
}

static void other_half(app *a)
{
    a->look.unconditional = !a->look.unconditional;
}

static void other_view(app *a)
{
    a->look.all_layers = !a->look.all_layers;
}

static void other_scaling(app *a)
{
    a->look.smooth = !a->look.smooth;
}

static void zoom_in(app *a)
{
    a->look.zoom = fminf(a->look.zoom * 1.25f, 100);
}

static void zoom_out(app *a)
{
    a->look.zoom = fmaxf(a->look.zoom / 1.25f, 0.1f);
}

static void fit_picture(app *a)
{
    a->look.zoom = 1;
    a->look.pan_x = a->look.pan_y = 0;
}

static void by_opacity(app *a, float by)
{
    a->look.opacity = fminf(fmaxf(a->look.opacity + by, 0), 1);
}

static void more_opaque(app *a)
{
    by_opacity(a, 0.1f);
}

static void less_opaque(app *a)
{
    by_opacity(a, -0.1f);
}

static void no_patch(app *a)
{
    a->look.patch_x = a->look.patch_y = -1;
}

typedef struct key {
    const char *shown, *text;
    uint32_t character; /* typed; or */
    int code;           /* pressed */
    bool ctrl, repeats, always; /* always: also while text is typed */
    void (*act)(app *a);
} key;

static const key keys[] = {
    {"?", "this list", '?', 0, false, false, false, toggle_help},
    {"F1", "this list", 0, GUI_KEY_F1, false, false, true, toggle_help},
    {"Ctrl Enter", "generate", 0, GUI_KEY_ENTER, true, false, true, generate},
    {"g", "generate", 'g', 0, false, false, false, generate},
    {"n", "the next seed", 'n', 0, false, false, false, next_seed},
    {"Escape", "stop the run; close what lies over the window", 0, GUI_KEY_ESCAPE, false, false, false, cancel},
    {"/", "to the prompt (Tab completes words)", '/', 0, false, false, false, focus_prompt},
    {"F6", "arrows move among the controls, Space uses one; F6 ends", 0, GUI_KEY_F1 + 5, false, false, true, navigate},
    {"Left", "a step back", 0, GUI_KEY_LEFT, false, true, false, step_back},
    {"Right", "a step on; past the last: follow the run", 0, GUI_KEY_RIGHT, false, true, false, step_on},
    {"Home", "the first step", 0, GUI_KEY_HOME, false, false, false, first_step},
    {"End", "the newest step, following the run", 0, GUI_KEY_END, false, false, false, latest_step},
    {"Space", "play the steps, or pause", 0, GUI_KEY_SPACE, false, false, false, play},
    {"o", "the next overlay", 'o', 0, false, false, false, next_overlay},
    {"h", "overlay on or off", 'h', 0, false, false, false, no_overlay},
    {"]", "overlay more opaque", ']', 0, false, true, false, more_opaque},
    {"[", "overlay less opaque", '[', 0, false, true, false, less_opaque},
    {"u", "conditional or unconditional half", 'u', 0, false, false, false, other_half},
    {"l", "the picture, or all layers and steps", 'l', 0, false, false, false, other_view},
    {"c", "compare in the next way: split, beside …", 'c', 0, false, false, false, next_comparison},
    {"m", "compare with this step from now on; again: with none", 'm', 0, false, false, false, mark_step},
    {"d", "compare with the other device, or the run before", 'd', 0, false, false, false, other_device},
    {",", "the split to the left", ',', 0, false, true, false, split_left},
    {".", "the split to the right", '.', 0, false, true, false, split_right},
    {"p", "the next picture", 'p', 0, false, false, false, next_picture},
    {"x", "let go of the picked patch", 'x', 0, false, false, false, no_patch},
    {"+", "zoom in", '+', 0, false, true, false, zoom_in},
    {"-", "zoom out", '-', 0, false, true, false, zoom_out},
    {"f", "fit the picture", 'f', 0, false, false, false, fit_picture},
    {"i", "pixels as squares, or smooth", 'i', 0, false, false, false, other_scaling},
    {"Ctrl +", "larger text", 0, '=', true, true, true, larger},
    {"Ctrl -", "smaller text", 0, '-', true, true, true, smaller},
    {"Ctrl 0", "text of the usual size", 0, '0', true, false, true, usual_size},
    {"Ctrl E", "what is seen to view.png", 0, 'E', true, false, true, export_seen},
    {"Ctrl R", "the steps to steps.webp, an animation", 0, 'R', true, false, true, export_steps},
    {"Ctrl T", "raw routes to routes.safetensors", 0, 'T', true, false, true, export_routes},
    {"Ctrl S", "the exploration to exploration.json", 0, 'S', true, false, true, save},
    {"Ctrl Q", "end", 0, 'Q', true, false, true, quit},
};

void keys_apply(app *a)
{
    const bool typing = gui_keyboard_taken();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const key *k = &keys[i];
        bool hit = k->character ? gui_typed(k->character)
                                : (k->always || !typing) && k->ctrl == gui_ctrl() && gui_pressed(k->code, k->repeats);
        if (hit)
            k->act(a);
    }
}

bool keys_at(uint32_t index, const char **shown, const char **text)
{
    if (index >= sizeof keys / sizeof *keys)
        return false;
    *shown = keys[index].shown;
    *text = keys[index].text;
    return true;
}
