/* Preconditioning: how a network trained under another formulation is the F of EDM's. See edm_precond.c. */
#ifndef SY_ZOO_EDM_H
#define SY_ZOO_EDM_H

#include "graph/zoo/zoo.h"

struct sy_safetensors;

typedef enum sy_precond { SY_PRECOND_EDM, SY_PRECOND_VP, SY_PRECOND_VE, SY_PRECOND_IDDPM } sy_precond;

/* What the network inside is fed, and what is needed to make its output F. */
typedef struct sy_preconditioned {
    sy_value x, noise;
    sy_value fed, sigma; /* EDM's x and, but for EDM itself, the noise level as f32[M,1,1,1] */
} sy_preconditioned;

/* The metadata "precond"; EDM's where it says nothing. */
bool sy_precond_of(const struct sy_safetensors *file, sy_precond *precond, sy_error *error);
/* x f32[N,C,H,W] and time f32[M] as SY_OBJECTIVE_EDM feeds them. */
sy_preconditioned sy_precondition(sy_graph *g, sy_precond precond, sy_value x, sy_value time);
sy_value sy_precondition_output(sy_graph *g, sy_precond precond, const sy_preconditioned *p, sy_value y);

#endif
