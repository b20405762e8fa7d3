/* See kinds.h. */
#include "viewer/kinds.h"
#include "viewer/gui.h"

#include <stdio.h>
#include <string.h>

kind_of_evaluation kind_of(const sy_evaluation *e)
{
    if (!e->ran)
        return KIND_LEFT_OUT;
    if (!strcmp(e->program, "cached") || !strcmp(e->program, "active"))
        return KIND_PART;
    return e->guided ? KIND_GUIDED : KIND_WHOLE;
}

uint32_t kind_colour(kind_of_evaluation kind)
{
    static const uint32_t colours[KINDS] = {GUI_RGB(86, 180, 233), GUI_RGB(0, 114, 178), GUI_RGB(230, 159, 0),
                                            GUI_RGB(98, 98, 98)};
    return colours[kind];
}

const char *kind_text(kind_of_evaluation kind)
{
    static const char *const texts[KINDS] = {"guided (both halves)", "without guidance", "in part (cached, or some tokens)",
                                             "left out"};
    return texts[kind];
}

void kinds_legend(const uint32_t counts[KINDS])
{
    bool first = true;
    gui_font_begin(GUI_SMALL);
    for (int i = 0; i < KINDS; i++) {
        char text[80];
        if (!counts[i])
            continue;
        snprintf(text, sizeof text, "%s: %u", kind_text((kind_of_evaluation)i), counts[i]);
        const float side = gui_line_height() * 0.7f, wide = side + gui_px(6) + gui_text_size(text).x;
        if (!first) {
            gui_same_line(gui_px(14));
            if (gui_available().x < wide) {
                gui_dummy(1, 1);
            }
        }
        first = false;
        const gui_size at = gui_place();
        gui_draw_filled(at.x, at.y + side * 0.2f, at.x + side, at.y + side * 1.2f, kind_colour((kind_of_evaluation)i), 2);
        gui_draw_text(at.x + side + gui_px(6), at.y, GUI_FAINT, text);
        gui_dummy(wide, gui_line_height());
    }
    gui_font_end();
}
