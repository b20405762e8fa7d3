/* Random cases of every op, for tests here and on devices: see help_ops.h. */
#include "help_ops.h"

#include "graph/ir/build.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stop(const char *what)
{
    fprintf(stderr, "help_ops: %s\n", what);
    abort();
}

/* ---- numbers ---- */

static uint32_t word(help_case *c)
{
    uint64_t z = (c->state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

static int32_t range(help_case *c, int32_t least, int32_t most)
{
    return least + (int32_t)(word(c) % (uint32_t)(most - least + 1));
}

static bool coin(help_case *c)
{
    return word(c) & 1;
}

static double uniform(help_case *c, double low, double high)
{
    return low + (high - low) * word(c) * 0x1p-32;
}

/* A dimension: ones, primes, powers of two and their neighbours, at most `most`. */
static int32_t ragged(help_case *c, int32_t most)
{
    static const int32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 31, 32, 33, 64, 65, 96, 127, 128, 257};
    int32_t size;
    do
        size = sizes[word(c) % (sizeof sizes / sizeof *sizes)];
    while (size > most);
    return size;
}

static double held(sy_dtype dtype, double x)
{
    switch (dtype) {
    case SY_F16:
        return sy_f16_to_double(sy_f16_from_double(x));
    case SY_BF16:
        return sy_bf16_to_double(sy_bf16_from_double(x));
    case SY_I32:
        return (double)(int32_t)x;
    case SY_U32:
        return (double)(uint32_t)x;
    default:
        return (float)x;
    }
}

/* ---- leaves ---- */

static help_array *array(help_case *c, sy_op op, sy_type type)
{
    if (c->n_arrays == HELP_ARRAYS)
        stop("too many arrays in a case");
    help_array *a = &c->arrays[c->n_arrays];
    static const char *const names[HELP_ARRAYS] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};
    *a = (help_array){names[c->n_arrays++], op, type, calloc(sy_type_count(&type), sizeof(double))};
    if (!a->data)
        stop("no memory");
    return a;
}

static sy_value leaf_of(help_case *c, const help_array *a)
{
    return sy_graph_add(c->graph, a->leaf, NULL, 0, NULL, a->leaf == SY_OP_STEP ? NULL : &a->type, a->name);
}

static sy_value leaf(help_case *c, sy_op op, sy_type type, double low, double high)
{
    help_array *a = array(c, op, type);
    for (uint64_t i = 0; i < sy_type_count(&type); i++)
        a->data[i] = held(type.dtype, uniform(c, low, high));
    return leaf_of(c, a);
}

static sy_value input(help_case *c, sy_type type, double low, double high)
{
    return leaf(c, SY_OP_INPUT, type, low, high);
}

static sy_value floats(help_case *c, sy_type type)
{
    return input(c, type, -2, 2);
}

static sy_dtype float_dtype(help_case *c)
{
    static const sy_dtype dtypes[] = {SY_F32, SY_F32, SY_F16, SY_BF16};
    return dtypes[word(c) % 4];
}

static sy_value weights(help_case *c, sy_type type)
{
    type.dtype = float_dtype(c);
    return leaf(c, SY_OP_PARAM, type, -1, 1);
}

/* Rank 1 to 4, at most some 20,000 elements. */
static sy_type shape(help_case *c, sy_dtype dtype)
{
    sy_type type = {.dtype = dtype, .rank = (uint8_t)range(c, 1, 4)};
    int32_t room = 20000;
    for (int d = type.rank - 1; d >= 0; d--) {
        type.dim[d] = ragged(c, room < 257 ? room : 257);
        room /= type.dim[d];
    }
    return type;
}

/* The type with some dimensions 1, and perhaps without leading ones, so that it broadcasts to the first. */
static sy_type partner(help_case *c, sy_type type)
{
    int drop = word(c) % 4 ? 0 : range(c, 0, type.rank - 1);
    for (int d = 0; d + drop < type.rank; d++)
        type.dim[d] = word(c) % 4 ? type.dim[d + drop] : 1;
    type.rank = (uint8_t)(type.rank - drop);
    return type;
}

static uint32_t *permutation(help_case *c, uint32_t n)
{
    uint32_t *order = malloc(n * sizeof *order);
    if (!order)
        stop("no memory");
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = word(c) % (i + 1), keep = order[i];
        order[i] = order[k], order[k] = keep;
    }
    return order;
}

/* Numbers for choosing among: a random permutation of evenly spaced levels in low … high, each moved by less than a
 * fifth of the spacing; or few levels, with exact ties, of which the lower index wins. */
static help_array *spaced(help_case *c, sy_type type, double low, double high)
{
    help_array *a = array(c, SY_OP_INPUT, type);
    uint64_t n = sy_type_count(&type);
    uint32_t *order = permutation(c, (uint32_t)n);
    bool ties = word(c) % 5 == 0;
    for (uint64_t i = 0; i < n; i++) {
        double at = (order[i] + 0.5 + uniform(c, -0.2, 0.2)) / (double)n;
        a->data[i] = held(type.dtype, low + (high - low) * (ties ? (floor(at * 4) + 0.5) / 4 : at));
    }
    free(order);
    return a;
}

/* Scores of rows for targets. One target may be made the best of all rows, another the worst. */
static sy_value scores(help_case *c, int32_t rows, int32_t targets, bool positive)
{
    help_array *a = spaced(c, SY_T(SY_F32, rows, targets), positive ? 0.25 : -1, 1);
    int32_t best = word(c) % 3 ? -1 : range(c, 0, targets - 1), worst = word(c) % 3 ? -1 : range(c, 0, targets - 1);
    for (int32_t t = 0; t < rows; t++)
        for (int32_t e = 0; e < targets; e++)
            a->data[t * targets + e] = held(SY_F32, a->data[t * targets + e] * (e == worst && positive ? 0.125 : 1) +
                                                        (e == best                 ? 4
                                                         : e == worst && !positive ? -4
                                                                                   : 0));
    return leaf_of(c, a);
}

