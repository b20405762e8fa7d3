/* On CPU drivers a 3x3 convolution with stride 1 becomes a product of fewer multiplications: Winograd's F(4x4, 3x3) (Lavin, Gray
 * 2015, arXiv 1509.09308; matrices by Toom and Cook), a quarter of the direct ones for tiles of 4x4 pixels:
 *
 *   d[t]     the 6x6 pixels under tile t, rows of x taken by index; outside: zeros           take_rows
 *   v[t]   = (B x B) d[t]        36 x 36                                                     matmul
 *   m[f]   = v[f] u[f]           for each of the 36: tiles x channels, channels x channels   matmul, batched
 *   y[t]   = (A x A) m[t]        16 x 36, back as pixels; bias and the rest ride behind      matmul
 *   u      = (G x G) w           when weights are loaded
 *
 * where M x M is the Kronecker product. All are ordinary ops: they get the kernels of matmul, which on a driver without shared memory
 * reach the same share of the multiply-add roof as the direct convolution does.
 *
 * Points 0, 3/4, -3/4, 3/2, -3/2 and infinity: all of A and B are exact in f32 (a power of two a row moved from B to G keeps both
 * near 1), and rounding grows far less than with the usual 0, 1, -1, 2, -2: relative L2 of 256 channels 1.4e-6, not 3e-6.
 *
 * Sound: exact arithmetic gives the same result (A, B and G satisfy it by construction, a test evaluates both in f64). Whether it
 * pays is counted in multiply-adds; nothing depends on the count being right. */
#include "graph/ops/window.h"
#include "graph/passes/passes.h"
#include "graph/passes/rewrite.h"

#include "graph/ir/build.h"

#include <stdlib.h>

enum { TILE = 4, SIDE = TILE + 2, IN = SIDE * SIDE, OUT = TILE * TILE, TAPS = 9 };

static const double from_pixels[SIDE][SIDE] = {
    {81. / 256, 0, -45. / 64, 0, 1. / 4, 0},
    {0, -27. / 64, -9. / 16, 3. / 16, 1. / 4, 0},
    {0, 27. / 64, -9. / 16, -3. / 16, 1. / 4, 0},
    {0, -27. / 64, -9. / 32, 3. / 4, 1. / 2, 0},
    {0, 27. / 64, -9. / 32, -3. / 4, 1. / 2, 0},
    {0, 81. / 256, 0, -45. / 64, 0, 1. / 4},
};
static const double to_pixels[TILE][SIDE] = {
    {1, 1, 1, 1, 1, 0},
    {0, 3. / 4, -3. / 4, 3. / 2, -3. / 2, 0},
    {0, 9. / 16, 9. / 16, 9. / 4, 9. / 4, 0},
    {0, 27. / 64, -27. / 64, 27. / 8, -27. / 8, 1},
};
static const double from_taps[SIDE][3] = {
    {256. / 81, 0, 0},
    {-512. / 243, -128. / 81, -32. / 27},
    {-512. / 243, 128. / 81, -32. / 27},
    {64. / 243, 32. / 81, 16. / 27},
    {64. / 243, -32. / 81, 16. / 27},
    {0, 0, 4},
};

/* The Kronecker square of a matrix of `columns` columns, as a constant f32[1,rows^2,columns^2]. */
static sy_value squared(sy_graph *g, const double *matrix, int rows, int columns)
{
    double values[IN * IN];
    const int r2 = rows * rows, c2 = columns * columns;
    for (int i = 0; i < r2; i++)
        for (int j = 0; j < c2; j++)
            values[i * c2 + j] = matrix[i / rows * columns + j / columns] * matrix[i % rows * columns + j % columns];
    return sy_const_of(g, SY_T(SY_F32, 1, r2, c2), values, (uint32_t)(r2 * c2));
}

static sy_value number(sy_graph *g, int32_t n)
{
    double value = n;
    return sy_const_of(g, SY_T(SY_I32, 1), &value, 1);
}

