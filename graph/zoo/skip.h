/* Skip connections of U-Nets, the same for every network that has them, and the settings that act on them:
 *
 *   "skip_tuning" = "rho_bottom,rho_top"       Skip-Tuning, arXiv 2402.15170: skips are scaled
 *   "freeu" = "b1,b2,s1,s2" or "b1,b2,s1,s2,1" FreeU, arXiv 2309.11497: backbone amplified, skips' low frequencies
 * damped
 *
 * See skip.c. */
#ifndef SY_ZOO_SKIP_H
#define SY_ZOO_SKIP_H

#include "graph/zoo/zoo.h"

typedef struct sy_skips {
    int32_t levels; /* of the decoder; 0 is the deepest */
    bool tuning, freeu, by_level;
    double rho[2];     /* bottom, top */
    double b[2], s[2]; /* of the first and the second stage */
    int32_t width[2];  /* of the backbone in these stages, as they are met; 0: not yet */
} sy_skips;

/* The settings of the caller or the file; errors go to the graph. */
sy_skips sy_skips_of(sy_graph *g, const sy_network_config *config, int32_t levels);

/* [backbone; skip] along the channels, both f32[N,H,W,C], edited as the settings say; called from the deepest on. Taps
 * in the scope: "skip_energy" f32[N], the ratio of the L2 norms of the skip and the backbone as they are concatenated,
 * and with FreeU "backbone_scale" f32[N,H,W,1] where the backbone is scaled by its own mean. */
sy_value sy_skip_concat(sy_graph *g, sy_skips *skips, sy_value backbone, sy_value skip, int32_t level);
/* The tap alone, for networks that add or crop their skips. */
void sy_skip_tap_energy(sy_graph *g, sy_value backbone, sy_value skip);

#endif
