/* Files as the viewer writes and reads them, and where it keeps what it remembers. */
#ifndef SY_VIEWER_FILE_H
#define SY_VIEWER_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Under a temporary name beside it, then renamed; false after writing why. */
bool file_write(const char *path, const void *data, size_t bytes, char *error, size_t size);
/* The whole file with a zero after it, the caller's (free); NULL after writing why. At most 64 MiB. */
char *file_read(const char *path, size_t *bytes, char *error, size_t size);
/* $XDG_CONFIG_HOME/switchyard/NAME (~/.config where that is not set); the folder is made. False where there is none. */
bool file_config(const char *name, char *path, size_t size);

#endif
