/* See apart.h. */
#include "viewer/apart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNSEEN = 2 }; /* levels of 255 that nobody sees side by side */

static void of_values(const float *a, const float *b, uint64_t n, apart *found)
{
    double sum = 0;
    found->values = n;
    for (uint64_t i = 0; i < n; i++) {
        found->differing += memcmp(&a[i], &b[i], sizeof *a) != 0;
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            found->not_finite++;
            continue;
        }
        double size = fabs((double)a[i] - (double)b[i]);
        sum += size;
        found->largest = fmax(found->largest, size);
    }
    if (n > found->not_finite)
        found->mean = sum / (double)(n - found->not_finite);
}

static void of_pixels(const uint8_t *a, const uint8_t *b, uint64_t n, apart *found)
{
    found->shown = true;
    found->pixels = n;
    for (uint64_t i = 0; i < n; i++, a += 3, b += 3) {
        int most = 0;
        for (int c = 0; c < 3; c++)
            most = abs(a[c] - b[c]) > most ? abs(a[c] - b[c]) : most;
        found->pixels_differing += most > 0;
        found->levels = most > found->levels ? most : found->levels;
    }
}

bool apart_find(const sy_result *a, const sy_result *b, uint32_t picture, apart *found)
{
    *found = (apart){0};
    if (a->width != b->width || a->height != b->height || a->channels != b->channels || !a->data || !b->data ||
        picture >= a->count || picture >= b->count)
        return false;
    const uint64_t pixels = (uint64_t)a->width * a->height, values = pixels * a->channels;
    of_values(a->data + picture * values, b->data + picture * values, values, found);
    if (a->pictures && b->pictures)
        of_pixels(a->pictures + picture * pixels * 3, b->pictures + picture * pixels * 3, pixels, found);
    return true;
}

const char *apart_text(const apart *f)
{
    if (f->not_finite)
        return "Some of it is no number on one of the two: a fault, of that driver or of ours. Run `switchyard doctor` there.";
    if (!f->differing)
        return "Equal in every bit: both add the same numbers in the same order.";
    if (f->shown && !f->pixels_differing)
        return "Every pixel is equal; the numbers behind them differ by rounding, as they may: drivers add in another order, "
               "or multiply and add in one.";
    if (f->shown && f->levels <= UNSEEN)
        return "Rounding, too small to be seen: drivers add in another order, or multiply and add in one.";
    if (!f->shown && f->largest < 1e-2)
        return "Rounding: drivers add in another order, or multiply and add in one.";
    return "More than rounding alone. Where two experts are nearly equal, rounding decides which one is taken, and all later "
           "steps go on from there: the map shows such places as patches. If all of the picture is another one, one of the "
           "two computes wrongly; the reference evaluator tells which.";
}
