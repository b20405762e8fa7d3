/* SCEdit: editing of a U-Net's skip connections by small trained tuners. See scedit.c. */
#ifndef SY_ZOO_SCEDIT_H
#define SY_ZOO_SCEDIT_H

#include "graph/zoo/zoo.h"

/* Edits skips[0 … n - 1], f32[N,H,W,C] in the order of the way down, where the file has tuners for them. `hint`: the
 * pictures that control tuners follow; 0 where the file has none of these. */
void sy_scedit(sy_graph *g, const sy_network_config *config, sy_value *skips, int n, sy_value hint);
bool sy_scedit_wants_hint(const struct sy_safetensors *file);

#endif
