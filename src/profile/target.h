/* What is profiled, ready to run: a model in a pipeline, or a graph in a session of its own, with inputs written. */
#ifndef SY_PROFILE_TARGET_H
#define SY_PROFILE_TARGET_H

#include "src/api.h"
#include "src/profile/measure.h"

typedef struct sy_profile_target {
    sy_model *model; /* a model that is sampled ... */
    sy_pipeline *pipeline;
    sy_graph *graph; /* ... or any graph */
    sy_safetensors *weights;
    void *made; /* weights made up, where none were given */
    sy_program *program;
    sy_session *own;
    sy_vk_device *device;
    char device_name[300], name[SY_SAMPLING_PROGRAMS][48];
    const char *names[SY_SAMPLING_PROGRAMS];
    const sy_program *programs[SY_SAMPLING_PROGRAMS];
    sy_session *session;
    const uint32_t *schedule;
    uint32_t n_programs, n_schedule;
} sy_profile_target;

/* Opens and runs it once. `report` gets what it is and the settings that decide what is computed. Also after a failure:
 * sy_profile_target_close. */
bool sy_profile_target_open(sy_context *context, const char *path, const sy_profile_params *params, sy_profile_target *target,
                            sy_profile_report *report, sy_error *error);
void sy_profile_target_close(sy_profile_target *target);

#endif
