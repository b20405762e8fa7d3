/* The device plan: a pure function of a snapshot. Says how a device will be used (queue, memory types, features to
 * enable, limits for the compiler, bounds), or why it cannot be. No driver is called, so tests run it over stored
 * snapshots of many GPUs; device.c then does exactly what the plan says. */
#ifndef SY_DEVICE_PLAN_H
#define SY_DEVICE_PLAN_H

#include "graph/limits.h"
#include "src/device/snapshot.h"

/* What a piece of memory is for. */
typedef enum sy_memory_use {
    SY_MEMORY_DEVICE,   /* read and written by kernels only */
    SY_MEMORY_STAGING,  /* written by the host in order, copied from by the device */
    SY_MEMORY_READBACK, /* written by the device, read by the host */
    SY_MEMORY_USES
} sy_memory_use;

/* What faster kernels could use; of these only matrices are, and they are never needed. Shown by `switchyard devices`. */
typedef enum sy_device_tier {
    SY_TIER_CPU,    /* a software driver */
    SY_TIER_BASIC,  /* Vulkan 1.2 and nothing more */
    SY_TIER_HALF,   /* 16-bit arithmetic and storage */
    SY_TIER_MATRIX, /* and cooperative matrices */
} sy_device_tier;

/* A known oddity of some drivers and what is done about it. */
struct sy_device_plan;
typedef struct sy_quirk {
    const char *name;
    const char *what;   /* the driver does */
    const char *remedy; /* what we do about it */
    const char *source; /* where it is known from, and where it is tested */
    bool (*applies)(const sy_device_snapshot *snapshot);
    void (*apply)(struct sy_device_plan *plan); /* before queues and memory are chosen */
} sy_quirk;

enum { SY_PLAN_NOTES = 8, SY_PLAN_EXTENSIONS = 8 };

typedef struct sy_device_plan {
    bool usable;
    char refusal[400]; /* why not, and what to do about it; "" when usable */

    uint32_t family, n_queues; /* of that family; one is used */
    bool dedicated;            /* the family does no graphics */
    bool draws;                /* there is a queue that draws as well as computes; where it is asked for: */
    uint32_t draw_family, draw_index;
    bool own_draw_queue;       /* another queue than the one that networks run on */
    uint32_t timestamp_bits;   /* 0: no timestamps */
    double timestamp_period;   /* nanoseconds a tick */

    /* Memory types by use, best first; a type the resource does not allow, or whose heap is full, is passed over. */
    uint8_t memory[SY_MEMORY_USES][SY_MAX_MEMORY_TYPES];
    uint32_t n_memory[SY_MEMORY_USES];
    bool any_heap;         /* the device's own memory is not preferred (a quirk) */
    bool unified;          /* the first device type can be mapped: no staging needed */
    uint64_t atom_bytes;   /* flushes and invalidations of memory that is not coherent keep this alignment */
    uint64_t heap_bytes;   /* size of the heap of the first device type; 0: unknown */
    uint64_t budget_bytes; /* how much of it is ours to plan with */

    sy_limits limits;
    sy_device_tier tier;
    bool timeline, host_query_reset;            /* features to enable */
    bool matrices;                              /* and cooperativeMatrix, vulkanMemoryModel and its device scope, shaderFloat16,
                                                   computeFullSubgroups */
    const char *extensions[SY_PLAN_EXTENSIONS]; /* device extensions to enable; static strings */
    uint32_t n_extensions;
    double
        submission_seconds; /* bound on the predicted time of one submission; 0: none (CPU drivers have no watchdog) */

    uint64_t quirks;                  /* bit i: sy_quirks[i] applies */
    const char *notes[SY_PLAN_NOTES]; /* what was assumed or avoided; static strings, for people */
    uint32_t n_notes;
} sy_device_plan;

void sy_plan_make(const sy_device_snapshot *snapshot, sy_device_plan *plan);

struct cJSON;
struct cJSON *sy_plan_to_json(const sy_device_plan *plan); /* NULL: out of memory */

extern const sy_quirk sy_quirks[]; /* ends with a row whose name is NULL */
const char *sy_tier_text(sy_device_tier tier);

#endif
