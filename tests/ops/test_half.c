/* f16 and bf16: all 65,536 patterns there and back, and between any two neighbours the nearest, of a tie the even one.
 */
#include "graph/ops/eval.h"
#include "tests/check.h"

#include <math.h>

typedef struct format {
    const char *name;
    uint16_t (*from)(double x);
    double (*to)(uint16_t h);
    int fraction, bias;
    uint16_t infinity;
    double smallest, largest; /* subnormal, finite */
} format;

static const format formats[] = {
    {"f16", sy_f16_from_double, sy_f16_to_double, 10, 15, 0x7c00, 0x1p-24, 65504},
    {"bf16", sy_bf16_from_double, sy_bf16_to_double, 7, 127, 0x7f80, 0x1p-133, 0x1.fep127},
};

/* What a pattern means, by the definition. */
static double meaning(const format *f, uint16_t h)
{
    int exponent = (h & 0x7fff) >> f->fraction, part = h & ((1 << f->fraction) - 1);
    double sign = h & 0x8000 ? -1 : 1;
    if ((h & 0x7fff) == f->infinity)
        return sign * (double)INFINITY;
    return sign * (exponent ? pow(2, exponent - f->bias) * (1 + part / pow(2, f->fraction))
                            : pow(2, 1 - f->bias) * (part / pow(2, f->fraction)));
}

static void patterns(const format *f)
{
    int wrong = 0;
    for (int h = 0; h < 65536; h++) {
        double x = f->to((uint16_t)h);
        if ((h & 0x7fff) > f->infinity)
            wrong += !isnan(x) || !isnan(f->to(f->from(x)));
        else
            wrong += x != meaning(f, (uint16_t)h) || (signbit(x) != 0) != (h >= 0x8000) || f->from(x) != h;
    }
    CHECK_SAY(wrong == 0, "%s: %d patterns", f->name, wrong);
}

/* Positive patterns ascend with the numbers they mean, so the neighbour of h is h + 1. */
static void rounding(const format *f)
{
    int wrong = 0;
    for (uint16_t h = 0; h + 1 < f->infinity; h++) {
        double low = f->to(h), high = f->to((uint16_t)(h + 1)), middle = (low + high) / 2; /* exact in double */
        uint16_t even = h & 1 ? (uint16_t)(h + 1) : h;
        wrong += f->from(middle) != even || f->from(-middle) != (even | 0x8000);
        wrong += f->from(nextafter(middle, 0)) != h || f->from(nextafter(middle, INFINITY)) != h + 1;
        wrong += f->from(nextafter(low, INFINITY)) != h || f->from(nextafter(high, 0)) != h + 1;
    }
    CHECK_SAY(wrong == 0, "%s: %d roundings", f->name, wrong);
}

static void ends(const format *f)
{
    double step = f->largest - f->to((uint16_t)(f->infinity - 2)), limit = f->largest + step / 2;
    CHECK(f->to((uint16_t)(f->infinity - 1)) == f->largest);
    CHECK(f->to(1) == f->smallest);
    CHECK(f->from(nextafter(limit, 0)) == f->infinity - 1);
    CHECK(f->from(limit) == f->infinity); /* the tie goes to the even one, which is infinity */
    CHECK(f->from(1e300) == f->infinity && f->from(-1e300) == (f->infinity | 0x8000));
    CHECK(f->from(INFINITY) == f->infinity && f->from(-INFINITY) == (f->infinity | 0x8000));
    CHECK(f->from(f->smallest / 2) == 0); /* tie to even */
    CHECK(f->from(nextafter(f->smallest / 2, 1)) == 1);
    CHECK(f->from(5e-324) == 0 && f->from(-5e-324) == 0x8000);
    CHECK(f->from(0.0) == 0 && f->from(-0.0) == 0x8000);
    CHECK(isnan(f->to(f->from(NAN))));
}

int main(void)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        patterns(&formats[i]);
        rounding(&formats[i]);
        ends(&formats[i]);
    }
    /* Numbers one knows. */
    CHECK(sy_f16_from_double(1) == 0x3c00 && sy_f16_from_double(-2) == 0xc000 && sy_f16_from_double(1.0 / 3) == 0x3555);
    CHECK(sy_bf16_from_double(1) == 0x3f80 && sy_bf16_from_double(-2) == 0xc000 &&
          sy_bf16_from_double(1.0 / 3) == 0x3eab);
    /* Rounding once: by way of f32 this would become 0x3c01, for f32 loses the last bit that tells it from a tie. */
    CHECK(sy_f16_from_double(1 + 0x1p-11 + 0x1p-40) == 0x3c01 && sy_f16_from_double(1 + 0x1p-11 - 0x1p-40) == 0x3c00);
    return check_done();
}
