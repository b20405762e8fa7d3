/* Every op of the table against an independent formula: for each element of the result, what the documentation of the
 * op says, by the plainest way there is, in long double. An op without a row in `wanted` below fails the test: the list
 * of ops is that of ops.def. Routes (their own kind of value) are compared whole. */
#include "help_ops.h"
#include "tests/check.h"

#include <math.h>

typedef long double real;

typedef struct thing {
    const sy_graph *graph;
    const sy_node *node;
    const sy_eval *eval;
    const help_case *c;
} thing;

static const sy_type *type_of(const thing *t, uint32_t i)
{
    return &t->graph->nodes[t->node->args[i]].type;
}

static real at(const thing *t, uint32_t i, uint64_t flat)
{
    return t->eval->tensor[t->node->args[i]][flat];
}

static const sy_eval_route *route(const thing *t, uint32_t i)
{
    return t->eval->route[t->node->args[i]];
}

static uint64_t flat(const sy_type *type, const int32_t *ix)
{
    uint64_t k = 0;
    for (int d = 0; d < type->rank; d++)
        k = k * (uint64_t)type->dim[d] + (uint64_t)ix[d];
    return k;
}

/* Argument i at the index of the result, broadcasting. */
static real arg(const thing *t, uint32_t i, const int32_t *ix)
{
    const sy_type *type = type_of(t, i);
    int32_t own[SY_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        own[d] = type->dim[d] == 1 ? 0 : ix[t->node->type.rank - type->rank + d];
    return at(t, i, flat(type, own));
}

static bool is_float(const thing *t, uint32_t i)
{
    sy_dtype dtype = type_of(t, i)->dtype;
    return dtype == SY_F32 || dtype == SY_F16 || dtype == SY_BF16;
}

/* ---- leaves ---- */

static real leaf(const thing *t, const int32_t *ix)
{
    for (int i = 0; i < t->c->n_arrays; i++)
        if (t->c->arrays[i].leaf == t->node->op && !strcmp(t->c->arrays[i].name, t->node->name))
            return t->c->arrays[i].data[flat(&t->node->type, ix)];
    return NAN;
}

static real step_index(const thing *t, const int32_t *ix)
{
    (void)ix;
    return t->c->step;
}

static real constant(const thing *t, const int32_t *ix)
{
    const sy_value_list *list = &t->node->attributes.values;
    return list->data[list->count == 1 ? 0 : flat(&t->node->type, ix)];
}

static real iota(const thing *t, const int32_t *ix)
{
    return ix[t->node->attributes.axis];
}

/* ---- element-wise ---- */

static uint32_t bits(real x)
{
    return (uint32_t)(int64_t)x;
}

/* 32 bits as the dtype of the node reads them. */
static real as(const thing *t, uint32_t word)
{
    return t->node->type.dtype == SY_I32 ? (real)(int32_t)word : (real)word;
}

#define UNARY(name, formula)                                                                                           \
    static real name(const thing *t, const int32_t *ix)                                                                \
    {                                                                                                                  \
        real x = arg(t, 0, ix);                                                                                        \
        return formula;                                                                                                \
    }
/* (1 + tanh(x / 2)) / 2, without cancellation where it is small. */
static real halved_tanh(real x)
{
    return x < 0 ? expl(x) / (1 + expl(x)) : (1 + tanhl(x / 2)) / 2;
}
static const real pi = 3.141592653589793238462643383279502884L;
UNARY(neg, is_float(t, 0) ? 0 - x : as(t, 0u - bits(x)))
UNARY(magnitude, x < 0 ? 0 - x : x)
UNARY(e_to_the, expl(x))
UNARY(logarithm, logl(x))
UNARY(root, sqrtl(x))
UNARY(inverse_root, powl(x, -0.5L))
UNARY(inverse, powl(x, -1))
UNARY(sine, sinl(x))
UNARY(cosine, cosl(x))
UNARY(hyperbolic, expm1l(2 * x) / (expm1l(2 * x) + 2))
UNARY(sigmoid, halved_tanh(x))
UNARY(silu, x *halved_tanh(x))
UNARY(gelu_tanh, x *halved_tanh(2 * sqrtl(2 / pi) * (x + 0.044715L * x * x * x)))
UNARY(gelu_erf, x / 2 * erfcl(-x / sqrtl(2)))
UNARY(relu, (x + fabsl(x)) / 2)
UNARY(floored, rintl(x) > x ? rintl(x) - 1 : rintl(x))

static real cast(const thing *t, const int32_t *ix)
{
    real x = arg(t, 0, ix);
    switch (t->node->type.dtype) {
    case SY_F16: /* conversions are tested by themselves, see test_half */
        return sy_f16_to_double(sy_f16_from_double((double)x));
    case SY_BF16:
        return sy_bf16_to_double(sy_bf16_from_double((double)x));
    case SY_F32:
        return x;
    default:
        return x < 0 ? -floorl(-x) : floorl(x);
    }
}

#define BINARY(name, floats, integers)                                                                                 \
    static real name(const thing *t, const int32_t *ix)                                                                \
    {                                                                                                                  \
        real x = arg(t, 0, ix), y = arg(t, 1, ix);                                                                     \
        return is_float(t, 0) ? (floats) : (integers);                                                                 \
    }
BINARY(add, x + y, as(t, bits(x) + bits(y)))
BINARY(sub, x - y, as(t, bits(x) - bits(y)))
BINARY(mul, x *y, as(t, bits(x) * bits(y)))
BINARY(divide, x / y, truncl(x / y))
BINARY(smaller, fminl(x, y), fminl(x, y))
BINARY(larger, fmaxl(x, y), fmaxl(x, y))
BINARY(less, y - x > 0, y - x > 0)
BINARY(equal, !(x < y || y < x), !(x < y || y < x))

static real selected(const thing *t, const int32_t *ix)
{
    return arg(t, 0, ix) == 0 ? arg(t, 2, ix) : arg(t, 1, ix);
}

/* ---- views ---- */

static real reshape(const thing *t, const int32_t *ix)
{
    return at(t, 0, flat(&t->node->type, ix));
}

static real transpose(const thing *t, const int32_t *ix)
{
    int32_t from[SY_MAX_RANK];
    for (int d = 0; d < t->node->type.rank; d++)
        from[t->node->attributes.ints[d]] = ix[d];
    return at(t, 0, flat(type_of(t, 0), from));
}

static real slice(const thing *t, const int32_t *ix)
{
    int32_t from[SY_MAX_RANK];
    for (int d = 0; d < t->node->type.rank; d++)
        from[d] = ix[d] + t->node->attributes.ints[d];
    return at(t, 0, flat(type_of(t, 0), from));
}

static real broadcast(const thing *t, const int32_t *ix)
{
    return arg(t, 0, ix);
}

static real concat(const thing *t, const int32_t *ix)
{
    int axis = t->node->attributes.axis;
    int32_t from[SY_MAX_RANK];
    uint32_t i = 0;
    memcpy(from, ix, sizeof from);
    for (; from[axis] >= type_of(t, i)->dim[axis]; i++)
        from[axis] -= type_of(t, i)->dim[axis];
    return at(t, i, flat(type_of(t, i), from));
}

/* ---- reads at indices, random numbers ---- */

static real take_rows(const thing *t, const int32_t *ix)
{
    const sy_type *x = type_of(t, 0), *ids = type_of(t, 1);
    int32_t from[SY_MAX_RANK] = {(int32_t)at(t, 1, flat(ids, ix))};
    for (int d = 1; d < x->rank; d++)
        from[d] = ix[ids->rank + d - 1];
    return from[0] < 0 || from[0] >= x->dim[0] ? 0 : at(t, 0, flat(x, from));
}

static real take_last(const thing *t, const int32_t *ix)
{
    const sy_type *x = type_of(t, 0);
    int32_t from[SY_MAX_RANK], id = (int32_t)at(t, 1, flat(type_of(t, 1), ix));
    memcpy(from, ix, sizeof from);
    from[x->rank - 1] = id;
    return id < 0 || id >= x->dim[x->rank - 1] ? 0 : at(t, 0, flat(x, from));
}

/* Philox as its paper states it: L' = mulhi(R, M) ^ k ^ L on both halves, then exchanged. */
static void philox(uint64_t seed, uint64_t stream, uint64_t element, uint64_t counter, uint64_t out[4])
{
    uint64_t r0 = element / 4, l0 = counter, r1 = 0, l1 = 0, mask = 0xffffffff;
    for (int i = 0; i < 10; i++) {
        uint64_t k0 = (seed + (uint64_t)i * 0x9E3779B9) & mask, k1 = (stream + (uint64_t)i * 0xBB67AE85) & mask;
        uint64_t p0 = r0 * 0xD2511F53, p1 = r1 * 0xCD9E8D57;
        r0 = (p1 >> 32) ^ l0 ^ k0, l0 = p1 & mask;
        r1 = (p0 >> 32) ^ l1 ^ k1, l1 = p0 & mask;
    }
    out[0] = r0, out[1] = l0, out[2] = r1, out[3] = l1;
}

static real random_normal(const thing *t, const int32_t *ix)
{
    int32_t in_item[SY_MAX_RANK];
    uint64_t w[4];
    memcpy(in_item, ix, sizeof in_item);
    in_item[0] = 0;
    uint64_t i = flat(&t->node->type, in_item);
    philox((uint64_t)at(t, 0, (uint64_t)ix[0]), (uint64_t)t->node->attributes.stream, i,
           t->node->n_args > 1 ? (uint64_t)at(t, 1, 0) : 0, w);
    uint64_t first = w[i % 4 / 2 * 2], second = w[i % 4 / 2 * 2 + 1];
    real u = (real)(first / 512 * 2 + 1) / 16777216, v = (real)(second / 512 * 2 + 1) / 16777216;
    return sqrtl(-2 * logl(u)) * (i % 2 ? sinl(2 * pi * v) : cosl(2 * pi * v));
}

/* ---- products ---- */

static real matmul(const thing *t, const int32_t *ix)
{
    const sy_type *a = type_of(t, 0), *b = type_of(t, 1);
    int32_t left[SY_MAX_RANK], right[SY_MAX_RANK];
    bool flip = t->node->attributes.transpose_b;
    real sum = 0;
    memcpy(left, ix, sizeof left);
    memcpy(right, ix, sizeof right); /* leading dimensions, if b has such */
    for (int32_t k = 0; k < a->dim[a->rank - 1]; k++) {
        left[a->rank - 1] = k;
        right[b->rank - 2] = flip ? ix[a->rank - 1] : k;
        right[b->rank - 1] = flip ? k : ix[a->rank - 1];
        sum += at(t, 0, flat(a, left)) * at(t, 1, flat(b, right));
    }
    return sum;
}

/* Keys' head of the head of queries ix[1]. */
static int32_t shared_head(const thing *t, const int32_t *ix)
{
    return ix[1] / (type_of(t, 0)->dim[1] / type_of(t, 1)->dim[1]);
}

static real score(const thing *t, const int32_t *ix, int32_t query, int32_t key)
{
    const sy_type *q = type_of(t, 0), *k = type_of(t, 1);
    real dot = 0;
    for (int32_t i = 0; i < q->dim[3]; i++)
        dot += at(t, 0, flat(q, (int32_t[]){ix[0], ix[1], query, i})) *
               at(t, 1, flat(k, (int32_t[]){ix[0], shared_head(t, ix), key, i}));
    return dot * (real)t->node->attributes.scale;
}

/* Of the keys that `sees` says, with scores before the exponential that no sum of weights overflows. */
static real weighted_values(const thing *t, const int32_t *ix, const bool *sees)
{
    const sy_type *v = type_of(t, 2);
    real above = 0, below = 0;
    for (int32_t s = 0; s < v->dim[2]; s++) {
        if (!sees[s])
            continue;
        real x = score(t, ix, ix[2], s);
        if (t->node->op == SY_OP_ATTENTION && t->node->n_args > 3)
            x += arg(t, 3, (int32_t[]){ix[0], ix[1], ix[2], s});
        below += expl(x);
        above += expl(x) * at(t, 2, flat(v, (int32_t[]){ix[0], shared_head(t, ix), s, ix[3]}));
    }
    return below > 0 ? above / below : 0;
}

static real attention(const thing *t, const int32_t *ix)
{
    bool sees[512] = {0};
    int32_t keys = type_of(t, 1)->dim[2];
    REQUIRE(keys <= 512);
    for (int32_t s = 0; s < keys; s++)
        sees[s] = !t->node->attributes.causal || s <= ix[2];
    return weighted_values(t, ix, sees);
}

/* The block is skipped if no query of the block, of those that see a key of it, has a score in it above its largest
 * score in the blocks taken, less skip in log2 units. */
static bool skipped(const thing *t, const int32_t *ix, const bool *taken, int32_t block)
{
    const sy_attributes *a = &t->node->attributes;
    int32_t keys = type_of(t, 1)->dim[2], first = ix[2] / a->block_rows * a->block_rows;
    for (int32_t q = first; a->skip > 0 && q < first + a->block_rows && q < type_of(t, 0)->dim[2]; q++) {
        real inside = -INFINITY, before = -INFINITY;
        for (int32_t s = 0; s < keys && !(a->causal && s > q); s++)
            if (s / a->block_keys == block || taken[s / a->block_keys]) {
                real *most = s / a->block_keys == block ? &inside : &before;
                real x = score(t, ix, q, s);
                *most = x > *most ? x : *most;
            }
        if (inside > -INFINITY && (inside - before) / logl(2) + (real)a->skip > 0)
            return false;
    }
    return a->skip > 0;
}

static real route_attention(const thing *t, const int32_t *ix)
{
    const sy_attributes *a = &t->node->attributes;
    const sy_eval_route *r = route(t, 3);
    int32_t keys = type_of(t, 1)->dim[2], blocks = (type_of(t, 0)->dim[2] - 1) / a->block_rows + 1;
    int32_t heads = type_of(t, 0)->dim[1], row = ix[2] / a->block_rows;
    bool sees[512] = {0}, taken[512] = {0};
    REQUIRE(keys <= 512);
    row += (r->rows == type_of(t, 0)->dim[0] * heads * blocks ? ix[0] * heads + ix[1] : ix[0]) * blocks;
    for (int32_t block = 0; block < r->targets; block++)
        for (int32_t s = 0; s < r->count; s++)
            if (r->row[s] == row && r->target[s] == block)
                taken[block] = !skipped(t, ix, taken, block);
    for (int32_t s = 0; s < keys; s++)
        sees[s] = taken[s / a->block_keys] && (!a->causal || s <= ix[2]);
    return weighted_values(t, ix, sees);
}

/* ---- rows ---- */

static uint64_t row_of(const thing *t, const int32_t *ix, int32_t *n)
{
    const sy_type *x = type_of(t, 0);
    int32_t first[SY_MAX_RANK];
    memcpy(first, ix, sizeof first);
    first[x->rank - 1] = 0;
    *n = x->dim[x->rank - 1];
    return flat(x, first);
}

static real power_sum(const thing *t, uint64_t row, int32_t n, real less, int power)
{
    real sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += power == 1 ? at(t, 0, row + (uint64_t)i) - less
                          : (at(t, 0, row + (uint64_t)i) - less) * (at(t, 0, row + (uint64_t)i) - less);
    return sum;
}

#define ROW(name, formula)                                                                                             \
    static real name(const thing *t, const int32_t *ix)                                                                \
    {                                                                                                                  \
        int32_t n;                                                                                                     \
        uint64_t row = row_of(t, ix, &n);                                                                              \
        real x = t->node->type.dim[t->node->type.rank - 1] == n ? arg(t, 0, ix) : 0, eps = t->node->attributes.eps;    \
        (void)x, (void)eps;                                                                                            \
        return formula;                                                                                                \
    }
static real exp_sum(const thing *t, uint64_t row, int32_t n)
{
    real sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += expl(at(t, 0, row + (uint64_t)i));
    return sum;
}
static real most(const thing *t, uint64_t row, int32_t n)
{
    real best = -INFINITY;
    for (int32_t i = 0; i < n; i++)
        best = fmaxl(best, at(t, 0, row + (uint64_t)i));
    return best;
}
ROW(softmax, expl(x) / exp_sum(t, row, n))
ROW(layer_norm,
    (x - power_sum(t, row, n, 0, 1) / n) / sqrtl(power_sum(t, row, n, power_sum(t, row, n, 0, 1) / n, 2) / n + eps))
ROW(rms_norm, x / sqrtl(power_sum(t, row, n, 0, 2) / n + eps))
ROW(l2_normalise, x / fmaxl(sqrtl(power_sum(t, row, n, 0, 2)), eps))
ROW(reduce_sum, power_sum(t, row, n, 0, 1))
ROW(reduce_mean, power_sum(t, row, n, 0, 1) / n)
ROW(reduce_max, most(t, row, n))

/* How many of the row come before element i. */
static int32_t place(const double *x, int32_t n, int32_t stride, int32_t i)
{
    int32_t better = 0;
    for (int32_t k = 0; k < n; k++)
        better += x[k * stride] > x[i * stride] || (x[k * stride] == x[i * stride] && k < i);
    return better;
}

static real top_k(const thing *t, const int32_t *ix)
{
    int32_t n, last = t->node->type.rank - 1;
    const double *x = t->eval->tensor[t->node->args[0]] + row_of(t, ix, &n);
    for (int32_t i = 0; i < n; i++)
        if (place(x, n, 1, i) == ix[last])
            return i;
    return NAN;
}

/* By the definition: the threshold at which the row sums to 1, by halving. */
static real entmax(const thing *t, const int32_t *ix)
{
    int32_t n;
    uint64_t row = row_of(t, ix, &n);
    real alpha = t->node->attributes.alpha, low = -1e3L, high = 1e3L;
    for (int i = 0; i < 76; i++) { /* to less than a long double can tell */
        real sum = 0, middle = (low + high) / 2;
        for (int32_t k = 0; k < n; k++) {
            real above = fmaxl((alpha - 1) * at(t, 0, row + (uint64_t)k) - middle, 0);
            sum += alpha == 2 ? above : alpha == 1.5L ? above * above : powl(above, 1 / (alpha - 1));
        }
        *(sum > 1 ? &low : &high) = middle;
    }
    return powl(fmaxl((alpha - 1) * arg(t, 0, ix) - low, 0), 1 / (alpha - 1));
}

/* Whether number i of the row comes before number k in the order of sort. */
static bool sorts_before(const thing *t, const double *x, int32_t i, int32_t k)
{
    if (x[i] == x[k])
        return i < k;
    return t->node->attributes.order ? x[i] > x[k] : x[i] < x[k];
}

static void run_of(int32_t run, int32_t n, int32_t i, int32_t *begin, int32_t *end)
{
    run = run < 1 || run > n ? n : run;
    *begin = i / run * run;
    *end = *begin + run < n ? *begin + run : n;
}

static int32_t sorts_after(const thing *t, const double *x, int32_t begin, int32_t end, int32_t i)
{
    int32_t before = 0;
    for (int32_t k = begin; k < end; k++)
        before += k != i && sorts_before(t, x, k, i);
    return before;
}

static real sort(const thing *t, const int32_t *ix)
{
    int32_t n, last = t->node->type.rank - 1, run = t->node->attributes.length, begin, end;
    const double *x = t->eval->tensor[t->node->args[0]] + row_of(t, ix, &n);
    run_of(t->node->op == SY_OP_SORT ? 0 : 2 * run, n, ix[last], &begin, &end);
    for (int32_t i = begin; i < end; i++)
        if (sorts_after(t, x, begin, end, i) == ix[last] - begin)
            return i;
    return NAN;
}

static real sort_rank(const thing *t, const int32_t *ix)
{
    int32_t n, i = ix[t->node->type.rank - 1], begin, end;
    const double *x = t->eval->tensor[t->node->args[0]] + row_of(t, ix, &n);
    run_of(t->node->attributes.length, n, i, &begin, &end);
    return sorts_after(t, x, begin, end, i);
}

static real sort_place(const thing *t, const int32_t *ix)
{
    int32_t n, place = ix[t->node->type.rank - 1], begin, end;
    const double *rank = t->eval->tensor[t->node->args[0]] + row_of(t, ix, &n);
    run_of(t->node->attributes.length, n, place, &begin, &end);
    for (int32_t i = begin; i < end; i++)
        if (rank[i] == place - begin)
            return i;
    return 0;
}

static real cumsum(const thing *t, const int32_t *ix)
{
    int32_t n;
    uint64_t row = row_of(t, ix, &n);
    real sum = 0;
    for (int32_t i = 0; i <= ix[t->node->type.rank - 1]; i++)
        sum += at(t, 0, row + (uint64_t)i);
    return sum;
}

/* Mean of channels first … first + n - 1 of some rows of x, or the mean square deviation from it. */
static real moment(const thing *t, int64_t row, int64_t rows, int32_t first, int32_t n, bool spread)
{
    int32_t c = type_of(t, 0)->dim[type_of(t, 0)->rank - 1];
    real mean = spread ? moment(t, row, rows, first, n, false) : 0, sum = 0;
    for (int64_t i = 0; i < rows * n; i++) {
        real x = at(t, 0, (uint64_t)((row + i / n) * c + first + i % n));
        sum += spread ? (x - mean) * (x - mean) : x;
    }
    return sum / (real)(rows * n);
}

static real group_moment(const thing *t, const int32_t *ix)
{
    const sy_type *x = type_of(t, 0);
    int32_t groups = t->node->attributes.groups, own = x->dim[x->rank - 1] / groups;
    int64_t pixels = (int64_t)(sy_type_count(x) / (uint64_t)(x->dim[0] * x->dim[x->rank - 1]));
    return moment(t, ix[0] * pixels, pixels, ix[1] * groups / t->node->type.dim[1] * own, own, t->node->attributes.mode);
}

static real moments(const thing *t, const int32_t *ix)
{
    int32_t length = t->node->attributes.length;
    return moment(t, (int64_t)ix[1] * length, length, ix[2], 1, ix[0]);
}

static real histogram(const thing *t, const int32_t *ix)
{
    int32_t n, last = t->node->type.rank - 1;
    uint64_t row = row_of(t, ix, &n);
    real count = 0;
    for (int32_t i = 0; i < n; i++)
        count += at(t, 0, row + (uint64_t)i) == ix[last];
    return count;
}

/* ---- what reads routes ---- */

static real grouped_matmul(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 2);
    const sy_type *x = type_of(t, 0), *w = type_of(t, 1);
    bool flip = t->node->attributes.transpose_b;
    real sum = 0;
    if (ix[0] >= r->count)
        return 0;
    for (int32_t k = 0; k < x->dim[1]; k++)
        sum += at(t, 0, flat(x, (int32_t[]){t->node->attributes.gather ? r->row[ix[0]] : ix[0], k})) *
               at(t, 1, flat(w, (int32_t[]){r->target[ix[0]], flip ? ix[1] : k, flip ? k : ix[1]}));
    return sum;
}

