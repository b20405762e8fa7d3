/* Shared by overlay.c and ask.c: the parameters of shaders/tap.glsl, frames, the binding of taps. */
#ifndef SY_VIEWER_OVERLAY_PRIVATE_H
#define SY_VIEWER_OVERLAY_PRIVATE_H

#include "viewer/ask.h"
#include "viewer/atlas.h"

enum { OVERLAY_JOBS = OVERLAY_TILES + ASK_A_FRAME, PARAMS_STRIDE = 768, ANSWER_WORDS = 1 << 16 };

/* As in shaders/tap.glsl. */
typedef struct overlay_side {
    uint32_t base, words, active_base, active_words;
    uint32_t rows, targets, weights, row_offsets;
    uint32_t row_slots, n_rows, n_targets, n_slots;
    uint32_t active_count, active_rows, active_slots, columns;
    uint32_t halves, heads, queries, keys;
    uint32_t query_side, key_side, pad[2];
} overlay_side;
typedef struct overlay_params {
    uint32_t kind, x, y, width;
    uint32_t height, grid_width, grid_height, count;
    uint32_t tokens, picture, half, target;
    uint32_t regions, shares, differ, channels;
    overlay_cells picked;
    float low, high;
    uint32_t layer_kind, layer_kind_b;
    overlay_side side[2];
} overlay_params;
_Static_assert(sizeof(overlay_side) == 96 && sizeof(overlay_params) == 288, "as std140 lays it out");
_Static_assert(PARAMS_STRIDE % 256 == 0 && PARAMS_STRIDE >= 2 * sizeof(overlay_params), "the shader declares two");

typedef struct overlay_palette {
    uint32_t experts[64], sizes[256], differences[256];
} overlay_palette;

typedef struct overlay_job {
    VkDescriptorSet set;
    VkPipeline pipeline;
    uint32_t across, down; /* groups */
    atlas *atlas;          /* NULL: a question */
    uint32_t tile;
} overlay_job;

/* Equal bytes are equal questions: made by zeroing it all first. */
typedef struct ask_key {
    uint64_t run;
    uint32_t evaluation, tap, other, kind, picture, half;
    overlay_cells picked;
    uint32_t pad;
} ask_key;

/* A question on its way. */
typedef struct overlay_asked {
    ask_key key;
    uint32_t at, n; /* words of the frame's answers */
} overlay_asked;

typedef struct overlay_frame {
    VkDescriptorPool pool;
    gpu_buffer params, answers;
    overlay_asked asked[ASK_A_FRAME];
    uint32_t n_asked, answer_words;
} overlay_frame;

typedef struct ask_store ask_store;

struct overlay {
    gpu *g;
    atlas atlases[2]; /* pictures, maps */
    gpu_buffer palette, none; /* none: bound where nothing is */
    VkDescriptorSetLayout tile_set, ask_set;
    VkPipelineLayout tile_layout, ask_layout;
    VkPipeline picture, map, blocks, ask;
    overlay_frame frames[OVERLAY_SLOTS];
    overlay_frame *now;
    uint64_t frame;
    overlay_job jobs[OVERLAY_JOBS];
    uint32_t n_jobs;
    bool waiting;
    overlay_counters counters;
    ask_store *answers;
};

/* Slices to bind; side and binding are made for them. slice NULL: nothing. */
typedef struct overlay_bound {
    VkDescriptorBufferInfo data, active;
} overlay_bound;
void overlay_bind_slice(const overlay *o, const sy_history_slice *slice, VkDescriptorBufferInfo *info, uint32_t *base,
                        uint32_t *words);
/* A route layer, or with `scores` its scores. False: the evaluation has not got it. */
bool overlay_bind_layer(const overlay *o, const overlay_source *source, const layer *l, bool scores,
                        overlay_side *side, overlay_bound *bound);
void overlay_bind_none(const overlay *o, overlay_side *side, overlay_bound *bound);
/* The parameters that every tile and question of a history has. */
void overlay_params_of(const overlay_source *source, const layer *l, overlay_params *params);
/* Takes a descriptor set and a place for parameters; `image` NULL: answers. False: no room in this frame. */
bool overlay_job_add(overlay *o, const overlay_params *params, const overlay_bound bound[2], const gpu_image *image,
                     overlay_job *job);

ask_store *ask_store_create(void);
void ask_store_destroy(ask_store *store);
/* What came back with the frame that used the slot before. */
void ask_collect(overlay *o, overlay_frame *frame);
/* The frame was never recorded: its questions were not asked. */
void ask_drop(overlay *o, overlay_frame *frame);

#endif
