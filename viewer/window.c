/* See window.h. */
#include "viewer/window.h"

#define GLFW_INCLUDE_NONE
#include <vulkan/vulkan_core.h>

#include <GLFW/glfw3.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct window {
    GLFWwindow *handle;
    GLFWcursor *cursors[GUI_MOVE_ALL + 1];
    gui_cursor cursor;
    char dropped[4096], dropped_shown[4096];
    bool any;
    double first_event;
};

double window_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void window_sleep(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* ---- events ---- */

static void note(window *w, gui_event event)
{
    event.time = window_time();
    w->any = true;
    if (!w->first_event)
        w->first_event = event.time;
    gui_event_add(&event);
}

static void changed(window *w)
{
    w->any = true;
}

static void on_move(GLFWwindow *handle, double x, double y)
{
    int window_width, window_height, width, height;
    glfwGetWindowSize(handle, &window_width, &window_height);
    glfwGetFramebufferSize(handle, &width, &height);
    double fx = window_width ? (double)width / window_width : 1, fy = window_height ? (double)height / window_height : 1;
    note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_MOVE, .x = (float)(x * fx), .y = (float)(y * fy)});
}

static void on_enter(GLFWwindow *handle, int entered)
{
    if (!entered)
        note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_MOVE, .x = -1, .y = -1});
}

static void on_button(GLFWwindow *handle, int button, int action, int mods)
{
    (void)mods;
    note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_BUTTON, .code = button, .down = action == GLFW_PRESS});
}

static void on_wheel(GLFWwindow *handle, double x, double y)
{
    note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_WHEEL, .x = (float)x, .y = (float)y});
}

static void on_character(GLFWwindow *handle, unsigned character)
{
    note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_CHARACTER, .code = (int)character});
}

static int key_of(int key)
{
    static const struct {
        int glfw, gui;
    } keys[] = {
        {GLFW_KEY_TAB, GUI_KEY_TAB},
        {GLFW_KEY_LEFT, GUI_KEY_LEFT},
        {GLFW_KEY_RIGHT, GUI_KEY_RIGHT},
        {GLFW_KEY_UP, GUI_KEY_UP},
        {GLFW_KEY_DOWN, GUI_KEY_DOWN},
        {GLFW_KEY_PAGE_UP, GUI_KEY_PAGE_UP},
        {GLFW_KEY_PAGE_DOWN, GUI_KEY_PAGE_DOWN},
        {GLFW_KEY_HOME, GUI_KEY_HOME},
        {GLFW_KEY_END, GUI_KEY_END},
        {GLFW_KEY_INSERT, GUI_KEY_INSERT},
        {GLFW_KEY_DELETE, GUI_KEY_DELETE},
        {GLFW_KEY_BACKSPACE, GUI_KEY_BACKSPACE},
        {GLFW_KEY_ENTER, GUI_KEY_ENTER},
        {GLFW_KEY_KP_ENTER, GUI_KEY_ENTER},
        {GLFW_KEY_ESCAPE, GUI_KEY_ESCAPE},
        {GLFW_KEY_LEFT_CONTROL, GUI_KEY_CTRL},
        {GLFW_KEY_RIGHT_CONTROL, GUI_KEY_CTRL},
        {GLFW_KEY_LEFT_SHIFT, GUI_KEY_SHIFT},
        {GLFW_KEY_RIGHT_SHIFT, GUI_KEY_SHIFT},
        {GLFW_KEY_LEFT_ALT, GUI_KEY_ALT},
        {GLFW_KEY_RIGHT_ALT, GUI_KEY_ALT},
        {GLFW_KEY_LEFT_SUPER, GUI_KEY_SUPER},
        {GLFW_KEY_RIGHT_SUPER, GUI_KEY_SUPER},
    };
    if (key >= GLFW_KEY_SPACE && key <= GLFW_KEY_GRAVE_ACCENT)
        return key; /* GLFW's, too, are capital ASCII */
    if (key >= GLFW_KEY_F1 && key <= GLFW_KEY_F12)
        return GUI_KEY_F1 + key - GLFW_KEY_F1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].glfw == key)
            return keys[i].gui;
    return GUI_KEY_NONE;
}

static void on_key(GLFWwindow *handle, int key, int scancode, int action, int mods)
{
    (void)scancode;
    (void)mods;
    if (action != GLFW_REPEAT) /* the gui repeats by itself */
        note(glfwGetWindowUserPointer(handle),
             (gui_event){.kind = GUI_KEY, .code = key_of(key), .down = action == GLFW_PRESS});
}

static void on_focus(GLFWwindow *handle, int focused)
{
    note(glfwGetWindowUserPointer(handle), (gui_event){.kind = GUI_FOCUS, .down = focused});
}

static void on_drop(GLFWwindow *handle, int n, const char **paths)
{
    window *w = glfwGetWindowUserPointer(handle);
    changed(w);
    if (n > 0)
        snprintf(w->dropped, sizeof w->dropped, "%s", paths[0]);
}

static void on_size(GLFWwindow *handle, int width, int height)
{
    (void)width;
    (void)height;
    changed(glfwGetWindowUserPointer(handle));
}

static void on_scale(GLFWwindow *handle, float x, float y)
{
    (void)x;
    (void)y;
    changed(glfwGetWindowUserPointer(handle));
}

static void on_refresh(GLFWwindow *handle)
{
    changed(glfwGetWindowUserPointer(handle));
}

