/* Frames to a file, encoded on a thread of its own: an animation (WebP, without loss, by libwebp), or numbered PNGs. */
#ifndef SY_VIEWER_MOVIE_H
#define SY_VIEWER_MOVIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct movie movie;

/* A path that ends in .webp: an animation; in .png: frames NAME-000.png, NAME-001.png … NULL after writing why. */
movie *movie_begin(const char *path, uint32_t width, uint32_t height, char *error, size_t size);
/* Takes over rgb ([height][width][3], from malloc), to be seen for so many milliseconds. False: it cannot take another one
 * yet, or has failed; rgb is then still the caller's. */
bool movie_add(movie *m, uint8_t *rgb, uint32_t milliseconds);
bool movie_ready(const movie *m); /* for another frame, or failed */
/* No more frames; the file appears once they are encoded. */
void movie_end(movie *m);
/* Over: the file is there, or *error says why not. */
bool movie_over(movie *m, char *error, size_t size);
void movie_free(movie **m); /* waits; before movie_end, nothing is left behind */

#endif
