/* Attention of pixels or tokens to a text, the same for every network that has it, and the two settings that act there:
 *
 *   "pladis" = "lambda,alpha"     PLADIS: weights lambda entmax_alpha(s) + (1 - lambda) softmax(s); negative ones occur
 *   "nag" = "scale,tau,alpha"     NAG: away from what the same queries get of a negative text
 *
 * See cross_attention.c. */
#ifndef SY_ZOO_CROSS_ATTENTION_H
#define SY_ZOO_CROSS_ATTENTION_H

#include "graph/zoo/zoo.h"

typedef struct sy_cross_settings {
    bool pladis, nag;
    double lambda, entmax;    /* PLADIS */
    double scale, tau, alpha; /* NAG */
} sy_cross_settings;

/* The settings of the caller or the file; errors go to the graph. */
sy_cross_settings sy_cross_settings_of(sy_graph *g, const sy_network_config *config);

/* What attends: q[N,H,T,d] to k[N,H,S,d], v[N,H,S,e]; with NAG also the first M queries to k_negative[M,H,S,d] and
 * v_negative[M,H,S,e] (0: none). Gives [N,T,H e], heads side by side. Taps, in the scope it is called in: see
 * cross_attention.c. */
typedef struct sy_cross_attention {
    const sy_cross_settings *settings;
    sy_value q, k, v, k_negative, v_negative;
    double scale; /* of the scores */
} sy_cross_attention;
sy_value sy_cross_attend(sy_graph *g, const sy_cross_attention *a);

#endif
