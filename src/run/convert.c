/* Conversions between stored types, through double: every stored type is exact in it. */
#include "src/run/convert.h"

#include "graph/ops/eval.h"

#include <string.h>

/* Data from files is not aligned to anything. */
static uint16_t half_at(const void *data, uint64_t i)
{
    uint16_t word;
    memcpy(&word, (const uint8_t *)data + 2 * i, sizeof word);
    return word;
}

static uint32_t word_at(const void *data, uint64_t i)
{
    uint32_t word;
    memcpy(&word, (const uint8_t *)data + 4 * i, sizeof word);
    return word;
}

static double load(sy_dtype dtype, const void *data, uint64_t i)
{
    uint32_t word;
    float x;
    switch (dtype) {
    case SY_F16:
        return sy_f16_to_double(half_at(data, i));
    case SY_BF16:
        return sy_bf16_to_double(half_at(data, i));
    case SY_I32:
        return (int32_t)word_at(data, i);
    case SY_U32:
        return word_at(data, i);
    default:
        word = word_at(data, i);
        memcpy(&x, &word, sizeof x);
        return (double)x;
    }
}

static double clamp(double x, double least, double most)
{
    return x >= least ? x <= most ? x : most : least; /* not a number: least */
}

static void store(sy_dtype dtype, double x, void *out, uint64_t i)
{
    switch (dtype) {
    case SY_F16:
        ((uint16_t *)out)[i] = sy_f16_from_double(x);
        break;
    case SY_BF16:
        ((uint16_t *)out)[i] = sy_bf16_from_double(x);
        break;
    case SY_I32:
        ((int32_t *)out)[i] = (int32_t)clamp(x, INT32_MIN, INT32_MAX);
        break;
    case SY_U32:
        ((uint32_t *)out)[i] = (uint32_t)clamp(x, 0, UINT32_MAX);
        break;
    default:
        ((float *)out)[i] = (float)x;
    }
}

void sy_convert_to_double(sy_dtype dtype, const void *data, uint64_t count, double *out)
{
    for (uint64_t i = 0; i < count; i++)
        out[i] = load(dtype, data, i);
}

void sy_convert_from_double(sy_dtype dtype, const double *data, uint64_t count, void *out)
{
    for (uint64_t i = 0; i < count; i++)
        store(dtype, data[i], out, i);
}

/* The cases that loading a model is made of, without the way through double. */

static float f32_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, word;
    float x;
    if (exponent == 0) { /* zero and subnormals: a whole number of 2^-24 */
        x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    word = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&x, &word, sizeof x);
    return x;
}

static uint16_t f16_of_f32(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    uint16_t sign = (uint16_t)(word >> 16 & 0x8000);
    uint32_t size = word & 0x7FFFFFFFu;
    if (size < 0x38800000u || size >= 0x47800000u) /* subnormal, overflowing, not finite: rare */
        return sy_f16_from_double((double)x);
    uint32_t half = (size - 0x38000000u) >> 13, rest = size & 0x1FFF;
    half += rest > 0x1000 || (rest == 0x1000 && (half & 1)); /* may carry into the exponent, up to infinity: right */
    return (uint16_t)(sign | half);
}

static void widen(sy_dtype from, const void *data, uint64_t count, float *out)
{
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half = half_at(data, i);
        uint32_t word = (uint32_t)half << 16;
        if (from == SY_F16)
            out[i] = f32_of_f16(half);
        else
            memcpy(&out[i], &word, sizeof word);
    }
}

static void narrow_to_f16(const void *data, uint64_t count, uint16_t *out)
{
    for (uint64_t i = 0; i < count; i++) {
        uint32_t word = word_at(data, i);
        float x;
        memcpy(&x, &word, sizeof x);
        out[i] = f16_of_f32(x);
    }
}

void sy_convert_floats(sy_dtype from, const void *data, sy_dtype to, uint64_t count, void *out)
{
    if (from == to)
        memcpy(out, data, count * (from == SY_F16 || from == SY_BF16 ? 2 : 4));
    else if (to == SY_F32 && (from == SY_F16 || from == SY_BF16))
        widen(from, data, count, out);
    else if (from == SY_F32 && to == SY_F16)
        narrow_to_f16(data, count, out);
    else
        for (uint64_t i = 0; i < count; i++)
            store(to, load(from, data, i), out, i);
}
