/* Any compute shader, timed: compiled or read, its buffers filled, its specialisation constants swept, its outputs held
 * against given ones. What it needs is read from its SPIR-V, and whatever of that was not given is asked for by name. */
#ifndef SY_PROFILE_SHADER_H
#define SY_PROFILE_SHADER_H

#include "src/device/device.h"
#include "src/profile/report.h"

enum { SY_SHADER_VARIANTS = 4096 };

typedef struct sy_shader_params {
    const char *path;                    /* .spv, else GLSL */
    const char *const *defines;          /* GLSL: "NAME" or "NAME=VALUE" */
    const char *const *binds;            /* "WHERE=SPEC": WHERE is BINDING, SET.BINDING or the buffer's name, SPEC as of
                                            sy_raw_array_make, or of a uniform buffer as of sy_block_fill */
    const char *const *specs;            /* "CONSTANT=V1,V2,…": its id or name; every combination is a variant */
    const char *const *outs, *const *expects; /* "WHERE=FILE.npy": to be written after the first run of the first variant; to
                                            be equal after the first run of each */
    uint32_t n_defines, n_binds, n_specs, n_outs, n_expects;
    const char *push;                    /* as of sy_block_fill; NULL: none */
    uint32_t groups[3], threads[3];      /* workgroups, or invocations, rounded up to workgroups; the other is zeros */
    double tolerance;                    /* of |got - wanted| / max(1, |wanted|) */
    double flops, bytes;                 /* that a dispatch does; 0: unknown, and what its buffers hold */
    uint32_t repeats, warmups;
    bool (*progress)(void *user, uint32_t variant, uint32_t n_variants); /* may be NULL; false cancels */
    void *user;
} sy_shader_params;

typedef struct sy_shader_outcome {
    uint32_t n_variants, n_wrong, n_skipped; /* outputs that differ; variants that the device cannot run */
} sy_shader_outcome;

/* Fills the report: a program and a dispatch for each variant that ran. `log` gets all that the compiler says. That outputs
 * differ is no error: see the outcome. */
bool sy_shader_profile(sy_vk_device *device, const sy_shader_params *params, sy_profile_report *report,
                       sy_shader_outcome *outcome, sy_text *log, sy_error *error);

#endif
