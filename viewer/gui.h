/* Dear ImGui behind a C header: the part of it that the viewer uses, in the order of a frame. One gui a process; all
 * calls on the drawing thread.
 *
 *   gui_open, gui_fonts      once, and gui_fonts again when the scale changes
 *   gui_event …              input since the last frame
 *   gui_begin                then widgets; gui_end
 *   gui_draw_list            what to paint, with textures by the names that were given (paint.h)
 *
 * Lengths are pixels of the image that is drawn; what is meant to have the same size everywhere is multiplied by
 * gui_scale() (1 at 96 dots an inch): gui_px(12). Labels are names, too: "Text##name" shows Text. Colours: GUI_RGB. */
#ifndef SY_VIEWER_GUI_H
#define SY_VIEWER_GUI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GUI_RGBA(r, g, b, a) ((uint32_t)(r) | (uint32_t)(g) << 8 | (uint32_t)(b) << 16 | (uint32_t)(a) << 24)
#define GUI_RGB(r, g, b) GUI_RGBA(r, g, b, 255)
/* The theme. */
#define GUI_ACCENT GUI_RGB(86, 180, 233)
#define GUI_TEXT_COLOUR GUI_RGB(225, 228, 232)
#define GUI_FAINT GUI_RGB(148, 155, 164)
#define GUI_WARNING GUI_RGB(230, 159, 0)
#define GUI_ERROR GUI_RGB(255, 120, 90)
#define GUI_PANEL GUI_RGB(28, 31, 36)
#define GUI_FIELD GUI_RGB(42, 46, 53)
#define GUI_LINE GUI_RGB(58, 63, 71)
#define GUI_GROUND GUI_RGB(18, 20, 23)

typedef struct gui_size {
    float x, y;
} gui_size;

typedef void *gui_texture; /* made by paint_texture */

/* ---- life ---- */

bool gui_open(void);
void gui_close(void);

typedef struct gui_pixels {
    const uint8_t *rgba; /* [height][width][4]; valid until the next gui_fonts */
    uint32_t width, height;
} gui_pixels;
/* Loads the packaged font, if there is one, and sets the theme, both at that scale. The pixels are to become a texture,
 * told by gui_font_texture. */
void gui_fonts(float scale, gui_pixels *atlas);
void gui_font_texture(gui_texture texture);
float gui_scale(void);
static inline float gui_px(float length);

/* ---- input ---- */

/* Letters and digits are their ASCII codes, capital. */
typedef enum gui_key {
    GUI_KEY_NONE = 0,
    GUI_KEY_SPACE = ' ',
    GUI_KEY_TAB = 256,
    GUI_KEY_LEFT,
    GUI_KEY_RIGHT,
    GUI_KEY_UP,
    GUI_KEY_DOWN,
    GUI_KEY_PAGE_UP,
    GUI_KEY_PAGE_DOWN,
    GUI_KEY_HOME,
    GUI_KEY_END,
    GUI_KEY_INSERT,
    GUI_KEY_DELETE,
    GUI_KEY_BACKSPACE,
    GUI_KEY_ENTER,
    GUI_KEY_ESCAPE,
    GUI_KEY_CTRL,
    GUI_KEY_SHIFT,
    GUI_KEY_ALT,
    GUI_KEY_SUPER,
    GUI_KEY_F1, /* F2 … F12 follow */
    GUI_KEY_F12 = GUI_KEY_F1 + 11,
    GUI_KEY_COUNT
} gui_key;

typedef enum gui_event_kind { GUI_MOVE, GUI_BUTTON, GUI_WHEEL, GUI_KEY, GUI_CHARACTER, GUI_FOCUS } gui_event_kind;
typedef struct gui_event {
    gui_event_kind kind;
    float x, y;   /* move: place, (-1, -1) outside; wheel: clicks */
    int code;     /* button 0 left, 1 right, 2 middle; key; character (Unicode) */
    bool down;    /* button, key, focus */
    double time;  /* when the program learned of it, seconds; of a made-up event 0 */
} gui_event;

/* Presses and releases of one frame do not hide each other: what would is left for the next one. */
void gui_event_add(const gui_event *event);
bool gui_events_waiting(void); /* some were left for the next frame */

void gui_clipboard(const char *(*get)(void *user), void (*set)(void *user, const char *text), void *user);

/* ---- a frame ---- */

