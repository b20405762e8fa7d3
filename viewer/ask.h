/* Questions about what a run's taps hold, answered on the device and looked at a few frames later: loads, entropies, affinity
 * between layers, the experts of a region, single numbers. Nobody waits: overlay_ask says no until the answer is there, and
 * keeps it afterwards (all answers together at most ASK_BYTES, then the least lately used go). At most ASK_A_FRAME questions
 * a frame go out, those asked first; ask again in the next frame. Belongs to the drawing thread, as overlay.h. */
#ifndef SY_VIEWER_ASK_H
#define SY_VIEWER_ASK_H

#include "viewer/overlay.h"

enum { ASK_A_FRAME = 64, ASK_MOST_WORDS = 16384, ASK_BYTES = 16 << 20 };

typedef enum ask_kind {
    ASK_LOAD,     /* ask_load, then u32 tokens of each target. Of experts; of one picture and half */
    ASK_AFFINITY, /* u32[targets of layer][targets of other]: picked tokens (all, if none is picked) whose first experts
                     these are */
    ASK_REGION,   /* (weight f32, times f32)[targets]: what the picked tokens, or blocks of queries, give each target;
                     of all, if none is picked */
    ASK_RANGE,    /* f32 least, largest, sum of sizes of a picture's share of a tap of numbers */
    ASK_VALUES,   /* f32 the numbers of a tap with few of them, all samples' */
    ASK_SCORES    /* f32[targets]: mean share of each in what the picked tokens' experts are chosen from, after a softmax
                     where the scores are no distribution; of experts with scores */
} ask_kind;

typedef struct ask_question {
    ask_kind kind;
    overlay_source source;
    const layer *layer, *other; /* of source's history */
    uint32_t picture, half;
    overlay_cells picked;
} ask_question;

/* The beginning of ASK_LOAD's answer; `load` follows, as u32. */
typedef struct ask_load {
    float tokens, slots;         /* tokens with an expert; pairs */
    float weight, most, least;   /* of all pairs: sum, largest, least */
    float bits, with_bits;       /* sum of entropies, of how many tokens */
    float least_bits, most_bits; /* the entropies' least and largest */
    float none;
    uint32_t load[];
} ask_load;

/* The answer's words, valid until the next overlay_begin; NULL: not yet, or never (the evaluation has not got the tap; the
 * answer would be longer than ASK_MOST_WORDS). */
const void *overlay_ask(overlay *o, const ask_question *question, uint32_t *words);

#endif
