#include "graph/base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t rotate(uint64_t x, int r)
{
    return x << r | x >> (64 - r);
}

static uint64_t finish(uint64_t k)
{
    k = (k ^ k >> 33) * UINT64_C(0xff51afd7ed558ccd);
    k = (k ^ k >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

sy_hash sy_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);
    const unsigned char *p = data;
    uint64_t a = seed, b = seed;
    for (size_t i = 0; i < size / 16; i++, p += 16) {
        uint64_t k[2];
        memcpy(k, p, 16);
        a = (rotate(a ^ rotate(k[0] * c1, 31) * c2, 27) + b) * 5 + 0x52dce729;
        b = (rotate(b ^ rotate(k[1] * c2, 33) * c1, 31) + a) * 5 + 0x38495ab5;
    }
    uint64_t tail[2] = {0, 0};
    memcpy(tail, p, size % 16);
    b ^= rotate(tail[1] * c2, 33) * c1;
    a ^= rotate(tail[0] * c1, 31) * c2;
    a ^= size, b ^= size;
    a += b, b += a;
    a = finish(a), b = finish(b);
    a += b, b += a;
    return (sy_hash){a, b};
}

void sy_hash_text(sy_hash hash, char out[33])
{
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, hash.hi, hash.lo);
}
