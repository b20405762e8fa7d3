/* The GLSL formula of an element-wise op in terms of a, b, c; NULL for other ops. */
#ifndef SY_OPS_ELEMENTWISE_H
#define SY_OPS_ELEMENTWISE_H

#include "graph/ir/ir.h"

const char *sy_elementwise_glsl(sy_op op);

#endif