static real combine(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 1);
    real sum = 0;
    for (int32_t s = 0; s < r->count; s++)
        if (r->row[s] == ix[0])
            sum += (t->node->attributes.weighted ? (real)r->weight[s] : 1) *
                   at(t, 0, flat(type_of(t, 0), (int32_t[]){s, ix[1]}));
    return sum;
}

static real gather(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 1);
    return ix[0] >= r->count ? 0 : at(t, 0, flat(type_of(t, 0), (int32_t[]){r->row[ix[0]], ix[1]}));
}

static real spread(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 1);
    return ix[0] >= r->count ? 0 : at(t, 0, flat(type_of(t, 0), (int32_t[]){r->target[ix[0]], ix[1]}));
}

static real scatter(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 1);
    real result = at(t, 2, flat(type_of(t, 2), ix));
    for (int32_t s = 0; s < r->count; s++)
        if (r->row[s] == ix[0])
            result = at(t, 0, flat(type_of(t, 0), (int32_t[]){s, ix[1]}));
    return result;
}

static real load(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 0);
    int32_t n = 0;
    for (int32_t s = 0; s < r->count; s++)
        n += r->target[s] == ix[0];
    return n;
}

/* Sections of graph/ir/route.h, one after another. */
static real words(const thing *t, const int32_t *ix)
{
    const sy_eval_route *r = route(t, 0);
    int32_t slots = type_of(t, 0)->dim[SY_ROUTE_SLOTS], k = ix[0];
    if (k == 0)
        return r->count;
    if ((k -= 1) <= r->targets)
        return r->offsets[k];
    k -= r->targets + 1;
    const int32_t *lists[] = {r->row, r->target};
    for (int i = 0; i < 2; i++, k -= slots)
        if (k < slots)
            return k < r->count ? lists[i][k] : 0;
    if (k < slots) {
        float weight = k < r->count ? (float)r->weight[k] : 0;
        uint32_t word;
        memcpy(&word, &weight, sizeof word);
        return word;
    }
    if ((k -= slots) <= r->rows)
        return r->row_offsets[k];
    k -= r->rows + 1;
    return k < slots && k < r->count ? r->row_slots[k] : 0;
}

