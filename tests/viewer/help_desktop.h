/* A display of its own (Xvfb), the viewer's window on it, and hands to drive it (xdotool). */
#ifndef SY_TESTS_HELP_DESKTOP_H
#define SY_TESTS_HELP_DESKTOP_H

#include <stdint.h>
#include <sys/types.h>

typedef struct desktop {
    char folder[300]; /* where the window's program runs: exports land here */
    char display[16], window[32], log[400];
    pid_t server, viewer; /* 0: none */
} desktop;

/* NULL, or why there is none: what is missing. */
const char *desktop_open(desktop *d, int width, int height);
/* Removes the folder. */
void desktop_close(desktop *d);

/* Starts `switchyard view ARGUMENTS` with the validation layer on, waits for its window and gives it the keyboard; ends the
 * test where it does not come, by skipping where the driver cannot draw on this display. log: file for what it prints.
 * What fails in these functions ends the test with 1. */
void desktop_start(desktop *d, const char *arguments, const char *log);
/* Ctrl Q; it must end, with 0, and have printed nothing: the validation layer is silent. */
void desktop_end(desktop *d);

/* xdotool's words, chained. */
void desktop_do(desktop *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the display shows. */
typedef struct screen {
    unsigned char *data;
    const unsigned char *pixels; /* in data */
    int width, height, stride;
} screen;
screen desktop_look(const desktop *d);
void screen_free(screen *s);
/* 0xRRGGBB */
static inline uint32_t screen_at(const screen *s, int x, int y)
{
    const unsigned char *p = s->pixels + (size_t)y * (size_t)s->stride + (size_t)x * 4;
    return (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

#endif
