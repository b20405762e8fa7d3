/* Tunings in a file: what sy_tune found, by device and driver, so that it is found once and can be shipped. JSON, versioned:
 *
 *   {"format": "switchyard-tuning", "version": 1,
 *    "devices": [{"device": "…", "driver": "…", "templates": "hash of the kernels it was measured with",
 *                 "rows": [{"problem": "matmul …", "variant": "matmul.tile64", "seconds": 1e-4, "before": "…",
 *                           "before_seconds": 2e-4}]}]}
 *
 * A file is untrusted: rows name variants of the program's own, which are taken only where they can solve the problem. */
#ifndef SY_TUNE_STORE_H
#define SY_TUNE_STORE_H

#include "src/device/device.h"
#include "src/tune/tune.h"

typedef struct sy_tuning_store sy_tuning_store;

/* A missing file gives an empty store if `may_miss`. NULL on error. */
sy_tuning_store *sy_tuning_store_load(const char *path, bool may_miss, sy_error *error);
bool sy_tuning_store_save(const sy_tuning_store *store, const char *path, sy_error *error);
void sy_tuning_store_free(sy_tuning_store **store);

/* Replaces what the store has of a class by what was found, for that device and driver. */
bool sy_tuning_store_put(sy_tuning_store *store, const sy_device_snapshot *device, const sy_tune_result *found,
                         sy_error *error);
/* The rows of `from` go over those of `into`. */
bool sy_tuning_store_merge(sy_tuning_store *into, const sy_tuning_store *from, sy_error *error);
/* Adds the rows for that device and driver. *stale: how many there are of other kernels, which are left out. */
bool sy_tuning_store_take(const sy_tuning_store *store, const sy_device_snapshot *device, sy_tuning *tuning,
                          uint32_t *stale, sy_error *error);

#endif
