/* Switchyard: routed neural networks on any Vulkan device. The whole public interface.
 *
 *   1. sy_context_create        one per thread, or one handed from thread to thread: see "Thread safety"
 *   2. sy_context_devices       what there is to run on; optional, a device can be left to the library
 *   3. sy_model_open            a .safetensors file
 *   4. sy_pipeline_create       model + device + sampler settings -> compiled, weights uploaded
 *   5. sy_generate              prompts and seeds in, pictures and taps out; progress and cancel by callback
 *   or sy_profile_run           says where the time of a model or a graph goes, dispatch by dispatch
 *   or sy_graph_run             runs any graph in the text form, or the network of any model, on named arrays
 *
 * Every params struct is zero-initialised for defaults: zero means "the default" in every field, and NULL in place of
 * the struct means all defaults. Out-parameters come last. Functions return a status; the message of the last failure
 * is sy_context_message. Nothing prints, nothing exits. Handles are made by _create/_open and given back by _destroy,
 * which takes the handle's address, nulls it, and does nothing on NULL. A handle must be destroyed before what it was
 * made from: pipelines before their model, models before their context.
 *
 * Strings passed in are copied; strings passed out live as long as the handle or struct they came with.
 *
 * Thread safety: a context and everything made from it belong to one thread at a time; different contexts may be used
 * by different threads at once. There is no global state. Callbacks run on the calling thread, inside the call. */
#ifndef SWITCHYARD_H
#define SWITCHYARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SY_VERSION_MAJOR 0
#define SY_VERSION_MINOR 1
#define SY_VERSION_PATCH 0

typedef enum sy_status {
    SY_OK,
    SY_ERROR_INVALID_ARGUMENT, /* something passed in can never work */
    SY_ERROR_INVALID_FILE,     /* a file's content is not what it should be */
    SY_ERROR_NOT_FOUND,        /* a file, tensor, device or name does not exist */
    SY_ERROR_UNAVAILABLE,      /* this machine or device cannot do it; not a fault */
    SY_ERROR_OUT_OF_MEMORY,
    SY_ERROR_IO,
    SY_ERROR_DEVICE,
    SY_ERROR_DEVICE_LOST,
    SY_ERROR_CANCELLED,
    SY_ERROR_INTERNAL /* always a bug of ours: please report it */
} sy_status;

const char *sy_status_text(sy_status status); /* "ok", "invalid argument", … */

/* ---- context ---- */

typedef struct sy_context sy_context;
typedef struct sy_vulkan_params sy_vulkan_params; /* switchyard_vulkan.h */

typedef struct sy_context_params {
    const char *cache_directory; /* of compiled kernels; NULL: $XDG_CACHE_HOME or ~/.cache, /switchyard; "": none */
    bool validation;             /* Vulkan's validation layer, with synchronization validation; must be installed.
                                    Also turned on by SWITCHYARD_VALIDATION=1 in the environment */
    void (*message)(void *user, const char *text); /* what the layer says; NULL: only counted. Called on the thread of
                                                      the call that it is about */
    void *user;
    const sy_vulkan_params *vulkan; /* what drawing with the library's devices needs, see switchyard_vulkan.h; NULL:
                                       nobody draws. Copied */
} sy_context_params;

/* Fails only when memory is out. Vulkan is loaded when it is first needed. */
sy_status sy_context_create(const sy_context_params *params, sy_context **context);
void sy_context_destroy(sy_context **context);
/* One or more sentences about the last failure of a call on this context or anything made from it: what, where, and
 * what to do. "" if there was none. Valid until the next call. */
const char *sy_context_message(const sy_context *context);
/* Messages of the validation layer so far (0 without it). */
uint32_t sy_context_validation_messages(const sy_context *context);

/* ---- devices ---- */

typedef struct sy_device_info {
    char name[256];        /* as its driver says */
    char driver[256];      /* name and version */
    char kind[32];         /* "discrete", "integrated", "virtual", "cpu", "reference" */
    uint64_t memory_bytes; /* that can be planned with; 0: unknown */
    bool usable;
    char why[512]; /* not usable: the reason and the remedy */
} sy_device_info;

/* All devices, best first; the last is always "reference", the built-in evaluator in plain C (f64,
 * slow, exact), never chosen unless asked for. *devices belongs to the context, valid until the next call of this
 * function. A machine without Vulkan is no error. */
sy_status sy_context_devices(sy_context *context, const sy_device_info **devices, size_t *count);

/* ---- models ---- */

typedef struct sy_model sy_model;

