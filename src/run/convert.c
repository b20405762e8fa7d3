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

void sy_convert_floats(sy_dtype from, const void *data, sy_dtype to, uint64_t count, void *out)
{
    if (from == to) {
        memcpy(out, data, count * (from == SY_F16 || from == SY_BF16 ? 2 : 4));
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        store(to, load(from, data, i), out, i);
}
