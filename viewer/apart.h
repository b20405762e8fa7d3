/* How far two results are apart that should be equal: the same run on two devices. Pure functions of what lies with the
 * host; any thread. */
#ifndef SY_VIEWER_APART_H
#define SY_VIEWER_APART_H

#include "src/switchyard.h"

typedef struct apart {
    uint64_t values, differing;        /* of what the sampler made, f32 */
    uint64_t not_finite;               /* values that are no number in one or both; not in the two below */
    double largest, mean;              /* sizes of their differences */
    bool shown;                        /* there are pixels: the model makes pictures, not a latent code */
    uint64_t pixels, pixels_differing; /* in any channel of 8 bits */
    int levels;                        /* the largest difference of a channel, of 255 */
} apart;

/* Of one picture. False: the two are not of the same sizes, or have not got it. */
bool apart_find(const sy_result *a, const sy_result *b, uint32_t picture, apart *found);
/* What that means, in a sentence or two. */
const char *apart_text(const apart *found);

#endif
