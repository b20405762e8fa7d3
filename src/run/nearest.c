/* Edit distance (Levenshtein, two rows) over names of bounded length. Names further away than half the wanted one's
 * length are no help and are left out. */
#include "src/run/nearest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 96 }; /* longer names are compared by their ends, where tensor names differ */

static const char *tail(const char *name, size_t *length)
{
    size_t n = strlen(name);
    *length = n < LONGEST ? n : LONGEST;
    return name + n - *length;
}

static size_t distance(const char *a, const char *b)
{
    size_t n, m, row[LONGEST + 1];
    a = tail(a, &n);
    b = tail(b, &m);
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), less = row[j - 1] < row[j] ? row[j - 1] : row[j];
            diagonal = row[j];
            row[j] = change < less + 1 ? change : less + 1;
        }
    }
    return row[m];
}

void sy_nearest_offer(sy_nearest *nearest, const char *wanted, const char *name)
{
    size_t length, d = distance(wanted, name);
    tail(wanted, &length);
    if (d > (length + 1) / 2)
        return;
    for (int i = 0; i < SY_NEAREST; i++) {
        if (nearest->name[i] && nearest->distance[i] <= d)
            continue;
        for (int j = SY_NEAREST - 1; j > i; j--) {
            nearest->name[j] = nearest->name[j - 1];
            nearest->distance[j] = nearest->distance[j - 1];
        }
        nearest->name[i] = name;
        nearest->distance[i] = d;
        return;
    }
}

char *sy_nearest_text(const sy_nearest *nearest, char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < SY_NEAREST && nearest->name[i]; i++) {
        int wrote = snprintf(out + used, room - used, "%s\"%s\"", i ? ", " : "", nearest->name[i]);
        if (wrote < 0 || (size_t)wrote >= room - used) {
            out[used] = 0;
            break;
        }
        used += (size_t)wrote;
    }
    return out;
}
