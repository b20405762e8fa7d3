/* All keys and what the mouse does, over everything; and the banner of errors. */
#include "viewer/panels.h"

#include <math.h>

static const char *const mouse[][2] = {
    {"Click", "pick a patch: its experts, what it attends to"},
    {"Drag", "pick a region; at the line of a split: move it"},
    {"Wheel", "zoom at the pointer"},
    {"Right drag", "move the picture"},
    {"Ctrl Click", "on a number: type it"},
    {"Drop a file", "open that model"},
};

static void row(const char *key, const char *text)
{
    gui_table_row();
    gui_table_next();
    gui_font_begin(GUI_MONO);
    gui_text_coloured(GUI_ACCENT, "%s", key);
    gui_font_end();
    gui_table_next();
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", text);
}

static bool table_begin(const char *name)
{
    if (!gui_table_begin(name, 2, false, 0))
        return false;
    gui_table_column("key", gui_px(100));
    gui_table_column("text", 0);
    return true;
}

static void keys_from(uint32_t first, uint32_t last)
{
    const char *key, *text;
    for (uint32_t i = first; i < last && keys_at(i, &key, &text); i++)
        row(key, text);
}

void panel_help(app *a)
{
    static bool open;
    uint32_t n = 0;
    const char *key, *text;
    if (a->show_help && !open)
        gui_modal_open("help");
    open = a->show_help;
    if (!gui_modal_begin("help", gui_px(860), 0))
        return;
    if (!a->show_help)
        gui_modal_close();
    while (keys_at(n, &key, &text))
        n++;
    gui_heading("Keys");
    if (gui_table_begin("halves", 2, false, 0)) {
        gui_table_row();
        gui_table_next();
        if (table_begin("keys 1")) {
            keys_from(0, (n + 1) / 2);
            gui_table_end();
        }
        gui_table_next();
        if (table_begin("keys 2")) {
            keys_from((n + 1) / 2, n);
            gui_table_end();
        }
        gui_table_end();
    }
    gui_heading("Mouse, on the picture");
    if (table_begin("mouse")) {
        for (size_t i = 0; i < sizeof mouse / sizeof *mouse; i++)
            row(mouse[i][0], mouse[i][1]);
        gui_table_end();
    }
    gui_spacing();
    if (gui_button("Close", gui_px(100)) || gui_pressed(GUI_KEY_ESCAPE, false))
        a->show_help = false;
    gui_modal_end();
}

void panel_banner(app *a)
{
    const engine_state *s = &a->run;
    const bool failed = s->phase == ENGINE_FAILED && *s->message;
    static uint32_t dismissed; /* the run whose failure was read */
    const char *text = *a->banner ? a->banner : failed && dismissed != s->run ? s->message : *s->note ? s->note : NULL;
    if (!text || (text == s->note && dismissed == s->run))
        return;
    const bool warning = *a->banner ? a->banner_is_warning : text == s->note;
    const float margin = gui_px(14), x = a->centre_x + margin, height = gui_px(120);
    const float width = fminf(fmaxf(a->centre_width - 2 * margin, gui_px(420)), (float)a->width - x - margin);
    gui_notice_begin("banner", x, margin, width, height, warning ? GUI_WARNING : GUI_ERROR);
    gui_child_begin("message", 0, -gui_row_height(), false);
    gui_text_wrapped(GUI_TEXT_COLOUR, "%s", text);
    gui_child_end();
    if (gui_button("Dismiss", 0)) {
        a->banner[0] = 0;
        dismissed = s->run;
    }
    if (failed && !*a->banner) {
        gui_same_line(-1);
        if (gui_button("Try again", 0))
            app_generate(a);
    }
    gui_region_end();
}
