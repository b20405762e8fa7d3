/* A profile as data: what was measured, on what, and what the graph says of it. Whoever measures fills one in (a model, a
 * graph, a shader of a user's own); whoever writes or compares (table, JSON, trace, HTML) reads this and nothing else,
 * so a report read back from its JSON can do all that a fresh one can.
 *
 * Seconds are of the device's clock unless a name says `host`: the two clocks are never subtracted from each other.
 * Unknown is 0, "" or NULL in every field. Strings and arrays are on the report's arena. No Vulkan here. */
#ifndef SY_PROFILE_REPORT_H
#define SY_PROFILE_REPORT_H

#include "graph/base/arena.h"
#include "graph/base/error.h"
#include "graph/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { SY_PROFILE_VERSION = 1 }; /* of the JSON; a reader refuses others */

/* How dispatches were run while they were timed. */
typedef enum sy_profile_mode {
    SY_MODE_SERIAL,  /* each alone: a barrier before every one */
    SY_MODE_OVERLAP, /* as the program runs: barriers only where hazards are; a time is what a dispatch adds */
    SY_MODES
} sy_profile_mode;
const char *sy_profile_mode_text(sy_profile_mode mode); /* "serial", "overlap" */

/* Samples of one quantity, in the order they were taken, and what is said of them (sy_samples_describe). */
typedef struct sy_samples {
    const double *of;
    uint32_t n;
    double median, least, most;
    double spread; /* median distance to the median: half of the samples are nearer than this */
} sy_samples;

/* A rate or a time that the device was measured to reach; nothing of the kind can be beaten, and what seems to has a wrong
 * model. Kinds are one row each: enumerator, name, unit. */
#define SY_ROOF_LIST(X)                                                                                                \
    X(COPY, "copy", "B/s")              /* bytes read and written; one roof a working set, see `bytes` */              \
    X(READ, "read", "B/s")              /* bytes read, next to nothing written; the same */                            \
    X(F32, "f32", "op/s")               /* fused multiply-adds, counted as two */                                      \
    X(F16, "f16", "op/s")                                                                                              \
    X(I8, "int8", "op/s")               /* integer dot products of four bytes, counted as eight */                     \
    X(MATRIX, "matrix", "op/s")         /* cooperative matrices, f16 into f32 */                                       \
    X(EMPTY, "empty dispatch", "s")     /* of one workgroup that does nothing, one of many without barriers */         \
    X(BARRIER, "barrier", "s")          /* what a barrier between two of those adds */                                 \
    X(INDIRECT, "indirect dispatch", "s") /* the same as the empty one, its size read from memory */

typedef enum sy_roof_kind {
#define X(name, text, unit) SY_ROOF_##name,
    SY_ROOF_LIST(X)
#undef X
    SY_ROOF_KINDS
} sy_roof_kind;
const char *sy_roof_text(sy_roof_kind kind);
const char *sy_roof_unit(sy_roof_kind kind);

typedef struct sy_roof {
    sy_roof_kind kind;
    double value;      /* in the kind's unit, the best of the samples; 0: not measured */
    double spread;     /* of the samples it is the best of */
    uint64_t bytes;    /* COPY, READ: the working set */
    const char *note;  /* why there is none, or what shape it is of */
} sy_roof;

enum { SY_MOST_ROOFS = 24 };
typedef struct sy_roofs {
    sy_roof roof[SY_MOST_ROOFS];
    uint32_t n;
    bool cached; /* read from the cache, measured earlier on this device and driver */
} sy_roofs;

/* A counter or a statistic that the driver gives: its words, its unit. */
typedef struct sy_profile_fact {
    const char *name, *unit, *text; /* text: as it is to be read, "96", "0.87", "true" */
    double value;
} sy_profile_fact;

/* A class of instructions and how many of them a shader has. */
typedef struct sy_profile_mix {
    const char *name; /* "load", "store", "arithmetic f32", "multiply-add", "matrix", "branch", "barrier", … */
    uint32_t count;
} sy_profile_mix;