static sy_value ids(help_case *c, sy_type type, int32_t below)
{
    type.dtype = SY_I32;
    help_array *a = array(c, SY_OP_INPUT, type);
    for (uint64_t i = 0; i < sy_type_count(&type); i++)
        a->data[i] = word(c) % 8 ? range(c, 0, below - 1) : range(c, -3, below + 2); /* some outside */
    return leaf_of(c, a);
}

/* ---- element-wise ---- */

/* Where the op is defined and f32 does it well. */
static void domain(sy_op op, help_case *c, double *low, double *high)
{
    static const struct {
        sy_op op;
        double low, high;
    } table[] = {{SY_OP_EXP, -10, 6},      {SY_OP_LOG, 0.01, 40},      {SY_OP_SQRT, 0, 100},
                 {SY_OP_RSQRT, 0.01, 100}, {SY_OP_RECIPROCAL, 0.1, 9}, {SY_OP_TANH, -12, 12},
                 {SY_OP_SIGMOID, -30, 30}, {SY_OP_SILU, -30, 30},      {SY_OP_GELU_TANH, -8, 8},
                 {SY_OP_GELU_ERF, -8, 8},  {SY_OP_FLOOR, -300, 300}};
    *low = -3, *high = 3;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].op == op)
            *low = table[i].low, *high = table[i].high;
    if (op == SY_OP_SIN || op == SY_OP_COS)
        *high = coin(c) ? 8 : 65000, *low = -*high;
}

static sy_value make_unary(help_case *c, sy_op op)
{
    bool integers = op == SY_OP_NEG || op == SY_OP_ABS || op == SY_OP_RELU;
    sy_dtype dtype = integers && word(c) % 3 == 0 ? (coin(c) ? SY_I32 : SY_U32) : float_dtype(c);
    double low, high;
    domain(op, c, &low, &high);
    if (dtype == SY_I32)
        low = INT32_MIN, high = INT32_MAX;
    else if (dtype == SY_U32)
        low = 0, high = UINT32_MAX;
    return sy_unary(c->graph, op, input(c, shape(c, dtype), low, high));
}

/* Integers get nothing they do not hold, which devices convert as they like: f16 ends at 65504. */
static sy_value make_cast(help_case *c)
{
    sy_dtype from = (sy_dtype)range(c, 0, SY_DTYPE_COUNT - 1), to = (sy_dtype)range(c, 0, SY_DTYPE_COUNT - 1);
    bool whole = to == SY_I32 || to == SY_U32 || from == SY_I32 || from == SY_U32;
    double high = whole ? 60000 : 70000;
    sy_type as = shape(c, from);
    sy_value x = input(c, as, from == SY_U32 || to == SY_U32 ? 0 : -high, high);
    as.dtype = to;
    return sy_graph_add(c->graph, SY_OP_CAST, &x, 1, NULL, &as, NULL);
}

static sy_value make_binary(help_case *c, sy_op op)
{
    sy_dtype dtype = word(c) % 3 ? SY_F32 : coin(c) ? SY_I32 : SY_U32;
    sy_type a = shape(c, dtype), b = partner(c, a);
    bool near = op == SY_OP_LESS || op == SY_OP_EQUAL; /* few different numbers: some are equal */
    double low = dtype == SY_F32 ? -3 : dtype == SY_U32 || near ? 0 : INT32_MIN;
    double high = near ? 4 : dtype == SY_F32 ? 3 : dtype == SY_I32 ? INT32_MAX : UINT32_MAX;
    if (op == SY_OP_DIV && dtype == SY_I32)
        low = -30000, high = 30000;
    if (dtype == SY_F32 && !near && coin(c))
        a.dtype = float_dtype(c);
    sy_value x = input(c, a, low, high);
    sy_value y =
        op == SY_OP_DIV ? input(c, b, dtype == SY_F32 ? 0.5 : 1, dtype == SY_F32 ? 3 : 300) : input(c, b, low, high);
    if (near && dtype == SY_F32) {
        x = sy_unary(c->graph, SY_OP_FLOOR, x);
        y = sy_unary(c->graph, SY_OP_FLOOR, y);
    }
    return coin(c) && op != SY_OP_DIV ? sy_binary(c->graph, op, y, x) : sy_binary(c->graph, op, x, y);
}

static sy_value make_select(help_case *c)
{
    sy_dtype dtype = word(c) % 3 ? SY_F32 : coin(c) ? SY_I32 : SY_U32;
    sy_type type = shape(c, dtype), condition = partner(c, type);
    condition.dtype = SY_I32;
    double low = dtype == SY_U32 ? 0 : -90, high = 90;
    sy_value x = input(c, condition, -1.9, 1.9), y = input(c, partner(c, type), low, high),
             z = input(c, type, low, high);
    return sy_select(c->graph, x, y, z);
}

/* ---- views ---- */

static sy_value make_reshape(help_case *c)
{
    int32_t a = ragged(c, 33), b = ragged(c, 33), d = ragged(c, 12);
    sy_value x = floats(c, SY_T(SY_F32, a, b, d));
    const sy_type types[] = {SY_T(SY_F32, a * b * d), SY_T(SY_F32, d, 1, a, b), SY_T(SY_F32, b, a * d)};
    return sy_graph_add(c->graph, SY_OP_RESHAPE, &x, 1, NULL, &types[range(c, 0, 2)], NULL);
}