typedef struct sy_model_info {
    const char *path, *architecture;  /* "dit", "dit-moe", "promoe", … */
    uint32_t width, height, channels; /* of what the sampler makes: pixels, or cells of a latent code */
    bool latent;         /* a latent code of an image autoencoder: sy_result.pictures is NULL, sy_result.data has it */
    uint64_t parameters; /* numbers in the file */
    uint32_t depth, mixtures; /* blocks; how many of them are mixtures of experts */
    uint32_t experts, top_k;  /* of a mixture, shared ones not counted; experts a token */
    bool text;                /* prompted by any text, which the model's own encoder reads */
    uint32_t classes;         /* prompted by class: labels 0 … classes - 1; 0: by words, text or nothing */
    const char *const *words; /* prompted by words: the vocabulary */
    uint32_t n_words;
    const char *const *prompts; /* prompts the model was trained on, where the file lists them */
    uint32_t n_prompts;
    const char *objective; /* "ddpm", "flow", "flow-reversed" */
    uint32_t default_steps;
    double default_guidance; /* 1: none */
} sy_model_info;

/* The file is memory-mapped and checked; it must not change while the model is open. */
sy_status sy_model_open(sy_context *context, const char *path, sy_model **model);
void sy_model_destroy(sy_model **model);
const sy_model_info *sy_model_get_info(const sy_model *model); /* valid as long as the model */

/* ---- pipelines ---- */

typedef struct sy_pipeline sy_pipeline;

typedef enum sy_sampler {
    SY_SAMPLER_DEFAULT, /* flows: Euler; EDM: Heun; noise predictors: DDPM with a learned variance, else DDIM */
    SY_SAMPLER_EULER,
    SY_SAMPLER_HEUN, /* two evaluations a step but in the last */
    SY_SAMPLER_DDIM,
    SY_SAMPLER_DPM2M, /* DPM-Solver++(2M) */
    SY_SAMPLER_DDPM,  /* respaced, as DiT */
    SY_SAMPLER_MIDPOINT, /* flows: two evaluations a step */
    SY_SAMPLER_RK4,      /* flows: four evaluations a step */
    SY_SAMPLER_DOPRI5,   /* flows: steps of their own length, chosen on the device; `steps` bounds the attempts */
    SY_SAMPLER_DPM_FAST, /* DPM-Solver++ in single steps of three evaluations; `steps` counts evaluations (U-ViT) */
    SY_SAMPLER_COUNT
} sy_sampler;
const char *sy_sampler_text(sy_sampler sampler); /* "euler", …; NULL past the end */

typedef enum sy_precision {
    SY_PRECISION_AS_STORED,
    SY_PRECISION_F32,
    SY_PRECISION_F16
} sy_precision; /* of weights on the device; arithmetic is f32, but with F16 what meets such weights in a matrix multiplication
                   may be rounded to f16 first, on devices with cooperative matrices; sums stay f32 */

typedef enum sy_guidance_channels {
    SY_GUIDANCE_AS_TRAINED, /* as the model's authors do it */
    SY_GUIDANCE_ALL,
    SY_GUIDANCE_FIRST_THREE
} sy_guidance_channels;

/* What a method around or inside the network is told: {"guidance.steps", "2,10"}. */
typedef struct sy_named_setting {
    const char *name, *value;
} sy_named_setting;

/* A setting that there is. */
typedef struct sy_setting_info {
    const char *name;
    const char *value;   /* what a value looks like: "LOW,HIGH", or words with | between */
    const char *where;   /* "" for every model; else architectures and objectives, any of which will do */
    const char *meaning;
    double least, most;  /* of every number */
    uint32_t count;      /* most numbers; 0: a word */
} sy_setting_info;
bool sy_setting_at(uint32_t index, sy_setting_info *info); /* false past the end */

