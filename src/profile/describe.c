/* From programs to the fixed part of a report. */
#include "src/profile/measure.h"

#include "graph/ir/route.h"

#include <string.h>

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
}

size_t sy_label_split(const char *label, const char **ops)
{
    const char *colon = strstr(label, ": ");
    *ops = colon ? colon + 2 : "";
    return colon ? (size_t)(colon - label) : strlen(label);
}

/* Kernels of all programs; equal ones of two programs stay two, which costs a line and no sum. */
static bool add_kernels(const sy_program *p, sy_profile_report *r, sy_profile_kernel *kernels, sy_error *error)
{
    for (uint32_t i = 0; i < p->n_kernels; i++) {
        const sy_kernel *k = &p->kernels[i];
        sy_profile_kernel *out = &kernels[r->n_kernels++];
        *out = (sy_profile_kernel){.name = sy_arena_string(&r->arena, k->name),
                                   .shared_bytes = k->shared_bytes,
                                   .bindings = k->n_bindings,
                                   .push_bytes = 4 * k->push_words,
                                   .spirv_bytes = 4 * k->n_spirv};
        memcpy(out->local, k->local_size, sizeof out->local);
        if (!out->name || !sy_spirv_facts(k->spirv, k->n_spirv, &r->arena, out))
            return no_memory(error);
    }
    return true;
}

static bool add_dispatch(const sy_dispatch *d, sy_profile_report *r, uint32_t program, uint32_t first_kernel, sy_error *error)
{
    sy_profile_dispatch *out = &r->dispatches[r->n_dispatches++];
    const char *ops;
    size_t layer = sy_label_split(d->label, &ops);
    *out = (sy_profile_dispatch){.name = sy_arena_string(&r->arena, d->label),
                                 .layer = sy_arena_printf(&r->arena, "%.*s", (int)layer, d->label),
                                 .ops = sy_arena_string(&r->arena, ops),
                                 .kind = d->kind ? d->kind : "",
                                 .program = program,
                                 .kernel = first_kernel + d->kernel,
                                 .groups = {d->groups[0], d->groups[1], d->groups[2]},
                                 .indirect = d->indirect,
                                 .barrier = d->barrier,
                                 .route = SY_NO_ROUTE,
                                 .bound_flops = d->flops,
                                 .flops = d->flops,
                                 .least_bytes = d->bytes,
                                 .planned_bytes = d->bytes_planned};
    return (out->name && out->layer && out->ops) || no_memory(error);
}

static bool same_place(const sy_place *a, const sy_place *b)
{
    return a->space == b->space && a->buffer == b->buffer && a->offset == b->offset;
}

/* The routes of a program, each with the dispatches that read it. */
static bool add_routes(const sy_program *p, sy_profile_report *r, sy_profile_route *routes, uint32_t first, sy_error *error)
{
    sy_route_head *heads = sy_arena_array(&r->arena, (size_t)p->n_dispatches + 1, sizeof *heads);
    if (!heads)
        return no_memory(error);
    uint32_t n = sy_session_heads(p, heads), begin = r->n_routes;
    for (uint32_t k = 0; k < n; k++) {
        const sy_type *type = &heads[k].type;
        double *load = sy_arena_array(&r->arena, (size_t)type->dim[SY_ROUTE_TARGETS], sizeof *load);
        if (!load)
            return no_memory(error);
        routes[r->n_routes++] = (sy_profile_route){.name = r->dispatches[first + heads[k].first].layer,
                                                   .layer_first = first + heads[k].first,
                                                   .rows = (uint32_t)type->dim[SY_ROUTE_ROWS],
                                                   .targets = (uint32_t)type->dim[SY_ROUTE_TARGETS],
                                                   .slots = (uint32_t)type->dim[SY_ROUTE_SLOTS],
                                                   .load = load};
    }
    for (uint32_t i = 0; i < p->n_dispatches; i++) /* the last route of that place whose first reader is not behind it */
        for (uint32_t k = n; k > 0 && p->dispatches[i].route.size && r->dispatches[first + i].route == SY_NO_ROUTE; k--)
            if (heads[k - 1].first <= i && same_place(&p->dispatches[heads[k - 1].first].route, &p->dispatches[i].route)) {
                r->dispatches[first + i].route = begin + k - 1;
                if (p->dispatches[i].tile_rows)
                    routes[begin + k - 1].tile_rows = p->dispatches[i].tile_rows;
            }
    return true;
}

static uint32_t turns_of(const sy_measure_params *m, uint32_t program)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_schedule; i++)
        n += (m->schedule ? m->schedule[i] : 0) == program;
    return n;
}

bool sy_profile_describe(const sy_measure_params *m, sy_profile_report *r, sy_error *error)
{
    size_t dispatches = 0, kernels = 0;
    for (uint32_t i = 0; i < m->n_programs; i++) {
        dispatches += m->programs[i]->n_dispatches;
        kernels += m->programs[i]->n_kernels;
    }
    sy_profile_program *programs = sy_arena_array(&r->arena, m->n_programs + 1, sizeof *programs);
    sy_profile_kernel *kernel_list = sy_arena_array(&r->arena, kernels + 1, sizeof *kernel_list);
    sy_profile_route *routes = sy_arena_array(&r->arena, dispatches + 1, sizeof *routes);
    r->dispatches = sy_arena_array(&r->arena, dispatches + 1, sizeof *r->dispatches);
    if (!programs || !kernel_list || !routes || !r->dispatches)
        return no_memory(error);
    r->programs = programs;
    r->kernels = kernel_list;
    r->routes = routes;
    for (uint32_t i = 0; i < m->n_programs; i++) {
        const sy_program *p = m->programs[i];
        uint32_t first = r->n_dispatches, first_kernel = r->n_kernels;
        programs[i] = (sy_profile_program){.name = sy_arena_string(&r->arena, m->names[i]),
                                           .first = first,
                                           .n = p->n_dispatches,
                                           .turns = turns_of(m, i),
                                           .arena_bytes = p->stats.arena_bytes,
                                           .arena_lower_bound = p->stats.arena_lower_bound};
        if (!programs[i].name)
            return no_memory(error);
        if (!add_kernels(p, r, kernel_list, error))
            return false;
        for (uint32_t d = 0; d < p->n_dispatches; d++)
            if (!add_dispatch(&p->dispatches[d], r, i, first_kernel, error))
                return false;
        if (!add_routes(p, r, routes, first, error) || !sy_profile_lives(p, i, first, r, error))
            return false;
        r->n_programs++;
    }
    return true;
}
