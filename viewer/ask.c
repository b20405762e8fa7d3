/* See ask.h. Answers are kept in one table of fixed size, found by the hash of the question. */
#include "viewer/overlay_private.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWERS = 4096 };

typedef struct answer {
    ask_key key;
    uint64_t used; /* frame; 0: empty */
    uint32_t n;
    bool waiting; /* on its way */
    uint32_t *words;
} answer;

struct ask_store {
    answer list[ANSWERS];
    uint64_t bytes;
};

ask_store *ask_store_create(void)
{
    return calloc(1, sizeof(ask_store));
}

static void empty(ask_store *s, answer *a)
{
    s->bytes -= (uint64_t)a->n * 4;
    free(a->words);
    *a = (answer){0};
}

void ask_store_destroy(ask_store *s)
{
    for (uint32_t i = 0; s && i < ANSWERS; i++)
        empty(s, &s->list[i]);
    free(s);
}

/* Whether the answer depends on what is picked. */
static bool picks(ask_kind kind)
{
    return kind == ASK_REGION || kind == ASK_AFFINITY || kind == ASK_SCORES;
}

static ask_key key_of(const ask_question *q)
{
    ask_key key;
    memset(&key, 0, sizeof key);
    key.run = q->source.run;
    key.evaluation = q->source.evaluation;
    key.tap = q->layer->tap;
    key.other = q->kind == ASK_AFFINITY ? q->other->tap : 0;
    key.kind = (uint32_t)q->kind;
    key.picture = q->kind == ASK_VALUES ? 0 : q->picture;
    key.half = q->half;
    key.picked = picks(q->kind) ? q->picked : overlay_no_cells;
    return key;
}

/* Its place, or the one it may take: of the 8 that the hash allows an empty one, else the least lately used. */
static answer *find(ask_store *s, const ask_key *key)
{
    const uint8_t *bytes = (const uint8_t *)key;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    answer *oldest = NULL;
    for (uint32_t i = 0; i < 8; i++) {
        answer *a = &s->list[((hash >> 20) + i) % ANSWERS];
        if (a->used && !memcmp(&a->key, key, sizeof *key))
            return a;
        if (!oldest || a->used < oldest->used)
            oldest = a;
    }
    return oldest;
}

static void drop_oldest(ask_store *s)
{
    answer *oldest = NULL;
    for (uint32_t i = 0; i < ANSWERS; i++)
        if (s->list[i].words && (!oldest || s->list[i].used < oldest->used))
            oldest = &s->list[i];
    if (oldest)
        empty(s, oldest);
}

void ask_collect(overlay *o, overlay_frame *f)
{
    for (uint32_t i = 0; i < f->n_asked; i++) {
        const overlay_asked *asked = &f->asked[i];
        answer *a = find(o->answers, &asked->key);
        if (!a->used || memcmp(&a->key, &asked->key, sizeof asked->key)) /* something else took its place meanwhile */
            continue;
        a->waiting = false;
        while (o->answers->bytes + (uint64_t)asked->n * 4 > ASK_BYTES)
            drop_oldest(o->answers);
        a->words = malloc((size_t)asked->n * 4);
        a->n = a->words ? asked->n : 0;
        o->answers->bytes += (uint64_t)a->n * 4;
        if (a->words)
            memcpy(a->words, (const uint32_t *)f->answers.mapped + asked->at, (size_t)asked->n * 4);
        else
            a->used = 0;
    }
    f->n_asked = 0;
    f->answer_words = 0;
}

void ask_drop(overlay *o, overlay_frame *f)
{
    for (uint32_t i = 0; i < f->n_asked; i++) {
        answer *a = find(o->answers, &f->asked[i].key);
        if (a->waiting && !memcmp(&a->key, &f->asked[i].key, sizeof a->key))
            empty(o->answers, a);
    }
    f->n_asked = 0;
    f->answer_words = 0;
}

/* Words of a picture's share of a tap of numbers. */
static uint32_t share_of(const ask_question *q, uint32_t words)
{
    return q->source.history->count ? words / q->source.history->count : 0;
}

/* How long the answer is and what it reads; 0: it cannot be answered. */
static uint32_t prepare(const overlay *o, const ask_question *q, overlay_params *params, overlay_bound bound[2])
{
    overlay_params_of(&q->source, q->layer, params);
    params->kind = (uint32_t)q->kind;
    params->picture = q->picture;
    params->half = q->half;
    params->picked = picks(q->kind) ? q->picked : overlay_no_cells;
    overlay_bind_none(o, &params->side[1], &bound[1]);
    if (q->source.evaluation >= q->source.history->n_evaluations ||
        !overlay_bind_layer(o, &q->source, q->layer, false, &params->side[0], &bound[0]))
        return 0;
    uint32_t targets = params->side[0].n_targets, words = params->side[0].words;
    switch (q->kind) {
    case ASK_LOAD:
        overlay_bind_layer(o, &q->source, q->layer, true, &params->side[1], &bound[1]);
        return q->layer->kind <= LAYER_KEPT ? (uint32_t)(sizeof(ask_load) / 4) + targets : 0;
    case ASK_AFFINITY:
        return q->layer->kind == LAYER_EXPERTS && q->other->kind == LAYER_EXPERTS &&
                       overlay_bind_layer(o, &q->source, q->other, false, &params->side[1], &bound[1])
                   ? targets * params->side[1].n_targets
                   : 0;
    case ASK_REGION:
        return q->layer->kind <= LAYER_BLOCKS ? 2 * targets : 0;
    case ASK_RANGE:
        params->count = share_of(q, words);
        params->target = q->picture * params->count;
        return q->layer->kind > LAYER_BLOCKS ? 3 : 0;
    case ASK_VALUES:
        params->target = 0;
        return q->layer->kind > LAYER_BLOCKS ? words : 0;
    case ASK_SCORES:
        return q->layer->kind == LAYER_EXPERTS &&
                       overlay_bind_layer(o, &q->source, q->layer, true, &params->side[1], &bound[1])
                   ? params->side[1].columns
                   : 0;
    }
    return 0;
}

const void *overlay_ask(overlay *o, const ask_question *q, uint32_t *words)
{
    overlay_frame *f = o->now;
    *words = 0;
    if (!f || !q->source.history || !q->layer || (q->kind == ASK_AFFINITY && !q->other))
        return NULL;
    ask_key key = key_of(q);
    answer *a = find(o->answers, &key);
    if (a->used && !memcmp(&a->key, &key, sizeof key)) {
        a->used = o->frame;
        *words = a->n;
        if (a->words || a->waiting)
            return a->words;
    }
    overlay_params params;
    overlay_bound bound[2];
    uint32_t n = prepare(o, q, &params, bound);
    if (!n || n > ASK_MOST_WORDS || (a->used == o->frame && a->words)) /* its place holds an answer given this frame */
        return NULL;
    overlay_job job = {.pipeline = o->ask, .across = 1, .down = 1};
    params.x = f->answer_words;
    params.y = n;
    if (f->n_asked == ASK_A_FRAME || f->answer_words + n > ANSWER_WORDS ||
        !overlay_job_add(o, &params, bound, NULL, &job)) {
        o->waiting = true;
        return NULL;
    }
    f->asked[f->n_asked++] = (overlay_asked){.key = key, .at = f->answer_words, .n = n};
    f->answer_words += n;
    empty(o->answers, a);
    *a = (answer){.key = key, .used = o->frame, .waiting = true};
    return NULL;
}