/* ---- makers of routes: the entries they should have, in any order ---- */

typedef struct entry {
    int32_t row, target;
    double weight;
} entry;

/* Score e of a line of n, `stride` apart, as a choice sees it: those steered to before all, those steered away last. */
static double seen(const thing *t, const double *x, int32_t stride, int32_t e)
{
    const double *scores = t->eval->tensor[t->node->args[0]];
    double steer = t->node->n_args > 1 ? at(t, 1, (uint64_t)(x - scores) + (uint64_t)e * (uint64_t)stride) : 0;
    return steer < 0 ? -1e300 : steer > 0 ? 1e300 : x[e * stride];
}

static bool takes(const thing *t, const double *x, int32_t n, int32_t stride, int32_t e, int32_t k)
{
    double own = seen(t, x, stride, e);
    int32_t better = 0;
    for (int32_t i = 0; i < n; i++) {
        double other = seen(t, x, stride, i);
        better += other > own || (other == own && i < e);
    }
    return better < k && own > -1e300;
}

static int32_t chosen_by_rows(const thing *t, entry *out)
{
    const sy_type *s = type_of(t, 0);
    int32_t n = 0, columns = s->dim[1], k = t->node->attributes.k;
    for (int32_t row = 0; row < s->dim[0]; row++) {
        const double *x = t->eval->tensor[t->node->args[0]] + row * columns;
        double sum = 0;
        for (int32_t e = 0; e < columns; e++)
            sum += takes(t, x, columns, 1, e, k) ? x[e] : 0;
        for (int32_t e = 0; e < columns; e++)
            if (takes(t, x, columns, 1, e, k))
                out[n++] = (entry){row, e, t->node->attributes.renormalise ? x[e] / sum : x[e]};
    }
    return n;
}