static sy_value make_view(help_case *c, sy_op op)
{
    sy_type type = shape(c, SY_F32), part = type;
    int32_t ints[SY_MAX_RANK] = {0};
    sy_attributes start = {0};
    sy_value x;
    switch (op) {
    case SY_OP_TRANSPOSE:
        for (int d = 0; d < type.rank; d++)
            ints[d] = d;
        for (int d = type.rank - 1; d > 0; d--) {
            int k = range(c, 0, d), keep = ints[d];
            ints[d] = ints[k], ints[k] = keep;
        }
        return sy_transpose(c->graph, floats(c, type), ints);
    case SY_OP_SLICE:
        for (int d = 0; d < type.rank; d++) {
            start.ints[d] = range(c, 0, type.dim[d] - 1);
            part.dim[d] = range(c, 1, type.dim[d] - start.ints[d]);
        }
        x = floats(c, type);
        return sy_graph_add(c->graph, SY_OP_SLICE, &x, 1, &start, &part, NULL);
    default: /* broadcast: also to more dimensions */
        x = floats(c, partner(c, type));
        return sy_graph_add(c->graph, SY_OP_BROADCAST, &x, 1, NULL, &type, NULL);
    }
}

static sy_value make_concat(help_case *c)
{
    sy_type type = shape(c, SY_F32);
    int axis = range(c, 0, type.rank - 1), n = range(c, 1, 4);
    sy_value parts[4];
    for (int i = 0; i < n; i++) {
        type.dim[axis] = range(c, 1, 9);
        parts[i] = floats(c, type);
    }
    return sy_concat(c->graph, parts, (uint32_t)n, axis);
}

/* ---- reads at indices, random numbers ---- */

static sy_value make_take_rows(help_case *c)
{
    int32_t rows = ragged(c, 65), columns = ragged(c, 65);
    sy_type table = coin(c)   ? SY_T(float_dtype(c), rows, columns)
                    : coin(c) ? SY_T(SY_F32, rows)
                              : SY_T(SY_I32, rows, 3, columns);
    sy_type at = coin(c) ? SY_T(SY_I32, ragged(c, 33)) : SY_T(SY_I32, ragged(c, 7), ragged(c, 7));
    sy_value x = table.dtype == SY_I32 ? input(c, table, -9, 9) : leaf(c, SY_OP_PARAM, table, -1, 1);
    return sy_take_rows(c->graph, x, ids(c, at, rows));
}

static sy_value make_take_last(help_case *c)
{
    sy_type type = shape(c, coin(c) ? SY_F32 : float_dtype(c)), at = type;
    at.dim[at.rank - 1] = range(c, 1, 9);
    sy_value x = floats(c, type);
    return sy_take_last(c->graph, x, ids(c, at, type.dim[type.rank - 1]));
}

static sy_value make_random(help_case *c)
{
    int32_t items = range(c, 1, 5);
    sy_type type = coin(c) ? SY_T(SY_F32, items, ragged(c, 65), ragged(c, 33)) : SY_T(SY_F32, items, ragged(c, 257));
    sy_value seeds = input(c, SY_T(SY_U32, items), 0, UINT32_MAX);
    sy_value counter = coin(c) ? input(c, SY_T(SY_U32, 1), 0, UINT32_MAX) : 0;
    c->tolerance = 2e-3; /* Vulkan lets log err by 2^-21 next to 1, which a square root follows */
    return sy_random_normal(c->graph, seeds, counter, range(c, 0, 5), type);
}

/* ---- products and rows ---- */

static sy_value make_matmul(help_case *c)
{
    int32_t m = ragged(c, 257), k = ragged(c, 128), n = ragged(c, 128), b = range(c, 2, 3), h = range(c, 1, 3);
    bool t = coin(c);
    sy_type left = SY_T(SY_F32, m, k), right = t ? SY_T(SY_F32, n, k) : SY_T(SY_F32, k, n);
    bool batches = false;
    switch (range(c, 0, 3)) {
    case 0:
        left.dim[0] = range(c, 1, 4); /* few rows */
        break;
    case 1: /* leading dimensions of the left one alone */
        left = SY_T(SY_F32, b, ragged(c, 65), k);
        break;
    case 2: /* batches, both computed */
        left = SY_T(SY_F32, b, h, ragged(c, 65), k);
        right = SY_T(SY_F32, b, h, right.dim[0], right.dim[1]);
        batches = true;
        break;
    default:
        left.dtype = float_dtype(c);
    }
    sy_value x = floats(c, left), y = batches ? floats(c, right) : weights(c, right);
    return sy_matmul(c->graph, x, y, t);
}

/* A bias that broadcasts, of few dimensions or all; some of its numbers mask, never key 0, so that each query sees one.
 */
static sy_value bias_of(help_case *c, int32_t b, int32_t h, int32_t t, int32_t s)
{
    sy_type type = SY_T(SY_F32, b, h, t, s);
    int drop = coin(c) ? 0 : range(c, 1, 3);
    for (int d = 0; d + drop < 4; d++)
        type.dim[d] = word(c) % 3 ? type.dim[d + drop] : 1;
    type.rank = (uint8_t)(4 - drop);
    type.dtype = float_dtype(c);
    help_array *a = array(c, SY_OP_INPUT, type);
    int32_t keys = type.dim[type.rank - 1];
    for (uint64_t i = 0; i < sy_type_count(&type); i++)
        a->data[i] = held(type.dtype, i % (uint64_t)keys && word(c) % 4 == 0 ? -60000 : uniform(c, -1, 1));
    return leaf_of(c, a);
}

