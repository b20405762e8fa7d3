/* The frame as an image, for --headless and screenshots. Drawing thread. */
#ifndef SY_VIEWER_OFFSCREEN_H
#define SY_VIEWER_OFFSCREEN_H

#include "viewer/paint.h"

/* Paints what gui_end left last onto an image of its own and reads it back; waits for the device. *rgb: [height][width][3],
 * the caller's (free). */
bool offscreen_shot(gpu *g, paint *p, uint32_t width, uint32_t height, uint8_t **rgb);

#endif
