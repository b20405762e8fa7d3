/* Emit: each group's GLSL, and, unless only the plan is asked for, its SPIR-V through the cache. Groups of equal text
 * are one kernel: what differs between equal layers travels in push words, so deep networks have few kernels. */
#include "graph/passes/passes.h"

#include "graph/base/hash.h"

#include <stdlib.h>
#include <string.h>

/* The kernel of that text, or n_kernels if it is new. Slots: kernel + 1 by hash of the text. */
static uint32_t find_kernel(const sy_plan *plan, const char *name, const char *glsl, uint32_t *slots, uint32_t room,
                            uint32_t *slot)
{
    *slot = (uint32_t)sy_hash_bytes(glsl, strlen(glsl), 0).lo & (room - 1);
    for (; slots[*slot]; *slot = (*slot + 1) & (room - 1)) {
        const sy_kernel *kernel = &plan->kernels[slots[*slot] - 1];
        if (!strcmp(kernel->glsl, glsl) && !strcmp(kernel->name, name))
            return slots[*slot] - 1;
    }
    return plan->n_kernels;
}

static bool compile(sy_plan *plan, struct sy_emitter *emitter, sy_kernel *kernel, sy_error *error)
{
    const uint32_t *words;
    bool cached = false;
    if (!sy_emit_spirv(emitter, kernel->name, kernel->glsl, &words, &kernel->n_spirv, &cached, error))
        return false;
    uint32_t *copy = sy_arena_array(&plan->arena, kernel->n_spirv, sizeof *copy);
    if (!copy)
        return sy_no_memory(error);
    kernel->spirv = memcpy(copy, words, kernel->n_spirv * sizeof *copy);
    if (cached)
        plan->stats.kernels_cached++;
    else
        plan->stats.kernels_compiled++;
    return true;
}

static bool add_kernel(sy_plan *plan, struct sy_emitter *emitter, const sy_group *group, const sy_emitted *emitted,
                       sy_error *error)
{
    sy_kernel *kernel = &plan->kernels[plan->n_kernels++];
    *kernel = (sy_kernel){
        .name = sy_arena_string(&plan->arena, group->variant),
        .glsl = sy_arena_string(&plan->arena, emitted->glsl),
        .local_size = {group->local_size[0], group->local_size[1], group->local_size[2]},
        .shared_bytes = emitted->shared_bytes,
        .n_bindings = group->n_inputs + group->n_outputs + group->reads_step,
        .push_words = emitted->n_push,
        .texel_bindings = emitted->texel_bindings,
        .full_subgroups = emitted->full_subgroups,
    };
    if (!kernel->name || !kernel->glsl)
        return sy_no_memory(error);
    return !emitter || compile(plan, emitter, kernel, error);
}

static bool emit_all(sy_plan *plan, struct sy_emitter *emitter, uint32_t *slots, uint32_t room, sy_error *error)
{
    for (uint32_t g = 0; g < plan->n_groups; g++) {
        sy_emitted *emitted = &plan->emitted[g];
        uint32_t slot;
        if (!sy_emit_group(plan, g, emitted, error))
            return sy_fail_context(error, "group %u", g);
        plan->kernel_of[g] = find_kernel(plan, plan->groups[g].variant, emitted->glsl, slots, room, &slot);
        if (plan->kernel_of[g] < plan->n_kernels)
            continue;
        if (!add_kernel(plan, emitter, &plan->groups[g], emitted, error))
            return false;
        slots[slot] = plan->n_kernels;
    }
    return true;
}

bool sy_pass_emit(sy_plan *plan, sy_error *error)
{
    struct sy_emitter *emitter = NULL;
    uint32_t n = plan->n_groups, room = 64;
    while (room < n * 2)
        room *= 2;
    uint32_t *slots = calloc(room, sizeof *slots);
    plan->emitted = sy_arena_array(&plan->arena, n + 1, sizeof *plan->emitted);
    plan->kernels = sy_arena_array(&plan->arena, n + 1, sizeof *plan->kernels);
    plan->kernel_of = sy_arena_array(&plan->arena, n + 1, sizeof *plan->kernel_of);
    bool fine = slots && plan->emitted && plan->kernels && plan->kernel_of ? true : sy_no_memory(error);
    if (fine && !plan->params->no_spirv)
        fine = (emitter = sy_emitter_create(plan->params, &plan->limits, error)) != NULL;
    fine = fine && emit_all(plan, emitter, slots, room, error);
    sy_emitter_destroy(&emitter);
    free(slots);
    return fine;
}
