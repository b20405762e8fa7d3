/* Exports: what, and to which file. */
#include "viewer/panels.h"

#include <stdio.h>
#include <string.h>

static const struct {
    export_kind kind;
    const char *label, *file, *text;
} rows[] = {
    {EXPORT_VIEW, "View", "view.png", "The middle of the window as it is seen, as a PNG that carries prompt, seed and settings."},
    {EXPORT_PICTURE, "Picture", "picture.png", "The picture at this step in its own pixels, as such a PNG."},
    {EXPORT_STEPS, "Animation", "steps.webp", "The middle of the window step by step: an animated WebP."},
    {EXPORT_STEPS, "Sequence", "step.png", "The same as numbered PNGs: step-000.png and so on."},
    {EXPORT_ROUTES, "Raw routes", "routes.safetensors", "Every route of every step: who went where, with which weight."},
};
enum { ROWS = sizeof rows / sizeof *rows };

void panel_export(app *a)
{
    static char paths[ROWS][400];
    char why[500];
    uint32_t row;
    const bool ready = app_row(a, &row) && !a->export.active;
    gui_heading("Export");
    if (!app_row(a, &row))
        gui_text_wrapped(GUI_FAINT, "After the first step there is something to export.");
    for (int i = 0; i < ROWS; i++) {
        bool entered = false;
        if (!*paths[i])
            snprintf(paths[i], sizeof paths[i], "%s", rows[i].file);
        gui_name_begin_number(i);
        gui_text("%s", rows[i].label);
        gui_text_wrapped(GUI_FAINT, "%s", rows[i].text);
        gui_next_width(-gui_px(70));
        gui_input("##path", "a file", paths[i], sizeof paths[i], &entered);
        gui_same_line(-1);
        gui_disabled_begin(!ready);
        if ((gui_button("Write", -1) || entered) && ready && !export_begin(a, rows[i].kind, paths[i], why, sizeof why)) {
            a->export.failed = true;
            snprintf(a->export.said, sizeof a->export.said, "%s", why);
        }
        gui_disabled_end();
        gui_spacing();
        gui_name_end();
    }
    if (a->export.active)
        gui_text_coloured(GUI_ACCENT, a->export.kind == EXPORT_STEPS ? "step %u of %u …" : "writing …", a->export.row, a->run.done);
    else if (*a->export.said)
        gui_text_wrapped(a->export.failed ? GUI_ERROR : GUI_FAINT, "%s", a->export.said);
}