typedef struct sy_profile_kernel {
    const char *name; /* "matmul.rows16": template and variant, or a user's file */
    uint32_t local[3], shared_bytes, bindings, push_bytes;
    uint32_t spirv_bytes, instructions;
    const sy_profile_mix *mix; /* most first */
    uint32_t n_mix;
    sy_roof_kind arithmetic;      /* which rate bounds it: F32, F16, I8 or MATRIX */
    sy_profile_fact *facts;       /* VK_KHR_pipeline_executable_properties: registers, spills, occupancy, … */
    uint32_t n_facts;
} sy_profile_kernel;

/* What a routed dispatch really had to do, means over the samples. */
typedef struct sy_profile_route {
    const char *name; /* of the dispatch that made it, or its place */
    uint32_t layer_first; /* the first dispatch that reads it */
    uint32_t rows, targets, slots; /* bounds, from its type */
    double used;                   /* slots in use */
    double tiles, tile_rows;       /* of grouped work; fill is used / (tiles * tile_rows) */
    double imbalance;              /* most of one target / mean of all; 1 is even */
    double *load;                  /* [targets] slots of each */
} sy_profile_route;

enum { SY_NO_ROUTE = UINT32_MAX };

typedef struct sy_profile_dispatch {
    const char *name;  /* "blocks.3.attn: matmul add mul" */
    const char *layer; /* "blocks.3.attn" */
    const char *ops;   /* "matmul add mul" */
    const char *kind;  /* "matmul", "grouped matmul", "attention", "row", … */
    uint32_t program, kernel; /* indices into the report's arrays */
    uint32_t groups[3];       /* workgroups; of an indirect dispatch the static bound */
    bool indirect, barrier;   /* barrier: one stands before it when it runs as planned */
    uint32_t route;           /* that it follows; SY_NO_ROUTE */
    double bound_flops;       /* of everything that could be there; below: of what was */
    double flops;             /* multiply and add count as one each */
    double least_bytes;       /* each input byte it needs read once, each output byte written once */
    double planned_bytes;     /* what its tiles ask memory for, caches aside */
    sy_samples time[SY_MODES];  /* n 0: not measured in that mode */
    double begin[SY_MODES];     /* since the first of its step, median */
    /* By sy_report_judge, from the times of the serial mode where there are any: */
    double intensity;       /* flops a least byte */
    double roof_seconds;    /* no model of this device allows less */
    double roof_rate;       /* op/s that roof_seconds stands for; 0 without flops */
    double share;           /* roof_seconds / measured median; above 1 the model is wrong, and it says so */
    const char *bound_by;   /* "f32", "memory", "launch", …; "" unknown */
    bool above_roof;
    sy_profile_fact *counters; /* VK_KHR_performance_query */
    uint32_t n_counters;
} sy_profile_dispatch;

/* One compiled program of the steps ("guided", "unguided", …); a graph or a shader has one. */
typedef struct sy_profile_program {
    const char *name;
    uint32_t first, n;  /* its dispatches */
    uint32_t turns;     /* times it runs in a run */
    sy_samples total[SY_MODES]; /* from before its first dispatch to after its last */
    double sum[SY_MODES];       /* of the medians of its dispatches */
    double begun[SY_MODES];     /* by the device's clock, from its own zero: its first dispatch in the last run */
    uint64_t arena_bytes, arena_lower_bound;
} sy_profile_program;

/* A stretch of arena memory and the dispatches between which it is alive. */
typedef struct sy_profile_buffer {
    const char *name; /* of the dispatch that writes it */
    uint32_t program, buffer;
    uint64_t offset, bytes;
    uint32_t first, last; /* dispatches of the report, inclusive */
} sy_profile_buffer;

/* Copies of what a kernel was made of, for dumps. */
typedef struct sy_profile_source {
    const char *glsl;
    const uint32_t *spirv;
    uint32_t n_spirv; /* words */
} sy_profile_source;

