/* DTR, "Denoising Task Routing for Diffusion Models" (arXiv 2310.07138), on DiT: every block sees a window of the
 * channels that moves with the time step, and the rest goes past it.
 *
 *     x <- Block(m x) + (1 - m) x      m[c] = 1 for start <= c < start + wide, else 0
 *     wide = int(ratio D),  start = round((t / 999)^alpha (D - wide)),  ratio 0.8, alpha 4
 *
 * As the published code has it; the paper writes the window with t - 1 and a floor. Layer norm in the block mixes the
 * channels, so those outside the window are not free of work inside it. Setting "dtr" = "ratio,alpha" moves the window;
 * a ratio of 1 is plain DiT. The files' buffers _unit_mapping hold what the formula gives and are not read. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

#include <math.h>

enum { STEPS = 1000 };

/* The first channel of the window at each training step, and its width. */
static bool window(const sy_dit *dit, double starts[STEPS], double *wide)
{
    double shape[2] = {0.8, 4};
    int32_t n, width = dit->config->width;
    if (!sy_zoo_numbers(dit->config, "dtr", shape, 2, &n, &dit->g->error))
        return false;
    if (!(shape[0] > 0 && shape[0] <= 1 && shape[1] >= 0 && shape[1] <= 100))
        return sy_fail(&dit->g->error, SY_CODE_INVALID_ARGUMENT,
                       "The setting dtr is \"%g,%g\"; the ratio must be above 0 and at most 1, alpha from 0 to 100.",
                       shape[0], shape[1]);
    *wide = fmax(1, floor(width * shape[0]));
    for (int t = 0; t < STEPS; t++)
        starts[t] = nearbyint(pow(t / 999.0, shape[1]) * (width - *wide));
    return true;
}

/* f32[N or 1, 1, width]: 1 on the channels of the window of each sample's time. */
static sy_value active_channels(const sy_dit *dit)
{
    sy_graph *g = dit->g;
    double starts[STEPS], wide;
    if (!window(dit, starts, &wide))
        return 0;
    int32_t times = g->nodes[dit->time].type.dim[0], width = dit->config->width;
    sy_value table = sy_const_of(g, SY_T(SY_I32, STEPS, 1), starts, STEPS);
    sy_value start = sy_take_rows(g, table, sy_cast(g, dit->time, SY_I32));
    start = sy_reshape(g, start, SY_T(SY_I32, times, 1, 1));
    sy_value channel = sy_iota(g, SY_T(SY_I32, 1, 1, width), 2);
    sy_value end = sy_add(g, start, sy_const_of(g, SY_T(SY_I32, 1), &wide, 1));
    sy_value before_end = sy_binary(g, SY_OP_LESS, channel, end),
             before_start = sy_binary(g, SY_OP_LESS, channel, start);
    return sy_cast(g, sy_sub(g, before_end, before_start), SY_F32);
}

sy_value sy_dtr_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    sy_dit dit;
    sy_value x = sy_dit_begin(&dit, g, config, inputs), m = active_channels(&dit);
    sy_value past = sy_sub(g, sy_const(g, 1), m);
    for (int32_t i = 0; i < config->depth; i++) {
        x = sy_add(g, sy_dit_block(&dit, i, sy_mul(g, x, m), sy_dit_dense), sy_mul(g, past, x));
        sy_dit_tap_stream(&dit, i, x);
        sy_scope_push(g, "blocks.%d", i);
        sy_tap(g, "channels", m);
        sy_scope_pop(g);
    }
    return sy_dit_end(&dit, x);
}

bool sy_dtr_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "blocks.0.routing._unit_mapping") || sy_zoo_has(file, "routers.0._unit_mapping");
}
