/* Weights of several programs of one session, each stored once. Two weights are the same if they are made by the same
 * ops from the same parameters and constants: every load-time value gets a fingerprint of 128 bits of its op, type,
 * attributes, name and the fingerprints of its arguments, worked out once a value. Programs that differ in what runs
 * around a layer (guided and unguided, full and cached) have most of their weights in common. */
#include "src/run/share.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256 }; /* at least every device's offset alignment */

static void mix(sy_print *p, uint64_t x)
{
    p->a = (p->a ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    p->a ^= p->a >> 29;
    p->b = (p->b + x) * UINT64_C(0xd6e8feb86659fd93) + 0x632be5ab;
    p->b ^= p->b >> 32;
}

static void mix_bytes(sy_print *p, const void *data, size_t n)
{
    const uint8_t *bytes = data;
    mix(p, n);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, n - i < 8 ? n - i : 8);
        mix(p, word);
    }
}

#define MIX_I(name)   mix(p, (uint32_t)a->name);
#define MIX_L(name)   mix_bytes(p, a->name, sizeof a->name);
#define MIX_F(name)   mix_bytes(p, &a->name, sizeof a->name);
#define MIX_V(name)   mix_bytes(p, a->name.data, a->name.count * sizeof *a->name.data);
#define X(kind, name) MIX_##kind(name)
static void mix_attributes(sy_print *p, const sy_attributes *a)
{
    SY_ATTRIBUTE_LIST(X)
}
#undef X
#undef MIX_I
#undef MIX_L
#undef MIX_F
#undef MIX_V

static void mix_type(sy_print *p, const sy_type *type)
{
    mix(p, type->is_route);
    mix(p, type->rank);
    mix(p, (uint64_t)type->dtype);
    for (int i = 0; i < SY_MAX_RANK; i++)
        mix(p, i < (type->is_route ? 3 : type->rank) ? (uint32_t)type->dim[i] : 0);
}

/* Of all load-time values; arguments come before what they are used in. */
static sy_print *fingerprints(const sy_graph *graph)
{
    sy_print *prints = calloc((size_t)graph->n_nodes + 1, sizeof *prints);
    for (sy_value v = 1; prints && v < graph->n_nodes; v++) {
        const sy_node *n = &graph->nodes[v];
        sy_print p = {1, 2};
        if (!n->load_time)
            continue;
        mix(&p, (uint64_t)n->op);
        mix_type(&p, &n->type);
        mix_attributes(&p, &n->attributes);
        if (n->name)
            mix_bytes(&p, n->name, strlen(n->name));
        for (uint32_t i = 0; i < n->n_args; i++) {
            mix(&p, prints[n->args[i]].a);
            mix(&p, prints[n->args[i]].b);
        }
        prints[v] = p;
    }
    return prints;
}

typedef struct known {
    sy_print print;
    sy_place place;
    uint32_t program, weight;
} known;

static int by_print(const void *a, const void *b)
{
    const known *x = a, *y = b;
    if (x->print.a != y->print.a)
        return x->print.a < y->print.a ? -1 : 1;
    if (x->print.b != y->print.b)
        return x->print.b < y->print.b ? -1 : 1;
    if (x->program != y->program)
        return x->program < y->program ? -1 : 1;
    return x->weight < y->weight ? -1 : 1;
}

static int by_program(const void *a, const void *b)
{
    const known *x = a, *y = b;
    if (x->program != y->program)
        return x->program < y->program ? -1 : 1;
    return x->weight < y->weight ? -1 : 1;
}

/* Behind the last one that was put. */
static bool put(sy_shared *s, uint64_t bytes, uint64_t most, uint32_t *buffer, sy_place *place, sy_error *error)
{
    uint64_t at = (s->bytes[*buffer] + ALIGN - 1) / ALIGN * ALIGN;
    if (at + bytes > most && s->bytes[*buffer]) {
        if (++*buffer == SY_SHARED_BUFFERS)
            return sy_fail(error, SY_CODE_UNAVAILABLE,
                           "the programs of one session need more than %d buffers of %llu "
                           "bytes for their weights",
                           SY_SHARED_BUFFERS, (unsigned long long)most);
        at = 0;
    }
    *place = (sy_place){SY_SPACE_WEIGHT, *buffer, at, bytes};
    s->bytes[*buffer] = at + bytes;
    return true;
}