static sy_value make_attention(help_case *c)
{
    static const int32_t sizes[] = {1, 7, 20, 40, 65, 72, 88};
    int32_t b = range(c, 1, 2), g = range(c, 1, 2), h = g * range(c, 1, 3), t = ragged(c, 65);
    int32_t s = coin(c) ? t : ragged(c, 65), d = coin(c) ? ragged(c, 64) : sizes[word(c) % 7];
    int32_t n = coin(c) ? d : ragged(c, 64);
    sy_attention_params p = {.scale = 1 / sqrt(d), .causal = coin(c)};
    p.q = floats(c, SY_T(SY_F32, b, h, t, d));
    p.k = floats(c, SY_T(SY_F32, b, g, s, d));
    p.v = floats(c, SY_T(SY_F32, b, g, s, n));
    if (coin(c))
        p.bias = bias_of(c, b, h, t, s);
    return sy_attention_full(c->graph, &p);
}

/* Rows of a route for `rows` query blocks and `targets` key blocks: a random set of pairs, so some rows have none. */
static sy_value block_route(help_case *c, int32_t rows, int32_t targets)
{
    uint32_t pairs = (uint32_t)(rows * targets), *order = permutation(c, pairs);
    int32_t length = range(c, 1, (int32_t)pairs);
    help_array *row = array(c, SY_OP_INPUT, SY_T(SY_I32, length)),
               *target = array(c, SY_OP_INPUT, SY_T(SY_I32, length));
    for (int32_t i = 0; i < length; i++) {
        row->data[i] = (double)(order[i] / (uint32_t)targets);
        target->data[i] = word(c) % 9 ? (double)(order[i] % (uint32_t)targets) : -1;
    }
    free(order);
    sy_value from = leaf_of(c, row), to = leaf_of(c, target), weight = floats(c, SY_T(SY_F32, length));
    return sy_route_build(c->graph, from, to, weight, rows, targets, 0, rows);
}

static sy_value make_route_attention(help_case *c)
{
    static const int32_t blocks[] = {1, 3, 4, 8, 16, 32, 64};
    int32_t b = range(c, 1, 2), g = range(c, 1, 2), h = g * range(c, 1, 2), t = ragged(c, 65), s = ragged(c, 65);
    int32_t d = ragged(c, 33), n = coin(c) ? d : ragged(c, 33);
    bool skip = word(c) % 3 == 0;
    sy_attention_params p = {.scale = (skip ? 4 : 1) / sqrt(d), .causal = word(c) % 3 == 0, .skip = skip ? 1.5 : 0};
    p.block_rows = blocks[word(c) % (skip ? 4 : 7)];
    p.block_keys = blocks[word(c) % (skip ? 4 : 7)];
    int32_t queries = (t + p.block_rows - 1) / p.block_rows, keys = (s + p.block_keys - 1) / p.block_keys;
    p.q = floats(c, SY_T(SY_F32, b, h, t, d));
    p.k = floats(c, SY_T(SY_F32, b, g, s, d));
    p.v = floats(c, SY_T(SY_F32, b, g, s, n));
    p.route = block_route(c, (coin(c) ? b * h : b) * queries, keys);
    return sy_route_attention(c->graph, &p);
}

/* ---- images ---- */

/* A float image with 1 to 3 spatial dimensions, few of them large. */
static sy_type image(help_case *c, int32_t channels)
{
    static const int32_t most[] = {65, 17, 7};
    int n = range(c, 1, 3);
    sy_type type = {.dtype = float_dtype(c), .rank = (uint8_t)(n + 2), .dim = {range(c, 1, 2)}};
    for (int d = 0; d < n; d++)
        type.dim[1 + d] = ragged(c, most[n - 1]);
    type.dim[n + 1] = channels;
    return type;
}

/* Seeds below 12 have plain, grouped, depthwise, strided, dilated and transposed ones in turn, then what comes. */
static sy_value make_conv(help_case *c, uint64_t seed)
{
    static const int32_t channels[] = {1, 3, 4, 7, 8, 12, 32, 65};
    uint64_t kind = seed < 12 ? seed % 6 : word(c) % 6;
    int32_t groups = kind == 1 ? range(c, 2, 4) : 1, in = channels[word(c) % 8] * groups, out = ragged(c, 128 / groups);
    if (kind == 2) { /* depthwise */
        static const int32_t wide[] = {1, 4, 7, 32, 65};
        groups = in = wide[word(c) % 5];
        out = range(c, 1, 2);
    }
    sy_attributes a = {.groups = groups};
    sy_type x = image(c, in), w = x;
    int n = x.rank - 2;
    w.dim[n] = in / groups;
    w.dim[n + 1] = out * groups;
    for (int d = 0; d < n; d++) {
        w.dim[d] = range(c, 1, n == 3 ? 3 : 5);
        a.stride[d] = kind == 3 ? range(c, 1, 3) : 1;
        a.dilate[d] = kind == 4 ? range(c, 1, 3) : 1;
        a.up[d] = kind == 5 ? range(c, 1, 3) : 1;
        int32_t reach = (w.dim[d] - 1) * a.dilate[d], room = (x.dim[1 + d] - 1) * a.up[d];
        a.pad[d] = range(c, 0, reach + 1);
        a.pad_high[d] = range(c, 0, reach + 1);
        if (room + a.pad[d] + a.pad_high[d] < reach)
            a.pad[d] = reach;
    }
    sy_value image_value = floats(c, x);
    return sy_conv(c->graph, image_value, weights(c, w), &a);
}

