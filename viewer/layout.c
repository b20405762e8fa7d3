/* See app.h: a fixed division of the window with edges that can be dragged. Controls left, the picture in the middle,
 * details right in tabs, time below. */
#include "viewer/panels.h"

#include <math.h>
#include <string.h>

enum { EDGE = 5 };

/* An edge that is dragged: changes *size by how far the pointer went. */
static void edge(const char *name, float x, float y, float width, float height, float *size, float direction, bool across)
{
    gui_region_begin(name, x, y, width, height, false);
    gui_area(name, width, height);
    const bool over = gui_hovered() || gui_active();
    const float line = over ? gui_px(3) : fmaxf(1, floorf(gui_scale()));
    const float mx = floorf(x + (width - line) / 2), my = floorf(y + (height - line) / 2);
    if (over)
        gui_cursor_set(across ? GUI_RESIZE_ACROSS : GUI_RESIZE_DOWN);
    gui_draw_filled(across ? mx : x, across ? y : my, across ? mx + line : x + width, across ? y + height : my + line,
                    gui_active() ? GUI_ACCENT : GUI_LINE, 0);
    if (gui_active())
        *size += (across ? gui_mouse_moved().x : gui_mouse_moved().y) * direction / gui_scale();
    gui_region_end();
}

static float limit(float value, float least, float most)
{
    return fmaxf(least, fminf(value, fmaxf(least, most)));
}

static void left(app *a)
{
#define X(name, title) panel_##name(a);
    PANELS_LEFT(X)
#undef X
}

static void centre(app *a)
{
#define X(name, title) panel_##name(a);
    PANELS_CENTRE(X)
#undef X
}

static void right(app *a)
{
    static const struct {
        const char *name, *title;
        void (*build)(app *a);
    } tabs[] = {
#define X(name, title) {#name, title, panel_##name},
        PANELS_RIGHT(X)
#undef X
    };
    static char shown[LOOK_NAME]; /* what the gui shows; the look may ask for another */
    if (!gui_tabs_begin("details"))
        return;
    for (size_t i = 0; i < sizeof tabs / sizeof *tabs; i++) {
        bool choose = !strcmp(a->look.tab, tabs[i].name) && strcmp(a->look.tab, shown) != 0;
        if (!gui_tab_begin(tabs[i].title, choose))
            continue;
        if (choose || !*a->look.tab || !strcmp(a->look.tab, shown)) {
            strcpy(shown, tabs[i].name);
            strcpy(a->look.tab, tabs[i].name);
        }
        gui_child_begin("tab", 0, 0, false);
        tabs[i].build(a);
        gui_child_end();
        gui_tab_end();
    }
    gui_tabs_end();
}

static void bottom(app *a)
{
#define X(name, title) panel_##name(a);
    PANELS_BOTTOM(X)
#undef X
}

void layout_build(app *a)
{
    look *l = &a->look;
    const float width = (float)a->width / gui_scale(), height = (float)a->height / gui_scale();
    a->animated = false;
    keys_apply(a);
    /* What is remembered stays as it is where the window is too small for it. */
    float left_size = limit(l->left, 220, width * 0.35f), right_size = limit(l->right, 160, width - left_size - 300);
    float bottom_size = limit(l->bottom, 60, height * 0.5f);
    const float sizes[] = {left_size, right_size, bottom_size};
    const float gap = gui_px(EDGE), x1 = gui_px(left_size), x2 = (float)a->width - gui_px(right_size);
    const float y = (float)a->height - gui_px(bottom_size), full = (float)a->width, tall = (float)a->height;
    gui_region_begin("left", 0, 0, x1, tall, true);
    left(a);
    gui_region_end();
    memcpy(a->middle, (float[]){x1 + gap, 0, x2 - x1 - 2 * gap, y - gap}, sizeof a->middle);
    gui_region_begin("centre", x1 + gap, 0, x2 - x1 - 2 * gap, y - gap, false);
    centre(a);
    gui_region_end();
    gui_region_begin("right", x2, 0, full - x2, y - gap, true);
    right(a);
    gui_region_end();
    gui_region_begin("bottom", x1 + gap, y, full - x1 - gap, tall - y, true);
    bottom(a);
    gui_region_end();
    edge("edge left", x1, 0, gap, tall, &left_size, 1, true);
    edge("edge right", x2 - gap, 0, gap, y - gap, &right_size, -1, true);
    edge("edge bottom", x1 + gap, y - gap, full - x1 - gap, gap, &bottom_size, -1, false);
    l->left = left_size != sizes[0] ? left_size : l->left;
    l->right = right_size != sizes[1] ? right_size : l->right;
    l->bottom = bottom_size != sizes[2] ? bottom_size : l->bottom;
    a->centre_x = x1 + gap;
    a->centre_width = x2 - x1 - 2 * gap;
    panel_banner(a);
    panel_help(a);
}
