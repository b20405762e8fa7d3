/* Time: a scrubber over all steps of the run. */
#include "viewer/panels.h"

void panel_time(app *a)
{
    uint32_t row;
    if (!app_row(a, &row)) {
        gui_text_coloured(GUI_FAINT, "The steps of the run come here.");
        return;
    }
    int last = (int)a->run.current->evaluations[a->run.done - 1].step;
    int step = (int)a->run.current->evaluations[row].step;
    gui_next_width(-1);
    if (gui_slider_int("##step", &step, 0, last > 0 ? last : 1, "step %d"))
        a->look.step = step >= last ? LOOK_LATEST : step;
}
