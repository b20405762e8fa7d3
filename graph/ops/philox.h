/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a counter and a
 * key in, four random words out. shaders/philox.glsl is the same in GLSL, bit for bit.
 *
 * Normals by Box-Muller, two from two words: u = ((word >> 9) + 0.5) 2^-23, which f32 holds exactly, so that devices
 * begin with the very numbers of the reference; never 0 or 1. Words 0, 1 give sqrt(-2 ln u0) cos(2 pi u1) and the same
 * with sin; words 2, 3 likewise. Element i of item n uses output i % 4 of key (seed[n], stream) and counter (i / 4,
 * step, 0, 0). */
#ifndef SY_OPS_PHILOX_H
#define SY_OPS_PHILOX_H

#include <math.h>
#include <stdint.h>

static inline void sy_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1],
                            (uint32_t)a};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

static inline void sy_philox_normals(const uint32_t word[4], double normal[4])
{
    for (int i = 0; i < 4; i += 2) {
        double u = ((word[i] >> 9) + 0.5) * 0x1p-23, v = ((word[i + 1] >> 9) + 0.5) * 0x1p-23;
        double radius = sqrt(-2 * log(u)), angle = 6.28318530717958647692 * v;
        normal[i] = radius * cos(angle);
        normal[i + 1] = radius * sin(angle);
    }
}

#endif
