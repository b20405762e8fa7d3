/* Memory over time, from what dispatches bind: a stretch of the arena lives from the dispatch that writes it to the last
 * that reads any of it before any of it is written again. Several dispatches that write parts of one stretch are several
 * lives, as they are in the plan. */
#include "src/profile/measure.h"

#include <stdlib.h>

static bool meets(const sy_profile_buffer *b, const sy_place *p)
{
    return b->buffer == p->buffer && b->offset < p->offset + p->size && p->offset < b->offset + b->bytes;
}

typedef struct lives {
    sy_profile_buffer *list;
    bool *over; /* something else lies there now */
    uint32_t begin, n;
} lives;

static void read_place(lives *l, const sy_place *place, uint32_t at)
{
    for (uint32_t i = l->begin; i < l->n; i++)
        if (!l->over[i] && meets(&l->list[i], place))
            l->list[i].last = at;
}

static void write_place(lives *l, const sy_place *place, uint32_t program, uint32_t at, const char *name)
{
    for (uint32_t i = l->begin; i < l->n; i++)
        l->over[i] = l->over[i] || meets(&l->list[i], place);
    l->list[l->n++] = (sy_profile_buffer){.name = name,
                                          .program = program,
                                          .buffer = place->buffer,
                                          .offset = place->offset,
                                          .bytes = place->size,
                                          .first = at,
                                          .last = at};
}

bool sy_profile_lives(const sy_program *p, uint32_t index, uint32_t first, sy_profile_report *r, sy_error *error)
{
    size_t room = (size_t)r->n_buffers + 1;
    for (uint32_t i = 0; i < p->n_dispatches; i++)
        room += p->dispatches[i].n_bindings;
    lives l = {sy_arena_array(&r->arena, room, sizeof *l.list), calloc(room, sizeof *l.over), r->n_buffers, r->n_buffers};
    if (!l.list || !l.over) {
        free(l.over);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
    }
    for (uint32_t i = 0; i < r->n_buffers; i++)
        l.list[i] = r->buffers[i];
    for (uint32_t i = 0; i < p->n_dispatches; i++) {
        const sy_dispatch *d = &p->dispatches[i];
        for (uint32_t k = 0; k < d->n_bindings; k++)
            if (d->bindings[k].place.space == SY_SPACE_ARENA && d->bindings[k].access & SY_READ)
                read_place(&l, &d->bindings[k].place, first + i);
        for (uint32_t k = 0; k < d->n_bindings; k++)
            if (d->bindings[k].place.space == SY_SPACE_ARENA && d->bindings[k].access & SY_WRITE)
                write_place(&l, &d->bindings[k].place, index, first + i, r->dispatches[first + i].name);
    }
    free(l.over);
    r->buffers = l.list;
    r->n_buffers = l.n;
    return true;
}
