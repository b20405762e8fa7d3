/* Inside a session on a device: its buffers, pipelines and command buffers. Not for others.
 *
 *   device_session.c  making and ending it: memory, weights, where places of programs lie
 *   upload.c          the staging ring
 *   weights_there.c   weights in blocks: those another session loaded, and new ones
 *   pipelines.c       pipelines, by several threads
 *   segments.c        what goes into one command buffer, so that submissions are bounded in time
 *   record.c          descriptor sets, command buffers
 *   gate.c            programs with a condition: the sizes of their dispatches
 *   submit.c          running it
 *   labels.c          what debuggers see
 *   marks.c           where it was when the device was lost
 *   observe.c         watching it: when, and which rows went where
 *   timings.c         how long each dispatch takes, where asked for
 *   count.c           hardware counters of each dispatch */
#ifndef SY_RUN_DEVICE_SESSION_H
#define SY_RUN_DEVICE_SESSION_H

#include "src/device/device.h"
#include "src/run/pipeline_cache.h"
#include "src/run/session_private.h"
#include "src/run/share.h"
#include "src/run/store.h"

/* Programs by number: init, then the step programs, which are those that are timed. */
enum { SY_PROGRAMS = SY_SESSION_PROGRAMS + 1, SY_INIT = 0, SY_STEP = 1 };
_Static_assert((int)SY_PROGRAMS <= (int)SY_SHARED_PROGRAMS, "all programs of a session share weights");

/* A command buffer that is replayed: n dispatches of a program from `first` on, or a part of one: the workgroups from
 * base on, count of them. */
typedef struct sy_segment {
    VkCommandBuffer commands;
    uint32_t first, n;
    bool part, begins, ends; /* of a part: whether it is the first or the last of its dispatch; else both */
    uint32_t base[3], count[3];
    double predicted; /* seconds */
    double expected;  /* by what it took so far */
} sy_segment;

/* Everything made from one program. Arrays are by kernel or by dispatch. */
typedef struct sy_program_objects {
    const sy_program *program; /* NULL: none */
    sy_vk_buffer output[SY_SPACE_BUFFERS];
    bool ends_step;
    const char *condition;
    sy_vk_buffer gate; /* with a condition: sizes, then what the dispatches read */
    VkDescriptorSet gate_set;
    VkDescriptorSetLayout *set_layouts;
    VkPipelineLayout *layouts;
    VkPipeline *pipelines;
    VkDescriptorPool pool;
    VkDescriptorSet *sets;
    VkBufferView *views;
    uint32_t n_views;
    sy_segment *segments; /* in the order they are to run */
    uint32_t n_segments;
    bool timed;
    uint32_t first_query; /* of queries: 2 i from there before dispatch i, 2 i + 1 after */
    sy_route_head *heads; /* of its routes, where they are observed */
    uint32_t n_heads;
} sy_program_objects;

/* A kernel of the store that a session uses. */
typedef struct sy_kernel_use {
    sy_stored_kernel *kernel;
    struct sy_kernel_use *next;
} sy_kernel_use;

typedef struct sy_device_session {
    sy_session *session;
    sy_vk_device *device;
    sy_pipeline_cache cache;
    sy_store *store; /* kernels and weights, perhaps of other sessions as well: */
    sy_kernel_use *kernels;
    sy_weight_block *weight[SY_SPACE_BUFFERS]; /* the first weights_there of them were there before this session */
    uint32_t weights_there;
    sy_vk_buffer arena[SY_SPACE_BUFFERS], state, input, step, staging, readback;
    sy_vk_buffer marks; /* see marks.h */
    sy_shared shared;
    sy_program_objects objects[SY_PROGRAMS];
    VkDescriptorSetLayout advance_set_layout;
    VkPipelineLayout advance_layout;
    VkPipeline advance;
    VkDescriptorPool advance_pool;
    VkDescriptorSet advance_set;
    VkDescriptorSetLayout gate_set_layout;
    VkPipelineLayout gate_layout;
    VkPipeline gate;
    VkDescriptorPool gate_pool;
    VkCommandPool commands;
    VkCommandBuffer begin, end;
    uint64_t *turn_ends; /* by turn: segments of the init program and of all turns up to the end of it */
    VkQueryPool queries; /* null: no timings */
    uint64_t *ticks;     /* by query */
    sy_vk_buffer heads;  /* of all routes observed */
    VkSemaphore timeline;
    uint64_t reached; /* last value handed out */
} sy_device_session;

/* Finds where a place of a program lies. False only on a broken program. */
bool sy_locate(const sy_device_session *d, uint32_t program, const sy_place *place, VkBuffer *buffer, uint64_t *offset,
               sy_error *error);

/* Lays out the weights of all programs: where others have loaded them, else in new blocks, which
 * sy_weights_make allocates and, once they are loaded, sy_weights_done shows to others. */
bool sy_weights_lay_out(sy_device_session *d, sy_error *error);
bool sy_weights_make(sy_device_session *d, sy_error *error);
void sy_weights_done(sy_device_session *d);
void sy_weights_release(sy_device_session *d);