typedef struct sy_pipeline_params {
    const char *device; /* part of a device's name, its index in sy_context_devices, or "reference"; NULL: the best */
    uint32_t count;     /* pictures made at once; 0: 1 */
    uint32_t steps;     /* 0: the model's default */
    sy_sampler sampler;
    double guidance; /* classifier-free guidance scale; 0: the model's default, 1: none (half the work) */
    sy_guidance_channels guidance_channels;
    double eta;   /* DDIM: 0 (deterministic) to 1 */
    double shift; /* flows: shift of the noise levels; 0: 1 */
    sy_precision precision;
    const char *const *taps; /* values and routes to keep of every step; * is any text: "blocks.*.route"; those that
                                begin with ? may be missing */
    uint32_t n_taps;
    const sy_named_setting *settings; /* see sy_setting_at */
    uint32_t n_settings;
    bool history;           /* taps stay on the device, for who draws them (switchyard_vulkan.h); sy_result has none */
    uint64_t history_bytes; /* of device memory, at most; 0: half of what is free */
    sy_pipeline *reuse;     /* what it has on the device (weights of the same model, kernels on the same device) is used
                               again where it is equal, so that little is uploaded and compiled; it goes on working, and
                               either may be destroyed first. NULL: none */
    double slice_seconds;   /* submissions take no longer, as far as can be told from what they took before, and two are
                               in flight, so that others who use the queue wait for no more; 0: 0.02 with history where
                               the queue is shared, else no such bound; negative: none */
    bool (*loading)(void *user, uint64_t done, uint64_t total); /* bytes of weights; false cancels */
    void *user;
    bool steering; /* sy_generate_params.steers are possible */
    bool timings; /* time every dispatch, for sy_pipeline_dispatches; costs two timestamps each */
} sy_pipeline_params;

typedef struct sy_pipeline_info {
    const char *device, *sampler;
    uint32_t count, steps, evaluations; /* of the network a picture, guidance counted once */
    double guidance;
    sy_precision precision;
    uint32_t programs;      /* that make up the steps: guided and unguided, whole and cached … */
    double run_flops;       /* of a run in which every evaluation runs */
    uint64_t reused_bytes;  /* of weights that were on the device already */
    uint32_t pipelines;     /* kernels that the driver was given; others were there */
    uint64_t shared_bytes;  /* of weights that several programs use and that are stored once all the same */
    /* the compiled step; of several programs, of the one with most work */
    uint32_t dispatches, dispatches_unfused, kernels, kernels_compiled, kernels_cached, barriers, submissions_per_step;
    double flops, bytes, bytes_unfused; /* of one step: operations, bytes moved */
    uint64_t arena_bytes, arena_lower_bound, weight_bytes, device_bytes;
    double compile_seconds, load_seconds; /* of sy_pipeline_create */
} sy_pipeline_info;

/* Compiles for the device and uploads the weights. */
sy_status sy_pipeline_create(sy_model *model, const sy_pipeline_params *params, sy_pipeline **pipeline);
void sy_pipeline_destroy(sy_pipeline **pipeline);
const sy_pipeline_info *sy_pipeline_get_info(const sy_pipeline *pipeline); /* valid as long as the pipeline */

/* One dispatch of the network's last evaluation. */
typedef struct sy_dispatch_time {
    const char *name;   /* "blocks.3.attn: matmul add mul" */
    const char *layer;  /* where it stands in the network: "blocks.3.attn" */
    const char *ops;    /* what it computes: "matmul add mul" */
    const char *kind;   /* "matmul", "grouped matmul", "attention", "conv", "depthwise", "row", "map", "route" */
    const char *kernel; /* template and variant: "matmul.tile64" */
    double begin, seconds; /* by the device's clock: since the evaluation's first; what it adds to all before it */
    double flops, bytes;   /* operations, least bytes moved; of routed ones the bound */
} sy_dispatch_time;

/* In the order they ran, of the last evaluation of the network in the last sy_generate. *list belongs to the pipeline and
 * is valid until its next call. SY_ERROR_UNAVAILABLE if the pipeline was made without `timings`, nothing has run yet, or
 * the device has no timestamps; the message says which. Costs no work on the device. */
sy_status sy_pipeline_dispatches(sy_pipeline *pipeline, const sy_dispatch_time **list, size_t *count);

/* ---- generating ---- */

typedef struct sy_progress {
    uint32_t done, total;         /* evaluations */
    double seconds, seconds_left; /* since the start; expected, negative while unknown */
} sy_progress;

typedef enum sy_steer_kind {
    SY_STEER_OFF, /* nothing is routed to the target */
    SY_STEER_TO   /* to this target before all others; its weight is what the router gives it */
} sy_steer_kind;

/* A rule about where tokens are routed. Of rules about the same place and target the last holds. */
typedef struct sy_steer {
    const char *route; /* by the names of their taps, * is any text: "blocks.3.route"; NULL: all. Routes that are chosen
                          by scores (top-k, expert choice) can be steered */
    sy_steer_kind kind;
    int32_t target;    /* expert, region … from 0 */
    uint32_t picture;  /* of the batch, from 1; 0: all */
    uint32_t x, y, width, height; /* tokens of the picture's grid; width 0: all */
} sy_steer;