static int32_t chosen_by_targets(const thing *t, entry *out)
{
    const sy_type *s = type_of(t, 0);
    int32_t n = 0, columns = s->dim[1], group = t->node->attributes.group_rows;
    for (int32_t row = 0; row < s->dim[0]; row++)
        for (int32_t e = 0; e < columns; e++) {
            const double *first = t->eval->tensor[t->node->args[0]] + row / group * group * columns + e;
            if (takes(t, first, group, columns, row % group, t->node->attributes.k))
                out[n++] = (entry){row, e, first[row % group * columns]};
        }
    return n;
}

static int32_t split(const thing *t, entry *out)
{
    const sy_eval_route *r = route(t, 0);
    int32_t n = 0;
    for (int32_t row = 0; row < r->rows; row++) {
        if (at(t, 1, (uint64_t)row) != 0) {
            out[n++] = (entry){row, t->node->attributes.target, 1};
            continue;
        }
        for (int32_t s = 0; s < r->count; s++)
            if (r->row[s] == row)
                out[n++] = (entry){row, r->target[s], r->weight[s]};
    }
    return n;
}

/* The papers' cumulative counts. Which choice of its row a slot is shows in its weight: of equal ones the lower target
 * was first. (Switch: one count along all tokens and choices; V-MoE: all first choices are counted before all second
 * ones.) */
