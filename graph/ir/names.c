/* Open addressing, linear probing, at most half full, nothing is ever removed. */
#include "graph/ir/names.h"

#include "graph/base/hash.h"

#include <stdlib.h>
#include <string.h>

struct sy_names_entry {
    const char *name;
    uint64_t hash;
    uint32_t value; /* 0: free */
    char kind;
};

static uint64_t hash_of(char kind, const char *name)
{
    return sy_hash_bytes(name, strlen(name), (unsigned char)kind).lo;
}

/* The entry of that name, or the free one where it would go. */
static struct sy_names_entry *find(const sy_names *names, char kind, const char *name, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash;; i++) {
        struct sy_names_entry *e = &names->entries[i & (names->room - 1)];
        if (!e->value || (e->hash == hash && e->kind == kind && !strcmp(e->name, name)))
            return e;
    }
}

static bool grow(sy_names *names)
{
    sy_names wider = {.room = names->room ? names->room * 2 : 64};
    if (wider.room <= names->room || !(wider.entries = calloc(wider.room, sizeof *wider.entries)))
        return false;
    for (uint32_t i = 0; i < names->room; i++) {
        const struct sy_names_entry *e = &names->entries[i];
        if (e->value)
            *find(&wider, e->kind, e->name, e->hash) = *e;
    }
    wider.count = names->count;
    free(names->entries);
    *names = wider;
    return true;
}

uint32_t sy_names_get(const sy_names *names, char kind, const char *name)
{
    return names->room ? find(names, kind, name, hash_of(kind, name))->value : 0;
}

uint32_t sy_names_put(sy_names *names, char kind, const char *name, uint32_t value)
{
    if (names->count >= names->room / 2 && !grow(names)) {
        names->failed = true;
        return 0;
    }
    uint64_t hash = hash_of(kind, name);
    struct sy_names_entry *e = find(names, kind, name, hash);
    if (!e->value) {
        *e = (struct sy_names_entry){name, hash, value, kind};
        names->count++;
    }
    return e->value;
}

void sy_names_free(sy_names *names)
{
    free(names->entries);
    *names = (sy_names){0};
}
