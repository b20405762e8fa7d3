/* Convolutions whose kernel is mixed anew for every sample. See conditional_conv.c. */
#ifndef SY_ZOO_CONDITIONAL_CONV_H
#define SY_ZOO_CONDITIONAL_CONV_H

#include "graph/zoo/file_layers.h"

/* The layer in the graph's scope, whose weight is [experts,O,I,k,k]: x[N,H,W,I] -> [N,H',W',O]. */
sy_value sy_conditional_conv(const sy_layers *l, sy_value x, sy_value weight, const sy_attributes *attributes);

#endif
