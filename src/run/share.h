/* Where the weights of all programs of a session lie: those that are made the same way in one place. */
#ifndef SY_RUN_SHARE_H
#define SY_RUN_SHARE_H

#include "graph/base/arena.h"
#include "graph/program.h"

enum { SY_SHARED_PROGRAMS = 16, SY_SHARED_BUFFERS = SY_SPACE_BUFFERS };

typedef struct sy_weight_id {
    uint32_t program, weight;
} sy_weight_id;

/* The fingerprint of a weight: of how it is made. */
typedef struct sy_print {
    uint64_t a, b;
} sy_print;

/* Weights that are on the device already, in buffers 0 … buffers - 1. */
typedef struct sy_weights_there {
    bool (*find)(void *context, const sy_print *print, uint64_t bytes, sy_place *place);
    void *context;
    uint32_t buffers;
} sy_weights_there;

typedef struct sy_shared {
    sy_place *at[SY_SHARED_PROGRAMS];     /* by program, by weight: in the session's weight buffers */
    sy_weight_id *of[SY_SHARED_PROGRAMS]; /* the weight whose place it has; its own where it is stored */
    bool *stored[SY_SHARED_PROGRAMS];     /* this one is loaded; the others lie there already */
    sy_print *prints[SY_SHARED_PROGRAMS];
    uint64_t bytes[SY_SHARED_BUFFERS];    /* of each buffer that is to be made */
    uint64_t saved;                       /* bytes that are not stored again */
    uint64_t there;                       /* bytes that were there */
} sy_shared;

/* `programs` may have holes (NULL). `most`: bytes of one buffer; 0: any. `there` may be NULL. Arrays are on the arena. */
bool sy_share_weights(const sy_program *const *programs, uint32_t n_programs, uint64_t most,
                      const sy_weights_there *there, sy_arena *arena, sy_shared *out, sy_error *error);

/* From a place in the program's own WEIGHT space to the session's. False if no weight lies there. */
bool sy_shared_find(const sy_shared *shared, const sy_program *program, uint32_t which, const sy_place *place,
                    sy_place *at);

#endif
