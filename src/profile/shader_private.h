/* A shader on its way to being measured. Private to shader*.c. */
#ifndef SY_PROFILE_SHADER_PRIVATE_H
#define SY_PROFILE_SHADER_PRIVATE_H

#include "src/profile/array.h"
#include "src/profile/shader.h"
#include "src/run/work.h"

enum { SHADER_CONSTANTS = 16 };

typedef struct swept { /* a constant that is set */
    uint32_t constant, n; /* index into the shader's constants; values */
    uint64_t *values;
} swept;

typedef struct shader_job {
    const sy_shader_params *p;
    sy_vk_device *device;
    sy_arena arena;
    uint32_t *words;
    size_t n_words;
    sy_shader *shader;
    sy_raw_array *arrays, *wanted; /* by resource; wanted: by params->expects */
    uint32_t *expects, *outs;      /* resources they are of */
    sy_work_buffer *buffers;
    sy_work_binding *bindings;
    uint8_t push[SY_WORK_PUSH];
    swept swept[SHADER_CONSTANTS];
    uint32_t n_swept, n_variants;
} shader_job;

/* shader_bind.c: everything that is given by name, against everything the shader declares. */
bool shader_bind(shader_job *job, sy_error *error);
bool shader_sweep(shader_job *job, sy_error *error);

#endif