static int32_t capacity(const thing *t, entry *out)
{
    const sy_eval_route *r = route(t, 0);
    int32_t n = 0, group = t->node->attributes.group_rows, rounds = t->node->attributes.order ? r->targets : 1;
    int32_t *taken = calloc((size_t)(r->rows / group) * (size_t)r->targets, sizeof *taken);
    REQUIRE(taken);
    for (int32_t round = 0; round < rounds; round++)
        for (int32_t row = 0; row < r->rows; row++)
            for (int32_t s = 0; s < r->count; s++) {
                int32_t choice = 0;
                if (r->row[s] != row)
                    continue;
                for (int32_t o = 0; o < r->count; o++)
                    choice +=
                        r->row[o] == row && (r->weight[o] > r->weight[s] || (r->weight[o] == r->weight[s] && o < s));
                if ((rounds == 1 || choice == round) &&
                    ++taken[row / group * r->targets + r->target[s]] <= t->node->attributes.capacity)
                    out[n++] = (entry){row, r->target[s], r->weight[s]};
            }
    free(taken);
    return n;
}

static int32_t build(const thing *t, entry *out)
{
    const sy_attributes *a = &t->node->attributes;
    int32_t n = 0, length = type_of(t, 0)->dim[0], group = a->capacity ? a->group_rows : a->rows;
    for (int32_t i = 0; i < length; i++) {
        entry e = {(int32_t)at(t, 0, (uint64_t)i), (int32_t)at(t, 1, (uint64_t)i), (double)at(t, 2, (uint64_t)i)};
        int32_t before = 0;
        for (int32_t k = 0; k < i; k++)
            before +=
                (int32_t)at(t, 0, (uint64_t)k) / group == e.row / group && (int32_t)at(t, 1, (uint64_t)k) == e.target;
        if (e.target >= 0 && (!a->capacity || before < a->capacity))
            out[n++] = e;
    }
    return n;
}