/* `at` counted from -pad is one of 0 … size - 1: 1, else 0. */
static sy_value within(sy_graph *g, sy_value at, int32_t size)
{
    sy_value above = sy_binary(g, SY_OP_LESS, number(g, -1), at), below = sy_binary(g, SY_OP_LESS, at, number(g, size));
    return sy_mul(g, above, below);
}

/* The pixels under each tile as rows of x: i32[images x tiles down, tiles across, SIDE, SIDE], -1 outside. */
static sy_value pixels_of(sy_graph *g, const sy_window *w)
{
    const int32_t down = w->out[1] / TILE, across = w->out[2] / TILE;
    const sy_type type = SY_T(SY_I32, w->images * down, across, SIDE, SIDE);
    sy_value row = sy_iota(g, type, 0), image = sy_binary(g, SY_OP_DIV, row, number(g, down));
    sy_value y = sy_mul(g, sy_sub(g, row, sy_mul(g, image, number(g, down))), number(g, TILE));
    y = sy_sub(g, sy_add(g, y, sy_iota(g, type, 2)), number(g, w->pad[1]));
    sy_value x = sy_add(g, sy_mul(g, sy_iota(g, type, 1), number(g, TILE)), sy_iota(g, type, 3));
    x = sy_sub(g, x, number(g, w->pad[2]));
    sy_value at = sy_add(g, sy_mul(g, image, number(g, w->in[1])), y);
    at = sy_add(g, sy_mul(g, at, number(g, w->in[2])), x);
    sy_value inside = sy_mul(g, within(g, y, w->in[1]), within(g, x, w->in[2]));
    return sy_select(g, inside, at, number(g, -1));
}

typedef struct problem {
    sy_window window;
    int32_t tiles, channels, out; /* tiles of all images; channels in and out */
} problem;

static bool is_3x3(const sy_window *w)
{
    bool fine = w->groups == 1 && w->in[0] == 1 && w->out[0] == 1 && w->size[0] == 1;
    for (int d = 1; d < SY_SPATIAL; d++)
        fine = fine && w->size[d] == 3 && w->stride[d] == 1 && w->dilate[d] == 1 && w->up[d] == 1 && w->out[d] % TILE == 0;
    return fine;
}

/* Multiply-adds of both ways, those of the small products twice: they are bound by what they load and store. A million for
 * the further dispatches. Rows of the large product come in the 16 of its kernel. */
static bool pays(const problem *p)
{
    enum { ROWS = 16, DISPATCHES = 1000000 };
    double c = p->channels, o = p->out, t = p->tiles, rows = (p->tiles + ROWS - 1) / ROWS * ROWS;
    double direct = TAPS * OUT * t * c * o, product = IN * rows * c * o, ends = 2 * t * (IN * IN * c + OUT * IN * o);
    return 1.2 * (product + ends + DISPATCHES) < direct;
}

/* f32[IN, channels, out], made when weights are loaded. */
static sy_value weights_of(sy_graph *g, sy_value w, const problem *p)
{
    sy_value taps = sy_reshape(g, sy_cast(g, w, SY_F32), SY_T(SY_F32, TAPS, p->channels * p->out));
    sy_value matrix = sy_reshape(g, squared(g, *from_taps, SIDE, 3), SY_T(SY_F32, IN, TAPS));
    return sy_reshape(g, sy_matmul(g, matrix, taps, false), SY_T(SY_F32, IN, p->channels, p->out));
}

