/* Normal form: a sum of (coefficient, atom) with a constant; atoms are variables, quotients and remainders, ordered
 * by number. Every rule below keeps the value for all values of the variables in their ranges:
 *
 *   quotient   (c X + R) / c = X + R / c, for R >= 0;  (g R' + r) / (g d) = R' / d, for 0 <= r < g;  (x / a) / b = x /
 * (a b) remainder  (c X + R) % c = R % c, for R >= 0;  (g R' + r) % (g d) = g (R' % d) + r;  (x % (a b)) % b = x % b
 *   sum        a c (e / c) + a (e % c) = a e
 *
 * Ranges come from interval arithmetic over the terms, so they may be wider than the truth, never narrower. */
#include "graph/emit/index.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 24, BUCKETS = 512 };

typedef struct term {
    int64_t factor;
    sy_ix atom;
} term;

typedef enum kind { SUM, VAR, DIV, MOD } kind;

typedef struct ix_node {
    kind kind;
    uint32_t next; /* in its bucket */
    int64_t lo, hi;
    int64_t constant;        /* SUM: the constant; DIV, MOD: the divisor */
    sy_ix of;                /* DIV, MOD */
    char name[24];           /* VAR */
    uint32_t n_terms, first; /* SUM: a range of pool->terms */
} ix_node;

struct sy_ix_pool {
    ix_node *nodes;
    uint32_t n_nodes, nodes_room;
    term *terms;
    uint32_t n_terms, terms_room;
    uint32_t bucket[BUCKETS];
    bool failed;
};

typedef struct sum {
    term terms[MAX_TERMS];
    uint32_t n;
    int64_t constant;
} sum;

sy_ix_pool *sy_ix_pool_create(void)
{
    sy_ix_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    sy_ix_const(pool, 0); /* expression 0 is the constant 0 */
    if (pool->failed)
        sy_ix_pool_destroy(&pool);
    return pool;
}

void sy_ix_pool_destroy(sy_ix_pool **pool)
{
    if (!pool || !*pool)
        return;
    free((*pool)->nodes);
    free((*pool)->terms);
    free(*pool);
    *pool = NULL;
}

bool sy_ix_failed(const sy_ix_pool *pool)
{
    return pool->failed;
}

static sy_ix fail(sy_ix_pool *pool)
{
    pool->failed = true;
    return 0;
}

