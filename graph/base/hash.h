/* 128-bit content hash for cache keys (MurmurHash3 x64/128 by Austin Appleby, public domain algorithm).
 * Not cryptographic: a cache entry is verified by its own header as well, and a collision costs a miss. */
#ifndef SY_BASE_HASH_H
#define SY_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct sy_hash {
    uint64_t lo, hi;
} sy_hash;

sy_hash sy_hash_bytes(const void *data, size_t size, uint64_t seed);
/* 32 lower-case hex digits and a terminator. */
void sy_hash_text(sy_hash hash, char out[33]);

#endif
