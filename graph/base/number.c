/* Printing and reading of doubles under the C locale. glibc keeps one such locale object, so asking for it costs
 * nothing; where there is none (memory is out) the thread's own locale serves. */
#include "graph/base/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *sy_number_print(double x, char out[SY_NUMBER_SIZE])
{
    if (isnan(x) || isinf(x))
        return strcpy(out, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c ? uselocale(c) : (locale_t)0;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, SY_NUMBER_SIZE, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    return out;
}

bool sy_number_read(const char *text, size_t size, double *out)
{
    char copy[400]; /* the longest decimal without an exponent has 309 digits before the point */
    size_t sign = size && (text[0] == '-' || text[0] == '+');
    if (size == sign || size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (!strcmp(copy + sign, "inf") || !strcmp(copy + sign, "nan")) {
        double x = copy[sign] == 'i' ? INFINITY : NAN;
        *out = copy[0] == '-' ? -x : x;
        return true;
    }
    if (strspn(copy + sign, "0123456789.eE+-") != size - sign || copy[sign] == '-' || copy[sign] == '+')
        return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end;
    *out = c ? strtod_l(copy, &end, c) : strtod(copy, &end);
    if (c)
        freelocale(c);
    return end == copy + size;
}
