/* The emitter: SPIR-V of kernels, each compiled once; asked of memory, then the disk cache, then the compiler. One
 * emitter may be used by several threads: its table is under a lock, compiling is outside it. */
#include "graph/base/hash.h"
#include "graph/emit/cache.h"
#include "graph/emit/spirv.h"
#include "graph/passes/plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, DEFAULT_CACHE_BYTES = 64 << 20 };

typedef struct kernel {
    struct kernel *next;
    sy_hash key;
    uint32_t *words;
    uint32_t n_words;
} kernel;

struct sy_emitter {
    pthread_mutex_t lock;
    kernel *kernels;
    char *folder; /* NULL: no disk cache */
    uint64_t bytes;
    bool wrote;
};

struct sy_emitter *sy_emitter_create(const sy_compile_params *params, const sy_limits *limits, sy_error *error)
{
    (void)limits; /* SPIR-V depends on the text alone; what the device decides is in the text */
    struct sy_emitter *emitter = calloc(1, sizeof *emitter);
    const char *folder = params ? params->cache_directory : NULL;
    if (!emitter || (folder && !(emitter->folder = strdup(folder)))) {
        free(emitter);
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    emitter->bytes = params && params->cache_bytes ? params->cache_bytes : DEFAULT_CACHE_BYTES;
    if (!sy_spirv_open(error)) {
        free(emitter->folder);
        free(emitter);
        return NULL;
    }
    pthread_mutex_init(&emitter->lock, NULL);
    return emitter;
}

void sy_emitter_destroy(struct sy_emitter **at)
{
    struct sy_emitter *emitter = at ? *at : NULL;
    if (!emitter)
        return;
    if (emitter->folder && emitter->wrote)
        sy_cache_trim(emitter->folder, emitter->bytes);
    for (kernel *k = emitter->kernels, *next; k; k = next) {
        next = k->next;
        free(k->words);
        free(k);
    }
    pthread_mutex_destroy(&emitter->lock);
    free(emitter->folder);
    free(emitter);
    sy_spirv_close();
    *at = NULL;
}

static kernel *find(struct sy_emitter *emitter, sy_hash key)
{
    for (kernel *k = emitter->kernels; k; k = k->next)
        if (k->key.lo == key.lo && k->key.hi == key.hi)
            return k;
    return NULL;
}

/* Enters the words, which become the emitter's; another thread may have been faster. */
static kernel *enter(struct sy_emitter *emitter, sy_hash key, uint32_t *words, size_t n_words, sy_error *error)
{
    kernel *k = find(emitter, key);
    if (k) {
        free(words);
        return k;
    }
    k = calloc(1, sizeof *k);
    if (!k) {
        free(words);
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    *k = (kernel){emitter->kernels, key, words, (uint32_t)n_words};
    emitter->kernels = k;
    return k;
}

bool sy_emit_spirv(struct sy_emitter *emitter, const char *kernel_name, const char *glsl, const uint32_t **spirv,
                   uint32_t *n_words, bool *from_cache, sy_error *error)
{
    const char *tools = sy_spirv_versions();
    sy_hash key = sy_hash_bytes(tools, strlen(tools), FORMAT);
    key = sy_hash_bytes(glsl, strlen(glsl), key.lo ^ key.hi);
    pthread_mutex_lock(&emitter->lock);
    kernel *k = find(emitter, key);
    pthread_mutex_unlock(&emitter->lock);
    *from_cache = k != NULL;
    if (!k) {
        size_t n = 0;
        uint32_t *words = emitter->folder ? sy_cache_get(emitter->folder, key, &n) : NULL;
        *from_cache = words != NULL;
        if (!words && !sy_spirv_compile(kernel_name, glsl, &words, &n, error))
            return false;
        if (!*from_cache && emitter->folder)
            sy_cache_put(emitter->folder, key, words, n);
        pthread_mutex_lock(&emitter->lock);
        emitter->wrote = emitter->wrote || !*from_cache;
        k = enter(emitter, key, words, n, error);
        pthread_mutex_unlock(&emitter->lock);
        if (!k)
            return false;
    }
    *spirv = k->words;
    *n_words = k->n_words;
    return true;
}