void gui_begin(float width, float height, double seconds); /* since the last frame */
void gui_end(void);

typedef struct gui_command {
    float clip[4]; /* left, top, right, bottom */
    gui_texture texture;
    uint32_t first_index, n_indices, first_vertex; /* of the list */
} gui_command;
typedef struct gui_list {
    const void *vertices;    /* x, y, u, v as floats, then four bytes of colour: 20 bytes */
    const uint16_t *indices; /* triangles */
    uint32_t n_vertices, n_indices, n_commands;
} gui_list;
/* Of the last frame, until the next gui_begin; false past the end. */
bool gui_draw_list(uint32_t index, gui_list *list);
void gui_draw_command(uint32_t list, uint32_t index, gui_command *command);

/* ---- what was typed and pointed at, this frame ---- */

bool gui_keyboard_taken(void); /* a text field has it, or arrows and Space move among the widgets */
/* Arrows move among widgets, Space uses one, Escape ends. */
void gui_navigate(bool on);
bool gui_navigating(void);
bool gui_mouse_taken(void);    /* a widget has it: being dragged */
bool gui_pressed(gui_key key, bool repeat);
bool gui_ctrl(void);
bool gui_shift(void);
bool gui_alt(void);
bool gui_typed(uint32_t character); /* and no text field has it */
gui_size gui_mouse(void);
gui_size gui_mouse_moved(void);
bool gui_mouse_down(int button);
bool gui_mouse_clicked(int button);
bool gui_mouse_released(int button);
float gui_wheel(void);
typedef enum gui_cursor { GUI_ARROW, GUI_HAND, GUI_RESIZE_ACROSS, GUI_RESIZE_DOWN, GUI_TEXT_CURSOR, GUI_MOVE_ALL } gui_cursor;
void gui_cursor_set(gui_cursor cursor); /* for this frame */
gui_cursor gui_cursor_wanted(void);

/* ---- places ---- */

/* A region fixed at a place of the window: begin always returns and must be ended. */
void gui_region_begin(const char *name, float x, float y, float width, float height, bool padded);
void gui_region_end(void);
/* One that lies over all regions, with a ground and a stripe of that colour at its left; ended as a region. */
void gui_notice_begin(const char *name, float x, float y, float width, float height, uint32_t stripe);
void gui_modal_open(const char *name);
bool gui_modal_begin(const char *name, float width, float height); /* if true: gui_modal_end */
void gui_modal_close(void);
void gui_modal_end(void);
/* A part that scrolls; 0: all there is left, negative: all but so much. Must be ended in any case. */
void gui_child_begin(const char *name, float width, float height, bool framed);
void gui_child_end(void);
void gui_scroll_here(void);
float gui_scroll_y(void);
void gui_scroll_set_y(float y);
gui_size gui_available(void);
gui_size gui_place(void); /* where the next widget comes, in the window */
void gui_place_set(float x, float y);
gui_size gui_item_least(void); /* corners of the last widget */
gui_size gui_item_most(void);
gui_size gui_item_size(void);
void gui_same_line(float spacing); /* negative: the usual */
void gui_same_line_at(float x);    /* from the region's left */
void gui_spacing(void);
void gui_dummy(float width, float height);
void gui_separator(void);
void gui_indent(float width); /* negative takes it back */
void gui_next_width(float width); /* of the next widget; negative: up to so far from the right */
void gui_group_begin(void);
void gui_group_end(void);
void gui_name_begin(const char *name); /* for labels that come several times */
void gui_name_begin_number(int name);
void gui_name_end(void);
float gui_line_height(void); /* of text */
float gui_row_height(void);  /* of widgets, with the space between */
bool gui_window_hovered(void); /* the pointer is over the region or child being built */

/* ---- text ---- */