typedef struct sy_generate_params {
    const char *const *prompts; /* prompted by words or text: n_prompts of them, 1 (for all pictures) or the pipeline's count */
    uint32_t n_prompts;
    const char *const *negatives; /* prompted by text: what guidance (and the setting nag) goes away from; n_negatives of
                                     them, 1 or the pipeline's count; NULL: the empty text */
    uint32_t n_negatives;
    const int32_t *labels; /* prompted by class: n_labels of them, 1 or count */
    uint32_t n_labels;
    const uint32_t *seeds; /* one a picture; NULL: seed, seed + 1, … */
    uint32_t seed;         /* a picture depends on its own seed and prompt alone, not on its place in the batch */
    const sy_steer *steers; /* n_steers of them; pipelines made with `steering` */
    uint32_t n_steers;
    const char *record;   /* a file for one step's dispatches with their data, see `switchyard replay`; NULL: none */
    uint32_t record_step; /* which, from 0 */
    bool (*progress)(void *user, const sy_progress *progress); /* false cancels: SY_ERROR_CANCELLED */
    void *user;
} sy_generate_params;

typedef enum sy_array_type { SY_ARRAY_F32, SY_ARRAY_F16, SY_ARRAY_BF16, SY_ARRAY_I32, SY_ARRAY_U32 } sy_array_type;

enum { SY_ARRAY_MAX_RANK = 6 };

/* A named array, elements in row-major order, outermost dimension first. */
typedef struct sy_array {
    const char *name;
    sy_array_type type;
    uint32_t rank;
    int32_t dim[SY_ARRAY_MAX_RANK];
    const void *data;
    uint64_t bytes;
} sy_array;

/* One step's route, in compressed form: slots are sorted by (target, row). */
typedef struct sy_route_step {
    uint32_t n_slots;
    const int32_t *row, *target; /* [n_slots] */
    const float *weight;         /* [n_slots] */
} sy_route_step;

/* What was tapped, of every evaluation. Rows of routes are tokens of the whole batch in order: with guidance the
 * first half is the conditional one, picture after picture. Where steps are different programs, an evaluation whose
 * program has not got the tap, or did not run, has zeros or no slots, and one with fewer rows (no guidance) fills the
 * first of them. */
typedef struct sy_tap_result {
    const char *name;
    bool is_route;
    uint32_t evaluations;
    sy_array array;             /* tensors: type and shape of one evaluation; data: all of them, one after another */
    int32_t rows, targets;      /* routes */
    const sy_route_step *steps; /* routes: [evaluations] */
} sy_tap_result;

/* What one evaluation of the network was. */
typedef struct sy_evaluation {
    uint32_t step;       /* sampling step (or attempt), from 0 */
    uint32_t row;        /* of the taps */
    double sigma;        /* noise level; of dopri5 0 */
    bool guided;
    bool ran;            /* false: left out, the last output was used again */
    const char *program; /* "full", "cached", "active", "refresh" */
    double flops;        /* done; 0 where it did not run */
} sy_evaluation;

typedef struct sy_result {
    uint32_t count, width, height, channels;
    const uint8_t *pictures; /* RGB, 8 bits: [count][height][width][3]; NULL for latent models */
    const float *data;       /* what the sampler made: [count][channels][height][width] */
    const uint32_t *seeds;   /* [count] */
    const sy_tap_result *taps;
    uint32_t n_taps;
    uint32_t tokens_per_picture, grid_width, grid_height; /* of a transformer's tokens, row after row; else 0 */
    const sy_evaluation *evaluations;
    uint32_t n_evaluations;
    double flops;                                         /* of all evaluations that ran */
    double seconds, first_dispatch_seconds;               /* of this call; until the device had its first work */
    uint32_t submissions, host_waits;
} sy_result;

/* Makes the pipeline's count of pictures. On success *result is the caller's, to be destroyed; it does not depend on
 * the pipeline. */
sy_status sy_generate(sy_pipeline *pipeline, const sy_generate_params *params, sy_result **result);
void sy_result_destroy(sy_result **result);

/* ---- graphs ---- */

typedef struct sy_graph_params {
    const char *device;  /* as in sy_pipeline_params */
    const char *weights; /* a .safetensors file for the graph's parameters; NULL: none */
    uint32_t batch;      /* model files: samples at a time; 0: 1 */
    const char *const *taps;
    uint32_t n_taps;
    uint32_t steps;             /* times the graph runs, states carried on; 0: 1 */
    const char *const *columns; /* of the step table the graph reads */
    const float *table;         /* [steps][n_columns] */
    uint32_t n_columns;
    const char *record;   /* a file for one step's dispatches with their data, see `switchyard replay`; NULL: none */
    uint32_t record_step; /* which, from 0 */
} sy_graph_params;

