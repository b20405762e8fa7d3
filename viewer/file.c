/* See file.h. */
#include "viewer/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 64 << 20 };

static bool explain(const char *path, const char *what, char *error, size_t size)
{
    snprintf(error, size, "%s %s: %s", path, what, strerror(errno));
    return false;
}

bool file_write(const char *path, const void *data, size_t bytes, char *error, size_t size)
{
    char temporary[4200];
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof temporary) {
        errno = ENAMETOOLONG;
        return explain(path, "cannot be written", error, size);
    }
    FILE *file = fopen(temporary, "wb");
    if (!file)
        return explain(path, "cannot be written", error, size);
    bool ok = fwrite(data, 1, bytes, file) == bytes;
    ok = fclose(file) == 0 && ok && rename(temporary, path) == 0;
    if (!ok) {
        explain(path, "cannot be written", error, size);
        unlink(temporary);
    }
    return ok;
}

char *file_read(const char *path, size_t *bytes, char *error, size_t size)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    size_t n = 0, room = 0;
    bool ok = file != NULL;
    while (ok) {
        if (n + 1 >= room) {
            char *more = room < MOST_BYTES ? realloc(data, room = room ? room * 2 : 65536) : NULL;
            if (!more) {
                errno = room < MOST_BYTES ? ENOMEM : EFBIG;
                ok = false;
                break;
            }
            data = more;
        }
        size_t got = fread(data + n, 1, room - n - 1, file);
        n += got;
        if (got == 0)
            break;
    }
    ok = ok && !ferror(file);
    if (!ok)
        explain(path, "cannot be read", error, size);
    if (file)
        fclose(file);
    if (!ok) {
        free(data);
        return NULL;
    }
    data[n] = 0;
    *bytes = n;
    return data;
}

bool file_config(const char *name, char *path, size_t size)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char folder[3000];
    if (base && *base == '/')
        snprintf(folder, sizeof folder, "%s", base);
    else if (home && *home == '/')
        snprintf(folder, sizeof folder, "%s/.config", home);
    else
        return false;
    mkdir(folder, 0700); /* whether it is there shows when the file is written */
    size_t n = strlen(folder);
    snprintf(folder + n, sizeof folder - n, "/switchyard");
    mkdir(folder, 0755);
    return snprintf(path, size, "%s/%s", folder, name) < (int)size;
}