static sy_value make_image(help_case *c, sy_op op)
{
    sy_type type = image(c, ragged(c, 33));
    int n = type.rank - 2;
    sy_attributes a = {.mode = op == SY_OP_RESIZE ? range(c, 0, 1)
                               : op == SY_OP_POOL ? range(c, 0, 2)
                                                  : range(c, 0, 3)};
    sy_type to = type;
    to.dtype = SY_F32;
    if (op == SY_OP_PAD && coin(c))
        type = shape(c, type.dtype);
    sy_value x = floats(c, type);
    for (int d = 0; d < n; d++) {
        int32_t size = type.dim[1 + d];
        a.window[d] = op == SY_OP_POOL ? range(c, 1, size < 4 ? size : 4) : 0;
        a.stride[d] = op == SY_OP_POOL ? range(c, 1, 3) : 0;
        a.pad[d] = op == SY_OP_POOL ? range(c, 0, a.window[d] - 1) : 0;
        a.pad_high[d] = op == SY_OP_POOL ? range(c, 0, a.window[d] - 1) : 0;
        to.dim[1 + d] = ragged(c, 33);
    }
    for (int d = 0; d < type.rank && op == SY_OP_PAD; d++) {
        int32_t most = a.mode == 2 ? type.dim[d] - 1 : a.mode == 3 ? type.dim[d] : 5;
        a.pad[d] = coin(c) ? 0 : range(c, 0, most < 5 ? most : 5);
        a.pad_high[d] = coin(c) ? 0 : range(c, 0, most < 5 ? most : 5);
    }
    return sy_graph_add(c->graph, op, &x, 1, &a, op == SY_OP_RESIZE ? &to : NULL, NULL);
}

static int32_t divisor(help_case *c, int32_t of, int32_t most)
{
    int32_t d = range(c, 1, of < most ? of : most);
    while (of % d)
        d--;
    return d;
}

/* Numbers far from 0 beside their spread: statistics must not be differences of large sums. */
static sy_value make_moments(help_case *c, sy_op op)
{
    sy_type type = op == SY_OP_MOMENTS ? shape(c, SY_F32) : image(c, ragged(c, 33));
    type.dtype = SY_F32;
    int32_t channels = type.dim[type.rank - 1], groups = divisor(c, channels, channels);
    sy_type to = SY_T(SY_F32, type.dim[0], groups * divisor(c, channels / groups, channels), 1);
    double middle = coin(c) ? 0 : 300;
    sy_value x = input(c, type, middle - 2, middle + 2);
    sy_attributes a = {.length = divisor(c, (int32_t)(sy_type_count(&type) / (uint64_t)channels), 128)},
                  of_groups = {.groups = groups, .mode = coin(c)};
    return op == SY_OP_MOMENTS ? sy_graph_add(c->graph, op, &x, 1, &a, NULL, NULL)
                               : sy_graph_add(c->graph, op, &x, 1, &of_groups, &to, NULL);
}

static sy_value make_row(help_case *c, sy_op op)
{
    sy_type type = shape(c, op == SY_OP_TOP_K ? SY_F32 : float_dtype(c));
    int32_t n = type.dim[type.rank - 1];
    if (op == SY_OP_TOP_K)
        return sy_top_k(c->graph, leaf_of(c, spaced(c, type, -5, 5)), range(c, 1, n < 9 || word(c) % 4 == 0 ? n : 9));
    if (op == SY_OP_ENTMAX) {
        c->tolerance = 1e-4; /* where the support begins p is the square of a difference next to 0 */
        return sy_entmax(c->graph, input(c, type, -4, 4), coin(c) ? 1.5 : 2);
    }
    bool norm = op == SY_OP_LAYER_NORM || op == SY_OP_RMS_NORM || op == SY_OP_L2_NORMALISE;
    if (op == SY_OP_LAYER_NORM) /* of one number it divides nothing by almost nothing */
        type.dim[type.rank - 1] += 3;
    return sy_row(c->graph, op, input(c, type, -4, 4), norm ? (coin(c) ? 1e-6 : 1e-3) : 0);
}

/* Rows of any length, some longer than what one step of the lowered op walks. */
static sy_value make_walk(help_case *c, sy_op op)
{
    static const int32_t lengths[] = {1, 5, 64, 100, 130, 256, 257, 384, 700, 1500};
    int32_t n = lengths[word(c) % 10], rows = range(c, 1, 5), run = coin(c) ? 0 : ragged(c, 128);
    sy_type type = coin(c) ? SY_T(SY_F32, rows, n) : SY_T(SY_F32, 2, rows, n);
    sy_attributes a = {.order = coin(c), .length = run}, at = {.length = run};
    sy_value x;
    switch (op) {
    case SY_OP_HISTOGRAM:
        type.dtype = SY_I32;
        return sy_histogram(c->graph, input(c, type, -2, 40), range(c, 1, 37));
    case SY_OP_CUMSUM:
        type.dtype = coin(c) ? SY_F32 : coin(c) ? SY_I32 : SY_BF16;
        return sy_cumsum(c->graph, input(c, type, type.dtype == SY_I32 ? -900 : 0, type.dtype == SY_I32 ? 900 : 1));
    case SY_OP_SORT:
        return sy_sort(c->graph, leaf_of(c, spaced(c, type, -5, 5)), coin(c));
    default:
        x = leaf_of(c, spaced(c, type, -5, 5));
        if (op == SY_OP_SORT_MERGE)
            a.length = at.length = run ? run : n;
        sy_value ids = sy_graph_add(c->graph, SY_OP_SORT_RANK, &x, 1, &a, NULL, NULL);
        if (op == SY_OP_SORT_RANK)
            return ids;
        ids = sy_graph_add(c->graph, SY_OP_SORT_PLACE, &ids, 1, &at, NULL, NULL);
        return op == SY_OP_SORT_PLACE ? ids : sy_graph_add(c->graph, op, (sy_value[]){x, ids}, 2, &a, NULL, NULL);
    }
}

