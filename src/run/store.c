#include "src/run/store.h"

#include <stdlib.h>
#include <string.h>

sy_store *sy_store_open(sy_vk_device *device, sy_store *other, sy_error *error)
{
    sy_store *s = other && other->device == device ? other : calloc(1, sizeof *s);
    if (!s) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
        return NULL;
    }
    s->device = device;
    s->users++;
    return s;
}

void sy_store_close(sy_store **store)
{
    sy_store *s = *store;
    *store = NULL;
    if (s && --s->users == 0)
        free(s);
}

sy_stored_kernel *sy_store_kernel(sy_store *s, sy_hash key, bool *fresh)
{
    sy_stored_kernel *k = s->kernels;
    while (k && (k->key.lo != key.lo || k->key.hi != key.hi))
        k = k->next;
    *fresh = !k;
    if (!k && (k = calloc(1, sizeof *k))) {
        k->key = key;
        k->next = s->kernels;
        s->kernels = k;
    }
    if (k)
        k->users++;
    return k;
}

void sy_store_release_kernel(sy_store *s, sy_stored_kernel *k)
{
    sy_vk_device *v = s->device;
    sy_stored_kernel **at = &s->kernels;
    if (--k->users)
        return;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    if (k->pipeline)
        v->vk.vkDestroyPipeline(v->handle, k->pipeline, NULL);
    if (k->layout)
        v->vk.vkDestroyPipelineLayout(v->handle, k->layout, NULL);
    if (k->set_layout)
        v->vk.vkDestroyDescriptorSetLayout(v->handle, k->set_layout, NULL);
    free(k);
}

sy_weight_block *sy_weight_block_create(sy_store *s, const struct sy_safetensors *file, uint64_t bytes, uint32_t n,
                                        sy_error *error)
{
    sy_weight_block *b = calloc(1, sizeof *b);
    sy_stored_weight *weights = calloc((size_t)n + 1, sizeof *weights);
    if (!b || !weights)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for weights");
    else if (sy_vk_buffer_create(s->device, SY_MEMORY_DEVICE, bytes, "weights", &b->buffer, error)) {
        b->file = file;
        b->weights = weights;
        b->users = 1;
        return b;
    }
    free(b);
    free(weights);
    return NULL;
}

static int by_print(const void *a, const void *b)
{
    const sy_print *x = &((const sy_stored_weight *)a)->print, *y = &((const sy_stored_weight *)b)->print;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b == y->b ? 0 : x->b < y->b ? -1 : 1;
}

void sy_store_add_block(sy_store *s, sy_weight_block *b)
{
    qsort(b->weights, b->n, sizeof *b->weights, by_print);
    b->next = s->blocks;
    s->blocks = b;
}

void sy_store_release_block(sy_store *s, sy_weight_block *b)
{
    sy_weight_block **at = &s->blocks;
    if (--b->users)
        return;
    while (*at && *at != b)
        at = &(*at)->next;
    if (*at) /* it may never have been loaded */
        *at = b->next;
    sy_vk_buffer_destroy(s->device, &b->buffer);
    free(b->weights);
    free(b);
}

uint64_t sy_weight_block_find(const sy_weight_block *b, const sy_print *print, uint64_t bytes)
{
    sy_stored_weight wanted = {.print = *print};
    const sy_stored_weight *found = bsearch(&wanted, b->weights, b->n, sizeof wanted, by_print);
    return found && found->bytes == bytes ? found->offset : UINT64_MAX;
}