typedef struct sy_graph_result {
    const sy_array *outputs; /* of the last step; routes as u32 words in the layout of the compiler's documentation */
    uint32_t n_outputs;
    const sy_tap_result *taps;
    uint32_t n_taps;
    double compile_seconds, seconds;
} sy_graph_result;

/* Compiles and runs the graph in the file at `path`, in the text form, or the network of a .safetensors model. Inputs are found by name; shapes must be the graph's, and f32 data
 * is converted to what an input wants; integers must be given as integers. */
sy_status sy_graph_run(sy_context *context, const char *path, const sy_array *inputs, uint32_t n_inputs,
                       const sy_graph_params *params, sy_graph_result **result);
void sy_graph_result_destroy(sy_graph_result **result);

/* ---- profiles ---- */

/* Where the time of a model or a graph goes: every dispatch by device timestamps, beside what its work allows on this device,
 * whose roofs are measured. */
typedef struct sy_profile_report sy_profile;

typedef enum sy_profile_modes {
    SY_PROFILE_BOTH,
    SY_PROFILE_SERIAL_ONLY, /* each dispatch alone, a barrier before every one */
    SY_PROFILE_OVERLAP_ONLY /* as it runs: a time is what a dispatch adds to those before it */
} sy_profile_modes;

typedef struct sy_profile_params {
    const sy_pipeline_params *pipeline; /* device; of a model that is sampled also count, steps, precision, settings …; of a
                                           graph also steps; NULL: defaults */
    const char *prompt; /* of a model prompted by words or text; NULL: the first it lists */
    int32_t label;      /* of a model prompted by class */
    uint32_t seed;
    const char *weights; /* of a graph in the text form; NULL: noise */
    uint32_t batch;      /* the network of a model file alone, not sampled, on so many samples; 0: sampled */
    sy_profile_modes modes;
    uint32_t repeats, warmups; /* whole runs each way; 0: 5 and 1 */
    bool measure_roofs;        /* anew, even where those of this device and driver are known */
    const char *counters;      /* hardware counters to read (VK_KHR_performance_query), in runs of their own: names or categories
                                  as sy_profile_list_counters has them, with commas between, or "all". A device whose counters
                                  cannot be read gives a profile with a note that says why; so does a context that has opened
                                  the device before, for something else. NULL: none */
    bool (*progress)(void *user, const char *what, uint32_t done, uint32_t total); /* false cancels */
    void *user;
    const char *record;        /* as in sy_generate_params */
    uint32_t record_step;
} sy_profile_params;

/* Inputs of a graph are noise. A device without timestamps gives a profile that says so and has host times only. On
 * success *profile is the caller's; it does not depend on the context. */
sy_status sy_profile_run(sy_context *context, const char *path, const sy_profile_params *params, sy_profile **profile);
void sy_profile_destroy(sy_profile **profile);

/* The hardware counters of a device (NULL: the best), one a line with unit, category and what it is. UNAVAILABLE, with why, where
 * there are none. *text is the caller's, to be given back with free(). */
sy_status sy_profile_list_counters(sy_context *context, const char *device, char **text);

/* Text for people, most time first, of at most so many dispatches (0: all). *text is the caller's, to be given back with
 * free(). */
sy_status sy_profile_table(sy_context *context, const sy_profile *profile, uint32_t most_rows, char **text);

typedef enum sy_profile_format {
    SY_PROFILE_JSON,   /* everything; sy_profile_compare reads it */
    SY_PROFILE_TRACE, /* Chrome's trace event format: chrome://tracing, ui.perfetto.dev */
    SY_PROFILE_HTML   /* one page, nothing from outside */
} sy_profile_format;

/* The same as sy_profile_table. */
sy_status sy_profile_text(sy_context *context, const sy_profile *profile, sy_profile_format format, char **text);
/* To a temporary name first, then renamed. */
sy_status sy_profile_write(sy_context *context, const sy_profile *profile, sy_profile_format format, const char *path);
/* GLSL, SPIR-V and disassembly of every kernel of what was profiled, into `directory`, which is made if it is not there. */
sy_status sy_profile_dump(sy_context *context, const sy_profile *profile, const char *directory);

/* What changed from one profile (a file of JSON) to another beyond the noise, in words: *text is the caller's, to be given back
 * with free(). *regressions: how many totals or dispatches became slower by more than `bound` (0.05 is five in a hundred). */
sy_status sy_profile_compare(sy_context *context, const char *before, const char *after, double bound, char **text,
                             uint32_t *regressions);

#ifdef __cplusplus
}
#endif
#endif
