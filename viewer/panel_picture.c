/* The picture. */
#include "viewer/panels.h"

void panel_picture(app *a)
{
    gui_dummy(gui_px(8), gui_px(8));
    gui_indent(gui_px(14));
    gui_text("%s", engine_phase_text(a->run.phase));
    gui_indent(-gui_px(14));
}