typedef enum gui_font { GUI_BODY, GUI_SMALL, GUI_BOLD, GUI_MONO } gui_font;
void gui_font_begin(gui_font font);
void gui_font_end(void);
void gui_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void gui_text_coloured(uint32_t colour, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gui_text_wrapped(uint32_t colour, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gui_heading(const char *text); /* bold, with space above */
gui_size gui_text_size(const char *text);

/* ---- widgets: true when used ---- */

bool gui_button(const char *label, float width); /* 0: as wide as the text, negative: up to so far from the right */
bool gui_button_accent(const char *label, float width);
bool gui_button_small(const char *label);
bool gui_checkbox(const char *label, bool *value);
bool gui_radio(const char *label, bool active);
bool gui_selectable(const char *label, bool selected, float width);
bool gui_slider(const char *label, float *value, float least, float most, const char *format);
bool gui_slider_int(const char *label, int *value, int least, int most, const char *format);
bool gui_drag(const char *label, float *value, float speed, float least, float most, const char *format);
bool gui_number(const char *label, int *value, int step, int least, int most); /* with - and + */
bool gui_combo(const char *label, int *chosen, const char *const *items, int n);
bool gui_combo_begin(const char *label, const char *shown); /* if true: gui_combo_end */
void gui_combo_end(void);
/* A line of text. entered: Enter was pressed, may be NULL. Returns whether it was edited. */
bool gui_input(const char *label, const char *hint, char *text, size_t size, bool *entered);
/* The same that completes: complete writes the text that Tab makes of the first n bytes before the cursor, or returns
 * false. */
typedef bool (*gui_complete)(void *user, const char *text, int cursor, char *whole, size_t size);
bool gui_input_completing(const char *label, const char *hint, char *text, size_t size, bool *entered,
                          gui_complete complete, void *user);
void gui_focus_next(void); /* the keyboard goes to the next widget */
void gui_focus_none(void);
bool gui_header(const char *label, bool open); /* a title that folds what follows; `open` at first */
bool gui_tabs_begin(const char *name);         /* if true: gui_tabs_end */
bool gui_tab_begin(const char *label, bool choose); /* if true: gui_tab_end; choose: make it the one shown */
void gui_tab_end(void);
void gui_tabs_end(void);
bool gui_table_begin(const char *name, int columns, bool lines, float height); /* if true: gui_table_end */
void gui_table_column(const char *label, float width); /* 0: what is left, by parts */
void gui_table_head(void);
void gui_table_row(void);
bool gui_table_next(void);
void gui_table_end(void);
void gui_progress(float fraction, float width, const char *text);
void gui_disabled_begin(bool disabled);
void gui_disabled_end(void);
void gui_image(gui_texture texture, float width, float height);
bool gui_image_button(const char *name, gui_texture texture, float width, float height, bool selected);
/* A place that takes the mouse: left, right and middle button. */
bool gui_area(const char *name, float width, float height);
bool gui_hovered(void); /* the last widget */
bool gui_active(void);  /* the last widget is held */
bool gui_edited(void);  /* the last widget was let go after a change */
void gui_tip(const char *format, ...) __attribute__((format(printf, 1, 2))); /* shown while the last widget is hovered */
bool gui_tip_begin(void); /* widgets in a tip; if true: gui_tip_end */
void gui_tip_end(void);
bool gui_menu_begin(const char *name); /* opened by a right click on the last widget; if true: gui_menu_end */
bool gui_menu_item(const char *label, const char *keys, bool on);
void gui_menu_end(void);

/* ---- drawing, in the window's pixels, into the region being built ---- */

void gui_draw_line(float x0, float y0, float x1, float y1, uint32_t colour, float thickness);
void gui_draw_rectangle(float x0, float y0, float x1, float y1, uint32_t colour, float rounding, float thickness);
void gui_draw_filled(float x0, float y0, float x1, float y1, uint32_t colour, float rounding);
void gui_draw_circle(float x, float y, float radius, uint32_t colour, float thickness); /* 0: filled */
void gui_draw_triangle(float x0, float y0, float x1, float y1, float x2, float y2, uint32_t colour);
void gui_draw_lines(const gui_size *points, int n, uint32_t colour, float thickness);
void gui_draw_convex(const gui_size *points, int n, uint32_t colour);
/* A band from the edge x0, y0 … y0 + height0 to the edge x1, y1 … y1 + height1, level at both ends. */
void gui_draw_ribbon(float x0, float y0, float height0, float x1, float y1, float height1, uint32_t colour);
void gui_draw_text(float x, float y, uint32_t colour, const char *text);
void gui_draw_text_fitted(float x, float y, float width, uint32_t colour, const char *text); /* cut with … */
void gui_draw_image(gui_texture texture, float x0, float y0, float x1, float y1, float u0, float v0, float u1, float v1,
                    uint32_t tint);
void gui_clip_begin(float x0, float y0, float x1, float y1);
void gui_clip_end(void);

static inline float gui_px(float length)
{
    return length * gui_scale();
}

#ifdef __cplusplus
}
#endif
#endif
