/* One file an entry: header, then the words. Time of last use is the file's modification time, set at each hit. */
#include "graph/emit/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct header {
    char magic[8];
    uint64_t key_lo, key_hi, bytes, hash_lo, hash_hi;
} header;

static const char magic[8] = "SYSPV1\r\n";
static const char suffix[] = ".spv";
enum { MAX_BYTES = 64 << 20, NAME_LENGTH = 32 + 4 };

static bool path_of(const char *folder, sy_hash key, char *out, size_t room)
{
    char text[33];
    sy_hash_text(key, text);
    return (size_t)snprintf(out, room, "%s/%s%s", folder, text, suffix) < room;
}

uint32_t *sy_cache_get(const char *folder, sy_hash key, size_t *n_words)
{
    char path[4096];
    header head;
    struct stat info;
    uint32_t *words = NULL;
    int file = path_of(folder, key, path, sizeof path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return NULL;
    bool ok = fstat(file, &info) == 0 && read(file, &head, sizeof head) == sizeof head &&
              !memcmp(head.magic, magic, sizeof magic) && head.key_lo == key.lo && head.key_hi == key.hi &&
              head.bytes > 0 && head.bytes <= MAX_BYTES && head.bytes % 4 == 0 &&
              (uint64_t)info.st_size == sizeof head + head.bytes && (words = malloc(head.bytes));
    ok = ok && read(file, words, head.bytes) == (ssize_t)head.bytes;
    if (ok) {
        sy_hash hash = sy_hash_bytes(words, head.bytes, 0);
        ok = hash.lo == head.hash_lo && hash.hi == head.hash_hi;
    }
    if (ok) {
        *n_words = head.bytes / 4;
        (void)futimens(file, NULL); /* a folder we may only read serves as well */
    } else {
        free(words);
        words = NULL;
    }
    close(file);
    return words;
}

static void make_folders(const char *folder)
{
    char path[4096];
    size_t length = strlen(folder);
    if (length >= sizeof path)
        return;
    memcpy(path, folder, length + 1);
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            (void)mkdir(path, 0777);
            *p = '/';
        }
    (void)mkdir(path, 0777);
}

static bool write_all(int file, const void *data, size_t size)
{
    for (const char *p = data; size > 0;) {
        ssize_t n = write(file, p, size);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

void sy_cache_put(const char *folder, sy_hash key, const uint32_t *words, size_t n_words)
{
    char path[4096], draft[4096];
    size_t bytes = n_words * 4;
    if (bytes == 0 || bytes > MAX_BYTES || !path_of(folder, key, path, sizeof path) ||
        (size_t)snprintf(draft, sizeof draft, "%s/draft-XXXXXX", folder) >= sizeof draft)
        return;
    make_folders(folder);
    int file = mkstemp(draft);
    if (file < 0)
        return;
    sy_hash hash = sy_hash_bytes(words, bytes, 0);
    header head = {.key_lo = key.lo, .key_hi = key.hi, .bytes = bytes, .hash_lo = hash.lo, .hash_hi = hash.hi};
    memcpy(head.magic, magic, sizeof magic);
    bool ok = write_all(file, &head, sizeof head) && write_all(file, words, bytes);
    ok = close(file) == 0 && ok;
    if (!ok || rename(draft, path))
        unlink(draft);
}

typedef struct entry {
    char name[NAME_LENGTH + 1];
    uint64_t bytes;
    struct timespec used;
} entry;

static int older(const void *a, const void *b)
{
    const struct timespec *x = &((const entry *)a)->used, *y = &((const entry *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

void sy_cache_trim(const char *folder, uint64_t bytes)
{
    DIR *directory = opendir(folder);
    entry *entries = NULL;
    size_t n = 0, room = 0;
    uint64_t total = 0;
    if (!directory)
        return;
    for (struct dirent *d; (d = readdir(directory));) {
        struct stat info;
        if (strlen(d->d_name) != NAME_LENGTH || strcmp(d->d_name + 32, suffix) ||
            fstatat(dirfd(directory), d->d_name, &info, 0))
            continue;
        if (n == room) {
            entry *grown = realloc(entries, (room = 2 * room + 64) * sizeof *entries);
            if (!grown)
                break;
            entries = grown;
        }
        memcpy(entries[n].name, d->d_name, NAME_LENGTH + 1);
        entries[n].bytes = (uint64_t)info.st_size;
        entries[n++].used = info.st_mtim;
        total += (uint64_t)info.st_size;
    }
    if (n)
        qsort(entries, n, sizeof *entries, older);
    for (size_t i = 0; i < n && total > bytes; i++)
        if (unlinkat(dirfd(directory), entries[i].name, 0) == 0)
            total -= entries[i].bytes;
    free(entries);
    closedir(directory);
}