static const char *clipboard_get(void *user)
{
    const char *text = glfwGetClipboardString(user);
    return text ? text : "";
}

static void clipboard_set(void *user, const char *text)
{
    glfwSetClipboardString(user, text);
}

/* ---- life ---- */

static bool explain(const char *what, char *error, size_t size)
{
    const char *text = NULL;
    glfwGetError(&text);
    snprintf(error, size, "%s%s%s", what, text ? ": " : "", text ? text : "");
    return false;
}

const char *const *window_prepare(uint32_t *n, char *error, size_t size)
{
    if (!glfwInit()) {
        explain("there is no display to open a window on", error, size);
        return NULL;
    }
    const char **extensions = glfwVulkanSupported() ? glfwGetRequiredInstanceExtensions(n) : NULL;
    if (!extensions)
        explain("Vulkan cannot draw on this display", error, size);
    return (const char *const *)extensions;
}

window *window_open(uint32_t width, uint32_t height, const char *title, char *error, size_t size)
{
    window *w = calloc(1, sizeof *w);
    glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
    glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
    glfwWindowHintString(GLFW_X11_CLASS_NAME, "switchyard");
    if (w)
        w->handle = glfwCreateWindow((int)width, (int)height, title, NULL, NULL);
    if (!w || !w->handle) {
        explain("the window cannot be opened", error, size);
        free(w);
        return NULL;
    }
    glfwSetWindowUserPointer(w->handle, w);
    glfwSetWindowSizeLimits(w->handle, 640, 400, GLFW_DONT_CARE, GLFW_DONT_CARE);
    glfwSetCursorPosCallback(w->handle, on_move);
    glfwSetCursorEnterCallback(w->handle, on_enter);
    glfwSetMouseButtonCallback(w->handle, on_button);
    glfwSetScrollCallback(w->handle, on_wheel);
    glfwSetCharCallback(w->handle, on_character);
    glfwSetKeyCallback(w->handle, on_key);
    glfwSetWindowFocusCallback(w->handle, on_focus);
    glfwSetDropCallback(w->handle, on_drop);
    glfwSetFramebufferSizeCallback(w->handle, on_size);
    glfwSetWindowContentScaleCallback(w->handle, on_scale);
    glfwSetWindowRefreshCallback(w->handle, on_refresh);
    static const int shapes[] = {GLFW_ARROW_CURSOR,   GLFW_HAND_CURSOR,  GLFW_HRESIZE_CURSOR,
                                 GLFW_VRESIZE_CURSOR, GLFW_IBEAM_CURSOR, GLFW_CROSSHAIR_CURSOR};
    for (int i = 0; i <= GUI_MOVE_ALL; i++)
        w->cursors[i] = glfwCreateStandardCursor(shapes[i]);
    gui_clipboard(clipboard_get, clipboard_set, w->handle);
    return w;
}

void window_close(window **handle)
{
    window *w = *handle;
    if (w) {
        gui_clipboard(NULL, NULL, NULL);
        for (int i = 0; i <= GUI_MOVE_ALL; i++)
            if (w->cursors[i])
                glfwDestroyCursor(w->cursors[i]);
        glfwDestroyWindow(w->handle);
        free(w);
    }
    *handle = NULL;
    glfwTerminate();
}

bool window_surface(window *w, gpu *g, VkSurfaceKHR *surface)
{
    return gpu_check(g, glfwCreateWindowSurface(g->sy.instance, w->handle, NULL, surface), "making the window's surface");
}

bool window_events(window *w, double seconds)
{
    if (seconds < 0)
        glfwWaitEvents();
    else if (seconds > 0)
        glfwWaitEventsTimeout(seconds);
    else
        glfwPollEvents();
    bool any = w->any;
    w->any = false;
    return any;
}

void window_wake(void)
{
    glfwPostEmptyEvent();
}

window_facts window_look(window *w)
{
    window_facts facts = {.scale = 1, .closing = glfwWindowShouldClose(w->handle), .event_time = w->first_event};
    int width, height;
    float x, y;
    glfwGetFramebufferSize(w->handle, &width, &height);
    glfwGetWindowContentScale(w->handle, &x, &y);
    if (!glfwGetWindowAttrib(w->handle, GLFW_ICONIFIED) && width > 0 && height > 0) {
        facts.width = (uint32_t)width;
        facts.height = (uint32_t)height;
    }
    facts.scale = fminf(fmaxf(x, 0.5f), 4);
    w->first_event = 0;
    if (*w->dropped) {
        snprintf(w->dropped_shown, sizeof w->dropped_shown, "%s", w->dropped);
        w->dropped[0] = 0;
        facts.dropped = w->dropped_shown;
    }
    return facts;
}

void window_keep_open(window *w)
{
    glfwSetWindowShouldClose(w->handle, GLFW_FALSE);
}

void window_title(window *w, const char *title)
{
    glfwSetWindowTitle(w->handle, title);
}

void window_cursor(window *w, gui_cursor cursor)
{
    if (w->cursor != cursor)
        glfwSetCursor(w->handle, w->cursors[cursor]);
    w->cursor = cursor;
}

void window_size(const window *w, uint32_t *width, uint32_t *height)
{
    int x, y;
    glfwGetWindowSize(w->handle, &x, &y);
    *width = (uint32_t)x;
    *height = (uint32_t)y;
}

void window_resize(window *w, uint32_t width, uint32_t height)
{
    glfwSetWindowSize(w->handle, (int)width, (int)height);
}