/* ---- routes ---- */

static int32_t few_targets(help_case *c)
{
    static const int32_t counts[] = {1, 2, 3, 5, 8, 13, 64};
    return counts[word(c) % 7];
}

/* A producer by scores; every other one is steered, mostly here and there, sometimes all one way. */
static sy_value chosen(help_case *c, sy_op op, sy_value scores, const sy_attributes *a)
{
    static const double from[] = {-1.99, -1.99, -1, 1};
    const int32_t *dim = c->graph->nodes[scores].type.dim;
    sy_value args[2] = {scores, 0};
    int kind = range(c, 0, 3);
    if (coin(c))
        args[1] = input(c, SY_T(SY_I32, dim[0], dim[1]), from[kind], kind < 2 ? 1.99 : from[kind]);
    return sy_graph_add(c->graph, op, args, args[1] ? 2 : 1, a, NULL, NULL);
}

static sy_value top_k_route(help_case *c)
{
    int32_t rows = ragged(c, 257), targets = few_targets(c), k = range(c, 1, targets < 4 ? targets : 4);
    bool renormalise = coin(c); /* sums of scores of both signs may be next to 0 */
    sy_attributes a = {.k = k, .renormalise = renormalise};
    return chosen(c, SY_OP_ROUTE_TOP_K, scores(c, rows, targets, renormalise), &a);
}

/* One whose weights show the order of a row's choices: not steered. */
static sy_value ordered_route(help_case *c)
{
    int32_t rows = ragged(c, 257), targets = few_targets(c);
    return sy_route_top_k(c->graph, scores(c, rows, targets, false), range(c, 1, targets < 4 ? targets : 4), false);
}

static sy_value expert_choice_route(help_case *c)
{
    int32_t groups = range(c, 1, 3), rows = ragged(c, 65), targets = few_targets(c);
    sy_value x = scores(c, groups * rows, targets, false);
    sy_attributes a = {.k = range(c, 1, rows < 9 ? rows : 9), .group_rows = rows};
    return chosen(c, SY_OP_ROUTE_EXPERT_CHOICE, x, &a);
}

static sy_value split_of(help_case *c, sy_value r)
{
    const int32_t *dim = c->graph->nodes[r].type.dim;
    int32_t rows = dim[SY_ROUTE_ROWS], targets = dim[SY_ROUTE_TARGETS], all = targets + range(c, 0, 2);
    static const double from[] = {-1, 0, 1}; /* some rows, none, all */
    int kind = range(c, 0, 2);
    sy_value mask = input(c, SY_T(SY_I32, rows), from[kind], kind == 0 ? 1.99 : from[kind]);
    return sy_route_split(c->graph, r, mask, range(c, 0, all - 1), all);
}

static sy_value split_route(help_case *c)
{
    return split_of(c, coin(c) ? top_k_route(c) : expert_choice_route(c));
}

/* Rows of a group of a capacity, a divisor of the rows: all of them, some, or one row a group, where there are more
 * pairs of group and target than kernels can count at once. */
static int32_t group_of(help_case *c, int32_t rows)
{
    int32_t d = coin(c) ? rows : coin(c) ? 1 : range(c, 1, rows);
    while (rows % d)
        d++; /* ends at one group */
    return d;
}

static sy_value capacity_route(help_case *c)
{
    sy_value r = word(c) % 4 ? ordered_route(c) : coin(c) ? expert_choice_route(c) : split_of(c, ordered_route(c));
    const sy_graph *g = c->graph;
    const int32_t *dim = g->nodes[r].type.dim;
    sy_value producer = r;
    while (g->nodes[producer].op == SY_OP_ROUTE_SPLIT)
        producer = g->nodes[producer].args[0];
    bool ordered = g->nodes[producer].op == SY_OP_ROUTE_TOP_K && coin(c);
    int32_t group = group_of(c, dim[SY_ROUTE_ROWS]);
    return sy_route_capacity(c->graph, r, range(c, 1, 1 + group / 3), group, ordered);
}

static sy_value build_route(help_case *c)
{
    int32_t rows = ragged(c, 128), targets = few_targets(c), length = ragged(c, 257);
    uint32_t pairs = (uint32_t)(rows * targets), *order = permutation(c, pairs); /* no pair (row, target) comes twice */
    length = (uint32_t)length < pairs ? length : (int32_t)pairs;
    help_array *row = array(c, SY_OP_INPUT, SY_T(SY_I32, length)),
               *target = array(c, SY_OP_INPUT, SY_T(SY_I32, length));
    for (int32_t i = 0; i < length; i++) {
        row->data[i] = (double)(order[i] / (uint32_t)targets);
        target->data[i] = word(c) % 6 ? (double)(order[i] % (uint32_t)targets) : -1;
    }
    free(order);
    int32_t capacity = coin(c) ? 0 : range(c, 1, 4), group = group_of(c, rows);
    sy_value from = leaf_of(c, row), to = leaf_of(c, target), weight = floats(c, SY_T(SY_F32, length));
    return sy_route_build(c->graph, from, to, weight, rows, targets, capacity, group);
}

static sy_value any_route(help_case *c)
{
    switch (range(c, 0, 5)) {
    case 0:
        return expert_choice_route(c);
    case 1:
        return split_route(c);
    case 2:
        return capacity_route(c);
    case 3:
        return build_route(c);
    default:
        return top_k_route(c);
    }
}