typedef struct sy_profile_setting {
    const char *name, *value;
} sy_profile_setting;

typedef struct sy_profile_report {
    sy_arena arena;
    const char *target, *what; /* path; "model", "graph", "shader" */
    const sy_profile_setting *settings; /* that decide what is computed: count, steps, precision, … */
    uint32_t n_settings;
    const char *device, *driver, *device_kind; /* kind "cpu": a software driver */
    uint32_t timestamp_bits;  /* 0: the device has no timestamps; there are no times then, and a note says so */
    double timestamp_period;  /* nanoseconds a tick */
    bool measured[SY_MODES];
    uint32_t repeats, warmups;
    /* What measuring costs. Of whole runs by the host's clock, interleaved; n 0: not measured. */
    sy_samples host_plain, host_timed[SY_MODES];
    /* Device clock to host clock (monotonic, seconds), for lining up a trace: host = offset + device. */
    double host_run[SY_MODES][2]; /* by the host's clock: when the last run began and ended */
    bool calibrated;
    double calibration_offset, calibration_error;
    sy_roofs roofs;
    sy_profile_fact *clocks; /* that the system tells, before and after: "GPU clock", … */
    uint32_t n_clocks;
    sy_profile_program *programs;
    uint32_t n_programs;
    sy_profile_dispatch *dispatches; /* program after program, in order */
    uint32_t n_dispatches;
    sy_profile_kernel *kernels;
    uint32_t n_kernels;
    sy_profile_route *routes;
    uint32_t n_routes;
    const sy_profile_buffer *buffers;
    uint32_t n_buffers;
    const struct sy_profile_source *sources; /* by kernel; NULL in a report read from JSON */
    const char *const *notes; /* for people: what is missing and why */
    uint32_t n_notes;
} sy_profile_report;

/* An empty report; NULL: no memory. Give it back with sy_report_destroy. */
sy_profile_report *sy_report_create(void);
void sy_report_destroy(sy_profile_report **report);

/* Sets what is said of `n` samples (n 0: zeros); `of` is kept, unsorted. False: no memory. */
bool sy_samples_describe(const double *of, uint32_t n, sy_samples *out);

/* Fills the judgement of every dispatch from roofs, work and times. Never clamps. */
void sy_report_judge(sy_profile_report *report);
/* Seconds no model allows less than, for work on these roofs; *bound_by: static text. */
double sy_roof_seconds(const sy_roofs *roofs, sy_roof_kind arithmetic, double flops, double least_bytes, bool indirect,
                       const char **bound_by);
/* The mode that a report judges by and is sorted by: serial where it was measured. */
sy_profile_mode sy_report_mode(const sy_profile_report *report);
/* Names grouped like "blocks.3.attn" -> "blocks.3"; room bytes. */
void sy_report_group(const char *layer, char *out, uint32_t room);

/* Writers. Each appends to `out`, reading the report alone; out->failed says that memory was out. */
void sy_report_table(const sy_profile_report *report, uint32_t most_rows, sy_text *out); /* most_rows 0: all */
void sy_report_json(const sy_profile_report *report, sy_text *out);
void sy_report_trace(const sy_profile_report *report, sy_text *out); /* Chrome's trace event format */
void sy_report_html(const sy_profile_report *report, sy_text *out);  /* one page, nothing from outside */

/* Untrusted input. NULL on error. */
sy_profile_report *sy_report_from_json(const char *text, size_t size, sy_error *error);

/* What changed from `a` to `b` beyond the noise: printed to `out`. *regressions: how many totals or dispatches are
 * slower by more than `bound` (0.05: five in a hundred) beyond the noise of both. False if they cannot be compared
 * (other target, other device: said in the error). */
bool sy_report_compare(const sy_profile_report *a, const sy_profile_report *b, double bound, sy_text *out,
                       uint32_t *regressions, sy_error *error);

#endif
