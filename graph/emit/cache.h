/* The disk cache of SPIR-V: a folder of entries named by the hash of everything that decides their content. An entry
 * that is not exactly right (magic, key, size, hash) is a miss; a full disk or a folder that cannot be written
 * costs the cache, nothing else. Several processes may share a folder: entries appear by rename. */
#ifndef SY_EMIT_CACHE_H
#define SY_EMIT_CACHE_H

#include "graph/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The entry's words (free), or NULL. A hit counts as a use. */
uint32_t *sy_cache_get(const char *folder, sy_hash key, size_t *n_words);
void sy_cache_put(const char *folder, sy_hash key, const uint32_t *words, size_t n_words);
/* Removes entries not used for longest until the folder's entries take at most `bytes`. */
void sy_cache_trim(const char *folder, uint64_t bytes);

#endif