static sy_value make_consumer(help_case *c, sy_op op)
{
    sy_value r = any_route(c);
    if (!r)
        return 0;
    const int32_t *dim = c->graph->nodes[r].type.dim;
    int32_t rows = dim[SY_ROUTE_ROWS], targets = dim[SY_ROUTE_TARGETS], slots = dim[SY_ROUTE_SLOTS];
    int32_t n = ragged(c, 33), k = ragged(c, 65);
    bool gather = coin(c), t = coin(c);
    sy_value x;
    switch (op) {
    case SY_OP_GROUPED_MATMUL:
        x = floats(c, SY_T(SY_F32, gather ? rows : slots, k));
        return sy_grouped_matmul(c->graph, x, weights(c, t ? SY_T(SY_F32, targets, n, k) : SY_T(SY_F32, targets, k, n)),
                                 r, gather, t);
    case SY_OP_COMBINE:
        return sy_combine(c->graph, floats(c, SY_T(SY_F32, slots, n)), r, gather);
    case SY_OP_ROUTE_GATHER:
        return sy_route_gather(c->graph, floats(c, SY_T(SY_F32, rows, n)), r);
    case SY_OP_ROUTE_SCATTER:
        x = floats(c, SY_T(SY_F32, slots, n));
        return sy_route_scatter(c->graph, x, r, floats(c, SY_T(SY_F32, rows, n)));
    case SY_OP_ROUTE_SPREAD:
        return sy_route_spread(c->graph, weights(c, SY_T(SY_F32, targets, n)), r);
    default:
        return sy_unary(c->graph, op, r);
    }
}

/* ---- leaves as ops ---- */

static sy_value make_leaf(help_case *c, sy_op op)
{
    sy_type type = shape(c, SY_F32);
    double values[64], one = uniform(c, -1, 1);
    switch (op) {
    case SY_OP_STEP:
        return leaf(c, SY_OP_STEP, SY_T(SY_F32, 1), -1, 1);
    case SY_OP_STEP_INDEX:
        return sy_step_index(c->graph);
    case SY_OP_CONST:
        for (int i = 0; i < 64; i++)
            values[i] = held(SY_F32, uniform(c, -1, 1));
        one = held(SY_F32, one);
        return coin(c) ? sy_const_of(c->graph, type, &one, 1) : sy_const_of(c->graph, SY_T(SY_F32, 4, 16), values, 64);
    case SY_OP_IOTA:
        type.dtype = coin(c) ? SY_F32 : SY_I32;
        return sy_iota(c->graph, type, range(c, 0, type.rank - 1));
    default:
        return leaf(c, op, type, -1, 1);
    }
}

/* A leaf is no output of a dispatch by itself: it is added to an input. */
static sy_value used(help_case *c, sy_value leaf_value)
{
    sy_type type = c->graph->nodes[leaf_value].type;
    return sy_add(c->graph, leaf_value, input(c, type, 0, 8));
}

static sy_value make(help_case *c, sy_op op, uint64_t seed)
{
    switch (op) {
    case SY_OP_CONV:
        return make_conv(c, seed);
    case SY_OP_POOL:
    case SY_OP_RESIZE:
    case SY_OP_PAD:
        return make_image(c, op);
    case SY_OP_GROUP_MOMENT:
    case SY_OP_MOMENTS:
        return make_moments(c, op);
    case SY_OP_CAST:
        return make_cast(c);
    case SY_OP_SELECT:
        return make_select(c);
    case SY_OP_RESHAPE:
        return make_reshape(c);
    case SY_OP_CONCAT:
        return make_concat(c);
    case SY_OP_TAKE_ROWS:
        return make_take_rows(c);
    case SY_OP_TAKE_LAST:
        return make_take_last(c);
    case SY_OP_RANDOM_NORMAL:
        return make_random(c);
    case SY_OP_SORT:
    case SY_OP_SORT_RANK:
    case SY_OP_SORT_PLACE:
    case SY_OP_SORT_MERGE:
    case SY_OP_CUMSUM:
    case SY_OP_HISTOGRAM:
        return make_walk(c, op);
    case SY_OP_MATMUL:
        return make_matmul(c);
    case SY_OP_ATTENTION:
        return make_attention(c);
    case SY_OP_ROUTE_ATTENTION:
        return make_route_attention(c);
    case SY_OP_ROUTE_TOP_K:
        return top_k_route(c);
    case SY_OP_ROUTE_EXPERT_CHOICE:
        return expert_choice_route(c);
    case SY_OP_ROUTE_SPLIT:
        return split_route(c);
    case SY_OP_ROUTE_CAPACITY:
        return capacity_route(c);
    case SY_OP_ROUTE_BUILD:
        return build_route(c);
    default:
        break;
    }
    const sy_op_info *info = sy_op_get(op);
    if (info->class == SY_CLASS_LEAF)
        return make_leaf(c, op);
    if (info->class == SY_CLASS_VIEW)
        return make_view(c, op);
    if (info->class == SY_CLASS_ROW)
        return make_row(c, op);
    if (op == SY_OP_GROUPED_MATMUL || op == SY_OP_COMBINE || !strncmp(info->name, "route.", 6))
        return make_consumer(c, op);
    return info->most == 1 ? make_unary(c, op) : make_binary(c, op);
}

help_case *help_case_make(sy_op op, uint64_t seed)
{
    help_case *c = calloc(1, sizeof *c);
    if (!c || !(c->graph = sy_graph_create("case")))
        stop("no memory");
    c->state = seed * 1000003 + (uint64_t)op;
    c->step = word(c) % 4;
    c->tolerance = 2e-5;
    c->value = make(c, op, seed);
    const sy_node *node = &c->graph->nodes[c->value];
    sy_value out = c->value;
    if (c->value && node->type.is_route)
        out = sy_unary(c->graph, SY_OP_ROUTE_WORDS, c->value);
    else if (c->value && !node->n_args)
        out = used(c, c->value);
    sy_output(c->graph, "out", out);
    if (op == SY_OP_STATE)
        sy_carry(c->graph, c->graph->nodes[c->value].name, out);
    if (!sy_graph_check(c->graph, NULL)) {
        fprintf(stderr, "help_ops: %s, seed %" PRIu64 ": ", sy_op_get(op)->name, seed);
        stop(c->graph->error.message);
    }
    return c;
}