static uint32_t hash_of(const ix_node *node, const term *terms)
{
    uint64_t h = (uint64_t)node->kind * 0x9e3779b97f4a7c15u + (uint64_t)node->constant;
    h = (h ^ node->of) * 0x100000001b3u;
    for (const char *p = node->name; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    for (uint32_t i = 0; i < node->n_terms; i++)
        h = ((h ^ (uint64_t)terms[i].factor) * 0x100000001b3u ^ terms[i].atom) * 0x100000001b3u;
    return (uint32_t)(h >> 20) % BUCKETS;
}

static bool same(const sy_ix_pool *pool, const ix_node *a, const ix_node *node, const term *terms)
{
    if (a->kind != node->kind || a->constant != node->constant || a->of != node->of || a->n_terms != node->n_terms ||
        strcmp(a->name, node->name) || (node->kind == VAR && (a->lo != node->lo || a->hi != node->hi)))
        return false;
    for (uint32_t i = 0; i < node->n_terms; i++)
        if (pool->terms[a->first + i].atom != terms[i].atom || pool->terms[a->first + i].factor != terms[i].factor)
            return false;
    return true;
}

/* The number of the node, made if it is new. */
static sy_ix intern(sy_ix_pool *pool, ix_node *node, const term *terms)
{
    if (pool->failed)
        return 0;
    uint32_t bucket = hash_of(node, terms);
    for (uint32_t i = pool->bucket[bucket]; i; i = pool->nodes[i - 1].next)
        if (same(pool, &pool->nodes[i - 1], node, terms))
            return i - 1;
    if (pool->n_nodes == pool->nodes_room) {
        uint32_t room = pool->nodes_room ? 2 * pool->nodes_room : 128;
        ix_node *nodes = realloc(pool->nodes, room * sizeof *nodes);
        if (!nodes)
            return fail(pool);
        pool->nodes = nodes;
        pool->nodes_room = room;
    }
    if (node->n_terms > pool->terms_room - pool->n_terms) {
        uint32_t room = 2 * pool->terms_room + 256;
        term *grown = realloc(pool->terms, room * sizeof *grown);
        if (!grown)
            return fail(pool);
        pool->terms = grown;
        pool->terms_room = room;
    }
    node->first = pool->n_terms;
    if (node->n_terms)
        memcpy(pool->terms + pool->n_terms, terms, node->n_terms * sizeof *terms);
    pool->n_terms += node->n_terms;
    node->next = pool->bucket[bucket];
    pool->nodes[pool->n_nodes++] = *node;
    pool->bucket[bucket] = pool->n_nodes;
    return pool->n_nodes - 1;
}

/* Adds factor * atom into the sum, keeping the order. False when there is no room. */
static bool put(sum *s, sy_ix atom, int64_t factor)
{
    uint32_t i = 0;
    while (i < s->n && s->terms[i].atom < atom)
        i++;
    if (i < s->n && s->terms[i].atom == atom) {
        s->terms[i].factor += factor;
        if (s->terms[i].factor == 0)
            memmove(s->terms + i, s->terms + i + 1, (--s->n - i) * sizeof *s->terms);
        return true;
    }
    if (factor == 0)
        return true;
    if (s->n == MAX_TERMS)
        return false;
    memmove(s->terms + i + 1, s->terms + i, (s->n++ - i) * sizeof *s->terms);
    s->terms[i] = (term){factor, atom};
    return true;
}

/* s += factor * a */
static bool put_all(const sy_ix_pool *pool, sum *s, sy_ix a, int64_t factor)
{
    const ix_node *node = &pool->nodes[a];
    if (node->kind != SUM)
        return put(s, a, factor);
    s->constant += factor * node->constant;
    for (uint32_t i = 0; i < node->n_terms; i++)
        if (!put(s, pool->terms[node->first + i].atom, factor * pool->terms[node->first + i].factor))
            return false;
    return true;
}

static void range(const sy_ix_pool *pool, const sum *s, int64_t *lo, int64_t *hi)
{
    *lo = *hi = s->constant;
    for (uint32_t i = 0; i < s->n; i++) {
        const ix_node *atom = &pool->nodes[s->terms[i].atom];
        int64_t f = s->terms[i].factor;
        *lo += f * (f > 0 ? atom->lo : atom->hi);
        *hi += f * (f > 0 ? atom->hi : atom->lo);
    }
}

static sy_ix intern_sum(sy_ix_pool *pool, const sum *s)
{
    if (s->n == 1 && s->constant == 0 && s->terms[0].factor == 1)
        return s->terms[0].atom;
    ix_node node = {.kind = SUM, .constant = s->constant, .n_terms = s->n};
    range(pool, s, &node.lo, &node.hi);
    return intern(pool, &node, s->terms);
}

/* Joins a c (e / c) + a (e % c) into a e, until nothing joins. */
static sy_ix finish(sy_ix_pool *pool, sum *s)
{
    for (uint32_t i = 0; i < s->n && !pool->failed; i++) {
        ix_node mod = pool->nodes[s->terms[i].atom];
        if (mod.kind != MOD)
            continue;
        sy_ix quotient = sy_ix_div(pool, mod.of, mod.constant);
        if (pool->nodes[quotient].kind == SUM)
            continue;
        int64_t a = s->terms[i].factor;
        for (uint32_t j = 0; j < s->n; j++)
            if (s->terms[j].atom == quotient && s->terms[j].factor == a * mod.constant) {
                sy_ix remainder = s->terms[i].atom;
                put(s, quotient, -a * mod.constant);
                put(s, remainder, -a);
                if (!put_all(pool, s, mod.of, a))
                    return fail(pool);
                i = UINT32_MAX; /* from the start again: each join takes away a remainder */
                break;
            }
    }
    return intern_sum(pool, s);
}

sy_ix sy_ix_const(sy_ix_pool *pool, int64_t value)
{
    sum s = {.constant = value};
    return intern_sum(pool, &s);
}

sy_ix sy_ix_var(sy_ix_pool *pool, const char *name, int64_t lo, int64_t hi)
{
    ix_node node = {.kind = VAR, .lo = lo, .hi = hi};
    if (strlen(name) >= sizeof node.name)
        return fail(pool);
    strcpy(node.name, name);
    return intern(pool, &node, NULL);
}

sy_ix sy_ix_add(sy_ix_pool *pool, sy_ix a, sy_ix b)
{
    sum s = {.n = 0};
    if (pool->failed || !put_all(pool, &s, a, 1) || !put_all(pool, &s, b, 1))
        return fail(pool);
    return finish(pool, &s);
}

sy_ix sy_ix_mul(sy_ix_pool *pool, sy_ix a, int64_t factor)
{
    sum s = {.n = 0};
    if (pool->failed || !put_all(pool, &s, a, factor))
        return fail(pool);
    return finish(pool, &s);
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Splits s into high, whose factors are multiples of c, and low, the rest; constant of low in 0 … c-1. */
static void divide(const sum *s, int64_t c, sum *high, sum *low)
{
    *high = *low = (sum){.n = 0};
    for (uint32_t i = 0; i < s->n; i++) {
        sum *to = s->terms[i].factor % c == 0 ? high : low;
        to->terms[to->n++] = s->terms[i];
    }
    high->constant = floor_div(s->constant, c) * c;
    low->constant = s->constant - high->constant;
}

/* The largest g > 1 dividing c and some factor such that the terms g does not divide stay within 0 … g-1. */
static int64_t common(const sy_ix_pool *pool, const sum *s, int64_t c)
{
    int64_t best = 1;
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t g = gcd(s->terms[i].factor, c), lo, hi;
        sum high, low;
        if (g <= best)
            continue;
        divide(s, g, &high, &low);
        range(pool, &low, &lo, &hi);
        if (lo >= 0 && hi < g)
            best = g;
    }
    return best;
}

/* The sum as an expression, all factors divided by g (which divides them). */
static sy_ix over(sy_ix_pool *pool, sum *s, int64_t g)
{
    s->constant /= g;
    for (uint32_t i = 0; i < s->n; i++)
        s->terms[i].factor /= g;
    return finish(pool, s);
}

static sy_ix div_atom(sy_ix_pool *pool, sy_ix a, int64_t c)
{
    ix_node of = pool->nodes[a];
    if (c == 1)
        return a;
    if (of.lo >= 0 && of.hi < c)
        return sy_ix_const(pool, 0);
    if (of.kind == DIV)
        return div_atom(pool, of.of, of.constant * c);
    ix_node node = {.kind = DIV, .lo = floor_div(of.lo, c), .hi = floor_div(of.hi, c), .constant = c, .of = a};
    return intern(pool, &node, NULL);
}

sy_ix sy_ix_div(sy_ix_pool *pool, sy_ix a, int64_t c)
{
    sum s = {.n = 0}, high, low, upper, lower;
    int64_t lo, hi;
    if (pool->failed || c < 1 || !put_all(pool, &s, a, 1))
        return fail(pool);
    divide(&s, c, &high, &low);
    range(pool, &low, &lo, &hi);
    if (lo < 0) /* a negative part: nothing can be taken out */
        return div_atom(pool, a, c);
    int64_t g = common(pool, &low, c);
    sy_ix rest;
    if (g > 1) {
        divide(&low, g, &upper, &lower);
        sy_ix part = over(pool, &upper, g);
        rest = pool->nodes[part].kind == SUM && pool->nodes[part].n_terms ? sy_ix_div(pool, part, c / g)
                                                                          : div_atom(pool, part, c / g);
    } else {
        rest = div_atom(pool, intern_sum(pool, &low), c);
    }
    sy_ix whole = over(pool, &high, c);
    return sy_ix_add(pool, whole, rest);
}

static sy_ix mod_atom(sy_ix_pool *pool, sy_ix a, int64_t c)
{
    ix_node of = pool->nodes[a];
    if (c == 1)
        return sy_ix_const(pool, 0);
    if (of.lo >= 0 && of.hi < c)
        return a;
    if (of.kind == MOD && of.constant % c == 0)
        return mod_atom(pool, of.of, c);
    ix_node node = {.kind = MOD, .lo = 0, .hi = c - 1, .constant = c, .of = a};
    return intern(pool, &node, NULL);
}

sy_ix sy_ix_mod(sy_ix_pool *pool, sy_ix a, int64_t c)
{
    sum s = {.n = 0}, high, low, upper, lower;
    int64_t lo, hi;
    if (pool->failed || c < 1 || !put_all(pool, &s, a, 1))
        return fail(pool);
    divide(&s, c, &high, &low);
    range(pool, &low, &lo, &hi);
    if (lo < 0)
        return mod_atom(pool, a, c);
    int64_t g = common(pool, &low, c);
    if (g <= 1)
        return mod_atom(pool, intern_sum(pool, &low), c);
    divide(&low, g, &upper, &lower);
    sy_ix part = over(pool, &upper, g), r = intern_sum(pool, &lower);
    part = pool->nodes[part].kind == SUM ? sy_ix_mod(pool, part, c / g) : mod_atom(pool, part, c / g);
    return sy_ix_add(pool, sy_ix_mul(pool, part, g), r);
}

sy_ix sy_ix_replace(sy_ix_pool *pool, sy_ix a, sy_ix var, sy_ix by)
{
    if (pool->failed || !sy_ix_uses(pool, a, var))
        return a;
    if (a == var)
        return by;
    ix_node node = pool->nodes[a];
    if (node.kind == DIV)
        return sy_ix_div(pool, sy_ix_replace(pool, node.of, var, by), node.constant);
    if (node.kind == MOD)
        return sy_ix_mod(pool, sy_ix_replace(pool, node.of, var, by), node.constant);
    sy_ix result = sy_ix_const(pool, node.constant);
    for (uint32_t i = 0; i < node.n_terms; i++) {
        term t = pool->terms[node.first + i];
        result = sy_ix_add(pool, result, sy_ix_mul(pool, sy_ix_replace(pool, t.atom, var, by), t.factor));
    }
    return result;
}

bool sy_ix_uses(const sy_ix_pool *pool, sy_ix a, sy_ix var)
{
    const ix_node *node = &pool->nodes[a];
    if (a == var)
        return true;
    if (node->kind == DIV || node->kind == MOD)
        return sy_ix_uses(pool, node->of, var);
    for (uint32_t i = 0; node->kind == SUM && i < node->n_terms; i++)
        if (sy_ix_uses(pool, pool->terms[node->first + i].atom, var))
            return true;
    return false;
}

bool sy_ix_is_const(const sy_ix_pool *pool, sy_ix a, int64_t *value)
{
    const ix_node *node = &pool->nodes[a];
    if (node->kind != SUM || node->n_terms)
        return false;
    if (value)
        *value = node->constant;
    return true;
}

int64_t sy_ix_low(const sy_ix_pool *pool, sy_ix a)
{
    return pool->nodes[a].lo;
}

int64_t sy_ix_high(const sy_ix_pool *pool, sy_ix a)
{
    return pool->nodes[a].hi;
}

bool sy_ix_multiple_of(const sy_ix_pool *pool, sy_ix a, int64_t factor)
{
    const ix_node *node = &pool->nodes[a];
    if (factor == 1)
        return true;
    if (node->kind != SUM || node->constant % factor)
        return false;
    for (uint32_t i = 0; i < node->n_terms; i++)
        if (pool->terms[node->first + i].factor % factor)
            return false;
    return true;
}

bool sy_ix_split(sy_ix_pool *pool, sy_ix a, sy_ix var, sy_ix *rest)
{
    sum s = {.n = 0};
    if (pool->failed || !put_all(pool, &s, a, 1) || !put(&s, var, -1))
        return false;
    for (uint32_t i = 0; i < s.n; i++)
        if (sy_ix_uses(pool, s.terms[i].atom, var))
            return false;
    *rest = intern_sum(pool, &s);
    return !pool->failed;
}

static void print_atom(const sy_ix_pool *pool, sy_ix a, sy_text *out)
{
    const ix_node *node = &pool->nodes[a];
    if (node->kind == VAR) {
        sy_text_add(out, node->name);
        return;
    }
    sy_text_add(out, "(");
    sy_ix_print(pool, node->of, out);
    sy_text_printf(out, " %s %lluu)", node->kind == DIV ? "/" : "%", (unsigned long long)node->constant);
}

void sy_ix_print(const sy_ix_pool *pool, sy_ix a, sy_text *out)
{
    const ix_node *node = &pool->nodes[a];
    if (node->kind != SUM) {
        print_atom(pool, a, out);
        return;
    }
    if (!node->n_terms) {
        sy_text_printf(out, "%lluu", (unsigned long long)node->constant);
        return;
    }
    /* Positive terms first: unsigned arithmetic wraps, so the order does not matter to the result. */
    sy_text_add(out, "(");
    bool first = true;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (uint32_t i = 0; i < node->n_terms; i++) {
            term t = pool->terms[node->first + i];
            if ((t.factor > 0) != (sign > 0))
                continue;
            sy_text_add(out, first ? (sign > 0 ? "" : "0u - ") : sign > 0 ? " + " : " - ");
            if (t.factor * sign != 1)
                sy_text_printf(out, "%lluu * ", (unsigned long long)(t.factor * sign));
            print_atom(pool, t.atom, out);
            first = false;
        }
        if (node->constant * sign > 0)
            sy_text_printf(out, " %s %lluu", sign > 0 ? "+" : "-", (unsigned long long)(node->constant * sign));
    }
    sy_text_add(out, ")");
}

sy_ix sy_ix_flat(sy_ix_pool *pool, const sy_ix *index, const int32_t *dims, int rank)
{
    sy_ix flat = sy_ix_const(pool, 0);
    for (int i = 0; i < rank; i++)
        flat = sy_ix_add(pool, sy_ix_mul(pool, flat, dims[i]), index[i]);
    return flat;
}

void sy_ix_unflat(sy_ix_pool *pool, sy_ix flat, const int32_t *dims, int rank, sy_ix *index)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = dims[i] == 1 ? sy_ix_const(pool, 0) : sy_ix_div(pool, flat, stride);
        if (dims[i] != 1 && i > 0)
            index[i] = sy_ix_mod(pool, index[i], dims[i]);
        stride *= dims[i];
    }
}