static sy_value lowered(sy_graph *g, sy_value x, sy_value w, const problem *p)
{
    const sy_window *window = &p->window;
    const int32_t t = p->tiles, lines = window->images * window->out[1] / TILE, across = window->out[2] / TILE;
    const int32_t frequencies[] = {1, 0, 2}, pixels[] = {0, 2, 1, 3};
    x = sy_reshape(g, x, SY_T(SY_F32, window->images * window->in[1] * window->in[2], p->channels));
    x = sy_reshape(g, sy_take_rows(g, x, pixels_of(g, window)), SY_T(SY_F32, t, IN, p->channels));
    sy_value b = sy_broadcast(g, squared(g, *from_pixels, SIDE, SIDE), SY_T(SY_F32, t, IN, IN));
    sy_value v = sy_transpose(g, sy_matmul(g, b, x, false), frequencies);
    sy_value m = sy_transpose(g, sy_matmul(g, v, weights_of(g, w, p), false), frequencies);
    sy_value a = sy_broadcast(g, squared(g, *to_pixels, TILE, SIDE), SY_T(SY_F32, t, OUT, IN));
    sy_value y = sy_reshape(g, sy_matmul(g, a, m, false), SY_T(SY_F32, lines, across, TILE, TILE * p->out));
    y = sy_transpose(g, y, pixels);
    return sy_reshape(g, y, SY_T(SY_F32, window->images, window->out[1], window->out[2], p->out));
}

/* Which values depend on parameters and constants alone. */
static void mark_early(const sy_graph *graph, bool *early)
{
    for (sy_value v = 1; v < graph->n_nodes; v++) {
        const sy_node *node = &graph->nodes[v];
        early[v] = node->n_args ? !node->type.is_route
                                : node->op == SY_OP_PARAM || node->op == SY_OP_CONST || node->op == SY_OP_IOTA;
        for (uint32_t i = 0; i < node->n_args; i++)
            early[v] = early[v] && early[node->args[i]];
    }
}

/* A convolution of the old graph that is better done so; weights grow fourfold and more, so all together have a bound. */
static bool poses(const sy_plan *plan, const sy_graph *old, const sy_node *node, const bool *early, uint64_t *room, problem *p)
{
    if (node->op != SY_OP_CONV || !early[node->args[1]])
        return false;
    const sy_type *x = &old->nodes[node->args[0]].type, *w = &old->nodes[node->args[1]].type;
    *p = (problem){.window = sy_window_of(old, node), .channels = w->dim[w->rank - 2], .out = w->dim[w->rank - 1]};
    if (x->rank != 4 || x->dtype != SY_F32 || node->type.dtype != SY_F32 || !is_3x3(&p->window))
        return false;
    p->tiles = (int32_t)(p->window.pixels / OUT);
    uint64_t wider = (uint64_t)(p->channels > p->out ? p->channels : p->out), most = plan->limits.storage_range;
    uint64_t between = sizeof(float) * IN * (uint64_t)p->tiles * wider;
    uint64_t weights = sizeof(float) * IN * (uint64_t)p->channels * (uint64_t)p->out;
    if (!pays(p) || (most && (between > most || weights > most)) || weights > *room)
        return false;
    *room -= weights;
    return true;
}

bool sy_pass_winograd(sy_plan *plan, sy_error *error)
{
    uint64_t room = (uint64_t)256 << 20; /* bytes of weights in all */
    sy_rewrite rewrite;
    if (!plan->limits.cpu)
        return true;
    bool *early = calloc(plan->graph->n_nodes, sizeof *early);
    if (!early)
        return sy_no_memory(error);
    if (!sy_rewrite_begin(&rewrite, plan->graph, error)) {
        free(early);
        return false;
    }
    mark_early(rewrite.old, early);
    for (sy_value v = 1; v < rewrite.old->n_nodes; v++) {
        const sy_node *node = &rewrite.old->nodes[v];
        problem p;
        if (!rewrite.live[v])
            continue;
        if (!poses(plan, rewrite.old, node, early, &room, &p)) {
            sy_rewrite_copy(&rewrite, v);
            continue;
        }
        sy_rewrite_scope(&rewrite, v);
        rewrite.map[v] = lowered(rewrite.graph, rewrite.map[node->args[0]], rewrite.map[node->args[1]], &p);
    }
    free(early);
    return sy_rewrite_end(&rewrite, plan, error);
}
