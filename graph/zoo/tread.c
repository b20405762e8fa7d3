/* TREAD, "Token Routing for Efficient Architecture-agnostic Diffusion Training" (arXiv 2501.04765): a DiT trained with
 * a random part of the tokens taken past some of the blocks. At inference it is the plain DiT, a flow with the time in
 * 0…1.
 *
 * The setting "tread" = "ratio,start,end" makes it route as in training: before block `start` int(ratio T) tokens of
 * each sample are withheld at random, blocks start … end run on the others alone, attention too, and then the withheld
 * come back as they were. (The authors use it for guidance by the routed network, and for showing what is routed.) The
 * choice is drawn anew at every step; sample n of a batch has seed n. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

enum { STREAM = 0x7ead }; /* of random numbers: apart from the samplers' */

typedef struct token_route {
    int32_t withheld, start, end; /* withheld 0: none */
} token_route;

static bool read_route(const sy_dit *dit, token_route *route)
{
    double v[3];
    int32_t n, depth = dit->config->depth;
    *route = (token_route){0};
    if (!sy_zoo_numbers(dit->config, "tread", v, 3, &n, &dit->g->error))
        return false;
    if (!n)
        return true;
    if (n != 3 || !(v[0] >= 0 && v[0] < 1 && v[1] >= 0 && v[2] >= v[1] && v[2] < depth))
        return sy_fail(
            &dit->g->error, SY_CODE_INVALID_ARGUMENT,
            "The setting tread must be \"ratio,start,end\": 0 <= ratio < 1 and blocks 0 <= start <= end < %d.",
            (int)depth);
    *route = (token_route){(int32_t)(dit->tokens * v[0]), (int32_t)v[1], (int32_t)v[2]};
    return true;
}

/* The tokens that stay: of each sample those with the largest of one random number a token. */
static sy_value kept_tokens(const sy_dit *dit, int32_t kept)
{
    sy_graph *g = dit->g;
    sy_value seeds = sy_iota(g, SY_T(SY_U32, dit->batch), 0);
    sy_value score = sy_random_normal(g, seeds, sy_step_index(g), STREAM, SY_T(SY_F32, dit->batch, dit->tokens));
    score = sy_reshape(g, score, SY_T(SY_F32, dit->batch * dit->tokens, 1));
    return sy_route_expert_choice(g, score, kept, dit->tokens);
}

/* Blocks start … end on the kept tokens. A route lies sorted by row, so each sample's kept tokens lie together. */
static sy_value routed_blocks(const sy_dit *dit, const token_route *route, sy_value x)
{
    sy_graph *g = dit->g;
    sy_dit less = *dit;
    int32_t rows = dit->batch * dit->tokens, width = dit->config->width;
    less.tokens = dit->tokens - route->withheld;
    sy_value r = kept_tokens(dit, less.tokens), before = sy_reshape(g, x, SY_T(SY_F32, rows, width));
    sy_value u = sy_reshape(g, sy_route_gather(g, before, r), SY_T(SY_F32, dit->batch, less.tokens, width));
    for (int32_t i = route->start; i <= route->end; i++) {
        u = sy_dit_block(&less, i, u, sy_dit_dense);
        sy_scope_push(g, "blocks.%d", i);
        sy_tap(g, "route", r);
        sy_scope_pop(g);
    }
    u = sy_reshape(g, u, SY_T(SY_F32, dit->batch * less.tokens, width));
    return sy_reshape(g, sy_route_scatter(g, u, r, before), SY_T(SY_F32, dit->batch, dit->tokens, width));
}

sy_value sy_tread_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    sy_dit dit;
    token_route route;
    sy_value x = sy_dit_begin(&dit, g, config, inputs);
    if (!read_route(&dit, &route))
        return 0;
    for (int32_t i = 0; i < config->depth; i++) {
        if (route.withheld && i == route.start) {
            x = routed_blocks(&dit, &route, x);
            i = route.end;
        } else {
            x = sy_dit_block(&dit, i, x, sy_dit_dense);
        }
        sy_dit_tap_stream(&dit, i, x);
    }
    return sy_dit_end(&dit, x);
}

/* The same as DiT's, but a flow: guided on all channels, the time as it is. */
bool sy_tread_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t fc1[2];
    if (!sy_zoo_configure_shell(file, config, error) || !sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error))
        return false;
    config->mlp_hidden = fc1[0];
    config->objective = SY_OBJECTIVE_FLOW;
    config->time_scale = 1;
    config->guided_channels = config->channels_out;
    config->guidance = 1.5;
    config->steps = 50;
    return sy_zoo_configure_end(file, config, error);
}
