/* The runs of this exploration, and the file it is kept in. */
#include "viewer/panels.h"
#include "viewer/request.h"

#include <stdio.h>
#include <string.h>

static char path[1024] = "exploration.json";
static char said[600];
static bool said_failed;

static void say(bool failed, const char *text)
{
    snprintf(said, sizeof said, "%.599s", text);
    said_failed = failed;
}

static void file(app *a)
{
    char why[500];
    bool entered;
    gui_heading("Exploration");
    gui_text_wrapped(GUI_FAINT, "All runs, settings and what is looked at, in one file: opening it makes the last two runs again.");
    gui_next_width(-1);
    gui_input("##exploration", "a file, .json", path, sizeof path, &entered);
    if (gui_button("Save", 0)) {
        bool ok = runs_save(a, path, why, sizeof why);
        char text[1200];
        snprintf(text, sizeof text, "written to %s", path);
        say(!ok, ok ? text : why);
    }
    gui_same_line(-1);
    if (gui_button("Open", 0))
        say(!runs_open(a, path, why, sizeof why), runs_is_file(path) && !*why ? "" : why);
    gui_tip("A file can also be dropped on the window.");
    if (*said)
        gui_text_wrapped(said_failed ? GUI_ERROR : GUI_FAINT, "%s", said);
}

void panel_runs(app *a)
{
    char title[700];
    file(a);
    gui_heading("Runs");
    if (!a->runs.n)
        gui_text_wrapped(GUI_FAINT, "Each run is listed here, and can be gone back to.");
    for (uint32_t i = a->runs.n; i-- > 0;) {
        request_title(&a->runs.list[i], title, sizeof title);
        const bool current = a->run.current && request_same(&a->runs.list[i], &a->run.request);
        gui_name_begin_number((int)i);
        if (gui_selectable(title, current, 0) && !current)
            runs_again(a, i);
        gui_tip("%s", title);
        gui_name_end();
    }
}