void help_case_free(help_case *c)
{
    for (int i = 0; i < c->n_arrays; i++)
        free(c->arrays[i].data);
    sy_graph_destroy(&c->graph);
    free(c);
}

bool help_case_read(void *context, const sy_node *leaf_node, double *out, sy_error *error)
{
    const help_case *c = context;
    for (int i = 0; i < c->n_arrays; i++)
        if (c->arrays[i].leaf == leaf_node->op && !strcmp(c->arrays[i].name, leaf_node->name)) {
            memcpy(out, c->arrays[i].data, sy_type_count(&leaf_node->type) * sizeof *out);
            return true;
        }
    return sy_fail(error, SY_CODE_NOT_FOUND, "the case has no \"%s\".", leaf_node->name);
}

sy_eval help_case_eval(help_case *c)
{
    sy_eval e;
    if (!sy_eval_init(&e, c->graph, NULL))
        stop("no memory");
    e.read = help_case_read;
    e.context = c;
    e.step = c->step;
    return e;
}

/* ---- comparing ---- */

static char message[256];

static double stored(const sy_type *type, const void *words, uint64_t i)
{
    switch (type->dtype) {
    case SY_F16:
        return sy_f16_to_double(((const uint16_t *)words)[i]);
    case SY_BF16:
        return sy_bf16_to_double(((const uint16_t *)words)[i]);
    case SY_I32:
        return ((const int32_t *)words)[i];
    case SY_U32:
        return ((const uint32_t *)words)[i];
    default:
        return ((const float *)words)[i];
    }
}

/* Words of a route: sections that the layout defines, in them what the count defines. Weights within the tolerance. */
static const char *compare_route(const help_case *c, const sy_type *type, const double *wanted, const uint32_t *got)
{
    sy_route_layout l = sy_route_layout_of(type);
    uint32_t count = (uint32_t)wanted[l.count], rows = (uint32_t)type->dim[SY_ROUTE_ROWS],
             targets = (uint32_t)type->dim[SY_ROUTE_TARGETS];
    const struct {
        const char *name;
        uint32_t at, n;
    } sections[] = {
        {"count", l.count, 1},         {"offsets", l.offsets, targets + 1},      {"rows", l.rows, count},
        {"targets", l.targets, count}, {"row_offsets", l.row_offsets, rows + 1}, {"row_slots", l.row_slots, count}};
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++)
        for (uint32_t i = 0; i < sections[s].n; i++)
            if (got[sections[s].at + i] != (uint32_t)wanted[sections[s].at + i]) {
                snprintf(message, sizeof message, "route: %s[%u] is %u, wanted %u", sections[s].name, i,
                         got[sections[s].at + i], (uint32_t)wanted[sections[s].at + i]);
                return message;
            }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)wanted[l.weights + i];
        float want, is;
        memcpy(&want, &bits, sizeof want);
        memcpy(&is, &got[l.weights + i], sizeof is);
        if (!(fabs((double)is - want) <= c->tolerance * (fabs(want) + 0.1))) {
            snprintf(message, sizeof message, "route: weights[%u] is %.9g, wanted %.9g", i, is, want);
            return message;
        }
    }
    return NULL;
}

/* The route whose slots are the rows of the value, if it is such. */
static sy_value slots_of(const sy_node *node)
{
    if (node->op == SY_OP_GROUPED_MATMUL)
        return node->args[2];
    return node->op == SY_OP_ROUTE_GATHER || node->op == SY_OP_ROUTE_SPREAD ? node->args[1] : 0;
}

const char *help_case_compare(const help_case *c, sy_eval *reference, uint32_t end, const void *words, uint64_t bytes)
{
    sy_error error = {0};
    sy_value value = c->graph->ends[end].value;
    const sy_node *node = &c->graph->nodes[value];
    if (!sy_eval_value(reference, value, &error)) {
        snprintf(message, sizeof message, "reference: %.200s", error.message);
        return message;
    }
    const double *wanted = reference->tensor[value];
    if (bytes != sy_type_bytes(&node->type))
        return "another size than the output's type says";
    if (node->op == SY_OP_ROUTE_WORDS)
        return compare_route(c, &c->graph->nodes[node->args[0]].type, wanted, words);
    uint64_t count = sy_type_count(&node->type);
    if (slots_of(node))
        count = (uint64_t)reference->route[slots_of(node)]->count * (uint64_t)node->type.dim[1];
    double square = 0;
    for (uint64_t i = 0; i < count; i++)
        square += wanted[i] * wanted[i];
    bool whole = node->type.dtype == SY_I32 || node->type.dtype == SY_U32;
    double scale = count ? sqrt(square / (double)count) : 0;
    for (uint64_t i = 0; i < count; i++) {
        double got = stored(&node->type, words, i);
        double room = whole ? 0 : c->tolerance * (fabs(wanted[i]) + scale);
        if (isinf(wanted[i]) ? got != wanted[i] : !(fabs(got - wanted[i]) <= room)) {
            snprintf(message, sizeof message, "element %" PRIu64 " of %" PRIu64 " is %.9g, wanted %.9g (room %.2g)", i,
                     count, got, wanted[i], room);
            return message;
        }
    }
    return NULL;
}
