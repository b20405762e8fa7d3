/* What sessions on one device have in common: kernels made by the driver, and weights that lie on the device. A session
 * joins the store of the one it is made after (sy_session_params.reuse), else has one of its own. Every entry counts the
 * sessions that use it and goes with the last of them; the store goes with its last session.
 *
 * Equal means: kernels by a hash of their code and layout; weights by the fingerprint of how they are made (share.h) and
 * the file they are made from. Thread safety: that of the device's sessions. */
#ifndef SY_RUN_STORE_H
#define SY_RUN_STORE_H

#include "graph/base/hash.h"
#include "src/device/device.h"
#include "src/run/share.h"

typedef struct sy_stored_kernel {
    sy_hash key;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    uint32_t users;
    struct sy_stored_kernel *next;
} sy_stored_kernel;

typedef struct sy_stored_weight {
    sy_print print;
    uint64_t offset, bytes;
} sy_stored_weight;

/* A buffer of weights, all of one file. */
typedef struct sy_weight_block {
    sy_vk_buffer buffer;
    const struct sy_safetensors *file; /* never read: only compared. It outlives all sessions that use the block */
    sy_stored_weight *weights;         /* [n], sorted by fingerprint */
    uint32_t n, users;
    struct sy_weight_block *next;
} sy_weight_block;

typedef struct sy_store {
    sy_vk_device *device;
    uint32_t users;
    sy_stored_kernel *kernels;
    sy_weight_block *blocks; /* those that are loaded */
} sy_store;

/* Joins `other` if it is one of the same device; else makes one. */
sy_store *sy_store_open(sy_vk_device *device, sy_store *other, sy_error *error);
void sy_store_close(sy_store **store); /* when all its entries that this session used are released */

/* A kernel, used once more. *fresh: it was not there, and its handles are to be made (they are null, and may stay so
 * after a failure). NULL: no memory. */
sy_stored_kernel *sy_store_kernel(sy_store *store, sy_hash key, bool *fresh);
void sy_store_release_kernel(sy_store *store, sy_stored_kernel *kernel);

/* A new block with one user, not in the store yet: what is not loaded is of no use to others. */
sy_weight_block *sy_weight_block_create(sy_store *store, const struct sy_safetensors *file, uint64_t bytes,
                                        uint32_t n_weights, sy_error *error);
/* Now it is loaded: sorts its weights and puts it in the store. */
void sy_store_add_block(sy_store *store, sy_weight_block *block);
void sy_store_release_block(sy_store *store, sy_weight_block *block);
/* The offset of a weight in the block; UINT64_MAX: it is not there. */
uint64_t sy_weight_block_find(const sy_weight_block *block, const sy_print *print, uint64_t bytes);

#endif