/* ---- images ---- */

/* The pixel of an image at place[]: 0 outside, or where a place lies between pixels that are `up` apart. */
static real pixel(const thing *t, int32_t image, const int64_t *place, const int32_t *up, int32_t channel, bool *inside)
{
    const sy_type *x = type_of(t, 0);
    int32_t ix[SY_MAX_RANK] = {image};
    for (int d = 0; d < x->rank - 2; d++) {
        int32_t apart = up && up[d] ? up[d] : 1;
        *inside = *inside && place[d] >= 0 && place[d] % apart == 0 && place[d] / apart < x->dim[1 + d];
        ix[1 + d] = (int32_t)(place[d] / apart);
    }
    ix[x->rank - 1] = channel;
    return *inside ? at(t, 0, flat(x, ix)) : 0;
}

/* Steps an index through a box; false after the last. */
static bool next(int32_t *ix, const int32_t *box, int n)
{
    int d = n - 1;
    while (d >= 0 && ++ix[d] == box[d])
        ix[d--] = 0;
    return d >= 0;
}

static real conv(const thing *t, const int32_t *ix)
{
    const sy_type *x = type_of(t, 0), *w = type_of(t, 1);
    const sy_attributes *a = &t->node->attributes;
    int n = x->rank - 2;
    int32_t groups = a->groups ? a->groups : 1, own = w->dim[n], group = ix[n + 1] / (w->dim[n + 1] / groups);
    int32_t tap[SY_MAX_RANK] = {0};
    real sum = 0;
    do {
        int64_t place[3];
        for (int d = 0; d < n; d++)
            place[d] = (int64_t)ix[1 + d] * (a->stride[d] ? a->stride[d] : 1) - a->pad[d] +
                       tap[d] * (a->dilate[d] ? a->dilate[d] : 1);
        tap[n + 1] = ix[n + 1];
        for (int32_t c = 0; c < own; c++) {
            bool inside = true;
            tap[n] = c;
            sum += pixel(t, ix[0], place, a->up, group * own + c, &inside) * at(t, 1, flat(w, tap));
        }
        tap[n] = 0;
    } while (next(tap, w->dim, n));
    return sum;
}

static real pool(const thing *t, const int32_t *ix)
{
    const sy_attributes *a = &t->node->attributes;
    int n = t->node->type.rank - 2, met = 0, all = 0;
    int32_t tap[SY_MAX_RANK] = {0};
    real sum = 0, most = -INFINITY;
    do {
        int64_t place[3];
        bool inside = true;
        for (int d = 0; d < n; d++)
            place[d] = (int64_t)ix[1 + d] * (a->stride[d] ? a->stride[d] : 1) - a->pad[d] + tap[d];
        real x = pixel(t, ix[0], place, NULL, ix[n + 1], &inside);
        sum += x;
        most = inside && x > most ? x : most;
        met += inside;
        all++;
    } while (next(tap, a->window, n));
    return a->mode == 0 ? most : sum / (a->mode == 1 ? met : all);
}

