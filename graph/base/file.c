/* See file.h. The temporary file lies in the folder of the wanted one, since only there rename is one step. */
#include "graph/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sy_new_file {
    FILE *stream;
    char *path, *temporary;
    int failed; /* errno of the first failure, or 0 */
};

static void release(sy_new_file *file)
{
    free(file->path);
    free(file->temporary);
    free(file);
}

sy_new_file *sy_file_begin(const char *path, sy_error *error)
{
    sy_new_file *file = calloc(1, sizeof *file);
    int fd = -1;
    if (!file || !(file->path = strdup(path)))
        goto no_memory;
    for (int attempt = 0; fd < 0 && attempt < 100; attempt++) {
        free(file->temporary);
        if (asprintf(&file->temporary, "%s.%ld-%d.tmp", path, (long)getpid(), attempt) < 0) {
            file->temporary = NULL;
            goto no_memory;
        }
        /* not mkstemp: its files only their owner may read, and this one is to have the rights of any new file */
        fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    file->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file->stream)
        return file;
    sy_fail(error, errno == ENOENT ? SY_CODE_NOT_FOUND : SY_CODE_IO, "cannot write \"%s\": %s.", path, strerror(errno));
    if (fd >= 0) {
        close(fd);
        unlink(file->temporary);
    }
    release(file);
    return NULL;
no_memory:
    sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write \"%s\".", path);
    if (file)
        release(file);
    return NULL;
}

void sy_file_put(sy_new_file *file, const void *data, size_t size)
{
    if (!file->failed && size && fwrite(data, 1, size, file->stream) != size)
        file->failed = errno ? errno : EIO;
}

bool sy_file_end(sy_new_file **pointer, bool keep, sy_error *error)
{
    sy_new_file *file = *pointer;
    bool fine = true;
    *pointer = NULL;
    if (fclose(file->stream) && !file->failed)
        file->failed = errno;
    if (keep && !file->failed && rename(file->temporary, file->path))
        file->failed = errno;
    if (!keep || file->failed)
        unlink(file->temporary);
    if (keep && file->failed)
        fine = sy_fail(error, SY_CODE_IO, "cannot write \"%s\": %s.", file->path, strerror(file->failed));
    release(file);
    return fine;
}

char *sy_file_load(const char *path, size_t most, size_t *size, sy_error *error)
{
    struct stat facts;
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FILE *stream = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!stream || fstat(fd, &facts)) {
        sy_fail(error, errno == ENOENT ? SY_CODE_NOT_FOUND : SY_CODE_IO, "cannot read \"%s\": %s.", path,
                strerror(errno));
    } else if (!S_ISREG(facts.st_mode)) {
        sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" is not a file.", path);
    } else if ((unsigned long long)facts.st_size > most) {
        sy_fail(error, SY_CODE_INVALID_FILE, "\"%s\" has %lld bytes; at most %zu are read.", path,
                (long long)facts.st_size, most);
    } else if (!(data = malloc((size_t)facts.st_size + 1))) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the %lld bytes of \"%s\".", (long long)facts.st_size,
                path);
    } else {
        *size = fread(data, 1, (size_t)facts.st_size, stream);
        data[*size] = '\0';
        if (ferror(stream)) {
            sy_fail(error, SY_CODE_IO, "cannot read \"%s\".", path);
            free(data);
            data = NULL;
        }
    }
    if (stream)
        fclose(stream);
    else if (fd >= 0)
        close(fd);
    return data;
}