/* `list`, sorted by fingerprint and within one by program: the first of each is stored, the others are where it is.
 * Places are given in the order of the programs, so that one program alone has its weights in its own order. */
static bool place_all(sy_shared *s, known *list, uint32_t n, uint64_t most, const sy_weights_there *there, sy_error *error)
{
    uint32_t buffer = there ? there->buffers : 0;
    qsort(list, n, sizeof *list, by_print);
    for (uint32_t i = 0; i < n; i++) {
        bool same = i && list[i].print.a == list[i - 1].print.a && list[i].print.b == list[i - 1].print.b &&
                    list[i].place.size == list[i - 1].place.size && list[i].program != list[i - 1].program;
        if (same) {
            const known *of = &list[i - 1];
            s->of[list[i].program][list[i].weight] = s->of[of->program][of->weight];
            s->stored[list[i].program][list[i].weight] = false;
            s->saved += list[i].place.size;
        } else {
            s->of[list[i].program][list[i].weight] = (sy_weight_id){list[i].program, list[i].weight};
            s->stored[list[i].program][list[i].weight] = true;
        }
    }
    qsort(list, n, sizeof *list, by_program);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = list[i].program, w = list[i].weight;
        sy_weight_id of = s->of[p][w];
        s->prints[p][w] = list[i].print;
        if (s->stored[p][w] && there && there->find(there->context, &list[i].print, list[i].place.size, &s->at[p][w])) {
            s->stored[p][w] = false;
            s->there += list[i].place.size;
        } else if (s->stored[p][w]) {
            if (!put(s, list[i].place.size, most, &buffer, &s->at[p][w], error))
                return false;
        } else {
            s->at[p][w] = s->at[of.program][of.weight];
        }
    }
    return true;
}

bool sy_share_weights(const sy_program *const *programs, uint32_t n_programs, uint64_t most,
                      const sy_weights_there *there, sy_arena *arena, sy_shared *out, sy_error *error)
{
    uint32_t total = 0, n = 0;
    *out = (sy_shared){0};
    for (uint32_t p = 0; p < n_programs; p++)
        total += programs[p] ? programs[p]->n_weights : 0;
    known *list = sy_arena_array(arena, (size_t)total + 1, sizeof *list);
    if (!list || n_programs > SY_SHARED_PROGRAMS)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to lay out weights");
    for (uint32_t p = 0; p < n_programs; p++) {
        uint32_t count = programs[p] ? programs[p]->n_weights : 0;
        sy_print *prints = count ? fingerprints(programs[p]->graph) : NULL;
        out->at[p] = sy_arena_array(arena, (size_t)count + 1, sizeof **out->at);
        out->of[p] = sy_arena_array(arena, (size_t)count + 1, sizeof **out->of);
        out->stored[p] = sy_arena_array(arena, (size_t)count + 1, sizeof **out->stored);
        out->prints[p] = sy_arena_array(arena, (size_t)count + 1, sizeof **out->prints);
        if ((count && !prints) || !out->at[p] || !out->of[p] || !out->stored[p] || !out->prints[p]) {
            free(prints);
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to lay out weights");
        }
        for (uint32_t w = 0; w < count; w++) {
            const sy_weight *weight = &programs[p]->weights[w];
            mix_type(&prints[weight->value], &weight->type);
            list[n++] = (known){prints[weight->value], weight->place, p, w};
        }
        free(prints);
    }
    return place_all(out, list, n, most ? most : UINT64_MAX / 2, there, error);
}

bool sy_shared_find(const sy_shared *s, const sy_program *program, uint32_t which, const sy_place *place, sy_place *at)
{
    for (uint32_t w = 0; w < program->n_weights; w++) {
        const sy_place *p = &program->weights[w].place;
        if (p->buffer != place->buffer || place->offset < p->offset || place->offset - p->offset >= p->size)
            continue;
        *at = s->at[which][w];
        at->offset += place->offset - p->offset;
        return true;
    }
    return false;
}