/* Interpolation one dimension after the other, by real numbers. */
static real interpolated(const thing *t, int32_t *ix, const int32_t *result, int d)
{
    const sy_type *x = type_of(t, 0), *y = &t->node->type;
    if (d == x->rank - 1)
        return at(t, 0, flat(x, ix));
    real in = x->dim[d], out = y->dim[d], place;
    if (t->node->attributes.mode)
        place = out > 1 ? result[d] * ((in - 1) / (out - 1)) : 0;
    else
        place = (result[d] + 0.5L) * in / out - 0.5L;
    place = fminl(fmaxl(place, 0), in - 1);
    real low = floorl(place + 1e-12L), share = fmaxl(place - low, 0);
    ix[d] = (int32_t)low;
    real first = interpolated(t, ix, result, d + 1);
    ix[d] = low + 1 < in ? (int32_t)low + 1 : (int32_t)low;
    return first + share * (interpolated(t, ix, result, d + 1) - first);
}

static real resize(const thing *t, const int32_t *ix)
{
    int32_t own[SY_MAX_RANK] = {ix[0]};
    own[t->node->type.rank - 1] = ix[t->node->type.rank - 1];
    return interpolated(t, own, ix, 1);
}

static real padded(const thing *t, const int32_t *ix)
{
    const sy_type *x = type_of(t, 0);
    int32_t own[SY_MAX_RANK];
    for (int d = 0; d < x->rank; d++) {
        int32_t k = ix[d] - t->node->attributes.pad[d], n = x->dim[d];
        switch (t->node->attributes.mode) {
        case 0:
            if (k < 0 || k >= n)
                return 0;
            break;
        case 1:
            k = k < 0 ? 0 : k >= n ? n - 1 : k;
            break;
        case 2:
            k = abs(k);
            k = k >= n ? 2 * n - 2 - k : k;
            break;
        default:
            k = (k + n) % n;
        }
        own[d] = k;
    }
    return at(t, 0, flat(x, own));
}

static const struct {
    real (*element)(const thing *t, const int32_t *ix);
    int32_t (*entries)(const thing *t, entry *out);
} wanted[SY_OP_COUNT] = {
    [SY_OP_INPUT] = {leaf},
    [SY_OP_STATE] = {leaf},
    [SY_OP_STEP] = {leaf},
    [SY_OP_STEP_INDEX] = {step_index},
    [SY_OP_PARAM] = {leaf},
    [SY_OP_CONST] = {constant},
    [SY_OP_IOTA] = {iota},
    [SY_OP_NEG] = {neg},
    [SY_OP_ABS] = {magnitude},
    [SY_OP_EXP] = {e_to_the},
    [SY_OP_LOG] = {logarithm},
    [SY_OP_SQRT] = {root},
    [SY_OP_RSQRT] = {inverse_root},
    [SY_OP_RECIPROCAL] = {inverse},
    [SY_OP_SIN] = {sine},
    [SY_OP_COS] = {cosine},
    [SY_OP_TANH] = {hyperbolic},
    [SY_OP_SIGMOID] = {sigmoid},
    [SY_OP_SILU] = {silu},
    [SY_OP_GELU_TANH] = {gelu_tanh},
    [SY_OP_GELU_ERF] = {gelu_erf},
    [SY_OP_RELU] = {relu},
    [SY_OP_FLOOR] = {floored},
    [SY_OP_CAST] = {cast},
    [SY_OP_ADD] = {add},
    [SY_OP_SUB] = {sub},
    [SY_OP_MUL] = {mul},
    [SY_OP_DIV] = {divide},
    [SY_OP_MIN] = {smaller},
    [SY_OP_MAX] = {larger},
    [SY_OP_LESS] = {less},
    [SY_OP_EQUAL] = {equal},
    [SY_OP_SELECT] = {selected},
    [SY_OP_RESHAPE] = {reshape},
    [SY_OP_TRANSPOSE] = {transpose},
    [SY_OP_SLICE] = {slice},
    [SY_OP_BROADCAST] = {broadcast},
    [SY_OP_CONCAT] = {concat},
    [SY_OP_TAKE_ROWS] = {take_rows},
    [SY_OP_TAKE_LAST] = {take_last},
    [SY_OP_RANDOM_NORMAL] = {random_normal},
    [SY_OP_POOL] = {pool},
    [SY_OP_RESIZE] = {resize},
    [SY_OP_PAD] = {padded},
    [SY_OP_MATMUL] = {matmul},
    [SY_OP_CONV] = {conv},
    [SY_OP_ATTENTION] = {attention},
    [SY_OP_ROUTE_ATTENTION] = {route_attention},
    [SY_OP_GROUP_MOMENT] = {group_moment},
    [SY_OP_MOMENTS] = {moments},
    [SY_OP_SORT] = {sort},
    [SY_OP_SORT_RANK] = {sort_rank},
    [SY_OP_SORT_PLACE] = {sort_place},
    [SY_OP_SORT_MERGE] = {sort},
    [SY_OP_CUMSUM] = {cumsum},
    [SY_OP_HISTOGRAM] = {histogram},
    [SY_OP_ENTMAX] = {entmax},
    [SY_OP_SOFTMAX] = {softmax},
    [SY_OP_LAYER_NORM] = {layer_norm},
    [SY_OP_RMS_NORM] = {rms_norm},
    [SY_OP_L2_NORMALISE] = {l2_normalise},
    [SY_OP_REDUCE_SUM] = {reduce_sum},
    [SY_OP_REDUCE_MEAN] = {reduce_mean},
    [SY_OP_REDUCE_MAX] = {reduce_max},
    [SY_OP_TOP_K] = {top_k},
    [SY_OP_ROUTE_TOP_K] = {.entries = chosen_by_rows},
    [SY_OP_ROUTE_EXPERT_CHOICE] = {.entries = chosen_by_targets},
    [SY_OP_ROUTE_SPLIT] = {.entries = split},
    [SY_OP_ROUTE_CAPACITY] = {.entries = capacity},
    [SY_OP_ROUTE_BUILD] = {.entries = build},
    [SY_OP_GROUPED_MATMUL] = {grouped_matmul},
    [SY_OP_COMBINE] = {combine},
    [SY_OP_ROUTE_GATHER] = {gather},
    [SY_OP_ROUTE_SCATTER] = {scatter},
    [SY_OP_ROUTE_SPREAD] = {spread},
    [SY_OP_ROUTE_LOAD] = {load},
    [SY_OP_ROUTE_WORDS] = {words},
};

