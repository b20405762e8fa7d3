/* f16 and bf16, to and from double, round to nearest even. The rounding is done once, on the double itself. */
#include "graph/ops/eval.h"

#include <math.h>
#include <string.h>

/* A binary format with `fraction` explicit bits and exponents from `least` (of normal numbers) to `most`. */
static uint16_t from_double(double x, int fraction, int least, int most)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0, infinite = (uint16_t)((most - least + 2) << fraction);
    if (isnan(x))
        return (uint16_t)(sign | infinite | 1 << (fraction - 1));
    x = fabs(x);
    if (isinf(x))
        return sign | infinite;
    if (x == 0)
        return sign;
    int exponent;
    frexp(x, &exponent); /* x = [0.5, 1) 2^exponent */
    exponent--;
    if (exponent < least)
        exponent = least; /* subnormal: the same spacing as the smallest normal numbers */
    double units = nearbyint(ldexp(x, fraction - exponent)); /* in units of the last place; default mode: to even */
    if (units >= ldexp(1, fraction + 1)) {
        units /= 2;
        exponent++;
    }
    if (exponent > most)
        return sign | infinite;
    uint16_t bits = (uint16_t)units; /* holds the hidden bit, which adds the right 1 to the exponent field */
    return (uint16_t)(sign | (uint16_t)(bits + ((exponent - least) << fraction)));
}

static double to_double(uint16_t h, int fraction, int least, int most)
{
    int field = (h & 0x7fff) >> fraction;
    double part = h & ((1 << fraction) - 1), x;
    if (field == most - least + 2)
        x = part != 0 ? NAN : INFINITY;
    else if (field == 0)
        x = ldexp(part, least - fraction);
    else
        x = ldexp(part + ldexp(1, fraction), least + field - 1 - fraction);
    return h & 0x8000 ? -x : x;
}

uint16_t sy_f16_from_double(double x)
{
    return from_double(x, 10, -14, 15);
}

double sy_f16_to_double(uint16_t h)
{
    return to_double(h, 10, -14, 15);
}

uint16_t sy_bf16_from_double(double x)
{
    return from_double(x, 7, -126, 127);
}

double sy_bf16_to_double(uint16_t h)
{
    return to_double(h, 7, -126, 127);
}
