/* Where a session's weights lie: those that sessions before it have loaded stay where they are, in blocks of the store;
 * the others get new blocks. */
#include "src/run/device_session.h"

/* Is a weight in one of the blocks that were there? Used blocks are held from then on. */
static bool find(void *context, const sy_print *print, uint64_t bytes, sy_place *place)
{
    sy_device_session *d = context;
    for (uint32_t i = 0; i < d->weights_there; i++) {
        uint64_t offset = sy_weight_block_find(d->weight[i], print, bytes);
        if (offset == UINT64_MAX)
            continue;
        *place = (sy_place){SY_SPACE_WEIGHT, i, offset, bytes};
        return true;
    }
    return false;
}

/* All blocks of the same file, each held once; those that turn out to be of no use are given back. */
static void hold(sy_device_session *d)
{
    enum { ROOM = SY_SPACE_BUFFERS / 2 }; /* the rest is for new ones */
    for (sy_weight_block *b = d->store->blocks; b && d->weights_there < ROOM; b = b->next)
        if (b->file == d->session->params.weights) {
            b->users++;
            d->weight[d->weights_there++] = b;
        }
}

static void give_back_unused(sy_device_session *d)
{
    bool used[SY_SPACE_BUFFERS] = {false};
    for (uint32_t i = 0; i < SY_PROGRAMS; i++)
        for (uint32_t w = 0; d->objects[i].program && w < d->objects[i].program->n_weights; w++)
            used[d->shared.at[i][w].buffer] = true;
    for (uint32_t i = 0; i < d->weights_there; i++)
        if (!used[i]) {
            sy_store_release_block(d->store, d->weight[i]);
            d->weight[i] = NULL;
        }
}

bool sy_weights_lay_out(sy_device_session *d, sy_error *error)
{
    const sy_program *programs[SY_PROGRAMS];
    sy_session_stats *stats = &d->session->stats;
    for (int i = 0; i < SY_PROGRAMS; i++)
        programs[i] = d->objects[i].program;
    hold(d);
    sy_weights_there there = {find, d, d->weights_there};
    if (!sy_share_weights(programs, SY_PROGRAMS, d->device->plan->limits.allocation_bytes, &there, &d->session->arena,
                          &d->shared, error))
        return false;
    give_back_unused(d);
    for (int b = 0; b < SY_SPACE_BUFFERS; b++)
        stats->weight_bytes += d->shared.bytes[b];
    stats->weight_bytes += d->shared.there;
    stats->reused_bytes = d->shared.there;
    stats->shared_bytes = d->shared.saved;
    return true;
}

bool sy_weights_make(sy_device_session *d, sy_error *error)
{
    uint32_t n[SY_SPACE_BUFFERS] = {0};
    for (uint32_t i = 0; i < SY_PROGRAMS; i++)
        for (uint32_t w = 0; d->objects[i].program && w < d->objects[i].program->n_weights; w++)
            n[d->shared.at[i][w].buffer] += d->shared.stored[i][w];
    for (uint32_t b = 0; b < SY_SPACE_BUFFERS; b++) {
        if (!d->shared.bytes[b])
            continue;
        d->weight[b] = sy_weight_block_create(d->store, d->session->params.weights, d->shared.bytes[b], n[b], error);
        if (!d->weight[b])
            return false;
        d->session->stats.device_bytes += d->weight[b]->buffer.size;
    }
    return true;
}

void sy_weights_done(sy_device_session *d)
{
    for (uint32_t i = 0; i < SY_PROGRAMS; i++)
        for (uint32_t w = 0; d->objects[i].program && w < d->objects[i].program->n_weights; w++) {
            const sy_place *at = &d->shared.at[i][w];
            sy_weight_block *b = d->weight[at->buffer];
            if (d->shared.stored[i][w])
                b->weights[b->n++] = (sy_stored_weight){d->shared.prints[i][w], at->offset, at->size};
        }
    for (uint32_t b = d->weights_there; b < SY_SPACE_BUFFERS; b++)
        if (d->weight[b])
            sy_store_add_block(d->store, d->weight[b]);
}

void sy_weights_release(sy_device_session *d)
{
    for (uint32_t b = 0; b < SY_SPACE_BUFFERS; b++)
        if (d->weight[b])
            sy_store_release_block(d->store, d->weight[b]);
}