/* The largest error over all elements, relative to the number and to the typical number; large results are sampled. */
static double worst(const thing *t, const double *got)
{
    const sy_type *type = &t->node->type;
    bool slow = t->node->op == SY_OP_SORT || t->node->op == SY_OP_SORT_MERGE; /* quadratic for each element */
    uint64_t count = sy_type_count(type), step = count / (slow ? 100 : 1500) + 1;
    double error = 0, square = 0;
    for (uint64_t k = 0; k < count; k++)
        square += got[k] * got[k];
    for (uint64_t k = 0; k < count; k += step) {
        int32_t ix[SY_MAX_RANK];
        uint64_t rest = k;
        for (int d = type->rank - 1; d >= 0; d--) {
            ix[d] = (int32_t)(rest % (uint64_t)type->dim[d]);
            rest /= (uint64_t)type->dim[d];
        }
        double want = (double)wanted[t->node->op].element(t, ix);
        double e = want == got[k] ? 0 : fabs(got[k] - want) / (fabs(want) + sqrt(square / (double)count));
        error = e <= error ? error : e; /* not a number: the largest error there is */
    }
    return error;
}

static int by_target(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->target != y->target ? (x->target > y->target) - (x->target < y->target)
                                  : (x->row > y->row) - (x->row < y->row);
}

/* The route has these entries, sorted by (target, row), and its other sections follow from them. */
static const char *route_differs(const thing *t, const sy_eval_route *r)
{
    int32_t slots = t->node->type.dim[SY_ROUTE_SLOTS];
    const char *differs = NULL;
    entry *want = calloc((size_t)slots + 1, sizeof *want);
    REQUIRE(want);
    int32_t n = wanted[t->node->op].entries(t, want);
    qsort(want, (size_t)n, sizeof *want, by_target);
    if (n != r->count || n > slots)
        differs = "count";
    for (int32_t s = 0; s < n && !differs; s++)
        if (want[s].row != r->row[s] || want[s].target != r->target[s] ||
            !(fabs(want[s].weight - r->weight[s]) <= 1e-14))
            differs = "entries";
    for (int32_t e = 0, s = 0; e <= r->targets && !differs; e++) {
        while (s < n && want[s].target < e)
            s++;
        if (r->offsets[e] != s)
            differs = "offsets";
    }
    for (int32_t row = 0, k = 0; row <= r->rows && !differs; row++) {
        if (r->row_offsets[row] != k)
            differs = "row_offsets";
        for (int32_t s = 0; s < n && row < r->rows && !differs; s++)
            if (want[s].row == row && r->row_slots[k++] != s)
                differs = "row_slots";
    }
    free(want);
    return differs;
}

static void check_case(sy_op op, uint64_t seed)
{
    help_case *c = help_case_make(op, seed);
    sy_eval e = help_case_eval(c);
    sy_error error = {0};
    thing t = {c->graph, &c->graph->nodes[c->value], &e, c};
    const char *name = sy_op_get(op)->name;
    char text[96];
    bool ok = sy_graph_verify(c->graph, SY_STAGE_SOURCE, &error) && sy_eval_value(&e, c->graph->ends[0].value, &error);
    CHECK_SAY(ok, "%s, seed %d: %s", name, (int)seed, error.message);
    CHECK_SAY(t.node->op == op, "%s, seed %d: the case is of another op", name, (int)seed);
    if (ok && t.node->type.is_route) {
        const char *differs = route_differs(&t, e.route[c->value]);
        CHECK_SAY(!differs, "%s, seed %d, %s: %s", name, (int)seed, sy_type_text(&t.node->type, text), differs);
    } else if (ok) {
        double error_of_it = worst(&t, e.tensor[c->value]);
        CHECK_SAY(error_of_it < 1e-12, "%s, seed %d, %s: %g", name, (int)seed, sy_type_text(&t.node->type, text),
                  error_of_it);
    }
    /* What the reference stores is what the comparison of device tests takes, and one changed word is not. */
    uint64_t bytes = sy_type_bytes(&c->graph->nodes[c->graph->ends[0].value].type);
    uint32_t *stored = malloc(bytes);
    REQUIRE(stored);
    CHECK(sy_eval_store(&e, c->graph->ends[0].value, 0, stored, bytes, &error));
    const char *why = help_case_compare(c, &e, 0, stored, bytes);
    CHECK_SAY(!why, "%s, seed %d: %s", name, (int)seed, why);
    stored[0] = 0x7fc07fc0; /* no number in any float type */
    if (!(t.node->n_args &&
          t.graph->nodes[t.node->args[t.node->n_args - 1]].type.is_route)) /* else none may be defined */
        CHECK_SAY(help_case_compare(c, &e, 0, stored, bytes) != NULL, "%s, seed %d: a wrong word is not seen", name,
                  (int)seed);
    free(stored);
    sy_eval_free(&e);
    help_case_free(c);
}

int main(void)
{
    for (sy_op op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++) {
        const sy_op_info *info = sy_op_get(op);
        CHECK_SAY(wanted[op].element || wanted[op].entries, "op %s has no test", info->name);
        for (uint64_t seed = 0; seed < 40 && (wanted[op].element || wanted[op].entries); seed++)
            check_case(op, seed);
    }
    return check_done();
}
