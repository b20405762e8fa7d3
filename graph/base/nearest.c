/* Edit distance (insert, delete, replace; each costs one) in two rows of a table. Names longer than the table
 * are no candidates; a candidate counts only if at most a third of the wanted name differs. */
#include "graph/base/nearest.h"

#include <string.h>

enum { LONGEST = 200 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

void sy_nearest_offer(sy_nearest *nearest, const char *candidate)
{
    size_t m = strlen(nearest->wanted), n = strlen(candidate);
    unsigned limit = (unsigned)m / 3 + 1, row[LONGEST + 1];
    if (nearest->best)
        limit = nearest->distance;
    if (m > LONGEST || n > LONGEST || (m > n ? m - n : n - m) >= limit + !nearest->best)
        return;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= m; i++) {
        unsigned diagonal = row[0], smallest = i;
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned replace = diagonal + (nearest->wanted[i - 1] != candidate[j - 1]);
            diagonal = row[j];
            row[j] = least(replace, least(row[j], row[j - 1]) + 1);
            smallest = least(smallest, row[j]);
        }
        if (smallest > limit)
            return;
    }
    if (nearest->best ? row[n] < nearest->distance : row[n] <= limit) {
        nearest->best = candidate;
        nearest->distance = row[n];
    }
}
