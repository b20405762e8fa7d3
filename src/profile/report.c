/* Reports: making and ending them, their words, and what is said of samples. */
#include "src/profile/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

sy_profile_report *sy_report_create(void)
{
    return calloc(1, sizeof(sy_profile_report));
}

void sy_report_destroy(sy_profile_report **report)
{
    sy_profile_report *r = report ? *report : NULL;
    if (!r)
        return;
    sy_arena_free(&r->arena);
    free(r);
    *report = NULL;
}

const char *sy_profile_mode_text(sy_profile_mode mode)
{
    return mode == SY_MODE_SERIAL ? "serial" : "overlap";
}

sy_profile_mode sy_report_mode(const sy_profile_report *report)
{
    return report->measured[SY_MODE_SERIAL] ? SY_MODE_SERIAL : SY_MODE_OVERLAP;
}

static const struct {
    const char *text, *unit;
} roofs[] = {
#define X(name, text, unit) {text, unit},
    SY_ROOF_LIST(X)
#undef X
};

const char *sy_roof_text(sy_roof_kind kind)
{
    return (unsigned)kind < SY_ROOF_KINDS ? roofs[kind].text : "";
}

const char *sy_roof_unit(sy_roof_kind kind)
{
    return (unsigned)kind < SY_ROOF_KINDS ? roofs[kind].unit : "";
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted numbers; of an even count the mean of the middle two. */
static double middle(const double *sorted, uint32_t n)
{
    return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

bool sy_samples_describe(const double *of, uint32_t n, sy_samples *out)
{
    *out = (sy_samples){.of = of, .n = n};
    if (!n)
        return true;
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        return false;
    memcpy(sorted, of, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    out->median = middle(sorted, n);
    out->least = sorted[0];
    out->most = sorted[n - 1];
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = fabs(of[i] - out->median);
    qsort(sorted, n, sizeof *sorted, by_value);
    out->spread = middle(sorted, n);
    free(sorted);
    return true;
}

/* The number of a block stays: it tells layers apart. What stands behind it is a part of the block. */
void sy_report_group(const char *layer, char *out, uint32_t room)
{
    size_t n = 0;
    const char *end = layer + strlen(layer);
    for (const char *p = layer; *p; p++)
        if (*p >= '0' && *p <= '9' && (p == layer || p[-1] == '.')) {
            const char *q = p + strspn(p, "0123456789");
            if (!*q || *q == '.') {
                end = q;
                break;
            }
        }
    n = (size_t)(end - layer);
    n = n < room ? n : room - 1;
    memcpy(out, layer, n);
    out[n] = 0;
}