/* Copies through the staging ring; what is put is complete after sy_upload_end. Zero is ready to begin. */
typedef struct sy_upload {
    sy_device_session *d;
    sy_vk_buffer ring;
    VkCommandBuffer commands[2];
    uint64_t values[2]; /* timeline value that frees a half */
    uint32_t half;
    bool recording;
    uint64_t used; /* of the current half */
} sy_upload;
bool sy_upload_begin(sy_device_session *d, sy_upload *upload, sy_error *error);
bool sy_upload_put(sy_upload *upload, const sy_vk_buffer *to, uint64_t offset, const void *data, uint64_t bytes,
                   sy_error *error);
bool sy_upload_end(sy_upload *upload, sy_error *error); /* also after a failure */

/* Layouts and pipelines of kernels, into arrays of n; they belong to the session's store. */
typedef struct sy_pipelines {
    const sy_kernel *kernels;
    const bool *in_parts; /* by kernel: dispatched from other workgroups than 0 on; NULL: none is */
    uint32_t n;
    VkDescriptorSetLayout *set_layouts;
    VkPipelineLayout *layouts;
    VkPipeline *pipelines;
} sy_pipelines;
bool sy_pipelines_make(sy_device_session *d, const sy_pipelines *pipelines, sy_error *error);

/* Makes what the session's observer needs and records anew; the device must be idle. */
bool sy_observe_begin(sy_session *session, sy_error *error);
/* Copies the heads of routes that this dispatch is the first to read, if they are observed. */
bool sy_observe_dispatch(sy_device_session *d, uint32_t program, uint32_t index, VkCommandBuffer commands, sy_error *error);
/* Where a turn ends at this position of the run and somebody watches turns: waits, reads, tells. */
bool sy_observe_turn(sy_device_session *d, uint64_t position, sy_error *error);

bool sy_timings_create(sy_device_session *d, sy_error *error);
void sy_timings_reset(const sy_device_session *d, uint32_t program, VkCommandBuffer commands);
void sy_timings_write(const sy_device_session *d, uint32_t program, VkCommandBuffer commands, uint32_t query);
/* Of the last turn of a step program, which must be complete. */
bool sy_timings_read(sy_device_session *d, uint32_t program, sy_error *error);
bool sy_timings_read_all(sy_device_session *d, sy_error *error); /* after a whole run */

/* The segments of a program whose submissions are bounded by so many seconds (0: not at all), on the arena. `whole`:
 * between dispatches only. */
bool sy_segments_plan(const sy_program *program, double bound, bool whole, sy_arena *arena, sy_segment **segments, uint32_t *count,
                      sy_error *error);

/* The bound for a session: what the device needs, and fine enough to fill slices by what is measured. */
double sy_segments_bound(const sy_device_session *d);

bool sy_record_objects(sy_device_session *d, uint32_t program, sy_error *error);
bool sy_record_advance(sy_device_session *d, sy_error *error);
/* A pipeline of a shader of the run time's own, and a pool for so many sets of it. */
bool sy_record_small(sy_device_session *d, const char *name, uint32_t bindings, uint32_t push_words, uint32_t sets,
                     VkDescriptorSetLayout *set_layout, VkPipelineLayout *layout, VkPipeline *pipeline,
                     VkDescriptorPool *pool, sy_error *error);
void sy_record_barrier(sy_device_session *d, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags wrote,
                       VkPipelineStageFlags to, VkAccessFlags reads);

/* Programs with a condition: what they need, at the head of the first segment, and in place of a dispatch. */
bool sy_gate_create(sy_device_session *d, sy_upload *upload, sy_error *error);
bool sy_gate_record(sy_device_session *d, uint32_t program, VkCommandBuffer commands, sy_error *error);
void sy_gate_dispatch(sy_device_session *d, uint32_t program, uint32_t index, const sy_segment *segment,
                      VkCommandBuffer commands);
void sy_gate_destroy(sy_device_session *d);
/* A command buffer of the session's pool, open, after a barrier that everything before it is seen through. */
bool sy_record_open(sy_device_session *d, VkCommandBuffer *commands, sy_error *error);
/* A dispatch, or the segment's part of it; `bind`: its pipeline is not bound yet. */
bool sy_record_dispatch(sy_device_session *d, uint32_t program, uint32_t index, const sy_segment *segment, VkCommandBuffer commands,
                        bool bind, sy_error *error);
void sy_record_step_over(sy_device_session *d, VkCommandBuffer commands);
bool sy_record_commands(sy_device_session *d, sy_error *error);
bool sy_record_again(sy_device_session *d, sy_error *error); /* all command buffers; the device must be idle */
void sy_record_free(sy_device_session *d);

bool sy_submit_run(sy_session *session, sy_session_progress *progress, void *context, sy_error *error);
/* Submits and counts; *value is what the timeline reaches when it is done. `next`: more structures for VkSubmitInfo, or NULL. */
bool sy_submit_chained(sy_device_session *d, const void *next, const VkCommandBuffer *commands, uint32_t n, uint64_t *value, sy_error *error);
bool sy_submit(sy_device_session *d, const VkCommandBuffer *commands, uint32_t n, uint64_t *value, sy_error *error);
bool sy_submit_wait(sy_device_session *d, uint64_t value, sy_error *error);
/* Where *error is a loss of the device: says where it was, what the driver knows of it, and makes it sticky, for this
 * session and for the device. Returns false. */
bool sy_submit_lost(sy_device_session *d, sy_error *error);

#endif
