/* What the graphs of sampling are put together from. Inside src/sample. */
#ifndef SY_SAMPLE_STEP_PARTS_H
#define SY_SAMPLE_STEP_PARTS_H

#include "graph/ir/build.h"
#include "src/sample/sampler.h"
#include "src/sample/step_graph.h"

static inline int32_t sy_step_count(const sy_step_graph_params *p)
{
    return p->count > 0 ? p->count : 1;
}
static inline bool sy_step_uses(const sy_step_graph_params *p, int column)
{
    return p->uses >> column & 1;
}
/* f32[rows, channels, H, W] */
sy_type sy_step_image(const sy_step_graph_params *p, int32_t rows, int32_t channels);

/* An empty graph once the parameters are checked; and the graph if all went well. NULL on error. */
sy_graph *sy_step_begin(const sy_step_graph_params *p, const char *name, sy_error *error);
sy_graph *sy_step_finish(sy_graph *g, sy_error *error);

/* x f32[count, …] once, or twice one after another with guidance: what the network runs on. */
sy_value sy_step_halves(sy_graph *g, const sy_step_graph_params *p, sy_value x);
/* The network on x at `time` (f32[1] or f32[count]), guided: its output f32[count, C, H, W]. *variance (may be NULL):
 * channels C … 2 C - 1 of the conditional output, where learned_variance; else 0. */
sy_value sy_step_evaluate(sy_graph *g, const sy_step_graph_params *p, sy_value x, sy_value time, sy_value *variance);
/* The sampler's update: carries x, h and g, taps "preview". Returns the next x. */
sy_value sy_step_update(sy_graph *g, const sy_step_graph_params *p, sy_value x, sy_value v, sy_value variance);

/* A number a picture, f32[count, 1, 1, 1], from x f32[count, C, H, W]. */
sy_value sy_step_mean_square(sy_graph *g, const sy_step_graph_params *p, sy_value x);
sy_value sy_step_per_picture(sy_graph *g, const sy_step_graph_params *p,
                             sy_value x); /* f32[count] as f32[count,1,1,1] */
/* An i32 or f32 value of any shape as the image's: a picture's condition for all its elements. */
sy_value sy_step_spread(sy_graph *g, const sy_step_graph_params *p, sy_value x);

/* Region-adaptive sampling: the tokens that run, before the network; and what the next step goes by, after it. */
void sy_ras_before(sy_graph *g, const sy_step_graph_params *p, sy_zoo_inputs *inputs);
void sy_ras_after(sy_graph *g, const sy_step_graph_params *p, sy_value output, sy_value v);

#endif
