/* The window: GLFW, and what happens to it as events for the gui. One a process; drawing thread only, but for
 * window_wake. */
#ifndef SY_VIEWER_WINDOW_H
#define SY_VIEWER_WINDOW_H

#include "viewer/gpu.h"
#include "viewer/gui.h"

typedef struct window window;

/* Instance extensions that a surface needs; call before the context is made. NULL after writing why there can be no
 * window: no display, no Vulkan. */
const char *const *window_prepare(uint32_t *n, char *error, size_t size);
/* width, height: in the display's units (at a content scale of 1, pixels). */
window *window_open(uint32_t width, uint32_t height, const char *title, char *error, size_t size);
void window_close(window **w); /* its surfaces must be destroyed; also undoes window_prepare, and works on NULL */

bool window_surface(window *w, gpu *g, VkSurfaceKHR *surface);

/* Waits for events, at most so long (negative: as long as it takes; 0: looks only), and hands them to the gui. Returns
 * whether there were any. */
bool window_events(window *w, double seconds);
void window_wake(void); /* any thread: ends a wait */

typedef struct window_facts {
    uint32_t width, height; /* of the surface, pixels; 0: minimised */
    float scale;            /* of text and widgets: 1 at 96 dots an inch */
    bool closing;           /* asked to close */
    const char *dropped;    /* a file let fall on it since the last call; NULL: none. Valid until the next call */
    double event_time;      /* of the first event since the last call, by window_time; 0: none */
} window_facts;
window_facts window_look(window *w);
void window_keep_open(window *w); /* takes back `closing` */
void window_title(window *w, const char *title);
void window_cursor(window *w, gui_cursor cursor);
void window_size(const window *w, uint32_t *width, uint32_t *height); /* to remember */
void window_resize(window *w, uint32_t width, uint32_t height);
double window_time(void); /* seconds, of a steady clock; needs no window, as the next */
void window_sleep(double seconds);

#endif
